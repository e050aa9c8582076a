package gen

import (
	"go/types"
	"slices"
)

const (
	stubPath     = "github.com/rmigo/rmigo/stub"
	skeletonPath = "github.com/rmigo/rmigo/skeleton"
	commandPath  = "github.com/rmigo/rmigo/cmd/rmigen"
)

// isMarked tells whether t is a remote interface by itself: in the main module by its directive, elsewhere by its descriptor.
func (p *program) isMarked(t *types.Named) bool {
	obj := t.Obj()
	switch {
	case obj.Pkg() == nil || !types.IsInterface(t):
		return false
	case isObject(t):
		return true
	}
	if s := p.sourceOf(obj); s != nil {
		return s.mark(obj.Name()) != nil
	}
	return describes(obj.Pkg(), t)
}

// describes tells whether a package that is read from export data has the descriptor of t.
func describes(pkg *types.Package, t *types.Named) bool {
	var typ types.Type
	switch d := pkg.Scope().Lookup(descriptorName(t.Obj().Name())).(type) {
	case *types.Var:
		typ = d.Type()
	case *types.Func: // of a generic interface
		if d.Signature().Results().Len() != 1 {
			return false
		}
		typ = d.Signature().Results().At(0).Type()
	}
	ptr, ok := typ.(*types.Pointer)
	if !ok {
		return false
	}
	inst, ok := types.Unalias(ptr.Elem()).(*types.Named)
	if !ok || !isNamed(inst, skeletonPath, "Interface") {
		return false
	}
	of, ok := inst.TypeArgs().At(0).(*types.Named)
	return ok && of.Origin() == t.Origin()
}

// calledBy returns a remote interface that a pointer to n implements, of those in the packages of n, of the generated file, and
// of what that one's package imports; nil if there is none.
func (p *program) calledBy(from *types.Package, pointer *types.Pointer, n *types.Named) *types.Named {
	if types.NewMethodSet(pointer).Len() == 0 {
		return nil
	}
	packages := append([]*types.Package{from}, from.Imports()...)
	if own := n.Obj().Pkg(); own != nil && !slices.Contains(packages, own) {
		packages = append(packages, own)
	}
	for _, pkg := range packages {
		for _, r := range p.remotesIn(pkg) {
			if i := r.Underlying().(*types.Interface); i.NumMethods() > 0 && types.Implements(pointer, i) {
				return r
			}
		}
	}
	return nil
}

// remotesIn returns the remote interfaces that a package declares, without the generic ones.
func (p *program) remotesIn(pkg *types.Package) []*types.Named {
	if known, ok := p.remotes[pkg]; ok {
		return known
	}
	var found []*types.Named
	for _, name := range pkg.Scope().Names() {
		obj, ok := pkg.Scope().Lookup(name).(*types.TypeName)
		if !ok || obj.IsAlias() {
			continue
		}
		if n, ok := obj.Type().(*types.Named); ok && n.TypeParams().Len() == 0 && p.isMarked(n) && !isObject(n) {
			found = append(found, n)
		}
	}
	p.remotes[pkg] = found
	return found
}

// isObject tells whether t is stub.Object.
func isObject(t types.Type) bool {
	n, ok := types.Unalias(t).(*types.Named)
	return ok && isNamed(n, stubPath, "Object")
}

func isNamed(t *types.Named, path, name string) bool {
	obj := t.Origin().Obj()
	return obj.Pkg() != nil && obj.Pkg().Path() == path && obj.Name() == name
}

func isTime(t types.Type) bool {
	n, ok := types.Unalias(t).(*types.Named)
	return ok && isNamed(n, "time", "Time")
}

func isContext(t types.Type) bool {
	n, ok := types.Unalias(t).(*types.Named)
	return ok && isNamed(n, "context", "Context")
}

func errorInterface() *types.Interface {
	return types.Universe.Lookup("error").Type().Underlying().(*types.Interface)
}

func isError(t types.Type) bool {
	return types.Identical(t, types.Universe.Lookup("error").Type())
}
