package wire

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"
	"weak"

	"github.com/fxamacker/cbor/v2"

	"github.com/rmigo/rmigo/internal/leak"
)

// tangle is a type whose values can have any shape.
type tangle struct {
	Name    string
	Next    *tangle
	Kids    []*tangle
	By      map[string]*tangle
	Any     any
	Self    **tangle
	Numbers []int
	Maps    []map[string]int
	Raw     []byte
	Pairs   map[*tangle]int
}

func graphBench(t testing.TB) *bench {
	return newBench(t, ValueType{"tangle", reflect.TypeFor[tangle]()}, ValueType{"*tangle", reflect.TypeFor[*tangle]()},
		ValueType{"[]*tangle", reflect.TypeFor[[]*tangle]()}, ValueType{"list", reflect.TypeFor[list]()})
}

type list []list

// sameGraph fails unless a value comes through as it was, and is encoded again as it was.
func sameGraph[T any](t *testing.T, b *bench, v T) T {
	t.Helper()
	data := b.value(v)
	var got T
	if err := b.into(data, &got); err != nil {
		t.Fatalf("decoding a %T: %v\nfrom %.400x", v, err, data)
	}
	if diff := isomorphic(v, got); diff != "" {
		t.Fatalf("a %T changed: %s\nfrom %.400x", v, diff, data)
	}
	if again := b.value(got); !bytes.Equal(again, data) {
		t.Fatalf("a %T is encoded otherwise the second time\nfirst  %.400x\nsecond %.400x", v, data, again)
	}
	return got
}

func TestWhatIsSharedIsSharedAtTheOtherEnd(t *testing.T) {
	leak.Check(t)
	b := graphBench(t)
	one := &tangle{Name: "one"}
	numbers, labels, raw := []int{1, 2}, map[string]int{"a": 1}, []byte("raw")
	for name, v := range map[string]*tangle{
		"pointers":         {Kids: []*tangle{one, one, nil}, Next: one},
		"slices":           {Numbers: numbers, Next: &tangle{Numbers: numbers}, Kids: []*tangle{{Numbers: numbers[:1]}}},
		"maps":             {Maps: []map[string]int{labels, labels, nil, {}}},
		"bytes":            {Raw: raw, Next: &tangle{Raw: raw}},
		"through any":      {Any: one, Next: one, Kids: []*tangle{{Any: one}}},
		"keys":             {Pairs: map[*tangle]int{one: 1}, Next: one},
		"values in maps":   {By: map[string]*tangle{"b": one, "a": one, "c": {Next: one}}},
		"natural":          {Any: []any{labels, labels, raw, raw, []any{}, map[string]any{"x": numbers, "y": numbers}}},
		"nil and empty":    {Numbers: []int{}, Raw: []byte{}, By: map[string]*tangle{}, Any: []any{nil, []any{}, []any(nil), map[string]any(nil), (*tangle)(nil)}},
		"pointers to nils": {Self: new(*tangle)},
	} {
		t.Run(name, func(t *testing.T) { sameGraph(t, b, v) })
	}
}

func TestCyclesComeThrough(t *testing.T) {
	leak.Check(t)
	b := graphBench(t)
	ring := &tangle{Name: "a"}
	ring.Next = &tangle{Name: "b", Next: ring}
	tree := &tangle{Name: "root"}
	tree.Kids = []*tangle{{By: map[string]*tangle{"up": tree}, Any: tree}}
	self := make(list, 2)
	self[0], self[1] = self, self[:1]
	loop := map[string]any{}
	loop["loop"] = loop
	everything := []any{nil, 1}
	everything[0] = everything
	type pointer *pointer
	var p pointer
	p = &p
	key := &tangle{}
	key.Pairs = map[*tangle]int{key: 1}
	double := &tangle{}
	double.Self = &double
	for _, v := range []any{ring, tree, self, loop, everything, key, double} {
		got := reflect.New(reflect.TypeOf(v))
		data := b.value(v)
		if err := b.into(data, got.Interface()); err != nil {
			t.Fatalf("%T: %v\nfrom %x", v, err, data)
		}
		if diff := isomorphic(v, got.Elem().Interface()); diff != "" {
			t.Errorf("%T: %s", v, diff)
		}
		if again := b.value(got.Elem().Interface()); !bytes.Equal(again, data) {
			t.Errorf("%T: got %x the second time, want %x", v, again, data)
		}
	}
	sameGraph(t, b, p)
}

