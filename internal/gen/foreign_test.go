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
)

// commands returns the runs of rmigen that the comment of an archive lists.
func (a *archive) commands(t *testing.T) (all []Options) {
	t.Helper()
	for line := range strings.Lines(a.comment) {
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
func foreignModule(t *testing.T, name string) (*archive, string) {
	t.Helper()
	t.Setenv("GOOS", "linux")
	a := parseArchive(read(t, filepath.Join("testdata", "foreign", name+".txtar")))
	dir := newModule(t, "example.com/foreign")
	a.write(t, dir, isInput)
	return a, dir
}

func TestForeignInterfacesAreGeneratedIntoAPackageOfTheUsers(t *testing.T) {
	leak.Check(t)
	for _, name := range []string{"disks", "standard"} {
		t.Run(name, func(t *testing.T) {
			a, dir := foreignModule(t, name)
			for _, opts := range append(a.commands(t), Options{Packages: []string{"./..."}}) {
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
				} else if *update && !slices.Contains(a.names, file) {
					a.names = append(a.names, file)
				}
				if *update {
					a.files[filepath.ToSlash(f.Name)] = string(f.Content)
				}
				if want := a.files[filepath.ToSlash(f.Name)]; string(f.Content) != want {
					t.Errorf("%s is not its golden; run with -update and read the change\n got:\n%s\nwant:\n%s", f.Name, f.Content, want)
				}
			}
			if *update {
				writeFile(t, filepath.Join("testdata", "foreign", name+".txtar"), a.String())
			}
			cmd := exec.CommandContext(t.Context(), "go", "vet", "./...")
			cmd.Dir = dir
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("go vet: %v\n%s", err, out)
			}
		})
	}
}

// String is the archive's text.
func (a *archive) String() string {
	var b strings.Builder
	b.WriteString(a.comment)
	for _, name := range a.names {
		b.WriteString("-- " + name + " --\n" + a.files[name])
	}
	return b.String()
}

func TestForeignInterfacesThatCannotBeGeneratedAreRefusedWhereTheyStand(t *testing.T) {
	leak.Check(t)
	a, dir := foreignModule(t, "refused")
	goroot, err := exec.CommandContext(t.Context(), "go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	for k, opts := range a.commands(t) {
		opts.Dir = dir
		_, err := Generate(t.Context(), opts)
		if err == nil {
			t.Errorf("command %d is accepted, want it refused", k)
			continue
		}
		said.WriteString(strings.NewReplacer(strings.TrimSpace(string(goroot)), "GOROOT", `\`, "/").Replace(err.Error()) + "\n\n")
	}
	if *update {
		a.files["refused"] = said.String()
		writeFile(t, filepath.Join("testdata", "foreign", "refused.txtar"), a.String())
	}
	if got, want := said.String(), a.files["refused"]; got != want {
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
	a := &archive{comment: blocks[0]}
	for _, opts := range a.commands(t) {
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
