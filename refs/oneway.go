package refs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rmigo/rmigo/internal/wire"
)

// One-way calls at the caller; lineup.go is the callee's side.
//
// Those that go to one object over one connection are a row: they are numbered, so that the callee runs them in order whichever way
// each of them took, and two-way calls name the last one that they have to come after. The callee says how far it has come, and what
// failed. An object's calls change to the row of another connection only when the old one is done with, or lost.

const (
	featureOrder = 1 << 2
	featureRows  = 1 << 5

	methodNothing uint64 = 0 // of a ONEWAY that stands for one that was never sent

	rowBytes       = 4 << 20 // arguments of a row's calls that are under way; a single call may have more
	mostTold       = 16      // failures of which Flush tells more than the number
	mostToldBytes  = 4 << 10 // of one such
	mostRowFaces   = 16
	linesPerNotice = wire.RowWindow / 16 // calls after which the callee says how far it has come
)

// OneWays counts the one-way calls that a node has made.
type OneWays struct {
	Sent   uint64 // queued, of which
	Ended  uint64 // ran, or were refused by the object's process, of which
	Failed uint64 // returned an error, or were refused
	Lost   uint64 // may have run: their connection ended before it was heard of them
}

// oneWays is OneWays while it is counted.
type oneWays struct{ sent, ended, failed, lost atomic.Uint64 }

// OneWays returns the counts so far.
func (n *Node) OneWays() OneWays {
	c := &n.oneWays
	return OneWays{Sent: c.sent.Load(), Ended: c.ended.Load(), Failed: c.failed.Load(), Lost: c.lost.Load()}
}

// OneWayError says what became of one-way calls on an object since it was last asked: it is what Flush returns where some failed.
type OneWayError struct {
	Ref    Ref
	Failed uint64  // returned an error, or were refused
	Lost   uint64  // may have run: their connection ended before it was heard of them
	First  []error // the first of both, at most 16
}

// Error counts, and tells the first.
func (e *OneWayError) Error() string {
	s := fmt.Sprintf("rmi: one-way calls on %v: %d failed, %d may have been lost", e.Ref, e.Failed, e.Lost)
	if len(e.First) > 0 {
		s += ": " + e.First[0].Error()
	}
	return s
}

// Unwrap returns the first failures.
func (e *OneWayError) Unwrap() []error { return e.First }

// tally is what became of the one-way calls to an object. mu is a leaf.
type tally struct {
	mu           sync.Mutex
	failed, lost uint64
	told         []told
}

// told is a failure as it came; it is read when it is asked for.
type told struct {
	flags  wire.ReplyFlags
	face   *Face
	method uint64
	item   []byte
	lost   *Error // instead of an item
}

func (t *tally) add(failed, lost uint64, what told) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.failed += failed
	t.lost += lost
	if len(t.told) < mostTold && len(what.item) <= mostToldBytes {
		t.told = append(t.told, what)
	}
}

// take returns what there is to tell, and begins anew.
func (t *tally) take(h *Handle) error {
	t.mu.Lock()
	e := &OneWayError{Failed: t.failed, Lost: t.lost}
	all := t.told
	t.failed, t.lost, t.told = 0, 0, nil
	t.mu.Unlock()
	if e.Failed == 0 && e.Lost == 0 {
		return nil
	}
	e.Ref = h.Ref()
	for _, one := range all {
		e.First = append(e.First, one.read(h))
	}
	return e
}

// read makes an error of it.
func (t told) read(h *Handle) error {
	var e *Error
	if t.lost != nil {
		e = asError(t.lost)
	} else {
		n := h.Node()
		failure, _, err := wire.ReadError(t.face.codecOf(n), t.face.table, &courier{node: n}, t.item)
		switch {
		case err != nil:
			kind, reason := codecKind(err)
			e = &Error{Kind: kind, Reason: reason, Err: err}
		case t.flags&wire.ReplyRuntime == 0:
			return failure
		default:
			e = asError(failure)
			e.Remote, e.NotRun = true, t.flags&wire.ReplyNotStarted != 0
		}
	}
	e.Op, e.Ref, e.Method, e.On, e.URL, e.innerNotRun = opCall, h.Ref(), t.face.methodName(t.method), "", "", false
	return e
}

