package main

import (
	"bytes"
	"flag"
	"io"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rmigo/rmigo/bench/harness"
	"github.com/rmigo/rmigo/bench/javarmi"
	"github.com/rmigo/rmigo/bench/plan"
	"github.com/rmigo/rmigo/bench/worker"
)

// TestMain makes the test a worker where the harness under test runs it as one.
func TestMain(m *testing.M) {
	if status, is := worker.Main(os.Args[1:]); is {
		os.Exit(status)
	}
	os.Exit(m.Run())
}

func TestEachWorkloadRunsWithEachPeer(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := harness.Config{
		Self: self, Workloads: small(plan.Workloads()), Peers: plan.Peers(), Rounds: 1, Few: 1, Warm: time.Millisecond,
		JavaWarm: 5 * time.Millisecond, Measure: 5 * time.Millisecond, Grown: 5 * time.Millisecond, Sessions: 64, Log: io.Discard,
	}
	java, err := javarmi.Compile(t.Context(), t.TempDir())
	switch err {
	case nil:
		c.Java = &java
	case javarmi.ErrNoJava:
		t.Log("without Java RMI:", err)
	default:
		t.Fatal(err)
	}
	results, err := harness.Run(c)
	if err != nil {
		t.Fatal(err)
	}
	for key, err := range results.Failures {
		t.Errorf("%s, %s: %v", key.Workload, key.Peer, err)
	}
	for _, w := range c.Workloads {
		for _, p := range c.Peers {
			samples := results.Samples[harness.Key{Workload: w.Name, Peer: p.Name}]
			if p.Without(w) != "" || p.Java && c.Java == nil || w.Pinned && !worker.CanPin {
				if len(samples) != 0 {
					t.Errorf("%s, %s: measured, though not planned", w.Name, p.Name)
				}
				continue
			}
			if len(samples) != 1 {
				t.Errorf("%s, %s: %d samples, want 1", w.Name, p.Name, len(samples))
				continue
			}
			checkSample(t, w, p, samples[0])
		}
	}
}

// small returns the workloads without the size that some are about.
func small(workloads []plan.Workload) []plan.Workload {
	for i := range workloads {
		workloads[i].Objects, workloads[i].Clients = min(workloads[i].Objects, 50), min(workloads[i].Clients, 10)
	}
	return workloads
}

// checkSample checks that what a workload is about was measured.
func checkSample(t *testing.T, w plan.Workload, p plan.Peer, s harness.Sample) {
	t.Helper()
	positive := func(what string, v float64) {
		if !(v > 0) || math.IsInf(v, 0) {
			t.Errorf("%s, %s: %s is %v", w.Name, p.Name, what, v)
		}
	}
	if w.Shape == plan.Holding {
		if w.Objects > 1 {
			positive("owner's memory", s.Held.Owner)
			positive("holder's memory", s.Held.Holder)
		}
		positive("owner's collection", s.Held.OwnerGC)
		positive("holder's collection", s.Held.HolderGC)
		return
	}
	if w.Rests() {
		if worker.CanPin && (math.IsNaN(s.ClientRSS) || math.IsNaN(s.ServerRSS)) { // a system that tells
			t.Errorf("%s, %s: memory is %v and %v", w.Name, p.Name, s.ClientRSS, s.ServerRSS)
		}
		return
	}
	positive("rate", s.Rate)
	positive("p50", s.P50)
	positive("p99", s.P99)
	if w.Shape == plan.Mixed {
		positive("large rate", s.Large)
	}
	if !p.Java && w.Shape != plan.Mixed && (math.IsNaN(s.ClientAllocs) || math.IsNaN(s.ServerAllocs)) {
		t.Errorf("%s, %s: allocations are %v and %v", w.Name, p.Name, s.ClientAllocs, s.ServerAllocs)
	}
}

func TestAQuickRunPrintsRatiosAndWritesResults(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made")
	var out bytes.Buffer
	err := run([]string{"-quick", "-workloads", "null-c1,clients-1,idle,holding-1000", "-grown", "0.01", "-peers", "raw,netrpc", "-rounds", "2", "-seconds", "0.01", "-warm", "0.001",
		"-sessions", "10", "-settle", "0.001", "-out", dir, "-commit", "c0ffee", "-date", "2001-02-03"}, &out, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	ratios := regexp.MustCompile(`(?m)^ratio (\S+ \S+) \d+\.\d+$`).FindAllStringSubmatch(out.String(), -1)
	if len(ratios) != 2 || ratios[0][1] != "null-c1 netrpc" || ratios[1][1] != "null-c1 raw" {
		t.Errorf("got %q, want ratios of null-c1 to netrpc and raw", out.String())
	}
	if !strings.Contains(out.String(), "\ngrowth clients-1 1.000\n") {
		t.Errorf("got %q, want the growth of clients-1", out.String())
	}
	if !regexp.MustCompile(`(?m)^held holding-1000 bytespersecond=.* ownerbytes=[1-9]\d+\.\d holderbytes=[1-9]\d+\.\d ownergcms=`).MatchString(out.String()) {
		t.Errorf("got %q, want what holding-1000 costs", out.String())
	}
	text, err := os.ReadFile(filepath.Join(dir, "RESULTS.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"- commit: c0ffee\n", "- date: 2001-02-03\n", "(results.svg)", "## Growth\n", "## References at rest\n", "| holding-1000 |", "## Targets\n"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("RESULTS.md has no %q", want)
		}
	}
	if picture, err := os.ReadFile(filepath.Join(dir, "results.svg")); err != nil || !bytes.HasPrefix(picture, []byte("<svg ")) {
		t.Errorf("results.svg: %.20q, %v", picture, err)
	}
}

func TestUnknownNamesAreRefused(t *testing.T) {
	for _, args := range [][]string{{"-workloads", "nul-c1"}, {"-peers", "corba"}, {"stray"}, {"-nonsense"}} {
		if err := run(args, io.Discard, io.Discard); err == nil || err == flag.ErrHelp {
			t.Errorf("%q: %v, want an error", args, err)
		}
	}
}

func TestWorkloadsAreChosenByName(t *testing.T) {
	for args, want := range map[string]string{
		"-workloads null-*":               "null-c1 null-c16 null-c128 null-c1-pinned",
		"-workloads null-* -pinned=false": "null-c1 null-c16 null-c128",
		"-workloads mixed,1k-c1":          "1k-c1 mixed",
		"-growth":                         "objects-1 objects-10000 objects-1000000 clients-1 clients-100 clients-2000",
		"-workloads holding-*":            "holding-1 holding-1000 holding-100000 holding-1000000",
		"-quick -growth -workloads mixed": "mixed objects-1 objects-10000 objects-1000000 clients-1 clients-100 clients-2000",
	} {
		o, err := parse(strings.Fields(args), io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		workloads, err := o.chosenWorkloads()
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, w := range workloads {
			names = append(names, w.Name)
		}
		if got := strings.Join(names, " "); got != want {
			t.Errorf("%s: got %s, want %s", args, got, want)
		}
	}
}
