package wire

import (
	"errors"
	"fmt"
	"math"
	"reflect"
)

// A plan is how the values of one type travel, worked out once per type. Plans mention each other as types do, cycles
// included, and are immutable once the planner that made them has returned.
//
// Invariants: enc gets a value read through exported fields only, maybe not addressable. dec gets a settable zero value,
// and after a failure may leave anything in it. Neither goes on once Err is set.
type plan struct {
	enc  func(*Encoder, reflect.Value)
	dec  func(*Decoder, reflect.Value)
	zero func(reflect.Value) bool      // whether a field of this value may be left out
	body func(*Encoder, reflect.Value) // of a slice: writes it in its place, wherever that is

	typ       reflect.Type
	nullable  bool // a value may be written as null, so that a pointer to it needs a wrapping
	partial   bool // a struct or array of which not everything travels, so that it may be zero to a reader though not to Go
	refused   bool // every value of the type is refused, even a zero one
	unaliased bool // no two references in a value can be the same; set when the plan is published
}

// planner makes the plans of a type and of all that it mentions.
type planner struct {
	codec *Codec
	made  map[reflect.Type]*plan
}

var errorType = reflect.TypeFor[error]()

func (b *planner) plan(t reflect.Type) *plan {
	if p, ok := b.codec.plans.Load(t); ok {
		return p.(*plan)
	}
	if p, ok := b.made[t]; ok {
		return p
	}
	p := &plan{typ: t, zero: reflect.Value.IsZero}
	if hasFloat(t) {
		p.zero = zeroBits
	}
	b.made[t] = p
	if real, ok := b.codec.knots[t]; ok {
		b.knot(p, real)
		return p
	}
	if !builtin(p) && !scalar(p) {
		b.compose(p)
	}
	return p
}

// compose plans the types that are made of others.
func (b *planner) compose(p *plan) {
	switch t := p.typ; t.Kind() {
	case reflect.Pointer:
		p.nullable = true
		b.pointer(p)
	case reflect.Slice:
		p.nullable = true
		b.slice(p)
	case reflect.Array:
		b.array(p)
	case reflect.Map:
		p.nullable = true
		b.mapping(p)
	case reflect.Struct:
		b.structure(p)
	case reflect.Interface:
		p.nullable = true
		p.enc, p.dec = encodeInterface, decodeInterface
	case reflect.Func:
		b.function(p)
	default:
		p.nullable = true
		p.enc, p.dec = encodeNothing, decodeNothing
	}
}

// refuse plans a type whose values never travel.
func (p *plan) refuse(err error) {
	p.refused = true
	p.zero = func(reflect.Value) bool { return false }
	p.enc = func(e *Encoder, _ reflect.Value) { e.fail(err) }
	p.dec = func(d *Decoder, _ reflect.Value) { d.fail(err) }
}

func scalar(p *plan) bool {
	switch p.typ.Kind() {
	case reflect.Bool:
		p.enc = func(e *Encoder, v reflect.Value) { e.bool(v.Bool()) }
		p.dec = func(d *Decoder, v reflect.Value) { v.SetBool(d.bool()) }
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		most := int64(1)<<(p.typ.Bits()-1) - 1
		p.zero = func(v reflect.Value) bool { return v.Int() == 0 }
		p.enc = func(e *Encoder, v reflect.Value) { e.int(v.Int()) }
		p.dec = func(d *Decoder, v reflect.Value) { v.SetInt(d.int(^most, most)) }
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		most := ^uint64(0) >> (64 - p.typ.Bits())
		p.enc = func(e *Encoder, v reflect.Value) { e.head(majorUint, v.Uint()) }
		p.dec = func(d *Decoder, v reflect.Value) { v.SetUint(d.uint(most)) }
	case reflect.Float32:
		planFloat32(p)
	case reflect.Float64:
		p.zero = func(v reflect.Value) bool { return math.Float64bits(v.Float()) == 0 }
		p.enc = func(e *Encoder, v reflect.Value) { e.float64(v.Float()) }
		p.dec = func(d *Decoder, v reflect.Value) { v.SetFloat(d.float64()) }
	case reflect.Complex64:
		at := directly[complex64](p.typ)
		p.enc = func(e *Encoder, v reflect.Value) { e.complex64(*at(addressed(v).Elem())) }
		p.dec = func(d *Decoder, v reflect.Value) { *at(v) = d.complex64() }
	case reflect.Complex128:
		p.enc = func(e *Encoder, v reflect.Value) { e.complex128(v.Complex()) }
		p.dec = func(d *Decoder, v reflect.Value) { v.SetComplex(d.complex128()) }
	case reflect.String:
		p.zero = func(v reflect.Value) bool { return v.Len() == 0 }
		p.enc = func(e *Encoder, v reflect.Value) { e.string(v.String()) }
		p.dec = func(d *Decoder, v reflect.Value) { v.SetString(d.string()) }
	default:
		return false
	}
	return true
}

