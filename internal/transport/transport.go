// Package transport carries bytes between processes: it turns an endpoint such as tcp://host:1099 into a [Session], a
// connection on which both sides open as many independent streams as they like.
//
// A connection is greeted before it is a session: each side says in 24 bytes that it speaks rmigo and which process it
// is. So the dialling side knows whom it reached before it says anything else, and a stranger (a web browser, a TLS
// client, a port scanner) is told apart by its first byte and named in the error.
//
//	sessions := transport.NewSessions(transport.Sockets{})
//	conn, err := sessions.Dial(ctx, "tcp://db.example:1099", transport.Greeting{Process: self})
//	if err != nil {
//		return err
//	}
//	session, err := conn.Session() // conn.Peer() says which process answered
//
// Guarantees:
//
//  1. Bytes of one stream arrive in order and once, or not at all; a stream whose reader does not read stops its own
//     writer after [Window] bytes, and no other stream. A [Receiver] reads at once, on the goroutine that receives.
//  2. A session that dies in whatever way closes its Done channel, and every blocked call on it or on its streams
//     returns.
//  3. A failed or late write ends the whole session: nothing is ever written after bytes that may not have been.
//  4. Until a peer has greeted, it costs one connection and 24 bytes; how many such connections there may be is bounded
//     by [Pending], and the newest always gets its turn.
//  5. Nothing here probes whether the peer is alive: who uses a session sends its own probes and closes it.
//
// Two transports keep these promises, and one suite of tests holds both to them: yamux over sockets ([NewSessions]) and
// [Memory], which has neither sockets nor package state, so that it runs in a testing/synctest bubble.
package transport

import (
	"context"
	"errors"
	"io"
	"net"
	"time"
)

// Constants of the session protocol. Both sides must use the same values.
const (
	// Window is how many bytes of one stream may be under way unread.
	Window = 256 << 10

	// Backlog is how many streams one side may have opened that the other side has not accepted yet; Open waits beyond it.
	Backlog = 64

	// HalfCloseTimeout is how long a stream lives on after one side closed it and the other did not: then it is reset.
	HalfCloseTimeout = 30 * time.Second
)

// ErrReset is what a stream returns after the other side gave it up.
var ErrReset = errors.New("the peer reset the stream")

// A Greeting is what each side of a connection says before anything else.
type Greeting struct {
	Process [16]byte // which process speaks: chosen at random when it starts
}

// A Transport makes greeted connections. It is safe for concurrent use.
type Transport interface {
	// Dial connects to endpoint, says hi and waits for the answer; ctx bounds all of it. The connection that it returns
	// is greeted. Errors: *EndpointError (endpoint makes no sense), *ProtocolError (something else than rmigo answered),
	// the network's error, or one that wraps the cause of ctx.
	Dial(ctx context.Context, endpoint string, hi Greeting) (Conn, error)

	// Listen takes connections at endpoint. Port 0 is replaced by a free one.
	Listen(endpoint string) (Listener, error)
}

// A Listener hands out connections that have said nothing yet. Its methods may be called concurrently.
type Listener interface {
	// Accept waits for the next connection, never for what it says. After Close it returns net.ErrClosed; other errors
	// may pass, as when the process is out of file descriptors.
	Accept() (Conn, error)

	// Endpoint is where it listens, with the actual port.
	Endpoint() string

	// Close ends Accept and leaves accepted connections alone.
	Close() error
}

// A Conn is a connection before it is a session. One goroutine uses it; Close may be called from any other.
type Conn interface {
	// Greet hears the other side's greeting and says hi; ctx bounds it. On a connection that is greeted already, as a
	// dialled one is, it returns Peer. When it fails, the connection is closed and the error says what came instead of
	// a greeting, as that of Transport.Dial does.
	Greet(ctx context.Context, hi Greeting) (Greeting, error)

	// Peer is what the other side said; zero before Greet.
	Peer() Greeting

	// Session starts multiplexing, once, on a greeted connection. The session owns the connection from then on.
	Session() (Session, error)

	// Close closes the connection, and the session if it was started. Any number of times.
	Close() error

	LocalAddr() net.Addr
	RemoteAddr() net.Addr
}