// rows are those of one link. mu is held for map work only.
type rows struct {
	mu       sync.Mutex
	byObject map[ObjectID]*row
	shut     bool
}

// row is the one-way calls to one object over one link. Those from done+1 to sent are under way; meanwhile it holds the object, and the
// link as calls that wait do. mu comes before slots.mu and tally.mu.
type row struct {
	link   *link
	object ObjectID
	tally  *tally

	mu     sync.Mutex
	handle *Handle // while some are under way
	faces  []*Face // through which calls were made
	sent   uint64
	done   uint64
	sizes  []uint32      // of those under way
	bytes  int           // the sum
	voided []uint64      // of those under way, what was never sent
	change chan struct{} // closed at the next change, for those who wait; nil: nobody does
	gone   bool
}

// on returns the object's row on the link, once none is under way on another one.
func (h *Handle) rowOn(ctx context.Context, l *link) (*row, error) {
	old := h.row.Load()
	if old != nil && old.link == l {
		return old, nil
	}
	t := &tally{}
	if old != nil {
		if err := old.settle(ctx); err != nil {
			return nil, err
		}
		t = old.tally
	}
	l.rows.mu.Lock()
	defer l.rows.mu.Unlock()
	r := l.rows.byObject[h.id.Object]
	switch {
	case l.rows.shut:
		return nil, errRowGone
	case r == nil && len(l.rows.byObject) == wire.MostRows:
		return nil, &Error{Kind: ErrLimit, Err: fmt.Errorf("this connection has had one-way calls to %d objects, and takes no more", wire.MostRows)}
	case r == nil:
		r = &row{link: l, object: h.id.Object, tally: t}
		if l.rows.byObject == nil {
			l.rows.byObject = map[ObjectID]*row{}
		}
		l.rows.byObject[h.id.Object] = r
	}
	h.row.Store(r)
	return r, nil
}

var errRowGone = errors.New("the connection has ended")

// settle returns when nothing is under way any more.
func (r *row) settle(ctx context.Context) error {
	for {
		r.mu.Lock()
		if r.gone || r.sent == r.done {
			r.mu.Unlock()
			return nil
		}
		change := r.wait()
		r.mu.Unlock()
		select {
		case <-change:
		case <-ctx.Done():
			return &Error{Err: fmt.Errorf("one-way calls on another connection come first: %w", contextError(ctx))}
		}
	}
}

// wait returns a channel that is closed at the next change. mu is held.
func (r *row) wait() <-chan struct{} {
	if r.change == nil {
		r.change = make(chan struct{})
	}
	return r.change
}

func (r *row) signal() {
	if r.change != nil {
		close(r.change)
		r.change = nil
	}
}

// reserve gives a call of that many bytes its place in the row. Where the row is full it waits: until ctx ends, and no longer than a peer
// may be silent without anything of the row coming to its end.
func (r *row) reserve(c *Outgoing, size int) (sequence uint64, err error) {
	for {
		sequence, full, err := r.enter(c, size)
		if full == nil {
			return sequence, err
		}
		if err := r.awaitRoom(c.ctx, full); err != nil {
			return 0, err
		}
	}
}

// enter is reserve where there is room; where there is not, full is closed at the next change.
func (r *row) enter(c *Outgoing, size int) (sequence uint64, full <-chan struct{}, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.gone:
		return 0, nil, errRowGone
	case r.sent-r.done == wire.RowWindow || r.bytes > 0 && r.bytes+size > rowBytes:
		return 0, r.wait(), nil
	case r.sent == r.done && !r.link.waiting.hold():
		return 0, nil, errRowGone
	}
	if r.handle != c.handle {
		r.handle = c.handle
	}
	if !slices.Contains(r.faces, c.face) && len(r.faces) < mostRowFaces {
		r.faces = append(r.faces, c.face)
	}
	r.sent++
	r.sizes = append(r.sizes, uint32(size))
	r.bytes += size
	return r.sent, nil, nil
}

