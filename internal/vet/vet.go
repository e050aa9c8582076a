// Package vet finds what compiles and will hurt at run time: in remote interfaces, in what travels by them, and in the code that
// implements and calls them.
//
//	findings, err := vet.Run(ctx, gen.Options{Packages: []string{"./..."}})
//	for _, f := range findings {
//		fmt.Println(f) // order.go:9:2: Order.mu is a sync.Mutex …: send a struct without it … [mutex]
//	}
//
// Guarantees:
//
//  1. Each finding says where, what, why it hurts and what to do instead, and names the check that made it.
//  2. What is reported happens on a path through the code that is there to be read: checks look at one function at a time, and
//     where they cannot tell they are silent.
//  3. The same sources give the same findings in the same order.
package vet

import (
	"cmp"
	"context"
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"slices"

	"github.com/rmigo/rmigo/internal/gen"
)

// A Finding is one thing that will hurt.
type Finding struct {
	Pos   token.Position // Filename is relative to gen.Options.Dir
	Check string         // the name of one of Checks
	Text  string         // what, why and remedy, with ": " between
}

func (f Finding) String() string { return fmt.Sprintf("%s: %s [%s]", f.Pos, f.Text, f.Check) }

// A Check is one kind of finding.
type Check struct {
	Name string
	Doc  string // what it finds, in one line
	run  func(*pass)
}

// Checks lists the checks in the order in which they are documented.
func Checks() []Check {
	return []Check{
		{"mutex", "a lock in a struct that travels by value", (*pass).mutexes},
		{"context", "a context in a struct that travels by value", (*pass).contexts},
		{"array", "an array too large to be copied, or to travel", (*pass).arrays},
		{"unexported", "a field that does not travel and that a method of the struct reads", (*pass).unexported},
		{"partial", "a struct of another module of which only the exported half travels", (*pass).partial},
		{"errortype", "an exported error type that arrives without its type", (*pass).errorTypes},
		{"sentinel", "an exported error value that arrives as another one", (*pass).sentinels},
		{"unlisted", "a method that returns an exported error its interface does not know", (*pass).unlisted},
		{"buffer", "a parameter that is filled for the caller, who has another copy", (*pass).buffers},
		{"holder", "an argument that its interface-typed parameter may not hold", (*pass).holders},
		{"pointer", "an implementation that is not a pointer", (*pass).pointers},
		{"assertion", "a type assertion that no stub satisfies", (*pass).assertions},
		{"background", "a remote call that leaves the context of its caller", (*pass).backgrounds},
		{"lock", "a remote call while a lock is held", (*pass).locks},
		{"retry", "a call repeated after a failure though it is not idempotent", (*pass).retries},
	}
}

// Run reads packages, with the generated files as they are on disk, and returns what it finds, by position. It fails as
// gen.Generate does.
func Run(ctx context.Context, opts gen.Options) ([]Finding, error) {
	model, err := gen.Read(ctx, opts, true)
	if err != nil {
		return nil, err
	}
	var found []Finding
	for _, check := range Checks() {
		for _, pkg := range model.Packages {
			check.run(&pass{Model: model, pkg: pkg, check: check.Name, found: &found})
		}
	}
	slices.SortFunc(found, func(a, b Finding) int {
		return cmp.Or(
			cmp.Compare(a.Pos.Filename, b.Pos.Filename),
			cmp.Compare(a.Pos.Line, b.Pos.Line),
			cmp.Compare(a.Pos.Column, b.Pos.Column),
			cmp.Compare(a.Check, b.Check),
			cmp.Compare(a.Text, b.Text),
		)
	})
	return slices.Compact(found), nil
}

// A pass is one check at work on one package.
type pass struct {
	*gen.Model
	pkg   *gen.Package
	check string
	found *[]Finding
}

func (p *pass) report(pos token.Pos, format string, args ...any) {
	*p.found = append(*p.found, Finding{p.Position(pos), p.check, fmt.Sprintf(format, args...)})
}

// functions calls visit for each function of the package that has a body, and for each function literal, with what its type says.
func (p *pass) functions(visit func(typ *ast.FuncType, body *ast.BlockStmt)) {
	for _, f := range p.pkg.Files {
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				if n.Body != nil {
					visit(n.Type, n.Body)
				}
			case *ast.FuncLit:
				visit(n.Type, n.Body)
			}
			return true
		})
	}
}

// within calls visit for each node of a function's body, but for those of function literals in it.
func within(body ast.Node, visit func(ast.Node) bool) {
	ast.Inspect(body, func(n ast.Node) bool {
		if _, literal := n.(*ast.FuncLit); literal && n != body {
			return false
		}
		return n == nil || visit(n)
	})
}

// implementation calls visit for each method of the package that a remote interface may be served by.
func (p *pass) implementations(visit func(decl *ast.FuncDecl, served *gen.Remote, method *types.Func)) {
	for _, f := range p.pkg.Files {
		for _, d := range f.Decls {
			decl, ok := d.(*ast.FuncDecl)
			if !ok || decl.Recv == nil || decl.Body == nil {
				continue
			}
			if fn, ok := p.pkg.Info.Defs[decl.Name].(*types.Func); ok {
				for _, r := range p.serves(fn) {
					for _, m := range r.Methods {
						if m.Func.Name() == fn.Name() {
							visit(decl, r, m.Func)
						}
					}
				}
			}
		}
	}
}

// serves lists the remote interfaces that the receiver of a method implements by pointer.
func (p *pass) serves(fn *types.Func) (all []*gen.Remote) {
	recv := types.NewPointer(pointee(fn.Signature().Recv().Type()))
	for _, pkg := range p.Packages {
		for _, r := range pkg.Interfaces {
			if u, ok := r.Object.Type().Underlying().(*types.Interface); ok && types.Implements(recv, u) {
				all = append(all, r)
			}
		}
	}
	return all
}

// pointee is what a type points to, or the type.
func pointee(t types.Type) types.Type {
	if p, ok := types.Unalias(t).(*types.Pointer); ok {
		t = p.Elem()
	}
	return types.Unalias(t)
}

// name is an object or type as the package's files would write it.
func (p *pass) name(t types.Type) string {
	return types.TypeString(t, func(pkg *types.Package) string {
		if pkg == p.pkg.Types {
			return ""
		}
		return pkg.Name()
	})
}

// named is the name of a package-level object, as the package's files would write it.
func (p *pass) named(obj types.Object) string {
	if obj.Pkg() == nil || obj.Pkg() == p.pkg.Types {
		return obj.Name()
	}
	return obj.Pkg().Name() + "." + obj.Name()
}

// isOf tells whether a type is declared, under one of the names, in a package of that path.
func isOf(t types.Type, path string, names ...string) bool {
	n, ok := types.Unalias(t).(*types.Named)
	return ok && n.Obj().Pkg() != nil && n.Obj().Pkg().Path() == path && slices.Contains(names, n.Origin().Obj().Name())
}
