package refs

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rmigo/rmigo/internal/wire"
)

// Incoming is one call that this process serves: generated skeletons read Args, Begin, run the method and fill Results. It
// is used by the goroutine that serves it, and reused for later calls; what outlives the call, and what others may touch, is in
// its context.
type Incoming struct {
	Method  uint64
	Args    wire.Decoder
	Results wire.Encoder

	node    *Node
	ctx     *callContext
	face    *Face       // that has the method; nil for the runtime's
	types   *wire.Table // what its messages may carry by name
	slot    uint64
	object  ObjectID
	body    []byte // the arguments
	frame   []byte // the buffer that body is part of, where it has one of its own
	size    int64  // of that memory, counted in Node.pendingBytes
	begun   bool
	turn    *turn      // on a serial object, which it has; nil: none
	vow     *vowed     // what it is to return is promised; nil: nothing
	pipe    uint64     // that it belongs to; 0: none
	refused *Error     // what it ended with before it was served
	flows   *flows     // its streams; nil: it has none yet
	result  *outflow   // the one that it returns
	count   uint64     // items of that
	feeds   []*outflow // writers among the arguments
	strands uint16     // the index of the last stream among the arguments
	unfit   *Error     // why the next one could not travel
	at      located    // what it is to be run on
	spree   *spree     // it is run by who receives; nil: by a worker
	arrives courier    // references among the arguments
	leaves  courier    // and among the results

	copied []byte        // memory for small arguments
	permit *permit       // for a large reply
	waited time.Duration // for that
	reply  []byte        // memory for small ones
	tail   []byte        // what follows it, where the result is
}

// smallMessage is how large the memory may be that calls keep for those after them.
const smallMessage = 8 << 10

// newIncoming returns a call to be filled in; drop takes it back.
func (n *Node) newIncoming() *Incoming {
	if in, ok := n.incoming.Get().(*Incoming); ok {
		return in
	}
	return &Incoming{node: n, reply: make([]byte, 0, 512)}
}

// drop gives the call's memory back. Nothing of it is used any more.
func (in *Incoming) drop() {
	in.clear()
	in.node.incoming.Put(in)
}

// clear makes the memory of a call that of none.
func (in *Incoming) clear() {
	n := in.node
	if in.frame != nil && !in.Args.Kept() {
		n.buffers.Put(in.frame)
	}
	in.Args.Forget()
	in.Results.Forget()
	in.waited, in.tail = 0, nil
	in.ctx, in.face, in.types, in.body, in.frame, in.begun, in.size = nil, nil, nil, nil, nil, false, 0
	in.at, in.spree = located{}, nil
	in.turn, in.refused, in.vow, in.pipe, in.leaves.first = nil, nil, nil, 0, held{}
	in.flows, in.result, in.count, in.unfit, in.feeds, in.strands = nil, nil, 0, nil, nil, 0
	if cap(in.copied) > smallMessage {
		in.copied = nil
	}
	if cap(in.reply) > smallMessage {
		n.buffers.Put(in.reply)
		in.reply = make([]byte, 0, 512)
	}
	in.leavePermit()
}

// serving is the table of calls that a link's peer waits for. mu guards running; cancellation happens outside it.
type serving struct {
	count atomic.Int64 // of running, for who need not have it exactly

	mu      sync.Mutex
	running map[uint64]*callContext
	early   earlyCancels
	shut    bool // the link has ended: what its reader still has is not served
}

// earlyCancels remembers the latest cancellations of calls that were not running: that of a large call may overtake it, since the
// two take different connections, and that of a call of a batch is not gathered as the call is.
type earlyCancels struct {
	numbers []uint64
	next    int
}

const mostEarly = 1024

func (e *earlyCancels) add(number uint64) {
	if len(e.numbers) < mostEarly {
		e.numbers = append(e.numbers, number)
		return
	}
	e.numbers[e.next] = number
	e.next = (e.next + 1) % mostEarly
}

func (e *earlyCancels) has(number uint64) bool { return slices.Contains(e.numbers, number) }

