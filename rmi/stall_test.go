package rmi_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
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

// Connections of which a part stalls, in the network or in the peer.

// valves is a network whose connections go through a valve each.
type valves struct {
	transport.Sockets
	t     *testing.T
	pumps sync.WaitGroup

	mu  sync.Mutex
	all []*valve
}

// valve is open until one of its directions is held.
type valve struct{ up, down sync.Mutex }

func (v *valves) Dial(c context.Context, endpoint string) (net.Conn, error) {
	far, err := v.Sockets.Dial(c, endpoint)
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	defer l.Close()
	near, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		return nil, err
	}
	middle, err := l.Accept()
	if err != nil {
		return nil, err
	}
	one := &valve{}
	v.mu.Lock()
	v.all = append(v.all, one)
	v.mu.Unlock()
	v.pumps.Go(func() { pump(middle, far, &one.up) })
	v.pumps.Go(func() { pump(far, middle, &one.down) })
	v.t.Cleanup(func() {
		middle.Close()
		far.Close()
	})
	return near, nil
}

func pump(from, to net.Conn, held *sync.Mutex) {
	b := make([]byte, 16<<10)
	for {
		n, err := from.Read(b)
		held.Lock()
		if n > 0 {
			_, werr := to.Write(b[:n])
			err = errors.Join(err, werr)
		}
		held.Unlock()
		if err != nil {
			from.Close()
			to.Close()
			return
		}
	}
}

// of returns the valve of the connection that was dialled so late.
func (v *valves) of(i int) *valve {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.all[i]
}

// later returns the valves of all connections but the first: of the bulk connection, and of those before it that came to nothing.
func (v *valves) later() []*valve {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Clone(v.all[1:])
}

// hold holds directions until the test ends.
func (v *valves) hold(directions ...*sync.Mutex) {
	for _, d := range directions {
		d.Lock()
		v.t.Cleanup(d.Unlock)
	}
}

// behindValves is a service with a bulk connection beside the first one, and what its liveness allows.
func behindValves(t *testing.T) (*valves, testobj.Service) {
	t.Helper()
	w := tcpWorld(t)
	live := rmi.Liveness{Probe: 400 * time.Millisecond, Dead: 2 * time.Second}
	v := &valves{t: t}
	t.Cleanup(v.pumps.Wait) // after all that is registered below: connections are dialled anew while others are held
	server, _ := w.server(rmi.Options{Liveness: live})
	client := w.node(rmi.Options{Liveness: live, Network: v})
	remote := pass(t, server, client, newService(server))
	for c := ctx(t); rmi.BulksOf(client) == 0 || rmi.BulksOf(server) == 0; { // where all is slow, one may be closed again, unused for so long
		echo(t, remote, 100_000)
		if c.Err() != nil {
			t.Fatal("no second connection was opened for what is large")
		}
	}
	return v, remote
}

