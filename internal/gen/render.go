package gen

import (
	_ "embed"
	"fmt"
	"go/format"
	"go/token"
	"go/types"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/template"
	"time"
	"unicode"
)

//go:embed file.go.tmpl
var shape string

// render writes the generated file of f. Nothing was refused, so that what it meets travels and can be named.
func (p *program) render(s *source, f *file, all, functions []*iface, taken map[string]token.Pos) []byte {
	im := newImports(s, f, taken)
	out := &fileOutput{
		Header:     Header,
		Format:     Format,
		Command:    commandPath,
		Constraint: f.constraint,
		Package:    s.Name,
		Context:    im.add("context", "context"),
		Skeleton:   im.add(skeletonPath, "skeleton"),
		Stub:       im.add(stubPath, "stub"),
	}
	for _, i := range all {
		p.reach(im, i)
	}
	for _, c := range f.codes {
		types.TypeString(c.typ, im.qualifier)
	}
	w := &writer{p, im, f, functions}
	if f.foreign != nil {
		out.Foreign = f.foreign.line()
	}
	if f.errorsFunc != "" {
		out.ErrorsFunc, out.Errors = f.errorsFunc, w.literal(w.errors(all[0].common))
	}
	for _, i := range all {
		out.Interfaces = append(out.Interfaces, w.iface(i))
	}
	for _, c := range f.codes {
		out.Codes = append(out.Codes, w.code(f, c))
	}
	for _, path := range slices.Sorted(maps.Keys(im.names)) {
		out.addImport(path, im.spec(path))
	}
	var text strings.Builder
	if err := template.Must(template.Must(template.New("").Parse(asyncShape)).New("file").Parse(shape)).Execute(&text, out); err != nil {
		panic(err) // the template and fileOutput disagree
	}
	formatted, err := format.Source([]byte(text.String()))
	if err != nil {
		panic(fmt.Sprintf("%v in generated code:\n%s", err, text.String()))
	}
	return formatted
}

// reach imports what an interface's output names, so that all names of imports are known before the first local is named.
func (p *program) reach(im *imports, i *iface) {
	types.TypeString(i.described(), im.qualifier)
	for _, param := range i.params {
		types.TypeString(param.Constraint(), im.qualifier)
	}
	for _, m := range i.methods {
		for _, tuple := range []*types.Tuple{m.fn.Signature().Params(), m.fn.Signature().Results()} {
			for v := range tuple.Variables() {
				types.TypeString(v.Type(), im.qualifier)
			}
		}
		for _, v := range m.carried() {
			types.TypeString(v.Type(), im.qualifier)
			if sig, ok := v.Type().Underlying().(*types.Signature); ok {
				types.TypeString(sig, im.qualifier)
			}
		}
		if m.marks.timeout > 0 {
			im.add("time", "time")
		}
	}
	for _, t := range i.remotes {
		p.descriptor(im, t)
	}
	for _, t := range i.values {
		types.TypeString(t, im.qualifier)
	}
	for _, e := range slices.Concat(i.common, i.own) {
		im.qualifier(e.obj.Pkg())
	}
}

// descriptor is the expression of a remote interface's descriptor, as part of those of instances that lead to it.
func (p *program) descriptor(im *imports, t *types.Named, within ...types.Type) string {
	if isObject(t) {
		return im.names[skeletonPath] + ".AnyObject"
	}
	name := descriptorName(t.Obj().Name())
	if pkg := im.qualifier(p.home(im.self, t)); pkg != "" {
		name = pkg + "." + name
	}
	return name + p.instance(im, t, within)
}

