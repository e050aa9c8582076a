package transport_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rmigo/rmigo/internal/leak"
	"github.com/rmigo/rmigo/internal/transport"
)

// The suite that every transport passes.

// patience bounds what a test waits for; nothing here is expected to take a noticeable part of it.
const patience = 20 * time.Second

var (
	alice = transport.Greeting{Process: [16]byte{0xa1, 15: 1}}
	bob   = transport.Greeting{Process: [16]byte{0xb0, 15: 2}}
)

// A place is a transport and an endpoint to listen at.
type place struct {
	transport transport.Transport
	endpoint  string
}

// everywhere runs test over each transport.
func everywhere(t *testing.T, test func(t *testing.T, at place)) {
	for _, medium := range []struct {
		name  string
		place func(t *testing.T) place
	}{
		{"tcp", func(*testing.T) place { return place{transport.NewSessions(nil), "tcp://127.0.0.1:0"} }},
		{"unix", func(t *testing.T) place {
			return place{transport.NewSessions(transport.Sockets{}), socketEndpoint(t)}
		}},
		{"memory", func(*testing.T) place { return place{transport.NewSessions(transport.NewMemory()), "tcp://a:0"} }},
	} {
		t.Run(medium.name, func(t *testing.T) {
			leak.Check(t)
			test(t, medium.place(t))
		})
	}
}

// socketEndpoint is an endpoint in a directory of its own; t.TempDir would make the path too long for a socket.
func socketEndpoint(t *testing.T) string {
	dir, err := os.MkdirTemp("", "rmi")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	return "unix:///" + strings.TrimPrefix(filepath.ToSlash(filepath.Join(dir, "s")), "/")
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func soon(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

func (p place) listen(t testing.TB) transport.Listener {
	t.Helper()
	listener, err := p.transport.Listen(p.endpoint)
	must(t, err)
	t.Cleanup(func() { listener.Close() })
	return listener
}

// connect returns both ends of a greeted connection: alice dialled, bob accepted.
func (p place) connect(t testing.TB) (dialled, accepted transport.Conn) {
	t.Helper()
	listener := p.listen(t)
	return dial(t, p.transport, listener)
}

func dial(t testing.TB, tr transport.Transport, listener transport.Listener) (dialled, accepted transport.Conn) {
	t.Helper()
	greeted := make(chan transport.Conn, 1)
	go func() {
		defer close(greeted)
		conn, err := listener.Accept()
		if err == nil {
			_, err = conn.Greet(soon(t), bob)
		}
		if err != nil {
			t.Errorf("accepting: %v", err)
			return
		}
		greeted <- conn
	}()
	dialled, err := tr.Dial(soon(t), listener.Endpoint(), alice)
	must(t, err)
	accepted = <-greeted
	if accepted == nil {
		t.FailNow()
	}
	t.Cleanup(func() { dialled.Close(); accepted.Close() })
	return dialled, accepted
}

// sessions returns both ends of a session.
func (p place) sessions(t testing.TB) (dialled, accepted transport.Session) {
	t.Helper()
	a, b := p.connect(t)
	return session(t, a), session(t, b)
}

func session(t testing.TB, conn transport.Conn) transport.Session {
	t.Helper()
	session, err := conn.Session()
	must(t, err)
	return session
}

// open returns both ends of a new stream.
func open(t testing.TB, from, to transport.Session) (opened, accepted transport.Stream) {
	t.Helper()
	opened, err := from.Open()
	must(t, err)
	accepted, err = to.Accept()
	must(t, err)
	t.Cleanup(func() { opened.Close(); accepted.Close() })
	return opened, accepted
}

// carry sends text along a stream and fails unless it arrives.
func carry(t testing.TB, from io.Writer, to io.Reader, text string) {
	t.Helper()
	_, err := io.WriteString(from, text)
	must(t, err)
	got := make([]byte, len(text))
	_, err = io.ReadFull(to, got)
	must(t, err)
	if string(got) != text {
		t.Fatalf("got %q, want %q: a stream delivers what was written", got, text)
	}
}

// arrives waits for what another goroutine reports.
func arrives[T any](t testing.TB, c <-chan T, what string) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(patience):
		t.Fatalf("%s did not happen within %v", what, patience)
	}
	return v
}

