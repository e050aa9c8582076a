package wire

import (
	"fmt"
	"math"
	"reflect"
)

// pointerPlan writes the pointee in the pointer's place. A pointee that may itself be null is wrapped in an array of one.
type pointerPlan struct {
	typ     reflect.Type
	pointee *plan
	size    int64 // of the pointee; pointers to what has none are not told apart
	object  bool  // whether some may be to remote objects, which are not copied
}

func (b *planner) pointer(p *plan) {
	pointer := &pointerPlan{typ: p.typ, pointee: b.plan(p.typ.Elem()), size: int64(p.typ.Elem().Size()), object: mayBeObject(p.typ)}
	p.enc, p.dec = pointer.encode, pointer.decode
}

func (p *pointerPlan) encode(e *Encoder, v reflect.Value) {
	if v.IsNil() {
		e.null()
		return
	}
	if p.object && e.isObject(v) {
		e.failf("this %v is an exported object, which its own type would make a copy of: "+
			"give the place the type of its remote interface, so that it travels by reference", p.typ)
		return
	}
	if p.size > 0 {
		switch e.visit(v.Pointer(), 0, p.typ) {
		case elsewhere:
			return
		case postponed:
			target := v.Elem() // v itself may be a place that changes before the body's turn comes
			e.later(rootName(p.typ), func(e *Encoder) { p.encodePointee(e, target) })
			return
		}
	}
	p.encodePointee(e, v.Elem())
}

func (p *pointerPlan) encodePointee(e *Encoder, v reflect.Value) {
	if !p.pointee.nullable {
		p.pointee.enc(e, v)
		return
	}
	if e.enter() {
		e.head(majorArray, 1)
		p.pointee.enc(e, v)
		e.leave()
	}
}

func (p *pointerPlan) decode(d *Decoder, v reflect.Value) {
	if d.null() {
		return
	}
	if d.tagged() {
		p.decodeReference(d, v)
		return
	}
	if d.charge(p.size) && d.admit(p.pointee.typ, -1) {
		target := reflect.New(p.typ.Elem())
		d.setPointer(v, target)
		p.decodePointee(d, target.Elem())
	}
}

// setPointer sets v, whose type may have a name.
func (d *Decoder) setPointer(v, target reflect.Value) {
	if v.Type() != target.Type() {
		target = target.Convert(v.Type())
	}
	v.Set(target)
}

// decodeReference decodes a pointer that may be to something that stands elsewhere.
func (p *pointerPlan) decodeReference(d *Decoder, v reflect.Value) {
	known, at := d.reference(p.typ)
	if known != nil {
		v.Set(reflect.ValueOf(known))
	}
	if known != nil || !d.charge(p.size) || !d.admit(p.pointee.typ, -1) {
		return
	}
	target := reflect.New(p.typ.Elem())
	d.setPointer(v, target)
	if at.forward >= 0 {
		d.await(at, v.Interface(), func(d *Decoder) { p.decodePointee(d, target.Elem()) })
		return
	}
	d.place(at, v.Interface())
	p.decodePointee(d, target.Elem())
}

func (p *pointerPlan) decodePointee(d *Decoder, v reflect.Value) {
	if !p.pointee.nullable {
		p.pointee.dec(d, v)
		return
	}
	if n := d.length(majorArray, "a pointer's array of one"); d.Err == nil && n != 1 {
		d.failf("a pointer's array has %d items, not one", n)
	}
	if d.enter() {
		p.pointee.dec(d, v)
		d.leave()
	}
}

// slice plans byte strings for the slices of bytes, arrays for others.
func (b *planner) slice(p *plan) {
	if p.typ.Elem().Kind() == reflect.Uint8 {
		p.enc, p.dec = encodeByteSlice, decodeByteSlice
		return
	}
	list := &listPlan{typ: p.typ, size: int64(p.typ.Elem().Size())}
	p.enc, p.dec, p.body = list.encodeSlice, list.decodeSlice, list.encodeArray
	switch p.typ {
	case reflect.TypeFor[[]string]():
		planElements(list, putString, getString)
	case reflect.TypeFor[[]int]():
		planElements(list, putInt, getInt)
	case reflect.TypeFor[[]int64]():
		planElements(list, putInt64, getInt64)
	case reflect.TypeFor[[]float64]():
		planElements(list, putFloat64, getFloat64)
	default:
		elem := b.plan(p.typ.Elem())
		list.enc = func(e *Encoder, v reflect.Value) { elem.encodeEach(e, v, v.Len()) }
		list.dec = func(d *Decoder, v reflect.Value) { elem.decodeEach(d, v, v.Len()) }
	}
}

// planElements plans the slices that are commonest without a reflection of each element.
func planElements[E any](list *listPlan, enc Put[E], dec Get[E]) {
	elements := func(v reflect.Value) []E {
		if v.CanAddr() {
			return *v.Addr().Interface().(*[]E)
		}
		return v.Interface().([]E)
	}
	list.enc = func(e *Encoder, v reflect.Value) { encodeElements(e, elements(v), enc) }
	list.dec = func(d *Decoder, v reflect.Value) { decodeElements(d, elements(v), dec) }
}

func encodeElements[E any](e *Encoder, list []E, enc Put[E]) {
	for i := 0; i < len(list) && e.Err == nil; i++ {
		if enc(e, &list[i]); !e.within() {
			e.at(index(i))
		}
	}
}

func decodeElements[E any](d *Decoder, list []E, dec Get[E]) {
	for i := 0; i < len(list) && d.Err == nil; i++ {
		if dec(d, &list[i]); d.Err != nil {
			d.at(index(i))
		}
	}
}

