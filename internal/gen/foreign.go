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
	"go/parser"
	"go/token"
	"go/types"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode"
)

// A foreign interface is one of another package, which its user cannot mark: what is generated for it lies in a package of the
// user's own, its home, and the generated file itself says in a line what it was generated for. That line stands for the
// file that the user did not write, so that every run treats both alike.

// typeLine begins the line of a generated file that says for which interfaces of other packages it is:
//
//	//rmigen:type io.Closer,io/fs.FS -timeout 5s -oneway io.Closer.Close
const typeLine = "//rmigen:type "

// Foreign names interfaces of other packages and says what their methods, which nobody can mark, may do without.
type Foreign struct {
	// Types are the interfaces, each as import/path.Name.
	Types []string
	// Timeout bounds the calls of methods without a context, which are refused where it is zero.
	Timeout time.Duration
	// OneWay are methods, as import/path.Name.Method, that are declared //rmi:oneway. Those may be without an error result.
	OneWay []string
}

// line is the whole line of the generated file.
func (f *Foreign) line() string {
	line := typeLine + strings.Join(f.Types, ",")
	if f.Timeout > 0 {
		line += " -timeout " + f.Timeout.String()
	}
	if len(f.OneWay) > 0 {
		line += " -oneway " + strings.Join(f.OneWay, ",")
	}
	return line
}

// parseTypeLine reads a line that line wrote; nil for any other.
func parseTypeLine(text string) *Foreign {
	text, ok := strings.CutPrefix(strings.TrimRight(text, "\r\n"), typeLine)
	words := strings.Fields(text)
	if !ok || len(words)%2 == 0 {
		return nil
	}
	f := &Foreign{Types: strings.Split(words[0], ",")}
	for k := 1; k < len(words); k += 2 {
		var err error
		switch words[k] {
		case "-timeout":
			f.Timeout, err = time.ParseDuration(words[k+1])
		case "-oneway":
			f.OneWay = strings.Split(words[k+1], ",")
		}
		if err != nil {
			return nil
		}
	}
	return f
}

// foreignOf returns what the line of a generated file says; nil if it has none.
func foreignOf(path string) *Foreign {
	content, err := os.ReadFile(path)
	if err != nil || !hasHeader(content) {
		return nil
	}
	for line := range strings.Lines(string(content)) {
		if f := parseTypeLine(line); f != nil {
			return f
		}
		if strings.HasPrefix(line, "package ") {
			break
		}
	}
	return nil
}

// Check says what is wrong with it, as far as names can be judged by themselves.
func (f *Foreign) Check() error {
	if len(f.Types) == 0 {
		return errors.New("-type: name an interface by the import path of its package: -type example.com/x.Y")
	}
	if f.Timeout < 0 {
		return fmt.Errorf("-timeout %v: a call cannot end before it begins: give a positive duration", f.Timeout)
	}
	for _, t := range f.Types {
		path, name := splitName(t)
		if path == "" || !token.IsIdentifier(name) || build.IsLocalImport(path) || strings.ContainsAny(path, "\"' \t\\`") {
			return fmt.Errorf("-type %s: name an interface by the import path of its package: -type example.com/x.Y", t)
		}
	}
	for _, m := range f.OneWay {
		if of, _ := splitName(m); !slices.Contains(f.Types, of) {
			return fmt.Errorf("-oneway %s: name a method of an interface that -type names: -oneway %s.Method", m, f.Types[0])
		}
	}
	return nil
}

// splitName splits example.com/x.Y at its last dot.
func splitName(text string) (path, name string) {
	dot := strings.LastIndexByte(text, '.')
	if dot < 0 {
		return "", text
	}
	return text[:dot], text[dot+1:]
}