func wantError(t testing.TB, got, want error, why string) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("got error %v, want %v: %s", got, want, why)
	}
}

// wantWords fails unless err exists and its text has all the words.
func wantWords(t testing.TB, err error, words ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("got no error, want one that says %q", words)
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("got error %q, want it to say %q", err, word)
		}
	}
}

func TestBothSidesLearnWhoTheOtherIsBeforeTheSession(t *testing.T) {
	everywhere(t, func(t *testing.T, at place) {
		dialled, accepted := at.connect(t)
		if got := dialled.Peer(); got != bob {
			t.Errorf("the dialler got peer %x, want %x", got, bob)
		}
		if got := accepted.Peer(); got != alice {
			t.Errorf("the acceptor got peer %x, want %x", got, alice)
		}
		again, err := dialled.Greet(soon(t), alice)
		if must(t, err); again != bob {
			t.Errorf("greeting again got %x, want %x: a greeted connection remembers", again, bob)
		}
	})
}

func TestAConnectionBecomesASessionOnceAndOnlyGreeted(t *testing.T) {
	everywhere(t, func(t *testing.T, at place) {
		listener := at.listen(t)
		dialled, accepted := dial(t, at.transport, listener)
		session(t, dialled)
		if _, err := dialled.Session(); err == nil {
			t.Error("a second session started on one connection")
		}
		must(t, accepted.Close())
		if _, err := accepted.Session(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("a session on a closed connection: got error %v, want net.ErrClosed", err)
		}

		failed := make(chan error, 1)
		go func() {
			conn, err := at.transport.Dial(soon(t), listener.Endpoint(), alice)
			if err == nil {
				conn.Close()
			}
			failed <- err
		}()
		silent, err := listener.Accept()
		must(t, err)
		if _, err := silent.Session(); err == nil {
			t.Error("a session started on a connection that has not been greeted")
		}
		must(t, silent.Close())
		arrives(t, failed, "the end of the dial")
	})
}

func TestClosingTheConnectionClosesItsSession(t *testing.T) {
	everywhere(t, func(t *testing.T, at place) {
		a, b := at.connect(t)
		dialled, accepted := session(t, a), session(t, b)
		must(t, a.Close())
		arrives(t, dialled.Done(), "the end of the closed side")
		arrives(t, accepted.Done(), "the end of the other side")
		wantError(t, dialled.Err(), net.ErrClosed, "it was closed here")
		wantError(t, accepted.Err(), io.EOF, "it was closed there")
	})
}

func TestEitherSideOpensStreamsAndBothDirectionsCarry(t *testing.T) {
	everywhere(t, func(t *testing.T, at place) {
		dialled, accepted := at.sessions(t)
		for _, way := range [][2]transport.Session{{dialled, accepted}, {accepted, dialled}} {
			from, to := open(t, way[0], way[1])
			carry(t, from, to, "question")
			carry(t, to, from, "answer")
		}
	})
}

func TestAClosedStreamEndsOneDirectionOnly(t *testing.T) {
	everywhere(t, func(t *testing.T, at place) {
		dialled, accepted := at.sessions(t)
		from, to := open(t, dialled, accepted)
		_, err := io.WriteString(from, "all of it")
		must(t, err)
		must(t, from.Close())
		got, err := io.ReadAll(to)
		if must(t, err); string(got) != "all of it" {
			t.Errorf("got %q, want %q before the end of file", got, "all of it")
		}
		_, err = from.Write([]byte("more"))
		wantError(t, err, net.ErrClosed, "the stream was closed here")
		carry(t, to, from, "still open")
		must(t, to.Close())
		_, err = from.Read(make([]byte, 1))
		wantError(t, err, io.EOF, "the other side closed too")
		if err := dialled.Err(); err != nil {
			t.Errorf("the session ended with %v: closing a stream must leave it alone", err)
		}
	})
}

