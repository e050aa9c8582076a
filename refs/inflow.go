package refs

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/rmigo/rmigo/internal/wire"
)

// inflow is the side of a stream that takes. The goroutine that receives puts pieces in, whoever reads takes them out, one at a time and
// in their order; the rest is guarded by mu.
type inflow struct {
	of      *flows
	index   uint16
	courier courier // of the piece that is being read
	dec     wire.Decoder

	mu      sync.Mutex
	ready   []piece          // in order
	early   map[uint64]piece // that overtook others
	next    uint64           // the sequence of what comes behind ready
	length  uint64           // how many pieces there are, once ended
	ended   bool
	failure []byte // the error item that it ended with
	broke   *Error // why no more comes
	closed  bool   // nobody reads any more
	refused bool   // no more of it is taken than has been: there is too much of all

	items, bytes               uint64 // that have arrived, the bytes with the headers of frames
	largest                    uint64 // bytes of a piece, so far
	grantedItems, grantedBytes uint64
	readItems, readBytes       uint64
	window                     uint64 // how many bytes more may come than have been read; it grows as the stream is read
	counted                    int64  // of the bytes that may come, and have come and are not read, in the node's streamCredit and the link's
	reading                    int    // bytes of the piece that was taken out last, until it is done with

	wake bell // rings when there is something new
}

// piece is a frame of a stream that has arrived.
type piece struct {
	sequence uint64
	items    uint32
	body     []byte
	size     int    // of the frame as credit counts it: its header, and body before any of it was read
	frame    []byte // the buffer that body is part of, if that goes back to the others
	pinned   bool
	message  Message
}

// take puts a piece in; an error is a breach of the protocol.
func (s *inflow) take(p piece) error {
	s.mu.Lock()
	if s.closed || s.broke != nil || s.refused {
		s.mu.Unlock()
		s.of.link.letGo(p)
		return nil
	}
	defer s.mu.Unlock()
	if says := s.count(p); says != "" {
		return &wire.FrameError{Kind: wire.ItemsFrame, Says: says}
	}
	if !s.of.link.node.admitsPiece(int64(p.size)) {
		s.of.link.letGo(p)
		s.refused = true
		s.wake.ring()
		return nil
	}
	if p.sequence != s.next {
		if s.early == nil {
			s.early = map[uint64]piece{}
		}
		s.early[p.sequence] = p
		return nil
	}
	for more := true; more; p, more = s.early[s.next] {
		delete(s.early, p.sequence)
		s.ready = append(s.ready, p)
		s.next++
	}
	s.wake.ring()
	return nil
}

// admitsPiece counts a piece of so many bytes as one that waits to be read; false: it may be larger than its credit, and there is too much already. A
// sixteenth of the bound is left to pieces that are taken in any case.
func (n *Node) admitsPiece(size int64) bool {
	bound := n.cfg.Limits.PendingBytes
	for {
		all := n.streamBytes.Load()
		if size > leastCredit && all+size > bound-bound/16 {
			return false
		}
		if n.streamBytes.CompareAndSwap(all, all+size) {
			return true
		}
	}
}

// count checks a piece against what was granted. mu is held.
func (s *inflow) count(p piece) string {
	_, twice := s.early[p.sequence]
	size := uint64(p.size)
	s.items += uint64(p.items)
	s.bytes += size
	s.largest = max(s.largest, size)
	switch {
	case p.sequence < s.next, twice:
		return fmt.Sprintf("frame %d of the stream came twice", p.sequence)
	case s.ended && p.sequence >= s.length:
		return fmt.Sprintf("frame %d of a stream that has %d", p.sequence, s.length)
	case s.items > s.grantedItems || s.bytes-s.largest >= s.grantedBytes: // the last one may be larger than its credit
		return fmt.Sprintf("%d items and %d bytes where %d and %d were allowed", s.items, s.bytes, s.grantedItems, s.grantedBytes)
	}
	return ""
}

