package vet

import (
	"go/ast"
	"go/constant"
	"go/token"
	"go/types"
	"slices"
	"strings"

	"github.com/rmigo/rmigo/internal/gen"
	"github.com/rmigo/rmigo/internal/wire"
)

// What implementations give back: errors that their interface does not know, and results by a parameter that is a copy.

// unlisted finds errors that a method returns in so many words, that a caller could name, and that the interface does not know.
func (p *pass) unlisted() {
	standard := map[string]bool{}
	for _, e := range wire.StandardErrors() {
		standard[e.Name()] = true
	}
	p.implementations(func(decl *ast.FuncDecl, served *gen.Remote, method *types.Func) {
		within(decl.Body, func(n ast.Node) bool {
			ret, ok := n.(*ast.ReturnStmt)
			if ok && len(ret.Results) > 0 {
				p.returned(ret.Results[len(ret.Results)-1], func(at ast.Expr, obj types.Object, kind string) {
					if !standard[obj.Pkg().Path()+"."+obj.Name()] && !lists(served, obj) && obj.Pkg() != served.Object.Pkg() && !isRuntime(obj.Pkg()) {
						p.report(at.Pos(), "%s returns %s, which %s does not know: it arrives as its text, and %s does not find it: "+
							"declare it in package %s, or list it above the interface: //rmi:errors %s",
							served.Object.Name()+"."+method.Name(), p.named(obj), served.Object.Name(), kind, served.Object.Pkg().Name(), obj.Pkg().Name()+"."+obj.Name())
					}
				})
			}
			return true
		})
	})
}

// isRuntime tells whether a package is one whose errors every interface knows.
func isRuntime(pkg *types.Package) bool {
	return slices.Contains([]string{rmiPath, "github.com/rmigo/rmigo/refs"}, pkg.Path())
}

const rmiPath = "github.com/rmigo/rmigo/rmi"

// returned calls visit for each exported error value and error type in an expression that makes an error of them; kind is what
// would find it.
func (p *pass) returned(e ast.Expr, visit func(at ast.Expr, obj types.Object, kind string)) {
	e = ast.Unparen(e)
	if call, ok := e.(*ast.CallExpr); ok && p.wraps(call) {
		for _, arg := range call.Args {
			p.returned(arg, visit)
		}
		return
	}
	switch obj := p.object(e).(type) {
	case *types.Var:
		if obj.Pkg() != nil && obj.Parent() == obj.Pkg().Scope() && obj.Exported() && types.Identical(obj.Type(), types.Universe.Lookup("error").Type()) {
			visit(e, obj, "errors.Is")
			return
		}
	}
	t := p.pkg.Info.Types[e].Type
	if t == nil || types.IsInterface(t) || !types.Implements(t, errorType()) {
		return
	}
	if n, ok := pointee(t).(*types.Named); ok && n.Obj().Exported() && n.Obj().Pkg() != nil && n.TypeArgs().Len() == 0 {
		visit(e, n.Obj(), "errors.As")
	}
}

// wraps tells whether a call makes an error of errors that are its arguments.
func (p *pass) wraps(call *ast.CallExpr) bool {
	fn, ok := p.object(call.Fun).(*types.Func)
	if !ok || fn.Pkg() == nil {
		return false
	}
	switch fn.Pkg().Path() + "." + fn.Name() {
	case "errors.Join", rmiPath + ".WithCode":
		return true
	case "fmt.Errorf":
		format := p.pkg.Info.Types[call.Args[0]].Value
		return format != nil && strings.Contains(constant.StringVal(format), "%w")
	}
	return false
}

// object is what an identifier, qualified or not, or a selected field or method stands for; nil for any other expression.
func (p *pass) object(e ast.Expr) types.Object {
	switch e := ast.Unparen(e).(type) {
	case *ast.Ident:
		return p.pkg.Info.Uses[e]
	case *ast.SelectorExpr:
		return p.pkg.Info.Uses[e.Sel]
	case *ast.IndexExpr:
		return p.object(e.X)
	case *ast.IndexListExpr:
		return p.object(e.X)
	}
	return nil
}

// buffers finds methods that are to fill what they were passed: the declarations that say so, and the implementations that do.
func (p *pass) buffers() {
	for _, r := range p.pkg.Interfaces {
		for _, m := range r.Methods {
			if readsInto(m.Func) && p.Owns(m.Func) {
				p.report(m.Func.Pos(), "%s.%s fills a slice as io.Reader does: it is the implementation's copy that is filled, and the caller's stays as it was: "+
					"take the length and return the bytes", r.Object.Name(), m.Func.Name())
			}
		}
	}
	p.implementations(func(decl *ast.FuncDecl, served *gen.Remote, method *types.Func) {
		if readsInto(method) {
			return
		}
		for _, field := range decl.Type.Params.List {
			for _, name := range field.Names {
				v, _ := p.pkg.Info.Defs[name].(*types.Var)
				if v == nil || !p.refersToCopy(v.Type()) {
					continue
				}
				if at := p.onlyWritten(decl.Body, v); at.IsValid() {
					p.report(at, "%s.%s fills its parameter %s, which is a copy of the caller's when the call comes from another process: what is written is lost: return it as a result",
						served.Object.Name(), method.Name(), v.Name())
				}
			}
		}
	})
}

// readsInto tells whether a method is like io.Reader's or io.ReaderAt's.
func readsInto(m *types.Func) bool {
	params, results := m.Signature().Params(), m.Signature().Results()
	if !slices.Contains([]string{"Read", "ReadAt", "ReadFull"}, m.Name()) || results.Len() != 2 || !types.Identical(results.At(0).Type(), types.Typ[types.Int]) {
		return false
	}
	for v := range params.Variables() {
		if types.Identical(v.Type(), types.NewSlice(types.Typ[types.Uint8])) {
			return true
		}
	}
	return false
}

// refersToCopy tells whether a parameter refers to something that is copied on the way.
func (p *pass) refersToCopy(t types.Type) bool {
	switch t.Underlying().(type) {
	case *types.Pointer, *types.Slice, *types.Map:
		return true
	}
	return false
}

// onlyWritten returns where a function first writes through a parameter that it does nothing else with.
func (p *pass) onlyWritten(body ast.Node, v *types.Var) (first token.Pos) {
	writes := map[*ast.Ident]bool{}
	written := func(e ast.Expr) {
		var inner ast.Expr
		switch e := ast.Unparen(e).(type) {
		case *ast.StarExpr:
			inner = e.X
		case *ast.SelectorExpr:
			inner = e.X
		case *ast.IndexExpr:
			inner = e.X
		}
		if id, ok := ast.Unparen(inner).(*ast.Ident); inner != nil && ok && p.pkg.Info.Uses[id] == v {
			writes[id] = true
			if !first.IsValid() {
				first = e.Pos()
			}
		}
	}
	other := false
	ast.Inspect(body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			for _, lhs := range n.Lhs {
				written(lhs)
			}
		case *ast.CallExpr:
			if id, ok := n.Fun.(*ast.Ident); ok && (id.Name == "copy" || id.Name == "clear") && p.pkg.Info.Uses[id].Pkg() == nil {
				if arg, ok := ast.Unparen(n.Args[0]).(*ast.Ident); ok {
					written(&ast.StarExpr{Star: arg.Pos(), X: arg})
				}
			}
		case *ast.Ident:
			other = other || p.pkg.Info.Uses[n] == v && !writes[n]
		}
		return true
	})
	if other {
		return token.NoPos
	}
	return first
}
