package rmi_test

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/rmigo/rmigo/internal/leak"
	"github.com/rmigo/rmigo/internal/testobj"
	"github.com/rmigo/rmigo/rmi"
	"github.com/rmigo/rmigo/skeleton"
)

// shelf implements testobj.Shelf.
type shelf[K cmp.Ordered, V any] struct {
	mu sync.Mutex
	at map[K]V
}

func newShelf[K cmp.Ordered, V any](entries ...testobj.Entry[K, V]) *shelf[K, V] {
	s := &shelf[K, V]{at: map[K]V{}}
	_ = s.Put(context.Background(), entries...)
	return s
}

func (s *shelf[K, V]) Get(_ context.Context, key K) (V, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, ok := s.at[key]
	if !ok {
		return v, testobj.ErrNoSuchKey
	}
	return v, nil
}

func (s *shelf[K, V]) Put(_ context.Context, entries ...testobj.Entry[K, V]) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range entries {
		s.at[e.Key] = e.Value
	}
	return nil
}

func (s *shelf[K, V]) All(context.Context) (all []testobj.Entry[K, V], err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, key := range slices.Sorted(maps.Keys(s.at)) {
		all = append(all, testobj.Entry[K, V]{Key: key, Value: s.at[key]})
	}
	return all, nil
}

func (s *shelf[K, V]) Len(context.Context) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.at), nil
}

func (s *shelf[K, V]) Each(ctx context.Context, r testobj.Reader[K, V]) error {
	all, _ := s.All(ctx)
	for _, e := range all {
		if more, err := r.Read(ctx, e.Key, e.Value); err != nil || !more {
			return err
		}
	}
	return nil
}

func (s *shelf[K, V]) Beside(context.Context) (testobj.Shelf[K, V], error) { return s, nil }

func (s *shelf[K, V]) Hold(_ context.Context, v any) (any, error) { return v, nil }

// reader implements testobj.Reader.
type reader[K cmp.Ordered, V any] struct {
	read []testobj.Entry[K, V]
}

func (r *reader[K, V]) Read(_ context.Context, key K, value V) (bool, error) {
	r.read = append(r.read, testobj.Entry[K, V]{Key: key, Value: value})
	return true, nil
}

// shelved exports a shelf in one node, and returns its stub in another.
func shelved[K cmp.Ordered, V any](t *testing.T, server, client *rmi.Node, d *skeleton.Interface[testobj.Shelf[K, V]], s *shelf[K, V]) testobj.Shelf[K, V] {
	t.Helper()
	ref, err := rmi.Export(server, d.Of(s))
	if err != nil {
		t.Fatal(err)
	}
	return resolved(t, client, d, ref)
}

func TestTwoInstancesOfAGenericInterfaceAreCalledSideBySide(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		server, _ := w.server(rmi.Options{})
		client := w.node(rmi.Options{})
		ages := shelved(t, server, client, testobj.RemoteShelf[string, int](), newShelf[string, int]())
		items := shelved(t, server, client, testobj.RemoteShelf[int64, *testobj.Item]().Using(testobj.RemoteListener), newShelf[int64, *testobj.Item]())

		if err := ages.Put(ctx(t), testobj.Entry[string, int]{Key: "Ann", Value: 31}, testobj.Entry[string, int]{Key: "Bob", Value: 7}); err != nil {
			t.Fatal(err)
		}
		if age, err := ages.Get(ctx(t), "Bob"); age != 7 || err != nil {
			t.Errorf("Get(Bob) = %d, %v; want 7", age, err)
		}
		if _, err := ages.Get(ctx(t), "Cid"); !errors.Is(err, testobj.ErrNoSuchKey) {
			t.Errorf("Get(Cid): %v, want ErrNoSuchKey", err)
		}
		if err := items.Put(ctx(t), testobj.Entry[int64, *testobj.Item]{Key: 1, Value: &testobj.Item{Name: "one"}}); err != nil {
			t.Fatal(err)
		}
		if item, err := items.Get(ctx(t), 1); err != nil || item.Name != "one" {
			t.Errorf("Get(1) = %v, %v; want the item", item, err)
		}
		if held, err := items.Hold(ctx(t), testobj.Entry[int64, *testobj.Item]{Key: 2}); err != nil || held.(testobj.Entry[int64, *testobj.Item]).Key != 2 {
			t.Errorf("Hold = %v, %v; want the entry, in an interface", held, err)
		}
		r := &reader[string, int]{}
		if err := ages.Each(ctx(t), r); err != nil || len(r.read) != 2 || r.read[1].Value != 7 {
			t.Errorf("Each: %v; the reader was shown %v, want Ann and Bob", err, r.read)
		}
	})
}

