package rmi_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rmigo/rmigo/internal/leak"
	"github.com/rmigo/rmigo/internal/testobj"
	"github.com/rmigo/rmigo/internal/transport"
	"github.com/rmigo/rmigo/registry"
	"github.com/rmigo/rmigo/rmi"
)

// counting is a network that counts the connections accepted.
type counting struct {
	transport.Sockets
	accepts *atomic.Int64
}

func (c counting) Listen(endpoint string) (net.Listener, error) {
	l, err := c.Sockets.Listen(endpoint)
	return countingListener{l, c.accepts}, err
}

type countingListener struct {
	net.Listener
	accepts *atomic.Int64
}

func (l countingListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err == nil {
		l.accepts.Add(1)
	}
	return c, err
}

func TestTenThousandCallsFromAHundredGoroutinesShareOneConnection(t *testing.T) {
	leak.Check(t)
	w := tcpWorld(t)
	var accepts atomic.Int64
	server, _ := w.server(rmi.Options{Network: counting{accepts: &accepts}})
	client := w.node(rmi.Options{})
	impl := newService(server)
	remote := pass(t, server, client, impl)
	c := ctx(t)
	var wg sync.WaitGroup
	for g := range int64(100) {
		wg.Go(func() {
			for i := range int64(100) {
				if sum, err := remote.Add(c, g, i); sum != g+i || err != nil {
					t.Errorf("Add(%d, %d) = %d, %v", g, i, sum, err)
					return
				}
			}
		})
	}
	wg.Wait()
	if n := impl.calls.Load(); n != 10_000 {
		t.Errorf("the method ran %d times, want 10,000", n)
	}
	if n := accepts.Load(); n != 1 {
		t.Errorf("%d connections were accepted, want 1", n)
	}
}

func TestRecursionBetweenTwoProcessesFiveHundredDeep(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		_, _, remote, client := w.served()
		if depth, err := remote.Recurse(ctx(t), newService(client), 500); depth != 500 || err != nil {
			t.Errorf("Recurse = %d, %v; want 500", depth, err)
		}
	})
}

func TestTwoHundredConcurrentCallsEachCallBack(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		server, _ := w.server(rmi.Options{MaxCalls: 200})
		client := w.node(rmi.Options{MaxCalls: 1})
		remote := pass(t, server, client, newService(server))
		c := ctx(t)
		all := make(chan struct{})
		var arrived atomic.Int64
		var wg sync.WaitGroup
		for i := range 200 {
			wg.Go(func() {
				l := &listener{on: func(context.Context, string) (string, error) {
					if arrived.Add(1) == 200 {
						close(all) // all two hundred are inside their callbacks at once
					}
					select {
					case <-all:
					case <-c.Done():
					}
					return fmt.Sprint(i), nil
				}}
				if got, err := remote.Tell(c, l, ""); got != fmt.Sprint(i) || err != nil {
					t.Errorf("call %d: %q, %v", i, got, err)
				}
			})
		}
		wg.Wait()
	})
}

func TestMoreRootCallsThanAdmittedAreRefusedAndDidNotRun(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		server, _ := w.server(rmi.Options{MaxCalls: 3})
		client := w.node(rmi.Options{})
		impl := newService(server)
		remote := pass(t, server, client, impl)
		c, cancel := context.WithCancel(ctx(t))
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() { remote.Block(c) })
			<-impl.blocked
		}
		if _, err := remote.Add(ctx(t), 1, 1); !errors.Is(err, rmi.ErrOverloaded) || rmi.MayHaveRun(err) {
			t.Errorf("a fourth call: %v; want ErrOverloaded, not run", err)
		}
		cancel()
		wg.Wait()
		for range 3 {
			<-impl.ended
		}
		for { // the calls end at the server a moment after the callers gave up
			if _, err := remote.Add(ctx(t), 1, 1); err == nil {
				break
			} else if !errors.Is(err, rmi.ErrOverloaded) {
				t.Fatal(err)
			}
		}
	})
}

func TestAChainNestedTooDeepEndsInATypedError(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		server, _ := w.server(rmi.Options{MaxCallDepth: 10})
		client := w.node(rmi.Options{MaxCallDepth: 10})
		remote := pass(t, server, client, newService(server))
		if _, err := remote.Recurse(ctx(t), newService(client), 100); !errors.Is(err, rmi.ErrLimit) {
			t.Errorf("a chain beyond MaxCallDepth: %v, want ErrLimit", err)
		}
		if n, err := remote.Recurse(ctx(t), newService(client), 10); n != 10 || err != nil {
			t.Errorf("a chain of MaxCallDepth: %d, %v", n, err)
		}
	})
}

func TestACallIsEndedByTheNodesDefaultTimeout(t *testing.T) {
	leak.Check(t)
	w := memoryWorld(t)
	server, _ := w.server(rmi.Options{})
	client := w.node(rmi.Options{Timeout: 30 * time.Millisecond})
	impl := newService(server)
	remote := pass(t, server, client, impl)
	if err := remote.Block(context.Background()); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a call without deadline, with Options.Timeout: %v", err)
	}
	<-impl.ended
}

