package refs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rmigo/rmigo/internal/transport"
	"github.com/rmigo/rmigo/internal/wire"
)

// Outgoing is one call from this process: generated stubs fill Args, Invoke, read Results and Finish. It is used by one
// goroutine at a time, holds the object's handle until Finish, and is reused for later calls after that.
//
// Who may touch it: its own goroutine, except between Invoke's sending and the message on done, when whoever takes it out of
// the link's slots fills in the outcome.
type Outgoing struct {
	Args    wire.Encoder
	Results wire.Decoder

	handle *Handle
	face   *Face
	method uint64
	ctx    context.Context
	cancel context.CancelFunc // of the default timeout, if it applies
	chain  []Interceptor
	in     *callContext // that it is made in; nil: none
	pairs  map[string]pair
	depth  uint16
	oneWay bool // it is over when it is queued
	queued bool // as that, it was

	launch *launch  // how it is made, if it is asynchronous; nil: it is not
	apart  bool     // as that it was sent, and no goroutine waits for its outcome
	on     *promise // what it is called on; nil: an object
	pipe   *pipe    // that it belongs to; nil: none
	ticket *ticket  // its place in that
	ahead  bool     // it goes before what it depends on is there
	vows   []vow    // among the arguments

	number  uint64
	slot    uint64
	link    *link
	courier courier
	err     *Error // why there is no reply

	gone   <-chan struct{} // closed when its context ends
	prompt bool            // its goroutine will wait for done as soon as it has sent, and do nothing else
	woken  bool            // by a reply: it is for that goroutine to tell the writer that it has come
	done   chan struct{}   // receives once the outcome below is there
	flags  wire.ReplyFlags
	body   []byte
	frame  []byte // the buffer that body is part of, where it has one of its own
	broke  *Error

	failure error // what the method, or the runtime over there, returned

	settled  bool // override is what the call came to
	override error

	flows *flows                   // its streams; nil: it has none
	taken *inflow                  // the one that it returns
	item  func(*wire.Decoder) bool // reads an item of that, and reports whether another one is wanted; nil: it returns none
	count uint64                   // items that were read

	strands *strands // streams among the arguments; nil: none

	progress *progress // of its transfer; nil: nobody wants to know

	permit *permit // for large arguments
	args   []byte  // memory for small ones
	copied []byte  // memory for small replies
}

var errNoResults = errors.New("the call returned no results")

// Call begins a call of the method on the object, connecting to its process if there is no connection. Failures are kept for
// Finish; until then, all else does nothing. via is how the call is made; nil: as the node's options say.
func (h *Handle) Call(ctx context.Context, f *Face, method uint64, via *Policies) *Outgoing {
	if h.peer == nil {
		return brokenCall(h)
	}
	l := launchOf(ctx)
	if l != nil && l.away != nil {
		return l.away
	}
	n := h.Node()
	c := n.newOutgoing()
	c.handle, c.face, c.method, c.ctx, c.chain = h, f, method, ctx, n.cfg.Outbound
	scope := scopeOf(ctx)
	c.in, c.pairs = scope.in, scope.pairs
	if scope.progress != nil {
		c.progress = newProgress(scope.progress)
	}
	c.oneWay = f.isOneWay(method)
	if h.promise != nil && f.hasStreams(method) {
		settled, err := h.settle(ctx, f)
		if err != nil {
			c.drop()
			return brokenCall(Broken(err))
		}
		h, c.handle = settled, settled
	}
	if h.rare.Load() != nil && f.hasStreams(method) { // which is in no pipe
		if err := h.awaitTold(ctx); err != nil {
			c.drop()
			return brokenCall(Broken(err))
		}
	}
	if c.launch = l; l != nil || h.promise != nil || h.rare.Load() != nil {
		c.on = h.promise
		c.enter()
	}
	if via != nil {
		c.chain = via.chain
	}
	c.bound(via)
	c.courier = courier{node: n, in: Message{face: f, method: method}, call: c}
	if c.pipe != nil || c.launch != nil {
		c.courier.later = true
	}
	if len(c.chain) > 0 {
		c.courier.later, c.courier.link = true, h.live()
		c.courier.guess.sameHost = c.courier.link == nil && h.onlyHere()
	} else if e := c.begin(); e != nil {
		c.give(e)
		return c
	}
	c.Args.Reset(f.codecOf(n), f.table, &c.courier, "argument", c.args[:wire.CallHeaderBytes])
	c.Args.Borrow((*argumentMemory)(c))
	if c.goesAtOnce() && c.progress == nil && c.link.bulk.Load() != nil {
		c.Args.LeaveOut(leastTail, mostTail)
	}
	return c
}

