package gen

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/build"
	"go/importer"
	"go/parser"
	"go/scanner"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// A program is what one run has read. Packages of the main module are type-checked from source, because a sibling whose
// generated file does not exist yet has no export data; all others come from export data. Function bodies are skipped and
// our own output is left out, so uses of generated names in the rest of the package are type errors: expected ones. An
// error counts only when a marked interface's signatures lead to it (see survey).
type program struct {
	dir     string
	fset    *token.FileSet
	sources map[string]*source // of the main module, by import path
	targets []*source          // those asked for, in import path order
	exports map[string]string  // import path → file of export data, of what is imported
	missing map[string]string  // import path → why the go command did not find it
	gc      types.Importer     // reads exports
	remotes map[*types.Package][]*types.Named
	dirs    map[string]string // import path → directory
	names   map[string]string // import path → package's name
	others  map[string]*file  // of other modules, by path; nil where there is none
	refused Diagnostics
	notes   Diagnostics
	bodies  bool // those of the targets are checked too, with our own output as it is
}

// A source is a package of the main module.
type source struct {
	listed
	files    []*file
	ours     []*ast.File // with bodies: what rmigen wrote
	tests    []*ast.File // of a target, as far as they can be parsed
	types    *types.Package
	scopes   map[ast.Node]*types.Scope
	info     *types.Info // with bodies, of a target
	errs     []types.Error
	checking bool
	directives
}

// A file is one that the user wrote.
type file struct {
	path       string
	syntax     *ast.File
	constraint string // the build constraint that holds for it, also by its name; "" when there is none
	codes      []*structCode
	foreign    *Foreign // of the file that stands for a line rmigen:type
	option     bool     // and it is not on disk, but was asked for
	errorsFunc string   // what lists the package's errors in its generated file; "" when each interface does so itself
}

// listed is what the go command says about a package.
type listed struct {
	ImportPath, Name, Dir, Export string
	Standard, DepOnly             bool
	GoFiles, CgoFiles             []string
	TestGoFiles, XTestGoFiles     []string
	IgnoredGoFiles                []string
	ImportMap                     map[string]string
	Module                        *module
	Error                         *struct{ Pos, Err string }
}

type module struct {
	Main      bool
	GoVersion string
}

// fromSource is false for the standard library and for modules that the main one depends on.
func (l *listed) fromSource() bool {
	return !l.Standard && (l.Module == nil || l.Module.Main)
}

func newProgram(dir string, bodies bool) *program {
	p := &program{dir: dir, fset: token.NewFileSet(), sources: map[string]*source{}, remotes: map[*types.Package][]*types.Named{}, bodies: bodies}
	p.exports, p.missing = map[string]string{}, map[string]string{}
	p.dirs, p.names, p.others = map[string]string{}, map[string]string{}, map[string]*file{}
	p.gc = importer.ForCompiler(p.fset, "gc", p.openExport)
	return p
}

func load(ctx context.Context, opts Options, bodies bool) (*program, error) {
	dir, err := filepath.Abs(opts.Dir)
	if err != nil {
		return nil, err
	}
	p := newProgram(dir, bodies)
	if opts.Foreign != nil {
		err = p.readForeign(ctx, opts)
	} else {
		err = p.read(ctx, opts.Packages)
	}
	if err == nil {
		err = p.readMentioned(ctx)
	}
	if err == nil {
		err = p.findExports(ctx)
	}
	if err != nil {
		return nil, err
	}
	slices.SortFunc(p.targets, func(a, b *source) int { return strings.Compare(a.ImportPath, b.ImportPath) })
	for _, s := range p.targets {
		p.check(s)
	}
	for _, s := range p.targets {
		p.checkUses(s)
		p.foreignMarks(s)
	}
	return p, nil
}

// read places packages and all that they import.
func (p *program) read(ctx context.Context, packages []string) error {
	all, err := p.list(ctx, packages)
	for _, l := range all {
		p.place(l)
	}
	return err
}

// readMentioned places the packages that are named in comments only, and what they import.
func (p *program) readMentioned(ctx context.Context) error {
	paths := slices.DeleteFunc(p.inComments(), p.placed)
	if len(paths) == 0 {
		return nil
	}
	all, err := p.list(ctx, paths)
	for _, l := range all {
		if l.DepOnly = true; !p.placed(l.ImportPath) {
			p.place(l)
		}
	}
	return err
}

