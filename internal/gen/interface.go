package gen

import (
	"fmt"
	"go/token"
	"go/types"
	"slices"
	"strings"
)

// An iface is a marked interface that passed every check, ready to be named and written, or a function type.
type iface struct {
	obj  *types.TypeName
	home *types.Package // that it is generated into: its own, unless it is foreign
	mark *mark
	generic
	methods []*method // sorted by name
	names             // given once all interfaces of the package are known
	reached
	common   []errorEntry // of the package
	own      []errorEntry // by //rmi:errors
	held     reached      // by //rmi:types
	found    []finding
	function *function // nil: it is an interface
}

// A method is (ctx, params...) (results..., error): what every method does alike is left out, and what a foreign one does not is told.
type method struct {
	fn       *types.Func
	text     string
	id       uint64
	marks    methodMark
	constant string
	params   []*types.Var
	results  []*types.Var
	stream   *types.Var // an item of the stream that it returns; nil: it returns none
	takes    bool       // it takes streams
	plain    bool       // it has no context
	silent   bool       // it has no error: it is one-way, and foreign
}

func (m *method) variadic() bool { return m.fn.Signature().Variadic() }

// interfaces checks the marked interfaces of s and returns those that passed, in source order.
func (p *program) interfaces(s *source) []*iface {
	var all []*iface
	for _, m := range s.marks {
		obj, ok := m.of, true
		if obj == nil {
			obj, ok = s.types.Scope().Lookup(m.spec.Name.Name).(*types.TypeName)
		}
		if !ok {
			p.refuse(m.spec.Pos(), "%s cannot be a remote interface: give it a name of its own", m.spec.Name.Name)
			continue
		}
		if typ := p.remotable(s, obj, m); typ != nil {
			all = append(all, p.newInterface(s, m, obj, typ))
		}
	}
	return all
}

// remotable returns the interface that is marked, or refuses it as a whole.
func (p *program) remotable(s *source, obj *types.TypeName, m *mark) *types.Interface {
	refuse := func(why string) *types.Interface {
		p.refuse(m.pos(), "%s: %s", title(s.types, obj), why)
		return nil
	}
	if obj.IsAlias() {
		return refuse("//rmi:remote on an alias: mark the interface that it stands for")
	}
	typ, ok := obj.Type().Underlying().(*types.Interface)
	switch {
	case !ok && obj.Type().Underlying() == types.Typ[types.Invalid]:
		p.refuseBroken(obj.Pos())
		return nil
	case !ok && m.of != nil:
		return refuse("it is no interface: name the interface by which it is called")
	case !ok:
		return refuse("//rmi:remote on a type that is no interface: mark the interface by which it is called")
	case !typ.IsMethodSet():
		return refuse("a type constraint cannot be remote: write an interface of methods only")
	case p.refuseErrors(p.sourceOf(obj), m.span()):
		return nil
	case p.refuseTypeParams(s, obj):
		return nil
	case typ.NumMethods() == 0:
		return refuse("an interface without methods cannot be remote: use stub.Object for any remote object")
	case m.of != nil && p.isMarked(obj.Type().(*types.Named)):
		return refuse("it has a descriptor already: use " + obj.Pkg().Name() + "." + descriptorName(obj.Name()))
	}
	return typ
}

func (p *program) newInterface(s *source, m *mark, obj *types.TypeName, typ *types.Interface) *iface {
	i := &iface{obj: obj, home: s.types, mark: m, generic: genericOf(obj)}
	if path := obj.Pkg().Path() + "." + obj.Name(); len(path) > longestPath {
		p.refuse(m.pos(), "%s: its name is of %d bytes with the package's path, and may have %d: give it a shorter one", i.title(), len(path), longestPath)
	}
	for k := range typ.NumMethods() {
		if fn := p.newMethod(i, typ.Method(k)); fn != nil {
			i.methods = append(i.methods, fn)
		}
	}
	slices.SortFunc(i.methods, func(a, b *method) int { return strings.Compare(a.fn.Name(), b.fn.Name()) })
	p.checkIDs(i)
	i.common, i.own = p.errorsOf(s, m)
	i.held = p.namedTypes(s, m)
	i.add(i.held)
	for _, e := range slices.Concat(i.common, i.own) {
		i.add(e.reached)
	}
	p.checkHolders(i)
	return i
}

// checkHolders refuses an interface of a signature that nothing known can be in, and drops what no interface can hold.
func (p *program) checkHolders(i *iface) {
	for _, f := range i.found {
		for _, h := range f.holders {
			n, named := h.typ.(*types.Named)
			mine := !named || p.sourceOf(n.Obj()) != nil || outsideStructs(h.path)
			if mine && !slices.ContainsFunc(i.values, func(t types.Type) bool { return holds(h.typ, t) }) && !isEmptyInterface(h.typ) {
				f.check.refuse("%s: %s", f.where, f.problem(h))
			}
		}
	}
	i.values = slices.DeleteFunc(i.values, func(t types.Type) bool {
		return !importsAll(i.home, t) || !slices.ContainsFunc(i.holders, func(h holder) bool { return holds(h.typ, t) })
	})
}

