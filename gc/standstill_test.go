package gc

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/rmigo/rmigo/internal/leak"
	"github.com/rmigo/rmigo/refs"
)

// world is some processes that stand still for a while, and go on, while references move between them and connections are cut. Nothing in it
// has a clock or a goroutine: each process is a table, which is told what happens at the instant at which it is awake to notice. So a process
// that stands still does so as a whole, as one that is stopped by a debugger does, and finds out all at once, in any order, when it goes on.
type world struct {
	t      *testing.T
	rng    *rand.Rand
	now    time.Duration
	all    []*walker
	links  map[[2]int]*conn
	calls  uint64
	locals uint64
	split  time.Duration // nobody connects until then
}

const (
	stepTime = 250 * time.Millisecond
	deadTime = 15 * time.Second // of silence, after which a connection is over
)

// walker is one process. Its objects live while they are rooted, held or under way, and are collected at once else.
type walker struct {
	*world
	number int
	table  *table
	until  time.Duration // it stands still
	woke   bool          // and has just gone on
	rooted map[refs.ObjectID]bool
	stubs  map[refs.ID]*stubOf
	silent map[int]time.Duration // by process: what it may hold against it, at most
	next   uint32
}

// stubOf is a stub. sure: its owner has listed it, and has not given its process up since.
type stubOf struct {
	local uint64
	sure  bool
}

// conn is a connection between two processes; ends are what each has of it.
type conn struct{ ends [2]*end }

// end is one end of a connection: what is carried by it waits for the other end's process.
type end struct {
	of       *walker
	line     *line
	batches  []refs.Batch
	messages []letter
	pinged   bool // the other process was awake
	heard    time.Duration
	over     bool // its process has noticed that the connection is
}

type letter struct {
	m  refs.Message
	id refs.ID
}

func (e *end) Carry(b refs.Batch) { e.batches = append(e.batches, b) }
func (e *end) Ping()              {}
func (e *end) Heard() time.Time   { return time.Time{}.Add(e.heard) }
func (e *end) Fail(*refs.Error)   { e.of.lose(e) }

func (p *walker) name() refs.ProcessID { return refs.ProcessID{byte(p.number + 1)} }

// object is the id of the n-th object of the process.
func (p *walker) object(n uint32) (id refs.ObjectID) {
	binary.BigEndian.PutUint32(id[1:], n)
	id[0] = byte(p.number + 1)
	return id
}

func (p *walker) alive(id refs.ObjectID) bool {
	rooted, known := p.rooted[id]
	return known && (rooted || p.table.objects.m[id] != nil)
}

// Lookup implements refs.Host.
func (p *walker) Lookup(id refs.ObjectID) (any, refs.Reason) {
	if p.alive(id) {
		return p, 0
	}
	return nil, refs.Collected
}
func (p *walker) Kill(id refs.ID, local uint64, why refs.Reason) {
	if s := p.stubs[id]; s != nil && s.local == local {
		if s.sure {
			p.t.Errorf("%v: a stub of process %d, which its owner had listed, is dead: %v", p.now, p.number, why)
		}
		delete(p.stubs, id)
	}
}
func (p *walker) Reconsider(refs.ProcessID)       {}
func (p *walker) Unreferenced(refs.ObjectID, any) {}

// Expired implements refs.Host: what the peer holds may be gone, and it must have been silent.
func (p *walker) Expired(peer refs.ProcessID, why error) {
	q := p.all[peer[0]-1]
	if p.silent[q.number] < p.table.lease {
		p.t.Errorf("%v: process %d gave process %d up, which it can have missed for %v: %v", p.now, p.number, q.number, p.silent[q.number], why)
	}
	for id, s := range q.stubs {
		s.sure = s.sure && id.Process != p.name()
	}
}

// event is what happens to a process, and what comes of it.
func (p *walker) event(f func()) {
	p.table.now = p.now
	f()
	p.table.settle()
	for len(p.table.effects) > 0 {
		effects := p.table.effects
		p.table.effects = nil
		for _, f := range effects {
			f()
		}
	}
}

func (w *world) awake() (out []*walker) {
	for _, p := range w.all {
		if p.until <= w.now {
			out = append(out, p)
		}
	}
	return out
}

func pairOf(p, q *walker) [2]int { return [2]int{min(p.number, q.number), max(p.number, q.number)} }

// other is the other end, whatever has become of it.
func (w *world) other(e *end) *end {
	for _, c := range w.links {
		for i := range c.ends {
			if c.ends[i] == e {
				return c.ends[1-i]
			}
		}
	}
	return nil
}

// lose ends a connection for one process; the other one notices when it reads.
func (p *walker) lose(e *end) {
	if e.over {
		return
	}
	e.over = true
	p.event(func() { e.line.a.lost(e.line) })
}

