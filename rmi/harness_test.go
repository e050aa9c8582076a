package rmi_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rmigo/rmigo/internal/leak"
	"github.com/rmigo/rmigo/internal/testobj"
	"github.com/rmigo/rmigo/internal/transport"
	"github.com/rmigo/rmigo/rmi"
	"github.com/rmigo/rmigo/skeleton"
	"github.com/rmigo/rmigo/stub"
)

// world makes nodes that reach each other over one kind of network.
type world struct {
	t       *testing.T
	network rmi.Network
	listen  func() string
}

// everywhere runs a test over every transport. The tests of one are the tests of all.
func everywhere(t *testing.T, test func(t *testing.T, w *world)) {
	t.Run("memory", func(t *testing.T) {
		leak.Check(t)
		test(t, memoryWorld(t))
	})
	t.Run("tcp", func(t *testing.T) {
		leak.Check(t)
		test(t, tcpWorld(t))
	})
	t.Run("unix", func(t *testing.T) {
		leak.Check(t)
		var sockets atomic.Int64
		dir := t.TempDir()
		test(t, &world{t: t, listen: func() string {
			return "unix://" + filepath.Join(dir, fmt.Sprint(sockets.Add(1)))
		}})
	})
}

func memoryWorld(t *testing.T) *world {
	return &world{t: t, network: transport.NewMemory(), listen: func() string { return "tcp://127.0.0.1:0" }}
}

func tcpWorld(t *testing.T) *world {
	return &world{t: t, listen: func() string { return "tcp://127.0.0.1:0" }}
}