// goesAtOnce reports whether the call's frame is sent as soon as it is written, once.
func (c *Outgoing) goesAtOnce() bool {
	return len(c.chain) == 0 && c.launch == nil && c.pipe == nil && !c.oneWay
}

// bound gives the call the time that it may take.
func (c *Outgoing) bound(via *Policies) {
	t := c.face.timeout(c.method)
	if via != nil && via.timeout != 0 && (t == 0 || via.timeout < t) {
		t = via.timeout
	}
	if t == 0 {
		if t = c.handle.Node().cfg.Timeout; t == 0 || c.face.hasStreams(c.method) {
			return
		}
		if _, bounded := c.ctx.Deadline(); bounded {
			return
		}
	}
	c.ctx, c.cancel = context.WithTimeout(c.ctx, t)
}

// begin finds a link for the call, and gives it a number.
func (c *Outgoing) begin() *Error {
	h, n := c.handle, c.handle.Node()
	if in := c.in; in != nil {
		if int(in.depth) >= n.cfg.MaxCallDepth {
			return &Error{Kind: ErrLimit, NotRun: true,
				Err: fmt.Errorf("the chain of calls is nested more than %d deep (Options.MaxCallDepth)", n.cfg.MaxCallDepth)}
		}
		c.depth = in.depth + 1
	}
	if end := h.end.Load(); end != nil {
		return asError(end)
	}
	if c.pipe != nil {
		if e := c.aim(); e != nil {
			return e
		}
	} else {
		var err error
		if c.link, err = h.connect(c.ctx); err != nil {
			return asError(err)
		}
	}
	c.number = n.number.Add(1)
	c.courier.link, c.courier.in.Call, c.courier.was = c.link, c.number, c.link.peer.id
	return nil
}

// live returns the link that a call would take now, or nil.
func (h *Handle) live() *link {
	if h.Local() {
		return h.Node().home
	}
	if via := h.via.Load(); via != nil {
		if l := via.usable(); l != nil {
			return l
		}
	}
	return h.peer.usable()
}

// onlyHere reports whether the object's process, if it can be reached at all, is on this host.
func (h *Handle) onlyHere() bool {
	return !h.Local() && !slices.ContainsFunc(h.peer.candidates(), func(s string) bool {
		e, err := transport.ParseEndpoint(s)
		return err == nil && !onlyHere(e)
	})
}

// Broken returns a handle calls on which end in an error, without having run: because of err, or because there is no object where that is nil.
func Broken(err error) *Handle {
	if err == nil {
		err = errPromisedNothing
	}
	h := &Handle{}
	h.end.Store(&Error{Kind: ErrBroken, NotRun: true, Err: err})
	return h
}

// brokenCall is a call that has ended.
func brokenCall(h *Handle) *Outgoing {
	c := &Outgoing{handle: h, err: asError(h.end.Load())}
	c.err.Op, c.Args.Err, c.Results.Err = opCall, errNoResults, errNoResults
	return c
}

// object is what is called: an object, or what is promised.
func (c *Outgoing) object() ObjectID {
	if c.ahead && c.on != nil {
		return vowID(c.on.number)
	}
	return c.handle.id.Object
}

// promise reports whether the callee is to keep what the call returns, and notes that it is.
func (c *Outgoing) promise(l *link) bool {
	if c.launch == nil || c.launch.promise == nil || l.features&featurePipes == 0 {
		return false
	}
	p := c.launch.promise
	select {
	case <-c.launch.sent: // who calls what is promised waits for it here
		return false
	default:
	}
	p.pipe.mu.Lock()
	begins := c.pipe == nil
	if begins {
		p.pipe.link = l
	}
	goes := p.pipe.link == l && p.number == 0
	p.pipe.mu.Unlock()
	if begins {
		l.node.forgets.knows(p.pipe.id, l)
	}
	if goes {
		p.number, p.last.number = c.number, c.number
		l.node.forgets.knows(c.number, l)
	}
	return goes
}

