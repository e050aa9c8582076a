package rmi_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rmigo/rmigo/internal/leak"
	"github.com/rmigo/rmigo/internal/testobj"
	"github.com/rmigo/rmigo/rmi"
)

// between makes a server and a client with these options, and returns a stub of the server's service in the client.
func (w *world) between(server, client rmi.Options) (*service, testobj.Service) {
	w.t.Helper()
	s, _ := w.server(server)
	impl := newService(s)
	return impl, pass(w.t, s, w.node(client), impl)
}

func TestInterceptorsSeeTheCallFromBothSides(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		var mu sync.Mutex
		var seen []rmi.Call
		var peers []rmi.Peer
		var objects []rmi.Ref
		note := func(c context.Context, call *rmi.Call, next func(context.Context) error) error {
			err := next(c)
			peer, object := call.Peer(), call.Object()
			mu.Lock()
			defer mu.Unlock()
			seen, peers, objects = append(seen, *call), append(peers, peer), append(objects, object)
			return err
		}
		server, _ := w.server(rmi.Options{Inbound: []rmi.Interceptor{note}})
		client := w.node(rmi.Options{Outbound: []rmi.Interceptor{note}})
		remote := pass(t, server, client, newService(server))
		if text, err := remote.Join(ctx(t), "-", "a", "b"); text != "a-b" || err != nil {
			t.Fatalf("Join = %q, %v", text, err)
		}
		if len(seen) != 2 || seen[0].Outbound || !seen[1].Outbound {
			t.Fatalf("the interceptors saw %+v, want one call, first from the serving side", seen)
		}
		for i, call := range seen {
			if call.Interface != testobj.RemoteService.Path || call.Method != "Join" || call.Signature != "Join(string, []string) (string, error)" {
				t.Errorf("an interceptor saw %s %s %s", call.Interface, call.Method, call.Signature)
			}
			if call.ArgumentBytes != len("\x82\x61-\x82\x61a\x61b") || call.ResultBytes != len("\x81\x63a-b") || call.Attempts != 1 {
				t.Errorf("an interceptor saw %d bytes of arguments, %d of results, %d attempts", call.ArgumentBytes, call.ResultBytes, call.Attempts)
			}
			if objects[i].ID() != objects[0].ID() || objects[i].IsZero() {
				t.Errorf("the object is %v at one side and %v at the other", objects[0], objects[i])
			}
		}
		if peers[0].Process != client.ID() || peers[1].Process != server.ID() || peers[0].Address == "" || !peers[1].SameHost {
			t.Errorf("the peers are %+v, want %v and %v", peers, client.ID(), server.ID())
		}
	})
}

func TestTheFirstInterceptorIsOutermost(t *testing.T) {
	leak.Check(t)
	var order []string
	named := func(name string) rmi.Interceptor {
		return func(c context.Context, _ *rmi.Call, next func(context.Context) error) error {
			order = append(order, name)
			err := next(c)
			order = append(order, "/"+name)
			return err
		}
	}
	_, remote := memoryWorld(t).between(
		rmi.Options{Inbound: []rmi.Interceptor{named("c"), named("d")}},
		rmi.Options{Outbound: []rmi.Interceptor{named("a"), named("b")}})
	remote.Add(ctx(t), 1, 2)
	if got := strings.Join(order, " "); got != "a b c d /d /c /b /a" {
		t.Errorf("they ran as %s", got)
	}
}

func TestARefusalByEitherSideSaysThatTheCallDidNotRun(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		refuse := []rmi.Interceptor{func(_ context.Context, call *rmi.Call, next func(context.Context) error) error {
			return fmt.Errorf("%w: not on a Sunday: %w", rmi.ErrAccessDenied, testobj.ErrEmpty)
		}}
		for side, o := range map[string][2]rmi.Options{"the caller's": {{}, {Outbound: refuse}}, "the callee's": {{Inbound: refuse}, {}}} {
			impl, remote := w.between(o[0], o[1])
			_, err := remote.Add(ctx(t), 1, 2)
			var e *rmi.Error
			if !errors.As(err, &e) || !errors.Is(err, rmi.ErrAccessDenied) || !errors.Is(err, testobj.ErrEmpty) || rmi.MayHaveRun(err) ||
				e.Method != "testobj.Service.Add" || e.Remote != (side == "the callee's") || !strings.Contains(err.Error(), "not on a Sunday") {
				t.Errorf("%s refusal arrives as %v", side, err)
			}
			if impl.calls.Load() != 0 {
				t.Errorf("%s refusal did not keep the method from running", side)
			}
		}
	})
}

