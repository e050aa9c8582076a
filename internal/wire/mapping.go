package wire

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
)

// mapPlan writes a map whose keys are booleans, integers or strings as a CBOR map, in the bytewise order of the encoded
// keys, and any other map as an array of keys and values in turn, in no order: such keys may differ and yet be written
// alike, as NaN does.
type mapPlan struct {
	typ        reflect.Type
	key, value *plan
	cost       int64 // of one pair
	pairs      bool
	lossy      bool // whether keys that differ may be written alike and be one key at the other end
}

// entry is where one pair of a map is in the encoder's buffer.
type entry struct{ start, mid, end int }

func (b *planner) mapping(p *plan) {
	m := &mapPlan{typ: p.typ, key: b.plan(p.typ.Key()), value: b.plan(p.typ.Elem())}
	m.cost = int64(p.typ.Key().Size()+p.typ.Elem().Size()) + 8
	switch kind := p.typ.Key().Kind(); {
	case kind == reflect.String, kind >= reflect.Bool && kind <= reflect.Uintptr:
	default:
		m.pairs = true
		m.lossy = lossy(p.typ.Key())
	}
	p.enc, p.dec = m.encode, m.decode
}

func (m *mapPlan) encode(e *Encoder, v reflect.Value) {
	if v.IsNil() {
		e.null()
		return
	}
	n := v.Len()
	if !e.fits(2*n) || !e.descend(v) {
		return
	}
	defer e.ascend()
	if m.pairs {
		e.head(majorArray, 2*uint64(n))
	} else {
		e.head(majorMap, uint64(n))
	}
	if n == 0 {
		return
	}
	first := len(e.entries)
	m.encodePairs(e, v)
	switch {
	case e.Err != nil:
	case m.lossy:
		e.distinct(e.entries[first:])
	case !m.pairs:
		e.sort(e.entries[first:])
	}
	e.entries = e.entries[:first]
}

func (m *mapPlan) encodePairs(e *Encoder, v reflect.Value) {
	key := reflect.New(m.typ.Key()).Elem()
	value := reflect.New(m.typ.Elem()).Elem()
	for pair := v.MapRange(); pair.Next(); {
		key.SetIterKey(pair)
		value.SetIterValue(pair)
		here := entry{start: len(e.buf)}
		m.key.enc(e, key)
		here.mid = len(e.buf)
		if e.Err == nil {
			m.value.enc(e, value)
		}
		here.end = len(e.buf)
		if !e.within() {
			e.at(subscript(key))
			return
		}
		if !m.pairs || m.lossy && !unique(key) {
			e.entries = append(e.entries, here)
		}
	}
}

// lossy reports whether two keys of a type may differ by what does not travel: by unexported fields, which a time's zone is
// one of, or by being two stubs or a stub and its object.
func lossy(key reflect.Type) bool {
	switch key.Kind() {
	case reflect.Interface:
		return key != errorType
	case reflect.Array:
		return lossy(key.Elem())
	case reflect.Struct:
		for i := range key.NumField() {
			if f := key.Field(i); !f.IsExported() && f.Name != "_" || f.Tag.Get("cbor") == "-" || lossy(f.Type) {
				return true
			}
		}
	}
	return false
}

// unique reports whether a key differs from all others at the other end too, however it is written: a NaN does, and so do
// pointers and errors, which are made anew there.
func unique(key reflect.Value) bool {
	switch key.Kind() {
	case reflect.Pointer:
		return !key.IsNil() && key.Type().Elem().Size() > 0
	case reflect.Interface:
		return key.Type() == errorType && !key.IsNil()
	case reflect.Array:
		for i := range key.Len() {
			if unique(key.Index(i)) {
				return true
			}
		}
	case reflect.Struct:
		for i := range key.NumField() {
			if key.Type().Field(i).IsExported() && unique(key.Field(i)) {
				return true
			}
		}
	}
	return !key.Equal(key)
}

// distinct fails where two of the keys of the map that ends the buffer were written alike.
func (e *Encoder) distinct(pairs []entry) {
	order := func(a, b entry) int { return bytes.Compare(e.buf[a.start:a.mid], e.buf[b.start:b.mid]) }
	slices.SortFunc(pairs, order)
	for i := range pairs[min(1, len(pairs)):] {
		if order(pairs[i], pairs[i+1]) == 0 {
			e.failf("two keys of this map differ only by what does not travel")
			return
		}
	}
}

// sort puts the pairs of the map that ends the buffer in the order of their keys.
func (e *Encoder) sort(pairs []entry) {
	order := func(a, b entry) int { return bytes.Compare(e.buf[a.start:a.mid], e.buf[b.start:b.mid]) }
	if slices.IsSortedFunc(pairs, order) {
		return
	}
	start := pairs[0].start
	slices.SortFunc(pairs, order)
	e.scratch = e.scratch[:0]
	for _, p := range pairs {
		e.scratch = append(e.scratch, e.buf[p.start:p.end]...)
	}
	copy(e.buf[start:], e.scratch)
}

func (m *mapPlan) decode(d *Decoder, v reflect.Value) {
	if d.null() || !d.enter() {
		return
	}
	defer d.leave()
	n := m.length(d)
	if d.Err != nil || !d.chargeEach(n+1, m.cost) {
		return
	}
	made := reflect.MakeMapWithSize(m.typ, n)
	key := reflect.New(m.typ.Key()).Elem()
	value := reflect.New(m.typ.Elem()).Elem()
	for range n {
		key.SetZero()
		value.SetZero()
		m.decodePair(d, key, value)
		if d.Err != nil {
			return
		}
		made.SetMapIndex(key, value)
	}
	if made.Len() != n {
		d.fail(errTwice)
	}
	v.Set(made)
}

func (m *mapPlan) decodePair(d *Decoder, key, value reflect.Value) {
	m.key.dec(d, key)
	if d.Err == nil && m.pairs && !key.Comparable() {
		d.failf("this key, of type %v, cannot be one", key.Type())
	}
	if d.Err != nil {
		d.at("[key]")
		return
	}
	if m.value.dec(d, value); d.Err != nil {
		d.at(subscript(key))
	}
}

func (m *mapPlan) length(d *Decoder) int {
	if !m.pairs {
		return d.length(majorMap, "a map")
	}
	n := d.length(majorArray, "an array of keys and values")
	if n%2 != 0 {
		d.failf("an array of keys and values has %d items, an odd number", n)
	}
	return n / 2
}

// subscript returns the step of a path that a map's key is.
func subscript(key reflect.Value) string {
	switch kind := key.Kind(); {
	case kind == reflect.String:
		return fmt.Sprintf("[%.40q]", key.String())
	case kind >= reflect.Bool && kind <= reflect.Uintptr, key.CanFloat():
		return fmt.Sprintf("[%v]", key)
	}
	return "[" + key.Type().String() + "]"
}
