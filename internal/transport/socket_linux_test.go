//go:build linux && (amd64 || arm64) && (!race || rmigo_sockets) && !msan && !asan

package transport

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/rmigo/rmigo/internal/leak"
)

// overSockets runs the test for each kind of connection that can be a socket: ours is one, theirs is package net's.
func overSockets(t *testing.T, test func(t *testing.T, ours *quickSocket, theirs net.Conn)) {
	for _, network := range []string{"tcp", "unix"} {
		t.Run(network, func(t *testing.T) {
			address := "127.0.0.1:0"
			if network == "unix" {
				address = filepath.Join(t.TempDir(), "s")
			}
			listener, err := net.Listen(network, address)
			if err != nil {
				t.Fatal(err)
			}
			defer listener.Close()
			conn, err := net.Dial(network, listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			theirs, err := listener.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer theirs.Close()
			test(t, asSocket(conn).(*quickSocket), theirs)
		})
	}
}

func TestASocketSendsAndReceivesAll(t *testing.T) {
	leak.Check(t)
	overSockets(t, func(t *testing.T, ours *quickSocket, theirs net.Conn) {
		head, body := []byte("head"), bytes.Repeat([]byte("0123456789abcdef\n"), 1<<19) // more than fits into what is between the two
		want := append(bytes.Clone(head), body...)
		sent := make(chan error, 1)
		go func() {
			err := ours.writeAll(parts{head, body})
			sent <- errors.Join(err, ours.CloseWrite())
		}()
		got, err := io.ReadAll(io.LimitReader(theirs, 1<<30))
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%d bytes came, which are those sent: %v, %v", len(got), bytes.Equal(got, want), err)
		}
		if err := <-sent; err != nil {
			t.Fatal(err)
		}

		go func() {
			_, err := theirs.Write(want)
			sent <- errors.Join(err, theirs.Close())
		}()
		got, err = io.ReadAll(ours)
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%d bytes came back, which are those sent: %v, %v", len(got), bytes.Equal(got, want), err)
		}
		if err := <-sent; err != nil {
			t.Fatal(err)
		}
	})
}

// Whatever is left after a part of it was sent is what follows that part.
func TestASocketGoesOnWhereItStopped(t *testing.T) {
	leak.Check(t)
	for head := range 3 {
		for body := range 4 {
			for tail := range 3 {
				p := parts{[]byte("ab")[:head], []byte("cde")[:body], []byte("fg")[:tail]}
				for first := range head + body + tail + 1 {
					checkRest(t, p, first)
				}
			}
		}
	}
}

// checkRest looks at what is left of the parts after first bytes were sent.
func checkRest(t *testing.T, p parts, first int) {
	t.Helper()
	s := &quickSocket{}
	s.load(p)
	s.sent(uint64(first))
	var rest []byte
	for _, part := range s.left[s.first:s.end] {
		rest = append(rest, unsafe.Slice(part.Base, part.Len)...)
	}
	want := string(p[0]) + string(p[1]) + string(p[2])
	if string(rest) != want[first:] {
		t.Errorf("%q: after %d bytes %q is left", p, first, rest)
	}
	if copied := p.after(first); string(copied) != want[first:] {
		t.Errorf("%q: what comes after %d bytes is %q", p, first, copied)
	}
}

// Where there is no room any more, what was sent is a beginning, and all else is for later.
func TestASocketSendsNowWhatThereIsRoomFor(t *testing.T) {
	leak.Check(t)
	overSockets(t, func(t *testing.T, ours *quickSocket, theirs net.Conn) {
		p := parts{[]byte("head"), bytes.Repeat([]byte("0123456789abcdef\n"), 1<<19), []byte("tail")}
		n, err := ours.writeNow(p)
		if err != nil || n == 0 || n >= len(p[1]) {
			t.Fatalf("%d bytes were sent: %v", n, err)
		}
		sent := make(chan error, 1)
		go func() {
			err := ours.writeAll(parts{p.after(n)})
			sent <- errors.Join(err, ours.CloseWrite())
		}()
		got, err := io.ReadAll(theirs)
		if err != nil || !bytes.Equal(got, bytes.Join(p[:], nil)) {
			t.Fatalf("%d bytes came, %v", len(got), err)
		}
		if err := <-sent; err != nil {
			t.Fatal(err)
		}
	})
}

