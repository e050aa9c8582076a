package refs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// Retry is the part of a Policy that has calls made again, after pauses that double. It is an interceptor, the outermost: the node's
// own stand around each attempt.
//
// A call is made again only if its failure is the runtime's, if the cause may pass, and if the method certainly did not run or is
// //rmi:idempotent. Causes that may pass are ErrUnreachable, ErrPeerExpired, ErrOverloaded, ErrNodeClosed of another process,
// ErrNoSuchObject of an object that outlives its process (ExportAs, a registry), and the refusal of an interceptor, here or there, that is
// of no kind. What a method returns, its panics, refusals of other kinds and the end of a context are final. So is whatever a call on a
// promise or of a batch comes to, which would lose its place among the others. A one-way call is made again until it is queued.
//
// Negative fields count as zero.
type Retry struct {
	Attempts int           // how often a call is made at most, the first time included. Zero: once, or as often as Elapsed allows where that is set
	Elapsed  time.Duration // after the first attempt began, none begins later than this. Zero: the call's own deadline is the only bound in time
	First    time.Duration // the longest pause after the first attempt; each pause may be twice as long as the one before. Zero: 100 ms
	Longest  time.Duration // of all pauses. Zero: 10 s
	Steady   bool          // pauses are as long as they may be. False: each is of random length up to that, so that callers who failed together do not come back together
}

// repeats reports whether a call may be made more than once.
func (r Retry) repeats() bool { return r.Attempts > 1 || r.Attempts <= 0 && r.Elapsed > 0 }

// pauses returns what computes the pauses of one call. The library's are spread around its interval by a share of that: half the
// interval and a share of one make them anything from nothing to the whole.
func (r Retry) pauses() *backoff.ExponentialBackOff {
	longest := max(r.Longest, 0)
	setDefault(&longest, 10*time.Second)
	first := max(r.First, 0)
	setDefault(&first, 100*time.Millisecond)
	b := &backoff.ExponentialBackOff{InitialInterval: min(first, longest), MaxInterval: longest, Multiplier: 2}
	if !r.Steady {
		b.InitialInterval, b.MaxInterval, b.RandomizationFactor = max(1, b.InitialInterval/2), max(1, longest/2), 1
	}
	return b
}

// intercept makes the call until it has come to something final, or a bound is reached.
func (r Retry) intercept(ctx context.Context, call *Call, next func(context.Context) error) error {
	until, bounded := ctx.Deadline()
	if last := time.Now().Add(r.Elapsed); r.Elapsed > 0 && (!bounded || last.Before(until)) {
		until, bounded = last, true
	}
	pauses := r.pauses()
	for made := 1; ; made++ {
		sent := call.Attempts
		err := next(ctx)
		e := call.blame(err, call.Attempts > sent)
		if e == nil {
			return err
		}
		pause := pauses.NextBackOff()
		switch {
		case ctx.Err() != nil, r.Attempts > 0 && made >= r.Attempts, bounded && !time.Now().Add(pause).Before(until),
			call.ran && !call.Idempotent, !call.out.mayPass(e):
			return call.over(e, made)
		}
		if err := call.out.pause(ctx, pause); err != nil {
			e.Kind, e.Reason, e.Remote, e.Err = 0, 0, false, fmt.Errorf("%w, between two attempts: %w", err, &Error{Kind: e.Kind, Reason: e.Reason, Err: e.Err})
			return call.over(e, made)
		}
	}
}

// blame returns the error of an attempt as the runtime's, a copy; nil where there is none, or it is the method's or an interceptor's. An
// interceptor that did not even send the call has refused it.
func (c *Call) blame(err error, sent bool) *Error {
	if err == nil {
		return nil
	}
	if sent {
		if c.out.err == nil || err != error(c.out.err) {
			return nil
		}
		return asError(err)
	}
	e := asError(err)
	e.NotRun, e.Op, e.Ref, e.Method = true, opCall, c.Object(), c.out.face.methodName(c.out.method)
	return e
}

// over makes e the error of the call, which was made so often.
func (c *Call) over(e *Error, attempts int) *Error {
	if e.NotRun = !c.ran; attempts > 1 {
		e.Attempts = attempts
	}
	return e
}

// mayPass reports whether a call that failed so may succeed in a while.
func (c *Outgoing) mayPass(e *Error) bool {
	if c.pipe != nil || c.handle.end.Load() != nil {
		return false
	}
	switch e.Kind {
	case ErrUnreachable, ErrPeerExpired, ErrOverloaded:
		return true
	case ErrNodeClosed:
		return !c.handle.Node().closed()
	case ErrNoSuchObject:
		return c.handle.id.Object.Fixed()
	case 0:
		return e.NotRun && !errors.Is(e, context.Canceled) && !errors.Is(e, context.DeadlineExceeded)
	}
	return false
}

// pause waits before the next attempt; an error is why ctx has ended. Who made the call without waiting for it goes on.
func (c *Outgoing) pause(ctx context.Context, d time.Duration) error {
	if c.launch != nil {
		c.launch.release()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return contextError(ctx)
	}
}
