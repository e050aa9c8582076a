package refs

import (
	"context"
	"errors"

	"github.com/rmigo/rmigo/internal/wire"
)

// Interceptor stands around calls: around those that a node makes, as one of Options.Outbound, around those that it serves, as one of
// Options.Inbound. It runs on the goroutine of the call, the first of a list outermost; where a view's Policy makes a call again, around
// each attempt. next goes on with the call, under the context that it is given, whose deadline and metadata count from there on; what it
// returns is what the call came to. The interceptor's own error is what the caller gets.
//
// An interceptor may wait before next, not call it at all (the call is refused by the error that it returns, and has not run), or,
// around a call that is made, call it again: that sends the call again, which is safe where MayHaveRun says that it did not run. next
// must be called from the interceptor's goroutine, and not after it has returned. An interceptor must be safe for concurrent use.
//
// Questions of the runtime's own, which interfaces an object has and what they are like, are no calls and pass interceptors by; so do
// calls on objects of this process, which are ordinary Go calls, unless Options.AlwaysMarshal is set.
type Interceptor func(ctx context.Context, call *Call, next func(context.Context) error) error

// Call is one call as interceptors see it. It is valid until the interceptor returns.
type Call struct {
	Outbound      bool   // this node makes the call; else it serves it
	Interface     string // "example.com/bank.Account"
	Method        string // "Deposit"
	Signature     string // "Deposit(int64) (int64, error)"
	Idempotent    bool   // it may be sent again whatever has become of it
	ArgumentBytes int    // of the arguments as they travel
	ResultBytes   int    // of the results, once next has returned and if there are any; around a call that is served, about
	Items         uint64 // of the stream that the method returns, once next has returned: the whole stream is within
	Attempts      int    // how often it was sent, or served, so far

	handle *Handle   // of a call that is made
	out    *Outgoing // the same
	ran    bool      // it may have run, in one of its attempts
	served *Incoming // one that is served
}

// Object returns the reference of the object that is called.
func (c *Call) Object() Ref {
	if c.handle != nil {
		return c.handle.Ref()
	}
	in := c.served
	return in.node.refOfExport(in.ctx.export.Load(), &in.ctx.link.vantage)
}

// Peer returns the process at the other end. Around a call that is made, its address is known only while there is a connection.
func (c *Call) Peer() Peer {
	if c.handle == nil {
		return c.served.ctx.caller()
	}
	if l := c.handle.live(); l != nil {
		return peerAt(l)
	}
	return Peer{Process: c.handle.id.Process}
}

// runChain runs the interceptors around last.
func runChain(chain []Interceptor, ctx context.Context, call *Call, last func(context.Context) error) error {
	if len(chain) == 0 {
		call.Attempts++
		return last(ctx)
	}
	return chain[0](ctx, call, func(ctx context.Context) error { return runChain(chain[1:], ctx, call, last) })
}

// newCall describes a call of the method.
func (f *Face) newCall(method uint64) Call {
	c := Call{Interface: f.Name()}
	if m := f.methods[method]; m != nil {
		c.Method, c.Signature, c.Idempotent = m.Name(), m.Signature, m.Idempotent
	}
	return c
}

// errNoOutcome is why a call has no results though no interceptor reports an error.
var errNoOutcome = errors.New("an interceptor ended the call without an error and without results")

// Intercepted reports whether the call is to be served through Intercept.
func (in *Incoming) Intercepted() bool { return len(in.node.cfg.Inbound) > 0 }

// Intercept runs the node's interceptors around dispatch, which is called once at most.
func (in *Incoming) Intercept(ctx context.Context, dispatch func(context.Context) error) error {
	call := in.face.newCall(in.Method)
	call.ArgumentBytes, call.served = len(in.body), in
	err := runChain(in.node.cfg.Inbound, ctx, &call, func(ctx context.Context) error {
		if call.Attempts > 1 {
			return &Error{Op: "call", Err: errors.New("an interceptor called next twice around a call that is served")}
		}
		err := dispatch(asReceived(ctx))
		if in.begun {
			call.ResultBytes, call.Items = in.Results.Len(), in.count
		}
		return err
	})
	if err == nil && !in.begun {
		return errNoOutcome
	}
	return err
}

// intercepted is Invoke through interceptors: attempts to make the call are what they are around.
func (c *Outgoing) intercepted(frame []byte, unfit *Error) {
	call := c.face.newCall(c.method)
	call.Outbound, call.handle, call.out, call.ArgumentBytes = true, c.handle, c, len(frame)-wire.CallHeaderBytes
	err := runChain(c.chain, c.ctx, &call, func(ctx context.Context) error {
		if call.Attempts > 1 {
			if c.count > 0 || c.strands != nil && c.strands.begun.Load() { // what was taken is not taken twice
				return c.failed()
			}
			c.again()
		}
		err := c.once(ctx, frame, unfit)
		call.ResultBytes, call.Items, call.ran = len(c.body), c.count, call.ran || MayHaveRun(err)
		return err
	})
	c.settle(err, call.Attempts)
}

// once makes the call, under ctx, and returns what it comes to.
func (c *Outgoing) once(ctx context.Context, frame []byte, unfit *Error) error {
	if unfit != nil {
		c.give(asError(unfit))
		return c.err
	}
	c.ctx = ctx
	c.pairs = scopeOf(ctx).pairs
	e := c.begin()
	if e == nil {
		e = c.hold()
	}
	if e != nil {
		c.give(e)
		return c.err
	}
	c.exchange(frame)
	return c.failed()
}

// settle makes err, which the interceptors report after so many attempts, the call's.
func (c *Outgoing) settle(err error, attempts int) {
	switch {
	case attempts == 0: // whatever there was, it did not run
		if err == nil {
			err = errNoOutcome
		}
		e := asError(err)
		e.NotRun = true
		made := e.Attempts
		c.give(e)
		e.Attempts = made
	case err == nil && (c.err != nil || c.flags&wire.ReplyResults == 0):
		c.give(&Error{Err: errNoOutcome})
	default:
		c.settled, c.override = true, err
		if err == nil {
			c.failure = nil
		}
	}
}
