package gc

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/rmigo/rmigo/refs"
)

// Collector is a node's collector. Its methods are for the node; they may be called concurrently.
//
// mu guards table and timer. It is held for map work, for putting batches into connections' queues, and while the node's tables of
// exports and imports are asked, which are leaves below it; what else the node is to do is done after it is given back.
type Collector struct {
	start time.Time
	self  refs.ProcessID

	mu     sync.Mutex
	table  *table
	timer  *time.Timer
	armed  time.Duration // when the timer fires; 0: it does not
	closed bool
	counts Stats

	drops drops
}

// drops are the handles that were garbage collected, and own objects that ended with their owner which was. The runtime tells of them on
// a goroutine of its own, which must do no more than leave a note: an event takes them up.
type drops struct {
	mu   sync.Mutex
	list []drop
	any  atomic.Bool
	over bool
}

type drop struct {
	id    refs.ID
	local uint64 // the handle; of an own object, 0
}

func (d *drops) add(id refs.ID, local uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.over {
		return
	}
	d.list = append(d.list, drop{id, local})
	d.any.Store(true)
}

// close forgets them, those to come as well.
func (d *drops) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.over, d.list = true, nil
}

func (d *drops) take() []drop {
	if !d.any.Load() {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.any.Store(false)
	list := d.list
	d.list = nil
	return list
}

// Options configure a Collector.
type Options struct {
	Lease time.Duration // after which a peer that is not heard is given up
	Quota int           // objects of this process that one peer may hold
}

// New makes the collector of the process.
func New(self refs.ProcessID, host refs.Host, o Options) *Collector {
	c := &Collector{start: time.Now(), self: self, table: newTable(self, host, o.Lease, o.Quota)}
	c.table.since = func(t time.Time) time.Duration { return t.Sub(c.start) }
	return c
}

// event runs f as one event.
func (c *Collector) event(f func(t *table)) {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return
	}
	t := c.table
	quiet := len(t.associations) == 0
	t.now = time.Since(c.start)
	for _, d := range c.drops.take() {
		if d.id.Process == t.self {
			t.withdrawn(d.id.Object, refs.Unexported)
			continue
		}
		c.counts.Dropped++
		if a := t.associations[d.id.Process]; a != nil {
			a.dropped(d.id.Object, d.local, false)
		}
	}
	f(t)
	t.settle()
	if quiet && len(t.associations) > 0 {
		t.clock.restart(t.now)
	}
	c.arm()
	effects := t.effects
	t.effects = nil
	c.mu.Unlock()
	for _, f := range effects {
		f()
	}
}

// arm sets the timer for the next beat. mu is held.
func (c *Collector) arm() {
	at, any := c.table.next()
	if !any || c.armed != 0 && c.armed <= at {
		return // an early beat finds out when the next one is due
	}
	c.armed = max(at, 1)
	d := max(0, at-c.table.now)
	if c.timer == nil {
		c.timer = time.AfterFunc(d, c.beat)
		return
	}
	c.timer.Reset(d)
}

func (c *Collector) beat() {
	c.event(func(t *table) {
		c.armed = 0
		t.beat(func(a *association) (last time.Duration) {
			for _, l := range a.lines {
				last = max(last, t.since(l.carrier.Heard()))
			}
			return last
		})
	})
}

// Close implements refs.Collector.
func (c *Collector) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	c.drops.close()
	if c.timer != nil {
		c.timer.Stop()
	}
	t := c.table // what it keeps alive may be what keeps the node alive, by its cleanups
	for x := range t.objects.waiting {
		t.objects.tell(x)
	}
	c.table = newTable(t.self, t.host, t.lease, t.quota)
}

// Connected implements refs.Collector.
func (c *Collector) Connected(peer refs.ProcessID, g refs.Generation, carrier refs.Carrier) (out refs.Line) {
	c.event(func(t *table) {
		if l := t.associate(peer).connected(g, carrier); l != nil {
			out = &lineOf{c, l}
		}
	})
	return out
}

// Current implements refs.Collector.
func (c *Collector) Current(peer refs.ProcessID) (generation, applied uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if a := c.table.associations[peer]; a != nil && a.open {
		return a.generation, a.applied
	}
	return 0, 0
}

// Keep implements refs.Collector.
func (c *Collector) Keep(peer refs.ProcessID) (release func()) {
	var a *association
	c.event(func(t *table) {
		if a = t.associations[peer]; a != nil {
			a.kept++
		}
	})
	if a == nil {
		return func() {}
	}
	return func() {
		c.event(func(*table) {
			a.kept--
			a.touched()
		})
	}
}

