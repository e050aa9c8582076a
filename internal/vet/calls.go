package vet

import (
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"slices"

	"github.com/rmigo/rmigo/internal/gen"
	"github.com/rmigo/rmigo/internal/wire"
)

// A remoteCall is a method call on a value whose static type is a remote interface: it may be a stub.
type remoteCall struct {
	*ast.CallExpr
	iface    *types.Named
	method   *types.Func
	receiver ast.Expr
}

// name is the method with its interface, as the package's files would write it.
func (p *pass) callName(c *remoteCall) string { return p.name(c.iface) + "." + c.method.Name() }

// remote returns what a node calls remotely, or nil.
func (p *pass) remote(n ast.Node) *remoteCall {
	call, ok := n.(*ast.CallExpr)
	if !ok {
		return nil
	}
	sel, ok := ast.Unparen(call.Fun).(*ast.SelectorExpr)
	if !ok {
		return nil
	}
	s := p.pkg.Info.Selections[sel]
	if s == nil || s.Kind() != types.MethodVal {
		return nil
	}
	iface, ok := holder(s).(*types.Named)
	if !ok || !p.IsRemote(iface) {
		return nil
	}
	return &remoteCall{call, iface, s.Obj().(*types.Func), sel.X}
}

// holder is the type whose method a selection finds: the operand's, or that of the embedded field that has it.
func holder(s *types.Selection) types.Type {
	t := s.Recv()
	for _, i := range s.Index()[:len(s.Index())-1] {
		u, ok := pointee(t).Underlying().(*types.Struct)
		if !ok {
			break
		}
		t = u.Field(i).Type()
	}
	return types.Unalias(t)
}

// asks returns the name of what a node calls that speaks to another process: a remote method, or a function of package rmi.
func (p *pass) asks(n ast.Node) string {
	if call := p.remote(n); call != nil {
		return p.callName(call)
	}
	if call, ok := n.(*ast.CallExpr); ok {
		fn, ok := p.object(call.Fun).(*types.Func)
		if ok && fn.Pkg() != nil && fn.Pkg().Path() == rmiPath && slices.Contains([]string{"Bind", "Rebind", "Unbind", "Lookup", "List", "Resolve", "Narrow",
			"LocateRegistry", "Unexport", "Monitor", "Flush", "Await"}, fn.Name()) {
			return p.named(fn)
		}
	}
	return ""
}

// holders finds arguments that will be refused, since their types are not among those that the interface may hold.
func (p *pass) holders() {
	standard := map[string]bool{}
	for _, v := range wire.StandardValues() {
		standard[v.Name()] = true
	}
	p.eachCall(func(call *remoteCall) {
		served := p.marked(call.iface)
		if served == nil || call.Ellipsis.IsValid() {
			return
		}
		p.eachArgument(call, func(arg ast.Expr, param types.Type) {
			t := p.pkg.Info.Types[arg].Type
			if !types.IsInterface(param) || p.IsRemote(param) || t == nil || types.IsInterface(t) || isNil(t) || types.Implements(t, errorType()) {
				return
			}
			t = types.Default(t)
			listed := slices.ContainsFunc(served.Values, func(v types.Type) bool { return types.Identical(v, t) })
			if !listed && !standard[gen.TypeName(t)] && !p.mayBeObject(t) {
				p.report(arg.Pos(), "this argument of %s may not hold a %s: the call fails with rmi.ErrMarshal: %s", p.callName(call), p.name(t), p.listing(served, t))
			}
		})
	})
}

// listing says how an interface comes to know a type, or what to do where rmigen would not list it.
func (p *pass) listing(served *gen.Remote, t types.Type) string {
	elem, list := element(t), fmt.Sprintf("list it above %s: //rmi:types", served.Object.Name())
	n, ok := elem.(*types.Named)
	switch elem.Underlying().(type) {
	case *types.Signature, *types.Chan:
		return "send a value that travels in its place"
	}
	if !ok {
		return fmt.Sprintf("list the type above %s: //rmi:types %s", served.Object.Name(), p.name(t))
	}
	obj, home := n.Obj(), served.Object.Pkg()
	foreign := obj.Pkg() != home && obj.Pkg() != nil
	switch u, _ := n.Underlying().(*types.Struct); {
	case !p.Owns(obj) && (foreign && !obj.Exported() || isSealed(n, u)):
		return fmt.Sprintf("%s cannot be listed: send a value of a type of your own in its place", p.name(n))
	case isSealed(n, u):
		return fmt.Sprintf("%s has no exported field, so nothing of it would arrive: give it exported fields, or MarshalBinary and UnmarshalBinary, and %s", p.name(n), list)
	case foreign && imports(obj.Pkg(), home, map[*types.Package]bool{}):
		return fmt.Sprintf("package %s cannot import %s to list it: declare the type in package %s, or in one that it can import, and %s", home.Name(), obj.Pkg().Name(), home.Name(), list)
	case foreign && !obj.Exported():
		return fmt.Sprintf("%s is not exported: give it an exported name, and %s", p.name(n), list)
	}
	return fmt.Sprintf("list the type above %s: //rmi:types %s", served.Object.Name(), p.name(t))
}

