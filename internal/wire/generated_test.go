package wire

import (
	"bytes"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/rmigo/rmigo/internal/leak"
)

// ticket has a field of each kind that generated code has a method for, and code as rmigen writes it.
type ticket struct {
	At    time.Time
	Bool  bool
	By    map[string]*ticket
	F32   float32
	F64   float64
	F64s  []float64
	I64s  []int64
	I8    int8
	Int   int
	Ints  []int
	Kids  []*ticket
	List  []ticket
	Next  *ticket
	Raw   []byte
	Sub   inner
	Text  string
	Texts []string
	U64   uint64
	Words map[string]string
}

type inner struct {
	A      int16
	hidden int
	B      *ticket
}

func putCoded(e *Encoder, v *ticket) {
	f := e.Struct()
	f.Time("\x62At", v.At)
	f.Value("\x62By", &v.By)
	f.Int("\x62I8", int64(v.I8))
	f.Float32("\x63F32", v.F32)
	f.Float64("\x63F64", v.F64)
	f.Int("\x63Int", int64(v.Int))
	f.Bytes("\x63Raw", v.Raw)
	FieldStruct(&f, "\x63Sub", &v.Sub, putInner)
	f.Uint("\x63U64", v.U64)
	f.Bool("\x64Bool", v.Bool)
	f.Float64s("\x64F64s", v.F64s)
	f.Int64s("\x64I64s", v.I64s)
	f.Ints("\x64Ints", v.Ints)
	FieldPointers(&f, "\x64Kids", v.Kids, putCoded)
	FieldSlice(&f, "\x64List", v.List, putCoded)
	FieldPointer(&f, "\x64Next", v.Next, putCoded)
	f.String("\x64Text", v.Text)
	f.Strings("\x65Texts", v.Texts)
	f.StringMap("\x65Words", v.Words)
	f.End()
}

func getCoded(d *Decoder, v *ticket) {
	f := d.Struct()
	f.Time("\x62At", &v.At)
	f.Value("\x62By", &v.By)
	f.Int8("\x62I8", &v.I8)
	f.Float32("\x63F32", &v.F32)
	f.Float64("\x63F64", &v.F64)
	f.Int("\x63Int", &v.Int)
	f.Bytes("\x63Raw", &v.Raw)
	ReadStruct(&f, "\x63Sub", &v.Sub, getInner)
	f.Uint64("\x63U64", &v.U64)
	f.Bool("\x64Bool", &v.Bool)
	f.Float64s("\x64F64s", &v.F64s)
	f.Int64s("\x64I64s", &v.I64s)
	f.Ints("\x64Ints", &v.Ints)
	ReadPointers(&f, "\x64Kids", &v.Kids, getCoded)
	ReadSlice(&f, "\x64List", &v.List, getCoded)
	ReadPointer(&f, "\x64Next", &v.Next, getCoded)
	f.String("\x64Text", &v.Text)
	f.Strings("\x65Texts", &v.Texts)
	f.StringMap("\x65Words", &v.Words)
	f.End()
}

func putInner(e *Encoder, v *inner) {
	f := e.Struct()
	f.Int("\x61A", int64(v.A))
	FieldPointer(&f, "\x61B", v.B, putCoded)
	f.End()
}

func getInner(d *Decoder, v *inner) {
	f := d.Struct()
	f.Int16("\x61A", &v.A)
	ReadPointer(&f, "\x61B", &v.B, getCoded)
	f.End()
}

