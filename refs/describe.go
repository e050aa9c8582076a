package refs

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rmigo/rmigo/internal/wire"
)

// Description is what an object can be asked: enough to call it without generated code.
type Description struct {
	Interfaces []InterfaceDescription // in the order in which the object was given them
	Types      []TypeDescription      // the named types that the signatures lead to, by name
}

// InterfaceDescription is one remote interface.
type InterfaceDescription struct {
	Name    string // "example.com/bank.Account"
	Doc     string // its doc comment, without the slashes; "" if it has none
	Methods []MethodDescription
}

// MethodDescription is one method, without the context that it takes first and the error that it returns last.
type MethodDescription struct {
	Name       string
	Doc        string
	Signature  string // "Deposit(int64) (int64, error)"
	ID         uint64
	Params     []Value
	Results    []Value
	Stream     bool     // it returns a stream: Results has its items, and its error is the last element
	Variadic   bool     // the last parameter is a slice of what may be given one by one
	Directives []string // "idempotent", "timeout 5s": what stands behind //rmi:
}

// Value is a parameter, a result or a field. Its type is spelled as in signatures: "int64", "[]example.com/bank.Entry".
type Value struct {
	Name string // "" if the source gives it none
	Type string
	Tag  string // of a field: its cbor tag
}

// TypeDescription is a named type, by what its values travel as.
type TypeDescription struct {
	Name   string
	Kind   TypeKind
	Type   string   // of KindNamed: the type beneath it
	Fields []Value  // of KindStruct and KindList: those that travel, in order
	Holds  []string // of KindInterface: the types, beside basic ones, that a value may have
}

// TypeKind is what a named type is.
type TypeKind string

// The kinds of named types.
const (
	KindNamed     TypeKind = "named"     // another name for Type
	KindStruct    TypeKind = "struct"    // a map of fields
	KindList      TypeKind = "list"      // a struct that travels as an array of its fields
	KindBytes     TypeKind = "bytes"     // what its own marshaler makes of it
	KindBuiltin   TypeKind = "builtin"   // time.Time and the like, which the protocol knows
	KindRemote    TypeKind = "remote"    // a remote interface: by reference
	KindInterface TypeKind = "interface" // a value with the name of its type
)

// Docs is what the source says of a remote interface beyond its types: for descriptions.
type Docs struct {
	Text    string // the interface's doc comment
	Methods []MethodDocs
}

// MethodDocs is what the source says of a method. Names are separated by blanks; there are all or none.
type MethodDocs struct {
	Method, Params, Results, Text string
}

// Method returns the method of that name, and the interface that has it; nil if there is none. It may be written with the name of the
// interface before it, as "Account.Deposit", or with its path as well.
func (d *Description) Method(name string) (*InterfaceDescription, *MethodDescription) {
	of, name := cutLast(name, '.')
	for i := range d.Interfaces {
		face := &d.Interfaces[i]
		if of != "" && !face.called(of) {
			continue
		}
		for k := range face.Methods {
			if face.Methods[k].Name == name {
				return face, &face.Methods[k]
			}
		}
	}
	return nil, nil
}

// called tells whether a name is the interface's: with its path, with its package or without; and with its type arguments or without.
func (d *InterfaceDescription) called(name string) bool {
	plain, _, _ := strings.Cut(d.Name, "[")
	args := strings.TrimPrefix(d.Name, plain)
	_, short := cutLast(plain, '.')
	return slices.Contains([]string{plain, shortName(plain), short}, name) ||
		slices.Contains([]string{d.Name, shortName(d.Name), short + args}, name)
}

func cutLast(s string, sep byte) (before, after string) {
	i := strings.LastIndexByte(s, sep)
	return s[:max(i, 0)], s[i+1:]
}

// Describe asks the object's process what the object is like. An object of this node is described without asking.
func (h *Handle) Describe(ctx context.Context) (*Description, error) {
	if h.Local() {
		e, _, why := h.Node().exports.get(h.id.Object)
		if e == nil {
			return nil, &Error{Op: "describe", Ref: h.Ref(), Kind: ErrNoSuchObject, Reason: why, NotRun: true}
		}
		return h.Node().exports.describe(e), nil
	}
	c := h.Call(ctx, h.Node().plain, methodDescribe, h.Node().direct)
	c.Invoke()
	d := &Description{}
	c.Results.Value(d)
	if err := c.Finish(); err != nil {
		return nil, err
	}
	return d, nil
}

