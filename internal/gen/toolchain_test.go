package gen

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rmigo/rmigo/internal/leak"
	"github.com/rmigo/rmigo/internal/testmod"
)

// goCommand runs the go command in a directory, with more in its environment, and fails the test if it fails.
func goCommand(t *testing.T, dir string, env []string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// The rest of the analysis is the user's: only findings in generated files count.
func TestGeneratedFilesAreCleanForStaticcheck(t *testing.T) {
	leak.Check(t)
	if testing.Short() {
		t.Skip("it compiles much that other tests do not")
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	which := exec.CommandContext(t.Context(), "go", "tool", "-modfile=tools/go.mod", "-n", "staticcheck")
	which.Dir = root
	path, err := which.Output()
	if err != nil {
		t.Skipf("staticcheck is not to be had here: %v", err)
	}
	dir := newModule(t, "example.com/golden")
	for name, a := range testmod.Archives(t, "testdata") {
		a.Write(t, filepath.Join(dir, name), testmod.Every)
	}
	cmd := exec.CommandContext(t.Context(), strings.TrimSpace(string(path)), "-checks=all,-ST1000", "./...")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOOS=linux")
	out, err := cmd.Output()
	if _, findings := err.(*exec.ExitError); err != nil && !findings {
		t.Fatal(err)
	}
	if !bytes.Contains(out, []byte(".go:")) {
		t.Fatalf("staticcheck says nothing of the archives, in which there are unused functions: %v\n%s", err, out)
	}
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, suffix+":") || strings.Contains(line, "(compile)") {
			t.Errorf("got %swant nothing to be found in generated files", line)
		}
	}
}

func TestAGeneratedFileOfAnotherFormatDoesNotCompileAndSaysWhatToDo(t *testing.T) {
	leak.Check(t)
	dir := newModule(t, "example.com/golden")
	a := testmod.Archives(t, "testdata")["bank"]
	a.Write(t, dir, testmod.Every)
	file := a.Files["bank_rmi.go"]
	if strings.Count(file, "Format1Else") != 1 || !strings.HasPrefix(file, Header+"\n") {
		t.Fatalf("want the standard header, and the format once, in\n%s", file)
	}
	writeFile(t, filepath.Join(dir, "bank_rmi.go"), strings.Replace(file, "Format1Else", "Format999Else", 1))
	cmd := exec.CommandContext(t.Context(), "go", "build", "./...")
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "undefined: skeleton.Format999ElseRunRmigenAgain") {
		t.Errorf("go build: %v, want the failure to name what tells to run rmigen again\n%s", err, out)
	}
}