// endsUnreachable fails unless a call without a deadline ends because nothing is heard any more.
func endsUnreachable(t *testing.T, call func(context.Context) error) {
	t.Helper()
	ended := make(chan error, 1)
	go func() { ended <- call(context.Background()) }()
	select {
	case err := <-ended:
		if !errors.Is(err, rmi.ErrUnreachable) || !rmi.MayHaveRun(err) {
			t.Errorf("the call ended with %v; want it unreachable, and that it may have run", err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("a call hangs, though liveness allows two seconds")
	}
}

func TestABulkConnectionThatStallsAloneIsNoticed(t *testing.T) {
	for name, which := range map[string]func(*valve) []*sync.Mutex{
		"both ways":       func(v *valve) []*sync.Mutex { return []*sync.Mutex{&v.up, &v.down} },
		"on its way back": func(v *valve) []*sync.Mutex { return []*sync.Mutex{&v.down} },
	} {
		for _, size := range []int{40_000, 12 << 20} {
			t.Run(fmt.Sprintf("%s, %d bytes", name, size), func(t *testing.T) {
				leak.Check(t)
				v, remote := behindValves(t)
				for _, bulk := range v.later() {
					v.hold(which(bulk)...)
				}
				endsUnreachable(t, func(c context.Context) error {
					_, err := remote.Bytes(c, make([]byte, size))
					return err
				})
			})
		}
	}
}

func TestALaneThatStallsAloneIsNoticedThoughTheBulkConnectionIsBusy(t *testing.T) {
	leak.Check(t)
	v, remote := behindValves(t)
	var busy sync.WaitGroup
	var enough atomic.Bool
	for range 2 {
		busy.Go(func() {
			for !enough.Load() {
				if _, err := remote.Bytes(context.Background(), make([]byte, 100_000)); err != nil {
					return
				}
			}
		})
	}
	v.hold(&v.of(0).up, &v.of(0).down)
	endsUnreachable(t, func(c context.Context) error {
		_, err := remote.Add(c, 1, 1)
		return err
	})
	enough.Store(true) // further calls would be made over a new connection
	busy.Wait()
}

func TestBulkConnectionsThatADiallerLeavesOpenAreBounded(t *testing.T) {
	leak.Check(t)
	w := tcpWorld(t)
	_, endpoint := w.server(rmi.Options{})
	id := [16]byte{7, 7}
	i, _ := intrudeWith(t, endpoint, wire.Hello{Process: id, Token: [16]byte{1}, Features: 1})
	widen, _ := wire.AppendControl(nil, wire.Widen{})
	i.control.Write(widen)
	msg, err := wire.ReadControl(i.control)
	if err != nil {
		t.Fatal(err)
	}
	key := msg.(wire.Widen).Key
	for n := range 2 {
		if err := joinAndLeave(t, endpoint, id, key); err != nil {
			t.Fatalf("bulk connection %d: %v", n+1, err)
		}
	}
	if err := joinAndLeave(t, endpoint, id, key); !errors.Is(err, io.EOF) {
		t.Errorf("a third one beside two that were never closed: %v, want it turned away", err)
	}
}

// joinAndLeave joins a bulk connection, says BYE and leaves it open.
func joinAndLeave(t *testing.T, endpoint string, id, key [16]byte) error {
	t.Helper()
	conn, err := transport.NewSessions(transport.Sockets{}).Dial(ctx(t), endpoint, transport.Greeting{Process: id})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	s, err := conn.Session()
	if err != nil {
		t.Fatal(err)
	}
	control, err := s.Open()
	if err != nil {
		t.Fatal(err)
	}
	for _, msg := range []any{wire.Join{Key: key}, wire.Bye{}} {
		b, _ := wire.AppendControl(nil, msg)
		if _, err := control.Write(b); err != nil {
			return err
		}
		if _, err := wire.ReadControl(control); err != nil {
			return err
		}
	}
	return nil
}

func TestADeadlineHoldsAgainstAPeerThatWritesAndDoesNotRead(t *testing.T) {
	leak.Check(t)
	id := [16]byte{0xee, 1}
	l, err := transport.NewSessions(transport.Sockets{}).Listen("tcp://127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	var peer sync.WaitGroup
	t.Cleanup(peer.Wait)
	peer.Go(func() { talkOnly(t, l, id) })
	client := tcpWorld(t).node(rmi.Options{})
	remote, err := rmi.Resolve(ctx(t), client, testobj.RemoteService, fmt.Sprintf("rmi-ref:%x/%032x?as=%s&at=tcp%%3A%%2F%%2F%s", id, 5,
		"github.com%2Frmigo%2Frmigo%2Finternal%2Ftestobj.Service", strings.ReplaceAll(strings.TrimPrefix(l.Endpoint(), "tcp://"), ":", "%3A")))
	if err != nil {
		t.Fatal(err)
	}
	for range 300 { // more than the sockets hold
		c, cancel := context.WithTimeout(ctx(t), 10*time.Millisecond)
		start := time.Now()
		_, err := remote.Bytes(c, make([]byte, 10_000))
		cancel()
		if took := time.Since(start); took > 4*time.Second || err == nil {
			t.Fatalf("a call with a deadline of 10 ms took %v: %v", took, err)
		}
	}
	client.Close()
}

// talkOnly answers one connection's HELLO, and then sends replies to calls that nobody made, reading nothing.
func talkOnly(t *testing.T, l transport.Listener, id [16]byte) {
	conn, err := l.Accept()
	if err != nil {
		return
	}
	defer conn.Close()
	if _, err := conn.Greet(ctx(t), transport.Greeting{Process: id}); err != nil {
		return
	}
	s, err := conn.Session()
	if err != nil {
		return
	}
	control, err := s.Accept()
	if err != nil {
		return
	}
	if _, err := wire.ReadControl(control); err != nil {
		return
	}
	welcome, _ := wire.AppendControl(nil, wire.Welcome{Version: 1, Process: id, Token: [16]byte{1}, Status: wire.StatusNew, Generation: 1})
	control.Write(welcome)
	lane, err := s.Accept()
	if err != nil {
		return
	}
	reply := append(wire.AppendReplyHeader(nil, wire.ReplyHeader{Flags: wire.ReplyResults, Slot: 1 << 60}), 0x80)
	wire.FinishFrame(reply)
	for tick := time.NewTicker(time.Millisecond); ; <-tick.C {
		if _, err := lane.Write(reply); err != nil {
			tick.Stop()
			return
		}
	}
}

func TestAPeerThatTakesBytesIsAliveThoughItHasNothingElseToSay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := memoryWorld(t)
		server, endpoint := w.server(rmi.Options{})
		ref, err := rmi.Export(server, testobj.RemoteService.Of(newService(server)))
		if err != nil {
			t.Fatal(err)
		}
		i, _ := intrudeBy(t, w.network.(*transport.Memory).Sessions(), endpoint, wire.Hello{Process: [16]byte{9}, Token: [16]byte{1}})
		call := wire.AppendCallHeader(nil, wire.CallHeader{Number: 1, Object: ref.ID().Object, Method: methodID(t, "Bytes")})
		call = append(call, 0x81, 0x5a, 0, 0x20, 0, 0) // an array of one byte string, of 2 MiB
		call = append(call, make([]byte, 2<<20)...)
		wire.FinishFrame(call)
		if _, err := i.lane.Write(call); err != nil {
			t.Fatal(err)
		}
		sip := make([]byte, 16<<10)
		start := time.Now()
		for range 100 { // of a reply that takes 128 s at this pace, and without an answer to what is asked meanwhile
			if _, err := io.ReadFull(i.lane, sip); err != nil {
				t.Fatalf("after %v: %v, %v", time.Since(start), err, i.session.Err())
			}
			time.Sleep(time.Second)
		}
		stopped := time.Now()
		<-i.session.Done()
		if after := time.Since(stopped); after < 14*time.Second || after > 20*time.Second {
			t.Errorf("a peer that has stopped is given up after %v, want the 15 s that liveness allows", after)
		}
		server.Close()
	})
}
