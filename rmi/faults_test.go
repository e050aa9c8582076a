package rmi_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rmigo/rmigo/internal/leak"
	"github.com/rmigo/rmigo/internal/testobj"
	"github.com/rmigo/rmigo/internal/transport"
	"github.com/rmigo/rmigo/internal/wire"
	"github.com/rmigo/rmigo/rmi"
)

func TestWhatErrorsSayOfRunningIsTrueWhileConnectionsAreCut(t *testing.T) {
	leak.Check(t)
	w := memoryWorld(t)
	memory := w.network.(*transport.Memory)
	server, endpoint := w.server(rmi.Options{})
	client := w.node(rmi.Options{})
	impl := newService(server)
	remote := pass(t, server, client, impl)
	c := ctx(t)
	var done, mayHaveRun, notRun atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 300 {
				_, err := remote.Add(c, 1, 1)
				switch {
				case err == nil:
					done.Add(1)
				case !errors.Is(err, rmi.ErrUnreachable):
					t.Errorf("a call over a connection that was cut: %v, want ErrUnreachable", err)
				case rmi.MayHaveRun(err):
					mayHaveRun.Add(1)
				default:
					notRun.Add(1)
				}
				if n := done.Load() + mayHaveRun.Load() + notRun.Load(); n%40 == 0 {
					memory.Cut(endpoint)
				}
			}
		})
	}
	wg.Wait()
	client.Close()
	hasLinks(t, server, 0)
	if ran := impl.calls.Load(); ran < done.Load() || ran > done.Load()+mayHaveRun.Load() {
		t.Errorf("the method ran %d times; %d calls succeeded, %d may have run, %d did not", ran, done.Load(), mayHaveRun.Load(), notRun.Load())
	}
	if done.Load() == 0 || mayHaveRun.Load() == 0 {
		t.Errorf("%d calls succeeded and %d were lost: the test shows nothing", done.Load(), mayHaveRun.Load())
	}
}

func TestMethodsEndWithTheConnectionTheyWereCalledOver(t *testing.T) {
	leak.Check(t) // a method that nothing cancels would be left over
	for range 30 {
		w := memoryWorld(t)
		server, endpoint := w.server(rmi.Options{})
		client := w.node(rmi.Options{})
		impl := newService(server)
		remote := pass(t, server, client, impl)
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() { remote.Block(context.Background()) })
		}
		<-impl.blocked
		w.network.(*transport.Memory).Cut(endpoint)
		client.Close() // also what was sent anew
		wg.Wait()
		hasLinks(t, server, 0)
		// not server.Close: it would cancel what the end of the connection has not
		for ended, c := 0, ctx(t); ended <= len(impl.blocked); ended++ {
			select {
			case <-impl.ended:
			case <-c.Done():
				t.Fatalf("%d methods began, and only %d ended with the connection", 1+len(impl.blocked), ended)
			}
		}
		server.Close()
	}
}

// bulky is a service with large results, given when it is told to.
type bulky struct {
	*service
	now chan struct{}
}

func (b *bulky) Bytes(context.Context, []byte) ([]byte, error) {
	<-b.now
	return make([]byte, 1_200_000), nil
}

func TestCallersOfAnUnexportedObjectHearOfItThoughTheLaneIsFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := memoryWorld(t)
		memory := w.network.(*transport.Memory)
		server, endpoint := w.server(rmi.Options{})
		client := w.node(rmi.Options{})
		full := &bulky{newService(server), make(chan struct{})}
		withdrawn := newService(server)
		remote := pass(t, server, client, withdrawn)
		ref, err := rmi.Export(server, testobj.RemoteService.Of(full))
		if err != nil {
			t.Fatal(err)
		}
		text, _ := ref.MarshalText()
		large, err := rmi.Resolve(t.Context(), client, testobj.RemoteService, string(text))
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		var returned atomic.Int64
		for range 12 {
			wg.Go(func() { large.Bytes(context.Background(), nil) })
		}
		for range 8 {
			wg.Go(func() {
				remote.Block(context.Background())
				returned.Add(1)
			})
		}
		synctest.Wait()
		memory.Stall(endpoint) // shorter than liveness minds
		close(full.now)
		time.Sleep(time.Second)
		c, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if err := rmi.Unexport(c, server, withdrawn); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Unexport: %v", err)
		}
		time.Sleep(time.Second)
		memory.Resume(endpoint)
		time.Sleep(time.Second)
		synctest.Wait()
		if n := returned.Load(); n != 8 {
			t.Errorf("%d of 8 callers have returned", n)
		}
		client.Close()
		server.Close()
		wg.Wait()
	})
}

