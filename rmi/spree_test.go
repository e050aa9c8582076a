package rmi_test

import (
	"context"
	"errors"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rmigo/rmigo/internal/leak"
	"github.com/rmigo/rmigo/internal/testobj"
	"github.com/rmigo/rmigo/rmi"
)

// Methods that are quick run where their calls are received, and nobody is to notice it but by the clock.

// nimble is a service whose Add does as it is told; as a rule, it is quick.
type nimble struct {
	*service
	does  atomic.Pointer[func(c context.Context, a int64) error]
	there atomic.Bool // the last Add ran where it was received
}

// receivedHere reports whether the caller runs on a goroutine that receives.
func receivedHere() bool {
	var calls [64]uintptr
	frames := runtime.CallersFrames(calls[:runtime.Callers(1, calls[:])])
	for {
		frame, more := frames.Next()
		if strings.HasSuffix(frame.Function, "(*muxConn).follow") {
			return true
		}
		if !more {
			return false
		}
	}
}

func (s *nimble) Add(c context.Context, a, b int64) (int64, error) {
	if a == 0 {
		s.there.Store(receivedHere())
		return b, nil
	}
	if does := s.does.Load(); does != nil && a < 0 {
		return a, (*does)(c, a)
	}
	return a + b, nil
}

// nimbly returns a nimble service and a stub of it over TCP.
func nimbly(t *testing.T, o rmi.Options) (*nimble, *rmi.Node, testobj.Service) {
	t.Helper()
	w := tcpWorld(t)
	server, _ := w.server(o)
	impl := &nimble{service: newService(server)}
	return impl, server, pass(t, server, w.node(rmi.Options{}), impl)
}

// until makes calls of Add until the last one ran where it was received, or did not, and is not soon to do otherwise.
func (s *nimble) until(t *testing.T, remote testobj.Service, there bool, a int64) {
	t.Helper()
	c := ctx(t)
	for sure := 0; c.Err() == nil; {
		for i := range int64(30) {
			if i > 0 {
				i = a
			}
			if _, err := remote.Add(c, i, 2); err != nil {
				t.Fatal(err)
			}
		}
		if s.there.Load() != there {
			sure = 0
		} else if sure++; sure == 100 || !there {
			return
		}
	}
	t.Fatalf("no call was found to run where it was received, as wanted: %v", there)
}

// do says what Add does with what is below zero.
func (s *nimble) do(f func(c context.Context, a int64) error) { s.does.Store(&f) }

func TestMethodsRunWhereTheirCallsAreReceivedAsLongAsTheyAreQuick(t *testing.T) {
	leak.Check(t)
	impl, _, remote := nimbly(t, rmi.Options{})
	c := ctx(t)
	if _, err := remote.Add(c, 0, 2); err != nil || impl.there.Load() {
		t.Errorf("the first call of a method: %v; where it was received: %v", err, impl.there.Load())
	}
	impl.until(t, remote, true, 1)
	impl.do(func(context.Context, int64) error {
		for start := time.Now(); time.Since(start) < time.Millisecond; {
		}
		return nil
	})
	impl.until(t, remote, false, -1)
	impl.until(t, remote, true, 1)
}

// A call that waits for one that comes after it, by the same connection, gets it: others receive meanwhile.
func TestAQuickMethodThatWaitsForALaterCallGetsIt(t *testing.T) {
	leak.Check(t)
	impl, _, remote := nimbly(t, rmi.Options{})
	c := ctx(t)
	come := make(chan struct{})
	waiting := make(chan bool, 1)
	impl.do(func(c context.Context, a int64) error {
		if a == -1 {
			close(come)
			return nil
		}
		waiting <- receivedHere()
		select {
		case <-come:
			return nil
		case <-c.Done():
			return c.Err()
		}
	})
	impl.until(t, remote, true, 1)
	first := make(chan error, 1)
	go func() {
		_, err := remote.Add(c, -2, 0)
		first <- err
	}()
	if !<-waiting {
		t.Error("the call that waits runs on a worker: the test shows nothing")
	}
	if _, err := remote.Add(c, -1, 0); err != nil {
		t.Error(err)
	}
	if err := <-first; err != nil {
		t.Error(err)
	}
}

