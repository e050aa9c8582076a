package arch

import (
	"fmt"
	"go/ast"
	"go/token"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/rmigo/rmigo/internal/leak"
)

func TestWhatUsersCallIsShownInAnExample(t *testing.T) {
	leak.Check(t)
	report(t, unshown(units(t), exemplary, selfEvident))
}

// exemplary are the packages of which users read the examples.
var exemplary = []string{"rmi", "registry"}

// unshown finds exported functions, methods, types and variables of packages that no example of the package uses, in files named
// example_test.go or example_…_test.go.
func unshown(all []*unit, packages []string, excused []edge) []string {
	var found []string
	used := map[edge]bool{}
	for _, u := range all {
		if !slices.Contains(packages, u.path) {
			continue
		}
		shown := map[string]bool{}
		for _, f := range u.files {
			if f.kind == outsideTest && strings.HasPrefix(path.Base(f.name), "example_") {
				maps.Copy(shown, selected(f))
			}
		}
		for _, f := range u.files {
			if f.kind != source {
				continue
			}
			for name, at := range exported(f) {
				if shown[name[strings.LastIndexByte(name, '.')+1:]] {
					continue
				}
				if e, ok := find(excused, u.path, name); ok {
					used[e] = true
					continue
				}
				found = append(found, fmt.Sprintf("%s: no example uses %s.%s: write one in an example_…_test.go, or name it in one that "+
					"shows it by the way; if it needs none, add it with its reason to selfEvident in diagram_test.go", at, u.path, name))
			}
		}
	}
	return append(found, unused("selfEvident", excused, used)...)
}

// selected are the names that the file selects of something, as F in pkg.F and M in x.M.
func selected(f *file) map[string]bool {
	names := map[string]bool{}
	ast.Inspect(f.syntax, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok {
			names[sel.Sel.Name] = true
		}
		return true
	})
	return names
}

// exported are what the file exports but for constants, with where: F, T, and T.M for methods of exported types.
func exported(f *file) map[string]string {
	names := map[string]string{}
	add := func(prefix string, name *ast.Ident) {
		if name.IsExported() {
			names[prefix+name.Name] = f.at(name)
		}
	}
	for _, decl := range f.syntax.Decls {
		switch decl := decl.(type) {
		case *ast.FuncDecl:
			if decl.Recv == nil {
				add("", decl.Name)
			} else if of := receiver(decl.Recv.List[0].Type); of.IsExported() {
				add(of.Name+".", decl.Name)
			}
		case *ast.GenDecl:
			if decl.Tok == token.CONST {
				continue
			}
			for _, spec := range decl.Specs {
				switch spec := spec.(type) {
				case *ast.TypeSpec:
					add("", spec.Name)
				case *ast.ValueSpec:
					for _, name := range spec.Names {
						add("", name)
					}
				}
			}
		}
	}
	return names
}

// receiver is the type that a method is of.
func receiver(e ast.Expr) *ast.Ident {
	switch e := e.(type) {
	case *ast.StarExpr:
		return receiver(e.X)
	case *ast.IndexExpr:
		return receiver(e.X)
	case *ast.IndexListExpr:
		return receiver(e.X)
	}
	return e.(*ast.Ident)
}

func TestWhatCountsAsShown(t *testing.T) {
	leak.Check(t)
	const api = `package a
type T[K any] struct{}
func (*T[K]) Put() {}
func (T[K]) Get() {}
func (t t) Hidden() {}
type t struct{}
func F() {}
var V, w = 1, 2
const C = 1
`
	const example = `package a_test
func ExampleF() { a.F(); new(a.T[int]).Put() }`
	for name, c := range map[string]struct {
		files map[string]string
		want  []string
	}{
		"an example file":         {map[string]string{"a/a.go": api, "a/example_x_test.go": example}, []string{"a.T.Get", "a.V"}},
		"a test that calls it":    {map[string]string{"a/a.go": api, "a/a_test.go": example}, []string{"a.F", "a.T", "a.T.Get", "a.T.Put", "a.V"}},
		"a package of no concern": {map[string]string{"b/b.go": api}, nil},
	} {
		found := unshown(module(t, c.files), []string{"a"}, nil)
		slices.SortFunc(found, func(x, y string) int { return strings.Compare(named(x), named(y)) })
		if len(found) != len(c.want) {
			t.Errorf("%s: got %q, want %d findings", name, found, len(c.want))
			continue
		}
		for i, want := range c.want {
			if named(found[i]) != want {
				t.Errorf("%s: got %q, want one of %s", name, found[i], want)
			}
		}
	}
}

// named is what a finding of unshown is about.
func named(finding string) string {
	_, rest, _ := strings.Cut(finding, "uses ")
	name, _, _ := strings.Cut(rest, ": ")
	return name
}
