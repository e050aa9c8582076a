package gen

import (
	"fmt"
	"go/token"
	"go/types"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// A survey walks everything that a type of a signature leads to. It finds what cannot travel, by the rules of the codec,
// and what the type table of the signature's interface needs.
type survey struct {
	p        *program
	from     *types.Package // whose generated file will name the types
	pos      token.Pos      // of the declaration that led here: what is broken near it counts
	seen     map[string]bool
	inside   map[string]bool // function types whose insides were walked
	problems []problem
	remarks  []problem // what travels, though maybe not as it is meant
	reached
}

// reached is what types lead to that a type table must know of.
type reached struct {
	remotes []*types.Named
	holders []holder     // interfaces whose values are of types that the table names
	values  []types.Type // what those may be

	functions []types.Type // which may have names
}

// A holder is an interface that is neither remote nor error, where it was met.
type holder struct {
	typ  types.Type
	path string
}

func (r *reached) add(other reached) {
	r.remotes = append(r.remotes, other.remotes...)
	r.holders = append(r.holders, other.holders...)
	r.values = append(r.values, other.values...)
	r.functions = append(r.functions, other.functions...)
}

// A problem is one reason why a type cannot travel.
type problem struct {
	path   string // from the first struct on: "Order.Lines[].Extra"; "" when no struct was entered
	typ    types.Type
	what   string // a clause whose subject is the place
	remedy string
}

func (p *program) survey(from *types.Package, pos token.Pos, t types.Type) *survey {
	s := &survey{p: p, from: from, pos: pos, seen: map[string]bool{}, inside: map[string]bool{}}
	s.walk(t, "")
	return s
}

func (s *survey) fail(t types.Type, path, what, remedy string) {
	s.problems = append(s.problems, problem{path, t, what, remedy})
}

func (s *survey) walk(t types.Type, path string) {
	s.value(t)
	switch t := types.Unalias(t).(type) {
	case *types.Named:
		s.named(t, path)
	case *types.TypeParam: // what it stands for is judged where that is known
	case *types.Basic:
		s.basic(t, path)
	case *types.Pointer:
		s.pointer(t, path)
	case *types.Slice:
		s.walk(t.Elem(), path+"[]")
	case *types.Array:
		s.walk(t.Elem(), path+"[]")
	case *types.Map:
		s.walk(t.Key(), path+"[key]")
		s.walk(t.Elem(), path+"[]")
	case *types.Struct:
		s.structure(t, t, path)
	case *types.Interface:
		s.holders = append(s.holders, holder{t, path})
	case *types.Chan:
		s.fail(t, path, s.name(t)+" cannot travel", "take or return a stream, iter.Seq2[T, error], or pass a //rmi:remote interface with a method that receives the values")
	case *types.Signature:
		s.function(t, t, path)
	default:
		s.fail(t, path, s.name(t)+" cannot travel", "use a concrete type")
	}
}

func (s *survey) basic(t *types.Basic, path string) {
	switch t.Kind() {
	case types.Invalid:
		s.p.refuseBroken(s.pos)
	case types.UnsafePointer:
		s.fail(t, path, "unsafe.Pointer cannot travel", "an address means nothing to another process: send what it points to")
	}
}

// named walks a declared type, once. Of a type that is not the user's own only the first problem is told: its fields are
// not for the user to mend.
func (s *survey) named(t *types.Named, path string) {
	key := canonical(t)
	if s.seen[key] {
		return
	}
	s.seen[key] = true
	obj, before := t.Obj(), len(s.problems)
	switch {
	case obj.Pkg() == nil || isBuiltin(t): // error, and what the codec knows by name
	case s.p.home(s.from, t) != nil:
		s.remote(t, path)
	case obj.Pkg().Path() == "iter":
		s.fail(t, path, "a stream ("+s.name(t)+") cannot travel inside of another value", "make iter.Seq2[T, error] a parameter, or the only result of a method")
	case types.IsInterface(t):
		s.foreignInterface(t, path)
	default:
		s.underlying(t, path)
	}
	if s.p.sourceOf(obj) == nil && len(s.problems) > before {
		s.problems = s.problems[:before+1]
	}
}

// pointer remarks on a pointer to what is called by a remote interface: the codec copies it unless it is exported, and then refuses it.
func (s *survey) pointer(t *types.Pointer, path string) {
	if n, ok := types.Unalias(t.Elem()).(*types.Named); ok && !types.IsInterface(n) {
		if r := s.p.calledBy(s.from, t, n); r != nil {
			s.remarks = append(s.remarks, problem{path, t, fmt.Sprintf("a %s is copied, and refused once it is exported by %s", s.name(t), s.name(r)),
				fmt.Sprintf("use %s for the object itself, or %s without the pointer for a copy", s.name(r), s.name(n))})
		}
	}
	s.walk(t.Elem(), path)
}

// remote collects an interface whose descriptor the type table will name.
func (s *survey) remote(t *types.Named, path string) {
	if why := hidden(s.from, t.Obj()); why != "" {
		s.fail(t, path, s.name(t)+" "+why+", so its descriptor cannot be named", "export it from a package that can be imported")
		return
	}
	s.remotes = append(s.remotes, t)
	before := len(s.functions)
	for arg := range t.TypeArgs().Types() {
		s.walk(arg, path+"[]")
	}
	if len(s.functions) > before {
		s.fail(t, path, "a function cannot travel by "+s.name(t)+", whose type argument leads to it", "pass a //rmi:remote interface that is not generic")
	}
}

func (s *survey) underlying(t *types.Named, path string) {
	pos := s.pos
	defer func() { s.pos = pos }()
	if s.p.sourceOf(t.Obj()) != nil {
		s.pos = t.Obj().Pos()
	}
	if u, ok := t.Underlying().(*types.Struct); ok {
		if outsideStructs(path) {
			path += s.name(t)
		}
		s.structure(t, u, path)
		return
	}
	if u, ok := t.Underlying().(*types.Signature); ok {
		s.function(t, u, path)
		return
	}
	s.walk(t.Underlying(), path)
}

// foreignInterface refuses an interface that is not remote, with the remedy that its kind has.
func (s *survey) foreignInterface(t *types.Named, path string) {
	what, remedy := "interface type "+s.name(t)+" cannot travel", ""
	switch pkg := t.Obj().Pkg(); {
	case isNamed(t, "context", "Context"):
		remedy = "a method has one context, its first parameter"
	case types.Implements(t, errorInterface()):
		remedy = "return error, in which a caller finds the type by errors.As"
	case ioStream(t) != "" && isCloser(ioStream(t)):
		what, remedy = what+" inside of another value", "let it be a result of its own"
	case ioStream(t) != "":
		what, remedy = what+" inside of another value", "let it be a parameter of its own"
	case pkg.Path() == "io":
		what += " in this version"
		remedy = "send []byte, or pass a //rmi:remote interface whose methods take a context"
	default:
		s.holders = append(s.holders, holder{t, path})
		return
	}
	s.fail(t, path, what, remedy)
}

// value collects a type that an interface may hold: any but what is no value, and what the generated file cannot name. A
// struct goes by pointer too, and what a pointer leads to without one.
func (s *survey) value(t types.Type) {
	t = types.Unalias(t)
	switch u := t.(type) {
	case *types.Basic, *types.TypeParam, *types.Interface, *types.Signature, *types.Chan, *types.Tuple:
		return
	case *types.Named:
		if isBuiltin(u) || types.IsInterface(u) || u.Obj().Pkg() == nil {
			return
		}
		if _, ok := u.Underlying().(*types.Struct); ok {
			s.nameable(types.NewPointer(t))
		}
	case *types.Pointer:
		if n, ok := types.Unalias(u.Elem()).(*types.Named); ok && (isBuiltin(n) || types.IsInterface(n)) {
			return
		}
	}
	s.nameable(t)
}

func (s *survey) nameable(t types.Type) {
	if _, hidden := unnameable(s.from, t); !hidden && !isPlain(t) {
		s.values = append(s.values, t)
	}
}

// isPlain tells whether a type is made of basic ones only and without a name: those common enough are known to all methods.
func isPlain(t types.Type) bool {
	var elem types.Type
	switch t := t.(type) {
	case *types.Slice:
		elem = t.Elem()
	case *types.Pointer:
		elem = t.Elem()
	default:
		return false
	}
	_, basic := types.Unalias(elem).(*types.Basic)
	return basic
}

// structure walks what the codec sends of a struct: its exported fields, or what its own methods make of it.
func (s *survey) structure(t types.Type, u *types.Struct, path string) {
	open, closed := 0, 0
	for f := range u.Fields() {
		if mayTravel(f) {
			open++
		}
		if !f.Exported() && f.Name() != "_" {
			closed++
		}
	}
	if closed > 0 {
		by, embedded := marshals(t, u)
		if by != "" {
			return
		}
		if embedded != "" {
			s.fail(t, path, s.name(t)+" would travel by the methods of its embedded "+embedded+", without its other fields", "give that field a name")
			return
		}
	}
	if closed > 0 && open == 0 {
		if marshalsJSON(t, u) != "" {
			return
		}
		s.fail(t, path, s.name(t)+" has no exported field, so nothing of it would arrive", s.opaqueRemedy(t, path))
		return
	}
	names := map[string]string{}
	if positional(u) {
		names = nil
	}
	for i := range u.NumFields() {
		s.field(t, u.Field(i), u.Tag(i), path+"."+u.Field(i).Name(), names)
	}
}

// field walks one field; names has the fields met so far, by the encoded names that they travel by, or is nil where they have none.
func (s *survey) field(t types.Type, f *types.Var, text, path string, names map[string]string) {
	tag := tagOf(f, text)
	if tag.skip {
		return
	}
	if _, err := strconv.ParseInt(tag.name, 10, 64); err != nil && tag.option("keyasint") {
		s.fail(t, path, fmt.Sprintf("%q is no number, as the cbor option keyasint wants it", tag.name), "give it one: cbor:\"1,keyasint\"")
	}
	if !f.Exported() {
		switch lost := exportedWithin(f, map[types.Type]bool{}); {
		case lost == "":
			return
		case !embedsByField(f):
			s.fail(t, path, "an embedded type that is not exported does not travel by pointer, or by its own methods, nor does its field "+lost,
				"export the type, embed it without the pointer, or give the field a name")
			return
		}
	}
	key := string(tag.key())
	if other, taken := names[key]; taken {
		s.fail(t, path, fmt.Sprintf("it travels as %q, and so does field %s", tag.name, other), "give it another cbor name")
	}
	if names != nil {
		names[key] = f.Name()
	}
	if !s.mayStayNil(t, f) {
		s.walk(f.Type(), path)
	}
}

// mayStayNil tells whether a field is a function or channel that the user cannot take out of its struct, since another module
// declares it. As a rule it is an option that is not set; nil travels, and the codec refuses what is not.
func (s *survey) mayStayNil(t types.Type, f *types.Var) bool {
	if n, ok := t.(*types.Named); !ok || s.p.sourceOf(n.Obj()) != nil {
		return false
	}
	switch f.Type().Underlying().(type) {
	case *types.Signature, *types.Chan:
		return true
	}
	return false
}

// embedsByField tells whether an embedded struct that is not exported travels, as a field with the name of its type.
func embedsByField(f *types.Var) bool {
	n, ok := types.Unalias(f.Type()).(*types.Named)
	if !ok || isBuiltin(n) {
		return false
	}
	u, ok := n.Underlying().(*types.Struct)
	if !ok {
		return false
	}
	by, _ := marshals(n, u)
	return by == "" || !closedStruct(u)
}

// mayTravel tells whether a field is exported, or is a struct with such fields that is embedded.
func mayTravel(f *types.Var) bool {
	return f.Exported() || exportedWithin(f, map[types.Type]bool{}) != ""
}

// travelsInPart tells whether a struct has a field that may travel.
func travelsInPart(u *types.Struct) bool {
	return slices.ContainsFunc(slices.Collect(u.Fields()), mayTravel)
}

// closedStruct tells whether a struct has unexported fields.
func closedStruct(u *types.Struct) bool {
	for f := range u.Fields() {
		if !f.Exported() && f.Name() != "_" {
			return true
		}
	}
	return false
}

// positional tells whether a struct travels as an array of its fields.
func positional(u *types.Struct) bool {
	for i := range u.NumFields() {
		if f := u.Field(i); f.Name() == "_" && tagOf(f, u.Tag(i)).option("toarray") {
			return true
		}
	}
	return false
}

// fieldTag is what the cbor tag of a field says, with the name that the field travels by.
type fieldTag struct {
	name    string
	options []string
	skip    bool
}

func tagOf(f *types.Var, text string) fieldTag {
	text = reflect.StructTag(text).Get("cbor")
	name, options, _ := strings.Cut(text, ",")
	if name == "" {
		name = f.Name()
	}
	return fieldTag{name, strings.Split(options, ","), text == "-"}
}

func (t fieldTag) option(name string) bool { return slices.Contains(t.options, name) }

// key is the encoded name.
func (t fieldTag) key() []byte { return encodedName(t.name, t.option("keyasint")) }

// exportedWithin returns an exported field that a struct has only by an embedded one that is not exported, or "". Types that
// embed each other by pointers are seen once.
func exportedWithin(f *types.Var, seen map[types.Type]bool) string {
	t := pointee(f.Type())
	u, ok := t.Underlying().(*types.Struct)
	if !ok || !f.Embedded() || seen[t] {
		return ""
	}
	seen[t] = true
	for i := range u.NumFields() {
		switch inner := u.Field(i); {
		case leftOut(u, i):
		case inner.Exported():
			return inner.Name()
		default:
			if lost := exportedWithin(inner, seen); lost != "" {
				return lost
			}
		}
	}
	return ""
}

// marshals tells whether the codec leaves a struct with unexported fields to methods of its own. Methods that it has only
// by an embedded field do for it where they make up all of its exported fields; where they do not, embedded is that field. by is
// the method that makes the bytes, "" if there is none.
func marshals(t types.Type, u *types.Struct) (by, embedded string) {
	return marshalsBy(t, u, [][2]string{{"MarshalCBOR", "UnmarshalCBOR"}, {"MarshalBinary", "UnmarshalBinary"}, {"GobEncode", "GobDecode"},
		{"MarshalText", "UnmarshalText"}})
}

// marshalsJSON tells whether a struct marshals itself as JSON, which the codec falls back on where no field travels.
func marshalsJSON(t types.Type, u *types.Struct) (by string) {
	by, _ = marshalsBy(t, u, [][2]string{{"MarshalJSON", "UnmarshalJSON"}})
	return by
}

func marshalsBy(t types.Type, u *types.Struct, pairs [][2]string) (by, embedded string) {
	data := types.NewVar(token.NoPos, nil, "", types.NewSlice(types.Typ[types.Uint8]))
	err := types.NewVar(token.NoPos, nil, "", types.Universe.Lookup("error").Type())
	marshal := types.NewSignatureType(nil, nil, nil, nil, types.NewTuple(data, err), false)
	unmarshal := types.NewSignatureType(nil, nil, nil, types.NewTuple(data), types.NewTuple(err), false)
	methods := types.NewMethodSet(types.NewPointer(t))
	for _, pair := range pairs {
		m, um := methods.Lookup(nil, pair[0]), methods.Lookup(nil, pair[1])
		if m == nil || um == nil || !types.Identical(m.Type(), marshal) || !types.Identical(um.Type(), unmarshal) {
			continue
		}
		if !leavesFields(u, m.Index()) && !leavesFields(u, um.Index()) {
			return pair[0], ""
		}
		for _, path := range [][]int{um.Index(), m.Index()} {
			if len(path) > 1 {
				embedded = u.Field(path[0]).Name()
			}
		}
	}
	return "", embedded
}

// leavesFields tells whether a method that is selected by a path of embedded fields leaves out exported fields beside them.
func leavesFields(u *types.Struct, path []int) bool {
	for _, k := range path[:len(path)-1] {
		for i := range u.NumFields() {
			if f := u.Field(i); i != k && !leftOut(u, i) && mayTravel(f) {
				return true
			}
		}
		inner, ok := pointee(u.Field(k).Type()).Underlying().(*types.Struct)
		if !ok {
			return false
		}
		u = inner
	}
	return false
}

// leftOut tells whether a field has the tag by which the user leaves it out.
func leftOut(u *types.Struct, i int) bool { return tagOf(u.Field(i), u.Tag(i)).skip }

// pointee is what a type points to, or the type.
func pointee(t types.Type) types.Type {
	if p, ok := types.Unalias(t).(*types.Pointer); ok {
		t = p.Elem()
	}
	return types.Unalias(t)
}

// isBuiltin tells whether the codec knows a type by name, not by its fields.
func isBuiltin(t *types.Named) bool {
	return isTime(t) || isNamed(t, "net/url", "Userinfo") ||
		isNamed(t, "math/big", "Int") || isNamed(t, "math/big", "Float") || isNamed(t, "math/big", "Rat")
}

func (s *survey) opaqueRemedy(t types.Type, path string) string {
	if n, ok := t.(*types.Named); ok && s.p.sourceOf(n.Obj()) != nil {
		return "export what should travel, or pass a //rmi:remote interface"
	}
	if !strings.HasSuffix(path, s.name(t)) { // it is a field
		return `send a type with exported fields, or leave the field out with cbor:"-"`
	}
	return "send a type with exported fields"
}

// name is a type as the user would write it.
func (s *survey) name(t types.Type) string { return types.TypeString(t, shortQualifier(s.from)) }

// shortQualifier names packages as a reader of from does.
func shortQualifier(from *types.Package) types.Qualifier {
	return func(pkg *types.Package) string {
		if pkg == from {
			return ""
		}
		return pkg.Name()
	}
}

// text says what the problem is and what to do; whole is the type that was surveyed. The place is told only where it adds
// to the type itself.
func (pr problem) text(whole types.Type, from *types.Package) string {
	place, qualifier := pr.path, shortQualifier(from)
	switch name := types.TypeString(pr.typ, qualifier); {
	case place == name:
		place = ""
	case outsideStructs(place):
		if place = types.TypeString(whole, qualifier); place == name {
			place = ""
		}
	}
	if place != "" {
		place += ": "
	}
	return place + pr.what + ": " + pr.remedy
}

// outsideStructs tells whether a path has met no struct yet.
func outsideStructs(path string) bool {
	return strings.NewReplacer("[]", "", "[key]", "", "()", "").Replace(path) == ""
}
