package compat

import (
	"fmt"
	"go/types"
	"slices"

	"github.com/rmigo/rmigo/internal/gen"
)

// What travels by value, compared by the form that the codec gives to it (docs/PROTOCOL.md, section 9). One version writes, the other
// reads; whose calls that breaks depends on which way the value goes.

// A pair is a place that both versions have, and the types there.
type pair struct {
	old, new           types.Type
	at                 spot
	name               string // of the place, for what has no name of its own
	by                 string // the method or interface by which it travels
	item               bool   // nil is written there, as in a list, and not left out, as in a field
	toServer, toClient bool
}

// breaks tells whose calls fail where one version cannot read what the other has written.
func (p pair) breaks(oldToNew, newToOld bool) (who Clients) {
	if oldToNew && p.toServer || newToOld && p.toClient {
		who |= OldClients
	}
	if oldToNew && p.toClient || newToOld && p.toServer {
		who |= NewClients
	}
	return who
}

// is returns the place with other types in it.
func (p pair) is(old, new types.Type, item bool) pair {
	p.old, p.new, p.item = old, new, item
	return p
}

// kind is a form on the wire.
type kind int

const (
	nothing kind = iota // channels, and functions of which only nil travels; type parameters
	boolean
	integer
	float32Kind
	float64Kind
	complex64Kind
	complex128Kind
	text
	byteString
	byteArray
	list
	array
	mapping
	structure
	marshaled
	pointer
	failure // of type error
	holder  // of any other interface type
	reference
	function // that calls back
	stream   // of package iter, or of bytes
)

// kind tells how values of a type travel in a version.
func (v *Version) kind(t types.Type) kind {
	u := t.Underlying()
	_, parameter := types.Unalias(t).(*types.TypeParam)
	switch {
	case parameter:
		return nothing
	case types.Identical(t, types.Universe.Lookup("error").Type()):
		return failure
	case v.model.IsRemote(t):
		return reference
	case gen.Marshals(t):
		return marshaled
	case isStream(t):
		return stream
	}
	switch u := u.(type) {
	case *types.Signature:
		if callsBack(u) {
			return function
		}
	case *types.Interface:
		return holder
	case *types.Pointer:
		return pointer
	case *types.Slice:
		return bytesOr(u.Elem(), byteString, list)
	case *types.Array:
		return bytesOr(u.Elem(), byteArray, array)
	case *types.Map:
		return mapping
	case *types.Struct:
		return structure
	case *types.Basic:
		return basic(u)
	}
	return nothing
}

// isStream tells whether a type is one of package iter's, or an interface of package io: of those only streams travel.
func isStream(t types.Type) bool {
	n, ok := types.Unalias(t).(*types.Named)
	if !ok || n.Obj().Pkg() == nil {
		return false
	}
	path := n.Obj().Pkg().Path()
	return path == "iter" || path == "io" && types.IsInterface(n)
}

// callsBack tells whether a function takes a context and returns an error, so that calls of it can cross processes.
func callsBack(f *types.Signature) bool {
	return f.Params().Len() > 0 && gen.IsContext(f.Params().At(0).Type()) &&
		f.Results().Len() > 0 && types.Identical(f.Results().At(f.Results().Len()-1).Type(), types.Universe.Lookup("error").Type())
}

func bytesOr(elem types.Type, ofBytes, other kind) kind {
	if b, ok := elem.Underlying().(*types.Basic); ok && b.Kind() == types.Uint8 {
		return ofBytes
	}
	return other
}

func basic(b *types.Basic) kind {
	switch info := b.Info(); {
	case info&types.IsBoolean != 0:
		return boolean
	case info&types.IsInteger != 0:
		return integer
	case info&types.IsString != 0:
		return text
	}
	switch b.Kind() {
	case types.Float32:
		return float32Kind
	case types.Float64:
		return float64Kind
	case types.Complex64:
		return complex64Kind
	case types.Complex128:
		return complex128Kind
	}
	return nothing
}

// nullable tells whether nil is a value of the kind, so that a pointer to it is written in an array of one.
func (k kind) nullable() bool {
	return slices.Contains([]kind{nothing, byteString, list, mapping, pointer, failure, holder, reference, function}, k)
}

