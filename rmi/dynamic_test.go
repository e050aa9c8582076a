package rmi_test

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/rmigo/rmigo/internal/leak"
	"github.com/rmigo/rmigo/internal/testobj"
	"github.com/rmigo/rmigo/rmi"
)

func TestAnObjectSaysWhatItCanBeAsked(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		impl, server, remote, _ := w.served()
		if _, err := rmi.Export(server, testobj.RemoteListener.Of(&listener{})); err != nil {
			t.Fatal(err)
		}
		d, err := rmi.Describe(ctx(t), remote)
		if err != nil {
			t.Fatal(err)
		}
		face, m := d.Method("Join")
		if face == nil || face.Name != testobj.RemoteService.Path || m.Signature != "Join(string, []string) (string, error)" || !m.Variadic {
			t.Errorf("Join is described as %+v of %+v", m, face)
		}
		kinds := map[string]rmi.TypeDescription{}
		for _, k := range d.Types {
			kinds[strings.TrimPrefix(k.Name, "github.com/rmigo/rmigo/internal/testobj.")] = k
		}
		item := kinds["Item"]
		var fields []string
		for _, f := range item.Fields {
			fields = append(fields, f.Name+" "+strings.ReplaceAll(f.Type, "github.com/rmigo/rmigo/internal/", ""))
		}
		if got := strings.Join(fields, "; "); item.Kind != "struct" || got !=
			"Name string; Tags []string; Price map[string]float64; Next *testobj.Item; At time.Time; Seen testobj.Listener" {
			t.Errorf("Item is described as a %s of %s", item.Kind, got)
		}
		if kinds["Listener"].Kind != "remote" || kinds["time.Time"].Kind != "builtin" {
			t.Errorf("Listener and time.Time are described as %+v, %+v", kinds["Listener"], kinds["time.Time"])
		}
		object, err := rmi.ObjectOf(server, testobj.RemoteService.Of(impl))
		if err != nil {
			t.Fatal(err)
		}
		if own, err := rmi.Describe(ctx(t), object); err != nil || !reflect.DeepEqual(own, d) {
			t.Errorf("its own process describes it as\n%v, %v\nwant\n%v", own, err, d)
		}
		if err := rmi.Unexport(ctx(t), server, impl); err != nil {
			t.Fatal(err)
		}
		if _, err := rmi.Describe(ctx(t), remote); !errors.Is(err, rmi.ErrNoSuchObject) {
			t.Errorf("the description of an object that is gone: %v", err)
		}
	})
}

func TestInvokeCallsByTheDescription(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		impl, server, remote, client := w.served()
		ref, _ := client.RefOf(remote)
		text, _ := ref.MarshalText()
		own, _ := server.RefOf(impl)
		at := time.Date(2026, 11, 26, 7, 0, 0, 5, time.UTC)
		l := &listener{}
		heard := testobj.RemoteListener.Of(l)
		for _, c := range []struct {
			node   *rmi.Node
			object any
			method string
			args   []any
			want   []any
		}{
			{client, ref, "Add", []any{3, int8(4)}, []any{int64(7)}},
			{client, string(text), "Service.Add", []any{json.Number("3"), 4.0}, []any{int64(7)}},
			{server, own, "Add", []any{3, 4}, []any{int64(7)}},
			{client, remote, "Join", []any{"-"}, []any{""}},
			{client, remote, "Join", []any{"-", "a", "b"}, []any{"a-b"}},
			{client, remote, "Join", []any{"-", []string{"a", "b"}}, []any{"a-b"}},
			{client, remote, "Bytes", []any{"AQI="}, []any{[]byte{1, 2}}},
			{client, remote, "Bytes", []any{nil}, []any{nil}},
			{client, remote, "Tell", []any{heard, "hi"}, []any{"heard hi"}},
			{client, remote, "TellAll", []any{"hi", heard, heard}, []any{}},
			{client, remote, "Why", []any{errors.New("so")}, nil},
			{client, remote, "Echo", []any{map[string]any{"Name": "a", "At": at.Format(time.RFC3339Nano), "Next": map[string]any{"Name": "b", "Tags": []any{"x"}}}}, []any{
				map[string]any{"Name": "a", "Tags": nil, "Price": nil, "At": at, "Seen": nil, "Next": map[string]any{
					"Name": "b", "Tags": []any{"x"}, "Price": nil, "At": time.Time{}, "Seen": nil, "Next": nil}}}},
			{client, remote, "Echo", []any{testobj.Item{Name: "c", Price: map[string]float64{"y": 1.5}}}, []any{
				map[string]any{"Name": "c", "Tags": nil, "Price": map[string]any{"y": 1.5}, "At": time.Time{}, "Seen": nil, "Next": nil}}},
		} {
			got, err := rmi.Invoke(ctx(t), c.node, c.object, c.method, c.args...)
			if c.want == nil && err == nil {
				continue
			}
			if err != nil || !reflect.DeepEqual(got, c.want) {
				t.Errorf("%s(%v) = %#v, %v; want %#v", c.method, c.args, got, err, c.want)
			}
		}
		if _, err := rmi.Invoke(ctx(t), client, remote, "Remember", heard); err != nil {
			t.Fatal(err)
		}
		kept, err := rmi.Invoke(ctx(t), client, remote, "Remembered")
		if err != nil || len(kept) != 1 || !rmi.Same(kept[0], l) {
			t.Errorf("the reference that was passed came back as %v, %v", kept, err)
		}
		self, err := rmi.Invoke(ctx(t), client, remote, "Self")
		if err != nil || !rmi.Same(self[0], remote) {
			t.Fatalf("Self = %v, %v", self, err)
		}
		if sum, err := rmi.Invoke(ctx(t), client, self[0], "Add", 1, 2); err != nil || sum[0] != int64(3) {
			t.Errorf("through a reference that was returned: %v, %v", sum, err)
		}
		if _, err := rmi.Invoke(ctx(t), client, remote, "Fail", "sentinel"); err == nil || err.Error() != testobj.ErrEmpty.Error() || !rmi.MayHaveRun(err) {
			t.Errorf("a method's error arrives as %v", err)
		}
	})
}

