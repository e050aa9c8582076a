package wire

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// structPlan writes a struct as a map from field names to the fields that are not zero. The names are in the bytewise order
// of their encoding; a reader passes over names that it does not know, and leaves fields that did not come at zero. A struct
// tagged toarray is an array of all its fields instead, and a field tagged keyasint has a number for a name.
type structPlan struct {
	typ        reflect.Type
	fields     []field
	byKey      map[string]int // by the encoded name
	positional bool
}

type field struct {
	key       []byte // the encoded name
	name      string // the name in Go, for paths
	index     int
	plan      *plan
	omitEmpty bool // a slice or map that is left out when it is empty, as when it is nil
}

// structure plans a struct that is not one of the built-in types: by its own marshaler where it has unexported state, else
// field by field.
func (b *planner) structure(p *plan) {
	closed := hasUnexported(p.typ)
	if closed && marshaled(p) {
		return
	}
	if closed && !travelsInPart(p.typ) {
		p.refuse(fmt.Errorf("%v cannot travel: it has no exported field, and no methods that marshal it", p.typ))
		return
	}
	s := &structPlan{typ: p.typ, byKey: map[string]int{}}
	if err := b.fields(s); err != nil {
		p.refuse(err)
		return
	}
	p.enc, p.dec = s.encode, s.decode
	if s.positional {
		p.enc, p.dec = s.encodeArray, s.decodeArray
	}
	if p.partial = s.partial(); p.partial {
		p.zero = func(v reflect.Value) bool { return s.present(v) == 0 }
	}
	if slices.ContainsFunc(s.fields, func(f field) bool { return f.plan.refused }) {
		p.refused = true
		p.zero = func(reflect.Value) bool { return false }
	}
}

// partial reports whether a struct may be zero to a reader though it is not to Go.
func (s *structPlan) partial() bool {
	return len(s.fields) < s.typ.NumField() || slices.ContainsFunc(s.fields, func(f field) bool { return f.omitEmpty || f.plan.partial })
}

// travelsInPart reports whether a struct has a field that may travel.
func travelsInPart(t reflect.Type) bool {
	for i := range t.NumField() {
		if f := t.Field(i); f.IsExported() || exportedWithin(f, map[reflect.Type]bool{}) != "" {
			return true
		}
	}
	return false
}

func (b *planner) fields(s *structPlan) error {
	for i := range s.typ.NumField() {
		f := s.typ.Field(i)
		if f.Name == "_" {
			s.positional = s.positional || tagOf(f).toArray
			continue
		}
		planned, travels, err := b.field(s.typ, f)
		if err != nil {
			return err
		}
		if travels {
			planned.index = i
			s.fields = append(s.fields, planned)
		}
	}
	if s.positional {
		return nil
	}
	slices.SortFunc(s.fields, func(a, b field) int { return bytes.Compare(a.key, b.key) })
	for i, f := range s.fields {
		if i > 0 && bytes.Equal(f.key, s.fields[i-1].key) {
			return fmt.Errorf("%v cannot travel: its fields %s and %s have one name", s.typ, s.fields[i-1].name, f.name)
		}
		s.byKey[string(f.key)] = i
	}
	return nil
}

// field plans one field, and reports whether it travels.
func (b *planner) field(t reflect.Type, f reflect.StructField) (planned field, travels bool, err error) {
	tag := tagOf(f)
	switch {
	case tag.skip:
		return field{}, false, nil
	case !f.IsExported():
		lost := exportedWithin(f, map[reflect.Type]bool{})
		switch {
		case lost == "":
			return field{}, false, nil
		case f.Type.Kind() == reflect.Pointer:
			return field{}, false, fmt.Errorf("%v cannot travel: the embedded pointer %s is not exported, so that its field %s would be lost", t, f.Name, lost)
		case opaque(f.Type):
			return field{}, false, fmt.Errorf("%v cannot travel: the embedded %s is not exported and marshals itself, so that it would be lost", t, f.Name)
		}
	}
	if !utf8.ValidString(tag.name) {
		return field{}, false, fmt.Errorf("%v cannot travel: the cbor name of %s is not UTF-8", t, f.Name)
	}
	planned = field{name: f.Name, plan: b.plan(f.Type)}
	if planned.key, err = tag.key(f.Name); err != nil {
		return field{}, false, fmt.Errorf("%v cannot travel: the cbor name of %s: %w", t, f.Name, err)
	}
	planned.omitEmpty = tag.omitEmpty && (f.Type.Kind() == reflect.Slice || f.Type.Kind() == reflect.Map)
	return planned, true, nil
}

// fieldTag is what the cbor tag of a field says; options that are unknown say nothing.
type fieldTag struct {
	name                               string
	skip, omitEmpty, toArray, keyAsInt bool
}

func tagOf(f reflect.StructField) (tag fieldTag) {
	text := f.Tag.Get("cbor")
	name, options, _ := strings.Cut(text, ",")
	tag.name, tag.skip = name, text == "-"
	for option := range strings.SplitSeq(options, ",") {
		switch option {
		case "omitempty":
			tag.omitEmpty = true
		case "toarray":
			tag.toArray = true
		case "keyasint":
			tag.keyAsInt = true
		}
	}
	return tag
}

