package transport_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rmigo/rmigo/internal/leak"
	"github.com/rmigo/rmigo/internal/transport"
)

// Memory in bubbles, where time is virtual, a wait is exact, and a goroutine that never ends is a failure.

// bubble runs test in a bubble twice: nothing may remain from one that the next trips over.
func bubble(t *testing.T, test func(t *testing.T, memory *transport.Memory, at place)) {
	for range 2 {
		synctest.Test(t, func(t *testing.T) {
			memory := transport.NewMemory()
			test(t, memory, place{transport.NewSessions(memory), "tcp://a:1"})
		})
	}
}

func wantElapsed(t *testing.T, since time.Time, want time.Duration, what string) {
	t.Helper()
	if got := time.Since(since); got != want {
		t.Errorf("%s took %v, want exactly %v", what, got, want)
	}
}

func TestInABubbleAReadEndsExactlyAtItsDeadline(t *testing.T) {
	leak.Check(t)
	bubble(t, func(t *testing.T, _ *transport.Memory, at place) {
		dialled, accepted := at.sessions(t)
		from, to := open(t, dialled, accepted)
		start := time.Now()
		must(t, to.SetReadDeadline(start.Add(7*time.Second)))
		_, err := to.Read(make([]byte, 1))
		wantError(t, err, os.ErrDeadlineExceeded, "nothing was sent")
		wantElapsed(t, start, 7*time.Second, "the read")

		must(t, to.SetReadDeadline(time.Now().Add(time.Minute)))
		go func() {
			time.Sleep(3 * time.Second)
			io.WriteString(from, "x")
		}()
		start = time.Now()
		_, err = to.Read(make([]byte, 1))
		must(t, err)
		wantElapsed(t, start, 3*time.Second, "the read of what came in time")
	})
}

func TestInABubbleAFullWindowHoldsTheWriterUntilTheReaderReads(t *testing.T) {
	leak.Check(t)
	bubble(t, func(t *testing.T, _ *transport.Memory, at place) {
		dialled, accepted := at.sessions(t)
		from, to := open(t, dialled, accepted)
		start := time.Now()
		go func() {
			time.Sleep(time.Second)
			io.ReadFull(to, make([]byte, transport.Window+1))
		}()
		_, err := from.Write(make([]byte, transport.Window))
		must(t, err)
		wantElapsed(t, start, 0, "a write within the window")
		_, err = from.Write([]byte("x"))
		must(t, err)
		wantElapsed(t, start, time.Second, "a write beyond the window")
	})
}

func TestInABubbleASilentAcceptorEndsTheDialAtItsDeadline(t *testing.T) {
	leak.Check(t)
	bubble(t, func(t *testing.T, _ *transport.Memory, at place) {
		listener := at.listen(t)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		start := time.Now()
		_, err := at.transport.Dial(ctx, listener.Endpoint(), alice)
		wantError(t, err, context.DeadlineExceeded, "nobody answered")
		wantWords(t, err, "a:1 said nothing")
		wantElapsed(t, start, 10*time.Second, "the dial")
		conn, err := listener.Accept()
		must(t, err)
		if peer, err := conn.Greet(t.Context(), bob); err != nil || peer != alice {
			t.Errorf("got peer %x, error %v, want what had arrived before the dialler gave up", peer, err)
		}
		must(t, conn.Close())
	})
}

func TestInABubbleAHalfClosedStreamIsResetAfterItsTimeout(t *testing.T) {
	leak.Check(t)
	bubble(t, func(t *testing.T, _ *transport.Memory, at place) {
		dialled, accepted := at.sessions(t)
		from, to := open(t, dialled, accepted)
		must(t, from.Close())
		time.Sleep(transport.HalfCloseTimeout - 1)
		carry(t, to, from, "just in time")
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		_, err := to.Write([]byte("x"))
		wantError(t, err, transport.ErrReset, "the other side had closed and waited long enough")
		_, err = to.Read(make([]byte, 1))
		wantError(t, err, transport.ErrReset, "the other side had closed and waited long enough")
		_, err = from.Read(make([]byte, 1))
		wantError(t, err, io.EOF, "the side that closed first sees an end")
		if err := dialled.Err(); err != nil {
			t.Errorf("the session ended with %v: a reset is the stream's alone", err)
		}
	})
}

