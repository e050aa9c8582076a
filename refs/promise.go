package refs

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"weak"

	"github.com/rmigo/rmigo/internal/wire"
)

// Promises, at the caller; vow.go is the callee's side.
//
// A promise is a handle of what a call under way is to return. A call on it goes at once to the process that serves the former, by the
// same link, and waits there for its object. A first call that returns a promise begins a pipe: all calls on what it promises, and on what
// those promise, run there one at a time in the order in which they were made. Where that cannot be (the link is gone, or what was promised
// turned out to live elsewhere) the pipe goes on from here: each call waits until the one before it has ended, and until its object is there.
//
// Invariant: calls enter a pipe in the order of its tickets, and each leaves it in Finish. Once a pipe goes on from here, it does so for
// ever, and what the callee refuses of it because of that is made again from here, in order.

// featurePipes is in force where both sides know promises and batches.
const featurePipes = 1 << 3

// promise is what a call under way is to return, as a handle has it.
type promise struct {
	pipe   *pipe
	number uint64        // of the call, as it was sent; 0: it was not. Written before it is said to be sent
	last   *forgotten    // what the callee is to be told when nobody has the promise any more
	done   chan struct{} // closed when the rest is there
	value  any
	handle *Handle // of value, where it is remote
	err    error
}

// pipe is a pipeline. mu is a leaf.
type pipe struct {
	node *Node
	id   uint64 // among the numbers of calls

	mu   sync.Mutex
	link *link   // by which its calls go ahead; nil: it goes on from here, or has not begun
	tail *ticket // of the last call that was made
	told *ticket // of the last one-way call that was; nil: none was
}

// ticket is a call's place in its pipe.
type ticket struct {
	token  uint64        // which the calls made on its behalf carry along
	done   chan struct{} // closed when it has ended; those before it may be under way
	before *ticket       // nil: those have ended. Guarded by pipe.mu
}

// previous returns the last call before this one that has not ended, nil if all have.
func (p *pipe) previous(t *ticket) *ticket {
	p.mu.Lock()
	defer p.mu.Unlock()
	for t.before != nil {
		select {
		case <-t.before.done:
			t.before = t.before.before
			continue
		default:
		}
		break
	}
	return t.before
}

// vowPrefix begins the ids of objects that a call is to return; its number follows.
const vowPrefix = "rmi:vow\x00"

func vowID(number uint64) (id ObjectID) {
	copy(id[:], vowPrefix)
	binary.BigEndian.PutUint64(id[len(vowPrefix):], number)
	return id
}

// vowed returns the number of the call that is to return the object.
func (o ObjectID) vowed() (number uint64, ok bool) {
	return binary.BigEndian.Uint64(o[len(vowPrefix):]), string(o[:len(vowPrefix)]) == vowPrefix
}

func (n *Node) newPipe() *pipe {
	p := &pipe{node: n, id: n.number.Add(1)}
	runtime.AddCleanup(p, (*forgotten).add, &forgotten{weak.Make(n), p.id})
	return p
}

// forgotten is a promise or a pipe that nobody has any more. Cleanups only note it; the next call, or tick of a link, tells the callees.
// As what a cleanup needs is a root, it does not keep the node.
type forgotten struct {
	node   weak.Pointer[Node]
	number uint64 // 0: no callee knows it
}

func (f *forgotten) add() {
	n := f.node.Value()
	if n == nil || f.number == 0 {
		return
	}
	n.forgets.mu.Lock()
	defer n.forgets.mu.Unlock()
	n.forgets.numbers = append(n.forgets.numbers, f.number)
}

// forgets are the numbers of what is to be forgotten. mu is a leaf.
type forgets struct {
	mu      sync.Mutex
	numbers []uint64
	links   map[uint64]*link // where promises and pipes are known, by number
}

// knows notes that the callee at the other end keeps what the number stands for.
func (f *forgets) knows(number uint64, l *link) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.links == nil {
		f.links = map[uint64]*link{}
	}
	f.links[number] = l
}

