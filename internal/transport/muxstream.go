package transport

import (
	"io"
	"net"
	"os"
	"sync"
	"time"

	"github.com/hashicorp/yamux"
)

// muxStream is a stream of a muxSession: what yamux has no part in, which is its bytes and windows.
//
// mu guards the fields below it and is a leaf, but for Attach, which hands over under it what has arrived. A reader and a writer wait for
// changed: most streams of an idle session never have one that waits.
type muxStream struct {
	session *muxSession
	id      uint32

	writing sync.Mutex // one Write at a time

	mu       sync.Mutex
	changed  sync.Cond     // what a reader or a writer may wait for
	stream   *yamux.Stream // once yamux has handed it out
	receiver Receiver
	worker   Worker // the receiver, if it is one
	unread   []byte
	expected uint32 // bytes that the peer may still send
	taken    uint32 // bytes read, for which the peer has no credit yet
	due      uint32 // credit is given for so many
	window   uint32 // bytes that may still be sent
	deadline time.Time
	closed   bool // here
	finished bool // by the peer
	reset    bool // by the peer
	gaveUp   bool // by this side, which had closed it and waited for the peer to
	over     bool // the session has ended
	told     bool // the receiver knows of the end
}

const (
	// wideWindow is the window of a stream whose bytes are taken as they arrive, once they are many.
	wideWindow = 4 << 20

	// wideDue is for how many bytes credit is given then: not so many that it takes long for them to arrive, since credit is a sign of life.
	wideDue = 512 << 10
)

func newMuxStream(s *muxSession, id uint32) *muxStream {
	m := &muxStream{session: s, id: id, expected: Window, window: Window, due: Window / 2}
	m.changed.L = &m.mu
	return m
}

// note changes the stream's state and tells those who wait for it.
func (s *muxStream) note(change func()) {
	s.mu.Lock()
	change()
	var end Receiver
	if s.receiver != nil && !s.told && s.atEnd() {
		s.told, end = true, s.receiver
	}
	s.changed.Broadcast()
	s.mu.Unlock()
	if end != nil {
		end.End()
	}
}

// atEnd reports whether nothing more arrives. mu is held.
func (s *muxStream) atEnd() bool { return s.finished || s.reset || s.gaveUp || s.over }

// ended notes that the peer has closed or reset the stream.
func (s *muxStream) ended(reset bool) {
	var last bool
	s.note(func() {
		s.reset, s.finished = s.reset || reset, true
		last = s.closed || reset
	})
	if last {
		s.session.forget(s)
	}
}

// expect notes that the peer sends n bytes; it reports whether it may.
func (s *muxStream) expect(n uint32) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n > s.expected {
		return false
	}
	s.expected -= n
	return true
}

// grant notes that the peer takes n bytes more.
func (s *muxStream) grant(n uint32) {
	s.mu.Lock()
	s.window += min(n, ^uint32(0)-s.window)
	s.changed.Broadcast()
	s.mu.Unlock()
}

// deliver takes bytes that have arrived.
func (s *muxStream) deliver(p []byte) error {
	s.mu.Lock()
	r := s.receiver
	if r == nil {
		s.unread = append(s.unread, p...)
		s.changed.Broadcast()
	}
	works := s.worker != nil
	s.mu.Unlock()
	if r == nil {
		return nil
	}
	if works {
		s.feeds()
	}
	if err := r.Receive(p); err != nil {
		return err
	}
	s.consumed(len(p))
	return nil
}

// room returns where the receiver wants what comes next, or nil.
func (s *muxStream) room() []byte {
	s.mu.Lock()
	r := s.receiver
	s.mu.Unlock()
	if r == nil {
		return nil
	}
	return r.Room()
}

// feeds notes that the Worker is given something, which is to be worked off. One of another stream must do so now.
func (s *muxStream) feeds() {
	if c := s.session.conn; c.fed != s {
		c.work()
		c.fed = s
	}
}

// filled notes that n bytes were put into room.
func (s *muxStream) filled(n int) error {
	if s.worker != nil {
		s.feeds()
	}
	if err := s.receiver.Filled(n); err != nil { // it does not change once it is there
		return err
	}
	s.consumed(n)
	return nil
}