// addForeign adds to a package the file that the user did not write: what is generated for foreign interfaces goes beside it.
func (p *program) addForeign(s *source, path string, foreign *Foreign) {
	var text strings.Builder
	fmt.Fprintf(&text, "package %s\n", s.Name)
	var imported []string
	for _, t := range foreign.Types {
		if of, _ := splitName(t); !slices.Contains(imported, of) && p.importableBy(s, of) {
			imported = append(imported, of)
			fmt.Fprintf(&text, "import _ %q\n", of)
		}
	}
	syntax, err := parser.ParseFile(p.fset, path, text.String(), parser.SkipObjectResolution)
	if err != nil {
		p.refuseSyntax(path, err)
		return
	}
	s.files = append(s.files, &file{path: path, syntax: syntax, foreign: foreign})
}

// importableBy tells whether a package could be imported there, if only it exists.
func (p *program) importableBy(s *source, path string) bool {
	return path != s.ImportPath && importable(s.ImportPath, path) && p.names[path] != "main"
}

// foreignMarks finds the interfaces that the lines of a package name.
func (p *program) foreignMarks(s *source) {
	for _, f := range s.files {
		if f.foreign != nil {
			p.marksOf(s, f)
		}
	}
}

func (p *program) marksOf(s *source, f *file) {
	for _, name := range f.foreign.Types {
		if obj := p.foreignType(s, f, name); obj != nil {
			s.marks = append(s.marks, p.foreignMark(f, obj))
		}
	}
	constraints := map[string]bool{}
	for _, m := range s.marks {
		if m.file == f {
			if f.constraint = ""; p.declaringFile(m.of) != nil {
				f.constraint = p.declaringFile(m.of).constraint
			}
			constraints[f.constraint] = true
		}
	}
	if len(constraints) > 1 {
		p.refuseFile(p.asked(f), "these interfaces are for different platforms (go:build "+strings.Join(slices.Sorted(maps.Keys(constraints)), "; go:build ")+
			"): generate them into directories of their own")
	}
}

// asked is where a diagnostic points that has no place in the source: the option, or the generated file that has the line.
func (p *program) asked(f *file) string {
	if f.option {
		return "-type"
	}
	return strings.TrimSuffix(f.path, ".go") + suffix
}

// foreignType finds one interface, or refuses it.
func (p *program) foreignType(s *source, f *file, full string) *types.TypeName {
	refuse := func(format string, args ...any) *types.TypeName {
		p.refuseFile(p.asked(f), full+": "+fmt.Sprintf(format, args...))
		return nil
	}
	path, name := splitName(full)
	switch {
	case path == s.ImportPath:
		return refuse("it is of the package that it would be generated into: mark it //rmi:remote")
	case p.names[path] == "main":
		return refuse("it is of a main package, which cannot be imported: move it to a package of its own")
	case !importable(s.ImportPath, path):
		return refuse("it lies in %s, which %s cannot import: generate it into a package that can, or use an interface that is not internal", path, s.ImportPath)
	case p.missing[path] != "":
		return refuse("%s", p.missing[path])
	}
	pkg, err := importing{p, s}.Import(path)
	if err != nil || pkg == nil {
		return refuse("%s cannot be imported: %v", path, err)
	}
	if leadsTo(pkg, s.ImportPath, map[*types.Package]bool{}) {
		return refuse("%s imports %s, which so cannot import it: generate it into another package", path, s.ImportPath)
	}
	switch obj := pkg.Scope().Lookup(name).(type) {
	case nil:
		return refuse("%s has no such name", path)
	case *types.TypeName:
		if !obj.Exported() {
			return refuse("it is not exported by its package: use an exported interface")
		}
		return p.notAlias(obj, refuse)
	}
	return refuse("it is no type: name an interface")
}

// notAlias refuses an alias, which has no identity of its own.
func (p *program) notAlias(obj *types.TypeName, refuse func(string, ...any) *types.TypeName) *types.TypeName {
	if !obj.IsAlias() {
		return obj
	}
	n, ok := types.Unalias(obj.Type()).(*types.Named)
	switch {
	case ok && n.TypeArgs().Len() > 0:
		return refuse("it is an alias of an instance of a generic interface: declare an interface of your own that embeds it, and mark that //rmi:remote")
	case ok && n.Obj().Pkg() != nil:
		return refuse("it is an alias: name the type that it stands for, %s", canonical(n))
	}
	return refuse("it is an alias of a type without a name: there is nothing by which a peer would know it")
}

