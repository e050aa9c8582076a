package rmi_test

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"maps"
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

	"github.com/rmigo/rmigo/internal/leak"
	"github.com/rmigo/rmigo/internal/testobj"
	"github.com/rmigo/rmigo/internal/transport"
	"github.com/rmigo/rmigo/rmi"
)

// The simulation: nodes that pass each other references at random, over a network that is cut and stalls, while processes die and
// others take their places. Whoever holds a cell must be able to call it, and it must be the right one; what nobody holds must be gone
// in the end, with all that was kept for its sake. Time is virtual, chance is a seed. Seeds that have failed are in
// testdata/simulation-seeds.txt and run first.

var simulate = flag.Duration("simulate", 0, "run fresh seeds of the simulation for so long, instead of the fixed ones")

func TestWhatIsHeldLivesAndWhatIsNotGoes(t *testing.T) {
	leak.Check(t)
	seeds := failedSeeds(t)
	fixed := uint64(25)
	if raceDetector {
		fixed = 4
	}
	if *simulate == 0 {
		for seed := range fixed {
			seeds = append(seeds, seed+1)
		}
	}
	for _, seed := range seeds {
		simulation(t, seed)
	}
	runs := len(seeds)
	for end := time.Now().Add(*simulate); *simulate > 0 && time.Now().Before(end) && !t.Failed(); runs++ {
		simulation(t, rand.Uint64())
	}
	t.Logf("%d seeds", runs)
}

func failedSeeds(t *testing.T) (seeds []uint64) {
	f, err := os.Open("testdata/simulation-seeds.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		line, _, _ := strings.Cut(lines.Text(), "#")
		if line = strings.TrimSpace(line); line != "" {
			seed, err := strconv.ParseUint(line, 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			seeds = append(seeds, seed)
		}
	}
	return seeds
}

// cell is an object that knows its number. It has a pointer, since the runtime keeps several small objects without in one piece of memory,
// which lives as long as any of them.
type cell struct {
	number int64
	_      *int
}

func (c *cell) Number(context.Context) (int64, error) { return c.number, nil }

// place is a process: its node, and what it holds, by number.
type place struct {
	node     *rmi.Node
	endpoint string
	hub      rmi.Ref
	hubs     map[rmi.ProcessID]testobj.Hub // of other places, as stubs

	mu    sync.Mutex
	holds map[int64]testobj.Cell
}

func (p *place) Keep(ctx context.Context, c testobj.Cell) error {
	n, err := c.Number(ctx)
	if err != nil {
		return err
	}
	p.keep(n, c)
	return nil
}

func (p *place) Hold(_ context.Context, n int64, c testobj.Cell) error {
	p.keep(n, c)
	return nil
}

func (p *place) keep(n int64, c testobj.Cell) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.holds[n] = c
}

func (p *place) Give(_ context.Context, pick int) (testobj.Cell, error) {
	_, c := p.pick(pick)
	return c, nil
}

func (p *place) Show(ctx context.Context, c testobj.Cell) (int64, error) { return c.Number(ctx) }

func (p *place) Send(ctx context.Context, to testobj.Hub, pick int) error {
	_, c := p.pick(pick)
	if c == nil {
		return nil
	}
	return to.Keep(ctx, c)
}

// pick returns one of what is held.
func (p *place) pick(i int) (int64, testobj.Cell) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.holds) == 0 {
		return 0, nil
	}
	numbers := slices.Sorted(maps.Keys(p.holds))
	n := numbers[i%len(numbers)]
	return n, p.holds[n]
}

func (p *place) drop(n int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.holds, n)
}

type sim struct {
	t       *testing.T
	seed    uint64
	random  *rand.Rand
	network *transport.Memory
	places  []*place
	cells   int64
	owners  map[int64]*place // where each cell is
	harsh   bool             // processes die, and leases run out
	log     []string
}

