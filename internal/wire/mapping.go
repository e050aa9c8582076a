package wire

import (
	"bytes"
	"encoding/binary"
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
	flat       bool  // values have neither references nor names in them
	pairs      bool
	lossy      bool // whether keys that differ may be written alike and be one key at the other end
}

// entry is where one pair of a map is in the encoder's buffer.
type entry struct{ start, mid, end int }

func (b *planner) mapping(p *plan) {
	m := &mapPlan{typ: p.typ, key: b.plan(p.typ.Key()), value: b.plan(p.typ.Elem())}
	m.cost = int64(p.typ.Key().Size()+p.typ.Elem().Size()) + 8
	m.flat = flat(p.typ.Elem())
	switch kind := p.typ.Key().Kind(); {
	case kind == reflect.String, kind >= reflect.Bool && kind <= reflect.Uintptr:
	default:
		m.pairs = true
		m.lossy = lossy(p.typ.Key())
	}
	p.enc, p.dec = m.encode, m.decode
	if p.typ == reflect.TypeFor[map[string]string]() {
		planStringMap(p)
	}
}

func (m *mapPlan) encode(e *Encoder, v reflect.Value) {
	if v.IsNil() {
		e.null()
		return
	}
	switch e.visit(v.Pointer(), 0, m.typ) {
	case elsewhere:
		return
	case postponed:
		v := reflect.ValueOf(v.Interface()) // v may be a place that changes before the body's turn comes
		e.later(rootName(m.typ), func(e *Encoder) { m.encodeMap(e, v) })
		return
	}
	m.encodeMap(e, v)
}

func (m *mapPlan) encodeMap(e *Encoder, v reflect.Value) {
	n := v.Len()
	if !e.fits(2*n) || !e.enter() {
		return
	}
	if m.pairs {
		e.head(majorArray, 2*uint64(n))
	} else {
		e.head(majorMap, uint64(n))
	}
	switch {
	case n == 0:
	case m.pairs || m.flat || n == 1:
		m.encodeUnordered(e, v)
	default:
		m.encodeInOrder(e, v, n)
	}
	e.leave()
}

// encodeUnordered writes the pairs as they come, and puts them in order afterwards.
func (m *mapPlan) encodeUnordered(e *Encoder, v reflect.Value) {
	g := e.graph()
	first := len(g.entries)
	m.encodePairs(e, v)
	switch {
	case e.Err != nil:
	case m.lossy:
		e.distinct(g.entries[first:])
	case !m.pairs:
		e.sort(g.entries[first:])
	}
	g.entries = g.entries[:first]
}

// encodeInOrder puts the keys in order first, since values that have references or names in them are written in the order of
// the message. The encoded keys wait in scratch, which maps inside this one use too.
func (m *mapPlan) encodeInOrder(e *Encoder, v reflect.Value, n int) {
	g := e.graph()
	first, keys := len(g.entries), len(g.scratch)
	start := len(e.buf)
	values := reflect.MakeSlice(reflect.SliceOf(m.typ.Elem()), n, n)
	key := reflect.New(m.typ.Key()).Elem()
	for pair := v.MapRange(); pair.Next(); {
		key.SetIterKey(pair)
		place := len(g.entries) - first
		values.Index(place).SetIterValue(pair)
		here := entry{start: len(e.buf) - start + keys, end: place}
		m.key.enc(e, key)
		here.mid = len(e.buf) - start + keys
		g.entries = append(g.entries, here)
	}
	g.scratch = append(g.scratch, e.buf[start:]...)
	e.buf = e.buf[:start]
	slices.SortFunc(g.entries[first:], func(a, b entry) int {
		return bytes.Compare(g.scratch[a.start:a.mid], g.scratch[b.start:b.mid])
	})
	for i := first; i < first+n && e.Err == nil; i++ {
		here := g.entries[i]
		e.buf = append(e.buf, g.scratch[here.start:here.mid]...)
		if m.value.enc(e, values.Index(here.end)); !e.within() {
			e.at(m.subscript(g.scratch[here.start:here.mid]))
		}
	}
	g.entries, g.scratch = g.entries[:first], g.scratch[:keys]
}

// subscript returns the step of a path for a key that is encoded.
func (m *mapPlan) subscript(encoded []byte) string {
	key := reflect.New(m.typ.Key()).Elem()
	d := Decoder{codec: NewCodec(Limits{}), data: encoded, objects: 1, alloc: defaultAlloc}
	m.key.dec(&d, key)
	return subscript(key)
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
		if !m.pairs || m.lossy && (e.isRecord(here.start) || !unique(key)) {
			e.g.entries = append(e.g.entries, here)
		}
	}
}

// isRecord reports whether a remote reference begins at a place of the buffer.
func (e *Encoder) isRecord(at int) bool {
	b := e.buf[at:]
	return len(b) > 3 && b[0] == majorTag<<5|25 && binary.BigEndian.Uint16(b[1:]) == tagRemote
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
		return !key.IsNil() && (key.Type() == errorType || key.Elem().Kind() == reflect.Pointer && unique(key.Elem()))
	case reflect.Array:
		for i := range key.Len() {
			if unique(key.Index(i)) {
				return true
			}
		}
	case reflect.Struct:
		for i := range key.NumField() {
			if f := key.Type().Field(i); (f.IsExported() || f.Anonymous && f.Type.Kind() == reflect.Struct) && unique(key.Field(i)) {
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
	sorted := len(e.g.scratch)
	for _, p := range pairs {
		e.g.scratch = append(e.g.scratch, e.buf[p.start:p.end]...)
	}
	copy(e.buf[start:], e.g.scratch[sorted:])
	e.g.scratch = e.g.scratch[:sorted]
}

func (m *mapPlan) decode(d *Decoder, v reflect.Value) {
	switch {
	case d.null():
		return
	case d.tagged():
		m.decodeReference(d, v)
		return
	}
	if n := m.length(d); d.Err == nil && d.chargeEach(n+1, m.cost) && d.admit(m.typ, n) {
		v.Set(reflect.MakeMapWithSize(m.typ, n))
		m.decodePairs(d, v, n)
	}
}

func (m *mapPlan) decodeReference(d *Decoder, v reflect.Value) {
	known, at := d.reference(m.typ)
	switch {
	case known != nil:
		v.Set(reflect.ValueOf(known))
	case !d.chargeEach(1, m.cost):
	default:
		v.Set(reflect.MakeMap(m.typ))
		made := reflect.ValueOf(v.Interface())
		content := func(d *Decoder) {
			if n := m.length(d); d.Err == nil && d.chargeEach(n, m.cost) && d.admit(m.typ, n) {
				m.decodePairs(d, made, n)
			}
		}
		if at.forward >= 0 {
			d.await(at, v.Interface(), content)
			return
		}
		d.place(at, v.Interface())
		content(d)
	}
}

func (m *mapPlan) decodePairs(d *Decoder, made reflect.Value, n int) {
	if !d.enter() {
		return
	}
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
	d.leave()
}

func (m *mapPlan) decodePair(d *Decoder, key, value reflect.Value) {
	m.key.decode(d, key)
	if d.Err == nil && m.pairs && !key.Comparable() {
		d.failf("this key, of type %v, cannot be one", key.Type())
	}
	if d.Err != nil {
		d.at("[key]")
		return
	}
	if m.value.decode(d, value); d.Err != nil {
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