func TestAnInterceptorThatForgetsTheCallFailsIt(t *testing.T) {
	leak.Check(t)
	forget := []rmi.Interceptor{func(context.Context, *rmi.Call, func(context.Context) error) error { return nil }}
	for _, o := range [][2]rmi.Options{{{}, {Outbound: forget}}, {{Inbound: forget}, {}}} {
		_, remote := memoryWorld(t).between(o[0], o[1])
		if _, err := remote.Add(ctx(t), 1, 2); err == nil || rmi.MayHaveRun(err) || !strings.Contains(err.Error(), "without results") {
			t.Errorf("the call ended with %v", err)
		}
	}
}

func TestInterceptorsSeeAndMayReplaceTheMethodsError(t *testing.T) {
	leak.Check(t)
	var saw error
	swap := func(with error) []rmi.Interceptor {
		return []rmi.Interceptor{func(c context.Context, _ *rmi.Call, next func(context.Context) error) error {
			saw = next(c)
			return with
		}}
	}
	other := &testobj.RangeError{Got: 1, Limit: 2}
	for name, o := range map[string][2]rmi.Options{"outbound": {{}, {Outbound: swap(other)}}, "inbound": {{Inbound: swap(other)}, {}}} {
		_, remote := memoryWorld(t).between(o[0], o[1])
		saw = nil
		n, err := remote.Fail(ctx(t), "sentinel")
		var typed *testobj.RangeError
		if !errors.Is(saw, testobj.ErrEmpty) || !errors.As(err, &typed) || errors.Is(err, testobj.ErrEmpty) || n != 7 {
			t.Errorf("%s: saw %v, the caller has %d, %v", name, saw, n, err)
		}
		if _, err := remote.Fail(ctx(t), "panic"); !errors.Is(saw, rmi.ErrPanic) || !errors.As(err, &typed) {
			t.Errorf("%s: of a panic, saw %v, the caller has %v", name, saw, err)
		}
	}
	_, remote := memoryWorld(t).between(rmi.Options{}, rmi.Options{Outbound: swap(nil)})
	if n, err := remote.Fail(ctx(t), "sentinel"); n != 7 || err != nil {
		t.Errorf("an error that is taken away beside results: %d, %v", n, err)
	}
}

func TestAPanicOfAnInterceptorIsTheCallsError(t *testing.T) {
	leak.Check(t)
	_, remote := memoryWorld(t).between(rmi.Options{Inbound: []rmi.Interceptor{
		func(context.Context, *rmi.Call, func(context.Context) error) error { panic("fell over") },
	}}, rmi.Options{})
	if _, err := remote.Add(ctx(t), 1, 2); !errors.Is(err, rmi.ErrPanic) {
		t.Errorf("got %v", err)
	}
}

func TestAnOutboundInterceptorMaySendACallAgain(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		thrice := []rmi.Interceptor{func(c context.Context, _ *rmi.Call, next func(context.Context) error) error {
			next(c)
			next(c)
			return next(c)
		}}
		impl, remote := w.between(rmi.Options{}, rmi.Options{Outbound: thrice})
		if _, err := remote.Fail(ctx(t), "sentinel"); !errors.Is(err, testobj.ErrEmpty) || impl.calls.Load() != 3 {
			t.Errorf("the third attempt's error is %v, the method ran %d times", err, impl.calls.Load())
		}
		l := &listener{} // a reference among the arguments is kept alive by each attempt, one among the results by each reply
		if text, err := remote.Tell(ctx(t), l, "hi"); text != "heard hi" || err != nil || l.heard.Load() != 3 {
			t.Errorf("Tell = %q, %v after %d calls back", text, err, l.heard.Load())
		}
		if s, err := remote.Self(ctx(t)); s != remote || err != nil {
			t.Errorf("Self = %v, %v; want %v", s, err, remote)
		}
		big := make([]byte, 300_000) // by the bulk connection, once there is one
		for range 5 {
			if b, err := remote.Bytes(ctx(t), big); len(b) != len(big) || err != nil {
				t.Errorf("Bytes = %d bytes, %v", len(b), err)
			}
		}
	})
}

func TestACallThatIsServedRunsOnce(t *testing.T) {
	leak.Check(t)
	var second error
	impl, remote := memoryWorld(t).between(rmi.Options{Inbound: []rmi.Interceptor{
		func(c context.Context, _ *rmi.Call, next func(context.Context) error) error {
			err := next(c)
			second = next(c)
			return err
		},
	}}, rmi.Options{})
	if sum, err := remote.Add(ctx(t), 1, 2); sum != 3 || err != nil || impl.calls.Load() != 1 || second == nil {
		t.Errorf("Add = %d, %v, and ran %d times; the second attempt: %v", sum, err, impl.calls.Load(), second)
	}
}