// add takes the call in and returns how many are running; an error ends the link. A large one may have been cancelled already.
func (s *serving) add(c *callContext, late bool) (count int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.shut:
		return 0, errors.New("the connection has ended")
	case s.running[c.number] != nil:
		return 0, &wire.FrameError{Kind: wire.CallFrame, Says: fmt.Sprintf("number %d is running already", c.number)}
	}
	s.running[c.number] = c
	s.count.Store(int64(len(s.running)))
	if late && s.early.has(c.number) {
		c.end(errGivenUp)
	}
	return len(s.running), nil
}

func (s *serving) remove(number uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.running, number)
	s.count.Store(int64(len(s.running)))
}

// cancel ends the call's context because the caller gave it up.
func (s *serving) cancel(number uint64) {
	s.mu.Lock()
	c := s.running[number]
	if c == nil {
		s.early.add(number)
	}
	s.mu.Unlock()
	if c != nil {
		c.end(errGivenUp)
	}
}

// end cancels all calls and admits no more.
func (s *serving) end(why error) {
	s.mu.Lock()
	s.shut = true
	s.mu.Unlock()
	s.cancelIf(func(*callContext) bool { return true }, why)
}

func (s *serving) cancelIf(which func(*callContext) bool, why error) {
	s.mu.Lock()
	var calls []*callContext
	for _, c := range s.running {
		if which(c) {
			calls = append(calls, c)
		}
	}
	s.mu.Unlock()
	for _, c := range calls {
		c.end(why)
	}
}

// cancelCalls cancels the calls that run on an object.
func (n *Node) cancelCalls(e *export, why error) {
	n.mu.Lock()
	links := append(n.liveLinks(), n.home)
	n.mu.Unlock()
	for _, l := range links {
		called := func(c *callContext) bool { return c.export.Load() == e }
		l.serving.cancelIf(called, why)
		l.lineups.cancelIf(called, why)
	}
}

var errGivenUp = fmt.Errorf("%w: the caller gave the call up", context.Canceled)

// arrival is how a call came.
type arrival struct {
	now   time.Time
	lent  bool   // its frame is
	late  bool   // what was sent after it may have overtaken it
	unfit *Error // why it is to be refused, where its frame lacks its end; nil: it is whole
	spree *spree // for short calls; nil: workers run them all
}

// takeCall admits a call and starts serving it, or refuses it. It runs where the lane's bytes are received: it never waits.
func (l *link) takeCall(frame []byte, how arrival) error {
	lent, unfit := how.lent, how.unfit
	n := l.node
	h, body, err := wire.ParseCall(frame)
	if err != nil {
		return err
	}
	l.touch()
	if unfit != nil {
		body = nil
	}
	if h.OneWay {
		return l.takeOneWay(h, frame, body, lent, unfit)
	}
	in := n.newIncoming()
	in.keep(frame, body, lent)
	in.Method, in.slot, in.object = h.Method, h.Slot, h.Object
	in.arrives = courier{node: n, link: l, in: Message{Call: h.Number}, pinned: h.Pinned}
	in.leaves = courier{node: n, link: l, in: Message{Call: h.Number, Result: true, method: h.Method}}
	if h.Pinned && !l.line.Arrived(in.arrives.in) {
		in.drop()
		return nil // the connection is over, and so is the call
	}
	in.ctx = &callContext{link: l, number: h.Number, depth: h.Depth}
	in.arrives.serving = in.ctx
	after, pipe := uint64(0), uint64(0)
	if h.Extensions != nil {
		m, err := wire.ReadMetadata(h.Extensions, n.cfg.Limits.MetadataBytes)
		if errors.Is(err, wire.ErrMetadata) {
			unfit = &Error{Kind: ErrLimit, Err: tooMuchMetadata(n.cfg.Limits.MetadataBytes)}
		} else if err != nil {
			in.drop()
			return err
		}
		after, pipe = m.After, m.Pipe
		in.ctx.bring(arrived(m), m.Path)
	}
	if h.Timeout > 0 {
		in.ctx.until(how.now, h.Timeout)
	}
	count, err := l.serving.add(in.ctx, how.late || len(frame) >= largeFrame)
	if err != nil {
		in.received()
		in.ctx.end(nil)
		return err
	}
	how.unfit = unfit
	in.enter(h, count, how, after, pipe)
	return nil
}

