// Package harness runs workers against each other and measures them.
//
//	results, err := harness.Run(harness.Config{Workloads: plan.Workloads(), Peers: plan.Peers(), Rounds: 5, …})
//
// Guarantees:
//
//  1. Server and client are processes of their own, new for each measurement; only Java's live through the run.
//  2. Runs are interleaved: in each round each workload meets each peer once, and the order of the peers rotates from workload to
//     workload and from round to round, so that whatever slows the machine for a while slows all of them.
//  3. What both sides used is read while they are quiet, just before and just after the measured time.
//  4. All processes have ended when Run returns.
package harness

import (
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"github.com/rmigo/rmigo/bench/javarmi"
	"github.com/rmigo/rmigo/bench/plan"
	"github.com/rmigo/rmigo/bench/worker"
)

// Config says what to run.
type Config struct {
	Self      string // the program that is a worker when told so by its arguments
	Workloads []plan.Workload
	Peers     []plan.Peer
	Rounds    int
	Warm      time.Duration // before each measurement
	JavaWarm  time.Duration // before the first one of each workload, instead
	Measure   time.Duration
	Sessions  int           // of idle
	Settle    time.Duration // idle sessions are left alone for so long before they are measured
	Budget    time.Duration // no round begins that would not end within it, judged by the last one; zero: no bound
	Java      *javarmi.Java // nil: Java's peers are left out
	Log       io.Writer     // what is being done, for people who wait
}

// Sample is one measurement. What was not or cannot be measured is NaN.
type Sample struct {
	Rate         float64 // calls a second
	P50, P99     float64 // seconds
	Large        float64 // the large calls of Mixed, a second
	CPU          float64 // seconds a call, client and server together
	ClientAllocs float64 // objects a call
	ServerAllocs float64
	ClientRSS    float64 // bytes; of Idle, a session's share
	ServerRSS    float64
}

// Key names a cell of the results.
type Key struct{ Workload, Peer string }

// Results are the samples of all rounds; Samples[k][i] is of round i.
type Results struct {
	Rounds   int
	Took     time.Duration
	Samples  map[Key][]Sample
	Failures map[Key]error // cells that failed have no samples
}

// runner is a run under way. For one goroutine.
type runner struct {
	Config
	results Results
	java    map[bool]pair // by whether pinned
	warmed  map[string]bool
	core    int
}

// pair is a server and its client.
type pair struct{ server, client *process }

// Run measures. It returns an error if it could not begin; what fails later is in the results.
func Run(c Config) (Results, error) {
	r := &runner{Config: c, java: map[bool]pair{}, warmed: map[string]bool{}}
	r.results = Results{Samples: map[Key][]Sample{}, Failures: map[Key]error{}}
	defer func() {
		for _, p := range r.java {
			p.end()
		}
	}()
	core, found := worker.FirstCore()
	if !found && worker.CanPin {
		return Results{}, errors.New("harness: no core to pin to")
	}
	r.core = core
	began := time.Now()
	for round := range c.Rounds {
		start := time.Now()
		r.round(round)
		r.results.Rounds++
		r.results.Took = time.Since(began)
		last := time.Since(start)
		fmt.Fprintf(c.Log, "round %d of %d took %.0f s\n", round+1, c.Rounds, last.Seconds())
		if c.Budget > 0 && round+1 < c.Rounds && r.results.Took+last > c.Budget {
			fmt.Fprintf(c.Log, "no time for more rounds within %v\n", c.Budget)
			break
		}
	}
	return r.results, nil
}

func (r *runner) round(round int) {
	for i, w := range r.Workloads {
		if w.Pinned && !worker.CanPin {
			continue
		}
		for j := range r.Peers {
			p := r.Peers[(i+j+round)%len(r.Peers)]
			key := Key{w.Name, p.Name}
			if p.Without(w) != "" || p.Java && r.Java == nil || r.results.Failures[key] != nil {
				continue
			}
			s, err := r.cell(w, p)
			if err != nil {
				fmt.Fprintf(r.Log, "%s, %s: %v\n", w.Name, p.Name, err)
				r.results.Failures[key] = err
				delete(r.results.Samples, key)
				continue
			}
			r.results.Samples[key] = append(r.results.Samples[key], s)
		}
	}
}

// cell measures a peer with a workload once.
func (r *runner) cell(w plan.Workload, p plan.Peer) (Sample, error) {
	pr, err := r.pair(w, p)
	if err != nil {
		return Sample{}, err
	}
	if !p.Java {
		defer pr.end()
	}
	var s Sample
	if w.Shape == plan.Idle {
		s, err = r.idle(pr)
	} else {
		s, err = r.load(w, p, pr)
	}
	if err != nil && p.Java { // it may be in any state
		pr.end()
		delete(r.java, w.Pinned)
	}
	return s, err
}