// A Session is a greeted connection that carries streams. Its methods may be called concurrently.
type Session interface {
	// Open begins a stream. It does not wait for the other side to accept it, unless Backlog streams are waiting already.
	Open() (Stream, error)

	// Accept waits for a stream that the other side opened. Someone must always be in it: streams that wait in vain stop
	// the other side's Open.
	Accept() (Stream, error)

	// Close ends the session and waits until its goroutines have ended. What Write returned for still reaches the other
	// side, if that side is there: Close gives it a round trip, half a second at most. Writes that are still waiting are
	// cut off.
	Close() error

	// Done is closed when the session has ended, in whatever way.
	Done() <-chan struct{}

	// Err is nil while the session lives and then says why it ended: net.ErrClosed after Close, io.EOF when the other
	// side closed it, else what broke it.
	Err() error

	// Granted is when the other side last told that it had taken bytes of a stream, as it does while it takes many; the zero time if it
	// never has. A side that takes bytes slowly may have nothing else to say for long.
	Granted() time.Time

	LocalAddr() net.Addr
	RemoteAddr() net.Addr
}

// A Stream is an ordered, flow-controlled pipe in both directions. One goroutine may read while another writes.
type Stream interface {
	// Attach hands the stream's bytes to r from now on, as they arrive and on whichever goroutine receives them, beginning with
	// those that have arrived. Read must not be used any more.
	Attach(r Receiver)

	// Read returns what has arrived, waiting for at least one byte; io.EOF once the other side closed the stream or the
	// session ended (ask Session.Err which it was) and all that had arrived is read; os.ErrDeadlineExceeded when it had
	// to wait past the read deadline; ErrReset.
	io.Reader

	// Write returns when all of p is handed to the connection. It waits for the other side's reader, Window bytes
	// ahead of it, and no deadline bounds that: closing the session does. An error other than net.ErrClosed on a stream
	// closed here, and ErrReset, has ended the session.
	io.Writer

	// WriteNow is Write for head and body, one after the other, where that need not wait, neither for the other side nor for whoever else
	// writes, and where they are short enough to be written at once. It reports whether it has begun; if not, nothing was written. It returns at once, and head and body
	// are the caller's again: what there was no room for is copied, and written by a goroutine of the session's. sent is called once, before or after WriteNow returns, with what Write
	// would have returned; it must neither wait nor write to the stream. Not all sessions ever begin.
	WriteNow(head, body []byte, sent func(error)) bool

	// Close ends this direction: the other side reads io.EOF after the last byte. The other direction stays open until
	// the other side closes too, for at most HalfCloseTimeout: both sides must close. It may wait as Write does.
	io.Closer

	// SetReadDeadline bounds the present and later Reads; the zero time takes the bound away.
	SetReadDeadline(t time.Time) error

	// Shrink gives back the memory that a drained stream keeps for receiving. For streams that have been idle a while.
	Shrink()
}

// A Receiver takes what arrives on a stream, so that nobody has to wait in Read for it. Receive, Room and Filled are called by
// one goroutine at a time, End by any, once. All must return soon: while they run, nothing else of the session is received. They
// may not close the session, nor wait for a write.
type Receiver interface {
	// Receive takes p, which is valid until it returns. An error ends the session, and is its cause.
	Receive(p []byte) error

	// Room returns memory for what comes next where the receiver is in the middle of something large; nil where not. Bytes put
	// there need not be copied: Filled tells how many were.
	Room() []byte
	Filled(n int) error

	// End says that nothing more comes: the other side closed or reset the stream, or the session ended. A call of Receive or
	// Filled that is under way may outlast it.
	End()
}

// A Worker is a Receiver that works off what it has received once it has been given all that had arrived.
type Worker interface {
	Receiver

	// Work is called between calls of Receive and Filled, by the goroutine that receives and after each time that it has called them, before it
	// waits for more. With a lead it may run what it likes for as long as it likes, if it sees to it that the lead is passed where that
	// lasts: nothing of the session is received until then. Without one what holds for Receive holds for it; then it tells whether it wants
	// a lead from now on. Not all sessions ever give one, and it may be taken away.
	Work(lead *Lead) (wants bool)
}
