package refs

import "time"

// Large messages take turns in memory. Where many callers have a megabyte each to send, and all of them copy it into a frame before the first
// frame is out, a process takes many times the memory that it needs, the collector lets it take twice that, and to touch memory for the first
// time is dear where machines are virtual. So who writes a large message for a bulk session waits for a permit before it takes memory, and has it
// until the message is sent; the next one gets the same memory.
//
// Nothing depends on a permit: after a while who waits goes ahead without one, in the place of somebody who may not be done for long, since the
// peer does not read, or ever, since user code that was to be written has ended its goroutine.

const (
	leastPermitted = 256 << 10 // what is smaller needs none
	mostPermitted  = 4 << 20   // nor does what is larger, which takes its time
	permits        = 2         // of a bulk session: one message is written while another is sent
	permitPatience = 200 * time.Millisecond
)

// permit waits for a permit for a message that takes n bytes, if that needs one: no longer than until done is closed, the link has ended, or patience
// has. The message is for the session that it returns, which leave is to be called of; nil: it has none.
func (l *link) permit(done <-chan struct{}, n int) *bulk {
	b := l.bulk.Load()
	if b == nil || n < leastPermitted || n > mostPermitted {
		return nil
	}
	select {
	case b.permits <- struct{}{}:
		return b
	default:
	}
	patience := time.NewTimer(permitPatience)
	defer patience.Stop()
	select {
	case b.permits <- struct{}{}:
	case <-patience.C:
	case <-done:
	case <-l.gone:
	}
	return b
}

// leave gives a permit back. Nil holds none.
func (b *bulk) leave() {
	if b == nil {
		return
	}
	select {
	case <-b.permits:
	default: // another one has gone ahead in its place
	}
}

// argumentMemory is the wire.Buffers for what a call sends.
type argumentMemory Outgoing

func (m *argumentMemory) Get(n int) []byte {
	c := (*Outgoing)(m)
	if n >= leastPermitted && c.permit == nil && len(c.chain) == 0 && c.launch == nil && c.pipe == nil && !c.oneWay { // it is sent as soon as it is written
		c.permit = c.link.permit(c.ctx.Done(), n)
	}
	return c.handle.Node().buffers.Get(n)
}

func (m *argumentMemory) Put(b []byte) { m.handle.Node().buffers.Put(b) }

// resultMemory is the wire.Buffers for what a served call returns.
type resultMemory Incoming

func (m *resultMemory) Get(n int) []byte {
	in := (*Incoming)(m)
	if in.permit == nil && in.spree == nil { // who receives does not wait
		in.permit = in.ctx.link.permit(nil, n)
	}
	return in.node.buffers.Get(n)
}

func (m *resultMemory) Put(b []byte) { m.node.buffers.Put(b) }

func (c *Outgoing) leavePermit() {
	c.permit.leave()
	c.permit = nil
}

func (in *Incoming) leavePermit() {
	in.permit.leave()
	in.permit = nil
}