func TestEqualStubsOfAnInstanceMeanTheSameObject(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		server, _ := w.server(rmi.Options{})
		client := w.node(rmi.Options{})
		impl := newShelf[string, int]()
		s := shelved(t, server, client, testobj.RemoteShelf[string, int](), impl)
		again := shelved(t, server, client, testobj.RemoteShelf[string, int](), impl)
		beside, err := s.Beside(ctx(t))
		if err != nil || beside != s || again != s {
			t.Errorf("the stubs %v, %v and %v (%v) are not equal, want the same object to be so", s, beside, again, err)
		}
		seen := map[testobj.Shelf[string, int]]bool{s: true}
		if !seen[beside] {
			t.Error("a stub of an instance did not find itself in a map")
		}
	})
}

func TestAnObjectIsBoundAndLookedUpByItsInstance(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		_, at := registryAt(t, w)
		url := urlOf(at, "ages")
		server, _ := w.server(rmi.Options{})
		client := w.node(rmi.Options{})
		if err := rmi.Bind(ctx(t), server, url, testobj.RemoteShelf[string, int]().Of(newShelf(testobj.Entry[string, int]{Key: "Ann", Value: 31}))); err != nil {
			t.Fatal(err)
		}
		ages, err := rmi.Lookup(ctx(t), client, testobj.RemoteShelf[string, int](), url)
		if err != nil {
			t.Fatal(err)
		}
		if age, err := ages.Get(ctx(t), "Ann"); age != 31 || err != nil {
			t.Errorf("Get(Ann) = %d, %v; want 31", age, err)
		}
		_, err = rmi.Lookup(ctx(t), client, testobj.RemoteShelf[string, int64](), url)
		wantBothNames(t, "Lookup", err)
		_, err = rmi.Narrow(ctx(t), testobj.RemoteShelf[string, int64](), ages)
		wantBothNames(t, "Narrow", err)
		if narrowed, err := rmi.Narrow(ctx(t), testobj.RemoteShelf[string, int](), ages); narrowed != ages || err != nil {
			t.Errorf("Narrow to the instance that it is = %v, %v; want itself", narrowed, err)
		}
	})
}

func wantBothNames(t *testing.T, op string, err error) {
	t.Helper()
	const has, asked = "testobj.Shelf[string,int]", "testobj.Shelf[string,int64]"
	if !errors.Is(err, rmi.ErrNoSuchMethod) || !strings.Contains(err.Error(), has) || !strings.Contains(err.Error(), asked) {
		t.Errorf("%s to another instance: %v, want ErrNoSuchMethod that names %s and %s", op, err, has, asked)
	}
}

func TestATypeArgumentThatIsARemoteInterfaceTravelsByReference(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		server, _ := w.server(rmi.Options{})
		client := w.node(rmi.Options{})
		listeners := testobj.RemoteShelf[string, testobj.Listener]().Using(testobj.RemoteListener)
		s := shelved(t, server, client, listeners, newShelf[string, testobj.Listener]())
		l := &listener{}
		if err := s.Put(ctx(t), testobj.Entry[string, testobj.Listener]{Key: "l", Value: l}, testobj.Entry[string, testobj.Listener]{Key: "none"}); err != nil {
			t.Fatal(err)
		}
		if back, err := s.Get(ctx(t), "l"); back != testobj.Listener(l) || err != nil {
			t.Errorf("the listener came home as %v, %v; want itself", back, err)
		}
		if none, err := s.Get(ctx(t), "none"); none != nil || err != nil {
			t.Errorf("no listener came back as %v, %v; want nil", none, err)
		}
		r := &reader[string, testobj.Listener]{}
		if err := s.Each(ctx(t), r); err != nil || len(r.read) != 2 || r.read[0].Value != testobj.Listener(l) {
			t.Errorf("Each: %v; the reader, which nobody told of listeners, was shown %v", err, r.read)
		}
	})
}

