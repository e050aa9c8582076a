package gen

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
)

// directives is what the //rmi: lines of a package say. Every such line is accounted for: one that stands where it means
// nothing, or contradicts another, is refused, since a directive silently ignored is a promise silently broken.
type directives struct {
	marks   []*mark                  // in source order
	methods map[token.Pos]methodMark // by the position of the method's name
	uses    []use                    // of the whole package
	misused Diagnostics
}

// A mark is the directives of one interface.
type mark struct {
	file          *file
	spec          *ast.TypeSpec
	errors, types []directive
	async, serial bool

	of      *types.TypeName       // of an interface of another package, which has no mark; spec may be nil then
	foreign map[string]methodMark // of one, by the method's name
	at      map[string]token.Pos  // where it lists its methods
	text    []string              // its doc comment
}

// A methodMark is the directives of one method.
type methodMark struct {
	oneway, idempotent, resumable bool
	timeout                       time.Duration // 0: the node's
	orphan                        string        // "": as if cancel
	doc                           []string      // the lines of the method's doc comment that are no directives
}

// A use says which package has the descriptor of an interface that is not marked.
type use struct {
	directive
	path, name string // of the interface
	in         string // the import path of the descriptor's package
}

// mark returns the mark of the interface called name, or nil.
func (d *directives) mark(name string) *mark {
	for _, m := range d.marks {
		if m.of == nil && m.spec.Name.Name == name {
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

func (d directive) String() string { return strings.TrimSpace("//rmi:" + d.word + " " + d.rest) }

// Where a directive may stand.
type place int

const (
	nowhere   place = iota
	onType          // in the doc comment of an interface type
	onMethod        // in that of an interface's method
	onPackage       // outside of declarations, or as onType
)

// words is the language: where each directive may stand.
func words() map[string]place {
	return map[string]place{
		"remote": onType, "errors": onType, "types": onType, "serial": onType,
		"oneway": onMethod, "idempotent": onMethod, "timeout": onMethod, "resumable": onMethod, "orphan": onMethod,
		"use": onPackage,
	}
}

// orphans is what //rmi:orphan may say.
func orphans() []string { return []string{"cancel", "finish", "keep"} }

// readDirectives fills s.directives from its files.
func (p *program) readDirectives(s *source) {
	s.methods = map[token.Pos]methodMark{}
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
			r.methods(spec.Name.Name, lit)
		}
	}
}

func (r *directiveReader) typeDoc(spec *ast.TypeSpec, doc *ast.CommentGroup) {
	m := &mark{file: r.file, spec: spec}
	for _, d := range r.accept(doc, onPackage) {
		r.use(d)
	}
	remote := false
	var others []directive
	for _, d := range r.accept(doc, onType) {
		switch d.word {
		case "remote":
			remote, m.async = true, d.rest == "async"
			r.takes(d, "async")
			continue
		case "errors":
			m.errors = append(m.errors, d)
		case "types":
			m.types = append(m.types, d)
		case "serial":
			m.serial = true
			r.takes(d)
		}
		others = append(others, d)
	}
	if remote {
		r.s.marks = append(r.s.marks, m)
	} else if len(others) > 0 {
		r.refuse(others[0].pos, "//rmi:%s without //rmi:remote: %s is not marked", others[0].word, spec.Name.Name)
	}
}

// takes refuses what follows a directive's word unless it is nothing, or one of the options.
func (r *directiveReader) takes(d directive, options ...string) {
	if d.rest == "" || slices.Contains(options, d.rest) {
		return
	}
	if right := nearest(d.rest, options); right != "" {
		r.refuse(d.pos, "//rmi:%s takes no %s: did you mean //rmi:%s %s?", d.word, d.rest, d.word, right)
		return
	}
	r.refuse(d.pos, "//rmi:%s takes no %s: write //rmi:%s", d.word, d.rest, d.word)
}

func (r *directiveReader) methods(iface string, lit *ast.InterfaceType) {
	for _, field := range lit.Methods.List {
		if len(field.Names) == 0 {
			continue // embedded: nothing belongs there
		}
		m := r.method(iface+"."+field.Names[0].Name, r.accept(field.Doc, onMethod))
		m.doc = prose(field.Doc)
		r.s.methods[field.Names[0].Pos()] = m
	}
}

// prose returns the lines of a doc comment of // lines that are no directives, of //rmi: or of another tool.
func prose(doc *ast.CommentGroup) (lines []string) {
	if doc == nil {
		return nil
	}
	directive := regexp.MustCompile(`^//([a-z0-9]+:[a-z0-9]|line |extern |export )`)
	for _, c := range doc.List {
		if strings.HasPrefix(c.Text, "//") && !directive.MatchString(c.Text) {
			lines = append(lines, strings.TrimRight(c.Text, "\r"))
		}
	}
	for len(lines) > 0 && lines[len(lines)-1] == "//" {
		lines = lines[:len(lines)-1]
	}
	return lines
}

// method reads the directives of one method.
func (r *directiveReader) method(name string, found []directive) (m methodMark) {
	for _, d := range found {
		switch d.word {
		case "oneway":
			m.oneway = true
			r.takes(d)
		case "idempotent":
			m.idempotent = true
			r.takes(d)
		case "resumable":
			m.resumable = true
			r.takes(d)
		case "timeout":
			m.timeout = r.timeout(d)
		case "orphan":
			m.orphan = r.orphan(d)
		}
	}
	if m.oneway && m.resumable {
		r.refuse(found[0].pos, "%s: //rmi:oneway and //rmi:resumable exclude each other: nobody waits for a one-way call, so nobody can resume it", name)
	}
	return m
}

func (r *directiveReader) timeout(d directive) time.Duration {
	t, err := time.ParseDuration(d.rest)
	switch {
	case err != nil:
		r.refuse(d.pos, "%v: write a duration as in Go, with its unit: //rmi:timeout 1m30s", d)
	case t <= 0:
		r.refuse(d.pos, "%v: a call cannot end before it begins: write a positive duration, or leave the line out for no timeout of its own", d)
	}
	return t
}

func (r *directiveReader) orphan(d directive) string {
	if right := nearest(d.rest, orphans()); right != d.rest || d.rest == "" {
		r.refuse(d.pos, "%v: write //rmi:orphan %s", d, cmp.Or(right, strings.Join(orphans(), ", //rmi:orphan ")))
	}
	return d.rest
}

// accept returns the directives of doc that belong at a place. Of those that say one thing, the second is refused.
func (r *directiveReader) accept(doc *ast.CommentGroup, at place) []directive {
	if doc == nil {
		return nil
	}
	var found []directive
	for _, c := range doc.List {
		d, ok := parseDirective(c)
		if !ok || words()[d.word] != at {
			continue
		}
		r.seen[d.pos] = true
		twice := slices.ContainsFunc(found, func(other directive) bool { return other.word == d.word })
		if twice && !repeats(d.word) {
			r.refuse(d.pos, "//rmi:%s stands here twice: leave one of them out", d.word)
			continue
		}
		found = append(found, d)
	}
	return found
}

// repeats tells whether a directive may stand at one place more than once.
func repeats(word string) bool { return slices.Contains([]string{"errors", "types", "use"}, word) }

// strays reads the directives that may stand anywhere outside of declarations, and refuses every other that was not accepted.
func (r *directiveReader) strays() {
	for _, group := range r.file.syntax.Comments {
		for _, c := range group.List {
			d, ok := parseDirective(c)
			if ok && r.seen[d.pos] {
				continue
			}
			if ok && words()[d.word] == onPackage && !r.inside(d.pos) {
				r.use(d)
			} else if ok && disguised(c) == "" {
				r.refuse(d.pos, "%s", explain(d.word))
			} else if right := disguised(c); right != "" {
				r.refuse(c.Pos(), "a directive begins with //rmi: exactly, without blanks: write %s", right)
			}
		}
	}
}

// inside tells whether pos is within a declaration of the file.
func (r *directiveReader) inside(pos token.Pos) bool {
	return slices.ContainsFunc(r.file.syntax.Decls, func(d ast.Decl) bool {
		from := d.Pos()
		if gen, ok := d.(*ast.GenDecl); ok && gen.Lparen.IsValid() {
			from = gen.Lparen
		}
		return from <= pos && pos < d.End()
	})
}

// use reads a line //rmi:use path.Name=path.
func (r *directiveReader) use(d directive) {
	iface, in, ok := strings.Cut(d.rest, "=")
	dot := strings.LastIndexByte(iface, '.')
	if !ok || dot <= 0 || in == "" || strings.ContainsAny(d.rest, " \"") || !ast.IsExported(iface[dot+1:]) {
		r.refuse(d.pos, "%v: name the interface and the package of its descriptor: //rmi:use example.com/x.Y=example.com/yrmi", d)
		return
	}
	u := use{d, iface[:dot], iface[dot+1:], in}
	for _, other := range r.s.uses {
		if other.path == u.path && other.name == u.name && other.in != u.in {
			r.refuse(d.pos, "%v: its descriptor is that of %s, as %s says: leave one of them out", d, other.in, r.p.position(other.pos))
			return
		}
	}
	r.s.uses = append(r.s.uses, u)
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
	text, ok := strings.CutPrefix(strings.TrimRight(c.Text, "\r"), "//rmi:")
	word, rest, _ := strings.Cut(strings.ReplaceAll(text, "\t", " "), " ")
	return directive{c.Pos(), word, strings.TrimSpace(rest)}, ok
}

// disguised recognises a comment that is a directive but for blanks, capitals or the kind of comment, and returns it as it should
// be written. Prose that happens to begin so goes on where a directive ends.
func disguised(c *ast.Comment) string {
	m := regexp.MustCompile(`^(?://|/\*)\s*(?i:rmi)\s*:\s*([A-Za-z]+)(?:[ \t]+(\S+))?\s*(?:\*/)?$`).FindStringSubmatch(c.Text)
	if text, block := strings.CutSuffix(c.Text, "*/"); block { // of which the argument would take the end
		m = regexp.MustCompile(`^/\*\s*(?i:rmi)\s*:\s*([A-Za-z]+)(?:[ \t]+(\S+))?\s*$`).FindStringSubmatch(text)
	}
	if m == nil || strings.HasPrefix(c.Text, "//rmi:"+strings.ToLower(m[1])) {
		return ""
	}
	d := directive{word: strings.ToLower(m[1]), rest: m[2]}
	fits := false
	switch d.word {
	case "errors", "types":
		_, err := parser.ParseExpr(d.rest)
		fits = err == nil
	case "timeout":
		_, err := time.ParseDuration(d.rest)
		fits = err == nil
	case "orphan":
		fits = slices.Contains(orphans(), d.rest)
	case "use":
		fits = strings.Contains(d.rest, "=")
	case "remote":
		fits = d.rest == "" || d.rest == "async"
	default:
		fits = words()[d.word] != nowhere && d.rest == ""
	}
	if !fits {
		return ""
	}
	return d.String()
}

// explain says what is wrong with a directive that was not accepted.
func explain(word string) string {
	switch words()[word] {
	case onType:
		return fmt.Sprintf("//rmi:%s belongs in the doc comment of an interface type, directly above it", word)
	case onMethod:
		return fmt.Sprintf("//rmi:%s belongs in the doc comment of an interface's method, directly above it", word)
	case onPackage:
		return fmt.Sprintf("//rmi:%s belongs in the doc comment of an interface type, or outside of declarations", word)
	}
	known := slices.Sorted(maps.Keys(words()))
	if right := nearest(word, known); right != "" {
		return fmt.Sprintf("//rmi:%s is no directive: did you mean //rmi:%s?", word, right)
	}
	last := len(known) - 1
	return fmt.Sprintf("//rmi:%s is no directive: there are //rmi:%s and //rmi:%s", word, strings.Join(known[:last], ", //rmi:"), known[last])
}

// nearest returns the option that a word is, or may be meant to be: the nearest of those within two edits, or "".
func nearest(word string, options []string) string {
	best, least := "", 3
	for _, option := range options {
		if d := editDistance(strings.ToLower(word), option); d < least && d < len(word) {
			best, least = option, d
		}
	}
	return best
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
