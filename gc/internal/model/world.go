package model

// A world is a state that changes by the rules of a model. Its methods are the protocol: what lessor and lessee do.
type world struct {
	state
	m *Model
}

// settle forgets what can have no effect any more, so that states which differ in nothing else are one.
func (w *world) settle() {
	for i := range w.tr {
		t := &w.tr[i]
		if t.phase == after && !t.pin && t.wait == 0 {
			*t = transfer{}
		}
		if t.phase != asked && t.phase != flight {
			t.stale = false
		}
	}
	for p := range proc(procs) {
		for x := range uint8(objects) {
			e := &w.entry[p][x]
			held := w.held(p, x)
			e.dead = e.dead && held
			if w.m.Coarse && e.reg && !held {
				e.linger = true
			}
		}
	}
}

// held reports whether p's application or a pin of p holds x: the object itself, or p's stub of it.
func (s *state) held(p proc, x uint8) bool {
	if s.entry[p][x].app {
		return true
	}
	for i := range s.tr {
		if t := &s.tr[i]; t.pin && t.from == p && t.obj == x {
			return true
		}
	}
	return false
}

// mayPass reports whether p's application has x to pass.
func (s *state) mayPass(m *Model, p proc, x uint8) bool {
	if m.Owner[x] == p {
		return s.root[x] && s.alive[x]
	}
	return s.entry[p][x].app && !s.entry[p][x].dead
}

// slot returns a transfer that nothing refers to, or -1.
func (s *state) slot() int {
	for i := range s.tr {
		if s.tr[i].phase == free && !s.mentions(uint8(i)) {
			return i
		}
	}
	return -1
}

// mentions reports whether an op under way is about transfer i.
func (s *state) mentions(i uint8) bool {
	for p := range s.wire {
		for q := range s.wire[p] {
			f := &s.wire[p][q]
			for _, o := range f.ops[:f.n] {
				if o.aboutTransfer() && o.arg() == i {
					return true
				}
			}
		}
	}
	return false
}

// arrives reports whether a message from q is still read at p: one of a connection that broke until p notices, one of the next
// connection from then on.
func (s *state) arrives(p, q proc, stale bool) bool { return s.up[p] && stale == s.broken[p][q] }

// strong reports whether the owner's table holds x by a strong pointer.
func (w *world) strong(x uint8) bool {
	if w.holds[x] != [procs]bool{} {
		return true
	}
	for i := range w.tr {
		if t := &w.tr[i]; t.pin && t.from == w.m.Owner[x] && t.obj == x {
			return true
		}
	}
	return false
}

// queue appends to p's control stream to q; a process that is gone reads none.
func (w *world) queue(p, q proc, kind, arg uint8) {
	if w.up[q] && !w.closed[p][q] {
		w.wire[p][q].push(mk(kind, arg))
	}
}

// acknowledge queues the XACK of transfer i.
func (w *world) acknowledge(i uint8) { w.queue(w.tr[i].to, w.tr[i].from, opXack, i) }

// discharge ends the receiver's obligation for transfer i.
func (w *world) discharge(i uint8, nack bool) {
	w.tr[i].wait = 0
	if nack {
		w.queue(w.tr[i].to, w.tr[i].from, opNack, i)
		return
	}
	w.acknowledge(i)
}

// send marshals x into the message of transfer i.
func (w *world) send(i, x uint8) {
	t := &w.tr[i]
	t.obj = x
	t.gen = w.gen[t.from][t.to]
	t.pin = w.m.keeps(Pins)
	t.phase = flight
	if w.broken[t.from][t.to] || !w.up[t.to] || t.abandoned {
		t.phase = after // the message is lost, or dropped unread
	}
}

// accept starts the call of transfer i.
func (w *world) accept(i uint8) {
	t := &w.tr[i]
	t.phase = run
	t.stale = false
	if !w.current(t.from, t.to, t.gen) {
		*t = transfer{}
	}
}

// current reports whether p reads messages from q of generation gen.
func (w *world) current(p, q proc, gen uint8) bool {
	return !w.closed[p][q] && (gen == w.gen[p][q] || !w.m.keeps(OneGeneration))
}

