package arch

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

const (
	modulePath = "github.com/rmigo/rmigo"
	root       = "../.."
)

// A unit is a package of this module. Its path, like all paths of this module's packages here, is relative to the module.
type unit struct {
	path  string
	files []*file
	deps  []string // what a program that imports it links, without the standard library; in full, and the unit itself too
}

// A file is one Go file, whatever platform it is for.
type file struct {
	name    string // relative to the module, with slashes
	kind    kind
	syntax  *ast.File
	fset    *token.FileSet
	imports []imported
}

type kind int

const (
	source      kind = iota
	generated        // by rmigen
	insideTest       // in the package that it tests
	outsideTest      // in a package of its own
)

func (k kind) test() bool { return k == insideTest || k == outsideTest }

// An imported is one import: a package of this module by its relative path, any other in full.
type imported struct {
	path  string
	local bool   // of this module
	as    string // the name it has in the file
	at    string // file:line:column
}

func (i imported) standard() bool {
	first, _, _ := strings.Cut(i.path, "/")
	return !i.local && !strings.Contains(first, ".") // the go command's own rule
}

// units returns the module's packages. The go command is asked once, however many tests there are.
func units(t *testing.T) []*unit {
	t.Helper()
	all, err := load()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

var load = sync.OnceValues(func() ([]*unit, error) {
	if err := look(); err != nil {
		return nil, err
	}
	listed, err := list()
	if err != nil {
		return nil, err
	}
	standard := map[string]bool{}
	for _, p := range listed {
		standard[p.ImportPath] = p.Standard
	}
	dir, err := filepath.Abs(root)
	if err != nil {
		return nil, err
	}
	var all []*unit
	for _, p := range listed {
		if p.DepOnly {
			continue
		}
		u := &unit{path: relative(p.ImportPath)}
		u.deps = slices.DeleteFunc(append(p.Deps, p.ImportPath), func(dep string) bool { return standard[dep] })
		slices.Sort(u.deps)
		within, err := filepath.Rel(dir, p.Dir)
		if err != nil {
			return nil, err
		}
		for _, name := range p.files() {
			text, err := os.ReadFile(filepath.Join(root, within, name))
			if err != nil {
				return nil, err
			}
			f, err := parse(path.Join(filepath.ToSlash(within), name), text)
			if err != nil {
				return nil, err
			}
			u.files = append(u.files, f)
		}
		all = append(all, u)
	}
	return all, nil
})

// look reads the module's folders, for one purpose: the go command keeps the result of a test until a file or folder that
// the test has read changes, and does not see what the commands do that a test runs. A new package must count as a change.
func look() error {
	return filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.IsDir() || name == root {
			return err
		}
		if strings.HasPrefix(entry.Name(), ".") || entry.Name() == "testdata" || entry.Name() == "bin" {
			return fs.SkipDir
		}
		if _, err := os.Stat(filepath.Join(name, "go.mod")); err == nil {
			return fs.SkipDir
		}
		return nil
	})
}

// A listing is what the go command says of a package.
type listing struct {
	ImportPath, Dir                                              string
	Standard, DepOnly                                            bool
	GoFiles, CgoFiles, IgnoredGoFiles, TestGoFiles, XTestGoFiles []string
	Deps                                                         []string
}

func (l *listing) files() []string {
	return slices.Concat(l.GoFiles, l.CgoFiles, l.IgnoredGoFiles, l.TestGoFiles, l.XTestGoFiles)
}

func list() ([]*listing, error) {
	cmd := exec.Command("go", "list", "-deps", "-buildvcs=false", "-json="+
		"ImportPath,Dir,Standard,DepOnly,GoFiles,CgoFiles,IgnoredGoFiles,TestGoFiles,XTestGoFiles,Deps", "./...")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=readonly")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w\n%s", err, &stderr)
	}
	var all []*listing
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		p := new(listing)
		if err := dec.Decode(p); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return nil, fmt.Errorf("go list: %w", err)
		}
		all = append(all, p)
	}
}

// parse reads one file; name is relative to the module.
func parse(name string, text []byte) (*file, error) {
	f := &file{name: name, fset: token.NewFileSet()}
	var err error
	f.syntax, err = parser.ParseFile(f.fset, name, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	switch {
	case strings.HasSuffix(name, "_test.go") && strings.HasSuffix(f.syntax.Name.Name, "_test"):
		f.kind = outsideTest
	case strings.HasSuffix(name, "_test.go"):
		f.kind = insideTest
	case ast.IsGenerated(f.syntax):
		f.kind = generated
	}
	for _, spec := range f.syntax.Imports {
		full, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return nil, err
		}
		imp := imported{path: full, as: path.Base(full), at: f.at(spec)}
		if full == modulePath || strings.HasPrefix(full, modulePath+"/") {
			imp.path, imp.local = relative(full), true
		}
		if spec.Name != nil {
			imp.as = spec.Name.Name
		}
		f.imports = append(f.imports, imp)
	}
	return f, nil
}

func relative(full string) string { return strings.TrimPrefix(full, modulePath+"/") }

// at says where a node is.
func (f *file) at(n ast.Node) string { return f.fset.Position(n.Pos()).String() }

// names reports whether e is name of the package that has the import path, as in errors.New.
func (f *file) names(e ast.Expr, from, name string) bool {
	sel, ok := e.(*ast.SelectorExpr)
	if !ok || sel.Sel.Name != name {
		return false
	}
	x, ok := sel.X.(*ast.Ident)
	return ok && slices.ContainsFunc(f.imports, func(i imported) bool { return i.path == from && i.as == x.Name })
}

// report fails t with all that was found, sorted.
func report(t *testing.T, found []string) {
	t.Helper()
	slices.SortFunc(found, cmp.Compare)
	for _, finding := range slices.Compact(found) {
		t.Error(finding)
	}
}
