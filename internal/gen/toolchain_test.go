package gen

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rmigo/rmigo/internal/leak"
	"github.com/rmigo/rmigo/internal/testmod"
)

// goCommand runs the go command in a directory, with more in its environment, and fails the test if it fails. It returns what is printed.
func goCommand(t *testing.T, dir string, env []string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// staticcheck fails the test for what staticcheck finds in generated files of a module; the rest of the analysis is the user's.
func staticcheck(t *testing.T, dir string) {
	t.Helper()
	if testing.Short() {
		t.Log("without staticcheck: it compiles much that other tests do not")
		return
	}
	which := exec.CommandContext(t.Context(), "go", "tool", "-modfile=tools/go.mod", "-n", "staticcheck")
	which.Dir = filepath.Join("..", "..")
	which.Env = append(os.Environ(), "GOOS=", "GOFLAGS=", "GOWORK=") // it is to run here
	path, err := which.Output()
	if err != nil {
		t.Logf("staticcheck is not to be had here: %v", err)
		return
	}
	writeFile(t, filepath.Join(dir, "unused", "unused.go"), "package unused\n\nfunc unused() {}\n")
	cmd := exec.CommandContext(t.Context(), strings.TrimSpace(string(path)), "-checks=all,-ST1000", "./...")
	cmd.Dir = dir
	out, err := cmd.Output()
	if _, findings := err.(*exec.ExitError); err != nil && !findings {
		t.Fatal(err)
	}
	if !strings.Contains(filepath.ToSlash(string(out)), "unused/unused.go:3:6:") {
		t.Errorf("staticcheck does not find a function that is not used: %v\n%s", err, out)
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

func TestATypeOfCInASignatureIsRefused(t *testing.T) {
	leak.Check(t)
	enabled, err := exec.CommandContext(t.Context(), "go", "env", "CGO_ENABLED").Output()
	if err != nil || strings.TrimSpace(string(enabled)) != "1" {
		t.Skipf("there is no C compiler here: %v", err)
	}
	dir := newModule(t, "example.com/cgo")
	writeFile(t, filepath.Join(dir, "sum.go"), `package cgo

import "C"

import "context"

//rmi:remote
type Adder interface {
	Add(ctx context.Context, n C.int) (int, error)
}
`)
	const want = "sum.go:9:2: a type that it leads to could not be resolved: if it is one of C, use a type of Go"
	if got := refusals(t, dir, "./..."); len(got) != 1 || got[0] != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
