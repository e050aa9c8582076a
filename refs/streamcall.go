package refs

import (
	"context"

	"github.com/rmigo/rmigo/internal/wire"
)

// Calls with streams, at both ends.

// settle waits for what is promised: a call with streams would keep all others of its pipe waiting.
func (h *Handle) settle(ctx context.Context, f *Face) (*Handle, error) {
	v, _, err := h.Await(ctx)
	switch {
	case err != nil && h.promise.failed():
		return nil, h.promise.broken()
	case err != nil:
		return nil, err
	case v == nil:
		return nil, errPromisedNil()
	}
	return h.Node().handleOf(v, f, h.promise.handle)
}

// Range is Invoke for a method that returns a stream, which it reads: item reads each item, on this goroutine, and reports whether it wants
// another one. If it does not, the call is given up, and has not failed.
func (c *Outgoing) Range(item func(*wire.Decoder) bool) {
	c.item = item
	c.Invoke()
}

// beginStreams makes the call's streams known, before it is sent on the link.
func (c *Outgoing) beginStreams(l *link) {
	if c.item == nil && c.strands == nil {
		return
	}
	c.endStreams() // of an earlier link
	c.flows = &flows{link: l, call: streamsOf{c.number, true}}
	if c.item != nil {
		c.taken = c.flows.taking(resultStream, wire.FirstItems, wire.FirstBytes)
	}
	if c.strands != nil {
		c.beginStrands()
	}
	l.streams.enter(c.flows)
}

// endStreams ends the streams of a call that is over, and returns when no user code runs for them any more.
func (c *Outgoing) endStreams() {
	if c.flows == nil {
		return
	}
	c.flows.end()
	if c.strands != nil {
		c.strands.sources.Wait()
		c.strands.sinks.Wait()
	}
	c.flows, c.taken = nil, nil
}

// takeStream reads the stream that the call returns, and sees to the outcome.
func (c *Outgoing) takeStream() {
	answered, reading := false, true
	defer func() {
		if reading { // user code has panicked
			c.giveUp(answered)
			if c.cancel != nil {
				c.cancel()
			}
		}
	}()
	for {
		p, ok, err := c.taken.poll()
		switch {
		case ok:
			left, bad := c.taken.read(p, c.face, [2]Filter{c.link.node.cfg.Filter}, c.next)
			if !left && bad == nil {
				continue
			}
			reading = false
			c.leaveStream(answered, bad)
			return
		case answered && (err != nil || c.broke != nil || c.flags&wire.ReplyNotStarted != 0):
			reading = false
			if err != errNoMore && c.broke == nil && c.flags&(wire.ReplyError|wire.ReplyNotStarted) == 0 { // some of it was still on its way
				c.broke = asError(err)
			}
			c.outcome()
			return
		case err != nil && c.taken.overloaded():
			reading = false
			c.giveUp(answered)
			c.give(asError(err))
			return
		}
		replied := c.done
		if answered {
			replied = nil
		}
		select {
		case <-c.taken.wake:
		case <-replied:
			answered = true
		case <-c.ctx.Done():
			reading = false
			answered = c.giveUp(answered)
			c.give(&Error{Err: contextError(c.ctx)})
			return
		}
	}
}

// next reads an item, unless the call's context has ended.
func (c *Outgoing) next(d *wire.Decoder) bool {
	if c.count++; !c.item(d) || d.Err != nil {
		return false
	}
	select {
	case <-c.ctx.Done():
		d.Fail(contextError(c.ctx))
		return false
	default:
		return true
	}
}

// leaveStream ends a call whose stream nobody reads any more: bad is why, nil: it is not wanted.
func (c *Outgoing) leaveStream(answered bool, bad error) {
	c.giveUp(answered)
	switch {
	case bad != nil && c.ctx.Err() != nil:
		c.give(&Error{Err: contextError(c.ctx)})
	case bad != nil:
		c.unreadable(bad)
	default:
		c.flags, c.body = c.flags&wire.ReplyPinned|wire.ReplyResults, wire.AppendNone(c.copied[:0])
		c.broke = nil
		c.outcome()
	}
}

// giveUp tells the callee that nobody waits for the call any more, unless it has been answered.
func (c *Outgoing) giveUp(answered bool) bool {
	c.flows.end()
	switch {
	case answered:
	case c.link.waiting.take(c.slot) != nil:
		c.link.out.post(wire.AppendCancel(nil, wire.CancelHeader{Number: c.number}))
	default:
		<-c.done // the outcome came first
		return true
	}
	return answered
}

// Item returns the encoder for the next item of the stream that the method returns; Send sends it.
func (in *Incoming) Item() *wire.Encoder {
	if in.result == nil {
		in.result = in.produce(resultStream)
	}
	return in.result.begin(in.face, in.Method)
}

// Send sends the item that was written, once there is room for it. After an error no further one is wanted.
func (in *Incoming) Send() error {
	if in.ctx.ended() {
		in.result.unsent()
		return contextError(in.ctx)
	}
	switch err := in.result.send().(type) {
	case nil:
		in.count++
		return nil
	case *wire.Error:
		kind, reason := codecKind(err)
		if kind == ErrUnmarshal {
			kind = ErrMarshal
		}
		in.unfit = &Error{Kind: kind, Reason: reason, Err: err}
		return in.unfit
	case *Error:
		if in.ctx.Err() != nil {
			return contextError(in.ctx)
		}
		return err
	default:
		return err
	}
}

// produce adds a stream that the callee produces.
func (in *Incoming) produce(index uint16) *outflow {
	return in.streams().producing(in.ctx, index, wire.FirstItems, wire.FirstBytes)
}

// streams are those of the call.
func (in *Incoming) streams() *flows {
	if in.flows == nil {
		in.flows = &flows{link: in.ctx.link, call: streamsOf{number: in.ctx.number}}
		in.flows.link.streams.enter(in.flows)
	}
	return in.flows
}

// endStreams ends all streams of the call, before the reply: each that the method has produced has an END, whatever has become of it,
// and a reader that was kept has nothing more.
func (in *Incoming) endStreams() {
	if in.result == nil && in.begun && in.face != nil && in.face.isStream(in.Method) {
		in.result = in.produce(resultStream)
	}
	if in.result != nil {
		in.result.end(nil)
	}
	for _, s := range in.feeds {
		s.end(nil)
	}
	if in.flows != nil {
		in.flows.end()
	}
}
