package rmi_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rmigo/rmigo/internal/leak"
	"github.com/rmigo/rmigo/internal/testobj"
	"github.com/rmigo/rmigo/internal/transport"
	"github.com/rmigo/rmigo/internal/wire"
	"github.com/rmigo/rmigo/rmi"
)

// What is large travels by a second connection.

// text makes bytes that differ from place to place.
func text(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i ^ i>>8 ^ i>>16)
	}
	return b
}

// echo calls Bytes, and fails unless the same comes back.
func echo(t *testing.T, remote testobj.Service, size int) {
	t.Helper()
	sent := text(size)
	if got, err := remote.Bytes(ctx(t), sent); err != nil || !bytes.Equal(got, sent) {
		t.Errorf("an echo of %d bytes: %d bytes, %v", size, len(got), err)
	}
}

// widened waits until the nodes have a second connection; it must be under way.
func widened(t *testing.T, nodes ...*rmi.Node) {
	t.Helper()
	for _, n := range nodes {
		for c := ctx(t); rmi.BulksOf(n) == 0; runtime.Gosched() {
			if c.Err() != nil {
				t.Fatal("no second connection was opened for what is large")
			}
		}
	}
}

func TestWhatIsLargeTravelsBothWaysByOneMoreConnection(t *testing.T) {
	leak.Check(t)
	w := tcpWorld(t)
	var accepts atomic.Int64
	server, _ := w.server(rmi.Options{Network: counting{accepts: &accepts}})
	client := w.node(rmi.Options{})
	remote := pass(t, server, client, newService(server))
	for range 10 {
		echo(t, remote, 1000)
	}
	if n := accepts.Load(); n != 1 {
		t.Errorf("%d connections before anything large was sent, want 1", n)
	}
	echo(t, remote, 100_000)
	widened(t, server, client)
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() { echo(t, remote, 30_000+i*70_000) })
	}
	wg.Wait()
	if n := accepts.Load(); n != 2 {
		t.Errorf("%d connections, want one for what is small and one for what is large", n)
	}
}

func TestLargeMessagesOfEverySizeArriveOverEveryTransport(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		_, server, remote, client := w.served()
		echo(t, remote, 40_000)
		widened(t, server, client)
		for _, size := range []int{32<<10 - 100, 32 << 10, 64 << 10, 68 << 10, 272 << 10, 1 << 20, 5 << 20, 16<<20 - 100} {
			echo(t, remote, size)
		}
	})
}

func TestALargeCallbackReachesAClientThatListensNowhere(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		_, server, remote, client := w.served()
		long := string(text(3 << 20))
		l := &listener{on: func(_ context.Context, text string) (string, error) { return text, nil }}
		for range 3 {
			if got, err := remote.Tell(ctx(t), l, long); err != nil || got != long {
				t.Fatalf("the callback brought %d bytes, %v; want %d", len(got), err, len(long))
			}
		}
		widened(t, server, client)
	})
}

func TestTheServerAsksForASecondConnectionWhereOnlyItsResultsAreLarge(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		server, _ := w.server(rmi.Options{})
		client := w.node(rmi.Options{})
		full := &bulky{newService(server), make(chan struct{})}
		close(full.now)
		ref, err := rmi.Export(server, testobj.RemoteService.Of(full))
		if err != nil {
			t.Fatal(err)
		}
		text, _ := ref.MarshalText()
		remote, err := rmi.Resolve(ctx(t), client, testobj.RemoteService, string(text))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := remote.Bytes(ctx(t), nil); err != nil {
			t.Fatal(err)
		}
		widened(t, server, client)
		if got, err := remote.Bytes(ctx(t), nil); err != nil || len(got) < 1000 {
			t.Errorf("%d bytes, %v", len(got), err)
		}
	})
}

func TestTheSecondConnectionIsClosedWhenItIsIdleAndOpenedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, server, remote, client := memoryWorld(t).served()
		for range 3 {
			echo(t, remote, 200_000)
			echo(t, remote, 200_000)
			widened(t, server, client)
			time.Sleep(time.Minute)
			synctest.Wait()
			for _, n := range []*rmi.Node{client, server} {
				if rmi.BulksOf(n) != 0 {
					t.Error("a second connection that was idle for a minute is still there")
				}
				if rmi.LinksOf(n) != 1 {
					t.Error("the first connection went with the second")
				}
			}
		}
		client.Close()
		server.Close()
	})
}