// settleForgotten tells callees what they need not keep any more.
func (n *Node) settleForgotten() {
	f := &n.forgets
	f.mu.Lock()
	numbers := f.numbers
	links := make([]*link, len(numbers))
	for i, number := range numbers {
		links[i] = f.links[number]
		delete(f.links, number)
	}
	f.numbers = nil
	f.mu.Unlock()
	for i, number := range numbers {
		if l := links[i]; l != nil {
			l.out.post(wire.AppendForget(nil, wire.CancelHeader{Number: number}))
		}
	}
}

// settled returns the handle of what was promised, where that is remote and there; else h itself.
func (h *Handle) settled() *Handle {
	if p := h.promise; p != nil {
		select {
		case <-p.done:
			if p.handle != nil {
				return p.handle
			}
		default:
		}
	}
	return h
}

// IsBroken reports whether h is one of Broken: it has no node.
func (h *Handle) IsBroken() bool { return h.peer == nil }

// Settled is the handle that h stands for: its own, or that of what was promised once it is there.
func (h *Handle) Settled() *Handle { return h.settled() }

// Await returns the object that h stands for when it is there, promised: whether h is a promise at all.
func (h *Handle) Await(ctx context.Context) (v any, promised bool, err error) {
	p := h.promise
	if h.peer == nil {
		if err = h.end.Load().Err; err == errPromisedNothing {
			err = nil
		}
		return nil, true, err
	}
	if p == nil {
		return nil, false, nil
	}
	v, err = p.await(ctx)
	return v, true, err
}

func (p *promise) await(ctx context.Context) (any, error) {
	select {
	case <-p.done:
		return p.value, p.err
	default:
	}
	FlushBundle(ctx)
	select {
	case <-p.done:
		return p.value, p.err
	case <-ctx.Done():
		return nil, &Error{Op: "await", NotRun: true, Err: contextError(ctx)}
	}
}

// broken is why a call on the promise does not run: what became of the first call that it depends on.
func (p *promise) broken() *Error {
	e := &Error{Kind: ErrBroken, NotRun: true, Err: p.err}
	var earlier *Error
	if errors.As(p.err, &earlier) && earlier.Kind == ErrBroken && earlier.Err != nil {
		e.Err = earlier.Err
	}
	return e
}

// enter gives a call its place in its pipe, if it has one.
func (c *Outgoing) enter() {
	c.pipe = nil
	switch {
	case c.on != nil:
		c.pipe = c.on.pipe
	case c.launch != nil && c.launch.batch != nil:
		c.pipe = c.launch.pipe
	default:
		c.pipe = c.handle.tells()
	}
	if c.pipe != nil {
		c.queueUp()
	}
}

// queueUp gives a call the next place in its pipe. A one-way call goes there as any other; while it is under way, calls on its object by other handles come after it.
func (c *Outgoing) queueUp() {
	p := c.pipe
	p.mu.Lock()
	c.ticket = &ticket{newToken(), make(chan struct{}), p.tail}
	p.tail = c.ticket
	if c.oneWay {
		p.told = c.ticket
	}
	p.mu.Unlock()
	if c.oneWay {
		c.oneWay = false
		if h := c.handle.settled(); h.promise == nil {
			h.pipedBy(p)
		}
	}
}

// telling returns the ticket of the last one-way call of the pipe that is under way, nil if none is.
func (p *pipe) telling() *ticket {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.told != nil {
		select {
		case <-p.told.done:
			p.told = nil
		default:
		}
	}
	return p.told
}

// tells returns the pipe by which one-way calls on the object are under way, nil if there is none.
func (h *Handle) tells() *pipe {
	r := h.rare.Load()
	if r == nil {
		return nil
	}
	p := r.piped.Load()
	if p != nil && p.telling() == nil {
		r.piped.CompareAndSwap(p, nil)
		return nil
	}
	return p
}

// pipedBy notes that one-way calls on the object are under way by a pipe.
func (h *Handle) pipedBy(p *pipe) { h.rarely().piped.Store(p) }

