package rmi_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rmigo/rmigo/internal/leak"
	"github.com/rmigo/rmigo/internal/testobj"
	"github.com/rmigo/rmigo/internal/wire"
	"github.com/rmigo/rmigo/rmi"
)

// source implements testobj.Source. What its streams do is said by the test.
type source struct {
	begun   chan struct{} // receives when a stream begins
	stopped chan error    // and how the context of its call was when its iterator stopped
	made    atomic.Int64  // items
}

func newSource() *source {
	return &source{begun: make(chan struct{}, 100), stopped: make(chan error, 100)}
}

func (s *source) Count(c context.Context, from, to int64) iter.Seq2[int64, error] {
	return func(yield func(int64, error) bool) {
		s.begun <- struct{}{}
		defer func() { s.stopped <- context.Cause(c) }()
		for i := from; i < to; i++ {
			s.made.Add(1)
			if !yield(i, nil) {
				return
			}
		}
	}
}

func (s *source) Items(c context.Context, how string, items ...testobj.Item) iter.Seq2[testobj.Item, error] {
	return func(yield func(testobj.Item, error) bool) {
		s.begun <- struct{}{}
		defer func() { s.stopped <- context.Cause(c) }()
		for _, item := range items {
			if !yield(item, nil) {
				return
			}
		}
		switch how {
		case "error":
			yield(testobj.Item{}, fmt.Errorf("no more: %w", testobj.ErrEmpty))
		case "panic":
			panic("the source ran dry")
		case "exit":
			runtime.Goexit()
		case "wait":
			<-c.Done()
			yield(testobj.Item{}, c.Err())
		case "endless":
			for yield(testobj.Item{Name: "one of many"}, nil) {
				s.made.Add(1)
			}
		}
	}
}

func (s *source) Listeners(_ context.Context, n int) iter.Seq2[testobj.Listener, error] {
	return func(yield func(testobj.Listener, error) bool) {
		for i := range n {
			l := &listener{on: func(context.Context, string) (string, error) { return fmt.Sprint("listener ", i), nil }}
			if !yield(l, nil) {
				return
			}
		}
	}
}

func (s *source) Texts(_ context.Context, size int) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for n := range 20 {
			if !yield(text(size+n), nil) {
				return
			}
		}
	}
}

func (s *source) Any(context.Context) iter.Seq2[any, error] {
	return func(yield func(any, error) bool) {
		_ = yield(int64(7), nil) && yield("text", nil) && yield(&testobj.Item{Name: "x"}, nil) && yield(struct{ C chan int }{}, nil)
	}
}

func (s *source) Errors(context.Context) iter.Seq2[error, error] {
	return func(yield func(error, error) bool) {
		_ = yield(testobj.ErrEmpty, nil) && yield(nil, nil) && yield(nil, &testobj.RangeError{Got: 3, Limit: 2})
	}
}

// streamed exports a source in a listening node, and returns a stub of it in another one.
func (w *world) streamed(o rmi.Options) (impl *source, server *rmi.Node, remote testobj.Source, client *rmi.Node) {
	w.t.Helper()
	server, _ = w.server(rmi.Options{})
	client = w.node(o)
	impl = newSource()
	ref, err := rmi.Export(server, testobj.RemoteSource.Of(impl))
	if err != nil {
		w.t.Fatal(err)
	}
	return impl, server, resolved(w.t, client, testobj.RemoteSource, ref), client
}

func TestAStreamBringsAllItemsInOrder(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		impl, _, remote, _ := w.streamed(rmi.Options{})
		for _, n := range []int64{0, 1, 2, 300, 100_000} {
			next := int64(5)
			for got, err := range remote.Count(ctx(t), 5, 5+n) {
				if err != nil || got != next {
					t.Fatalf("item %d of %d: %d, %v", next, n, got, err)
				}
				next++
			}
			if next != 5+n {
				t.Errorf("%d items, want %d", next-5, n)
			}
			<-impl.stopped
		}
	})
}

