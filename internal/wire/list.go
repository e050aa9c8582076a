package wire

import (
	"fmt"
	"math"
	"reflect"
)

// cycleDepth is the nesting from which the way to a value is remembered, to notice that it leads back into itself. A value
// that is less deep has no cycle, and pays nothing.
const cycleDepth = 32

// visit is one reference on the way to the current value. An address alone is not enough: a struct and its first field
// share one.
type visit struct {
	at  uintptr
	len int
	typ reflect.Type
}

// descend goes down through a pointer, a map or a non-empty slice; ascend goes up again.
func (e *Encoder) descend(v reflect.Value) bool {
	if !e.enter() {
		return false
	}
	if e.depth <= cycleDepth {
		return true
	}
	here := visit{at: v.Pointer(), typ: v.Type()}
	if v.Kind() == reflect.Slice {
		here.len = v.Len()
	}
	for _, passed := range e.trail {
		if passed == here {
			e.depth--
			e.failf("cycle: this %v is inside itself", here.typ)
			return false
		}
	}
	e.trail = append(e.trail, here)
	return true
}

func (e *Encoder) ascend() {
	if e.depth > cycleDepth {
		e.trail = e.trail[:len(e.trail)-1]
	}
	e.leave()
}

// pointerPlan writes the pointee in the pointer's place. A pointee that may itself be null is wrapped in an array of one.
type pointerPlan struct {
	typ     reflect.Type // of the pointee
	size    int64
	pointee *plan
}

func (p *pointerPlan) encode(e *Encoder, v reflect.Value) {
	if v.IsNil() {
		e.null()
		return
	}
	if !e.descend(v) {
		return
	}
	if p.pointee.nullable {
		e.head(majorArray, 1)
	}
	p.pointee.enc(e, v.Elem())
	e.ascend()
}

func (p *pointerPlan) decode(d *Decoder, v reflect.Value) {
	if d.null() || !d.enter() {
		return
	}
	defer d.leave()
	if p.pointee.nullable {
		if n := d.length(majorArray, "a pointer's array of one"); d.Err == nil && n != 1 {
			d.failf("a pointer's array has %d items, not one", n)
		}
	}
	if !d.charge(p.size) {
		return
	}
	target := reflect.New(p.typ)
	p.pointee.dec(d, target.Elem())
	v.Set(target)
}

// slice plans byte strings for the slices of bytes, arrays for others.
func (b *planner) slice(p *plan) {
	switch p.typ.Elem().Kind() {
	case reflect.Uint8:
		p.enc = func(e *Encoder, v reflect.Value) { e.bytes(v.Bytes()) }
		p.dec = func(d *Decoder, v reflect.Value) { v.SetBytes(d.bytes()) }
		return
	}
	switch p.typ {
	case reflect.TypeFor[[]string]():
		planList(p, (*Encoder).string, (*Decoder).string)
	case reflect.TypeFor[[]int]():
		planList(p, func(e *Encoder, v int) { e.int(int64(v)) }, func(d *Decoder) int { return int(d.int(math.MinInt, math.MaxInt)) })
	case reflect.TypeFor[[]int64]():
		planList(p, (*Encoder).int, func(d *Decoder) int64 { return d.int(math.MinInt64, math.MaxInt64) })
	case reflect.TypeFor[[]float64]():
		planList(p, (*Encoder).float64, (*Decoder).float64)
	default:
		list := &listPlan{p.typ, int64(p.typ.Elem().Size()), b.plan(p.typ.Elem())}
		p.enc, p.dec = list.encodeSlice, list.decodeSlice
	}
}

// planList plans the slices that are commonest without a reflection of each element.
func planList[E any](p *plan, enc func(*Encoder, E), dec func(*Decoder) E) {
	size := int64(reflect.TypeFor[E]().Size())
	p.enc = func(e *Encoder, v reflect.Value) {
		var list []E
		if v.CanAddr() {
			list = *v.Addr().Interface().(*[]E)
		} else {
			list = v.Interface().([]E)
		}
		if list == nil {
			e.null()
			return
		}
		if !e.enter() {
			return
		}
		if e.fits(len(list)) {
			e.head(majorArray, uint64(len(list)))
		}
		for i := 0; i < len(list) && e.Err == nil; i++ {
			if enc(e, list[i]); !e.within() {
				e.at(index(i))
			}
		}
		e.leave()
	}
	p.dec = func(d *Decoder, v reflect.Value) {
		n := d.list(size)
		if n < 0 {
			return
		}
		list := make([]E, n)
		for i := 0; i < n && d.Err == nil; i++ {
			if list[i] = dec(d); d.Err != nil {
				d.at(index(i))
			}
		}
		*v.Addr().Interface().(*[]E) = list
		d.leave()
	}
}

