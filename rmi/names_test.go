package rmi_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rmigo/rmigo/internal/leak"
	"github.com/rmigo/rmigo/internal/testobj"
	"github.com/rmigo/rmigo/registry"
	"github.com/rmigo/rmigo/rmi"
	"github.com/rmigo/rmigo/skeleton"
	"github.com/rmigo/rmigo/stub"
)

// registryAt makes a node that serves a registry, and says where.
func registryAt(t *testing.T, w *world) (*rmi.Node, string) {
	t.Helper()
	n, endpoint := w.server(rmi.Options{})
	serveRegistry(t, n)
	return n, endpoint
}

func serveRegistry(t *testing.T, n *rmi.Node) {
	t.Helper()
	reg, err := registry.New(registry.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := rmi.ServeRegistry(n, reg); err != nil {
		t.Fatal(err)
	}
}

// urlOf is the URL of a name in the registry at the endpoint.
func urlOf(endpoint, name string) string {
	return registry.URL{Endpoint: endpoint, Name: name}.String()
}

func TestANameLeadsFromAnyProcessToTheObject(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		regNode, at := registryAt(t, w)
		server, _ := w.server(rmi.Options{})
		client := w.node(rmi.Options{})
		impl := newService(server)
		c := ctx(t)
		url := urlOf(at, "services/adder: main")
		if _, err := rmi.Lookup(c, client, testobj.RemoteService, url); !errors.Is(err, rmi.ErrNotBound) {
			t.Errorf("Lookup of a free name: %v, want ErrNotBound", err)
		}
		if err := rmi.Bind(c, server, url, testobj.RemoteService.Of(impl)); err != nil {
			t.Fatal(err)
		}
		if err := rmi.Bind(c, server, url, testobj.RemoteService.Of(impl)); err != nil {
			t.Errorf("Bind of the same object again: %v", err)
		}
		if err := rmi.Bind(c, server, url, testobj.RemoteService.Of(newService(server))); !errors.Is(err, rmi.ErrAlreadyBound) {
			t.Errorf("Bind of another object: %v, want ErrAlreadyBound", err)
		}
		s, err := rmi.Lookup(c, client, testobj.RemoteService, url)
		if err != nil {
			t.Fatal(err)
		}
		if sum, err := s.Add(c, 20, 3); sum != 23 || err != nil {
			t.Errorf("Add through the name: %d, %v", sum, err)
		}
		if home, err := rmi.Lookup(c, server, testobj.RemoteService, url); home != testobj.Service(impl) || err != nil {
			t.Errorf("Lookup at the owner: %v, %v; want the object itself", home, err)
		}
		if there, err := rmi.Lookup(c, regNode, testobj.RemoteService, url); err != nil {
			t.Errorf("Lookup in the registry's own process: %v", err)
		} else if _, err := there.Add(c, 1, 1); err != nil {
			t.Errorf("a call from the registry's own process: %v", err)
		}
		if _, err := rmi.Lookup(c, client, testobj.RemoteSpare, url); !errors.Is(err, rmi.ErrNoSuchMethod) || !strings.Contains(err.Error(), "Spare") {
			t.Errorf("Lookup as another interface: %v; want ErrNoSuchMethod naming it", err)
		}
		if names, err := rmi.List(c, client, urlOf(at, "services/")); !slices.Equal(names, []string{"services/adder: main"}) || err != nil {
			t.Errorf("List = %q, %v", names, err)
		}
		if err := rmi.Rebind(c, server, url, testobj.RemoteListener.Of(&listener{})); err != nil {
			t.Errorf("Rebind: %v", err)
		}
		if err := rmi.Unbind(c, client, url); err != nil {
			t.Errorf("Unbind: %v", err)
		}
		if err := rmi.Unbind(c, client, url); !errors.Is(err, rmi.ErrNotBound) {
			t.Errorf("Unbind of a free name: %v, want ErrNotBound", err)
		}
	})
}

func TestAStubMayBeBoundAndLeadsToItsObject(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		_, at := registryAt(t, w)
		_, _, remote, client := w.served()
		third := w.node(rmi.Options{})
		if err := rmi.Bind(ctx(t), client, urlOf(at, "theirs"), testobj.RemoteService.Of(remote)); err != nil {
			t.Fatal(err)
		}
		s, err := rmi.Lookup(ctx(t), third, testobj.RemoteService, urlOf(at, "theirs"))
		if err != nil {
			t.Fatal(err)
		}
		if sum, err := s.Add(ctx(t), 1, 2); sum != 3 || err != nil {
			t.Errorf("Add through a bound stub: %d, %v", sum, err)
		}
	})
}

