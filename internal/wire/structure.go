package wire

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"
)

// structPlan writes a struct as a map from field names to the fields that are not zero. The names are in the bytewise order
// of their encoding; a reader passes over names that it does not know, and leaves fields that did not come at zero.
type structPlan struct {
	typ    reflect.Type
	fields []field
	byName map[string]int
}

type field struct {
	key   []byte // the encoded name
	name  string // the name in Go, for paths
	index int
	plan  *plan
}

// structure plans a struct that is not one of the built-in types: by its own marshaler where it has unexported state, else
// field by field.
func (b *planner) structure(p *plan) {
	open, closed := 0, 0
	for i := range p.typ.NumField() {
		switch f := p.typ.Field(i); {
		case f.IsExported():
			open++
		case f.Name != "_":
			closed++
		}
	}
	if closed > 0 && marshaled(p) {
		return
	}
	if closed > 0 && open == 0 {
		p.refuse(fmt.Errorf("%v cannot travel: it has no exported field and no MarshalCBOR, MarshalBinary or MarshalText", p.typ))
		return
	}
	s := &structPlan{typ: p.typ, byName: map[string]int{}}
	if err := b.fields(s); err != nil {
		p.refuse(err)
		return
	}
	p.enc, p.dec = s.encode, s.decode
	if slices.ContainsFunc(s.fields, func(f field) bool { return f.plan.refused }) {
		p.refused = true
		p.zero = func(reflect.Value) bool { return false }
	}
}

func (b *planner) fields(s *structPlan) error {
	for i := range s.typ.NumField() {
		f := s.typ.Field(i)
		name, skip, err := fieldName(s.typ, f)
		if err != nil {
			return err
		}
		if skip {
			continue
		}
		key := append(appendHead(nil, majorText, uint64(len(name))), name...)
		s.fields = append(s.fields, field{key, f.Name, i, b.plan(f.Type)})
	}
	slices.SortFunc(s.fields, func(a, b field) int { return bytes.Compare(a.key, b.key) })
	for i, f := range s.fields {
		if i > 0 && bytes.Equal(f.key, s.fields[i-1].key) {
			return fmt.Errorf("%v cannot travel: its fields %s and %s have one name", s.typ, s.fields[i-1].name, f.name)
		}
		s.byName[string(f.key[len(f.key)-nameLength(f.key):])] = i
	}
	return nil
}

// nameLength returns the length of the text in an encoded key.
func nameLength(key []byte) int {
	d := Decoder{data: key}
	_, n := d.head()
	return int(n)
}

// fieldName returns the name that a field travels by, from its cbor tag or its own.
func fieldName(t reflect.Type, f reflect.StructField) (name string, skip bool, err error) {
	tag := f.Tag.Get("cbor")
	name, rest, _ := strings.Cut(tag, ",")
	for option := range strings.SplitSeq(rest, ",") {
		if option == "toarray" || option == "keyasint" {
			return "", false, fmt.Errorf("%v cannot travel: the cbor option %s of %s is not supported", t, option, f.Name)
		}
	}
	switch {
	case tag == "-":
		return "", true, nil
	case !f.IsExported():
		if lost := exportedWithin(f, map[reflect.Type]bool{}); lost != "" {
			err = fmt.Errorf("%v cannot travel: the embedded %s is not exported, so that its field %s would be lost", t, f.Name, lost)
		}
		return "", true, err
	case name == "":
		return f.Name, false, nil
	case !utf8.ValidString(name):
		return "", false, fmt.Errorf("%v cannot travel: the cbor name of %s is not UTF-8", t, f.Name)
	}
	return name, false, nil
}

// exportedWithin returns an exported field that a struct has only by an embedded one that is not exported, or "".
func exportedWithin(f reflect.StructField, seen map[reflect.Type]bool) string {
	t := pointee(f.Type)
	if !f.Anonymous || t.Kind() != reflect.Struct || seen[t] {
		return ""
	}
	seen[t] = true
	for i := range t.NumField() {
		inner := t.Field(i)
		if inner.Tag.Get("cbor") == "-" {
			continue
		}
		if inner.IsExported() {
			return inner.Name
		}
		if lost := exportedWithin(inner, seen); lost != "" {
			return lost
		}
	}
	return ""
}