func TestInterfacesAndTypesOfAVendoredModuleAreGeneratedFor(t *testing.T) {
	leak.Check(t)
	if testing.Short() {
		t.Skip("it compiles much that other tests do not")
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("GOFLAGS", "-mod=mod")
	t.Setenv("GOWORK", "off")
	t.Setenv("GOPROXY", "off") // all that rmigo needs is here, since it was built
	dir := vendoringModule(t, root)
	goCommand(t, dir, nil, "mod", "vendor")
	t.Setenv("GOFLAGS", "-mod=vendor")
	for _, opts := range []Options{
		{Foreign: &Foreign{Types: []string{"example.com/dep/kv.Getter"}}, Out: "kvrmi"},
		{Packages: []string{"./..."}},
	} {
		opts.Dir = dir
		plan, err := Generate(t.Context(), opts)
		if err != nil {
			t.Fatal(err)
		}
		if err := plan.Write(); err != nil {
			t.Fatal(err)
		}
	}
	goCommand(t, dir, nil, "vet", "./...")
	file := read(t, filepath.Join(dir, "cache_rmi.go"))
	for _, want := range []string{"kvrmi.RemoteGetter.Put(&call.Args, g)", `"Each() ([]example.com/dep/kv.Key, error)"`} {
		if !strings.Contains(file, want) {
			t.Errorf("the generated file lacks %s, want it to name what is vendored by its own path:\n%s", want, file)
		}
	}
}

// vendoringModule writes a module that is to vendor another, and rmigo as it is in root.
func vendoringModule(t *testing.T, root string) string {
	t.Helper()
	work := t.TempDir()
	dep, dir := filepath.Join(work, "dep"), filepath.Join(work, "module")
	requires, _ := strings.CutPrefix(read(t, filepath.Join(root, "go.mod")), "module github.com/rmigo/rmigo\n")
	requires, _, _ = strings.Cut(requires, "\ntool ")
	writeFile(t, filepath.Join(dep, "go.mod"), "module example.com/dep\n\ngo 1.26\n")
	writeFile(t, filepath.Join(dep, "kv", "kv.go"), `package kv

import "context"

type Getter interface {
	Get(ctx context.Context, key Key) ([]byte, error)
}

type Key struct{ Name string }

// Each is named by no line //rmi:use.
type Each interface {
	Each(ctx context.Context) ([]Key, error)
}
`)
	writeFile(t, filepath.Join(dir, "go.mod"), "module example.com/vendoring\n"+requires+
		"\nrequire (\n\tgithub.com/rmigo/rmigo v0.0.0\n\texample.com/dep v0.0.0\n)\n\nreplace github.com/rmigo/rmigo => "+root+"\n\nreplace example.com/dep => ../dep\n")
	writeFile(t, filepath.Join(dir, "go.sum"), read(t, filepath.Join(root, "go.sum")))
	writeFile(t, filepath.Join(dir, "cache.go"), `package vendoring

import (
	"context"

	"example.com/dep/kv"
	_ "github.com/rmigo/rmigo/skeleton"
)

//rmi:use example.com/dep/kv.Getter=example.com/vendoring/kvrmi

//rmi:remote
type Cache interface {
	kv.Each
	Under(ctx context.Context, g kv.Getter, keys ...kv.Key) error
}
`)
	return dir
}

func TestAFileThatUsesCIsGeneratedForUnderTheSameCondition(t *testing.T) {
	leak.Check(t)
	enabled, err := exec.CommandContext(t.Context(), "go", "env", "CGO_ENABLED").Output()
	if err != nil || strings.TrimSpace(string(enabled)) != "1" {
		t.Skipf("there is no C compiler here: %v", err)
	}
	dir := newModule(t, "example.com/cgo")
	writeFile(t, filepath.Join(dir, "sum.go"), `//go:build cgo

package cgo

// static int one(void) { return 1; }
// typedef struct { int n; } pair;
import "C"

import "context"

//rmi:remote
type Adder interface {
	Add(ctx context.Context, n int) (int, error)
}

// One is what C has for it.
func One() int { return int(C.one()) }

var last C.pair
`)
	plan := generate(t, dir, "./...")
	if err := plan.Write(); err != nil {
		t.Fatal(err)
	}
	file := read(t, filepath.Join(dir, "sum_rmi.go"))
	if !strings.Contains(file, "\n//go:build cgo\n") || strings.Contains(file, `"C"`) {
		t.Errorf("got a file for other builds than its source is for, or one that uses C itself:\n%s", file)
	}
	goCommand(t, dir, nil, "vet", "./...")
	writeFile(t, filepath.Join(dir, "pure.go"), "package cgo\n")
	goCommand(t, dir, []string{"CGO_ENABLED=0"}, "vet", "./...")

	writeFile(t, filepath.Join(dir, "sum.go"), strings.Replace(read(t, filepath.Join(dir, "sum.go")), "n int)", "n C.int)", 1))
	const want = "sum.go:13:2: a type that it leads to could not be resolved: if it is one of C, use a type of Go"
	if got := refusals(t, dir, "./..."); len(got) != 1 || got[0] != want {
		t.Errorf("a type of C in a signature: got %q, want %q", got, want)
	}
}
