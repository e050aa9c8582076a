package rmi_test

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rmigo/rmigo/internal/leak"
	"github.com/rmigo/rmigo/internal/testobj"
	"github.com/rmigo/rmigo/internal/transport"
	"github.com/rmigo/rmigo/rmi"
)

// A cutter is a relay before a server that breaks its connections off, at moments of its own.
type cutter struct {
	listener net.Listener
	tasks    sync.WaitGroup

	mu    sync.Mutex
	to    string
	conns []net.Conn // both ends of each connection
	done  bool
}

func newCutter(t *testing.T) *cutter {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cutter{listener: l}
	c.tasks.Go(c.accept) // until close
	t.Cleanup(c.close)
	return c
}

func (c *cutter) endpoint() string { return "tcp://" + c.listener.Addr().String() }

// relay has connections go to the endpoint from now on.
func (c *cutter) relay(endpoint string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.to = strings.TrimPrefix(endpoint, "tcp://")
}

func (c *cutter) accept() {
	for {
		from, err := c.listener.Accept()
		if err != nil {
			return
		}
		c.mu.Lock()
		to, err := net.Dial("tcp", c.to)
		if err != nil || c.done {
			from.Close()
			c.mu.Unlock()
			continue
		}
		c.conns = append(c.conns, from, to)
		c.mu.Unlock()
		c.tasks.Go(func() { splice(from, to) }) // until either is closed
		c.tasks.Go(func() { splice(to, from) })
	}
}

func splice(from, to net.Conn) {
	io.Copy(to, from)
	from.Close()
	to.Close()
}

// cut breaks off all connections there are.
func (c *cutter) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conn := range c.conns {
		conn.Close()
	}
	c.conns = nil
}

func (c *cutter) close() {
	c.mu.Lock()
	c.done = true
	c.mu.Unlock()
	c.listener.Close()
	c.cut()
	c.tasks.Wait()
}

func TestObjectsHandedRoundFiveProcessesUnderCutsAreNeitherLostNorLeftBehind(t *testing.T) {
	leak.Check(t)
	const processes, objects, hops, cuts = 5, 20, 50, 150
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	var relays []*cutter
	var ring []*partyClient
	for range processes {
		relay := newCutter(t)
		p := startParty(t, relay.endpoint(), ringLease)
		relay.relay(p.at)
		relays, ring = append(relays, relay), append(ring, p)
	}
	for i, p := range ring {
		p.ask("next", ring[(i+1)%processes].ref)
	}
	cut := make(chan struct{})
	go func() { // ends after the cuts, or with the test
		defer close(cut)
		for range cuts {
			select {
			case <-time.After(time.Duration(random.IntN(20)) * time.Millisecond):
				relays[random.IntN(processes)].cut()
			case <-t.Context().Done():
				return
			}
		}
	}()
	for rounds, cutting := 1, true; cutting; rounds++ {
		for _, p := range ring {
			p.tell("send", objects, hops)
		}
		for i, p := range ring {
			a := p.answer()
			if a.Error != "" {
				t.Errorf("round %d, process %d: %s", rounds, i, a.Error)
			}
			for _, lost := range a.Lost {
				t.Errorf("round %d, process %d: %s", rounds, i, lost)
			}
		}
		select {
		case <-cut:
			t.Logf("%d rounds under %d cuts", rounds, cuts)
			cutting = false
		default:
		}
	}
	for _, p := range ring {
		p.ask("next", "-")
	}
	eventuallyEmpty(t, ring)
}

// eventuallyEmpty waits until none of the processes has anything of the others, and none of them misses an object.
func eventuallyEmpty(t *testing.T, ring []*partyClient) {
	t.Helper()
	var last []rmi.Stats
	eventually(t, 15*time.Second, func() bool {
		last = nil
		empty := true
		for _, p := range ring {
			a := p.ask("stats")
			for _, lost := range a.Lost {
				t.Error(lost)
			}
			last = append(last, a.Stats)
			empty = empty && nothing(a.Stats) && a.Stats.Exports == 1
		}
		return empty
	}, func() string { return "all tables are empty" + describe(last) })
}

func TestAReferenceCostsNoRoundTripToArrive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := memoryWorld(t)
		owner, endpoint := w.server(rmi.Options{})
		between, _ := w.server(rmi.Options{})
		client := w.node(rmi.Options{})
		origin, relayer := newParty(owner), newService(between)
		service := pass(t, between, client, relayer)
		ref, err := rmi.Export(owner, testobj.RemoteParty.Of(origin))
		if err != nil {
			t.Fatal(err)
		}
		remote := resolved(t, between, testobj.RemoteParty, ref)
		const many = 200    // fewer than are registered at once
		began := time.Now() // from here on, time passes only where somebody waits: a registration leaves after some ms
		made, err := remote.Make(ctx(t), many)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := made[many-1].Hear(ctx(t), ""); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("%d references arrived and one was called after %v: something was waited for", many, took)
		}
		if s := between.Stats(); s.Holding < many || s.Queued < many {
			t.Errorf("%+v after %d references arrived and one was called: want that their owner has not been told of them yet", s, many)
		}
		if err := service.Remember(ctx(t), nil); err != nil { // the client and the process between know each other
			t.Fatal(err)
		}
		relayer.Remember(ctx(t), made[0])
		w.network.(*transport.Memory).Stall(endpoint)
		began = time.Now()
		if _, err := service.Remembered(ctx(t)); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("a reference to an object of a third process arrived after %v, though that process need not be asked", took)
		}
		runtime.KeepAlive(made)
		client.Close()
		between.Close()
		owner.Close()
	})
}

func describe(all []rmi.Stats) string {
	var b strings.Builder
	for i, s := range all {
		fmt.Fprintf(&b, "\n\t%d: %+v", i, s)
	}
	return b.String()
}
