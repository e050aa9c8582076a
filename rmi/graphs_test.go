package rmi_test

import (
	"bytes"
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/rmigo/rmigo/internal/leak"
	"github.com/rmigo/rmigo/internal/testobj"
	"github.com/rmigo/rmigo/rmi"
	"github.com/rmigo/rmigo/skeleton"
)

// grapher returns what it is given.
type grapher struct{ got any }

func (g *grapher) Any(_ context.Context, v any) (any, error) {
	g.got = v
	return v, nil
}
func (g *grapher) Pair(_ context.Context, a, b *testobj.Knot) (c, d *testobj.Knot, err error) {
	return a, b, nil
}
func (g *grapher) Slices(_ context.Context, a, b []byte) (c, d []byte, err error) { return a, b, nil }

// graphed returns a grapher in one node and its stub in another.
func (w *world) graphed(server, client rmi.Options, o skeleton.ExportOptions) (*grapher, *rmi.Node, testobj.Grapher, *rmi.Node) {
	w.t.Helper()
	g := &grapher{}
	from, _ := w.server(server)
	to := w.node(client)
	ref, err := rmi.Export(from, testobj.RemoteGrapher.Of(g).With(o))
	if err != nil {
		w.t.Fatal(err)
	}
	text, err := ref.MarshalText()
	if err != nil {
		w.t.Fatal(err)
	}
	remote, err := rmi.Resolve(w.t.Context(), to, testobj.RemoteGrapher, string(text))
	if err != nil {
		w.t.Fatal(err)
	}
	return g, from, remote, to
}

func TestIdentityHoldsOverArgumentsAndResults(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		_, _, remote, _ := w.graphed(rmi.Options{}, rmi.Options{}, skeleton.ExportOptions{})
		knot := &testobj.Knot{Name: "k"}
		other := &testobj.Knot{Left: knot, Any: knot}
		knot.Right = other
		a, b, err := remote.Pair(ctx(t), knot, other)
		if err != nil || a.Right != b || b.Left != a || b.Any != any(a) {
			t.Errorf("got %+v, %+v, %v", a, b, err)
		}
		raw := []byte("raw")
		x, y, err := remote.Slices(ctx(t), raw, raw)
		if err != nil || string(x) != "raw" || &x[0] != &y[0] {
			t.Errorf("got %q, %q, %v, want one slice twice", x, y, err)
		}
		x, y, err = remote.Slices(ctx(t), []byte{}, nil)
		if err != nil || x == nil || len(x) > 0 || y != nil {
			t.Errorf("got %#v, %#v, %v", x, y, err)
		}
	})
}

func TestRemoteObjectsTravelByReferenceAnywhereInAGraph(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		g, _, remote, client := w.graphed(rmi.Options{}, rmi.Options{}, skeleton.ExportOptions{})
		ear := &listener{}
		if _, err := rmi.Export(client, testobj.RemoteListener.Of(ear)); err != nil {
			t.Fatal(err)
		}
		sent := map[string]any{"ear": ear, "knot": &testobj.Knot{Hears: ear, Any: ear, Keys: map[any]*testobj.Knot{ear: {Name: "by"}}}, "list": []any{ear, remote}}
		back, err := remote.Any(ctx(t), sent)
		if err != nil {
			t.Fatal(err)
		}
		there := g.got.(map[string]any)
		stub, ok := there["ear"].(testobj.Listener)
		knot := there["knot"].(*testobj.Knot)
		if !ok || knot.Hears != stub || knot.Any != any(stub) || knot.Keys[stub].Name != "by" || there["list"].([]any)[0] != any(stub) {
			t.Errorf("the server got %+v, want one stub throughout", there)
		}
		if there["list"].([]any)[1] != any(g) {
			t.Errorf("the server's own object arrived as %T", there["list"].([]any)[1])
		}
		if text, err := stub.Hear(ctx(t), "hi"); err != nil || text == "" {
			t.Errorf("calling the stub: %q, %v", text, err)
		}
		home := back.(map[string]any)
		if home["ear"] != any(ear) || home["knot"].(*testobj.Knot).Hears != testobj.Listener(ear) || home["list"].([]any)[1] != any(remote) {
			t.Errorf("the own object came home as %T, the stub as %T", home["ear"], home["list"].([]any)[1])
		}
	})
}