// abandon gives up the call of transfer i: the reply is not awaited, or dropped unread.
func (w *world) abandon(i uint8) {
	t := &w.tr[i]
	t.abandoned = true
	if t.phase == flight {
		t.phase = after
	}
	if w.m.keeps(AckAbandoned) {
		w.acknowledge(i)
	}
}

// deliver unmarshals the message of transfer i.
func (w *world) deliver(i uint8) {
	t := &w.tr[i]
	t.phase = after
	if !w.current(t.to, t.from, t.gen) {
		return
	}
	if w.m.Owner[t.obj] != t.to {
		w.arrive(i)
		return
	}
	if w.alive[t.obj] {
		w.root[t.obj] = true
	}
	if w.m.keeps(AckHome) {
		w.acknowledge(i)
	}
}

// refuse fails to decode the message of transfer i.
func (w *world) refuse(i uint8) {
	t := &w.tr[i]
	t.phase = after
	if w.current(t.to, t.from, t.gen) && w.m.keeps(AckRefused) {
		w.acknowledge(i)
	}
}

// arrive gives the receiver of transfer i a stub.
func (w *world) arrive(i uint8) {
	t := &w.tr[i]
	p, x := t.to, t.obj
	owner := w.m.Owner[x]
	e := &w.entry[p][x]
	e.app = true
	if w.closed[p][owner] {
		e.dead = true
		w.discharge(i, true)
		return
	}
	if owner == t.from && !w.m.keeps(DirtyFirst) {
		w.acknowledge(i)
	}
	e.dead = false
	w.register(p, x)
	switch {
	case owner == t.from && !w.m.keeps(DirtyFirst):
	case owner == t.from, e.out == 0, !w.m.keeps(OwnerFirst):
		w.acknowledge(i)
	default:
		t.wait = e.out
	}
}

// register makes sure that the last op queued for x, of which p has got a reference, is DIRTY.
func (w *world) register(p proc, x uint8) {
	owner := w.m.Owner[x]
	e := &w.entry[p][x]
	if e.linger && w.m.keeps(CancelLinger) {
		e.linger = false
		e.old = !w.m.keeps(CleanupGeneration)
	}
	if e.reg {
		return
	}
	e.reg = true
	if !w.m.keeps(DirtyBehindClean) && w.wire[p][owner].has(mk(opClean, x)) {
		return
	}
	w.dirty(p, x)
}

func (w *world) dirty(p proc, x uint8) {
	w.entry[p][x].out++
	w.queue(p, w.m.Owner[x], opDirty, x)
}

// clean queues CLEAN: p has no stub of x.
func (w *world) clean(p proc, x uint8) {
	e := &w.entry[p][x]
	e.linger, e.reg = false, false
	w.queue(p, w.m.Owner[x], opClean, x)
}

// cleanUp runs the cleanup of a stub which another one has replaced. It happens only where that is not noticed.
func (w *world) cleanUp(p proc, x uint8) {
	e := &w.entry[p][x]
	e.old = false
	e.linger = e.reg
}

// unexport removes x from the table of its owner p.
func (w *world) unexport(p proc, x uint8) {
	w.alive[x], w.removed[x] = false, true
	for q := range proc(procs) {
		if w.holds[x][q] {
			w.holds[x][q] = false
			w.queue(p, q, opGone, x)
		}
	}
}

// read applies at p the op at i of what q sent. An ack that an OPEN overtook will never come.
func (w *world) read(p, q proc, i uint8) {
	f := &w.wire[q][p]
	o := f.take(i)
	for o.kind() == opOpen && i > 0 && w.m.keeps(AckOfGeneration) {
		i--
		f.take(i)
	}
	w.apply(p, q, o)
}