// awaitTold returns when the one-way calls on the object that went by pipes have ended, but for those that ctx belongs to.
func (h *Handle) awaitTold(ctx context.Context) error {
	in := scopeOf(ctx).in
	pipes := []*pipe{h.settled().tells()}
	if h.promise != nil {
		pipes = append(pipes, h.promise.pipe)
	}
	for _, p := range pipes {
		if p == nil {
			continue
		}
		t := p.telling()
		if t == nil || in != nil && in.on(t.token) {
			continue
		}
		FlushBundle(ctx)
		select {
		case <-t.done:
		case <-ctx.Done():
			return contextError(ctx)
		}
	}
	return nil
}

// leave ends the call's place in its pipe, and whatever else it kept others waiting by.
func (c *Outgoing) leave() {
	if c.ticket != nil {
		close(c.ticket.done)
		c.pipe.previous(c.ticket)
	}
	if c.launch != nil {
		c.launch.release()
	}
	c.on, c.pipe, c.ticket, c.launch, c.ahead, c.vows = nil, nil, nil, nil, false, nil
}

// aim finds the link for a call that belongs to a pipe, and what is called: the promise, by the link that its pipe goes ahead by; else,
// when those before it have ended, the object itself.
func (c *Outgoing) aim() *Error {
	p := c.pipe
	p.mu.Lock()
	l := p.link
	p.mu.Unlock()
	switch {
	case l == nil && c.launch != nil && c.launch.pipe == p: // the first of a batch
		l, err := c.handle.connect(c.ctx)
		if err != nil {
			return asError(err)
		}
		c.link = l
		if c.ahead = l.features&featurePipes != 0; c.ahead {
			p.mu.Lock()
			p.link = l
			p.mu.Unlock()
			p.node.forgets.knows(p.id, l)
		}
		return nil
	case l != nil && !l.ended() && c.goesBy(l) && !c.on.failed():
		c.link, c.ahead = l, true
		return nil
	}
	return c.fallBack()
}

// goesBy reports whether what is called is at the other end of the link of the call's pipe.
func (c *Outgoing) goesBy(l *link) bool {
	if c.on != nil {
		return c.on.number != 0
	}
	return c.launch != nil && c.launch.pipe == c.pipe || c.handle.peer == l.peer
}

// failed reports whether it is known already that there will be no object.
func (p *promise) failed() bool {
	if p == nil {
		return false
	}
	select {
	case <-p.done:
		return p.err != nil || p.value == nil
	default:
		return false
	}
}

// fallBack has the pipe go on from here, and the call be one on the object itself.
func (c *Outgoing) fallBack() *Error {
	c.pipe.mu.Lock()
	c.pipe.link = nil
	c.pipe.mu.Unlock()
	c.ahead = false
	for before := c.pipe.previous(c.ticket); before != nil; before = c.pipe.previous(c.ticket) {
		if c.in != nil && c.in.on(before.token) { // it waits for this one
			break
		}
		FlushBundle(c.ctx)
		select {
		case <-before.done:
		case <-c.ctx.Done():
			return &Error{NotRun: true, Err: contextError(c.ctx)}
		}
	}
	if c.on != nil {
		v, err := c.on.await(c.ctx)
		switch {
		case err != nil && !c.on.failed():
			return asError(err)
		case err != nil:
			return c.on.broken()
		case v == nil:
			return errPromisedNil()
		}
		if c.handle, err = c.handle.Node().handleOf(v, c.face, c.on.handle); err != nil {
			return asError(err)
		}
	}
	l, err := c.handle.connect(c.ctx)
	if err != nil {
		return asError(err)
	}
	c.link = l
	return nil
}

var errPromisedNothing = errors.New("the call that was to return the object has returned nil")

func errPromisedNil() *Error {
	return &Error{Kind: ErrBroken, NotRun: true, Err: errPromisedNothing}
}

// handleOf returns the handle by which a value is called: its own, or one of the way home.
func (n *Node) handleOf(v any, f *Face, h *Handle) (*Handle, error) {
	if h != nil {
		return h, nil
	}
	e, err := n.export(newID(), f, v, Collectable, true)
	if err != nil {
		return nil, err
	}
	return n.handle(n.refOfExport(e, nil), v), nil
}

