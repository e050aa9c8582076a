package rmi_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rmigo/rmigo/internal/leak"
	"github.com/rmigo/rmigo/internal/testobj"
	"github.com/rmigo/rmigo/rmi"
)

// diary implements testobj.Diary.
type diary struct {
	mu      sync.Mutex
	notes   []string
	counted int64  // how often Count was called
	wrong   string // the first call that was out of order
	running int
	hold    chan struct{} // Note waits for it, if it is there
	entered chan struct{} // receives for each Note that has begun, if it is there
}

func (d *diary) Note(ctx context.Context, text string) error {
	d.begin(text)
	defer d.end()
	if d.entered != nil {
		d.entered <- struct{}{}
	}
	if d.hold != nil {
		select {
		case <-d.hold:
		case <-ctx.Done():
		}
	}
	switch text {
	case "fail":
		return testobj.ErrEmpty
	case "panic":
		panic("no more paper")
	case "exit":
		runtime.Goexit()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.notes = append(d.notes, text)
	return nil
}

func (d *diary) begin(what any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.running++; d.running > 1 && d.wrong == "" {
		d.wrong = fmt.Sprintf("%v runs beside another one-way call", what)
	}
}

func (d *diary) end() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.running--
}

func (d *diary) Count(_ context.Context, n int64) error {
	d.begin(n)
	defer d.end()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.counted != n && d.wrong == "" {
		d.wrong = fmt.Sprintf("%d came after %d calls", n, d.counted)
	}
	d.counted++
	return nil
}

func (d *diary) Ask(ctx context.Context, l testobj.Listener) error {
	d.begin("Ask")
	defer d.end()
	text, err := l.Hear(ctx, "what now?")
	d.mu.Lock()
	defer d.mu.Unlock()
	d.notes = append(d.notes, text)
	return err
}

func (d *diary) Read(_ context.Context, least int) ([]string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.notes) < least && d.wrong == "" {
		d.wrong = fmt.Sprintf("Read ran after %d notes, want %d", len(d.notes), least)
	}
	return append([]string(nil), d.notes...), nil
}

// diaries serves a diary, and returns a stub of it in another node.
func (w *world) diaries(o rmi.Options) (impl *diary, server *rmi.Node, remote testobj.Diary, client *rmi.Node) {
	w.t.Helper()
	server, _ = w.server(o)
	client = w.node(o)
	impl = &diary{}
	ref, err := rmi.Export(server, testobj.RemoteDiary.Of(impl))
	if err != nil {
		w.t.Fatal(err)
	}
	return impl, server, resolved(w.t, client, testobj.RemoteDiary, ref), client
}

func TestAMillionOneWayCallsArriveInOrder(t *testing.T) {
	leak.Check(t)
	calls := int64(1_000_000)
	if testing.Short() || raceDetector {
		calls = 50_000
	}
	impl, _, remote, client := tcpWorld(t).diaries(rmi.Options{})
	start := time.Now()
	for n := range calls {
		if err := remote.Count(t.Context(), n); err != nil {
			t.Fatalf("call %d: %v", n, err)
		}
	}
	if err := rmi.Flush(t.Context(), remote); err != nil {
		t.Fatal(err)
	}
	took := time.Since(start)
	if impl.wrong != "" || impl.counted != calls {
		t.Errorf("%d of %d calls ran; out of order: %q", impl.counted, calls, impl.wrong)
	}
	want := rmi.OneWays{Sent: uint64(calls), Ended: uint64(calls)}
	if got := client.OneWays(); got != want {
		t.Errorf("counted %+v, want %+v", got, want)
	}
	t.Logf("%d one-way calls in %v, %.0f a second", calls, took, float64(calls)/took.Seconds())
}

func TestOneWayCallsKeepTheirOrderWhateverTheirSize(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		impl, _, remote, _ := w.diaries(rmi.Options{})
		var want []string
		for i := range 300 {
			text := fmt.Sprint(i)
			if i%7 == 0 {
				text += strings.Repeat(" ", 100<<10) // by the bulk connection, as soon as there is one
			}
			want = append(want, text)
			if err := remote.Note(ctx(t), text); err != nil {
				t.Fatal(err)
			}
			if i%50 == 0 { // two-way calls come after the one-way ones before them
				if _, err := remote.Read(ctx(t), i+1); err != nil {
					t.Fatal(err)
				}
			}
		}
		got, err := remote.Read(ctx(t), 300)
		if err != nil || fmt.Sprint(got) != fmt.Sprint(want) || impl.wrong != "" {
			t.Errorf("read %d notes, %v; %s; want the %d that were written, in order", len(got), err, impl.wrong, len(want))
		}
	})
}

