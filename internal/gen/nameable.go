package gen

import (
	"fmt"
	"go/types"
	"slices"
	"strings"
)

// A generated file writes the types of a signature as the signature does. That it can name them all goes without saying
// where the method stands in the same package, but not where an interface of another package is embedded.

// unnameable returns what keeps a file of a package from writing t, if anything does. Of a named type only the name and the
// type arguments are written, so that what it is made of does not matter; an alias is written as such.
func unnameable(from *types.Package, t types.Type) (problem, bool) {
	switch t := t.(type) {
	case *types.Alias:
		return unnameableName(from, t, t.Obj(), t.TypeArgs())
	case *types.Named:
		return unnameableName(from, t, t.Obj(), t.TypeArgs())
	case *types.Pointer:
		return unnameable(from, t.Elem())
	case *types.Slice:
		return unnameable(from, t.Elem())
	case *types.Array:
		return unnameable(from, t.Elem())
	case *types.Map:
		if pr, ok := unnameable(from, t.Key()); ok {
			return pr, ok
		}
		return unnameable(from, t.Elem())
	case *types.Struct:
		return unnameableField(from, t)
	case *types.Interface:
		return unnameableMethod(from, t)
	case *types.Signature:
		return unnameableIn(from, t)
	}
	return problem{}, false // nothing to name, or nothing that travels
}

func unnameableName(from *types.Package, t types.Type, obj *types.TypeName, args *types.TypeList) (problem, bool) {
	if why := hidden(from, obj); why != "" {
		name := types.TypeString(t, shortQualifier(from))
		return problem{"", t, name + " " + why + ", so the stub cannot name it",
			"let the interface that has the method use an exported type or alias of a package that can be imported, or do not embed it"}, true
	}
	if obj.Pkg() == from && slices.Contains(methodLocals(), obj.Name()) {
		return problem{"", t, obj.Name() + " has the name of a local of generated methods, which it would mean there", "give the type another name"}, true
	}
	for arg := range args.Types() {
		if pr, ok := unnameable(from, arg); ok {
			return pr, ok
		}
	}
	return problem{}, false
}

// unnameableField looks for a field that no other package can declare, or whose type it cannot name.
func unnameableField(from *types.Package, t *types.Struct) (problem, bool) {
	for f := range t.Fields() {
		if !f.Exported() && f.Pkg() != from {
			return problem{"", t, "field " + f.Name() + " is of another package, so the stub cannot write the struct",
				"let the interface that has the method use a declared type, or do not embed it"}, true
		}
		if pr, ok := unnameable(from, f.Type()); ok {
			return pr, ok
		}
	}
	return problem{}, false
}

// unnameableMethod looks for a method that no other package can declare, or whose type it cannot name.
func unnameableMethod(from *types.Package, t *types.Interface) (problem, bool) {
	for m := range t.Methods() {
		if !m.Exported() && m.Pkg() != from {
			return problem{"", t, "method " + m.Name() + " is of another package, so the stub cannot write the interface",
				"let the interface that has the method use a declared type, or do not embed it"}, true
		}
		if pr, ok := unnameableIn(from, m.Signature()); ok {
			return pr, ok
		}
	}
	return problem{}, false
}

func unnameableIn(from *types.Package, sig *types.Signature) (problem, bool) {
	for _, tuple := range []*types.Tuple{sig.Params(), sig.Results()} {
		for v := range tuple.Variables() {
			if pr, ok := unnameable(from, v.Type()); ok {
				return pr, ok
			}
		}
	}
	return problem{}, false
}

// hidden says why a file of a package cannot name obj, or "" if it can.
func hidden(from *types.Package, obj *types.TypeName) string {
	switch pkg := obj.Pkg(); {
	case pkg == nil || pkg == from:
		return ""
	case !importable(from.Path(), pkg.Path()) || pkg.Name() == "main":
		return fmt.Sprintf("lies in %s, which %s cannot import", pkg.Path(), from.Path())
	case !obj.Exported():
		return "is not exported by its package"
	}
	return ""
}

// importable tells whether the go command lets one package import another: one below a directory called internal is for
// what lies below that directory's parent, and what the standard library has vendored is for itself.
func importable(from, path string) bool {
	if strings.HasPrefix(path, "vendor/") {
		return false
	}
	k := strings.LastIndex("/"+path+"/", "/internal/")
	if k < 0 {
		return true
	}
	parent := path[:max(k-1, 0)]
	return parent != "" && strings.HasPrefix(from+"/", parent+"/")
}
