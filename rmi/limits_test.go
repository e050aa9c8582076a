package rmi_test

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/rmigo/rmigo/internal/leak"
	"github.com/rmigo/rmigo/internal/testobj"
	"github.com/rmigo/rmigo/internal/transport"
	"github.com/rmigo/rmigo/rmi"
	"github.com/rmigo/rmigo/skeleton"
	"github.com/rmigo/rmigo/stub"
)

func TestWhatIsTooLargeForThePeerIsRefusedWhereItIsMade(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		small, _ := w.server(rmi.Options{Limits: rmi.Limits{MessageBytes: 100_000}})
		large := w.node(rmi.Options{})
		impl := newService(small)
		remote := pass(t, small, large, impl)
		done := make(chan error, 1)
		go func() { done <- remote.Block(ctx(t)) }()
		<-impl.blocked
		_, err := remote.Bytes(ctx(t), make([]byte, 1<<20))
		if !errors.Is(err, rmi.ErrLimit) || rmi.MayHaveRun(err) || !strings.Contains(err.Error(), "MessageBytes") {
			t.Errorf("an argument too large for the peer: %v; want ErrLimit naming the option, not run", err)
		}
		l := &listener{on: func(context.Context, string) (string, error) { return strings.Repeat("x", 1<<20), nil }}
		_, err = remote.Tell(ctx(t), l, "")
		if !errors.Is(err, rmi.ErrLimit) || !rmi.MayHaveRun(err) {
			t.Errorf("a result too large for the caller: %v; want ErrLimit, and that it may have run", err)
		}
		select {
		case err := <-done:
			t.Errorf("another call on the connection ended: %v", err)
		default:
		}
	})
}

// older is what an interface of the same name looked like when another program was generated.
type older struct{ stub.Ref }

func (o older) Add(ctx context.Context, a int32) error {
	call := o.Ref.Call(ctx, 0xabcdef)
	call.Args.Int32(a)
	call.Invoke()
	return call.Finish()
}

type olderSkeleton struct{}

func (olderSkeleton) Types() []skeleton.Type { return nil }
func (olderSkeleton) Dispatch(_ context.Context, _ older, call *skeleton.Call) error {
	return call.NoSuchMethod()
}

func TestAMethodWhoseSignatureChangedIsRefusedNamingBoth(t *testing.T) {
	leak.Check(t)
	w := memoryWorld(t)
	server, _ := w.server(rmi.Options{})
	client := w.node(rmi.Options{})
	ref, err := rmi.Export(server, testobj.RemoteService.Of(newService(server)))
	if err != nil {
		t.Fatal(err)
	}
	text, _ := ref.MarshalText()
	remoteOlder := &skeleton.Interface[older]{
		Path:    testobj.RemoteService.Path,
		Methods: []skeleton.Method{{ID: 0xabcdef, Signature: "Add(int32) error"}},
		Stub:    func(r stub.Ref) older { return older{r} },
		Servant: olderSkeleton{},
	}
	o, err := rmi.Resolve(ctx(t), client, remoteOlder, string(text))
	if err != nil {
		t.Fatal(err)
	}
	err = o.Add(ctx(t), 1)
	if !errors.Is(err, rmi.ErrNoSuchMethod) || rmi.MayHaveRun(err) ||
		!strings.Contains(err.Error(), "Add(int32) error") || !strings.Contains(err.Error(), "Add(int64, int64) (int64, error)") {
		t.Errorf("a method with another signature: %v; want ErrNoSuchMethod that names both signatures", err)
	}
}

func TestOptionsAreCheckedWhenTheNodeIsMade(t *testing.T) {
	leak.Check(t)
	for name, o := range map[string]rmi.Options{
		"a negative time":              {HandshakeTimeout: -1},
		"a negative bound":             {MaxCalls: -1},
		"a message beyond a gigabyte":  {Limits: rmi.Limits{MessageBytes: 1<<30 + 1}},
		"a depth beyond the protocol":  {MaxCallDepth: 1 << 20},
		"death before the first probe": {Liveness: rmi.Liveness{Probe: 10, Dead: 5}},
		"an endpoint with a space":     {Advertise: []string{"unix:///a b"}},
	} {
		if n, err := rmi.NewNode(o); err == nil {
			n.Close()
			t.Errorf("%s: accepted, want an error that names the option", name)
		}
	}
}

