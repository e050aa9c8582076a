package gen

import (
	"fmt"
	"go/types"
	"slices"
	"strings"
)

// What is generated for a generic interface is generic over the same type parameters, by their own names. Its descriptor comes from
// a function, its methods are known by their places in the descriptor's table, and what has a type parameter's type, or is an instance of
// a remote interface, is written by its static type.

// generic is what an interface is a generic one by.
type generic struct {
	typ    *types.Named       // the interface, of a generic one the instance by its own parameters
	params []*types.TypeParam // nil where it is not generic
}

func genericOf(obj *types.TypeName) generic {
	named := obj.Type().(*types.Named)
	g := generic{typ: named, params: slices.Collect(named.TypeParams().TypeParams())}
	if len(g.params) > 0 {
		args := make([]types.Type, len(g.params))
		for k, param := range g.params {
			args[k] = param
		}
		instance, _ := types.Instantiate(nil, named, args, false)
		g.typ = instance.(*types.Named)
	}
	return g
}

// refuseTypeParams refuses a generic interface whose parameters generated code could not write, and tells whether it did.
func (p *program) refuseTypeParams(s *source, obj *types.TypeName) bool {
	refused := false
	for _, param := range genericOf(obj).params {
		name := param.Obj().Name()
		if name == "_" || slices.Contains(append(reservedWords(), "args", "r", "object", "all"), name) {
			p.refuse(param.Obj().Pos(), "%s: its type parameter %s cannot be written in generated code: give it another name", title(s.types, obj), name)
			refused = true
		} else if pr, hidden := unnameable(s.types, param.Constraint()); hidden {
			p.refuse(param.Obj().Pos(), "%s: type parameter %s: %s", title(s.types, obj), name, pr.text(param.Constraint(), s.types))
			refused = true
		}
	}
	return refused
}

// isOpen tells whether type parameters occur in how a type is written.
func isOpen(t types.Type) bool {
	switch t := types.Unalias(t).(type) {
	case *types.TypeParam:
		return true
	case *types.Named:
		return slices.ContainsFunc(slices.Collect(t.TypeArgs().Types()), isOpen)
	case *types.Pointer:
		return isOpen(t.Elem())
	case *types.Slice:
		return isOpen(t.Elem())
	case *types.Array:
		return isOpen(t.Elem())
	case *types.Map:
		return isOpen(t.Key()) || isOpen(t.Elem())
	case *types.Struct:
		return slices.ContainsFunc(slices.Collect(t.Fields()), func(f *types.Var) bool { return isOpen(f.Type()) })
	case *types.Signature:
		open := func(v *types.Var) bool { return isOpen(v.Type()) }
		return slices.ContainsFunc(slices.Collect(t.Params().Variables()), open) || slices.ContainsFunc(slices.Collect(t.Results().Variables()), open)
	}
	return false
}

// genericOutput is what the template needs to know of a generic interface: "" where it is none.
type genericOutput struct {
	TypeParams string // [K comparable, V any]
	TypeArgs   string // [K, V]
	Args       []string
}

func (w *writer) generic(i *iface) (out genericOutput) {
	var params, names []string
	for _, param := range i.params {
		name := param.Obj().Name()
		names = append(names, name)
		params = append(params, name+" "+types.TypeString(param.Constraint(), w.im.qualifier))
		out.Args = append(out.Args, fmt.Sprintf("%s.Arg[%s]()", w.im.names[skeletonPath], name))
	}
	if len(names) > 0 {
		out.TypeParams, out.TypeArgs = "["+strings.Join(params, ", ")+"]", "["+strings.Join(names, ", ")+"]"
	}
	return out
}

// quote writes the text of a method as an expression, in which args[0].Name stands for $1. There are no tags that have a $ in them,
// unless it is quoted.
func (i *iface) quote(text string) string {
	if len(i.params) == 0 {
		return quote(text)
	}
	var parts []string
	from, quoted := 0, false
	for k := 0; k < len(text); k++ {
		switch c := text[k]; {
		case quoted && c == '\\':
			k++
		case c == '"':
			quoted = !quoted
		case c == '$' && !quoted:
			end := k + 1
			for end < len(text) && '0' <= text[end] && text[end] <= '9' {
				end++
			}
			var place int
			fmt.Sscan(text[k+1:end], &place)
			parts = append(parts, quote(text[from:k]), fmt.Sprintf("args[%d].Name", place-1))
			from, k = end, end-1
		}
	}
	return strings.Join(append(parts, quote(text[from:])), " + ")
}

// typeArgs writes the type arguments of an instance, in brackets; "" where there are none.
func typeArgs(t *types.Named, qualifier types.Qualifier) string {
	if t.TypeArgs().Len() == 0 {
		return ""
	}
	var args []string
	for arg := range t.TypeArgs().Types() {
		args = append(args, types.TypeString(arg, qualifier))
	}
	return "[" + strings.Join(args, ", ") + "]"
}

// instance is what follows the name of a generic interface's descriptor: the type arguments, and what those lead to, which the instance
// must be told. It knows itself, and those that it is told within are not told again: a type argument may lead back to its instance.
func (p *program) instance(im *imports, t *types.Named, within []types.Type) string {
	if t.TypeArgs().Len() == 0 {
		return ""
	}
	var given reached
	for arg := range t.TypeArgs().Types() {
		given.add(p.survey(im.self, t.Obj().Pos(), arg).reached)
	}
	text := typeArgs(t, im.qualifier) + "()"
	within = append(slices.Clip(within), t)
	var more []string
	for _, r := range given.remotes {
		if slices.ContainsFunc(within, func(t types.Type) bool { return types.Identical(t, r) }) {
			continue
		}
		if d := p.descriptor(im, r, within...); !slices.Contains(more, d) {
			more = append(more, d)
		}
	}
	if len(more) > 0 {
		text += ".Using(" + strings.Join(more, ", ") + ")"
	}
	return text
}
