package rmi_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/rmigo/rmigo/internal/leak"
	"github.com/rmigo/rmigo/internal/testobj"
	"github.com/rmigo/rmigo/rmi"
)

func TestStreamsThatTakeTooMuchEndAndOthersGoOn(t *testing.T) {
	leak.Check(t)
	open := make(gate)
	_, server, source, client := memoryWorld(t).streamed(rmi.Options{Limits: rmi.Limits{PendingBytes: 1 << 20}})
	ref, err := rmi.Export(server, testobj.RemoteDrain.Of(newDrain()))
	if err != nil {
		t.Fatal(err)
	}
	drain := resolved(t, client, testobj.RemoteDrain, ref)
	ended := make(chan error)
	waiting := atomic.Int64{}
	for range 6 {
		go func() {
			var last error
			for _, last = range source.Texts(ctx(t), 300_000) { // each item is larger than what a stream may have
				waiting.Add(1)
				<-open
			}
			ended <- last
		}()
		go func() {
			ended <- drain.Download(ctx(t), 3_000_000, sink(func(p []byte) (int, error) {
				waiting.Add(1)
				<-open
				return len(p), nil
			}))
		}()
	}
	for c := ctx(t); waiting.Load() == 0; runtime.Gosched() {
		if c.Err() != nil {
			t.Fatal("nothing comes")
		}
	}
	for range 10_000 { // what may come does
		runtime.Gosched()
	}
	close(open)
	good := 0
	for range 12 {
		switch err := <-ended; {
		case err == nil:
			good++
		case !errors.Is(err, rmi.ErrOverloaded):
			t.Errorf("a stream ended in %v, want that it is whole, or ErrOverloaded", err)
		}
	}
	if good == 0 {
		t.Error("none of the streams has come to its end")
	}
	streamsEnded(t, client)
}

func TestStreamsThatStandStillTakeNothingFromOtherPeers(t *testing.T) {
	leak.Check(t)
	w := memoryWorld(t)
	server, _ := w.server(rmi.Options{})
	impl := &stuck{drain: newDrain()}
	ref, err := rmi.Export(server, testobj.RemoteDrain.Of(impl))
	if err != nil {
		t.Fatal(err)
	}
	c, cancel := context.WithCancel(ctx(t))
	var calls sync.WaitGroup
	open := make(gate)
	const peers, streams = 3, 100
	for range peers {
		remote := resolved(t, w.node(rmi.Options{}), testobj.RemoteDrain, ref)
		for range streams {
			calls.Go(func() { remote.Upload(c, "", open) })
		}
	}
	for n := 0; n < peers*streams; runtime.Gosched() {
		n, _ = rmi.StreamsOf(server)
		n += int(impl.refused.Load())
	}
	if n := impl.refused.Load(); n != 0 {
		t.Errorf("%d of %d streams that bring nothing are refused", n, peers*streams)
	}
	cancel()
	close(open)
	calls.Wait()
	streamsEnded(t, server)
}

// stubborn has a one-way method that does not look at its context.
type stubborn struct {
	*diary
	in   chan struct{}
	hold chan struct{}
}

func (s *stubborn) Note(context.Context, string) error {
	s.in <- struct{}{}
	<-s.hold
	return nil
}

func TestWhatAOneWayCallKeepsWaitingEndsWithItsLink(t *testing.T) {
	leak.Check(t)
	w := memoryWorld(t)
	server, _ := w.server(rmi.Options{Limits: rmi.Limits{PendingBytes: 4 << 20}, Logger: slog.New(slog.DiscardHandler)})
	client := w.node(rmi.Options{Logger: slog.New(slog.DiscardHandler)})
	impl := &stubborn{&diary{}, make(chan struct{}, 100), make(chan struct{}, 100)}
	ref, err := rmi.Export(server, testobj.RemoteDiary.Of(impl))
	if err != nil {
		t.Fatal(err)
	}
	remote := resolved(t, client, testobj.RemoteDiary, ref)
	pending := func(while func(int64) bool) {
		t.Helper()
		for c := ctx(t); ; runtime.Gosched() {
			if _, bytes := rmi.StreamsOf(server); !while(bytes) {
				return
			}
			if c.Err() != nil {
				t.Fatal("it does not come to that")
			}
		}
	}
	if err := remote.Note(ctx(t), "first"); err != nil {
		t.Fatal(err)
	}
	<-impl.in
	for range 60 {
		if err := remote.Note(ctx(t), strings.Repeat("x", 50_000)); err != nil {
			t.Fatal(err)
		}
	}
	pending(func(bytes int64) bool { return bytes < 2_900_000 })
	impl.hold <- struct{}{}
	<-impl.in // the worker has all that wait, and runs the first of them
	client.Close()
	pending(func(bytes int64) bool { return bytes > 200_000 }) // that of the one which runs is left
	close(impl.hold)
}