// pair returns the processes for a cell: Java's, or new ones.
func (r *runner) pair(w plan.Workload, p plan.Peer) (pair, error) {
	if pr, running := r.java[w.Pinned]; running && p.Java {
		return pr, nil
	}
	server, hello, err := start(r.command(w, p, "serve"))
	if err != nil {
		return pair{}, fmt.Errorf("server: %w", err)
	}
	client, _, err := start(r.command(w, p, "call", hello.Addr))
	if err != nil {
		server.end()
		return pair{}, fmt.Errorf("client: %w", err)
	}
	pr := pair{server, client}
	if p.Java {
		r.java[w.Pinned] = pr
	}
	return pr, nil
}

func (p pair) end() {
	p.client.end()
	p.server.end()
}

// command is the command line of a worker.
func (r *runner) command(w plan.Workload, p plan.Peer, role string, addr ...string) []string {
	var command []string
	if w.Pinned {
		command = []string{r.Self, "pinned", fmt.Sprint(r.core)}
	}
	if p.Java {
		return append(command, r.Java.Command(append([]string{role}, addr...)...)...)
	}
	return append(append(command, r.Self, role, p.Name), addr...)
}

func (r *runner) load(w plan.Workload, p plan.Peer, pr pair) (Sample, error) {
	warm := r.Warm
	if p.Java && !r.warmed[w.Name] {
		warm, r.warmed[w.Name] = r.JavaWarm, true
	}
	if _, err := pr.client.ask(warm, fmt.Sprintf("open %s %d %d", w.Load(), w.Callers, warm.Milliseconds())); err != nil {
		return Sample{}, err
	}
	before, err := pr.server.ask(0, "usage")
	if err != nil {
		return Sample{}, err
	}
	a, err := pr.client.ask(r.Measure, fmt.Sprintf("run %d", r.Measure.Milliseconds()))
	if err != nil {
		return Sample{}, err
	}
	after, err := pr.server.ask(0, "usage")
	if err != nil {
		return Sample{}, err
	}
	if _, err := pr.client.ask(0, "close"); err != nil {
		return Sample{}, err
	}
	if a.Calls == 0 || a.Seconds <= 0 {
		return Sample{}, fmt.Errorf("%d calls in %v s", a.Calls, a.Seconds)
	}
	return sample(w, a.Result, before.Usage, after.Usage), nil
}

// sample works out what is told of a load. Of the mixed one, what a call costs cannot be told apart.
func sample(w plan.Workload, r worker.Result, before, after worker.Usage) Sample {
	calls := float64(r.Calls)
	s := Sample{
		Rate: calls / r.Seconds, P50: r.P50.Seconds(), P99: r.P99.Seconds(), Large: math.NaN(),
		CPU:          (r.Usage.CPU + after.CPU - before.CPU).Seconds() / calls,
		ClientAllocs: known(r.Usage.Allocs) / calls,
		ServerAllocs: (known(after.Allocs) - known(before.Allocs)) / calls,
		ClientRSS:    known(r.Usage.RSS),
		ServerRSS:    known(after.RSS),
	}
	if s.CPU == 0 {
		s.CPU = math.NaN()
	}
	if w.Shape == plan.Mixed {
		s.Large = float64(r.Large) / r.Seconds
		s.CPU, s.ClientAllocs, s.ServerAllocs = math.NaN(), math.NaN(), math.NaN()
	}
	return s
}

// known turns -1, which is not known, into NaN.
func known(n int64) float64 {
	if n < 0 {
		return math.NaN()
	}
	return float64(n)
}

func (r *runner) idle(pr pair) (Sample, error) {
	memory := func() (client, server float64, err error) {
		c, err := pr.client.ask(0, "trim")
		if err != nil {
			return 0, 0, err
		}
		s, err := pr.server.ask(0, "trim")
		return known(c.Usage.RSS), known(s.Usage.RSS), err
	}
	// One session first: what the first one brings in is not the sessions' own.
	if _, err := pr.client.ask(0, "idle 1"); err != nil {
		return Sample{}, err
	}
	client, server, err := memory()
	if err != nil {
		return Sample{}, err
	}
	if _, err := pr.client.ask(time.Duration(r.Sessions)*10*time.Millisecond, fmt.Sprint("idle ", r.Sessions)); err != nil {
		return Sample{}, err
	}
	time.Sleep(r.Settle)
	clientNow, serverNow, err := memory()
	if err != nil {
		return Sample{}, err
	}
	none := math.NaN()
	return Sample{
		Rate: none, P50: none, P99: none, Large: none, CPU: none, ClientAllocs: none, ServerAllocs: none,
		ClientRSS: (clientNow - client) / float64(r.Sessions),
		ServerRSS: (serverNow - server) / float64(r.Sessions),
	}, nil
}