// describe describes an object by its interfaces.
func (t *exports) describe(e *export) *Description {
	t.mu.RLock()
	faces := slices.Clone(e.faces)
	t.mu.RUnlock()
	faces = slices.DeleteFunc(faces, func(f *Face) bool { return f.Name() == AnyName })
	return describe(faces)
}

// A describer collects the types that signatures lead to.
type describer struct {
	remotes map[reflect.Type]bool
	values  map[string]reflect.Type // that interfaces may hold
	types   map[string]TypeDescription
}

func describe(faces []*Face) *Description {
	b := &describer{map[reflect.Type]bool{}, map[string]reflect.Type{}, map[string]TypeDescription{}}
	for _, f := range faces {
		for _, entry := range Entries(f.Descriptor) {
			switch entry := entry.(type) {
			case wire.Sentinel, wire.ErrorType:
			case wire.ValueType:
				b.values[entry.Path] = entry.Type
			default:
				b.remotes[entry.GoType()] = true
			}
		}
	}
	d := &Description{}
	for _, f := range faces {
		d.Interfaces = append(d.Interfaces, b.face(f))
	}
	for _, name := range slices.Sorted(maps.Keys(b.types)) {
		d.Types = append(d.Types, b.types[name])
	}
	return d
}

func (b *describer) face(f *Face) InterfaceDescription {
	docs := f.Documentation()
	d := InterfaceDescription{Name: f.Name(), Doc: docs.Text}
	for _, m := range f.MethodTable() {
		typ, ok := f.methodType(m.Name())
		if !ok {
			continue // a table that is not the interface's: nothing can be said of it
		}
		of := MethodDocs{}
		if i := slices.IndexFunc(docs.Methods, func(d MethodDocs) bool { return d.Method == m.Name() }); i >= 0 {
			of = docs.Methods[i]
		}
		d.Methods = append(d.Methods, b.method(&m, typ, of))
	}
	slices.SortFunc(d.Methods, func(x, y MethodDescription) int { return cmp.Compare(x.Name, y.Name) })
	return d
}

// methodType returns the type of a method, its context and error included.
func (f *Face) methodType(name string) (reflect.Type, bool) {
	if function, ok := f.Descriptor.(Function); ok {
		return function.FuncType(), true
	}
	m, ok := f.GoType().MethodByName(name)
	return m.Type, ok
}

func (b *describer) method(m *Method, t reflect.Type, docs MethodDocs) MethodDescription {
	d := MethodDescription{Name: m.Name(), Doc: docs.Text, Signature: m.Signature, ID: m.ID, Variadic: t.IsVariadic(), Directives: m.directives()}
	params, results := strings.Fields(docs.Params), strings.Fields(docs.Results)
	for i := 1; i < t.NumIn(); i++ {
		d.Params = append(d.Params, Value{Name: at(params, i-1), Type: b.text(t.In(i))})
	}
	if d.Stream = m.Stream && t.NumOut() == 1; d.Stream {
		d.Results = []Value{{Type: b.text(itemOf(t.Out(0)))}}
	}
	for i := range t.NumOut() - 1 {
		d.Results = append(d.Results, Value{Name: at(results, i), Type: b.text(t.Out(i))})
	}
	return d
}

// itemOf returns T of iter.Seq2[T, error].
func itemOf(stream reflect.Type) reflect.Type { return stream.In(0).In(0) }

func at(names []string, i int) string {
	if i < len(names) && names[i] != "_" {
		return names[i]
	}
	return ""
}