func TestABadReferenceDoesNotOutlastAGoodOne(t *testing.T) {
	leak.Check(t)
	w := tcpWorld(t)
	_, elsewhere := w.server(rmi.Options{})
	server, at := w.server(rmi.Options{})
	client := w.node(rmi.Options{})
	ref, err := rmi.Export(server, testobj.RemoteService.Of(newService(server)))
	if err != nil {
		t.Fatal(err)
	}
	good, _ := ref.MarshalText()
	ids, query, _ := strings.Cut(string(good), "?")
	through := func(text string) error {
		s, err := rmi.Resolve(ctx(t), client, testobj.RemoteService, text)
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.Add(ctx(t), 1, 1)
		return err
	}
	stale := strings.ReplaceAll(query, strings.TrimPrefix(at, "tcp://127.0.0.1:"), strings.TrimPrefix(elsewhere, "tcp://127.0.0.1:"))
	if err := through(ids + "?" + stale); !errors.Is(err, rmi.ErrNoSuchObject) {
		t.Errorf("by a reference to another process's endpoint: %v, want ErrNoSuchObject", err)
	}
	junk := stale
	for port := range 14 {
		junk += fmt.Sprintf("&at=tcp%%3A%%2F%%2F127.0.0.1%%3A%d", port+1)
	}
	if err := through(ids + "?" + junk); !errors.Is(err, rmi.ErrUnreachable) {
		t.Errorf("by a reference with closed ports too: %v; want ErrUnreachable, for the process may live", err)
	}
	if err := through(string(good)); err != nil {
		t.Errorf("by the good reference after those: %v", err)
	}
}

func TestGreetingANodeWithItsOwnIdIsTurnedAway(t *testing.T) {
	leak.Check(t)
	w := tcpWorld(t)
	server, endpoint := w.server(rmi.Options{HandshakeTimeout: time.Minute})
	id := server.ID()
	conn, err := net.Dial("tcp", strings.TrimPrefix(endpoint, "tcp://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.Write(append([]byte("\x00rmigo\n\x01"), id[:]...))
	conn.SetReadDeadline(time.Now().Add(20 * time.Second))
	for b := make([]byte, 64); err == nil; {
		_, err = conn.Read(b)
	}
	if ne := net.Error(nil); errors.As(err, &ne) && ne.Timeout() {
		t.Error("the connection is held")
	}
}

func TestATokenIsShownToNobodyButWhoIsDialled(t *testing.T) {
	leak.Check(t)
	w := tcpWorld(t)
	one, oneAt := w.server(rmi.Options{})
	two, twoAt := w.server(rmi.Options{})
	if _, err := pass(t, two, one, newService(two)).Add(ctx(t), 1, 1); err != nil { // they know each other
		t.Fatal(err)
	}
	three, threeAt := w.server(rmi.Options{})
	_ = three
	_, welcome := intrude(t, threeAt, one.ID(), [16]byte{1}) // three does not know one, and takes the thief for it
	if welcome.Status != wire.StatusNew {
		t.Fatalf("a process that is not known yet was told %v", welcome.Status)
	}
	for _, at := range []string{oneAt, twoAt} {
		other := map[string]*rmi.Node{oneAt: two, twoAt: one}[at]
		_, shown := intrude(t, at, [16]byte{42}, [16]byte{1})
		for _, stolen := range [][16]byte{shown.Token, welcome.Token} {
			if _, w := intrude(t, at, other.ID(), stolen); w.Status != wire.StatusRefused {
				t.Errorf("what a WELCOME shows opened a connection in another's name: %v", w.Status)
			}
		}
	}
}

func TestANewerConnectionLetsCallsOnTheOlderOneFinish(t *testing.T) {
	leak.Check(t)
	w := tcpWorld(t)
	server, endpoint := w.server(rmi.Options{})
	impl := newService(server)
	ref, err := rmi.Export(server, testobj.RemoteService.Of(impl))
	if err != nil {
		t.Fatal(err)
	}
	first, met := intrude(t, endpoint, [16]byte{5}, [16]byte{6})
	call := wire.AppendCallHeader(nil, wire.CallHeader{Number: 1, Object: ref.ID().Object, Method: methodID(t, "Block"), Timeout: 200 * time.Millisecond})
	call = append(call, 0x80)
	wire.FinishFrame(call)
	first.lane.Write(call)
	<-impl.blocked
	second, welcome := intrudeWith(t, endpoint, wire.Hello{Process: [16]byte{5}, Token: [16]byte{6}, Generation: met.Generation})
	if welcome.Status == wire.StatusRefused {
		t.Fatalf("the second connection: %v", welcome.Reason)
	}
	kind, _, err := testobj.ReadFrame(first.lane)
	if err != nil || kind != wire.ReplyFrame {
		t.Errorf("the call on the first connection: %v, %v; want its reply", kind, err)
	}
	second.lane.Write(call)
	if kind, _, err := testobj.ReadFrame(second.lane); err != nil || kind != wire.ReplyFrame {
		t.Errorf("a call on the second: %v, %v; want its reply", kind, err)
	}
}

func methodID(t *testing.T, name string) uint64 {
	t.Helper()
	for _, m := range testobj.RemoteService.Methods {
		if m.Name() == name {
			return m.ID
		}
	}
	t.Fatalf("no method %s", name)
	return 0
}

func TestConnectionsAreBounded(t *testing.T) {
	leak.Check(t)
	w := tcpWorld(t)
	server, _ := w.server(rmi.Options{Limits: rmi.Limits{Connections: 2}})
	impl := newService(server)
	var wg sync.WaitGroup
	var refused atomic.Int64
	for range 8 {
		client := w.node(rmi.Options{})
		remote := pass(t, server, client, impl)
		wg.Go(func() {
			if _, err := remote.Add(ctx(t), 1, 1); err != nil {
				refused.Add(1)
				if rmi.MayHaveRun(err) && !errors.Is(err, rmi.ErrUnreachable) {
					t.Errorf("a connection beyond the bound: %v", err)
				}
			}
		})
	}
	wg.Wait()
	if n := rmi.LinksOf(server); n > 2 || refused.Load() < 6 {
		t.Errorf("%d connections with a bound of 2; %d refused", n, refused.Load())
	}
}

func TestShutdownInsideAMethodSaysWhatToDoInstead(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		_, _, remote, client := w.served()
		var inside error
		l := &listener{on: func(c context.Context, _ string) (string, error) {
			inside = client.Shutdown(c)
			return "", nil
		}}
		if _, err := remote.Tell(ctx(t), l, ""); err != nil || inside == nil || !strings.Contains(inside.Error(), "goroutine") {
			t.Errorf("Shutdown in a method: %v (the call: %v); want the remedy", inside, err)
		}
	})
}