// apply does at p what q's op says.
func (w *world) apply(p, q proc, o op) {
	if o.kind() == opOpen {
		w.opened(p, q, o.arg())
		return
	}
	if !w.current(p, q, w.heard[p][q]) {
		return
	}
	switch x := o.arg(); o.kind() {
	case opDirty:
		if w.alive[x] && (w.m.keeps(UpgradeWeak) || w.strong(x)) {
			w.holds[x][q] = true
		} else {
			w.queue(p, q, opGone, x)
		}
		w.queue(p, q, opAck, x)
	case opClean:
		w.holds[x][q] = false
	case opAck:
		w.acked(p, x)
	case opGone:
		w.gone(p, x)
	case opXack:
		w.release(p, q, x)
	case opNack:
		if w.m.keeps(NackReleases) {
			w.release(p, q, x)
		}
	case opXquery:
		if t := w.tr[x]; t.from == q && t.to == p && (t.wait == 0 || !w.m.keeps(QueryOwed)) {
			w.acknowledge(x)
		}
	}
}

// opened reads OPEN(gen) of q at p.
func (w *world) opened(p, q proc, gen uint8) {
	w.heard[p][q] = gen
	switch {
	case gen > w.gen[p][q]:
		w.reset(p, q, gen, true)
	case gen == w.gen[p][q]:
		w.open[p][q] = true
	}
}

// acked is the ack of a DIRTY at p.
func (w *world) acked(p proc, x uint8) {
	e := &w.entry[p][x]
	if e.out > 0 {
		e.out--
	}
	for i := range uint8(slots) {
		if t := &w.tr[i]; t.wait > 0 && t.to == p && t.obj == x {
			if t.wait--; t.wait == 0 {
				w.discharge(i, false)
			}
		}
	}
}

// gone ends what p has of x: the owner has no such object.
func (w *world) gone(p proc, x uint8) {
	e := &w.entry[p][x]
	if e.reg {
		e.dead, e.reg, e.linger = true, false, false
	}
	for i := range uint8(slots) {
		if t := &w.tr[i]; t.wait > 0 && t.to == p && t.obj == x {
			w.discharge(i, true)
		}
	}
}

// release drops p's pin of transfer i, on q's word. A call that q has given up is forgotten: its result is not sent.
func (w *world) release(p, q proc, i uint8) {
	t := w.tr[i]
	if t.from != p || t.to != q {
		return
	}
	for j := range w.tr {
		u := &w.tr[j]
		same := u.from == p && u.to == q && u.pin
		if uint8(j) == i || same && t.pin && u.obj == t.obj && !w.m.keeps(PinPerCall) || same && u.result != t.result && !w.m.keeps(PinPerDirection) {
			u.pin = false
		}
	}
	if t.phase == run && w.m.keeps(RememberRunning) || t.phase == asked && w.m.keeps(RememberUnseen) {
		w.tr[i] = transfer{}
	}
}

// reset starts generation gen of p's session with q, at p. If q did so first, opened is true.
func (w *world) reset(p, q proc, gen uint8, opened bool) {
	w.gen[p][q] = gen
	w.open[p][q] = opened
	if !opened || w.m.keeps(Replace) {
		w.disown(p, q)
	}
	for i := range w.tr {
		t := &w.tr[i]
		switch {
		case t.from == p && t.to == q && t.phase == run:
			*t = transfer{}
		case t.from == q && t.to == p:
			t.wait = 0
			t.abandoned = t.abandoned || t.result
			if t.result && t.phase == flight {
				t.phase = after
			}
		}
	}
	again := opened || w.m.keeps(BothRoles)
	if w.m.keeps(AlwaysOpen) || again && w.registered(p, q) {
		w.queue(p, q, opOpen, gen)
	}
	for x := range uint8(objects) {
		if again && w.m.Owner[x] == q {
			w.reregister(p, x)
		}
	}
}

// disown drops what q holds of p's, and p's pins for q.
func (w *world) disown(p, q proc) {
	for x := range uint8(objects) {
		if w.m.Owner[x] == p {
			w.holds[x][q] = false
		}
	}
	for i := range w.tr {
		if t := &w.tr[i]; t.from == p && t.to == q && w.m.keeps(ExpiryReleasesPins) {
			t.pin = false
		}
	}
}

// registered reports whether p has a stub of an object of q.
func (w *world) registered(p, q proc) bool {
	for x := range uint8(objects) {
		if w.m.Owner[x] == q && w.entry[p][x].reg {
			return true
		}
	}
	return false
}