// AtEnd has f called when the node is closed, on a goroutine of its own, unless forget is called before.
func (c *Outgoing) AtEnd(f func()) (forget func() bool) {
	return c.handle.Node().atEnd(c.handle.id.Object, f)
}

// Interface is that of the method which is called.
func (c *Outgoing) Interface() Descriptor { return c.face.Descriptor }

// newOutgoing returns a call to be filled in; drop takes it back.
func (n *Node) newOutgoing() *Outgoing {
	if c, ok := n.outgoing.Get().(*Outgoing); ok {
		return c
	}
	return &Outgoing{done: make(chan struct{}, 1), args: make([]byte, 0, 512)}
}

// drop gives the call's memory back. Nothing of it is used any more, and nobody else knows it: it is in no slot.
func (c *Outgoing) drop() {
	if c.handle.peer == nil {
		return
	}
	n := c.handle.Node()
	c.leavePermit()
	if c.frame != nil && !c.Results.Kept() {
		n.buffers.Put(c.frame)
	}
	c.Args.Forget()
	c.Results.Forget()
	c.handle, c.face, c.ctx, c.cancel, c.gone, c.depth, c.link, c.err = nil, nil, nil, nil, nil, 0, nil, nil
	c.flags, c.body, c.frame, c.broke, c.failure = 0, nil, nil, nil, nil
	c.chain, c.in, c.pairs, c.settled, c.override = nil, nil, nil, false, nil
	c.oneWay, c.queued, c.apart, c.prompt = false, false, false, false
	c.taken, c.item, c.count, c.strands, c.progress = nil, nil, 0, nil, nil
	c.courier = courier{}
	if cap(c.args) > smallMessage {
		n.buffers.Put(c.args)
		c.args = nil
	}
	if c.args == nil {
		c.args = make([]byte, 0, 512)
	}
	if cap(c.copied) > smallMessage {
		c.copied = nil
	}
	n.outgoing.Put(c)
}

// asError returns err as an Error of the call's own, to be completed by give.
func asError(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		copied := *e
		return &copied
	}
	e = &Error{Err: err}
	errors.As(err, &e.Kind)
	return e
}

// give ends the call with an error of the runtime.
func (c *Outgoing) give(e *Error) {
	e.Op, e.Ref, e.Method = opCall, c.handle.Ref(), c.face.methodName(c.method)
	e.On, e.URL, e.innerNotRun, e.Attempts = "", "", false, 0 // of another operation than this call
	c.err = e
	c.Args.Err, c.Results.Err = errNoResults, errNoResults
}

// connect returns the link that calls on the object take. A fixed object is valid under any incarnation: where another
// process answers at its endpoints, the call goes there.
func (h *Handle) connect(ctx context.Context) (*link, error) {
	if h.Local() && h.Node().closed() {
		return nil, &Error{Op: "connect", Kind: ErrNodeClosed, NotRun: true, Err: errors.New("this node was closed")}
	}
	if l := h.live(); l != nil {
		return l, nil
	}
	l, err := h.peer.connect(ctx)
	if err == nil || !h.id.Object.Fixed() {
		return l, err
	}
	var e *Error
	var stranger *strangerError // at one endpoint is enough
	if !errors.As(err, &stranger) && (!errors.As(err, &e) || e.Reason != Restarted) {
		return nil, err
	}
	for _, endpoint := range h.peer.candidates() {
		if l, err := h.Node().linkTo(ctx, endpoint); err == nil && l != nil {
			h.via.Store(l.peer)
			return l, nil
		}
	}
	return nil, err
}