func TestIdentityHoldsOverAllItems(t *testing.T) {
	leak.Check(t)
	b := graphBench(t)
	one, numbers := &tangle{Name: "one"}, []int{1, 2, 3}
	data, err := b.encode(func(e *Encoder) {
		e.Int(5)
		e.Value(one)
		e.Value(numbers)
		e.Interface(one)
		e.Value([]*tangle{{Numbers: numbers}, one})
	})
	if err != nil {
		t.Fatal(err)
	}
	var n int
	var first *tangle
	var gotNumbers []int
	var held any
	var all []*tangle
	err = b.decode(data, func(d *Decoder) {
		d.Int(&n)
		d.Value(&first)
		d.Value(&gotNumbers)
		d.Value(&held)
		d.Value(&all)
	})
	if err != nil || held != any(first) || all[1] != first || &all[0].Numbers[0] != &gotNumbers[0] {
		t.Errorf("got %p %p %v, %v: want the same pointer and slice everywhere\nfrom %x", first, held, all, err, data)
	}
}

func TestADecoderForgetsWhatItHasRead(t *testing.T) {
	leak.Check(t)
	b := graphBench(t)
	shared := &tangle{Raw: make([]byte, 1<<20)}
	circle := &tangle{Raw: make([]byte, 1<<20)}
	circle.Next = &tangle{Next: circle}
	for name, v := range map[string]any{"plain": []*tangle{{Raw: shared.Raw}}, "shared": []*tangle{shared, shared}, "circle": []*tangle{circle}} {
		data := b.value(v)
		var d Decoder
		read := func() weak.Pointer[byte] {
			var got []*tangle
			d.Reset(b.codec, nil, nil, "argument", data)
			d.Value(&got)
			if err := d.Finish(); err != nil {
				t.Fatal(err)
			}
			return weak.Make(&got[0].Raw[0])
		}
		raw, message := read(), weak.Make(&data[0])
		data = nil
		d.Forget()
		runtime.GC()
		if raw.Value() != nil || message.Value() != nil {
			t.Errorf("%s: what was read is held: %t; the message is held: %t", name, raw.Value() != nil, message.Value() != nil)
		}
		runtime.KeepAlive(&d)
	}
}

func TestAnEncoderForgetsWhatItHasNotFinished(t *testing.T) {
	leak.Check(t)
	b := graphBench(t)
	var e Encoder
	write := func() weak.Pointer[byte] {
		buf := make([]byte, 0, 2<<20)
		e.Reset(b.codec, nil, nil, "argument", buf)
		one := &tangle{Raw: make([]byte, 1<<20)}
		e.Value([]*tangle{one, one})
		return weak.Make(&buf[:1][0])
	}
	message := write()
	e.Forget()
	runtime.GC()
	if message.Value() != nil {
		t.Error("the message is held")
	}
	runtime.KeepAlive(&e)
}

// The bytes of sharing: a mark is put only where something is referred to again.
func TestOnlyWhatIsReferredToAgainIsMarked(t *testing.T) {
	leak.Check(t)
	type leaf struct{ N int }
	type pair struct{ A, B, C *leaf }
	b := newBench(t)
	x, y := &leaf{1}, &leaf{2}
	for want, v := range map[string]any{
		"81 a2 6141 a1614e01 6142 a1614e02":                            pair{A: x, B: y},
		"81 a3 6141 d81c a1614e01 6142 d81d 00 6143 a1614e02":          pair{A: x, B: x, C: y},
		"81 a3 6141 a1614e02 6142 d81c a1614e01 6143 d81d 00":          pair{A: y, B: x, C: x},
		"81 82 a1 6141 d81c a1614e01 a1 6142 d81d 00":                  []pair{{A: x}, {B: x}},
		"81 84 d81c a1614e01 d81c a1614e02 d81d 01 d81d 00":            []*leaf{x, y, y, x},
		"81 82 d81c 82 01 02 d81d 00":                                  func() [][]int { s := []int{1, 2}; return [][]int{s, s} }(),
		"81 83 d81b82 65 2a6c656166 d81c a1614e01 d81b82 00 d81d00 05": []any{x, x, 5},
	} {
		b := newBench(t, ValueType{"*leaf", reflect.TypeFor[*leaf]()})
		if got := b.value(v); hex.EncodeToString(got) != strings.ReplaceAll(want, " ", "") {
			t.Errorf("got  %x\nwant %s", got, want)
		}
	}
	_ = b
}