func TestAProcessWithoutRegistrySaysSo(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		_, at := w.server(rmi.Options{})
		client := w.node(rmi.Options{})
		if _, err := rmi.LocateRegistry(ctx(t), client, urlOf(at, "")); !errors.Is(err, rmi.ErrNoSuchObject) {
			t.Errorf("LocateRegistry at a node without one: %v, want ErrNoSuchObject", err)
		}
		own, at := registryAt(t, w)
		if reg, err := rmi.LocateRegistry(ctx(t), own, urlOf(at, "")); err != nil {
			t.Errorf("LocateRegistry at home: %v, %v", reg, err)
		}
	})
}

func TestTheRegistrysStubWorksOnAfterTheRegistryWasRestarted(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		first, at := registryAt(t, w)
		client := w.node(rmi.Options{})
		reg, err := rmi.LocateRegistry(ctx(t), client, urlOf(at, ""))
		if err != nil {
			t.Fatal(err)
		}
		first.Close()
		hasLinks(t, client, 0)
		second := w.node(rmi.Options{})
		serveRegistry(t, second)
		if _, err := second.Listen(at); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if names, err := reg.List(ctx(t), ""); len(names) != 0 || err != nil {
				t.Errorf("List through the old stub: %q, %v; a registry's id is valid under any incarnation", names, err)
			}
		}
	})
}

func TestBindingsReappearWhenTheRegistryComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := memoryWorld(t)
		first, at := registryAt(t, w)
		server, _ := w.server(rmi.Options{})
		client := w.node(rmi.Options{})
		c := t.Context()
		if err := rmi.Bind(c, server, urlOf(at, "kept"), testobj.RemoteService.Of(newService(server))); err != nil {
			t.Fatal(err)
		}
		first.Close()
		time.Sleep(time.Minute)
		second := w.node(rmi.Options{})
		serveRegistry(t, second)
		if _, err := second.Listen(at); err != nil {
			t.Fatal(err)
		}
		time.Sleep(7 * time.Second) // the longest pause between two attempts, and its jitter
		synctest.Wait()
		s, err := rmi.Lookup(c, client, testobj.RemoteService, urlOf(at, "kept"))
		if err != nil {
			t.Fatalf("Lookup at the new registry: %v; want the binding restored", err)
		}
		if _, err := s.Add(c, 1, 1); err != nil {
			t.Error(err)
		}
		if err := server.Shutdown(c); err != nil {
			t.Error(err)
		}
		if _, err := rmi.Lookup(c, client, testobj.RemoteService, urlOf(at, "kept")); !errors.Is(err, rmi.ErrNotBound) {
			t.Errorf("Lookup after the server's Shutdown: %v; want its names taken out", err)
		}
	})
}

func TestANodeTakesOutOnlyNamesThatStillLeadToItsObjects(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		_, at := registryAt(t, w)
		blue, _ := w.server(rmi.Options{})
		green, _ := w.server(rmi.Options{})
		client := w.node(rmi.Options{})
		c, mine, taken := ctx(t), urlOf(at, "mine"), urlOf(at, "taken")
		for _, url := range []string{mine, taken} {
			if err := rmi.Bind(c, blue, url, testobj.RemoteService.Of(newService(blue))); err != nil {
				t.Fatal(err)
			}
		}
		if err := rmi.Rebind(c, green, taken, testobj.RemoteService.Of(newService(green))); err != nil {
			t.Fatal(err)
		}
		if err := blue.Shutdown(c); err != nil {
			t.Fatal(err)
		}
		if names, err := rmi.List(c, client, urlOf(at, "")); !slices.Equal(names, []string{"taken"}) || err != nil {
			t.Errorf("after the first server's Shutdown the names are %q, %v; want the one that the second took over", names, err)
		}
		impl := newService(green)
		if err := rmi.Bind(c, green, mine, testobj.RemoteService.Of(impl)); err != nil {
			t.Fatal(err)
		}
		if err := rmi.Unexport(c, green, impl); err != nil {
			t.Fatal(err)
		}
		if _, err := rmi.Lookup(c, client, testobj.RemoteService, mine); !errors.Is(err, rmi.ErrNotBound) {
			t.Errorf("Lookup of an unexported object's name: %v, want ErrNotBound", err)
		}
	})
}

func TestAMalformedURLIsRefusedBeforeAnythingIsDone(t *testing.T) {
	leak.Check(t)
	n := memoryWorld(t).node(rmi.Options{})
	for _, url := range []string{"", "bank", "tcp://h:1/x", "rmi://h:1", "rmi://h:99999/x", "rmi://::1/x"} {
		err := rmi.Bind(ctx(t), n, url, testobj.RemoteListener.Of(&listener{}))
		if err == nil || rmi.MayHaveRun(err) {
			t.Errorf("Bind at %q: %v; want an error, and that nothing ran", url, err)
		}
	}
	if _, err := rmi.Lookup(ctx(t), n, testobj.RemoteService, "rmis://127.0.0.1/x"); err == nil || rmi.MayHaveRun(err) || !strings.Contains(err.Error(), "tls") {
		t.Errorf("Lookup over TLS: %v; want it refused in words", err)
	}
}

