package gc

import (
	"fmt"
	"time"

	"github.com/rmigo/rmigo/refs"
)

// association is the collector's part of what this process has with a peer: both roles, and the stream between the two collectors.
// It outlives connections. A generation of it ends when one side gives the other up; both then begin the next one with nothing
// but what they hold themselves.
type association struct {
	fifo
	lessor
	lessee
	table *table
	peer  refs.ProcessID

	generation uint64
	epoch      uint64        // tells generations of all associations apart, here
	open       bool          // the generation goes on; else the next one is waited for
	lines      []*line       // that are not lost; the last one carries the stream
	heard      time.Duration // when the peer was heard last, by the lease clock

	waits    bool // it is in table.changed
	wanted   bool // what the node was told
	kept     int  // handshakes that resume it
	silent   bool // the node was told that the peer is given up, and none has begun since
	flushing bool // it is in table.flushes
}

// line is one connection of the association, seen from here.
type line struct {
	a          *association
	generation uint64
	epoch      uint64
	carrier    refs.Carrier
	live       bool
}

// touched has the association looked at once the event is over.
func (a *association) touched() {
	if !a.waits {
		a.waits = true
		a.table.changed = append(a.table.changed, a)
	}
}

// needed reports whether the association has to go on, and a lost connection to be restored.
func (a *association) needed() bool {
	return len(a.entries)+len(a.holds)+len(a.pins)+len(a.owed) > 0 || a.open && !a.fifo.idle()
}

// carrier is the line that carries the stream, or nil.
func (a *association) carrier() *line {
	if len(a.lines) == 0 || !a.open {
		return nil
	}
	return a.lines[len(a.lines)-1]
}

// connected makes a line of a connection within the generation, which begins with it if it is fresh. Nil: this is not the generation
// that goes on. A peer that has forgotten this process counts from 1 again: where none goes on, any fresh one begins.
func (a *association) connected(g refs.Generation, c refs.Carrier) *line {
	generation, seq := g.Number, g.Applied
	a.touched()
	switch {
	case a.open && generation == a.generation:
	case g.Fresh && (!a.open || generation > a.generation):
		a.begin(generation)
	default:
		return nil
	}
	a.heard = a.table.clock.now
	l := &line{a: a, generation: generation, epoch: a.epoch, carrier: c, live: true}
	a.lines = append(a.lines, l)
	a.fifo.ackDue = a.fifo.applied > 0 // the last acknowledgement may be lost, and what it is of is not sent again
	for _, b := range a.fifo.resume(seq) {
		c.Carry(b)
	}
	for k, p := range a.pins {
		if p.line == nil {
			a.ask(k)
		}
	}
	return l
}

// begin begins a generation: what belongs to earlier ones is dropped, and the objects held are registered again. Where it is the peer
// that gave the earlier one up, because this process was stopped for a lease or could not be reached, it does the same: what it holds
// here stays until it has had the time.
func (a *association) begin(generation uint64) {
	if a.open {
		a.table.objects.retain(a)
	}
	a.end(&refs.Error{Kind: refs.ErrPeerExpired, Err: fmt.Errorf("the association with process %v began anew", a.peer)})
	a.generation, a.open, a.silent = generation, true, false
	a.table.epochs++
	a.epoch = a.table.epochs
	for id := range a.entries {
		a.fifo.queue.hold(id, true)
	}
}

// end ends the generation, in both roles at once; what is former stays.
func (a *association) end(why *refs.Error) {
	a.open = false
	a.fifo = fifo{}
	for id := range a.holds {
		if _, former := a.former[id]; !former {
			a.table.objects.clean(a, id)
		}
	}
	for _, o := range a.owed {
		o.void = true
	}
	clear(a.owed)
	for k := range a.pins { // which may settle what is owed
		a.unpin(k)
	}
	for id, e := range a.entries {
		if e.linger && e.pins == 0 {
			a.drop(id)
			e.secured(0)
			continue
		}
		e.lapsed = e.lapsed || e.state == held
		e.state, e.seq, e.again = pending, 0, false
	}
	for _, l := range a.lines {
		l.live = false
		a.table.later(func() { l.carrier.Fail(why) })
	}
	a.lines = nil
	a.touched()
}