// enter has a call served that was read, when those that it comes after have been, or refuses it: the peer runs count calls, it comes after
// one-way calls, it belongs to a pipe. It never waits.
func (in *Incoming) enter(h wire.CallHeader, count int, how arrival, after, pipe uint64) {
	n, l := in.node, in.ctx.link
	if h.Depth == 0 {
		n.rootCalls.Add(1)
	}
	n.pendingBytes.Add(in.size)
	refusal := in.admit(count)
	if refusal == nil {
		refusal = how.unfit
	}
	if h.Promised && refusal == nil {
		refusal = in.promiseFor(h.Number)
	}
	if refusal != nil {
		l.out.post(in.refusal(refusal))
		in.done()
		in.drop()
		return
	}
	n.calls.begin()
	if pipe != 0 {
		switch l.vows.join(in, pipe) {
		case starts:
			n.workers.do(in)
			return
		case waits:
			return
		}
	}
	if after > 0 && l.lineups.gate(in, after) {
		return
	}
	n.start(in, how.spree)
}

// start has a call served that waits for no one-way calls, once nobody else has the object, if it is a serial one. It never waits.
func (n *Node) start(in *Incoming, short *spree) {
	if n.turns.any.Load() && !n.turns.take(in) {
		return
	}
	if !short.takes(in) {
		n.workers.do(in)
	}
}

// keep takes the arguments out of a frame that is lent, or over with a frame that is not. A call may last: it must not hold more
// memory than it needs.
func (in *Incoming) keep(frame, body []byte, lent bool) {
	switch {
	case lent:
		in.copied = append(in.copied[:0], body...)
		in.body = in.copied
	case cap(frame) > 2*max(len(frame), smallBuffer):
		in.body = slices.Clone(body)
		in.node.buffers.Put(frame)
	default:
		in.body, in.frame = body, frame
	}
	in.size = int64(max(len(in.body), cap(in.frame)))
}

// admit decides whether the call may run now.
func (in *Incoming) admit(ofPeer int) *Error {
	n := in.node
	overloaded := func(format string, args ...any) *Error {
		return &Error{Kind: ErrOverloaded, Err: fmt.Errorf(format, args...)}
	}
	switch {
	case in.ctx.depth == 0 && n.draining.Load():
		return &Error{Kind: ErrNodeClosed, Err: errors.New("the process is shutting down")}
	case in.ctx.depth == 0 && n.rootCalls.Load() > int64(n.cfg.MaxCalls):
		return overloaded("%d calls are running (Options.MaxCalls)", n.cfg.MaxCalls)
	case int(in.ctx.depth) > n.cfg.MaxCallDepth:
		return &Error{Kind: ErrLimit, Err: fmt.Errorf("the chain of calls is nested more than %d deep (Options.MaxCallDepth)", n.cfg.MaxCallDepth)}
	case ofPeer > n.cfg.Limits.CallsPerPeer:
		return overloaded("%d calls of this peer are running (Limits.CallsPerPeer)", n.cfg.Limits.CallsPerPeer)
	case n.pendingBytes.Load() > n.cfg.Limits.PendingBytes && n.pendingBytes.Load() > in.size:
		return tooMuchPending(n.cfg.Limits.PendingBytes)
	}
	return nil
}

// done ends the accounting of the call.
func (in *Incoming) done() {
	c := in.ctx
	in.received()
	if in.flows != nil {
		in.flows.end()
	}
	c.end(nil)
	c.link.serving.remove(c.number)
	in.settle()
	if in.vow != nil {
		in.keepVow(errMoved)
	}
}

// settle gives back what the call had for itself.
func (in *Incoming) settle() {
	n, c := in.node, in.ctx
	if c.depth == 0 {
		n.rootCalls.Add(-1)
	}
	n.pendingBytes.Add(-in.size)
	if e := c.export.Load(); e != nil {
		e.release()
	}
	if in.turn != nil {
		n.turns.release(in)
	}
}

// serve runs the call and replies, and then those that come after it in its pipe.
func (in *Incoming) serve() {
	for in != nil {
		in = in.serveOne()
	}
}