func TestAnUnreadStreamStopsItsOwnWriterOnly(t *testing.T) {
	everywhere(t, func(t *testing.T, at place) {
		dialled, accepted := at.sessions(t)
		full, unread := open(t, dialled, accepted)
		_, err := full.Write(make([]byte, transport.Window))
		must(t, err)
		written := make(chan error, 1)
		go func() {
			_, err := full.Write([]byte("x"))
			written <- err
		}()

		from, to := open(t, dialled, accepted)
		carry(t, from, to, "passes by")
		carry(t, to, from, "and back")
		select {
		case err := <-written:
			t.Fatalf("byte %d was written (error %v) while nothing was read: want it to wait", transport.Window+1, err)
		default:
		}
		_, err = io.ReadFull(unread, make([]byte, transport.Window+1))
		must(t, err)
		must(t, arrives(t, written, "the write, once there was room"))
	})
}

func TestOpenWaitsWhileTheBacklogIsFull(t *testing.T) {
	everywhere(t, func(t *testing.T, at place) {
		dialled, accepted := at.sessions(t)
		for range transport.Backlog {
			_, err := dialled.Open()
			must(t, err)
		}
		opened := make(chan error, 1)
		go func() {
			_, err := dialled.Open()
			opened <- err
		}()
		for range transport.Backlog {
			_, err := accepted.Accept()
			must(t, err)
		}
		must(t, arrives(t, opened, "the open, once streams were accepted"))
		_, err := accepted.Accept()
		must(t, err)
	})
}

func TestClosingTheSessionEndsAnOpenThatWaits(t *testing.T) {
	everywhere(t, func(t *testing.T, at place) {
		dialled, _ := at.sessions(t)
		opened := make(chan error, 1)
		go func() {
			for {
				if _, err := dialled.Open(); err != nil {
					opened <- err
					return
				}
			}
		}()
		must(t, dialled.Close())
		wantError(t, arrives(t, opened, "the end of open"), net.ErrClosed, "the session was closed here")
	})
}

func TestAReadDeadlineBoundsAReadAndCanBeMoved(t *testing.T) {
	everywhere(t, func(t *testing.T, at place) {
		dialled, accepted := at.sessions(t)
		from, to := open(t, dialled, accepted)
		must(t, to.SetReadDeadline(time.Now().Add(-time.Second)))
		_, err := to.Read(make([]byte, 1))
		wantError(t, err, os.ErrDeadlineExceeded, "the deadline had passed")

		must(t, to.SetReadDeadline(time.Now().Add(time.Hour)))
		ended := make(chan error, 1)
		go func() {
			_, err := to.Read(make([]byte, 1))
			ended <- err
		}()
		must(t, to.SetReadDeadline(time.Now()))
		wantError(t, arrives(t, ended, "the end of the read"), os.ErrDeadlineExceeded, "the deadline was moved to now")

		must(t, to.SetReadDeadline(time.Time{}))
		carry(t, from, to, "no harm done")
	})
}

func TestWhatWasWrittenBeforeTheSessionClosedIsStillRead(t *testing.T) {
	everywhere(t, func(t *testing.T, at place) {
		dialled, accepted := at.sessions(t)
		from, to := open(t, dialled, accepted)
		sent := strings.Repeat("last words ", 10_000)
		_, err := io.WriteString(from, sent)
		must(t, err)
		must(t, dialled.Close())
		arrives(t, accepted.Done(), "the end of the other side")
		got, err := io.ReadAll(to)
		if must(t, err); string(got) != sent {
			t.Errorf("got %d bytes, want %d: an orderly close loses nothing that arrived", len(got), len(sent))
		}
		wantError(t, accepted.Err(), io.EOF, "the other side closed it")
		wantError(t, dialled.Err(), net.ErrClosed, "it was closed here")
	})
}

