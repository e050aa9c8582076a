package refs

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// callContext is the context of one call being served, and what the methods below it find out about the call through it. User code
// may keep it beyond the call, so it is never used again.
//
// Most methods only pass it on, so its channel and its timer are made when somebody asks for them: inner is an ordinary context
// that then stands behind it, with the same deadline and cause.
type callContext struct {
	link     *link
	number   uint64
	depth    uint16
	deadline time.Time              // zero: none
	export   atomic.Pointer[export] // the object called, once it is found
	pairs    map[string]pair        // the metadata that came with the call
	path     []uint64               // the tokens of what it, and the calls that it is nested in, have for themselves

	mu     sync.Mutex
	inner  context.Context // nil until it is wanted
	cancel context.CancelCauseFunc
	stop   context.CancelFunc // of inner's deadline
	over   bool
	cause  error // why, where it is not that the call has returned
}

type incomingKey struct{}

// incomingFrom returns the call that ctx belongs to, or nil.
func incomingFrom(ctx context.Context) *callContext {
	return scopeOf(ctx).in
}

func (c *callContext) Deadline() (time.Time, bool) { return c.deadline, !c.deadline.IsZero() }

func (c *callContext) Done() <-chan struct{} { return c.behind().Done() }

func (c *callContext) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.inner != nil:
		return c.inner.Err()
	case c.over:
		return context.Canceled
	case !c.deadline.IsZero() && !time.Now().Before(c.deadline):
		return context.DeadlineExceeded
	}
	return nil
}

// ended is Err by the time at which the peer was heard last, which spares a call a look at the clock.
func (c *callContext) ended() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.over || !c.deadline.IsZero() && !c.link.lately().Before(c.deadline)
}

// Value returns c itself for incomingKey. Any other key may be the one by which package context finds the cancellation, and the
// cause, of an ordinary context.
func (c *callContext) Value(key any) any {
	if key == (incomingKey{}) {
		return c
	}
	return c.behind().Value(key)
}

// behind returns inner, making it the first time.
func (c *callContext) behind() context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.inner == nil {
		bounded := context.Background()
		if !c.deadline.IsZero() {
			bounded, c.stop = context.WithDeadline(bounded, c.deadline)
		}
		c.inner, c.cancel = context.WithCancelCause(bounded)
		if c.over {
			c.release()
		}
	}
	return c.inner
}

// release ends inner. mu is held.
func (c *callContext) release() {
	c.cancel(c.cause)
	if c.stop != nil {
		c.stop()
	}
}

// end ends the context; cause is nil where the call has returned.
func (c *callContext) end(cause error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over {
		return
	}
	c.over, c.cause = true, cause
	if c.inner != nil {
		c.release()
	}
}