func TestTwoProcessesThatDialEachOtherAtOnceKeepOneConnection(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		for range 20 {
			a, _ := w.server(rmi.Options{})
			b, _ := w.server(rmi.Options{})
			implA, implB := newService(a), newService(b)
			onA, onB := pass(t, b, a, implB), pass(t, a, b, implA)
			c := ctx(t)
			start := make(chan struct{})
			var wg sync.WaitGroup
			for _, s := range []testobj.Service{onA, onB} {
				for range 4 {
					wg.Go(func() {
						<-start
						for i := range int64(20) {
							if _, err := s.Add(c, i, i); err != nil {
								t.Errorf("a call while both sides dialled: %v", err)
							}
						}
					})
				}
			}
			close(start)
			wg.Wait()
			hasLinks(t, a, 1)
			hasLinks(t, b, 1)
			a.Close()
			b.Close()
		}
	})
}

// hasLinks waits until the node has so many connections.
func hasLinks(t *testing.T, n *rmi.Node, want int) {
	t.Helper()
	for c := ctx(t); rmi.LinksOf(n) != want; runtime.Gosched() {
		if c.Err() != nil {
			t.Fatalf("the node has %d connections, want %d", rmi.LinksOf(n), want)
		}
	}
}

func TestASilentPeerIsProbedAndThenDeadAtTheInstantsOfLiveness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := memoryWorld(t)
		server, endpoint := w.server(rmi.Options{})
		client := w.node(rmi.Options{})
		impl := newService(server)
		remote := pass(t, server, client, impl)
		if _, err := remote.Add(ctx(t), 1, 1); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if rmi.LinksOf(client) != 1 {
			t.Fatal("an idle connection did not live through ten minutes of probes")
		}
		done := make(chan error, 1)
		go func() { done <- remote.Block(context.Background()) }()
		<-impl.blocked
		w.network.(*transport.Memory).Stall(endpoint)
		began := time.Now()
		err := <-done
		if after := time.Since(began); after < 10*time.Second || after > 15*time.Second {
			t.Errorf("the call ended after %v of silence, want 15 s after the last sign of life, which came up to 5 s before", after)
		}
		if !errors.Is(err, rmi.ErrUnreachable) || !rmi.MayHaveRun(err) {
			t.Errorf("a call over a dead connection: %v; want ErrUnreachable, may have run", err)
		}
		if err := <-impl.ended; !errors.Is(err, rmi.ErrUnreachable) {
			t.Errorf("the method was cancelled with %v, want ErrUnreachable", err)
		}
		client.Close()
		server.Close()
	})
}

func TestCallsGoOnOverANewConnectionAfterOneBroke(t *testing.T) {
	leak.Check(t)
	w := memoryWorld(t)
	server, endpoint := w.server(rmi.Options{})
	client := w.node(rmi.Options{})
	impl := newService(server)
	remote := pass(t, server, client, impl)
	l := &listener{}
	if err := remote.Remember(ctx(t), l); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- remote.Block(ctx(t)) }()
	<-impl.blocked
	w.network.(*transport.Memory).Cut(endpoint)
	if err := <-done; !errors.Is(err, rmi.ErrUnreachable) || !rmi.MayHaveRun(err) {
		t.Errorf("the call under way: %v; want ErrUnreachable, may have run", err)
	}
	if sum, err := remote.Add(ctx(t), 2, 2); sum != 4 || err != nil {
		t.Errorf("the next call: %d, %v; want it to go over a new connection", sum, err)
	}
	if back, err := remote.Remembered(ctx(t)); back != testobj.Listener(l) || err != nil {
		t.Errorf("the listener passed before: %v, %v", back, err)
	}
	if got, err := impl.kept.Hear(ctx(t), "again"); got != "heard again" || err != nil {
		t.Errorf("a callback over the new connection: %q, %v", got, err)
	}
	<-impl.ended
}

func TestReferencesToAProcessThatWasReplacedSaySo(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		server, endpoint := w.server(rmi.Options{})
		client := w.node(rmi.Options{})
		remote := pass(t, server, client, newService(server))
		if _, err := remote.Add(ctx(t), 1, 1); err != nil {
			t.Fatal(err)
		}
		server.Close()
		hasLinks(t, client, 0) // until then, a call may be on its way
		if _, err := remote.Add(ctx(t), 1, 1); !errors.Is(err, rmi.ErrUnreachable) || rmi.MayHaveRun(err) {
			t.Errorf("a call to a process that is gone: %v; want ErrUnreachable, not run", err)
		}
		next := w.node(rmi.Options{})
		if _, err := next.Listen(endpoint); err != nil {
			t.Fatal(err)
		}
		_, err := remote.Add(ctx(t), 1, 1)
		var e *rmi.Error
		if !errors.As(err, &e) || e.Kind != rmi.ErrNoSuchObject || e.Reason != rmi.Restarted || rmi.MayHaveRun(err) {
			t.Errorf("a call to a process that was replaced: %v; want ErrNoSuchObject, restarted, not run", err)
		}
		if s := pass(t, next, client, newService(next)); s == remote {
			t.Error("the new process's object is the old one's")
		}
	})
}

