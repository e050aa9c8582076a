package refs

import (
	"errors"
	"fmt"
	"math"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rmigo/rmigo/internal/wire"
)

// lineups are the one-way calls that a link's peer has sent, by object. mu is held for map work only.
type lineups struct {
	last     atomic.Pointer[lineup] // that a call was for: the next one is for the same object as a rule
	size     atomic.Int64           // that they are counted as
	mu       sync.Mutex
	byObject map[ObjectID]*lineup
	shut     bool
}

// lineup is the one-way calls that a link's peer has sent to one object: a worker runs them one at a time, in the order of their
// numbers, and meanwhile two-way calls that come after some of them wait here.
//
// Invariant: while the next call is there, working is true and a worker has the lineup, or is about to. What waits holds no goroutine.
// mu is never held while a call runs or a frame is sent. The worker takes all calls that wait at once; a two-way call that comes after one
// of them is counted in gates before it looks at done, and the worker looks at gates after it has set done, so that one of them sees the other.
type lineup struct {
	l      *link
	object ObjectID
	token  atomic.Uint64 // of the call that runs; 0: none does

	current atomic.Pointer[callContext] // of that; nil: none

	done  atomic.Uint64 // all up to this one have ended
	told  atomic.Uint64 // all up to this one, the caller knows that
	gates atomic.Int32  // two-way calls that wait, or are about to
	shut  atomic.Bool

	batch []queued     // the worker's: those that it has taken
	at    atomic.Int64 // the next of them; the end of the link takes the others
	row   *queued      // of them, a ROW that is not through; nil: none is
	left  int          // how many of its calls are left,
	rest  []byte       // and those, unless they are refused
	one   queued       // the one of them that runs
	part  queuedMore   // and what it has
	spare *callContext // that the next one may have; nil: it takes one of its own
	in    *Incoming    // and what they are served by, one after another; nil: one is to be had

	mu      sync.Mutex
	taken   uint64 // up to this one the worker has them, or they have ended
	queue   []queued
	waiting uint64                       // calls in it
	ahead   map[uint64]queued            // that overtook others, by their first places; nil: none did
	places  *[wire.RowWindow / 64]uint64 // a bit for each place of those, by the place's remainder
	working bool
	gated   []*behind
}

// recordSize is what a call that waits is counted as, beside the memory of its arguments, and what it is counted as again if it has what most have not.
const recordSize = 128

// queued is a one-way call that waits for those before it, or several at successive places that have come together. There may be thousands,
// in a row in memory: what most have not is apart.
type queued struct {
	number, slot, method uint64
	timeout              time.Duration
	more                 *queuedMore // nil: nothing
	length               uint8       // of the body, where that is in small
	small                [47]byte
}

type queuedMore struct {
	count   int // of the calls that came as a ROW, in body; 0: it is a ONEWAY
	pinned  bool
	pairs   map[string]pair
	body    []byte // that is not in small
	frame   []byte // the buffer that body is part of, where it has one of its own
	size    int64  // of that memory, counted in Node.pendingBytes
	refused *Error
}

// rest returns what most calls have not, to be filled in.
func (q *queued) rest() *queuedMore {
	if q.more == nil {
		q.more = &queuedMore{}
	}
	return q.more
}

// body returns the arguments, which are valid until the record is.
func (q *queued) body() []byte {
	if q.more != nil && q.more.body != nil {
		return q.more.body
	}
	return q.small[:q.length]
}

func (q *queued) refused() *Error {
	if q.more == nil {
		return nil
	}
	return q.more.refused
}

func (q *queued) isRow() bool { return q.more != nil && q.more.count > 0 }

// calls returns how many it stands for.
func (q *queued) calls() uint64 {
	if q.isRow() {
		return uint64(q.more.count)
	}
	return 1
}

// behind is a two-way call that waits for one-way calls.
type behind struct {
	waiter
	u     *lineup
	after uint64
}

