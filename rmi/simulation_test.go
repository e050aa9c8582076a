package rmi_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/rmigo/rmigo/internal/leak"
	"github.com/rmigo/rmigo/internal/testobj"
	"github.com/rmigo/rmigo/internal/transport"
	"github.com/rmigo/rmigo/rmi"
)

var simulateFor = flag.Duration("simulate", 0, "how long to run the simulation with seeds that were not run before; the first that fails is kept in testdata")

// failedSeeds are those that have ever failed, one a line, with a word on why after it: they are run first.
const failedSeeds = "testdata/simulation-seeds"

func TestReferencesSurviveWhatTheyMustAndNothingElseDoes(t *testing.T) {
	leak.Check(t)
	began, events, seeds := time.Now(), 0, 0
	run := func(seed uint64) bool {
		seeds++
		return t.Run(fmt.Sprint("seed", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { events += simulate(t, seed, 200) })
		})
	}
	for _, seed := range keptSeeds(t) {
		run(seed)
	}
	fixed := uint64(24)
	if raceDetector || testing.Short() {
		fixed = 6
	}
	for seed := range fixed {
		run(seed)
	}
	for time.Since(began) < *simulateFor {
		if seed := rand.Uint64(); !run(seed) {
			keepSeed(t, seed)
			break
		}
	}
	t.Logf("%d seeds, %d events, %.0f a second", seeds, events, float64(events)/time.Since(began).Seconds())
}

func keptSeeds(t *testing.T) (seeds []uint64) {
	text, err := os.ReadFile(failedSeeds)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		word, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		seed, err := strconv.ParseUint(word, 10, 64)
		if err != nil {
			t.Fatalf("%s: %v", failedSeeds, err)
		}
		seeds = append(seeds, seed)
	}
	return seeds
}

// keepSeed adds a seed to those that have failed.
func keepSeed(t *testing.T, seed uint64) {
	f, err := os.OpenFile(failedSeeds, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := fmt.Fprintf(f, "%d not understood yet\n", seed); err != nil {
		t.Fatal(err)
	}
}

// simulation is a handful of processes that move references about in every way while the network and they themselves fail, all of it
// drawn from one seed; and an oracle, which knows what each process keeps and which failures there were. After each step it is
// checked what must hold at any time:
//
//	S1  an object is there while a process that cannot have been given up holds it, and its owner lists that process
//	S2  so it is while a reference is under way, as long as nobody who is to keep it alive was lost
//	S3  a reference that comes home is the object itself
//	S5  a call reaches the object whose reference was passed, and no other
//
// and in the end, when all faults have ceased:
//
//	L1  what nobody keeps is collected, and nothing is left in any table
//	L2  every stub is known to its owner, or says why its object is gone
//
// The order of goroutines within one instant is not drawn from the seed, so that a run can differ from an earlier one of the same seed.
type simulation struct {
	t       *testing.T
	rng     *rand.Rand
	memory  *transport.Memory
	started time.Time
	events  int
	pending sync.WaitGroup // operations under way

	mu      sync.Mutex
	now     int64 // counts steps and faults
	fault   int64 // the last one by which somebody who keeps an object alive for others may be lost
	trouble int64 // the last event by which an operation may fail
	places  []*place
	all     []*process
	objects map[uint64]*object
	paths   map[[2]int]*path
	stalls  []stall

	telling sync.Mutex
	trace   []string
	failed  bool
}

// place is where one process after the other listens.
type place struct {
	name     string
	endpoint string // "": it listens nowhere, and is reached while it has dialled
	lease    time.Duration
	process  *process // nil: none is there now
}

// path is what two places have between them.
type path struct {
	stalls  int
	quiet   time.Time // since when they may not have heard each other; zero: they have
	calm    time.Time // when it was last disturbed
	expired int64     // when one may last have given the other up
}

// stall is a partition that goes on.
type stall struct {
	places []string
	paths  []*path
	until  time.Time
}

// recontact is how long after a disturbance two processes hear each other again at the latest, and slack how much longer than it
// the silence before it may have lasted.
const (
	recontact = 20 * time.Second
	slack     = 25 * time.Second
)

func simulate(t *testing.T, seed uint64, steps int) (events int) {
	s := &simulation{
		t: t, rng: rand.New(rand.NewPCG(seed, 1)), memory: transport.NewMemory(), started: time.Now(),
		objects: map[uint64]*object{}, paths: map[[2]int]*path{}, now: 1,
	}
	for i := range 3 + s.rng.IntN(3) {
		s.places = append(s.places, &place{
			name: fmt.Sprint("host", i), endpoint: fmt.Sprintf("tcp://10.0.0.%d:7000", i+1),
			lease: []time.Duration{60 * time.Second, 60 * time.Second, 45 * time.Second}[s.rng.IntN(3)],
		})
		if i == 2 && seed%3 == 2 {
			s.places[i].endpoint = ""
		}
		s.start(i)
	}
	for range steps {
		s.step()
		if s.hasFailed() {
			break
		}
	}
	s.finish()
	s.telling.Lock()
	defer s.telling.Unlock()
	if s.failed {
		from := max(0, len(s.trace)-150)
		t.Logf("seed %d, the last of %d events:\n%s", seed, len(s.trace), strings.Join(s.trace[from:], "\n"))
	}
	return s.events
}

// tell notes what happens, to be printed if the simulation fails.
func (s *simulation) tell(format string, args ...any) {
	s.telling.Lock()
	defer s.telling.Unlock()
	s.trace = append(s.trace, fmt.Sprintf("%11.3fs  ", time.Since(s.started).Seconds())+fmt.Sprintf(format, args...))
}

func (s *simulation) failf(format string, args ...any) {
	s.tell("FAILED: "+format, args...)
	s.telling.Lock()
	defer s.telling.Unlock()
	s.failed = true
	s.t.Errorf(format, args...)
}

func (s *simulation) hasFailed() bool {
	s.telling.Lock()
	defer s.telling.Unlock()
	return s.failed
}

// start starts a process at a place where there is none.
func (s *simulation) start(at int) {
	where := s.places[at]
	p := &process{simulation: s, place: at, depots: map[*process]testobj.Depot{}, released: map[uint64]int64{}, lease: where.lease}
	p.depot = &depot{p}
	node, err := rmi.NewNode(rmi.Options{
		Network: s.memory.Host(where.name), Lease: where.lease, Logger: slog.New(&listening{Handler: slog.DiscardHandler, p: p}),
	})
	if err != nil {
		s.t.Fatal(err)
	}
	if where.endpoint != "" {
		if _, err := node.Listen(where.endpoint); err != nil {
			s.t.Fatal(err)
		}
	}
	p.node = node
	if p.ref, err = rmi.Export(node, testobj.RemoteDepot.Of(p.depot)); err != nil {
		s.t.Fatal(err)
	}
	p.exports = node.Stats().Exports
	s.mu.Lock()
	defer s.mu.Unlock()
	where.process = p
	s.all = append(s.all, p)
}

// listening hears from a node's log whom it gives up.
type listening struct {
	slog.Handler
	p *process
}

func (l *listening) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelWarn }

