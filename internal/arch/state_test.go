package arch

import (
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"slices"
	"strings"
	"testing"

	"github.com/rmigo/rmigo/internal/leak"
)

func TestNothingLivesInAPackage(t *testing.T) {
	leak.Check(t)
	report(t, stateful(units(t), constants))
}

func TestTestsDoNotWaitForTheRealClock(t *testing.T) {
	leak.Check(t)
	report(t, sleepy(units(t)))
}

func TestEveryTestChecksForGoroutinesLeftOver(t *testing.T) {
	leak.Check(t)
	report(t, unchecked(units(t)))
}

// leakChecks are the calls of which a test makes one: leak.Check itself, a bubble, which finds what is left over by itself, and the
// functions of tests that make one of these for each of their parts.
var leakChecks = []string{"leak.Check", "synctest.Test", "everywhere", "inTown"}

// unchecked finds tests that would not notice a goroutine that outlives them.
func unchecked(all []*unit) []string {
	var found []string
	for _, u := range all {
		for _, f := range u.files {
			if !f.kind.test() {
				continue
			}
			for _, decl := range f.syntax.Decls {
				test, ok := decl.(*ast.FuncDecl)
				if ok && strings.HasPrefix(test.Name.Name, "Test") && test.Name.Name != "TestMain" && !checksLeaks(test) {
					found = append(found, fmt.Sprintf("%s: %s of %s does not notice goroutines that it leaves over: begin it with "+
						"leak.Check(t)", f.at(test), test.Name.Name, u.path))
				}
			}
		}
	}
	return found
}

func checksLeaks(test *ast.FuncDecl) (checks bool) {
	ast.Inspect(test, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		checks = checks || ok && slices.Contains(leakChecks, types.ExprString(call.Fun))
		return !checks
	})
	return checks
}

// stateful finds init functions and package-level variables that could change, in what is neither a test nor generated.
func stateful(all []*unit, constants []edge) []string {
	var found []string
	used := map[edge]bool{}
	for _, u := range all {
		for _, f := range u.files {
			if f.kind != source {
				continue
			}
			for _, decl := range f.syntax.Decls {
				switch decl := decl.(type) {
				case *ast.FuncDecl:
					if decl.Recv == nil && decl.Name.Name == "init" {
						found = append(found, fmt.Sprintf("%s: %s has an init function, which every program runs that links it: make "+
							"it a method or a constructor that somebody calls", f.at(decl), u.path))
					}
				case *ast.GenDecl:
					if decl.Tok != token.VAR {
						continue
					}
					for _, name := range changeable(u, f, decl) {
						if e, ok := find(constants, u.path, name.Name); ok {
							used[e] = true
							continue
						}
						found = append(found, fmt.Sprintf("%s: %s.%s is a variable of the package, so that two nodes in a process "+
							"share it: make it a constant, a function or a field; if nothing can change it, add it with its reason "+
							"to constants in diagram_test.go", f.at(name), u.path, name.Name))
					}
				}
			}
		}
	}
	return append(found, unused("constants", constants, used)...)
}

// changeable returns the names in a declaration of variables that are not plainly constant.
func changeable(u *unit, f *file, decl *ast.GenDecl) []*ast.Ident {
	var names []*ast.Ident
	for _, spec := range decl.Specs {
		spec := spec.(*ast.ValueSpec)
		for i, name := range spec.Names {
			switch {
			case name.Name == "_": // an assertion
			case len(spec.Values) == len(spec.Names) && (isSentinel(f, spec.Values[i]) || isDescriptor(u, f, spec.Values[i])):
			default:
				names = append(names, name)
			}
		}
	}
	return names
}

// isSentinel reports whether e makes an error that is told by its identity.
func isSentinel(f *file, e ast.Expr) bool {
	call, ok := e.(*ast.CallExpr)
	return ok && (f.names(call.Fun, "errors", "New") || f.names(call.Fun, "fmt", "Errorf"))
}

