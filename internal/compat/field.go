package compat

import (
	"fmt"
	"go/types"
	"slices"

	"github.com/rmigo/rmigo/internal/gen"
)

// A structType is a struct of one version, as far as it travels.
type structType struct {
	typ        types.Type
	under      *types.Struct
	fields     []gen.Field
	positional bool
}

func structOf(t types.Type) structType {
	u := t.Underlying().(*types.Struct)
	fields, positional := gen.Fields(u)
	return structType{t, u, fields, positional}
}

// field returns the field that travels under a name, or nil.
func (s structType) field(key string) *gen.Field {
	if k := slices.IndexFunc(s.fields, func(f gen.Field) bool { return f.Key == key }); k >= 0 {
		return &s.fields[k]
	}
	return nil
}

// index is the place of a field in the declaration.
func (s structType) index(f gen.Field) int {
	return slices.Index(slices.Collect(s.under.Fields()), f.Var)
}

// text is a field as its struct declares it.
func (s structType) text(f gen.Field) string {
	text := f.Var.Name() + " " + typeText(f.Var.Type())
	if f.Var.Embedded() {
		text = typeText(f.Var.Type())
	}
	if tag := s.under.Tag(s.index(f)); tag != "" {
		text += " `" + tag + "`"
	}
	return text
}

// name is what a field is called.
func (s structType) name(p pair, f gen.Field) string {
	if n, ok := s.typ.(*types.Named); ok {
		return named(n.Obj()) + "." + f.Var.Name()
	}
	return p.name + "." + f.Var.Name()
}

// structures compares structs that travel by their fields.
func (c *comparer) structures(p pair) {
	was, is := structOf(p.old), structOf(p.new)
	switch {
	case was.positional != is.positional:
		c.form(p, "a struct is a map of its fields, or an array if it is tagged toarray: neither is read as the other")
	case was.positional && len(was.fields) != len(is.fields):
		c.form(p, fmt.Sprintf("a struct that is tagged toarray is read with as many fields as its reader has: the old version has %d, the new one %d", len(was.fields), len(is.fields)))
	case was.positional:
		for k, f := range was.fields {
			c.field(p, was, is, f, is.fields[k], true)
		}
	default:
		c.fields(p, was, is)
	}
}

func (c *comparer) form(p pair, why string) {
	at, name := c.declared(p)
	c.report(at, p.by, Change{Rule: "positional", Subject: name, Breaks: p.breaks(true, true), Old: typeText(p.old.Underlying()), New: typeText(p.new.Underlying()), Why: why,
		Remedy: "leave the struct as it was, and give the new one another name and method"})
}

// field compares one that both versions have.
func (c *comparer) field(p pair, was, is structType, before, now gen.Field, item bool) {
	inner := p.is(before.Var.Type(), now.Var.Type(), item)
	inner.name = is.name(p, now)
	inner.at = spot{c.old.orOuter(before.Var, p.at.old), c.new.orOuter(now.Var, p.at.new)}
	c.value(inner)
}

// fields compares structs whose fields travel by name.
func (c *comparer) fields(p pair, was, is structType) {
	var removed, added []gen.Field
	for _, f := range was.fields {
		if now := is.field(f.Key); now != nil {
			c.field(p, was, is, f, *now, false)
		} else {
			removed = append(removed, f)
		}
	}
	for _, f := range is.fields {
		if was.field(f.Key) == nil {
			added = append(added, f)
		}
	}
	for _, f := range removed {
		at := spot{old: c.old.orOuter(f.Var, p.at.old)}
		if k := renamed(was, is, f, removed, added); k >= 0 {
			at.new = c.new.orOuter(added[k].Var, p.at.new)
			c.report(at, p.by, Change{Rule: "field-renamed", Subject: was.name(p, f), Breaks: p.breaks(true, true), Old: was.text(f), New: is.text(added[k]),
				Why:    "fields are known by their names on the wire: the other version passes over what it does not know, and leaves its own at zero",
				Remedy: "keep the name on the wire, which is that of the cbor tag or else the Go name"})
			added = slices.Delete(added, k, k+1)
			continue
		}
		c.report(at, p.by, Change{Rule: "field-removed", Subject: was.name(p, f), Old: was.text(f),
			Why: "what old peers send in it is passed over, and it is zero in what they get from new ones"})
	}
	for _, f := range added {
		c.report(spot{new: c.new.orOuter(f.Var, p.at.new)}, p.by, Change{Rule: "field-added", Subject: is.name(p, f), New: is.text(f),
			Why: "it is zero in what old peers send, and they pass over it in what they get"})
	}
}

// renamed is the place of the added field that a removed one has become: of its Go name, or of its type at its place, if no other field
// came or went, or one that holds the other by embedding; −1 if there is none.
func renamed(was, is structType, f gen.Field, removed, added []gen.Field) int {
	if k := slices.IndexFunc(added, func(a gen.Field) bool { return a.Var.Name() == f.Var.Name() }); k >= 0 {
		return k
	}
	if len(removed) == 1 && len(added) == 1 && was.index(f) == is.index(added[0]) && gen.TypeName(f.Var.Type()) == gen.TypeName(added[0].Var.Type()) {
		return 0
	}
	return slices.IndexFunc(added, func(a gen.Field) bool { return embeds(a, f) || embeds(f, a) })
}

// embeds tells whether a field is an embedded struct, of which another one, by its name, was or will be a part.
func embeds(outer, f gen.Field) bool {
	t := outer.Var.Type()
	if p, ok := t.Underlying().(*types.Pointer); ok {
		t = p.Elem()
	}
	u, ok := t.Underlying().(*types.Struct)
	return ok && outer.Var.Embedded() && slices.ContainsFunc(slices.Collect(u.Fields()), func(inner *types.Var) bool { return inner.Name() == f.Var.Name() })
}
