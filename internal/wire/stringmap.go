package wire

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"unicode/utf8"
)

// Maps from strings to strings are common enough for code of their own: no reflection of each pair.

// shortStringMap is how many keys are put in order without memory of their own.
const shortStringMap = 16

// stringMap writes a map as its plan would.
func (e *Encoder) stringMap(m map[string]string) {
	if m == nil {
		e.null()
		return
	}
	switch e.visit(reflect.ValueOf(m).Pointer(), 0, reflect.TypeFor[map[string]string]()) {
	case elsewhere:
	case postponed:
		e.later("", func(e *Encoder) { e.stringPairs(m) })
	default:
		e.stringPairs(m)
	}
}

func (e *Encoder) stringPairs(m map[string]string) {
	if !e.fits(2*len(m)) || !e.enter() {
		return
	}
	e.head(majorMap, uint64(len(m)))
	var room [shortStringMap]string
	keys, valid := room[:0], true
	for k := range m {
		keys = append(keys, k)
		valid = valid && utf8.ValidString(k)
	}
	order := byLength
	if !valid {
		order = byEncoding
	}
	slices.SortFunc(keys, order)
	for _, k := range keys {
		e.string(k)
		if e.string(m[k]); !e.within() {
			e.at(fmt.Sprintf("[%.40q]", k))
			return
		}
	}
	e.leave()
}

// byLength is the bytewise order of the encodings of two texts.
func byLength(a, b string) int {
	if len(a) != len(b) {
		return cmp.Compare(len(a), len(b))
	}
	return cmp.Compare(a, b)
}

// byEncoding is the bytewise order of the encodings of two strings: byte strings come before texts.
func byEncoding(a, b string) int {
	if x, y := utf8.ValidString(a), utf8.ValidString(b); x != y {
		if y {
			return -1
		}
		return 1
	}
	return byLength(a, b)
}

// stringMap reads a map that is not null and does not stand elsewhere.
func (d *Decoder) stringMap() map[string]string {
	n := d.length(majorMap, "a map")
	if !d.chargeEach(n+1, stringPairRoom) || !d.admit(reflect.TypeFor[map[string]string](), n) || !d.enter() {
		return nil
	}
	m := make(map[string]string, n)
	for range n {
		k := d.string()
		if d.Err != nil {
			d.at("[key]")
			return nil
		}
		if m[k] = d.string(); d.Err != nil {
			d.at(fmt.Sprintf("[%.40q]", k))
			return nil
		}
	}
	if len(m) != n {
		d.fail(errTwice)
	}
	d.leave()
	return m
}

// stringPairRoom is the memory of a pair of strings in a map.
const stringPairRoom = 40

// planStringMap plans the type. What is shared is left to the general plan, which has the place for it.
func planStringMap(p *plan) {
	general := p.dec
	p.enc = func(e *Encoder, v reflect.Value) { e.stringMap(v.Interface().(map[string]string)) }
	p.dec = func(d *Decoder, v reflect.Value) {
		switch {
		case d.null():
		case d.tagged():
			general(d, v)
		default:
			if m := d.stringMap(); m != nil {
				v.Set(reflect.ValueOf(m))
			}
		}
	}
}

// StringMap writes a map of strings.
func (f *FieldWriter) StringMap(key string, m map[string]string) {
	if m != nil || key == "" {
		f.key(key).stringMap(m)
	}
}

// StringMap reads a map of strings.
func (f *FieldReader) StringMap(key string, p *map[string]string) {
	switch d := f.d; {
	case !f.at(key) || d.null():
	case d.tagged():
		d.codec.plan(reflect.TypeFor[map[string]string]()).dec(d, reflect.ValueOf(p).Elem())
	default:
		*p = d.stringMap()
	}
}
