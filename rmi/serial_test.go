package rmi_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rmigo/rmigo/internal/leak"
	"github.com/rmigo/rmigo/internal/testobj"
	"github.com/rmigo/rmigo/rmi"
)

// desk implements testobj.Desk; its calls may last, and call others.
type desk struct {
	hold    chan struct{} // Note waits for it, if it is there
	entered chan string   // receives for each Note that has begun, if it is there

	mu      sync.Mutex
	running int
	most    int
	notes   []string
}

func (d *desk) enter() func() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.running++
	d.most = max(d.most, d.running)
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.running--
	}
}

func (d *desk) Do(ctx context.Context, l testobj.Listener) (string, error) {
	defer d.enter()()
	return l.Hear(ctx, "next")
}

func (d *desk) Note(_ context.Context, text string) error {
	defer d.enter()()
	if d.entered != nil {
		d.entered <- text
	}
	if d.hold != nil {
		<-d.hold
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.notes = append(d.notes, text)
	return nil
}

// desks serves a desk in a node of its own, and returns how it is made a stub of.
func (w *world) desk() (*desk, func(client *rmi.Node) testobj.Desk) {
	w.t.Helper()
	server, _ := w.server(rmi.Options{})
	impl := &desk{}
	ref, err := rmi.Export(server, testobj.RemoteDesk.Of(impl))
	if err != nil {
		w.t.Fatal(err)
	}
	return impl, func(client *rmi.Node) testobj.Desk { return resolved(w.t, client, testobj.RemoteDesk, ref) }
}

func TestASerialObjectRunsOneCallAtATimeInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := memoryWorld(t)
		impl, stub := w.desk()
		impl.hold, impl.entered = make(chan struct{}), make(chan string, 100)
		client := w.node(rmi.Options{})
		remote := stub(client)
		var all sync.WaitGroup
		want := []string{}
		for i := range 20 {
			text := fmt.Sprint(i)
			want = append(want, text)
			all.Go(func() {
				if err := remote.Note(t.Context(), text); err != nil {
					t.Error(err)
				}
			})
			synctest.Wait() // it is there, and waits
		}
		for i := range 20 {
			if first := <-impl.entered; first != fmt.Sprint(i) || len(impl.entered) > 0 {
				t.Errorf("call %s runs, and %d beside it; want %d alone", first, len(impl.entered), i)
			}
			impl.hold <- struct{}{}
			synctest.Wait()
		}
		all.Wait()
		if fmt.Sprint(impl.notes) != fmt.Sprint(want) || impl.most != 1 {
			t.Errorf("they ran in the order %v, up to %d at once", impl.notes, impl.most)
		}
	})
}

func TestASerialObjectIsCalledByItsOwnChain(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		impl, stub := w.desk()
		client := w.node(rmi.Options{})
		remote := stub(client)
		depth := 0
		var back *listener
		back = &listener{on: func(c context.Context, text string) (string, error) {
			if depth++; depth < 20 {
				return remote.Do(c, back)
			}
			return "deep", remote.Note(c, "in the chain")
		}}
		var all sync.WaitGroup
		for range 3 { // others wait meanwhile
			all.Go(func() {
				if err := remote.Note(ctx(t), "outside"); err != nil {
					t.Error(err)
				}
			})
		}
		if got, err := remote.Do(ctx(t), back); got != "deep" || err != nil {
			t.Errorf("Do = %q, %v", got, err)
		}
		all.Wait()
		if len(impl.notes) != 4 {
			t.Errorf("notes are %q", impl.notes)
		}
	})
}

func TestAChainThatWasNotToldItsContextWaitsLikeAnyOther(t *testing.T) {
	leak.Check(t)
	w := memoryWorld(t)
	_, stub := w.desk()
	remote := stub(w.node(rmi.Options{}))
	back := &listener{on: func(context.Context, string) (string, error) {
		c, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond) // of no chain
		defer cancel()
		return "", remote.Note(c, "who am I?")
	}}
	if _, err := remote.Do(ctx(t), back); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a call without its chain's context: %v; want that it waits until its deadline", err)
	}
}

// Two desks in two processes, each of whose callers goes on to the other one: a classic.
func TestADeadlockAcrossObjectsEndsInATypedError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := memoryWorld(t)
		const desks = 4
		stubs := make([]func(*rmi.Node) testobj.Desk, desks)
		for i := range stubs {
			_, stubs[i] = w.desk()
		}
		var inside sync.WaitGroup
		inside.Add(desks)
		errs := make([]error, desks)
		start := time.Now()
		var all sync.WaitGroup
		for i := range desks {
			all.Go(func() {
				client := w.node(rmi.Options{})
				here, next := stubs[i](client), stubs[(i+1)%desks](client)
				_, errs[i] = here.Do(t.Context(), &listener{on: func(c context.Context, _ string) (string, error) {
					inside.Done()
					inside.Wait()
					return "", next.Note(c, "round")
				}})
			})
		}
		all.Wait()
		refused := 0
		for _, err := range errs {
			switch {
			case errors.Is(err, rmi.ErrDeadlock):
				refused++
			case err != nil:
				t.Error(err)
			}
		}
		if refused != 1 {
			t.Errorf("%d of the calls were refused, want one: %v", refused, errs)
		}
		if took := time.Since(start); took != time.Second {
			t.Errorf("the deadlock was found after %v, want a second", took)
		}
	})
}

func TestAOneWayCallTakesItsTurnAtASerialObject(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := memoryWorld(t)
		server, _ := w.server(rmi.Options{})
		impl := &struct {
			*desk
			*diaryOf
		}{&desk{}, &diaryOf{&diary{}}}
		if _, err := rmi.Export(server, testobj.RemoteDesk.Of(impl)); err != nil {
			t.Fatal(err)
		}
		ref, err := rmi.Export(server, testobj.RemoteDiary.Of(impl))
		if err != nil {
			t.Fatal(err)
		}
		client := w.node(rmi.Options{})
		asDesk, asDiary := resolved(t, client, testobj.RemoteDesk, ref), resolved(t, client, testobj.RemoteDiary, ref)
		impl.hold = make(chan struct{})
		go asDesk.Note(t.Context(), "first")
		synctest.Wait()
		asDiary.Count(t.Context(), 0)
		synctest.Wait()
		if impl.d.counted != 0 {
			t.Error("the one-way call ran beside another one")
		}
		close(impl.hold)
		if err := rmi.Flush(t.Context(), asDiary); err != nil || impl.d.counted != 1 {
			t.Errorf("Flush = %v; it ran %d times", err, impl.d.counted)
		}
	})
}

// diaryOf is a diary but for Note, which the desk has.
type diaryOf struct{ d *diary }

func (d *diaryOf) Count(ctx context.Context, n int64) error          { return d.d.Count(ctx, n) }
func (d *diaryOf) Ask(ctx context.Context, l testobj.Listener) error { return d.d.Ask(ctx, l) }
func (d *diaryOf) Read(ctx context.Context, n int) ([]string, error) { return d.d.Read(ctx, n) }
