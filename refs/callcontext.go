package refs

import (
	"context"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// callContext is the context of one call being served, and what the methods below it find out about the call through it. User code
// may keep it beyond the call, so it is not used again; but one-way calls that nothing tells apart have one by turns until somebody asks it
// something: then it is that of the call that runs. Whoever has kept one and asks only after its call has ended finds that it ends with a later
// call, or when there is none.
//
// Most methods only pass it on, so its channel and its timer are made when somebody asks for them: inner is an ordinary context
// that then stands behind it, with the same deadline and cause.
type callContext struct {
	link    *link
	number  uint64
	due     time.Duration           // the deadline, since the link's start; 0: none
	export  atomic.Pointer[export]  // the object called, once it is found
	token   uint64                  // that it has for itself, as a one-way call; 0: none
	brought atomic.Pointer[brought] // nil: nothing
	inner   *standIn                // nil until it is wanted
	mu      sync.Mutex              // guards inner, what it refers to, and over
	asked   atomic.Bool             // somebody has
	depth   uint16
	over    bool
}

// brought is what few calls come with. It does not change.
type brought struct {
	pairs map[string]pair // the metadata
	path  []uint64        // the tokens of what the calls that this one is nested in have for themselves, and of the serial object that it has
}

// standIn is the ordinary context behind one.
type standIn struct {
	context.Context
	cancel context.CancelCauseFunc
	stop   context.CancelFunc // of the deadline; nil: there is none
}

// until gives the call some time from now on.
func (c *callContext) until(now time.Time, timeout time.Duration) {
	c.due = max(1, now.Sub(c.link.start))
	c.due += min(timeout, math.MaxInt64-c.due)
}

// bring notes what the call came with.
func (c *callContext) bring(pairs map[string]pair, path []uint64) {
	if pairs != nil || path != nil {
		c.brought.Store(&brought{pairs, path})
	}
}

// takes adds the token of a serial object that the call has from now on to its path.
func (c *callContext) takes(token uint64) {
	var path []uint64
	if b := c.brought.Load(); b != nil {
		path = b.path
	}
	c.bring(c.pairs(), append(slices.Clip(path), token))
}

// pairs returns the metadata that came with the call.
func (c *callContext) pairs() map[string]pair {
	if b := c.brought.Load(); b != nil {
		return b.pairs
	}
	return nil
}

// path returns the tokens of what the call, and those that it is nested in, have for themselves.
func (c *callContext) path() (tokens []uint64) {
	if b := c.brought.Load(); b != nil {
		tokens = b.path
	}
	if c.token != 0 {
		tokens = append([]uint64{c.token}, tokens...)
	}
	return tokens
}

// lastToken returns the last token that the call came with; 0: it came with none.
func (c *callContext) lastToken() uint64 {
	if b := c.brought.Load(); b != nil && len(b.path) > 0 {
		return b.path[len(b.path)-1]
	}
	return 0
}

// on reports whether the token is on the path.
func (c *callContext) on(token uint64) bool {
	b := c.brought.Load()
	return token != 0 && c.token == token || b != nil && slices.Contains(b.path, token)
}

type incomingKey struct{}

// incomingFrom returns the call that ctx belongs to, or nil.
func incomingFrom(ctx context.Context) *callContext {
	return scopeOf(ctx).in
}

// ask notes that somebody asks.
func (c *callContext) ask() {
	if !c.asked.Load() {
		c.asked.Store(true)
	}
}

// unasked reports whether nobody has asked, and nothing tells the call from others that came as it did.
func (c *callContext) unasked() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.asked.Load() && !c.over && c.inner == nil && c.brought.Load() == nil
}

func (c *callContext) Deadline() (deadline time.Time, ok bool) {
	c.ask()
	return c.deadline()
}

func (c *callContext) deadline() (deadline time.Time, ok bool) {
	if c.due == 0 {
		return time.Time{}, false
	}
	return c.link.start.Add(c.due), true
}

func (c *callContext) Done() <-chan struct{} { return c.behind().Done() }

func (c *callContext) Err() error {
	c.ask()
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.inner != nil:
		return c.inner.Err()
	case c.over:
		return context.Canceled
	case c.due != 0 && time.Since(c.link.start) >= c.due:
		return context.DeadlineExceeded
	}
	return nil
}

// ended is Err by the time at which the peer was heard last, which spares a call a look at the clock.
func (c *callContext) ended() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.over || c.due != 0 && c.link.heard.Load() >= int64(c.due)
}

// Value returns c itself for incomingKey. Any other key may be the one by which package context finds the cancellation, and the
// cause, of an ordinary context.
func (c *callContext) Value(key any) any {
	c.ask()
	if key == (incomingKey{}) {
		return c
	}
	return c.behind().Value(key)
}

// behind returns inner, making it the first time.
func (c *callContext) behind() context.Context {
	c.ask()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.inner == nil {
		c.stand()
		if c.over {
			c.release(nil)
		}
	}
	return c.inner.Context
}

// stand makes inner. mu is held.
func (c *callContext) stand() {
	in, bounded := &standIn{}, context.Background()
	if deadline, ok := c.deadline(); ok {
		bounded, in.stop = context.WithDeadline(bounded, deadline)
	}
	in.Context, in.cancel = context.WithCancelCause(bounded)
	c.inner = in
}

// release ends inner. mu is held.
func (c *callContext) release(cause error) {
	c.inner.cancel(cause)
	if c.inner.stop != nil {
		c.inner.stop()
	}
}

// end ends the context; cause is nil where the call has returned.
func (c *callContext) end(cause error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over {
		return
	}
	c.over = true
	if cause != nil && c.inner == nil {
		c.stand() // it keeps the cause
	}
	if c.inner != nil {
		c.release(cause)
	}
}