func TestInvokeRefusesWhatDoesNotFitBeforeItIsSent(t *testing.T) {
	leak.Check(t)
	impl, _, remote, client := memoryWorld(t).served()
	for _, c := range []struct {
		method string
		args   []any
		kind   error
		says   string
	}{
		{"Add", []any{"ten", 1}, rmi.ErrMarshal, `argument 1 (a): the text "ten" where int64 is expected`},
		{"Add", []any{1, math.Pi}, rmi.ErrMarshal, "argument 2 (b): the float64 3.14"},
		{"Add", []any{1, uint64(math.MaxUint64)}, rmi.ErrMarshal, "argument 2 (b): 18446744073709551615 is out of the range of int64"},
		{"Add", []any{1, nil}, rmi.ErrMarshal, "argument 2 (b): nothing where int64 is expected"},
		{"Add", []any{1}, rmi.ErrMarshal, "1 arguments where Add takes 2: Add(a int64, b int64) (sum int64)"},
		{"Echo", []any{map[string]any{"Next": map[string]any{"Tags": []any{"x", 7}}}}, rmi.ErrMarshal,
			"argument 1 (item), .Next.Tags[1]: the int 7 where string is expected"},
		{"Echo", []any{map[string]any{"Nmae": "x"}}, rmi.ErrMarshal, `has no field "Nmae": it has Name, Tags`},
		{"Tell", []any{"nobody", "x"}, rmi.ErrMarshal, `argument 1 (l): the text "nobody" where a reference to a remote object`},
		{"Bytes", []any{"&"}, rmi.ErrMarshal, `argument 1 (b): the text "&" where bytes in base64 are expected`},
		{"Subtract", []any{1, 2}, rmi.ErrNoSuchMethod, "the object has no method Subtract: it has [Add(a int64, b int64) (sum int64)"},
	} {
		_, err := rmi.Invoke(ctx(t), client, remote, c.method, c.args...)
		var e *rmi.Error
		if !errors.As(err, &e) || !errors.Is(err, c.kind) || rmi.MayHaveRun(err) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s(%v): %v\nwant %s", c.method, c.args, err, c.says)
		}
		var argument *rmi.ArgumentError
		if c.kind == rmi.ErrMarshal && !errors.As(err, &argument) {
			t.Errorf("%s(%v): %v is no *ArgumentError", c.method, c.args, err)
		}
	}
	if impl.calls.Load() != 0 {
		t.Error("a call that was refused has run")
	}
}

func TestResultsThatContainThemselvesArrive(t *testing.T) {
	leak.Check(t)
	w := memoryWorld(t)
	server, _ := w.server(rmi.Options{})
	client := w.node(rmi.Options{})
	ref, err := rmi.Export(server, testobj.RemoteGrapher.Of(&knitter{}))
	if err != nil {
		t.Fatal(err)
	}
	got, err := rmi.Invoke(ctx(t), client, ref, "Pair", map[string]any{"Name": "a", "Any": []any{1, "x", map[string]any{"y": nil}}},
		map[string]any{"Addr": []byte{192, 0, 2, 1}, "Left": map[string]any{"Name": "leaf"}})
	if err != nil {
		t.Fatal(err)
	}
	a, b := got[0].(map[string]any), got[1].(map[string]any)
	back, _ := a["Right"].(map[string]any)
	if reflect.ValueOf(back).Pointer() != reflect.ValueOf(b).Pointer() || reflect.ValueOf(b["Right"]).Pointer() != reflect.ValueOf(a).Pointer() {
		t.Errorf("two values that refer to each other arrive as\n%p: %p\n%p: %p", a, a["Right"], b, b["Right"])
	}
	if !reflect.DeepEqual(a["Any"], []any{int64(1), "x", map[string]any{"y": nil}}) || a["Name"] != "a" {
		t.Errorf("values in an interface arrive as %#v", a["Any"])
	}
	if addr, _ := b["Addr"].([]byte); !reflect.DeepEqual(addr, netip.MustParseAddr("192.0.2.1").AsSlice()) {
		t.Errorf("a value that marshals itself arrives as %v", b["Addr"])
	}
	if leaf := b["Left"].(map[string]any); leaf["Name"] != "leaf" {
		t.Errorf("a pointee arrives as %v", leaf)
	}
}

// knitter ties what it is given together.
type knitter struct{ _ byte }

func (*knitter) Any(_ context.Context, v any) (any, error) { return v, nil }

func (*knitter) Pair(_ context.Context, a, b *testobj.Knot) (c, d *testobj.Knot, err error) {
	a.Right, b.Right = b, a
	return a, b, nil
}

func (*knitter) Slices(_ context.Context, a, b []byte) (c, d []byte, err error) { return a, b, nil }

func TestObjectsInInterfacesAreFound(t *testing.T) {
	leak.Check(t)
	w := memoryWorld(t)
	server, _ := w.server(rmi.Options{})
	client := w.node(rmi.Options{})
	ref, err := rmi.Export(server, testobj.RemoteGrapher.Of(&knitter{}))
	if err != nil {
		t.Fatal(err)
	}
	l := &listener{}
	got, err := rmi.Invoke(ctx(t), client, ref, "Any", testobj.RemoteListener.Of(l))
	if err != nil || !rmi.Same(got[0], l) {
		t.Errorf("got %v, %v; want the object that was passed", got, err)
	}
}