// directives are what stands behind //rmi: above the method.
func (m *Method) directives() []string {
	var all []string
	if m.Idempotent {
		all = append(all, "idempotent")
	}
	if m.OneWay {
		all = append(all, "oneway")
	}
	if m.Timeout > 0 {
		all = append(all, "timeout "+m.Timeout.String())
	}
	if m.Resumable {
		all = append(all, "resumable")
	}
	switch m.Orphan {
	case OrphanFinish:
		all = append(all, "orphan finish")
	case OrphanKeep:
		all = append(all, "orphan keep")
	}
	return all
}

// Method is the method as far as callers need to know: what is described in words that make no sense, as it comes from a peer, is left
// out.
func (m *MethodDescription) Method() Method {
	known := Method{ID: m.ID, Signature: m.Signature, Stream: m.Stream}
	for _, directive := range m.Directives {
		word, argument, _ := strings.Cut(directive, " ")
		switch word {
		case "idempotent":
			known.Idempotent = true
		case "timeout":
			if d, err := time.ParseDuration(argument); err == nil && d > 0 {
				known.Timeout = d
			}
		}
	}
	return known
}

// text spells a type, and has the named types in it described.
func (b *describer) text(t reflect.Type) string {
	if strings.HasPrefix(t.Name(), "Seq2[") && t.PkgPath() == "iter" {
		return "iter.Seq2[" + b.text(itemOf(t)) + ", " + b.text(t.In(0).In(1)) + "]"
	}
	switch t {
	case reflect.TypeFor[io.Reader](), reflect.TypeFor[io.Writer](): // streams, where they are parameters
		return t.String()
	case reflect.TypeFor[io.ReadCloser](), reflect.TypeFor[io.WriteCloser](): // and where they are results
		return t.String()
	}
	if t.Name() != "" {
		if t.PkgPath() == "" {
			return t.Name()
		}
		name := t.PkgPath() + "." + t.Name()
		if _, known := b.types[name]; !known {
			b.types[name] = TypeDescription{Name: name}
			b.types[name] = b.named(name, t)
		}
		return name
	}
	return b.unnamed(t)
}

func (b *describer) unnamed(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Pointer:
		return "*" + b.text(t.Elem())
	case reflect.Slice:
		return "[]" + b.text(t.Elem())
	case reflect.Array:
		return "[" + strconv.Itoa(t.Len()) + "]" + b.text(t.Elem())
	case reflect.Map:
		return "map[" + b.text(t.Key()) + "]" + b.text(t.Elem())
	case reflect.Struct:
		var fields []string
		for _, f := range b.fields(t) {
			text := f.Name + " " + f.Type
			if f.Tag != "" {
				text += " " + strconv.Quote("cbor:"+strconv.Quote(f.Tag))
			}
			fields = append(fields, text)
		}
		if wire.FormOf(t) == wire.FormList {
			fields = slices.Insert(fields, 0, `_ struct{} "cbor:\",toarray\""`)
		}
		return "struct{" + strings.Join(fields, "; ") + "}"
	case reflect.Interface:
		return "any"
	case reflect.Func:
		if t.NumIn() > 0 && t.In(0) == reflect.TypeFor[context.Context]() && t.NumOut() > 0 {
			return b.function(t)
		}
	}
	return t.String() // does not travel
}

// function spells a function type that travels: without its context.
func (b *describer) function(t reflect.Type) string {
	var params, results []string
	for i := 1; i < t.NumIn(); i++ {
		params = append(params, b.text(t.In(i)))
	}
	if n := len(params); t.IsVariadic() {
		params[n-1] = "..." + strings.TrimPrefix(params[n-1], "[]")
	}
	for i := range t.NumOut() {
		results = append(results, b.text(t.Out(i)))
	}
	text := "func(" + strings.Join(params, ", ") + ") "
	if len(results) == 1 {
		return text + results[0]
	}
	return text + "(" + strings.Join(results, ", ") + ")"
}

