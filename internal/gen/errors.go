package gen

import (
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"slices"
	"strings"
)

// An errorEntry is an error that crosses the wire as itself: a sentinel variable or an error type.
type errorEntry struct {
	obj     types.Object // *types.Var or *types.TypeName
	pointer bool         // of a type: the pointer is meant
	starred bool         // and the value has an entry too, so that the pointer's name needs a star
	reached reached      // what a value of the type leads to
}

// named is what the entry is on the wire.
func (e errorEntry) named() ErrorName {
	n := ErrorName{Path: e.obj.Pkg().Path() + "." + e.obj.Name(), Object: e.obj}
	if _, sentinel := e.obj.(*types.Var); sentinel {
		return n
	}
	n.Type = e.obj.Type()
	if e.pointer {
		n.Type = types.NewPointer(n.Type)
	}
	if e.starred {
		n.Path = "*" + n.Path
	}
	return n
}

// errorsOf returns the errors that the methods of a marked interface may return: common are those that its package exports,
// the same for all interfaces of a file; own are those that it names by //rmi:errors.
//
// Where two or more interfaces of a file have them, the common ones are written once, as a function that each type table
// begins with. A variable would hold what the sentinels were before any init function ran, and tables that append to one
// slice could come to share its memory.
func (p *program) errorsOf(s *source, m *mark) (common, own []errorEntry) {
	for _, d := range m.errors {
		own = append(own, p.namedErrors(s, m, d)...)
	}
	if m.of != nil {
		own = append(own, p.packageErrors(s.types, m.of.Pkg(), m.file.constraint)...)
	}
	return p.packageErrors(s.types, s.types, m.file.constraint), own
}

// packageErrors returns the exported sentinels of a package, then its exported error types, each by name. One that a build
// constraint can take away is left out, unless the interface's own file is under the same; so is a type of another package
// whose interfaces may hold what no type table names.
func (p *program) packageErrors(home, pkg *types.Package, constraint string) []errorEntry {
	var sentinels, errorTypes []errorEntry
	scope := pkg.Scope()
	for _, name := range scope.Names() {
		obj := scope.Lookup(name)
		if !obj.Exported() || !mayBeError(obj) {
			continue
		}
		f := p.declaringFile(obj)
		if f == nil || f.constraint != "" && f.constraint != constraint {
			continue
		}
		switch obj := obj.(type) {
		case *types.Var:
			if strings.HasPrefix(name, "Err") && isError(obj.Type()) && hasValue(f.syntax, name) {
				sentinels = append(sentinels, errorEntry{obj: obj})
			}
		case *types.TypeName:
			entries, problems := p.errorType(home, obj)
			if pkg != home {
				entries = slices.DeleteFunc(entries, func(e errorEntry) bool { return len(e.reached.holders) > 0 })
				problems = nil // which are not the user's to mend
			}
			for _, pr := range problems {
				p.note(obj.Pos(), "%s will arrive as its text and what it wraps, without its type: %s", name, pr.text(obj.Type(), home))
			}
			errorTypes = append(errorTypes, entries...)
		}
	}
	return append(sentinels, errorTypes...)
}

// mayBeError tells whether an object is by its type a sentinel or an error type.
func mayBeError(obj types.Object) bool {
	switch obj.(type) {
	case *types.Var:
		return isError(obj.Type())
	case *types.TypeName:
		return types.Implements(types.NewPointer(obj.Type()), errorInterface())
	}
	return false
}

// hasValue tells whether the package variable called name is declared with one: a sentinel is, the place for the last
// error of something is not.
func hasValue(f *ast.File, name string) bool {
	for _, decl := range f.Decls {
		gen, ok := decl.(*ast.GenDecl)
		if !ok || gen.Tok != token.VAR {
			continue
		}
		for _, spec := range gen.Specs {
			for _, id := range spec.(*ast.ValueSpec).Names {
				if id.Name == name {
					return len(spec.(*ast.ValueSpec).Values) > 0
				}
			}
		}
	}
	return false
}

// errorType returns the entries of a type whose values or pointers are errors; none if they are not. Values that are errors
// are so by pointer too, and either may be what a method returns. Problems say why an error type cannot travel.
func (p *program) errorType(from *types.Package, obj *types.TypeName) ([]errorEntry, []problem) {
	t, ok := obj.Type().(*types.Named)
	if !ok || obj.IsAlias() || t.TypeParams().Len() > 0 || types.IsInterface(t) {
		return nil, nil
	}
	if !types.Implements(types.NewPointer(t), errorInterface()) {
		return nil, nil
	}
	found := p.survey(from, obj.Pos(), t)
	found.functionless(t)
	if found.state(t); len(found.problems) > 0 {
		return nil, found.problems
	}
	pointer := errorEntry{obj: obj, pointer: true, reached: found.reached}
	if !types.Implements(t, errorInterface()) {
		return []errorEntry{pointer}, nil
	}
	pointer.starred = true
	return []errorEntry{{obj: obj, reached: found.reached}, pointer}, nil
}

