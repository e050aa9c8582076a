package rmi_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/rmigo/rmigo/internal/leak"
	"github.com/rmigo/rmigo/internal/testobj"
	"github.com/rmigo/rmigo/internal/transport"
	"github.com/rmigo/rmigo/rmi"
)

// hearer is an object that says when nobody holds it any more.
type hearer struct {
	name string
	free chan string
}

func (h *hearer) Hear(context.Context, string) (string, error) { return h.name, nil }
func (h *hearer) Unreferenced()                                { h.free <- h.name }

// settle lets everything that is due happen, and time pass: garbage is collected.
func settle(d time.Duration) {
	runtime.GC()
	time.Sleep(d)
	synctest.Wait()
	runtime.GC()
}

func TestAnArgumentLivesAsLongAsItsReceiverHoldsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := memoryWorld(t)
		server, _ := w.server(rmi.Options{})
		client := w.node(rmi.Options{})
		impl := newService(server)
		remote := pass(t, server, client, impl)
		free := make(chan string, 9)
		if err := remote.Remember(ctx(t), &hearer{"first", free}); err != nil {
			t.Fatal(err)
		}
		settle(10 * time.Minute)
		heard, err := impl.Remembered(ctx(t))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := heard.Hear(ctx(t), ""); got != "first" || err != nil {
			t.Fatalf("after ten minutes, the callback gave %q, %v", got, err)
		}
		s := client.Stats()
		if s.Exports != 1 || s.Held != 1 || s.Pins != 0 {
			t.Errorf("the client has %+v, want one export, held by the server", s)
		}
		heard = nil
		began := time.Now()
		if err := remote.Remember(ctx(t), &hearer{"second", free}); err != nil {
			t.Fatal(err)
		}
		settle(time.Second)
		if got := <-free; got != "first" || time.Since(began) > 2*time.Second {
			t.Errorf("%q was given up after %v", got, time.Since(began))
		}
		settle(time.Second)
		if s := client.Stats(); s.Exports != 1 || s.Held != 1 {
			t.Errorf("the client has %+v, want the second export only", s)
		}
		client.Close()
		server.Close()
	})
}

func TestADeadHoldersObjectsAreGivenUpAfterTheLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := memoryWorld(t)
		server, endpoint := w.server(rmi.Options{})
		client := w.node(rmi.Options{})
		remote := pass(t, server, client, newService(server))
		free := make(chan string, 1)
		if err := remote.Remember(ctx(t), &hearer{"it", free}); err != nil {
			t.Fatal(err)
		}
		settle(time.Second)
		w.network.(*transport.Memory).Stall(endpoint)
		began := time.Now()
		<-free
		if d := time.Since(began); d < 55*time.Second || d > 68*time.Second {
			t.Errorf("the object was given up after %v of silence, want a lease of a minute and an eighth at most", d)
		}
		client.Close()
		server.Close()
	})
}

func TestReferencesGoOnAfterAReconnect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := memoryWorld(t)
		server, endpoint := w.server(rmi.Options{})
		client := w.node(rmi.Options{})
		impl := newService(server)
		remote := pass(t, server, client, impl)
		free := make(chan string, 1)
		if err := remote.Remember(ctx(t), &hearer{"it", free}); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			settle(time.Second)
			w.network.(*transport.Memory).Cut(endpoint)
			synctest.Wait()
			heard, _ := impl.Remembered(ctx(t))
			if got, err := heard.Hear(ctx(t), ""); got != "it" || err != nil {
				t.Fatalf("after the cut, the callback gave %q, %v", got, err)
			}
		}
		client.Close()
		server.Close()
	})
}

func TestUnexportIsToldToThoseWhoHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := memoryWorld(t)
		server, _ := w.server(rmi.Options{})
		client := w.node(rmi.Options{})
		impl := newService(server)
		remote := pass(t, server, client, impl)
		told := make(chan error, 1)
		go func() { told <- rmi.Monitor(ctx(t), remote) }()
		settle(time.Second)
		if err := rmi.Unexport(ctx(t), server, impl); err != nil {
			t.Fatal(err)
		}
		var e *rmi.Error
		if err := <-told; !errors.As(err, &e) || e.Kind != rmi.ErrNoSuchObject || e.Reason != rmi.Unexported {
			t.Errorf("Monitor returned %v", err)
		}
		if _, err := remote.Add(ctx(t), 1, 2); !errors.As(err, &e) || e.Reason != rmi.Unexported || !e.NotRun {
			t.Errorf("a call: %v", err)
		}
		client.Close()
		server.Close()
	})
}

func TestAReleasedStubSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := memoryWorld(t)
		server, _ := w.server(rmi.Options{})
		client := w.node(rmi.Options{})
		remote := pass(t, server, client, newService(server))
		if _, err := remote.Self(ctx(t)); err != nil {
			t.Fatal(err)
		}
		settle(time.Second)
		if h := server.Stats().Held; h != 1 {
			t.Errorf("%d objects are held", h)
		}
		rmi.Release(remote)
		rmi.Release(remote)
		if _, err := remote.Add(ctx(t), 1, 1); !errors.Is(err, rmi.ErrReleased) || rmi.MayHaveRun(err) {
			t.Errorf("a call through a released stub: %v", err)
		}
		settle(10 * time.Millisecond)
		if h := server.Stats().Held; h != 0 {
			t.Errorf("%d objects are held after the release", h)
		}
		client.Close()
		server.Close()
	})
}

func TestAClosedNodeKeepsNothingAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := memoryWorld(t)
		server, _ := w.server(rmi.Options{})
		client := w.node(rmi.Options{})
		kept := func() weak.Pointer[hearer] {
			h := &hearer{"it", make(chan string, 1)}
			if err := pass(t, server, client, newService(server)).Remember(ctx(t), h); err != nil {
				t.Fatal(err)
			}
			return weak.Make(h)
		}()
		settle(time.Second)
		if kept.Value() == nil {
			t.Fatal("an object that is held was collected")
		}
		client.Close()
		for range 50 {
			if settle(time.Second); kept.Value() == nil {
				break
			}
		}
		if kept.Value() != nil {
			t.Error("an object that was held when its node was closed is still there")
		}
		server.Close()
	})
}

func TestAWellKnownObjectIsHeldByNobody(t *testing.T) {
	leak.Check(t)
	pair(t, rmi.Options{}, func(t *testing.T, _ *world, server, client *rmi.Node, endpoint string) {
		servesRegistry(t, server)
		reg, err := rmi.LocateRegistry(ctx(t), client, "rmi://"+strings.TrimPrefix(endpoint, "tcp://"))
		if err != nil {
			t.Fatal(err)
		}
		settle(time.Second)
		if s, c := server.Stats(), client.Stats(); s.Held != 0 || c.Holding != 0 {
			t.Errorf("with a stub of the registry, the server has %+v and the client %+v; want nothing held", s, c)
		}
		runtime.KeepAlive(reg)
	})
}

// slowDepot gives a token, in its own time.
type slowDepot struct {
	testobj.Depot
	now chan struct{}
}

type coin struct{ number uint64 }

func (c *coin) Number(context.Context) (uint64, error) { return c.number, nil }

func (d *slowDepot) Give(context.Context, uint64) (int64, testobj.Token, error) {
	<-d.now
	return 0, &coin{1}, nil
}

func TestTheResultOfACallThatWasGivenUpIsLetGo(t *testing.T) {
	leak.Check(t)
	pair(t, rmi.Options{}, func(t *testing.T, _ *world, server, client *rmi.Node, _ string) {
		slow := &slowDepot{now: make(chan struct{})}
		ref, err := rmi.Export(server, testobj.RemoteDepot.Of(slow))
		if err != nil {
			t.Fatal(err)
		}
		depot := resolved(t, client, testobj.RemoteDepot, ref)
		c, cancel := context.WithTimeout(ctx(t), time.Second)
		defer cancel()
		if _, _, err := depot.Give(c, 1); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("the call ends in %v", err)
		}
		close(slow.now)
		settle(time.Second)
		settle(time.Second)
		if s := server.Stats(); s.Sent != 1 || s.Pins != 0 || s.Held != 0 {
			t.Errorf("after a reference in a reply that nobody waited for, the server has %+v; want nothing left of it", s)
		}
	})
}

func TestAnUnreferencedThatDoesNotReturnHoldsNothingUp(t *testing.T) {
	leak.Check(t)
	pair(t, rmi.Options{}, func(t *testing.T, _ *world, server, client *rmi.Node, _ string) {
		stuck, next := &hearer{"stuck", make(chan string)}, &hearer{"next", make(chan string, 1)}
		var stubs []testobj.Listener
		for _, impl := range []*hearer{stuck, next} {
			ref, err := rmi.Export(server, testobj.RemoteListener.Of(impl))
			if err != nil {
				t.Fatal(err)
			}
			stubs = append(stubs, resolved(t, client, testobj.RemoteListener, ref))
		}
		settle(time.Second)
		for _, s := range stubs {
			rmi.Release(s)
			settle(time.Minute) // long enough for a connection that is not read to be given up
		}
		if len(next.free) != 1 {
			t.Error("while one object's Unreferenced runs, another one is not told")
		}
		if got := <-stuck.free; got != "stuck" {
			t.Errorf("the first was told %q", got)
		}
	})
}

var _ testobj.Listener = (*hearer)(nil)
