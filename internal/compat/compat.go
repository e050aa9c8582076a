// Package compat compares two versions of remote interfaces, and names each change by which a peer built from one version does not get
// along with a peer built from the other.
//
//	old, err := compat.Read(ctx, "v1.2", "./...") // a revision, or a directory
//	defer old.Close()
//	now, err := compat.Read(ctx, ".", "./...")
//	for _, change := range compat.Compare(old, now) {
//		fmt.Println(change) // bank.go:14:2: bank.Account.Deposit: breaks … [method-changed]
//	}
//
// A client is who calls an interface, a server who has the object: of a callback, be it an object or a function, the program that is
// otherwise the client is the server. A change breaks a direction if there is a call which both versions would carry out among themselves, or that the client's version
// has, and which fails, or misses a value or an error's identity, where client and server are of different versions. By that, what the codec
// passes over or leaves at zero breaks nothing: fields come and go. A promise that is withdrawn breaks those who were told of it.
//
// Guarantees:
//
//  1. Each change says where, what it was and is, which direction it breaks if any, why, and what to do instead.
//  2. What is judged is what the wire has: names on it, method texts, the forms that the codec gives to types. What code does with it, and
//     what types that marshal themselves write, is not seen.
//  3. The same sources give the same changes in the same order.
package compat

import (
	"cmp"
	"fmt"
	"go/token"
	"go/types"
	"slices"
	"strings"

	"github.com/rmigo/rmigo/internal/gen"
)

// Clients says whose calls a change breaks.
type Clients int

const (
	OldClients Clients = 1 << iota // of the old version, calling servers of the new one
	NewClients                     // of the new version, calling servers of the old one
)

func (c Clients) String() string {
	switch c {
	case 0:
		return "no calls"
	case OldClients:
		return "calls of old clients to new servers"
	case NewClients:
		return "calls of new clients to old servers"
	}
	return "calls of old clients to new servers, and of new clients to old servers"
}

// A Change is a difference between the versions. One that breaks nothing is worth knowing all the same.
type Change struct {
	Pos     token.Position // where it is in the new version, or in the old one if that alone has it
	Rule    string         // the name of one of Rules
	Subject string         // "bank.Account.Deposit", "bank.Order.Lines"
	Breaks  Clients
	Old     string // what the old version has, "" if it has nothing
	New     string
	Why     string
	Remedy  string   // "" if there is nothing to mend
	By      []string // of a type: the methods and interfaces by which it travels
}

// String is the change in lines: the first has position, subject, verdict and rule, the others are indented.
func (c Change) String() string {
	var b strings.Builder
	verdict := "breaks " + c.Breaks.String()
	if c.Breaks == 0 {
		verdict = "note"
	}
	fmt.Fprintf(&b, "%s: %s: %s [%s]", c.Pos, c.Subject, verdict, c.Rule)
	line := func(label, text string) {
		if text != "" {
			fmt.Fprintf(&b, "\n\t%-4s %s", label, text)
		}
	}
	line("old:", c.Old)
	line("new:", c.New)
	if len(c.By) > 3 {
		line("by:", fmt.Sprintf("%s and %d more", strings.Join(c.By[:3], ", "), len(c.By)-3))
	} else {
		line("by:", strings.Join(c.By, ", "))
	}
	line("why:", c.Why)
	line("do:", c.Remedy)
	return b.String()
}

// Compare returns the changes between two versions, by position.
func Compare(old, now *Version) []Change {
	c := &comparer{old: old, new: now, found: map[string]*Change{}}
	c.interfaces()
	changes := make([]Change, 0, len(c.found))
	for _, change := range c.found {
		slices.Sort(change.By)
		changes = append(changes, *change)
	}
	slices.SortFunc(changes, func(a, b Change) int {
		return cmp.Or(
			cmp.Compare(a.Pos.Filename, b.Pos.Filename),
			cmp.Compare(a.Pos.Line, b.Pos.Line),
			cmp.Compare(a.Pos.Column, b.Pos.Column),
			cmp.Compare(a.Rule, b.Rule),
			cmp.Compare(a.Subject, b.Subject),
			cmp.Compare(a.Old+a.New, b.Old+b.New),
		)
	})
	return changes
}

// A comparer collects the changes between two versions.
type comparer struct {
	old, new *Version
	found    map[string]*Change
	holders  []pair          // the places of interface types that the interface at hand has
	seen     map[string]bool // pairs of types that the method at hand has led to
}

// A spot is where something stands in each version; token.NoPos where it has nothing, or nothing that can be mended.
type spot struct{ old, new token.Pos }

// report records a change. One that several methods lead to is one change.
func (c *comparer) report(at spot, by string, change Change) {
	change.Pos = c.old.position(at.old)
	if at.new.IsValid() {
		change.Pos = c.new.position(at.new)
	}
	key := strings.Join([]string{change.Rule, change.Subject, change.Old, change.New, change.Pos.String()}, "\n")
	known := c.found[key]
	if known == nil {
		known = &change
		c.found[key] = known
	}
	known.Breaks |= change.Breaks
	if by != "" && by != change.Subject && !slices.Contains(known.By, by) {
		known.By = append(known.By, by)
	}
}

// named is a package-level object as people write it.
func named(obj types.Object) string {
	if obj.Pkg() == nil {
		return obj.Name()
	}
	return obj.Pkg().Name() + "." + obj.Name()
}

// typeText is a type as people write it.
func typeText(t types.Type) string {
	return types.TypeString(t, func(pkg *types.Package) string { return pkg.Name() })
}

// remotes lists the marked interfaces of a version by their names on the wire.
func remotes(v *Version) map[string]*gen.Remote {
	all := map[string]*gen.Remote{}
	for _, pkg := range v.model.Packages {
		for _, r := range pkg.Interfaces {
			all[r.Path] = r
		}
	}
	return all
}
