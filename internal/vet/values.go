package vet

import (
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"slices"
	"strings"

	"github.com/rmigo/rmigo/internal/gen"
)

// What travels by value: the structs and arrays that signatures, type tables and errors lead to.

// A site is a type that travels, where it was met.
type site struct {
	typ    types.Type
	pos    token.Pos // of the field, method or interface that leads to it and can be mended
	place  string    // "Order.Lines", or "Account.Put" for a parameter or result itself
	copied bool      // each copy of what is around it copies it
}

// A journey is one walk over all that the interfaces of a package send.
type journey struct {
	p     *pass
	seen  map[string]bool
	visit func(site)
}

// travelling calls visit for each type that travels by the package's interfaces, a declared one where it is met first.
func (p *pass) travelling(visit func(site)) {
	j := &journey{p, map[string]bool{}, visit}
	for _, r := range p.pkg.Interfaces {
		for _, m := range r.Methods {
			at := site{pos: m.Func.Pos(), place: r.Object.Name() + "." + m.Func.Name(), copied: true}
			if !p.Owns(m.Func) {
				at.pos = r.Object.Pos()
			}
			for v := range m.Func.Signature().Params().Variables() {
				j.walk(v.Type(), at)
			}
			for v := range m.Func.Signature().Results().Variables() {
				j.walk(v.Type(), at)
			}
		}
		at := site{pos: r.Object.Pos(), place: r.Object.Name()}
		for _, t := range r.Values {
			j.walk(t, at)
		}
		for _, e := range r.Errors {
			if e.Type != nil {
				j.walk(e.Type, at)
			}
		}
	}
}

func (j *journey) walk(t types.Type, at site) {
	t = types.Unalias(t)
	if types.IsInterface(t) || gen.Marshals(t) {
		return
	}
	if n, ok := t.(*types.Named); ok {
		if key := gen.TypeName(n) + fmt.Sprint(at.copied); j.seen[key] {
			return
		} else {
			j.seen[key] = true
		}
	}
	at.typ = t
	j.visit(at)
	switch u := t.Underlying().(type) {
	case *types.Pointer:
		at.copied = false
		j.walk(u.Elem(), at)
	case *types.Slice:
		at.copied = false
		j.walk(u.Elem(), at)
	case *types.Map:
		at.copied = false
		j.walk(u.Key(), at)
		j.walk(u.Elem(), at)
	case *types.Array:
		j.walk(u.Elem(), at)
	case *types.Signature: // what goes to and fro when it is called
		at.copied = false
		for _, tuple := range []*types.Tuple{u.Params(), u.Results()} {
			for v := range tuple.Variables() {
				j.walk(v.Type(), at)
			}
		}
	case *types.Struct:
		fields, _ := gen.Fields(u)
		for _, f := range fields {
			j.walk(f.Var.Type(), j.at(at, t, f.Var))
		}
	}
}

// at is the site of a field of a struct that was met at another.
func (j *journey) at(outer site, t types.Type, field *types.Var) site {
	if n, ok := t.(*types.Named); ok {
		outer.place = j.p.name(n)
	}
	outer.place += "." + field.Name()
	if j.p.Owns(field) {
		outer.pos = field.Pos()
	}
	return outer
}

// hidden calls visit for each field of a struct that travels which does not, and which the user has not said to leave out.
func (p *pass) hidden(visit func(at site, whole types.Type, field *types.Var)) {
	j := &journey{p: p}
	p.travelling(func(at site) {
		u, ok := at.typ.Underlying().(*types.Struct)
		if !ok {
			return
		}
		travel, _ := gen.Fields(u)
		for i := range u.NumFields() {
			f := u.Field(i)
			if !f.Exported() && f.Name() != "_" && !gen.LeftOut(u, i) && !slices.ContainsFunc(travel, func(t gen.Field) bool { return t.Var == f }) {
				visit(j.at(at, at.typ, f), at.typ, f)
			}
		}
	})
}

func (p *pass) mutexes() {
	p.hidden(func(at site, whole types.Type, field *types.Var) {
		inner, lock := lockIn(field.Type(), map[types.Type]bool{})
		switch {
		case lock == nil:
		case pointee(lock) != types.Unalias(lock) || types.IsInterface(lock):
			p.report(at.pos, "%s%s is a %s, and %s travels by value: it arrives nil, and locking it panics: send a struct without it, or make %s a //rmi:remote interface",
				at.place, inner, p.name(lock), p.name(whole), p.name(whole))
		default:
			p.report(at.pos, "%s%s is a %s, and %s travels by value: the copy at the other end has one of its own, and this one is not held while the fields are read: "+
				"send a struct without it, or make %s a //rmi:remote interface", at.place, inner, p.name(lock), p.name(whole), p.name(whole))
		}
	})
}

