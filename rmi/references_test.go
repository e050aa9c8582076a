package rmi_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/rmigo/rmigo/internal/leak"
	"github.com/rmigo/rmigo/internal/testobj"
	"github.com/rmigo/rmigo/rmi"
	"github.com/rmigo/rmigo/skeleton"
	"github.com/rmigo/rmigo/stub"
)

func TestACallbackReachesAClientThatListensNowhere(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		_, _, remote, _ := w.served()
		l := &listener{}
		if got, err := remote.Tell(ctx(t), l, "hi"); got != "heard hi" || err != nil {
			t.Errorf("Tell = %q, %v; want what the listener answered", got, err)
		}
		if err := remote.TellAll(ctx(t), "all", l, &listener{}, l); err != nil || l.heard.Load() != 3 {
			t.Errorf("TellAll: %v; the listener passed twice more heard %d times, want 3", err, l.heard.Load())
		}
		item := testobj.Item{Name: "with an object inside", Seen: l}
		out, err := remote.Echo(ctx(t), item)
		if err != nil || out.Seen != testobj.Listener(l) {
			t.Errorf("an object in a struct's field came home as %v, %v; want itself", out.Seen, err)
		}
	})
}

func TestAnObjectThatComesHomeIsItself(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		_, _, remote, _ := w.served()
		l := &listener{}
		if err := remote.Remember(ctx(t), l); err != nil {
			t.Fatal(err)
		}
		if back, err := remote.Remembered(ctx(t)); back != testobj.Listener(l) || err != nil {
			t.Errorf("our own listener came home as %v, %v; want itself", back, err)
		}
		if same, err := remote.Same(ctx(t), remote); !same || err != nil {
			t.Errorf("the server did not recognise its own object: %v", err)
		}
		if none, err := remote.Object(ctx(t), nil); none != nil || err != nil {
			t.Errorf("a nil object came back as %v, %v", none, err)
		}
	})
}

func TestEqualStubsMeanTheSameObject(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		_, server, remote, client := w.served()
		again, err := remote.Self(ctx(t))
		if err != nil || again != remote {
			t.Errorf("a second stub of the same object: %v == %v is false (%v)", again, remote, err)
		}
		other := pass(t, server, client, newService(server))
		if other == remote {
			t.Errorf("stubs of two objects are equal: %v, %v", other, remote)
		}
		m := map[testobj.Service]string{remote: "first", other: "second"}
		if m[again] != "first" {
			t.Error("a stub does not find itself as a map key")
		}
		untyped, err := remote.Object(ctx(t), remote.(stub.Object))
		if err != nil || !rmi.Same(untyped, remote) || rmi.Same(untyped, other) {
			t.Errorf("Same(untyped, typed) is wrong: %v, %v", untyped, err)
		}
	})
}

func TestAStubWorksInAThirdProcess(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		impl, _, remote, _ := w.served()
		third, _ := w.server(rmi.Options{})
		hub := newService(third)
		client := w.node(rmi.Options{})
		hubStub := pass(t, third, client, hub)

		same, err := hubStub.Same(ctx(t), remote)
		if err != nil || same {
			t.Errorf("Same at the hub = %v, %v; want false", same, err)
		}
		depth, err := hubStub.Recurse(ctx(t), remote, 1)
		if err != nil || depth != 1 {
			t.Errorf("a call from the third process to the first through a stub of the second: %d, %v", depth, err)
		}
		if impl.calls.Load() != 0 {
			t.Error("Recurse is not counted, Add is: the test is wrong")
		}
	})
}

func TestNarrowGivesOrRefusesAnInterfaceAtOnce(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		_, server, remote, client := w.served()
		_, err := rmi.Narrow(ctx(t), testobj.RemoteSpare, remote)
		if !errors.Is(err, rmi.ErrNoSuchMethod) || !strings.Contains(err.Error(), "testobj.Service") || !strings.Contains(err.Error(), "testobj.Spare") {
			t.Errorf("Narrow to a missing interface: %v; want an error that names both", err)
		}
		l := &listener{}
		ref, err := rmi.Export(server, testobj.RemoteListener.Of(l))
		if err != nil {
			t.Fatal(err)
		}
		text, _ := ref.MarshalText()
		if _, err := rmi.Resolve(ctx(t), client, testobj.RemoteService, string(text)); !errors.Is(err, rmi.ErrNoSuchMethod) {
			t.Errorf("Resolve to a missing interface: %v", err)
		}
		heard, err := rmi.Resolve(ctx(t), client, testobj.RemoteListener, string(text))
		if err != nil {
			t.Fatal(err)
		}
		if home, err := rmi.Resolve(ctx(t), server, testobj.RemoteListener, string(text)); home != testobj.Listener(l) || err != nil {
			t.Errorf("Resolve at home = %v, %v; want the object itself", home, err)
		}
		if got, err := heard.Hear(ctx(t), "x"); got != "heard x" || err != nil {
			t.Errorf("the resolved stub answered %q, %v", got, err)
		}
	})
}