// What is behind it in the same frame is not held up either, nor are replies of what was run before.
func TestCallsThatComeTogetherWithOneThatWaitsAreAnswered(t *testing.T) {
	leak.Check(t)
	impl, _, remote := nimbly(t, rmi.Options{})
	c := ctx(t)
	leave := make(chan struct{})
	impl.do(func(context.Context, int64) error {
		<-leave
		return nil
	})
	impl.until(t, remote, true, 1)
	const calls = 64
	ended := make(chan error, calls)
	for i := range calls {
		go func() {
			a := int64(1)
			if i == calls/2 {
				a = -1
			}
			_, err := remote.Add(c, a, 1)
			ended <- err
		}()
	}
	for range calls - 1 {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	close(leave)
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestAQuickMethodIsCancelledAndMayCallItsCallerAndEndItsGoroutine(t *testing.T) {
	leak.Check(t)
	impl, _, remote := nimbly(t, rmi.Options{})
	l := &listener{}
	if err := remote.Remember(ctx(t), l); err != nil {
		t.Fatal(err)
	}
	var inside atomic.Bool
	for name, does := range map[string]func(context.Context, int64) error{
		"cancelled": func(c context.Context, _ int64) error {
			<-c.Done()
			return c.Err()
		},
		"calls back": func(c context.Context, _ int64) error {
			back, err := impl.Remembered(c)
			if err == nil {
				_, err = back.Hear(c, "from within")
			}
			return err
		},
		"ends its goroutine": func(context.Context, int64) error {
			runtime.Goexit()
			return nil
		},
		"panics": func(context.Context, int64) error { panic("quickly") },
	} {
		impl.do(func(c context.Context, a int64) error {
			inside.Store(receivedHere())
			return does(c, a)
		})
		impl.until(t, remote, true, 1)
		c, cancel := context.WithTimeout(ctx(t), 50*time.Millisecond)
		if name != "cancelled" {
			c = ctx(t)
		}
		_, err := remote.Add(c, -1, 0)
		cancel()
		var want error
		switch name {
		case "cancelled":
			want = context.DeadlineExceeded
		case "ends its goroutine", "panics":
			want = rmi.ErrPanic
		}
		if !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", name, err, want)
		}
		if !inside.Load() {
			t.Errorf("%s: it ran on a worker: the test shows nothing", name)
		}
		if sum, err := remote.Add(ctx(t), 3, 4); sum != 7 || err != nil {
			t.Errorf("%s, and then: %d, %v", name, sum, err)
		}
	}
}

func TestAQuickMethodMayCloseItsNodeAndWithdrawItsObject(t *testing.T) {
	leak.Check(t)
	impl, server, remote := nimbly(t, rmi.Options{})
	impl.do(func(c context.Context, a int64) error {
		if a == -2 {
			return server.Close()
		}
		return rmi.Unexport(c, server, impl)
	})
	impl.until(t, remote, true, 1)
	if _, err := remote.Add(ctx(t), -1, 0); err != nil {
		t.Errorf("a call that withdraws its object: %v", err)
	}
	if _, err := remote.Add(ctx(t), 1, 1); !errors.Is(err, rmi.ErrNoSuchObject) {
		t.Errorf("after that: %v", err)
	}
	again, server, remote := nimbly(t, rmi.Options{})
	again.do(func(context.Context, int64) error { return server.Close() })
	again.until(t, remote, true, 1)
	if _, err := remote.Add(ctx(t), -1, 0); !errors.Is(err, rmi.ErrUnreachable) {
		t.Errorf("a call that closes its node: %v", err)
	}
}

// A connection that nobody uses has no goroutine for quick methods; when it is used again it gets one again.
func TestAnIdleConnectionHasNoGoroutineForQuickMethods(t *testing.T) {
	leak.Check(t)
	impl, _, remote := nimbly(t, rmi.Options{Liveness: rmi.Liveness{Probe: 20 * time.Millisecond}})
	for range 2 {
		impl.until(t, remote, true, 1)
		stacks := make([]byte, 4<<20)
		for c := ctx(t); strings.Contains(string(stacks[:runtime.Stack(stacks, true)]), "(*muxConn).follow"); runtime.Gosched() {
			if c.Err() != nil {
				t.Fatal("the goroutine outlasts the traffic")
			}
		}
	}
}

// spoiler dials connections of which one can be made to break the protocol behind the next large enough write, in the same packet.
type spoiler struct{ armed atomic.Bool }

func (s *spoiler) Dial(c context.Context, endpoint string) (net.Conn, error) {
	var d net.Dialer
	conn, err := d.DialContext(c, "tcp", strings.TrimPrefix(endpoint, "tcp://"))
	return spoiled{conn, s}, err
}

func (s *spoiler) Listen(string) (net.Listener, error) { return nil, net.ErrClosed }

type spoiled struct {
	net.Conn
	by *spoiler
}

func (c spoiled) Write(p []byte) (int, error) {
	if len(p) < 60 || !c.by.armed.CompareAndSwap(true, false) { // less than a call takes
		return c.Conn.Write(p)
	}
	ping := []byte{0, 2, 0, 1, 11: 0} // which nobody sends below a session
	_, err := c.Conn.Write(slices.Concat(p, ping))
	return len(p), err
}

// A quick call that comes together with what breaks its connection has come all the same: it runs, and is over.
func TestAQuickCallBeforeABreachOfTheProtocolIsOverLikeAnyOther(t *testing.T) {
	leak.Check(t)
	w := tcpWorld(t)
	server, _ := w.server(rmi.Options{})
	impl, network := &nimble{service: newService(server)}, &spoiler{}
	remote := pass(t, server, w.node(rmi.Options{Network: network}), impl)
	impl.until(t, remote, true, 1)
	network.armed.Store(true)
	if _, err := remote.Add(ctx(t), 1, 1); err != nil && !errors.Is(err, rmi.ErrUnreachable) { // its reply may come in time
		t.Errorf("a call over a connection that breaks: %v", err)
	}
	if network.armed.Load() {
		t.Fatal("nothing was broken: the test shows nothing")
	}
	if err := server.Shutdown(ctx(t)); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
}

// brittle is a context whose Done panics from some time on.
type brittle struct {
	context.Context
	left atomic.Int32
}

func (b *brittle) Done() <-chan struct{} {
	if b.left.Add(-1) < 0 {
		panic("brittle")
	}
	return b.Context.Done()
}

// What is sent waits for callers who have been woken: one whose context is the program's own and panics must not be among them.
func TestACallerWhosePanicIsRecoveredHoldsUpNobody(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		_, _, remote, _ := w.served()
		panicked := 0
		for left := range int32(5) {
			func() {
				defer func() {
					if recover() != nil {
						panicked++
					}
				}()
				b := &brittle{Context: ctx(t)}
				b.left.Store(left)
				_, _ = remote.Add(b, 1, 1)
			}()
			for range 3 {
				if _, err := remote.Add(ctx(t), 1, 1); err != nil {
					t.Errorf("a call after one whose context panicked at its use %d: %v", left+1, err)
				}
			}
		}
		if panicked == 0 {
			t.Error("nothing panicked: the test shows nothing")
		}
	})
}