// reregister tells the owner of p's stub of x in a new generation, if there is one, and lets obligations wait for that.
func (w *world) reregister(p proc, x uint8) {
	e := &w.entry[p][x]
	e.out = 0
	if e.reg {
		w.dirty(p, x)
	}
	for i := range uint8(slots) {
		if t := &w.tr[i]; t.wait > 0 && t.to == p && t.obj == x {
			if t.wait = e.out; t.wait == 0 {
				w.discharge(i, false)
			}
		}
	}
}

// lose breaks the connection of p and q. What is in flight may still be read, until the reader notices.
func (w *world) lose(p, q proc) {
	w.broken[p][q], w.broken[q][p] = true, true
	for i := range w.tr {
		t := &w.tr[i]
		if (t.from == p && t.to == q || t.from == q && t.to == p) && (t.phase == asked || t.phase == flight) {
			t.stale = true
		}
	}
	if !w.m.keeps(GoneIsAnOp) {
		w.wire[p][q].filter(opGone)
		w.wire[q][p].filter(opGone)
	}
}

// notice ends the broken connection at p, and is also the next one: p's calls of q fail, what was in flight to p is dropped, and p
// asks for what became of its pins.
func (w *world) notice(p, q proc) {
	w.broken[p][q] = false
	for i := range uint8(slots) {
		t := &w.tr[i]
		switch {
		case t.from == p && t.to == q && t.phase == asked && t.stale && w.m.keeps(OneConnection):
			*t = transfer{}
		case t.from == q && t.to == p && t.phase == flight && t.stale && !t.result:
			if w.m.keeps(OneConnection) {
				t.phase = after
			}
			t.stale = false
		case t.from == q && t.to == p && t.result && !t.abandoned && t.phase != free && t.phase != after:
			w.abandon(i)
		case t.from == p && t.to == q && t.pin && w.m.keeps(Query):
			w.queue(p, q, opXquery, i)
		}
	}
	if !w.m.keeps(AckBehindGone) {
		w.wire[q][p].hoist()
	}
}

// crash ends p. What it sent may still be read.
func (w *world) crash(p proc) {
	w.up[p] = false
	w.entry[p] = [objects]entry{}
	w.gen[p], w.heard[p] = [procs]uint8{}, [procs]uint8{}
	w.open[p], w.broken[p], w.closed[p] = [procs]bool{}, [procs]bool{}, [procs]bool{}
	for x := range uint8(objects) {
		if w.m.Owner[x] == p {
			w.root[x], w.alive[x], w.removed[x], w.holds[x] = false, false, false, [procs]bool{}
		}
	}
	for i := range w.tr {
		t := &w.tr[i]
		switch {
		case t.from == p && t.phase == flight:
			t.pin, t.stale = false, true
		case t.from == p:
			*t = transfer{}
		case t.to == p && t.phase == asked:
			t.stale = true
		case t.to == p:
			t.wait = 0
			if t.phase == flight {
				t.phase = after
			}
		}
	}
	for q := range proc(procs) {
		w.wire[q][p] = fifo{}
		w.broken[q][p] = q != p && w.up[q] && !w.closed[q][p]
	}
}

// bury ends p's session with q, which is gone for good.
func (w *world) bury(p, q proc) {
	w.closed[p][q], w.open[p][q], w.broken[p][q] = true, false, false
	w.gen[p][q], w.heard[p][q] = 0, 0
	w.wire[p][q], w.wire[q][p] = fifo{}, fifo{}
	w.disown(p, q)
	for i := range uint8(slots) {
		t := &w.tr[i]
		switch {
		case t.from == q && t.to == p:
			t.wait = 0
			if t.phase == flight {
				t.phase = after
			}
		case t.from == p && t.to == q && (t.phase == asked || t.phase == run):
			*t = transfer{}
		case t.to == p && t.wait > 0 && w.m.Owner[t.obj] == q && w.m.keeps(NackUnreachable):
			w.discharge(i, true)
		}
	}
	for x := range uint8(objects) {
		if e := &w.entry[p][x]; w.m.Owner[x] == q {
			*e = entry{app: e.app, dead: e.dead || e.reg}
		}
	}
}
