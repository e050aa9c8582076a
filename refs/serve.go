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

// Incoming is one call that this process serves: generated skeletons read Args, Begin, run the method and fill Results. It
// is used by the goroutine that serves it; others may only cancel it.
type Incoming struct {
	Method  uint64
	Args    wire.Decoder
	Results wire.Encoder

	link    *link
	face    *Face       // that has the method; nil for the runtime's
	types   *wire.Table // what its messages may carry by name
	export  atomic.Pointer[export]
	number  uint64
	slot    uint64
	depth   uint16
	timeout time.Duration
	object  ObjectID
	body    []byte
	frame   []byte // the buffer that body is part of
	size    int64  // of that buffer, counted in Node.pendingBytes
	begun   bool
	courier courier
	ctx     context.Context
	cancel  context.CancelCauseFunc
}

// serving is the table of calls that a link's peer waits for. mu guards running; cancellation happens outside it.
type serving struct {
	mu      sync.Mutex
	running map[uint64]*Incoming
	shut    bool // the link has ended: what its reader still has is not served
}

// add takes the call in and returns how many are running; an error ends the link.
func (s *serving) add(in *Incoming) (count int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.shut:
		return 0, errors.New("the connection has ended")
	case s.running[in.number] != nil:
		return 0, &wire.FrameError{Kind: wire.CallFrame, Says: fmt.Sprintf("number %d is running already", in.number)}
	}
	s.running[in.number] = in
	return len(s.running), nil
}

func (s *serving) remove(number uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.running, number)
}

func (s *serving) len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.running)
}

// cancel ends the call's context because the caller gave it up.
func (s *serving) cancel(number uint64) {
	s.mu.Lock()
	in := s.running[number]
	s.mu.Unlock()
	if in != nil {
		in.cancel(errGivenUp)
	}
}

// end cancels all calls and admits no more.
func (s *serving) end(why error) {
	s.mu.Lock()
	s.shut = true
	s.mu.Unlock()
	s.cancelIf(func(*Incoming) bool { return true }, why)
}

func (s *serving) cancelIf(which func(*Incoming) bool, why error) {
	s.mu.Lock()
	var calls []*Incoming
	for _, in := range s.running {
		if which(in) {
			calls = append(calls, in)
		}
	}
	s.mu.Unlock()
	for _, in := range calls {
		in.cancel(why)
	}
}

// cancelCalls cancels the calls that run on an object.
func (n *Node) cancelCalls(e *export, why error) {
	n.mu.Lock()
	links := n.liveLinks()
	n.mu.Unlock()
	for _, l := range links {
		l.serving.cancelIf(func(in *Incoming) bool { return in.export.Load() == e }, why)
	}
}

var errGivenUp = fmt.Errorf("%w: the caller gave the call up", context.Canceled)

// takeCall admits a call and starts serving it, or refuses it. It runs on the lane's reader: it never waits.
func (l *link) takeCall(frame []byte) error {
	n := l.node
	if cap(frame) > 2*max(len(frame), smallBuffer) { // a call may last: it must not hold more than it needs
		large := frame
		frame = slices.Clone(large)
		n.buffers.Put(large)
	}
	h, body, err := wire.ParseCall(frame)
	if err != nil {
		return err
	}
	l.touch()
	in := &Incoming{Method: h.Method, link: l, number: h.Number, slot: h.Slot, depth: h.Depth, timeout: h.Timeout,
		object: h.Object, body: body, frame: frame, size: int64(cap(frame))}
	in.courier = courier{n, l, Message{Call: h.Number, Caller: l.peer.id}}
	in.ctx, in.cancel = context.WithCancelCause(n.base)
	count, err := l.serving.add(in)
	if err != nil {
		in.cancel(nil)
		return err
	}
	if in.depth == 0 {
		n.rootCalls.Add(1)
	}
	n.pendingBytes.Add(in.size)
	if refusal := in.admit(count); refusal != nil {
		l.out.post(in.refusal(refusal))
		in.done()
		return nil
	}
	n.calls.run(in.serve) // ends when the method returns
	return nil
}

// admit decides whether the call may run now.
func (in *Incoming) admit(ofPeer int) *Error {
	n := in.link.node
	overloaded := func(format string, args ...any) *Error {
		return &Error{Kind: ErrOverloaded, Err: fmt.Errorf(format, args...)}
	}
	switch {
	case in.depth == 0 && n.draining.Load():
		return &Error{Kind: ErrNodeClosed, Err: errors.New("the process is shutting down")}
	case in.depth == 0 && n.rootCalls.Load() > int64(n.cfg.MaxCalls):
		return overloaded("%d calls are running (Options.MaxCalls)", n.cfg.MaxCalls)
	case int(in.depth) > n.cfg.MaxCallDepth:
		return &Error{Kind: ErrLimit, Err: fmt.Errorf("the chain of calls is nested more than %d deep (Options.MaxCallDepth)", n.cfg.MaxCallDepth)}
	case ofPeer > n.cfg.Limits.CallsPerPeer:
		return overloaded("%d calls of this peer are running (Limits.CallsPerPeer)", n.cfg.Limits.CallsPerPeer)
	case n.pendingBytes.Load() > n.cfg.Limits.PendingBytes && n.pendingBytes.Load() > in.size:
		return overloaded("the arguments of running calls take more than %d bytes (Limits.PendingBytes)", n.cfg.Limits.PendingBytes)
	}
	return nil
}

// done ends the accounting of the call.
func (in *Incoming) done() {
	n := in.link.node
	in.cancel(nil)
	in.link.serving.remove(in.number)
	if in.depth == 0 {
		n.rootCalls.Add(-1)
	}
	n.pendingBytes.Add(-in.size)
	if e := in.export.Load(); e != nil {
		e.release()
	}
	n.buffers.Put(in.frame)
}

