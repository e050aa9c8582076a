package gen

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rmigo/rmigo/internal/leak"
)

const stoppable = `package p

import "context"

//rmi:remote
type Job interface {
	Stop(ctx context.Context) error
}
`

// states are the planned files as "name: state".
func states(plan *Plan) []string {
	var all []string
	for _, f := range plan.Files {
		all = append(all, f.Name+": "+f.State.String())
	}
	return all
}

func read(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func TestWritingMakesTheDiskAgreeAndASecondRunFindsNothingToDo(t *testing.T) {
	leak.Check(t)
	dir := newModule(t, "example.com/p")
	writeFile(t, filepath.Join(dir, "job.go"), stoppable)
	plan := generate(t, dir)
	if got, want := states(plan), []string{"job_rmi.go: missing"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q before anything was written", got, want)
	}
	if err := plan.Write(); err != nil {
		t.Fatal(err)
	}
	if got := read(t, filepath.Join(dir, "job_rmi.go")); got != string(plan.Files[0].Content) {
		t.Errorf("got\n%s\non disk, want what was planned", got)
	}
	entries, _ := os.ReadDir(dir)
	if len(entries) != 3 {
		t.Errorf("got %v, want go.mod, job.go and job_rmi.go only: no temporary file stays", entries)
	}
	if got, want := states(generate(t, dir)), []string{"job_rmi.go: up to date"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q after the plan was written", got, want)
	}
}

func TestWhatIsInAGeneratedFileNeverMatters(t *testing.T) {
	leak.Check(t)
	for name, content := range map[string]string{
		"an older version":      Header + "\n\npackage p\n\nvar RemoteJob = Gone{}\n",
		"the name of a package": Header + "\n\npackage renamed\n",
		"an unresolved merge":   Header + "\n<<<<<<< ours\n",
		"a missing import":      Header + "\n\npackage p\n\nimport _ \"example.com/no/such\"\n",
	} {
		t.Run(name, func(t *testing.T) {
			dir := newModule(t, "example.com/p")
			writeFile(t, filepath.Join(dir, "job.go"), stoppable)
			writeFile(t, filepath.Join(dir, "job_rmi.go"), content)
			plan := generate(t, dir)
			if got, want := states(plan), []string{"job_rmi.go: stale"}; !slices.Equal(got, want) {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

func TestAGeneratedFileWhoseInterfacesAreGoneIsRemovedAndNoOther(t *testing.T) {
	leak.Check(t)
	dir := newModule(t, "example.com/p")
	writeFile(t, filepath.Join(dir, "job.go"), stoppable)
	writeFile(t, filepath.Join(dir, "plain.go"), "package p\n")
	writeFile(t, filepath.Join(dir, "plain_rmi.go"), Header+"\n\npackage p\n")
	writeFile(t, filepath.Join(dir, "deleted_rmi.go"), Header+"\n\npackage p\n")
	writeFile(t, filepath.Join(dir, "hand_rmi.go"), "package p\n\n// "+Header+"\n")
	writeFile(t, filepath.Join(dir, "other_nosystem.go"), "//go:build nosystem\n\n"+stoppable)
	writeFile(t, filepath.Join(dir, "other_nosystem_rmi.go"), Header+"\n\n//go:build nosystem\n\npackage p\n")
	plan := generate(t, dir)
	want := []string{"deleted_rmi.go: left over", "job_rmi.go: missing", "plain_rmi.go: left over"}
	if got := states(plan); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q: a file written by hand stays, and so does one for another build", got, want)
	}
	if err := plan.Write(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "plain_rmi.go")); !os.IsNotExist(err) {
		t.Errorf("plain_rmi.go: got %v, want that it is gone", err)
	}
}

func TestAFileWrittenByHandIsNotOverwritten(t *testing.T) {
	leak.Check(t)
	dir := newModule(t, "example.com/p")
	writeFile(t, filepath.Join(dir, "job.go"), stoppable)
	writeFile(t, filepath.Join(dir, "job_rmi.go"), "package p\n")
	compareLines(t, refusals(t, dir), []string{"job_rmi.go: rmigen did not write this file and will not overwrite it: rename it"})
}

func TestNothingIsPlannedWhenAnyPackageIsRefused(t *testing.T) {
	leak.Check(t)
	dir := newModule(t, "example.com/p")
	writeFile(t, filepath.Join(dir, "a", "job.go"), stoppable)
	writeFile(t, filepath.Join(dir, "b", "job.go"), strings.Replace(stoppable, "ctx context.Context", "", 1))
	writeFile(t, filepath.Join(dir, "c", "job.go"), stoppable+"\nfunc {\n")
	plan, err := Generate(t.Context(), Options{Dir: dir, Packages: []string{"./...", "./nosuch"}})
	if plan != nil {
		t.Errorf("got a plan of %q, want none", states(plan))
	}
	compareLines(t, strings.Split(strings.ReplaceAll(err.Error(), dir, "DIR"), "\n"), []string{
		"./nosuch: stat DIR/nosuch: directory not found",
		"b/job.go:7:2: Job.Stop: first parameter must be context.Context: write Stop(ctx context.Context) error",
		"c/job.go:10:6: expected 'IDENT', found '{'",
	})
}

func TestDiagnosticsAreSortedByPositionAndSaidOnce(t *testing.T) {
	leak.Check(t)
	dir := newModule(t, "example.com/p")
	writeFile(t, filepath.Join(dir, "b.go"), "package p\n\nimport \"context\"\n\n//rmi:remote\ntype B interface {\n\tZ()\n\tA(context.Context, Bad, Bad) error\n}\n")
	writeFile(t, filepath.Join(dir, "a.go"), "package p\n\ntype Bad struct{ X Undefined }\n\n//rmi:remote\ntype A struct{}\n")
	got, want := refusals(t, dir), []string{
		"a.go:3:20: undefined: Undefined",
		"a.go:6:6: A: //rmi:remote on a type that is no interface: mark the interface by which it is called",
		"b.go:7:2: B.Z: first parameter must be context.Context: write Z(ctx context.Context) error",
		"b.go:7:2: B.Z: last result must be error: write Z(ctx context.Context) error",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}