func TestOneWayCallsBesideTheEndOfTheirLinkAreCountedOnce(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		quiet := slog.New(slog.DiscardHandler)
		server, _ := w.server(rmi.Options{Logger: quiet})
		ref, err := rmi.Export(server, testobj.RemoteDiary.Of(&diary{}))
		if err != nil {
			t.Fatal(err)
		}
		for round := range 60 {
			client := w.node(rmi.Options{Logger: quiet})
			remote := resolved(t, client, testobj.RemoteDiary, ref)
			var sending sync.WaitGroup
			sending.Go(func() {
				for remote.Note(t.Context(), "x") == nil {
				}
			})
			for client.OneWays().Sent < uint64(round*37) { // in the midst of it, wherever that is
				runtime.Gosched()
			}
			client.Close()
			sending.Wait()
			if s := client.OneWays(); s.Ended+s.Lost != s.Sent {
				t.Fatalf("%d were sent, %d ended and %d may be lost", s.Sent, s.Ended, s.Lost)
			}
		}
	})
}

func TestAttemptsThatWereRefusedLeaveReadersAndWritersAsTheyWere(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		for _, method := range []string{"Copy", "Fill"} {
			var refused atomic.Bool
			refuse := func(ctx context.Context, call *rmi.Call, next func(context.Context) error) error {
				if call.Method == method && !refused.Swap(true) {
					return errors.New("not now")
				}
				return next(ctx)
			}
			again := func(ctx context.Context, call *rmi.Call, next func(context.Context) error) error {
				err := next(ctx)
				if err != nil && !rmi.MayHaveRun(err) {
					err = next(ctx)
				}
				return err
			}
			impl, server, remote, client := w.drawn(rmi.Options{Inbound: []rmi.Interceptor{refuse}}, rmi.Options{Outbound: []rmi.Interceptor{again}})
			r, size, to, err := remote.Pair(ctx(t), 100)
			if err != nil {
				t.Fatal(err)
			}
			if n, err := io.CopyN(to, r, int64(size)); n != 100 || err != nil {
				t.Errorf("%s: %d bytes were copied, %v", method, n, err)
			}
			for _, c := range []io.Closer{to, r} {
				if err := c.Close(); err != nil {
					t.Errorf("%s: %v", method, err)
				}
				impl.closes(t, "closed")
			}
			if !refused.Load() || impl.written() != string(impl.content[:100]) {
				t.Errorf("%s: written is %q", method, impl.written())
			}
			streamsEnded(t, server, client)
		}
	})
}

func TestANodeThatIsClosedWhileAReaderArrivesClosesIt(t *testing.T) {
	leak.Check(t)
	for range 30 {
		w := memoryWorld(t)
		var client *rmi.Node
		closing := func(ctx context.Context, _ *rmi.Call, next func(context.Context) error) error {
			err := next(ctx)
			client.Close()
			return err
		}
		_, _, remote, made := w.drawn(rmi.Options{}, rmi.Options{Outbound: []rmi.Interceptor{closing}})
		client = made
		r, err := remote.Open(ctx(t), "")
		if err != nil {
			continue
		}
		if _, err := r.Read(make([]byte, 1)); err == nil {
			t.Error("a reader of a closed node reads")
		}
		r.Close()
	}
}