func (l *link) lineup(object ObjectID) (*lineup, error) {
	s := &l.lineups
	if u := s.last.Load(); u != nil && u.object == object && !u.shut.Load() {
		return u, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.byObject[object]
	switch {
	case s.shut:
		return nil, errLinkEnded
	case u == nil && len(s.byObject) == wire.MostRows:
		return nil, &wire.FrameError{Kind: wire.OneWayFrame, Says: fmt.Sprintf("to more than %d objects", wire.MostRows)}
	case u == nil:
		u = &lineup{l: l, object: object}
		if s.byObject == nil {
			s.byObject = map[ObjectID]*lineup{}
		}
		s.byObject[object] = u
	}
	s.last.Store(u)
	return u, nil
}

// takeOneWay puts a one-way call where it belongs. It runs where bytes are received: it never waits.
func (l *link) takeOneWay(h wire.CallHeader, frame, body []byte, lent bool, unfit *Error) error {
	n := l.node
	u, err := l.lineup(h.Object)
	if err != nil {
		return err
	}
	if h.Pinned && !l.line.Arrived(Message{Call: h.Number}) {
		return nil // the connection is over
	}
	q := queued{number: h.Number, slot: h.Slot, method: h.Method, timeout: h.Timeout}
	if h.Pinned {
		q.rest().pinned = true
	}
	if unfit != nil {
		q.rest().refused = unfit
	}
	if h.Extensions != nil {
		m, err := wire.ReadMetadata(h.Extensions, n.cfg.Limits.MetadataBytes)
		switch {
		case errors.Is(err, wire.ErrMetadata):
			q.rest().refused = &Error{Kind: ErrLimit, Err: tooMuchMetadata(n.cfg.Limits.MetadataBytes)}
		case err != nil:
			return err
		}
		if pairs := arrived(m); pairs != nil {
			q.rest().pairs = pairs
		}
	}
	q.keep(n, frame, body, lent)
	return u.queueUp(&q)
}

// queueUp has a call wait for its turn.
func (u *lineup) queueUp(q *queued) error {
	if err := u.l.count(q); err != nil {
		u.drop(q)
		return err
	}
	work, err := u.add(q)
	switch {
	case err != nil:
		u.drop(q)
	case work:
		u.hire()
	}
	return err
}

// takeRow is takeOneWay for several calls at once.
func (l *link) takeRow(frame []byte, lent bool) error {
	h, calls, count, err := wire.ParseRow(frame)
	if err != nil {
		return err
	}
	l.touch()
	u, err := l.lineup(h.Object)
	if err != nil {
		return err
	}
	q := queued{slot: h.Place, method: h.Method, timeout: h.Timeout, more: &queuedMore{count: count}}
	q.keep(l.node, frame, calls, lent)
	return u.queueUp(&q)
}

// keep takes the arguments over, unless too much waits already.
func (q *queued) keep(n *Node, frame, body []byte, lent bool) {
	switch {
	case n.draining.Load():
		q.rest().refused = &Error{Kind: ErrNodeClosed, Err: errors.New("the process is shutting down")}
	case n.pendingBytes.Load()+int64(len(body)) > n.cfg.Limits.PendingBytes && n.pendingBytes.Load() > 0:
		q.rest().refused = tooMuchPending(n.cfg.Limits.PendingBytes)
	}
	refused := q.refused() != nil
	switch {
	case refused && lent:
	case refused:
		n.buffers.Put(frame)
	case q.isRow():
		if q.more.body = slices.Clone(body); !lent {
			n.buffers.Put(frame)
		}
	case len(body) <= len(q.small):
		if q.length = uint8(copy(q.small[:], body)); !lent {
			n.buffers.Put(frame)
		}
	case lent:
		q.rest().body = slices.Clone(body)
	default:
		m := q.rest()
		m.body, m.frame = body, frame
	}
	if m := q.more; m != nil {
		m.size = 2*recordSize + int64(max(len(m.body), cap(m.frame)))
	}
}

// size is what the call is counted as in Node.pendingBytes. The last call of a ROW has that of the whole.
func (q *queued) size() int64 {
	if q.more == nil {
		return recordSize
	}
	return q.more.size
}

// count counts a call that is to wait. Those that are refused for what the others take wait as well, until it is their turn to be told of; a peer
// that makes many of these loses its connection.
func (l *link) count(q *queued) error {
	n := l.node
	n.pendingBytes.Add(q.size())
	mine, bound := l.lineups.size.Add(q.size()), n.cfg.Limits.PendingBytes
	if q.refused() != nil && mine > bound/4 && n.pendingBytes.Load() > bound {
		l.fail(&Error{Kind: ErrOverloaded, Err: fmt.Errorf("the one-way calls of this peer that wait take more than a quarter of %d bytes (Limits.PendingBytes)", bound)})
		return errLinkEnded
	}
	return nil
}

// add takes a call in; work: a worker is wanted.
func (u *lineup) add(q *queued) (work bool, err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	s, next, last := q.slot, u.taken+u.waiting+1, q.slot+q.calls()-1
	switch {
	case s < next || last < s || last > u.told.Load()+wire.RowWindow || u.overtook(s, last):
		return false, &wire.FrameError{Kind: wire.OneWayFrame, Says: fmt.Sprintf("its place in the row, %d, is taken or out of bounds", s)}
	case u.shut.Load():
		u.drop(q)
		return false, nil
	case s > next:
		if u.ahead == nil {
			u.ahead, u.places = map[uint64]queued{}, new([wire.RowWindow / 64]uint64)
		}
		u.ahead[s] = *q
		u.mark(q)
		return false, nil
	}
	u.enqueue(q)
	for len(u.ahead) > 0 {
		next, there := u.ahead[u.taken+u.waiting+1]
		if !there {
			break
		}
		delete(u.ahead, next.slot)
		u.mark(&next)
		u.enqueue(&next)
	}
	if len(u.ahead) == 0 {
		u.ahead, u.places = nil, nil
	}
	work, u.working = !u.working, true
	return work, nil
}

// enqueue has the next call wait for the worker. mu is held.
func (u *lineup) enqueue(q *queued) {
	u.queue = append(u.queue, *q)
	u.waiting += q.calls()
}

// overtook reports whether a call at one of the places is there already that overtook others. mu is held.
func (u *lineup) overtook(first, last uint64) bool {
	for s := first; s <= last && u.ahead != nil; s++ {
		if u.places[s%wire.RowWindow/64]&(1<<(s%64)) != 0 {
			return true
		}
	}
	return false
}

// mark notes of each place of what overtook others that it is taken, or, the second time, that it is not. mu is held.
func (u *lineup) mark(q *queued) {
	for s := q.slot; s < q.slot+q.calls(); s++ {
		u.places[s%wire.RowWindow/64] ^= 1 << (s % 64)
	}
}

// hire has a worker take the lineup.
func (u *lineup) hire() {
	n := u.l.node
	n.calls.begin()
	n.workers.do(u)
}

// serve runs calls until the next one is not there yet.
func (u *lineup) serve() {
	n := u.l.node
	defer n.calls.done()
	for q := u.next(); q != nil; q = u.next() {
		u.run(q)
		q.more = nil // the record's memory is used again only later
	}
}

// next returns the next call, nil if there is none.
func (u *lineup) next() *queued {
	for u.row == nil {
		at := u.at.Load()
		switch {
		case int(min(at, math.MaxInt32)) >= len(u.batch):
			if !u.take() {
				return nil
			}
		case u.at.CompareAndSwap(at, at+1):
			q := &u.batch[at]
			if !q.isRow() {
				return q
			}
			u.row, u.left, u.rest = q, q.more.count, q.more.body
			u.one, u.part = queued{slot: q.slot - 1, method: q.method, timeout: q.timeout}, queuedMore{refused: q.refused()}
		}
	}
	return u.nextOfRow()
}

// nextOfRow returns the next call of a ROW.
func (u *lineup) nextOfRow() *queued {
	if u.rest != nil {
		u.part.body, u.rest = wire.NextInRow(u.rest)
	}
	u.one.slot++
	u.one.more = &u.part
	if u.left--; u.left == 0 {
		u.part.size = u.row.size()
		u.row.more, u.row, u.rest = nil, nil, nil
	}
	return &u.one
}

// take takes all calls out that are there; false: there are none, and the worker has the lineup no more.
func (u *lineup) take() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.queue) == 0 {
		u.queue, u.batch, u.part, u.working = nil, nil, queuedMore{}, false
		u.at.Store(0)
		if u.in != nil {
			u.l.node.incoming.Put(u.in)
			u.in = nil
		}
		if u.spare != nil {
			u.spare.end(nil)
			u.spare = nil
		}
		return false
	}
	u.batch, u.queue = u.queue, u.batch[:0]
	u.at.Store(0)
	u.taken += u.waiting
	u.waiting = 0
	return true
}

