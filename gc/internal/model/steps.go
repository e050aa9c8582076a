package model

// An event is a step in few words: what happens, at or from which process, to which, about which object or transfer.
type event struct {
	what kind
	p, q proc
	x    uint8 // object
	t    uint8 // transfer
	op   op
}

// A kind is what happens.
type kind uint8

// What applications do, what faults do, and what the protocol does.
const (
	passes         kind = iota // p passes x to q as an argument
	calls                      // p calls q
	returns                    // p, the callee, returns x to q
	returnsNothing             // p, the callee, returns to q
	abandons                   // p gives up its call of q
	drops                      // p's application drops x

	loses     // the connection of p and q breaks
	expires   // p's lease for q runs out
	crashes   // p crashes
	unexports // p unexports x
	exports   // p exports x again
	givesIn   // p's introduction timeout runs out
	refuses   // p cannot decode the message from q
	forgets   // what p sent q before its last OPEN is lost

	accepts  // p gets q's request
	delivers // the message with x from q arrives at p
	applies  // p applies op from q
	lingers  // p's stub of x was collected
	cleans   // p's linger timer for x runs out
	cleansUp // the cleanup of an earlier stub of x runs at p
	collects // p collects its object x
	notices  // p notices that the connection to q broke
	buries   // p learns that q is gone for good
)

// protocol reports whether the event happens by itself, sooner or later, while applications rest and nothing fails.
func (k kind) protocol() bool { return k >= accepts }

// A stepper makes the states that one event leads to.
type stepper struct {
	m     *Model
	from  *state
	next  world
	yield func(event, *state)
}

// do applies f to a copy of the state and yields the result.
func (st *stepper) do(e event, f func(*world)) {
	st.next = world{state: *st.from, m: st.m}
	f(&st.next)
	st.next.settle()
	st.yield(e, &st.next.state)
}

// steps calls yield with each event that can happen in s, and the state that it leads to; yield must not keep the state.
func (m *Model) steps(s *state, yield func(event, *state)) {
	st := &stepper{m: m, from: s, yield: yield}
	for i := range uint8(slots) {
		st.transfer(i)
	}
	for p := range proc(procs) {
		if !s.up[p] {
			continue
		}
		for x := range uint8(objects) {
			st.object(p, x)
		}
		for q := range proc(procs) {
			if p != q {
				st.pass(p, q)
				st.session(p, q)
				st.control(p, q)
			}
		}
		if s.left.crash > 0 {
			st.do(event{what: crashes, p: p}, func(w *world) { w.left.crash--; w.crash(p) })
		}
	}
}

// pass is what p's application can do with q.
func (st *stepper) pass(p, q proc) {
	s := st.from
	if s.left.send == 0 || s.slot() < 0 {
		return
	}
	if !st.m.NoCalls && s.up[q] && s.open[p][q] && s.open[q][p] && s.gen[p][q] == s.gen[q][p] && !s.broken[p][q] && !s.broken[q][p] {
		st.do(event{what: calls, p: p, q: q}, func(w *world) {
			w.left.send--
			w.tr[w.slot()] = transfer{phase: asked, from: q, to: p, result: true, gen: w.gen[p][q]}
		})
	}
	may := s.open[p][q] || s.closed[p][q] && !st.m.keeps(NoPinForTheGone) || !s.closed[p][q] && !st.m.keeps(OnlyOpen)
	for x := range uint8(st.m.Objects) {
		if s.mayPass(st.m, p, x) && may {
			st.do(event{what: passes, p: p, q: q, x: x}, func(w *world) {
				w.left.send--
				i := w.slot()
				w.tr[i] = transfer{from: p, to: q}
				w.send(uint8(i), x)
			})
		}
	}
}

// transfer is what can happen to transfer i.
func (st *stepper) transfer(i uint8) {
	t := st.from.tr[i]
	e := event{p: t.to, q: t.from, x: t.obj, t: i}
	switch t.phase {
	case asked:
		if st.from.arrives(t.from, t.to, t.stale) {
			st.do(event{what: accepts, p: t.from, q: t.to, t: i}, func(w *world) { w.accept(i) })
		}
	case run:
		st.reply(i, t)
	case flight:
		if !st.from.arrives(t.to, t.from, t.stale) {
			break
		}
		e.what = delivers
		st.do(e, func(w *world) { w.deliver(i) })
		if st.from.left.refuse > 0 {
			e.what = refuses
			st.do(e, func(w *world) { w.left.refuse--; w.refuse(i) })
		}
	}
	if t.result && !t.abandoned && st.from.up[t.to] && (t.phase == asked || t.phase == run || t.phase == flight) {
		e.what = abandons
		st.do(e, func(w *world) { w.abandon(i) })
	}
	if t.wait > 0 && st.from.left.giveIn > 0 {
		e.what = givesIn
		st.do(e, func(w *world) { w.left.giveIn--; w.discharge(i, true) })
	}
}