// key returns the encoded name of a field.
func (t fieldTag) key(name string) ([]byte, error) {
	if t.keyAsInt {
		n, err := strconv.ParseInt(t.name, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("%q is no number, as keyasint wants it", t.name)
		}
		if n < 0 {
			return appendHead(nil, majorNegative, uint64(^n)), nil
		}
		return appendHead(nil, majorUint, uint64(n)), nil
	}
	if t.name != "" {
		name = t.name
	}
	return append(appendHead(nil, majorText, uint64(len(name))), name...), nil
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
		if f.plan.zero(fv) || f.omitEmpty && fv.Len() == 0 {
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
	e.leave()
}

func (s *structPlan) present(v reflect.Value) (n uint64) {
	for i := range s.fields {
		f := &s.fields[i]
		if fv := v.Field(f.index); !f.plan.zero(fv) && !(f.omitEmpty && fv.Len() == 0) {
			n++
		}
	}
	return n
}

func (s *structPlan) encodeArray(e *Encoder, v reflect.Value) {
	if !e.enter() {
		return
	}
	e.head(majorArray, uint64(len(s.fields)))
	for i := range s.fields {
		f := &s.fields[i]
		if f.plan.enc(e, v.Field(f.index)); !e.within() {
			e.at("." + f.name)
			return
		}
	}
	e.leave()
}

func (s *structPlan) decode(d *Decoder, v reflect.Value) {
	n := d.length(majorMap, "a map of fields")
	if !d.enter() {
		return
	}
	next := 0
	var unknown []byte // the last name, if it is not known
	for range n {
		i := s.find(d, next, &unknown)
		if d.Err != nil {
			return
		}
		if i < 0 {
			d.skip()
			continue
		}
		f := &s.fields[i]
		if f.plan.nullable || !d.tagged() {
			f.plan.dec(d, v.Field(f.index))
		} else {
			f.plan.decodeCopy(d, v.Field(f.index))
		}
		if d.Err != nil {
			d.at("." + f.name)
			return
		}
		next = i + 1
	}
	d.leave()
}

func (s *structPlan) decodeArray(d *Decoder, v reflect.Value) {
	n := d.length(majorArray, "an array of fields")
	if d.Err == nil && n != len(s.fields) {
		d.failf("%d fields for %v, which has %d and is positional", n, s.typ, len(s.fields))
	}
	if !d.enter() {
		return
	}
	for i := range s.fields {
		f := &s.fields[i]
		if f.plan.decode(d, v.Field(f.index)); d.Err != nil {
			d.at("." + f.name)
			return
		}
	}
	d.leave()
}

// find reads a field's name and returns its place in the plan; −1 for a name that is unknown. Names come in order, so that
// none comes twice.
func (s *structPlan) find(d *Decoder, next int, unknown *[]byte) int {
	rest := d.data[d.pos:]
	for i := next; i < len(s.fields); i++ {
		key := s.fields[i].key
		if !bytes.HasPrefix(rest, key) {
			continue
		}
		if *unknown != nil && bytes.Compare(*unknown, key) >= 0 {
			break
		}
		d.pos += len(key)
		*unknown = nil
		return i
	}
	return s.unknown(d, next, unknown)
}

// unknown reads the name of a field that is not one of the next.
func (s *structPlan) unknown(d *Decoder, next int, unknown *[]byte) int {
	key := d.fieldKey()
	if d.Err != nil {
		return -1
	}
	if i, known := s.byKey[string(key)]; known {
		d.failf("field %s comes twice or out of order", s.fields[i].name)
	} else if bytes.Compare(*unknown, key) >= 0 || next > 0 && compareKey(key, s.fields[next-1].key) <= 0 {
		d.failf("a field that is not known here comes twice or out of order")
	}
	*unknown = key
	return -1
}

// compareKey compares what comes next in the data with an encoded name.
func compareKey(rest, key []byte) int { return bytes.Compare(rest[:min(len(rest), len(key))], key) }

// fieldKey returns the next item, a field's name or number, as it is in the data.
func (d *Decoder) fieldKey() []byte {
	start := d.pos
	switch d.peek() >> 5 {
	case majorUint, majorNegative:
		d.head()
	default:
		d.text("a field's name")
	}
	if d.Err != nil {
		return nil
	}
	return d.data[start:d.pos]
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

// skip passes over one item of any kind, which must be well-formed. What it marks, postpones or names keeps its number.
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
		if major == majorTag && d.skipTag(at, n) {
			return
		}
	}
	d.skipContent(major, n)
}

// skipTag sees to the tag at a place, and reports whether it has passed over what the tag is before.
func (d *Decoder) skipTag(at int, tag uint64) bool {
	counts := d.g == nil || d.g.outOfTurn == 0
	switch tag {
	case tagGraph:
		d.pos = at
		d.unexpected("a plain value")
		return true
	case tagShareable, tagShared, tagForward:
		if d.failures.level > 0 {
			d.pos = at
			d.unexpected("an error of its own")
			return true
		}
		switch {
		case tag == tagShareable && counts:
			d.mark(at)
		case tag == tagForward && counts:
			d.forward()
			return true
		}
	case tagNamed:
		if d.isError() {
			d.skipError()
			return true
		}
		if counts {
			d.skipName()
		}
	}
	return false
}

// skipName gives the name that an array after tag 27 begins with its number, and leaves the array to be passed over.
func (d *Decoder) skipName() {
	at := d.pos
	if d.peek()>>5 == majorArray {
		d.head()
		if d.peek()>>5 == majorText {
			d.named(d.pos)
		}
	}
	d.pos = at
}

// skipError passes over what follows tag 27 of an error item, in which nothing has a number outside of it.
func (d *Decoder) skipError() {
	outside, bodies := d.g, d.bodies
	d.g, d.bodies = nil, 0
	d.failures.level++
	d.skip()
	d.failures.level--
	d.g, d.bodies = outside, bodies
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