// The output, as the template reads it.
type (
	fileOutput struct {
		Header, Constraint, Package string
		Foreign                     string // the line rmigen:type; "" in the file of marked interfaces
		Command                     string // rmigen's import path
		Format                      int
		Context, Skeleton, Stub     string // as the packages are called here
		Standard, Others            []string
		Interfaces                  []interfaceOutput
		Codes                       []codeOutput
		ErrorsFunc, Errors          string // "" when each interface lists the errors itself
	}
	interfaceOutput struct {
		Name, Path, Descriptor string
		genericOutput
		SkeletonPackage, StubPackage string // as they are called here
		View                         string // "" if there is no asynchronous one
		Ref, Stub, Skeleton          string
		Serial, Async                bool
		Function                     bool // it is a function type
		Methods                      []methodOutput
		Types                        string
		Docs                         string // "" where there is nothing to say
	}
	methodOutput struct {
		Name, Constant, ID, Signature string
		Settings                      string // what the directives say, as fields
		Doc                           []string
		Params, Results               []valueOutput
		Spread                        string        // "..." after the last argument of a call
		Stream                        *streamOutput // that it returns; nil: none
		context                       string
		asyncOutput
		Plain, Silent bool
	}
	valueOutput struct {
		Name, Type string
		declared   string // Type, or ...T for a variadic parameter
		method     string // of the encoder and decoder: "Int64"; "" for a remote interface
		basic      string // the type that a declared one is converted to: "int64"; "" if it need not be
		descriptor string
		stub       string        // as the package is called
		assignable bool          // to basic, without conversion
		held       bool          // it is an interface: what it holds travels
		static     bool          // it is a type parameter or an instance of a remote interface: it is written by its static type
		stream     *streamOutput // its items, where it is a stream
		bytes      string        // "Reader" or "Writer", where it is a stream of bytes
		skeleton   string        // as the package is called, where it is a stream

		shape              string // how it leads to a struct for which there are functions; "" if it does not
		put, get           string // these
		putShape, getShape string // what calls them
	}
)

func (out *fileOutput) addImport(path, spec string) {
	if first, _, _ := strings.Cut(path, "/"); strings.Contains(first, ".") {
		out.Others = append(out.Others, spec)
	} else {
		out.Standard = append(out.Standard, spec)
	}
}

// A writer turns checked interfaces into output.
type writer struct {
	p    *program
	im   *imports
	file *file

	functions []*iface // of the package
}

func (w *writer) iface(i *iface) interfaceOutput {
	out := interfaceOutput{
		Name:            types.TypeString(i.described(), w.im.qualifier),
		genericOutput:   w.generic(i),
		SkeletonPackage: w.im.names[skeletonPath],
		StubPackage:     w.im.names[stubPath],
		Path:            strconv.Quote(i.obj.Pkg().Path() + "." + i.obj.Name()),
		Descriptor:      i.descriptor,
		Ref:             i.ref(),
		Stub:            i.stub(),
		Skeleton:        i.skeleton(),
		Serial:          i.mark.serial,
		Async:           i.mark.async,
		Types:           w.types(i),
		Function:        i.function != nil,
	}
	if i.function == nil {
		out.Docs = w.docs(i)
	} else {
		out.Path = quote(i.methods[0].path())
	}
	if i.mark.async {
		out.View = viewName(i.obj.Name())
	}
	for _, m := range i.methods {
		method := w.method(i, m)
		w.async(i, m, &method)
		out.Methods = append(out.Methods, method)
	}
	return out
}

// types is the type table of an interface: remote interfaces first, then errors, each once. What the file lists for all its
// interfaces goes before and is left out of the list.
func (w *writer) types(i *iface) string {
	var entries []string
	for _, t := range i.remotes {
		entries = append(entries, w.p.descriptor(w.im, t))
	}
	for _, t := range i.functions {
		entries = append(entries, functionOf(w.functions, w.file, t).descriptor)
	}
	if len(i.holders)+len(i.params) > 0 { // a stub may be in them
		entries = append(entries, w.im.names[skeletonPath]+".AnyObject")
	}
	slices.Sort(entries)
	entries = append(slices.Compact(entries), w.held(i.values)...)
	entries = append(entries, w.errors(slices.Concat(i.common, i.own))...)
	shared := i.mark.file.errorsFunc
	if shared != "" {
		common := w.errors(i.common)
		entries = slices.DeleteFunc(entries, func(entry string) bool { return slices.Contains(common, entry) })
	}
	switch {
	case shared == "" && len(entries) == 0:
		return "nil"
	case shared == "":
		return w.literal(entries)
	case len(entries) == 0:
		return shared + "()"
	}
	return "append(" + shared + "(), " + list(entries, 80) + ")"
}

