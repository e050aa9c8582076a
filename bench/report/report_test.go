package report

import (
	"bytes"
	"errors"
	"flag"
	"io"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rmigo/rmigo/bench/harness"
	"github.com/rmigo/rmigo/bench/peer"
	"github.com/rmigo/rmigo/bench/plan"
)

var update = flag.Bool("update", false, "write the golden files")

// example is a report on fixed numbers, of some workloads and three peers; one cell failed.
func example() Report {
	none := math.NaN()
	sample := func(rate float64) harness.Sample {
		return harness.Sample{
			Rate: rate, P50: 1 / rate, P99: 3.5 / rate, Large: none, CPU: 1.5 / rate, ClientAllocs: 2.04, ServerAllocs: 17.5,
			ClientRSS: 18 << 20, ServerRSS: 123 << 20,
		}
	}
	memory := func(client, server float64) harness.Sample {
		return harness.Sample{
			Rate: none, P50: none, P99: none, Large: none, CPU: none, ClientAllocs: none, ServerAllocs: none,
			ClientRSS: client, ServerRSS: server,
		}
	}
	mixed := sample(900)
	mixed.Large, mixed.CPU, mixed.ClientAllocs, mixed.ServerAllocs = 321, none, none, none
	all := plan.Peers()
	return Report{
		Machine: Machine{CPU: "Example 3000", Cores: 2, System: "linux/amd64 1.2.3", Congestion: "cubic", Go: "go1.26"},
		Commit:  "c0ffee", Date: "2001-02-03",
		Workloads: []plan.Workload{
			{Name: "null-c1", Op: peer.Null, Callers: 1}, {Name: "null-c128", Op: peer.Null, Callers: 128},
			{Name: "callback-c1", Op: peer.Callback, Callers: 1},
			{Name: "mixed", Shape: plan.Mixed, Callers: 4}, {Name: "idle", Shape: plan.Idle},
			{Name: "burst", Shape: plan.Burst}, {Name: "objects-1", Shape: plan.Growth, Objects: 1},
			{Name: "objects-10000", Shape: plan.Growth, Objects: 10_000}, {Name: "clients-1", Shape: plan.Growth, Objects: 1, Clients: 1},
		},
		Peers: []plan.Peer{all[0], all[1], all[5]},
		Results: harness.Results{
			Rounds: 3, Took: 4 * time.Minute,
			Samples: map[harness.Key][]harness.Sample{
				{Workload: "null-c1", Peer: "rmigo"}:       {sample(11_000), sample(10_000), sample(12_500)},
				{Workload: "null-c1", Peer: "grpc"}:        {sample(5_500), sample(4_000), sample(5_000)},
				{Workload: "null-c1", Peer: "raw"}:         {sample(22_000), sample(20_000), sample(25_000)},
				{Workload: "null-c128", Peer: "rmigo"}:     {sample(1_250_000), sample(999_400), sample(1_300_000)},
				{Workload: "null-c128", Peer: "raw"}:       {sample(70_000), sample(69_000), sample(71_000)},
				{Workload: "mixed", Peer: "rmigo"}:         {mixed},
				{Workload: "idle", Peer: "rmigo"}:          {memory(22<<10, 30<<10), memory(24<<10, 31<<10)},
				{Workload: "burst", Peer: "rmigo"}:         {memory(50<<10, 60<<10), memory(52<<10, 64<<10)},
				{Workload: "objects-1", Peer: "rmigo"}:     {sample(1_000_000), sample(500_000)},
				{Workload: "objects-10000", Peer: "rmigo"}: {sample(900_000), sample(400_000)},
				{Workload: "clients-1", Peer: "rmigo"}:     {sample(300_000), sample(310_000)},
			},
			Failures: map[harness.Key]error{{Workload: "null-c128", Peer: "grpc"}: errors.New("run 300: calls hang\nand more")},
		},
		Measure: 700 * time.Millisecond, Warm: 150 * time.Millisecond, Sessions: 5000, Settle: 11 * time.Second, Grown: 5500 * time.Millisecond, Few: 2, NoJava: "left out: no java", Chart: "results.svg",
	}
}

func TestMarkdownIsAsItWas(t *testing.T) { golden(t, "RESULTS.md", example().WriteMarkdown) }

func TestChartIsAsItWas(t *testing.T) { golden(t, "results.svg", example().WriteChart) }

func TestLinesAreAsTheyWere(t *testing.T) { golden(t, "lines.txt", example().WriteLines) }

func TestRatiosAreOfTheSameRound(t *testing.T) {
	r := example()
	got, ok := r.Ratio(r.Workloads[0], r.Peers[1])
	if want := (Stat{Median: 2.5, Min: 2, Max: 2.5}); !ok || got != want {
		t.Errorf("got %+v, %v; want %+v", got, ok, want)
	}
	if got, ok := r.Ratio(r.Workloads[4], r.Peers[0]); ok {
		t.Errorf("a workload without rates has the ratio %+v", got)
	}
}