func (in *Incoming) serveOne() (next *Incoming) {
	n, l, pipe := in.node, in.ctx.link, in.pipe
	returned := false
	defer func() {
		if !returned { // the method called runtime.Goexit
			in.endStreams()
			l.out.post(in.refusal(in.exited(debug.Stack())))
			in.leavePermit()
			in.done()
			if pipe != 0 {
				if next := l.vows.leave(pipe); next != nil {
					n.workers.do(next)
				}
			}
		}
		n.calls.done()
	}()
	timed := sampled(in.ctx.number)
	var began time.Duration
	if timed {
		began = time.Since(l.start)
	}
	err := in.call()
	returned = true
	if pipe != 0 && errors.Is(err, errMoved) {
		l.vows.stop(pipe)
	}
	in.endStreams()
	frame := in.answer(err)
	if timed && in.at.member != nil {
		l.timed(&in.at.member.pace, time.Since(l.start)-began-in.waited)
	}
	in.respond(frame)
	if in.vow != nil {
		in.keepVow(err)
	}
	in.done()
	in.drop()
	if pipe != 0 {
		next = l.vows.leave(pipe)
	}
	return next
}

// respond sends the reply. What waits to be sent counts as what waits to be served does, and one peer's no more than half of it: a
// peer that reads nothing must neither make this process hold more and more, nor have others turned away.
func (in *Incoming) respond(frame []byte) {
	n, l := in.node, in.ctx.link
	if in.spree != nil {
		in.spree.replies()
	}
	size := int64(len(frame) + len(in.tail))
	if size > smallMessage {
		bound := n.cfg.Limits.PendingBytes
		of, all := l.unsent.Add(size), n.pendingBytes.Add(size)
		if of > bound/2 && of > size || all > bound && all > size+in.size {
			l.isSent(size)
			n.buffers.Put(in.reply)
			in.reply = make([]byte, 0, 512)
			frame = in.refusal(&Error{Kind: ErrOverloaded, Err: fmt.Errorf(
				"the results that wait to be sent take too much of %d bytes (Limits.PendingBytes)", bound)})
			size = 0
		}
	}
	if b := l.wide(int(size)); b != nil {
		in.respondWide(b, frame, size)
		return
	}
	if size > smallMessage {
		defer l.isSent(size)
	}
	frame = in.whole(frame)
	if in.spree != nil {
		l.out.gather(l.gone, frame)
		return
	}
	if in.pipe != 0 && l.vows.more(in.pipe) {
		l.out.queue(l.gone, frame)
		return
	}
	l.out.send(l.gone, frame, true, l.serving.count.Load() > 1)
}

// isSent notes that a large reply waits no longer.
func (l *link) isSent(size int64) {
	l.unsent.Add(-size)
	l.node.pendingBytes.Add(-size)
}

// respondWide is respond by the bulk session. It waits for that, unless it runs where calls are received.
func (in *Incoming) respondWide(b *bulk, frame []byte, size int64) {
	n, l := in.node, in.ctx.link
	if b.now(frame, in.tail, func() { l.isSent(size) }) {
		return
	}
	frame = in.whole(frame)
	send := func() {
		b.send(l.gone, frame, nil)
		l.isSent(size)
	}
	if in.spree == nil {
		send()
		return
	}
	in.reply = make([]byte, 0, 512)
	n.tasks.run(func() { // ends with the link at the latest
		send()
		n.buffers.Put(frame)
	})
}

// whole returns the reply with what follows it, in in.reply.
func (in *Incoming) whole(frame []byte) []byte {
	if in.tail != nil {
		frame = append(append(in.node.buffers.Get(len(frame) + len(in.tail))[:0], frame...), in.tail...)
		in.reply, in.tail = frame[:0], nil
	}
	return frame
}

// call finds the object and the method, and runs it.
func (in *Incoming) call() error {
	n := in.node
	if _, vowed := in.object.vowed(); (vowed || in.pipe != 0) && in.refused == nil {
		in.refused = in.aim()
	}
	if in.refused != nil {
		return in.refused
	}
	in.find()
	e, m := in.ctx.export.Load(), in.at.member
	if e == nil {
		return &Error{Kind: ErrNoSuchObject, Reason: in.at.why}
	}
	if in.Method >= methodInterfaces && in.Method <= methodFlush {
		in.Args.Reset(n.codec, nil, &in.arrives, "argument", in.body)
		in.startResults(nil)
		if err := in.Begin(); err != nil {
			return err
		}
		switch in.Method {
		case methodInterfaces:
			in.Results.Value(n.exports.interfaces(e))
		case methodDescribe:
			in.Results.Value(*n.exports.describe(e))
		}
		return nil
	}
	if m == nil {
		return &Error{Kind: ErrNoSuchMethod, Err: n.exports.signatures(e)}
	}
	in.face, in.types, in.leaves.in.face = m.face, in.at.table, m.face
	in.Args.Reset(n.codec, in.types, &in.arrives, "argument", in.body)
	in.Args.SetFilters(e.admits(), n.cfg.Filter)
	if in.frame != nil {
		in.Args.Lend()
	}
	in.startResults(in.types)
	return m.face.Serve(in.ctx, in.at.impl, in)
}