// held is the entries of the types that interfaces may hold, each once, by name.
func (w *writer) held(values []types.Type) []string {
	entries := map[string]string{}
	for _, t := range values {
		name := canonical(t)
		text, quoted := types.TypeString(t, w.im.qualifier), strconv.Quote(name)
		if isOpen(t) {
			quoted = fmt.Sprintf("%s.Arg[%s]().Name", w.im.names[skeletonPath], text)
		}
		entries[strings.TrimLeft(name, "*[]")+" "+name] = fmt.Sprintf("%s.Value[%s](%s)", w.im.names[skeletonPath], text, quoted)
	}
	var all []string
	for _, key := range slices.Sorted(maps.Keys(entries)) {
		all = append(all, entries[key])
	}
	return all
}

// literal is a slice of entries of a type table, of which each but a lone one has a line.
func (w *writer) literal(entries []string) string {
	return "[]" + w.im.names[skeletonPath] + ".Type{" + list(entries, 0) + "}"
}

// list separates entries by commas: in one line if there is only one or the line is not wider than that, else in a line each.
func list(entries []string, width int) string {
	if line := strings.Join(entries, ", "); len(entries) == 1 || len(line) <= width {
		return line
	}
	return "\n" + strings.Join(entries, ",\n") + ",\n"
}

// errors writes each entry once.
func (w *writer) errors(entries []errorEntry) []string {
	var all []string
	for _, e := range entries {
		if text := w.errorEntry(e); !slices.Contains(all, text) {
			all = append(all, text)
		}
	}
	return all
}

func (w *writer) errorEntry(e errorEntry) string {
	name, path := e.obj.Name(), e.named().Path
	if pkg := w.im.qualifier(e.obj.Pkg()); pkg != "" {
		name = pkg + "." + name
	}
	if _, ok := e.obj.(*types.Var); ok {
		return fmt.Sprintf("%s.Sentinel(%q, %s)", w.im.names[skeletonPath], path, name)
	}
	if e.pointer {
		name = "*" + name
	}
	return fmt.Sprintf("%s.ErrorType[%s](%q)", w.im.names[skeletonPath], name, path)
}

func (w *writer) method(i *iface, m *method) methodOutput {
	out := methodOutput{
		Name:      m.fn.Name(),
		Constant:  m.constant,
		ID:        fmt.Sprintf("%#016x", m.id),
		Signature: i.quote(m.text),
		Settings:  w.settings(m),
		Doc:       m.marks.doc,
		context:   w.im.names["context"],
		Plain:     m.plain,
		Silent:    m.silent,
	}
	out.Params, out.Results = w.values(m.params), w.values(m.results)
	used := append(slices.Collect(maps.Values(w.im.names)), m.constant)
	for _, param := range i.params {
		used = append(used, param.Obj().Name())
	}
	for _, v := range slices.Concat(out.Params, out.Results) {
		used = append(used, identifiers(v.Type+" "+v.descriptor+" "+v.basic+" "+v.put+" "+v.get)...)
	}
	if i.mark.async {
		used = append(used, i.obj.Name(), viewName(i.obj.Name()), viewName(i.obj.Name())+"Of", viewName(i.obj.Name())+m.fn.Name())
		for _, r := range m.results {
			if n, ok := types.Unalias(r.Type()).(*types.Named); ok {
				used = append(used, viewName(n.Obj().Name())+"Of")
			}
		}
	}
	w.stream(m, &out, used)
	for k, v := range m.params {
		if item, _ := streamed(v.Type()); item != nil {
			out.Params[k].stream = w.streamOf(item, v.Type(), used)
		}
	}
	params, results := newLocals(used).name(m.params, m.results)
	for k := range out.Params {
		out.Params[k].Name = params[k]
	}
	for k := range out.Results {
		out.Results[k].Name = results[k]
	}
	if m.variadic() {
		last := &out.Params[len(out.Params)-1]
		last.declared = "..." + strings.TrimPrefix(last.Type, "[]")
		out.Spread = "..."
	}
	return out
}