func TestWhatNobodyCanDialIsNotAdvertised(t *testing.T) {
	leak.Check(t)
	w := memoryWorld(t)
	for endpoint, remedy := range map[string]string{
		"tcp://:0": "write the name or address", "tcp://h:0": "write the port", "tcp://h:00": "write the port", "tcp://:7000": "write the name or address",
		"tcp://0.0.0.0:7000": "write the name or address", "tcp://[::]:0": "write the name or address", "tcp://[::ffff:0.0.0.0]:1": "write the name or address",
	} {
		n, err := rmi.NewNode(rmi.Options{Advertise: []string{"tcp://bank.example.com:7000", endpoint}})
		if err == nil {
			n.Close()
		}
		if err == nil || !strings.Contains(err.Error(), "Options.Advertise") || !strings.Contains(err.Error(), endpoint) || !strings.Contains(err.Error(), remedy) {
			t.Errorf("%s: %v; want it refused, with the remedy", endpoint, err)
		}
	}
	w.node(rmi.Options{Advertise: []string{"tcp://h:1", "tcp://127.0.0.1:7000", "tcp://[::1]:7000", "unix:///run/bank.sock"}})
}

func TestBindingAnObjectOfANodeThatListensNowhereIsRefused(t *testing.T) {
	leak.Check(t)
	w := memoryWorld(t)
	_, endpoint := registryAt(t, w)
	n := w.node(rmi.Options{})
	url := "rmi://" + strings.TrimPrefix(endpoint, "tcp://") + "/x"
	err := rmi.Bind(ctx(t), n, url, testobj.RemoteListener.Of(&listener{}))
	if !errors.Is(err, rmi.ErrUnreachable) || !strings.Contains(err.Error(), "Listen") {
		t.Errorf("Bind from a node that listens nowhere: %v; want ErrUnreachable with the remedy", err)
	}
}

// abroad is a network in which all that one dials is on another host, by the addresses.
type abroad struct{ transport.Sockets }

func (a abroad) Dial(ctx context.Context, endpoint string) (net.Conn, error) {
	c, err := a.Sockets.Dial(ctx, endpoint)
	if err != nil {
		return nil, err
	}
	return abroadConn{c}, nil
}

type abroadConn struct{ net.Conn }

func (abroadConn) LocalAddr() net.Addr  { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 4711} }
func (abroadConn) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 2), Port: 1099} }

func TestBindingAtARegistryOnAnotherHostNeedsAnEndpointThatMeansSomethingThere(t *testing.T) {
	leak.Check(t)
	w := tcpWorld(t)
	_, registryEndpoint := registryAt(t, w)
	url := urlOf(registryEndpoint, "x")
	c := ctx(t)
	socket := "unix://" + filepath.Join(t.TempDir(), "s")
	home := w.node(rmi.Options{Network: abroad{}})
	listening, err := home.Listen("tcp://127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := home.Listen(socket); err != nil {
		t.Fatal(err)
	}
	err = rmi.Bind(c, home, url, testobj.RemoteListener.Of(&listener{}))
	if !errors.Is(err, rmi.ErrUnreachable) || rmi.MayHaveRun(err) {
		t.Errorf("Bind from a node that listens on its own host only: %v; want ErrUnreachable, and that nothing was done", err)
	}
	for _, want := range []string{"bind " + url, listening, socket, "listen at an address", "Options.Advertise"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Bind from a node that listens on its own host only: %v; want %q in it", err, want)
		}
	}
	if _, err := rmi.Lookup(c, home, testobj.RemoteListener, url); !errors.Is(err, rmi.ErrNotBound) {
		t.Errorf("Lookup of the name: %v, want ErrNotBound", err)
	}
	told := w.node(rmi.Options{Network: abroad{}, Advertise: []string{"tcp://bank.example.com:7000"}})
	if err := rmi.Bind(c, told, url, testobj.RemoteListener.Of(&listener{})); err != nil {
		t.Errorf("Bind from a node that advertises: %v", err)
	}
	near, _ := w.server(rmi.Options{})
	if err := rmi.Rebind(c, near, url, testobj.RemoteListener.Of(&listener{})); err != nil {
		t.Errorf("Bind from a node on the registry's host: %v", err)
	}
}

func TestAStubOfAProcessThatOffersNoEndpointsSaysWhatThatProcessMustDo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		impl, server, remote, client := memoryWorld(t).served()
		if err := remote.Remember(ctx(t), &listener{}); err != nil {
			t.Fatal(err)
		}
		client.Close()
		synctest.Wait() // the connection ends
		_, err := impl.kept.Hear(ctx(t), "")
		if !errors.Is(err, rmi.ErrUnreachable) || rmi.MayHaveRun(err) || !strings.Contains(err.Error(), "not known to listen anywhere") || !strings.Contains(err.Error(), "Options.Advertise") {
			t.Errorf("a call of an object whose process listens nowhere and is gone: %v; want ErrUnreachable with the remedy", err)
		}
		server.Close()
	})
}
