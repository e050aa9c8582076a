package rmi_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rmigo/rmigo/internal/leak"
	"github.com/rmigo/rmigo/internal/testobj"
	"github.com/rmigo/rmigo/rmi"
	"github.com/rmigo/rmigo/stub"
)

// kiosk implements testobj.Kiosk.
type kiosk struct {
	mu   sync.Mutex
	kept func(context.Context, string) (string, error)

	posted chan error // what each visitor of Post returned
}

func newKiosk() *kiosk { return &kiosk{posted: make(chan error, 9)} }

func (d *kiosk) Each(c context.Context, n int, f testobj.Visitor) error {
	for i := range n {
		if err := f(c, i); err != nil {
			return fmt.Errorf("the visitor of %d: %w", i, err)
		}
	}
	return nil
}

func (d *kiosk) Post(c context.Context, n int, f testobj.Visitor) error {
	d.posted <- f(c, n)
	return nil
}

func (d *kiosk) Keep(_ context.Context, f func(context.Context, string) (string, error)) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.kept = f
	return nil
}

func (d *kiosk) Kept(context.Context) (func(context.Context, string) (string, error), error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.kept, nil
}

func (d *kiosk) Ring(c context.Context, text string) (string, error) {
	f, _ := d.Kept(c)
	return f(c, text)
}

func (d *kiosk) Adder(_ context.Context, start int) (func(context.Context, ...int) (int, error), error) {
	return func(_ context.Context, more ...int) (int, error) {
		for _, n := range more {
			start += n
		}
		return start, nil
	}, nil
}

func (d *kiosk) Alarm(_ context.Context, a testobj.Alarm) (testobj.Alarm, error) { return a, nil }

func (d *kiosk) Through(c context.Context, f func(context.Context, testobj.Kiosk, error) (testobj.Kiosk, error), other testobj.Kiosk, why error) (testobj.Kiosk, error) {
	return f(c, other, why)
}

func (d *kiosk) Wrapped(c context.Context, wrap func(context.Context, testobj.Visitor) (testobj.Visitor, error)) (testobj.Visitor, error) {
	return wrap(c, func(_ context.Context, n int) error {
		if n < 0 {
			return &testobj.RangeError{Got: int64(n)}
		}
		return nil
	})
}

// kiosks exports a kiosk in one node, and returns its stub in another.
func kiosks(t *testing.T, server, client *rmi.Node) (*kiosk, testobj.Kiosk) {
	t.Helper()
	impl := newKiosk()
	ref, err := rmi.Export(server, testobj.RemoteKiosk.Of(impl))
	if err != nil {
		t.Fatal(err)
	}
	return impl, resolved(t, client, testobj.RemoteKiosk, ref)
}

// kioskEverywhere runs a test with a kiosk over every transport. The client listens nowhere.
func kioskEverywhere(t *testing.T, test func(t *testing.T, impl *kiosk, server *rmi.Node, remote testobj.Kiosk, client *rmi.Node)) {
	everywhere(t, func(t *testing.T, w *world) {
		server, _ := w.server(rmi.Options{})
		client := w.node(rmi.Options{})
		impl, remote := kiosks(t, server, client)
		test(t, impl, server, remote, client)
	})
}

func heardIt(_ context.Context, text string) (string, error) { return "heard " + text, nil }

func TestAFunctionIsCalledBackInTheCallersProcess(t *testing.T) {
	leak.Check(t)
	kioskEverywhere(t, func(t *testing.T, impl *kiosk, server *rmi.Node, remote testobj.Kiosk, client *rmi.Node) {
		var seen []int
		var caller rmi.Peer
		err := remote.Each(ctx(t), 4, func(c context.Context, n int) error {
			seen, caller = append(seen, n), rmi.Caller(c)
			return nil
		})
		if err != nil || !slices.Equal(seen, []int{0, 1, 2, 3}) || caller.Process != server.ID() {
			t.Errorf("seen %v by %v, %v; want the numbers to 3 by the server", seen, caller, err)
		}
		err = remote.Each(ctx(t), 4, func(_ context.Context, n int) error {
			if n == 2 {
				return &testobj.RangeError{Got: 2, Cause: testobj.ErrEmpty}
			}
			return nil
		})
		var e *testobj.RangeError
		if !errors.As(err, &e) || e.Got != 2 || !errors.Is(err, testobj.ErrEmpty) || !strings.HasPrefix(err.Error(), "the visitor of 2: ") {
			t.Errorf("the visitor's error came back as %v", err)
		}
		if err := remote.Post(ctx(t), 7, func(_ context.Context, n int) error { return fmt.Errorf("posted %d", n) }); err != nil {
			t.Error(err)
		}
		if err := <-impl.posted; err == nil || err.Error() != "posted 7" {
			t.Errorf("a one-way call's visitor returned %v", err)
		}
		future := testobj.AsyncKioskOf(remote).Each(ctx(t), 3, func(_ context.Context, n int) error { seen = append(seen, n); return nil })
		if _, err := future.Wait(ctx(t)); err != nil || len(seen) != 7 {
			t.Errorf("an asynchronous call's visitor has seen %v, %v", seen, err)
		}
	})
}