// ends takes an END.
func (s *inflow) ends(length uint64, failure []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended || length < s.next || s.beyond(length) {
		return &wire.FrameError{Kind: wire.EndFrame, Says: "the stream has ended, or has more frames"}
	}
	s.ended, s.length, s.failure = true, length, failure
	s.wake.ring()
	return nil
}

// beyond reports whether a frame has arrived that a stream of so many does not have. mu is held.
func (s *inflow) beyond(length uint64) bool {
	for sequence := range s.early {
		if sequence >= length {
			return true
		}
	}
	return false
}

// fail has the stream break behind what has arrived.
func (s *inflow) fail(why *Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broke == nil {
		s.broke = why
	}
	s.wake.ring()
}

// close lets go of what has arrived and was not read; what comes is let go of, too.
func (s *inflow) close() {
	s.mu.Lock()
	s.closed = true
	s.account(0)
	left, size := s.ready, s.reading
	for _, p := range s.early {
		left = append(left, p)
	}
	s.ready, s.early, s.reading = nil, nil, 0
	s.mu.Unlock()
	for _, p := range left {
		size += p.size
		s.of.link.letGo(p)
	}
	s.of.link.node.streamBytes.Add(-int64(size))
}

// errNoMore is what a stream has after its last piece.
var errNoMore = errors.New("the stream is at its end")

// poll returns the next piece, if there is one; it must be given to done. err: there will be none, errNoMore where nothing is amiss.
func (s *inflow) poll() (p piece, ok bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case len(s.ready) > 0:
		p = s.ready[0]
		s.reading = p.size
		s.ready[0] = piece{}
		if s.ready = s.ready[1:]; len(s.ready) == 0 {
			s.ready = nil
		}
		return p, true, nil
	case s.closed:
		return piece{}, false, errCallOver
	case s.ended && s.next == s.length:
		return piece{}, false, errNoMore
	case s.refused:
		return piece{}, false, tooManyStreams(s.of.link.node)
	case s.broke != nil:
		return piece{}, false, s.broke
	}
	return piece{}, false, nil
}

// overloaded reports whether the stream is refused.
func (s *inflow) overloaded() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.refused
}

// await is poll for who has nothing else to wait for.
func (s *inflow) await(ctx context.Context) (piece, error) {
	for {
		if p, ok, err := s.poll(); ok || err != nil {
			return p, err
		}
		select {
		case <-s.wake:
		case <-ctx.Done():
			return piece{}, &Error{Err: contextError(ctx)}
		}
	}
}

// leave tells the other side that no more is taken, unless it has ended the stream itself; item is an error to tell, nil: none.
func (s *inflow) leave(item []byte) {
	s.mu.Lock()
	tell := !s.closed && s.broke == nil && !(s.ended && item == nil)
	s.mu.Unlock()
	s.close()
	if !tell {
		return
	}
	frame := append(wire.AppendEnd(nil, wire.EndHeader{Stream: s.of.id(s.index), Taker: true, Failed: item != nil}), item...)
	if wire.FinishFrame(frame) == nil {
		s.of.link.out.post(frame)
	}
}

// done lets go of a piece that was read, whose memory is kept by what was read of it or not. Where more is wanted, grant follows.
func (s *inflow) done(p piece, kept bool) {
	n := s.of.link.node
	if p.pinned {
		s.of.link.line.Done(p.message)
	}
	if !kept {
		n.buffers.Put(p.frame)
	}
	s.mu.Lock()
	size := s.reading
	s.reading = 0
	s.readItems += uint64(p.items)
	s.readBytes += uint64(p.size)
	s.account(s.grantedBytes)
	s.mu.Unlock()
	n.streamBytes.Add(-int64(size))
}

