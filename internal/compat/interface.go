package compat

import (
	"fmt"
	"go/types"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/rmigo/rmigo/internal/gen"
)

// interfaces compares what is marked, by its name on the wire.
func (c *comparer) interfaces() {
	before, now := remotes(c.old), remotes(c.new)
	renamed := map[string]bool{}
	for _, path := range slices.Sorted(maps.Keys(before)) {
		o, n := before[path], now[path]
		if n != nil {
			c.remote(o, n)
			continue
		}
		if n = heir(o, before, now); n != nil {
			renamed[n.Path] = true
			c.report(spot{o.Object.Pos(), n.Object.Pos()}, "", Change{Rule: "interface-renamed", Subject: named(o.Object), Breaks: OldClients | NewClients, Old: path, New: n.Path,
				Why:    "an object is looked up by the name of its interface, which the other version's objects do not have: rmi.ErrNoSuchMethod names both",
				Remedy: "keep the interface under its old name, and export objects by both until no old peer is left"})
			continue
		}
		c.report(spot{old: o.Object.Pos()}, "", Change{Rule: "interface-removed", Subject: named(o.Object), Breaks: OldClients, Old: path,
			Why:    "new servers have no object of it",
			Remedy: "keep it, and objects that answer, until no old client is left"})
	}
	for path, n := range now {
		if before[path] == nil && !renamed[path] {
			c.report(spot{new: n.Object.Pos()}, "", Change{Rule: "interface-added", Subject: named(n.Object), Breaks: NewClients, New: path,
				Why:    "old servers have no object of it",
				Remedy: "bring servers up to date first"})
		}
	}
}

// heir is the one interface that only the new version has and that has the methods of o, in its package or else elsewhere; nil if there is
// not exactly one.
func heir(o *gen.Remote, before, now map[string]*gen.Remote) *gen.Remote {
	var near, far []*gen.Remote
	for path, n := range now {
		switch {
		case before[path] != nil || !slices.Equal(texts(o), texts(n)):
		case n.Object.Pkg().Path() == o.Object.Pkg().Path():
			near = append(near, n)
		default:
			far = append(far, n)
		}
	}
	if len(near) == 0 {
		near = far
	}
	if len(near) != 1 {
		return nil
	}
	return near[0]
}

func texts(r *gen.Remote) (all []string) {
	for _, m := range r.Methods {
		all = append(all, m.Text)
	}
	return all
}

// remote compares two versions of one interface.
func (c *comparer) remote(o, n *gen.Remote) {
	at, subject := spot{o.Object.Pos(), n.Object.Pos()}, named(n.Object)
	switch {
	case o.Serial && !n.Serial:
		c.report(at, "", Change{Rule: "serial-withdrawn", Subject: subject, Breaks: OldClients, Old: "//rmi:serial",
			Why:    "old clients were told that an object runs one call at a time: what they call at once runs at once now",
			Remedy: "leave //rmi:serial, or give the implementation a lock of its own if nobody relied on more"})
	case !o.Serial && n.Serial:
		c.report(at, "", Change{Rule: "serial-added", Subject: subject, New: "//rmi:serial",
			Why: "calls of an object wait for each other in new servers, and chains of calls that wait in a circle end in rmi.ErrDeadlock; in old ones they run at once"})
	}
	if was, is := parameters(o), parameters(n); was != is {
		c.report(at, "", Change{Rule: "interface-renamed", Subject: subject, Breaks: OldClients | NewClients,
			Old: fmt.Sprintf("%s, of %d type parameters", o.Path, was), New: fmt.Sprintf("%s, of %d type parameters", n.Path, is),
			Why:    "an interface is known by its name and type arguments, which the other version's objects do not have: rmi.ErrNoSuchMethod names both",
			Remedy: "give the new one another name, and export objects by both until no old peer is left"})
		return
	}
	c.holders = nil
	c.methods(o, n)
	c.errors(o, n)
	c.heldTypes(o, n)
}

// parameters counts the type parameters of an interface.
func parameters(r *gen.Remote) int {
	n, _ := r.Object.Type().(*types.Named)
	return n.TypeParams().Len()
}

// methods compares those of an interface: they are known by their texts.
func (c *comparer) methods(o, n *gen.Remote) {
	var removed, added []gen.Method
	for _, m := range o.Methods {
		if k := slices.IndexFunc(n.Methods, func(other gen.Method) bool { return other.Text == m.Text }); k >= 0 {
			c.method(o, n, m, n.Methods[k])
		} else {
			removed = append(removed, m)
		}
	}
	for _, m := range n.Methods {
		if !slices.ContainsFunc(o.Methods, func(other gen.Method) bool { return other.Text == m.Text }) {
			added = append(added, m)
		}
	}
	for _, m := range removed {
		if k := successor(m, removed, added); k >= 0 {
			c.replaced(o, n, m, added[k])
			added = slices.Delete(added, k, k+1)
			continue
		}
		c.report(spot{old: c.old.owned(m.Func, o.Object)}, "", Change{Rule: "method-removed", Subject: named(o.Object) + "." + m.Func.Name(), Breaks: OldClients, Old: m.Text,
			Why:    "new servers answer rmi.ErrNoSuchMethod",
			Remedy: "keep the method until no old client is left"})
	}
	for _, m := range added {
		c.report(spot{new: c.new.owned(m.Func, n.Object)}, "", Change{Rule: "method-added", Subject: named(n.Object) + "." + m.Func.Name(), Breaks: NewClients, New: m.Text,
			Why:    "old servers answer rmi.ErrNoSuchMethod",
			Remedy: "bring servers up to date first, or have clients do without it when it fails so"})
	}
}