// importsAll tells whether a package imports all that it takes to write a type: generated code brings in no other packages than
// the user did.
func importsAll(pkg *types.Package, t types.Type) bool {
	all := true
	types.TypeString(t, func(of *types.Package) string {
		all = all && (of == pkg || slices.Contains(pkg.Imports(), of))
		return ""
	})
	return all
}

func holds(iface, t types.Type) bool {
	u, ok := iface.Underlying().(*types.Interface)
	return ok && types.Implements(t, u)
}

func isEmptyInterface(t types.Type) bool {
	u, ok := t.Underlying().(*types.Interface)
	return ok && u.Empty()
}

// finding is what a parameter or result leads to.
type finding struct {
	check *methodCheck
	where string
	whole types.Type

	holders   []holder
	functions []types.Type
}

func (f finding) problem(h holder) string {
	name := types.TypeString(h.typ, shortQualifier(f.check.iface.home))
	pr := problem{h.path, h.typ, "no type is known that interface type " + name + " may hold", f.remedy(h)}
	return pr.text(f.whole, f.check.iface.home)
}

// remedy depends on whose the interfaces are: the one that is held, and the one that has the method.
func (f finding) remedy(h holder) string {
	n, named := h.typ.(*types.Named)
	nameable := named && n.Obj().Exported() && n.TypeArgs().Len() == 0
	switch foreign := f.check.iface.mark.of != nil; {
	case foreign && nameable:
		return "name that by -type too, so that it travels by reference, or write an interface of your own around it"
	case foreign:
		return "there is no place to list any: write an interface of your own around it"
	case named && f.check.p.sourceOf(n.Obj()) != nil:
		return "mark it //rmi:remote, or list what it may hold: //rmi:types"
	case nameable:
		return "list what it may hold: //rmi:types, or let it travel by reference: rmigen -type, //rmi:use"
	}
	return "list what it may hold: //rmi:types"
}

// newMethod checks one method, refuses all that is wrong with it, and returns nil if anything is.
func (p *program) newMethod(i *iface, fn *types.Func) *method {
	c := &methodCheck{p: p, iface: i, fn: fn, pos: fn.Pos()}
	s, _ := p.fileAt(fn.Pos())
	if s == nil {
		c.pos = i.mark.methodPos(fn) // of another module, maybe embedded
	}
	m := &method{fn: fn, marks: i.mark.method(s, fn)}
	c.shape(m)
	if c.failed {
		return nil
	}
	sig := fn.Signature()
	if m.marks.oneway && sig.Results().Len() > 1 {
		c.refuse("//rmi:oneway on a method with results: nobody waits for them: write %s, or leave the directive out", c.withoutResults())
	}
	m.text, m.id = MethodID(fn)
	first := 1
	if m.plain {
		first = 0
	}
	for k := first; k < sig.Params().Len(); k++ {
		m.params = append(m.params, sig.Params().At(k))
		c.takes(m, sig.Params().At(k), fmt.Sprintf("parameter %d", k+1))
	}
	if m.stream != nil {
		c.travels(types.NewParam(m.stream.Pos(), m.stream.Pkg(), "", m.stream.Type()), "an item of the stream", "")
	}
	for k := range sig.Results().Len() - 1 {
		m.results = append(m.results, sig.Results().At(k))
		c.returns(sig.Results().At(k), fmt.Sprintf("result %d", k+1))
	}
	return m
}

// methodCheck refuses what is wrong with one method.
type methodCheck struct {
	p      *program
	iface  *iface
	fn     *types.Func
	pos    token.Pos
	failed bool
}

func (c *methodCheck) refuse(format string, args ...any) {
	c.p.refuse(c.pos, "%s.%s: %s", c.iface.title(), c.fn.Name(), fmt.Sprintf(format, args...))
	c.failed = true
}

// shape checks what does not depend on which types travel.
func (c *methodCheck) shape(m *method) {
	sig := c.fn.Signature()
	foreign := c.iface.mark.of != nil
	switch first := sig.Params(); {
	case c.fn.Pkg() == nil && !foreign:
		c.refuse("an interface that embeds error cannot be remote: do not embed it, and give it a method with a context that returns the text")
		return
	case !c.fn.Exported() && foreign:
		c.refuse("an unexported method cannot be remote: write an interface of your own of those that are exported")
		return
	case !c.fn.Exported():
		c.refuse("an unexported method cannot be remote: export it or take it out of the interface")
		return
	case sig.Variadic() && first.Len() == 1 && isContext(first.At(0).Type().(*types.Slice).Elem()) && !foreign:
		c.refuse("a method has one context, its first parameter: write %s(ctx context.Context) error", c.fn.Name())
		return
	}
	results := sig.Results()
	if c.streamShape(m); c.failed {
		return
	}
	if sig.Params().Len() == 0 || !c.resolved(sig.Params().At(0)) && !isContext(sig.Params().At(0).Type()) {
		m.plain = true
	}
	if results.Len() == 0 || m.stream == nil && !c.resolved(results.At(results.Len()-1)) && !isError(results.At(results.Len()-1).Type()) {
		m.silent = true
	}
	switch {
	case c.failed:
	case foreign:
		c.foreignShape(m)
	default:
		c.ownShape(m)
	}
}