func (l *listening) Handle(_ context.Context, r slog.Record) error {
	var text strings.Builder
	peer := ""
	r.Attrs(func(a slog.Attr) bool {
		fmt.Fprintf(&text, " %v", a)
		if a.Key == "peer" {
			peer = a.Value.String()
		}
		return true
	})
	s := l.p.simulation
	s.tell("process %d: %s%s", l.p.place, r.Message, text.String())
	if r.Message != "gave up a process" || strings.Contains(text.String(), "was not reached") { // there may be no way
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, q := range s.all {
		if q.node.ID().String() == peer && !q.ended && !l.p.ended && !s.silent(l.p.place, q.place) {
			s.failf("process %d gave up process %d, from which it was not cut off for a lease", l.p.place, q.place)
		}
	}
	return nil
}

// path returns what is between two places. mu is held.
func (s *simulation) path(a, b int) *path {
	k := [2]int{min(a, b), max(a, b)}
	if s.paths[k] == nil {
		s.paths[k] = &path{}
	}
	return s.paths[k]
}

// silent reports whether two places may have given each other up by now. mu is held.
func (s *simulation) silent(a, b int) bool {
	p := s.path(a, b)
	end := p.calm
	if p.stalls > 0 {
		end = time.Now()
	}
	return !p.quiet.IsZero() && end.Sub(p.quiet) >= min(s.places[a].lease, s.places[b].lease)-slack
}

// disturb notes that two places may not hear each other for a moment. mu is held.
func (s *simulation) disturb(p *path) {
	if p.quiet.IsZero() {
		p.quiet = time.Now()
	}
	p.calm = time.Now()
	s.trouble = s.now
}

// observe draws the oracle's conclusions from the time that has passed. mu is held.
func (s *simulation) observe() {
	s.now++
	for k, p := range s.paths {
		if s.silent(k[0], k[1]) {
			p.expired, s.fault, s.trouble = s.now, s.now, s.now
		}
		switch {
		case p.quiet.IsZero():
		case p.stalls == 0 && time.Since(p.calm) >= recontact:
			p.quiet = time.Time{}
		default:
			s.trouble = s.now
		}
	}
	s.now++
}

// pass lets time pass, in which partitions end.
func (s *simulation) pass(d time.Duration) {
	for end := time.Now().Add(d); ; {
		next := end
		for _, stall := range s.stalls {
			if stall.until.Before(next) {
				next = stall.until
			}
		}
		time.Sleep(time.Until(next))
		for i := len(s.stalls) - 1; i >= 0; i-- {
			if !s.stalls[i].until.After(time.Now()) {
				s.resume(i)
			}
		}
		s.mu.Lock()
		s.observe()
		s.mu.Unlock()
		if next == end {
			return
		}
	}
}

func (s *simulation) resume(i int) {
	stall := s.stalls[i]
	s.stalls = slices.Delete(s.stalls, i, i+1)
	s.tell("%v go on", stall.places)
	s.mu.Lock()
	s.observe()
	for _, p := range stall.paths {
		p.stalls--
		s.disturb(p)
	}
	s.mu.Unlock()
	s.memory.Resume(stall.places...)
}

// alive returns the processes that run.
func (s *simulation) alive() (out []*process) {
	for _, w := range s.places {
		if w.process != nil {
			out = append(out, w.process)
		}
	}
	return out
}

// step does one thing at random.
func (s *simulation) step() {
	s.events++
	s.mu.Lock()
	s.observe()
	s.mu.Unlock()
	total := 0
	for _, k := range kinds {
		total += k.weight
	}
	n := s.rng.IntN(total)
	for _, k := range kinds {
		if n -= k.weight; n < 0 {
			k.do(s)
			break
		}
	}
	if s.rng.IntN(10) < 7 {
		synctest.Wait()
	}
	if s.rng.IntN(8) == 0 {
		runtime.GC()
	}
	s.check()
	if s.rng.IntN(8) == 0 {
		synctest.Wait()
		alive := s.alive()
		if len(alive) > 0 {
			s.callAll(alive[s.rng.IntN(len(alive))], false)
		}
	}
}

// kinds are the things that happen, and how often.
var kinds = []struct {
	weight int
	do     func(*simulation)
}{
	{8, (*simulation).make}, {14, (*simulation).take}, {8, (*simulation).swap}, {10, (*simulation).give}, {5, (*simulation).borrow},
	{12, (*simulation).handOn}, {8, (*simulation).fetch}, {16, (*simulation).drop}, {4, (*simulation).release},
	{2, (*simulation).unexport}, {3, (*simulation).weaken}, {3, (*simulation).upgrade}, {3, (*simulation).forget},
	{5, (*simulation).cut}, {6, (*simulation).partition}, {1, (*simulation).crash}, {1, (*simulation).shutdown},
	{4, (*simulation).restart}, {14, (*simulation).wait},
}

// check checks what must hold at any time, and notes which holders are known to the owners.
func (s *simulation) check() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.alive() {
		stats := p.node.Stats()
		for _, k := range p.slots {
			o := s.objects[k.number]
			if o.owner == p || p.excused(k) {
				continue
			}
			impl := o.impl.Value()
			if impl == nil {
				s.failf("S1: token %d of process %d was collected, though process %d holds it", k.number, o.owner.place, p.place)
				continue
			}
			if _, ok := o.owner.node.RefOf(impl); !ok {
				s.failf("S1: token %d of process %d is exported no longer, though process %d holds it", k.number, o.owner.place, p.place)
			}
			listed := o.lists(p)
			switch {
			case k.sure > 0 && !listed:
				s.failf("S1: process %d does not list process %d as a holder of token %d, as it did", o.owner.place, p.place, k.number)
			case k.sure == 0 && listed && stats.Queued == 0 && stats.Owed == 0 && s.path(p.place, o.owner.place).quiet.IsZero():
				k.sure = s.now
			}
		}
	}
}

