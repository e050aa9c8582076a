// Package harness runs workers against each other and measures them.
//
//	results, err := harness.Run(harness.Config{Workloads: plan.Workloads(), Peers: plan.Peers(), Rounds: 5, …})
//
// Guarantees:
//
//  1. Server and client are processes of their own, new for each measurement; only Java's live through the run.
//  2. Runs are interleaved: in each round each workload meets each peer once, and the order of the peers rotates from workload to
//     workload and from round to round, so that whatever slows the machine for a while slows all of them.
//     The steps of a growth take turns at being the first of theirs.
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
	Few       int           // rounds of those workloads that take long, the first ones of all
	Warm      time.Duration // before each measurement
	JavaWarm  time.Duration // before the first one of each workload, instead
	Measure   time.Duration
	Sessions  int           // of idle; of burst, up to plan.BurstSessions
	Settle    time.Duration // sessions are left alone for so long before what they hold is measured
	Grown     time.Duration // instead of Measure, for Growth
	Budget    time.Duration // no round begins that would not end within it, judged by what it repeats of the last one; zero: no bound
	Java      *javarmi.Java // nil: Java's peers are left out
	Profiles  string        // directory for profiles of the last round's processes, which slow them down; none if empty, and none of Java's
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
	ClientRSS    float64 // bytes; of Idle and Burst, a session's share
	ServerRSS    float64
	Held         Held // of Holding
}

// Held is what references cost.
type Held struct {
	Traffic           float64 // bytes a second between the two processes, both directions
	Owner, Holder     float64 // live bytes of each reference on either side
	OwnerGC, HolderGC float64 // seconds of a garbage collection, from start to end
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
type pair struct {
	server, client *process
	addr           string // the server's
}

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
		if len(c.inTurn(round)) == 0 {
			break
		}
		start := time.Now()
		short := r.round(round)
		r.results.Rounds++
		r.results.Took = time.Since(began)
		last := time.Since(start)
		fmt.Fprintf(c.Log, "round %d of %d took %.0f s\n", round+1, c.Rounds, last.Seconds())
		if round+1 < c.Rounds && !c.fits(round+1, r.results.Took, last, short) {
			fmt.Fprintf(c.Log, "no time for more rounds within %v\n", c.Budget)
			break
		}
	}
	return r.results, nil
}

// fits reports whether a round may begin, where those before took so long, and the last of them, and that part of it which all rounds repeat. It may take
// an eighth longer than that.
func (c Config) fits(round int, took, last, short time.Duration) bool {
	if round >= c.Few {
		last = short
	}
	return c.Budget == 0 || took+last+last/8 <= c.Budget
}

// round measures each cell once, and returns how long those took that are measured in all rounds.
func (r *runner) round(round int) (short time.Duration) {
	var resting []*rest
	for i, w := range r.inTurn(round) {
		for j := range r.Peers {
			p := r.Peers[(i+j+round)%len(r.Peers)]
			switch {
			case p.Without(w) != "" || p.Java && r.Java == nil || r.results.Failures[Key{w.Name, p.Name}] != nil:
			case w.Rests():
				s, err := r.lay(w, p)
				if err != nil {
					r.note(w, p, Sample{}, err)
					continue
				}
				resting = append(resting, s)
			default:
				start := time.Now()
				s, err := r.cell(w, p)
				r.note(w, p, s, err)
				if !w.Long() {
					short += time.Since(start)
				}
			}
		}
	}
	r.wake(resting)
	return short
}

// note keeps a sample, or the error instead of any.
func (r *runner) note(w plan.Workload, p plan.Peer, s Sample, err error) {
	key := Key{w.Name, p.Name}
	if err != nil {
		fmt.Fprintf(r.Log, "%s, %s: %v\n", w.Name, p.Name, err)
		r.results.Failures[key] = err
		delete(r.results.Samples, key)
		return
	}
	r.results.Samples[key] = append(r.results.Samples[key], s)
}