func TestAStreamThatIsRangedOverTwiceIsTwoCalls(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		impl, _, remote, _ := w.streamed(rmi.Options{})
		stream := remote.Count(ctx(t), 0, 3)
		if len(impl.begun) != 0 {
			t.Error("the call was made before anybody ranged over its stream")
		}
		for range 2 {
			sum := int64(0)
			for got, err := range stream {
				if err != nil {
					t.Fatal(err)
				}
				sum += got
			}
			if sum != 3 {
				t.Errorf("the sum is %d, want 3", sum)
			}
		}
		if n := len(impl.begun); n != 2 {
			t.Errorf("%d calls, want 2", n)
		}
	})
}

func TestItemsOfEverySizeArriveInOrder(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		_, _, remote, _ := w.streamed(rmi.Options{})
		for _, size := range []int{0, 100, 7_000, 9_000, 31_000, 70_000, 300_000, 3 << 20} {
			n := 0
			for got, err := range remote.Texts(ctx(t), size) {
				if err != nil || string(got) != string(text(size+n)) {
					t.Fatalf("item %d of %d bytes: %d bytes, %v", n, size+n, len(got), err)
				}
				n++
			}
			if n != 20 {
				t.Errorf("%d items of %d bytes, want 20", n, size)
			}
		}
	})
}

func TestReferencesInsideItemsArriveAndAreLetGo(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		_, server, remote, _ := w.streamed(rmi.Options{})
		before := server.Stats().Exports
		n := 0
		for l, err := range remote.Listeners(ctx(t), 50) {
			if err != nil {
				t.Fatal(err)
			}
			if heard, err := l.Hear(ctx(t), ""); err != nil || heard != fmt.Sprint("listener ", n) {
				t.Fatalf("listener %d heard %q, %v", n, heard, err)
			}
			rmi.Release(l)
			n++
		}
		if n != 50 {
			t.Errorf("%d listeners, want 50", n)
		}
		collected(t, server, before)
	})
}

// collected waits until no more objects are exported than there were.
func collected(t *testing.T, n *rmi.Node, want int) {
	t.Helper()
	for c := ctx(t); n.Stats().Exports > want; runtime.Gosched() {
		runtime.GC()
		if c.Err() != nil {
			t.Fatalf("%d objects are exported, want %d", n.Stats().Exports, want)
		}
	}
}

func TestInterfacesAndErrorsAreItemsToo(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		_, _, remote, _ := w.streamed(rmi.Options{})
		var all []any
		var last error
		for got, err := range remote.Any(ctx(t)) {
			if last = err; err == nil {
				all = append(all, got)
			}
		}
		if len(all) != 3 || all[0] != int64(7) || all[1] != "text" || all[2].(*testobj.Item).Name != "x" {
			t.Errorf("the items are %v", all)
		}
		if !errors.Is(last, rmi.ErrMarshal) || !rmi.MayHaveRun(last) {
			t.Errorf("an item that cannot travel ended the stream in %v, want ErrMarshal", last)
		}
		var errs []error
		for got, err := range remote.Errors(ctx(t)) {
			if errs = append(errs, got); err != nil {
				last = err
			}
		}
		var out *testobj.RangeError
		if len(errs) != 3 || errs[0] != testobj.ErrEmpty || errs[1] != nil || !errors.As(last, &out) || out.Got != 3 {
			t.Errorf("the items are %v, and the stream ended in %v", errs, last)
		}
	})
}

// ending is a way in which a stream ends.
type ending struct {
	name   string
	how    string
	leave  bool                                                           // after two items
	during func(server, client *rmi.Node, cancel context.CancelCauseFunc) // once they have come
	within time.Duration
	caller error // what the caller's last element is; nil: there is none
	callee error // what the cause of the callee's context is
}