// leadsTo tells whether a package imports another, by whatever way.
func leadsTo(from *types.Package, to string, seen map[*types.Package]bool) bool {
	if seen[from] {
		return false
	}
	seen[from] = true
	return from.Path() == to || slices.ContainsFunc(from.Imports(), func(next *types.Package) bool { return leadsTo(next, to, seen) })
}

// foreignMark is the mark that nobody could write, with what the source says of the interface.
func (p *program) foreignMark(f *file, obj *types.TypeName) *mark {
	m := &mark{file: f, of: obj, foreign: map[string]methodMark{}, at: map[string]token.Pos{}}
	if of := p.declaringFile(obj); of != nil {
		if m.spec = of.typeSpec(obj.Name()); m.spec != nil {
			m.text = prose(of.docOf(m.spec))
			m.readMethods(m.spec)
		}
	}
	full := obj.Pkg().Path() + "." + obj.Name()
	for _, name := range f.foreign.OneWay {
		if of, method := splitName(name); of == full {
			mark := m.foreign[method]
			mark.oneway = true
			m.foreign[method] = mark
			if i, ok := obj.Type().Underlying().(*types.Interface); ok && !hasMethod(i, method) {
				p.refuseFile(p.asked(f), "-oneway "+name+": there is no such method")
			}
		}
	}
	return m
}

func hasMethod(i *types.Interface, name string) bool {
	return slices.ContainsFunc(slices.Collect(i.Methods()), func(m *types.Func) bool { return m.Name() == name })
}

// readMethods reads what the interface says of the methods that it lists.
func (m *mark) readMethods(spec *ast.TypeSpec) {
	lit, ok := spec.Type.(*ast.InterfaceType)
	if !ok {
		return
	}
	for _, field := range lit.Methods.List {
		for _, name := range field.Names {
			m.foreign[name.Name] = methodMark{doc: prose(field.Doc)}
			m.at[name.Name] = name.Pos()
		}
	}
}

// method returns the directives of a method, in whatever package it is written; s has it, unless that is of another module.
func (m *mark) method(s *source, fn *types.Func) (marks methodMark) {
	if s != nil {
		marks = s.methods[fn.Pos()]
	}
	if given, ok := m.foreign[fn.Name()]; ok {
		marks.oneway = marks.oneway || given.oneway
		if marks.doc == nil {
			marks.doc = given.doc
		}
	}
	return marks
}

// methodPos is where a method of another module stands: at its name if the interface lists it, else at that.
func (m *mark) methodPos(fn *types.Func) token.Pos {
	if pos, ok := m.at[fn.Name()]; ok {
		return pos
	}
	return m.pos()
}

// span is what a declaration takes of its file.
func (m *mark) span() span {
	if m.spec == nil {
		return span{}
	}
	return span{m.spec.Pos(), m.spec.End()}
}

// yield is what to do about a descriptor's name that is taken.
func (m *mark) yield() string {
	if m.of != nil {
		return "generate it into another directory"
	}
	return "rename that or the interface"
}

// title is what diagnostics call an interface: as its home does.
func (i *iface) title() string { return title(i.home, i.obj) }

func title(home *types.Package, obj *types.TypeName) string {
	if obj.Pkg() == home {
		return obj.Name()
	}
	return obj.Pkg().Name() + "." + obj.Name()
}