func TestFlushTellsWhatFailed(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		impl, server, remote, client := w.diaries(rmi.Options{})
		for _, text := range []string{"a", "fail", "panic", "exit", "b"} {
			if err := remote.Note(ctx(t), text); err != nil {
				t.Fatalf("Note(%q): %v; a one-way call is over when it is queued", text, err)
			}
		}
		err := rmi.Flush(ctx(t), remote)
		var failed *rmi.OneWayError
		if !errors.As(err, &failed) || failed.Failed != 3 || failed.Lost != 0 || len(failed.First) != 3 {
			t.Fatalf("Flush = %v, want 3 failures", err)
		}
		if failed.First[0] != testobj.ErrEmpty || !errors.Is(failed.First[1], rmi.ErrPanic) || !errors.Is(failed.First[2], rmi.ErrPanic) {
			t.Errorf("the failures are %q", failed.First)
		}
		var e *rmi.Error
		if !errors.As(failed.First[1], &e) || e.Method != "testobj.Diary.Note" || !rmi.MayHaveRun(failed.First[1]) {
			t.Errorf("a panic is %#v", failed.First[1])
		}
		if err := rmi.Flush(ctx(t), remote); err != nil {
			t.Errorf("the second Flush = %v, want nil: the failures have been told", err)
		}
		if fmt.Sprint(impl.notes) != "[a b]" {
			t.Errorf("notes are %q", impl.notes)
		}
		if err := rmi.Unexport(ctx(t), server, impl); err != nil {
			t.Fatal(err)
		}
		remote.Note(ctx(t), "too late")
		err = rmi.Flush(ctx(t), remote)
		if !errors.As(err, &failed) || !errors.Is(err, rmi.ErrNoSuchObject) || rmi.MayHaveRun(failed.First[0]) {
			t.Errorf("after Unexport, Flush = %v, want ErrNoSuchObject, not run", err)
		}
		if got := client.OneWays(); got.Sent != 6 || got.Failed != 4 {
			t.Errorf("counted %+v", got)
		}
	})
}

func TestAOneWayCallMayBeCalledBack(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		_, _, remote, _ := w.diaries(rmi.Options{})
		asked := &listener{on: func(c context.Context, text string) (string, error) {
			if _, err := remote.Read(c, 0); err != nil { // of the chain of the one that runs: it does not wait for that
				return "", err
			}
			return "heard " + text, rmi.Flush(c, remote)
		}}
		if err := remote.Ask(ctx(t), asked); err != nil {
			t.Fatal(err)
		}
		notes, err := remote.Read(ctx(t), 1)
		if err != nil || fmt.Sprint(notes) != "[heard what now?]" {
			t.Errorf("notes are %q, %v", notes, err)
		}
		if err := rmi.Flush(ctx(t), remote); err != nil {
			t.Error(err)
		}
	})
}

func TestLostOneWayCallsAreReported(t *testing.T) {
	leak.Check(t)
	impl, server, remote, client := memoryWorld(t).diaries(rmi.Options{})
	impl.hold, impl.entered = make(chan struct{}), make(chan struct{}, 10)
	for _, text := range []string{"a", "b", "c"} {
		if err := remote.Note(ctx(t), text); err != nil {
			t.Fatal(err)
		}
	}
	<-impl.entered
	server.Close()
	err := rmi.Flush(ctx(t), remote)
	var lost *rmi.OneWayError
	if !errors.As(err, &lost) || lost.Lost != 3 || lost.Failed != 0 || !rmi.MayHaveRun(lost.First[0]) {
		t.Errorf("Flush after the process was gone = %v, want 3 lost", err)
	}
	if got := client.OneWays(); got.Lost != 3 || got.Ended != 0 {
		t.Errorf("counted %+v", got)
	}
}

func TestShutdownFlushesOneWayCalls(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		impl, _, remote, client := w.diaries(rmi.Options{})
		const calls = 2000
		for n := range int64(calls) {
			if err := remote.Count(ctx(t), n); err != nil {
				t.Fatal(err)
			}
		}
		if err := client.Shutdown(ctx(t)); err != nil {
			t.Fatal(err)
		}
		impl.mu.Lock()
		defer impl.mu.Unlock()
		if impl.counted != calls || impl.wrong != "" {
			t.Errorf("after Shutdown %d calls have run, want %d; %s", impl.counted, calls, impl.wrong)
		}
	})
}