// grant tells the other side what it may send, once that is much more than it knows of. A stream has little to begin with, and twice as much
// each time that half of what it had has been read, so that one which stands still takes little of what all may have.
func (s *inflow) grant() {
	items := uint64(s.of.link.node.cfg.Limits.StreamItems)
	s.mu.Lock()
	bytes := s.room()
	read := s.readBytes+bytes >= s.grantedBytes+max(1, bytes/2) // half of what it had, or it had nothing yet
	due := !s.ended && !s.closed && s.broke == nil && !s.refused && (read || s.readItems+items >= s.grantedItems+max(1, items/2))
	if due && read && s.grantedBytes > 0 {
		s.window *= 2
		bytes = s.room()
	}
	if due {
		s.grantedItems, s.grantedBytes = max(s.grantedItems, s.readItems+items), max(s.grantedBytes, s.readBytes+bytes)
	}
	s.account(s.grantedBytes)
	c := wire.Credit{Stream: s.of.id(s.index), Items: s.grantedItems, Bytes: s.grantedBytes}
	s.mu.Unlock()
	if due {
		s.of.link.out.post(wire.AppendCredit(nil, c))
	}
}

const (
	leastCredit = 16 << 10  // the credit in bytes of a stream where others have much
	sureCredit  = 128 << 10 // what the streams that a peer sends may have, whatever those of others have
)

// room is the window that the stream may have now. mu is held.
func (s *inflow) room() uint64 {
	n := s.of.link.node
	s.window = min(max(s.window, wire.FirstBytes), uint64(n.cfg.Limits.StreamBytes))
	bound := n.cfg.Limits.PendingBytes / 2
	left := min(bound-n.streamCredit.Load(), bound/2-s.of.link.streamCredit.Load()) + s.counted
	return min(s.window, uint64(max(left, min(leastCredit, int64(s.window)))))
}

// crowded reports whether there is not even the least credit for a further stream of the peer's.
func (s *inflow) crowded() bool {
	l := s.of.link
	bound, of := l.node.cfg.Limits.PendingBytes/2, l.streamCredit.Load()+leastCredit
	return of > sureCredit && (of > bound/2 || l.node.streamCredit.Load()+leastCredit > bound)
}

// account counts what may wait of the stream where so many bytes are granted. mu is held.
func (s *inflow) account(granted uint64) {
	now := int64(0)
	if !s.closed && granted > s.readBytes {
		now = int64(granted - s.readBytes)
	}
	l := s.of.link
	l.streamCredit.Add(now - s.counted)
	l.node.streamCredit.Add(now - s.counted)
	s.counted = now
}

// tooManyStreams is why a stream is not taken.
func tooManyStreams(n *Node) *Error {
	return &Error{Kind: ErrOverloaded, Err: fmt.Errorf("streams that are not read take too much of %d bytes (Limits.PendingBytes)", n.cfg.Limits.PendingBytes)}
}

// read hands the items of a piece on, one after another, until one is not wanted: left.
func (s *inflow) read(p piece, f *Face, filters [2]Filter, item func(*wire.Decoder) bool) (left bool, err error) {
	n := s.of.link.node
	s.courier = courier{node: n, link: s.of.link, in: p.message, pinned: p.pinned}
	kept, reused := false, false
	defer func() { // also where user code panics
		if s.done(p, kept || !reused); reused && !left && err == nil {
			s.grant()
		}
	}()
	body := p.body
	for i := uint32(0); i < p.items && err == nil && !left; i++ {
		s.dec.Reset(f.codecOf(n), f.table, &s.courier, "item", body)
		s.dec.SetFilters(filters[0], filters[1])
		if p.items == 1 {
			s.dec.Lend()
		}
		left = !item(&s.dec)
		err = s.dec.Err
		body, kept = s.dec.Rest(), kept || s.dec.Kept()
	}
	if err == nil && !left && len(body) > 0 {
		err = fmt.Errorf("%d bytes follow the items", len(body))
	}
	reused = true
	return left, err
}