// refused reports whether the callee has refused the call only because it cannot go ahead.
func (c *Outgoing) refused() bool {
	if !c.ahead || c.err != nil || c.flags&(wire.ReplyRuntime|wire.ReplyNotStarted) != wire.ReplyRuntime|wire.ReplyNotStarted {
		return false
	}
	var e *Error
	return errors.As(c.failure, &e) && e.Kind == ErrBroken
}

// goOn makes a call that could not go ahead ready to be made once more, from here. Its frame may be another one then.
func (c *Outgoing) goOn(frame []byte) ([]byte, *Error) {
	c.again()
	e := c.fallBack()
	if e == nil {
		frame, e = c.keepVows(frame)
	}
	if e != nil {
		return frame, e
	}
	c.number = c.link.node.number.Add(1)
	c.courier.link, c.courier.in.Call = c.link, c.number
	return frame, c.hold()
}

// promised writes a promise among the arguments, if it can go ahead with the call; else it waits for it.
func (c *courier) promised(t wire.Type, h *Handle) (wire.Record, error) {
	p := h.promise
	if c.call != nil {
		c.call.follow(p)
	}
	if c.call != nil && c.call.ahead && p.number != 0 && !p.failed() {
		if c.node.forgets.at(p.number) == c.link {
			c.call.vows = append(c.call.vows, vow{h, t})
			return wire.Record{Process: c.link.peer.id, Object: vowID(p.number)}, nil
		}
	}
	ctx := context.Background()
	if c.call != nil {
		ctx = c.call.ctx
	}
	v, err := p.await(ctx)
	switch {
	case p.failed() && err != nil:
		return wire.Record{}, p.broken()
	case err != nil:
		return wire.Record{}, err
	case v == nil:
		return wire.Record{}, errPromisedNil()
	}
	return c.Export(t, v)
}

// follow has an asynchronous call that belongs to no pipe go ahead in that of a promise among its arguments, if it goes by the same link: it
// cannot run before what is in there, and nobody should wait for that meanwhile.
func (c *Outgoing) follow(p *promise) {
	if c.pipe != nil || c.launch == nil || c.launch.sent != nil || c.launch.away != nil || p.number == 0 || p.failed() {
		return
	}
	p.pipe.mu.Lock()
	same := p.pipe.link == c.link
	p.pipe.mu.Unlock()
	if !same || c.link.ended() {
		return
	}
	c.pipe, c.ahead = p.pipe, true
	if made := c.launch.promise; made != nil { // nobody has it yet
		made.pipe = p.pipe
	}
	c.queueUp()
}

func (f *forgets) at(number uint64) *link {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.links[number]
}

// vow is a promise among arguments that were written.
type vow struct {
	h *Handle // of the promise, which is not forgotten before the call has ended
	t wire.Type
}

// keepVows puts what was promised in the place of promises among the arguments.
func (c *Outgoing) keepVows(frame []byte) ([]byte, *Error) {
	vows := c.vows
	c.vows = nil
	for _, v := range vows {
		was := wire.AppendRecord(nil, wire.Record{Process: c.courier.was, Object: vowID(v.h.promise.number)})
		_, err := v.h.promise.await(c.ctx)
		if err != nil && v.h.promise.failed() {
			return frame, v.h.promise.broken()
		} else if err != nil {
			return frame, asError(err)
		}
		if v.h.promise.value == nil {
			return frame, errPromisedNil()
		}
		rec, err := c.courier.Export(v.t, v.h.promise.value)
		if err != nil {
			return frame, asError(err)
		}
		is := wire.AppendRecord(nil, rec)
		frame = slices.Concat(frame[:wire.CallHeaderBytes], bytes.ReplaceAll(frame[wire.CallHeaderBytes:], was, is))
	}
	return frame, nil
}

