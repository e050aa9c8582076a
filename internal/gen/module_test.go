package gen

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// An archive is a comment and files, each after a line "-- name --".
type archive struct {
	comment string
	names   []string // in order
	files   map[string]string
}

func parseArchive(text string) *archive {
	a := &archive{files: map[string]string{}}
	name := ""
	for line := range strings.Lines(text) {
		if n, ok := strings.CutPrefix(strings.TrimRight(line, "\n"), "-- "); ok && strings.HasSuffix(n, " --") {
			name = strings.TrimSuffix(n, " --")
			a.names = append(a.names, name)
			continue
		}
		if name == "" {
			a.comment += line
		} else {
			a.files[name] += line
		}
	}
	return a
}

// write puts the files that keep admits below dir.
func (a *archive) write(t *testing.T, dir string, keep func(name string) bool) {
	t.Helper()
	for _, name := range a.names {
		if keep(name) {
			writeFile(t, filepath.Join(dir, name), a.files[name])
		}
	}
}

func everyFile(string) bool { return true }

func writeFile(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// newModule makes a module called path in a workspace with this repository, so that it can import the runtime without a
// network.
func newModule(t *testing.T, path string) (dir string) {
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
	writeFile(t, filepath.Join(work, "go.work"), "go "+version+"\n\nuse (\n\t./module\n\t"+root+"\n)\n")
	dir = filepath.Join(work, "module")
	writeFile(t, filepath.Join(dir, "go.mod"), "module "+path+"\n\ngo 1.26\n")
	return dir
}

// generate runs on a module and fails the test if anything is refused.
func generate(t *testing.T, dir string, packages ...string) *Plan {
	t.Helper()
	plan, err := Generate(t.Context(), Options{Dir: dir, Packages: packages})
	if err != nil {
		t.Fatalf("Generate: %v", err)
	}
	return plan
}

// refusals runs on a module and returns what is refused.
func refusals(t *testing.T, dir string, packages ...string) []string {
	t.Helper()
	_, err := Generate(t.Context(), Options{Dir: dir, Packages: packages})
	if err == nil {
		return nil
	}
	return strings.Split(err.Error(), "\n")
}