func TestInABubbleAStreamClosedByBothIsNotReset(t *testing.T) {
	leak.Check(t)
	bubble(t, func(t *testing.T, _ *transport.Memory, at place) {
		dialled, accepted := at.sessions(t)
		from, to := open(t, dialled, accepted)
		must(t, from.Close())
		must(t, to.Close())
		time.Sleep(2 * transport.HalfCloseTimeout)
		_, err := to.Read(make([]byte, 1))
		wantError(t, err, io.EOF, "both sides closed in an orderly way")
	})
}

func TestInABubbleACutKillsBothEndsAtOnce(t *testing.T) {
	leak.Check(t)
	bubble(t, func(t *testing.T, memory *transport.Memory, at place) {
		dialled, accepted := at.sessions(t)
		other := place{at.transport, "tcp://b:1"}
		spared, _ := other.sessions(t)
		memory.Cut("tcp://a:1")
		<-dialled.Done()
		<-accepted.Done()
		wantError(t, dialled.Err(), syscall.ECONNRESET, "the connection was cut")
		wantError(t, accepted.Err(), syscall.ECONNRESET, "the connection was cut")
		if err := spared.Err(); err != nil {
			t.Errorf("got %v at another endpoint, want it alive", err)
		}
		memory.Cut()
		<-spared.Done()
	})
}

func TestInABubbleAStalledConnectionStaysOpenAndDeliversNothing(t *testing.T) {
	leak.Check(t)
	bubble(t, func(t *testing.T, memory *transport.Memory, at place) {
		dialled, accepted := at.sessions(t)
		from, to := open(t, dialled, accepted)
		_, err := io.WriteString(from, "before")
		must(t, err)
		memory.Stall("tcp://a:1")
		_, err = io.WriteString(from, " after")
		must(t, err)

		got := make([]byte, 100)
		n, err := to.Read(got)
		if must(t, err); string(got[:n]) != "before" {
			t.Errorf("got %q, want %q: what had arrived is there, what came later is not", got[:n], "before")
		}
		start := time.Now()
		must(t, to.SetReadDeadline(start.Add(time.Minute)))
		_, err = to.Read(got)
		wantError(t, err, os.ErrDeadlineExceeded, "the connection is stalled")

		memory.Resume("tcp://a:1")
		must(t, to.SetReadDeadline(time.Time{}))
		n, err = to.Read(got)
		if must(t, err); string(got[:n]) != " after" {
			t.Errorf("got %q, want %q: a stall loses nothing", got[:n], " after")
		}
	})
}

func TestInABubbleAStalledWriterFillsItsWindowAndWaits(t *testing.T) {
	leak.Check(t)
	bubble(t, func(t *testing.T, memory *transport.Memory, at place) {
		dialled, accepted := at.sessions(t)
		from, to := open(t, dialled, accepted)
		memory.Stall()
		written := make(chan struct{})
		start := time.Now()
		go func() {
			from.Write(make([]byte, transport.Window+1))
			close(written)
		}()
		go io.ReadFull(to, make([]byte, transport.Window+1))
		time.Sleep(time.Hour)
		memory.Resume()
		<-written
		wantElapsed(t, start, time.Hour, "the write")
	})
}

func TestInABubbleACloseBehindAStallIsLearntWhenItEnds(t *testing.T) {
	leak.Check(t)
	bubble(t, func(t *testing.T, memory *transport.Memory, at place) {
		dialled, accepted := at.sessions(t)
		memory.Stall("tcp://a:1")
		must(t, dialled.Close())
		synctest.Wait()
		if err := accepted.Err(); err != nil {
			t.Errorf("the other side ended with %v during the stall: nothing may arrive", err)
		}
		memory.Resume("tcp://a:1")
		<-accepted.Done()
		wantError(t, accepted.Err(), io.EOF, "the other side had closed it")
	})
}