// directly returns what gives access to values of a type, which is T or has it beneath, as a T: the way of reflection, through
// more bits, would quieten a signalling NaN.
func directly[T any](t reflect.Type) func(v reflect.Value) *T {
	plain := reflect.TypeFor[*T]()
	direct := t == plain.Elem()
	return func(v reflect.Value) *T {
		if v = v.Addr(); !direct {
			v = v.Convert(plain)
		}
		return v.Interface().(*T)
	}
}

// planFloat32 reads, and writes NaN, directly.
func planFloat32(p *plan) {
	at := directly[float32](p.typ)
	p.zero = func(v reflect.Value) bool { return math.Float64bits(v.Float()) == 0 }
	p.enc = func(e *Encoder, v reflect.Value) {
		if f := v.Float(); f == f {
			e.float32(float32(f))
		} else {
			e.float32(*at(addressed(v).Elem()))
		}
	}
	p.dec = func(d *Decoder, v reflect.Value) { *at(v) = d.float32() }
}

// hasFloat reports whether a value of the type has floats in itself, so that −0, which equals 0, must be told apart.
func hasFloat(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Float32, reflect.Float64, reflect.Complex64, reflect.Complex128:
		return true
	case reflect.Array:
		return hasFloat(t.Elem())
	case reflect.Struct:
		for i := range t.NumField() {
			if hasFloat(t.Field(i).Type) {
				return true
			}
		}
	}
	return false
}

// zeroBits reports whether every bit of the value is zero; reflect.Value.IsZero compares floats, and what holds them, with
// ==, by which −0 is zero.
func zeroBits(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Float32, reflect.Float64:
		return math.Float64bits(v.Float()) == 0
	case reflect.Complex64, reflect.Complex128:
		c := v.Complex()
		return math.Float64bits(real(c))|math.Float64bits(imag(c)) == 0
	case reflect.Array:
		for i := range v.Len() {
			if !zeroBits(v.Index(i)) {
				return false
			}
		}
		return true
	case reflect.Struct:
		for i := range v.NumField() {
			if !zeroBits(v.Field(i)) {
				return false
			}
		}
		return true
	}
	return v.IsZero()
}

func encodeNothing(e *Encoder, v reflect.Value) {
	if !v.IsZero() {
		e.fail(cannotTravel(v.Type()))
		return
	}
	e.null()
}

func decodeNothing(d *Decoder, v reflect.Value) {
	if !d.null() {
		d.fail(cannotTravel(v.Type()))
	}
}

func cannotTravel(t reflect.Type) error {
	return fmt.Errorf("%v cannot travel", t)
}

// rootName returns what a path into a value of the type starts with.
func rootName(t reflect.Type) string {
	for t.Kind() == reflect.Pointer && t.PkgPath() == "" {
		t = t.Elem()
	}
	if t.PkgPath() == "" {
		return ""
	}
	return t.Name()
}

// safely calls code of the user's, and returns its panic as an error.
func safely(call func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v", r)
		}
	}()
	return call()
}

var errTwice = errors.New("a key comes twice")
