package wire

import (
	"bytes"
	"encoding/binary"
	"math"
	"reflect"
	"slices"
	"time"
)

// Structs written and read by generated code, field by field, with the bytes that their plans make of them. A key is a field's
// encoded name. Fields come in the order of their keys. The fields of a positional struct come in their own order, with "" for a key.
//
// Failures have no path here: whoever called the generated code starts again by reflection, which finds it (see generated.go).

// FieldWriter writes the fields of one struct. It is used between Struct, or Positional, and End.
type FieldWriter struct {
	e    *Encoder
	head int // its place in the buffer, where one byte is reserved for it; −1 if it has been written
	n    int
}

// Struct begins a struct.
func (e *Encoder) Struct() FieldWriter {
	e.enter()
	e.buf = append(e.buf, 0)
	return FieldWriter{e, len(e.buf) - 1, 0}
}

// Positional begins a struct that travels as an array of its n fields.
func (e *Encoder) Positional(n int) FieldWriter {
	e.enter()
	e.head(majorArray, uint64(n))
	return FieldWriter{e, -1, 0}
}

// End ends the struct.
func (f *FieldWriter) End() {
	switch {
	case f.head < 0:
	case f.n <= shortMap:
		f.e.buf[f.head] = majorMap<<5 | byte(f.n)
	default:
		f.widen()
	}
	f.e.leave()
}

// widen writes a head that takes more than the byte that is reserved for it, and moves what follows.
func (f *FieldWriter) widen() {
	e := f.e
	var room [longestHead]byte
	head := appendHead(room[:0], majorMap, uint64(f.n))
	e.buf = slices.Replace(e.buf, f.head, f.head+1, head...)
	for i := range e.early[:e.met] {
		e.early[i].move(f.head, len(head)-1)
	}
	if e.g != nil {
		for i := len(e.g.visits) - 1; i >= 0 && e.g.visits[i].move(f.head, len(head)-1); i-- {
		}
	}
}

func (f *FieldWriter) key(key string) *Encoder {
	e := f.e
	f.n++
	e.buf = append(e.buf, key...)
	return e
}

func (f *FieldWriter) Bool(key string, v bool) {
	if v || key == "" {
		f.key(key).bool(v)
	}
}

// Int writes an integer of any signed type, Uint one of any other.
func (f *FieldWriter) Int(key string, v int64) {
	if v == 0 && key != "" {
		return
	}
	f.n++
	major := byte(majorUint)
	if v < 0 {
		major, v = majorNegative, ^v
	}
	e := f.e
	e.buf = appendHead(append(e.buf, key...), major, uint64(v))
}

func (f *FieldWriter) Uint(key string, v uint64) {
	if v != 0 || key == "" {
		f.n++
		e := f.e
		e.buf = appendHead(append(e.buf, key...), majorUint, v)
	}
}

func (f *FieldWriter) Float32(key string, v float32) {
	if math.Float32bits(v) != 0 || key == "" {
		f.n++
		e := f.e
		e.buf = binary.BigEndian.AppendUint32(append(append(e.buf, key...), codeFloat32), math.Float32bits(v))
	}
}

func (f *FieldWriter) Float64(key string, v float64) {
	if math.Float64bits(v) != 0 || key == "" {
		f.n++
		e := f.e
		e.buf = binary.BigEndian.AppendUint64(append(append(e.buf, key...), codeFloat64), math.Float64bits(v))
	}
}

func (f *FieldWriter) String(key, v string) {
	e, n := f.e, len(v)
	switch {
	case n == 0 && key != "":
	case n < shortText && n < e.most-len(e.buf)-len(key) && ascii(v):
		f.n++
		e.buf = append(append(append(e.buf, key...), majorText<<5|byte(n)), v...)
	default:
		f.key(key).string(v)
	}
}

func (f *FieldWriter) Bytes(key string, v []byte) {
	if v == nil && key != "" {
		return
	}
	e := f.key(key)
	if len(v) > 0 && e.visit(reflect.ValueOf(&v[0]).Pointer(), len(v), reflect.TypeFor[[]byte]()) == elsewhere {
		return
	}
	e.bytes(v)
}

// Strings writes a slice of strings; Ints, Int64s and Float64s write slices of numbers.
func (f *FieldWriter) Strings(key string, v []string)   { FieldSlice(f, key, v, putString) }
func (f *FieldWriter) Ints(key string, v []int)         { FieldSlice(f, key, v, putInt) }
func (f *FieldWriter) Int64s(key string, v []int64)     { FieldSlice(f, key, v, putInt64) }
func (f *FieldWriter) Float64s(key string, v []float64) { FieldSlice(f, key, v, putFloat64) }

func putString(e *Encoder, v *string)   { e.string(*v) }
func putInt(e *Encoder, v *int)         { e.int(int64(*v)) }
func putInt64(e *Encoder, v *int64)     { e.int(*v) }
func putFloat64(e *Encoder, v *float64) { e.float64(*v) }

func (f *FieldWriter) Time(key string, v time.Time) {
	if v != (time.Time{}) || key == "" {
		f.key(key).time(v)
	}
}

// Value writes a field of any type, by reflection; p points to it.
func (f *FieldWriter) Value(key string, p any) {
	v := reflect.ValueOf(p).Elem()
	if plan := f.e.codec.plan(v.Type()); key == "" || !plan.zero(v) {
		plan.enc(f.key(key), v)
	}
}

// FieldReader reads the fields of one struct. It is used between Struct, or Positional, and End.
type FieldReader struct {
	d        *Decoder
	left     int
	from, to int // the last key in the data
}