// settings are the fields of a method's description that say what it returns and what its directives do.
func (w *writer) settings(m *method) string {
	marks := m.marks
	var text strings.Builder
	for _, s := range []struct {
		on   bool
		name string
	}{{marks.idempotent, "Idempotent"}, {marks.oneway, "OneWay"}, {m.stream != nil, "Stream"}, {m.takes, "Takes"}, {marks.resumable, "Resumable"}} {
		if s.on {
			text.WriteString(", " + s.name + ": true")
		}
	}
	if marks.timeout > 0 {
		text.WriteString(", Timeout: " + duration(marks.timeout, w.im.names["time"]))
	}
	if marks.orphan != "" && marks.orphan != "cancel" {
		text.WriteString(", Orphan: " + w.im.names[skeletonPath] + ".Orphan" + string(unicode.ToUpper(rune(marks.orphan[0]))) + marks.orphan[1:])
	}
	return text.String()
}

// duration writes a duration in the largest unit that it is a whole number of; time is what that package is called.
func duration(d time.Duration, pkg string) string {
	for _, unit := range []struct {
		is   time.Duration
		name string
	}{{time.Hour, "Hour"}, {time.Minute, "Minute"}, {time.Second, "Second"}, {time.Millisecond, "Millisecond"}, {time.Microsecond, "Microsecond"}} {
		if d%unit.is == 0 {
			return fmt.Sprintf("%d * %s.%s", d/unit.is, pkg, unit.name)
		}
	}
	return fmt.Sprintf("%d * %s.Nanosecond", d, pkg)
}

func (w *writer) values(vs []*types.Var) []valueOutput {
	all := make([]valueOutput, len(vs))
	referring := 0
	for i, v := range vs {
		all[i] = w.value(v.Type())
		if refers(v.Type(), map[types.Type]bool{}) {
			referring++
		}
	}
	for i := range all {
		if all[i].method == "Bytes" && referring > 1 { // it may be the same slice as one in another value
			all[i] = valueOutput{Type: all[i].Type, declared: all[i].declared, method: "Value"}
		}
	}
	return all
}

// refers tells whether a value of a type has pointers, slices or maps in it, or may have.
func refers(t types.Type, seen map[types.Type]bool) bool {
	t = types.Unalias(t)
	if seen[t] {
		return false
	}
	seen[t] = true
	if n, ok := t.(*types.Named); ok && (isBuiltin(n) || isError(t)) {
		return false
	}
	switch u := t.Underlying().(type) {
	case *types.Pointer, *types.Slice, *types.Map, *types.Interface:
		return true
	case *types.Array:
		return refers(u.Elem(), seen)
	case *types.Struct:
		for f := range u.Fields() {
			if refers(f.Type(), seen) {
				return true
			}
		}
	}
	return false
}

// value chooses how a type travels: by an encoder method of its own, through a descriptor, or as Value.
func (w *writer) value(t types.Type) valueOutput {
	text := types.TypeString(t, w.im.qualifier)
	out := valueOutput{Type: text, declared: text, method: "Value", stub: w.im.names[stubPath]}
	t = types.Unalias(t)
	named, _ := t.(*types.Named)
	_, open := t.(*types.TypeParam)
	switch {
	case open:
		out.static = true
	case isError(t):
		out.method = "Error"
	case isTime(t):
		out.method = "Time"
	case named != nil && w.p.home(w.im.self, named) != nil && named.TypeArgs().Len() > 0:
		out.static = true
	case named != nil && w.p.home(w.im.self, named) != nil:
		out.method, out.descriptor = "", w.p.descriptor(w.im, named)
	case ioStream(t) != "":
		out.bytes, out.skeleton = ioStream(t), w.im.names[skeletonPath]
	case isStream(t):
		out.skeleton = w.im.names[skeletonPath] // and stream, once there are names for what is in it
	case types.IsInterface(t):
		out.held = true
	case w.function(&out, t):
	default:
		w.flat(&out, t)
		w.coded(&out, t)
	}
	return out
}

