package harness

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rmigo/rmigo/bench/peer"
	"github.com/rmigo/rmigo/bench/plan"
)

func TestTheStepsOfAGrowthTakeTurns(t *testing.T) {
	c := Config{Few: 2, Workloads: []plan.Workload{
		{Name: "a", Shape: plan.Growth}, {Name: "calls"}, {Name: "b", Shape: plan.Growth}, {Name: "idle", Shape: plan.Idle}, {Name: "c", Shape: plan.Growth},
	}}
	for round, want := range []string{"calls idle a b c", "calls idle b c a", "calls"} {
		var names []string
		for _, w := range c.inTurn(round) {
			names = append(names, w.Name)
		}
		if got := strings.Join(names, " "); got != want {
			t.Errorf("round %d: %s, want %s", round, got, want)
		}
	}
}

func TestARoundBeginsOnlyIfWhatItRepeatsFits(t *testing.T) {
	const last, short = 8 * time.Minute, 4 * time.Minute
	for _, test := range []struct {
		round        int
		took, budget time.Duration
		fits         bool
	}{
		{1, last, 17 * time.Minute, true}, // 8, and 9 for all of it
		{1, last, 17*time.Minute - 1, false},
		{2, 2 * last, 20*time.Minute + 30e9, true}, // 16, and 4.5 for what has more than two rounds
		{2, 2 * last, 20 * time.Minute, false},
		{9, 9 * last, 0, true}, // no bound
	} {
		if got := (Config{Few: 2, Budget: test.budget}).fits(test.round, test.took, last, short); got != test.fits {
			t.Errorf("round %d after %v, within %v: %v, want %v", test.round, test.took, test.budget, got, test.fits)
		}
	}
}

func TestRoundsWithNothingToMeasureDoNotCount(t *testing.T) {
	results, err := Run(Config{
		Self: self(t), Workloads: []plan.Workload{{Name: "idle", Shape: plan.Idle}}, Peers: []plan.Peer{{Name: "raw"}},
		Rounds: 5, Few: 2, Sessions: 3, Log: io.Discard,
	})
	if err != nil {
		t.Fatal(err)
	}
	if n := len(results.Samples[Key{"idle", "raw"}]); results.Rounds != 2 || n != 2 {
		t.Errorf("%d rounds with %d samples, want 2 and 2", results.Rounds, n)
	}
}

func TestAServerIsGrownBeforeItIsMeasured(t *testing.T) {
	ours := plan.Peers()[0]
	grow := func(objects, clients int) plan.Workload {
		return plan.Workload{Name: "grown", Shape: plan.Growth, Op: peer.Null, Callers: 2, Objects: objects, Clients: clients}
	}
	for _, w := range []plan.Workload{grow(1, 0), grow(100, 0), grow(1, 10)} {
		results, err := Run(Config{
			Self: self(t), Workloads: []plan.Workload{w}, Peers: []plan.Peer{ours}, Rounds: 1, Few: 1, Grown: time.Millisecond, Log: io.Discard,
		})
		if err != nil {
			t.Fatal(err)
		}
		if got := results.Samples[Key{w.Name, ours.Name}]; len(got) != 1 || !(got[0].Rate > 0) {
			t.Errorf("%d objects and %d clients: %+v, %v", w.Objects, w.Clients, got, results.Failures)
		}
	}
}

func TestAPeerWithoutObjectsCannotGrow(t *testing.T) {
	w := plan.Workload{Name: "grown", Shape: plan.Growth, Op: peer.Null, Callers: 1, Objects: 2}
	server, hello, err := start([]string{self(t), "serve", "raw"})
	if err != nil {
		t.Fatal(err)
	}
	defer server.end()
	r := &runner{Config: Config{Self: self(t)}}
	if _, err := r.grown(w, plan.Peer{Name: "raw"}, pair{server: server, addr: hello.Addr}); err == nil || !strings.Contains(err.Error(), peer.ErrNone.Error()) {
		t.Errorf("got %v, want %v", err, peer.ErrNone)
	}
}

func TestSessionsRestBesideOthersThatFailed(t *testing.T) {
	results, err := Run(Config{
		Self: self(t), Workloads: []plan.Workload{{Name: "idle", Shape: plan.Idle}}, Rounds: 1, Few: 1, Sessions: 3, Log: io.Discard,
		Peers: []plan.Peer{{Name: "nobody"}, {Name: "raw"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, fails := range map[string]bool{"nobody": true, "raw": false} {
		key := Key{"idle", name}
		if got := results.Failures[key] != nil; got != fails || len(results.Samples[key]) == 0 != fails {
			t.Errorf("%s: samples %v, error %v", name, results.Samples[key], results.Failures[key])
		}
	}
}

func TestSessionsThatCannotBeLaidAreAnError(t *testing.T) {
	r := &runner{Config: Config{Self: self(t), Sessions: 2}}
	_, err := r.lay(plan.Workload{Name: "burst", Shape: plan.Burst}, plan.Peer{Name: "rawpipe"}) // which has no callers
	if err == nil || !strings.Contains(err.Error(), peer.ErrNone.Error()) {
		t.Errorf("got %v, want %v", err, peer.ErrNone)
	}
}

func TestSessionsOfNodesAreSharedOut(t *testing.T) {
	r := &runner{Config: Config{Self: self(t), Sessions: 2*plan.RestServers + 1}}
	for _, c := range []struct {
		p        plan.Peer
		servers  int
		sessions int
	}{
		{plan.Peer{Name: "raw"}, 1, r.Sessions},
		{plan.Peer{Name: "raw", Nodes: true}, plan.RestServers, 3 * plan.RestServers},
	} {
		s, err := r.lay(plan.Workload{Name: "idle", Shape: plan.Idle}, c.p)
		if err != nil {
			t.Fatal(err)
		}
		s.pr.end()
		if len(s.addrs) != c.servers || s.n != c.sessions {
			t.Errorf("%+v: %d sessions with %d servers, want %d with %d", c.p, s.n, len(s.addrs), c.sessions, c.servers)
		}
	}
}

func TestProfilesAreWritten(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "with space")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	results, err := Run(Config{
		Self: self(t), Peers: []plan.Peer{{Name: "raw"}}, Rounds: 2, Few: 1, Measure: time.Millisecond, Sessions: 3, Profiles: dir, Log: io.Discard,
		Workloads: []plan.Workload{{Name: "null-c1", Op: peer.Null, Callers: 1}, {Name: "idle", Shape: plan.Idle}},
	})
	if err != nil || len(results.Failures) != 0 {
		t.Fatalf("%v, %v", err, results.Failures)
	}
	for _, name := range []string{"null-c1-raw-client.cpu", "null-c1-raw-server.cpu", "idle-raw-client.heap", "idle-raw-server.heap"} {
		if f, err := os.Stat(filepath.Join(dir, name)); err != nil || f.Size() == 0 {
			t.Errorf("%s: %v, want a profile", name, err)
		}
	}
}