// lockIn returns the first lock in a type, and the path to it: ".mu".
func lockIn(t types.Type, seen map[types.Type]bool) (path string, lock types.Type) {
	if isLock(pointee(t)) {
		return "", t
	}
	u, ok := t.Underlying().(*types.Struct)
	if !ok || seen[t] {
		return "", nil
	}
	seen[t] = true
	for f := range u.Fields() {
		if inner, found := lockIn(f.Type(), seen); found != nil {
			return "." + f.Name() + inner, found
		}
	}
	return "", nil
}

func isLock(t types.Type) bool {
	return isOf(t, "sync", "Mutex", "RWMutex", "WaitGroup", "Once", "Cond", "Pool", "Map", "Locker")
}

func (p *pass) contexts() {
	p.hidden(func(at site, whole types.Type, field *types.Var) {
		if gen.IsContext(field.Type()) {
			p.report(at.pos, "%s is a context, and %s travels by value: it arrives nil, and using it panics: take the context of the call, the method's first parameter",
				at.place, p.name(whole))
		}
	})
}

// What an array may take: of memory where it is copied with what is around it, and of a message where it travels at all.
const (
	largeArray   = 64 << 10
	largeMessage = 16 << 20 // Limits.MessageBytes by default
)

// sizes are those of the machines that matter.
func (p *pass) sizes() types.Sizes { return types.SizesFor("gc", "amd64") }

func (p *pass) arrays() {
	p.travelling(func(at site) {
		a, ok := at.typ.Underlying().(*types.Array)
		if !ok {
			return
		}
		n, size := elements(a), p.sizes().Sizeof(a)
		switch {
		case n > largeMessage:
			p.report(at.pos, "%s: %s has %d elements, of at least a byte each, and a message may have %d bytes by default: sending it fails unless it is all zero: "+
				"send it in parts, as slices", at.place, p.name(at.typ), n, largeMessage)
		case at.copied && size > largeArray:
			p.report(at.pos, "%s: %s is %d KiB that are copied whenever the value is handed on, and all of it is sent: use a slice", at.place, p.name(at.typ), size>>10)
		}
	})
}

// elements counts those of an array, and of arrays in it.
func elements(a *types.Array) int64 {
	if inner, ok := a.Elem().Underlying().(*types.Array); ok && a.Len() > 0 {
		if n := elements(inner); n > largeMessage {
			return n
		} else {
			return n * min(a.Len(), largeMessage+1)
		}
	}
	return a.Len()
}

func (p *pass) unexported() {
	reads := p.reads()
	p.hidden(func(at site, whole types.Type, field *types.Var) {
		method := reads[field]
		if _, lock := lockIn(field.Type(), map[types.Type]bool{}); method == nil || lock != nil || gen.IsContext(field.Type()) {
			return
		}
		p.report(at.pos, "%s is not exported and does not travel, and %s.%s reads it: at the other end it is zero: "+
			"export it, give %s MarshalBinary and UnmarshalBinary, or say that it is meant to stay: `cbor:\"-\"`",
			at.place, p.name(whole), method.Name(), p.name(whole))
	})
}

// reads returns the unexported fields that an exported method of their struct reads without ever setting them, as a cached
// value would be, each with the first such method.
func (p *pass) reads() map[*types.Var]*types.Func {
	readers := map[*types.Var]*types.Func{}
	for _, pkg := range p.Packages {
		for _, f := range pkg.Files {
			for _, d := range f.Decls {
				decl, ok := d.(*ast.FuncDecl)
				if !ok || decl.Recv == nil || decl.Body == nil || !decl.Name.IsExported() {
					continue
				}
				fn, _ := pkg.Info.Defs[decl.Name].(*types.Func)
				for _, field := range readOnly(pkg.Info, decl, fn) {
					if old := readers[field]; old == nil || fn.Name() < old.Name() {
						readers[field] = fn
					}
				}
			}
		}
	}
	return readers
}