// Struct begins a struct.
func (d *Decoder) Struct() FieldReader {
	n := d.length(majorMap, "a map of fields")
	if !d.enter() {
		n = 0
	}
	return FieldReader{d: d, left: n}
}

// Positional begins a struct that travels as an array of its n fields.
func (d *Decoder) Positional(n int) FieldReader {
	if d.length(majorArray, "an array of fields") != n || !d.enter() {
		d.fail(errByReflection)
		n = 0
	}
	return FieldReader{d: d, left: n}
}

// End passes over the fields that are left and ends the struct.
func (f *FieldReader) End() {
	for f.left > 0 && f.d.Err == nil {
		f.pass()
	}
	f.d.leave()
}

// at reports whether the field with the key comes next, and reads the key.
func (f *FieldReader) at(key string) bool {
	d := f.d
	to := d.pos + len(key)
	if f.left > 0 && to <= len(d.data) && string(d.data[d.pos:to]) == key && d.Err == nil {
		f.from, f.to = d.pos, to
		d.pos = to
		f.left--
		return true
	}
	return f.seek(key)
}

// seek is at where something else comes first: unknown fields, which are passed over, or a later one.
func (f *FieldReader) seek(key string) bool {
	d := f.d
	for f.left > 0 && d.Err == nil {
		rest := d.data[d.pos:]
		rest = rest[:min(len(rest), len(key))]
		if string(rest) == key {
			return f.at(key)
		}
		if string(rest) > key {
			return false
		}
		f.pass()
	}
	return false
}

// pass passes over a field that is unknown; what comes twice or out of order comes here too, and fails.
func (f *FieldReader) pass() {
	d := f.d
	last := d.data[f.from:f.to]
	f.from = d.pos
	key := d.fieldKey()
	f.to = d.pos
	if d.Err == nil && bytes.Compare(key, last) <= 0 {
		d.failf("a field comes twice or out of order")
	}
	f.left--
	d.skip()
}

func (f *FieldReader) Bool(key string, p *bool) {
	if f.at(key) {
		*p = f.d.bool()
	}
}

func (f *FieldReader) Int(key string, p *int) {
	if f.at(key) {
		*p = int(f.d.int(math.MinInt, math.MaxInt))
	}
}

func (f *FieldReader) Int8(key string, p *int8) {
	if f.at(key) {
		*p = int8(f.d.int(math.MinInt8, math.MaxInt8))
	}
}

func (f *FieldReader) Int16(key string, p *int16) {
	if f.at(key) {
		*p = int16(f.d.int(math.MinInt16, math.MaxInt16))
	}
}

func (f *FieldReader) Int32(key string, p *int32) {
	if f.at(key) {
		*p = int32(f.d.int(math.MinInt32, math.MaxInt32))
	}
}

func (f *FieldReader) Int64(key string, p *int64) {
	if f.at(key) {
		*p = f.d.int(math.MinInt64, math.MaxInt64)
	}
}

func (f *FieldReader) Uint(key string, p *uint) {
	if f.at(key) {
		*p = uint(f.d.uint(math.MaxUint))
	}
}

func (f *FieldReader) Uint8(key string, p *uint8) {
	if f.at(key) {
		*p = uint8(f.d.uint(math.MaxUint8))
	}
}

func (f *FieldReader) Uint16(key string, p *uint16) {
	if f.at(key) {
		*p = uint16(f.d.uint(math.MaxUint16))
	}
}

func (f *FieldReader) Uint32(key string, p *uint32) {
	if f.at(key) {
		*p = uint32(f.d.uint(math.MaxUint32))
	}
}

func (f *FieldReader) Uint64(key string, p *uint64) {
	if f.at(key) {
		*p = f.d.uint(math.MaxUint64)
	}
}

func (f *FieldReader) Uintptr(key string, p *uintptr) {
	if f.at(key) {
		*p = uintptr(f.d.uint(math.MaxUint))
	}
}

func (f *FieldReader) Float32(key string, p *float32) {
	if f.at(key) {
		*p = f.d.float32()
	}
}

func (f *FieldReader) Float64(key string, p *float64) {
	if f.at(key) {
		*p = f.d.float64()
	}
}

func (f *FieldReader) String(key string, p *string) {
	if f.at(key) {
		*p = f.d.string()
	}
}

func (f *FieldReader) Bytes(key string, p *[]byte) {
	if !f.at(key) {
		return
	}
	if f.d.tagged() {
		decodeByteSlice(f.d, reflect.ValueOf(p).Elem())
		return
	}
	*p = f.d.bytes()
}

func (f *FieldReader) Strings(key string, p *[]string)   { ReadSlice(f, key, p, getString) }
func (f *FieldReader) Ints(key string, p *[]int)         { ReadSlice(f, key, p, getInt) }
func (f *FieldReader) Int64s(key string, p *[]int64)     { ReadSlice(f, key, p, getInt64) }
func (f *FieldReader) Float64s(key string, p *[]float64) { ReadSlice(f, key, p, getFloat64) }

func getString(d *Decoder, p *string)   { *p = d.string() }
func getInt(d *Decoder, p *int)         { *p = int(d.int(math.MinInt, math.MaxInt)) }
func getInt64(d *Decoder, p *int64)     { *p = d.int(math.MinInt64, math.MaxInt64) }
func getFloat64(d *Decoder, p *float64) { *p = d.float64() }

func (f *FieldReader) Time(key string, p *time.Time) {
	if f.at(key) {
		*p = f.d.time()
	}
}

// Value reads a field of any type, by reflection, into the zero value that p points to.
func (f *FieldReader) Value(key string, p any) {
	if f.at(key) {
		v := reflect.ValueOf(p).Elem()
		f.d.codec.plan(v.Type()).decode(f.d, v)
	}
}