func (s *sim) note(format string, args ...any) { s.log = append(s.log, fmt.Sprintf(format, args...)) }

func (s *sim) fail(format string, args ...any) {
	s.t.Helper()
	s.t.Fatalf("seed %d: %s\n%s", s.seed, fmt.Sprintf(format, args...), strings.Join(s.log, "\n"))
}

func simulation(t *testing.T, seed uint64) {
	synctest.Test(t, func(t *testing.T) {
		s := &sim{t: t, seed: seed, random: rand.New(rand.NewPCG(seed, 1)), network: transport.NewMemory(), owners: map[int64]*place{}}
		s.harsh = s.random.IntN(2) == 0
		for range 3 + s.random.IntN(3) {
			s.places = append(s.places, s.start("tcp://127.0.0.1:0"))
		}
		defer func() {
			for _, p := range s.places {
				p.node.Close()
			}
		}()
		for range 60 {
			s.step()
			s.check()
		}
		s.rest()
	})
}

func (s *sim) start(endpoint string) *place {
	p := &place{hubs: map[rmi.ProcessID]testobj.Hub{}, holds: map[int64]testobj.Cell{}}
	var err error
	if p.node, err = rmi.NewNode(rmi.Options{Network: s.network, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))}); err != nil {
		s.fail("%v", err)
	}
	if p.endpoint, err = p.node.Listen(endpoint); err != nil {
		s.fail("%v", err)
	}
	if p.hub, err = rmi.Export(p.node, testobj.RemoteHub.Of(p)); err != nil {
		s.fail("%v", err)
	}
	s.note("process %d is %v", len(s.places), p.node.ID())
	return p
}

// to returns the hub of another place, as p sees it.
func (s *sim) to(p, q *place) testobj.Hub {
	id := q.node.ID()
	if h := p.hubs[id]; h != nil {
		return h
	}
	text, _ := q.hub.MarshalText()
	h, err := rmi.Resolve(s.ctx(), p.node, testobj.RemoteHub, string(text))
	if err != nil {
		s.fail("%v", err)
	}
	p.hubs[id] = h
	return h
}

func (s *sim) ctx() context.Context {
	c, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	s.t.Cleanup(cancel)
	return c
}

func (s *sim) any() (int, *place) {
	i := s.random.IntN(len(s.places))
	return i, s.places[i]
}

// step does something.
func (s *sim) step() {
	i, p := s.any()
	j, q := s.any()
	pick := s.random.IntN(1000)
	switch op := s.random.IntN(24); {
	case op < 4:
		s.cells++
		s.owners[s.cells] = p
		p.keep(s.cells, &cell{number: s.cells})
		s.note("%d makes cell %d", i, s.cells)
	case op < 8:
		if n, c := p.pick(pick); c != nil && p != q {
			s.note("%d passes cell %d to %d: %v", i, n, j, s.to(p, q).Keep(s.ctx(), c))
		}
	case op < 11:
		if p != q {
			c, err := s.to(p, q).Give(s.ctx(), pick)
			s.note("%d gets a cell from %d: %v", i, j, err)
			if err == nil && c != nil {
				s.note("  it is kept: %v", p.Keep(s.ctx(), c))
			}
		}
	case op < 13:
		if k, r := s.any(); p != q && q != r && p != r {
			s.note("%d has %d send a cell to %d: %v", i, j, k, s.to(p, q).Send(s.ctx(), s.to(p, r), pick))
		}
	case op < 17:
		if n, _ := p.pick(pick); n != 0 {
			p.drop(n)
			s.note("%d drops cell %d", i, n)
		}
	case op < 18:
		s.note("the connections to %d are cut", i)
		s.network.Cut(p.endpoint)
	case op < 19:
		d := time.Duration(1+s.random.IntN(1000)) * 10 * time.Millisecond
		if s.harsh && s.random.IntN(3) == 0 {
			d = 100 * time.Second
		}
		s.note("%d is cut off for %v", i, d)
		s.network.Stall(p.endpoint)
		time.Sleep(d)
		s.network.Resume(p.endpoint)
		time.Sleep(time.Second)
	case op < 23:
		if n, c := p.pick(pick); c != nil && p != q {
			s.handOver(i, n, j)
		}
	case s.harsh && s.random.IntN(2) == 0:
		s.note("process %d dies, and another one takes its place", i)
		p.node.Close()
		s.places[i] = s.start(p.endpoint)
	}
	runtime.GC()
	time.Sleep(time.Duration(s.random.IntN(4)) * 3 * time.Millisecond)
	if s.random.IntN(4) == 0 {
		settle(time.Second)
	}
}

