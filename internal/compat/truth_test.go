package compat_test

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"maps"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rmigo/rmigo/internal/compat"
	"github.com/rmigo/rmigo/internal/gen"
	"github.com/rmigo/rmigo/internal/leak"
	"github.com/rmigo/rmigo/internal/testmod"
)

// An archive of testdata/truth is one change: a file in two versions, with Object, that a server exports, and Try, by which a client
// finds out whether it gets along with it. Instead of both it may have a type V, a value of it by Make, and Show, the text of what both
// versions know of one: then its comment says "probe: put" if V is sent, "probe: get" if it is received, or "probe: both".
// Where it says "roles: swapped" the change is one of an interface of the client's.
//
// All are of one package, which is quicker to build, their names being told apart by what is put behind them; but those that say
// "package: its own", since what they change is of the whole package.

// probe is what an archive with a V gets.
const probe = `package p

import (
	"context"
	"fmt"

	"github.com/rmigo/rmigo/rmi"
	"github.com/rmigo/rmigo/skeleton"
)

//rmi:remote
type Box interface {
	Shown(ctx context.Context) (string, error)
	%s
}

type box struct{}

func (*box) Put(_ context.Context, v V) (string, error)    { return Show(v), nil }
func (*box) Get(context.Context) (V, error)                { return Make(), nil }
func (*box) Shown(context.Context) (string, error)         { return Show(Make()), nil }

func Object() skeleton.Bound { return RemoteBox.Of(&box{}) }

func Try(ctx context.Context, n *rmi.Node, ref string) error {
	b, err := rmi.Resolve(ctx, n, RemoteBox, ref)
	if err != nil {
		return err
	}
	return %s
}
`

const put = `
func tryPut(ctx context.Context, b Box) error {
	got, err := b.Put(ctx, Make())
	if err == nil && got != Show(Make()) {
		err = fmt.Errorf("%s arrived, want %s", got, Show(Make()))
	}
	return err
}
`

const get = `
func tryGet(ctx context.Context, b Box) error {
	want, err := b.Shown(ctx)
	if err != nil {
		return err
	}
	got, err := b.Get(ctx)
	if err == nil && Show(got) != want {
		err = fmt.Errorf("%s arrived, want %s", Show(got), want)
	}
	return err
}
`

// probeFor is the probe of a kind.
func probeFor(kind string) string {
	const putMethod, getMethod = "Put(ctx context.Context, v V) (string, error)", "Get(ctx context.Context) (V, error)"
	switch kind {
	case "put":
		return fmt.Sprintf(probe, putMethod, "tryPut(ctx, b)") + put
	case "get":
		return fmt.Sprintf(probe, getMethod, "tryGet(ctx, b)") + get
	}
	both := strings.Replace(fmt.Sprintf(probe, putMethod+"\n\t"+getMethod, "errors.Join(tryPut(ctx, b), tryGet(ctx, b))"), `"context"`, "\"context\"\n\t\"errors\"", 1)
	return both + put + get
}

// said returns what a line of an archive's comment says.
func said(a *testmod.Archive, word string) string {
	_, rest, _ := strings.Cut(a.Comment, word+": ")
	line, _, _ := strings.Cut(rest, "\n")
	return line
}

// home is the directory of an archive's package.
func home(name string, a *testmod.Archive) string {
	if said(a, "package") == "its own" {
		return name
	}
	return "shared"
}

// suffix is what is put behind the names of an archive.
func suffix(name string) string { return "_" + strings.ReplaceAll(name, "-", "_") }

// place writes both versions of an archive.
func place(t *testing.T, name string, a *testmod.Archive, old, now string) {
	t.Helper()
	for version, dir := range map[string]string{"old": old, "new": now} {
		files := map[string]string{name + ".go": a.Files[version+"/p.go"]}
		if kind := said(a, "probe"); kind != "" {
			files[name+"-probe.go"] = probeFor(kind)
		}
		names := regexp.MustCompile(`\b(Remote)?(` + strings.Join(declared(t, slices.Collect(maps.Values(files))), "|") + `)\b`)
		for file, text := range files {
			testmod.WriteFile(t, filepath.Join(dir, home(name, a), file), names.ReplaceAllString(text, "${0}"+suffix(name)))
		}
	}
}

// declared lists the names that files of a package declare at its level, methods aside.
func declared(t *testing.T, files []string) (names []string) {
	t.Helper()
	for _, text := range files {
		f, err := parser.ParseFile(token.NewFileSet(), "", text, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Recv == nil {
					names = append(names, d.Name.Name)
				}
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					switch spec := spec.(type) {
					case *ast.TypeSpec:
						names = append(names, spec.Name.Name)
					case *ast.ValueSpec:
						names = append(names, spec.Names[0].Name)
					}
				}
			}
		}
	}
	return names
}

// program is the main package of a version: it serves all objects, or tries all of those of which it reads the references.
func program(all map[string]*testmod.Archive) string {
	var imports, objects strings.Builder
	for _, dir := range slices.Sorted(maps.Keys(homes(all))) {
		fmt.Fprintf(&imports, "\t%s \"example.com/m/%s\"\n", strings.ReplaceAll(dir, "-", ""), dir)
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		pkg := strings.ReplaceAll(home(name, all[name]), "-", "")
		fmt.Fprintf(&objects, "\t\t{%q, %s.Object%s, %s.Try%s},\n", name, pkg, suffix(name), pkg, suffix(name))
	}
	return strings.NewReplacer("IMPORTS\n", imports.String(), "OBJECTS\n", objects.String()).Replace(programText)
}

