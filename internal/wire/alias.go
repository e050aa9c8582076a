package wire

import "reflect"

// What can be told of types beforehand about what their values refer to, so that a message pays for identity only where two
// references in it may be the same.

// unaliased reports whether no two references in a value of the type can be the same: each type of reference occurs in it once.
// many says that the value is one of many, seen are the types of references met so far.
func unaliased(t reflect.Type, many bool, seen map[reflect.Type]bool) bool {
	if opaque(t) {
		return true
	}
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		if many || seen[t] {
			return false
		}
		seen[t] = true
		many = t.Kind() != reflect.Pointer
		return unaliased(t.Elem(), many, seen) && (t.Kind() != reflect.Map || unaliased(t.Key(), many, seen))
	case reflect.Array:
		return unaliased(t.Elem(), many || t.Len() > 1, seen)
	case reflect.Struct:
		for i := range t.NumField() {
			if !unaliased(t.Field(i).Type, many, seen) {
				return false
			}
		}
	case reflect.Interface:
		return t == errorType
	}
	return true
}

// flat reports whether a value of the type has no references and no names in it, so that its encoding is the same wherever in
// a message it stands.
func flat(t reflect.Type) bool {
	if opaque(t) {
		return true
	}
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		return false
	case reflect.Interface:
		return t == errorType
	case reflect.Array:
		return flat(t.Elem())
	case reflect.Struct:
		for i := range t.NumField() {
			if !flat(t.Field(i).Type) {
				return false
			}
		}
	}
	return true
}

// opaque reports whether the codec does not look into values of the type.
func opaque(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && (isBuiltin(t) || hasUnexported(t) && marshalsItself(t))
}
