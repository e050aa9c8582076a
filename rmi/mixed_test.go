package rmi_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rmigo/rmigo/internal/leak"
	"github.com/rmigo/rmigo/internal/testobj"
	"github.com/rmigo/rmigo/internal/transport"
	"github.com/rmigo/rmigo/internal/wire"
	"github.com/rmigo/rmigo/rmi"
	"github.com/rmigo/rmigo/stub"
)

// Kinds of calls that meet: promises, stubs of what was promised, one-way calls, batches, serial objects, callbacks.

// booth implements testobj.Booth.
type booth struct{ takes time.Duration }

func (b *booth) Self(context.Context) (testobj.Booth, error) {
	time.Sleep(b.takes)
	return b, nil
}

func (b *booth) Meet(_ context.Context, other testobj.Booth) (bool, error) {
	return other == testobj.Booth(b), nil
}

// hall implements testobj.Hall.
type hall struct {
	booth *booth
	inner *hall
	takes time.Duration

	mu   sync.Mutex
	rung int
}

func (h *hall) Booth(context.Context) (testobj.Booth, error) {
	time.Sleep(h.takes)
	return h.booth, nil
}

func (h *hall) Inner(context.Context) (testobj.Hall, error) {
	time.Sleep(h.takes)
	if h.inner == nil {
		return nil, nil
	}
	return h.inner, nil
}

func (h *hall) Ring(context.Context, int) error {
	time.Sleep(time.Millisecond)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.rung++
	return nil
}

func (h *hall) Rung(context.Context) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.rung, nil
}

func (h *hall) Visit(ctx context.Context, f func(context.Context, int) error) error { return f(ctx, 1) }

// halls serves a hall with one inside, and calls test with it in virtual time.
func halls(t *testing.T, test func(t *testing.T, impl *hall, remote testobj.Hall, server, client *rmi.Node)) {
	synctest.Test(t, func(t *testing.T) {
		w := memoryWorld(t)
		server, _ := w.server(rmi.Options{})
		client := w.node(rmi.Options{})
		impl := &hall{booth: &booth{takes: time.Second}, takes: time.Second, inner: &hall{booth: &booth{}}}
		ref, err := rmi.Export(server, testobj.RemoteHall.Of(impl))
		if err != nil {
			t.Fatal(err)
		}
		test(t, impl, resolved(t, client, testobj.RemoteHall, ref), server, client)
		client.Close()
		server.Close()
	})
}

func TestACallbackOfACallOnAPromiseMayCallThePromise(t *testing.T) {
	leak.Check(t)
	halls(t, func(t *testing.T, _ *hall, remote testobj.Hall, _, _ *rmi.Node) {
		for _, settled := range []bool{false, true} {
			p := testobj.AsyncHallOf(remote).Inner(ctx(t))
			if settled {
				if _, err := rmi.Await(ctx(t), p.Promise()); err != nil {
					t.Fatal(err)
				}
			}
			before := time.Now()
			_, err := p.Visit(ctx(t), func(c context.Context, _ int) error {
				if _, err := p.Rung(c).Wait(c); err != nil {
					return err
				}
				_, err := p.Promise().Rung(c)
				return err
			}).Wait(ctx(t))
			if took := time.Since(before); err != nil || took > 2*time.Second {
				t.Errorf("settled %v: by its view: %v, after %v", settled, err, took)
			}
			err = p.Promise().Visit(ctx(t), func(c context.Context, _ int) error {
				_, err := p.Promise().Rung(c)
				return err
			})
			if err != nil {
				t.Errorf("settled %v: as a stub: %v", settled, err)
			}
		}
	})
}

func TestACallOnASerialObjectLetsTheCallsByThatItsArgumentsAreOf(t *testing.T) {
	leak.Check(t)
	halls(t, func(t *testing.T, _ *hall, remote testobj.Hall, _, _ *rmi.Node) {
		view := testobj.AsyncHallOf(remote)
		child := view.Booth(ctx(t)).Self(ctx(t)) // in one pipe
		same, err := view.Booth(ctx(t)).Meet(ctx(t), child.Promise()).Wait(ctx(t))
		if err != nil || !same {
			t.Errorf("the booth meets itself: %v, %v", same, err)
		}
	})
}