// list reads the head of a slice, goes a level down and charges the elements; −1 for null and on failure.
func (d *Decoder) list(size int64) int {
	if d.null() {
		return -1
	}
	n := d.length(majorArray, "an array")
	if !d.enter() {
		return -1
	}
	if !d.chargeEach(n, size) {
		d.leave()
		return -1
	}
	return n
}

// chargeEach is charge for n elements.
func (d *Decoder) chargeEach(n int, size int64) bool {
	if size > 0 && int64(n) > math.MaxInt64/2/size {
		return d.charge(math.MaxInt64 / 2)
	}
	return d.charge(int64(n) * size)
}

// listPlan writes a slice or an array as a CBOR array.
type listPlan struct {
	typ  reflect.Type
	size int64 // of an element
	elem *plan
}

func (l *listPlan) encodeSlice(e *Encoder, v reflect.Value) {
	switch n := v.Len(); {
	case v.IsNil():
		e.null()
	case n == 0:
		if e.enter() {
			e.head(majorArray, 0)
			e.leave()
		}
	case e.descend(v):
		l.encodeEach(e, v, n)
		e.ascend()
	}
}

func (l *listPlan) encodeEach(e *Encoder, v reflect.Value, n int) {
	if !e.fits(n) {
		return
	}
	e.head(majorArray, uint64(n))
	for i := range n {
		if l.elem.enc(e, v.Index(i)); !e.within() {
			e.at(index(i))
			return
		}
	}
}

func (l *listPlan) decodeSlice(d *Decoder, v reflect.Value) {
	n := d.list(l.size)
	if n < 0 {
		return
	}
	if n == 0 {
		v.Set(reflect.MakeSlice(l.typ, 0, 0))
	} else {
		v.Grow(n)
		v.SetLen(n)
	}
	l.decodeEach(d, v, n)
	d.leave()
}

func (l *listPlan) decodeEach(d *Decoder, v reflect.Value, n int) {
	for i := range n {
		if l.elem.dec(d, v.Index(i)); d.Err != nil {
			d.at(index(i))
			return
		}
	}
}

// array plans byte strings for the arrays of bytes, such as identifiers, and arrays for others. The length must match.
func (b *planner) array(p *plan) {
	if p.typ.Elem().Kind() == reflect.Uint8 {
		p.enc, p.dec = encodeByteArray, decodeByteArray
		return
	}
	list := &listPlan{p.typ, int64(p.typ.Elem().Size()), b.plan(p.typ.Elem())}
	p.enc, p.dec = list.encodeArray, list.decodeArray
	if p.refused = list.elem.refused && p.typ.Len() > 0; p.refused {
		p.zero = list.elem.zero
	}
}

func (l *listPlan) encodeArray(e *Encoder, v reflect.Value) {
	if e.enter() {
		l.encodeEach(e, v, v.Len())
		e.leave()
	}
}

func (l *listPlan) decodeArray(d *Decoder, v reflect.Value) {
	n := d.length(majorArray, "an array")
	if d.Err == nil && n != v.Len() {
		d.failf("%d elements for %v", n, l.typ)
	}
	if d.enter() {
		l.decodeEach(d, v, n)
		d.leave()
	}
}

func encodeByteArray(e *Encoder, v reflect.Value) {
	if !v.CanAddr() {
		v = addressed(v).Elem()
	}
	e.bytes(v.Bytes())
}

func decodeByteArray(d *Decoder, v reflect.Value) {
	n := d.length(majorBytes, "a byte string")
	if d.Err == nil && n != v.Len() {
		d.failf("%d bytes for %v", n, v.Type())
	}
	copy(v.Bytes(), d.take(n))
}

// addressed returns a pointer to the value, or to a copy of it.
func addressed(v reflect.Value) reflect.Value {
	if v.CanAddr() {
		return v.Addr()
	}
	copied := reflect.New(v.Type())
	copied.Elem().Set(v)
	return copied
}

func index(i int) string { return fmt.Sprintf("[%d]", i) }