// find finds the object and the method, unless that has been done.
func (in *Incoming) find() {
	if in.at.known {
		return
	}
	var e *export
	if e, in.at = in.node.exports.acquire(in.object, in.Method); e != nil {
		in.ctx.export.Store(e)
	}
}

// quick finds the object and the method, and reports whether that has been quick.
func (in *Incoming) quick() bool {
	if _, vowed := in.object.vowed(); vowed || in.pipe != 0 || in.vow != nil {
		return false
	}
	in.find()
	return in.at.member != nil && in.at.member.pace.isQuick()
}

func (in *Incoming) startResults(t *wire.Table) {
	in.Results.Reset(in.node.codec, t, &in.leaves, "result", in.reply[:wire.ReplyHeaderBytes])
	in.Results.Borrow((*resultMemory)(in))
	if in.ctx.link.bulk.Load() != nil && in.goesAtOnce() {
		in.Results.LeaveOut(leastTail, mostTail)
	}
}

// goesAtOnce reports whether the reply is sent as soon as it is written, and nothing tells the caller of the method's end before. That of streams does.
func (in *Incoming) goesAtOnce() bool {
	return in.vow == nil && in.pipe == 0 && !in.Intercepted() && (in.face == nil || !in.face.hasStreams(in.Method))
}

// received has the arguments acknowledged, once: all references among them are known, or will not be looked at.
func (in *Incoming) received() {
	if in.arrives.pinned {
		in.arrives.pinned = false
		in.arrives.link.line.Done(in.arrives.in)
	}
}

// Begin checks that the arguments were read; after it, the call counts as begun. Without it the method must not be run.
func (in *Incoming) Begin() error {
	err := in.Args.Finish()
	if rest := in.Args.Rest(); err == nil && len(rest) > 0 {
		err = fmt.Errorf("%d bytes follow the arguments", len(rest))
	}
	if err != nil {
		kind, reason := codecKind(err)
		return &Error{Kind: kind, Reason: reason, Err: err}
	}
	if in.ctx.ended() {
		return &Error{Err: contextError(in.ctx)}
	}
	in.received()
	in.begun = true
	return nil
}

// Place is the method's place in the table of its interface: what the skeleton of a generic interface knows it by, whose methods' ids
// depend on the type arguments. It is -1 where the method is none of the interface's.
func (in *Incoming) Place() int { return in.face.placeOf(in.Method) }

// Interface is that of the method.
func (in *Incoming) Interface() Descriptor { return in.face.Descriptor }

// AtEnd has f called when the node is closed, on a goroutine of its own, unless forget is called before.
func (in *Incoming) AtEnd(f func()) (forget func() bool) { return in.node.atEnd(in.object, f) }

func (n *Node) atEnd(object ObjectID, f func()) (forget func() bool) {
	return context.AfterFunc(n.base, func() { n.tellUser("what ends with the node", object, f) })
}

// NoSuchMethod is the error of a skeleton asked for a method that it does not have.
func (in *Incoming) NoSuchMethod() error { return &Error{Kind: ErrNoSuchMethod} }

// Panicked logs a panic of the method and returns the error for the caller, who is told what was panicked with; the stack
// stays in the log.
func (in *Incoming) Panicked(value any, stack []byte) error {
	n := in.node
	n.report(n.cfg.log.Error, "panic in remote method", "method", in.face.methodName(in.Method), "caller", in.ctx.link.peer.id.String(),
		"panic", fmt.Sprint(value), "stack", string(stack))
	return &panicked{fmt.Sprint(value)}
}

