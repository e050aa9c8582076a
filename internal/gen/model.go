package gen

import (
	"context"
	"go/ast"
	"go/token"
	"go/types"
	"slices"
	"time"
)

// A Model is what rmigen has read, for tools that judge it beyond what generating takes: the packages that were asked for, and
// their marked interfaces, all of which have passed every check.
type Model struct {
	Packages []*Package  // by import path
	Lossy    Diagnostics // exported error types that arrive without their type, and why
	prog     *program
}

// A Package is one that the user wrote, without its tests and without what rmigen wrote.
type Package struct {
	Types      *types.Package
	Files      []*ast.File
	Info       *types.Info // nil unless bodies were read; what does not type-check is missing from it
	Interfaces []*Remote   // in source order
}

// A Remote is a marked interface.
type Remote struct {
	Object  *types.TypeName
	Path    string // its name on the wire
	Methods []Method
	Values  []types.Type // what its interface-typed values may hold
	Serial  bool
	Errors  []ErrorName // what its methods may return as itself
}

// A Method is one of a Remote's, by its name.
type Method struct {
	Func *types.Func
	Text string // of which ID is the hash
	ID   uint64

	OneWay, Idempotent bool
	Timeout            time.Duration // 0: none of its own
	Orphan             string        // "": as if cancel
}

// An ErrorName is an error's name on the wire. Type is what travels of it; nil for a sentinel.
type ErrorName struct {
	Path   string
	Object types.Object
	Type   types.Type
}

// Read reads packages as Generate does and fails as it does, and plans nothing. With bodies, the functions of the packages are
// type-checked too, together with the generated files as they are on disk; what fails in a body fails nothing.
func Read(ctx context.Context, opts Options, bodies bool) (*Model, error) {
	prog, err := load(ctx, opts, bodies)
	if err != nil {
		return nil, err
	}
	m := &Model{prog: prog}
	if !prog.refuseCycles() {
		for _, s := range prog.targets {
			m.Packages = append(m.Packages, m.read(s))
		}
	}
	if len(prog.refused) > 0 {
		return nil, prog.refused.sorted()
	}
	m.Lossy = prog.notes.sorted()
	return m, nil
}

func (m *Model) read(s *source) *Package {
	p := &Package{Types: s.types, Info: s.info}
	for _, f := range s.files {
		p.Files = append(p.Files, f.syntax)
	}
	all := m.prog.interfaces(s)
	m.prog.functions(all) // which may be refused
	for _, i := range all {
		r := &Remote{Object: i.obj, Path: i.obj.Pkg().Path() + "." + i.obj.Name(), Values: i.values, Serial: i.mark.serial}
		for _, method := range i.methods {
			says := method.marks
			r.Methods = append(r.Methods, Method{method.fn, method.text, method.id, says.oneway, says.idempotent, says.timeout, says.orphan})
		}
		for _, e := range slices.Concat(i.common, i.own) {
			r.Errors = append(r.Errors, e.named())
		}
		p.Interfaces = append(p.Interfaces, r)
	}
	return p
}

// Position is where pos is, its file relative to Options.Dir.
func (m *Model) Position(pos token.Pos) token.Position { return m.prog.position(pos) }

// Owns tells whether an object is declared in the main module, so that its source can be mended.
func (m *Model) Owns(obj types.Object) bool { return m.prog.sourceOf(obj) != nil }

// IsRemote tells whether values of t travel by reference: it is a marked interface, of any module, or stub.Object.
func (m *Model) IsRemote(t types.Type) bool {
	n, ok := types.Unalias(t).(*types.Named)
	return ok && (m.prog.isMarked(n) ||
		slices.ContainsFunc(m.prog.targets, func(s *source) bool { return m.prog.home(s.types, n) != nil }))
}

// IsIdempotent tells whether a method of a marked interface has the directive. One whose interface is not in the main module is
// taken to have it: nothing is known of it.
func (m *Model) IsIdempotent(method *types.Func) bool {
	s := m.prog.sourceOf(method)
	return s == nil || s.methods[method.Pos()].idempotent
}

// Marshals tells whether a struct travels by methods of its own, or as a type that the codec knows by name, rather than by its
// fields.
func Marshals(t types.Type) bool { return Marshaler(t) != "" }

// Marshaler returns what makes the bytes of a struct that does not travel by its fields: the method of its own, or the name of the type
// where the codec knows it; "" for all other types.
func Marshaler(t types.Type) string {
	if n, ok := types.Unalias(t).(*types.Named); ok && isBuiltin(n) {
		return canonical(n)
	}
	u, ok := t.Underlying().(*types.Struct)
	if !ok || !closedStruct(u) {
		return ""
	}
	if by, _ := marshals(t, u); by != "" || travelsInPart(u) {
		return by
	}
	return marshalsJSON(t, u)
}

// A Field is one that travels.
type Field struct {
	Var       *types.Var
	Key       string // its encoded name; "" where fields go by position
	omitEmpty bool   // a slice or map that is left out when it is empty
}

// Fields returns what travels of a struct that does not marshal itself, in the order of the declaration, and whether it does by
// position.
func Fields(u *types.Struct) (fields []Field, byPosition bool) {
	byPosition = positional(u)
	for i := range u.NumFields() {
		f := u.Field(i)
		tag := tagOf(f, u.Tag(i))
		switch {
		case f.Name() == "_" || tag.skip || !mayTravel(f):
		case byPosition:
			fields = append(fields, Field{Var: f})
		default:
			fields = append(fields, Field{f, string(tag.key()), tag.option("omitempty") && isCollection(f.Type())})
		}
	}
	return fields, byPosition
}

// LeftOut tells whether the user leaves field i of a struct out by its tag.
func LeftOut(u *types.Struct, i int) bool { return leftOut(u, i) }

// TypeName is the name of a type on the wire.
func TypeName(t types.Type) string { return canonical(t) }

// IsContext tells whether t is context.Context.
func IsContext(t types.Type) bool { return isContext(t) }