// blame makes a refusal of a call that went ahead say why: what the first of its promises that was broken came to.
func (c *Outgoing) blame() *Error {
	promises := []*promise{}
	if c.on != nil {
		promises = append(promises, c.on)
	}
	for _, v := range c.vows {
		promises = append(promises, v.h.promise)
	}
	for _, p := range promises {
		if p.failed() && p.err != nil {
			return p.broken()
		}
	}
	return nil
}

// Bundle gathers calls to be sent together.
type Bundle struct {
	mu    sync.Mutex
	pipes map[*peer]*pipe
	waits map[*link][]gathered // to be sent
	over  bool
}

// gathered is a call that has not been sent yet: its frame, and the slot in which it waits.
type gathered struct {
	frame []byte
	slot  uint64
}

type batchKey struct{}

func batchOf(ctx context.Context) *Bundle {
	b, _ := ctx.Value(batchKey{}).(*Bundle)
	if b == nil {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.over {
		return nil
	}
	return b
}

// NewBundle returns a bundle, and a context with which asynchronous calls are gathered in it.
func NewBundle(ctx context.Context) (*Bundle, context.Context) {
	b := &Bundle{pipes: map[*peer]*pipe{}, waits: map[*link][]gathered{}}
	return b, context.WithValue(ctx, batchKey{}, b)
}

// pipeOf returns the pipe of the calls to the object's process.
func (b *Bundle) pipeOf(h *Handle) *pipe {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.pipes[h.peer]
	if p == nil {
		p = h.Node().newPipe()
		b.pipes[h.peer] = p
	}
	return p
}

// gather keeps a frame until the batch is sent; false: it is over.
func (b *Bundle) gather(l *link, frame []byte, slot uint64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.over {
		b.waits[l] = append(b.waits[l], gathered{slices.Clone(frame), slot})
	}
	return !b.over
}

// Flush sends what has been gathered, one frame for each process as far as that takes as much.
func (b *Bundle) Flush(ctx context.Context) {
	b.mu.Lock()
	waits := b.waits
	b.waits = map[*link][]gathered{}
	b.mu.Unlock()
	for l, calls := range waits {
		for len(calls) > 0 {
			size, frames := 0, [][]byte(nil)
			for len(frames) < len(calls) && (size == 0 || size+len(calls[len(frames)].frame) <= l.peerLimit) {
				one := calls[len(frames)].frame
				size += len(one)
				frames = append(frames, one)
			}
			these := calls[:len(frames)]
			calls = calls[len(frames):]
			frame := wire.AppendCalls(make([]byte, 0, size+wire.CancelHeaderBytes), frames)
			if err := wire.FinishFrame(frame); err != nil {
				l.fail(&Error{Kind: ErrLimit, Err: fmt.Errorf("a batch: %w", err)})
				continue
			}
			switch err := l.out.send(ctx.Done(), frame, false, false); {
			case errors.Is(err, errNotQueued):
				l.giveUp(these, fmt.Errorf("%w: %w", errNotQueued, contextError(ctx)))
			case err != nil:
				l.fail(l.broken(l.session, err))
			}
		}
	}
}

// Drop ends what has been gathered, none of which is sent.
func (b *Bundle) Drop(why error) {
	b.mu.Lock()
	waits := b.waits
	b.waits, b.over = nil, true
	b.mu.Unlock()
	for l, calls := range waits {
		l.giveUp(calls, why)
	}
}

// giveUp ends calls of a batch that are not sent.
func (l *link) giveUp(calls []gathered, why error) {
	for _, one := range calls {
		if c := l.waiting.take(one.slot); c != nil {
			c.lost(&Error{Op: opBatch, NotRun: true, Err: fmt.Errorf("the batch was not sent: %w", why)})
		}
	}
}

const opBatch = "batch"

// End has calls that are made from now on go as any other.
func (b *Bundle) End() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.over = true
}

// FlushBundle sends what the bundle of ctx has gathered, if there is one, for who is about to wait for some of it.
func FlushBundle(ctx context.Context) {
	if b := batchOf(ctx); b != nil {
		b.Flush(ctx)
	}
}