// idle reports whether no further call is there.
func (u *lineup) idle() bool {
	if u.row != nil || u.at.Load() < int64(len(u.batch)) {
		return false
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.queue) == 0
}

// run runs one call, and says what became of it.
func (u *lineup) run(q *queued) {
	n := u.l.node
	switch {
	case u.shut.Load(): // the link has ended, and it has not begun
		u.drop(q)
		return
	case q.refused() != nil:
		u.drop(q)
		u.ended(q, wire.ReplyError|wire.ReplyRuntime|wire.ReplyNotStarted, wire.AppendError(n.codec, n.runtimeTable, nil, nil, q.refused()))
		return
	case q.method == methodNothing:
		u.drop(q)
		u.ended(q, 0, nil)
		return
	}
	in := u.incoming(q)
	n.rootCalls.Add(1)
	u.token.Store(in.ctx.token)
	u.current.Store(in.ctx)
	if u.shut.Load() { // and the end of the link may not have seen it
		in.ctx.end(errLinkEnded)
	}
	returned := false
	defer func() {
		if !returned { // the method called runtime.Goexit, which ends this worker
			u.finish(in, q, in.exited(debug.Stack()), true)
			u.in = nil
			u.hire()
		}
	}()
	n.turns.await(in)
	err := in.call()
	returned = true
	u.finish(in, q, err, !in.begun)
	in.clear()
}