// Invoke sends the call and waits for its reply, for the end of its context, or for the loss of the connection.
func (c *Outgoing) Invoke() {
	if c.err != nil {
		return
	}
	if l := c.launch; l != nil && l.away == c {
		c.conclude(l.frame, l.failed)
		return
	}
	frame, err := c.Args.Finish()
	var unfit *Error
	if err != nil {
		c.unsent()
		kind, reason := codecKind(err)
		if kind == ErrUnmarshal {
			kind = ErrMarshal
		}
		unfit = &Error{Kind: kind, Reason: reason, NotRun: true, Err: err}
		if broken := (*Error)(nil); kind == ErrBroken && errors.As(err, &broken) {
			unfit = asError(broken)
		}
	} else {
		c.args = frame[:0]
	}
	switch {
	case len(c.chain) > 0:
		c.intercepted(frame, unfit)
	case unfit != nil:
		c.give(unfit)
	default:
		if e := c.hold(); e != nil {
			c.give(e)
			return
		}
		c.exchange(frame)
	}
}

// exchange sends the arguments, which frame has behind the room for a header, and sees to the outcome.
func (c *Outgoing) exchange(frame []byte) {
	if err := c.attempt(frame); !c.leaves(frame, err) {
		c.conclude(frame, err)
	}
}

// conclude sees to the outcome of an attempt, unless err is why it was not sent, and makes others where a promise asks for that.
func (c *Outgoing) conclude(frame []byte, err error) {
	for ; ; err = c.attempt(frame) {
		if err == nil {
			c.await()
		}
		unsent := err != nil && c.ahead
		if unsent || c.refused() {
			if unsent {
				c.unsent()
			}
			if e := c.blame(); e != nil {
				c.give(e)
				return
			}
			var e *Error
			if frame, e = c.goOn(frame); e != nil {
				c.give(e)
				return
			}
			continue
		}
		if err != nil {
			c.unsent()
			e := asError(err)
			e.NotRun = true
			c.give(e)
		}
		return
	}
}

// attempt sends the call; an error is why it was not sent.
func (c *Outgoing) attempt(frame []byte) error {
	err := c.send(frame)
	c.leavePermit()
	if c.launch != nil {
		c.launch.release()
	}
	if err != nil {
		c.endStreams()
	}
	return err
}

// await waits for the outcome of a call that was sent, or for the end of its context. What the call's streams bring is read here.
func (c *Outgoing) await() {
	defer c.endStreams()
	if c.taken != nil {
		c.takeStream()
		c.settleStrands()
		return
	}
	if c.queued { // nothing comes of it
		if c.Results.Err = errNoResults; len(c.chain) > 0 {
			c.flags, c.body = wire.ReplyResults, wire.AppendNone(c.copied[:0])
			c.outcome()
		}
		return
	}
	if c.progress != nil {
		if !c.watch() {
			return
		}
	} else {
		select {
		case <-c.done:
			c.arrive()
		case <-c.gone:
			if c.gaveUp() {
				return
			}
		}
	}
	c.outcome()
	c.settleStrands()
}

// gaveUp gives the call up because its context has ended, unless the outcome came first.
func (c *Outgoing) gaveUp() bool {
	if c.link.waiting.take(c.slot) != nil {
		c.abandon()
		return true
	}
	<-c.done
	c.arrive()
	return false
}

// arrive is called once the message on done has been received.
func (c *Outgoing) arrive() {
	if c.woken {
		c.woken = false
		c.link.out.arrive()
	}
}

// again makes the call ready to be sent once more.
func (c *Outgoing) again() {
	if c.flags&wire.ReplyPinned != 0 {
		c.link.line.Done(c.courier.in)
	}
	if c.frame != nil {
		c.handle.Node().buffers.Put(c.frame)
	}
	c.err, c.flags, c.body, c.frame, c.broke, c.failure, c.queued = nil, 0, nil, nil, nil, nil, false
	c.courier.in.Result, c.courier.pinned, c.courier.references = false, false, 0
}

// hold has what the arguments refer to kept alive for the message that is about to be sent.
func (c *Outgoing) hold() *Error {
	if len(c.courier.held) > 0 && c.courier.guess.sameHost && !c.link.vantage.sameHost {
		return &Error{Kind: ErrUnreachable, NotRun: true, Err: errors.New(
			"the process is on another host than its endpoints had it, and the references among the arguments would mean nothing there")}
	}
	for _, ref := range c.courier.held {
		if why := c.courier.pin(ref.id, ref.keep); why != nil {
			c.unsent()
			return asError(why)
		}
	}
	return nil
}

