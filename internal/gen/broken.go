package gen

import (
	"go/token"
	"strings"
)

// refuseBroken refuses what the type checker found wrong around a declaration: in it, else in the imports of its file.
func (p *program) refuseBroken(pos token.Pos) {
	s, f := p.fileAt(pos)
	if s == nil {
		p.refuse(pos, "a type that it leads to could not be resolved: does the package build?")
		return
	}
	decl, imports := f.declarationAt(pos)
	switch {
	case p.refuseErrors(s, decl) || p.refuseErrors(s, imports):
	case importsC(f.syntax):
		p.refuse(pos, "a type that it leads to could not be resolved: if it is one of C, use a type of Go")
	default:
		p.refuse(pos, "a type that it leads to could not be resolved: does the package build?")
	}
}

// refuseCycles refuses generic types that lead to ever longer instances of themselves, as T[A] does by a field of type
// *T[[]A], and tells whether there are any. Go refuses them too; here they must be found before any type is walked, since
// no walk over such a type ends, the type checker's own for a method included.
func (p *program) refuseCycles() bool {
	found := false
	for _, s := range p.sources {
		for _, e := range s.errs {
			if strings.HasPrefix(e.Msg, "instantiation cycle") {
				p.refuse(e.Pos, "a generic type leads to an endless row of its own instances: use the same type arguments throughout")
				found = true
			}
		}
	}
	return found
}

// refuseErrors refuses the type errors of one stretch of source and tells whether there were any.
func (p *program) refuseErrors(s *source, at span) bool {
	found := false
	if s == nil {
		return false
	}
	for _, e := range s.errs {
		if at.from <= e.Pos && e.Pos < at.to && !strings.HasPrefix(e.Msg, "\t") { // a tab: more about the one before
			p.refuse(e.Pos, "%s", e.Msg)
			found = true
		}
	}
	return found
}

// A span is a stretch of source.
type span struct{ from, to token.Pos }

// declarationAt returns the declaration around pos and the stretch of the file before its first declaration that is not
// an import.
func (f *file) declarationAt(pos token.Pos) (decl, imports span) {
	imports = span{f.syntax.FileStart, f.syntax.FileStart}
	for _, spec := range f.syntax.Imports {
		imports.to = max(imports.to, spec.End())
	}
	for _, d := range f.syntax.Decls {
		if d.Pos() <= pos && pos < d.End() {
			return span{d.Pos(), d.End()}, imports
		}
	}
	return span{}, imports
}

// fileAt returns the file of the main module that holds pos, or nil.
func (p *program) fileAt(pos token.Pos) (*source, *file) {
	for _, s := range p.sources {
		for _, f := range s.files {
			if f.syntax.FileStart <= pos && pos < f.syntax.FileEnd {
				return s, f
			}
		}
	}
	return nil, nil
}