func TestAListenerThatItsOwnerClosedIsAdvertisedNoMore(t *testing.T) {
	leak.Check(t)
	w := tcpWorld(t)
	n := w.node(rmi.Options{})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Serve(l); err != nil {
		t.Fatal(err)
	}
	impl := newService(n)
	ref, err := rmi.Export(n, testobj.RemoteService.Of(impl))
	if err != nil || len(ref.Endpoints()) != 1 {
		t.Fatalf("while it listens: endpoints %v, %v", ref.Endpoints(), err)
	}
	l.Close()
	for c := ctx(t); len(ref.Endpoints()) > 0; ref, _ = n.RefOf(impl) {
		if c.Err() != nil {
			t.Fatalf("still advertised: %v", ref.Endpoints())
		}
	}
}

func TestTheWayBackToAClientIsKeptAfterAReconnect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := memoryWorld(t)
		memory := w.network.(*transport.Memory)
		client := w.node(rmi.Options{Limits: rmi.Limits{IdleConnections: 1}})
		server, endpoint := w.server(rmi.Options{})
		impl := newService(server)
		remote := pass(t, server, client, impl)
		if err := remote.Remember(t.Context(), &listener{}); err != nil {
			t.Fatal(err)
		}
		memory.Cut(endpoint)
		synctest.Wait()
		if _, err := remote.Add(t.Context(), 1, 1); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			other, _ := w.server(rmi.Options{})
			if _, err := pass(t, other, client, newService(other)).Add(t.Context(), 1, 1); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Minute)
		if _, err := impl.kept.Hear(t.Context(), "still there?"); err != nil {
			t.Errorf("a callback a minute after the reconnect: %v", err)
		}
	})
}