// lost takes a line out. What went by it may not have arrived: over the next line, the peer is asked.
func (a *association) lost(l *line) {
	if !l.live {
		return
	}
	l.live = false
	a.touched()
	t := a.table
	a.heard = max(a.heard, t.clock.at(t.since(l.carrier.Heard())))
	current := a.carrier() == l
	for i, o := range a.lines {
		if o == l {
			a.lines = append(a.lines[:i], a.lines[i+1:]...)
			break
		}
	}
	next := a.carrier()
	if next != nil && current {
		a.fifo.ackDue = a.fifo.applied > 0
		for _, b := range a.fifo.resume(0) {
			next.carrier.Carry(b)
		}
	}
	for k, p := range a.pins {
		if p.line == l {
			p.line = nil
			if next != nil {
				a.ask(k)
			}
		}
	}
}

// ask has the peer say what has become of a message.
func (a *association) ask(k key) {
	a.fifo.queue.queries = append(a.fifo.queue.queries, refs.MessageKey{Call: k.call, Result: k.result})
	a.touched()
}

// asked answers: a message that is here is acknowledged in its time, any other one at once, for it will not come. To make that
// true, all other connections are given up first.
func (a *association) asked(l *line, keys []refs.MessageKey) {
	if len(keys) == 0 {
		return
	}
	for _, o := range append([]*line(nil), a.lines...) {
		if o != l {
			a.lost(o)
			a.table.later(func() {
				o.carrier.Fail(&refs.Error{Kind: refs.ErrUnreachable, Err: fmt.Errorf("process %v has lost an earlier connection", a.peer)})
			})
		}
	}
	for _, k := range keys {
		if a.owed[key{k.Call, k.Result}] == nil {
			a.fifo.queue.acks = append(a.fifo.queue.acks, refs.MessageKey{Call: k.Call, Result: k.Result})
		}
	}
	a.touched()
}

// sent pins a reference in a message, or says why it can not.
func (a *association) sent(l *line, m refs.Message, id refs.ID, keep any) *refs.Error {
	if !a.open || l.generation != a.generation {
		return &refs.Error{Kind: refs.ErrUnreachable, NotRun: true,
			Err: fmt.Errorf("the association with process %v began anew while the message was written", a.peer)}
	}
	t := a.table
	if a.pinned >= t.quota {
		return &refs.Error{Kind: refs.ErrLimit, NotRun: true,
			Err: fmt.Errorf("process %v has not acknowledged %d references that were sent to it (Limits.HeldPerPeer)", a.peer, a.pinned)}
	}
	k := keyOf(m)
	p := a.pins[k]
	if p == nil {
		p = &pin{}
		if l.live {
			p.line = l
		} else if a.carrier() != nil {
			a.ask(k)
		}
		a.pins[k] = p
		a.touched()
	}
	a.pinned++
	if id.Process == t.self {
		t.objects.pin(id.Object, keep, p, a, m)
		return nil
	}
	owner := t.associate(id.Process)
	e := owner.entries[id.Object]
	if e != nil {
		e.pins++
	}
	p.refs = append(p.refs, pinned{id: id.Object, handle: keep, owner: owner, entry: e})
	return nil
}

// unpin lets go of what a message kept alive.
func (a *association) unpin(k key) {
	p := a.pins[k]
	if p == nil {
		return
	}
	delete(a.pins, k)
	a.pinned -= len(p.refs)
	a.touched()
	for _, r := range p.refs {
		switch {
		case r.object != nil:
			a.table.objects.unpin(r)
		case r.entry != nil:
			r.owner.unpinned(r.id, r.entry)
		}
	}
}

// renumbered moves the pins of what was to be sent as one message to another one on the given line. The peer may have been asked for
// it meanwhile, and have let go of it: then there are fewer than there were references.
func (a *association) renumbered(l *line, from, to refs.Message, references int) bool {
	p := a.pins[keyOf(from)]
	if !a.open || l.generation != a.generation || p == nil || len(p.refs) != references {
		return false
	}
	delete(a.pins, keyOf(from))
	a.pins[keyOf(to)] = p
	if p.line = nil; l.live {
		p.line = l
	} else if a.carrier() != nil {
		a.ask(keyOf(to))
	}
	a.touched()
	return true
}

