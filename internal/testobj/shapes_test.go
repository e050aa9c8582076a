package testobj

import (
	"bytes"
	"fmt"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/rmigo/rmigo/internal/leak"
	"github.com/rmigo/rmigo/internal/wire"
)

// filler fills values at random, and now and then with what it has made before.
type filler struct {
	t    *rapid.T
	made map[reflect.Type][]reflect.Value
	left int // values that it may still make
}

func (f *filler) pick(n int) int { return rapid.IntRange(0, n-1).Draw(f.t, "n") }

func (f *filler) fill(v reflect.Value) {
	if f.left--; f.left < 0 || f.pick(4) == 0 {
		return
	}
	switch v.Kind() {
	case reflect.Int, reflect.Int16, reflect.Int32:
		v.SetInt(int64(f.pick(3)) - 1)
	case reflect.Uint8:
		v.SetUint(uint64(f.pick(2)))
	case reflect.Float32:
		v.SetFloat([]float64{0, 1.5}[f.pick(2)])
	case reflect.Bool:
		v.SetBool(true)
	case reflect.String:
		v.SetString([]string{"", "a", "\xff", "a text of more than twenty-three bytes"}[f.pick(4)])
	case reflect.Interface:
		v.Set(reflect.ValueOf([]any{f.pick(9)}))
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(time.Unix(int64(f.pick(3)), 0).UTC()))
			return
		}
		for i := range v.NumField() {
			if field := v.Type().Field(i); field.IsExported() || field.Anonymous {
				f.fill(v.Field(i))
			}
		}
	case reflect.Pointer, reflect.Slice, reflect.Map:
		f.refer(v)
	}
}

func (f *filler) refer(v reflect.Value) {
	t := v.Type()
	if known := f.made[t]; len(known) > 0 && f.pick(3) == 0 {
		v.Set(known[f.pick(len(known))])
		return
	}
	switch n := f.pick(3); t.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(t.Elem()))
	case reflect.Slice:
		v.Set(reflect.MakeSlice(t, n, n))
	case reflect.Map:
		v.Set(reflect.MakeMap(t))
	}
	f.made[t] = append(f.made[t], reflect.ValueOf(v.Interface()))
	switch t.Kind() {
	case reflect.Pointer:
		f.fill(v.Elem())
	case reflect.Slice:
		for i := range v.Len() {
			f.fill(v.Index(i))
		}
	case reflect.Map:
		for range f.pick(3) {
			key, value := reflect.New(t.Key()).Elem(), reflect.New(t.Elem()).Elem()
			f.fill(key)
			f.fill(value)
			v.SetMapIndex(key, value)
		}
	}
}