// library implements testobj.Library.
type library struct {
	listeners *shelf[string, testobj.Listener]
}

func (l *library) Listeners(context.Context) (testobj.Shelf[string, testobj.Listener], error) {
	return l.listeners, nil
}

func (l *library) Shelves(context.Context) (testobj.Shelf[string, testobj.Shelf[string, testobj.Listener]], error) {
	return newShelf(testobj.Entry[string, testobj.Shelf[string, testobj.Listener]]{Key: "all", Value: l.listeners}), nil
}

func (l *library) Numbers(ctx context.Context, shelves map[string]testobj.Shelf[string, int]) (sum int, err error) {
	for key, s := range shelves {
		n, err := s.Get(ctx, key)
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return sum, nil
}

func TestInstancesInSignaturesKnowWhatTheirTypeArgumentsLeadTo(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		server, _ := w.server(rmi.Options{})
		client := w.node(rmi.Options{})
		heard := &listener{}
		ref, err := rmi.Export(server, testobj.RemoteLibrary.Of(&library{newShelf(testobj.Entry[string, testobj.Listener]{Key: "l", Value: heard})}))
		if err != nil {
			t.Fatal(err)
		}
		remote := resolved(t, client, testobj.RemoteLibrary, ref)
		s, err := remote.Listeners(ctx(t))
		if err != nil {
			t.Fatal(err)
		}
		l, err := s.Get(ctx(t), "l")
		if err != nil {
			t.Fatal(err)
		}
		if text, err := l.Hear(ctx(t), "hi"); text != "heard hi" || err != nil || heard.heard.Load() != 1 {
			t.Errorf("Hear = %q, %v, want what the listener at home answers", text, err)
		}
		shelves, err := remote.Shelves(ctx(t))
		if err != nil {
			t.Fatal(err)
		}
		if inner, err := shelves.Get(ctx(t), "all"); inner != s || err != nil {
			t.Errorf("the shelf on a shelf is %v, %v; want the stub that Listeners returned", inner, err)
		}
		sum, err := remote.Numbers(ctx(t), map[string]testobj.Shelf[string, int]{
			"a": newShelf(testobj.Entry[string, int]{Key: "a", Value: 2}), "b": newShelf(testobj.Entry[string, int]{Key: "b", Value: 3})})
		if sum != 5 || err != nil {
			t.Errorf("Numbers = %d, %v; want 5 of shelves of the client's", sum, err)
		}
	})
}

func TestAnInstanceThatCannotWorkIsRefusedWhenItIsFirstUsed(t *testing.T) {
	leak.Check(t)
	node := memoryWorld(t).node(rmi.Options{})
	type local struct{ N int }
	for _, test := range []struct {
		name  string
		bound skeleton.Bound
		want  string
	}{
		{"ARemoteInterfaceOfWhichNothingIsKnown", testobj.RemoteShelf[string, testobj.Listener]().Of(newShelf[string, testobj.Listener]()),
			"testobj.Shelf[string,github.com/rmigo/rmigo/internal/testobj.Listener]: nothing is known of the interface testobj.Listener: give its descriptor"},
		{"OneThatAStructHas", testobj.RemoteShelf[string, []testobj.Item]().Of(newShelf[string, []testobj.Item]()), "testobj.Item.Seen: nothing is known"},
		{"AFunction", testobj.RemoteShelf[string, func()]().Of(newShelf[string, func()]()), "cannot travel"},
		{"ATypeWithoutAName", testobj.RemoteShelf[string, struct{ A int }]().Of(newShelf[string, struct{ A int }]()), "has spaces"},
		{"ATypeOfAFunction", testobj.RemoteShelf[string, local]().Of(newShelf[string, local]()), "declared in a function"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if _, err := rmi.Export(node, test.bound); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("Export: %v, want an error that says %q", err, test.want)
			}
		})
	}
}