func TestAURLWithoutANameIsAnsweredWithTheFormOfItsKind(t *testing.T) {
	leak.Check(t)
	n := memoryWorld(t).node(rmi.Options{})
	for url, right := range map[string]string{
		"rmi+unix:///tmp/nope": "rmi+unix:///tmp/nope#name", "rmi://h": "rmi://h:1099/name", "rmis://[::1]:7/": "rmis://[::1]:7/name",
	} {
		_, err := rmi.Lookup(ctx(t), n, testobj.RemoteService, url)
		if err == nil || !strings.HasSuffix(err.Error(), "write one as in "+right) {
			t.Errorf("Lookup at %q: %v; want it to say %s", url, err, right)
		}
	}
}

func TestTheRegistrysStubWorksOnThoughTheRegistryHasFewerEndpointsNow(t *testing.T) {
	leak.Check(t)
	w := tcpWorld(t)
	first, at := registryAt(t, w)
	if _, err := first.Listen(w.listen()); err != nil {
		t.Fatal(err)
	}
	client := w.node(rmi.Options{})
	reg, err := rmi.LocateRegistry(ctx(t), client, urlOf(at, ""))
	if err != nil {
		t.Fatal(err)
	}
	first.Close()
	hasLinks(t, client, 0)
	second := w.node(rmi.Options{})
	serveRegistry(t, second)
	if _, err := second.Listen(at); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := reg.List(ctx(t), ""); err != nil {
			t.Errorf("List through the old stub: %v", err)
		}
	}
}

// relay is a registry that asks somebody else, who cannot be reached.
type relay struct {
	registry.Registry
	err error
}

func (r *relay) Lookup(context.Context, string) (stub.Object, error) { return nil, r.err }

func TestLookupTellsARegistrysFailedCallFromItsOwn(t *testing.T) {
	leak.Check(t)
	w := memoryWorld(t)
	server, at := w.server(rmi.Options{})
	_, far, remote, _ := w.served()
	far.Close()
	_, inner := remote.Add(ctx(t), 1, 1)
	if err := rmi.ServeRegistry(server, &relay{err: inner}); err != nil {
		t.Fatal(err)
	}
	url := urlOf(at, "x")
	_, err := rmi.Lookup(ctx(t), w.node(rmi.Options{}), testobj.RemoteService, url)
	want := "rmi: lookup " + url + ": " + strings.TrimPrefix(inner.Error(), "rmi: ")
	if err == nil || err.Error() != want || !errors.Is(err, rmi.ErrUnreachable) || !rmi.MayHaveRun(err) {
		t.Errorf("Lookup says\n%v\nwant, of kind ErrUnreachable,\n%v", err, want)
	}
}

func TestWhatIsSeenThroughNoInterfaceIsRefusedBeforeAnythingIsDone(t *testing.T) {
	leak.Check(t)
	w := memoryWorld(t)
	_, _, remote, client := w.served()
	ref, _ := client.RefOf(remote)
	text, _ := ref.MarshalText()
	const url = "rmi://127.0.0.1:1/x" // where nobody is
	var none *skeleton.Interface[testobj.Listener]
	for name, do := range map[string]func() error{
		"Bind":                   func() error { return rmi.Bind(ctx(t), client, url, skeleton.Bound{}) },
		"Rebind":                 func() error { return rmi.Rebind(ctx(t), client, url, skeleton.Bound{}) },
		"Export":                 func() error { _, err := rmi.Export(client, skeleton.Bound{}); return err },
		"Export by no interface": func() error { _, err := rmi.Export(client, none.Of(&listener{})); return err },
		"ObjectOf":               func() error { _, err := rmi.ObjectOf(client, skeleton.Bound{}); return err },
		"Lookup":                 func() error { _, err := rmi.Lookup(ctx(t), client, none, url); return err },
		"Resolve":                func() error { _, err := rmi.Resolve(ctx(t), client, none, string(text)); return err },
		"Narrow":                 func() error { _, err := rmi.Narrow(ctx(t), none, remote); return err },
		"Narrow of a local one":  func() error { _, err := rmi.Narrow(ctx(t), none, &listener{}); return err },
	} {
		err := do()
		var e *rmi.Error
		if !errors.As(err, &e) || e.Op == "" || rmi.MayHaveRun(err) || !strings.Contains(err.Error(), "bank.RemoteAccount") {
			t.Errorf("%s: %v; want an *Error that says what to give", name, err)
		}
	}
}