// arrived notes a message that is to be acknowledged; false: the line is lost, and so is the message.
func (a *association) arrived(l *line, m refs.Message) bool {
	if !l.live {
		return false
	}
	k := keyOf(m)
	if a.owed[k] == nil {
		a.owed[k] = &obligation{from: a, key: k, since: a.table.now}
		a.touched()
	}
	return true
}

// received adds a reference to what a message needs before it is acknowledged. One to the peer's own object needs nothing: its
// DIRTY goes ahead of the acknowledgement.
func (a *association) received(m refs.Message, id refs.ID, local uint64) {
	owner := a.table.associate(id.Process)
	if owner.entries[id.Object] == nil { // whoever made the handle is about to say so
		owner.imported(id.Object, local)
	}
	o, e := a.owed[keyOf(m)], owner.entries[id.Object]
	if owner != a && o != nil && !o.done && e.state == pending {
		o.left++
		e.waiting = append(e.waiting, waiter{o, nil})
	}
}

// complete notes that all references of a message are known.
func (a *association) complete(m refs.Message) {
	o := a.owed[keyOf(m)]
	if o == nil {
		return
	}
	o.done = true
	if len(a.owed) > mostOwed {
		o.giveUp()
	}
	o.settle()
}

// mostOwed bounds the messages of one peer that wait for third processes.
const mostOwed = 1 << 16

// apply applies a batch that came by the line.
func (a *association) apply(l *line, b refs.Batch) error {
	if !l.live || b.Generation != a.generation || !a.open {
		return nil
	}
	a.touched()
	next, err := a.fifo.take(b.Seq)
	if err != nil {
		return err
	}
	if next {
		for _, id := range b.Clean {
			a.table.objects.clean(a, id)
		}
		for _, id := range b.Dirty {
			a.dirty(id)
		}
		for _, g := range b.Gone {
			a.gone(g, b.Ack)
		}
	}
	if err := a.acknowledged(b.Ack); err != nil {
		return err
	}
	if next {
		for _, k := range b.Acks {
			a.unpin(key{k.Call, k.Result})
		}
		a.asked(l, b.Queries)
	}
	return nil
}

// dirty makes the peer a holder, or has it told that there is nothing to hold.
func (a *association) dirty(id refs.ObjectID) {
	t := a.table
	impl, why := t.host.Lookup(id)
	if _, held := a.holds[id]; why == 0 && !held && len(a.holds) >= t.quota {
		why = refs.Quota
	}
	if why != 0 {
		a.fifo.queue.gone = append(a.fifo.queue.gone, refs.Gone{Object: id, Reason: uint8(why)})
		return
	}
	a.fifo.queue.revive(id)
	t.objects.dirty(a, id, impl, t.now)
}

// acknowledged notes what the peer has applied: it knows now of what is held here.
func (a *association) acknowledged(seq uint64) error {
	done, err := a.fifo.acked(seq)
	for _, b := range done {
		for _, id := range b.Dirty {
			if e := a.entries[id]; e != nil && e.state == pending && e.seq == b.Seq {
				e.state = held
				e.secured(0)
			}
		}
	}
	return err
}

// gone takes what the peer says of one of its objects. An answer to an earlier DIRTY than the last one is not about this handle.
func (a *association) gone(g refs.Gone, applied uint64) {
	e := a.entries[g.Object]
	if e == nil || e.seq == 0 || e.seq > applied {
		return
	}
	if !a.asksAgain(g.Object, e) {
		a.kill(g.Object, e.reason(refs.Reason(g.Reason)))
	}
}

// missing takes what a call was answered. Of a name, what DIRTY is answered counts.
func (a *association) missing(id refs.ObjectID, e *entry, why refs.Reason) {
	if !a.asksAgain(id, e) && !id.Named() {
		a.kill(id, e.reason(why))
	}
}

// asksAgain asks the peer again for a name that was held and is said to be gone: another object may have it by now, of which a reference has
// come to the same handle. What the peer answers to that DIRTY is true.
func (a *association) asksAgain(id refs.ObjectID, e *entry) bool {
	if !id.Named() || e.state != held {
		return false
	}
	e.state, e.seq, e.again = pending, 0, true
	a.fifo.queue.hold(id, true)
	a.touched()
	return true
}