// reads tells whether a place of one kind reads what was written as another. In a list nil may come, which a text cannot be.
func (k kind) reads(written kind, item bool) bool {
	switch {
	case k == written:
		return true
	case k == text && written == byteString:
		return !item
	}
	return slices.Contains([][2]kind{{float32Kind, float64Kind}, {complex64Kind, complex128Kind}, {byteArray, byteString}, {byteArray, text}, {array, list}}, [2]kind{written, k})
}

// value compares what travels at a place, and what that leads to.
func (c *comparer) value(p pair) {
	p.old, p.new = types.Unalias(p.old), types.Unalias(p.new)
	key := fmt.Sprint(gen.TypeName(p.old), "|", gen.TypeName(p.new), p.item, p.toServer, p.toClient)
	if c.seen[key] {
		return
	}
	c.seen[key] = true
	before, now := c.old.kind(p.old), c.new.kind(p.new)
	switch {
	case before == reference && now != reference || now == reference && before != reference:
		c.changed(p, "remote", true, true, "an object goes by reference, any other value by copy: neither form is read as the other", "give what is new a place of its own")
	case before == pointer && now == pointer:
		c.pointers(p)
	case before == pointer:
		c.pointerOrValue(p, elem(p.old), p.new, true)
	case now == pointer:
		c.pointerOrValue(p, p.old, elem(p.new), false)
	case before == marshaled || now == marshaled:
		c.marshaled(p)
	case before != now:
		c.changed(p, "kind", !now.reads(before, p.item), !before.reads(now, p.item), "the types have different forms on the wire: rmi.ErrUnmarshal names the place",
			"give the new one a field or method of its own")
		if list, of := before == array || before == list, now == array || now == list; list && of {
			c.value(p.is(elem(p.old), elem(p.new), true))
		}
	default:
		c.alike(p, before)
	}
}

// alike compares two types of one kind.
func (c *comparer) alike(p pair, k kind) {
	switch k {
	case integer:
		c.integers(p)
	case byteArray, array:
		was, is := p.old.Underlying().(*types.Array).Len(), p.new.Underlying().(*types.Array).Len()
		if was != is {
			c.changed(p, "length", true, true, "a reader refuses any other number of elements than its own", "use a slice, or give the new one a name of its own")
		}
		c.value(p.is(elem(p.old), elem(p.new), true))
	case list:
		c.value(p.is(elem(p.old), elem(p.new), true))
	case mapping:
		c.mappings(p)
	case structure:
		c.structures(p)
	case holder:
		c.held(p)
	case reference:
		c.references(p)
	case function:
		c.functions(p)
	case stream:
		was, is := types.Unalias(p.old).(*types.Named).TypeArgs(), types.Unalias(p.new).(*types.Named).TypeArgs()
		for k := range min(was.Len(), is.Len()) {
			c.value(p.is(was.At(k), is.At(k), true))
		}
	}
}

// changed reports that what stands at a place is not read by the other version, or not by all; nothing where neither way breaks.
func (c *comparer) changed(p pair, rule string, oldToNew, newToOld bool, why, remedy string) {
	breaks := p.breaks(oldToNew, newToOld)
	if breaks == 0 {
		return
	}
	c.report(p.at, p.by, Change{Rule: rule, Subject: p.name, Breaks: breaks, Old: typeText(p.old), New: typeText(p.new), Why: why, Remedy: remedy})
}

func elem(t types.Type) types.Type {
	return t.Underlying().(interface{ Elem() types.Type }).Elem()
}

func (c *comparer) pointers(p pair) {
	was, is := elem(p.old), elem(p.new)
	if c.old.kind(was).nullable() != c.new.kind(is).nullable() {
		c.wrapped(p)
		return
	}
	c.value(p.is(was, is, true))
}