const programText = `package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"strings"
	"time"

	"github.com/rmigo/rmigo/rmi"
	"github.com/rmigo/rmigo/skeleton"

IMPORTS
)

type change struct {
	name   string
	object func() skeleton.Bound
	try    func(context.Context, *rmi.Node, string) error
}

func changes() []change {
	return []change{
OBJECTS
	}
}

func main() {
	node, err := rmi.NewNode(rmi.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer node.Close()
	if os.Args[1] == "serve" {
		serve(node)
		return
	}
	refs := map[string]string{}
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		name, ref, _ := strings.Cut(lines.Text(), " ")
		refs[name] = ref
	}
	for _, c := range changes() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		says := "works"
		if err := c.try(ctx, node, refs[c.name]); err != nil {
			says = strings.Join(strings.Fields(err.Error()), " ")
		}
		cancel()
		fmt.Println(c.name, says)
	}
}

// serve exports all objects, prints their references, and serves until its input ends.
func serve(node *rmi.Node) {
	if _, err := node.Listen("tcp://127.0.0.1:0"); err != nil {
		log.Fatal(err)
	}
	for _, c := range changes() {
		ref, err := rmi.Export(node, c.object())
		if err != nil {
			log.Fatal(err)
		}
		text, _ := ref.MarshalText()
		fmt.Println(c.name, string(text))
	}
	os.Stdout.Close()
	io.Copy(io.Discard, os.Stdin)
}
`

func homes(all map[string]*testmod.Archive) map[string]bool {
	dirs := map[string]bool{}
	for name, a := range all {
		dirs[home(name, a)] = true
	}
	return dirs
}

// What compat says is what happens: for each change both versions are built, and real calls are made both ways between processes of them.
func TestTheVerdictsAreTrue(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and runs programs of two versions")
	}
	leak.Check(t)
	all := testmod.Archives(t, filepath.Join("testdata", "truth"))
	old, now := testmod.New(t, "example.com/m"), testmod.New(t, "example.com/m")
	for name, a := range all {
		place(t, name, a, old, now)
	}
	for _, dir := range []string{old, now} {
		generate(t, dir)
	}
	built := build(t, program(all), old, now) // which takes the longest by far
	says := map[string]compat.Clients{}
	for _, c := range compared(t, old, now) {
		name := strings.TrimSuffix(filepath.Base(c.Pos.Filename), ".go")
		says[strings.TrimSuffix(name, "-probe")] |= c.Breaks
	}
	built()
	happens := map[compat.Clients]map[string]string{
		compat.OldClients: try(t, filepath.Join(old, "m"), filepath.Join(now, "m")),
		compat.NewClients: try(t, filepath.Join(now, "m"), filepath.Join(old, "m")),
	}
	same := try(t, filepath.Join(old, "m"), filepath.Join(old, "m"))
	for name, a := range all {
		for _, clients := range []compat.Clients{compat.OldClients, compat.NewClients} {
			judged := clients
			if said(a, "roles") == "swapped" {
				judged = compat.OldClients + compat.NewClients - clients
			}
			got := happens[clients][name]
			if breaks := says[name]&judged != 0; breaks == (got == "works") {
				t.Errorf("%s: compat says of %v that it breaks them: %v; they say: %s", name, clients, breaks, got)
			}
		}
		if same[name] != "works" {
			t.Errorf("%s: within the old version: %s", name, same[name])
		}
	}
}

// generate writes the generated code of a version.
func generate(t *testing.T, dir string) {
	t.Helper()
	plan, err := gen.Generate(t.Context(), gen.Options{Dir: dir, Packages: []string{"./..."}})
	if err != nil {
		t.Fatal(err)
	}
	if err := plan.Write(); err != nil {
		t.Fatal(err)
	}
}

// build begins to compile both versions side by side, each to the program m, without what a debugger needs. The function that it returns
// waits for that.
func build(t *testing.T, program string, versions ...string) (wait func()) {
	t.Helper()
	var running []*exec.Cmd
	for _, dir := range versions {
		testmod.WriteFile(t, filepath.Join(dir, "cmd", "main.go"), program)
		cmd := exec.CommandContext(t.Context(), "go", "build", "-ldflags=-s -w", "-o", "m", "./cmd")
		cmd.Dir, cmd.Stderr = dir, &bytes.Buffer{}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		running = append(running, cmd)
	}
	return func() {
		t.Helper()
		for _, cmd := range running {
			if err := cmd.Wait(); err != nil {
				t.Errorf("go build: %v\n%s", err, cmd.Stderr)
			}
		}
		if t.Failed() {
			t.FailNow()
		}
	}
}

// try returns what a client says of each object of a server that runs in another process.
func try(t *testing.T, client, server string) map[string]string {
	t.Helper()
	serving := exec.CommandContext(t.Context(), server, "serve")
	var says bytes.Buffer
	serving.Stderr = &says
	input, err := serving.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	output, err := serving.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := serving.Start(); err != nil {
		t.Fatal(err)
	}
	refs, err := io.ReadAll(output)
	if err != nil {
		t.Fatal(err)
	}
	calling := exec.CommandContext(t.Context(), client, "try")
	calling.Stdin = bytes.NewReader(refs)
	out, err := calling.CombinedOutput()
	if err != nil {
		t.Errorf("%s: %v\n%s", client, err, out)
	}
	input.Close()
	if err := serving.Wait(); err != nil {
		t.Errorf("%s serve: %v\n%s", server, err, &says)
	}
	outcomes := map[string]string{}
	for line := range strings.Lines(string(out)) {
		name, says, _ := strings.Cut(strings.TrimSpace(line), " ")
		outcomes[name] = says
	}
	return outcomes
}
