package wire

import (
	"bytes"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"

	"github.com/rmigo/rmigo/internal/leak"
)

// Each test has the types of a newer version, which writes, and of an older one, which reads, as two programs would.

// readAs returns what a reader with other types makes of a value.
func readAs[Old, New any](b *bench, reader *bench, v New) Old {
	b.t.Helper()
	var got Old
	data := b.value(v)
	if err := reader.into(data, &got); err != nil {
		b.t.Fatalf("a %T read as a %T: %v\nfrom %x", v, got, err, data)
	}
	return got
}

type (
	leafNew struct {
		Name  string
		Extra *leafNew
		Next  *leafNew
	}
	leafOld struct {
		Name string
		Next *leafOld
	}
)

// The trap: a field that is passed over has what a later one refers to.
func TestAPassedOverFieldMayDefineWhatAKnownOneRefersTo(t *testing.T) {
	leak.Check(t)
	type newer struct {
		A    []*leafNew // unknown to the reader; the first of all
		B    *leafNew
		C, D *leafNew
		Map  map[string]*leafNew
		Z    []int
		Zip  []int
	}
	type older struct {
		B, D *leafOld
		Map  map[string]*leafOld
		Zip  []int
	}
	b := newBench(t)
	inner := &leafNew{Name: "inner"}
	one := &leafNew{Name: "one", Extra: inner, Next: inner}
	numbers := []int{1, 2}
	got := readAs[older](b, b, newer{A: []*leafNew{inner, one}, B: one, C: one, D: inner, Map: map[string]*leafNew{"x": one, "y": inner}, Z: numbers, Zip: numbers})
	if got.B.Name != "one" || got.B.Next != got.D || got.D.Name != "inner" || got.Map["x"] != got.B || got.Map["y"] != got.D || got.Zip[1] != 2 {
		t.Errorf("got %+v %+v", got.B, got.D)
	}
	loop := &leafNew{Name: "loop"}
	loop.Extra, loop.Next = loop, &leafNew{Name: "back", Extra: loop, Next: loop}
	got = readAs[older](b, b, newer{A: []*leafNew{loop.Next}, B: loop, D: loop.Next})
	if got.B.Next != got.D || got.D.Next != got.B {
		t.Errorf("got %+v %+v, want a ring of two", got.B, got.D)
	}
}

func TestBodiesThatOnlyAPassedOverFieldRefersToFirst(t *testing.T) {
	leak.Check(t)
	type newer struct {
		A, B *leafNew
		C    any
		D    []any
	}
	type older struct {
		B *leafOld
		D []any
	}
	b := newBench(t, ValueType{"*leaf", reflect.TypeFor[*leafNew]()})
	old := newBench(t, ValueType{"*leaf", reflect.TypeFor[*leafOld]()})
	var chain []*leafNew
	for i := range 100 {
		next := &leafNew{Name: fmt.Sprint(i), Extra: &leafNew{Name: "extra"}}
		if i > 0 {
			next.Next = chain[i-1]
		}
		chain = append(chain, next)
	}
	got := readAs[older](b, old, newer{A: chain[99], B: chain[60], C: chain[50], D: []any{chain[70], chain[20], "x", []any{chain[98]}}})
	length := 0
	at := got.B
	for ; at != nil; at = at.Next {
		if length++; length == 41 && at != got.D[1] {
			t.Error("node 20 is not the one that the list leads to")
		}
	}
	if length != 61 || got.D[0].(*leafOld).Next.Name != "69" || got.D[3].([]any)[0].(*leafOld).Name != "98" {
		t.Errorf("got a list of %d, %v", length, got.D)
	}
}

func TestNamesInPassedOverFieldsKeepTheirNumbers(t *testing.T) {
	leak.Check(t)
	type added struct{ N int }
	type newer struct {
		A []any
		B any
		C []any
	}
	type older struct {
		B any
		C []any
	}
	b := newBench(t, ValueType{"added", reflect.TypeFor[added]()}, ValueType{"square", reflect.TypeFor[square]()}, ValueType{"level", reflect.TypeFor[level]()})
	old := newBench(t, ValueType{"square", reflect.TypeFor[square]()}, ValueType{"level", reflect.TypeFor[level]()})
	got := readAs[older](b, old, newer{A: []any{added{1}, square{1}, io.EOF}, B: square{2}, C: []any{level(3), square{4}, level(5), io.EOF}})
	if want := (older{square{2}, []any{level(3), square{4}, level(5), io.EOF}}); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	err := old.into(b.value(newer{B: added{1}}), new(older))
	wantError(t, err, Unmarshal, `older.B: the type "added", which this method's interface values may not hold: list it by //rmi:types`)
}

func TestAPointerAndItsValueAreReadFromEachOther(t *testing.T) {
	leak.Check(t)
	type pointers struct {
		A, B *square
		L    []*square
		M    map[string]*square
		N    *int
		P    *square
	}
	type values struct {
		A, B square
		L    []square
		M    map[string]square
		N    int
		P    *square
	}
	b := newBench(t)
	one, n := &square{1}, 5
	got := readAs[values](b, b, pointers{A: one, B: one, L: []*square{one, {2}}, M: map[string]*square{"a": one}, N: &n, P: one})
	want := values{A: *one, B: *one, L: []square{{1}, {2}}, M: map[string]square{"a": {1}}, N: 5, P: one}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	back := readAs[pointers](b, b, want)
	if *back.A != *one || back.L[1].Side != 2 || back.M["a"].Side != 1 || *back.N != 5 {
		t.Errorf("got %+v", back)
	}
}

