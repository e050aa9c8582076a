package gen

import (
	"fmt"
	"go/types"
	"maps"
	"slices"
	"strings"
)

// Functions travel as objects with one method. Each function type that signatures lead to has a descriptor, which is written like that of an
// interface; the interfaces of a package share it.

// A function is the type that an iface describes which is no interface. The iface's obj is the interface that first mentions it.
type function struct {
	sig   *types.Signature
	name  string  // by which it was met first; "" if it never had one
	first finding // where it was met
	of    *iface
}

// functions returns the function types that the messages of interfaces lead to, in the order in which they are met, checked.
func (p *program) functions(all []*iface) []*iface {
	var found []*iface
	for _, i := range all {
		p.mentioned(&found, i, i, map[*iface]bool{})
	}
	for _, f := range found {
		p.checkHolders(f)
	}
	return found
}

// mentioned adds the functions that in leads to, which is of or a function that of leads to. What the directives of an interface allow in its
// messages is allowed in those of its functions.
func (p *program) mentioned(found *[]*iface, of, in *iface, seen map[*iface]bool) {
	for _, m := range in.found {
		for _, t := range m.functions {
			f := functionOf(*found, in.mark.file, t)
			if f == nil {
				f = p.newFunction(of, m, t.Underlying().(*types.Signature))
				*found = append(*found, f)
			}
			if n, ok := t.(*types.Named); ok && f.function.name == "" {
				f.function.name = n.Obj().Name()
			}
			if seen[f] {
				continue
			}
			seen[f] = true
			f.own = append(f.own, of.own...)
			f.add(of.held)
			for _, e := range of.own {
				f.add(e.reached)
			}
			p.mentioned(found, of, f, seen)
		}
	}
}

// functionOf returns the function type of those that a file may refer to: what is declared in a file that is always built with it.
func functionOf(all []*iface, f *file, t types.Type) *iface {
	for _, i := range all {
		other := i.mark.file
		together := f == other || f.constraint == other.constraint && f.foreign == nil && other.foreign == nil
		if i.function != nil && together && types.Identical(i.function.sig, t.Underlying()) {
			return i
		}
	}
	return nil
}

func (p *program) newFunction(of *iface, m finding, sig *types.Signature) *iface {
	mark := *of.mark
	mark.async, mark.serial = false, false
	i := &iface{obj: of.obj, home: of.home, mark: &mark, function: &function{sig: sig, first: m, of: of}, common: of.common}
	text := canonical(sig)
	call := &method{fn: types.NewFunc(m.check.pos, of.home, "Call", sig), text: text, id: idOf(text)}
	i.methods = []*method{call}
	call.params, call.results = insideOf(sig)
	check := &methodCheck{p: p, iface: i, fn: m.check.fn, pos: m.check.pos}
	for _, v := range slices.Concat(call.params, call.results) {
		found := p.survey(i.home, m.check.fn.Pos(), v.Type()) // whose problems the method has been refused for
		i.add(found.reached)
		i.found = append(i.found, finding{check, m.where, v.Type(), found.holders, found.functions})
	}
	for _, e := range i.common {
		i.add(e.reached)
	}
	return i
}

// isFunction tells whether functions of a type travel: with a context and an error, as methods.
func isFunction(sig *types.Signature) bool {
	params, results := sig.Params(), sig.Results()
	return params.Len() > 0 && isContext(params.At(0).Type()) && results.Len() > 0 && isError(results.At(results.Len()-1).Type())
}

// insideOf returns what a function takes and returns beside its context and its error.
func insideOf(sig *types.Signature) (params, results []*types.Var) {
	params, results = slices.Collect(sig.Params().Variables()), slices.Collect(sig.Results().Variables())
	return params[1:], results[:len(results)-1]
}

// function refuses a function type that cannot travel, and walks what one leads to that can. That is of messages of their own, and is looked
// at here only for what is wrong with it.
func (s *survey) function(whole types.Type, t *types.Signature, path string) {
	for _, tuple := range []*types.Tuple{t.Params(), t.Results()} {
		for v := range tuple.Variables() {
			if _, isIter := streamed(v.Type()); isIter || ioStream(v.Type()) != "" {
				s.fail(whole, path, "a function takes and returns no streams, as methods do", "pass a //rmi:remote interface with a method that does")
				return
			}
		}
	}
	if isIterator(whole) {
		s.fail(whole, path, "an iterator that is a type of its own cannot travel", "write iter.Seq2[T, error] itself, or an alias of it")
		return
	}
	if !isFunction(t) {
		s.fail(whole, path, "a function travels with context.Context as its first parameter and error as its last result", "write func"+corrected(t, s.from))
		return
	}
	if pr, hidden := unnameable(s.from, t); hidden { // the type itself may have a name
		s.fail(whole, path, pr.what, "use a function type of exported types of packages that can be imported")
		return
	}
	if isOpen(t) {
		s.fail(whole, path, "a function cannot travel whose type has type parameters", "pass a //rmi:remote interface, which may be generic")
		return
	}
	s.functions = append(s.functions, whole)
	if s.inside[canonical(t)] {
		return
	}
	s.inside[canonical(t)] = true
	if path += "()"; outsideStructs(path) {
		path = ""
	}
	inner := &survey{p: s.p, from: s.from, pos: s.pos, seen: maps.Clone(s.seen), inside: s.inside}
	params, results := insideOf(t)
	for _, v := range slices.Concat(params, results) {
		inner.walk(v.Type(), path)
	}
	s.problems, s.remarks = append(s.problems, inner.problems...), append(s.remarks, inner.remarks...)
}

// functionless refuses what a value or an error leads to that is a function: no method's signature does, so that no messages know its type.
func (s *survey) functionless(t types.Type) {
	if len(s.functions) > 0 {
		s.fail(t, "", s.name(t)+" has a function in it, which travels as a parameter, as a result or inside one only", "pass that function by a method")
	}
}

// described is the type that is described: of a function without the names of its parameters.
func (i *iface) described() types.Type {
	if i.function == nil {
		return i.typ
	}
	unnamed := func(vs *types.Tuple) *types.Tuple {
		var all []*types.Var
		for v := range vs.Variables() {
			all = append(all, types.NewParam(v.Pos(), v.Pkg(), "", v.Type()))
		}
		return types.NewTuple(all...)
	}
	sig := i.function.sig
	return types.NewSignatureType(nil, nil, nil, unnamed(sig.Params()), unnamed(sig.Results()), sig.Variadic())
}

// longestPath is how many bytes the name of an interface may have on the wire.
const longestPath = 256

// path is the function type as the name of an interface: without blanks, and its ID where it is too long.
func (m *method) path() string {
	if path := strings.ReplaceAll(m.text, " ", ""); len(path) <= longestPath {
		return path
	}
	return fmt.Sprintf("func-%016x", m.id)
}
