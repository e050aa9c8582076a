package gen

import (
	_ "embed"
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"slices"
	"strings"
	"unicode"
)

// asyncShape is the template of an interface's asynchronous view.
//
//go:embed async.go.tmpl
var asyncShape string

// viewName is the name of an interface's asynchronous view, exported as the interface is.
func viewName(name string) string {
	if ast.IsExported(name) {
		return "Async" + name
	}
	first := []rune(name)
	return "async" + string(unicode.ToUpper(first[0])) + string(first[1:])
}

// viewNames are the names that users write of an interface that has an asynchronous view, or nil.
func (i *iface) viewNames() []string {
	if !i.mark.async {
		return nil
	}
	view := viewName(i.obj.Name())
	names := []string{view, view + "Of"}
	for _, m := range i.methods {
		if len(m.results) > 1 && !m.takes {
			names = append(names, view+m.fn.Name())
		}
	}
	return names
}

// refuseViewNames refuses an asynchronous view whose names are taken, and adds them to those of the package.
func (p *program) refuseViewNames(i *iface, declared, imported map[string]token.Pos) {
	for _, name := range i.viewNames() {
		for _, taken := range []map[string]token.Pos{declared, imported} {
			if pos, clash := taken[name]; clash {
				p.refuse(i.mark.pos(), "%s: its asynchronous view will declare %s, a name already used at %s: %s",
					i.title(), name, p.position(pos), i.mark.yield())
			}
		}
		declared[name] = i.mark.pos()
	}
	if !i.mark.async {
		return
	}
	for _, m := range i.methods {
		if m.fn.Name() == "Promise" {
			p.refuse(m.fn.Pos(), "%s.Promise: the asynchronous view has a method Promise of its own: rename this one, or leave async out", i.obj.Name())
		}
	}
}

// isAsync tells whether a remote interface has an asynchronous view.
func (p *program) isAsync(n *types.Named) bool {
	if s := p.sourceOf(n.Obj()); s != nil {
		m := s.mark(n.Obj().Name())
		return m != nil && m.async
	}
	pkg := n.Obj().Pkg()
	return pkg != nil && pkg.Scope().Lookup(viewName(n.Obj().Name())+"Of") != nil
}

// asyncOutput is what an asynchronous view needs to know of a method.
type asyncOutput struct {
	Struct     *structOutput // of several results; nil: there are fewer
	view       string        // of the object that the method returns; "": it returns none that has one
	viewArgs   string        // its type arguments
	descriptor string        // of that
	result     string        // that the future has
	stub       string        // as the package is called
}

type structOutput struct {
	Name, Method string
	Fields       []string
	names        []string
}

// async fills in what an asynchronous view needs to know of a method.
func (w *writer) async(i *iface, m *method, out *methodOutput) {
	if out.stub = w.im.names[stubPath]; out.Streams() {
		return
	}
	switch len(m.results) {
	case 0:
		out.result = out.stub + ".None"
	case 1:
		out.result = out.Results[0].Type
		n, ok := types.Unalias(m.results[0].Type()).(*types.Named)
		if !ok || isObject(n) || !w.p.isMarked(n) || !w.p.isAsync(n) {
			return
		}
		out.descriptor, out.view = w.p.descriptor(w.im, n), viewName(n.Obj().Name())
		out.viewArgs = typeArgs(n, w.im.qualifier)
		if pkg := w.im.qualifier(n.Obj().Pkg()); pkg != "" {
			out.view = pkg + "." + out.view
		}
	default:
		s := &structOutput{Name: viewName(i.obj.Name()) + m.fn.Name(), Method: m.fn.Name()}
		for k, r := range out.Results {
			name := fmt.Sprintf("R%d", k)
			if own := m.results[k].Name(); own != "" && own != "_" {
				name = exported(own)
			}
			for slices.Contains(s.names, name) {
				name += "_"
			}
			s.names = append(s.names, name)
			s.Fields = append(s.Fields, name+" "+r.Type)
		}
		out.Struct, out.result = s, s.Name+w.generic(i).TypeArgs
	}
}

// exported makes an exported name of any other.
func exported(name string) string {
	runes := []rune(name)
	if runes[0] = unicode.ToUpper(runes[0]); !unicode.IsUpper(runes[0]) {
		return "R" + name
	}
	return string(runes)
}

// AsyncDeclaration is what follows the method's name in the view's declaration.
func (m methodOutput) AsyncDeclaration() string {
	params := "ctx " + m.context + ".Context"
	if len(m.Params) > 0 {
		params += ", " + declare(m.Params)
	}
	if m.view != "" {
		return "(" + params + ") " + m.view + m.viewArgs
	}
	return "(" + params + ") *" + m.stub + ".Future[" + m.result + "]"
}

// AsyncBody is the body of a view's method.
func (m methodOutput) AsyncBody(iface string) string {
	call := fmt.Sprintf("impl.%s(%s)", m.Name, m.Arguments())
	takes := fmt.Sprintf("func(ctx %s.Context, impl %s)", m.context, iface)
	switch {
	case m.view != "":
		return fmt.Sprintf("return %sOf(%s.Then(ctx, s.object, %s, %s (%s, error) {\nreturn %s\n}))", m.view, m.stub, m.descriptor, takes, m.result, call)
	case len(m.Results) == 0:
		return fmt.Sprintf("return %s.Do(ctx, s.object, %s error {\nreturn %s\n})", m.stub, takes, call)
	case m.Struct == nil:
		return fmt.Sprintf("return %s.Go(ctx, s.object, %s (%s, error) {\nreturn %s\n})", m.stub, takes, m.result, call)
	}
	all := "all"
	for slices.ContainsFunc(m.Params, func(v valueOutput) bool { return v.Name == all }) {
		all += "All"
	}
	fields := make([]string, len(m.Struct.names))
	for k, name := range m.Struct.names {
		fields[k] = all + "." + name
	}
	return fmt.Sprintf("return %s.Go(ctx, s.object, %s (%s %s, err error) {\n%s, err = %s\nreturn %s, err\n})",
		m.stub, takes, all, m.result, strings.Join(fields, ", "), call, all)
}
