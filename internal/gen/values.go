package gen

import (
	"encoding/binary"
	"fmt"
	"go/types"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// Functions that write and read structs, for those that a signature leads to by structs, pointers and slices only: there
// reflection would cost most. What is not a number, text, byte string, time, or such a struct again is left to reflection, field
// by field.

// A structCode is the pair of functions for one struct type.
type structCode struct {
	typ      *types.Named
	put, get string
	fields   []Field
	array    bool // it travels as an array of its fields
}

// chooseCodes finds the structs for which a file has functions, and names these.
func (p *program) chooseCodes(f *file, all []*iface, taken func(string) bool) {
	for _, i := range all {
		if i.mark.file != f {
			continue
		}
		for _, m := range i.methods {
			for _, v := range m.carried() {
				f.codeFor(v.Type(), i.home, taken)
			}
		}
	}
}

// codeFor plans the functions for the struct of a type that leads to one, and for those behind it.
func (f *file) codeFor(t types.Type, pkg *types.Package, taken func(string) bool) {
	_, n := shapeOf(t)
	if n == nil || f.code(n) != nil {
		return
	}
	fields, array, worth := structFields(pkg, n)
	if !worth {
		return
	}
	name := n.Obj().Name()
	name = string(unicode.ToUpper([]rune(name)[0])) + string([]rune(name)[1:])
	if f.constraint != "" { // others are generated elsewhere, and may be built together with it
		word := []rune(fileWord(filepath.Base(f.path)))
		name += string(unicode.ToUpper(word[0])) + string(word[1:])
	}
	c := &structCode{typ: n, put: "put" + name, get: "get" + name, fields: fields, array: array}
	for k := 2; taken(c.put) || taken(c.get) || f.named(c.put); k++ {
		c.put, c.get = fmt.Sprintf("put%s%d", name, k), fmt.Sprintf("get%s%d", name, k)
	}
	f.codes = append(f.codes, c)
	for _, field := range fields {
		f.codeFor(field.Var.Type(), pkg, taken)
	}
}

// named tells whether the file has functions of that name for another struct.
func (f *file) named(put string) bool {
	return slices.ContainsFunc(f.codes, func(c *structCode) bool { return c.put == put })
}

// code returns the functions of the file for a struct type, or nil.
func (f *file) code(t *types.Named) *structCode {
	if t == nil {
		return nil
	}
	for _, c := range f.codes {
		if types.Identical(c.typ, t) {
			return c
		}
	}
	return nil
}

// shapeOf tells how a type leads to a declared struct: as a Struct, a Pointer to it, a Slice of it, or a slice of Pointers; nil
// where it does not.
func shapeOf(t types.Type) (shape string, n *types.Named) {
	shape, t = "Struct", types.Unalias(t)
	if s, ok := t.(*types.Slice); ok {
		shape, t = "Slice", types.Unalias(s.Elem())
	}
	if p, ok := t.(*types.Pointer); ok {
		shape = map[string]string{"Struct": "Pointer", "Slice": "Pointers"}[shape]
		t = types.Unalias(p.Elem())
	}
	n, _ = t.(*types.Named)
	if n == nil {
		return "", nil
	}
	if _, ok := n.Underlying().(*types.Struct); !ok {
		return "", nil
	}
	return shape, n
}

// structFields returns what travels of a struct, in the order in which it does, and whether functions are to be made for it.
func structFields(pkg *types.Package, n *types.Named) (fields []Field, array, worth bool) {
	u := n.Underlying().(*types.Struct)
	_, hidden := unnameable(pkg, n)
	if hidden || isOpen(n) || Marshals(n) || mayBeObject(n) || !importsAll(pkg, n) {
		return nil, false, false
	}
	fields, array = Fields(u)
	for _, f := range fields {
		if !f.Var.Exported() && f.Var.Pkg() != pkg {
			return nil, false, false
		}
		worth = worth || isFast(f.Var.Type())
	}
	slices.SortStableFunc(fields, func(a, b Field) int { return strings.Compare(a.Key, b.Key) })
	return fields, array, worth
}

// mayBeObject tells whether pointers to a type may be remote objects, by the rule of the codec, which then asks for each.
func mayBeObject(n *types.Named) bool {
	methods := types.NewMethodSet(types.NewPointer(n))
	for m := range methods.Methods() {
		if params := m.Obj().(*types.Func).Signature().Params(); m.Obj().Exported() && params.Len() > 0 && isContext(params.At(0).Type()) {
			return true
		}
	}
	return false
}

func isCollection(t types.Type) bool {
	switch t.Underlying().(type) {
	case *types.Slice, *types.Map:
		return true
	}
	return false
}

// isFast tells whether a field is read and written without reflection, and has a size.
func isFast(t types.Type) bool {
	if shape, n := shapeOf(t); n != nil {
		return isTime(t) || shape != "Struct"
	}
	switch u := t.Underlying().(type) {
	case *types.Basic:
		return u.Info()&types.IsComplex == 0 && u.Kind() != types.UnsafePointer
	case *types.Slice:
		return isByteSlice(t) || listOf(t) != ""
	case *types.Map:
		return isStringMap(t)
	}
	return false
}

// isStringMap tells whether a type is map[string]string and has no name.
func isStringMap(t types.Type) bool {
	text := types.Typ[types.String]
	return types.Identical(types.Unalias(t), types.NewMap(text, text))
}

// listOf names the method for a field that is a slice of what is commonest, and has no name; "" for any other type.
func listOf(t types.Type) string {
	if s, ok := types.Unalias(t).(*types.Slice); ok {
		switch types.Unalias(s.Elem()) {
		case types.Typ[types.String]:
			return "Strings"
		case types.Typ[types.Int]:
			return "Ints"
		case types.Typ[types.Int64]:
			return "Int64s"
		case types.Typ[types.Float64]:
			return "Float64s"
		}
	}
	return ""
}

// isByteSlice tells whether a type is []byte and has no name.
func isByteSlice(t types.Type) bool {
	return types.Identical(types.Unalias(t), types.NewSlice(types.Typ[types.Uint8]))
}

// encodedName is the CBOR of a field's name, or of the number that it is.
func encodedName(name string, number bool) []byte {
	major, n := byte(3<<5), uint64(len(name))
	if number {
		v, _ := strconv.ParseInt(name, 10, 64) // refused otherwise
		if name, major, n = "", 0, uint64(v); v < 0 {
			major, n = 1<<5, uint64(^v)
		}
	}
	var head []byte
	switch {
	case n < 24:
		head = []byte{major | byte(n)}
	case n < 1<<8:
		head = []byte{major | 24, byte(n)}
	case n < 1<<16:
		head = binary.BigEndian.AppendUint16([]byte{major | 25}, uint16(n))
	case n < 1<<32:
		head = binary.BigEndian.AppendUint32([]byte{major | 26}, uint32(n))
	default:
		head = binary.BigEndian.AppendUint64([]byte{major | 27}, n)
	}
	return append(head, name...)
}

// quotedKey is an encoded name as a string literal in which the name can be read.
func quotedKey(key string) string {
	if key == "" {
		return `""`
	}
	head := 1
	if n := key[0] & 31; n > 23 {
		head += 1 << (n - 24)
	}
	var b strings.Builder
	for _, c := range []byte(key[:head]) {
		fmt.Fprintf(&b, `\x%02x`, c)
	}
	return `"` + b.String() + strconv.Quote(key[head:])[1:]
}

// The output for the template.
type codeOutput struct {
	Type, Put, Get string
	Begin          string
	Writes, Reads  []string // a statement for each field
}

func (w *writer) code(f *file, c *structCode) codeOutput {
	out := codeOutput{Type: types.TypeString(c.typ, w.im.qualifier), Put: c.put, Get: c.get, Begin: "Struct()"}
	if c.array {
		out.Begin = fmt.Sprintf("Positional(%d)", len(c.fields))
	}
	for _, field := range c.fields {
		write, read := w.codeField(f, field)
		if field.omitEmpty {
			write = fmt.Sprintf("if len(v.%s) > 0 {\n%s\n}", field.Var.Name(), write)
		}
		out.Writes, out.Reads = append(out.Writes, write), append(out.Reads, read)
	}
	return out
}

// codeField returns the statements that write and read a field.
func (w *writer) codeField(f *file, field Field) (write, read string) {
	key, name, t := quotedKey(field.Key), field.Var.Name(), types.Unalias(field.Var.Type())
	shape, n := shapeOf(t)
	if c := f.code(n); c != nil && !(c.array && shape == "Struct" && field.Key != "") {
		stub := w.im.names[stubPath]
		address := ""
		if shape == "Struct" {
			address = "&"
		}
		return fmt.Sprintf("%s.Field%s(&f, %s, %sv.%s, %s)", stub, shape, key, address, name, c.put),
			fmt.Sprintf("%s.Read%s(&f, %s, &v.%s, %s)", stub, shape, key, name, c.get)
	}
	plain := func(method string) (string, string) {
		return fmt.Sprintf("f.%s(%s, v.%s)", method, key, name), fmt.Sprintf("f.%s(%s, &v.%s)", method, key, name)
	}
	switch {
	case isTime(t):
		return plain("Time")
	case isByteSlice(t):
		return plain("Bytes")
	case isStringMap(t):
		return plain("StringMap")
	case listOf(t) != "":
		return plain(listOf(t))
	}
	if u, ok := t.Underlying().(*types.Basic); ok && isFast(t) {
		return basicField(u, t, key, name)
	}
	return fmt.Sprintf("f.Value(%s, &v.%s)", key, name), fmt.Sprintf("f.Value(%s, &v.%s)", key, name)
}

func basicField(u *types.Basic, t types.Type, key, name string) (write, read string) {
	basic := types.Typ[u.Kind()].Name()
	reader := string(unicode.ToUpper(rune(basic[0]))) + basic[1:]
	writer, wide := reader, basic
	switch info := u.Info(); {
	case info&types.IsUnsigned != 0:
		writer, wide = "Uint", "uint64"
	case info&types.IsInteger != 0:
		writer, wide = "Int", "int64"
	}
	value, target := "v."+name, "&v."+name
	if t != types.Typ[u.Kind()] {
		target = fmt.Sprintf("(*%s)(%s)", basic, target)
	}
	if t != types.Typ[u.Kind()] || wide != basic {
		value = fmt.Sprintf("%s(%s)", wide, value)
	}
	return fmt.Sprintf("f.%s(%s, %s)", writer, key, value), fmt.Sprintf("f.%s(%s, %s)", reader, key, target)
}
