package inspect_test

import (
	"container/list"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/rmigo/rmigo/inspect"
	"github.com/rmigo/rmigo/internal/leak"
	"github.com/rmigo/rmigo/internal/testobj"
	"github.com/rmigo/rmigo/rmi"
	"github.com/rmigo/rmigo/stub"
)

// stubs makes stubs of n different objects, which need not be there.
func stubs(t *testing.T, n int) (out []testobj.Listener) {
	t.Helper()
	owner, holder := node(t), node(t)
	for range n {
		ref, err := rmi.Export(owner, testobj.RemoteListener.Of(&deaf{}))
		if err != nil {
			t.Fatal(err)
		}
		text, err := ref.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		l, err := rmi.Resolve(t.Context(), holder, testobj.RemoteListener, string(text))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, l)
	}
	return out
}

func node(t *testing.T) *rmi.Node {
	t.Helper()
	n, err := rmi.NewNode(rmi.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close() })
	return n
}

type deaf struct {
	testobj.Listener
	_ int
}

// guarded is a map with its mutex.
type guarded struct {
	mu    sync.Mutex
	names map[string]testobj.Listener
	inner *guarded
}

type shared struct {
	*sync.RWMutex
	byStub map[testobj.Listener]int
	byByte map[[2]byte][]any
}

// told says by itself what it refers to.
type told struct {
	hidden, shown testobj.Listener
}

func (t *told) RemoteRefs(yield func(string, any)) {
	yield("shown", t.shown)
	yield("none", nil)
}

type own[T any] struct {
	next  *own[T]
	value T
}

func TestStubsAreFoundWhereverAnObjectHasThem(t *testing.T) {
	leak.Check(t)
	s := stubs(t, 3)
	loop := &own[testobj.Listener]{value: s[0]}
	loop.next = loop
	var atom atomic.Pointer[own[testobj.Listener]]
	atom.Store(loop)
	var value atomic.Value
	value.Store(s[1])
	var m sync.Map
	m.Store("k", s[2])
	l := list.New()
	l.PushBack(s[0])
	for _, c := range []struct {
		name string
		of   any
		want string
	}{
		{"a field", &struct{ a, b testobj.Listener }{s[0], s[1]}, "0 a, 1 b"},
		{"one that occurs twice", &struct{ a, b testobj.Listener }{s[0], s[0]}, "0 a"},
		{"any", &struct{ a any }{[]any{1, "x", s[1]}}, "1 a[2]"},
		{"nothing", &struct {
			a any
			l testobj.Listener
			p *own[int]
		}{}, ""},
		{"a pointer to itself", loop, "0 value"},
		{"structs by value", &struct{ a [2]own[testobj.Listener] }{[2]own[testobj.Listener]{{}, {value: s[1]}}}, "1 a[1].value"},
		{"a struct in an interface", &struct{ a any }{own[testobj.Listener]{value: s[2]}}, "2 a.value"},
		{"an atomic pointer", &struct {
			p *atomic.Pointer[own[testobj.Listener]]
		}{&atom}, "0 p.value"},
		{"an atomic value", &struct{ v *atomic.Value }{&value}, "1 v"},
		{"a sync.Map", &struct{ m *sync.Map }{&m}, `2 m["k"]`},
		{"a list", l, "0 root.next.Value"},
		{"a map under its mutex", &guarded{names: map[string]testobj.Listener{"bob": s[0]}}, `0 names["bob"]`},
		{"a map under somebody's mutex", &struct {
			mu sync.RWMutex
			m  map[int]map[bool]testobj.Listener
		}{m: map[int]map[bool]testobj.Listener{7: {true: s[1]}}}, "1 m[7][…]"},
		{"a map under no mutex", &struct{ m map[int]testobj.Listener }{map[int]testobj.Listener{1: s[0]}}, ""},
		{"keys, and a mutex elsewhere", &shared{new(sync.RWMutex), map[testobj.Listener]int{s[0]: 1}, map[[2]byte][]any{{}: {s[1]}}},
			"0 byStub[key], 1 byByte[…][0]"},
		{"one who tells", &struct{ t *told }{&told{s[0], s[1]}}, "1 t.shown"},
	} {
		got, err := inspect.Referents(c.of)
		if text := spell(got, s); text != c.want || err != nil {
			t.Errorf("%s: found %q, %v; want %q", c.name, text, err, c.want)
		}
	}
}

func spell(found []inspect.Referent, known []testobj.Listener) string {
	var out []string
	for _, r := range found {
		for i, l := range known {
			if s, _ := stub.Of(l); s.Handle().ID() == r.Ref.ID() {
				out = append(out, string('0'+rune(i))+" "+r.Path)
			}
		}
	}
	return strings.Join(out, ", ")
}

func TestAMutexThatIsHeldIsNotWaitedForAndNoneStaysLocked(t *testing.T) {
	leak.Check(t)
	s := stubs(t, 2)
	inner := &guarded{names: map[string]testobj.Listener{"x": s[1]}}
	outer := &guarded{names: map[string]testobj.Listener{"y": s[0]}, inner: inner}
	inner.mu.Lock()
	got, err := inspect.Referents(outer)
	if text := spell(got, s); text != `0 names["y"]` || err == nil || err.Error() != "a mutex in it is held" {
		t.Errorf("found %q, %v; want what the free mutex guards, and an error", text, err)
	}
	inner.mu.Unlock()
	if got, err = inspect.Referents(outer); err != nil || len(got) != 2 {
		t.Errorf("found %v, %v; want both", got, err)
	}
	if !outer.mu.TryLock() || !inner.mu.TryLock() {
		t.Error("a mutex stays locked")
	}
}

func TestWhatIsTooLargeIsSaidToBe(t *testing.T) {
	leak.Check(t)
	s := stubs(t, 1)
	var long *own[int]
	for range 1 << 17 {
		long = &own[int]{next: long}
	}
	got, err := inspect.Referents(&struct {
		first testobj.Listener
		long  *own[int]
	}{s[0], long})
	if text := spell(got, s); text != "0 first" || err == nil {
		t.Errorf("found %q, %v; want the first, and an error", text, err)
	}
}