func TestExportUnexportAndRefOfAgree(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		impl, server, remote, client := w.served()
		ref, ok := server.RefOf(impl)
		theirs, ok2 := client.RefOf(remote)
		if !ok || !ok2 || ref.ID() != theirs.ID() {
			t.Errorf("RefOf the object and of its stub disagree: %v, %v", ref, theirs)
		}
		if _, ok := server.RefOf(&listener{}); ok {
			t.Error("RefOf an object that is not exported is a reference")
		}
		again, err := rmi.Export(server, testobj.RemoteService.Of(impl))
		if err != nil || again.ID() != ref.ID() {
			t.Errorf("exported again: %v, %v; want the same ID", again, err)
		}
		if err := rmi.Unexport(ctx(t), server, impl); err != nil {
			t.Fatal(err)
		}
		_, err = remote.Add(ctx(t), 1, 2)
		var e *rmi.Error
		if !errors.Is(err, rmi.ErrNoSuchObject) || !errors.As(err, &e) || e.Reason != rmi.Unexported || rmi.MayHaveRun(err) {
			t.Errorf("a call of an unexported object: %v; want ErrNoSuchObject, unexported, not run", err)
		}
		if err := rmi.Unexport(ctx(t), server, impl); !errors.Is(err, rmi.ErrNoSuchObject) {
			t.Errorf("unexported twice: %v", err)
		}
		if next, err := rmi.Export(server, testobj.RemoteService.Of(impl)); err != nil || next.ID() == ref.ID() {
			t.Errorf("exported after that: %v, %v; want another ID", next, err)
		}
		if _, err := remote.Add(ctx(t), 1, 2); !errors.Is(err, rmi.ErrNoSuchObject) {
			t.Errorf("a call by the earlier reference: %v", err)
		}
	})
}

func TestUnexportWaitsForRunningCallsAndCancelsThemWhenItsContextEnds(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		impl, server, remote, _ := w.served()
		done := make(chan error, 1)
		go func() { done <- remote.Block(ctx(t)) }()
		<-impl.blocked
		c, cancel := context.WithCancel(ctx(t))
		unexported := make(chan error, 1)
		go func() { unexported <- rmi.Unexport(c, server, impl) }()
		for { // it is withdrawn at once, though the call still runs
			if _, err := remote.Add(ctx(t), 1, 1); errors.Is(err, rmi.ErrNoSuchObject) {
				break
			}
		}
		cancel()
		if err := <-unexported; !errors.Is(err, context.Canceled) {
			t.Errorf("Unexport returned %v, want its context's error", err)
		}
		if err := <-impl.ended; !errors.Is(err, rmi.ErrNoSuchObject) {
			t.Errorf("the running call was cancelled with %v, want the reason", err)
		}
		if err := <-done; err == nil {
			t.Error("the cancelled call succeeded")
		}
	})
}

func TestImplementationsArePointers(t *testing.T) {
	leak.Check(t)
	w := memoryWorld(t)
	n := w.node(rmi.Options{})
	if _, err := rmi.Export(n, testobj.RemoteListener.Of(valueListener{})); !errors.Is(err, rmi.ErrNotPointer) {
		t.Errorf("a value as implementation: %v, want ErrNotPointer", err)
	}
	if _, err := rmi.Export(n, testobj.RemoteListener.Of((*listener)(nil))); !errors.Is(err, rmi.ErrNotPointer) {
		t.Errorf("a nil pointer as implementation: %v, want ErrNotPointer", err)
	}
	a, err1 := rmi.Export(n, testobj.RemoteListener.Of(&valueListener{}))
	b, err2 := rmi.Export(n, testobj.RemoteListener.Of(&valueListener{}))
	if err1 != nil || err2 != nil || a.ID() != b.ID() {
		t.Errorf("pointers to one type without fields are one object: %v %v, %v %v", a, err1, b, err2)
	}
}

type valueListener struct{}

func (valueListener) Hear(context.Context, string) (string, error) { return "", nil }

