package rmi_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rmigo/rmigo/internal/testobj"
	"github.com/rmigo/rmigo/rmi"
)

func TestAMethodOfAnObjectInAnotherProcessIsCalled(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		_, _, remote, _ := w.served()
		if sum, err := remote.Add(ctx(t), 2, 3); sum != 5 || err != nil {
			t.Errorf("Add(2, 3) = %d, %v; want 5", sum, err)
		}
		if s, err := remote.Join(ctx(t), "-", "a", "b", "c"); s != "a-b-c" || err != nil {
			t.Errorf("Join = %q, %v: variadic arguments travel as they are", s, err)
		}
		in := testobj.Item{
			Name: "ink", Tags: []string{"blue", ""}, Price: map[string]float64{"eur": 1.5, "usd": 2},
			Next: &testobj.Item{Name: "next", Tags: []string{}}, At: time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC),
		}
		out, err := remote.Echo(ctx(t), in)
		if err != nil || !reflect.DeepEqual(in, out) {
			t.Errorf("Echo returned\n%+v, %v\nwant\n%+v", out, err, in)
		}
	})
}

func TestErrorsOfMethodsArriveAsWhatTheyAre(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		_, _, remote, _ := w.served()
		n, err := remote.Fail(ctx(t), "sentinel")
		if err != testobj.ErrEmpty || n != 7 {
			t.Errorf("a sentinel arrived as %d, %#v; want the result beside it, 7, and the sentinel itself", n, err)
		}
		if _, err = remote.Fail(ctx(t), "wrapped"); !errors.Is(err, testobj.ErrEmpty) || err.Error() != "while serving: testobj: empty" {
			t.Errorf("a wrapped sentinel arrived as %#v", err)
		}
		_, err = remote.Fail(ctx(t), "typed")
		var typed *testobj.RangeError
		if !errors.As(err, &typed) || typed.Got != 9 || !errors.Is(err, testobj.ErrEmpty) {
			t.Errorf("an error type arrived as %#v", err)
		}
		_, err = remote.Fail(ctx(t), "joined")
		if !errors.Is(err, io.EOF) || !errors.As(err, &typed) || typed.Limit != 2 {
			t.Errorf("joined errors arrived as %#v", err)
		}
		if _, err = remote.Fail(ctx(t), "coded"); rmi.CodeOf(err) != "E42" || err.Error() != "no more" {
			t.Errorf("a coded error arrived as %#v with code %q", err, rmi.CodeOf(err))
		}
		if _, err = remote.Fail(ctx(t), "plain"); err == nil || err.Error() != "plain" || !rmi.MayHaveRun(err) {
			t.Errorf("a plain error arrived as %#v; MayHaveRun %v, want true", err, rmi.MayHaveRun(err))
		}
		if back, err := remote.Why(ctx(t), testobj.ErrEmpty); back != testobj.ErrEmpty || err != nil {
			t.Errorf("an error passed as an argument came back as %#v, %v", back, err)
		}
	})
}

func TestAPanicIsTheCallsErrorAndTheProcessLives(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		_, _, remote, _ := w.served()
		_, err := remote.Fail(ctx(t), "panic")
		var e *rmi.Error
		if !errors.Is(err, rmi.ErrPanic) || !errors.As(err, &e) || !e.Remote || !rmi.MayHaveRun(err) {
			t.Errorf("a panic arrived as %#v", err)
		}
		if _, err := remote.Add(ctx(t), 1, 1); err != nil {
			t.Errorf("after a panic, the next call failed: %v", err)
		}
	})
}

// logged is a log that a test reads while nodes write it.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// quitting is a service whose method ends its goroutine, as testing.T.FailNow would.
type quitting struct{ *service }

func (quitting) Block(context.Context) error {
	runtime.Goexit()
	return nil
}

func TestAMethodThatEndsItsGoroutineIsLoggedLikeAPanic(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		var log logged
		server, _ := w.server(rmi.Options{Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelError}))})
		client := w.node(rmi.Options{})
		remote := pass(t, server, client, &quitting{newService(server)})
		if err := remote.Block(ctx(t)); !errors.Is(err, rmi.ErrPanic) || !rmi.MayHaveRun(err) {
			t.Errorf("a method that ended its goroutine: %v; want ErrPanic", err)
		}
		for _, want := range []string{"level=ERROR", "method=testobj.Service.Block", "caller=" + client.ID().String(), "quitting"} {
			if !strings.Contains(log.String(), want) {
				t.Errorf("the server's log says\n%s\nwant %s in it", log.String(), want)
			}
		}
		if _, err := remote.Add(ctx(t), 1, 1); err != nil {
			t.Errorf("the next call: %v", err)
		}
	})
}

