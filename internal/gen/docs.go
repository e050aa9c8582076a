package gen

import (
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"slices"
	"strings"
)

// docs writes what the source says of an interface beyond its types, for those who describe it at run time: doc comments, and the
// names of parameters and results. "" where it says nothing.
func (w *writer) docs(i *iface) string {
	var fields []string
	if doc := plainText(i.mark.doc()); doc != "" {
		fields = append(fields, "Text: "+quote(doc))
	}
	var methods []string
	for _, m := range i.methods {
		entry := []string{fmt.Sprintf("Method: %q", m.fn.Name())}
		if names := namesOf(m.params); names != "" {
			entry = append(entry, fmt.Sprintf("Params: %q", names))
		}
		if names := namesOf(m.results); names != "" {
			entry = append(entry, fmt.Sprintf("Results: %q", names))
		}
		if doc := plainText(m.marks.doc); doc != "" {
			entry = append(entry, "Text: "+quote(doc))
		}
		if len(entry) > 1 {
			methods = append(methods, "{"+strings.Join(entry, ", ")+"}")
		}
	}
	skeleton := w.im.names[skeletonPath]
	if len(methods) > 0 {
		fields = append(fields, "Methods: []"+skeleton+".MethodDocs{\n"+strings.Join(methods, ",\n")+",\n}")
	}
	if len(fields) == 0 {
		return ""
	}
	return skeleton + ".Docs{\n" + strings.Join(fields, ",\n") + ",\n}"
}

// doc returns the lines of the interface's doc comment that are no directives.
func (m *mark) doc() []string {
	if m.of != nil {
		return m.text
	}
	return prose(m.file.docOf(m.spec))
}

// docOf returns the doc comment of a type that the file declares.
func (f *file) docOf(spec *ast.TypeSpec) *ast.CommentGroup {
	for _, decl := range f.syntax.Decls {
		gen, ok := decl.(*ast.GenDecl)
		if !ok || gen.Tok != token.TYPE || !slices.Contains(gen.Specs, ast.Spec(spec)) {
			continue
		}
		if gen.Lparen.IsValid() {
			return spec.Doc
		}
		return gen.Doc
	}
	return nil
}

// plainText takes the slashes off the lines of a comment.
func plainText(lines []string) string {
	var text []string
	for _, line := range lines {
		text = append(text, strings.TrimPrefix(strings.TrimPrefix(line, "//"), " "))
	}
	return strings.TrimSpace(strings.Join(text, "\n"))
}

// namesOf returns the names of parameters or results, if each has one.
func namesOf(vs []*types.Var) string {
	var names []string
	for _, v := range vs {
		if v.Name() == "" {
			return ""
		}
		names = append(names, v.Name())
	}
	return strings.Join(names, " ")
}
