package gc

import (
	"time"

	"github.com/rmigo/rmigo/refs"
)

// Linger is how long an object that was dropped is kept registered with its owner at most, in case a reference to it comes back.
// Half of it may pass before the drop is noticed.
const Linger = 500 * time.Millisecond

// A queue is sent after settleTime, or once it has manyQueued entries: what comes in close succession goes together.
const (
	settleTime = 5 * time.Millisecond
	manyQueued = 256
)

// table is the collector without its clock and lock: all associations and the objects that are held through them. Every event is a
// method, of it or of one of its parts, between begin and settle.
type table struct {
	self  refs.ProcessID
	host  refs.Host
	lease time.Duration
	quota int

	since        func(time.Time) time.Duration // the time of table.now
	now          time.Duration                 // since the collector was made
	clock        clock
	associations map[refs.ProcessID]*association
	objects      objects
	lingering    []lingering // by due
	epochs       uint64      // the last that was given
	holding      int         // entries of all associations
	changed      []*association
	flushes      []*association // that have something to send at flushAt
	flushAt      time.Duration
	effects      []func() // to be run once the lock is given back
}

// lingering is a handle that was dropped.
type lingering struct {
	a     *association
	id    refs.ObjectID
	local uint64
	due   time.Duration
}

func newTable(self refs.ProcessID, host refs.Host, lease time.Duration, quota int) *table {
	t := &table{
		self: self, host: host, lease: lease, quota: quota,
		clock: newClock(lease), associations: map[refs.ProcessID]*association{},
		objects: objects{m: map[refs.ObjectID]*object{}, waiting: map[*object]chan struct{}{}},
	}
	t.objects.unreferenced = func(id refs.ObjectID, impl any) { t.later(func() { host.Unreferenced(id, impl) }) }
	return t
}

// later has f run once the lock is given back.
func (t *table) later(f func()) { t.effects = append(t.effects, f) }

// associate returns the association with the peer, making it where there is none.
func (t *table) associate(peer refs.ProcessID) *association {
	a := t.associations[peer]
	if a == nil {
		a = &association{
			table: t, peer: peer, heard: t.clock.now,
			lessor: lessor{holds: map[refs.ObjectID]struct{}{}, pins: map[key]*pin{}},
			lessee: lessee{entries: map[refs.ObjectID]*entry{}, owed: map[key]*obligation{}},
		}
		t.associations[peer] = a
		a.touched()
	}
	return a
}

// linger has the entry given up after a while.
func (t *table) linger(a *association, id refs.ObjectID, local uint64) {
	t.lingering = append(t.lingering, lingering{a, id, local, t.now + Linger/2})
}

// withdrawn ends the holding of an object that is exported no longer.
func (t *table) withdrawn(id refs.ObjectID, why refs.Reason) {
	for _, a := range t.objects.withdraw(id) {
		a.fifo.queue.gone = append(a.fifo.queue.gone, refs.Gone{Object: id, Reason: uint8(why)})
		a.touched()
	}
}

// settle draws the conclusions of an event: what is to be sent, which associations have to go on, and which are over.
func (t *table) settle() {
	for len(t.changed) > 0 {
		a := t.changed[len(t.changed)-1]
		t.changed = t.changed[:len(t.changed)-1]
		a.waits = false
		t.settleOne(a)
	}
}

func (t *table) settleOne(a *association) {
	if a.carrier() != nil && (!a.fifo.queue.empty() || a.fifo.ackDue) {
		switch {
		case a.fifo.queue.len() >= manyQueued:
			a.flush()
		case !a.flushing:
			if len(t.flushes) == 0 {
				t.flushAt = t.now + settleTime
			}
			a.flushing = true
			t.flushes = append(t.flushes, a)
		}
	}
	if needed := a.needed(); needed != a.wanted {
		a.wanted = needed
		t.later(func() { t.host.Reconsider(a.peer) })
	}
	if !a.wanted && a.kept == 0 && len(a.lines) == 0 && t.associations[a.peer] == a {
		a.open = false
		delete(t.associations, a.peer)
	}
}

// beat does what has become due. heard tells when something was last heard by the lines of an association.
func (t *table) beat(heard func(*association) time.Duration) {
	if len(t.flushes) > 0 && t.now >= t.flushAt {
		due := t.flushes
		t.flushes = nil
		for _, a := range due {
			a.flushing = false
			a.flush()
		}
	}
	for len(t.lingering) > 0 && t.now >= t.lingering[0].due {
		l := t.lingering[0]
		t.lingering = rest(t.lingering, 1)
		l.a.lingered(l.id, l.local)
	}
	if len(t.associations) > 0 && t.now >= t.clock.due {
		t.tick(heard)
	}
}

// tick moves the lease clock, and gives up those that have not been heard for a lease.
func (t *table) tick(heard func(*association) time.Duration) {
	for _, a := range t.associations {
		if len(a.lines) > 0 { // by the clock that it was heard by: a standstill may come after
			a.heard = max(a.heard, t.clock.at(heard(a)))
		}
	}
	late := t.clock.tick(t.now)
	for _, a := range t.associations {
		if !a.silent && t.clock.expired(a.heard) {
			a.expire()
		}
		if len(a.former) > 0 && t.clock.now >= a.due {
			t.objects.lapse(a)
		}
		if late {
			for _, l := range a.lines {
				l.carrier.Ping()
			}
		}
		for _, o := range a.owed {
			if o.done && o.left > 0 && t.now-o.since > t.lease {
				o.giveUp()
			}
		}
		if a.wanted && len(a.lines) == 0 {
			t.later(func() { t.host.Reconsider(a.peer) })
		}
	}
}

// next is when beat is due again; false: not before something happens.
func (t *table) next() (at time.Duration, any bool) {
	sooner := func(when time.Duration) {
		if !any || when < at {
			at, any = when, true
		}
	}
	if len(t.flushes) > 0 {
		sooner(t.flushAt)
	}
	if len(t.lingering) > 0 {
		sooner(t.lingering[0].due)
	}
	if len(t.associations) > 0 {
		sooner(t.clock.due)
	}
	if t.holding > 0 {
		sooner(t.now + Linger/2)
	}
	return at, any
}

// clock measures leases. It moves by ticks of an eighth of the lease, and by no more than two of them at once, however late they
// come: a process that was stopped does not hold its own absence against its peers. After such a pause none expires for another
// tick, in which they can be heard.
type clock struct {
	lease   time.Duration
	period  time.Duration
	now     time.Duration
	last    time.Duration // the time of the last tick
	due     time.Duration // and of the next
	suspend time.Duration // nobody expires until then
}

func newClock(lease time.Duration) clock {
	period := max(lease/8, time.Millisecond)
	return clock{lease: lease, period: period, due: period}
}

// tick moves the clock; it reports whether the tick comes late.
func (c *clock) tick(now time.Duration) (late bool) {
	elapsed := now - c.last
	late = elapsed > 2*c.period
	c.now += min(elapsed, 2*c.period)
	c.last, c.due = now, now+c.period
	if late {
		c.suspend = c.now + c.period
	}
	return late
}

// restart restarts the clock after a time in which there was nobody to measure.
func (c *clock) restart(now time.Duration) { c.last, c.due = now, now+c.period }

// at is the reading of the clock at a time since about the last tick; where it has stood still, what the next tick will make of that.
func (c *clock) at(when time.Duration) time.Duration { return c.now + min(when-c.last, 2*c.period) }

// expired reports whether a peer that was last heard then has lost its lease.
func (c *clock) expired(heard time.Duration) bool {
	return c.now-heard >= c.lease && c.now >= c.suspend
}
