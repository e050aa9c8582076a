package gen

import (
	"flag"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rmigo/rmigo/internal/leak"
	"github.com/rmigo/rmigo/internal/testmod"
)

var update = flag.Bool("update", false, "rewrite the generated files in testdata")

func isGolden(name string) bool { return strings.HasSuffix(name, suffix) }
func isInput(name string) bool  { return !isGolden(name) }

// goldens reads the archives that are packages of one module: all but cgo where there is no C compiler for linux.
func goldens(t *testing.T) map[string]*testmod.Archive {
	t.Helper()
	t.Setenv("GOOS", "linux")
	all := testmod.Archives(t, "testdata")
	enabled, err := exec.CommandContext(t.Context(), "go", "env", "CGO_ENABLED").Output()
	if err != nil {
		t.Fatal(err)
	}
	if strings.TrimSpace(string(enabled)) != "1" {
		t.Log("the archive cgo is left out: there is no C compiler for linux here")
		delete(all, "cgo")
	}
	return all
}

// System files are linux's: the goldens are what a generator sees there.
func TestGeneratedFilesAreTheGoldensToTheByte(t *testing.T) {
	leak.Check(t)
	dir, all := newModule(t, "example.com/golden"), goldens(t)
	for name, a := range all {
		a.Write(t, filepath.Join(dir, name), isInput)
	}
	got := map[string]string{}
	for _, f := range generate(t, dir, "./...").Files {
		got[filepath.ToSlash(f.Name)] = string(f.Content)
	}
	if *update {
		updateArchives(t, all, got)
	}
	for name, a := range all {
		for _, file := range a.Names {
			if key := name + "/" + file; isGolden(file) {
				if got[key] != a.Files[file] {
					t.Errorf("%s is not its golden; run with -update and read the change\n got:\n%s\nwant:\n%s", key, got[key], a.Files[file])
				}
				delete(got, key)
			}
		}
	}
	for name := range got {
		t.Errorf("got %s, want no such file: it has no golden", name)
	}
}

func updateArchives(t *testing.T, all map[string]*testmod.Archive, got map[string]string) {
	t.Helper()
	for name, a := range all {
		var b strings.Builder
		b.WriteString(a.Comment)
		for _, file := range a.Names {
			if isGolden(file) {
				continue
			}
			b.WriteString("-- " + file + " --\n" + a.Files[file])
			golden := strings.TrimSuffix(file, ".go") + suffix
			if content, ok := got[name+"/"+golden]; ok {
				b.WriteString("-- " + golden + " --\n" + content)
			}
		}
		writeFile(t, "testdata/"+name+".txtar", b.String())
		*a = *testmod.Parse(b.String())
	}
}

func TestGoldensCompileAgainstTheRuntimeAndAreCleanForStaticcheck(t *testing.T) {
	leak.Check(t)
	dir, all := newModule(t, "example.com/golden"), goldens(t)
	for name, a := range all {
		a.Write(t, filepath.Join(dir, name), testmod.Every)
	}
	goCommand(t, dir, nil, "vet", "./...")
	staticcheck(t, dir)
	if all["cgo"] != nil {
		const want = "[pure.go pure_rmi.go]"
		if got := goCommand(t, dir, []string{"CGO_ENABLED=0"}, "list", "-f", "{{.GoFiles}}", "./cgo"); strings.TrimSpace(got) != want {
			t.Errorf("without cgo the package is of %swant %s: what is generated for a file goes with it", got, want)
		}
	}
}

func TestGenerationIsTheSameWhateverIsOnDiskAndHoweverPackagesAreNamed(t *testing.T) {
	leak.Check(t)
	fresh, again := newModule(t, "example.com/golden"), newModule(t, "example.com/golden")
	patterns := []string{"values", "packages/hub", "holders", "example.com/golden/bank"} // which are named once more below
	for name, a := range goldens(t) {
		a.Write(t, filepath.Join(fresh, name), isInput)
		a.Write(t, filepath.Join(again, name), testmod.Every)
		patterns = append(patterns, "./"+name+"/...")
	}
	first := generate(t, fresh, "./...")
	second := generate(t, again, patterns...)
	if len(first.Files) != len(second.Files) {
		t.Fatalf("got %d files, want %d: both runs cover the same packages", len(second.Files), len(first.Files))
	}
	for i, f := range first.Files {
		if g := second.Files[i]; f.Name != g.Name || string(f.Content) != string(g.Content) {
			t.Errorf("file %d is %s, want %s with the same bytes", i, g.Name, f.Name)
		}
		if f.State != Missing || second.Files[i].State != Current {
			t.Errorf("%s is %v in a fresh module and %v where it was generated, want missing and up to date", f.Name, f.State, second.Files[i].State)
		}
	}
}
