package refs

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"slices"
	"sync"

	"github.com/rmigo/rmigo/internal/wire"
)

// Streams of calls: outflow.go is the side that produces, inflow.go the one that takes.
//
// A stream belongs to a call and ends with it. Its frames are numbered, so that each may go whichever way suits it: what is large by the
// bulk session, what is small by the lane, where it holds nothing up. The side that takes grants credit, in items and bytes from the
// stream's beginning; what is sent and not yet taken is within that, but for one item that may be larger. What the callee produces has
// the credit of the protocol to begin with, what the caller produces has none: so no frame of a stream comes before its call.
//
// Invariants: the goroutine that receives never waits here; user code runs on the goroutine of the call, or on one that the call waits
// for; when a call is over its streams are in no table, what comes for them is let go of, and each frame with references that came is
// acknowledged once. The locks of this file and of the two others are leaves.

const featureStreams = 1 << 4

// resultStream is the index of the stream that a method returns.
const resultStream uint16 = 0

// bell wakes the one goroutine that waits for it, or that will next.
type bell chan struct{}

func newBell() bell { return make(bell, 1) }

func (b bell) ring() {
	select {
	case b <- struct{}{}:
	default:
	}
}

// streams are the calls of a link that have streams, those that this process makes and those that it serves.
type streams struct {
	mu   sync.Mutex
	shut *Error
	all  map[streamsOf]*flows
}

// streamsOf names a call.
type streamsOf struct {
	number uint64
	made   bool // by this process
}

// flows are the streams of a call, at one end of it.
type flows struct {
	link *link
	call streamsOf

	mu   sync.Mutex
	in   map[uint16]*inflow
	out  map[uint16]*outflow
	over *Error // why there are no more; nil: there may be
}

var (
	errCallOver = &Error{Err: errors.New("the call is over, and so is the stream")}
	errRefused  = &Error{Err: errors.New("the other side takes no more of the stream")}
)

// enter has frames for the call's streams find them.
func (s *streams) enter(f *flows) {
	s.mu.Lock()
	shut := s.shut
	if shut == nil {
		if s.all == nil {
			s.all = map[streamsOf]*flows{}
		}
		s.all[f.call] = f
	}
	s.mu.Unlock()
	if shut != nil {
		f.fail(shut)
	}
}

func (s *streams) leave(f *flows) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all[f.call] == f {
		delete(s.all, f.call)
	}
}

// find returns the streams of the call that a frame of the peer's is about; nil: the call is over.
func (s *streams) find(id wire.StreamID) *flows {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all[streamsOf{id.Call, !id.Own}]
}

// fail ends all streams of a link that has ended.
func (s *streams) fail(why *Error) {
	s.mu.Lock()
	s.shut = why
	all := slices.Collect(maps.Values(s.all))
	s.all = nil
	s.mu.Unlock()
	for _, f := range all {
		f.fail(why)
	}
}

// count returns how many calls have streams.
func (s *streams) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.all)
}

// id names a stream of the call to the peer.
func (f *flows) id(index uint16) wire.StreamID {
	return wire.StreamID{Call: f.call.number, Index: index, Own: f.call.made}
}

func (f *flows) fail(why *Error) {
	f.mu.Lock()
	if f.over == nil {
		f.over = why
	}
	in, out := slices.Collect(maps.Values(f.in)), slices.Collect(maps.Values(f.out))
	f.mu.Unlock()
	for _, s := range in {
		s.fail(why)
	}
	for _, s := range out {
		s.stop(why)
	}
}

// end ends all streams of a call that is over: nothing is taken any more, and what is not sent is not sent.
func (f *flows) end() {
	f.link.streams.leave(f)
	f.fail(errCallOver)
	for _, s := range f.in { // there will be no more
		s.close()
	}
}

// taking adds a stream that this end takes, with the credit that the other one has.
func (f *flows) taking(index uint16, items, bytes uint64) *inflow {
	s := &inflow{of: f, index: index, grantedItems: items, grantedBytes: bytes, wake: newBell()}
	s.account(bytes)
	f.mu.Lock()
	over := f.over
	if over == nil {
		if f.in == nil {
			f.in = map[uint16]*inflow{}
		}
		f.in[index] = s
	}
	f.mu.Unlock()
	if over != nil {
		s.fail(over)
		s.close()
	}
	return s
}

// producing adds a stream that this end produces, with the credit that it has.
func (f *flows) producing(ctx context.Context, index uint16, items, bytes uint64) *outflow {
	s := &outflow{of: f, index: index, ctx: ctx, mostItems: items, mostBytes: bytes, wake: newBell()}
	f.mu.Lock()
	over := f.over
	if over == nil {
		if f.out == nil {
			f.out = map[uint16]*outflow{}
		}
		f.out[index] = s
	}
	f.mu.Unlock()
	if over != nil {
		s.stop(over)
	}
	return s
}

func (f *flows) inflow(index uint16) *inflow {
	if f == nil {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.in[index]
}

func (f *flows) outflow(index uint16) *outflow {
	if f == nil {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.out[index]
}

// takeStream takes a frame of a stream.
func (l *link) takeStream(kind wire.FrameKind, frame []byte, lent bool) error {
	if kind == wire.ItemsFrame {
		return l.takeItems(frame, lent)
	}
	if !lent {
		defer l.node.buffers.Put(frame)
	}
	if kind == wire.CreditFrame {
		c, err := wire.ParseCredit(frame)
		if s := l.streams.find(c.Stream).outflow(c.Stream.Index); s != nil && err == nil {
			s.credit(c)
		}
		l.out.unheard.Store(0) // the peer has read what was sent of it
		return err
	}
	h, item, err := wire.ParseEnd(frame)
	if err != nil {
		return err
	}
	f := l.streams.find(h.Stream)
	if h.Taker {
		if s := f.outflow(h.Stream.Index); s != nil {
			s.refused(slices.Clone(item))
		}
		return nil
	}
	if s := f.inflow(h.Stream.Index); s != nil {
		return s.ends(h.Sequence, slices.Clone(item))
	}
	return nil
}

// takeItems takes what a stream brings. What belongs to no stream is of a call that is over.
func (l *link) takeItems(frame []byte, lent bool) error {
	h, body, err := wire.ParseItems(frame)
	if err != nil {
		return err
	}
	l.touch()
	if h.Pinned && !l.line.Arrived(Message{Call: h.Number}) {
		return nil // the connection is over, and so is the stream
	}
	p := piece{sequence: h.Sequence, items: h.Items, body: body, size: wire.ItemsHeaderBytes + len(body), frame: frame, pinned: h.Pinned, message: Message{Call: h.Number}}
	switch {
	case len(body) < smallMessage: // many may wait, and a buffer is larger
		if p.body, p.frame = bytes.Clone(body), nil; !lent {
			l.node.buffers.Put(frame)
		}
	case lent:
		p.frame = append(l.node.buffers.Get(len(body))[:0], body...)
		p.body = p.frame
	}
	if s := l.streams.find(h.Stream).inflow(h.Stream.Index); s != nil {
		return s.take(p)
	}
	l.letGo(p)
	return nil
}

// letGo drops what nobody reads.
func (l *link) letGo(p piece) {
	if p.pinned {
		l.line.Done(p.message)
	}
	l.node.buffers.Put(p.frame)
}

// errNoStreams is why a call with streams cannot be made by a connection.
func errNoStreams() *Error {
	return &Error{Kind: ErrVersion, NotRun: true, Err: errors.New("the peer speaks a version of the protocol without streams: update it, or call a method that has none")}
}