func chained(n int) *tangle {
	var first *tangle
	for range n {
		first = &tangle{Next: first}
	}
	return first
}

func TestAMillionNodesGoThrough(t *testing.T) {
	leak.Check(t)
	const n = 1_000_000
	b := graphBench(t)
	b.codec = NewCodec(Limits{})
	data := b.value(chained(n))
	if strict, err := (cbor.DecOptions{IndefLength: cbor.IndefLengthForbidden, MaxArrayElements: 1 << 20}).DecMode(); err != nil || strict.Wellformed(data) != nil {
		t.Errorf("with its default of 32 levels the oracle refuses the message: %v", strict.Wellformed(data))
	}
	var got *tangle
	if err := b.into(data, &got); err != nil {
		t.Fatal(err)
	}
	count := 0
	for at := got; at != nil; at = at.Next {
		count++
	}
	if count != n {
		t.Errorf("%d nodes came, want %d", count, n)
	}
	if again := b.value(got); !bytes.Equal(again, data) {
		t.Error("the list is encoded otherwise the second time")
	}
}

func TestDeepGraphsOfEachKindComeThrough(t *testing.T) {
	leak.Check(t)
	b := graphBench(t)
	const n = 5000
	lists, maps, anys := list{}, &tangle{}, any("end")
	both := []any{"end"}
	raw := []byte{1, 2}
	for i := range n {
		lists = list{lists, nil}
		maps = &tangle{By: map[string]*tangle{"x": maps, "y": nil}, Raw: raw}
		anys = &tangle{Any: anys}
		if i%2 == 0 {
			both = []any{map[string]any{"in": both, "raw": raw}, both}
		} else {
			both = []any{[]*tangle{{Any: both}}}
		}
	}
	sameGraph(t, b, lists)
	sameGraph(t, b, maps)
	sameGraph(t, b, anys.(*tangle))
	sameGraph(t, b, both)
	ring := chained(100)
	last := ring
	for last.Next != nil {
		last = last.Next
	}
	last.Next, last.Any, last.Kids = ring.Next, ring, []*tangle{last, ring.Next.Next}
	sameGraph(t, b, ring)
}

func TestInterfacesHoldWhatTheTableNames(t *testing.T) {
	leak.Check(t)
	type shape interface{ Area() float64 }
	b := newBench(t, ValueType{"square", reflect.TypeFor[square]()}, ValueType{"*circle", reflect.TypeFor[*circle]()},
		ValueType{"level", reflect.TypeFor[level]()}, ValueType{"[2]string", reflect.TypeFor[[2]string]()}, Sentinel{"ErrNoFunds", errNoFunds})
	type drawing struct {
		Shapes []shape
		Any    any
		By     map[any]any
	}
	for _, v := range []any{
		true, false, 5, -5, math.MaxInt, "text", "\xff", "", 2.5, math.Copysign(0, -1), []byte{}, []byte("x"), []byte(nil),
		[]any{1, nil}, map[string]any{"a": nil}, []any(nil), map[string]any(nil), time.Unix(5, 0).UTC(),
		int8(5), int64(5), uint(7), uint8(7), float32(1.5), complex(1, 2), []string{"a"}, []string(nil), []int{}, map[string]string{"a": "b"},
		level(3), [2]string{"a", "b"}, square{2}, &circle{1}, (*circle)(nil), new(int), time.Second, struct{}{},
	} {
		if got := roundTrip(b, drawing{Any: v, By: map[any]any{"k": v}}); !reflect.DeepEqual(got.Any, v) || !reflect.DeepEqual(got.By["k"], v) {
			t.Errorf("in an any, %#v became %#v", v, got.Any)
		}
	}
	one := &circle{3}
	got := roundTrip(b, drawing{Shapes: []shape{square{2}, one, nil, one}})
	if got.Shapes[0] != (square{2}) || got.Shapes[1] != got.Shapes[3] || got.Shapes[1].Area() != 27 || got.Shapes[2] != nil {
		t.Errorf("got %v", got.Shapes)
	}
	keys := roundTrip(b, drawing{By: map[any]any{1: "int", "1": "text", int8(1): 2, square{1}: 3, true: 4, 1.5: 5}})
	if len(keys.By) != 6 || keys.By[square{1}] != 3 || keys.By[int8(1)] != 2 {
		t.Errorf("got %v", keys.By)
	}
	wantError(t, b.into(b.value(drawing{Any: square{2}}), &struct{ Any fmt.Stringer }{}), Unmarshal, "Any: a wire.square, which is no fmt.Stringer")
}