func TestInABubbleADialIntoAStallGreetsWhenItEnds(t *testing.T) {
	leak.Check(t)
	bubble(t, func(t *testing.T, memory *transport.Memory, at place) {
		listener := at.listen(t)
		memory.Stall(listener.Endpoint())
		start := time.Now()
		go func() {
			time.Sleep(5 * time.Second)
			memory.Resume(listener.Endpoint())
		}()
		dial(t, at.transport, listener)
		wantElapsed(t, start, 5*time.Second, "the dial")
	})
}

func TestInABubbleACloseEndsAGreetingThatWaits(t *testing.T) {
	leak.Check(t)
	bubble(t, func(t *testing.T, memory *transport.Memory, at place) {
		listener := at.listen(t)
		memory.Stall(listener.Endpoint())
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		go at.transport.Dial(ctx, listener.Endpoint(), alice)
		conn, err := listener.Accept()
		must(t, err)
		ended := make(chan error)
		go func() {
			_, err := conn.Greet(t.Context(), bob)
			ended <- err
		}()
		synctest.Wait()
		must(t, conn.Close())
		wantError(t, <-ended, net.ErrClosed, "the connection was closed here")
		cancel()
	})
}

func TestMemoryIsANetworkThatMakesSessionsOnly(t *testing.T) {
	leak.Check(t)
	var network transport.Network = transport.NewMemory()
	_, dialErr := network.Dial(t.Context(), "tcp://a:1")
	_, listenErr := network.Listen("tcp://a:1")
	for _, err := range []error{dialErr, listenErr} {
		wantWords(t, err, "sessions only")
	}
}

func TestInMemoryNobodyListeningIsARefusal(t *testing.T) {
	leak.Check(t)
	_, err := transport.NewMemory().Sessions().Dial(t.Context(), "tcp://nobody:1", alice)
	wantError(t, err, syscall.ECONNREFUSED, "nobody listens there")
	var netErr *net.OpError
	if !errors.As(err, &netErr) || netErr.Addr.String() != "nobody:1" {
		t.Errorf("got %v, want the address in it", err)
	}
}

func TestInABubbleConnectionsAreToldApartByWhoDialled(t *testing.T) {
	leak.Check(t)
	bubble(t, func(t *testing.T, memory *transport.Memory, _ place) {
		x, atX := place{memory.Host("x").Sessions(), "tcp://a:1"}.sessions(t)
		y, atY := place{memory.Host("y").Sessions(), "tcp://b:1"}.sessions(t)
		toX, fromX := open(t, x, atX)
		toY, fromY := open(t, y, atY)
		memory.Stall(transport.Between("x", "tcp://a:1"), transport.Between("x", "tcp://b:1"))
		carry(t, toY, fromY, "y is not stalled")
		memory.Stall("x")
		memory.Resume(transport.Between("x", "tcp://a:1"))
		_, err := io.WriteString(toX, "late")
		must(t, err)
		must(t, fromX.SetReadDeadline(time.Now().Add(time.Second)))
		_, err = fromX.Read(make([]byte, 10))
		wantError(t, err, os.ErrDeadlineExceeded, "all that x dialled is stalled still")
		memory.Resume("x")
		must(t, fromX.SetReadDeadline(time.Time{}))
		got := make([]byte, 10)
		n, err := fromX.Read(got)
		if must(t, err); string(got[:n]) != "late" {
			t.Errorf("got %q after the stall", got[:n])
		}
		memory.Cut("y")
		<-y.Done()
		if err := x.Err(); err != nil {
			t.Errorf("x was cut, too: %v", err)
		}
	})
}
