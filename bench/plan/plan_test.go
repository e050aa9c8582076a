package plan

import (
	"testing"

	"github.com/rmigo/rmigo/bench/peer"
)

func TestWorkloadsAndPeersHaveNamesOfTheirOwn(t *testing.T) {
	seen := map[string]bool{}
	for _, w := range Workloads() {
		if seen[w.Name] || w.Name == "" {
			t.Errorf("the name %q is taken", w.Name)
		}
		seen[w.Name] = true
		if About(w) == "" {
			t.Errorf("%s: nothing is said about it", w.Name)
		}
	}
	for _, name := range []string{"null-c1", "null-c128", "small-c16", "64k-c16", "1m-c1", "null-c1-pinned", "mixed", "idle"} {
		if !seen[name] {
			t.Errorf("there is no %s", name)
		}
	}
	for _, p := range Peers() {
		if seen[p.Name] {
			t.Errorf("the name %q is taken", p.Name)
		}
		seen[p.Name] = true
	}
}

func TestOursMeetsEveryWorkload(t *testing.T) {
	ours := Peers()[0]
	if ours.Name != Ours {
		t.Fatalf("the first peer is %s, want %s", ours.Name, Ours)
	}
	for _, w := range Workloads() {
		if why := ours.Without(w); why != "" {
			t.Errorf("%s: %s", w.Name, why)
		}
	}
}

func TestAGrowthBeginsWithOne(t *testing.T) {
	first := map[string]Workload{}
	for _, w := range Workloads() {
		if w.Shape != Growth {
			continue
		}
		f, begun := first[w.Kind()]
		switch {
		case !begun && (w.Objects != 1 || w.Clients > 1):
			t.Errorf("%s begins with %d objects and %d clients, want 1", w.Kind(), w.Objects, w.Clients)
		case !begun:
			first[w.Kind()] = w
		case w.Objects == f.Objects && w.Clients == f.Clients:
			t.Errorf("%s is %s again", w.Name, f.Name)
		case w.Op != f.Op || w.Callers != f.Callers:
			t.Errorf("%s differs from %s in what is called", w.Name, f.Name)
		}
	}
	if len(first) != 2 {
		t.Errorf("there are the growths %v, want objects and clients", first)
	}
}

func TestOursAloneIsAskedHowItGrows(t *testing.T) {
	for _, w := range Workloads() {
		for _, p := range Peers() {
			if w.Alone() && (p.Without(w) == "") != (p.Name == Ours) {
				t.Errorf("%s and %s: %q", w.Name, p.Name, p.Without(w))
			}
		}
	}
}

func TestTargetsAreAboutWhatIsMeasured(t *testing.T) {
	workloads, peers := map[string]Workload{}, map[string]Peer{}
	for _, w := range Workloads() {
		workloads[w.Name] = w
	}
	for _, p := range Peers() {
		peers[p.Name] = p
	}
	for _, target := range Targets() {
		w, known := workloads[target.Workload]
		if !known {
			t.Errorf("%+v: there is no such workload", target)
		}
		p, known := peers[target.Peer]
		if known != (target.Figure == Ratio) || known && p.Without(w) != "" {
			t.Errorf("%+v: the peer is not measured", target)
		}
		if target.Hold == 0 && target.Aim == 0 {
			t.Errorf("%+v: neither hold nor aim", target)
		}
		if target.Hold != 0 && target.Aim != 0 && (target.Aim > target.Hold) != target.Figure.More() {
			t.Errorf("%+v: the aim is not beyond the hold", target)
		}
	}
}

func TestEachPeerOfGoCanBeMade(t *testing.T) {
	for _, p := range Peers() {
		if _, ok := peer.Named(p.Name); ok == p.Java {
			t.Errorf("%s: is among Go's: %v, is Java's: %v", p.Name, ok, p.Java)
		}
	}
}

func TestAReasonIsGivenForWhatAPeerCannotDo(t *testing.T) {
	refs := Workload{Name: "refs-c1", Op: peer.Refs, Callers: 1}
	for _, p := range Peers() {
		can := p.Name == Ours || p.Java
		if why := p.Without(refs); (why == "") != can {
			t.Errorf("%s and refs: reason %q, but whether it can is %v", p.Name, why, can)
		}
	}
}