// pointerOrValue compares a pointer's element with what has become of it, or has become it.
func (c *comparer) pointerOrValue(p pair, was, is types.Type, pointerBefore bool) {
	if pointerBefore && c.old.kind(was).nullable() || !pointerBefore && c.new.kind(is).nullable() {
		c.wrapped(p)
		return
	}
	change := Change{Rule: "pointer", Subject: p.name, Old: typeText(p.old), New: typeText(p.new)}
	switch {
	case p.item:
		change.Breaks = p.breaks(pointerBefore, !pointerBefore)
		change.Why, change.Remedy = "what is nil is refused where there is no pointer", "keep the pointer"
	case pointerBefore:
		change.Why = "nil arrives as zero in the new version, and zero as nil in the old one"
	default:
		change.Why = "zero arrives as nil in the new version, and nil as zero in the old one"
	}
	c.report(p.at, p.by, change)
	c.value(p.is(was, is, p.item))
}

func (c *comparer) wrapped(p pair) {
	c.changed(p, "kind", true, true, "a pointer to what may be nil itself is written as an array of one", "give the new one a field or method of its own")
}

func (c *comparer) integers(p pair) {
	least, most := bounds(p.old)
	newLeast, newMost := bounds(p.new)
	c.changed(p, "range", newLeast > least || newMost < most, least > newLeast || most < newMost, "numbers beyond the range of the reader's type are refused: rmi.ErrUnmarshal names the place",
		"keep the wider type, and check the number where it is used")
}

// bounds are the greatest powers of two that an integer type holds, as exponents: the negative one negative.
func bounds(t types.Type) (least, most int) {
	b := t.Underlying().(*types.Basic)
	bits := int(types.SizesFor("gc", "amd64").Sizeof(b)) * 8
	if b.Info()&types.IsUnsigned != 0 {
		return 0, bits
	}
	return -bits + 1, bits - 1
}

func (c *comparer) mappings(p pair) {
	was, is := p.old.Underlying().(*types.Map), p.new.Underlying().(*types.Map)
	if plainKey(c.old.kind(was.Key())) != plainKey(c.new.kind(is.Key())) {
		c.changed(p, "kind", true, true, "a map is a CBOR map if its keys are booleans, integers or strings, else an array of keys and values",
			"give the new one a field or method of its own")
		return
	}
	c.value(p.is(was.Key(), is.Key(), true))
	c.value(p.is(was.Elem(), is.Elem(), true))
}

func plainKey(k kind) bool { return k == boolean || k == integer || k == text }

// marshaled compares types of which at least one makes its own bytes.
func (c *comparer) marshaled(p pair) {
	was, is := gen.Marshaler(p.old), gen.Marshaler(p.new)
	switch {
	case was != is:
		at, name := c.declared(p)
		c.report(at, p.by, Change{Rule: "marshaler", Subject: name, Breaks: p.breaks(true, true),
			Old: typeText(p.old) + ", by " + maker(was), New: typeText(p.new) + ", by " + maker(is),
			Why: "neither version reads what the other makes of it: rmi.ErrUnmarshal names the place", Remedy: "give the new one another name, and a field or method of its own"})
	case gen.TypeName(p.old) != gen.TypeName(p.new):
		c.report(p.at, p.by, Change{Rule: "opaque", Subject: p.name, Old: typeText(p.old), New: typeText(p.new),
			Why: "both make their own bytes: whether they read each other's is for their code to say"})
	}
}

// maker is what makes the bytes of a value.
func maker(by string) string {
	if by == "" {
		return "its kind or fields"
	}
	return by
}

// declared is where a type is declared that both versions have under one name, with that name; else the place where it is met.
func (c *comparer) declared(p pair) (spot, string) {
	n, ok := p.new.(*types.Named)
	if !ok || gen.TypeName(p.old) != gen.TypeName(n) {
		return p.at, p.name
	}
	return spot{c.old.mendable(p.old, p.at.old), c.new.mendable(n, p.at.new)}, named(n.Obj())
}

// held compares interface types that hold values, and keeps the place.
func (c *comparer) held(p pair) {
	c.holders = append(c.holders, p)
	was, is := iface(p.old), iface(p.new)
	c.changed(p, "holder", !hasMethods(was, is), !hasMethods(is, was), "a value without the methods that the reader's interface asks for is refused: rmi.ErrUnmarshal names the place",
		"keep the interface as it was, and ask for more by a type assertion")
}