// Wanted implements refs.Collector.
func (c *Collector) Wanted(peer refs.ProcessID) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	a := c.table.associations[peer]
	return a != nil && a.wanted
}

// Imported implements refs.Collector.
func (c *Collector) Imported(id refs.ID, local uint64) {
	c.event(func(t *table) { t.associate(id.Process).imported(id.Object, local) })
}

// Dropped implements refs.Collector.
func (c *Collector) Dropped(id refs.ID, local uint64, released bool) {
	if !released {
		c.drops.add(id, local)
		return
	}
	c.event(func(t *table) {
		c.counts.Dropped++
		if a := t.associations[id.Process]; a != nil {
			a.dropped(id.Object, local, true)
		}
	})
}

// Secured implements refs.Collector.
func (c *Collector) Secured(id refs.ID, f func(why refs.Reason)) {
	c.event(func(t *table) {
		var e *entry
		if a := t.associations[id.Process]; a != nil {
			e = a.entries[id.Object]
		}
		switch {
		case e == nil:
			f(refs.Collected)
		case e.state == held:
			f(0)
		default:
			e.waiting = append(e.waiting, waiter{tell: f})
		}
	})
}

// Missing implements refs.Collector.
func (c *Collector) Missing(id refs.ID, local uint64, why refs.Reason) {
	c.event(func(t *table) {
		a := t.associations[id.Process]
		if a == nil {
			return
		}
		if e := a.entries[id.Object]; e != nil && e.local == local {
			a.missing(id.Object, e, why)
		}
	})
}

// Withdrawn implements refs.Collector.
func (c *Collector) Withdrawn(id refs.ObjectID, why refs.Reason) {
	c.event(func(t *table) { t.withdrawn(id, why) })
}

// Orphaned implements refs.Collector.
func (c *Collector) Orphaned(id refs.ObjectID) { c.drops.add(refs.ID{Process: c.self, Object: id}, 0) }

// Left implements refs.Collector.
func (c *Collector) Left(peer refs.ProcessID) {
	c.event(func(t *table) {
		if a := t.associations[peer]; a != nil {
			a.left()
		}
	})
}

// Replaced implements refs.Collector.
func (c *Collector) Replaced(peer refs.ProcessID) {
	c.event(func(t *table) {
		if a := t.associations[peer]; a != nil {
			a.killAll(refs.Restarted)
		}
	})
}

// lineOf is a line with the collector that it belongs to.
type lineOf struct {
	c *Collector
	*line
}

// Sent implements refs.Line.
func (l *lineOf) Sent(m refs.Message, id refs.ID, keep any) (why *refs.Error) {
	l.c.event(func(*table) {
		l.c.counts.Sent++
		why = l.a.sent(l.line, m, id, keep)
	})
	return why
}

// Renumbered implements refs.Line.
func (l *lineOf) Renumbered(from, to refs.Message, references int) (ok bool) {
	l.c.event(func(*table) { ok = l.a.renumbered(l.line, from, to, references) })
	return ok
}

// Unsent implements refs.Line.
func (l *lineOf) Unsent(m refs.Message) {
	l.c.event(func(*table) { l.a.unpin(keyOf(m)) })
}

// Arrived implements refs.Line.
func (l *lineOf) Arrived(m refs.Message) (ok bool) {
	l.c.event(func(*table) { ok = l.a.arrived(l.line, m) })
	return ok
}

// Received implements refs.Line.
func (l *lineOf) Received(m refs.Message, id refs.ID, local uint64) {
	l.c.event(func(*table) {
		l.c.counts.Received++
		l.a.received(m, id, local)
	})
}

// Done implements refs.Line.
func (l *lineOf) Done(m refs.Message) {
	l.c.event(func(*table) { l.a.complete(m) })
}

// Batch implements refs.Line.
func (l *lineOf) Batch(b refs.Batch) (err error) {
	l.c.event(func(*table) { err = l.a.apply(l.line, b) })
	return err
}

// Epoch implements refs.Line.
func (l *lineOf) Epoch() uint64 { return l.epoch }

// Lost implements refs.Line.
func (l *lineOf) Lost() {
	l.c.event(func(*table) { l.a.lost(l.line) })
}

var (
	_ refs.Collector = (*Collector)(nil)
	_ refs.Line      = (*lineOf)(nil)
)
