package gen

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"unicode"
)

// names are what the generated file declares for one interface.
type names struct {
	descriptor string // RemoteAccount
	prefix     string // account: of accountStub, accountDeposit, …
}

func (n names) ref() string      { return n.prefix + "Ref" }
func (n names) stub() string     { return n.prefix + "Stub" }
func (n names) skeleton() string { return n.prefix + "Skeleton" }

// descriptorName is the one name of ours that users write. It is exported as its interface is.
func descriptorName(name string) string {
	if ast.IsExported(name) {
		return "Remote" + name
	}
	first := []rune(name)
	return "remote" + string(unicode.ToUpper(first[0])) + string(first[1:])
}

// nameInterfaces gives every interface of a package its names, in source order, and then the files that share errors
// theirs, so that they clash neither with what the package declares nor with each other. The descriptor's name is a promise
// and is never bent. What it returns are the package-level names afterwards, with which the imports of a generated file must
// not clash.
func (p *program) nameInterfaces(s *source, all []*iface) map[string]token.Pos {
	declared, imported := p.declared(s), s.imported()
	for _, i := range all {
		for _, param := range i.params {
			declared[param.Obj().Name()] = param.Obj().Pos()
		}
	}
	if len(all) > 0 {
		p.refuseHiding(declared)
	}
	taken := func(name string) bool {
		_, a := declared[name]
		_, b := imported[name]
		return a || b
	}
	for _, constrained := range []bool{false, true} { // what is generated for every platform does not depend on where that is done
		some := slices.DeleteFunc(slices.Clone(all), func(i *iface) bool { return (i.mark.file.constraint != "") != constrained })
		p.nameDescriptors(some, declared, imported)
		for _, i := range some {
			i.choosePrefix(taken)
			for _, name := range i.declares() {
				declared[name] = i.mark.pos()
			}
		}
		for _, f := range s.files {
			if (f.constraint != "") == constrained {
				p.nameShared(f, all, declared, taken)
			}
		}
	}
	return declared
}

// nameDescriptors gives interfaces their descriptors' names.
func (p *program) nameDescriptors(some []*iface, declared, imported map[string]token.Pos) {
	for _, i := range some {
		if i.function != nil {
			continue
		}
		i.descriptor = descriptorName(i.obj.Name())
		for _, taken := range []map[string]token.Pos{declared, imported} {
			if pos, clash := taken[i.descriptor]; clash {
				p.refuse(i.mark.pos(), "%s: its descriptor will be called %s, a name already used at %s: %s",
					i.title(), i.descriptor, p.position(pos), i.mark.yield())
			}
		}
		declared[i.descriptor] = i.mark.pos()
		p.refuseViewNames(i, declared, imported)
	}
}

// nameShared names what the interfaces of a file share.
func (p *program) nameShared(f *file, all []*iface, declared map[string]token.Pos, taken func(string) bool) {
	if f.sharesErrors(all) {
		f.chooseErrorsFunc(taken)
		declared[f.errorsFunc] = f.syntax.Package
	}
	p.chooseCodes(f, all, taken)
	for _, c := range f.codes {
		declared[c.put], declared[c.get] = f.syntax.Package, f.syntax.Package
	}
}

// refuseHiding refuses a package that declares a name of Go's own which generated code writes: there it would mean the
// package's.
func (p *program) refuseHiding(declared map[string]token.Pos) {
	for _, name := range append(predeclared(), "append") {
		if pos, hides := declared[name]; hides && name != "any" && name != "comparable" {
			p.refuse(pos, "%s hides Go's own %s, which generated code uses: give it another name", name, name)
		}
	}
}

// choosePrefix takes account, else remoteAccount, else remoteAccount2 and so on; visitorFunc for functions that
// have the name Visitor, accountEachFunc for those that a method Each takes.
func (i *iface) choosePrefix(taken func(string) bool) {
	if f := i.function; f != nil {
		prefix := f.of.prefix + f.first.check.fn.Name() + "Func"
		if f.name != "" {
			prefix = lowerFirst(f.name) + "Func"
		}
		i.setPrefix(prefix)
		for n := 2; slices.ContainsFunc(i.declares(), taken); n++ {
			i.setPrefix(fmt.Sprintf("%s%d", prefix, n))
		}
		return
	}
	prefix, remote := lowerFirst(i.obj.Name()), lowerFirst(i.descriptor)
	i.setPrefix(prefix)
	for n := 1; slices.ContainsFunc(i.declares(), taken); n++ {
		if prefix = remote; n > 1 {
			prefix = fmt.Sprintf("%s%d", remote, n)
		}
		i.setPrefix(prefix)
	}
}