func TestACallThatWaitsForAConnectionThatBreaksIsSentOverTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := memoryWorld(t)
		memory := w.network.(*transport.Memory)
		server, endpoint := w.server(rmi.Options{})
		client := w.node(rmi.Options{})
		impl := newService(server)
		remote := pass(t, server, client, impl)
		if _, err := remote.Add(t.Context(), 1, 1); err != nil {
			t.Fatal(err)
		}
		memory.Stall(endpoint)
		c, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var wg sync.WaitGroup
		for range 2 { // one is being written for ever, one fills the queue
			wg.Go(func() { remote.Bytes(c, make([]byte, 1<<20-200)) })
			synctest.Wait()
		}
		for range 10 {
			wg.Go(func() {
				if back, err := remote.Bytes(t.Context(), make([]byte, 1000)); len(back) != 1000 || err != nil {
					t.Errorf("a call that was not sent when the connection broke: %v; want it sent over the next one", err)
				}
			})
		}
		synctest.Wait()
		memory.Cut(endpoint)
		memory.Resume(endpoint)
		wg.Wait()
		client.Close()
		server.Close()
	})
}

func TestACallDialsAProcessThatRefusesItOnce(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		id := [16]byte{0xee}
		sessions := transport.NewSessions(w.network)
		l, err := sessions.Listen(w.listen())
		if err != nil {
			t.Fatal(err)
		}
		var dials atomic.Int64
		var wg sync.WaitGroup
		wg.Go(func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				dials.Add(1)
				wg.Go(func() { // greets, and hangs up on HELLO
					defer conn.Close()
					if _, err := conn.Greet(ctx(t), transport.Greeting{Process: id}); err != nil {
						return
					}
					if s, err := conn.Session(); err == nil {
						s.Accept()
					}
				})
			}
		})
		defer wg.Wait()
		defer l.Close()
		client := w.node(rmi.Options{})
		text := fmt.Sprintf("rmi-ref:%x/%x?at=%s&as=%s", id, id, url.QueryEscape(l.Endpoint()), testobj.RemoteService.Path)
		remote, err := rmi.Resolve(ctx(t), client, testobj.RemoteService, text)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := remote.Add(ctx(t), 1, 1); !errors.Is(err, rmi.ErrUnreachable) || rmi.MayHaveRun(err) {
			t.Errorf("a call to a process that hangs up: %v; want ErrUnreachable, not run", err)
		}
		if n := dials.Load(); n > 2 {
			t.Errorf("it was dialled %d times, want once for the call and once for the reference, at most", n)
		}
	})
}

// silent is a network in which one host never answers, and all others refuse at once.
type silent struct{}

func (silent) Dial(ctx context.Context, endpoint string) (net.Conn, error) {
	if endpoint == "tcp://192.0.2.99:1" {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return nil, fmt.Errorf("dial %s: %w", endpoint, syscall.ECONNREFUSED)
}

func (silent) Listen(string) (net.Listener, error) { return nil, errors.ErrUnsupported }

func TestADeadlineThatEndsDuringDiallingTellsHowFarEachEndpointGot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := memoryWorld(t)
		id := [16]byte{1}
		text := fmt.Sprintf("rmi-ref:%x/%x?as=%s&at=tcp://192.0.2.99:1&at=tcp://127.0.0.1:2", id, id, testobj.RemoteService.Path)
		for _, test := range []struct {
			after time.Duration
			says  string
		}{
			{2 * time.Second, "context deadline exceeded: tcp://192.0.2.99:1: no answer yet; dial tcp://127.0.0.1:2: connection refused (it did not run)"},
			{100 * time.Millisecond, "context deadline exceeded: tcp://192.0.2.99:1: no answer yet; tcp://127.0.0.1:2: not tried yet (it did not run)"},
		} {
			client := w.node(rmi.Options{Network: silent{}})
			remote, err := rmi.Resolve(t.Context(), client, testobj.RemoteService, text)
			if err != nil {
				t.Fatal(err)
			}
			var wg sync.WaitGroup
			for range 3 { // they share one attempt
				wg.Go(func() {
					c, cancel := context.WithTimeout(t.Context(), test.after)
					defer cancel()
					_, err := remote.Add(c, 1, 1)
					if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, rmi.ErrUnreachable) || rmi.MayHaveRun(err) ||
						!strings.HasSuffix(err.Error(), ": "+test.says) {
						t.Errorf("after %v: %v\nwant a context's error that says\n%s", test.after, err, test.says)
					}
				})
			}
			wg.Wait()
			client.Close()
		}
		client := w.node(rmi.Options{Network: silent{}})
		c, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := rmi.Lookup(c, client, testobj.RemoteService, "rmi://192.0.2.99:1/x")
		if want := "context deadline exceeded: tcp://192.0.2.99:1: no answer yet"; !errors.Is(err, context.DeadlineExceeded) || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("Lookup: %v; want a context's error that says %s", err, want)
		}
		client.Close()
	})
}