// shortMap is how many pairs the head of a map expresses in one byte.
const shortMap = 23

func (s *structPlan) encode(e *Encoder, v reflect.Value) {
	if !e.enter() {
		return
	}
	defer e.leave()
	head := len(e.buf)
	if len(s.fields) <= shortMap {
		e.buf = append(e.buf, 0)
	} else {
		e.head(majorMap, s.present(v))
	}
	n := byte(0)
	for i := range s.fields {
		f := &s.fields[i]
		fv := v.Field(f.index)
		if f.plan.zero(fv) {
			continue
		}
		n++
		e.buf = append(e.buf, f.key...)
		if f.plan.enc(e, fv); !e.within() {
			e.at("." + f.name)
			return
		}
	}
	if len(s.fields) <= shortMap {
		e.buf[head] = majorMap<<5 | n
	}
}

func (s *structPlan) present(v reflect.Value) (n uint64) {
	for i := range s.fields {
		if !s.fields[i].plan.zero(v.Field(s.fields[i].index)) {
			n++
		}
	}
	return n
}

func (s *structPlan) decode(d *Decoder, v reflect.Value) {
	n := d.length(majorMap, "a map of fields")
	if !d.enter() {
		return
	}
	defer d.leave()
	next := 0
	for range n {
		i := s.find(d, next)
		if d.Err != nil {
			return
		}
		if i < 0 {
			d.skip()
			continue
		}
		f := &s.fields[i]
		if f.plan.dec(d, v.Field(f.index)); d.Err != nil {
			d.at("." + f.name)
			return
		}
		next = i + 1
	}
}

// find reads a field's name and returns its place in the plan; −1 for a name that is unknown. Known names come in order,
// so that none comes twice.
func (s *structPlan) find(d *Decoder, next int) int {
	rest := d.data[d.pos:]
	for i := next; i < len(s.fields); i++ {
		if key := s.fields[i].key; bytes.HasPrefix(rest, key) {
			d.pos += len(key)
			return i
		}
	}
	name := d.text("a field's name")
	if i, known := s.byName[string(name)]; known {
		d.failf("field %s comes twice or out of order", s.fields[i].name)
	}
	return -1
}

// text returns the bytes of the next item, which must be text, in the data itself.
func (d *Decoder) text(want string) []byte {
	b := d.take(d.length(majorText, want))
	if d.Err == nil && !utf8.Valid(b) {
		d.failf("text that is not UTF-8")
	}
	return b
}

// unseenLevels is how many levels of CBOR a value may have that do not count as nesting where its type is known: those of
// times, references and errors.
const unseenLevels = errorLevels * (deepestChain + 4)

// skip passes over one item of any kind, which must be well-formed.
func (d *Decoder) skip() {
	if len(d.failures.passed) > 0 && d.passOver() {
		return
	}
	major, n := byte(majorTag), uint64(0)
	for major == majorTag {
		at := d.pos
		if major, n = d.head(); d.Err != nil {
			return
		}
		if major == majorTag && (n == tagShareable || n == tagShared || n == tagGraph || n == tagForward) {
			d.pos = at
			d.unexpected("a plain value")
			return
		}
	}
	d.skipContent(major, n)
}

func (d *Decoder) skipContent(major byte, n uint64) {
	left := uint64(len(d.data) - d.pos)
	switch major {
	case majorBytes, majorText:
		if n > left {
			d.short()
			return
		}
		if b := d.take(int(n)); major == majorText && !utf8.Valid(b) {
			d.failf("text that is not UTF-8")
		}
	case majorArray, majorMap:
		if n > left {
			d.short()
			return
		}
		if n *= uint64(major - majorArray + 1); d.enterWithin(d.codec.limits.Depth + d.unseen) {
			for ; n > 0 && d.Err == nil; n-- {
				d.skip()
			}
			d.leave()
		}
	case majorSimple:
		d.skipSimple(n)
	}
}

func (d *Decoder) skipSimple(n uint64) {
	switch {
	case n == 24:
		if b := d.take(1); b != nil && b[0] < 32 {
			d.failf("a simple value in two bytes that needs one")
		}
	case n > 24 && n < 28:
		d.take(1 << (n - 24))
	case n > 27:
		d.failf("%#02x begins no CBOR item", majorSimple<<5|n)
	}
}