// callAll calls each token that a process keeps: it is the right one, or says why it is gone. again: also those that have said so;
// what an owner has answered, it may be lost before it has ended the stub.
func (s *simulation) callAll(p *process, again bool) {
	s.mu.Lock()
	slots := slices.Clone(p.slots)
	s.mu.Unlock()
	for _, k := range slots {
		s.mu.Lock()
		o := s.objects[k.number]
		quiet := o.owner != p && !s.path(p.place, o.owner.place).quiet.IsZero()
		s.mu.Unlock()
		if k.dead && !again || quiet {
			continue
		}
		c, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		got, err := k.token.Number(c)
		cancel()
		s.mu.Lock()
		s.observe()
		k.lost = k.lost && err != nil // its owner may have connected meanwhile
		switch {
		case err == nil && got != k.number:
			s.failf("S5: process %d called token %d, and token %d answered", p.place, k.number, got)
		case err != nil && !p.excused(k):
			s.failf("process %d cannot call token %d of process %d: %v", p.place, k.number, o.owner.place, err)
		case err != nil:
			s.tell("process %d calls token %d: %v", p.place, k.number, err)
			if err := about(err); err != nil {
				s.failf("%v", err)
			}
			k.dead = errors.Is(err, rmi.ErrNoSuchObject) || errors.Is(err, rmi.ErrReleased)
			k.lost = errors.Is(err, rmi.ErrUnreachable) && s.places[o.owner.place].endpoint == ""
		}
		s.mu.Unlock()
	}
}