func TestLargeMessagesFollowEachOtherThroughTheSameMemory(t *testing.T) {
	for name, metadata := range map[string]rmi.Metadata{"plain": nil, "with metadata": {"tenant": "a"}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { // where no message takes long
				_, server, remote, client := memoryWorld(t).served()
				const size, callers = 1 << 20, 16
				echo(t, remote, size)
				widened(t, server, client)
				sent := text(size)
				var wg sync.WaitGroup
				for range callers {
					wg.Go(func() {
						for range 3 {
							if got, err := remote.Bytes(rmi.WithMetadata(t.Context(), metadata), sent); err != nil || !bytes.Equal(got, sent) {
								t.Errorf("an echo of %d bytes: %d bytes, %v", size, len(got), err)
							}
						}
					})
				}
				wg.Wait()
				for who, n := range map[string]*rmi.Node{"client": client, "server": server} {
					if kept := rmi.KeptOf(n); kept > 4*size {
						t.Errorf("%d callers with %d bytes each have the %s use %d bytes of memory for frames", callers, size, who, kept)
					}
				}
				client.Close()
				server.Close()
			})
		})
	}
}

func TestWhatAnInterceptorDoesAfterALargeResultHoldsNobodyUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := memoryWorld(t)
		const size, callers, after = 1 << 20, 8, 100 * time.Millisecond
		server, _ := w.server(rmi.Options{Inbound: []rmi.Interceptor{func(c context.Context, _ *rmi.Call, next func(context.Context) error) error {
			err := next(c)
			time.Sleep(after)
			return err
		}}})
		client := w.node(rmi.Options{})
		remote := pass(t, server, client, newService(server))
		echo(t, remote, size)
		echo(t, remote, size)
		if rmi.BulksOf(server) == 0 {
			t.Fatal("no second connection was opened for what is large")
		}
		begin := time.Now()
		var wg sync.WaitGroup
		for range callers {
			wg.Go(func() { echo(t, remote, size) })
		}
		wg.Wait()
		if took := time.Since(begin); took != after {
			t.Errorf("%d calls at once, each of which is held for %v, took %v", callers, after, took)
		}
		client.Close()
		server.Close()
	})
}

// refusing is a network whose second dial fails, and those after it.
type refusing struct {
	transport.Sockets
	dials *atomic.Int64
}

func (r refusing) Dial(c context.Context, endpoint string) (net.Conn, error) {
	if r.dials.Add(1) > 1 {
		return nil, errors.New("no more connections to be had")
	}
	return r.Sockets.Dial(c, endpoint)
}

func TestWithoutASecondConnectionWhatIsLargeTakesTheFirst(t *testing.T) {
	leak.Check(t)
	w := tcpWorld(t)
	server, _ := w.server(rmi.Options{})
	var dials atomic.Int64
	client := w.node(rmi.Options{Network: refusing{dials: &dials}})
	remote := pass(t, server, client, newService(server))
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() { echo(t, remote, 500_000) })
	}
	wg.Wait()
	if n := dials.Load(); n != 2 {
		t.Errorf("%d dials: want the first, and one attempt at the second until some time has passed", n)
	}
}

func TestLargeCallsThatAreGivenUpAreCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := memoryWorld(t)
		server, _ := w.server(rmi.Options{})
		client := w.node(rmi.Options{})
		slow := &sleeper{service: newService(server)}
		ref, err := rmi.Export(server, testobj.RemoteService.Of(slow))
		if err != nil {
			t.Fatal(err)
		}
		text, _ := ref.MarshalText()
		remote, err := rmi.Resolve(t.Context(), client, testobj.RemoteService, string(text))
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if _, err := remote.Bytes(t.Context(), make([]byte, 1<<20)); err != nil {
				t.Fatal(err)
			}
		}
		widened(t, client, server)
		c, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {
				if _, err := remote.Bytes(c, make([]byte, 1<<20)); !errors.Is(err, context.Canceled) {
					t.Errorf("a call that was given up: %v", err)
				}
			})
		}
		cancel()
		wg.Wait()
		time.Sleep(time.Second)
		synctest.Wait()
		if n := slow.waiting.Load(); n != 0 {
			t.Errorf("%d methods still wait, for callers that gave up", n)
		}
		client.Close()
		server.Close()
	})
}