// west and east lead to each other by instances.
type (
	west struct{ East testobj.Shelf[int64, *east] }
	east struct{ West testobj.Shelf[string, *west] }
)

// rmigen writes the same in type tables: an instance is not told again of those that it is told within.
func TestInstancesWhoseTypeArgumentsLeadToEachOtherAreRefusedWhereTheInnerOneIsFirstUsed(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		server, _ := w.server(rmi.Options{})
		client := w.node(rmi.Options{})
		wests := testobj.RemoteShelf[string, *west]().Using(testobj.RemoteShelf[int64, *east]())
		s := shelved(t, server, client, wests, newShelf(
			testobj.Entry[string, *west]{Key: "alone", Value: &west{}},
			testobj.Entry[string, *west]{Key: "both", Value: &west{newShelf(testobj.Entry[int64, *east]{Key: 1, Value: &east{}})}}))
		if got, err := s.Get(ctx(t), "alone"); err != nil || got.East != nil {
			t.Errorf("Get = %v, %v; want one that leads to no other", got, err)
		}
		got, err := s.Get(ctx(t), "both")
		if err == nil || !strings.Contains(err.Error(), "rmi_test.east.West: nothing is known of the interface testobj.Shelf[string,") {
			t.Errorf("Get = %v, %v; want an error that tells what is not known", got, err)
		}
	})
}

func TestTheAsynchronousViewOfAnInstancePipelines(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		server, _ := w.server(rmi.Options{})
		client := w.node(rmi.Options{})
		listeners := testobj.RemoteShelf[string, testobj.Listener]().Using(testobj.RemoteListener)
		l := &listener{}
		s := shelved(t, server, client, listeners, newShelf(testobj.Entry[string, testobj.Listener]{Key: "l", Value: l}))
		view := testobj.AsyncShelfOf(s)
		got, err := view.Beside(ctx(t)).Beside(ctx(t)).Get(ctx(t), "l").Wait(ctx(t))
		if err != nil {
			t.Fatal(err)
		}
		if text, err := got.Hear(ctx(t), "hi"); text != "heard hi" || err != nil {
			t.Errorf("Hear = %q, %v; want what the listener answers", text, err)
		}
		if n, err := testobj.AsyncShelfOf[string, int](newShelf[string, int]()).Beside(ctx(t)).Len(ctx(t)).Wait(ctx(t)); n != 0 || err != nil {
			t.Errorf("Len of a local shelf = %d, %v; want 0", n, err)
		}
	})
}

func TestAnInstanceIsDescribedAndInvoked(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		server, _ := w.server(rmi.Options{})
		client := w.node(rmi.Options{})
		s := shelved(t, server, client, testobj.RemoteShelf[string, int](), newShelf[string, int]())
		d, err := rmi.Describe(ctx(t), s)
		if err != nil {
			t.Fatal(err)
		}
		const path = "github.com/rmigo/rmigo/internal/testobj."
		for _, want := range []string{
			"interface " + path + "Shelf[string,int]\n",
			"\tPut(entries ..." + path + "Entry[string,int])\n",
			"type " + path + "Entry[string,int] struct\n\tKey string\n\tValue int\n",
		} {
			if !strings.Contains(d.String(), want) {
				t.Errorf("the description lacks %q:\n%v", want, d)
			}
		}
		if _, err := rmi.Invoke(ctx(t), client, s, "Shelf[string,int].Put", map[string]any{"Key": "a", "Value": 1}); err != nil {
			t.Fatal(err)
		}
		if got, err := rmi.Invoke(ctx(t), client, s, "testobj.Shelf.Get", "a"); err != nil || len(got) != 1 || got[0] != int64(1) {
			t.Errorf("Invoke of Get = %v, %v; want 1", got, err)
		}
	})
}