type square struct{ Side float64 }

func (s square) Area() float64 { return s.Side * s.Side }

type circle struct{ R float64 }

func (c *circle) Area() float64 { return 3 * c.R * c.R }

func TestErrorsInAnInterfaceStayErrors(t *testing.T) {
	leak.Check(t)
	b := newBench(t, Sentinel{"ErrNoFunds", errNoFunds}, ErrorType{Path: "Overdrawn", Type: reflect.TypeFor[*overdrawn]()})
	got := roundTrip(b, []any{errNoFunds, &overdrawn{3, io.EOF}, fmt.Errorf("wrapped: %w", io.EOF), nil})
	var typed *overdrawn
	if got[0] != errNoFunds || !errors.As(got[1].(error), &typed) || !errors.Is(got[2].(error), io.EOF) || got[3] != nil {
		t.Errorf("got %v", got)
	}
}

func TestRemoteObjectsInAnInterfaceTravelByReference(t *testing.T) {
	leak.Check(t)
	b := thingBench(t, &fakeObjects{record: Record{Interfaces: []string{"test.Thing"}}})
	one := &thing{1}
	type holder struct {
		Any  any
		List []any
		By   map[string]any
	}
	got := roundTrip(b, holder{one, []any{one, 5}, map[string]any{"x": one, "y": 1}})
	if got.Any == nil || got.List[0] != got.Any || got.By["x"] != got.Any {
		t.Errorf("got %+v, want one object throughout", got)
	}
	_, err := newBench(t).encode(func(e *Encoder) { e.Interface(one) })
	wantError(t, err, Marshal, "argument 1: a *wire.thing cannot travel in an interface: wire.thing has no exported field: export the value if it is an object")
}

type (
	positional struct {
		_    struct{} `cbor:",toarray"`
		A    int
		B    *positional
		Note string
	}
	numbered struct {
		B string `cbor:"-2,keyasint"`
		A int    `cbor:"1,keyasint"`
		C []int  `cbor:"c,omitempty"`
		D []int  `cbor:"d"`
	}
)

func TestTagsOfFieldsAreHonoured(t *testing.T) {
	leak.Check(t)
	b := newBench(t)
	keeps(t, positional{A: 1, B: &positional{Note: "in"}}, positional{})
	for want, v := range map[string]any{
		"81 83 01 83 00 f6 62696e 60": positional{A: 1, B: &positional{Note: "in"}},
		"81 a3 01 05 21 6162 6164 80": numbered{A: 5, B: "b", C: []int{}, D: []int{}},
	} {
		if got := b.value(v); hex.EncodeToString(got) != strings.ReplaceAll(want, " ", "") {
			t.Errorf("got  %x\nwant %s", got, want)
		}
	}
	var library []numbered
	if err := oracle.Unmarshal(b.value(numbered{A: 5, B: "b", D: []int{1}}), &library); err != nil || library[0].A != 5 || library[0].B != "b" || library[0].D[0] != 1 {
		t.Errorf("the oracle reads %+v, %v", library, err)
	}
	if got := roundTrip(b, numbered{A: 5, B: "b", D: []int{}}); got.D == nil || got.C != nil {
		t.Errorf("got %+v", got)
	}
	wantError(t, b.into(unhex("81 82 01 f6"), new(positional)), Unmarshal, "argument 1: positional: 2 fields for wire.positional, which has 3")
	wantError(t, b.into(unhex("81 a2 01 05 01 05"), new(numbered)), Unmarshal, "field A comes twice or out of order")
}
