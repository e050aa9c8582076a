package compat

import (
	"path/filepath"
	"testing"

	"github.com/rmigo/rmigo/internal/leak"
	"github.com/rmigo/rmigo/internal/testmod"
)

// judged returns what the comparison of the type Probe of two versions finds, where a client sends values of it: rule by subject.
func judged(t *testing.T, old, now string) map[string]Change {
	t.Helper()
	var versions [2]*Version
	for i, source := range []string{old, now} {
		dir := testmod.New(t, "example.com/m")
		testmod.WriteFile(t, filepath.Join(dir, "p.go"), "package p\n\nimport (\n\t\"context\"\n\t\"iter\"\n)\n\nvar (\n\t_ context.Context\n\t_ iter.Seq[int]\n)\n\n"+source)
		v, err := Read(t.Context(), dir, ".")
		if err != nil {
			t.Fatal(err)
		}
		versions[i] = v
	}
	c := &comparer{old: versions[0], new: versions[1], found: map[string]*Change{}, seen: map[string]bool{}}
	probe := func(v *Version) pair {
		obj := v.model.Packages[0].Types.Scope().Lookup("Probe")
		return pair{old: obj.Type(), new: obj.Type(), at: spot{obj.Pos(), obj.Pos()}, name: "p.Probe"}
	}
	p := probe(versions[1])
	p.old, p.at.old, p.item, p.toServer = probe(versions[0]).old, probe(versions[0]).at.old, true, true
	c.value(p)
	found := map[string]Change{}
	for _, change := range c.found {
		found[change.Subject] = *change
	}
	return found
}

const call = "type Probe func(ctx context.Context, in In, more ...In) (Out, error)\n"

func TestWhoGetsAFunctionSendsItsArguments(t *testing.T) {
	leak.Check(t)
	found := judged(t, call+"type In struct{ N int64 }\ntype Out struct{ N int64 }\n", call+"type In struct{ N int32 }\ntype Out struct{ N int32 }\n")
	if in, out := found["p.In.N"], found["p.Out.N"]; len(found) != 2 || in.Rule != "range" || in.Breaks != NewClients || out.Rule != "range" || out.Breaks != OldClients {
		t.Errorf("got %v; want that the argument of a function that new clients pass to old servers, which send it, breaks, and the result of one that old clients pass to new ones", found)
	}
}

func TestAFunctionOfAnotherTypeIsNotCalled(t *testing.T) {
	leak.Check(t)
	const field = "type Probe struct{ F func(context.Context, int) error }\n"
	if found := judged(t, field, "type Probe struct{ F func(context.Context, int64) error }\n"); len(found) != 1 || found["p.Probe.F"].Breaks != OldClients|NewClients {
		t.Errorf("got %v, want that both break", found)
	}
	if found := judged(t, field, "type Probe struct{ F func(ctx context.Context, n int) (err error) }\n"); len(found) != 0 {
		t.Errorf("got %v, want nothing for other names", found)
	}
	if found := judged(t, "type Probe struct{ F func(int) }\n", "type Probe struct{ F chan int }\n"); len(found) != 0 {
		t.Errorf("got %v, want nothing: of either only nil travels", found)
	}
}

func TestItemsOfAStreamGoItsWay(t *testing.T) {
	leak.Check(t)
	const items = "type Probe = iter.Seq2[Item, error]\n"
	if found := judged(t, items+"type Item struct{ N int64 }\n", items+"type Item struct{ N int32 }\n"); len(found) != 1 || found["p.Item.N"].Breaks != OldClients {
		t.Errorf("got %v, want that old clients break, who send more", found)
	}
}