func TestASocketReadsAndWritesNothing(t *testing.T) {
	leak.Check(t)
	overSockets(t, func(t *testing.T, ours *quickSocket, theirs net.Conn) {
		if n, err := ours.Read(nil); n != 0 || err != nil {
			t.Error(n, err)
		}
		if err := ours.writeAll(parts{}); err != nil {
			t.Error(err)
		}
		if n, err := ours.Write([]byte("x")); n != 1 || err != nil {
			t.Fatal(n, err)
		}
		p := make([]byte, 2)
		if n, err := theirs.Read(p); n != 1 || err != nil || p[0] != 'x' {
			t.Error(n, err)
		}
	})
}

// What goes wrong is what package net says, word for word but for the system call.
func TestASocketFailsAsPackageNetDoes(t *testing.T) {
	leak.Check(t)
	late := func(c net.Conn) {
		_ = c.SetDeadline(time.Unix(1, 0))
	}
	read := func(c net.Conn) error {
		_, err := c.Read(make([]byte, 8))
		return err
	}
	fill := func(c net.Conn) error { // until there is no room
		for {
			if _, err := c.Write(make([]byte, 1<<20)); err != nil {
				return err
			}
		}
	}
	for name, what := range map[string]struct {
		before func(ours, theirs net.Conn)
		do     func(net.Conn) error
		is     error
	}{
		"read late":          {func(ours, _ net.Conn) { late(ours) }, read, os.ErrDeadlineExceeded},
		"write late":         {func(ours, _ net.Conn) { late(ours) }, fill, os.ErrDeadlineExceeded},
		"write without room": {func(ours, _ net.Conn) { _ = ours.SetDeadline(time.Now().Add(50 * time.Millisecond)) }, fill, os.ErrDeadlineExceeded},
		"read closed":        {func(ours, _ net.Conn) { ours.Close() }, read, net.ErrClosed},
		"write closed":       {func(ours, _ net.Conn) { ours.Close() }, fill, net.ErrClosed},
		"read ended":         {func(_, theirs net.Conn) { theirs.Close() }, read, io.EOF},
		"write ended":        {func(_, theirs net.Conn) { theirs.Close() }, fill, nil},
	} {
		t.Run(name, func(t *testing.T) {
			overSockets(t, func(t *testing.T, ours *quickSocket, theirs net.Conn) {
				what.before(ours, theirs)
				err := what.do(ours)
				var op *net.OpError
				switch plain := what.do(ours.Conn); {
				case err == nil || what.is != nil && !errors.Is(err, what.is):
					t.Errorf("%v", err)
				case err != io.EOF && !errors.As(err, &op):
					t.Errorf("%v is no *net.OpError", err)
				case what.is != nil && err.Error() != plain.Error():
					t.Errorf("%q, and package net says %q", err, plain)
				}
			})
		})
	}
}

// A peer that resets its connection ends a read with that, rather than with the end of what it has sent.
func TestASocketNoticesAReset(t *testing.T) {
	leak.Check(t)
	overSockets(t, func(t *testing.T, ours *quickSocket, theirs net.Conn) {
		tcp, ok := theirs.(*net.TCPConn)
		if !ok {
			t.Skip("no resets")
		}
		_ = tcp.SetLinger(0)
		tcp.Close()
		_, err := ours.Read(make([]byte, 1))
		if !errors.Is(err, syscall.ECONNRESET) || !strings.HasPrefix(err.Error(), "read tcp ") {
			t.Error(err)
		}
	})
}

// A program may make a descriptor blocking. A read that waited in the system would hold up the whole process then.
func TestASocketNeverWaitsInTheSystem(t *testing.T) {
	leak.Check(t)
	overSockets(t, func(t *testing.T, ours *quickSocket, theirs net.Conn) {
		file, err := ours.Conn.(interface{ File() (*os.File, error) }).File()
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		file.Fd() // which makes it blocking
		got := make(chan error, 1)
		begun := make(chan struct{})
		go func() {
			p := make([]byte, 1)
			close(begun)
			_, err := ours.Read(p)
			got <- err
		}()
		<-begun
		for range 3 {
			runtime.GC() // which stops all goroutines, and waits for those that do not stop
		}
		if _, err := theirs.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		if err := <-got; err != nil {
			t.Error(err)
		}
	})
}