func TestClosingASessionEndsAllThatWaitsOnEitherSide(t *testing.T) {
	everywhere(t, func(t *testing.T, at place) {
		dialled, accepted := at.sessions(t)
		from, to := open(t, dialled, accepted)
		_, err := from.Write(make([]byte, transport.Window))
		must(t, err)
		var waiting sync.WaitGroup
		waiting.Go(func() { from.Write([]byte("x")) })
		waiting.Go(func() { from.Read(make([]byte, 1)) })
		waiting.Go(func() { dialled.Accept() })
		waiting.Go(func() { accepted.Accept() })
		waiting.Go(func() { io.Copy(io.Discard, to) })
		must(t, accepted.Close())
		arrives(t, dialled.Done(), "the end of the dialled side")
		ended := make(chan struct{})
		go func() { waiting.Wait(); close(ended) }()
		arrives(t, ended, "the return of every blocked call")
		_, err = from.Write([]byte("x"))
		wantError(t, err, dialled.Err(), "a write on a dead session says why it died")
		_, err = dialled.Open()
		wantError(t, err, dialled.Err(), "an open on a dead session says why it died")
	})
}

func TestManyStreamsCarryMuchAtOnce(t *testing.T) {
	everywhere(t, func(t *testing.T, at place) {
		dialled, accepted := at.sessions(t)
		const streams = 8
		var work sync.WaitGroup
		for range streams {
			work.Go(func() {
				stream, err := accepted.Accept()
				if err != nil {
					t.Errorf("accept: %v", err)
					return
				}
				defer stream.Close()
				if _, err := io.Copy(stream, stream); err != nil {
					t.Errorf("echo: %v", err)
				}
			})
		}
		for i := range streams {
			work.Go(func() {
				if err := echo(dialled, rand.New(rand.NewPCG(1, uint64(i)))); err != nil {
					t.Errorf("stream %d: %v", i, err)
				}
			})
		}
		work.Wait()
	})
}

// echo sends random bytes in random portions along a stream of s and compares what comes back.
func echo(s transport.Session, random *rand.Rand) error {
	sent := make([]byte, 700_000+random.IntN(600_000))
	for i := range sent {
		sent[i] = byte(random.Uint32())
	}
	stream, err := s.Open()
	if err != nil {
		return err
	}
	written := make(chan error, 1)
	go func() {
		var err error
		for rest := sent; len(rest) > 0 && err == nil; {
			n := min(1+random.IntN(150_000), len(rest))
			_, err = stream.Write(rest[:n])
			rest = rest[n:]
		}
		written <- errors.Join(err, stream.Close())
	}()
	got, err := io.ReadAll(stream)
	if err := errors.Join(err, <-written); err != nil {
		return err
	}
	if !bytes.Equal(got, sent) {
		return fmt.Errorf("got %d bytes back, want the %d that were sent, unchanged", len(got), len(sent))
	}
	return nil
}

// A sink is a receiver that keeps what it gets. It has room of its own from time to time, as for something large.
type sink struct {
	mu    sync.Mutex
	got   []byte
	room  []byte
	fails error
	calls int
	ended chan struct{}
}

func newSink() *sink { return &sink{ended: make(chan struct{})} }

func (s *sink) Receive(p []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.got = append(s.got, p...)
	return s.fails
}

func (s *sink) Room() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.calls++; s.calls%3 == 0 {
		return nil
	}
	s.room = make([]byte, 10_000)
	return s.room
}

func (s *sink) Filled(n int) error { return s.Receive(s.room[:n]) }
func (s *sink) End()               { close(s.ended) }

// has waits until so many bytes have come.
func (s *sink) has(t *testing.T, n int) []byte {
	t.Helper()
	for c := soon(t); ; runtime.Gosched() {
		s.mu.Lock()
		got := s.got
		s.mu.Unlock()
		if len(got) >= n {
			return got
		}
		if c.Err() != nil {
			t.Fatalf("%d bytes came, want %d", len(got), n)
		}
	}
}