// finish lets all faults cease, and checks what must come of it.
func (s *simulation) finish() {
	for len(s.stalls) > 0 {
		s.resume(0)
	}
	for i, w := range s.places {
		if w.process == nil && s.rng.IntN(2) == 0 {
			s.tell("process %d is back", i)
			s.start(i)
		}
	}
	s.pending.Wait()
	for range 6 {
		s.pass(30 * time.Second)
		runtime.GC()
		s.check()
	}
	for _, p := range s.alive() {
		for q := range p.depots {
			if q.ended || s.places[q.place].endpoint == "" {
				delete(p.depots, q)
			}
		}
		s.callAll(p, true)
	}
	if !s.hasFailed() {
		s.check()
		s.settle("L1 and L2")
	}
	for _, p := range s.alive() {
		s.mu.Lock()
		p.slots, p.weak = nil, nil
		clear(p.depots)
		s.mu.Unlock()
	}
	s.tell("all is dropped")
	if !s.hasFailed() {
		s.settle("L1, when all is dropped")
	}
	for i, p := range s.alive() {
		s.mu.Lock()
		s.end(p)
		s.mu.Unlock()
		if i%2 == 0 {
			p.node.Close()
		} else {
			p.node.Shutdown(context.Background())
		}
	}
}

// settle waits until all accounts are as the oracle says; what garbage collection has to find out takes some rounds.
func (s *simulation) settle(what string) {
	var wrong []string
	for range 60 {
		runtime.GC()
		s.pass(time.Second)
		synctest.Wait()
		if wrong = s.accounts(); len(wrong) == 0 {
			return
		}
	}
	s.failf("%s:\n%s", what, strings.Join(wrong, "\n"))
}

// accounts compares what the nodes have with what they should have.
func (s *simulation) accounts() (wrong []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	held, kept := map[rmi.ID]bool{}, map[uint64]bool{}
	for _, p := range s.alive() {
		for id, known := range p.holds() {
			held[id] = held[id] || known
		}
		for _, k := range p.slots {
			if !k.dead {
				kept[k.number] = true
			}
			if o := s.objects[k.number]; !k.dead && !k.lost && o.owner != p && !o.owner.ended && !o.lists(p) {
				wrong = append(wrong, fmt.Sprintf("process %d keeps a live stub of token %d, and process %d does not know", p.place, k.number, o.owner.place))
			}
		}
	}
	for _, p := range s.alive() {
		got := p.node.Stats()
		want := got
		want.Held, want.Holding, want.Pins, want.Owed, want.Queued, want.Exports = 0, len(p.holds()), 0, 0, 0, p.exports
		for id, known := range held {
			if known && id.Process == p.node.ID() {
				want.Held++
			}
		}
		for number, o := range s.objects {
			impl := o.impl.Value()
			if o.owner != p || impl == nil {
				continue
			}
			if _, ok := p.node.RefOf(impl); ok {
				want.Exports++
			}
			if !kept[number] && (!o.pinned || o.unexported) {
				wrong = append(wrong, fmt.Sprintf("token %d of process %d is not collected", number, p.place))
			}
		}
		if got != want {
			wrong = append(wrong, fmt.Sprintf("process %d has\n%+v, want\n%+v", p.place, got, want))
		}
	}
	return wrong
}

// newToken makes an object of a process. mu is held.
func (p *process) newToken(pinned bool) *token {
	t := &token{uint64(len(p.objects) + 1), p}
	p.objects[t.number] = &object{owner: p, impl: weak.Make(t), pinned: pinned}
	p.slots = append(p.slots, &slot{number: t.number, token: t, since: p.now})
	return t
}