// wrapped is a connection that somebody looks into.
type wrapped struct{ *net.TCPConn }

func TestAWrappedConnectionIsNoSocket(t *testing.T) {
	leak.Check(t)
	overSockets(t, func(t *testing.T, _ *quickSocket, theirs net.Conn) {
		tcp, ok := theirs.(*net.TCPConn)
		if ok && asSocket(wrapped{tcp}) != nil {
			t.Error("what its wrapper does is passed by")
		}
	})
}

// stuck returns a stream whose connection has no room any more, what was sent on it, how often WriteNow began, and what came of the last time, in
// the end. The peer has yet to read.
func stuck(t *testing.T, session Session) (stream *muxStream, want []byte, begun int, last chan error) {
	t.Helper()
	opened, err := session.Open()
	if err != nil {
		t.Fatal(err)
	}
	stream = opened.(*muxStream)
	stream.grant(1 << 30)
	for {
		last = make(chan error, 1)
		head, body := []byte{byte(begun)}, bytes.Repeat([]byte{byte(begun), 1, 2}, 40<<10)
		if !stream.WriteNow(head, body, func(err error) { last <- err }) {
			t.Fatal("WriteNow has not begun, and nobody is in the way")
		}
		begun++
		want = append(append(want, head...), body...)
		clear(body) // they are the caller's again
		select {
		case err := <-last:
			if err != nil {
				t.Fatal(err)
			}
		default:
			return stream, want, begun, last
		}
	}
}

func TestWhatThereIsNoRoomForIsWrittenLater(t *testing.T) {
	leak.Check(t)
	session, peer := greeted(t)
	stream, want, begun, last := stuck(t, session)
	if stream.WriteNow(nil, []byte("x"), func(error) { t.Error("something has come of what has not begun") }) {
		t.Error("WriteNow has begun while another frame is being written")
	}
	var got []byte
	for frames := 0; frames < begun; {
		var header muxHeader
		if _, err := io.ReadFull(peer, header[:]); err != nil {
			t.Fatal(err)
		}
		if header.kind() == frameData && header.length() > 0 { // else it is of the greeting, or opens the stream
			body := make([]byte, header.length())
			if _, err := io.ReadFull(peer, body); err != nil {
				t.Fatal(err)
			}
			got = append(got, body...)
			frames++
		}
	}
	if err := <-last; err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%d bytes came, %d were sent, and they differ", len(got), len(want))
	}
	sent := make(chan error, 1)
	if !stream.WriteNow(nil, []byte("x"), func(err error) { sent <- err }) || <-sent != nil {
		t.Error("nothing can be written afterwards")
	}
	go io.Copy(io.Discard, peer) // ends with the session
	session.Close()
}

func TestTheEndOfTheSessionEndsWhatIsWrittenLater(t *testing.T) {
	leak.Check(t)
	session, _ := greeted(t)
	stream, _, _, last := stuck(t, session)
	session.Close()
	if err := <-last; err == nil {
		t.Error("it was written, they say")
	}
	if stream.WriteNow(nil, []byte("x"), func(error) {}) {
		t.Error("WriteNow has begun in a session that has ended")
	}
}

func TestWriteNowKeepsToTheWindow(t *testing.T) {
	leak.Check(t)
	session, peer := greeted(t)
	opened, err := session.Open()
	if err != nil {
		t.Fatal(err)
	}
	now := func(n int) bool { return opened.WriteNow(make([]byte, n/2), make([]byte, n-n/2), func(error) {}) }
	if now(chunk + 1) {
		t.Error("more than a frame was begun")
	}
	if !now(Window-1) || now(2) || !now(1) || now(1) {
		t.Error("what begins is not what the window has room for")
	}
	go io.Copy(io.Discard, peer) // ends with the session
	session.Close()
}
