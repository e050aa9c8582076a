package gen

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rmigo/rmigo/internal/leak"
	"github.com/rmigo/rmigo/internal/testmod"
)

// commands returns the runs of rmigen that the comment of an archive lists.
func commands(t *testing.T, a *testmod.Archive) (all []Options) {
	t.Helper()
	for line := range strings.Lines(a.Comment) {
		words := strings.Fields(line)
		if len(words) == 0 || words[0] != "rmigen" {
			continue
		}
		opts := Options{Packages: []string{"./..."}}
		for k := 1; k+1 < len(words); k += 2 {
			if opts.Foreign == nil {
				opts = Options{Foreign: &Foreign{}}
			}
			switch list := strings.Split(words[k+1], ","); words[k] {
			case "-type":
				opts.Foreign.Types = list
			case "-oneway":
				opts.Foreign.OneWay = list
			case "-o":
				opts.Out = words[k+1]
			case "-timeout":
				d, err := time.ParseDuration(words[k+1])
				if err != nil {
					t.Fatal(err)
				}
				opts.Foreign.Timeout = d
			}
		}
		all = append(all, opts)
	}
	return all
}

// foreignModule writes an archive of testdata/foreign without what is generated.
func foreignModule(t *testing.T, name string) (*testmod.Archive, string) {
	t.Helper()
	t.Setenv("GOOS", "linux")
	a := testmod.Parse(read(t, filepath.Join("testdata", "foreign", name+".txtar")))
	dir := newModule(t, "example.com/foreign")
	a.Write(t, dir, isInput)
	if a.Files["go.mod"] != "" {
		vendor(t, dir)
	}
	return a, dir
}

// vendor makes a module vendor what its go.mod requires, and the runtime as it is here, for the rest of a test.
func vendor(t *testing.T, dir string) {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	_, requires, _ := strings.Cut(read(t, filepath.Join(root, "go.mod")), "\nrequire ")
	writeFile(t, filepath.Join(dir, "go.mod"), read(t, filepath.Join(dir, "go.mod"))+
		"\nrequire "+requires+"\nrequire github.com/rmigo/rmigo v0.0.0\n\nreplace github.com/rmigo/rmigo => "+root+"\n")
	writeFile(t, filepath.Join(dir, "go.sum"), read(t, filepath.Join(root, "go.sum")))
	t.Setenv("GOWORK", "off")
	t.Setenv("GOPROXY", "off") // all that rmigo needs is here, since it was built
	goCommand(t, dir, []string{"GOFLAGS=-mod=mod"}, "mod", "vendor")
	t.Setenv("GOFLAGS", "-mod=vendor")
}

func TestForeignInterfacesAreGeneratedIntoAPackageOfTheUsers(t *testing.T) {
	leak.Check(t)
	for _, name := range []string{"disks", "standard", "vendored"} {
		t.Run(name, func(t *testing.T) {
			a, dir := foreignModule(t, name)
			for _, opts := range append(commands(t, a), Options{Packages: []string{"./..."}}) {
				opts.Dir = dir
				plan, err := Generate(t.Context(), opts)
				if err != nil {
					t.Fatal(err)
				}
				if err := plan.Write(); err != nil {
					t.Fatal(err)
				}
			}
			plan := generate(t, dir, "./...")
			for _, f := range plan.Files {
				if file := filepath.ToSlash(f.Name); f.State != Current {
					t.Errorf("%s is %v for a run without -type, want that its own line keeps it as it is", file, f.State)
				} else if *update && !slices.Contains(a.Names, file) {
					a.Names = append(a.Names, file)
				}
				if *update {
					a.Files[filepath.ToSlash(f.Name)] = string(f.Content)
				}
				if want := a.Files[filepath.ToSlash(f.Name)]; string(f.Content) != want {
					t.Errorf("%s is not its golden; run with -update and read the change\n got:\n%s\nwant:\n%s", f.Name, f.Content, want)
				}
			}
			if *update {
				writeFile(t, filepath.Join("testdata", "foreign", name+".txtar"), a.String())
			}
			if name == "vendored" {
				goCommand(t, dir, nil, "list", "-deps", "./...") // what is generated imports what is vendored, and nothing else
				t.Setenv("GOFLAGS", "")
				t.Setenv("GOWORK", "") // the vendored runtime would be compiled anew
			}
			goCommand(t, dir, nil, "vet", "./...")
			staticcheck(t, dir)
		})
	}
}

func TestForeignInterfacesThatCannotBeGeneratedAreRefusedWhereTheyStand(t *testing.T) {
	leak.Check(t)
	a, dir := foreignModule(t, "refused")
	goroot, err := exec.CommandContext(t.Context(), "go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	for k, opts := range commands(t, a) {
		opts.Dir = dir
		_, err := Generate(t.Context(), opts)
		if err == nil {
			t.Errorf("command %d is accepted, want it refused", k)
			continue
		}
		said.WriteString(strings.NewReplacer(strings.TrimSpace(string(goroot)), "GOROOT", `\`, "/").Replace(err.Error()) + "\n\n")
	}
	if *update {
		a.Files["refused"] = said.String()
		writeFile(t, filepath.Join("testdata", "foreign", "refused.txtar"), a.String())
	}
	if got, want := said.String(), a.Files["refused"]; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// The example of the docs, run in a module of its own: the fenced blocks behind <!-- example --> are what is typed, what is written
// and what is printed.
func TestTheExampleOfTheDocsWorksAsItSays(t *testing.T) {
	leak.Check(t)
	blocks := blocksOf(read(t, "../../docs/rmigen.md"), "example")
	if len(blocks) != 3 {
		t.Fatalf("docs/rmigen.md has %d blocks of an example, want a command, a program and its output", len(blocks))
	}
	dir := newModule(t, "example.com/p")
	writeFile(t, filepath.Join(dir, "main.go"), blocks[1])
	a := &testmod.Archive{Comment: blocks[0]}
	for _, opts := range commands(t, a) {
		opts.Dir = dir
		plan, err := Generate(t.Context(), opts)
		if err != nil {
			t.Fatal(err)
		}
		if err := plan.Write(); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), "go", "run", ".")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil || string(out) != blocks[2] {
		t.Errorf("got %v and\n%s\nwant\n%s", err, out, blocks[2])
	}
}

// The packages of the docs are what rmigen takes.
func TestThePackagesOfTheDocsAreGeneratedAndCompile(t *testing.T) {
	leak.Check(t)
	dir := newModule(t, "example.com/p")
	blocks := blocksOf(read(t, "../../docs/rmigen.md"), "package")
	for i, block := range blocks {
		writeFile(t, filepath.Join(dir, fmt.Sprint("p", i), "p.go"), block)
	}
	plan := generate(t, dir, "./...")
	if len(blocks) == 0 || len(plan.Files) != len(blocks) {
		t.Fatalf("%d files for %d packages", len(plan.Files), len(blocks))
	}
	if err := plan.Write(); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "go", "vet", "./...")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("go vet: %v\n%s", err, out)
	}
}

// blocksOf returns the fenced blocks behind a comment.
func blocksOf(text, comment string) (blocks []string) {
	for _, part := range strings.Split(text, "<!-- "+comment+" -->\n```")[1:] {
		_, rest, _ := strings.Cut(part, "\n")
		block, _, _ := strings.Cut(rest, "\n```")
		blocks = append(blocks, block+"\n")
	}
	return blocks
}