// functions compares those that are called back: who gets one sends its arguments, and receives its results.
func (c *comparer) functions(p pair) {
	was, is := p.old.Underlying().(*types.Signature), p.new.Underlying().(*types.Signature)
	if was.Variadic() != is.Variadic() || !sameTypes(was.Params(), is.Params()) || !sameTypes(was.Results(), is.Results()) {
		c.changed(p, "kind", true, true, "a function is called by the hash of its type's text: the call fails with rmi.ErrNoSuchMethod", "keep the function's type, and give the new one a place of its own")
		return
	}
	results := p
	p.toServer, p.toClient = p.toClient, p.toServer
	for k := range was.Params().Len() {
		if t := was.Params().At(k).Type(); !gen.IsContext(t) {
			c.value(p.is(t, is.Params().At(k).Type(), true))
		}
	}
	for k := range was.Results().Len() {
		c.value(results.is(was.Results().At(k).Type(), is.Results().At(k).Type(), true))
	}
}

// sameTypes tells whether parameters or results have types of the same names on the wire.
func sameTypes(was, is *types.Tuple) bool {
	named := func(v *types.Var) string { return gen.TypeName(v.Type()) }
	return slices.EqualFunc(slices.Collect(was.Variables()), slices.Collect(is.Variables()), func(a, b *types.Var) bool { return named(a) == named(b) })
}

// references compares remote interfaces. A reference becomes a stub of whatever interface its reader has there, and calls find methods by
// their IDs.
func (c *comparer) references(p pair) {
	was, is := iface(p.old), iface(p.new)
	o, n := types.Unalias(p.old).(*types.Named), types.Unalias(p.new).(*types.Named)
	if gen.TypeName(o) == gen.TypeName(n) {
		c.instances(p, n, was, is)
		return
	}
	c.changed(p, "remote", !hasIDs(was, is), !hasIDs(is, was), "the object behind the reference lacks methods of the interface that the reader sees it through: calling them fails with rmi.ErrNoSuchMethod",
		"give what is new a place of its own")
}

// instances compares what the methods carry of an interface that both versions have, where that is an instance of a generic one. Any other is
// compared by itself, and so is the generic one, but that has no types in the places of its type parameters. What values of interface type
// may hold in its messages is its own, not that of the interface by which it is met.
func (c *comparer) instances(p pair, n *types.Named, was, is *types.Interface) {
	if n.TypeArgs().Len() == 0 {
		return
	}
	holders := c.holders
	defer func() { c.holders = holders }()
	now := map[uint64]*types.Func{}
	for m := range is.Methods() {
		_, id := gen.MethodID(m)
		now[id] = m
	}
	for m := range was.Methods() {
		if _, id := gen.MethodID(m); now[id] != nil {
			c.carried(p, m, now[id])
		}
	}
}

// hasMethods tells whether an interface has each method of another one, which may be of the other version.
func hasMethods(i, asked *types.Interface) bool {
	return each(asked, func(m *types.Func) bool {
		return !each(i, func(own *types.Func) bool {
			return own.Id() != m.Id() || types.TypeString(own.Signature(), (*types.Package).Path) != types.TypeString(m.Signature(), (*types.Package).Path)
		})
	})
}

// hasIDs tells the same by what methods are called by.
func hasIDs(i, asked *types.Interface) bool {
	return each(asked, func(m *types.Func) bool {
		_, id := gen.MethodID(m)
		return !each(i, func(own *types.Func) bool { _, has := gen.MethodID(own); return has != id })
	})
}

// each tells whether all methods of an interface satisfy a condition.
func each(i *types.Interface, is func(*types.Func) bool) bool {
	for m := range i.Methods() {
		if !is(m) {
			return false
		}
	}
	return true
}

// heldNames are the types that interface-typed values of an interface may hold, by their names on the wire.
func heldNames(r *gen.Remote) map[string]types.Type {
	all := map[string]types.Type{}
	for _, t := range r.Values {
		all[gen.TypeName(t)] = t
	}
	return all
}

func iface(t types.Type) *types.Interface { return t.Underlying().(*types.Interface) }

func implements(t, i types.Type) bool { return types.Implements(t, iface(i)) }