func (b *describer) named(name string, t reflect.Type) TypeDescription {
	d := TypeDescription{Name: name, Kind: KindNamed}
	switch t.Kind() {
	case reflect.Interface:
		if d.Kind = KindRemote; b.remotes[t] {
			return d
		}
		d.Kind = KindInterface
		for _, path := range slices.Sorted(maps.Keys(b.values)) {
			if v := b.values[path]; v.Implements(t) {
				d.Holds = append(d.Holds, b.text(v))
			}
		}
	case reflect.Struct:
		d.Kind = [...]TypeKind{wire.FormFields: KindStruct, wire.FormList: KindList, wire.FormBytes: KindBytes, wire.FormBuiltin: KindBuiltin}[wire.FormOf(t)]
		if d.Kind == KindStruct || d.Kind == KindList {
			d.Fields = b.fields(t)
		}
	default:
		d.Type = b.unnamedOf(t)
	}
	return d
}

// unnamedOf spells the type beneath a named one.
func (b *describer) unnamedOf(t reflect.Type) string {
	if text := b.unnamed(t); text != t.String() {
		return text
	}
	return t.Kind().String() // of a basic type
}

func (b *describer) fields(t reflect.Type) []Value {
	var all []Value
	for i := range t.NumField() {
		if f := t.Field(i); wire.Travels(f) {
			all = append(all, Value{Name: f.Name, Type: b.text(f.Type), Tag: f.Tag.Get("cbor")})
		}
	}
	return all
}

// String is the description as Go would declare it.
func (d *Description) String() string {
	var s strings.Builder
	for _, face := range d.Interfaces {
		comment(&s, "", face.Doc)
		fmt.Fprintf(&s, "interface %s\n", face.Name)
		for _, m := range face.Methods {
			s.WriteString("\n")
			comment(&s, "\t", m.Doc)
			for _, directive := range m.Directives {
				fmt.Fprintf(&s, "\t//rmi:%s\n", directive)
			}
			fmt.Fprintf(&s, "\t%s\n", m.String())
		}
		s.WriteString("\n")
	}
	for _, t := range d.Types {
		if t.Kind == KindStruct || t.Kind == KindList {
			fmt.Fprintf(&s, "type %s struct\n", t.Name)
			for _, f := range t.Fields {
				fmt.Fprintf(&s, "\t%s %s\n", f.Name, f.Type)
			}
			s.WriteString("\n")
			continue
		}
		fmt.Fprintf(&s, "type %s %s\n\n", t.Name, cmp.Or(t.Type, string(t.Kind)))
	}
	return strings.TrimSuffix(s.String(), "\n")
}

func comment(s *strings.Builder, indent, text string) {
	for line := range strings.Lines(text) {
		s.WriteString(strings.TrimRight(indent+"// "+strings.TrimRight(line, "\n"), " ") + "\n")
	}
}

// String is the method as it is called: "Deposit(cents int64) (balance int64)".
func (m *MethodDescription) String() string {
	params := valueList(m.Params)
	if n := len(m.Params); m.Variadic && n > 0 {
		last := m.Params[n-1]
		last.Type = "..." + strings.TrimPrefix(last.Type, "[]")
		params = valueList(append(slices.Clone(m.Params[:n-1]), last))
	}
	if m.Stream {
		return m.Name + "(" + params + ") iter.Seq2[" + valueList(m.Results) + ", error]"
	}
	if len(m.Results) == 0 {
		return m.Name + "(" + params + ")"
	}
	return m.Name + "(" + params + ") (" + valueList(m.Results) + ")"
}

func valueList(values []Value) string {
	var all []string
	for _, v := range values {
		all = append(all, strings.TrimSpace(v.Name+" "+v.Type))
	}
	return strings.Join(all, ", ")
}

// question is the Descriptor of the runtime's own questions, which any object answers.
type question struct{}

func (question) Name() string                                { return "object" }
func (question) GoType() reflect.Type                        { return reflect.TypeFor[question]() }
func (question) MethodTable() []Method                       { return nil }
func (question) TypeTable() []Type                           { return nil }
func (question) Documentation() Docs                         { return Docs{} }
func (question) Serve(context.Context, any, *Incoming) error { return &Error{Kind: ErrNoSuchMethod} }
func (question) NewStub(*Handle) (any, error) {
	return nil, &Error{Kind: ErrNoSuchMethod, NotRun: true}
}
func (question) StubOf(*View) any     { return nil }
func (question) HandleOf(any) *Handle { return nil }
