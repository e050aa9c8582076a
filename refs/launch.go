package refs

import (
	"context"
	"errors"
	"runtime"
	"sync/atomic"
	"weak"
)

// Asynchronous calls.
//
// One is made by the same code of the stub as any other, which runs twice: first on the goroutine of who makes it, where Invoke returns
// when the frame is on its way and all after it does nothing; and again, with the same context, on a worker, when there is an outcome. Then
// Call returns the call that was sent, its arguments are not written again, Invoke has the outcome, and results are read. In between it
// has no goroutine. Interceptors stand around all of a call, so that one with such has a goroutine of its own instead, and runs once.
//
// Invariant: the second run begins when both the first has ended and something has come of the call, once. Until then the Outgoing is
// the link's slots', as that of a call whose goroutine waits.

// launch is how an asynchronous call is made.
type launch struct {
	promise *promise // of what it returns, or nil
	pipe    *pipe    // that it begins, or belongs to through a batch
	batch   *Bundle
	node    *Node

	run   func(context.Context) // makes the call
	ended func()                // runs when it has ended
	scope *scope                // that run gets
	sent  chan struct{}         // closed when it is on its way, or will not be, where it has a goroutine of its own; nil: it has none

	state  atomic.Int32
	away   *Outgoing // that was sent in the first run; nil: not yet
	frame  []byte    // its arguments
	failed error     // why it was not sent after all
	stop   func() bool
}

// States of a launch.
const (
	making   int32 = iota // to expected, when the first run has ended; to answered, when something has come of the call before that
	expected              // to answered
	answered              // to nothing: the second run has begun, or is about to
)

// errUnderWay is what Finish returns in the first run.
var errUnderWay = errors.New("the call is under way")

// Start makes the call that run makes with the context it gets, once or, as told above, twice, and returns when that is on its way, or
// will not be. ended runs when what run returned, or left behind, last is what the call has come to, at the latest when the node is closed.
func (v *View) Start(ctx context.Context, run func(context.Context), ended func()) {
	v.start(ctx, nil, run, ended)
}

// Promise is Start for a call that returns an object, through d, or an error; what it returns stands for that object until it is there,
// and then is it.
func (v *View) Promise(ctx context.Context, d Descriptor, call func(context.Context) (any, error)) (any, error) {
	h := v.Handle
	if h.peer == nil {
		return d.NewStub(h)
	}
	p := &promise{done: make(chan struct{}), last: &forgotten{node: weak.Make(h.Node())}}
	if h.promise != nil {
		p.pipe = h.promise.pipe
	}
	made := &Handle{id: ID{Process: h.id.Process, Object: newID()}, peer: h.peer, promise: p}
	stub, err := d.NewStub(made)
	if err != nil {
		return nil, err
	}
	v.start(ctx, p, func(ctx context.Context) { p.value, p.err = call(ctx) }, func() {
		if p.err == nil && p.value != nil {
			if p.handle = d.HandleOf(p.value); p.handle != nil && p.handle.promise != nil {
				p.handle = p.handle.settled()
			}
		}
		if p.handle != nil && p.pipe.telling() != nil { // by this promise, as a rule
			p.handle.pipedBy(p.pipe)
		}
		close(p.done)
		if p.handle != nil && p.pipe.telling() != nil { // and has not seen that there is a handle
			p.handle.pipedBy(p.pipe)
		}
	})
	runtime.AddCleanup(made, (*forgotten).add, p.last)
	return stub, nil
}

func (v *View) start(ctx context.Context, p *promise, run func(context.Context), ended func()) {
	h := v.Handle
	if h.peer == nil { // it ends at once
		run(ctx)
		ended()
		return
	}
	n := h.Node()
	l := &launch{promise: p, batch: batchOf(ctx), node: n, run: run, ended: ended}
	switch {
	case h.promise != nil:
	case l.batch != nil:
		l.pipe = l.batch.pipeOf(h)
	case p != nil:
		l.pipe = n.newPipe()
	}
	if p != nil && p.pipe == nil {
		p.pipe = l.pipe
	}
	l.scope = &scope{ctx, scopeOf(ctx), l}
	n.settleForgotten()
	if v.intercepted() || l.scope.progress != nil {
		l.sent = make(chan struct{})
		n.tasks.run(l.whole) // ends with the call
		<-l.sent
		return
	}
	l.begin()
}

// intercepted reports whether calls through the view have interceptors around them.
func (v *View) intercepted() bool {
	if v.Policies != nil {
		return len(v.Policies.chain) > 0
	}
	return len(v.Handle.Node().cfg.Outbound) > 0
}

// whole makes the call from its beginning to its end.
func (l *launch) whole() {
	l.run(l.scope)
	l.release()
	l.ended()
}

// release lets go who waits for a call with a goroutine of its own to be on its way.
func (l *launch) release() {
	if l.sent != nil && l.state.Swap(answered) != answered {
		close(l.sent)
	}
}

// begin is the first run.
func (l *launch) begin() {
	l.run(l.scope)
	c := l.away
	if c == nil { // it has ended already
		l.ended()
		return
	}
	l.node.tasks.begin()
	l.stop = context.AfterFunc(c.ctx, l.come)
	if !l.state.CompareAndSwap(making, expected) {
		l.node.workers.do(l)
	}
}

// come has the second run begin, if the first has ended, because the outcome is there, or about to be, or nobody waits for it any more.
func (l *launch) come() {
	if l.state.Swap(answered) == expected {
		l.node.workers.do(l)
	}
}

// serve is the second run.
func (l *launch) serve() {
	defer l.node.tasks.done()
	defer l.ended()
	l.stop()
	l.run(l.scope)
}

// leaves ends the first run of a call that was sent, or was not because of err, if it has two.
func (c *Outgoing) leaves(frame []byte, err error) bool {
	l := c.launch
	if l == nil || l.sent != nil || l.away != nil || c.queued || err != nil && !c.ahead {
		return false
	}
	l.frame, l.failed, l.away = frame, err, c
	if err != nil {
		l.come()
	}
	c.Args.Err, c.Results.Err = errUnderWay, errUnderWay
	return true
}
