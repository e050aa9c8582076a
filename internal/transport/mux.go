package transport

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/yamux"
)

// A session over yamux. yamux owns two goroutines, one reading and one writing the connection; they end when the session
// does, and Close waits for them. Whatever ends a session is noted first (blame), then yamux is closed: the first cause
// is the one that Err tells.
//
// A Write of yamux that returned late or failed may still be sent later, over memory that the next Write uses: so every
// error that is not about the stream alone ends the session.

const (
	// writeTimeout is how long bytes may wait for the connection. It is a last resort: liveness is probed above.
	writeTimeout = time.Minute

	// chunk is the most that goes into one frame: buffers keep the size of the largest frame they held, and what is small
	// waits behind one frame of what is large.
	chunk = 64 << 10
)

// errBroken begins the cause of an end for which nothing here was to blame: yamux gave up on what the peer sent.
var errBroken = errors.New("the peer broke the session protocol")

type muxSession struct {
	mux   *yamux.Session
	conn  *framed
	cause atomic.Pointer[error]

	mu      sync.Mutex
	ended   bool // nothing more will be received
	streams map[*muxStream]struct{}
}

func newMuxSession(conn net.Conn, dialled bool, buffers *buffers) *muxSession {
	s := &muxSession{streams: map[*muxStream]struct{}{}}
	s.conn = &framed{Conn: conn, buffers: buffers, blame: s.blame, ended: s.wake}
	start := yamux.Server
	if dialled {
		start = yamux.Client
	}
	mux, err := start(s.conn, muxConfig())
	if err != nil {
		panic("transport: " + err.Error()) // the configuration is ours
	}
	s.mux = mux
	return s
}

func muxConfig() *yamux.Config {
	return &yamux.Config{
		AcceptBacklog:          Backlog,
		EnableKeepAlive:        false,     // who uses the session probes it
		KeepAliveInterval:      time.Hour, // unused, but must not be zero
		ConnectionWriteTimeout: writeTimeout,
		MaxStreamWindowSize:    Window,
		StreamOpenTimeout:      0, // a goroutine a stream, for what probes find out
		StreamCloseTimeout:     HalfCloseTimeout,
		Logger:                 silent{},
	}
}

// silent is a yamux.Logger: what yamux would log, it also returns.
type silent struct{}

func (silent) Print(...any)          {}
func (silent) Printf(string, ...any) {}
func (silent) Println(...any)        {}

func (s *muxSession) Open() (Stream, error) {
	if err := s.refusal(); err != nil {
		return nil, err
	}
	stream, err := s.mux.OpenStream()
	if err != nil {
		return nil, s.fail(err)
	}
	return s.adopt(stream), nil
}

// adopt makes a stream of the session's.
func (s *muxSession) adopt(stream *yamux.Stream) *muxStream {
	m := &muxStream{session: s, stream: stream}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.streams[m] = struct{}{}
	if s.ended {
		stream.SetReadDeadline(longAgo())
	}
	return m
}

// wake makes those who wait for more find out that there is none. Left to yamux, they would run in circles from when it starts
// to close until it has told each stream.
func (s *muxSession) wake() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	for m := range s.streams {
		m.stream.SetReadDeadline(longAgo())
	}
}

func longAgo() time.Time { return time.Unix(1, 0) }

func (s *muxSession) Accept() (Stream, error) {
	stream, err := s.mux.AcceptStream()
	if err != nil {
		return nil, s.fail(err)
	}
	return s.adopt(stream), nil
}

func (s *muxSession) Close() error {
	s.blame(net.ErrClosed)
	if s.conn.finish() {
		<-s.mux.CloseChan() // yamux closes when the other side has, or time is up
	}
	return s.mux.Close()
}

func (s *muxSession) Done() <-chan struct{} { return s.mux.CloseChan() }

func (s *muxSession) Err() error {
	if !s.mux.IsClosed() {
		return nil
	}
	if s.cause.Load() == nil {
		s.blame(fmt.Errorf("%w: %w", errBroken, s.verdict()))
	}
	return *s.cause.Load()
}

// verdict is why yamux closed itself. Of all its methods only AcceptStream tells, and only when it does not happen upon a
// stream that nobody accepted, of which there are at most Backlog.
func (s *muxSession) verdict() (err error) {
	for range Backlog + 1 {
		if _, err = s.mux.AcceptStream(); err != nil && !errors.Is(err, yamux.ErrSessionShutdown) {
			break
		}
	}
	return err
}

func (s *muxSession) LocalAddr() net.Addr  { return s.conn.LocalAddr() }
func (s *muxSession) RemoteAddr() net.Addr { return s.conn.RemoteAddr() }

// refusal is why nothing new can be sent; nil if it can.
func (s *muxSession) refusal() error {
	if !s.conn.finished.Load() {
		return nil
	}
	if err := s.Err(); err != nil {
		return err
	}
	return net.ErrClosed // here, and the other side has yet to end
}

// blame notes why the session is about to end, if nothing has been noted yet.
func (s *muxSession) blame(err error) { s.cause.CompareAndSwap(nil, &err) }

// fail ends the session because of err, which yamux returned, unless it has ended already, and returns why it ended.
func (s *muxSession) fail(err error) error {
	if !s.mux.IsClosed() {
		s.blame(err)
		s.mux.Close()
	}
	return s.Err()
}

type muxStream struct {
	session *muxSession
	stream  *yamux.Stream

	closed, drained bool // written, and read, to the end; guarded by session.mu
}

func (s *muxStream) Read(p []byte) (int, error) {
	n, err := s.stream.Read(p)
	if errors.Is(err, yamux.ErrTimeout) && s.session.hasEnded() {
		n, err = s.stream.Read(p) // what came between its first look and the end; nothing comes any more
	}
	switch {
	case err == nil:
		return n, nil
	case err == io.EOF:
		s.session.leave(s, &s.drained)
		return n, err
	case errors.Is(err, yamux.ErrTimeout) && s.session.hasEnded():
		<-s.session.mux.CloseChan()
		return n, io.EOF
	case errors.Is(err, yamux.ErrTimeout):
		return n, os.ErrDeadlineExceeded
	}
	return n, s.explain(err)
}

func (s *muxStream) Write(p []byte) (n int, err error) {
	if err := s.session.refusal(); err != nil {
		return 0, err
	}
	for n < len(p) {
		written, err := s.stream.Write(p[n:min(n+chunk, len(p))])
		n += written
		if err != nil {
			return n, s.explain(err)
		}
	}
	return n, nil
}

// explain turns an error of yamux into one of this package and ends the session if it must.
func (s *muxStream) explain(err error) error {
	if why := s.session.Err(); why != nil {
		return why
	}
	switch {
	case errors.Is(err, yamux.ErrStreamClosed):
		return net.ErrClosed
	case errors.Is(err, yamux.ErrConnectionReset):
		return ErrReset
	}
	return s.session.fail(err)
}

func (s *muxSession) hasEnded() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ended
}

func (s *muxStream) Close() error {
	s.session.leave(s, &s.closed)
	return s.stream.Close()
}

// leave notes that one half of a stream is done with; after both, the session forgets it.
func (s *muxSession) leave(m *muxStream, half *bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	*half = true
	if m.closed && m.drained {
		delete(s.streams, m)
	}
}

func (s *muxStream) SetReadDeadline(t time.Time) error {
	s.session.mu.Lock()
	defer s.session.mu.Unlock()
	if s.session.ended {
		return nil // there is nothing to wait for
	}
	return s.stream.SetReadDeadline(t)
}

func (s *muxStream) Shrink() { s.stream.Shrink() }
