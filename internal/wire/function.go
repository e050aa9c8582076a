package wire

import "reflect"

// Function is a remote interface of one method that programs see as functions of one type: of a function that it writes the codec makes an
// object, and of an object that it reads a function. GoType is the type of those objects, as for any remote interface.
type Function interface {
	Type
	FuncType() reflect.Type          // without a name
	ObjectOf(f reflect.Value) any    // of a function that is not nil
	FuncOf(object any) reflect.Value // what calls an object that Objects has returned
}

// function plans a function type. A function travels where the message's table has its type, as an object of its own each time; nil
// does everywhere.
func (b *planner) function(p *plan) {
	p.nullable = true
	plain := withoutName(p.typ)
	p.enc = func(e *Encoder, v reflect.Value) {
		f, known := e.table.function(plain)
		switch {
		case v.IsNil():
			e.null()
		case !known:
			e.fail(cannotTravel(p.typ))
		default:
			e.remote(f, f.ObjectOf(v.Convert(plain)))
		}
	}
	p.dec = func(d *Decoder, v reflect.Value) {
		f, known := d.table.function(plain)
		if !known {
			if !d.null() {
				d.fail(cannotTravel(p.typ))
			}
			return
		}
		if object := d.remote(f); object != nil {
			v.Set(f.FuncOf(object).Convert(v.Type()))
		}
	}
}

// withoutName returns the function type beneath a named one.
func withoutName(t reflect.Type) reflect.Type {
	if t.Name() == "" {
		return t
	}
	in, out := make([]reflect.Type, t.NumIn()), make([]reflect.Type, t.NumOut())
	for i := range in {
		in[i] = t.In(i)
	}
	for i := range out {
		out[i] = t.Out(i)
	}
	return reflect.FuncOf(in, out, t.IsVariadic())
}

func (t *Table) function(typ reflect.Type) (Function, bool) {
	if t == nil {
		return nil, false
	}
	f, ok := t.functions[typ]
	return f, ok
}