func TestACancellationThatOvertakesItsLargeCallEndsIt(t *testing.T) {
	leak.Check(t)
	w := tcpWorld(t)
	server, endpoint := w.server(rmi.Options{})
	ref, err := rmi.Export(server, testobj.RemoteService.Of(newService(server)))
	if err != nil {
		t.Fatal(err)
	}
	i, _ := intrude(t, endpoint, [16]byte{9, 2}, [16]byte{1})
	frame := wire.AppendCallHeader(nil, wire.CallHeader{Number: 5, Slot: 1, Object: ref.ID().Object, Method: methodID(t, "Bytes")})
	frame = append(frame, 0x81, 0x59, 0x9c, 0x40)
	frame = append(frame, make([]byte, 40_000)...)
	wire.FinishFrame(frame)
	i.lane.Write(append(wire.AppendCancel(nil, wire.CancelHeader{Number: 5}), frame...))
	kind, reply, err := testobj.ReadFrame(i.lane)
	if err != nil || kind != wire.ReplyFrame {
		t.Fatalf("%v, %v; want a reply", kind, err)
	}
	if h, _, err := wire.ParseReply(reply); err != nil || h.Flags != wire.ReplyError|wire.ReplyRuntime|wire.ReplyNotStarted {
		t.Errorf("the reply has flags %b, %v; want the call not started, since it was given up", h.Flags, err)
	}
}

// sleeper waits in Bytes until its context ends, but for the first two calls.
type sleeper struct {
	*service
	calls, waiting atomic.Int64
}

func (s *sleeper) Bytes(c context.Context, b []byte) ([]byte, error) {
	if s.calls.Add(1) <= 2 {
		return nil, nil
	}
	s.waiting.Add(1)
	defer s.waiting.Add(-1)
	select {
	case <-c.Done():
		return nil, c.Err()
	case <-time.After(time.Hour):
		return nil, nil
	}
}

func TestAPeerThatStopsReadingAmidALargeTransferIsGivenUpAndStallsNobodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := memoryWorld(t)
		server, endpoint := w.server(rmi.Options{})
		other, _ := w.server(rmi.Options{})
		client := w.node(rmi.Options{})
		stuck := pass(t, server, client, newService(server))
		lively := pass(t, other, client, newService(other))
		echo(t, stuck, 1<<20)
		echo(t, lively, 1<<20)
		widened(t, client, server, other)
		w.network.(*transport.Memory).Stall(endpoint)
		start := time.Now()
		var wg sync.WaitGroup
		for range 40 {
			wg.Go(func() {
				_, err := stuck.Bytes(context.Background(), make([]byte, 8<<20))
				if !errors.Is(err, rmi.ErrUnreachable) || !rmi.MayHaveRun(err) {
					t.Errorf("a call to a peer that reads nothing: %v; want it unreachable, and that it may have run", err)
				}
				if took := time.Since(start); took > 15*time.Second {
					t.Errorf("it took %v, want no more than liveness allows, 15 s", took)
				}
			})
		}
		for range 10 {
			before := time.Now()
			echo(t, lively, 1<<20)
			if took := time.Since(before); took != 0 {
				t.Errorf("a call to another peer took %v meanwhile", took)
			}
			time.Sleep(time.Second)
		}
		wg.Wait()
		client.Close()
		server.Close()
		other.Close()
	})
}

func TestAReaderOfRepliesThatReadsNothingMakesTheServerHoldNoMoreThanItsBound(t *testing.T) {
	leak.Check(t)
	w := tcpWorld(t)
	const bound = 32 << 20
	server, endpoint := w.server(rmi.Options{Limits: rmi.Limits{PendingBytes: bound}})
	full := &bulky{newService(server), make(chan struct{})}
	ref, err := rmi.Export(server, testobj.RemoteService.Of(full))
	if err != nil {
		t.Fatal(err)
	}
	i, _ := intrude(t, endpoint, [16]byte{9, 1}, [16]byte{1})
	id := ref.ID().Object
	method := methodID(t, "Bytes")
	const calls = 200
	go func() {
		for n := range uint64(calls) {
			frame := wire.AppendCallHeader(nil, wire.CallHeader{Number: n + 1, Slot: n, Object: id, Method: method})
			frame = append(frame, 0x81, 0xf6)
			wire.FinishFrame(frame)
			i.lane.Write(frame)
		}
		close(full.now)
	}()
	overloaded, whole := 0, 0
	for range calls {
		kind, frame, err := testobj.ReadFrame(i.lane)
		if err == io.EOF || kind != wire.ReplyFrame {
			t.Fatalf("after %d replies: %v, %v", overloaded+whole, kind, err)
		}
		if h, _, _ := wire.ParseReply(frame); h.Flags&wire.ReplyRuntime != 0 {
			overloaded++
		} else {
			whole++
		}
	}
	if overloaded == 0 || whole == 0 {
		t.Errorf("%d replies were refused and %d sent: want some of each, for a bound of %d bytes", overloaded, whole, bound)
	}
}