func TestFunctionsReturnFunctionsAndTakeObjectsAndErrors(t *testing.T) {
	leak.Check(t)
	kioskEverywhere(t, func(t *testing.T, impl *kiosk, server *rmi.Node, remote testobj.Kiosk, client *rmi.Node) {
		add, err := remote.Adder(ctx(t), 10)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			more []int
			want int
		}{{[]int{1, 2}, 13}, {nil, 13}, {[]int{-13}, 0}} {
			if got, err := add(ctx(t), c.more...); got != c.want || err != nil {
				t.Errorf("adding %v gave %d, %v, want %d", c.more, got, err, c.want)
			}
		}
		other := newKiosk()
		got, err := remote.Through(ctx(t), func(_ context.Context, d testobj.Kiosk, why error) (testobj.Kiosk, error) {
			if d != testobj.Kiosk(other) || !errors.Is(why, testobj.ErrEmpty) {
				t.Errorf("the function was given %v and %v, want the client's own kiosk and the sentinel", d, why)
			}
			return d, nil
		}, other, testobj.ErrEmpty)
		if got != testobj.Kiosk(other) || err != nil {
			t.Errorf("the function's result came back as %v, %v, want the kiosk", got, err)
		}
		calls := 0
		visit, err := remote.Wrapped(ctx(t), func(_ context.Context, inner testobj.Visitor) (testobj.Visitor, error) {
			return func(c context.Context, n int) error { calls++; return inner(c, n-5) }, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		var e *testobj.RangeError
		if err := visit(ctx(t), 5); err != nil {
			t.Error(err)
		}
		if err := visit(ctx(t), 3); !errors.As(err, &e) || e.Got != -2 || calls != 2 {
			t.Errorf("a function around a function around one returned %v after %d calls", err, calls)
		}
	})
}

func TestNilFunctionsTravelAsNilAndOthersInsideValues(t *testing.T) {
	leak.Check(t)
	kioskEverywhere(t, func(t *testing.T, impl *kiosk, server *rmi.Node, remote testobj.Kiosk, client *rmi.Node) {
		if kept, err := remote.Kept(ctx(t)); kept != nil || err != nil {
			t.Errorf("the result nil came as %p, %v", kept, err)
		}
		if err := remote.Keep(ctx(t), heardIt); err != nil {
			t.Fatal(err)
		}
		if err := remote.Keep(ctx(t), nil); err != nil || impl.kept != nil {
			t.Errorf("the argument nil came as %p, %v", impl.kept, err)
		}
		visit := func(_ context.Context, n int) error { return fmt.Errorf("visited %d", n) }
		sent := testobj.Alarm{Name: "a", Ring: heardIt, Also: []testobj.Visitor{visit, nil, visit}, By: map[string]testobj.Visitor{"v": visit, "none": nil}}
		got, err := remote.Alarm(ctx(t), sent)
		if err != nil || len(got.Also) != 3 || got.Also[1] != nil || len(got.By) != 2 || got.By["none"] != nil {
			t.Fatalf("got %+v, %v", got, err)
		}
		if text, err := got.Ring(ctx(t), "it"); text != "heard it" || err != nil {
			t.Errorf("the function in the field gave %q, %v", text, err)
		}
		for _, f := range []testobj.Visitor{got.Also[0], got.Also[2], got.By["v"]} {
			if err := f(ctx(t), 3); err == nil || err.Error() != "visited 3" {
				t.Errorf("a function among the elements returned %v", err)
			}
		}
		if got, err = remote.Alarm(ctx(t), testobj.Alarm{}); err != nil || got.Ring != nil || got.Also != nil {
			t.Errorf("an empty alarm came back as %+v, %v", got, err)
		}
	})
}

func TestAFunctionLivesWhileItsReceiverHasIt(t *testing.T) {
	leak.Check(t)
	pair(t, rmi.Options{}, func(t *testing.T, w *world, server, client *rmi.Node, _ string) {
		impl, remote := kiosks(t, server, client)
		if err := remote.Keep(ctx(t), heardIt); err != nil {
			t.Fatal(err)
		}
		settle(10 * time.Minute)
		if got, err := impl.Ring(ctx(t), "you"); got != "heard you" || err != nil {
			t.Fatalf("after ten minutes, the function gave %q, %v", got, err)
		}
		if s := client.Stats(); s.Exports != 1 || s.Held != 1 || s.Pins != 0 {
			t.Errorf("the client has %+v, want one function, held by the server", s)
		}
		for range 3 { // each time another one
			if err := remote.Keep(ctx(t), heardIt); err != nil {
				t.Fatal(err)
			}
		}
		settle(time.Second)
		settle(time.Second)
		if s := client.Stats(); s.Exports != 1 || s.Held != 1 {
			t.Errorf("the client has %+v, want the last function only", s)
		}
		if err := remote.Each(ctx(t), 1, func(context.Context, int) error { return nil }); err != nil {
			t.Fatal(err)
		}
		if err := remote.Keep(ctx(t), nil); err != nil {
			t.Fatal(err)
		}
		settle(time.Second)
		settle(time.Second)
		if s := client.Stats(); s.Exports != 0 || s.Held != 0 || s.Pins != 0 {
			t.Errorf("the client has %+v after its functions were dropped", s)
		}
		if s := server.Stats(); s.Exports != 1 || s.Pins != 0 {
			t.Errorf("the server has %+v, want the kiosk alone", s)
		}
	})
}

func TestFunctionsOfFailedCallsAreNotLeft(t *testing.T) {
	leak.Check(t)
	pair(t, rmi.Options{}, func(t *testing.T, w *world, server, client *rmi.Node, _ string) {
		impl, remote := kiosks(t, server, client)
		if err := remote.Each(ctx(t), 1, nil); !errors.Is(err, rmi.ErrPanic) {
			t.Errorf("a call of nil: %v", err)
		}
		err := remote.Each(ctx(t), 1, func(context.Context, int) error { panic("the visitor fell over") })
		if !errors.Is(err, rmi.ErrPanic) || !strings.Contains(err.Error(), "the visitor fell over") {
			t.Errorf("a visitor that panics: %v", err)
		}
		if err := rmi.Unexport(ctx(t), server, impl); err != nil {
			t.Fatal(err)
		}
		if err := remote.Keep(ctx(t), heardIt); !errors.Is(err, rmi.ErrNoSuchObject) {
			t.Errorf("a function passed to an object that is gone: %v", err)
		}
		settle(time.Second)
		settle(time.Second)
		if s := client.Stats(); s.Exports != 0 || s.Held != 0 || s.Pins != 0 {
			t.Errorf("the client has %+v after all calls have failed", s)
		}
	})
}

func TestAFunctionWhoseProcessHasGoneFailsTyped(t *testing.T) {
	leak.Check(t)
	kioskEverywhere(t, func(t *testing.T, impl *kiosk, server *rmi.Node, remote testobj.Kiosk, client *rmi.Node) {
		if err := remote.Keep(ctx(t), heardIt); err != nil {
			t.Fatal(err)
		}
		if err := client.Shutdown(ctx(t)); err != nil {
			t.Fatal(err)
		}
		_, err := impl.Ring(ctx(t), "you")
		var e *rmi.Error
		if !errors.As(err, &e) || !errors.Is(err, rmi.ErrNoSuchObject) && !errors.Is(err, rmi.ErrUnreachable) || rmi.MayHaveRun(err) {
			t.Errorf("a function of a process that has ended: %v", err)
		}
		if !strings.Contains(err.Error(), "call func(string)(string,error) on func(string)(string,error)") {
			t.Errorf("the error %q does not say which function", err)
		}
	})
}

func TestAFunctionEndsWithItsCallersContext(t *testing.T) {
	leak.Check(t)
	pair(t, rmi.Options{}, func(t *testing.T, w *world, server, client *rmi.Node, _ string) {
		_, remote := kiosks(t, server, client)
		short, cancel := context.WithTimeout(ctx(t), time.Second)
		defer cancel()
		ended := make(chan time.Duration, 1)
		began := time.Now()
		err := remote.Each(short, 1, func(c context.Context, _ int) error {
			<-c.Done()
			ended <- time.Since(began)
			return c.Err()
		})
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a call that waits for its function: %v", err)
		}
		if d := <-ended; d != time.Second {
			t.Errorf("the function's context ended after %v, want the call's second", d)
		}
	})
}

