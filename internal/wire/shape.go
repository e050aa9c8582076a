package wire

import (
	"fmt"
	"maps"
	"reflect"
)

// For those who do without the Go types of the values that travel: what a type looks like from outside, and types made of that.

// Form is how the values of a struct type travel.
type Form uint8

const (
	FormFields  Form = iota // as a map of its fields
	FormList                // as an array of its fields
	FormBytes               // as what it makes of itself
	FormBuiltin             // in a way of its own
)

// FormOf returns how values of a struct type travel.
func FormOf(t reflect.Type) Form {
	switch {
	case isBuiltin(t):
		return FormBuiltin
	case hasUnexported(t) && marshalsItself(t):
		return FormBytes
	}
	for f := range fieldsOf(t) {
		if f.Name == "_" && tagOf(f).toArray {
			return FormList
		}
	}
	return FormFields
}

// Travels reports whether a field of a struct does.
func Travels(f reflect.StructField) bool { return f.IsExported() && f.Name != "_" && !tagOf(f).skip }

func fieldsOf(t reflect.Type) func(func(reflect.StructField) bool) {
	return func(yield func(reflect.StructField) bool) {
		for i := range t.NumField() {
			if !yield(t.Field(i)) {
				return
			}
		}
	}
}

// Knot returns the n-th of the types that stand for structs which mention themselves: reflection cannot make those. A value of it
// holds one of the type that it stands for, or nothing for a zero one, in its field V.
func Knot(n int) reflect.Type {
	return reflect.StructOf([]reflect.StructField{
		{Name: "K", Type: reflect.ArrayOf(n, reflect.TypeFor[struct{}]())},
		{Name: "V", Type: reflect.TypeFor[any]()},
	})
}

// IsKnot reports whether a type is one of Knot's.
func IsKnot(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && t.NumField() == 2 && t.Field(0).Name == "K" && t.Field(0).Type.Kind() == reflect.Array && Knot(t.Field(0).Type.Len()) == t
}

// NewKnottedCodec is NewCodec for types among which there are knots; what they stand for is knots. The codec, with its plans, is for
// the messages of these types.
func NewKnottedCodec(l Limits, knots map[reflect.Type]reflect.Type) *Codec {
	c := NewCodec(l)
	c.knots = maps.Clone(knots)
	return c
}

// knot plans a type that stands for another one.
func (b *planner) knot(p *plan, real reflect.Type) {
	inner := b.plan(real)
	const held = 1 // the field V
	p.zero = func(v reflect.Value) bool { return v.Field(held).IsNil() || inner.zero(v.Field(held).Elem()) }
	p.enc = func(e *Encoder, v reflect.Value) {
		switch h := v.Field(held).Elem(); {
		case !h.IsValid():
			inner.enc(e, reflect.Zero(real))
		case h.Type() != real:
			e.fail(fmt.Errorf("a %v where a %v is expected", h.Type(), real))
		default:
			inner.enc(e, h)
		}
	}
	p.dec = func(d *Decoder, v reflect.Value) {
		h := reflect.New(real).Elem()
		inner.dec(d, h)
		v.Field(held).Set(h)
	}
}

// Lacks returns why values of a type cannot travel, as far as the type shows it: an interface that they lead to is neither remote nor an error
// nor any, and the table has nothing that it could hold; or there is a channel or a function. It returns nil if there is no such reason.
func (t *Table) Lacks(typ reflect.Type) error { return t.lacks(typ, map[reflect.Type]bool{}) }

func (t *Table) lacks(typ reflect.Type, seen map[reflect.Type]bool) error {
	if seen[typ] {
		return nil
	}
	seen[typ] = true
	switch typ.Kind() {
	case reflect.Chan, reflect.Func, reflect.UnsafePointer:
		return cannotTravel(typ)
	case reflect.Interface:
		return t.lacksHeld(typ)
	case reflect.Map:
		if err := t.lacks(typ.Key(), seen); err != nil {
			return err
		}
		return t.lacks(typ.Elem(), seen)
	case reflect.Pointer, reflect.Slice, reflect.Array:
		return t.lacks(typ.Elem(), seen)
	case reflect.Struct:
		if form := FormOf(typ); form == FormBytes || form == FormBuiltin {
			return nil
		}
		for f := range fieldsOf(typ) {
			if k := f.Type.Kind(); !Travels(f) || k == reflect.Chan || k == reflect.Func { // which may stay nil
				continue
			}
			if err := t.lacks(f.Type, seen); err != nil {
				return fmt.Errorf("%v.%s: %w", typ, f.Name, err)
			}
		}
	}
	return nil
}

// lacksHeld returns an error if nothing that the table has can be in an interface.
func (t *Table) lacksHeld(typ reflect.Type) error {
	if _, remote := t.remote(typ); remote || typ == errorType || typ.NumMethod() == 0 {
		return nil
	}
	for _, v := range t.values {
		if v.Type.Implements(typ) {
			return nil
		}
	}
	return fmt.Errorf("nothing is known of the interface %v: give its descriptor, or a type that it may hold, by Using", typ)
}