func TestAnAsynchronousCallDoesNotWaitForThePromisesAmongItsArguments(t *testing.T) {
	leak.Check(t)
	halls(t, func(t *testing.T, impl *hall, remote testobj.Hall, server, client *rmi.Node) {
		other := &booth{}
		ref, err := rmi.Export(server, testobj.RemoteBooth.Of(other))
		if err != nil {
			t.Fatal(err)
		}
		stub := testobj.AsyncBoothOf(resolved(t, client, testobj.RemoteBooth, ref))
		start := time.Now()
		promised := testobj.AsyncHallOf(remote).Booth(ctx(t))
		met := stub.Meet(ctx(t), promised.Promise())
		itself := stub.Meet(ctx(t), stub.Self(ctx(t)).Promise())
		if took := time.Since(start); took != 0 {
			t.Errorf("the calls were on their way after %v, want at once", took)
		}
		if same, err := met.Wait(ctx(t)); err != nil || same {
			t.Errorf("it met another one: %v, %v", same, err)
		}
		if same, err := itself.Wait(ctx(t)); err != nil || !same {
			t.Errorf("it met itself: %v, %v", same, err)
		}
		failed := testobj.AsyncHallOf(remote).Inner(ctx(t)).Inner(ctx(t)).Booth(ctx(t)) // there is none inside the one inside
		_, err = stub.Meet(ctx(t), failed.Promise()).Wait(ctx(t))
		if !errors.Is(err, rmi.ErrBroken) || !strings.Contains(err.Error(), "returned nil") {
			t.Errorf("it met nobody: %v; want ErrBroken with the first cause", err)
		}
	})
}

func TestOneWayCallsAreInOrderWithOthersByWhateverHandle(t *testing.T) {
	leak.Check(t)
	halls(t, func(t *testing.T, impl *hall, remote testobj.Hall, _, _ *rmi.Node) {
		const rings = 30
		view := testobj.AsyncHallOf(remote)
		p := view.Inner(ctx(t))
		early := view.Inner(ctx(t))
		for n := range rings { // on what is not there yet
			early.Ring(ctx(t), n)
		}
		of, err := rmi.Await(ctx(t), early.Promise())
		if err != nil {
			t.Fatal(err)
		}
		if rung, err := of.Rung(ctx(t)); err != nil || rung != rings {
			t.Errorf("of %d calls on a promise, %d ran before one by the stub that it became, %v", rings, rung, err)
		}
		sub, err := rmi.Await(ctx(t), p.Promise())
		if err != nil {
			t.Fatal(err)
		}
		byStub := func() {
			for n := range rings {
				if err := sub.Ring(ctx(t), n); err != nil {
					t.Fatal(err)
				}
			}
		}
		byView := func() {
			for n := range rings {
				p.Ring(ctx(t), n)
			}
		}
		count := func() (int, error) { return sub.Rung(ctx(t)) }
		for name, then := range map[string]struct {
			ring func()
			last func() (int, error)
		}{
			"stub, view":    {byStub, func() (int, error) { return p.Rung(ctx(t)).Wait(ctx(t)) }},
			"stub, promise": {byStub, func() (int, error) { return p.Promise().Rung(ctx(t)) }},
			"view, stub":    {byView, count},
			"view, stub, stub": {func() {
				byView()
				if err := sub.Ring(ctx(t), 0); err != nil {
					t.Fatal(err)
				}
				impl.inner.mu.Lock()
				impl.inner.rung-- // that one
				impl.inner.mu.Unlock()
			}, count},
			"view, flush of the promise": {byView, func() (int, error) {
				if err := rmi.Flush(ctx(t), p.Promise()); err != nil {
					return 0, err
				}
				return impl.inner.Rung(ctx(t))
			}},
			"view, flush of the stub": {byView, func() (int, error) {
				if err := rmi.Flush(ctx(t), sub); err != nil {
					return 0, err
				}
				return impl.inner.Rung(ctx(t))
			}},
			"stub, flush of the promise": {byStub, func() (int, error) {
				if err := rmi.Flush(ctx(t), p.Promise()); err != nil {
					return 0, err
				}
				return impl.inner.Rung(ctx(t))
			}},
		} {
			impl.inner.mu.Lock()
			impl.inner.rung = 0
			impl.inner.mu.Unlock()
			then.ring()
			if rung, err := then.last(); err != nil || rung != rings {
				t.Errorf("%s: %d of %d ran before, %v", name, rung, rings, err)
			}
			if err := errors.Join(rmi.Flush(ctx(t), p.Promise()), rmi.Flush(ctx(t), sub)); err != nil {
				t.Error(err)
			}
		}
	})
}

func TestABatchWhoseContextEndsHarmsNobodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := memoryWorld(t)
		server, endpoint := w.server(rmi.Options{})
		client := w.node(rmi.Options{})
		remote := w.treeStub(server, client, newTree("", &effects{}))
		text := strings.Repeat("x", 12<<10)
		if err := remote.Append(ctx(t), text); err != nil {
			t.Fatal(err)
		}
		network := w.network.(*transport.Memory)
		network.Stall(endpoint)
		var calls sync.WaitGroup
		for range 200 { // more than waits to be sent
			calls.Go(func() {
				if err := remote.Append(ctx(t), text); err != nil {
					t.Errorf("a call that is in no batch: %v", err)
				}
			})
		}
		synctest.Wait()
		c, cancel := context.WithCancel(ctx(t))
		var futures []*rmi.Future[stub.None]
		err := rmi.Batch(c, func(c context.Context) error {
			for range 2 {
				futures = append(futures, testobj.AsyncDirOf(remote).Append(c, text))
			}
			time.AfterFunc(time.Second, cancel)
			return nil
		})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("the batch: %v", err)
		}
		for _, f := range futures {
			if _, err := f.Wait(ctx(t)); !errors.Is(err, context.Canceled) {
				t.Errorf("a call of it: %v; want the end of its context", err)
			}
		}
		network.Resume(endpoint)
		calls.Wait()
		client.Close()
		server.Close()
	})
}

// lingering is a tree whose Append waits for the end of its context.
type lingering struct{ *tree }

func (p *lingering) Append(ctx context.Context, _ string) error {
	<-ctx.Done()
	return context.Cause(ctx)
}

func TestACallOfABatchCanBeCancelledBeforeTheBatchIsSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := memoryWorld(t)
		server, _ := w.server(rmi.Options{})
		client := w.node(rmi.Options{})
		ref, err := rmi.Export(server, testobj.RemoteDir.Of(&lingering{newTree("", &effects{})}))
		if err != nil {
			t.Fatal(err)
		}
		view := testobj.AsyncDirOf(resolved(t, client, testobj.RemoteDir, ref))
		var read *rmi.Future[string]
		err = rmi.Batch(ctx(t), func(c context.Context) error {
			f := view.Append(c, "")
			read = view.Read(c)
			f.Cancel()
			<-f.Done()
			synctest.Wait() // the cancellation has come
			return nil
		})
		start := time.Now()
		if _, rerr := read.Wait(ctx(t)); err != nil || rerr != nil || time.Since(start) != 0 {
			t.Errorf("the call behind the one that was cancelled: %v, %v, after %v", err, rerr, time.Since(start))
		}
		client.Close()
		server.Close()
	})
}

func TestWhatDoesNotReturnLeavesNobodyWaiting(t *testing.T) {
	leak.Check(t)
	_, remote, _, _ := tcpWorld(t).trees(rmi.Options{})
	for name, leave := range map[string]func(){"panic": func() { panic("no more") }, "Goexit": runtime.Goexit} {
		var f *rmi.Future[stub.None]
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			defer func() { _ = recover() }()
			_ = rmi.Batch(ctx(t), func(c context.Context) error {
				f = testobj.AsyncDirOf(remote).Append(c, "x")
				leave()
				return nil
			})
		}()
		<-ended
		if _, err := f.Wait(ctx(t)); err == nil || rmi.MayHaveRun(err) {
			t.Errorf("%s: the call of a batch whose function does not return: %v", name, err)
		}
	}
	local := testobj.AsyncHallOf(testobj.Hall(&leaver{}))
	if _, err := local.Rung(ctx(t)).Wait(ctx(t)); err == nil {
		t.Error("a local method that does not return has no error")
	}
	asked := rmi.Broadcast(ctx(t), []int{1, 2}, func(context.Context, int) (int, error) {
		runtime.Goexit()
		return 0, nil
	})
	for a := range asked {
		if a.Err == nil {
			t.Error("a member whose ask does not return has no error")
		}
	}
}

