package harness

import (
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/rmigo/rmigo/bench/plan"
	"github.com/rmigo/rmigo/bench/worker"
)

// TestMain makes the test a worker where it is run as one.
func TestMain(m *testing.M) {
	if status, is := worker.Main(os.Args[1:]); is {
		os.Exit(status)
	}
	os.Exit(m.Run())
}

func TestAProcessThatDiesTellsWhy(t *testing.T) {
	_, _, err := start([]string{self(t), "serve", "nobody"})
	if err == nil || !strings.Contains(err.Error(), `no peer is named "nobody"`) {
		t.Errorf("got %v, want what the process said", err)
	}
}

func TestAnErrorOfAWorkerIsTheAnswersError(t *testing.T) {
	p, hello, err := start([]string{self(t), "serve", "raw"})
	if err != nil {
		t.Fatal(err)
	}
	defer p.end()
	if hello.Addr == "" {
		t.Error("the server tells no address")
	}
	if _, err := p.ask(0, "dance"); err == nil {
		t.Error("no error")
	}
	if a, err := p.ask(0, "usage"); err != nil || a.Usage.CPU < 0 {
		t.Errorf("after an error: %+v, %v", a, err)
	}
}

func TestASampleSharesOutWhatBothSidesUsed(t *testing.T) {
	load := worker.Result{
		Calls: 1000, Seconds: 2, P50: time.Millisecond, P99: 2 * time.Millisecond, Large: 10,
		Usage: worker.Usage{CPU: 3 * time.Millisecond, Allocs: 5000, RSS: 1 << 20},
	}
	before := worker.Usage{CPU: 1 * time.Millisecond, Allocs: 100, RSS: 1}
	after := worker.Usage{CPU: 8 * time.Millisecond, Allocs: 7100, RSS: 2 << 20}
	got := sample(plan.Workload{}, load, before, after)
	want := Sample{Rate: 500, P50: 1e-3, P99: 2e-3, CPU: 1e-5, ClientAllocs: 5, ServerAllocs: 7, ClientRSS: 1 << 20, ServerRSS: 2 << 20}
	if !math.IsNaN(got.Large) {
		t.Errorf("large calls: %v, want none", got.Large)
	}
	if got.Large = 0; got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	mixed := sample(plan.Workload{Shape: plan.Mixed}, load, before, after)
	if mixed.Large != 5 || !math.IsNaN(mixed.CPU) {
		t.Errorf("mixed: %v large calls a second and %v of CPU a call, want 5 and none", mixed.Large, mixed.CPU)
	}
}

func TestWhatIsNotKnownIsNaN(t *testing.T) {
	unknown := worker.Usage{Allocs: -1, RSS: -1}
	s := sample(plan.Workload{}, worker.Result{Calls: 1, Seconds: 1, Usage: unknown}, unknown, unknown)
	for _, v := range []float64{s.CPU, s.ClientAllocs, s.ServerAllocs, s.ClientRSS, s.ServerRSS} {
		if !math.IsNaN(v) {
			t.Errorf("got %+v, want NaN where nothing is known", s)
		}
	}
}

func self(t *testing.T) string {
	t.Helper()
	name, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return name
}