func TestGrowthIsDividedByItsFirstStep(t *testing.T) {
	r := example()
	for _, c := range []struct {
		workload string
		want     Stat
		is       bool
	}{
		{"objects-1", Stat{1, 1, 1}, true},
		{"objects-10000", Stat{Median: 0.85, Min: 0.8, Max: 0.9}, true},
		{"clients-1", Stat{1, 1, 1}, true},
		{"null-c1", Stat{}, false},
	} {
		w, _ := r.workload(c.workload)
		if got, is := r.Growth(w); is != c.is || math.Abs(got.Median-c.want.Median) > 1e-9 || got.Min != c.want.Min || got.Max != c.want.Max {
			t.Errorf("%s: got %+v, %v; want %+v, %v", c.workload, got, is, c.want, c.is)
		}
	}
}

func TestVerdictsAreOfTheNumbersAsTheyAreWritten(t *testing.T) {
	ratio := plan.Target{Figure: plan.Ratio, Hold: 1.7, Aim: 2.3}
	aimOnly := plan.Target{Figure: plan.Ratio, Aim: 14}
	holdOnly := plan.Target{Figure: plan.Growing, Hold: 0.8}
	allocs := plan.Target{Figure: plan.ClientAllocs, Hold: 3, Aim: 2}
	mostTime := plan.Target{Figure: plan.P50, Hold: 400e-6, Aim: 200e-6}
	for _, c := range []struct {
		target plan.Target
		median float64
		want   string
	}{
		{ratio, 1.694, "**missed**"}, {ratio, 1.696, "held"}, {ratio, 2.29, "held"}, {ratio, 2.3, "aim reached"}, {ratio, 9, "aim reached"},
		{aimOnly, 13.9, "short of the aim"}, {aimOnly, 14, "aim reached"},
		{holdOnly, 0.79, "**missed**"}, {holdOnly, 1.2, "held"},
		{allocs, 3.06, "**missed**"}, {allocs, 3.04, "held"}, {allocs, 2.04, "aim reached"}, {allocs, 0, "aim reached"},
		{mostTime, 401e-6, "**missed**"}, {mostTime, 400.4e-6, "held"}, {mostTime, 199e-6, "aim reached"},
	} {
		if got := verdict(c.target, c.median); got != c.want {
			t.Errorf("%v of %+v: %s, want %s", c.median, c.target, got, c.want)
		}
	}
}

func TestTargetsAreOfWhatTheRunWasToMeasure(t *testing.T) {
	all := Report{Workloads: plan.Workloads(), Peers: plan.Peers()}
	if got, want := len(all.targets()), len(plan.Targets()); got != want {
		t.Errorf("a run of everything has %d targets of %d", got, want)
	}
	r := Report{Workloads: []plan.Workload{{Name: "null-c16"}}, Peers: plan.Peers()[:2]}
	got := r.targets()
	if len(got) != 1 || got[0].Workload != "null-c16" || got[0].Peer != "grpc" {
		t.Errorf("a run of null-c16 and grpc has the targets %+v", got)
	}
}

func TestEachFigureOfATargetIsKnown(t *testing.T) {
	for _, target := range plan.Targets() {
		f, known := figures[target.Figure]
		if !known || f.unit == 0 || (f.of == nil) != target.Figure.More() {
			t.Errorf("%+v: the report has no such figure", target)
		}
	}
}

func TestMedianOfAnEvenNumberIsInTheMiddle(t *testing.T) {
	got, ok := stat([]float64{4, math.NaN(), 1, 2, 9})
	if want := (Stat{Median: 3, Min: 1, Max: 9}); !ok || got != want {
		t.Errorf("got %+v, %v; want %+v", got, ok, want)
	}
	if _, ok := stat([]float64{math.NaN()}); ok {
		t.Error("there are statistics of nothing")
	}
}

func TestNumbersHaveThreeDigits(t *testing.T) {
	for v, want := range map[float64]string{
		0: "0.00", 0.456: "0.46", 9.994: "9.99", 9.996: "10.0", 99.96: "100", 456.4: "456", 999.6: "1.00k", 8_449: "8.45k",
		618_300: "618k", 999_600: "1.00M", 1_516_000: "1.52M",
	} {
		if got := count(v); got != want {
			t.Errorf("%v: got %s, want %s", v, got, want)
		}
	}
}

func golden(t *testing.T, name string, write func(io.Writer) error) {
	t.Helper()
	var got bytes.Buffer
	if err := write(&got); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), want) {
		t.Errorf("got\n%s\nwant\n%s\n(-update writes it)", got.Bytes(), want)
	}
}