// message returns what write makes of the arguments of a call.
func message(t *rapid.T, codec *wire.Codec, write func(*wire.Encoder)) []byte {
	data, err := encoded(codec, write)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// agree holds generated code to the bytes of reflection, and what it reads of them to be the same again.
func agree[T any](t *rapid.T, codec *wire.Codec, v T, put func(*wire.Encoder, T), get func(*wire.Decoder, *T)) {
	want := message(t, codec, func(e *wire.Encoder) { e.Value(v); e.Value(v) })
	if got := message(t, codec, func(e *wire.Encoder) { put(e, v); put(e, v) }); !bytes.Equal(got, want) {
		t.Fatalf("generated code writes %x\nreflection %x", got, want)
	}
	var one, two T
	if err := decoded(codec, want, func(d *wire.Decoder) { get(d, &one); get(d, &two) }); err != nil {
		t.Fatal(err)
	}
	if again := message(t, codec, func(e *wire.Encoder) { e.Value(one); e.Value(two) }); !bytes.Equal(again, want) {
		t.Fatalf("what generated code has read is written %x\nwant %x", again, want)
	}
}

func TestGeneratedCodeWritesEveryFormOfStructAsReflectionDoes(t *testing.T) {
	leak.Check(t)
	codec := wire.NewCodec(wire.Limits{})
	rapid.Check(t, func(t *rapid.T) {
		f := &filler{t: t, made: map[reflect.Type][]reflect.Value{}, left: 400}
		var all struct {
			Shapes *Shapes
			Points []Point
			Point  Point
			Box    Box[Wide]
			Back   *Box[Point]
		}
		f.fill(reflect.ValueOf(&all).Elem())
		agree(t, codec, all.Shapes, func(e *wire.Encoder, v *Shapes) { wire.PutPointer(e, v, putShapes) },
			func(d *wire.Decoder, p **Shapes) { wire.GetPointer(d, p, getShapes) })
		agree(t, codec, all.Points, func(e *wire.Encoder, v []Point) { wire.PutSlice(e, v, putPoint) },
			func(d *wire.Decoder, p *[]Point) { wire.GetSlice(d, p, getPoint) })
		agree(t, codec, all.Point, func(e *wire.Encoder, v Point) { putPoint(wire.BeginStruct[Point](e), &v); wire.EndStruct(e, v) },
			func(d *wire.Decoder, p *Point) { wire.GetStruct(d, p, getPoint) })
		agree(t, codec, all.Box, func(e *wire.Encoder, v Box[Wide]) { putBox(wire.BeginStruct[Box[Wide]](e), &v); wire.EndStruct(e, v) },
			func(d *wire.Decoder, p *Box[Wide]) { wire.GetStruct(d, p, getBox) })
		agree(t, codec, all.Back, func(e *wire.Encoder, v *Box[Point]) { wire.PutPointer(e, v, putBox2) },
			func(d *wire.Decoder, p **Box[Point]) { wire.GetPointer(d, p, getBox2) })
	})
}

// A struct of every width, with a reference that comes again behind each head.
func TestGeneratedCodeCountsTheFieldsThatAreThere(t *testing.T) {
	leak.Check(t)
	codec := wire.NewCodec(wire.Limits{})
	rapid.Check(t, func(t *rapid.T) {
		shared := &Wide{A1: 1}
		wide := reflect.ValueOf(&Wide{}).Elem()
		n := rapid.IntRange(0, wide.NumField()).Draw(t, "fields")
		for i := range n {
			switch v := wide.Field(i); v.Kind() {
			case reflect.Int:
				v.SetInt(int64(i) + 1)
			case reflect.String:
				v.SetString(fmt.Sprint(i))
			case reflect.Pointer:
				v.Set(reflect.ValueOf([]*Wide{shared, wide.Addr().Interface().(*Wide), {C1: shared}}[i%3]))
			default:
				v.SetBytes([]byte("the same bytes")[:i%3+1])
			}
		}
		v := &Shapes{Wide: Wide{C2: shared}, Wides: []*Wide{wide.Addr().Interface().(*Wide), shared}, Boxes: []*Box[Point]{{}}}
		agree(t, codec, v, func(e *wire.Encoder, v *Shapes) { wire.PutPointer(e, v, putShapes) },
			func(d *wire.Decoder, p **Shapes) { wire.GetPointer(d, p, getShapes) })
	})
}

func TestWhatGeneratedCodeCannotSeeStaysAtHome(t *testing.T) {
	leak.Check(t)
	codec := wire.NewCodec(wire.Limits{})
	v := &Shapes{corner: corner{X: 1, note: "stays"}, Point: Point{note: 2, N: 3}}
	data, err := encoded(codec, func(e *wire.Encoder) { wire.PutPointer(e, v, putShapes) })
	if err != nil {
		t.Fatal(err)
	}
	var got *Shapes
	err = decoded(codec, data, func(d *wire.Decoder) { wire.GetPointer(d, &got, getShapes) })
	if err != nil || got.X != 1 || got.note != "" || got.Point.N != 3 || got.Point.note != 0 {
		t.Errorf("got %+v, %v", got, err)
	}
}

// What generated code makes of a message, whatever it is, is what reflection makes of it.
func FuzzGenerated(f *testing.F) {
	codec := wire.NewCodec(wire.Limits{MessageBytes: 1 << 20, Alloc: 8 << 20})
	shared := &Shapes{Point: Point{N: 1, Tags: []string{"a"}}, Omit: Omit{N: 2, List: []Tip{{A: 1}}}}
	shared.Next, shared.Of, shared.Pts = shared, shared, make([]Point, 2)
	shared.At, shared.Wides = &shared.Pts[0], []*Wide{nil, {A1: 1, C1: &Wide{}}}
	var deep *Shapes
	for range 40 {
		deep = &Shapes{Next: deep, Boxes: []*Box[Point]{{V: Point{Ups: []*Point{{}}}, By: map[string]Point{"x": {}}}}}
	}
	full := reflect.New(reflect.TypeFor[Wide]())
	for i := range full.Elem().NumField() {
		if v := full.Elem().Field(i); v.Kind() == reflect.String {
			v.SetString("text")
		} else if v.Kind() == reflect.Int {
			v.SetInt(-1)
		} else if v.Kind() == reflect.Slice {
			v.SetBytes([]byte{1})
		}
	}
	for _, v := range []*Shapes{nil, {}, shared, deep, {Wide: *full.Interface().(*Wide)}} {
		data, err := encoded(codec, func(e *wire.Encoder) { e.Value(v) })
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var generated, reflective *Shapes
		err := decoded(codec, data, func(d *wire.Decoder) { wire.GetPointer(d, &generated, getShapes) })
		want := decoded(codec, data, func(d *wire.Decoder) { d.Value(&reflective) })
		if fmt.Sprint(err) != fmt.Sprint(want) {
			t.Fatalf("generated code says %v, reflection %v", err, want)
		}
		if err != nil {
			return
		}
		var all [4][]byte
		for i, v := range []*Shapes{generated, reflective} {
			all[2*i], err = encoded(codec, func(e *wire.Encoder) { wire.PutPointer(e, v, putShapes) })
			all[2*i+1], want = encoded(codec, func(e *wire.Encoder) { e.Value(v) })
			if fmt.Sprint(err) != fmt.Sprint(want) {
				t.Fatalf("generated code says %v, reflection %v", err, want)
			}
		}
		for _, other := range all[1:] {
			if !bytes.Equal(all[0], other) {
				t.Fatalf("got by generated code, or written by it\n%x\nby reflection\n%x", all[0], other)
			}
		}
	})
}

func encoded(codec *wire.Codec, write func(*wire.Encoder)) ([]byte, error) {
	var e wire.Encoder
	e.Reset(codec, nil, nil, "argument", nil)
	write(&e)
	return e.Finish()
}

func decoded(codec *wire.Codec, data []byte, read func(*wire.Decoder)) error {
	var d wire.Decoder
	d.Reset(codec, nil, nil, "argument", data)
	read(&d)
	return d.Finish()
}