// element is the declared type that a type is made of by pointers, slices, arrays and the values of maps, or what else is there.
func element(t types.Type) types.Type {
	for {
		t = types.Unalias(t)
		made, ok := t.(interface{ Elem() types.Type })
		if !ok {
			return t
		}
		t = made.Elem()
	}
}

// isSealed tells whether nothing of a declared struct travels; u is nil where it is none.
func isSealed(n *types.Named, u *types.Struct) bool {
	if u == nil || gen.Marshals(n) {
		return false
	}
	fields, _ := gen.Fields(u)
	return len(fields) == 0 && slices.ContainsFunc(slices.Collect(u.Fields()), func(f *types.Var) bool { return !f.Exported() && f.Name() != "_" })
}

// imports tells whether a package imports another one, maybe through others.
func imports(from, to *types.Package, seen map[*types.Package]bool) bool {
	if seen[from] {
		return false
	}
	seen[from] = true
	return slices.ContainsFunc(from.Imports(), func(p *types.Package) bool { return p == to || imports(p, to, seen) })
}

func isNil(t types.Type) bool { return types.Identical(t, types.Typ[types.UntypedNil]) }

// mayBeObject tells whether a value may be an exported object, which goes by reference.
func (p *pass) mayBeObject(t types.Type) bool {
	for _, pkg := range p.Packages {
		for _, r := range pkg.Interfaces {
			if u, ok := r.Object.Type().Underlying().(*types.Interface); ok && types.Implements(t, u) {
				return true
			}
		}
	}
	return false
}

// marked returns what was read of an interface, or nil.
func (p *pass) marked(t *types.Named) *gen.Remote {
	for _, pkg := range p.Packages {
		for _, r := range pkg.Interfaces {
			if r.Object == t.Obj() {
				return r
			}
		}
	}
	return nil
}

func (p *pass) eachCall(visit func(*remoteCall)) {
	for _, f := range p.pkg.Files {
		ast.Inspect(f, func(n ast.Node) bool {
			if call := p.remote(n); call != nil {
				visit(call)
			}
			return true
		})
	}
}

// eachArgument pairs arguments with the types of their parameters, those of a variadic one included.
func (p *pass) eachArgument(call *remoteCall, visit func(arg ast.Expr, param types.Type)) {
	params := call.method.Signature().Params()
	for i, arg := range call.Args {
		last := min(i, params.Len()-1)
		t := params.At(last).Type()
		if call.method.Signature().Variadic() && last == params.Len()-1 && !call.Ellipsis.IsValid() {
			t = t.(*types.Slice).Elem()
		}
		visit(arg, t)
	}
}

// pointers finds objects that cannot be exported, since they have no address to be known by.
func (p *pass) pointers() {
	check := func(arg ast.Expr, iface types.Type) {
		t := p.pkg.Info.Types[arg].Type
		if t == nil || types.IsInterface(t) || isNil(t) || pointee(t) != types.Unalias(t) {
			return
		}
		p.report(arg.Pos(), "a %s is no pointer, and an object is known by its address: exporting it fails with rmi.ErrNotPointer: pass a *%s", p.name(t), p.name(t))
	}
	for _, f := range p.pkg.Files {
		ast.Inspect(f, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			if c := p.remote(call); c != nil {
				p.eachArgument(c, func(arg ast.Expr, param types.Type) {
					if p.IsRemote(param) {
						check(arg, param)
					}
				})
			} else if t := p.bound(call); t != nil {
				check(call.Args[0], t)
			}
			return true
		})
	}
}

// bound returns the interface that a call of a descriptor's Of binds its argument to, or nil.
func (p *pass) bound(call *ast.CallExpr) types.Type {
	sel, ok := ast.Unparen(call.Fun).(*ast.SelectorExpr)
	if !ok || sel.Sel.Name != "Of" || len(call.Args) != 1 {
		return nil
	}
	t := p.pkg.Info.Types[sel.X].Type
	if t == nil || !isOf(pointee(t), "github.com/rmigo/rmigo/skeleton", "Interface") {
		return nil
	}
	return pointee(t).(*types.Named).TypeArgs().At(0)
}