// connect joins two processes that are awake, as the handshake would.
func (w *world) connect(p, q *walker) {
	g := refs.Generation{}
	a, b := p.table.associate(q.name()), q.table.associate(p.name())
	if a.open && b.open && a.generation == b.generation {
		g.Number = a.generation
	} else {
		g.Number, g.Fresh = max(a.generation, b.generation)+1, true
	}
	c := &conn{}
	for i, at := range []*walker{p, q} {
		c.ends[i] = &end{of: at, heard: w.now}
	}
	w.links[pairOf(p, q)] = c
	gp, gq := g, g
	if !g.Fresh {
		gp.Applied, gq.Applied = b.applied, a.applied
	}
	p.event(func() { c.ends[0].line = a.connected(gp, c.ends[0]) })
	q.event(func() { c.ends[1].line = b.connected(gq, c.ends[1]) })
}

// step is what happens in one step of time; busy: something new may be done in it.
func (w *world) step(busy bool) {
	w.now += stepTime
	awake := w.awake()
	w.rng.Shuffle(len(awake), func(i, j int) { awake[i], awake[j] = awake[j], awake[i] })
	for _, p := range awake {
		turns := []func(){p.read, p.beat, p.watch}
		w.rng.Shuffle(len(turns), func(i, j int) { turns[i], turns[j] = turns[j], turns[i] })
		for _, f := range turns {
			f()
		}
		for q := range p.silent {
			p.silent[q] += stepTime
		}
		p.woke = false
	}
	for _, p := range awake {
		for _, q := range awake {
			if p.number < q.number && w.links[pairOf(p, q)] == nil && w.now >= w.split {
				w.connect(p, q)
			}
		}
	}
	if busy && len(awake) > 0 && w.rng.IntN(6) == 0 {
		w.do(awake[w.rng.IntN(len(awake))])
	}
	w.check()
}

// ends are those of a process.
func (p *walker) ends() (out []*end) {
	for _, k := range slices.SortedFunc(maps.Keys(p.links), func(a, b [2]int) int { return slices.Compare(a[:], b[:]) }) {
		for _, e := range p.links[k].ends {
			if e.of == p {
				out = append(out, e)
			}
		}
	}
	return out
}

// read takes in what has come for a process that is awake. Messages and batches may overtake each other.
func (p *walker) read() {
	for _, e := range p.ends() {
		from := p.other(e)
		if from == nil || e.over {
			continue
		}
		batches, messages, pinged := from.batches, from.messages, from.pinged
		from.batches, from.messages, from.pinged = nil, nil, false
		if pinged || len(batches)+len(messages) > 0 {
			e.heard, p.silent[from.of.number] = p.now, 0
		}
		taken := func() {
			for _, b := range batches {
				p.event(func() {
					if err := e.line.a.apply(e.line, b); err != nil {
						p.t.Errorf("%v: process %d: %v", p.now, p.number, err)
					}
				})
			}
		}
		if p.rng.IntN(2) == 0 {
			taken()
			batches = nil
		}
		for _, m := range messages {
			p.event(func() { p.take(e, m) })
		}
		taken()
		if from.over {
			p.lose(e)
		}
	}
}

// take takes a message in.
func (p *walker) take(e *end, l letter) {
	a := e.line.a
	if !a.arrived(e.line, l.m) {
		return
	}
	if l.id.Process != p.name() {
		s := p.stubs[l.id]
		if s == nil {
			p.locals++
			s = &stubOf{local: p.locals}
			p.stubs[l.id] = s
			p.table.associate(l.id.Process).imported(l.id.Object, s.local)
		}
		a.received(l.m, l.id, s.local)
	}
	a.complete(l.m)
}

// beat lets a process's timers run.
func (p *walker) beat() {
	p.event(func() {
		if at, any := p.table.next(); any && at <= p.now {
			p.table.beat(func(a *association) (last time.Duration) {
				for _, l := range a.lines {
					last = max(last, l.carrier.(*end).heard)
				}
				return last
			})
		}
	})
}

// watch gives connections up by which nothing was heard, and forgets those that are over for both.
func (p *walker) watch() {
	for _, e := range p.ends() {
		from := p.other(e)
		if from == nil {
			continue
		}
		e.pinged = true
		if !p.woke && p.now-e.heard > deadTime { // one that has just gone on reads first
			p.lose(e)
		}
		if e.over && from.over {
			delete(p.links, pairOf(p, from.of))
		}
	}
}