// codedValues are values of each shape, with sharing, cycles and depth.
func codedValues() map[string]*ticket {
	full := &ticket{
		At: time.Unix(5, 6).UTC(), Bool: true, F32: float32(math.Copysign(0, -1)), F64: math.NaN(), I8: -128, Int: math.MinInt, Raw: []byte{},
		Sub: inner{A: -1, hidden: 3}, Text: "\xff", U64: math.MaxUint64, Words: map[string]string{"": "x", "\xff": "", "b": "c", "aa": "d"},
		List: []ticket{{}, {Int: 1}}, Kids: []*ticket{nil, {}},
		F64s: []float64{}, I64s: []int64{math.MinInt64, math.MaxInt64, -1}, Ints: []int{-25, 23, 1 << 40}, Texts: []string{"", "\xff", "€", strings.Repeat("y", 70)},
	}
	shared := &ticket{
		Int: 7, Raw: []byte("raw"), Words: map[string]string{"a": "b"},
		F64s: []float64{1, math.Inf(-1)}, I64s: []int64{1}, Ints: []int{2, 3}, Texts: []string{"a", "b"},
	}
	diamond := &ticket{Next: shared, Kids: []*ticket{shared, {Raw: shared.Raw, Words: shared.Words, F64s: shared.F64s, I64s: shared.I64s, Ints: shared.Ints, Texts: shared.Texts}}, By: map[string]*ticket{"z": shared, "a": {Next: shared}}, Sub: inner{B: shared}}
	ring := &ticket{Text: "ring"}
	ring.Next = &ticket{Next: ring, Kids: []*ticket{ring}}
	ring.Kids = ring.Next.Kids
	var deep *ticket
	for i := range 200 {
		deep = &ticket{Int: i, Next: deep, List: []ticket{{Next: shared}}}
	}
	many := &ticket{}
	for range 300 {
		many.Kids = append(many.Kids, &ticket{Next: shared})
	}
	return map[string]*ticket{"nil": nil, "zero": {}, "hidden": {Sub: inner{hidden: 1}}, "full": full, "diamond": diamond, "ring": ring, "deep": deep, "many": many}
}

func TestGeneratedCodeWritesAndReadsAsReflectionDoes(t *testing.T) {
	leak.Check(t)
	b := newBench(t)
	for name, v := range codedValues() {
		t.Run(name, func(t *testing.T) {
			want, err := b.encode(func(e *Encoder) {
				e.Value(v)
				e.Value([]*ticket{v, v})
			})
			if err != nil {
				t.Fatal(err)
			}
			got, err := b.encode(func(e *Encoder) {
				PutPointer(e, v, putCoded)
				PutPointers(e, []*ticket{v, v}, putCoded)
			})
			if err != nil || !bytes.Equal(got, want) {
				t.Fatalf("generated code writes, %v,\n%.300x\nreflection\n%.300x", err, got, want)
			}
			var one *ticket
			var two []*ticket
			err = b.decode(want, func(d *Decoder) {
				GetPointer(d, &one, getCoded)
				GetPointers(d, &two, getCoded)
			})
			if err != nil || len(two) != 2 || two[0] != one || two[1] != one {
				t.Fatalf("generated code reads %p, %v, %v", one, two, err)
			}
			if diff := isomorphic(v, one); diff != "" && name != "full" { // its NaN key aside
				t.Error(diff)
			}
			if again := b.value(one); !bytes.Equal(again, b.value(v)) {
				t.Errorf("what generated code reads is encoded as\n%x, want\n%x", again, b.value(v))
			}
			if v == nil {
				return
			}
			byValue, err := b.encode(func(e *Encoder) {
				putCoded(BeginStruct[ticket](e), v)
				EndStruct(e, *v)
				PutSlice(e, v.List, putCoded)
			})
			if want, _ := b.encode(func(e *Encoder) { e.Value(*v); e.Value(v.List) }); err != nil || !bytes.Equal(byValue, want) {
				t.Errorf("generated code writes, %v,\n%x, reflection\n%x", err, byValue, want)
			}
			var whole ticket
			var list []ticket
			err = b.decode(byValue, func(d *Decoder) {
				GetStruct(d, &whole, getCoded)
				GetSlice(d, &list, getCoded)
			})
			if err != nil || len(list) != len(v.List) {
				t.Errorf("got %v, %v", list, err)
			}
		})
	}
}