type incomingKey struct{}

// incomingFrom returns the call that ctx belongs to, or nil.
func incomingFrom(ctx context.Context) *Incoming {
	in, _ := ctx.Value(incomingKey{}).(*Incoming)
	return in
}

// serve runs the call and replies.
func (in *Incoming) serve() {
	l, n := in.link, in.link.node
	returned := false
	defer func() {
		if !returned { // the method called runtime.Goexit
			l.out.post(in.refusal(&Error{Kind: ErrPanic, Err: errors.New("the method ended its goroutine")}))
		}
		in.done()
	}()
	if in.timeout > 0 {
		var stop context.CancelFunc
		in.ctx, stop = context.WithTimeout(in.ctx, in.timeout)
		defer stop()
	}
	err := in.run(context.WithValue(in.ctx, incomingKey{}, in))
	returned = true
	reply := in.reply(err)
	l.out.send(l.gone, reply, l.serving.len() > 1)
	n.buffers.Put(reply)
}

// run finds the object and the method, and runs it.
func (in *Incoming) run(ctx context.Context) error {
	n := in.link.node
	e, why := n.exports.acquire(in.object)
	if e == nil {
		return &Error{Kind: ErrNoSuchObject, Reason: why}
	}
	in.export.Store(e)
	f, table := n.exports.face(e, in.Method)
	if in.Method == methodInterfaces {
		in.Args.Reset(n.codec, nil, &in.courier, "argument", in.body)
		in.startResults(nil)
		if err := in.Begin(); err != nil {
			return err
		}
		in.Results.Value(n.exports.interfaces(e))
		return nil
	}
	if f == nil {
		return &Error{Kind: ErrNoSuchMethod, Err: n.exports.signatures(e)}
	}
	in.face, in.types = f, table
	in.Args.Reset(n.codec, table, &in.courier, "argument", in.body)
	in.startResults(table)
	return f.Serve(ctx, e.impl, in)
}

func (in *Incoming) startResults(t *wire.Table) {
	n := in.link.node
	results := in.courier
	results.in.Result = true
	in.Results.Reset(n.codec, t, &results, "result", n.buffers.Get(wire.ReplyHeaderBytes))
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
	if err := in.ctx.Err(); err != nil {
		return &Error{Err: contextError(in.ctx)}
	}
	in.begun = true
	return nil
}

// NoSuchMethod is the error of a skeleton asked for a method that it does not have.
func (in *Incoming) NoSuchMethod() error { return &Error{Kind: ErrNoSuchMethod} }

// Panicked logs a panic of the method and returns the error for the caller, who is told what was panicked with; the stack
// stays in the log.
func (in *Incoming) Panicked(value any, stack []byte) error {
	n := in.link.node
	n.report(n.cfg.log.Error, "panic in remote method", "method", in.face.methodName(in.Method), "caller", in.link.peer.id.String(),
		"panic", fmt.Sprint(value), "stack", string(stack))
	return &panicked{fmt.Sprint(value)}
}

type panicked struct{ text string }

func (p *panicked) Error() string { return p.text }

// reply builds the reply frame.
func (in *Incoming) reply(err error) []byte {
	if !in.begun || err != nil && in.panicked(err) != nil {
		e := in.panicked(err)
		if e == nil {
			e = asError(err)
		}
		return in.refusal(e)
	}
	flags := wire.ReplyResults
	frame, bad := in.Results.Finish()
	if size := len(frame) - wire.ReplyHeaderBytes; bad == nil && size > in.link.peerLimit {
		bad = &Error{Kind: ErrLimit, Err: fmt.Errorf("the results take %d bytes, the caller takes at most %d (its Limits.MessageBytes)", size, in.link.peerLimit)}
	}
	if bad != nil {
		if err == nil {
			kind, reason := codecKind(bad)
			if kind == ErrUnmarshal {
				kind = ErrMarshal
			}
			return in.refusal(&Error{Kind: kind, Reason: reason, Err: bad})
		}
		flags, frame = 0, in.link.node.buffers.Get(wire.ReplyHeaderBytes)
	}
	if err != nil { // it stands before the results: it can be read even where they cannot
		flags |= wire.ReplyError
		item := wire.AppendError(in.link.node.codec, in.table(), in.resultCourier(), nil, err)
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
	flags := wire.ReplyError | wire.ReplyRuntime
	if !in.begun {
		flags |= wire.ReplyNotStarted
	}
	n := in.link.node
	frame := wire.AppendError(n.codec, n.runtimeTable, nil, n.buffers.Get(wire.ReplyHeaderBytes), e)
	return in.finishReply(frame, flags)
}

func (in *Incoming) finishReply(frame []byte, flags wire.ReplyFlags) []byte {
	wire.AppendReplyHeader(frame[:0], wire.ReplyHeader{Flags: flags, Slot: in.slot})
	if err := wire.FinishFrame(frame); err != nil {
		return in.refusal(&Error{Kind: ErrLimit, Err: err})
	}
	return frame
}

func (in *Incoming) resultCourier() *courier {
	c := in.courier
	c.in.Result = true
	return &c
}

// table is what the reply may carry by name.
func (in *Incoming) table() *wire.Table {
	if in.types != nil {
		return in.types
	}
	return in.link.node.runtimeTable
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
	in := incomingFrom(ctx)
	if in == nil {
		return Peer{}
	}
	l := in.link
	return Peer{Process: l.peer.id, Address: l.session.RemoteAddr().String(), SameHost: l.vantage.sameHost}
}