func (p *program) inComments() (paths []string) {
	for _, s := range p.targets {
		for _, u := range s.uses {
			paths = append(paths, u.path, u.in)
		}
		for _, f := range s.files {
			if f.foreign != nil {
				paths = append(paths, f.foreign.packages()...)
			}
		}
	}
	return paths
}

// placed tells whether a package is known, or known not to be there.
func (p *program) placed(path string) bool {
	_, known := p.dirs[path]
	return known
}

// list asks the go command for the packages and all that they import. It compiles none of them.
func (p *program) list(ctx context.Context, packages []string) ([]*listed, error) {
	const fields = "ImportPath,Name,Dir,Standard,DepOnly,GoFiles,CgoFiles,TestGoFiles,XTestGoFiles,IgnoredGoFiles,ImportMap,Module,Error"
	args := []string{"-deps", "-json=" + fields, "--"}
	for _, name := range packages {
		args = append(args, p.pattern(name))
	}
	return p.goList(ctx, args...)
}

// findExports asks the go command for the export data of what the main module's packages import from elsewhere, in files that are
// checked, and in comments.
func (p *program) findExports(ctx context.Context) error {
	need := p.inComments()
	for _, s := range p.sources {
		for _, syntax := range s.syntax() {
			for _, spec := range syntax.Imports {
				path, _ := strconv.Unquote(spec.Path.Value)
				need = append(need, cmp.Or(s.ImportMap[path], path))
			}
		}
	}
	return p.export(ctx, unique(need))
}

func (p *program) export(ctx context.Context, paths []string) error {
	paths = slices.DeleteFunc(paths, func(path string) bool {
		return !p.placed(path) || p.sources[path] != nil || p.missing[path] != ""
	})
	if len(paths) == 0 {
		return nil
	}
	found, err := p.goList(ctx, append([]string{"-export", "-json=ImportPath,Export", "--"}, paths...)...)
	for _, l := range found {
		p.exports[l.ImportPath] = l.Export
	}
	return err
}

func (p *program) goList(ctx context.Context, args ...string) ([]*listed, error) {
	cmd := exec.CommandContext(ctx, "go", append([]string{"list", "-e"}, args...)...)
	cmd.Dir = p.dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w\n%s", err, bytes.TrimSpace(stderr.Bytes()))
	}
	var all []*listed
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		l := new(listed)
		if err := dec.Decode(l); err == io.EOF {
			return all, nil
		} else if err != nil {
			return nil, fmt.Errorf("go list: %w", err)
		}
		all = append(all, l)
	}
}

// pattern lets a directory be named without the "./" that tells the go command so.
func (p *program) pattern(name string) string {
	if filepath.IsAbs(name) || build.IsLocalImport(name) {
		return name
	}
	if info, err := os.Stat(filepath.Join(p.dir, name)); err == nil && info.IsDir() {
		return "./" + name
	}
	return name
}

// place puts a package where it will be found: parsed, or as the name of its export data.
func (p *program) place(l *listed) {
	p.dirs[l.ImportPath], p.names[l.ImportPath] = l.Dir, l.Name
	switch {
	case l.Error != nil && len(l.GoFiles)+len(l.CgoFiles) == 0:
		p.missing[l.ImportPath] = strings.Join(strings.Fields(l.Error.Err), " ")
		if !l.DepOnly {
			p.refused = append(p.refused, Diagnostic{token.Position{Filename: l.ImportPath}, p.missing[l.ImportPath]})
		}
	case l.fromSource():
		s := &source{listed: *l}
		p.parse(s)
		p.sources[l.ImportPath] = s
		if !l.DepOnly {
			p.targets = append(p.targets, s)
			p.refused = append(p.refused, s.misused...)
		}
	case !l.DepOnly:
		p.refused = append(p.refused, Diagnostic{token.Position{Filename: l.ImportPath}, "not in the main module: run rmigen in its own"})
	}
}

// parse reads the files that the build context selects, without those that rmigen wrote: those say what an earlier run
// saw, may name what is gone, and may hold the marks of an unresolved merge.
func (p *program) parse(s *source) {
	for _, name := range slices.Concat(s.GoFiles, s.CgoFiles) {
		path := filepath.Join(s.Dir, name)
		if ours, err := isOurs(path); ours && err == nil {
			p.parseOurs(s, path)
			if foreign := foreignOf(path); foreign != nil {
				p.addForeign(s, strings.TrimSuffix(path, suffix)+".go", foreign)
			}
			continue
		}
		syntax, err := parser.ParseFile(p.fset, path, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			if !s.DepOnly {
				p.refuseSyntax(path, err)
			}
			continue
		}
		s.files = append(s.files, &file{path: path, syntax: syntax, constraint: buildConstraint(name, syntax)})
	}
	if !s.DepOnly {
		p.parseTests(s)
	}
	p.readDirectives(s)
}

