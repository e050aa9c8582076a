// Package gen is rmigen: it reads the interfaces of a package that are marked //rmi:remote and writes, beside each file
// that declares one, the stubs, skeletons and descriptors that the runtime needs.
//
//	plan, err := gen.Generate(ctx, gen.Options{Dir: "bank"})
//	if err != nil {
//		return err // gen.Diagnostics: every refusal, sorted by position
//	}
//	return plan.Write()
//
// The errors that a method may return and a caller may compare are, for all interfaces of a package, the variables of type
// error that it exports with a value and a name that begins with Err, and the error types that it exports, unless they have
// unexported fields and do not marshal themselves. A line //rmi:errors pkg.ErrX, pkg.T or *pkg.T in an interface's doc comment
// adds another, of any package that the file imports; where nothing else in the file uses that import, a line
// var _ = pkg.ErrX, or var _ pkg.T, keeps it. A variable that is nil at run time, or whose value cannot be compared,
// is passed over there: rmigen reads declarations and cannot know.
//
// Interfaces of other packages, which cannot be marked, are named by Options.Foreign. What is generated for them keeps that in a line of
// its own, so that later runs know it too.
//
// Guarantees:
//
//  1. All or nothing: one refusal anywhere and there is no plan, so nothing is written.
//  2. The same sources give the same bytes, whatever generated files are on disk and whatever order packages are named in.
//  3. A file that rmigen did not write is neither overwritten nor removed.
//  4. What is generated compiles, whatever names the user's package, its tests and its imports have taken.
package gen

import (
	"context"
	"slices"
	"strings"
)

// Options says what to generate.
type Options struct {
	// Dir is where patterns are resolved and what positions and file names are relative to. Zero: the working directory.
	Dir string
	// Packages are import paths, patterns as the go command knows them, or directories. Zero: the package in Dir.
	Packages []string
	// Foreign are interfaces of other packages to generate for, into the package in Out. Zero: none; else Packages must be empty.
	Foreign *Foreign
	// Out is the directory for what Foreign names, relative to Dir. It is made if it is not there.
	Out string
}

// Generate reads the packages and returns the files that they should have, having written none. An error that is a
// Diagnostics lists everything that was refused; any other error means that the packages could not be read.
func Generate(ctx context.Context, opts Options) (*Plan, error) {
	prog, err := load(ctx, opts, false)
	if err != nil {
		return nil, err
	}
	plan := &Plan{}
	if !prog.refuseCycles() {
		for _, pkg := range prog.targets {
			plan.add(prog, pkg)
		}
	}
	if len(prog.refused) > 0 {
		return nil, prog.refused.sorted()
	}
	slices.SortFunc(plan.Files, func(a, b File) int { return strings.Compare(a.path, b.path) })
	plan.Notes = prog.notes.sorted()
	return plan, nil
}
