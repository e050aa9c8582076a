package transport

import (
	"bytes"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// A memoryPair is one stream: its two ends and, in each direction, a pipe. All of it is guarded by the link's mutex.
type memoryPair struct {
	link    *memoryLink
	changed *sync.Cond // on the link's mutex: bytes, room, ends, deadlines
	streams [2]memoryStream
	pipes   [2]memoryPipe // pipes[i] is written by streams[i] and read by the other
	reset   bool          // closed by one end for HalfCloseTimeout, and not by the other
	expiry  *time.Timer   // resets; runs while one end has closed
}

// memoryPipe holds the bytes of one direction from Write to Read. What the reader may see lags behind what the writer did
// while the link is stalled, and so does the room that reading makes.
type memoryPipe struct {
	buf     bytes.Buffer
	arrived int  // bytes of buf that the reader may have
	used    int  // bytes counted against the window
	closed  bool // by the writer
	ended   bool // the reader may know that it is closed
	read    int  // bytes that were taken out of buf
	came    int  // bytes that have arrived since the beginning
}

func newMemoryPair(link *memoryLink) *memoryPair {
	p := &memoryPair{link: link, changed: sync.NewCond(&link.mu)}
	p.streams = [2]memoryStream{{pair: p, side: 0}, {pair: p, side: 1}}
	link.streams[p] = struct{}{}
	return p
}

// settle lets each side see what the other has done, unless the link is stalled. The link's mutex is held.
func (p *memoryPair) settle() {
	if p.link.stalled {
		return
	}
	if p.link.delay > 0 {
		p.settleLater()
		return
	}
	for i := range p.pipes {
		p.grant(i)
		pipe := &p.pipes[i]
		pipe.arrived, pipe.ended = pipe.buf.Len(), pipe.closed
	}
	p.changed.Broadcast()
}

// settleLater lets each side see what the other has done so far when that has come over; the window does not wait for it.
func (p *memoryPair) settleLater() {
	var came [2]int
	var ended [2]bool
	for i := range p.pipes {
		p.grant(i)
		pipe := &p.pipes[i]
		came[i], ended[i] = pipe.read+pipe.buf.Len(), pipe.closed
	}
	p.changed.Broadcast()
	time.AfterFunc(p.link.delay, func() {
		p.link.mu.Lock()
		defer p.link.mu.Unlock()
		for i := range p.pipes {
			pipe := &p.pipes[i]
			pipe.came = max(pipe.came, came[i])
			pipe.arrived, pipe.ended = pipe.came-pipe.read, pipe.ended || ended[i]
		}
		p.changed.Broadcast()
	})
}

// grant gives the writer of a pipe the room that its reader has made.
func (p *memoryPair) grant(pipe int) {
	left := p.pipes[pipe].buf.Len()
	if left < p.pipes[pipe].used {
		p.link.ends[pipe].granted = time.Now()
	}
	p.pipes[pipe].used = left
}

// finish drops the pair from its link. The link's mutex is held.
func (p *memoryPair) finish() {
	p.expiry.Stop()
	delete(p.link.streams, p)
}

// expire resets the stream, of which one end alone has been closed for too long.
func (p *memoryPair) expire() {
	p.link.mu.Lock()
	defer p.link.mu.Unlock()
	if p.pipes[0].closed && p.pipes[1].closed {
		return // in the meantime
	}
	p.reset = true
	p.finish()
	p.changed.Broadcast()
}

// memoryStream is one end of a pair.
type memoryStream struct {
	pair     *memoryPair
	side     int
	deadline time.Time
	timer    *time.Timer // wakes the reader at the deadline
}

func (s *memoryStream) Read(b []byte) (int, error) {
	s.pair.link.mu.Lock()
	defer s.pair.link.mu.Unlock()
	pipe := &s.pair.pipes[1-s.side]
	for {
		switch {
		case s.pair.reset && !s.closed():
			return 0, ErrReset
		case pipe.arrived > 0:
			n, _ := pipe.buf.Read(b[:min(len(b), pipe.arrived)])
			pipe.arrived -= n
			pipe.read += n
			if s.pair.link.delay > 0 { // there is room
				s.pair.grant(1 - s.side)
				s.pair.changed.Broadcast()
				return n, nil
			}
			s.pair.settle()
			return n, nil
		case pipe.ended, s.pair.reset, s.end().err != nil:
			return 0, io.EOF
		case !s.deadline.IsZero() && !time.Now().Before(s.deadline):
			return 0, os.ErrDeadlineExceeded
		}
		s.pair.changed.Wait()
	}
}

// Attach has a goroutine read for r. It ends with the stream or the session, and the session's Close waits for it.
func (s *memoryStream) Attach(r Receiver) {
	s.pair.link.mu.Lock()
	defer s.pair.link.mu.Unlock()
	s.end().reading.Go(func() { s.feed(r) })
}

func (s *memoryStream) feed(r Receiver) {
	defer r.End()
	worker, works := r.(Worker)
	own := make([]byte, 4<<10)
	for {
		p := r.Room()
		direct := p != nil
		if !direct {
			p = own
		}
		n, err := s.Read(p)
		if err != nil {
			return
		}
		if direct {
			err = r.Filled(n)
		} else {
			err = r.Receive(p[:n])
		}
		if works {
			worker.Work(nil)
		}
		if err != nil {
			s.end().fail(err)
			return
		}
	}
}

func (s *memoryStream) Write(b []byte) (n int, err error) {
	s.pair.link.mu.Lock()
	defer s.pair.link.mu.Unlock()
	pipe := &s.pair.pipes[s.side]
	for n < len(b) {
		switch {
		case s.end().err != nil:
			return n, s.end().err
		case pipe.closed:
			return n, net.ErrClosed
		case s.pair.reset:
			return n, ErrReset
		case pipe.used == Window:
			s.pair.changed.Wait()
			continue
		}
		room := min(len(b)-n, Window-pipe.used)
		pipe.buf.Write(b[n : n+room])
		pipe.used += room
		n += room
		s.pair.settle()
	}
	return n, nil
}

func (s *memoryStream) Close() error {
	s.pair.link.mu.Lock()
	defer s.pair.link.mu.Unlock()
	if s.closed() || s.pair.reset {
		return nil
	}
	s.pair.pipes[s.side].closed = true
	if s.pair.pipes[1-s.side].closed {
		s.pair.finish()
	} else {
		s.pair.expiry = time.AfterFunc(HalfCloseTimeout, s.pair.expire)
	}
	s.pair.settle()
	return nil
}

// WriteNow implements Stream: it never begins.
func (s *memoryStream) WriteNow(_, _ []byte, _ func(error)) bool { return false }

func (s *memoryStream) SetReadDeadline(t time.Time) error {
	s.pair.link.mu.Lock()
	defer s.pair.link.mu.Unlock()
	if s.timer != nil {
		s.timer.Stop()
		s.timer = nil
	}
	s.deadline = t
	if !t.IsZero() {
		s.timer = time.AfterFunc(time.Until(t), s.wake)
	}
	s.pair.changed.Broadcast()
	return nil
}

// wake makes the reader look at its deadline again.
func (s *memoryStream) wake() {
	s.pair.link.mu.Lock()
	defer s.pair.link.mu.Unlock()
	s.pair.changed.Broadcast()
}

// Shrink does nothing: a drained buffer is small change in a test.
func (s *memoryStream) Shrink() {}

func (s *memoryStream) end() *memoryEnd { return s.pair.link.ends[s.side] }

// closed reports whether this end was closed.
func (s *memoryStream) closed() bool { return s.pair.pipes[s.side].closed }