func TestAnInterceptorSeesThatThereIsNoConnection(t *testing.T) {
	leak.Check(t)
	synctest.Test(t, func(t *testing.T) {
		w := memoryWorld(t)
		server, endpoint := w.server(rmi.Options{})
		var failed, attempts int
		client := w.node(rmi.Options{Outbound: []rmi.Interceptor{
			func(c context.Context, call *rmi.Call, next func(context.Context) error) error {
				err := next(c)
				for ; err != nil && !rmi.MayHaveRun(err) && attempts < 3; err = next(c) {
					failed, attempts = failed+1, call.Attempts
				}
				return err
			},
		}})
		remote := pass(t, server, client, newService(server))
		server.Close()
		synctest.Wait() // the client has heard of it
		l := &listener{}
		if _, err := remote.Tell(t.Context(), l, "hi"); !errors.Is(err, rmi.ErrUnreachable) || failed != 3 {
			t.Errorf("nobody at %s: %v after %d attempts that failed", endpoint, err, failed)
		}
	})
}

func TestMetadataGoesNoFurtherThanTheMethodUnlessAsked(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		_, remote := w.between(rmi.Options{}, rmi.Options{})
		var heard rmi.Metadata
		l := &listener{on: func(c context.Context, _ string) (string, error) {
			heard = rmi.MetadataFrom(c)
			return "", nil
		}}
		for name, c := range map[string]struct {
			send context.Context
			want rmi.Metadata
		}{
			"nothing":  {ctx(t), nil},
			"own":      {rmi.WithMetadata(ctx(t), rmi.Metadata{"a": "1"}), nil},
			"one":      {rmi.Propagate(rmi.WithMetadata(ctx(t), rmi.Metadata{"a": "1", "b": "2"}), "b", "none"), rmi.Metadata{"b": "2"}},
			"all":      {rmi.Propagate(rmi.WithMetadata(ctx(t), rmi.Metadata{"a": "1", "b": "ü"})), rmi.Metadata{"a": "1", "b": "ü"}},
			"replaced": {rmi.WithMetadata(rmi.Propagate(rmi.WithMetadata(ctx(t), rmi.Metadata{"a": "1"})), rmi.Metadata{"a": "2"}), rmi.Metadata{"a": "2"}},
			"removed":  {rmi.WithMetadata(rmi.Propagate(rmi.WithMetadata(ctx(t), rmi.Metadata{"a": "1"})), rmi.Metadata{"a": ""}), nil},
		} {
			heard = rmi.Metadata{"not": "called"}
			if _, err := remote.Tell(c.send, l, ""); err != nil || !maps.Equal(heard, c.want) {
				t.Errorf("%s: the nested call has %v, %v; want %v", name, heard, err, c.want)
			}
		}
	})
}

func TestInterceptorsRewriteMetadata(t *testing.T) {
	leak.Check(t)
	w := memoryWorld(t)
	add := func(key string) rmi.Interceptor {
		return func(c context.Context, _ *rmi.Call, next func(context.Context) error) error {
			return next(rmi.WithMetadata(c, rmi.Metadata{key: fmt.Sprint(len(rmi.MetadataFrom(c))), "gone": ""}))
		}
	}
	server, _ := w.server(rmi.Options{Inbound: []rmi.Interceptor{add("in")}})
	client := w.node(rmi.Options{Outbound: []rmi.Interceptor{add("out")}})
	var served, nested rmi.Metadata
	impl := &meta{service: newService(server), on: func(c context.Context) { served = rmi.MetadataFrom(c) }}
	ref, err := rmi.Export(server, testobj.RemoteService.Of(impl))
	if err != nil {
		t.Fatal(err)
	}
	text, _ := ref.MarshalText()
	remote, err := rmi.Resolve(ctx(t), client, testobj.RemoteService, string(text))
	if err != nil {
		t.Fatal(err)
	}
	l := &listener{on: func(c context.Context, _ string) (string, error) {
		nested = rmi.MetadataFrom(c)
		return "", nil
	}}
	_, err = remote.Tell(rmi.WithMetadata(ctx(t), rmi.Metadata{"gone": "x"}), l, "")
	if want := (rmi.Metadata{"out": "1", "in": "1"}); err != nil || !maps.Equal(served, want) {
		t.Errorf("the method has %v, %v; want %v", served, err, want)
	}
	if nested != nil {
		t.Errorf("what an interceptor of the serving side added went on with a nested call: %v", nested)
	}
}

// meta is a service that shows the contexts of its calls.
type meta struct {
	*service
	on func(context.Context)
}

func (m *meta) Tell(c context.Context, l testobj.Listener, text string) (string, error) {
	m.on(c)
	return l.Hear(c, text)
}