// send queues the frame on the link, or, where that turns out to end before it took anything of the frame, on a new one.
func (c *Outgoing) send(frame []byte) error {
	for attempt := 0; ; attempt++ {
		gaveWay, err := c.sendOn(c.link, frame)
		if !gaveWay || attempt == 2 || c.ahead {
			return err
		}
		l, again := c.handle.connect(c.ctx)
		if again != nil {
			return again
		}
		if l.peer != c.link.peer {
			return err // the arguments were written for the peer that is gone
		}
		was := c.courier.in
		c.number = c.link.node.number.Add(1) // what was sent of the old number, if anything, is not this message
		c.link, c.courier.link, c.courier.in.Call = l, l, c.number
		if c.courier.pinned && !l.line.Renumbered(was, c.courier.in, c.courier.references) {
			return err
		}
	}
}

// unsent lets go of what the arguments kept alive.
func (c *Outgoing) unsent() {
	if c.courier.pinned {
		c.link.line.Unsent(c.courier.in)
	}
}

// sendOn queues the frame on the link. After an error nothing of it was sent; gaveWay tells that the link is at its end, and
// another one would do.
func (c *Outgoing) sendOn(l *link, frame []byte) (gaveWay bool, err error) {
	if c.ctx.Err() != nil {
		return false, &Error{Err: contextError(c.ctx)}
	}
	var extensions []byte
	if c.pairs != nil || c.in != nil || c.ticket != nil || c.handle.row.Load() != nil {
		var e *Error
		if extensions, e = c.extensions(l); e != nil {
			return false, e
		}
	}
	var left time.Duration
	if deadline, ok := c.ctx.Deadline(); ok {
		if left = time.Until(deadline); left <= 0 {
			return false, &Error{Err: context.DeadlineExceeded}
		}
	}
	if (c.item != nil || c.strands != nil) && l.features&featureStreams == 0 {
		return false, errNoStreams()
	}
	tail := c.Args.Tail()
	if body := len(frame) + len(tail) - wire.CallHeaderBytes; body > l.peerLimit {
		return false, &Error{Kind: ErrLimit, Err: fmt.Errorf("the arguments take %d bytes, the peer takes at most %d (its Limits.MessageBytes)", body, l.peerLimit)}
	}
	if extensions != nil {
		frame = slices.Concat(frame[:wire.CallHeaderBytes], extensions, frame[wire.CallHeaderBytes:])
	}
	if c.oneWay && l.features&featureOrder != 0 {
		if gaveWay, err = c.queue(l, frame, extensions); err == nil {
			c.queued = true
			l.node.oneWays.sent.Add(1)
		}
		return gaveWay, err
	}
	c.apart = c.launch != nil && c.launch.sent == nil && c.launch.away == nil
	c.gone = c.ctx.Done() // which may be the program's own code: from now on, who waits for this call must not wait for that
	c.prompt = c.launch == nil && c.item == nil && c.strands == nil && c.progress == nil
	var waiting int
	if c.slot, waiting, err = l.waiting.add(c); err != nil {
		return true, err
	}
	c.beginStreams(l)
	wire.AppendCallHeader(frame[:0], wire.CallHeader{Pinned: c.courier.pinned, Promised: c.promise(l), Depth: c.depth, Number: c.number,
		Slot: c.slot, Timeout: left, Object: c.object(), Method: c.method, Extensions: extensions})
	if err = wire.FinishFrameBefore(frame, len(tail)); err == nil {
		err = c.hand(l, frame, extensions != nil, waiting > 1)
	}
	return c.sent(l, err)
}

// hand gives the frame, and the tail of the arguments, to the link, on which the call has company, or not. apart: the frame is not the call's own memory.
func (c *Outgoing) hand(l *link, frame []byte, apart, company bool) error {
	size := len(frame) + len(c.Args.Tail())
	l.touch()
	c.progress.begin(size)
	if c.ahead && c.launch != nil && c.launch.batch != nil && c.launch.batch.gather(l, frame, c.slot) {
		return nil
	}
	if c.progress != nil && !c.ahead {
		l.awaitBulk(c.ctx, size)
	}
	if b := l.wide(size); b != nil && !c.ahead {
		c.sendWide(b, frame, apart)
		return nil
	}
	if tail := c.Args.Tail(); tail != nil { // its bulk session is being closed
		frame = slices.Concat(frame, tail)
	}
	return l.out.send(c.gone, frame, false, company)
}

