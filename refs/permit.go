package refs

import (
	"context"
	"slices"
	"sync"
	"time"
)

// permits have large messages take turns in memory. Where many callers have a megabyte each to send, and all of them copy it into a frame before
// the first frame is out, a process takes many times the memory that it needs, the collector lets it take twice that, and to touch memory for the
// first time is dear where machines are virtual. So who needs memory for a large message on a bulk session waits for a permit first, and has it until
// the message is sent; the next one gets the same memory.
//
// A permit ends by itself after a while, so that nothing depends on one: whoever has it may not be done for long, since the link is slow or since what
// is to be written is not there yet, or ever, since user code has ended its goroutine.
type permits struct {
	mu      sync.Mutex
	held    []*permit // in the order in which they end; mostPermits at most
	waiting []*permit
}

// permit is one of a session's that is held or waited for. Nil is none.
type permit struct {
	of   *permits
	ends time.Time     // once it is held; guarded by of.mu
	got  chan struct{} // closed when it is, if it was waited for
}

const (
	leastPermitted = 256 << 10 // memory for what is smaller takes no permit
	mostPermitted  = 4 << 20   // nor does that for what is larger, which takes its time
	mostPermits    = 2         // one message is written while another is sent
	permitLease    = 100 * time.Millisecond
)

// permit waits for a permit for so much memory, if that takes one. It returns none where ctx or the link ends first.
func (l *link) permit(ctx context.Context, n int) *permit {
	b := l.bulk.Load()
	if b == nil || n < leastPermitted || n > mostPermitted {
		return nil
	}
	p := &b.permits
	t := &permit{of: p}
	p.mu.Lock()
	p.grant()
	if len(p.held) < mostPermits { // nobody waits, then
		p.lend(t)
		p.mu.Unlock()
		return t
	}
	t.got = make(chan struct{})
	p.waiting = append(p.waiting, t)
	next := p.held[0].ends
	p.mu.Unlock()
	if !t.await(ctx, l.gone, next) {
		return nil
	}
	return t
}

// await waits until the permit is held; another one may end at next, if it is not given back before. It returns false if ctx or the link ends first.
func (t *permit) await(ctx context.Context, gone <-chan struct{}, next time.Time) bool {
	p, timer := t.of, time.NewTimer(time.Until(next))
	defer timer.Stop()
	for {
		select {
		case <-t.got:
			return true
		case <-timer.C:
			p.mu.Lock()
			p.grant()
			timer.Reset(time.Until(p.held[0].ends)) // who waits, waits for somebody
			p.mu.Unlock()
			continue
		case <-ctx.Done():
		case <-gone:
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		i := slices.Index(p.waiting, t)
		if i >= 0 {
			p.waiting = slices.Delete(p.waiting, i, i+1)
		}
		return i < 0
	}
}

// grant gives those who have waited longest what permits there are. mu is held.
func (p *permits) grant() {
	now := time.Now()
	p.held = slices.DeleteFunc(p.held, func(t *permit) bool { return !now.Before(t.ends) })
	for len(p.waiting) > 0 && len(p.held) < mostPermits {
		t := p.waiting[0]
		p.waiting = slices.Delete(p.waiting, 0, 1)
		p.lend(t)
		close(t.got)
	}
}

// lend has the permit held from now on. mu is held.
func (p *permits) lend(t *permit) {
	t.ends = time.Now().Add(permitLease)
	p.held = append(p.held, t)
}

// leave gives the permit back, unless it has ended.
func (t *permit) leave() {
	if t == nil {
		return
	}
	p := t.of
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held = slices.DeleteFunc(p.held, func(other *permit) bool { return other == t })
	p.grant()
}

// argumentMemory is the wire.Buffers for what a call sends.
type argumentMemory Outgoing

func (m *argumentMemory) Get(n int) []byte {
	c := (*Outgoing)(m)
	switch {
	case n < leastPermitted:
	case n > mostPermitted:
		c.leavePermit()
	case c.permit == nil && c.goesAtOnce():
		c.permit = c.link.permit(c.ctx, n)
	}
	return c.handle.Node().buffers.Get(n)
}

func (m *argumentMemory) Put(b []byte) { m.handle.Node().buffers.Put(b) }

func (c *Outgoing) leavePermit() {
	c.permit.leave()
	c.permit = nil
}

// resultMemory is the wire.Buffers for what a served call returns.
type resultMemory Incoming

func (m *resultMemory) Get(n int) []byte {
	in := (*Incoming)(m)
	switch {
	case n < leastPermitted:
	case n > mostPermitted:
		in.leavePermit()
	case in.permit == nil && in.spree == nil && !in.Intercepted(): // who receives does not wait; what follows an interceptor may last
		began := time.Now()
		in.permit = in.ctx.link.permit(in.ctx, n)
		in.waited += time.Since(began)
	}
	return in.node.buffers.Get(n)
}

func (m *resultMemory) Put(b []byte) { m.node.buffers.Put(b) }

func (in *Incoming) leavePermit() {
	in.permit.leave()
	in.permit = nil
}