func endings() []ending {
	cancels := func(_, _ *rmi.Node, cancel context.CancelCauseFunc) { cancel(errChanged) }
	calleeDies := func(server, _ *rmi.Node, _ context.CancelCauseFunc) { server.Close() }
	return []ending{
		{name: "it is at its end"},
		{name: "the consumer leaves", how: "endless", leave: true, callee: context.Canceled},
		{name: "the consumer leaves a producer that waits", how: "wait", leave: true, callee: context.Canceled},
		{name: "the producer returns an error", how: "error", caller: testobj.ErrEmpty},
		{name: "the producer panics", how: "panic", caller: rmi.ErrPanic},
		{name: "the producer ends its goroutine", how: "exit", caller: rmi.ErrPanic},
		{name: "the deadline passes", how: "wait", within: 200 * time.Millisecond, caller: context.DeadlineExceeded, callee: context.DeadlineExceeded},
		{name: "the deadline passes in mid-stream", how: "endless", within: 200 * time.Millisecond, caller: context.DeadlineExceeded, callee: context.DeadlineExceeded},
		{name: "the caller cancels", how: "wait", during: cancels, caller: errChanged, callee: context.Canceled},
		{name: "the caller cancels in mid-stream", how: "endless", during: cancels, caller: errChanged, callee: context.Canceled},
		{name: "the callee's node is closed", how: "wait", during: calleeDies, caller: rmi.ErrUnreachable, callee: rmi.ErrNodeClosed},
		{name: "the callee's node is closed in mid-stream", how: "endless", during: calleeDies, caller: rmi.ErrUnreachable, callee: rmi.ErrNodeClosed},
		{name: "the caller's node is closed", how: "wait", caller: rmi.ErrNodeClosed, callee: rmi.ErrUnreachable,
			during: func(_, client *rmi.Node, _ context.CancelCauseFunc) { client.Close() }},
		{name: "the callee's node is shut down, and does not wait", how: "endless", caller: rmi.ErrUnreachable, callee: rmi.ErrNodeClosed,
			during: func(server, _ *rmi.Node, _ context.CancelCauseFunc) {
				done, cancel := context.WithCancel(context.Background())
				cancel()
				server.Shutdown(done)
			}},
	}
}

func TestHoweverAStreamEndsBothSidesLearnIt(t *testing.T) {
	for _, end := range endings() {
		t.Run(strings.ReplaceAll(end.name, " ", "-"), func(t *testing.T) {
			everywhere(t, func(t *testing.T, w *world) { end.check(t, w) })
		})
	}
}

func TestHoweverAStreamEndsNoPinIsLeft(t *testing.T) {
	for _, end := range endings() {
		if end.how == "endless" && end.within > 0 {
			continue // in a bubble no time passes while something runs
		}
		t.Run(strings.ReplaceAll(end.name, " ", "-"), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server, client := end.check(t, memoryWorld(t))
				time.Sleep(3 * time.Minute) // leases end
				for _, n := range []*rmi.Node{server, client} {
					if s := n.Stats(); s.Pins+s.Owed != 0 {
						t.Errorf("%d messages are pinned, %d owed", s.Pins, s.Owed)
					}
				}
				server.Close()
				client.Close()
			})
		})
	}
}

// check makes a stream end so.
func (end ending) check(t *testing.T, w *world) (server, client *rmi.Node) {
	impl, server, remote, client := w.streamed(rmi.Options{})
	items := []testobj.Item{{Name: "a", Seen: &listener{}}, {Name: "b", Seen: &listener{}}}
	c, cancel := context.WithCancelCause(ctx(t))
	defer cancel(nil)
	if end.within > 0 {
		var stop context.CancelFunc
		c, stop = context.WithTimeout(c, end.within)
		defer stop()
	}
	n := 0
	var last error
	for item, err := range remote.Items(c, end.how, items...) {
		if last = err; err != nil {
			break
		}
		if n < 2 && (item.Name != items[n].Name || item.Seen != items[n].Seen) {
			t.Errorf("item %d is %v", n, item)
		}
		if n++; n != 2 {
			continue
		}
		if end.leave {
			break
		}
		if end.during != nil {
			end.during(server, client, cancel)
		}
	}
	if n < 2 {
		t.Errorf("%d items, want two", n)
	}
	if !errors.Is(last, end.caller) || (last == nil) != (end.caller == nil) {
		t.Errorf("the stream ended in %v, want %v", last, end.caller)
	}
	select {
	case cause := <-impl.stopped:
		inTime := end.within > 0 && errors.Is(cause, context.Canceled) // the caller was first to notice
		if !inTime && !errors.Is(cause, end.callee) || (cause == nil) != (end.callee == nil) {
			t.Errorf("the callee's context ended in %v, want %v", cause, end.callee)
		}
	case <-ctx(t).Done():
		t.Fatal("the iterator has not stopped")
	}
	streamsEnded(t, server, client)
	return server, client
}