// setPrefix names everything after a prefix. A method called Ref, Stub or Skeleton yields to our types.
func (i *iface) setPrefix(prefix string) {
	if i.prefix = prefix; i.function != nil {
		i.descriptor = prefix
	}
	own := []string{i.ref(), i.stub(), i.skeleton()}
	for _, m := range i.methods {
		m.constant = prefix + m.fn.Name()
	}
	for _, m := range i.methods {
		for slices.Contains(own, m.constant) {
			m.constant += "Method"
		}
		own = append(own, m.constant)
	}
}

// declares lists the unexported names of i.
func (i *iface) declares() []string {
	all := []string{i.ref(), i.stub(), i.skeleton()}
	if i.function != nil {
		all = []string{i.descriptor, i.skeleton()}
	}
	for _, m := range i.methods {
		all = append(all, m.constant)
	}
	return all
}

// sharesErrors tells whether two or more of the interfaces are of f and have errors in common.
func (f *file) sharesErrors(all []*iface) bool {
	n := 0
	for _, i := range all {
		if i.mark.file == f && len(i.common) > 0 {
			n++
		}
	}
	return n > 1
}

// chooseErrorsFunc takes bankErrors for bank.go, else remoteBankErrors, else remoteBankErrors2 and so on.
func (f *file) chooseErrorsFunc(taken func(string) bool) {
	name := lowerFirst(fileWord(filepath.Base(f.path))) + "Errors"
	remote := descriptorName(name)
	f.errorsFunc = name
	for n := 1; taken(f.errorsFunc); n++ {
		if f.errorsFunc = remote; n > 1 {
			f.errorsFunc = fmt.Sprintf("%s%d", remote, n)
		}
	}
}

// fileWord makes one word of a file's name: bank_linux of bank_linux.go is bankLinux. A name that Go would not let begin
// with its first character begins with file.
func fileWord(name string) string {
	parts := strings.FieldsFunc(strings.TrimSuffix(name, ".go"), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	if len(parts) == 0 || !unicode.IsLetter([]rune(parts[0])[0]) {
		parts = append([]string{"file"}, parts...)
	}
	for k, part := range parts[1:] {
		first := []rune(part)
		parts[k+1] = string(unicode.ToUpper(first[0])) + string(first[1:])
	}
	return strings.Join(parts, "")
}

// lowerFirst makes an unexported name: account of Account, httpServer of HTTPServer, url of URL.
func lowerFirst(name string) string {
	runes := []rune(name)
	upper := 0
	for upper < len(runes) && unicode.IsUpper(runes[upper]) {
		upper++
	}
	if upper > 1 && upper < len(runes) && unicode.IsLower(runes[upper]) {
		upper-- // the last of a run of capitals begins the next word
	}
	return strings.ToLower(string(runes[:upper])) + string(runes[upper:])
}

// declared returns the package-level names of the package, of its tests and of its files for other platforms.
func (p *program) declared(s *source) map[string]token.Pos {
	taken := map[string]token.Pos{}
	for _, f := range s.files {
		collect(taken, f.syntax)
	}
	for _, syntax := range s.tests {
		if syntax.Name.Name == s.Name {
			collect(taken, syntax)
		}
	}
	for _, name := range s.IgnoredGoFiles {
		path := filepath.Join(s.Dir, name)
		if ours, err := isOurs(path); ours || err != nil {
			continue
		}
		if syntax, _ := parser.ParseFile(p.fset, path, nil, parser.SkipObjectResolution); syntax != nil && syntax.Name.Name == s.Name {
			collect(taken, syntax)
		}
	}
	return taken
}

// imported returns the names that the package's files give their imports: no package-level name may be one of them.
func (s *source) imported() map[string]token.Pos {
	taken := map[string]token.Pos{}
	for _, f := range s.files {
		scope := s.scopes[f.syntax]
		for _, name := range scope.Names() {
			taken[name] = scope.Lookup(name).Pos()
		}
	}
	return taken
}

func collect(taken map[string]token.Pos, f *ast.File) {
	for _, decl := range f.Decls {
		switch decl := decl.(type) {
		case *ast.FuncDecl:
			if decl.Recv == nil {
				taken[decl.Name.Name] = decl.Name.Pos()
			}
		case *ast.GenDecl:
			for _, spec := range decl.Specs {
				switch spec := spec.(type) {
				case *ast.TypeSpec:
					taken[spec.Name.Name] = spec.Name.Pos()
				case *ast.ValueSpec:
					for _, id := range spec.Names {
						taken[id.Name] = id.Pos()
					}
				}
			}
		}
	}
}

// imports are the imports of one generated file. A package keeps the name that the user's file gives it, else its own,
// unless that is taken by a declaration.
type imports struct {
	self     *types.Package
	user     map[string]string    // path → name in the user's file
	taken    map[string]token.Pos // package-level names
	names    map[string]string    // path → name here
	declared map[string]string    // path → the package's own name
}

func newImports(s *source, f *file, taken map[string]token.Pos) *imports {
	im := &imports{self: s.types, user: map[string]string{}, taken: taken, names: map[string]string{}, declared: map[string]string{}}
	scope := s.scopes[f.syntax]
	for _, name := range scope.Names() {
		if pkg, ok := scope.Lookup(name).(*types.PkgName); ok {
			im.user[pkg.Imported().Path()] = name
		}
	}
	return im
}

// qualifier is the types.Qualifier of the file; using it imports what it names.
func (im *imports) qualifier(pkg *types.Package) string {
	if pkg == im.self {
		return ""
	}
	return im.add(pkg.Path(), pkg.Name())
}

// add imports a package and returns the name it has here.
func (im *imports) add(path, declared string) string {
	if name := im.names[path]; name != "" {
		return name
	}
	name := im.user[path]
	if name == "" || im.clashes(name) {
		name = declared
	}
	segments := strings.Split(path, "/")
	for n := 2; im.clashes(name); n++ {
		if k := len(segments) - n; k >= 0 {
			name = letters(segments[k]) + declared
		} else {
			name = fmt.Sprintf("%s%d", declared, n)
		}
	}
	im.names[path], im.declared[path] = name, declared
	return name
}

func (im *imports) clashes(name string) bool {
	_, taken := im.taken[name]
	return taken || slices.Contains(reservedWords(), name) || slices.Contains([]string{"args", "d", "e", "f", "v"}, name) || slices.Contains(slices.Collect(maps.Values(im.names)), name)
}

// letters keeps the letters of a path's segment, lower case.
func letters(segment string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, segment)
}

