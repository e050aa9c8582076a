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
	var e wire.Encoder
	e.Reset(codec, nil, nil, "argument", nil)
	write(&e)
	data, err := e.Finish()
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
	var d wire.Decoder
	var one, two T
	d.Reset(codec, nil, nil, "argument", want)
	get(&d, &one)
	get(&d, &two)
	if err := d.Finish(); err != nil {
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
		agree(t, codec, all.Point, func(e *wire.Encoder, v Point) { putPoint(e.BeginStruct(), &v); wire.EndStruct(e, v) },
			func(d *wire.Decoder, p *Point) { wire.GetStruct(d, p, getPoint) })
		agree(t, codec, all.Box, func(e *wire.Encoder, v Box[Wide]) { putBox(e.BeginStruct(), &v); wire.EndStruct(e, v) },
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