// successor is the place of the added method that a removed one has become: of its name, else the only one of its parameters and results,
// of which it is the only one; −1 if there is none.
func successor(m gen.Method, removed, added []gen.Method) int {
	if k := slices.IndexFunc(added, func(a gen.Method) bool { return a.Func.Name() == m.Func.Name() }); k >= 0 {
		return k
	}
	alike := func(other gen.Method) bool { return signature(other) == signature(m) }
	if k := slices.IndexFunc(added, alike); k >= 0 && count(added, alike) == 1 && count(removed, alike) == 1 {
		return k
	}
	return -1
}

func count(methods []gen.Method, is func(gen.Method) bool) (n int) {
	for _, m := range methods {
		if is(m) {
			n++
		}
	}
	return n
}

// signature is a method's text without its name.
func signature(m gen.Method) string { return strings.TrimPrefix(m.Text, m.Func.Name()) }

func (c *comparer) replaced(o, n *gen.Remote, before, now gen.Method) {
	change := Change{Rule: "method-changed", Subject: named(n.Object) + "." + now.Func.Name(), Breaks: OldClients | NewClients, Old: before.Text, New: now.Text,
		Why:    "its ID is the hash of its name and signature: the other version answers rmi.ErrNoSuchMethod, which names both",
		Remedy: "keep the old method, and give the new one another name"}
	if before.Func.Name() != now.Func.Name() {
		change.Rule, change.Subject = "method-renamed", named(o.Object)+"."+before.Func.Name()
		change.Remedy = "keep the old name, or both until no old peer is left"
	}
	c.report(spot{c.old.owned(before.Func, o.Object), c.new.owned(now.Func, n.Object)}, "", change)
}

// method compares a method that both versions have: its directives, and the types that its signature leads to.
func (c *comparer) method(o, n *gen.Remote, before, now gen.Method) {
	subject := named(n.Object) + "." + now.Func.Name()
	at := spot{c.old.owned(before.Func, o.Object), c.new.owned(now.Func, n.Object)}
	c.directives(at, subject, before, now)
	c.seen = map[string]bool{}
	c.carried(pair{at: at, name: subject, by: subject}, before.Func, now.Func)
}

// carried compares what the calls of a method carry: arguments to the server, results to the client. Of p is where that is met.
func (c *comparer) carried(p pair, before, now *types.Func) {
	was, is := before.Signature(), now.Signature()
	p.toServer, p.toClient = true, false
	for k := range was.Params().Len() {
		if t := was.Params().At(k).Type(); !gen.IsContext(t) {
			c.value(p.is(t, is.Params().At(k).Type(), true))
		}
	}
	p.toServer, p.toClient = false, true
	for k := range was.Results().Len() {
		c.value(p.is(was.Results().At(k).Type(), is.Results().At(k).Type(), true))
	}
}

func (c *comparer) directives(at spot, subject string, before, now gen.Method) {
	report := func(breaks Clients, rule, old, new, why, remedy string) {
		c.report(at, "", Change{Rule: rule, Subject: subject, Breaks: breaks, Old: old, New: new, Why: why, Remedy: remedy})
	}
	switch {
	case before.Idempotent && !now.Idempotent:
		report(OldClients, "idempotent-withdrawn", "//rmi:idempotent", "", "old clients may call again when an answer is lost, and the new method is not to run twice",
			"keep the method idempotent, and give what is not another name")
	case !before.Idempotent && now.Idempotent:
		report(0, "idempotent-added", "", "//rmi:idempotent", "new clients may call again when an answer is lost: old servers must stand that too", "")
	}
	switch {
	case before.OneWay && !now.OneWay:
		report(0, "oneway-withdrawn", "//rmi:oneway", "", "old clients go on without waiting, and hear of errors by rmi.Flush only", "")
	case !before.OneWay && now.OneWay:
		report(0, "oneway-added", "", "//rmi:oneway", "new clients go on without waiting, and hear of errors by rmi.Flush only; old ones wait as before", "")
	}
	if t := now.Timeout; t > 0 && (before.Timeout == 0 || t < before.Timeout) {
		old := ""
		if before.Timeout > 0 {
			old = timeoutText(before.Timeout)
		}
		report(0, "timeout-shortened", old, timeoutText(t), "new clients give a call up after that, which old servers were not bound to", "")
	}
	if before.Orphan != now.Orphan {
		report(0, "orphan-changed", orphanText(before.Orphan), orphanText(now.Orphan), "what becomes of a call whose caller has gone is the server's version to say", "")
	}
}

