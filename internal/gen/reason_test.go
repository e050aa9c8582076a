package gen

import (
	"go/types"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// A reason is one for which an interface of another package is refused. Whether what a diagnostic claims is true of its method, and of
// the very type that it names, is told here by other means than rmigen's.
type reason struct {
	text  string         // in the table
	says  *regexp.Regexp // what a diagnostic of it says of its place; a group is the type that it names
	holds func(claim) bool
}

// A claim is a diagnostic taken apart: "driver.Conn.Begin: result 1: *T.Field: what it says: what to do".
type claim struct {
	of     *types.TypeName
	method *types.Func // nil: it is of the whole interface
	place  *types.Var  // nil: it is of the whole method
	typ    types.Type  // where its path leads to, from the place's type on
	says   string
	names  string // the type that it names
}

func reasons() []reason {
	ofType := func(is func(c claim, t types.Type) bool) func(claim) bool {
		return func(c claim) bool {
			return c.place != nil && c.typ != nil && (c.names == "" || byPackageName(c.typ) == c.names) && is(c, c.typ)
		}
	}
	ofInterface := func(is func(*types.TypeName) bool) func(claim) bool {
		return func(c claim) bool { return c.method == nil && is(c.of) }
	}
	ofMethod := func(is func(c claim, s *types.Signature) bool) func(claim) bool {
		return func(c claim) bool { return c.method != nil && is(c, c.method.Signature()) }
	}
	all := func(says string) *regexp.Regexp { return regexp.MustCompile("^(?:" + says + ")") }
	return []reason{
		{"its package is internal, or vendored, or a program", all(`it lies in \S+, which \S+ cannot import|it is of a main package`), ofInterface(func(obj *types.TypeName) bool {
			path := "/" + obj.Pkg().Path() + "/"
			return strings.Contains(path, "/internal/") || strings.HasPrefix(path, "/vendor/") || obj.Pkg().Name() == "main"
		})},
		{"it is an alias of another", all(`it is an alias`), ofInterface((*types.TypeName).IsAlias)},
		{"it is a constraint", all(`a type constraint cannot be remote`), ofInterface(func(obj *types.TypeName) bool {
			return !obj.Type().Underlying().(*types.Interface).IsMethodSet()
		})},
		{"it has no methods", all(`an interface without methods`), ofInterface(func(obj *types.TypeName) bool {
			return obj.Type().Underlying().(*types.Interface).Empty()
		})},
		{"a method is not exported", all(`an unexported method cannot be remote`), ofMethod(func(c claim, _ *types.Signature) bool { return !c.method.Exported() })},
		{"a method has no error result", all(`without an error result`), ofMethod(hasNoError)},
		{"a method fills what its caller passes", all(`it is filled for the caller`), ofMethod(fillsItsFirst)},
		{"a function, channel or unsafe pointer would have to travel", all(`a function travels with`), ofType(func(_ claim, t types.Type) bool {
			s, ok := t.Underlying().(*types.Signature)
			return ok && !(strings.HasPrefix(s.Params().String(), "(ctx context.Context") && strings.HasSuffix(s.Results().String(), "error)"))
		})},
		{"a function, channel or unsafe pointer would have to travel", all(`(iter\.Seq\S*) cannot travel`), ofMethod(func(c claim, s *types.Signature) bool {
			return s.Results().Len() == 1 && byPackageName(s.Results().At(0).Type()) == c.names && !strings.HasSuffix(c.names, ", error]")
		})},
		{"a function, channel or unsafe pointer would have to travel", all(`(.*\bchan\b.*|unsafe\.Pointer) cannot travel`), ofType(func(_ claim, t types.Type) bool {
			_, channel := t.Underlying().(*types.Chan)
			return channel || t.Underlying() == types.Typ[types.UnsafePointer]
		})},
		{"an interface of package io, or a context or error type, would have to travel", all(`interface type (\S+) cannot travel`), ofType(func(c claim, t types.Type) bool {
			inside := c.place.Type() != t
			return types.IsInterface(t) && (types.Implements(t, errorInterface()) || byPackageName(t) == "context.Context" ||
				strings.HasPrefix(c.names, "io.") && inside == strings.Contains(c.says, "inside of another value"))
		})},
		{"an interface would have to travel of which no possible values are known", all(`no type is known that interface type (\S+) may hold`), ofType(holdsNothing)},
		{"nothing of a struct without exported fields would arrive", all(`(\S+) has no exported field`), ofType(func(_ claim, t types.Type) bool { return isOpaque(t) })},
		{"a type of a signature cannot be named elsewhere", all(`(\S+) (?:is not exported by its package|lies in \S+, which \S+ cannot import), so the stub cannot`), ofMethod(func(c claim, s *types.Signature) bool {
			return leads(s, func(t types.Type) bool {
				n, ok := t.(*types.Named)
				return ok && byPackageName(n) == c.names && (!n.Obj().Exported() || strings.Contains("/"+n.Obj().Pkg().Path()+"/", "/internal/"))
			}, map[types.Type]bool{})
		})},
	}
}

// byPackageName is how diagnostics write a type.
func byPackageName(t types.Type) string {
	return types.TypeString(t, (*types.Package).Name)
}

// hasNoError is true of a method that has none, if the remedy is the one for its results, and names it.
func hasNoError(c claim, s *types.Signature) bool {
	if strings.HasSuffix(c.says, ": where nobody needs to know, name it: -oneway "+c.of.Pkg().Path()+"."+c.of.Name()+"."+c.method.Name()) {
		return s.Results().Len() == 0
	}
	return s.Results().Len() > 0 && s.Results().At(s.Results().Len()-1).Type() != types.Universe.Lookup("error").Type()
}

// fillsItsFirst is true of the first parameter of methods whose documentation says so.
func fillsItsFirst(c claim, s *types.Signature) bool {
	if s.Params().Len() == 0 || c.place != s.Params().At(0) {
		return false
	}
	var params []string
	for v := range s.Params().Variables() {
		params = append(params, byPackageName(v.Type()))
	}
	return slices.Contains([]string{
		"Read([]byte)", "ReadAt([]byte, int64)", "ReadFrom([]byte)",
		"Encrypt([]byte, []byte)", "Decrypt([]byte, []byte)", "CryptBlocks([]byte, []byte)", "XORKeyStream([]byte, []byte)",
		"Next([]driver.Value)",
		"ReadRequestHeader(*rpc.Request)", "ReadRequestBody(any)", "ReadResponseHeader(*rpc.Response)", "ReadResponseBody(any)",
	}, c.method.Name()+"("+strings.Join(params, ", ")+")")
}

// holdsNothing is true of an interface that nothing satisfies of what the signatures of the remote one lead to.
func holdsNothing(c claim, t types.Type) bool {
	u, ok := t.Underlying().(*types.Interface)
	if !ok || u.Empty() {
		return false
	}
	return !leads(c.of.Type(), func(t types.Type) bool {
		return !types.IsInterface(t) && (types.Implements(t, u) || types.Implements(types.NewPointer(t), u))
	}, map[types.Type]bool{})
}

// isOpaque tells whether all fields of a struct are closed to others, and it has no methods by which it would travel without.
func isOpaque(t types.Type) bool {
	u, ok := t.Underlying().(*types.Struct)
	if !ok || u.NumFields() == 0 || slices.ContainsFunc(slices.Collect(u.Fields()), (*types.Var).Exported) {
		return false
	}
	methods := types.NewMethodSet(types.NewPointer(t))
	return !slices.ContainsFunc([]string{"UnmarshalCBOR", "UnmarshalBinary", "GobDecode", "UnmarshalText", "UnmarshalJSON"}, func(name string) bool {
		return methods.Lookup(nil, name) != nil
	})
}

// leads tells whether a type leads to one that is, by what may travel of it: of structs, exported fields.
func leads(t types.Type, is func(types.Type) bool, seen map[types.Type]bool) bool {
	if seen[t] {
		return false
	}
	seen[t] = true
	if _, tuple := t.(*types.Tuple); !tuple && is(t) {
		return true
	}
	vars := func(all []*types.Var) bool {
		return slices.ContainsFunc(all, func(v *types.Var) bool { return leads(v.Type(), is, seen) })
	}
	switch u := types.Unalias(t).Underlying().(type) {
	case *types.Signature:
		return vars(slices.Collect(u.Params().Variables())) || vars(slices.Collect(u.Results().Variables()))
	case *types.Struct:
		return vars(slices.DeleteFunc(slices.Collect(u.Fields()), func(f *types.Var) bool { return !f.Exported() }))
	case *types.Interface:
		return len(seen) == 1 && slices.ContainsFunc(slices.Collect(u.Methods()), func(m *types.Func) bool { return leads(m.Signature(), is, seen) })
	case *types.Map:
		return leads(u.Key(), is, seen) || leads(u.Elem(), is, seen)
	case interface{ Elem() types.Type }:
		return leads(u.Elem(), is, seen)
	}
	return false
}

// claimOf takes a diagnostic apart; ok is false where it is about another interface, or a method or a place that there is not.
func claimOf(obj *types.TypeName, text string) (c claim, ok bool) {
	c.of = obj
	rest, full := strings.CutPrefix(text, obj.Pkg().Path()+"."+obj.Name()+": ")
	if !full {
		if rest, ok = strings.CutPrefix(text, obj.Pkg().Name()+"."+obj.Name()); !ok {
			return c, false
		}
	}
	if name, after, found := strings.Cut(rest, ": "); found && strings.HasPrefix(name, ".") {
		k := slices.IndexFunc(methodSet(obj), func(m *types.Func) bool { return "."+m.Name() == name })
		if k < 0 {
			return c, false
		}
		c.method, rest = methodSet(obj)[k], after
	}
	c.says = strings.TrimPrefix(rest, ": ")
	if place, after, found := strings.Cut(c.says, ": "); found && c.method != nil && regexp.MustCompile(`^(parameter|result) \w+$`).MatchString(place) {
		if c.place = placed(c.method.Signature(), place); c.place == nil {
			return c, false
		}
		c.says, c.typ = after, element(c.place.Type())
		if path, after, found := strings.Cut(c.says, ": "); found && !strings.Contains(path, " ") {
			c.says, c.typ = after, follow(c.place.Type(), path)
		}
	}
	return c, true
}

func methodSet(obj *types.TypeName) []*types.Func {
	i, _ := obj.Type().Underlying().(*types.Interface)
	return slices.Collect(i.Methods())
}

// placed finds "parameter p" or "result 1", by its name or its number.
func placed(s *types.Signature, place string) *types.Var {
	kind, which, _ := strings.Cut(place, " ")
	tuple := map[string]*types.Tuple{"parameter": s.Params(), "result": s.Results()}[kind]
	for k := range tuple.Len() {
		if v := tuple.At(k); v.Name() == which || strconv.Itoa(k+1) == which && (v.Name() == "" || v.Name() == "_") {
			return v
		}
	}
	return nil
}

// follow returns the type that a path leads to: "[]fs.DirEntry", the whole type, or "bufio.ReadWriter.Reader", a field of what it is
// made of; nil where it leads to none.
func follow(t types.Type, path string) types.Type {
	if byPackageName(t) == path {
		return element(t)
	}
	t = element(t)
	fields, ok := strings.CutPrefix(path, byPackageName(t)+".")
	if !ok {
		return nil
	}
	for name := range strings.SplitSeq(fields, ".") {
		u, ok := t.Underlying().(*types.Struct)
		if !ok {
			return nil
		}
		all := slices.Collect(u.Fields())
		k := slices.IndexFunc(all, func(f *types.Var) bool { return f.Name() == strings.TrimRight(name, "[]") })
		if k < 0 {
			return nil
		}
		t = element(all[k].Type())
	}
	return t
}

// element is what pointers, lists and maps are of.
func element(t types.Type) types.Type {
	for {
		e, ok := types.Unalias(t).(interface{ Elem() types.Type })
		if _, channel := e.(*types.Chan); !ok || channel {
			return t
		}
		t = e.Elem()
	}
}

// reasonOf finds the reason that a diagnostic gives, and fails the test where it is not true.
func reasonOf(t *testing.T, all []reason, obj *types.TypeName, text string) string {
	t.Helper()
	c, ok := claimOf(obj, text)
	if !ok {
		t.Errorf("%s.%s is refused with %q, which is about something else", obj.Pkg().Path(), obj.Name(), text)
		return text
	}
	for _, r := range all {
		if m := r.says.FindStringSubmatch(c.says); m != nil {
			if c.names = strings.Join(m[1:], ""); !r.holds(c) {
				t.Errorf("%s.%s is refused with %q, which is not true of it", obj.Pkg().Path(), obj.Name(), text)
			}
			return r.text
		}
	}
	t.Errorf("%s.%s is refused with %q, a reason that the table has not", obj.Pkg().Path(), obj.Name(), text)
	return text
}
