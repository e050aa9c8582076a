package refs

import (
	"context"
	"errors"
	"io"
	"runtime"
	"slices"
	"sync"

	"github.com/rmigo/rmigo/internal/wire"
)

// outflow is the side of a stream that produces. One goroutine at a time produces; what it produces is joined into frames, which a
// goroutine of their own sends while there are any. The rest is guarded by mu.
type outflow struct {
	of      *flows
	index   uint16
	ctx     context.Context // that producing waits under
	enc     wire.Encoder
	courier courier
	scratch []byte

	mu       sync.Mutex
	queue    []parcel
	queued   int // bytes of bodies in it, and in what is being sent
	sending  bool
	sequence uint64
	ended    bool   // nothing more is produced
	halt     func() // has it return from what it waits for; nil: it waits for nothing else than this stream
	start    func() // has the producer begin, at the first credit; nil: it has begun
	stopped  *Error // why nothing more is sent
	failure  []byte // the error item by which the other side wants no more

	items, bytes         uint64 // that were produced, the bytes with the headers of frames
	mostItems, mostBytes uint64 // that may be

	wake bell // rings when there is room, or credit, or an end
}

// parcel is a frame that is to be sent: room for its header, and what it brings.
type parcel struct {
	frame  []byte
	items  uint32
	pinned uint64 // the message's number; 0: it holds no references
}

const (
	joinedItems = 32 << 10  // items are joined to frames of about so many bytes
	mostUnsent  = 2 * chunk // a producer waits while so much of its stream is not sent
	leastRead   = 4 << 10   // what a reader is given at first
	wideItems   = 8 << 10   // from this size on, a frame of a stream is better off on the bulk session
)

// credit takes a CREDIT.
func (s *outflow) credit(c wire.Credit) {
	s.mu.Lock()
	s.mostItems, s.mostBytes = max(s.mostItems, c.Items), max(s.mostBytes, c.Bytes)
	if s.start != nil && s.stopped == nil {
		s.start()
	}
	s.start = nil
	s.mu.Unlock()
	s.wake.ring()
}

// stop has nothing more be sent.
func (s *outflow) stop(why *Error) {
	s.mu.Lock()
	if s.stopped == nil {
		s.stopped = why
	}
	begun := s.start == nil
	s.mu.Unlock()
	if begun && s.halt != nil {
		s.halt()
	}
	s.wake.ring()
}

// refused takes an END of the side that takes.
func (s *outflow) refused(item []byte) {
	s.mu.Lock()
	s.failure = item
	s.mu.Unlock()
	s.stop(errRefused)
}

// begin returns the encoder for the next item of the method's stream, to be sent by send.
func (s *outflow) begin(f *Face, method uint64) *wire.Encoder {
	n := s.of.link.node
	if s.courier.node == nil || s.courier.pinned {
		s.courier = courier{node: n, link: s.of.link, in: Message{Call: n.number.Add(1), face: f, method: method}}
	}
	s.enc.Reset(f.codecOf(n), f.table, &s.courier, "item", s.scratch[:0])
	return &s.enc
}

// send sends the item, once there are credit and room for it. After an error it is not, and no further one should be.
func (s *outflow) send() error {
	body, err := s.enc.Finish()
	if err == nil {
		if s.scratch = body; cap(body) > smallMessage {
			s.scratch = nil
		}
		if limit := s.of.link.peerLimit; len(body) > limit {
			err = &wire.Error{Kind: wire.Limit, Err: &wire.LimitError{What: "bytes in an item", Bound: int64(limit), Option: "the peer's Limits.MessageBytes"}}
		}
	}
	p := parcel{items: 1}
	if s.courier.pinned {
		p.pinned = s.courier.in.Call
	}
	if err == nil {
		err = s.put(p, body)
	}
	if err != nil && p.pinned != 0 {
		s.of.link.line.Unsent(s.courier.in)
	}
	return err
}

// copy sends what a reader has, by put. A reader that may wait for long has a small buffer meanwhile; one that fills what it is given gets more.
func (s *outflow) copy(r io.Reader, put func(parcel, []byte) error) error {
	buffers := &s.of.link.node.buffers
	room := leastRead
	frame := buffers.Get(wire.ItemsHeaderBytes + room)
	defer func() { buffers.Put(frame) }()
	for idle := 0; ; {
		n, err := r.Read(frame[wire.ItemsHeaderBytes:][:room])
		if n < 0 || n > room {
			return errors.New("a reader has returned a count that cannot be")
		}
		body, old := frame[wire.ItemsHeaderBytes:][:n], room
		switch {
		case n == room && room < chunk:
			room = min(8*room, chunk)
		case n < room/16:
			room = max(room/8, leastRead)
		}
		var unsent error
		switch {
		case n >= joinedItems:
			if unsent = put(parcel{frame: frame[:wire.ItemsHeaderBytes+n]}, body); unsent == nil {
				frame = buffers.Get(wire.ItemsHeaderBytes + room)
			}
		case n > 0:
			if unsent = put(parcel{}, body); room != old {
				buffers.Put(frame)
				frame = buffers.Get(wire.ItemsHeaderBytes + room)
			}
		}
		if idle++; n > 0 {
			idle = 0
		}
		switch {
		case unsent != nil:
			return unsent
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		case idle == 100:
			return io.ErrNoProgress
		}
	}
}