func TestAReceiverGetsAllInOrderAndOneEnd(t *testing.T) {
	everywhere(t, func(t *testing.T, at place) {
		dialled, accepted := at.sessions(t)
		from, to := open(t, dialled, accepted)
		random := rand.New(rand.NewPCG(3, 1))
		sent := make([]byte, 5<<20) // more than the widest window
		for i := range sent {
			sent[i] = byte(random.Uint32())
		}
		_, err := from.Write(sent[:1000]) // some of it comes before the receiver
		must(t, err)
		got := newSink()
		to.Attach(got)
		for rest := sent[1000:]; len(rest) > 0; {
			n := min(1+random.IntN(300_000), len(rest))
			_, err := from.Write(rest[:n])
			must(t, err)
			rest = rest[n:]
		}
		if !bytes.Equal(got.has(t, len(sent)), sent) {
			t.Error("other bytes came than were sent")
		}
		_, err = io.WriteString(to, "and back")
		must(t, err)
		back := make([]byte, 8)
		_, err = io.ReadFull(from, back)
		must(t, err)
		must(t, from.Close())
		arrives(t, got.ended, "the end")
	})
}

func TestTheEndOfTheSessionEndsAReceiverAfterWhatHadArrived(t *testing.T) {
	everywhere(t, func(t *testing.T, at place) {
		dialled, accepted := at.sessions(t)
		from, to := open(t, dialled, accepted)
		_, unattached := open(t, dialled, accepted)
		got := newSink()
		to.Attach(got)
		_, err := io.WriteString(from, "last words")
		must(t, err)
		must(t, dialled.Close())
		arrives(t, got.ended, "the end")
		if string(got.has(t, 10)) != "last words" {
			t.Errorf("got %q before the end", got.got)
		}
		if accepted.Err() == nil {
			t.Error("the session has no cause though its receivers were told of the end")
		}
		late := newSink()
		unattached.Attach(late)
		arrives(t, late.ended, "the end of a receiver that came after the session")
	})
}

func TestAReceiversErrorEndsTheSessionAndIsItsCause(t *testing.T) {
	everywhere(t, func(t *testing.T, at place) {
		dialled, accepted := at.sessions(t)
		from, to := open(t, dialled, accepted)
		got := newSink()
		got.fails = errors.New("nonsense")
		to.Attach(got)
		_, err := io.WriteString(from, "x")
		must(t, err)
		arrives(t, accepted.Done(), "the end of the session")
		wantError(t, accepted.Err(), got.fails, "the receiver said so")
		arrives(t, dialled.Done(), "the end of the other side")
	})
}

func TestAClosedListenerAcceptsNoMoreAndLeavesSessionsAlone(t *testing.T) {
	everywhere(t, func(t *testing.T, at place) {
		listener := at.listen(t)
		a, b := dial(t, at.transport, listener)
		dialled, accepted := session(t, a), session(t, b)
		ended := make(chan error, 1)
		go func() {
			_, err := listener.Accept()
			ended <- err
		}()
		must(t, listener.Close())
		wantError(t, arrives(t, ended, "the end of Accept"), net.ErrClosed, "the listener was closed")
		if _, err := at.transport.Dial(soon(t), listener.Endpoint(), alice); err == nil {
			t.Error("a dial succeeded where nobody listens any more")
		}
		from, to := open(t, dialled, accepted)
		carry(t, from, to, "unharmed")
	})
}

func TestTwoListenersCannotShareAnEndpoint(t *testing.T) {
	everywhere(t, func(t *testing.T, at place) {
		taken := at.listen(t).Endpoint()
		listener, err := at.transport.Listen(taken)
		if err == nil {
			listener.Close()
			t.Fatalf("listened twice at %s", taken)
		}
		wantWords(t, err, "in use")
	})
}

func TestAListenerNamesItsActualEndpoint(t *testing.T) {
	everywhere(t, func(t *testing.T, at place) {
		got, err := transport.ParseEndpoint(at.listen(t).Endpoint())
		must(t, err)
		if strings.HasSuffix(got.Address, ":0") {
			t.Errorf("got %v, want the port that was chosen", got)
		}
	})
}