func TestShutdownLetsRunningCallsFinishAndRefusesNewOnes(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		_, server, remote, _ := w.served()
		inside, release := make(chan struct{}), make(chan struct{})
		l := &listener{on: func(c context.Context, text string) (string, error) {
			close(inside)
			<-release
			return "finished", nil
		}}
		told := make(chan error, 1)
		go func() {
			got, err := remote.Tell(ctx(t), l, "x")
			if err == nil && got != "finished" {
				err = fmt.Errorf("got %q", got)
			}
			told <- err
		}()
		<-inside
		shut := make(chan error, 1)
		go func() { shut <- server.Shutdown(ctx(t)) }()
		for {
			_, err := remote.Add(ctx(t), 1, 1)
			if err == nil {
				continue // it has not begun yet
			}
			if !errors.Is(err, rmi.ErrNodeClosed) || rmi.MayHaveRun(err) {
				t.Errorf("a new call while shutting down: %v; want ErrNodeClosed, not run", err)
			}
			break
		}
		close(release)
		if err := <-told; err != nil {
			t.Errorf("the running call: %v; want it finished", err)
		}
		if err := <-shut; err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		if _, err := remote.Add(ctx(t), 1, 1); !errors.Is(err, rmi.ErrNoSuchObject) || rmi.MayHaveRun(err) {
			t.Errorf("a call after the shutdown: %v; want ErrNoSuchObject, not run", err)
		}
	})
}

func TestAClosedNodeRefusesEverythingAndClosingTwiceIsHarmless(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		_, server, remote, client := w.served()
		client.Close()
		if _, err := remote.Add(ctx(t), 1, 1); !errors.Is(err, rmi.ErrNodeClosed) || rmi.MayHaveRun(err) {
			t.Errorf("a call from a closed node: %v; want ErrNodeClosed, not run", err)
		}
		if _, err := client.Listen(w.listen()); !errors.Is(err, rmi.ErrNodeClosed) {
			t.Errorf("Listen on a closed node: %v", err)
		}
		if _, err := rmi.Export(client, testobj.RemoteListener.Of(&listener{})); !errors.Is(err, rmi.ErrNodeClosed) {
			t.Errorf("Export from a closed node: %v", err)
		}
		if err := client.Close(); err != nil {
			t.Error(err)
		}
		server.Close()
	})
}

func TestIdleConnectionsBeyondTheBoundAreClosedAndDialledAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := memoryWorld(t)
		client := w.node(rmi.Options{Limits: rmi.Limits{IdleConnections: 2}})
		var urls []string
		for range 5 { // registries, since connections to what is held stay open
			server, endpoint := w.server(rmi.Options{})
			reg, err := registry.New(registry.Options{})
			if err == nil {
				err = rmi.ServeRegistry(server, reg)
			}
			urls = append(urls, "rmi://"+strings.TrimPrefix(endpoint, "tcp://"))
			if _, listed := rmi.List(ctx(t), client, urls[len(urls)-1]); err != nil || listed != nil {
				t.Fatal(err, listed)
			}
		}
		time.Sleep(20 * time.Second)
		synctest.Wait()
		if n := rmi.LinksOf(client); n != 2 {
			t.Errorf("%d idle connections are open, want the bound of 2", n)
		}
		for i, url := range urls {
			if _, err := rmi.List(ctx(t), client, url); err != nil {
				t.Errorf("a call over connection %d, closed for being idle: %v", i, err)
			}
		}
	})
}

func TestCallsToAPeerThatStopsReadingEndAtTheirDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := memoryWorld(t)
		server, endpoint := w.server(rmi.Options{})
		client := w.node(rmi.Options{})
		remote := pass(t, server, client, newService(server))
		if _, err := remote.Add(ctx(t), 1, 1); err != nil {
			t.Fatal(err)
		}
		w.network.(*transport.Memory).Stall(endpoint)
		began := time.Now()
		for _, size := range []int{0, 1000, 100_000, 4 << 20} {
			var wg sync.WaitGroup
			for range 100 {
				wg.Go(func() {
					start := time.Now()
					c, cancel := context.WithTimeout(context.Background(), time.Second)
					defer cancel()
					_, err := remote.Bytes(c, make([]byte, size))
					if took := time.Since(start); took != time.Second || !errors.Is(err, context.DeadlineExceeded) {
						t.Errorf("a call with %d bytes ended after %v with %v, want its deadline of 1 s", size, took, err)
					}
				})
			}
			wg.Wait()
		}
		if time.Since(began) > 10*time.Second {
			t.Error("the test took longer than the connection may be silent: it shows nothing")
		}
		client.Close()
		server.Close()
	})
}
