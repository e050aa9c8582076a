package gen

import "go/types"

const (
	stubPath     = "github.com/rmigo/rmigo/stub"
	skeletonPath = "github.com/rmigo/rmigo/skeleton"
	commandPath  = "github.com/rmigo/rmigo/cmd/rmigen"
)

// isRemote tells whether t is a remote interface: in the main module by its directive, elsewhere by its descriptor.
func (p *program) isRemote(t *types.Named) bool {
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
	d, ok := obj.Pkg().Scope().Lookup(descriptorName(obj.Name())).(*types.Var)
	if !ok {
		return false
	}
	ptr, ok := d.Type().(*types.Pointer)
	if !ok {
		return false
	}
	inst, ok := types.Unalias(ptr.Elem()).(*types.Named)
	return ok && isNamed(inst, skeletonPath, "Interface") && types.Identical(inst.TypeArgs().At(0), t)
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
