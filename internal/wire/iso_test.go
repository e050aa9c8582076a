package wire

import (
	"fmt"
	"math"
	"reflect"
)

// isomorphic returns how two graphs differ, or "". They are alike where a bijection of their references exists under which they
// have the same values: two references that are the same on one side are so on the other. What does not travel is left out.
func isomorphic(a, b any) string {
	m := &matching{there: map[reference]reference{}, back: map[reference]reference{}}
	m.push(reflect.ValueOf(a), reflect.ValueOf(b), "")
	for len(m.todo) > 0 {
		last := m.todo[len(m.todo)-1]
		m.todo = m.todo[:len(m.todo)-1]
		if diff := m.compare(last.a, last.b, last.path); diff != "" {
			return diff
		}
	}
	return ""
}

type reference struct {
	at  uintptr
	len int
	typ reflect.Type
}

// matching is the bijection so far, and the pairs still to be compared: a list, since graphs are deep.
type matching struct {
	there, back map[reference]reference
	todo        []struct {
		a, b reflect.Value
		path string
	}
}

func (m *matching) push(a, b reflect.Value, path string) {
	if len(path) > 200 {
		path = path[:100] + "…" + path[len(path)-90:]
	}
	m.todo = append(m.todo, struct {
		a, b reflect.Value
		path string
	}{a, b, path})
}

// met reports whether two references have been matched already, or cannot be.
func (m *matching) met(a, b reflect.Value) (known bool, diff string) {
	x, y := reference{a.Pointer(), 0, a.Type()}, reference{b.Pointer(), 0, b.Type()}
	if a.Kind() == reflect.Slice {
		x.len, y.len = a.Len(), b.Len()
	}
	toY, one := m.there[x]
	toX, two := m.back[y]
	switch {
	case one && two && toY == y && toX == x:
		return true, ""
	case one || two:
		return false, "shared on one side only"
	}
	m.there[x], m.back[y] = y, x
	return false, ""
}

func (m *matching) compare(a, b reflect.Value, path string) string {
	differ := func(format string, args ...any) string {
		return fmt.Sprintf("at %q: ", path) + fmt.Sprintf(format, args...)
	}
	if a.IsValid() != b.IsValid() || a.IsValid() && a.Type() != b.Type() {
		return differ("%v became %v", a, b)
	}
	if !a.IsValid() {
		return ""
	}
	if opaque(a.Type()) {
		one, two := fmt.Sprintf("%+v", addressed(a).Interface()), fmt.Sprintf("%+v", addressed(b).Interface())
		if one != two {
			return differ("%s became %s", one, two)
		}
		return ""
	}
	switch a.Kind() {
	case reflect.Pointer, reflect.Map, reflect.Slice:
		if a.IsNil() != b.IsNil() {
			return differ("nil %v became %v", a.IsNil(), b.IsNil())
		}
		if a.IsNil() {
			return ""
		}
		return m.compareReferences(a, b, path, differ)
	case reflect.Interface:
		m.push(a.Elem(), b.Elem(), path+"."+a.Type().String())
	case reflect.Struct:
		for i := range a.NumField() {
			if f := a.Type().Field(i); f.IsExported() && f.Tag.Get("cbor") != "-" {
				m.push(a.Field(i), b.Field(i), path+"."+f.Name)
			}
		}
	case reflect.Array:
		for i := range a.Len() {
			m.push(a.Index(i), b.Index(i), fmt.Sprintf("%s[%d]", path, i))
		}
	case reflect.Float32, reflect.Float64:
		if math.Float64bits(a.Float()) != math.Float64bits(b.Float()) {
			return differ("%v became %v", a, b)
		}
	case reflect.Complex64, reflect.Complex128:
		x, y := a.Complex(), b.Complex()
		if math.Float64bits(real(x)) != math.Float64bits(real(y)) || math.Float64bits(imag(x)) != math.Float64bits(imag(y)) {
			return differ("%v became %v", a, b)
		}
	default:
		if !a.Equal(b) {
			return differ("%v became %v", a, b)
		}
	}
	return ""
}

func (m *matching) compareReferences(a, b reflect.Value, path string, differ func(string, ...any) string) string {
	if a.Kind() != reflect.Pointer && a.Len() != b.Len() {
		return differ("length %d became %d", a.Len(), b.Len())
	}
	if a.Kind() == reflect.Pointer && a.Type().Elem().Size() == 0 || a.Kind() == reflect.Slice && (a.Len() == 0 || a.Type().Elem().Size() == 0) {
		return ""
	}
	if known, diff := m.met(a, b); known || diff != "" {
		if diff != "" {
			return differ("%s", diff)
		}
		return ""
	}
	switch a.Kind() {
	case reflect.Pointer:
		m.push(a.Elem(), b.Elem(), path+"*")
	case reflect.Slice:
		for i := range a.Len() {
			m.push(a.Index(i), b.Index(i), fmt.Sprintf("%s[%d]", path, i))
		}
	case reflect.Map:
		return m.compareMaps(a, b, path, differ)
	}
	return ""
}

// compareMaps looks up keys as they are, or matches the only pairs; keys with an identity of their own are compared by number.
func (m *matching) compareMaps(a, b reflect.Value, path string, differ func(string, ...any) string) string {
	if a.Len() == 1 {
		x, y := a.MapRange(), b.MapRange()
		x.Next()
		y.Next()
		m.push(x.Key(), y.Key(), path+"[key]")
		m.push(x.Value(), y.Value(), path+"[]")
		return ""
	}
	for pair := a.MapRange(); pair.Next(); {
		if !flat(a.Type().Key()) || unique(pair.Key()) {
			continue
		}
		other := b.MapIndex(pair.Key())
		if !other.IsValid() {
			return differ("the key %v is missing", pair.Key())
		}
		m.push(pair.Value(), other, fmt.Sprintf("%s[%v]", path, pair.Key()))
	}
	return ""
}