// parseOurs reads a file that rmigen wrote, which bodies refer to.
func (p *program) parseOurs(s *source, path string) {
	if !p.bodies {
		return
	}
	if syntax, err := parser.ParseFile(p.fset, path, nil, parser.SkipObjectResolution); err == nil {
		s.ours = append(s.ours, syntax)
	}
}

// parseTests reads the test files, for their names and for directives that do not belong there. Whether they are valid Go
// is not our concern.
func (p *program) parseTests(s *source) {
	for _, name := range slices.Concat(s.TestGoFiles, s.XTestGoFiles) {
		syntax, _ := parser.ParseFile(p.fset, filepath.Join(s.Dir, name), nil, parser.ParseComments|parser.SkipObjectResolution)
		if syntax != nil {
			s.tests = append(s.tests, syntax)
		}
	}
}

func (p *program) refuseSyntax(path string, err error) {
	var list scanner.ErrorList
	if !errors.As(err, &list) {
		p.refused = append(p.refused, Diagnostic{token.Position{Filename: p.relative(path)}, err.Error()})
	}
	for _, e := range list {
		e.Pos.Filename = p.relative(e.Pos.Filename)
		p.refused = append(p.refused, Diagnostic{e.Pos, e.Msg})
	}
}

// check type-checks s once and keeps the errors. The package it returns may be incomplete.
func (p *program) check(s *source) *types.Package {
	if s.types != nil {
		return s.types
	}
	s.checking = true
	defer func() { s.checking = false }()
	conf := types.Config{
		Importer:         importing{p, s},
		IgnoreFuncBodies: !p.bodies || s.DepOnly,
		FakeImportC:      true,
		Sizes:            types.SizesFor("gc", build.Default.GOARCH),
		Error:            func(err error) { s.errs = append(s.errs, err.(types.Error)) },
	}
	if s.Module != nil && s.Module.GoVersion != "" {
		conf.GoVersion = "go" + s.Module.GoVersion
	}
	info := &types.Info{Scopes: map[ast.Node]*types.Scope{}}
	if !conf.IgnoreFuncBodies {
		info.Types, info.Defs, info.Uses = map[ast.Expr]types.TypeAndValue{}, map[*ast.Ident]types.Object{}, map[*ast.Ident]types.Object{}
		info.Selections, s.info = map[*ast.SelectorExpr]*types.Selection{}, info
	}
	s.types, _ = conf.Check(s.ImportPath, p.fset, s.syntax(), info) // what failed is in s.errs
	s.scopes = info.Scopes
	return s.types
}

// syntax are the files that are type-checked.
func (s *source) syntax() []*ast.File {
	all := make([]*ast.File, 0, len(s.files)+len(s.ours))
	for _, f := range s.files {
		all = append(all, f.syntax)
	}
	return append(all, s.ours...)
}

// importing resolves the imports of one source package.
type importing struct {
	p    *program
	from *source
}

func (i importing) Import(path string) (*types.Package, error) {
	if mapped, ok := i.from.ImportMap[path]; ok {
		path = mapped
	}
	s := i.p.sources[path]
	switch {
	case i.p.missing[path] != "":
		return nil, errors.New(i.p.missing[path])
	case s == nil:
		return i.p.gc.Import(path)
	case s.checking:
		return nil, errors.New("import cycle")
	}
	return i.p.check(s), nil
}

func (p *program) openExport(path string) (io.ReadCloser, error) {
	if p.exports[path] == "" {
		return nil, errors.New("the go command has no export data for it: does it build?")
	}
	return os.Open(p.exports[path])
}

// sourceOf returns the package of the main module that declares obj, or nil.
func (p *program) sourceOf(obj types.Object) *source {
	if obj.Pkg() == nil {
		return nil
	}
	return p.sources[obj.Pkg().Path()]
}

// relative is path as seen from the directory that rmigen runs in.
func (p *program) relative(path string) string {
	if rel, err := filepath.Rel(p.dir, path); err == nil && path != "" && (len(rel) < len(path) || !filepath.IsAbs(path)) {
		return rel
	}
	return path
}