// readOnly lists the fields of the receiver that a method reads and does not set.
func readOnly(info *types.Info, decl *ast.FuncDecl, fn *types.Func) []*types.Var {
	if fn == nil || len(decl.Recv.List[0].Names) == 0 {
		return nil
	}
	recv := info.Defs[decl.Recv.List[0].Names[0]]
	var read, set []*types.Var
	field := func(e ast.Expr) *types.Var {
		sel, ok := ast.Unparen(e).(*ast.SelectorExpr)
		if !ok {
			return nil
		}
		id, ok := ast.Unparen(sel.X).(*ast.Ident)
		if s := info.Selections[sel]; ok && s != nil && s.Kind() == types.FieldVal && len(s.Index()) == 1 && info.Uses[id] == recv {
			return s.Obj().(*types.Var)
		}
		return nil
	}
	ast.Inspect(decl.Body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			for _, lhs := range n.Lhs {
				set = append(set, field(lhs))
			}
		case *ast.IncDecStmt:
			set = append(set, field(n.X))
		case *ast.UnaryExpr:
			if n.Op == token.AND {
				set = append(set, field(n.X))
			}
		case *ast.SelectorExpr:
			read = append(read, field(n))
		}
		return true
	})
	return slices.DeleteFunc(read, func(f *types.Var) bool { return f == nil || slices.Contains(set, f) })
}

// partial finds structs that the user cannot mend and that have both: fields that travel and fields that stay without a word.
func (p *pass) partial() {
	lost, first := map[string][]string{}, map[string]site{}
	p.hidden(func(at site, whole types.Type, field *types.Var) {
		n, ok := whole.(*types.Named)
		if !ok || p.Owns(n.Obj()) || p.sizes().Sizeof(field.Type()) == 0 || gen.IsContext(field.Type()) {
			return
		}
		if _, lock := lockIn(field.Type(), map[types.Type]bool{}); lock != nil {
			return // there is a check for that
		}
		name := p.name(n)
		if _, seen := first[name]; !seen {
			first[name] = at
		}
		if !slices.Contains(lost[name], field.Name()) {
			lost[name] = append(lost[name], field.Name())
		}
	})
	for name, fields := range lost {
		p.report(first[name].pos, "%s keeps state in fields that are not exported and do not travel (%s), beside exported ones that do, and has no marshaler: what arrives is half of it: "+
			"send a struct of your own with what is needed of it, or what the other module encodes it to", name, strings.Join(fields, ", "))
	}
}

// errorTypes reports what reading the packages has found already.
func (p *pass) errorTypes() {
	if p.pkg != p.Packages[0] {
		return
	}
	for _, d := range p.Lossy {
		*p.found = append(*p.found, Finding{d.Pos, p.check, d.Text})
	}
}

// sentinels finds the exported error values of the package that errors.Is will not find at the other end.
func (p *pass) sentinels() {
	if len(p.pkg.Interfaces) == 0 {
		return
	}
	for _, f := range p.pkg.Files {
		for _, d := range f.Decls {
			if decl, ok := d.(*ast.GenDecl); ok && decl.Tok == token.VAR {
				for _, spec := range decl.Specs {
					for _, id := range spec.(*ast.ValueSpec).Names {
						if v, ok := p.pkg.Info.Defs[id].(*types.Var); ok && v.Exported() && len(spec.(*ast.ValueSpec).Values) > 0 {
							p.sentinel(v)
						}
					}
				}
			}
		}
	}
}

func (p *pass) sentinel(v *types.Var) {
	known := slices.ContainsFunc(p.pkg.Interfaces, func(r *gen.Remote) bool { return lists(r, v) })
	pointer := pointee(v.Type()) != types.Unalias(v.Type())
	switch {
	case known || !types.Implements(v.Type(), errorType()):
	case types.IsInterface(v.Type()) && !strings.HasPrefix(v.Name(), "Err"):
		p.report(v.Pos(), "%s is not sent as itself, since its name does not begin with Err: it arrives as its text, and errors.Is does not find it: "+
			"call it Err%s, or list it above the interface: //rmi:errors %s", v.Name(), v.Name(), v.Name())
	case pointer && strings.HasPrefix(v.Name(), "Err") && !answersIs(v.Type()):
		p.report(v.Pos(), "%s is of the type %s, of which another one arrives: errors.Is does not find it: declare it as what it is compared as: var %s error = …",
			v.Name(), p.name(v.Type()), v.Name())
	}
}

func errorType() *types.Interface {
	return types.Universe.Lookup("error").Type().Underlying().(*types.Interface)
}

// answersIs tells whether errors.Is asks a type what it is equal to.
func answersIs(t types.Type) bool {
	return types.NewMethodSet(t).Lookup(nil, "Is") != nil
}

// lists tells whether an interface has an error among those that it sends as themselves.
func lists(r *gen.Remote, obj types.Object) bool {
	return slices.ContainsFunc(r.Errors, func(e gen.ErrorName) bool { return e.Object == obj })
}