// listPlan writes a slice as a CBOR array.
type listPlan struct {
	typ  reflect.Type
	size int64 // of an element
	enc  func(*Encoder, reflect.Value)
	dec  func(*Decoder, reflect.Value) // into the elements of a slice of the length that came
}

func (l *listPlan) encodeSlice(e *Encoder, v reflect.Value) {
	if v.IsNil() {
		e.null()
		return
	}
	if n := v.Len(); n > 0 && l.size > 0 {
		switch e.visit(v.Pointer(), n, l.typ) {
		case elsewhere:
			return
		case postponed:
			v := v.Slice3(0, n, n) // v may be a place that changes before the body's turn comes
			e.later(rootName(l.typ), func(e *Encoder) { l.encodeArray(e, v) })
			return
		}
	}
	l.encodeArray(e, v)
}

func (l *listPlan) encodeArray(e *Encoder, v reflect.Value) {
	if n := v.Len(); e.fits(n) && e.enter() {
		e.head(majorArray, uint64(n))
		l.enc(e, v)
		e.leave()
	}
}

func (p *plan) encodeEach(e *Encoder, v reflect.Value, n int) {
	for i := range n {
		if p.enc(e, v.Index(i)); !e.within() {
			e.at(index(i))
			return
		}
	}
}

func (l *listPlan) decodeSlice(d *Decoder, v reflect.Value) {
	switch {
	case d.null():
		return
	case d.tagged():
		l.decodeReference(d, v)
		return
	}
	if n := d.length(majorArray, "an array"); l.make(d, v, n) {
		l.decodeArray(d, v)
	}
}

// make sets v to a slice of n elements, unless that is too much.
func (l *listPlan) make(d *Decoder, v reflect.Value, n int) bool {
	switch {
	case !d.chargeEach(n, l.size) || !d.admit(l.typ, n):
		return false
	case n == 0:
		v.Set(reflect.MakeSlice(l.typ, 0, 0))
	default:
		v.Grow(n)
		v.SetLen(n)
		v.SetCap(n)
	}
	return true
}

func (l *listPlan) decodeReference(d *Decoder, v reflect.Value) {
	known, at := d.reference(l.typ)
	if known != nil {
		v.Set(reflect.ValueOf(known))
		return
	}
	if at.forward < 0 {
		if n := d.length(majorArray, "an array"); l.make(d, v, n) {
			d.place(at, v.Interface())
			l.decodeArray(d, v)
		}
		return
	}
	if !l.make(d, v, at.length) {
		return
	}
	made := reflect.ValueOf(v.Interface())
	d.await(at, v.Interface(), func(d *Decoder) {
		if n := d.length(majorArray, "an array"); d.Err == nil && n != made.Len() {
			d.failf("a body of %d elements, a slice of %d was announced", n, made.Len())
		}
		l.decodeArray(d, made)
	})
}

func (l *listPlan) decodeArray(d *Decoder, v reflect.Value) {
	if d.enter() {
		l.dec(d, v)
		d.leave()
	}
}

func (p *plan) decodeEach(d *Decoder, v reflect.Value, n int) {
	for i := range n {
		if p.decode(d, v.Index(i)); d.Err != nil {
			d.at(index(i))
			return
		}
	}
}

func encodeByteSlice(e *Encoder, v reflect.Value) {
	if n := v.Len(); n > 0 && e.visit(v.Pointer(), n, v.Type()) == elsewhere {
		return
	}
	e.bytes(v.Bytes())
}

func decodeByteSlice(d *Decoder, v reflect.Value) {
	if !d.tagged() {
		decodePlainBytes(d, v)
		return
	}
	known, at := d.reference(v.Type())
	if known != nil {
		v.Set(reflect.ValueOf(known))
		return
	}
	decodePlainBytes(d, v)
	d.place(at, v.Interface())
}

func decodePlainBytes(d *Decoder, v reflect.Value) {
	v.SetBytes(d.bytes())
	if n := v.Len(); n > 0 && !d.admit(v.Type(), n) {
		v.SetZero()
	}
}

// chargeEach is charge for n elements.
func (d *Decoder) chargeEach(n int, size int64) bool {
	if size > 0 && int64(n) > math.MaxInt64/2/size {
		return d.charge(math.MaxInt64 / 2)
	}
	return d.charge(int64(n) * size)
}

// arrayPlan writes an array as a CBOR array.
type arrayPlan struct {
	typ  reflect.Type
	elem *plan
}

// array plans byte strings for the arrays of bytes, such as identifiers, and arrays for others. The length must match.
func (b *planner) array(p *plan) {
	if p.typ.Elem().Kind() == reflect.Uint8 {
		p.enc, p.dec = encodeByteArray, decodeByteArray
		return
	}
	a := &arrayPlan{p.typ, b.plan(p.typ.Elem())}
	p.enc, p.dec = a.encode, a.decode
	if p.partial = a.elem.partial; p.partial {
		p.zero = a.zero
	}
	if p.refused = a.elem.refused && p.typ.Len() > 0; p.refused {
		p.zero = a.elem.zero
	}
}

func (a *arrayPlan) encode(e *Encoder, v reflect.Value) {
	if n := v.Len(); e.fits(n) && e.enter() {
		e.head(majorArray, uint64(n))
		a.elem.encodeEach(e, v, n)
		e.leave()
	}
}

func (a *arrayPlan) zero(v reflect.Value) bool {
	for i := range v.Len() {
		if !a.elem.zero(v.Index(i)) {
			return false
		}
	}
	return true
}

func (a *arrayPlan) decode(d *Decoder, v reflect.Value) {
	n := d.length(majorArray, "an array")
	if d.Err == nil && n != v.Len() {
		d.failf("%d elements for %v", n, a.typ)
	}
	if d.enter() {
		a.elem.decodeEach(d, v, n)
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