var errChanged = errors.New("the caller has changed its mind")

// streamsEnded waits until no call of the nodes has streams, or anything that was counted for them.
func streamsEnded(t *testing.T, nodes ...*rmi.Node) {
	t.Helper()
	for _, n := range nodes {
		for c := ctx(t); ; runtime.Gosched() {
			calls, bytes := rmi.StreamsOf(n)
			if calls == 0 && bytes == 0 {
				break
			}
			if c.Err() != nil {
				t.Fatalf("%d calls have streams, %d bytes are pending", calls, bytes)
			}
		}
	}
}

func TestASlowConsumerHoldsAnEndlessStreamAtItsBound(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		const mostItems, mostBytes = 400, 20_000
		impl, server, remote, client := w.streamed(rmi.Options{Limits: rmi.Limits{StreamItems: mostItems, StreamBytes: mostBytes}})
		read := int64(0)
		for _, err := range remote.Items(ctx(t), "endless") {
			if err != nil {
				t.Fatal(err)
			}
			read++
			if read%100 == 0 {
				for range 1000 { // the producer does what it can
					runtime.Gosched()
				}
			}
			// What is made and not read is within the credit, or waits at the producer, or is being read.
			if made := impl.made.Load(); made-read > mostItems+1 {
				t.Fatalf("%d items were made when %d were read: at most %d may be under way", made, read, mostItems)
			}
			if _, bytes := rmi.StreamsOf(client); bytes > mostBytes+64<<10 {
				t.Fatalf("%d bytes wait to be read, at most %d may", bytes, mostBytes)
			}
			if read == 20_000 {
				break
			}
		}
		<-impl.stopped
		streamsEnded(t, server, client)
	})
}

func TestASlowConsumerHoldsAnEndlessStreamForAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const mostItems, mostBytes = 400, 20_000
		impl, server, remote, client := memoryWorld(t).streamed(rmi.Options{Limits: rmi.Limits{StreamItems: mostItems, StreamBytes: mostBytes}})
		begun := time.Now()
		read, most := int64(0), int64(0)
		for _, err := range remote.Items(t.Context(), "endless") {
			if err != nil {
				t.Fatal(err)
			}
			read++
			time.Sleep(10 * time.Millisecond) // by then the producer waits
			synctest.Wait()
			if made := impl.made.Load(); made-read > mostItems+1 {
				t.Fatalf("%d items were made when %d were read: at most %d may be under way", made, read, mostItems)
			}
			for _, n := range []*rmi.Node{server, client} {
				_, bytes := rmi.StreamsOf(n)
				most = max(most, bytes)
			}
			if time.Since(begun) >= time.Minute {
				break
			}
		}
		if read != 6000 || most > mostBytes+1000 || most == 0 {
			t.Errorf("in a minute %d items were read, and %d bytes waited at most: want 6000, and %d bytes or one item more", read, most, mostBytes)
		}
		<-impl.stopped
		synctest.Wait()
		streamsEnded(t, server, client)
		client.Close()
		server.Close()
	})
}

func TestAPeerWithoutStreamsIsNotCalledWithThem(t *testing.T) {
	leak.Check(t)
	_, ref, client := callee(t, 0)
	for _, err := range resolved(t, client, testobj.RemoteSource, ref).Count(ctx(t), 0, 1) {
		if !errors.Is(err, rmi.ErrVersion) || rmi.MayHaveRun(err) || !strings.Contains(err.Error(), "without streams") {
			t.Errorf("a peer without streams: %v", err)
		}
	}
	drain := resolved(t, client, testobj.RemoteDrain, ref)
	if _, _, err := drain.Upload(ctx(t), "", strings.NewReader("text")); !errors.Is(err, rmi.ErrVersion) || rmi.MayHaveRun(err) {
		t.Errorf("a peer without streams, as argument: %v", err)
	}
}