// foreignShape admits methods that lack a context or an error, if that was asked for, and refuses what the user of a foreign
// interface can do nothing about.
func (c *methodCheck) foreignShape(m *method) {
	sig, given := c.fn.Signature(), c.iface.mark.file.foreign
	switch {
	case m.plain && given.Timeout == 0:
		c.refuse("without a context nothing bounds a call of it: say how long one may take: -timeout 5s")
	case m.plain && m.marks.timeout == 0:
		m.marks.timeout = given.Timeout
	}
	switch {
	case m.silent && sig.Results().Len() > 0:
		c.refuse("without an error result a call that fails could not say so: write an interface of your own, whose method returns an error, around it")
	case m.silent && !m.marks.oneway:
		c.refuse("without an error result a call that fails could not say so: where nobody needs to know, name it: -oneway %s.%s.%s",
			c.iface.obj.Pkg().Path(), c.iface.obj.Name(), c.fn.Name())
	}
	for k, v := range slices.Collect(sig.Params().Variables()) {
		if fills(c.fn, v) {
			c.refuse("parameter %s: it is filled for the caller, and what travels is a copy: write an interface of your own, whose method returns it, around it",
				cmp.Or(v.Name(), fmt.Sprint(k+1)))
		}
	}
}

// fills tells whether a method puts its result into what its caller passes as v. It does so by the names and signatures that such
// methods have throughout Go: Read([]byte) (int, error), ReadAt, ReadFrom([]byte) (int, net.Addr, error); ReadHeader(*T) error; and
// whatever is called dst or dest, unless that comes back as a result.
func fills(m *types.Func, v *types.Var) bool {
	results := slices.Collect(m.Signature().Results().Variables())
	switch u := v.Type().Underlying().(type) {
	case *types.Slice, *types.Pointer:
	case *types.Interface:
		if !u.Empty() {
			return false
		}
	default:
		return false
	}
	switch reads := strings.HasPrefix(m.Name(), "Read"); {
	case v.Name() == "dst" || v.Name() == "dest":
		return !slices.ContainsFunc(results, func(r *types.Var) bool { return types.Identical(r.Type(), v.Type()) })
	case reads && len(results) > 1:
		return isByteSlice(v.Type()) && types.Identical(results[0].Type(), types.Typ[types.Int])
	case reads && len(results) == 1:
		return isError(results[0].Type()) && m.Name() != "ReadFrom" && !isByteSlice(v.Type())
	}
	return false
}

// readForeign places what Options.Foreign names and the package to generate it into.
func (p *program) readForeign(ctx context.Context, opts Options) error {
	if err := opts.Foreign.Check(); err != nil {
		return err
	}
	given := &Foreign{unique(opts.Foreign.Types), opts.Foreign.Timeout, unique(opts.Foreign.OneWay)}
	out := opts.Out
	if !filepath.IsAbs(out) {
		out = filepath.Join(p.dir, out)
	}
	patterns := given.packages()
	if found, _ := filepath.Glob(filepath.Join(out, "*.go")); len(found) > 0 {
		patterns = append(patterns, out)
	}
	all, err := p.list(ctx, patterns)
	if err != nil {
		return err
	}
	var home *listed
	for _, l := range all {
		if !l.DepOnly && sameFile(l.Dir, out) {
			home = l
			continue
		}
		l.DepOnly = true
		p.place(l)
	}
	if home == nil || len(home.GoFiles)+len(home.CgoFiles) == 0 {
		if home, err = p.newHome(ctx, out, home); err != nil {
			return err
		}
	}
	p.place(home)
	if s := p.sources[home.ImportPath]; s != nil {
		p.addAsked(s, given)
	}
	return nil
}

func unique(names []string) []string { return slices.Compact(slices.Sorted(slices.Values(names))) }

// packages are the import paths of the types.
func (f *Foreign) packages() (paths []string) {
	for _, t := range f.Types {
		if path, _ := splitName(t); !slices.Contains(paths, path) {
			paths = append(paths, path)
		}
	}
	return paths
}

func sameFile(a, b string) bool {
	x, err := os.Stat(a)
	y, err2 := os.Stat(b)
	return err == nil && err2 == nil && os.SameFile(x, y)
}

