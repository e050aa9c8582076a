package gen

import (
	"fmt"
	"go/types"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rmigo/rmigo/internal/leak"
)

// A reason is one for which an interface of another package is refused. Whether it is true of one is told here by other means
// than rmigen's.
type reason struct {
	text  string // in the table
	says  string // how a diagnostic of it reads
	holds func(*types.TypeName) bool
}

func reasons() []reason {
	anyMethod := func(is func(*types.Func) bool) func(*types.TypeName) bool {
		return func(obj *types.TypeName) bool {
			i, ok := obj.Type().Underlying().(*types.Interface)
			return ok && slices.ContainsFunc(slices.Collect(i.Methods()), is)
		}
	}
	mentions := func(is func(string, types.Type) bool) func(*types.TypeName) bool {
		return anyMethod(func(m *types.Func) bool {
			return leads(m.Signature(), m.Name(), is, map[types.Type]bool{})
		})
	}
	isInterface := func(_ string, t types.Type) bool { return types.IsInterface(t) && !isError(t) }
	return []reason{
		{text: "its package is internal, or vendored, or a program", says: `cannot import|cannot be imported`, holds: func(obj *types.TypeName) bool {
			path := "/" + obj.Pkg().Path() + "/"
			return strings.Contains(path, "/internal/") || strings.HasPrefix(path, "/vendor/") || obj.Pkg().Name() == "main"
		}},
		{text: "it is an alias of another", says: `it is an alias`, holds: (*types.TypeName).IsAlias},
		{text: "it is a constraint", says: `a type constraint cannot be remote`, holds: func(obj *types.TypeName) bool {
			return !obj.Type().Underlying().(*types.Interface).IsMethodSet()
		}},
		{text: "it has no methods", says: `an interface without methods`, holds: func(obj *types.TypeName) bool {
			return obj.Type().Underlying().(*types.Interface).NumMethods() == 0
		}},
		{text: "a method is not exported", says: `an unexported method cannot be remote`, holds: anyMethod(func(m *types.Func) bool { return !m.Exported() })},
		{text: "a method has no error result", says: `without an error result`, holds: anyMethod(func(m *types.Func) bool {
			r := m.Signature().Results()
			return r.Len() == 0 || r.At(r.Len()-1).Type().String() != "error"
		})},
		{text: "a method fills what its caller passes", says: `it is filled for the caller`, holds: anyMethod(func(m *types.Func) bool {
			params := m.Signature().Params().String()
			return strings.HasPrefix(m.Name(), "Read") && regexp.MustCompile(`\[\]byte|\*|any|interface\{\}`).MatchString(params) || regexp.MustCompile(`\bde?st\b`).MatchString(params)
		})},
		{text: "a function, channel or unsafe pointer would have to travel", says: `a function travels with|chan\b.*cannot travel|unsafe.Pointer cannot travel|iter\.Seq\S* cannot travel|a stream`,
			holds: mentions(func(_ string, t types.Type) bool {
				switch u := t.Underlying().(type) {
				case *types.Signature, *types.Chan:
					return true
				case *types.Basic:
					return u.Kind() == types.UnsafePointer
				}
				return false
			})},
		{text: "an interface of package io, or a context or error type, would have to travel", says: `interface type \S+ cannot travel`, holds: mentions(isInterface)},
		{text: "an interface would have to travel of which no possible values are known", says: `no type is known`, holds: mentions(isInterface)},
		{text: "nothing of a struct without exported fields would arrive", says: `has no exported field|would travel by the methods of its embedded|does not travel by pointer`,
			holds: mentions(func(_ string, t types.Type) bool {
				u, ok := t.Underlying().(*types.Struct)
				return ok && slices.ContainsFunc(slices.Collect(u.Fields()), func(f *types.Var) bool { return !f.Exported() })
			})},
		{text: "a type of a signature cannot be named elsewhere", says: `so the stub cannot`, holds: mentions(func(_ string, t types.Type) bool {
			n, ok := t.(*types.Named)
			return ok && n.Obj().Pkg() != nil && (!n.Obj().Exported() || strings.Contains(n.Obj().Pkg().Path(), "internal"))
		})},
	}
}

// leads tells whether a type leads to one that is.
func leads(t types.Type, name string, is func(string, types.Type) bool, seen map[types.Type]bool) bool {
	if seen[t] {
		return false
	}
	seen[t] = true
	if _, signature := t.(*types.Signature); (!signature || len(seen) > 1) && is(name, t) {
		return true
	}
	vars := func(t *types.Tuple) bool {
		return slices.ContainsFunc(slices.Collect(t.Variables()), func(v *types.Var) bool { return leads(v.Type(), v.Name(), is, seen) })
	}
	switch u := types.Unalias(t).Underlying().(type) {
	case *types.Signature:
		return vars(u.Params()) || vars(u.Results())
	case *types.Struct:
		return slices.ContainsFunc(slices.Collect(u.Fields()), func(v *types.Var) bool { return leads(v.Type(), v.Name(), is, seen) })
	case *types.Map:
		return leads(u.Key(), "", is, seen) || leads(u.Elem(), "", is, seen)
	case interface{ Elem() types.Type }:
		return leads(u.Elem(), "", is, seen)
	}
	return false
}