// callee is a process whose frames a test writes, and a reference to an object there for a node that it is connected to.
func callee(t *testing.T, features uint64) (i intruder, object rmi.Ref, client *rmi.Node) {
	t.Helper()
	client, endpoint := tcpWorld(t).server(rmi.Options{})
	id := [16]byte{9, 9}
	i, _ = intrudeWith(t, endpoint, wire.Hello{Process: id, Token: [16]byte{1}, Features: features})
	for rmi.LinksOf(client) == 0 {
		runtime.Gosched()
	}
	text := fmt.Appendf(nil, "rmi-ref:%x/%x?as=%s&as=%s&at=tcp://127.0.0.1:1", id, id, testobj.RemoteSource.Path, testobj.RemoteDrain.Path)
	if err := object.UnmarshalText(text); err != nil {
		t.Fatal(err)
	}
	return i, object, client
}

func TestWhatALostConnectionLeavesOutOfAStreamIsNotItsEnd(t *testing.T) {
	leak.Check(t)
	item := func(id wire.StreamID, sequence uint64) []byte {
		return finished(append(wire.AppendItemsHeader(nil, wire.ItemsHeader{Stream: id, Sequence: sequence, Items: 1}), 0x81, 7))
	}
	end := func(id wire.StreamID, frames uint64) []byte {
		return finished(wire.AppendEnd(nil, wire.EndHeader{Stream: id, Sequence: frames}))
	}
	for _, c := range []struct {
		name   string
		frames func(id wire.StreamID) [][]byte
		want   error
	}{
		{"items that another connection was to bring", func(id wire.StreamID) [][]byte { return [][]byte{item(id, 0), end(id, 3)} }, rmi.ErrUnreachable},
		{"no end", func(id wire.StreamID) [][]byte { return [][]byte{item(id, 0)} }, rmi.ErrUnreachable},
		{"an end before what has come", func(id wire.StreamID) [][]byte { return [][]byte{item(id, 9), item(id, 0), end(id, 2)} }, rmi.ErrProtocol},
	} {
		i, ref, client := callee(t, 1<<4)
		remote := resolved(t, client, testobj.RemoteSource, ref)
		go func() {
			for {
				kind, frame, err := testobj.ReadFrame(i.lane)
				if err != nil {
					return
				}
				if kind != wire.CallFrame {
					continue
				}
				h, _, _ := wire.ParseCall(frame)
				reply := append(wire.AppendReplyHeader(nil, wire.ReplyHeader{Flags: wire.ReplyResults, Slot: h.Slot}), 0x80)
				i.lane.Write(slices.Concat(append(c.frames(wire.StreamID{Call: h.Number}), finished(reply))...))
				i.session.Close()
				return
			}
		}()
		var last error
		for _, last = range remote.Count(ctx(t), 0, 100) {
		}
		if !errors.Is(last, c.want) {
			t.Errorf("%s: the stream ends in %v, want %v", c.name, last, c.want)
		}
		streamsEnded(t, client)
		client.Close()
	}
}

func TestAStreamDoesNotHoldUpCalls(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		_, server, remote, client := w.streamed(rmi.Options{})
		service := pass(t, server, client, newService(server))
		for range remote.Texts(ctx(t), 300_000) { // nobody reads on: the stream stands still with all that it may have under way
			for range 100 {
				if sum, err := service.Add(ctx(t), 1, 2); err != nil || sum != 3 {
					t.Fatalf("a call beside a stream that stands still: %d, %v", sum, err)
				}
			}
			break
		}
		streamsEnded(t, server, client)
	})
}

func TestAStreamIsDescribedByItsItems(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		_, _, remote, _ := w.streamed(rmi.Options{})
		d, err := rmi.Describe(ctx(t), remote)
		if err != nil {
			t.Fatal(err)
		}
		_, m := d.Method("Count")
		if m == nil || !m.Stream || len(m.Results) != 1 || m.Results[0].Type != "int64" {
			t.Errorf("it is described as %+v", m)
		}
	})
}