// addAsked adds the file for what was asked for, named for the package of the first interface, in place of one that an earlier
// run left. It may name more than that, but not less: an interface does not go without being told to.
func (p *program) addAsked(s *source, given *Foreign) {
	first := given.packages()[0]
	name := strings.ToLower(fileWord(cmp.Or(p.names[first], filepath.Base(first))))
	path := filepath.Join(s.Dir, name+".go")
	refuse := func(why string) { p.refuseFile(strings.TrimSuffix(path, ".go")+suffix, why) }
	if _, err := os.Stat(path); err == nil {
		refuse("that is the name for what is generated for " + name + ".go: rename that, or generate into another directory")
		return
	}
	s.files = slices.DeleteFunc(s.files, func(f *file) bool {
		if f.path != path {
			return false
		}
		for _, t := range f.foreign.Types {
			if !slices.Contains(given.Types, t) {
				refuse("it is for " + t + " too: name that as well, generate into another directory, or remove the file first")
			}
		}
		return true
	})
	before := len(s.files)
	p.addForeign(s, path, given)
	for _, f := range s.files[before:] {
		f.option = true
	}
}

// pos is where the interface is declared, as near as is known.
func (m *mark) pos() token.Pos {
	if m.spec != nil {
		return m.spec.Pos()
	}
	return m.of.Pos()
}

// declaringFile returns the file that declares obj: the user's, or one of another module, which is read for what export data
// leave out; nil where there is none.
func (p *program) declaringFile(obj types.Object) *file {
	if _, f := p.fileAt(obj.Pos()); f != nil {
		return f
	}
	dir := p.dirs[obj.Pkg().Path()]
	if dir == "" || !obj.Pos().IsValid() {
		return nil
	}
	path := filepath.Join(dir, filepath.Base(p.fset.Position(obj.Pos()).Filename))
	f, known := p.others[path]
	if !known {
		if syntax, _ := parser.ParseFile(p.fset, path, nil, parser.ParseComments|parser.SkipObjectResolution); syntax != nil {
			f = &file{path: path, syntax: syntax, constraint: buildConstraint(filepath.Base(path), syntax)}
		}
		p.others[path] = f
	}
	return f
}

// typeSpec finds the declaration of a type, or returns nil.
func (f *file) typeSpec(name string) *ast.TypeSpec {
	for _, decl := range f.syntax.Decls {
		if gen, ok := decl.(*ast.GenDecl); ok && gen.Tok == token.TYPE {
			for _, spec := range gen.Specs {
				if spec := spec.(*ast.TypeSpec); spec.Name.Name == name {
					return spec
				}
			}
		}
	}
	return nil
}

// names tells whether the file's line names a type.
func (f *file) names(t *types.Named) bool {
	return f.foreign != nil && slices.Contains(f.foreign.Types, t.Obj().Pkg().Path()+"."+t.Obj().Name())
}

// home returns the package in which a file of from finds the descriptor of a remote interface: the interface's own, from
// itself, or what //rmi:use says; nil if t is not remote there.
func (p *program) home(from *types.Package, t *types.Named) *types.Package {
	obj := t.Obj()
	switch {
	case obj.Pkg() == nil || !types.IsInterface(t):
		return nil
	case p.isMarked(t):
		return obj.Pkg()
	case from == nil || p.sources[from.Path()] == nil:
		return nil
	}
	s := p.sources[from.Path()]
	if slices.ContainsFunc(s.files, func(f *file) bool { return f.names(t) }) {
		return from
	}
	for _, u := range s.uses {
		if u.path == obj.Pkg().Path() && u.name == obj.Name() {
			if pkg, _ := p.descriptorIn(s, u, t); pkg != nil {
				return pkg
			}
		}
	}
	return nil
}

