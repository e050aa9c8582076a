package dynamic

import (
	"io"
	"reflect"
	"time"

	"github.com/rmigo/rmigo/internal/wire"
	"github.com/rmigo/rmigo/refs"
	"github.com/rmigo/rmigo/skeleton"
	"github.com/rmigo/rmigo/stub"
)

// anyObject writes a remote object, or none.
func anyObject(e *refs.Encoder, object stub.Object) { skeleton.AnyObject.Put(e, object) }

// Results reads what a call has returned; what comes of it counts once Finish has found nothing wrong.
func (m *Method) Results(call *stub.Call) func() []any { return m.get(&call.Results, call) }

// Item is Results for an item of the stream that the method returns.
func (m *Method) Item(d *refs.Decoder) func() []any { return m.get(d, nil) }

func (m *Method) get(d *refs.Decoder, call *stub.Call) func() []any {
	values := make([]reflect.Value, len(m.results))
	for i, s := range m.results {
		values[i] = reflect.New(s.typ)
		switch s.kind {
		case remoteKind:
			skeleton.AnyObject.Get(d, values[i].Interface().(*stub.Object))
		case errorKind:
			d.Error(values[i].Interface().(*error))
		case closerKind:
			switch p := values[i].Interface().(type) {
			case *io.ReadCloser:
				skeleton.GetReadCloser(call, p)
			case *io.WriteCloser:
				skeleton.GetWriteCloser(call, p)
			}
		default:
			d.Value(values[i].Interface())
		}
	}
	return func() []any {
		n := &naturalizer{map[reference]any{}}
		results := make([]any, len(values))
		for i, s := range m.results {
			results[i] = n.of(s, values[i].Elem())
		}
		return results
	}
}

// Stream reports whether the method returns a stream.
func (m *Method) Stream() bool { return m.described.Stream && len(m.results) == 1 }

// A reference is a pointer, map or slice that may be met again.
type reference struct {
	at     uintptr
	length int
	typ    reflect.Type
}

// naturalizer makes natural values. What is referred to twice becomes one value, and may refer to itself.
type naturalizer struct{ made map[reference]any }

func (n *naturalizer) of(s *shape, v reflect.Value) any {
	switch s.kind {
	case basic:
		return natural(v)
	case bytesKind:
		if v.IsNil() {
			return nil
		}
		return v.Bytes()
	case timeKind, durationKind, closerKind:
		return v.Interface()
	case builtinKind:
		p := reflect.New(v.Type())
		p.Elem().Set(v)
		return p.Interface()
	case opaqueKind:
		return v.Interface().(opaque).data
	case pointerKind:
		return n.pointer(s, v)
	case listKind, arrayKind:
		return n.list(s, v)
	case mapKind:
		return n.mapping(s, v)
	case structKind:
		return n.structure(s, v, map[string]any{})
	case knotKind:
		return n.knot(s, v, map[string]any{})
	}
	return n.held(v)
}

func natural(v reflect.Value) any {
	switch {
	case v.CanInt():
		return v.Int()
	case v.CanUint():
		return v.Uint()
	case v.CanFloat():
		return v.Float()
	case v.CanComplex():
		return v.Complex()
	case v.Kind() == reflect.Bool:
		return v.Bool()
	}
	return v.String()
}

func (n *naturalizer) pointer(s *shape, v reflect.Value) any {
	if v.IsNil() {
		return nil
	}
	at := reference{v.Pointer(), 0, v.Type()}
	if known, ok := n.made[at]; ok {
		return known
	}
	if s.elem.kind != structKind && s.elem.kind != knotKind {
		return n.of(s.elem, v.Elem())
	}
	out := map[string]any{}
	n.made[at] = out
	if s.elem.kind == knotKind {
		return n.knot(s.elem, v.Elem(), out)
	}
	return n.structure(s.elem, v.Elem(), out)
}

func (n *naturalizer) list(s *shape, v reflect.Value) any {
	var at reference
	if s.kind == listKind {
		if v.IsNil() {
			return nil
		}
		at = reference{v.Pointer(), v.Len(), v.Type()}
		if known, ok := n.made[at]; ok && v.Len() > 0 {
			return known
		}
	}
	out := make([]any, v.Len())
	if s.kind == listKind {
		n.made[at] = out
	}
	for i := range out {
		out[i] = n.of(s.elem, v.Index(i))
	}
	return out
}

func (n *naturalizer) mapping(s *shape, v reflect.Value) any {
	if v.IsNil() {
		return nil
	}
	at := reference{v.Pointer(), 0, v.Type()}
	if known, ok := n.made[at]; ok {
		return known
	}
	if s.key.typ.Kind() == reflect.String {
		out := map[string]any{}
		n.made[at] = out
		for pair := v.MapRange(); pair.Next(); {
			out[pair.Key().String()] = n.of(s.elem, pair.Value())
		}
		return out
	}
	out := map[any]any{}
	n.made[at] = out
	for pair := v.MapRange(); pair.Next(); {
		key := n.of(s.key, pair.Key())
		if key != nil && !reflect.TypeOf(key).Comparable() {
			key = pair.Key().Interface()
		}
		out[key] = n.of(s.elem, pair.Value())
	}
	return out
}

func (n *naturalizer) structure(s *shape, v reflect.Value, out map[string]any) any {
	for i, f := range s.fields {
		out[f.name] = n.of(f.of, v.Field(i+s.hidden))
	}
	return out
}

func (n *naturalizer) knot(s *shape, v reflect.Value, out map[string]any) any {
	held := v.FieldByName("V").Elem()
	if !held.IsValid() {
		held = reflect.Zero(s.real.typ)
	}
	return n.structure(s.real, held, out)
}

// held makes a natural value of what an interface holds, whose type is known by itself.
func (n *naturalizer) held(v reflect.Value) any {
	for v.IsValid() && v.Kind() == reflect.Interface {
		v = v.Elem()
	}
	if !v.IsValid() {
		return nil
	}
	switch x := v.Interface().(type) {
	case stub.Object, error, time.Time, time.Duration, []byte:
		return x
	case opaque:
		return x.data
	}
	switch s := plain(v.Type()); {
	case s.kind == interfaceKind: // of the standard library, as it is
		return v.Interface()
	case v.Kind() == reflect.Struct && wire.IsKnot(v.Type()):
		return n.held(v.FieldByName("V"))
	default:
		return n.of(s, v)
	}
}

// plain is the shape of a Go type that was made for a description, or of a list or map of natural values.
func plain(t reflect.Type) *shape {
	s := &shape{typ: t, kind: basic}
	switch t.Kind() {
	case reflect.Interface:
		s.kind = interfaceKind
	case reflect.Pointer:
		if s.kind = pointerKind; t.Elem().PkgPath() != "" { // of math/big and the like
			s.kind = interfaceKind
			return s
		}
		s.elem = plain(t.Elem())
	case reflect.Slice:
		if s.kind = listKind; t.Elem().Kind() == reflect.Uint8 {
			s.kind = bytesKind
			return s
		}
		s.elem = plain(t.Elem())
	case reflect.Array:
		s.kind, s.elem = arrayKind, plain(t.Elem())
	case reflect.Map:
		s.kind, s.key, s.elem = mapKind, plain(t.Key()), plain(t.Elem())
	case reflect.Struct:
		if t.PkgPath() != "" {
			s.kind = interfaceKind
			return s
		}
		s.kind = structKind
		for i := range t.NumField() {
			if f := t.Field(i); f.Name == "_" {
				s.hidden++
			} else {
				s.fields = append(s.fields, field{f.Name, plain(f.Type)})
			}
		}
	}
	return s
}