// ownShape refuses what the user can mend.
func (c *methodCheck) ownShape(m *method) {
	if m.plain {
		c.refuse("first parameter must be context.Context: write %s", c.corrected())
	}
	if m.silent {
		c.refuse("last result must be error: write %s", c.corrected())
	}
}

// resolved is false for a usable type; one that the type checker could not resolve is refused here, and settled.
func (c *methodCheck) resolved(v *types.Var) bool {
	if types.Unalias(v.Type()) != types.Typ[types.Invalid] {
		return false
	}
	c.p.refuseBroken(c.fn.Pos())
	c.failed = true
	return true
}

// corrected is the method with the context and the error that it should have.
func (c *methodCheck) corrected() string {
	return c.fn.Name() + corrected(c.fn.Signature(), c.iface.home)
}

// corrected is a signature with the context and the error that it should have, as pkg writes it behind a name.
func corrected(sig *types.Signature, pkg *types.Package) string {
	params, results := slices.Collect(sig.Params().Variables()), slices.Collect(sig.Results().Variables())
	params = slices.DeleteFunc(params, func(v *types.Var) bool { return isContext(pointee(v.Type())) })
	results = slices.DeleteFunc(results, func(v *types.Var) bool { return isError(v.Type()) })
	named := func(vs []*types.Var) bool { return len(vs) == 0 || vs[0].Name() != "" }
	variable := func(name string, t types.Type, show bool) *types.Var {
		if !show {
			name = ""
		}
		return types.NewParam(token.NoPos, pkg, name, t)
	}
	context := types.NewPackage("context", "context")
	ctx := types.NewNamed(types.NewTypeName(token.NoPos, context, "Context", nil), types.NewInterfaceType(nil, nil), nil)
	params = slices.Insert(params, 0, variable("ctx", ctx, named(params)))
	if len(results) != 1 || !isStream(results[0].Type()) {
		results = append(results, variable("err", types.Universe.Lookup("error").Type(), len(results) > 0 && named(results)))
	}
	right := types.NewSignatureType(nil, nil, nil, types.NewTuple(params...), types.NewTuple(results...), sig.Variadic())
	return strings.TrimPrefix(types.TypeString(right, shortQualifier(pkg)), "func")
}

// withoutResults is the method with no result but its error.
func (c *methodCheck) withoutResults() string {
	sig := c.fn.Signature()
	err := sig.Results().At(sig.Results().Len() - 1)
	right := types.NewSignatureType(nil, nil, nil, sig.Params(), types.NewTuple(types.NewParam(token.NoPos, nil, "", err.Type())), sig.Variadic())
	return c.fn.Name() + strings.TrimPrefix(types.TypeString(right, shortQualifier(c.iface.home)), "func")
}

// travels checks one parameter or result and collects the remote interfaces that it leads to.
func (c *methodCheck) travels(v *types.Var, unnamed, kind string) {
	where := nameOf(v, unnamed, kind)
	from := c.iface.home
	if pr, ok := unnameable(from, v.Type()); ok {
		if c.pos = c.iface.mark.pos(); c.iface.mark.of == nil { // which embeds what was written in another package
			c.refuse("%s: %s", where, pr.text(v.Type(), from))
			return
		}
		c.pos = c.iface.mark.methodPos(c.fn)
		pr.remedy = "write an interface of your own around it, of types that can be named"
		c.refuse("%s: %s", where, pr.text(v.Type(), from))
		return
	}
	found := c.p.survey(from, c.fn.Pos(), v.Type())
	for _, pr := range found.problems {
		c.refuse("%s: %s", where, pr.text(v.Type(), from))
	}
	for _, pr := range found.remarks {
		c.p.note(c.pos, "%s.%s: %s: %s", c.iface.title(), c.fn.Name(), where, pr.text(v.Type(), from))
	}
	c.iface.add(found.reached)
	c.iface.found = append(c.iface.found, finding{c, where, v.Type(), found.holders, found.functions})
}

// checkIDs refuses an interface whose methods cannot be told from each other, or from the runtime's, by their IDs.
func (p *program) checkIDs(i *iface) {
	const remedy = "rename the method: its ID is the hash of its name and signature"
	byID := map[uint64]*method{}
	for _, m := range i.methods {
		if m.id < ReservedIDs {
			p.refuse(m.fn.Pos(), "%s.%s: its ID %#x is reserved: %s", i.title(), m.fn.Name(), m.id, remedy)
		}
		if other := byID[m.id]; other != nil {
			p.refuse(m.fn.Pos(), "%s.%s: its ID %#x is also %s's: %s", i.title(), m.fn.Name(), m.id, other.fn.Name(), remedy)
		}
		byID[m.id] = m
	}
}