// exportedInterfaces returns the interfaces that a package exports.
func exportedInterfaces(pkg *types.Package) (all []*types.TypeName) {
	for _, name := range pkg.Scope().Names() {
		if obj, ok := pkg.Scope().Lookup(name).(*types.TypeName); ok && obj.Exported() && types.IsInterface(obj.Type()) {
			all = append(all, obj)
		}
	}
	return all
}

// A sweep tries interfaces one by one, each as rmigen -type does it, with one load for all.
type sweep struct {
	p     *program
	dir   string
	files int
	tried int
	count map[string]int
}

// try generates for one interface or checks that what it is refused for is true of it.
func (w *sweep) try(t *testing.T, obj *types.TypeName) {
	t.Helper()
	full := obj.Pkg().Path() + "." + obj.Name()
	w.tried++
	w.p.refused = nil
	s := &source{listed: listed{ImportPath: fmt.Sprintf("example.com/sweep/p%d", w.tried), Name: "p", Dir: filepath.Join(w.dir, fmt.Sprintf("p%d", w.tried))}}
	w.p.sources[s.ImportPath] = s
	w.p.addForeign(s, filepath.Join(s.Dir, "p.go"), &Foreign{Types: []string{full}, Timeout: 5 * time.Second})
	w.p.check(s)
	w.p.foreignMarks(s)
	plan := &Plan{}
	plan.add(w.p, s)
	if len(w.p.refused) == 0 {
		w.files++
		if err := plan.Write(); err != nil || len(plan.Files) != 1 {
			t.Fatalf("%s: %d files are planned, and writing them: %v; want one", full, len(plan.Files), err)
		}
		w.count[""]++
		return
	}
	met := map[string]bool{}
	for _, d := range w.p.refused {
		met[w.reason(t, obj, d.Text)] = true
	}
	for text := range met {
		w.count[text]++
	}
}

// reason finds the reason that a diagnostic gives.
func (w *sweep) reason(t *testing.T, obj *types.TypeName, says string) string {
	t.Helper()
	for _, r := range reasons() {
		if regexp.MustCompile(r.says).MatchString(says) {
			if !r.holds(obj) {
				t.Errorf("%s.%s is refused with %q, which is not true of it", obj.Pkg().Path(), obj.Name(), says)
			}
			return r.text
		}
	}
	t.Errorf("%s.%s is refused with %q, a reason that the table has not", obj.Pkg().Path(), obj.Name(), says)
	return says
}

// table is what the sweep found, for the docs.
func (w *sweep) table() string {
	var b strings.Builder
	version := regexp.MustCompile(`go\d+\.\d+`).FindString(runtime.Version())
	fmt.Fprintf(&b, "| of %d exported interfaces of %s's standard library | |\n|---|---|\n| are generated | %d |\n", w.tried, version, w.count[""])
	rows := reasons()
	slices.SortStableFunc(rows, func(a, b reason) int { return w.count[b.text] - w.count[a.text] })
	for _, r := range rows {
		if w.count[r.text] > 0 {
			fmt.Fprintf(&b, "| %s | %d |\n", r.text, w.count[r.text])
		}
	}
	return b.String()
}

const (
	tableBegin = "<!-- the standard library; written by go test ./internal/gen -run StandardLibrary -update -->\n"
	tableEnd   = "<!-- end -->\n"
)

// What it prints is a table of docs/rmigen.md: counts of one version of Go, on linux/amd64, where the test keeps it true.
func TestEveryInterfaceOfTheStandardLibraryIsGeneratedAndCompilesOrIsRefusedForATrueReason(t *testing.T) {
	leak.Check(t)
	dir := newModule(t, "example.com/sweep")
	p := newProgram(dir, false)
	all, err := p.list(t.Context(), []string{"std"})
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range all {
		p.place(l)
	}
	w := &sweep{p: p, dir: dir, count: map[string]int{}}
	for _, l := range all {
		if l.ImportPath == "unsafe" || len(l.GoFiles)+len(l.CgoFiles) == 0 { // it has no export data
			continue
		}
		pkg, err := p.gc.Import(l.ImportPath)
		if err != nil {
			t.Fatalf("%s: %v", l.ImportPath, err)
		}
		for _, obj := range exportedInterfaces(pkg) {
			w.try(t, obj)
		}
	}
	t.Logf("%d interfaces tried, %d generated", w.tried, w.files)
	for _, verb := range []string{"build", "vet"} {
		cmd := exec.CommandContext(t.Context(), "go", verb, "./...")
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("go %s: %v, want that all compiles\n%s", verb, err, out)
		}
	}
	compareTable(t, w.table())
}

func compareTable(t *testing.T, table string) {
	t.Helper()
	const path = "../../docs/rmigen.md"
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(text), tableBegin)
	was, after, ok2 := strings.Cut(rest, tableEnd)
	if !ok || !ok2 {
		t.Fatalf("%s has no place for the table: %q", path, tableBegin)
	}
	if *update {
		writeFile(t, path, before+tableBegin+table+tableEnd+after)
		return
	}
	first, _, _ := strings.Cut(table, "\n")
	version := regexp.MustCompile(`go\d+\.\d+`).FindString(first)
	if !strings.Contains(was, version+"'s") || runtime.GOOS+runtime.GOARCH != "linuxamd64" {
		t.Logf("the table in %s is of another version of Go or another platform", path)
	} else if was != table {
		t.Errorf("the table in %s is not true any more; run with -update and read the change\n got:\n%s\nwant:\n%s", path, was, table)
	}
}
