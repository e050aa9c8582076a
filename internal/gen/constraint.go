package gen

import (
	"go/ast"
	"go/build"
	"go/build/constraint"
	"io"
	"slices"
	"strings"
)

// buildConstraint returns the constraint under which the go command compiles a file: that of its //go:build line and that
// of its name, which the generated file's name no longer implies ("bank_linux_rmi.go" is for every system), and cgo for one
// that imports "C", which the generated file does not.
func buildConstraint(name string, f *ast.File) string {
	var all constraint.Expr
	and := func(x constraint.Expr) {
		if all == nil {
			all = x
		} else {
			all = &constraint.AndExpr{X: all, Y: x}
		}
	}
	for _, group := range f.Comments {
		for _, c := range group.List {
			if c.Pos() < f.Package && constraint.IsGoBuild(c.Text) {
				if x, err := constraint.Parse(c.Text); err == nil {
					and(x)
				}
			}
		}
	}
	for _, tag := range nameTags(name) {
		and(&constraint.TagExpr{Tag: tag})
	}
	if importsC(f) && !requires(all, "cgo") {
		and(&constraint.TagExpr{Tag: "cgo"})
	}
	if all == nil {
		return ""
	}
	return all.String()
}

func importsC(f *ast.File) bool {
	return slices.ContainsFunc(f.Imports, func(i *ast.ImportSpec) bool { return i.Path.Value == `"C"` })
}

// requires tells whether a constraint says by itself that it does not hold without a tag.
func requires(x constraint.Expr, tag string) bool {
	switch x := x.(type) {
	case *constraint.TagExpr:
		return x.Tag == tag
	case *constraint.AndExpr:
		return requires(x.X, tag) || requires(x.Y, tag)
	}
	return false
}

// nameTags returns the operating system and architecture in a name like bank_linux_amd64.go.
func nameTags(name string) []string {
	parts := strings.Split(strings.TrimSuffix(name, ".go"), "_")
	last := len(parts) - 1
	switch {
	case last == 0 || selected("x_"+parts[last]+".go", "x"): // no tag
		return nil
	case last > 1 && isSystem(parts[last-1]) && !isSystem(parts[last]):
		return parts[last-1:]
	}
	return parts[last:]
}

// isSystem tells a system's name from an architecture's: only the former counts as the last but one part.
func isSystem(word string) bool { return !selected("x_"+word+"_amd64.go", "amd64") }

// selected asks go/build, which keeps the list of known systems to itself, whether a file of that name is for an unknown
// system on an architecture.
func selected(name, architecture string) bool {
	context := build.Context{GOOS: "x", GOARCH: architecture, Compiler: "gc"}
	context.OpenFile = func(string) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("package x\n")), nil }
	match, err := context.MatchFile("", name)
	return match && err == nil
}