// sent sees to what came of handing the call's frame to the link's writer; its results are those of sendOn.
func (c *Outgoing) sent(l *link, err error) (gaveWay bool, _ error) {
	switch {
	case err == nil:
		return false, nil
	case errors.Is(err, errNotQueued):
		err = &Error{Err: fmt.Errorf("%w: %w", errNotQueued, contextError(c.ctx))}
	default:
		broken := l.broken(l.session, err)
		l.fail(broken) // returns when the link is out of the way, whoever failed it first
		gaveWay, err = true, broken
	}
	if l.waiting.take(c.slot) == nil { // the link failed, and told this call too: it need not know
		<-c.done
		c.arrive()
		c.broke = nil
		if c.apart {
			c.launch.state.Store(making)
		}
	}
	return gaveWay, err
}

// sendWide has the frame, and the tail of the arguments, sent by the bulk session: at once, or else by a goroutine, for it may take a while. To that one the frame belongs; what is not the
// call's alone, or may be wanted again, is copied.
func (c *Outgoing) sendWide(b *bulk, frame []byte, apart bool) {
	n, done, p, tail := c.link.node, c.gone, c.progress, c.Args.Tail()
	if p == nil && b.now(frame, tail, nil) {
		return
	}
	if c.oneWay { // it has its place already
		done = nil
	}
	switch {
	case tail != nil:
		frame = append(append(n.buffers.Get(len(frame) + len(tail))[:0], frame...), tail...)
	case len(c.chain) == 0:
		if apart {
			n.buffers.Put(c.args)
		}
		c.args = nil
	case !apart:
		frame = append(n.buffers.Get(len(frame))[:0], frame...)
	}
	turn := c.permit
	c.permit = nil
	n.tasks.run(func() { // ends with the link at the latest
		b.send(done, frame, p)
		n.buffers.Put(frame)
		turn.leave()
	})
}

// touch notes that the link is in use.
func (l *link) touch() {
	if !l.used.Load() {
		l.used.Store(true)
	}
}

// abandon gives the call up because its context ended, and tells the callee.
func (c *Outgoing) abandon() {
	c.link.out.post(wire.AppendCancel(nil, wire.CancelHeader{Number: c.number}))
	c.give(&Error{Err: contextError(c.ctx)})
}

// answered fills in the reply; whoever took the call out of the slots calls it, once. The call owns frame from then on; without
// one, body is lent.
func (c *Outgoing) answered(flags wire.ReplyFlags, body, frame []byte) {
	if frame == nil {
		c.copied = append(c.copied[:0], body...)
		body = c.copied
	}
	c.flags, c.body, c.frame = flags, body, frame
	c.tell()
}

// tell has the call know of its outcome.
func (c *Outgoing) tell() {
	if c.apart {
		c.launch.come() // it waits for done, if need be
	}
	c.done <- struct{}{}
}

// lost is answered for a connection that broke.
func (c *Outgoing) lost(why *Error) {
	c.broke = why
	c.tell()
}

// outcome makes the reply readable.
func (c *Outgoing) outcome() {
	if c.broke != nil {
		c.give(&Error{Kind: c.broke.Kind, NotRun: c.broke.Op == opBatch, Err: c.broke.Err})
		if c.err.Err == nil {
			c.err.Err = c.broke
		}
		return
	}
	n := c.link.node
	c.courier.in.Result, c.courier.pinned = true, c.flags&wire.ReplyPinned != 0
	body := c.body
	if c.flags&wire.ReplyError != 0 {
		var bad error
		if c.failure, body, bad = wire.ReadError(c.face.codecOf(n), c.face.table, &c.courier, body); bad == nil && c.failure == nil {
			bad = errors.New("the reply announces an error and has none")
		}
		if bad != nil {
			c.unreadable(bad)
			return
		}
	}
	if c.flags&wire.ReplyResults != 0 {
		c.Results.Reset(c.face.codecOf(n), c.face.table, &c.courier, "result", body)
		c.Results.SetFilters(n.cfg.Filter, nil)
		if c.frame != nil {
			c.Results.Lend()
		}
		return
	}
	c.Results.Err = errNoResults
	switch {
	case len(body) > 0:
		c.unreadable(fmt.Errorf("%d bytes follow the reply", len(body)))
	case c.failure == nil:
		c.unreadable(errors.New("a reply without results and without an error"))
	}
}