// leaver is a hall whose Rung ends its goroutine.
type leaver struct{ hall }

func (*leaver) Rung(context.Context) (int, error) {
	runtime.Goexit()
	return 0, nil
}

func TestWhatALocalObjectReturnsMayBeNil(t *testing.T) {
	leak.Check(t)
	p := testobj.AsyncHallOf(testobj.Hall(&hall{})).Inner(ctx(t))
	if _, err := p.Rung(ctx(t)).Wait(ctx(t)); !errors.Is(err, rmi.ErrBroken) {
		t.Errorf("a call on nothing: %v, want ErrBroken", err)
	}
	if got, err := rmi.Await(ctx(t), p.Promise()); got != nil || err != nil {
		t.Errorf("what was promised is %v, %v, want nil", got, err)
	}
}

// lockstep is a diary whose sixth count, and whose Read, wait until they are let go.
type lockstep struct {
	diary
	counting, reading chan struct{}
}

func (d *lockstep) Count(_ context.Context, n int64) error {
	if n == 5 {
		<-d.counting
	}
	return nil
}

func (d *lockstep) Read(context.Context, int) ([]string, error) {
	<-d.reading
	return nil, nil
}

func TestUnexportWaitsForCallsThoughOneWayCallsAreLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := memoryWorld(t)
		server, _ := w.server(rmi.Options{})
		one, two := w.node(rmi.Options{}), w.node(rmi.Options{})
		impl := &lockstep{counting: make(chan struct{}), reading: make(chan struct{})}
		ref, err := rmi.Export(server, testobj.RemoteDiary.Of(impl))
		if err != nil {
			t.Fatal(err)
		}
		counts, reads := resolved(t, one, testobj.RemoteDiary, ref), resolved(t, two, testobj.RemoteDiary, ref)
		var reading sync.WaitGroup
		reading.Go(func() { _, _ = reads.Read(ctx(t), 0) })
		synctest.Wait()
		for n := range int64(1000) {
			if err := counts.Count(ctx(t), n); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		gone := make(chan error)
		go func() { gone <- rmi.Unexport(ctx(t), server, impl) }()
		synctest.Wait()
		close(impl.counting)
		synctest.Wait()
		select {
		case err := <-gone:
			t.Fatalf("Unexport returned while a method runs, %v", err)
		default:
		}
		close(impl.reading)
		if err := <-gone; err != nil {
			t.Error(err)
		}
		reading.Wait()
		one.Close()
		two.Close()
		server.Close()
	})
}

func TestAPeerThatFloodsWithRowsAheadOfTheirTurnLosesItsConnection(t *testing.T) {
	leak.Check(t)
	server, endpoint := tcpWorld(t).server(rmi.Options{Limits: rmi.Limits{PendingBytes: 1 << 20}})
	i, _ := intrudeWith(t, endpoint, wire.Hello{Process: [16]byte{5}, Token: [16]byte{7}, Features: ^uint64(0)})
	for k := byte(1); k < 255; k++ {
		row := wire.AppendRowHeader(nil, wire.RowHeader{Place: 2, Object: [16]byte{k}, Method: 300})
		for range wire.RowWindow - 2 {
			row = wire.AppendInRow(row, nil)
		}
		if err := wire.FinishFrame(row); err != nil {
			t.Fatal(err)
		}
		if _, err := i.lane.Write(row); err != nil {
			break // it was given up
		}
	}
	select {
	case <-i.session.Done():
	case <-time.After(10 * time.Second): // before it would be taken for dead
		_, pending := rmi.StreamsOf(server)
		t.Errorf("a peer with 8 MiB of calls that cannot run is still there; %d bytes wait", pending)
	}
	eventually(t, 10*time.Second, func() bool { _, pending := rmi.StreamsOf(server); return pending == 0 }, func() string { return "bytes wait for ever" })
}