func TestOneWayCallsThatNobodyTakesAreRefusedInTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		impl, _, remote, client := memoryWorld(t).diaries(rmi.Options{})
		impl.hold = make(chan struct{})
		c := context.Background()
		start, queued := time.Now(), 0
		var err error
		for ; queued < 1<<20; queued++ {
			if err = remote.Note(c, "x"); err != nil {
				break
			}
		}
		if !errors.Is(err, rmi.ErrOverloaded) || rmi.MayHaveRun(err) || queued != 16<<10 {
			t.Errorf("after %d calls: %v; want ErrOverloaded after 16384, not run", queued, err)
		}
		if took := time.Since(start); took != 15*time.Second {
			t.Errorf("it waited %v for room, want as long as a peer may be silent", took)
		}
		bounded, cancel := context.WithTimeout(c, time.Second)
		defer cancel()
		if err := remote.Note(bounded, "x"); !errors.Is(err, context.DeadlineExceeded) || rmi.MayHaveRun(err) {
			t.Errorf("with a deadline: %v", err)
		}
		close(impl.hold)
		if err := rmi.Flush(c, remote); err != nil {
			t.Error(err)
		}
		if got, want := client.OneWays(), uint64(queued); got.Sent != want || got.Ended != want {
			t.Errorf("counted %+v, want %d", got, want)
		}
	})
}

func TestManyGoroutinesMakeOneWayCalls(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		impl, _, remote, client := w.diaries(rmi.Options{})
		var all sync.WaitGroup
		for g := range 8 {
			all.Go(func() {
				for i := range 100 {
					c, cancel := context.WithCancel(ctx(t))
					if (g+i)%5 == 0 {
						cancel() // some are given up before they are queued
					}
					remote.Note(c, fmt.Sprintf("%d-%d%s", g, i, strings.Repeat(".", i%3*20<<10)))
					cancel()
				}
			})
		}
		all.Wait()
		if err := rmi.Flush(ctx(t), remote); err != nil {
			t.Fatal(err)
		}
		last := map[string]int{}
		for _, note := range impl.notes {
			var i int
			g, rest, _ := strings.Cut(strings.TrimRight(note, "."), "-")
			fmt.Sscan(rest, &i)
			if was, there := last[g]; there && i <= was {
				t.Errorf("of goroutine %s, %d came after %d", g, i, was)
			}
			last[g] = i
		}
		if got := client.OneWays(); got.Sent != uint64(len(impl.notes)) || impl.wrong != "" {
			t.Errorf("counted %+v, %d notes; %s", got, len(impl.notes), impl.wrong)
		}
	})
}

// hoarder keeps the contexts of its calls, and asks those of every other one.
type hoarder struct {
	diary
	client rmi.ProcessID
	kept   []context.Context
}

func (h *hoarder) Count(ctx context.Context, n int64) error {
	if n > 0 && n%2 == 0 {
		if last := h.kept[n-1]; last == ctx || last.Err() == nil {
			h.wrong = fmt.Sprintf("the context that call %d has asked is good beyond it", n-1)
		}
	}
	h.kept = append(h.kept, ctx)
	if n%2 == 1 {
		caller := rmi.Caller(ctx)
		if ctx.Err() != nil || caller.Process != h.client {
			h.wrong = fmt.Sprintf("call %d: %v, the caller is %v", n, ctx.Err(), caller)
		}
	}
	return h.diary.Count(ctx, n)
}

func TestContextsOfOneWayCallsEndAlsoWhereNobodyAskedThemInTime(t *testing.T) {
	leak.Check(t)
	w := tcpWorld(t)
	server, _ := w.server(rmi.Options{})
	client := w.node(rmi.Options{})
	impl := &hoarder{client: client.ID()}
	ref, err := rmi.Export(server, testobj.RemoteDiary.Of(impl))
	if err != nil {
		t.Fatal(err)
	}
	remote := resolved(t, client, testobj.RemoteDiary, ref)
	const calls = 10_000
	for n := range int64(calls) {
		if err := remote.Count(ctx(t), n); err != nil {
			t.Fatal(err)
		}
	}
	if err := rmi.Flush(ctx(t), remote); err != nil {
		t.Fatal(err)
	}
	if impl.wrong != "" || impl.counted != calls {
		t.Errorf("%d of %d calls ran; %s", impl.counted, calls, impl.wrong)
	}
	for n, c := range impl.kept {
		select {
		case <-c.Done():
		case <-ctx(t).Done():
			t.Fatalf("the context of call %d has not ended", n)
		}
		if c.Err() != context.Canceled {
			t.Fatalf("the context of call %d says %v", n, c.Err())
		}
	}
}
