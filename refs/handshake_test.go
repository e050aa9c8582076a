package refs

import (
	"testing"

	"github.com/rmigo/rmigo/internal/leak"
	"github.com/rmigo/rmigo/internal/wire"
)

func TestTheGenerationOfAnAssociationOnlyGrowsAndTellsWhetherItGoesOn(t *testing.T) {
	leak.Check(t)
	live := &generations{}
	n, err := New(Options{}, func(*Node, Host) Collector { return live })
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	id := ProcessID{1}
	p := n.usePeer(id)
	hello := func(gen uint64, token byte) wire.Welcome {
		w, _ := n.consider(p, id, wire.Hello{VersionMin: 1, VersionMax: 1, Process: id, Token: [16]byte{token}, Generation: gen})
		if w.Status != wire.StatusRefused {
			live.current = w.Generation // a connection comes of it
			p.agreed(w.Status)
		}
		return w
	}
	for _, step := range []struct {
		name   string
		gen    uint64
		token  byte
		status wire.Status
		want   uint64
	}{
		{"the first meeting", 0, 1, wire.StatusNew, 1},
		{"the next connection", 1, 1, wire.StatusResumed, 1},
		{"somebody else in its name", 1, 2, wire.StatusRefused, 0},
		{"it has forgotten us", 0, 1, wire.StatusGone, 2},
		{"it knows a later generation", 10, 1, wire.StatusGone, 11},
		{"it knows an earlier one", 3, 1, wire.StatusGone, 12},
		{"and goes on with what it was told", 12, 1, wire.StatusResumed, 12},
		{"beyond all bounds", 1 << 63, 1, wire.StatusRefused, 0},
		{"the lease has run out", 12, 1, wire.StatusGone, 13},
	} {
		if step.name == "the lease has run out" {
			live.current = 0
		}
		if w := hello(step.gen, step.token); w.Status != step.status || w.Generation != step.want {
			t.Errorf("%s: %v with generation %d, want %v with %d", step.name, w.Status, w.Generation, step.status, step.want)
		}
	}
}

// generations is a collector that knows which generation goes on.
type generations struct {
	keepAll
	current uint64
}

func (g *generations) Current(ProcessID) (uint64, uint64) { return g.current, 0 }

func TestVersionsWithoutACommonOneAreRefused(t *testing.T) {
	leak.Check(t)
	n, err := New(Options{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	id := ProcessID{1}
	for _, v := range []struct {
		min, max uint16
		want     wire.Status
	}{{1, 1, wire.StatusNew}, {1, 9, wire.StatusNew}, {2, 3, wire.StatusRefused}, {0, 0, wire.StatusRefused}} {
		w, _ := n.consider(n.usePeer(ProcessID{byte(v.min), byte(v.max)}), id,
			wire.Hello{VersionMin: v.min, VersionMax: v.max, Process: id})
		if w.Status != v.want || v.want == wire.StatusRefused && Kind(w.Refusal) != ErrVersion || v.want == wire.StatusNew && w.Version != 1 {
			t.Errorf("versions %d to %d: %v, %v, version %d; want %v", v.min, v.max, w.Status, Kind(w.Refusal), w.Version, v.want)
		}
	}
}