// assertions finds those that fail on a stub, whatever the object behind it.
func (p *pass) assertions() {
	for _, f := range p.pkg.Files {
		tested := map[ast.Expr]bool{}
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.AssignStmt:
				if len(n.Lhs) == 2 && len(n.Rhs) == 1 {
					tested[ast.Unparen(n.Rhs[0])] = true
				}
			case *ast.ValueSpec:
				if len(n.Names) == 2 && len(n.Values) == 1 {
					tested[ast.Unparen(n.Values[0])] = true
				}
			case *ast.TypeAssertExpr:
				if n.Type != nil {
					p.assertion(n, tested[n])
				}
			}
			return true
		})
	}
}

func (p *pass) assertion(n *ast.TypeAssertExpr, tested bool) {
	from, to := p.pkg.Info.Types[n.X].Type, p.pkg.Info.Types[n.Type].Type
	if from == nil || to == nil || !p.IsRemote(from) || isOf(to, "github.com/rmigo/rmigo/stub", "Object") {
		return
	}
	switch {
	case p.IsRemote(to):
		p.report(n.Pos(), "a stub of %s is never a %s, even where the object is: the assertion fails: ask the object's process: rmi.Narrow", p.name(from), p.name(to))
	case !tested:
		p.report(n.Pos(), "a stub of %s is no %s: the assertion panics where the object is in another process: test it, and call it by the interface where it fails",
			p.name(from), p.name(to))
	}
}

// backgrounds finds calls that are made on behalf of a caller and do not pass its context on.
func (p *pass) backgrounds() {
	p.functions(func(typ *ast.FuncType, body *ast.BlockStmt) {
		ctx := ""
		for _, field := range typ.Params.List {
			for _, name := range field.Names {
				if v := p.pkg.Info.Defs[name]; v != nil && name.Name != "_" && gen.IsContext(v.Type()) {
					ctx = name.Name
				}
			}
		}
		if ctx == "" {
			return
		}
		within(body, func(n ast.Node) bool {
			switch n.(type) {
			case *ast.DeferStmt, *ast.GoStmt:
				return false
			}
			if name := p.asks(n); name != "" {
				if args := n.(*ast.CallExpr).Args; len(args) > 0 && p.isNewContext(args[0]) {
					p.report(args[0].Pos(), "%s is called without the caller's context: neither its deadline nor its end reaches the callee, and the call does not count as part of the chain: "+
						"pass %s, or context.WithoutCancel(%s) if the call is to outlive it", name, ctx, ctx)
				}
			}
			return true
		})
	})
}

func (p *pass) isNewContext(e ast.Expr) bool {
	call, ok := ast.Unparen(e).(*ast.CallExpr)
	if !ok {
		return false
	}
	fn, ok := p.object(call.Fun).(*types.Func)
	return ok && fn.Pkg() != nil && fn.Pkg().Path() == "context" && (fn.Name() == "Background" || fn.Name() == "TODO")
}

// varies tells whether an expression mentions what a loop declares or sets.
func (p *pass) varies(e ast.Expr, loop ast.Node, set map[types.Object]bool) (varies bool) {
	ast.Inspect(e, func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok {
			if obj := p.pkg.Info.Uses[id]; obj != nil {
				varies = varies || set[obj] || loop.Pos() <= obj.Pos() && obj.Pos() < loop.End()
			}
		}
		if _, ok := n.(*ast.CallExpr); ok { // may return something else each time
			varies = varies || !p.isConversion(n.(*ast.CallExpr))
		}
		return !varies
	})
	return varies
}

func (p *pass) isConversion(call *ast.CallExpr) bool { return p.pkg.Info.Types[call.Fun].IsType() }

// assigned lists what is set within a node.
func (p *pass) assigned(within ast.Node) map[types.Object]bool {
	set := map[types.Object]bool{}
	add := func(e ast.Expr) {
		for {
			switch x := ast.Unparen(e).(type) {
			case *ast.SelectorExpr:
				e = x.X
			case *ast.IndexExpr:
				e = x.X
			case *ast.StarExpr:
				e = x.X
			case *ast.Ident:
				if obj := p.pkg.Info.Uses[x]; obj != nil {
					set[obj] = true
				}
				return
			default:
				return
			}
		}
	}
	ast.Inspect(within, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			for _, lhs := range n.Lhs {
				add(lhs)
			}
		case *ast.IncDecStmt:
			add(n.X)
		case *ast.UnaryExpr:
			if n.Op == token.AND {
				add(n.X)
			}
		}
		return true
	})
	return set
}
