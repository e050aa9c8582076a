package vet_test

import (
	"flag"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rmigo/rmigo/internal/gen"
	"github.com/rmigo/rmigo/internal/leak"
	"github.com/rmigo/rmigo/internal/testmod"
	"github.com/rmigo/rmigo/internal/vet"
)

var update = flag.Bool("update", false, "rewrite the findings in testdata")

// findings is the name of the file of an archive that has what is found in its package.
const findings = "findings"

// golden writes the archives as packages of one module, with generated code, and returns its directory.
func golden(t *testing.T) (dir string, all map[string]*testmod.Archive) {
	t.Helper()
	dir, all = testmod.New(t, "example.com/vetted"), testmod.Archives(t, "testdata")
	for name, a := range all {
		a.Write(t, filepath.Join(dir, name), func(file string) bool { return file != findings })
	}
	plan, err := gen.Generate(t.Context(), gen.Options{Dir: dir, Packages: []string{"./..."}})
	if err != nil {
		t.Fatal(err)
	}
	if err := plan.Write(); err != nil {
		t.Fatal(err)
	}
	return dir, all
}

func vetted(t *testing.T, dir string) []vet.Finding {
	t.Helper()
	found, err := vet.Run(t.Context(), gen.Options{Dir: dir, Packages: []string{"./..."}})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// Each check has an archive of its name. What it must find is in bad.go, and what looks like it and is harmless in good.go.
func TestEachCheckFindsWhatHurtsAndNothingElse(t *testing.T) {
	leak.Check(t)
	dir, all := golden(t)
	got := map[string]string{}
	for _, f := range vetted(t, dir) {
		name := strings.Split(filepath.ToSlash(f.Pos.Filename), "/")[0]
		got[name] += strings.Replace(f.String(), name+string(filepath.Separator), "", 1) + "\n"
		if strings.HasSuffix(f.Pos.Filename, "good.go") {
			t.Errorf("%s: found in what is to be harmless", f)
		}
	}
	for name, a := range all {
		if *update {
			if _, ok := a.Files[findings]; !ok {
				a.Names = append(a.Names, findings)
			}
			a.Files[findings] = got[name]
			testmod.WriteFile(t, filepath.Join("testdata", name+".txtar"), a.String())
		}
		if got[name] != a.Files[findings] {
			t.Errorf("%s: run with -update and read the change\n got:\n%s\nwant:\n%s", name, got[name], a.Files[findings])
		}
	}
	for _, c := range vet.Checks() {
		if a := all[c.Name]; a == nil || !strings.Contains(a.Files[findings], "["+c.Name+"]") || a.Files["good.go"] == "" {
			t.Errorf("testdata/%s.txtar is to have a good.go, and something that the check of that name finds", c.Name)
		}
	}
}

func TestWhatIsVettedCompiles(t *testing.T) {
	leak.Check(t)
	dir, _ := golden(t)
	cmd := exec.CommandContext(t.Context(), "go", "vet", "-buildtag", "./...") // checks types, and writes no code
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("go vet on the archives: %v, want that they compile\n%s", err, out)
	}
}

func TestCodeThatIsNotGeneratedYetIsVettedToo(t *testing.T) {
	leak.Check(t)
	dir := testmod.New(t, "example.com/fresh")
	testmod.WriteFile(t, filepath.Join(dir, "job.go"), `package fresh

import (
	"context"
	"sync"

	"github.com/rmigo/rmigo/rmi"
)

//rmi:remote
type Job interface {
	Run(ctx context.Context) error
}

type boss struct {
	mu  sync.Mutex
	job Job
}

func (b *boss) run(ctx context.Context, n *rmi.Node) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	j, err := rmi.Lookup(ctx, n, RemoteJob, "rmi://localhost/job")
	if err != nil {
		return err
	}
	b.job = j
	return b.job.Run(ctx)
}
`)
	got := vetted(t, dir)
	if len(got) != 2 || got[0].Pos.Line != 23 || got[1].Pos.Line != 28 || got[0].Check != "lock" || got[1].Check != "lock" {
		t.Errorf("got %v, want two calls under a lock, in lines 23 and 28", got)
	}
}

func TestWhatIsRefusedIsNotVetted(t *testing.T) {
	leak.Check(t)
	dir := testmod.New(t, "example.com/refused")
	testmod.WriteFile(t, filepath.Join(dir, "job.go"), "package refused\n\n//rmi:remote\ntype Job interface{ Run() }\n")
	if found, err := vet.Run(t.Context(), gen.Options{Dir: dir}); err == nil || !strings.Contains(err.Error(), "job.go:4:21: Job.Run: first parameter must be context.Context") {
		t.Errorf("got %v, %v; want the refusal that rmigen has", found, err)
	}
}