func (r *row) awaitRoom(ctx context.Context, change <-chan struct{}) error {
	timer := time.NewTimer(r.link.dead)
	defer timer.Stop()
	select {
	case <-change:
		return nil
	case <-ctx.Done():
		return &Error{Err: fmt.Errorf("%w: %w", errRowFull, contextError(ctx))}
	case <-timer.C:
		return &Error{Kind: ErrOverloaded, Err: fmt.Errorf("%w, and none of them has ended for %v", errRowFull, r.link.dead)}
	}
}

var errRowFull = errors.New("as many one-way calls as may be are under way to the object")

// pending returns the place of the last one under way; 0: none is.
func (r *row) pending() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.sent == r.done {
		return 0
	}
	return r.sent
}

// void gives up a place that was reserved: its call is not sent.
func (r *row) void(sequence uint64) {
	r.mu.Lock()
	gone := r.gone
	if !gone {
		r.voided = append(r.voided, sequence)
	}
	r.mu.Unlock()
	if gone {
		r.tally.mu.Lock()
		r.tally.lost--
		r.tally.mu.Unlock()
		r.link.node.oneWays.lost.Add(^uint64(0))
		return
	}
	n := r.link.node
	frame := wire.AppendCallHeader(nil, wire.CallHeader{OneWay: true, Number: n.number.Add(1), Slot: sequence, Object: r.object, Method: methodNothing})
	if err := wire.FinishFrame(frame); err == nil {
		r.link.out.post(frame)
	}
}

// ended takes in how far the callee has come.
func (r *row) ended(h wire.DoneHeader, item []byte) error {
	n := r.link.node
	r.mu.Lock()
	if r.gone { // they are counted as lost
		r.mu.Unlock()
		return nil
	}
	if h.Sequence > r.sent || h.Sequence <= r.done {
		r.mu.Unlock()
		return &wire.FrameError{Kind: wire.DoneFrame, Says: "it ends what is not under way"}
	}
	count := h.Sequence - r.done
	for _, size := range r.sizes[:count] {
		r.bytes -= int(size)
	}
	r.sizes = append(r.sizes[:0], r.sizes[count:]...)
	r.done = h.Sequence
	voided := len(r.voided)
	r.voided = slices.DeleteFunc(r.voided, func(sequence uint64) bool { return sequence <= h.Sequence })
	ended := count - uint64(voided-len(r.voided))
	idle := r.sent == r.done
	if idle {
		r.handle = nil
		if cap(r.sizes) > 64 {
			r.sizes = nil
		}
	}
	face := r.faceOf(h.Method)
	r.signal()
	r.mu.Unlock()
	n.oneWays.ended.Add(ended)
	if h.Flags&wire.ReplyError != 0 {
		n.oneWays.failed.Add(1)
		r.tally.add(1, 0, told{flags: h.Flags, face: face, method: h.Method, item: slices.Clone(item)})
	}
	if idle {
		r.link.waiting.release()
	}
	return nil
}

// faceOf returns the interface through which the method was called. mu is held.
func (r *row) faceOf(method uint64) *Face {
	for _, f := range r.faces {
		if f.methods[method] != nil {
			return f
		}
	}
	return r.link.node.plain
}

// fail counts what is under way as lost.
func (r *row) fail(why *Error) {
	n := r.link.node
	r.mu.Lock()
	r.gone = true
	lost := r.sent - r.done - uint64(len(r.voided))
	face := n.plain
	if len(r.faces) > 0 {
		face = r.faces[len(r.faces)-1]
	}
	if lost > 0 { // counted before anybody hears that it is over
		n.oneWays.lost.Add(lost)
		r.tally.add(0, lost, told{face: face, lost: &Error{Kind: why.Kind, Err: why}})
	}
	r.handle, r.sizes = nil, nil
	r.signal()
	r.mu.Unlock()
	if lost > 0 {
		n.report(n.cfg.log.Error, "one-way calls may be lost", "interface", face.Name(), "peer", r.link.peer.id.String(), "calls", lost, "why", why.Error())
	}
}

// fail ends the rows of a link that has ended.
func (s *rows) fail(why *Error) {
	s.mu.Lock()
	s.shut = true
	all := s.byObject
	s.byObject = nil
	s.mu.Unlock()
	for _, r := range all {
		r.fail(why)
	}
}