// handOver passes a cell on and drops it, while the cell's owner can hardly be reached by those who have not reached it before.
func (s *sim) handOver(i int, n int64, j int) {
	p, q, owner := s.places[i], s.places[j], s.owners[n]
	out := owner != p && owner != q && slices.Contains(s.places, owner)
	to := s.to(p, q)
	if out {
		s.network.Cut(owner.endpoint)
		s.network.Stall(owner.endpoint)
	}
	err := to.Hold(s.ctx(), n, p.holds[n])
	p.drop(n)
	s.note("%d hands cell %d over to %d, its owner being out of reach (%v): %v", i, n, j, out, err)
	settle(time.Second)
	if out {
		s.network.Resume(owner.endpoint)
		settle(15 * time.Second)
	}
}

// check calls everything that is held.
func (s *sim) check() {
	for i, p := range s.places {
		p.mu.Lock()
		holds := maps.Clone(p.holds)
		p.mu.Unlock()
		for _, n := range slices.Sorted(maps.Keys(holds)) {
			got, err := holds[n].Number(s.ctx())
			switch {
			case err == nil && got == n:
			case err == nil:
				s.fail("%d holds cell %d, which says that it is %d", i, n, got)
			case s.excused(n, err):
				s.note("%d finds cell %d gone: %v", i, n, err)
				p.drop(n)
			default:
				s.fail("%d holds cell %d, and cannot call it: %v", i, n, err)
			}
		}
	}
}

// excused reports whether the cell may be gone: its process has died, or a lease has run out or a process died on its way.
func (s *sim) excused(n int64, err error) bool {
	if !slices.Contains(s.places, s.owners[n]) {
		return true
	}
	var e *rmi.Error
	return s.harsh && errors.As(err, &e) && e.Kind == rmi.ErrNoSuchObject && (e.Reason == rmi.LeaseExpired || e.Reason == rmi.IntroducerLost || e.Reason == rmi.Collected)
}

// registered checks that the cell's owner lists the place as a holder.
func (s *sim) registered(i int, n int64, c testobj.Cell) {
	p, owner := s.places[i], s.owners[n]
	if owner == p {
		return
	}
	home, err := rmi.WeakOf(p.node, testobj.RemoteCell, c)
	if err != nil {
		s.fail("%v", err)
	}
	for _, h := range owner.node.HoldersOf(home.Ref()) {
		if h.Process == p.node.ID() {
			return
		}
	}
	s.fail("%d holds cell %d, of which its owner does not know", i, n)
}

// rest drops everything, and waits until nothing is left of it.
func (s *sim) rest() {
	settle(100 * time.Second)
	s.check()
	settle(time.Second)
	for i, p := range s.places {
		for n, c := range p.holds {
			s.registered(i, n, c)
		}
	}
	for _, p := range s.places {
		clear(p.holds)
		clear(p.hubs)
	}
	for range 4 {
		settle(100 * time.Second)
	}
	for i, p := range s.places {
		st := p.node.Stats()
		if st.Exports != 1 || st.Held+st.Holding+st.Pins+st.Owed+st.Queued != 0 {
			s.fail("everything is dropped, and %d still has %+v", i, st)
		}
	}
}