// function chooses the descriptor of a function type.
func (w *writer) function(out *valueOutput, t types.Type) bool {
	if _, ok := t.Underlying().(*types.Signature); !ok {
		return false
	}
	i := functionOf(w.functions, w.file, t)
	out.method, out.descriptor = "", i.descriptor
	if _, declared := t.(*types.Named); declared {
		out.basic, out.assignable = types.TypeString(i.described(), w.im.qualifier), true
	}
	return true
}

// coded chooses the functions that the file has for a struct.
func (w *writer) coded(out *valueOutput, t types.Type) {
	shape, n := shapeOf(t)
	if n == nil || w.file.code(n) == nil {
		return
	}
	c, stub := w.file.code(n), w.im.names[stubPath]
	out.shape, out.put, out.get = shape, c.put, c.get
	out.putShape, out.getShape = stub+".Put"+shape, stub+".Get"+shape
	if shape == "Struct" {
		out.putShape = stub + ".EndStruct"
	}
}

// flat sets the method of a basic type or []byte, also of one that is declared with another name.
func (w *writer) flat(out *valueOutput, t types.Type) {
	_, declared := t.(*types.Named)
	switch u := t.Underlying().(type) {
	case *types.Basic:
		basic := types.Typ[u.Kind()].Name()
		out.method = string(unicode.ToUpper(rune(basic[0]))) + basic[1:]
		if declared {
			out.basic = basic
		}
	case *types.Slice:
		if types.Identical(u.Elem(), types.Typ[types.Uint8]) {
			out.method = "Bytes"
			if declared {
				out.basic, out.assignable = "[]byte", true
			}
		}
	}
}

// Streams tells whether some method has streams.
func (i interfaceOutput) Streams() bool {
	return slices.ContainsFunc(i.Methods, methodOutput.Streams)
}

// Streams tells whether the method has streams.
func (m methodOutput) Streams() bool {
	return m.Stream != nil || slices.ContainsFunc(m.Params, func(v valueOutput) bool { return v.stream != nil || v.bytes != "" })
}

// Declaration is what follows the method's name in the stub's declaration.
func (m methodOutput) Declaration() string {
	params := "ctx " + m.context + ".Context"
	switch {
	case m.Plain:
		params = declare(m.Params)
	case len(m.Params) > 0:
		params += ", " + declare(m.Params)
	}
	switch {
	case m.Stream != nil:
		return "(" + params + ") " + m.Stream.Type
	case m.Silent:
		return "(" + params + ")"
	case len(m.Results) == 0:
		return "(" + params + ") error"
	}
	return "(" + params + ") (" + declare(m.Results) + ", err error)"
}

// declare lists values with their types, a run of one type together.
func declare(vs []valueOutput) string {
	var b strings.Builder
	for i, v := range vs {
		b.WriteString(v.Name)
		if i+1 == len(vs) {
			b.WriteString(" " + v.declared)
		} else if vs[i+1].declared == v.declared {
			b.WriteString(", ")
		} else {
			b.WriteString(" " + v.declared + ", ")
		}
	}
	return b.String()
}

// Variables declares what the skeleton decodes arguments into, a line for each run of one type.
func (m methodOutput) Variables() []string {
	var lines []string
	for i, v := range m.Params {
		if i > 0 && m.Params[i-1].Type == v.Type {
			last := len(lines) - 1
			lines[last] = strings.TrimSuffix(lines[last], " "+v.Type) + ", " + v.Name + " " + v.Type
			continue
		}
		lines = append(lines, "var "+v.Name+" "+v.Type)
	}
	return lines
}