// do does something at random.
func (w *world) do(p *walker) {
	switch n := w.rng.IntN(40); {
	case n < 4:
		p.next++
		p.rooted[p.object(p.next)] = true
	case n < 20:
		p.pass(w.all[w.rng.IntN(len(w.all))])
	case n < 23:
		if stubs := p.held(); len(stubs) > 0 {
			id := stubs[w.rng.IntN(len(stubs))]
			local, released := p.stubs[id].local, w.rng.IntN(2) == 0
			delete(p.stubs, id)
			p.event(func() { p.table.associate(id.Process).dropped(id.Object, local, released) })
		}
	case n < 26:
		if own := p.living(); len(own) > 0 {
			p.rooted[own[w.rng.IntN(len(own))].Object] = false
		}
	case n < 31:
		pauses := []int{2, 10, 30, 70, 130, 400}
		p.until = w.now + time.Duration(w.rng.IntN(pauses[w.rng.IntN(len(pauses))]))*time.Second
		for q := range p.silent {
			p.silent[q] += 2 * p.table.clock.period
		}
		p.woke = true
	case n < 35:
		for _, e := range p.ends() {
			if w.rng.IntN(2) == 0 {
				from := w.other(e)
				e.batches, e.messages, from.batches, from.messages = nil, nil, nil, nil
				p.lose(e)
				break
			}
		}
	case n < 36 && w.rng.IntN(4) == 0:
		w.split = w.now + time.Duration(w.rng.IntN(120))*time.Second
	}
}

// living are the process's objects that are there, and held those of others of which it has stubs.
func (p *walker) living() (ids []refs.ID) {
	for n := range p.next {
		if id := p.object(n + 1); p.alive(id) {
			ids = append(ids, refs.ID{Process: p.name(), Object: id})
		}
	}
	return ids
}

func (p *walker) held() []refs.ID {
	return slices.SortedFunc(maps.Keys(p.stubs), func(a, b refs.ID) int {
		return cmp.Or(slices.Compare(a.Process[:], b.Process[:]), slices.Compare(a.Object[:], b.Object[:]))
	})
}

// pass sends a reference to another process.
func (p *walker) pass(q *walker) {
	c := p.links[pairOf(p, q)]
	if p == q || c == nil {
		return
	}
	ids := append(p.living(), p.held()...)
	if len(ids) == 0 {
		return
	}
	for _, e := range c.ends {
		if e.of == p && !e.over {
			p.calls++
			l := letter{refs.Message{Call: p.calls}, ids[p.rng.IntN(len(ids))]}
			p.event(func() {
				if e.line.a.sent(e.line, l.m, l.id, p) == nil {
					e.messages = append(e.messages, l)
				}
			})
		}
	}
}

// check checks that what is surely held is there, and notes what is.
func (w *world) check() {
	for _, p := range w.all {
		for id, s := range p.stubs {
			o := w.all[id.Process[0]-1]
			if s.sure && !o.alive(id.Object) {
				w.t.Errorf("%v: an object of process %d is gone, which process %d surely holds", w.now, o.number, p.number)
				w.t.FailNow()
			}
			a, back := p.table.associations[o.name()], o.table.associations[p.name()]
			if a == nil || back == nil || a.entries[id.Object] == nil {
				continue
			}
			_, listed := back.holds[id.Object]
			s.sure = s.sure || listed && a.entries[id.Object].state == held && a.open && back.open && a.generation == back.generation
		}
	}
}

func TestProcessesThatStandStillLoseNothingThatIsHeld(t *testing.T) {
	leak.Check(t)
	seeds := uint64(40)
	if testing.Short() {
		seeds = 10
	}
	for seed := range seeds {
		t.Run(fmt.Sprint("seed", seed), func(t *testing.T) { standStill(t, seed) })
	}
}

func standStill(t *testing.T, seed uint64) {
	w := &world{t: t, rng: rand.New(rand.NewPCG(seed, 2)), links: map[[2]int]*conn{}}
	for i := range 3 {
		p := &walker{world: w, number: i, rooted: map[refs.ObjectID]bool{}, stubs: map[refs.ID]*stubOf{}, silent: map[int]time.Duration{0: 0, 1: 0, 2: 0}}
		p.table = newTable(p.name(), p, time.Minute, 1000)
		p.table.since = func(at time.Time) time.Duration { return at.Sub(time.Time{}) }
		w.all = append(w.all, p)
	}
	for n := 0; n < 6000 && !t.Failed(); n++ {
		w.step(true)
	}
	for _, p := range w.all {
		p.until = min(p.until, w.now+stepTime)
	}
	w.split = 0
	for range 20 * int(time.Minute/stepTime) {
		w.step(false)
	}
	for _, p := range w.all {
		clear(p.rooted)
		for id, s := range p.stubs {
			if !s.sure {
				t.Errorf("a stub of process %d is neither known to its owner nor dead", p.number)
			}
			delete(p.stubs, id)
			p.event(func() { p.table.associate(id.Process).dropped(id.Object, s.local, true) })
		}
	}
	for range 5 * int(time.Minute/stepTime) {
		w.step(false)
	}
	for _, p := range w.all {
		for _, a := range p.table.associations {
			if n := len(a.entries) + len(a.holds) + len(a.pins) + len(a.owed) + a.queue.len() + len(a.unacked); n+len(p.table.objects.m) > 0 {
				t.Errorf("in the end process %d has %d things left of process %v, and %d objects", p.number, n, a.peer, len(p.table.objects.m))
			}
		}
	}
}