// reply is what the callee of t can return.
func (st *stepper) reply(i uint8, t transfer) {
	e := event{what: returnsNothing, p: t.from, q: t.to, t: i}
	st.do(e, func(w *world) { w.tr[i] = transfer{} })
	if !st.from.open[t.from][t.to] {
		return
	}
	for x := range uint8(st.m.Objects) {
		if st.from.mayPass(st.m, t.from, x) {
			e.what, e.x = returns, x
			st.do(e, func(w *world) { w.send(i, x) })
		}
	}
}

// object is what can happen to x, or to a stub of it, at p.
func (st *stepper) object(p proc, x uint8) {
	s, e := st.from, event{p: p, x: x}
	if st.m.Owner[x] == p {
		st.own(p, x)
		return
	}
	n := s.entry[p][x]
	if n.app {
		e.what = drops
		st.do(e, func(w *world) { w.entry[p][x].app = false })
	}
	if n.old {
		e.what = cleansUp
		st.do(e, func(w *world) { w.cleanUp(p, x) })
	}
	switch {
	case n.linger:
		e.what = cleans
		st.do(e, func(w *world) { w.clean(p, x) })
	case n.reg && !s.held(p, x):
		e.what = lingers
		st.do(e, func(w *world) { w.entry[p][x].linger = true })
	}
}

// own is what can happen to p's object x.
func (st *stepper) own(p proc, x uint8) {
	s, e := st.from, event{p: p, x: x}
	if s.root[x] {
		e.what = drops
		st.do(e, func(w *world) { w.root[x] = false })
	}
	if s.alive[x] && !s.held(p, x) && s.holds[x] == [procs]bool{} {
		e.what = collects
		st.do(e, func(w *world) { w.alive[x] = false })
	}
	if s.alive[x] && s.left.unexport > 0 {
		e.what = unexports
		st.do(e, func(w *world) { w.left.unexport--; w.unexport(p, x) })
	}
	if s.removed[x] && s.root[x] && !st.m.keeps(NewID) {
		e.what = exports
		st.do(e, func(w *world) { w.alive[x], w.removed[x] = true, false })
	}
}

// session is what can happen to p's session with q.
func (st *stepper) session(p, q proc) {
	s, e := st.from, event{p: p, q: q}
	switch {
	case s.closed[p][q]:
	case !s.up[q]:
		e.what = buries
		st.do(e, func(w *world) { w.bury(p, q) })
	case s.broken[p][q]:
		e.what = notices
		st.do(e, func(w *world) { w.notice(p, q) })
	}
	if s.closed[p][q] || !s.up[q] {
		return
	}
	if s.left.expire > 0 && s.gen[p][q] < maxGen {
		e.what = expires
		st.do(e, func(w *world) { w.left.expire--; w.reset(p, q, w.gen[p][q]+1, false) })
	}
	if p < q && s.left.lose > 0 && !s.broken[p][q] && !s.broken[q][p] {
		e.what = loses
		st.do(e, func(w *world) { w.left.lose--; w.lose(p, q) })
	}
	if n := s.wire[p][q].opens(); n > 0 {
		e.what = forgets
		st.do(e, func(w *world) {
			for range n {
				w.wire[p][q].take(0)
			}
		})
	}
}

// control is what p can read of q's control stream: the next op, or one like it, or the one behind acks, since an ack can come later
// than it might, or never, but not earlier.
func (st *stepper) control(p, q proc) {
	f := &st.from.wire[q][p]
	for i, o := range f.ops[:f.n] {
		if o.kind() == opXquery && st.from.broken[p][q] || st.m.keeps(InOrder) && !f.readable(i) {
			continue
		}
		st.do(event{what: applies, p: p, q: q, op: o}, func(w *world) { w.read(p, q, uint8(i)) })
	}
}

// readable reports whether op i may be the next.
func (f *fifo) readable(i int) bool {
	o := f.ops[i]
	for _, before := range f.ops[:i] {
		if !alike(before, o) && (before.kind() != opAck || o.kind() == opAck) {
			return false
		}
	}
	return true
}