func TestAValueIsReadWhereAPointerToABodyWas(t *testing.T) {
	leak.Check(t)
	type tail struct{ N int }
	type newer struct {
		Deep []any
		T    *tail
		Last *tail
	}
	type older struct {
		Deep []any
		T    tail
		Last *tail
	}
	b := newBench(t, ValueType{"newer", reflect.TypeFor[newer]()})
	old := newBench(t, ValueType{"newer", reflect.TypeFor[older]()})
	one := &tail{7}
	v := newer{T: one, Last: one}
	for range 40 {
		v = newer{Deep: []any{v}, T: one, Last: one}
	}
	v = newer{Deep: []any{newer{Deep: []any{v}}}} // so that the tail is first met in a body
	got := readAs[older](b, old, v)
	for depth := 0; len(got.Deep) > 0; depth++ {
		if depth > 1 && (got.T.N != 7 || got.Last == nil || got.Last.N != 7) {
			t.Fatalf("at depth %d: got %+v", depth, got)
		}
		got = got.Deep[0].(older)
	}
}

func TestOnePlaceIsReadAsTwoTypesWhereTheReaderHasTwo(t *testing.T) {
	leak.Check(t)
	type newer struct{ A, B, C []int32 }
	type older struct {
		A []int32
		B []int64
		C []int64
	}
	b := newBench(t)
	s := []int32{1, 2, 3}
	got := readAs[older](b, b, newer{s, s, s})
	if got.A[2] != 3 || got.B[2] != 3 || &got.B[0] != &got.C[0] {
		t.Errorf("got %+v", got)
	}
}

func TestFieldsAreAddedRemovedRenamedAndWidened(t *testing.T) {
	leak.Check(t)
	type newer struct {
		Added   map[string][]any
		ID      int32
		Renamed string `cbor:"Name"`
		Ratio   float32
		Zulu    func()
	}
	type older struct {
		ID      int64
		Name    string
		Ratio   float64
		Removed *int
	}
	b := newBench(t)
	got := readAs[older](b, b, newer{Added: map[string][]any{"x": {1, "a", nil, 2.5}}, ID: -7, Renamed: "n", Ratio: 1.5})
	if want := (older{-7, "n", 1.5, nil}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	back := readAs[newer](b, b, older{ID: 7, Name: "m", Removed: new(int)})
	if back.ID != 7 || back.Renamed != "m" {
		t.Errorf("got %+v", back)
	}
	wantError(t, b.into(b.value(older{ID: 1 << 40}), new(newer)), Unmarshal, "newer.ID: 1099511627776 overflows")
}

func TestUnknownFieldsComeInOrderToo(t *testing.T) {
	leak.Check(t)
	b := newBench(t)
	for _, fields := range []string{
		"a2" + text("ZZ") + "00" + text("A") + "00", "a2" + text("A") + "00" + text("A") + "00", "a2 01 00 01 00",
		"a2" + text("Name") + "60" + text("A") + "00", "a2" + text("ZZZZ") + "60" + text("Name") + "60",
	} {
		err := b.into(unhex("81"+strings.ReplaceAll(fields, " ", "")), new(node))
		wantError(t, err, Unmarshal, "comes twice or out of order")
	}
}

// A place that is copied wherever it is referred to may refer to itself: the copies are charged.
func TestCopiesOfCopiesEndAtALimit(t *testing.T) {
	leak.Check(t)
	type box struct{ In []any }
	b := newBench(t, ValueType{"box", reflect.TypeFor[box]()}, ValueType{"*box", reflect.TypeFor[*box]()})
	b.codec = NewCodec(Limits{Objects: 100_000, Alloc: 8 << 20})
	twice := "82 d81b82 63626f78 d81d00 d81b82 01 d81d00"
	data := unhex(strings.ReplaceAll("81 d81b82 642a626f78 d81c a1 62496e "+twice, " ", ""))
	var got any
	wantError(t, b.into(data, &got), Limit, "argument 1")
	if got != nil {
		t.Errorf("got %v after the failure", got)
	}
}

// A copy costs what is passed over in it, each time, and that may be nearly all of the message.
func TestCopiesOfMuchThatIsPassedOverEndAtALimit(t *testing.T) {
	leak.Check(t)
	type wanted struct{ A int }
	const n = 100_000
	data := appendHead(unhex("81"), majorArray, n)
	data = append(data, unhex("d81c a2 6141 01 617a")...) // shared value 0: A is 1, and z an array
	data = append(appendHead(data, majorArray, n), make([]byte, n)...)
	data = append(data, bytes.Repeat(unhex("d81d00"), n-1)...)
	b := newBench(t)
	b.codec = NewCodec(Limits{Alloc: 64 << 20})
	var got []wanted
	wantError(t, b.into(data, &got), Limit, "bytes of memory for a message, the bound set by Limits.Alloc")
}

func TestMarksAndNamesAreChargedForTheirMemory(t *testing.T) {
	leak.Check(t)
	b := newBench(t)
	b.codec = NewCodec(Limits{Alloc: 1 << 20})
	const n = 50_000
	marks, names := appendHead([]byte{0x81}, majorArray, n), appendHead([]byte{0x81, 0xa1, 0x61, 'z'}, majorArray, n)
	for range n {
		marks = append(marks, 0xd8, tagShareable, 0x80)
		names = append(names, 0xd8, tagNamed, 0x82, 0x60, 0xf6)
	}
	wantError(t, b.into(marks, new([][]struct{})), Limit, "Limits.Alloc")
	wantError(t, b.into(names, new(node)), Limit, "Limits.Alloc")
}