// descriptorIn returns the package that has the descriptor of an interface, as //rmi:use says, or why it has none.
func (p *program) descriptorIn(s *source, u use, t *types.Named) (*types.Package, error) {
	missing := fmt.Errorf("%s has no descriptor of it: run rmigen -type %s.%s -o there", u.in, u.path, u.name)
	if u.in == s.ImportPath {
		return nil, missing
	}
	pkg, err := importing{p, s}.Import(u.in)
	if err != nil || pkg == nil {
		return nil, cmp.Or(err, missing)
	}
	if in := p.sources[pkg.Path()]; in != nil {
		if !slices.ContainsFunc(in.files, func(f *file) bool { return f.names(t) }) {
			return nil, missing
		}
	} else if !describes(pkg, t) {
		return nil, missing
	}
	switch {
	case !importable(s.ImportPath, pkg.Path()) || pkg.Name() == "main":
		return nil, fmt.Errorf("%s cannot import %s: generate it into a package that it can", s.ImportPath, u.in)
	case leadsTo(pkg, s.ImportPath, map[*types.Package]bool{}):
		return nil, fmt.Errorf("%s imports %s, which so cannot import it: generate it into another package", u.in, s.ImportPath)
	}
	return pkg, nil
}

// checkUses refuses each line //rmi:use that leads to no descriptor.
func (p *program) checkUses(s *source) {
	for _, u := range s.uses {
		if err := p.checkUse(s, u); err != nil {
			p.refuse(u.pos, "%v: %v", u.directive, err)
		}
	}
}

func (p *program) checkUse(s *source, u use) error {
	pkg, err := importing{p, s}.Import(u.path)
	if err != nil || pkg == nil {
		return cmp.Or(err, errors.New("its package cannot be imported"))
	}
	obj, ok := pkg.Scope().Lookup(u.name).(*types.TypeName)
	if !ok {
		return fmt.Errorf("%s has no type of that name", u.path)
	}
	t, ok := obj.Type().(*types.Named)
	switch {
	case !ok || !types.IsInterface(t) || obj.IsAlias():
		return errors.New("it is not declared as an interface")
	case p.isMarked(t):
		return errors.New("it has a descriptor in its own package: leave the line out")
	}
	_, err = p.descriptorIn(s, u, t)
	return err
}

// newHome is the package of a directory that has no Go files yet, or only such as the build leaves out, which known then tells of.
func (p *program) newHome(ctx context.Context, dir string, known *listed) (*listed, error) {
	if known != nil && known.Name != "" {
		l := *known
		l.Error = nil
		return &l, nil
	}
	existing := dir
	for !isDir(existing) && existing != filepath.Dir(existing) {
		existing = filepath.Dir(existing)
	}
	cmd := exec.CommandContext(ctx, "go", "list", "-m", "-json=Path,Dir,GoVersion")
	cmd.Dir = existing
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("-o %s: which module is it in? go list -m: %w", p.relative(dir), err)
	}
	home := &listed{Name: packageName(filepath.Base(dir)), Dir: dir}
	longest := -1
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var m struct{ Path, Dir, GoVersion string }
		if err := dec.Decode(&m); err != nil {
			break
		}
		if rel, ok := within(m.Dir, existing, dir); ok && len(m.Dir) > longest {
			longest = len(m.Dir)
			home.ImportPath = path.Join(m.Path, filepath.ToSlash(rel))
			home.Module = &module{Main: true, GoVersion: m.GoVersion}
		}
	}
	if longest < 0 {
		return nil, fmt.Errorf("-o %s: it is not in a module: run go mod init there or above", p.relative(dir))
	}
	return home, nil
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// within returns the path of dir below a module's root, by its existing part, in which there may be symbolic links.
func within(root, existing, dir string) (string, bool) {
	real, err := filepath.EvalSymlinks(existing)
	if root, err2 := filepath.EvalSymlinks(root); err == nil && err2 == nil && root != "" {
		rest, _ := filepath.Rel(existing, dir)
		rel, err := filepath.Rel(root, filepath.Join(real, rest))
		return rel, err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
	}
	return "", false
}

// packageName makes a package's name of a directory's.
func packageName(base string) string {
	name := strings.ToLower(strings.Map(func(r rune) rune {
		if r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r) {
			return r
		}
		return -1
	}, base))
	name = strings.TrimLeftFunc(name, func(r rune) bool { return !unicode.IsLetter(r) })
	if name == "" || token.IsKeyword(name) || name == "main" {
		name += "rmi"
	}
	return name
}