// A function has no identity: what arrives is a function of the process that has it, also where that passes it on, or back.
func TestAFunctionThatIsPassedOnGoesByWayOfWhoPassesIt(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		var mu sync.Mutex
		var served []string
		note := func(name string) rmi.Options {
			return rmi.Options{Inbound: []rmi.Interceptor{func(c context.Context, call *rmi.Call, next func(context.Context) error) error {
				if call.Method == "func" {
					mu.Lock()
					served = append(served, name+" "+call.Interface+" "+call.Signature)
					mu.Unlock()
				}
				return next(c)
			}}}
		}
		server, _ := w.server(note("server"))
		client, third := w.node(note("client")), w.node(note("third"))
		_, remote := kiosks(t, server, client)
		ref, _ := client.RefOf(remote)
		if err := remote.Keep(ctx(t), heardIt); err != nil {
			t.Fatal(err)
		}
		const f = " func(string)(string,error) func(string) (string, error)"
		for _, node := range []*rmi.Node{third, client} {
			served = nil
			kept, err := resolved(t, node, testobj.RemoteKiosk, ref).Kept(ctx(t))
			if err != nil {
				t.Fatal(err)
			}
			got, err := kept(ctx(t), "it")
			if got != "heard it" || err != nil || !slices.Equal(served, []string{"server" + f, "client" + f}) {
				t.Errorf("the function gave %q, %v, by way of %q, want the server's and the client's", got, err, served)
			}
		}
	})
}

