// Command bench measures rmigo beside its peers: from the repository,
//
//	make bench          everything, into bench/RESULTS.md and bench/results.svg: under 20 minutes
//	make bench-quick    the main workloads, as lines: under four minutes
//
// and in this directory, for example,
//
//	go run . -workloads 'null-*,small-c16' -peers grpc,drpc -rounds 5 -seconds 1
//	go run . -growth
//	go run . -workloads null-c128 -peers grpc -profiles ../bin/profiles
//	go run . -list
//
// The program runs itself as the servers and clients that it measures; package worker says how. The system must let a process have
// some more open files than idle has sessions; a soft limit below that does not matter.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/rmigo/rmigo/bench/harness"
	"github.com/rmigo/rmigo/bench/javarmi"
	"github.com/rmigo/rmigo/bench/plan"
	"github.com/rmigo/rmigo/bench/report"
	"github.com/rmigo/rmigo/bench/worker"
)

func main() {
	if status, is := worker.Main(os.Args[1:]); is {
		os.Exit(status)
	}
	err := run(os.Args[1:], os.Stdout, os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// options are the command line.
type options struct {
	quick, pinned, list, growth bool
	workloads, peers            string
	rounds, few, sessions       int
	seconds, warm, javaWarm     float64
	settle, grown               float64
	budget                      time.Duration
	out, commit, date, profiles string
}

func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.BoolVar(&o.quick, "quick", false, "measure the main workloads, shortly")
	f.BoolVar(&o.list, "list", false, "print workloads and peers, and which are not measured together and why")
	f.StringVar(&o.workloads, "workloads", "", "measure these, separated by commas: names, or patterns such as null-*")
	f.BoolVar(&o.growth, "growth", false, "measure, besides -workloads, how a full server slows calls down")
	f.StringVar(&o.peers, "peers", "", "compare with these, separated by commas; rmigo is always there")
	f.BoolVar(&o.pinned, "pinned", true, "measure one caller also on one core, where the system lets processes be pinned")
	f.IntVar(&o.rounds, "rounds", 0, "rounds (5; 3 if quick)")
	f.IntVar(&o.few, "few", 0, "rounds of idle, burst, growth and holding, which take long (what -rounds says; 2, and 1 if quick, if it says nothing)")
	f.Float64Var(&o.seconds, "seconds", 0, "seconds of each measurement (0.5; 0.3 if quick)")
	f.Float64Var(&o.warm, "warm", 0, "seconds of warming up before each measurement (0.15; 0.1 if quick); four times as many where messages are large")
	f.Float64Var(&o.javaWarm, "javawarm", 0, "seconds of warming Java up before the first measurement of each workload (2; 0.7 if quick)")
	f.IntVar(&o.sessions, "sessions", 0, "sessions of idle (5000; 500 if quick)")
	f.Float64Var(&o.settle, "settle", 11, "seconds for which sessions are left alone before what they hold is measured, and references while their traffic is: more than two probes of their liveness")
	f.Float64Var(&o.grown, "grown", 5.5, "seconds of each measurement of growth: more than one probe of the idle clients' liveness")
	f.DurationVar(&o.budget, "budget", 0, "begin no round that would not end within it (19m; 3m30s if quick: the rest is for building)")
	f.StringVar(&o.out, "out", "", "directory for RESULTS.md and results.svg; none if empty")
	f.StringVar(&o.profiles, "profiles", "", "directory for pprof's profiles: of the processor, WORKLOAD-PEER-client.cpu and -server.cpu, and of the heaps of sessions at rest; the figures suffer")
	f.StringVar(&o.commit, "commit", "", "commit to name in the results (git's)")
	f.StringVar(&o.date, "date", "", "date to name in the results (the commit's)")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if f.NArg() > 0 {
		return o, fmt.Errorf("%q is no flag", f.Arg(0))
	}
	o.complete()
	return o, nil
}

// complete fills in what depends on whether the run is quick.
func (o *options) complete() {
	rounds, few, sessions, seconds, warm, javaWarm, budget := 5, 2, 5000, 0.5, 0.15, 2.0, 19*time.Minute
	if o.quick {
		rounds, few, sessions, seconds, warm, javaWarm, budget = 3, 1, 500, 0.3, 0.1, 0.7, 210*time.Second
	}
	setDefault(&o.few, cmp.Or(o.rounds, few))
	setDefault(&o.rounds, rounds)
	setDefault(&o.sessions, sessions)
	setDefault(&o.seconds, seconds)
	setDefault(&o.warm, warm)
	setDefault(&o.javaWarm, javaWarm)
	setDefault(&o.budget, budget)
}

func setDefault[T comparable](v *T, value T) {
	var zero T
	if *v == zero {
		*v = value
	}
}

func run(args []string, stdout, stderr io.Writer) error {
	o, err := parse(args, stderr)
	if err != nil {
		return err
	}
	workloads, err := o.chosenWorkloads()
	if err != nil {
		return err
	}
	peers, err := o.chosenPeers()
	if err != nil {
		return err
	}
	peers = slices.DeleteFunc(peers, func(p plan.Peer) bool {
		return !slices.ContainsFunc(workloads, func(w plan.Workload) bool { return p.Without(w) == "" })
	})
	if o.list {
		return list(stdout, workloads, peers)
	}
	return o.measure(workloads, peers, stdout, stderr)
}

func (o options) chosenWorkloads() ([]plan.Workload, error) {
	all := plan.Workloads()
	patterns := split(o.workloads)
	for _, pattern := range patterns {
		if !slices.ContainsFunc(all, func(w plan.Workload) bool { return matches(pattern, w.Name) }) {
			return nil, fmt.Errorf("no workload is called %q: -list prints all", pattern)
		}
	}
	return slices.DeleteFunc(all, func(w plan.Workload) bool { return !o.wants(w, patterns) }), nil
}

// wants tells whether the workload is asked for: by one of the patterns or by a flag, or because nothing is asked for.
func (o options) wants(w plan.Workload, patterns []string) bool {
	switch {
	case w.Pinned && !o.pinned:
		return false
	case o.growth && w.Shape == plan.Growth:
		return true
	case o.growth || len(patterns) > 0:
		return slices.ContainsFunc(patterns, func(p string) bool { return matches(p, w.Name) })
	}
	return w.Quick || !o.quick
}

func (o options) chosenPeers() ([]plan.Peer, error) {
	all := plan.Peers()
	names := split(o.peers)
	for _, name := range names {
		if !slices.ContainsFunc(all, func(p plan.Peer) bool { return p.Name == name }) {
			return nil, fmt.Errorf("no peer is called %q: -list prints all", name)
		}
	}
	return slices.DeleteFunc(all, func(p plan.Peer) bool {
		return len(names) > 0 && p.Name != plan.Ours && !slices.Contains(names, p.Name)
	}), nil
}

func split(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' })
}

func matches(pattern, name string) bool {
	ok, _ := path.Match(pattern, name)
	return ok
}

func list(w io.Writer, workloads []plan.Workload, peers []plan.Peer) error {
	for _, p := range peers {
		fmt.Fprintf(w, "peer %s: %s; %s\n", p.Name, p.Title, p.About)
	}
	for _, load := range workloads {
		fmt.Fprintf(w, "workload %s: %s\n", load.Name, plan.About(load))
		for _, p := range peers {
			if why := p.Without(load); why != "" && !load.Alone() {
				fmt.Fprintf(w, "\tnot %s, which %s\n", p.Name, why)
			}
		}
	}
	return nil
}

func (o options) measure(workloads []plan.Workload, peers []plan.Peer, stdout, stderr io.Writer) error {
	for _, dir := range []string{o.out, o.profiles} { // rather now than after all is measured
		if err := os.MkdirAll(cmp.Or(dir, "."), 0o755); err != nil {
			return err
		}
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	seconds := func(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
	c := harness.Config{
		Self: self, Workloads: workloads, Peers: peers, Rounds: o.rounds, Few: o.few, Warm: seconds(o.warm), JavaWarm: seconds(o.javaWarm),
		Measure: seconds(o.seconds), Sessions: o.sessions, Settle: seconds(o.settle), Grown: seconds(o.grown), Budget: o.budget, Profiles: o.profiles, Log: stderr,
	}
	r := report.Report{
		Machine: report.ThisMachine(), Workloads: workloads, Peers: peers, Measure: c.Measure, Warm: c.Warm, Sessions: o.sessions, Settle: c.Settle, Grown: c.Grown, Few: c.Few, Chart: chart,
	}
	if slices.ContainsFunc(peers, func(p plan.Peer) bool { return p.Java }) {
		classes, err := os.MkdirTemp("", "javarmi")
		if err != nil {
			return err
		}
		defer os.RemoveAll(classes)
		java, err := javarmi.Compile(context.Background(), classes)
		switch {
		case errors.Is(err, javarmi.ErrNoJava):
			r.NoJava = "left out: " + err.Error()
			fmt.Fprintln(stderr, "Java RMI is", r.NoJava)
		case err != nil:
			return err
		default:
			c.Java = &java
		}
	}
	if !worker.CanPin {
		fmt.Fprintln(stderr, "pinned workloads are left out: this system pins no processes")
	}
	if r.Results, err = harness.Run(c); err != nil {
		return err
	}
	commit, date := report.Commit(".")
	r.Commit, r.Date = cmp.Or(o.commit, commit), cmp.Or(o.date, date)
	if err := r.WriteLines(stdout); err != nil {
		return err
	}
	if err := o.write(r); err != nil {
		return err
	}
	if n := len(r.Results.Failures); n > 0 {
		return fmt.Errorf("%d cells failed", n)
	}
	return nil
}

const chart = "results.svg"

func (o options) write(r report.Report) error {
	if o.out == "" {
		return nil
	}
	return errors.Join(
		writeFile(filepath.Join(o.out, "RESULTS.md"), r.WriteMarkdown),
		writeFile(filepath.Join(o.out, chart), r.WriteChart))
}

func writeFile(name string, write func(io.Writer) error) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	return errors.Join(write(f), f.Close())
}
