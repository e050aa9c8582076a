// Package testmod makes Go modules for tests out of txtar archives.
//
//	dir := testmod.New(t, "example.com/golden")
//	testmod.Parse(text).Write(t, dir, testmod.Every)
package testmod

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// An Archive is a comment and files, each after a line "-- name --".
type Archive struct {
	Comment string
	Names   []string // in order
	Files   map[string]string
}

// Parse reads an archive; any text is one.
func Parse(text string) *Archive {
	a := &Archive{Files: map[string]string{}}
	name := ""
	for line := range strings.Lines(text) {
		if n, ok := strings.CutPrefix(strings.TrimRight(line, "\r\n"), "-- "); ok && strings.HasSuffix(n, " --") {
			name = strings.TrimSuffix(n, " --")
			a.Names = append(a.Names, name)
			continue
		}
		if name == "" {
			a.Comment += line
		} else {
			a.Files[name] += line
		}
	}
	return a
}

// String is the archive as Parse reads it.
func (a *Archive) String() string {
	var b strings.Builder
	b.WriteString(a.Comment)
	for _, name := range a.Names {
		b.WriteString("-- " + name + " --\n" + a.Files[name])
	}
	return b.String()
}

// Write puts the files that keep admits below dir.
func (a *Archive) Write(t *testing.T, dir string, keep func(name string) bool) {
	t.Helper()
	for _, name := range a.Names {
		if keep(name) {
			WriteFile(t, filepath.Join(dir, name), a.Files[name])
		}
	}
}

// Every admits each file.
func Every(string) bool { return true }

// Archives reads the archives of a directory, by their names without extension; there must be some.
func Archives(t *testing.T, dir string) map[string]*Archive {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*.txtar"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no archives in %s: %v", dir, err)
	}
	all := map[string]*Archive{}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		all[strings.TrimSuffix(filepath.Base(path), ".txtar")] = Parse(string(text))
	}
	return all
}

// WriteFile writes a file and makes the directories that it is in.
func WriteFile(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// New makes a module called path in a workspace with this repository, so that it can import the runtime without a network, and
// returns its directory. Tests of packages two levels below the repository's root may call it.
func New(t *testing.T, path string) (dir string) {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	work := t.TempDir()
	if work, err = filepath.EvalSymlinks(work); err != nil {
		t.Fatal(err)
	}
	version := strings.TrimPrefix(runtime.Version(), "go")
	WriteFile(t, filepath.Join(work, "go.work"), "go "+version+"\n\nuse (\n\t./module\n\t"+root+"\n)\n")
	dir = filepath.Join(work, "module")
	WriteFile(t, filepath.Join(dir, "go.mod"), "module "+path+"\n\ngo 1.26\n")
	return dir
}