// inTurn returns the workloads of a round: as they are, and then those of Growth, beginning with another one each time.
func (c Config) inTurn(round int) []plan.Workload {
	var order, steps []plan.Workload
	for _, w := range c.Workloads {
		switch {
		case w.Pinned && !worker.CanPin || w.Long() && round >= c.Few:
		case w.Shape == plan.Growth:
			steps = append(steps, w)
		default:
			order = append(order, w)
		}
	}
	for i := range steps {
		order = append(order, steps[(i+round)%len(steps)])
	}
	return order
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
	switch w.Shape {
	case plan.Growth:
		s, err = r.grown(w, p, pr)
	case plan.Holding:
		s, err = r.held(w, pr)
	default:
		s, err = r.load(w, p, pr, r.Measure)
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
	pr := pair{server, client, hello.Addr}
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

// load measures a load for so long.
func (r *runner) load(w plan.Workload, p plan.Peer, pr pair, measure time.Duration) (Sample, error) {
	warm := w.WarmUp(r.Warm)
	if p.Java && !r.warmed[w.Name] {
		warm, r.warmed[w.Name] = r.JavaWarm, true
	}
	if _, err := pr.client.ask(warm, fmt.Sprintf("open %s %d %d", w.Load(), w.Callers, warm.Milliseconds())); err != nil {
		return Sample{}, err
	}
	if err := r.profile(w, p, pr); err != nil {
		return Sample{}, err
	}
	before, err := pr.server.ask(0, "usage")
	if err != nil {
		return Sample{}, err
	}
	a, err := pr.client.ask(measure, fmt.Sprintf("run %d", measure.Milliseconds()))
	if err != nil {
		return Sample{}, err
	}
	after, err := pr.server.ask(0, "usage")
	if err != nil {
		return Sample{}, err
	}
	if err := r.profiled(p, pr); err != nil {
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

// grown measures a load when the server has got what else it is to look after, and has collected the garbage of that.
func (r *runner) grown(w plan.Workload, p plan.Peer, pr pair) (Sample, error) {
	if w.Objects > 1 {
		if _, err := pr.server.ask(0, fmt.Sprint("export ", w.Objects-1)); err != nil {
			return Sample{}, err
		}
	}
	if w.Clients > 0 {
		crowd, _, err := start(r.command(w, p, "call", pr.addr))
		if err != nil {
			return Sample{}, fmt.Errorf("idle clients: %w", err)
		}
		defer crowd.end()
		if _, err := crowd.ask(dialling(w.Clients), fmt.Sprintf("idle %s %d", pr.addr, w.Clients)); err != nil {
			return Sample{}, err
		}
	}
	if _, err := pr.server.ask(0, "trim"); err != nil {
		return Sample{}, err
	}
	return r.load(w, p, pr, r.Grown)
}

// held measures what references cost that are held and not used. What the first of them brings in is not theirs.
func (r *runner) held(w plan.Workload, pr pair) (Sample, error) {
	none := math.NaN()
	s := Sample{Rate: none, P50: none, P99: none, Large: none, CPU: none, ClientAllocs: none, ServerAllocs: none, ClientRSS: none, ServerRSS: none}
	hold := func(n int) (owner, holder worker.Collection, err error) {
		if _, err = pr.client.ask(time.Duration(n)*50*time.Microsecond, fmt.Sprint("hold ", n)); err != nil {
			return owner, holder, err
		}
		c, err := pr.client.ask(0, "collect")
		if err != nil {
			return owner, holder, err
		}
		o, err := pr.server.ask(0, "collect")
		return o.Collection, c.Collection, err
	}
	firstOwner, firstHolder, err := hold(1)
	if err != nil {
		return s, err
	}
	if _, _, err := hold(w.Objects); err != nil {
		return s, err
	}
	traffic, err := pr.client.ask(r.Settle, fmt.Sprint("traffic ", r.Settle.Milliseconds()))
	if err != nil {
		return s, err
	}
	owner, holder, err := hold(w.Objects) // what served to bring them is gone by now
	if err != nil {
		return s, err
	}
	more := float64(w.Objects - 1)
	s.Held = Held{
		Traffic: float64(traffic.Bytes) / r.Settle.Seconds(),
		Owner:   float64(owner.Live-firstOwner.Live) / more, Holder: float64(holder.Live-firstHolder.Live) / more,
		OwnerGC: owner.Took.Seconds(), HolderGC: holder.Took.Seconds(),
	}
	if w.Objects == 1 {
		s.Held.Owner, s.Held.Holder = none, none
	}
	return s, nil
}