// state finds an unexported field of an error type that does not marshal itself. A value does without; but there an error
// has its cause, and half of one is worse than its text and its chain, by which it arrives if it has no entry. The fields of
// embedded structs are the type's own.
func (s *survey) state(t *types.Named) {
	remedy := "leave the line out: the error then arrives as its text and what it wraps"
	if s.p.sourceOf(t.Obj()) != nil {
		remedy = "export it, or give the type MarshalBinary and UnmarshalBinary"
	}
	if field := unexportedState(t, map[types.Type]bool{}); field != "" {
		s.fail(t, s.name(t)+field, "the field is not exported and would be lost", remedy)
	}
}

// unexportedState returns the path of an unexported field, ".Base.err", or "".
func unexportedState(t types.Type, seen map[types.Type]bool) string {
	t = pointee(t)
	u, ok := t.Underlying().(*types.Struct)
	if n, named := t.(*types.Named); !ok || seen[t] || named && isBuiltin(n) {
		return ""
	}
	seen[t] = true
	if by, _ := marshals(t, u); by != "" {
		return ""
	}
	for i := range u.NumFields() {
		switch f := u.Field(i); {
		case leftOut(u, i) || f.Name() == "_":
		case !f.Exported():
			return "." + f.Name()
		case f.Embedded():
			if inner := unexportedState(f.Type(), seen); inner != "" {
				return "." + f.Name() + inner
			}
		}
	}
	return ""
}

// namedErrors returns what one //rmi:errors line names.
func (p *program) namedErrors(s *source, m *mark, d directive) []errorEntry {
	refuse := func(why string) []errorEntry {
		p.refuse(d.pos, "//rmi:errors %s: %s", d.rest, why)
		return nil
	}
	expr, err := parser.ParseExpr(d.rest)
	if err != nil {
		return refuse("write one Go expression a line: a variable pkg.ErrX, or an error type pkg.T or *pkg.T")
	}
	if star, ok := expr.(*ast.StarExpr); ok {
		expr = star.X
	}
	obj := s.resolve(m.file, expr)
	if obj == nil {
		return refuse("there is no such name in the package or in the imports of this file")
	}
	if !obj.Exported() {
		return refuse("it is not exported, so that a peer could not have it")
	}
	switch obj := obj.(type) {
	case *types.Var:
		if isError(obj.Type()) {
			return []errorEntry{{obj: obj}}
		}
		return refuse("a sentinel is a variable of type error: name the type of this one instead")
	case *types.TypeName:
		entries, problems := p.errorType(s.types, obj)
		if len(problems) > 0 {
			return refuse(problems[0].text(obj.Type(), s.types))
		}
		if len(entries) > 0 {
			return entries
		}
	}
	return refuse("it is neither a variable of type error nor an error type")
}

// namedTypes returns what the //rmi:types lines of an interface lead to.
func (p *program) namedTypes(s *source, m *mark) (all reached) {
	for _, d := range m.types {
		refuse := func(why string) { p.refuse(d.pos, "//rmi:types %s: %s", d.rest, why) }
		expr, err := parser.ParseExpr(d.rest)
		info := &types.Info{Types: map[ast.Expr]types.TypeAndValue{}}
		if err == nil {
			err = types.CheckExpr(p.fset, s.types, d.pos, expr, info)
		}
		t := info.Types[expr].Type
		switch {
		case expr != nil && unexportedElsewhere(expr) != "":
			refuse(unexportedElsewhere(expr) + " is not exported by its package, which alone can list it: give it an exported name, or let the interface hold a type of your own in its place")
			continue
		case err != nil || !info.Types[expr].IsType():
			refuse("write one type a line, as in Go: pkg.T, *pkg.T or []pkg.T, of the package or of imports of this file")
			continue
		case types.IsInterface(t):
			refuse("list the types that an interface may hold, not the interface")
			continue
		}
		if pr, hidden := unnameable(s.types, t); hidden {
			refuse(pr.text(t, s.types))
			continue
		}
		found := p.survey(s.types, d.pos, t)
		found.functionless(t)
		for _, pr := range found.problems {
			refuse(pr.text(t, s.types))
		}
		all.add(found.reached)
		all.values = append(all.values, t)
	}
	return all
}

// unexportedElsewhere returns the name of another package in a type expression that is not exported there, as it is written; or "".
func unexportedElsewhere(expr ast.Expr) (name string) {
	ast.Inspect(expr, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok && !sel.Sel.IsExported() {
			name = types.ExprString(sel)
		}
		return name == ""
	})
	return name
}

// resolve finds what an expression at package level names: an identifier, or one of an imported package.
func (s *source) resolve(f *file, expr ast.Expr) types.Object {
	switch expr := expr.(type) {
	case *ast.Ident:
		_, obj := s.scopes[f.syntax].LookupParent(expr.Name, token.NoPos)
		return obj
	case *ast.SelectorExpr:
		if id, ok := expr.X.(*ast.Ident); ok {
			if pkg, ok := s.scopes[f.syntax].Lookup(id.Name).(*types.PkgName); ok {
				return pkg.Imported().Scope().Lookup(expr.Sel.Name)
			}
		}
	}
	return nil
}
