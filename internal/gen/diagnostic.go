package gen

import (
	"cmp"
	"fmt"
	"go/token"
	"slices"
	"strings"
)

// Diagnostic is one thing that rmigen refuses, or with -v remarks on: where, what, and what to write instead.
type Diagnostic struct {
	Pos  token.Position // Filename is relative to Options.Dir
	Text string
}

func (d Diagnostic) String() string { return d.Pos.String() + ": " + d.Text }

// Diagnostics is the error of a run that refused something.
type Diagnostics []Diagnostic

// Error has one line for each diagnostic.
func (ds Diagnostics) Error() string {
	lines := make([]string, len(ds))
	for i, d := range ds {
		lines[i] = d.String()
	}
	return strings.Join(lines, "\n")
}

func (ds Diagnostics) sorted() Diagnostics {
	slices.SortFunc(ds, func(a, b Diagnostic) int {
		return cmp.Or(
			cmp.Compare(a.Pos.Filename, b.Pos.Filename),
			cmp.Compare(a.Pos.Line, b.Pos.Line),
			cmp.Compare(a.Pos.Column, b.Pos.Column),
			cmp.Compare(a.Text, b.Text),
		)
	})
	return slices.Compact(ds)
}

// refuse records why there will be no output.
func (p *program) refuse(pos token.Pos, format string, args ...any) {
	p.refused = append(p.refused, Diagnostic{p.position(pos), fmt.Sprintf(format, args...)})
}

// note records what is worth knowing but stops nothing.
func (p *program) note(pos token.Pos, format string, args ...any) {
	p.notes = append(p.notes, Diagnostic{p.position(pos), fmt.Sprintf(format, args...)})
}

func (p *program) position(pos token.Pos) token.Position {
	at := p.fset.Position(pos)
	at.Filename = p.relative(at.Filename)
	return at
}

func (p *program) refuseFile(path, text string) {
	p.refused = append(p.refused, Diagnostic{token.Position{Filename: p.relative(path)}, text})
}