func TestAnExportedObjectIsRefusedWhereItWouldBeCopied(t *testing.T) {
	leak.Check(t)
	w := memoryWorld(t)
	n := w.node(rmi.Options{})
	type named struct {
		Name string
		listener
	}
	type house struct{ Ears []*named }
	ear := &named{Name: "left"}
	if _, err := rmi.Marshal(n, house{[]*named{ear}}); err != nil {
		t.Errorf("before it is exported: %v", err)
	}
	if _, err := rmi.Export(n, testobj.RemoteListener.Of(ear)); err != nil {
		t.Fatal(err)
	}
	_, err := rmi.Marshal(n, house{[]*named{ear}})
	if !errors.Is(err, rmi.ErrMarshal) || !strings.Contains(err.Error(), "house.Ears[0]: this *rmi_test.named is an exported object") {
		t.Errorf("got %v, want ErrMarshal with the path", err)
	}
}

func TestWhatTheTableDoesNotNameIsRefusedWithTheRemedy(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		_, _, remote, _ := w.graphed(rmi.Options{}, rmi.Options{}, skeleton.ExportOptions{})
		type private struct{ N int }
		for says, v := range map[string]any{
			"argument 1: Knot.Any[1]: a rmi_test.private cannot travel in an interface: the name of rmi_test.private is not exported": &testobj.Knot{Any: []any{1, private{}}},
			"argument 1: a *rmi_test.listener cannot travel in an interface":                                                          &listener{},
			"argument 1: [\"c\"]: chan int cannot travel":                                                                             map[string]any{"c": make(chan int)},
		} {
			_, err := remote.Any(ctx(t), v)
			if !errors.Is(err, rmi.ErrMarshal) || rmi.MayHaveRun(err) || !strings.Contains(err.Error(), says) {
				t.Errorf("got %v, want ErrMarshal that says %s", err, says)
			}
		}
	})
}

func TestAFilterDecidesByTypeDepthLengthAndSize(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		rejectIf := func(bad func(rmi.FilterInfo) bool) rmi.Filter {
			return func(i rmi.FilterInfo) rmi.Verdict {
				if bad(i) {
					return rmi.Reject
				}
				return rmi.Undecided
			}
		}
		node := rejectIf(func(i rmi.FilterInfo) bool { return i.Type == reflect.TypeFor[time.Time]() || i.ArrayLen > 1000 })
		object := func(i rmi.FilterInfo) rmi.Verdict {
			switch {
			case i.Depth > 40 || i.Objects > 5000 || i.Bytes > 100_000:
				return rmi.Reject
			case i.Type == reflect.TypeFor[[]int]():
				return rmi.Allow // whatever the node says
			}
			return rmi.Undecided
		}
		_, _, remote, _ := w.graphed(rmi.Options{Filter: node}, rmi.Options{}, skeleton.ExportOptions{Filter: object})
		deep := any("x")
		for range 60 {
			deep = testobj.Knot{Any: deep}
		}
		many := make([]any, 900)
		for i := range many {
			many[i] = []any{"a", "b", "c", "d", "e", "f"}
		}
		for name, v := range map[string]any{"type": []any{time.Now()}, "length": make([]int64, 2000), "depth": deep, "objects": many, "bytes": []any{strings.Repeat("x", 200_000), "y"}} {
			_, err := remote.Any(ctx(t), v)
			if !errors.Is(err, rmi.ErrUnmarshal) || rmi.MayHaveRun(err) || !strings.Contains(err.Error(), "rejected by the filter") {
				t.Errorf("%s: got %v, want ErrUnmarshal by the filter", name, err)
			}
		}
		if back, err := remote.Any(ctx(t), make([]int, 2000)); err != nil || len(back.([]int)) != 2000 {
			t.Errorf("what the object's filter allows: %T, %v", back, err)
		}
	})
}