func TestFunctionsAreDescribedAndInvoked(t *testing.T) {
	leak.Check(t)
	kioskEverywhere(t, func(t *testing.T, impl *kiosk, server *rmi.Node, remote testobj.Kiosk, client *rmi.Node) {
		d, err := rmi.Describe(ctx(t), remote)
		if err != nil {
			t.Fatal(err)
		}
		text := strings.ReplaceAll(d.String(), "github.com/rmigo/rmigo/internal/", "")
		for _, want := range []string{
			"\tEach(n int, f testobj.Visitor)\n",
			"\tKept() ( func(string) (string, error))\n",
			"\tAdder(start int) ( func(...int) (int, error))\n",
			"\tWrapped(wrap func(testobj.Visitor) (testobj.Visitor, error)) ( testobj.Visitor)\n",
			"type testobj.Visitor func(int) error\n",
			"\tRing func(string) (string, error)\n",
		} {
			if want = strings.ReplaceAll(want, "( ", "("); !strings.Contains(text, want) {
				t.Errorf("the description does not say %q:\n%s", want, text)
			}
		}
		invoke := func(object any, method string, args ...any) any {
			t.Helper()
			results, err := rmi.Invoke(ctx(t), client, object, method, args...)
			if err != nil || len(results) > 1 {
				t.Fatalf("%s: %v, %v", method, results, err)
			}
			return append(results, nil)[0]
		}
		add := invoke(remote, "Adder", 40)
		if _, ok := add.(stub.Object); !ok {
			t.Fatalf("a function came as a %T, want a reference", add)
		}
		if got := invoke(add, "func", 1, 1); got != int64(42) {
			t.Errorf("the function gave %v", got)
		}
		if err := remote.Keep(ctx(t), heardIt); err != nil {
			t.Fatal(err)
		}
		kept := invoke(remote, "Kept")
		invoke(remote, "Keep", nil)
		if got := invoke(remote, "Kept"); got != nil || impl.kept != nil {
			t.Errorf("nil came back as %v", got)
		}
		invoke(remote, "Keep", kept)
		if got := invoke(remote, "Ring", "it"); got != "heard it" {
			t.Errorf("a function that came as a reference and went as one gave %v", got)
		}
		var wrong *rmi.ArgumentError
		if _, err := rmi.Invoke(ctx(t), client, remote, "Keep", heardIt); !errors.As(err, &wrong) || wrong.Name != "f" {
			t.Errorf("a Go function as an argument: %v", err)
		}
		if _, err := rmi.Invoke(ctx(t), client, remote, "Keep", remote); !errors.Is(err, rmi.ErrNoSuchMethod) || rmi.MayHaveRun(err) {
			t.Errorf("an object of the server's own as a function: %v", err)
		}
		invoke(remote, "Keep", testobj.RemoteListener.Of(&listener{}))
		if _, err := impl.Ring(ctx(t), "it"); !errors.Is(err, rmi.ErrNoSuchMethod) {
			t.Errorf("a call of an object that is no function: %v", err)
		}
	})
}

func TestAFunctionCannotBeStored(t *testing.T) {
	leak.Check(t)
	n := memoryWorld(t).node(rmi.Options{})
	_, err := rmi.Marshal(n, testobj.Alarm{Ring: heardIt}, testobj.RemoteKiosk)
	if !errors.Is(err, rmi.ErrMarshal) || !strings.Contains(err.Error(), "Alarm.Ring: ") || !strings.Contains(err.Error(), "store a remote object") {
		t.Errorf("a function that is to be stored: %v", err)
	}
	m, err := rmi.Marshal(n, testobj.Alarm{Name: "a"}, testobj.RemoteKiosk)
	if err != nil {
		t.Fatal(err)
	}
	if a, err := m.Get(n, testobj.RemoteKiosk); err != nil || !reflect.DeepEqual(a, testobj.Alarm{Name: "a"}) {
		t.Errorf("got %+v, %v", a, err)
	}
}