// takeDone takes a DONE.
func (l *link) takeDone(frame []byte) error {
	h, item, err := wire.ParseDone(frame)
	if err != nil {
		return err
	}
	l.rows.mu.Lock()
	r, shut := l.rows.byObject[h.Object], l.rows.shut
	l.rows.mu.Unlock()
	switch {
	case shut:
		return nil
	case r == nil:
		return &wire.FrameError{Kind: wire.DoneFrame, Says: "it is of an object to which no one-way call was sent"}
	}
	l.out.unheard.Store(0) // the peer has read them
	return r.ended(h, item)
}

// queue has a one-way call sent. After an error it was not; gaveWay tells that the link is at its end, and another one would do.
func (c *Outgoing) queue(l *link, frame, extensions []byte) (gaveWay bool, err error) {
	r, err := c.handle.rowOn(c.ctx, l)
	if err == nil {
		c.slot, err = r.reserve(c, len(frame))
	}
	if err != nil {
		if errors.Is(err, errRowGone) {
			return true, &Error{Kind: ErrUnreachable, Err: err}
		}
		return false, err
	}
	h := wire.CallHeader{OneWay: true, Pinned: c.courier.pinned, Number: c.number, Slot: c.slot,
		Timeout: c.face.timeout(c.method), Object: c.handle.id.Object, Method: c.method, Extensions: extensions}
	l.touch()
	if b := l.wide(len(frame)); b != nil {
		wire.AppendCallHeader(frame[:0], h)
		_ = wire.FinishFrame(frame) // the peer's limit bounds it
		c.sendWide(b, frame, extensions != nil)
		return false, nil
	}
	if err = l.out.queueOneWay(c.ctx.Done(), frame, r, &h); err == nil {
		return false, nil
	}
	r.void(c.slot)
	if errors.Is(err, errNotQueued) {
		return false, &Error{Err: fmt.Errorf("%w: %w", errNotQueued, contextError(c.ctx))}
	}
	broken := l.broken(l.session, err)
	l.fail(broken)
	return true, broken
}

// after returns the place of the one-way call that this two-way one has to come after; 0: it need not wait.
func (c *Outgoing) after(l *link) (uint64, error) {
	r := c.handle.settled().row.Load()
	switch {
	case r == nil:
		return 0, nil
	case c.ahead: // in its pipe it waits for nobody
		return 0, r.settle(c.ctx)
	case r.link == l:
		return r.pending(), nil
	case c.in != nil && len(c.in.path()) > 0: // it may belong to what runs there
		return 0, nil
	}
	return 0, r.settle(c.ctx)
}

// extensions returns the extensions of the call, nil where there are none.
func (c *Outgoing) extensions(l *link) ([]byte, *Error) {
	m := wire.Metadata{}
	if c.pairs != nil {
		var e *Error
		if m, e = carried(c.pairs, l.node.cfg.Limits.MetadataBytes); e != nil {
			return nil, e
		}
	}
	if c.ahead {
		m.Pipe = c.pipe.id
	}
	if !c.oneWay && l.features&featureOrder != 0 {
		var err error
		if m.After, err = c.after(l); err != nil {
			return nil, asError(err)
		}
		if c.in != nil {
			m.Path = c.in.path()
		}
		if c.ticket != nil && len(m.Path) < wire.MostTokens {
			m.Path = append(slices.Clip(m.Path), c.ticket.token)
		}
	}
	return wire.AppendMetadata(nil, m), nil
}

// flushFace is the method by which Flush waits: it does nothing, in its order.
const methodFlush uint64 = 3

// Flush returns when the one-way calls that this process has made on the object have ended, and what has failed since it was last asked:
// a *OneWayError, or why it could not wait.
func (h *Handle) Flush(ctx context.Context) error {
	if err := h.awaitTold(ctx); err != nil {
		return err
	}
	h = h.settled()
	r := h.row.Load()
	if r == nil {
		return nil
	}
	var err error
	if r.pending() != 0 {
		c := h.Call(ctx, h.Node().plain, methodFlush, h.Node().direct)
		c.Invoke()
		if err = c.Finish(); err != nil {
			_ = r.settle(ctx) // where the connection has ended, it may just be about to say what is lost
		}
	}
	switch failed := r.tally.take(h); {
	case err == nil:
		return failed
	case failed == nil:
		return err
	default:
		return errors.Join(failed, err)
	}
}
