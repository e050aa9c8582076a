package gen

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"go/types"
	"slices"
	"strconv"
	"strings"
)

// ReservedIDs is the first method ID that a user's method may have: those below are the runtime's own.
const ReservedIDs = 256

// MethodID returns the canonical text of a method that rmigen accepts and the ID by which it is called. The ID is the
// first eight bytes, big-endian, of the SHA-256 of the text in UTF-8. The text leaves out the context, which where there is one
// is the first parameter, and all parameter names, tells of an error where a one-way method has none, and has exactly the blanks
// that are written here:
//
//	method  = name "(" [ type { ", " type } ] ")" " " results .
//	results = "error" | "(" type { ", " type } ", error)" .
//	type    = basic | named | "error" | "any" | "*" type | "[]" type | "[" length "]" type
//	        | "map[" type "]" type | struct | func .
//	func    = "func(" [ type { ", " type } ] ")" " " results .
//	named   = path "." name [ "[" type { ", " type } "]" ] .
//	struct  = "struct{" [ field { "; " field } ] "}" .
//	field   = [ name " " ] type [ " " tag ] .
//
// A basic type has the name it is declared by: "uint8" for byte, "int32" for rune. A named type has the import path of its
// package in full ("time.Time", "github.com/x/bank.Order"); an alias stands for the type that it names; a variadic
// parameter is its slice, but in a function type, where "..." stands for the brackets; length is decimal. An unnamed struct lists all its fields in order, an embedded one without name
// and every tag as strconv.Quote writes it.
func MethodID(m *types.Func) (text string, id uint64) {
	sig := m.Signature()
	var w strings.Builder
	w.WriteString(m.Name())
	w.WriteByte('(')
	first := 0
	if sig.Params().Len() > 0 && isContext(sig.Params().At(0).Type()) {
		first = 1
	}
	for i := first; i < sig.Params().Len(); i++ {
		if i > first {
			w.WriteString(", ")
		}
		writeType(&w, sig.Params().At(i).Type())
	}
	w.WriteString(") ")
	switch sig.Results().Len() {
	case 0:
		w.WriteString("error")
	case 1:
		writeType(&w, sig.Results().At(0).Type())
	default:
		writeResults(&w, sig.Results())
	}
	return w.String(), idOf(w.String())
}

func idOf(text string) uint64 {
	sum := sha256.Sum256([]byte(text))
	return binary.BigEndian.Uint64(sum[:])
}

func writeResults(w *strings.Builder, results *types.Tuple) {
	for i := range results.Len() {
		w.WriteString([]string{"(", ", "}[min(i, 1)])
		writeType(w, results.At(i).Type())
	}
	w.WriteByte(')')
}

// canonical is the text of one type, the key by which types are told apart here too.
func canonical(t types.Type) string {
	var w strings.Builder
	writeType(&w, t)
	return w.String()
}

func writeType(w *strings.Builder, t types.Type) {
	switch t := types.Unalias(t).(type) {
	case *types.Basic:
		w.WriteString(types.Typ[t.Kind()].Name())
	case *types.Named:
		writeNamed(w, t)
	case *types.Pointer:
		w.WriteByte('*')
		writeType(w, t.Elem())
	case *types.Slice:
		w.WriteString("[]")
		writeType(w, t.Elem())
	case *types.Array:
		fmt.Fprintf(w, "[%d]", t.Len())
		writeType(w, t.Elem())
	case *types.Map:
		w.WriteString("map[")
		writeType(w, t.Key())
		w.WriteByte(']')
		writeType(w, t.Elem())
	case *types.Struct:
		writeStruct(w, t)
	case *types.Signature:
		writeFunction(w, t)
	case *types.Interface:
		if t.Empty() {
			w.WriteString("any")
			return
		}
		w.WriteString(types.TypeString(t, (*types.Package).Path))
	default: // does not travel
		w.WriteString(types.TypeString(t, (*types.Package).Path))
	}
}

// writeFunction leaves out the context, without which a function does not travel.
func writeFunction(w *strings.Builder, t *types.Signature) {
	if !isFunction(t) {
		w.WriteString(types.TypeString(t, (*types.Package).Path))
		return
	}
	w.WriteString("func(")
	for i, v := range slices.Collect(t.Params().Variables())[1:] {
		if i > 0 {
			w.WriteString(", ")
		}
		if s, ok := v.Type().(*types.Slice); ok && t.Variadic() && i+2 == t.Params().Len() {
			w.WriteString("...")
			writeType(w, s.Elem())
			continue
		}
		writeType(w, v.Type())
	}
	w.WriteString(") ")
	if t.Results().Len() == 1 {
		w.WriteString("error")
		return
	}
	writeResults(w, t.Results())
}

func writeNamed(w *strings.Builder, t *types.Named) {
	if pkg := t.Obj().Pkg(); pkg != nil { // error has none
		w.WriteString(pkg.Path())
		w.WriteByte('.')
	}
	w.WriteString(t.Obj().Name())
	for i := range t.TypeArgs().Len() {
		w.WriteString([]string{"[", ", "}[min(i, 1)])
		writeType(w, t.TypeArgs().At(i))
	}
	if t.TypeArgs().Len() > 0 {
		w.WriteByte(']')
	}
}

func writeStruct(w *strings.Builder, t *types.Struct) {
	w.WriteString("struct{")
	for i := range t.NumFields() {
		if i > 0 {
			w.WriteString("; ")
		}
		f := t.Field(i)
		if !f.Embedded() {
			w.WriteString(f.Name() + " ")
		}
		writeType(w, f.Type())
		if t.Tag(i) != "" {
			w.WriteString(" " + strconv.Quote(t.Tag(i)))
		}
	}
	w.WriteByte('}')
}
