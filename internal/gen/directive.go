package gen

import (
	"fmt"
	"go/ast"
	"go/token"
	"regexp"
	"slices"
	"strings"
)

// directives is what the //rmi: lines of a package say. Every such line is accounted for: one that stands where it means
// nothing is refused, since a directive silently ignored is a promise silently broken.
type directives struct {
	marks      []*mark            // in source order
	idempotent map[token.Pos]bool // by the position of the method's name
	misused    Diagnostics
}

// A mark is the directives of one interface.
type mark struct {
	file   *file
	spec   *ast.TypeSpec
	errors []directive
	types  []directive
}

// mark returns the mark of the interface called name, or nil.
func (d *directives) mark(name string) *mark {
	for _, m := range d.marks {
		if m.spec.Name.Name == name {
			return m
		}
	}
	return nil
}

// A directive is one line: //rmi:word rest.
type directive struct {
	pos        token.Pos
	word, rest string
}

// Where a directive may stand.
type place int

const (
	nowhere place = iota
	onType
	onMethod
)

// placeOf says where each word of this version belongs.
func placeOf(word string) place {
	switch word {
	case "remote", "errors", "types":
		return onType
	case "idempotent":
		return onMethod
	}
	return nowhere
}

// later lists the words that are part of the language but not of this version.
func later() []string {
	return []string{"oneway", "orphan", "resumable", "serial", "timeout", "use"}
}

// readDirectives fills s.directives from its files.
func (p *program) readDirectives(s *source) {
	s.idempotent = map[token.Pos]bool{}
	for _, f := range s.files {
		r := &directiveReader{p, s, f, map[token.Pos]bool{}}
		for _, decl := range f.syntax.Decls {
			if gen, ok := decl.(*ast.GenDecl); ok && gen.Tok == token.TYPE {
				r.types(gen)
			}
		}
		r.strays()
	}
	for _, syntax := range s.tests {
		r := &directiveReader{p: p, s: s}
		r.refuseAll(syntax)
	}
}

type directiveReader struct {
	p    *program
	s    *source
	file *file
	seen map[token.Pos]bool // directives that stand where they may
}

func (r *directiveReader) types(decl *ast.GenDecl) {
	for _, spec := range decl.Specs {
		spec := spec.(*ast.TypeSpec)
		doc := spec.Doc
		if !decl.Lparen.IsValid() {
			doc = decl.Doc
		}
		r.typeDoc(spec, doc)
		if lit, ok := spec.Type.(*ast.InterfaceType); ok {
			r.methods(lit)
		}
	}
}

func (r *directiveReader) typeDoc(spec *ast.TypeSpec, doc *ast.CommentGroup) {
	m := &mark{file: r.file, spec: spec}
	remote := false
	for _, d := range r.accept(doc, onType) {
		switch {
		case d.word == "errors":
			m.errors = append(m.errors, d)
		case d.word == "types":
			m.types = append(m.types, d)
		case d.rest == "":
			remote = true
		case d.rest == "async":
			r.refuse(d.pos, "//rmi:remote async is not supported by this version of rmigen: write //rmi:remote")
		default:
			r.refuse(d.pos, "//rmi:remote takes no %s: write //rmi:remote", d.rest)
		}
	}
	if remote {
		r.s.marks = append(r.s.marks, m)
	} else if others := append(m.errors, m.types...); len(others) > 0 {
		r.refuse(others[0].pos, "//rmi:%s without //rmi:remote: %s is not marked", others[0].word, spec.Name.Name)
	}
}

func (r *directiveReader) methods(lit *ast.InterfaceType) {
	for _, field := range lit.Methods.List {
		if len(field.Names) == 0 {
			continue // embedded: nothing belongs there
		}
		for _, d := range r.accept(field.Doc, onMethod) {
			if d.rest != "" {
				r.refuse(d.pos, "//rmi:%s takes no %s", d.word, d.rest)
			}
			r.s.idempotent[field.Names[0].Pos()] = true
		}
	}
}

// accept returns the directives of doc that belong at a place.
func (r *directiveReader) accept(doc *ast.CommentGroup, at place) []directive {
	if doc == nil {
		return nil
	}
	var found []directive
	for _, c := range doc.List {
		if d, ok := parseDirective(c); ok && placeOf(d.word) == at {
			found = append(found, d)
			r.seen[d.pos] = true
		}
	}
	return found
}

// strays refuses every directive of the file that was not accepted.
func (r *directiveReader) strays() {
	for _, group := range r.file.syntax.Comments {
		for _, c := range group.List {
			if d, ok := parseDirective(c); ok && !r.seen[d.pos] {
				r.refuse(d.pos, "%s", explain(d.word))
			} else if word, ok := spaced(c); ok {
				r.refuse(c.Pos(), "a directive has no space after the slashes: write //rmi:%s", word)
			}
		}
	}
}

// refuseAll refuses every directive of a test file: what is generated for a package cannot name what its tests declare.
func (r *directiveReader) refuseAll(syntax *ast.File) {
	for _, group := range syntax.Comments {
		for _, c := range group.List {
			if d, ok := parseDirective(c); ok {
				r.refuse(d.pos, "//rmi:%s in a test file: nothing is generated for interfaces in test files: move it to another file", d.word)
			}
		}
	}
}

func (r *directiveReader) refuse(pos token.Pos, format string, args ...any) {
	r.s.misused = append(r.s.misused, Diagnostic{r.p.position(pos), fmt.Sprintf(format, args...)})
}

func parseDirective(c *ast.Comment) (directive, bool) {
	text, ok := strings.CutPrefix(c.Text, "//rmi:")
	word, rest, _ := strings.Cut(strings.ReplaceAll(text, "\t", " "), " ")
	return directive{c.Pos(), word, strings.TrimSpace(rest)}, ok
}

// spaced recognises a comment that is a directive but for a space: such a line alone is hardly prose.
func spaced(c *ast.Comment) (word string, ok bool) {
	m := regexp.MustCompile(`^//\s+rmi:([a-z]+)\s*$`).FindStringSubmatch(c.Text)
	if m == nil || placeOf(m[1]) == nowhere {
		return "", false
	}
	return m[1], true
}

// explain says what is wrong with a directive that was not accepted.
func explain(word string) string {
	switch {
	case placeOf(word) == onType:
		return fmt.Sprintf("//rmi:%s belongs in the doc comment of an interface type, directly above it", word)
	case placeOf(word) == onMethod:
		return fmt.Sprintf("//rmi:%s belongs in the doc comment of an interface's method, directly above it", word)
	case slices.Contains(later(), word):
		return fmt.Sprintf("//rmi:%s is not supported by this version of rmigen", word)
	}
	for _, known := range append([]string{"remote", "errors", "types", "idempotent"}, later()...) {
		if editDistance(word, known) <= 2 && len(word) > 2 {
			return fmt.Sprintf("//rmi:%s is no directive: did you mean //rmi:%s?", word, known)
		}
	}
	return fmt.Sprintf("//rmi:%s is no directive: there are //rmi:remote, //rmi:errors, //rmi:types and //rmi:idempotent", word)
}

// editDistance counts the insertions, deletions and replacements that turn a into b (Levenshtein 1966).
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