// incoming makes a call to be served of a queued one.
func (u *lineup) incoming(q *queued) *Incoming {
	n := u.l.node
	if u.in == nil {
		u.in = n.newIncoming()
		u.in.object = u.object
		u.in.arrives = courier{node: n, link: u.l}
		u.in.leaves = courier{node: n, link: u.l, in: Message{Result: true}}
	}
	in := u.in
	in.Method, in.body, in.size = q.method, q.body(), q.size()
	in.arrives.in.Call, in.leaves.in.Call = q.number, q.number
	in.leaves.in.method, in.leaves.references = q.method, 0
	in.ctx = u.context(q)
	if m := q.more; m != nil {
		in.frame, in.arrives.pinned = m.frame, m.pinned
		in.ctx.bring(m.pairs, nil)
	}
	if q.timeout > 0 {
		in.ctx.until(time.Now(), q.timeout)
	}
	return in
}

// context returns a context for a call: where nobody has asked that of the last one anything, and the two calls have come with nothing
// by which they could be told apart, it is the same.
func (u *lineup) context(q *queued) *callContext {
	if c := u.spare; c != nil && q.number == 0 && q.timeout == 0 {
		u.spare = nil
		c.export.Store(nil) // it may be withdrawn by now
		return c
	}
	return &callContext{link: u.l, number: q.number, token: newToken()}
}

// leave ends the context of a call that has ended, unless it may serve another one.
func (u *lineup) leave(c *callContext) {
	if u.spare == nil && c.number == 0 && c.due == 0 && c.unasked() {
		u.spare = c
		return
	}
	c.end(nil)
}

// finish ends a call that was run; runtime: the error, if there is one, is not the method's.
func (u *lineup) finish(in *Incoming, q *queued, err error, runtime bool) {
	u.token.Store(0)
	u.current.Store(nil)
	if in.leaves.pinned { // results of a one-way call go nowhere
		in.leaves.pinned = false
		u.l.line.Unsent(in.leaves.in)
	}
	flags, item := wire.ReplyFlags(0), []byte(nil)
	e := in.panicked(err)
	if e == nil && runtime {
		e = asError(err)
	}
	switch {
	case e != nil:
		flags = wire.ReplyError | wire.ReplyRuntime
		if !in.begun {
			flags |= wire.ReplyNotStarted
		}
		item = wire.AppendError(in.node.codec, in.table(), nil, nil, e)
	case err != nil:
		flags, item = wire.ReplyError, wire.AppendError(in.node.codec, in.table(), nil, nil, err)
	}
	in.received()
	u.leave(in.ctx)
	in.settle()
	u.l.lineups.size.Add(-in.size)
	u.ended(q, flags, item)
}

var errLinkEnded = errors.New("the connection has ended")