func timeoutText(t time.Duration) string { return fmt.Sprintf("//rmi:timeout %v", t) }

func orphanText(word string) string {
	if word == "" {
		return ""
	}
	return "//rmi:orphan " + word
}

// errors compares what the methods of an interface may return as itself.
func (c *comparer) errors(o, n *gen.Remote) {
	find := func(all []gen.ErrorName, path string) *gen.ErrorName {
		if k := slices.IndexFunc(all, func(e gen.ErrorName) bool { return e.Path == path }); k >= 0 {
			return &all[k]
		}
		return nil
	}
	by := named(n.Object)
	for _, e := range o.Errors {
		now := find(n.Errors, e.Path)
		at := spot{old: c.old.owned(e.Object, o.Object)}
		switch {
		case now == nil:
			c.report(at, by, Change{Rule: "error-removed", Subject: named(e.Object), Breaks: OldClients | NewClients, Old: errorText(e),
				Why:    "it arrives as its text: errors.Is and errors.As do not find it, in old clients since new servers do not send it, in new ones since they do not know it",
				Remedy: "keep it, and return it, until no old peer is left; errors of other packages are listed by //rmi:errors"})
		case (e.Type == nil) != (now.Type == nil):
			at.new = c.new.owned(now.Object, n.Object)
			c.report(at, by, Change{Rule: "error-changed", Subject: named(now.Object), Breaks: OldClients | NewClients, Old: errorText(e), New: errorText(*now),
				Why:    "a sentinel is sent as its name, an error type as its value: the other version does not know the form, and sees the text",
				Remedy: "give the new one another name"})
		case e.Type != nil:
			at.new = c.new.owned(now.Object, n.Object)
			c.seen = map[string]bool{}
			c.value(pair{old: e.Type, new: now.Type, at: at, name: named(now.Object), by: by, item: true, toClient: true})
		}
	}
	for _, e := range n.Errors {
		if find(o.Errors, e.Path) == nil {
			c.report(spot{new: c.new.owned(e.Object, n.Object)}, by, Change{Rule: "error-added", Subject: named(e.Object), New: errorText(e),
				Why: "old clients see its text, without its identity or type"})
		}
	}
}

func errorText(e gen.ErrorName) string {
	if e.Type == nil {
		return "var " + e.Object.Name() + " error"
	}
	return "type " + typeText(e.Type)
}

// heldTypes compares what interface-typed values may hold, in the places that have been met.
func (c *comparer) heldTypes(o, n *gen.Remote) {
	subject := named(n.Object)
	at := spot{o.Object.Pos(), n.Object.Pos()}
	before, now := heldNames(o), heldNames(n)
	for _, name := range slices.Sorted(maps.Keys(before)) {
		was, is := before[name], now[name]
		server, client := c.heldBy(func(p pair) bool { return implements(was, p.old) && hasMethods(iface(p.old), iface(p.new)) })
		p := pair{old: was, new: is, at: at, name: subject, by: subject, item: true, toServer: server, toClient: client}
		if is != nil {
			c.seen = map[string]bool{}
			c.value(p)
		} else if breaks := p.breaks(true, false); breaks != 0 && !coupled(name, before, now) {
			c.report(at, "", Change{Rule: "type-withdrawn", Subject: subject, Breaks: breaks, Old: "//rmi:types " + typeText(was),
				Why:    "the new version does not read a " + typeText(was) + " in a value of an interface type: rmi.ErrUnmarshal names it",
				Remedy: "list it again: //rmi:types " + typeText(was)})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(now)) {
		if before[name] != nil || coupled(name, now, before) {
			continue
		}
		is := now[name]
		server, client := c.heldBy(func(p pair) bool { return implements(is, p.new) })
		p := pair{toServer: server, toClient: client}
		if breaks := p.breaks(false, true); breaks != 0 {
			c.report(spot{new: n.Object.Pos()}, "", Change{Rule: "type-added", Subject: subject, Breaks: breaks, New: "//rmi:types " + typeText(is),
				Why:    "the old version does not read a " + typeText(is) + " in a value of an interface type: rmi.ErrUnmarshal names it",
				Remedy: "bring those who read it up to date before any is sent"})
		}
	}
}

// coupled tells whether a name is a pointer's to a type that one version has and the other has not, as it does the pointer: they come and
// go together.
func coupled(name string, in, notIn map[string]types.Type) bool {
	elem, pointer := strings.CutPrefix(name, "*")
	return pointer && in[elem] != nil && notIn[elem] == nil
}

// heldBy tells which ways the places of interface types go that satisfy a condition.
func (c *comparer) heldBy(is func(pair) bool) (toServer, toClient bool) {
	for _, p := range c.holders {
		if is(p) {
			toServer, toClient = toServer || p.toServer, toClient || p.toClient
		}
	}
	return toServer, toClient
}