// consumed gives the peer credit for bytes that are out of the way, once they are many. A stream with a receiver, where nothing
// piles up, gets a wider window with the first credit, so that much of it needs little.
func (s *muxStream) consumed(n int) {
	s.mu.Lock()
	s.taken += uint32(n)
	due := s.taken
	if due < s.due || s.atEnd() {
		due = 0
	}
	s.taken -= due
	if due > 0 && s.receiver != nil && s.due < wideDue {
		s.due = wideDue
		due += wideWindow - Window
	}
	s.expected += due
	s.mu.Unlock()
	if due > 0 {
		s.session.conn.owe(s.id, due)
	}
}

func (s *muxStream) Attach(r Receiver) {
	s.mu.Lock()
	unread := s.unread
	s.unread, s.receiver = nil, r
	s.worker, _ = r.(Worker)
	var err error
	if len(unread) > 0 {
		err = r.Receive(unread)
		if s.worker != nil {
			s.worker.Work(nil)
		}
	}
	s.mu.Unlock()
	s.note(func() {})
	if err != nil {
		s.session.fail(err)
		return
	}
	s.consumed(len(unread))
}

func (s *muxStream) Read(p []byte) (int, error) {
	n, err := s.read(p)
	if n > 0 {
		s.consumed(n)
	}
	return n, err
}

// read waits for something to read, and takes it.
func (s *muxStream) read(p []byte) (n int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		switch {
		case s.reset && !s.closed:
			return 0, ErrReset
		case len(s.unread) > 0:
			n = copy(p, s.unread)
			s.unread = s.unread[:copy(s.unread, s.unread[n:])]
			return n, nil
		case s.atEnd():
			return 0, io.EOF
		case !s.deadline.IsZero() && !time.Now().Before(s.deadline):
			return 0, os.ErrDeadlineExceeded
		case len(p) == 0:
			return 0, nil
		}
		s.wait()
	}
}

// wait returns when there may be something to read, or at the deadline. mu is held, but not while it waits.
func (s *muxStream) wait() {
	if !s.deadline.IsZero() {
		late := time.AfterFunc(time.Until(s.deadline), func() { s.note(func() {}) })
		defer late.Stop()
	}
	s.changed.Wait()
}

func (s *muxStream) Write(p []byte) (n int, err error) {
	s.writing.Lock()
	defer s.writing.Unlock()
	for n < len(p) {
		size, err := s.reserve(min(len(p)-n, chunk))
		if err != nil {
			return n, err
		}
		header := newMuxHeader(frameData, s.id, uint32(size))
		if err := s.session.conn.send(header[:], p[n:n+size]); err != nil {
			return n, s.session.fail(err)
		}
		n += size
	}
	return n, nil
}

// WriteNow implements Stream.
func (s *muxStream) WriteNow(head, body []byte, sent func(error)) bool {
	if len(head)+len(body) > chunk || !s.writing.TryLock() {
		return false
	}
	defer s.writing.Unlock()
	return s.session.conn.sendNow(s, head, body, sent)
}

// takes takes n bytes from the window, if they are there.
func (s *muxStream) takes(n int) bool {
	if s.session.refusal() != nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.reset || s.gaveUp || uint32(n) > s.window {
		return false
	}
	s.window -= uint32(n)
	return true
}

// reserve takes up to most bytes from the window, waiting until there is one.
func (s *muxStream) reserve(most int) (int, error) {
	for {
		if err := s.session.refusal(); err != nil {
			return 0, err
		}
		if size, err := s.withdraw(most); size > 0 || err != nil {
			return size, err
		}
	}
}

// withdraw takes up to most bytes from the window, or none where it is the session that is in the way.
func (s *muxStream) withdraw(most int) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		switch {
		case s.closed:
			return 0, net.ErrClosed
		case s.reset || s.gaveUp:
			return 0, ErrReset
		case s.session.conn.finished.Load(): // whose end, which is noted after that, may have been before this one could wait for it
			return 0, nil
		case s.window > 0:
			size := min(uint32(most), s.window)
			s.window -= size
			return int(size), nil
		}
		s.changed.Wait()
	}
}

func (s *muxStream) Close() error {
	var stream *yamux.Stream
	var last bool
	s.note(func() {
		s.closed = true
		stream, last = s.stream, s.finished || s.reset
	})
	err := stream.Close()
	if last {
		s.session.forget(s)
	}
	return err
}

func (s *muxStream) SetReadDeadline(t time.Time) error {
	s.note(func() { s.deadline = t })
	return nil
}

func (s *muxStream) Shrink() {
	s.mu.Lock()
	if len(s.unread) == 0 {
		s.unread = nil
	}
	s.mu.Unlock()
	s.session.conn.calm()
}