// put queues what body brings: behind what is waiting already, or as a frame of its own, which p may be already.
func (s *outflow) put(p parcel, body []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.await(p.items, len(body)); err != nil {
		return err
	}
	s.items += uint64(p.items)
	s.bytes += uint64(len(body))
	s.queued += len(body)
	if !s.join(p, body) {
		s.bytes += wire.ItemsHeaderBytes
		if p.frame == nil {
			room := s.of.link.node.buffers.Get(max(joinedItems, wire.ItemsHeaderBytes+len(body)+8))
			p.frame = append(room[:wire.ItemsHeaderBytes], body...)
		}
		s.queue = append(s.queue, p)
	}
	if !s.sending {
		s.sending = true
		s.of.link.node.tasks.run(s.flush) // ends when nothing is queued, with the link at the latest
	}
	return nil
}

// join adds body to the frame that is queued last, if that has room for it. mu is held.
func (s *outflow) join(p parcel, body []byte) bool {
	last := len(s.queue) - 1
	if last < 0 || p.frame != nil || p.pinned != 0 || s.queue[last].pinned != 0 || len(s.queue[last].frame)+len(body) > joinedItems {
		return false
	}
	s.queue[last].frame = append(s.queue[last].frame, body...)
	s.queue[last].items += p.items
	return true
}

// await returns when there are credit and room. mu is held, but not while it waits.
func (s *outflow) await(items uint32, size int) error {
	for {
		switch {
		case s.stopped != nil:
			s.wake.ring() // somebody may wait in end
			return s.stopped
		case s.ended:
			s.wake.ring()
			return errCallOver
		case s.items+uint64(items) <= s.mostItems && s.bytes < s.mostBytes && (s.queued == 0 || s.queued+size <= mostUnsent):
			return nil
		}
		s.mu.Unlock()
		select {
		case <-s.wake:
			s.mu.Lock()
		case <-s.ctx.Done():
			s.mu.Lock()
			return &Error{Err: contextError(s.ctx)}
		}
	}
}

// flush sends what is queued until nothing is.
func (s *outflow) flush() {
	runtime.Gosched() // let more come
	for s.sendNext() {
	}
}

func (s *outflow) sendNext() (more bool) {
	l := s.of.link
	s.mu.Lock()
	if len(s.queue) == 0 || s.stopped != nil {
		left := s.queue
		s.queue, s.queued, s.sending = nil, 0, false
		s.mu.Unlock()
		s.letGo(left)
		s.wake.ring()
		return false
	}
	p := s.queue[0]
	s.queue = slices.Delete(s.queue, 0, 1)
	h := wire.ItemsHeader{Stream: s.of.id(s.index), Pinned: p.pinned != 0, Sequence: s.sequence, Items: p.items}
	s.sequence++
	s.mu.Unlock()
	size := len(p.frame) - wire.ItemsHeaderBytes
	if h.Pinned {
		p.frame = wire.AppendReplyNumber(p.frame, p.pinned)
	}
	wire.AppendItemsHeader(p.frame[:0], h)
	err := wire.FinishFrame(p.frame)
	if err == nil {
		if b := l.wideFrom(len(p.frame), wideItems); b != nil {
			b.send(l.gone, p.frame, nil)
		} else {
			err = l.out.send(l.gone, p.frame, true, false)
		}
	}
	l.node.buffers.Put(p.frame)
	if err != nil {
		<-l.gone // the link has told why by then
	}
	s.mu.Lock()
	s.queued = max(0, s.queued-size)
	s.mu.Unlock()
	s.wake.ring()
	return true
}

// letGo drops what is not sent.
func (s *outflow) letGo(left []parcel) {
	l := s.of.link
	for _, p := range left {
		if p.pinned != 0 {
			l.line.Unsent(Message{Call: p.pinned})
		}
		l.node.buffers.Put(p.frame)
	}
}

// end ends the stream when all that was produced is sent, and returns then; item is the error that it ends with, nil: none.
func (s *outflow) end(item []byte) {
	s.mu.Lock()
	tell := !s.ended
	s.ended = true
	for s.sending {
		s.mu.Unlock()
		<-s.wake
		s.mu.Lock()
	}
	tell = tell && s.stopped == nil
	h := wire.EndHeader{Stream: s.of.id(s.index), Failed: item != nil, Sequence: s.sequence}
	s.mu.Unlock()
	if !tell {
		return
	}
	frame := append(wire.AppendEnd(nil, h), item...)
	if wire.FinishFrame(frame) == nil {
		s.of.link.out.post(frame)
	}
}

// unsent lets go of the item that was written and will not be sent.
func (s *outflow) unsent() {
	if s.enc.Finish(); s.courier.pinned {
		s.of.link.line.Unsent(s.courier.in)
	}
}