// isDescriptor reports whether e is the literal of an interface's descriptor.
func isDescriptor(u *unit, f *file, e ast.Expr) bool {
	ref, ok := e.(*ast.UnaryExpr)
	if !ok || ref.Op != token.AND {
		return false
	}
	literal, ok := ref.X.(*ast.CompositeLit)
	if !ok {
		return false
	}
	generic, ok := literal.Type.(*ast.IndexExpr)
	if !ok {
		return false
	}
	name, ok := generic.X.(*ast.Ident)
	return f.names(generic.X, "skeleton", "Interface") || ok && u.path == "skeleton" && name.Name == "Interface"
}

// sleepy finds sleeps of the real clock: those in test files that have no bubbles.
func sleepy(all []*unit) []string {
	var found []string
	for _, u := range all {
		for _, f := range u.files {
			bubbles := slices.ContainsFunc(f.imports, func(i imported) bool { return i.path == "testing/synctest" })
			if !f.kind.test() || bubbles {
				continue
			}
			ast.Inspect(f.syntax, func(n ast.Node) bool {
				if e, ok := n.(ast.Expr); ok && f.names(e, "time", "Sleep") {
					found = append(found, fmt.Sprintf("%s: a test of %s sleeps: run it in a bubble of testing/synctest, or wait for "+
						"what it waits for", f.at(n), u.path))
				}
				return true
			})
		}
	}
	return found
}

func TestWhatCountsAsState(t *testing.T) {
	leak.Check(t)
	const head = `package a
import ("errors"; oops "fmt"; "time"; "github.com/rmigo/rmigo/skeleton")
`
	for text, want := range map[string]string{
		`var ErrA = errors.New("a")`:                           "",
		`var errA = oops.Errorf("%w: b", ErrA)`:                "",
		`var ErrA, errB = errors.New("a"), errors.New("b")`:    "",
		`var _ = errors.New`:                                   "",
		`var D = &skeleton.Interface[I]{}`:                     "",
		`const c = 1; type T struct{}; func (T) init() {}`:     "",
		`func f() { var n int; n++ }`:                          "",
		`var settled = 1`:                                      "",
		`func init() {}`:                                       "a.go:3:1: a has an init function",
		`var n int`:                                            "a.go:3:5: a.n is a variable of the package",
		`var ( ErrA = errors.New("a"); cache = map[int]int{})`: "a.go:3:31: a.cache is a variable",
		`var D = skeleton.Interface[I]{}`:                      "a.D is a variable",
		`var E, F = f()`:                                       "a.E is a variable",
		`var T = oops.Sprint("")`:                              "a.T is a variable",
	} {
		used := []edge{}
		if strings.Contains(text, "settled") {
			used = []edge{{"a", "settled", "never assigned"}}
		}
		found := stateful(module(t, map[string]string{"a/a.go": head + text}), used)
		if want == "" && len(found) > 0 || want != "" && (len(found) == 0 || !strings.Contains(found[0], want)) {
			t.Errorf("%s: got %q, want %q", text, found, want)
		}
	}
}

func TestWhatCountsAsSleep(t *testing.T) {
	leak.Check(t)
	for text, want := range map[string]int{
		`import "time"; func f() { time.Sleep(1); defer time.Sleep(2) }`:                         2,
		`import clock "time"; func f() { go clock.Sleep(1) }`:                                    1,
		`import ("time"; _ "testing/synctest"); func f() { time.Sleep(1) }`:                      0,
		`import "time"; func f() { var time struct{ Until func() }; time.Until(); _ = "Sleep" }`: 0,
	} {
		found := sleepy(module(t, map[string]string{"a/a_test.go": "package a; " + text}))
		if len(found) != want {
			t.Errorf("%s: got %q, want %d findings", text, found, want)
		}
	}
	found := sleepy(module(t, map[string]string{"a/a.go": `package a; import "time"; func f() { time.Sleep(1) }`}))
	if found != nil {
		t.Errorf("got %q for code that is not a test", found)
	}
}