// unreadable ends the call because its reply makes no sense.
func (c *Outgoing) unreadable(err error) {
	kind, reason := codecKind(err)
	c.give(&Error{Kind: kind, Reason: reason, Err: err})
}

// Finish ends the call and returns its error: the method's own, as it would be returned by a local call, or an *Error of the
// runtime's.
func (c *Outgoing) Finish() error {
	if l := c.launch; l != nil && l.away == c && c.Results.Err == errUnderWay {
		return errUnderWay
	}
	if c.cancel != nil {
		c.cancel()
	}
	err := c.finish()
	if c.flags&wire.ReplyPinned != 0 {
		c.link.line.Done(c.courier.in)
	}
	c.leave()
	c.drop()
	return err
}

func (c *Outgoing) finish() error {
	if c.err == nil && c.flags&wire.ReplyResults != 0 {
		bad := c.Results.Finish()
		if rest := c.Results.Rest(); bad == nil && len(rest) > 0 {
			bad = fmt.Errorf("%d bytes follow the results", len(rest))
		}
		if bad != nil && c.failure == nil {
			c.unreadable(bad)
		}
	}
	if c.settled && (c.override != nil || c.err == nil) {
		return c.override
	}
	return c.failed()
}

// failed returns the error of the call as far as it is known before the results are read.
func (c *Outgoing) failed() error {
	switch {
	case c.err != nil:
		return c.err
	case c.failure == nil || c.flags&wire.ReplyRuntime == 0:
		return c.failure
	}
	e := asError(c.failure)
	e.Remote, e.NotRun = true, c.flags&wire.ReplyNotStarted != 0
	c.explain(e)
	if e.Kind == ErrNoSuchObject && e.NotRun && e.Err == nil { // a cause would be of an argument
		e.Reason = c.handle.missing(e.Reason)
	}
	c.give(e)
	return c.err
}

// missing ends a handle of whose object its process says that it is not there, and returns why that is, as far as this process knows
// better.
func (h *Handle) missing(why Reason) Reason {
	if h.promise != nil || h.id.Object.Fixed() {
		return why // it may be there later, or in another process
	}
	h.Node().collector.Missing(h.id, h.local, why)
	if end := h.end.Load(); end != nil && end.Kind == ErrNoSuchObject {
		return end.Reason
	}
	return why
}

// explain completes ErrNoSuchMethod: both signatures, where the object has a method of the same name.
func (c *Outgoing) explain(e *Error) {
	var has hasMethods
	if e.Kind != ErrNoSuchMethod || !errors.As(e.Err, &has) {
		return
	}
	want := c.face.methods[c.method]
	if want == nil {
		return
	}
	for _, signature := range has {
		if theirs := (&Method{Signature: signature}); theirs.Name() == want.Name() {
			e.Err = fmt.Errorf("this side calls %s, the object has %s: generate both sides from the same interface", want.Signature, signature)
			return
		}
	}
	e.Err = fmt.Errorf("this side calls %s, %w", want.Signature, has)
}

// Interfaces asks the object's process for the names of the object's interfaces. For an object of this node's own, it looks.
func (h *Handle) Interfaces(ctx context.Context, f *Face) ([]string, error) {
	if h.Local() {
		e, _, why := h.Node().exports.get(h.id.Object)
		if e == nil {
			return nil, &Error{Op: "describe", Ref: h.Ref(), Kind: ErrNoSuchObject, Reason: why, NotRun: true}
		}
		return h.Node().exports.interfaces(e), nil
	}
	c := h.Call(ctx, f, methodInterfaces, h.Node().direct)
	c.Invoke()
	var names []string
	c.Results.Value(&names)
	if err := c.Finish(); err != nil {
		return nil, err
	}
	h.learn(strings.Join(names, " "))
	return names, nil
}

// Has reports whether the object is known to have the interface, without asking.
func (h *Handle) Has(name string) bool {
	for _, known := range h.knownInterfaces() {
		if known == name {
			return true
		}
	}
	return false
}