func TestAFilterOfTheCallerDecidesAboutResults(t *testing.T) {
	leak.Check(t)
	w := memoryWorld(t)
	_, _, remote, _ := w.graphed(rmi.Options{}, rmi.Options{Filter: func(i rmi.FilterInfo) rmi.Verdict {
		if i.ArrayLen > 2 {
			return rmi.Reject
		}
		return rmi.Allow
	}}, skeleton.ExportOptions{})
	_, err := remote.Any(ctx(t), []any{1, 2, 3})
	if !errors.Is(err, rmi.ErrUnmarshal) || !rmi.MayHaveRun(err) || !strings.Contains(err.Error(), "result 1: a []interface {} of length 3 is rejected by the filter") {
		t.Errorf("got %v", err)
	}
	var filtered *rmi.FilterError
	if !errors.As(err, &filtered) || filtered.Info.ArrayLen != 3 {
		t.Errorf("got %#v", filtered)
	}
}

func TestAMarshalledValueIsStoredComparedAndReadElsewhere(t *testing.T) {
	leak.Check(t)
	w := memoryWorld(t)
	g, server, remote, client := w.graphed(rmi.Options{}, rmi.Options{}, skeleton.ExportOptions{})
	knot := func() *testobj.Knot {
		k := &testobj.Knot{Name: "k", Any: remote}
		k.Left = k
		return k
	}
	first, err := rmi.Marshal(client, knot(), testobj.RemoteGrapher)
	if err != nil {
		t.Fatal(err)
	}
	second, err := rmi.Marshal(client, knot(), testobj.RemoteGrapher)
	if first != second || err != nil {
		t.Errorf("equal graphs: %v and %v, %v", first, second, err)
	}
	if other, err := rmi.Marshal(client, &testobj.Knot{Name: "k", Any: remote, Left: knot()}, testobj.RemoteGrapher); other == first || err != nil {
		t.Errorf("graphs that differ by what they share are equal: %v", err)
	}
	text, err := first.MarshalText()
	if err != nil || strings.Contains(first.String(), string(text)) {
		t.Errorf("got %q, %v", first, err)
	}
	var stored rmi.Marshalled[*testobj.Knot]
	if err := stored.UnmarshalText(text); err != nil || stored != first {
		t.Fatalf("got %v, %v", stored, err)
	}
	got, err := stored.Get(server, testobj.RemoteGrapher)
	if err != nil || got.Left != got || got.Any != any(g) {
		t.Errorf("read where the object lives: %+v, %v", got, err)
	}
	again, err := stored.Get(client, testobj.RemoteGrapher)
	if err != nil || again == got || again.Any != any(remote) {
		t.Errorf("read by its maker: %+v, %v", again, err)
	}
	if zero, err := (rmi.Marshalled[*testobj.Knot]{}).Get(client); zero != nil || err != nil {
		t.Errorf("the zero value: %v, %v", zero, err)
	}
	if _, err := rmi.Marshal(client, &testobj.Knot{Hears: &listener{}}, testobj.RemoteGrapher); !errors.Is(err, rmi.ErrMarshal) || !strings.Contains(err.Error(), "value 1: Knot.Hears") || !strings.Contains(err.Error(), "export it first") {
		t.Errorf("an object that is not exported: %v", err)
	}
	for n := range len(text) / 8 {
		broken := rmi.Marshalled[*testobj.Knot]{}
		data, _ := first.MarshalBinary()
		if err := broken.UnmarshalBinary(data[:n]); err != nil {
			t.Fatal(err)
		}
		if _, err := broken.Get(client, testobj.RemoteGrapher); n > 0 && !errors.Is(err, rmi.ErrUnmarshal) {
			t.Errorf("the first %d bytes: %v, want ErrUnmarshal", n, err)
		}
	}
	carried, err := remote.Any(ctx(t), []byte(text))
	if err != nil || !bytes.Equal(carried.([]byte), text) {
		t.Errorf("got %v, %v", carried, err)
	}
}