// The failures of generated code are those of reflection, path and all.
func TestGeneratedCodeFailsAsReflectionDoes(t *testing.T) {
	leak.Check(t)
	b := newBench(t)
	small := &bench{t: t, codec: NewCodec(Limits{MessageBytes: 2000, Alloc: 3000, Depth: 30}), table: b.table}
	values := codedValues()
	good := b.value(values["diamond"])
	broken := map[string][]byte{
		"type":    unhex("81 a1 64 4b696473 82 f6 a1 63 496e74 60"),
		"twice":   unhex("81 a2 63 496e74 01 63 496e74 01"),
		"order":   unhex("81 a2 63 496e74 01 62 4938 01"),
		"unknown": unhex("81 a2 61 7a 01 61 7a 01"),
		"range":   unhex("81 a1 62 4938 1903e8"),
		"shared":  unhex("81 a1 64 4e657874 d81d 05"),
		"map":     unhex("81 a1 65 576f726473 a2 6161 60 6161 60"),
	}
	for n := range good {
		broken["cut at "+string(rune('0'+n%10))+cuts(n)] = good[:n]
	}
	for name, data := range broken {
		for _, bench := range []*bench{b, small} {
			var one, two *ticket
			want := bench.into(data, &one)
			got := bench.decode(data, func(d *Decoder) { GetPointer(d, &two, getCoded) })
			if want == nil || got == nil || got.Error() != want.Error() || two != nil {
				t.Errorf("%s: generated code says %v, %v, reflection %v", name, got, two, want)
			}
		}
	}
	deep := b.value(values["deep"])
	for _, data := range [][]byte{deep, b.value(values["many"])} {
		var one, two *ticket
		want := small.into(data, &one)
		if got := small.decode(data, func(d *Decoder) { GetPointer(d, &two, getCoded) }); want == nil || got == nil || got.Error() != want.Error() {
			t.Errorf("generated code says %v, reflection %v", got, want)
		}
	}
	long := &ticket{Kids: []*ticket{{Text: strings.Repeat("x", 1000)}, {Text: strings.Repeat("y", 1500)}}}
	_, want := small.encode(func(e *Encoder) { e.Value(long) })
	_, got := small.encode(func(e *Encoder) { PutPointer(e, long, putCoded) })
	if want == nil || got == nil || want.Error() != got.Error() || !strings.Contains(got.Error(), "argument 1: ticket.Kids[1].Text: more than 2000 bytes") {
		t.Errorf("generated code says %v, reflection %v", got, want)
	}
	bad := ticket{Kids: []*ticket{{By: map[string]*ticket{}}}}
	_, err := b.encode(func(e *Encoder) {
		putCoded(BeginStruct[ticket](e), &bad)
		e.fail(errTwice)
		EndStruct(e, bad)
	})
	wantError(t, err, Marshal, "a key comes twice")
}

// A call that cannot be made has an encoder that was never reset.
func TestGeneratedCodeWritesNothingWhereTheEncoderHasFailed(t *testing.T) {
	leak.Check(t)
	for name, v := range codedValues() {
		if v == nil {
			continue
		}
		e := &Encoder{Err: errTwice}
		putCoded(BeginStruct[ticket](e), v)
		EndStruct(e, *v)
		PutPointer(e, v, putCoded)
		if e.Err != errTwice || len(e.buf) != 0 || e.level != 0 {
			t.Errorf("%s: the encoder has %v, %x, and is at level %d; want that it is left as it is", name, e.Err, e.buf, e.level)
		}
	}
}

func cuts(n int) string { return strings.Repeat("'", n/10) }

// What a reader of another version makes of a message, generated code leaves to reflection where it must.
func TestGeneratedCodeReadsOtherVersionsAsReflectionDoes(t *testing.T) {
	leak.Check(t)
	type newer struct {
		Added  []*ticket
		I8     *int64
		Int    *int8
		Kids   []*ticket
		Next   *ticket
		Sub    *inner
		Zulu   any
		Zulus  []*ticket
		Before map[string]*inner
	}
	b := newBench(t)
	shared, n, eight := &ticket{Int: 3}, int64(5), int8(6)
	sub := &inner{A: 4, B: shared}
	v := newer{Added: []*ticket{shared}, I8: &n, Int: &eight, Kids: []*ticket{shared}, Next: shared, Sub: sub, Before: map[string]*inner{"x": sub}, Zulu: []any{1}, Zulus: []*ticket{shared}}
	data := b.value(v)
	var want, got ticket
	if err := b.into(data, &want); err != nil {
		t.Fatal(err)
	}
	if err := b.decode(data, func(d *Decoder) { GetStruct(d, &got, getCoded) }); err != nil {
		t.Fatal(err)
	}
	if diff := isomorphic(want, got); diff != "" || got.Next != got.Kids[0] || got.Sub.B != got.Next || got.I8 != 5 || got.Int != 6 {
		t.Errorf("%s: got %+v", diff, got)
	}
}

func TestGeneratedCodeLeavesFiltersToReflection(t *testing.T) {
	leak.Check(t)
	b := newBench(t)
	data := b.value(codedValues()["diamond"])
	var asked []reflect.Type
	err := b.decode(data, func(d *Decoder) {
		d.SetFilters(nil, func(i FilterInfo) Verdict {
			asked = append(asked, i.Type)
			return Undecided
		})
		var v *ticket
		GetPointer(d, &v, getCoded)
	})
	if err != nil || len(asked) < 6 {
		t.Errorf("the filter was asked about %v, %v", asked, err)
	}
}