func TestAnEndpointThatMakesNoSenseIsTypedInDialAndListen(t *testing.T) {
	everywhere(t, func(t *testing.T, at place) {
		_, dialErr := at.transport.Dial(soon(t), "localhost:1099", alice)
		_, listenErr := at.transport.Listen("localhost:1099")
		for _, err := range []error{dialErr, listenErr} {
			if _, ok := errors.AsType[*transport.EndpointError](err); !ok {
				t.Errorf("got error %v, want an *EndpointError", err)
			}
		}
	})
}

func TestASilentPeerEndsWithTheContextAndItsCause(t *testing.T) {
	everywhere(t, func(t *testing.T, at place) {
		listener := at.listen(t)
		impatient := errors.New("lost patience")
		ctx, cancel := context.WithCancelCause(t.Context())
		go func() {
			conn, err := listener.Accept()
			cancel(impatient)
			if err != nil {
				t.Errorf("accept: %v", err)
				return
			}
			t.Cleanup(func() { conn.Close() })
		}()
		_, err := at.transport.Dial(ctx, listener.Endpoint(), alice)
		wantError(t, err, impatient, "the context ended with this cause")
		wantError(t, err, context.Canceled, "a context's error stays one")
	})
}

func TestAPeerThatLeavesBeforeGreetingIsNamed(t *testing.T) {
	everywhere(t, func(t *testing.T, at place) {
		listener := at.listen(t)
		go func() {
			if conn, err := listener.Accept(); err == nil {
				conn.Close()
			}
		}()
		_, err := at.transport.Dial(soon(t), listener.Endpoint(), alice)
		wantWords(t, err, "closed the connection before greeting", strings.SplitN(listener.Endpoint(), "://", 2)[1])
	})
}

func TestADeadlineInThePastDialsNobody(t *testing.T) {
	everywhere(t, func(t *testing.T, at place) {
		listener := at.listen(t)
		ctx, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
		defer cancel()
		_, err := at.transport.Dial(ctx, listener.Endpoint(), alice)
		wantError(t, err, context.DeadlineExceeded, "the context ended before the dial began")
	})
}

func TestAListenerThatClosesTurnsAwayWhoWasNotAccepted(t *testing.T) {
	everywhere(t, func(t *testing.T, at place) {
		listener := at.listen(t)
		dialled := make(chan error, 1)
		go func() {
			_, err := at.transport.Dial(soon(t), listener.Endpoint(), alice)
			dialled <- err
		}()
		must(t, listener.Close())
		if err := arrives(t, dialled, "the end of the dial"); err == nil || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got error %v, want the dial refused", err)
		}
	})
}

func TestBothEndsAgreeOnTheirAddresses(t *testing.T) {
	everywhere(t, func(t *testing.T, at place) {
		a, b := at.connect(t)
		type end interface {
			LocalAddr() net.Addr
			RemoteAddr() net.Addr
		}
		for _, ends := range [][2]end{{a, b}, {session(t, a), session(t, b)}} {
			dialled, accepted := ends[0], ends[1]
			if got, want := dialled.RemoteAddr().String(), accepted.LocalAddr().String(); got != want {
				t.Errorf("the dialler calls the acceptor %q, want %q", got, want)
			}
			if got, want := accepted.RemoteAddr().Network(), dialled.LocalAddr().Network(); got != want {
				t.Errorf("got network %q at one end, want that of the other, %q", got, want)
			}
		}
	})
}

func TestAWriterLearnsThatTheOtherSideTakesBytes(t *testing.T) {
	everywhere(t, func(t *testing.T, at place) {
		from, to := at.sessions(t)
		opened, accepted := open(t, from, to)
		if !from.Granted().IsZero() || !to.Granted().IsZero() {
			t.Error("bytes have been taken before any were sent")
		}
		start := time.Now()
		accepted.Attach(newSink())
		if _, err := opened.Write(make([]byte, 2*transport.Window)); err != nil { // which waits for credit
			t.Fatal(err)
		}
		if taken := from.Granted(); taken.Before(start) || taken.After(time.Now()) {
			t.Errorf("bytes were taken at %v, between %v and now", taken, start)
		}
		if !to.Granted().IsZero() {
			t.Error("the other side believes that its bytes were taken")
		}
	})
}