// reason is why an object is gone, as far as this process knows better than its owner.
func (e *entry) reason(why refs.Reason) refs.Reason {
	switch {
	case why != refs.Collected && why != refs.NeverExisted:
		return why
	case e.orphaned():
		return refs.IntroducerLost
	case e.lapsed:
		return refs.LeaseExpired
	}
	return why
}

// kill ends an entry, and makes its handle say why.
func (a *association) kill(id refs.ObjectID, why refs.Reason) {
	e := a.entries[id]
	a.drop(id)
	a.fifo.queue.cancel(id)
	a.touched()
	a.table.later(func() { a.table.host.Kill(refs.ID{Process: a.peer, Object: id}, e.local, why) })
	e.secured(why)
}

// flush sends what is queued.
func (a *association) flush() {
	l := a.carrier()
	if l == nil {
		return
	}
	for _, b := range a.fifo.flush(a.generation) {
		for _, id := range b.Dirty {
			if e := a.entries[id]; e != nil {
				e.seq = b.Seq
			}
		}
		l.carrier.Carry(b)
	}
	a.touched()
}

// imported notes a new handle.
func (a *association) imported(id refs.ObjectID, local uint64) {
	e := a.entries[id]
	if e == nil {
		cleaning, queued := a.fifo.queue.holds[id]
		e = &entry{local: local, again: queued && !cleaning}
		a.entries[id] = e
		a.table.holding++
		if a.open {
			a.fifo.queue.hold(id, true)
		}
		a.touched()
		return
	}
	e.local, e.linger, e.released = max(e.local, local), false, false
}

// dropped notes that a handle is no more; a later one may have come before.
func (a *association) dropped(id refs.ObjectID, local uint64, released bool) {
	e := a.entries[id]
	if e == nil || e.local != local {
		return
	}
	e.linger, e.released = true, released
	switch {
	case e.pins > 0:
	case released:
		a.clean(id, e)
	default:
		a.table.linger(a, id, local)
	}
}

// unpinned notes that a message that carried the handle is acknowledged. A handle that was released meanwhile waited for that.
func (a *association) unpinned(id refs.ObjectID, e *entry) {
	if e.pins--; e.pins == 0 && e.linger && a.entries[id] == e {
		if e.released {
			a.clean(id, e)
		} else {
			a.table.linger(a, id, e.local)
		}
	}
}

// lingered ends an entry that nobody has come back to.
func (a *association) lingered(id refs.ObjectID, local uint64) {
	if e := a.entries[id]; e != nil && e.linger && e.local == local && e.pins == 0 {
		a.clean(id, e)
	}
}

// drop removes an entry.
func (a *association) drop(id refs.ObjectID) {
	delete(a.entries, id)
	a.table.holding--
}

// clean gives the object up. A DIRTY that has not left is taken back instead.
func (a *association) clean(id refs.ObjectID, e *entry) {
	a.drop(id)
	a.touched()
	switch {
	case e.seq == 0 && !e.again:
		a.fifo.queue.cancel(id)
	case a.open:
		a.fifo.queue.hold(id, false)
	}
	e.secured(0)
}

// expire gives the peer up, in both roles: nothing was heard from it for a lease. One that was not reached in that time has no role yet,
// but there may be those who wait for its end.
func (a *association) expire() {
	why := &refs.Error{Kind: refs.ErrPeerExpired, Err: fmt.Errorf("process %v was not reached for a lease", a.peer)}
	if a.open {
		why.Err = fmt.Errorf("nothing was heard from process %v for a lease", a.peer)
		a.table.objects.lapse(a)
		a.end(why)
	}
	a.silent = true
	a.table.later(func() { a.table.host.Expired(a.peer, why) })
}

// left ends everything with a peer that has ended.
func (a *association) left() {
	a.table.objects.lapse(a)
	why := &refs.Error{Kind: refs.ErrUnreachable, Err: fmt.Errorf("process %v has ended", a.peer)}
	a.end(why)
	a.silent = true
	a.killAll(refs.Ended)
	a.table.later(func() { a.table.host.Expired(a.peer, why) })
}

// killAll ends all entries.
func (a *association) killAll(why refs.Reason) {
	for id := range a.entries {
		a.kill(id, why)
	}
}