// exited is Panicked for a method that ended its goroutine.
func (in *Incoming) exited(stack []byte) *Error {
	n, method := in.node, "none"
	if in.face != nil {
		method = in.face.methodName(in.Method)
	}
	n.report(n.cfg.log.Error, "remote method ended its goroutine", "method", method, "caller", in.ctx.link.peer.id.String(),
		"stack", string(stack))
	return &Error{Kind: ErrPanic, Err: errors.New("the method ended its goroutine by runtime.Goexit")}
}

type panicked struct{ text string }

func (p *panicked) Error() string { return p.text }

// Is makes a panic ErrPanic to interceptors.
func (p *panicked) Is(target error) bool { return target == ErrPanic }

// answer builds the reply frame, in in.reply.
func (in *Incoming) answer(err error) []byte {
	if !in.begun || err != nil && in.panicked(err) != nil {
		e := in.panicked(err)
		if e == nil {
			e = asError(err)
		}
		return in.refusal(e)
	}
	if in.unfit != nil {
		return in.refusal(in.unfit)
	}
	flags := wire.ReplyResults
	frame, bad := in.Results.Finish()
	in.tail = in.Results.Tail()
	if size := len(frame) + len(in.tail) - wire.ReplyHeaderBytes; bad == nil && size > in.ctx.link.peerLimit {
		bad = &Error{Kind: ErrLimit, Err: fmt.Errorf("the results take %d bytes, the caller takes at most %d (its Limits.MessageBytes)", size, in.ctx.link.peerLimit)}
	}
	if bad != nil {
		if err == nil {
			kind, reason := codecKind(bad)
			if kind == ErrUnmarshal {
				kind = ErrMarshal
			}
			return in.refusal(&Error{Kind: kind, Reason: reason, Err: bad})
		}
		flags, frame, in.tail = 0, in.reply[:wire.ReplyHeaderBytes], nil
	}
	if err != nil { // it stands before the results: it can be read even where they cannot
		flags |= wire.ReplyError
		item := wire.AppendError(in.node.codec, in.table(), &in.leaves, nil, err)
		frame = slices.Insert(frame, wire.ReplyHeaderBytes, item...)
	}
	return in.finishReply(frame, flags)
}

func (in *Incoming) panicked(err error) *Error {
	if p, ok := err.(*panicked); ok {
		return &Error{Kind: ErrPanic, Err: p}
	}
	return nil
}

// refusal builds the reply for an error of the runtime.
func (in *Incoming) refusal(e *Error) []byte {
	in.tail = nil
	if in.leaves.pinned { // in results that are not sent
		in.leaves.pinned = false
		in.leaves.link.line.Unsent(in.leaves.in)
	}
	flags := wire.ReplyError | wire.ReplyRuntime
	if !in.begun {
		flags |= wire.ReplyNotStarted
	}
	frame := wire.AppendError(in.node.codec, in.table(), nil, in.reply[:wire.ReplyHeaderBytes], e)
	return in.finishReply(frame, flags)
}

func (in *Incoming) finishReply(frame []byte, flags wire.ReplyFlags) []byte {
	if in.leaves.pinned {
		flags |= wire.ReplyPinned
		frame = wire.AppendReplyNumber(in.whole(frame), in.ctx.number)
	}
	wire.AppendReplyHeader(frame[:0], wire.ReplyHeader{Flags: flags, Slot: in.slot})
	if err := wire.FinishFrameBefore(frame, len(in.tail)); err != nil {
		return in.refusal(&Error{Kind: ErrLimit, Err: err})
	}
	in.reply = frame[:0]
	return frame
}

// table is what the reply may carry by name.
func (in *Incoming) table() *wire.Table {
	if in.types != nil {
		return in.types
	}
	return in.node.runtimeTable
}

// Peer is who calls.
type Peer struct {
	Process  ProcessID // the calling process; zero outside a remote call
	Address  string    // its network address, as seen from here
	SameHost bool      // it runs on this host
}

// Caller returns who made the remote call that ctx belongs to; a zero Peer if it belongs to none. A local call that is made with
// such a context belongs to that remote call too.
func Caller(ctx context.Context) Peer {
	c := incomingFrom(ctx)
	if c == nil {
		return Peer{}
	}
	return c.caller()
}

func (c *callContext) caller() Peer { return peerAt(c.link) }

func peerAt(l *link) Peer {
	return Peer{Process: l.peer.id, Address: l.session.RemoteAddr().String(), SameHost: l.vantage.sameHost}
}
