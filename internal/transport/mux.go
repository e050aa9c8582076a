package transport

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/yamux"
)

// A session over yamux. yamux opens, accepts, closes and resets streams, numbers them and bounds those that wait; what they carry
// passes it by (see muxConn), since on its way through yamux a frame is copied twice and handed over between goroutines four
// times. On the wire all of it is yamux's protocol.
//
// yamux owns two goroutines, one receiving and one sending its frames; they end when the session does, and Close waits for them. While a Worker
// is busy there is a third one, which receives (see leads).
// Whatever ends a session is noted first (blame), then yamux is closed: the first cause is the one that Err tells.

const (
	// writeTimeout is how long a frame of yamux's may wait for the connection. It is a last resort: liveness is probed above.
	writeTimeout = time.Minute

	// chunk is the most that goes into one frame: whoever else writes waits for no more than that.
	chunk = 256 << 10
)

// errBroken begins the cause of an end for which nothing here was to blame: yamux gave up on what the peer sent.
var errBroken = errors.New("the peer broke the session protocol")

type muxSession struct {
	mux   *yamux.Session
	conn  *muxConn
	cause atomic.Pointer[error]
	start time.Time

	granted atomic.Int64 // when credit last came, in nanoseconds since start; 0: never

	mu      sync.Mutex
	over    bool                  // nothing more is received
	streams map[uint32]*muxStream // by id, from the frame that opens a stream to those that end it
}

func newMuxSession(conn net.Conn, dialled bool, buffers *buffers) *muxSession {
	s := &muxSession{start: time.Now(), streams: map[uint32]*muxStream{}}
	s.conn = &muxConn{Conn: conn, session: s, buffers: buffers, ready: make(chan struct{})}
	s.conn.moved.L = &s.conn.leads
	if socket := asSocket(conn); socket != nil {
		s.conn.Conn, s.conn.socket = socket, socket
	}
	start := yamux.Server
	if dialled {
		start = yamux.Client
	}
	mux, err := start(s.conn, muxConfig())
	if err != nil {
		panic("transport: " + err.Error()) // the configuration is ours
	}
	s.mux = mux
	close(s.conn.ready)
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

func (s *muxSession) Accept() (Stream, error) {
	stream, err := s.mux.AcceptStream()
	if err != nil {
		return nil, s.fail(err)
	}
	return s.adopt(stream), nil
}

// opened makes the stream with the id, when the frame that opens it passes.
func (s *muxSession) opened(id uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.streams[id] == nil {
		s.streams[id] = newMuxStream(s, id)
	}
}

// adopt returns the stream that yamux has opened or accepted. One that the peer has reset meanwhile is gone already.
func (s *muxSession) adopt(stream *yamux.Stream) *muxStream {
	s.mu.Lock()
	m := s.streams[stream.StreamID()]
	over := s.over
	s.mu.Unlock()
	if m == nil {
		m = newMuxStream(s, stream.StreamID())
		m.note(func() { m.reset = !over })
	}
	m.note(func() { m.stream, m.over = stream, m.over || over })
	return m
}

// find returns the stream that a frame is about, or nil.
func (s *muxSession) find(id uint32) *muxStream {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.streams[id]
}

// forget drops a stream of which nothing more can come. Its id may be another one's by now: a peer may do as it likes.
func (s *muxSession) forget(m *muxStream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.streams[m.id] == m {
		delete(s.streams, m.id)
	}
}

// end tells all streams that nothing more is received.
func (s *muxSession) end() {
	s.mu.Lock()
	s.over = true
	streams := make([]*muxStream, 0, len(s.streams))
	for _, m := range s.streams {
		streams = append(streams, m)
	}
	s.mu.Unlock()
	for _, m := range streams {
		m.note(func() { m.over = true })
	}
}

func (s *muxSession) Close() error {
	s.blame(net.ErrClosed)
	if s.conn.finish() {
		<-s.mux.CloseChan() // yamux closes when the other side has, or time is up
	}
	err := s.mux.Close()
	s.conn.leading.Wait()
	s.conn.settle()
	return err
}

func (s *muxSession) Done() <-chan struct{} { return s.mux.CloseChan() }

func (s *muxSession) Err() error {
	s.mu.Lock()
	over := s.over
	s.mu.Unlock()
	if !over && !s.mux.IsClosed() {
		return nil
	}
	s.settleCause()
	return *s.cause.Load()
}

// settleCause notes yamux's own reason to end where there is no other.
func (s *muxSession) settleCause() {
	if s.cause.Load() == nil {
		s.blame(fmt.Errorf("%w: %w", errBroken, s.verdict()))
	}
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

func (s *muxSession) Granted() time.Time {
	if at := s.granted.Load(); at > 0 {
		return s.start.Add(time.Duration(at))
	}
	return time.Time{}
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

// fail ends the session because of err, unless it has ended already, and returns why it ended. Not for the receiving goroutine, unless it works with
// a lead.
func (s *muxSession) fail(err error) error {
	if !s.mux.IsClosed() {
		s.blame(err)
		s.mux.Close()
	}
	return s.Err()
}