func TestDeadlineAndCancellationReachTheMethod(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		impl, _, remote, _ := w.served()
		c, cancel := context.WithCancelCause(ctx(t))
		done := make(chan error, 1)
		go func() { done <- remote.Block(c) }()
		<-impl.blocked
		why := errors.New("changed my mind")
		cancel(why)
		if err := <-done; !errors.Is(err, context.Canceled) || !errors.Is(err, why) || !rmi.MayHaveRun(err) {
			t.Errorf("a cancelled call returned %v, want context.Canceled with its cause, and that it may have run", err)
		}
		if err := <-impl.ended; !errors.Is(err, context.Canceled) {
			t.Errorf("the method's context ended with %v, want context.Canceled", err)
		}
		c, stop := context.WithTimeout(ctx(t), 50*time.Millisecond)
		defer stop()
		if err := remote.Block(c); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a call past its deadline returned %v", err)
		}
		if err := <-impl.ended; !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled) {
			t.Errorf("the method's context ended with %v", err)
		}
	})
}

func TestACallWhoseContextHasEndedIsNotSent(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		impl, _, remote, _ := w.served()
		if _, err := remote.Add(ctx(t), 1, 1); err != nil {
			t.Fatal(err)
		}
		c, cancel := context.WithCancel(ctx(t))
		cancel()
		if _, err := remote.Add(c, 1, 1); !errors.Is(err, context.Canceled) || rmi.MayHaveRun(err) {
			t.Errorf("a call with a cancelled context: %v; want context.Canceled, not run", err)
		}
		if n := impl.calls.Load(); n != 1 {
			t.Errorf("the method ran %d times, want 1", n)
		}
	})
}

func TestAMethodSeesWhoCalls(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		_, server, remote, client := w.served()
		var seen rmi.Peer
		l := &listener{on: func(c context.Context, _ string) (string, error) {
			seen = rmi.Caller(c)
			return "", nil
		}}
		if _, err := remote.Tell(ctx(t), l, ""); err != nil {
			t.Fatal(err)
		}
		if seen.Process != server.ID() || !seen.SameHost {
			t.Errorf("the callback's caller is %+v, want the server %v on this host", seen, server.ID())
		}
		if got := rmi.Caller(ctx(t)); got != (rmi.Peer{}) {
			t.Errorf("outside a call the caller is %+v", got)
		}
		if client.ID() == server.ID() {
			t.Error("two nodes have one id")
		}
	})
}

func TestAnErrorOfANestedCallDoesNotSpeakForTheOuterOne(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		_, _, remote, _ := w.served()
		_, third, far, _ := w.served()
		third.Close()
		_, err := remote.Recurse(ctx(t), far, 1)
		if !errors.Is(err, rmi.ErrUnreachable) || !rmi.MayHaveRun(err) {
			t.Errorf("a method whose own call failed: %v; MayHaveRun %v: the method itself ran", err, rmi.MayHaveRun(err))
		}
	})
}

// telling is a service that shows what the caller of a listener sees, and returns it.
type telling struct {
	*service
	saw chan error
}

func (s *telling) Tell(c context.Context, l testobj.Listener, how string) (string, error) {
	text, err := l.Hear(c, "")
	s.saw <- err
	if how == "wrapped" {
		err = fmt.Errorf("while telling: %w", err)
	}
	return text, err
}

func TestTheErrorOfANestedCallArrivesWithItsTextOperationAndObject(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		far, _ := w.server(rmi.Options{})
		ref, err := rmi.Export(far, testobj.RemoteListener.Of(&listener{}))
		if err != nil {
			t.Fatal(err)
		}
		text, _ := ref.MarshalText()
		server, _ := w.server(rmi.Options{})
		client := w.node(rmi.Options{})
		impl := &telling{newService(server), make(chan error, 1)}
		remote := pass(t, server, client, impl)
		l, err := rmi.Resolve(ctx(t), client, testobj.RemoteListener, string(text))
		if err != nil {
			t.Fatal(err)
		}
		far.Close()
		for how, prefix := range map[string]string{"bare": "", "wrapped": "while telling: "} {
			_, err := remote.Tell(ctx(t), l, how)
			saw := <-impl.saw
			if err == nil || err.Error() != prefix+saw.Error() || !strings.HasSuffix(err.Error(), "(it did not run)") {
				t.Errorf("%s: the caller is told\n%v\nthe method was told\n%v", how, err, saw)
			}
			var e *rmi.Error
			if !errors.As(err, &e) || e.Op != "call" || e.Method != "testobj.Listener.Hear" || e.On != ref.String() || !e.Ref.IsZero() ||
				e.Kind != rmi.ErrUnreachable || !e.Remote {
				t.Errorf("%s: it arrived as %+v; want the operation, the object in words, the kind, and whose fault", how, e)
			}
			if !rmi.MayHaveRun(err) || e.NotRun {
				t.Errorf("%s: %v says that the outer call did not run", how, err)
			}
		}
	})
}