// node makes a node that listens nowhere, closed at the end of the test. Its log goes to the test's.
func (w *world) node(o rmi.Options) *rmi.Node {
	w.t.Helper()
	if o.Network == nil {
		o.Network = w.network
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.NewTextHandler(w.t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	n, err := rmi.NewNode(o)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { n.Close() })
	made.add(n, w.t.Name())
	return n
}

// made are the nodes of tests that are not garbage yet: once it is closed, nothing of what the runtime has must keep a node.
var made nodes

type nodes struct {
	mu sync.Mutex
	of map[string]int // by tests' names
}

func (ns *nodes) add(n *rmi.Node, test string) {
	ns.count(test, 1)
	rmi.WhenGarbage(n, func() { ns.count(test, -1) })
}

func (ns *nodes) count(test string, more int) {
	ns.mu.Lock()
	defer ns.mu.Unlock()
	if ns.of == nil {
		ns.of = map[string]int{}
	}
	if ns.of[test] += more; ns.of[test] == 0 {
		delete(ns.of, test)
	}
}

// left returns what is left after many collections: how many nodes of which test.
func (ns *nodes) left() string {
	for range 100 {
		runtime.GC()
		ns.mu.Lock()
		none := len(ns.of) == 0
		ns.mu.Unlock()
		if none {
			return ""
		}
	}
	ns.mu.Lock()
	defer ns.mu.Unlock()
	return fmt.Sprint(ns.of)
}

// server makes a node that listens, and says where.
func (w *world) server(o rmi.Options) (*rmi.Node, string) {
	w.t.Helper()
	n := w.node(o)
	endpoint, err := n.Listen(w.listen())
	if err != nil {
		w.t.Fatal(err)
	}
	return n, endpoint
}

// served exports a service in a listening node, and returns a stub of it in another node.
func (w *world) served() (impl *service, server *rmi.Node, remote testobj.Service, client *rmi.Node) {
	w.t.Helper()
	server, _ = w.server(rmi.Options{})
	client = w.node(rmi.Options{})
	impl = newService(server)
	return impl, server, pass(w.t, server, client, impl), client
}

// pass exports impl in one node and returns its stub in another, by way of a reference's text.
func pass(t *testing.T, from, to *rmi.Node, impl testobj.Service) testobj.Service {
	t.Helper()
	ref, err := rmi.Export(from, testobj.RemoteService.Of(impl))
	if err != nil {
		t.Fatal(err)
	}
	return resolved(t, to, testobj.RemoteService, ref)
}

// resolved is the stub of what a reference names, by way of its text.
func resolved[T any](t *testing.T, n *rmi.Node, d *skeleton.Interface[T], ref rmi.Ref) T {
	t.Helper()
	text, err := ref.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	v, err := rmi.Resolve(ctx(t), n, d, string(text))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// ctx ends with the test, and long before the test's own time limit.
func ctx(t *testing.T) context.Context {
	c, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return c
}

// service implements testobj.Service.
type service struct {
	node    *rmi.Node
	blocked chan struct{} // receives for each call of Block that has begun
	ended   chan error    // and how its context ended
	calls   atomic.Int64

	mu   sync.Mutex
	kept testobj.Listener
}

func newService(n *rmi.Node) *service {
	return &service{node: n, blocked: make(chan struct{}, 1000), ended: make(chan error, 1000)}
}

func (s *service) Add(_ context.Context, a, b int64) (int64, error) {
	s.calls.Add(1)
	return a + b, nil
}

func (s *service) Echo(_ context.Context, item testobj.Item) (testobj.Item, error) { return item, nil }

func (s *service) Join(_ context.Context, sep string, parts ...string) (string, error) {
	return strings.Join(parts, sep), nil
}

func (s *service) Fail(_ context.Context, how string) (int64, error) {
	s.calls.Add(1)
	switch how {
	case "sentinel":
		return 7, testobj.ErrEmpty
	case "wrapped":
		return 0, fmt.Errorf("while serving: %w", testobj.ErrEmpty)
	case "typed":
		return 0, &testobj.RangeError{Got: 9, Limit: 5, Cause: testobj.ErrEmpty}
	case "joined":
		return 0, errors.Join(io.EOF, &testobj.RangeError{Got: 1, Limit: 2})
	case "coded":
		return 0, rmi.WithCode(errors.New("no more"), "E42")
	case "panic":
		panic("the service fell over")
	case "deadline":
		return 0, context.DeadlineExceeded
	}
	return 0, errors.New(how)
}

func (s *service) Tell(c context.Context, l testobj.Listener, text string) (string, error) {
	return l.Hear(c, text)
}

func (s *service) TellAll(c context.Context, text string, all ...testobj.Listener) error {
	for _, l := range all {
		if _, err := l.Hear(c, text); err != nil {
			return err
		}
	}
	return nil
}

func (s *service) Remember(_ context.Context, l testobj.Listener) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kept = l
	return nil
}

func (s *service) Remembered(context.Context) (testobj.Listener, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.kept, nil
}

func (s *service) Self(context.Context) (testobj.Service, error) { return s, nil }

func (s *service) Same(_ context.Context, other testobj.Service) (bool, error) {
	return other == testobj.Service(s), nil
}

func (s *service) Recurse(c context.Context, other testobj.Service, depth int) (int, error) {
	if depth == 0 {
		return 0, nil
	}
	n, err := other.Recurse(c, s, depth-1)
	return n + 1, err
}

func (s *service) Block(c context.Context) error {
	s.blocked <- struct{}{}
	<-c.Done()
	s.ended <- context.Cause(c)
	return c.Err()
}

func (s *service) Object(_ context.Context, o stub.Object) (stub.Object, error) { return o, nil }

func (s *service) Why(_ context.Context, cause error) (error, error) { return cause, nil }

func (s *service) Bytes(_ context.Context, b []byte) ([]byte, error) { return b, nil }

// listener implements testobj.Listener.
type listener struct {
	heard atomic.Int64
	on    func(c context.Context, text string) (string, error)
}

func (l *listener) Hear(c context.Context, text string) (string, error) {
	l.heard.Add(1)
	if l.on != nil {
		return l.on(c, text)
	}
	return "heard " + text, nil
}

// stall stops, or lets go, all bytes of the connections to endpoints of a network in memory.
func (w *world) stall(stalled bool, endpoints ...string) {
	memory := w.network.(*transport.Memory)
	if stalled {
		memory.Stall(endpoints...)
	} else {
		memory.Resume(endpoints...)
	}
}