// spec is the import line of a path.
func (im *imports) spec(path string) string {
	if im.names[path] == im.declared[path] && strings.HasSuffix("/"+path, "/"+im.declared[path]) {
		return fmt.Sprintf("%q", path)
	}
	return fmt.Sprintf("%s %q", im.names[path], path)
}

// reservedWords are the predeclared names that generated code uses, and the locals of every method.
func reservedWords() []string {
	return append(append(predeclared(), methodLocals()...), "err")
}

// methodLocals are what every generated method has, before anything of the user's.
func methodLocals() []string { return []string{"ctx", "call", "impl", "s"} }

func predeclared() []string {
	words := []string{"nil", "iota", "true"}
	for _, name := range types.Universe.Names() {
		if _, ok := types.Universe.Lookup(name).(*types.TypeName); ok {
			words = append(words, name)
		}
	}
	return words
}

// locals names parameters and results after the user's own names, as far as those are not used in the generated body.
type locals struct{ used map[string]bool }

func newLocals(used []string) *locals {
	l := &locals{map[string]bool{}}
	for _, name := range append(reservedWords(), used...) {
		l.used[name] = true
	}
	return l
}

// name returns names for two lists of variables, which share one scope. A lone nameless one is called arg or result,
// of several each has its number.
func (l *locals) name(params, results []*types.Var) (p, r []string) {
	p, r = l.keep(params), l.keep(results)
	l.fill(p, "arg", "arg")
	l.fill(r, "result", "r")
	return p, r
}

func (l *locals) keep(vs []*types.Var) []string {
	names := make([]string, len(vs))
	for i, v := range vs {
		if n := v.Name(); n != "" && n != "_" && !l.used[n] {
			names[i] = n
			l.used[n] = true
		}
	}
	return names
}

func (l *locals) fill(names []string, lone, numbered string) {
	for i := range names {
		if names[i] != "" {
			continue
		}
		candidate := lone
		if len(names) > 1 {
			candidate = fmt.Sprintf("%s%d", numbered, i)
		}
		for n := i; l.used[candidate]; n++ {
			candidate = fmt.Sprintf("%s%d", numbered, n)
		}
		names[i] = candidate
		l.used[candidate] = true
	}
}