func TestMetadataIsBounded(t *testing.T) {
	leak.Check(t)
	w := memoryWorld(t)
	of := func(n int) context.Context {
		return rmi.WithMetadata(ctx(t), rmi.Metadata{"k": strings.Repeat("x", n-1)})
	}
	impl, remote := w.between(rmi.Options{Limits: rmi.Limits{MetadataBytes: 100}}, rmi.Options{Limits: rmi.Limits{MetadataBytes: 200}})
	for n, want := range map[int]error{100: nil, 101: rmi.ErrLimit, 201: rmi.ErrLimit} {
		_, err := remote.Add(of(n), 1, 2)
		var e *rmi.Error
		if errors.As(err, &e); !errors.Is(err, want) || want != nil && (rmi.MayHaveRun(err) || e.Remote != (n < 200) || !strings.Contains(err.Error(), "Limits.MetadataBytes")) {
			t.Errorf("%d bytes of metadata: %v", n, err)
		}
	}
	if _, err := remote.Add(rmi.WithMetadata(ctx(t), rmi.Metadata{"k": "\xff"}), 1, 2); !errors.Is(err, rmi.ErrMarshal) || rmi.MayHaveRun(err) {
		t.Errorf("metadata that is no text: %v", err)
	}
	if n := impl.calls.Load(); n != 1 {
		t.Errorf("the method ran %d times, want once", n)
	}
}

func TestATraceIsFollowedThroughThreeProcesses(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	leak.Check(t)
	n := tcpWorld(t).node(rmi.Options{})
	var hops [2]testobj.Service
	for i := range hops {
		_, text := startServer(t)
		var err error
		if hops[i], err = rmi.Resolve(ctx(t), n, testobj.RemoteService, text); err != nil {
			t.Fatal(err)
		}
	}
	c := rmi.Propagate(rmi.WithMetadata(ctx(t), rmi.Metadata{"trace": "4bf9"}), "trace")
	if depth, err := hops[0].Recurse(c, hops[1], 3); depth != 3 || err != nil {
		t.Fatalf("Recurse = %d, %v", depth, err)
	}
	for i, want := range []string{"Recurse 4bf9, Recurse 4bf9", "Recurse 4bf9, Recurse 4bf9"} {
		if _, err := hops[i].Fail(ctx(t), "traced"); err == nil || err.Error() != want {
			t.Errorf("process %d served %v, want %s", i+1, err, want)
		}
	}
}

// tracer is an interceptor that notes the traces of calls, and a service that tells them.
type tracer struct {
	*service
	mu     sync.Mutex
	traces []string
}

func (t *tracer) intercept(c context.Context, call *rmi.Call, next func(context.Context) error) error {
	if id, traced := rmi.MetadataFrom(c)["trace"]; traced {
		t.mu.Lock()
		t.traces = append(t.traces, call.Method+" "+id)
		t.mu.Unlock()
	}
	return next(c)
}

func (t *tracer) Recurse(c context.Context, other testobj.Service, depth int) (int, error) {
	if depth == 0 {
		return 0, nil
	}
	n, err := other.Recurse(c, t, depth-1)
	return n + 1, err
}

func (t *tracer) Fail(c context.Context, how string) (int64, error) {
	if how != "traced" {
		return t.service.Fail(c, how)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return 0, errors.New(strings.Join(t.traces, ", "))
}

// Two calls, one of them with an interceptor that waits: the other is not held up.
func TestAnInterceptorMayDelayACall(t *testing.T) {
	leak.Check(t)
	release := make(chan struct{})
	_, remote := memoryWorld(t).between(rmi.Options{Inbound: []rmi.Interceptor{
		func(c context.Context, call *rmi.Call, next func(context.Context) error) error {
			if call.Method == "Join" {
				select {
				case <-release:
				case <-c.Done():
					return c.Err()
				}
			}
			return next(c)
		},
	}}, rmi.Options{})
	joined := make(chan error, 1)
	go func() { // ends once it is released
		_, err := remote.Join(ctx(t), "")
		joined <- err
	}()
	if sum, err := remote.Add(ctx(t), 1, 2); sum != 3 || err != nil {
		t.Errorf("Add = %d, %v", sum, err)
	}
	close(release)
	if err := <-joined; err != nil {
		t.Errorf("the delayed call: %v", err)
	}
	c, cancel := context.WithTimeout(ctx(t), time.Nanosecond)
	defer cancel()
	if _, err := remote.Join(c, ""); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a call that is delayed beyond its deadline: %v", err)
	}
}

func TestOptionsRefuseAnInterceptorThatIsNil(t *testing.T) {
	leak.Check(t)
	if _, err := rmi.NewNode(rmi.Options{Inbound: []rmi.Interceptor{nil}}); err == nil || !strings.Contains(err.Error(), "nil interceptor") {
		t.Errorf("got %v", err)
	}
}