// cancelIf ends the contexts of one-way calls that run.
func (s *lineups) cancelIf(which func(*callContext) bool, why error) {
	s.mu.Lock()
	var calls []*callContext
	for _, u := range s.byObject {
		if c := u.current.Load(); c != nil && which(c) {
			calls = append(calls, c)
		}
	}
	s.mu.Unlock()
	for _, c := range calls {
		c.end(why)
	}
}

// ended notes that a call has ended, tells the caller when it should know, and lets go who waited for it.
func (u *lineup) ended(q *queued, flags wire.ReplyFlags, item []byte) {
	s := q.slot
	u.done.Store(s)
	var free []*behind
	if u.gates.Load() > 0 {
		free = u.pass(s)
	}
	if item != nil || s-u.told.Load() >= linesPerNotice || u.idle() {
		u.told.Store(s)
		frame := wire.AppendDone(nil, wire.DoneHeader{Flags: flags, Sequence: s, Object: u.object, Method: q.method})
		frame = append(frame, item...)
		if err := wire.FinishFrame(frame); err == nil {
			u.l.out.post(frame)
		}
	}
	for _, g := range free {
		g.stop(u.l.node)
		u.l.node.start(g.in, nil)
	}
}

// pass takes those out that wait for calls up to one.
func (u *lineup) pass(s uint64) (free []*behind) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.gated = slices.DeleteFunc(u.gated, func(g *behind) bool {
		if g.after > s {
			return false
		}
		free = append(free, g)
		return true
	})
	u.gates.Add(-int32(len(free)))
	return free
}

// gate has a two-way call wait for the one-way calls up to one; false: it need not.
func (s *lineups) gate(in *Incoming, after uint64) bool {
	u, err := in.ctx.link.lineup(in.object)
	if err != nil {
		return false
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.gates.Add(1)
	if u.shut.Load() || after <= u.done.Load() || after > u.told.Load()+wire.RowWindow || in.ctx.on(u.token.Load()) {
		u.gates.Add(-1)
		return false
	}
	g := &behind{waiter: waiter{in: in}, u: u, after: after}
	u.gated = append(u.gated, g)
	g.watch(in.node, g)
	return true
}

// holder implements wait: the call that the first of those that it waits for is.
func (g *behind) holder() uint64 { return g.u.token.Load() }

// refuse implements wait.
func (g *behind) refuse(why *Error) bool {
	u := g.u
	u.mu.Lock()
	i := slices.Index(u.gated, g)
	if i >= 0 {
		u.gated = slices.Delete(u.gated, i, i+1)
		u.gates.Add(-1)
	}
	u.mu.Unlock()
	if i < 0 {
		return false
	}
	g.stop(u.l.node)
	g.in.refused = why
	u.l.node.workers.do(g.in)
	return true
}

// drop gives up a call that will not be run. mu may be held.
func (u *lineup) drop(q *queued) {
	u.l.node.pendingBytes.Add(-q.size())
	u.l.lineups.size.Add(-q.size())
	u.forget(q)
}

// forget lets go of a call's arguments, and of what they refer to.
func (u *lineup) forget(q *queued) {
	if q.more == nil {
		return
	}
	if q.more.pinned {
		u.l.line.Done(Message{Call: q.number})
	}
	if q.more.frame != nil {
		u.l.node.buffers.Put(q.more.frame)
	}
}

// end drops what has not begun on a link that has ended.
func (s *lineups) end() {
	s.mu.Lock()
	s.shut = true
	all := s.byObject
	s.byObject = nil
	s.mu.Unlock()
	for _, u := range all {
		u.mu.Lock()
		u.shut.Store(true)
		dropped := u.queue
		if at := u.at.Swap(math.MaxInt64); at < int64(len(u.batch)) {
			dropped = slices.Concat(dropped, u.batch[at:])
		}
		for _, q := range u.ahead {
			dropped = append(dropped, q)
		}
		gated := u.gated
		u.queue, u.ahead, u.gated = nil, nil, nil
		u.gates.Add(-int32(len(gated)))
		u.mu.Unlock()
		if c := u.current.Load(); c != nil { // what runs later looks at shut
			c.end(errLinkEnded)
		}
		for i := range dropped {
			u.drop(&dropped[i])
		}
		for _, g := range gated { // whose contexts have ended
			g.stop(u.l.node)
			u.l.node.workers.do(g.in)
		}
	}
}