// Arguments are the names that the skeleton passes on.
func (m methodOutput) Arguments() string {
	var all []string
	if !m.Plain {
		all = append(all, "ctx")
	}
	for _, v := range m.Params {
		all = append(all, v.Name)
	}
	return strings.Join(all, ", ") + m.Spread
}

// Within is the context of the stub's call.
func (m methodOutput) Within() string {
	if m.Plain {
		return m.context + ".Background()"
	}
	return "ctx"
}

// Names are the results' names, each followed by a comma.
func (m methodOutput) Names() string {
	text := ""
	for _, v := range m.Results {
		text += v.Name + ", "
	}
	return text
}

// Put is the statement that encodes v, Get the one that decodes it: mirror images.
func (v valueOutput) Put(to string) string {
	switch {
	case v.stream != nil:
		return fmt.Sprintf("%s.PutStream(call, %s, %s)", v.stream.stub, v.Name, v.stream.Put())
	case isCloser(v.bytes):
		return fmt.Sprintf("%s.Put%s(call, %s)", v.skeleton, v.bytes, v.Name)
	case v.bytes != "":
		return fmt.Sprintf("call.Put%s(%s)", v.bytes, v.Name)
	}
	return v.write(to, "&"+to, v.Name, "&"+v.Name)
}

func (v valueOutput) Get(from string) string {
	switch {
	case v.stream != nil:
		return fmt.Sprintf("%s.GetStream(call, &%s, %s)", v.skeleton, v.Name, v.stream.Get())
	case v.bytes != "":
		return fmt.Sprintf("%s.Get%s(call, &%s)", v.skeleton, v.bytes, v.Name)
	}
	return v.read(from, "&"+from, "&"+v.Name)
}

// write is Put for a value, where there is a pointer to it, by an encoder and a pointer to that.
func (v valueOutput) write(to, at, value, place string) string {
	switch {
	case v.descriptor != "":
		return fmt.Sprintf("%s.Put(%s, %s)", v.descriptor, at, value)
	case v.shape == "Struct":
		return fmt.Sprintf("%s(%s.BeginStruct[%s](%s), %s)\n%s(%s, %s)", v.put, v.stub, v.Type, at, place, v.putShape, at, value)
	case v.shape != "":
		return fmt.Sprintf("%s(%s, %s, %s)", v.putShape, at, value, v.put)
	case v.held:
		return fmt.Sprintf("%s.Interface(%s)", to, value)
	case v.static:
		return fmt.Sprintf("%s.PutValue(%s, %s)", v.stub, at, value)
	case v.basic != "" && !v.assignable:
		return fmt.Sprintf("%s.%s(%s(%s))", to, v.method, v.basic, value)
	}
	return fmt.Sprintf("%s.%s(%s)", to, v.method, value)
}

// read is Get into the place that a pointer is to.
func (v valueOutput) read(from, at, place string) string {
	switch {
	case v.descriptor != "" && v.basic != "":
		return fmt.Sprintf("%s.Get(%s, (*%s)(%s))", v.descriptor, at, v.basic, place)
	case v.descriptor != "":
		return fmt.Sprintf("%s.Get(%s, %s)", v.descriptor, at, place)
	case v.shape != "":
		return fmt.Sprintf("%s(%s, %s, %s)", v.getShape, at, place, v.get)
	case v.basic != "":
		return fmt.Sprintf("%s.%s((*%s)(%s))", from, v.method, v.basic, place)
	}
	return fmt.Sprintf("%s.%s(%s)", from, v.method, place)
}

// quote writes a string constant as a person would: with backquotes where quotes would need escapes.
func quote(s string) string {
	if strings.ContainsAny(s, `"\`) && strconv.CanBackquote(s) {
		return "`" + s + "`"
	}
	return strconv.Quote(s)
}

// identifiers returns the words of a piece of Go.
func identifiers(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r) })
}