func TestAPointerToNothingIsPassedOnlyOnceItIsExported(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		impl, server, remote, client := w.served()
		empty := &valueListener{}
		_, err := remote.Tell(ctx(t), empty, "")
		if !errors.Is(err, rmi.ErrNotPointer) || rmi.MayHaveRun(err) || !strings.Contains(err.Error(), "argument 1: ") || !strings.Contains(err.Error(), "Export") {
			t.Errorf("as an argument: %v; want ErrNotPointer, not run, with the remedy", err)
		}
		if _, exported := client.RefOf(empty); exported {
			t.Error("it is exported all the same")
		}
		impl.Remember(ctx(t), empty)
		if _, err := remote.Remembered(ctx(t)); !errors.Is(err, rmi.ErrNotPointer) || !rmi.MayHaveRun(err) {
			t.Errorf("as a result: %v; want ErrNotPointer, and that the method ran", err)
		}
		for _, n := range []*rmi.Node{client, server} {
			if _, err := rmi.Export(n, testobj.RemoteListener.Of(empty)); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := remote.Tell(ctx(t), empty, ""); err != nil {
			t.Errorf("as an argument, exported: %v", err)
		}
		if l, err := remote.Remembered(ctx(t)); l == nil || err != nil {
			t.Errorf("as a result, exported: %v, %v", l, err)
		}
		if err := rmi.Unexport(ctx(t), client, empty); err != nil {
			t.Fatal(err)
		}
		if _, err := remote.Tell(ctx(t), empty, ""); !errors.Is(err, rmi.ErrNotPointer) {
			t.Errorf("as an argument, unexported: %v, want ErrNotPointer", err)
		}
	})
}

func TestAStubPrintsSafelyAndRefusesEncodings(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		_, _, remote, client := w.served()
		ref, _ := client.RefOf(remote)
		text, _ := ref.MarshalText()
		object := strings.Split(strings.Split(string(text), "/")[1], "?")[0]
		for _, s := range []string{fmt.Sprint(remote), fmt.Sprintf("%+v", remote), fmt.Sprintf("%#v", remote), fmt.Sprintf("%#v", ref), ref.String()} {
			if strings.Contains(s, object) || !strings.Contains(s, "testobj.Service") {
				t.Errorf("printed as %s: want the interface, and not the object's id", s)
			}
		}
		if b, err := json.Marshal(remote); err == nil {
			t.Errorf("a stub went through encoding/json as %s", b)
		}
		var back rmi.Ref
		if err := back.UnmarshalText(text); err != nil || back != ref {
			t.Errorf("the text of a reference reads back as %#v, %v; want %#v", back, err, ref)
		}
	})
}

func TestReferencesNameWhatTheyAreAskedToAdvertise(t *testing.T) {
	leak.Check(t)
	w := memoryWorld(t)
	n := w.node(rmi.Options{Advertise: []string{"tcp://bank.example.com:7000"}})
	ref, err := rmi.Export(n, testobj.RemoteListener.Of(&listener{}))
	if err != nil || !slices.Equal(ref.Endpoints(), []string{"tcp://bank.example.com:7000"}) {
		t.Errorf("endpoints %v, %v; want those of Options.Advertise", ref.Endpoints(), err)
	}
	if _, err := rmi.NewNode(rmi.Options{Advertise: []string{"bank:7000"}}); err == nil {
		t.Error("an endpoint without a scheme was accepted")
	}
}

// also is another interface with a method that Listener has too, and an error of its own.
type also interface {
	Hear(ctx context.Context, text string) (string, error)
}

var errAlso = errors.New("also: not today")

type alsoSkeleton struct{}

func (alsoSkeleton) Types() []skeleton.Type {
	return []skeleton.Type{skeleton.Sentinel("also.ErrAlso", errAlso)}
}
func (alsoSkeleton) Dispatch(_ context.Context, _ also, call *skeleton.Call) error {
	return call.NoSuchMethod()
}

func TestAMethodThatTwoInterfacesShareKeepsTheErrorsOfBoth(t *testing.T) {
	leak.Check(t)
	w := memoryWorld(t)
	server, _ := w.server(rmi.Options{})
	client := w.node(rmi.Options{})
	remoteAlso := &skeleton.Interface[also]{
		Path: "example.com/also.Also", Methods: testobj.RemoteListener.Methods, Servant: alsoSkeleton{},
		Stub: func(r stub.Ref) also { return testobj.RemoteListener.Stub(r) },
	}
	l := &listener{on: func(context.Context, string) (string, error) { return "", errAlso }}
	if _, err := rmi.Export(server, testobj.RemoteListener.Of(l)); err != nil {
		t.Fatal(err)
	}
	ref, err := rmi.Export(server, remoteAlso.Of(l))
	if err != nil {
		t.Fatal(err)
	}
	text, _ := ref.MarshalText()
	a, err := rmi.Resolve(ctx(t), client, remoteAlso, string(text))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Hear(ctx(t), ""); err != errAlso {
		t.Errorf("the second interface's sentinel arrived as %#v", err)
	}
}
