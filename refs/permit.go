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
	last    uint64
	held    []lease // in the order in which they end; mostPermits at most
	waiting []*applicant
}

// lease is a permit that is held.
type lease struct {
	number uint64
	ends   time.Time
}

// applicant waits for a permit.
type applicant struct {
	number uint64        // of the one that it has got
	got    chan struct{} // closed then
}

// permit is one of a session's, or none.
type permit struct {
	of     *permits
	number uint64
}

const (
	leastPermitted = 256 << 10 // memory for what is smaller takes no permit
	mostPermitted  = 4 << 20   // nor does that for what is larger, which takes its time
	mostPermits    = 2         // one message is written while another is sent
	permitLease    = 100 * time.Millisecond
)

// permit waits for a permit for so much memory, if that takes one. It has none where ctx or the link ends first.
func (l *link) permit(ctx context.Context, n int) permit {
	b := l.bulk.Load()
	if b == nil || n < leastPermitted || n > mostPermitted {
		return permit{}
	}
	p := &b.permits
	p.mu.Lock()
	p.grant()
	if len(p.held) < mostPermits { // nobody waits, then
		defer p.mu.Unlock()
		return permit{p, p.lend()}
	}
	a := &applicant{got: make(chan struct{})}
	p.waiting = append(p.waiting, a)
	next := p.held[0].ends
	p.mu.Unlock()
	return p.await(ctx, l.gone, a, next)
}

// await waits until the applicant has a permit; one may end at next, if it is not given back before.
func (p *permits) await(ctx context.Context, gone <-chan struct{}, a *applicant, next time.Time) permit {
	timer := time.NewTimer(time.Until(next))
	defer timer.Stop()
	for {
		select {
		case <-a.got:
			return permit{p, a.number}
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
		if i := slices.Index(p.waiting, a); i >= 0 {
			p.waiting = slices.Delete(p.waiting, i, i+1)
			return permit{}
		}
		return permit{p, a.number}
	}
}

// grant gives those who have waited longest what permits there are. mu is held.
func (p *permits) grant() {
	now := time.Now()
	p.held = slices.DeleteFunc(p.held, func(l lease) bool { return !now.Before(l.ends) })
	for len(p.waiting) > 0 && len(p.held) < mostPermits {
		a := p.waiting[0]
		p.waiting = slices.Delete(p.waiting, 0, 1)
		a.number = p.lend()
		close(a.got)
	}
}

// lend returns the number of a new permit. mu is held.
func (p *permits) lend() uint64 {
	p.last++
	p.held = append(p.held, lease{p.last, time.Now().Add(permitLease)})
	return p.last
}

// leave gives the permit back, unless it has ended.
func (t permit) leave() {
	p := t.of
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held = slices.DeleteFunc(p.held, func(l lease) bool { return l.number == t.number })
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
	case c.permit.of == nil && len(c.chain) == 0 && c.launch == nil && c.pipe == nil && !c.oneWay: // it is sent as soon as it is written
		c.permit = c.link.permit(c.ctx, n)
	}
	return c.handle.Node().buffers.Get(n)
}

func (m *argumentMemory) Put(b []byte) { m.handle.Node().buffers.Put(b) }

func (c *Outgoing) leavePermit() {
	c.permit.leave()
	c.permit = permit{}
}

// resultMemory is the wire.Buffers for what a served call returns.
type resultMemory Incoming

func (m *resultMemory) Get(n int) []byte {
	in := (*Incoming)(m)
	switch {
	case n < leastPermitted:
	case n > mostPermitted:
		in.leavePermit()
	case in.permit.of == nil && in.spree == nil && !in.Intercepted(): // who receives does not wait; what follows an interceptor may last
		began := time.Now()
		in.permit = in.ctx.link.permit(in.ctx, n)
		in.waited += time.Since(began)
	}
	return in.node.buffers.Get(n)
}

func (m *resultMemory) Put(b []byte) { m.node.buffers.Put(b) }

func (in *Incoming) leavePermit() {
	in.permit.leave()
	in.permit = permit{}
}