func TestInterceptorsStandAroundTheWholeStream(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		note := func(log *[]string) []rmi.Interceptor {
			return []rmi.Interceptor{func(ctx context.Context, call *rmi.Call, next func(context.Context) error) error {
				*log = append(*log, "begins "+call.Method)
				err := next(ctx)
				*log = append(*log, fmt.Sprintf("ends after %d: %v", call.Items, err))
				return err
			}}
		}
		var in, out []string // each written by the goroutine of its side
		server, _ := w.server(rmi.Options{Inbound: note(&in)})
		client := w.node(rmi.Options{Outbound: note(&out)})
		impl := newSource()
		ref, err := rmi.Export(server, testobj.RemoteSource.Of(impl))
		if err != nil {
			t.Fatal(err)
		}
		remote := resolved(t, client, testobj.RemoteSource, ref)
		for got, err := range remote.Count(ctx(t), 0, 3) {
			out = append(out, fmt.Sprint(got, err))
		}
		if got, want := strings.Join(in, "|"), "begins Count|ends after 3: <nil>"; got != want {
			t.Errorf("the callee's log is %s, want %s", got, want)
		}
		if got, want := strings.Join(out, "|"), "begins Count|0 <nil>|1 <nil>|2 <nil>|ends after 3: <nil>"; got != want {
			t.Errorf("the caller's log is %s, want %s", got, want)
		}
	})
}

func TestAStreamIsNotBegunAnewOnceItHasBroughtSomething(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		again := func(ctx context.Context, call *rmi.Call, next func(context.Context) error) error {
			if err := next(ctx); err == nil {
				return nil
			}
			return next(ctx)
		}
		impl, _, remote, _ := w.streamed(rmi.Options{Outbound: []rmi.Interceptor{again}})
		n := 0
		var last error
		for _, err := range remote.Items(ctx(t), "error", testobj.Item{}) {
			n, last = n+1, err
		}
		if n != 2 || !errors.Is(last, testobj.ErrEmpty) || len(impl.begun) != 1 {
			t.Errorf("%d elements, the last %v, of %d calls; want 2, ErrEmpty, 1", n, last, len(impl.begun))
		}
		n = 0
		for _, err := range remote.Items(ctx(t), "error") {
			n, last = n+1, err
		}
		if n != 1 || !errors.Is(last, testobj.ErrEmpty) || len(impl.begun) != 3 {
			t.Errorf("%d elements, the last %v, of %d calls; want 1, ErrEmpty, 3", n, last, len(impl.begun))
		}
	})
}

func TestAPanicInTheLoopEndsTheCall(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		impl, server, remote, client := w.streamed(rmi.Options{})
		func() {
			defer func() {
				if got := recover(); got != "enough" {
					t.Errorf("recovered %v", got)
				}
			}()
			for range remote.Items(ctx(t), "endless") {
				panic("enough")
			}
		}()
		if cause := <-impl.stopped; !errors.Is(cause, context.Canceled) {
			t.Errorf("the callee's context ended in %v", cause)
		}
		streamsEnded(t, server, client)
	})
}

func TestAStreamOfAnObjectThatIsGoneIsAnError(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		impl, server, remote, client := w.streamed(rmi.Options{})
		if err := rmi.Unexport(ctx(t), server, impl); err != nil {
			t.Fatal(err)
		}
		n := 0
		var last error
		for _, err := range remote.Count(ctx(t), 0, 3) {
			n, last = n+1, err
		}
		if n != 1 || !errors.Is(last, rmi.ErrNoSuchObject) || rmi.MayHaveRun(last) {
			t.Errorf("%d elements, the last %v", n, last)
		}
		streamsEnded(t, server, client)
	})
}

func TestAStreamComesHomeToo(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		n := w.node(rmi.Options{AlwaysMarshal: true})
		impl := newSource()
		ref, err := rmi.Export(n, testobj.RemoteSource.Of(impl))
		if err != nil {
			t.Fatal(err)
		}
		remote := resolved(t, n, testobj.RemoteSource, ref)
		sum := int64(0)
		for got, err := range remote.Count(ctx(t), 0, 10_000) {
			if err != nil {
				t.Fatal(err)
			}
			sum += got
		}
		if sum != 49_995_000 {
			t.Errorf("the sum is %d", sum)
		}
		streamsEnded(t, n)
	})
}
