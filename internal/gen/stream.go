package gen

import (
	"fmt"
	"go/types"
	"slices"
	"strings"
)

// streamed returns the type of the items where t is iter.Seq2[T, error], else nil; isIter tells whether it is of package iter at all.
func streamed(t types.Type) (item types.Type, isIter bool) {
	n, ok := types.Unalias(t).(*types.Named)
	if !ok || n.Obj().Pkg() == nil || n.Obj().Pkg().Path() != "iter" {
		return nil, false
	}
	if n.Obj().Name() == "Seq2" && isError(n.TypeArgs().At(1)) {
		return n.TypeArgs().At(0), true
	}
	return nil, true
}

// isIterator tells whether t is declared as what iterators are, outside of package iter.
func isIterator(t types.Type) bool {
	n, ok := types.Unalias(t).(*types.Named)
	if !ok || n.Obj().Pkg() == nil || n.Obj().Pkg().Path() == "iter" {
		return false
	}
	f, ok := n.Underlying().(*types.Signature)
	if !ok || f.Params().Len() != 1 || f.Results().Len() != 0 {
		return false
	}
	yield, ok := f.Params().At(0).Type().Underlying().(*types.Signature)
	return ok && yield.Results().Len() == 1 && types.Identical(yield.Results().At(0).Type(), types.Typ[types.Bool])
}

func isStream(t types.Type) bool {
	item, _ := streamed(t)
	return item != nil
}

// streamShape notes the stream that a method returns, and refuses what looks like one.
func (c *methodCheck) streamShape(m *method) {
	results := slices.Collect(c.fn.Signature().Results().Variables())
	for _, r := range results {
		item, isIter := streamed(r.Type())
		switch {
		case isIterator(r.Type()):
			c.refuse("%s: an iterator that is a type of its own cannot travel: write iter.Seq2[T, error] itself, or an alias of it", types.TypeString(r.Type(), shortQualifier(c.iface.home)))
		case !isIter:
		case item == nil:
			c.refuseIterator(r.Type())
		case len(results) > 1:
			c.refuse("a stream must be the only result: write %s, whose last element may be an error", c.alone(r))
		default:
			m.stream = types.NewParam(r.Pos(), r.Pkg(), "item", item)
		}
	}
	if m.stream != nil && m.marks.oneway {
		c.refuse("//rmi:oneway on a method that returns a stream: somebody waits for that: leave the directive out")
	}
}

// refuseIterator refuses an iterator that has no place for an error.
func (c *methodCheck) refuseIterator(t types.Type) {
	n := types.Unalias(t).(*types.Named)
	item, where := n.TypeArgs().At(0), shortQualifier(c.iface.home)
	if n.TypeArgs().Len() > 1 {
		c.refuse("a stream must be of one value and an error: write iter.Seq2[T, error], where T is a struct of %s and %s",
			types.TypeString(item, where), types.TypeString(n.TypeArgs().At(1), where))
		return
	}
	c.refuse("%s cannot travel: a connection that is lost would look like its end: write iter.Seq2[%s, error]",
		types.TypeString(n, where), types.TypeString(item, where))
}

// alone is the method with that one result.
func (c *methodCheck) alone(result *types.Var) string {
	sig := c.fn.Signature()
	right := types.NewSignatureType(nil, nil, nil, sig.Params(), types.NewTuple(types.NewParam(0, nil, "", result.Type())), sig.Variadic())
	return c.fn.Name() + strings.TrimPrefix(types.TypeString(right, shortQualifier(c.iface.home)), "func")
}

// ioStream returns the name in package io of an interface by which streams of bytes travel: "Reader" and "Writer" as parameters, "ReadCloser" and
// "WriteCloser" as results. It returns "" for any other type.
func ioStream(t types.Type) string {
	n, ok := types.Unalias(t).(*types.Named)
	if !ok || n.Obj().Pkg() == nil || n.Obj().Pkg().Path() != "io" {
		return ""
	}
	switch name := n.Obj().Name(); name {
	case "Reader", "Writer", "ReadCloser", "WriteCloser":
		return name
	}
	return ""
}

// isCloser tells whether a name of ioStream is of a result.
func isCloser(bytes string) bool { return strings.HasSuffix(bytes, "Closer") }

// bytesIn is ioStream, as seen from a package; "" for an interface that travels by reference there, too.
func (p *program) bytesIn(home *types.Package, t types.Type) string {
	name := ioStream(t)
	if n, ok := types.Unalias(t).(*types.Named); ok && p.home(home, n) != nil {
		return ""
	}
	return name
}

// takes checks a parameter, which may be a stream.
func (c *methodCheck) takes(m *method, v *types.Var, unnamed string) {
	item, isIter := streamed(v.Type())
	bytes := c.p.bytesIn(c.iface.home, v.Type())
	switch {
	case item == nil && bytes == "" && isIter:
		c.refuseIterator(v.Type())
		return
	case item == nil && bytes == "":
		c.travels(v, unnamed, "parameter ")
		return
	case isCloser(bytes):
		c.refuse("%s: io.%s travels as a result: take io.%s, which the caller closes when the call has returned",
			nameOf(v, unnamed, "parameter "), bytes, map[string]string{"ReadCloser": "Reader", "WriteCloser": "Writer"}[bytes])
		return
	}
	m.takes = true
	if m.marks.oneway {
		c.refuse("//rmi:oneway on a method that takes a stream: somebody must wait until that is read: leave the directive out")
	}
	if item != nil {
		c.travels(types.NewParam(v.Pos(), v.Pkg(), "", item), nameOf(v, unnamed, "parameter ")+", an item of the stream", "")
	}
}

// returns checks a result, which may be a stream of bytes.
func (c *methodCheck) returns(v *types.Var, unnamed string) {
	switch bytes := c.p.bytesIn(c.iface.home, v.Type()); {
	case bytes == "":
		c.travels(v, unnamed, "result ")
	case !isCloser(bytes):
		c.refuse("%s: io.%s travels as a parameter: return io.%s, which the caller closes",
			nameOf(v, unnamed, "result "), bytes, map[string]string{"Reader": "ReadCloser", "Writer": "WriteCloser"}[bytes])
	}
}

// nameOf is what a parameter or result is called in diagnostics.
func nameOf(v *types.Var, unnamed, kind string) string {
	if v.Name() != "" && v.Name() != "_" {
		return kind + v.Name()
	}
	return unnamed
}

// carried are the values that travel in a method's calls: arguments, results, and in their place the items of streams.
func (m *method) carried() []*types.Var {
	var all []*types.Var
	for _, v := range slices.Concat(m.params, m.results) {
		item, _ := streamed(v.Type())
		switch {
		case item != nil:
			all = append(all, types.NewParam(v.Pos(), v.Pkg(), "", item))
		case ioStream(v.Type()) == "":
			all = append(all, v)
		}
	}
	if m.stream != nil {
		all = append(all, m.stream)
	}
	return all
}

// streamOutput is the stream that a method returns, as the template reads it.
type streamOutput struct {
	Type         string // of what the method returns
	Item         string // its type
	stub         string // as the package is called
	put, get     string // what writes and reads an item
	to, from     string // the encoder and the decoder, in these
	value, place string // the item, and a pointer to it
}

// stream fills in how the items of what a method returns are written and read.
func (w *writer) stream(m *method, out *methodOutput, used []string) {
	if m.stream != nil {
		out.Stream = w.streamOf(m.stream.Type(), m.fn.Signature().Results().At(0).Type(), used)
	}
}

func (w *writer) streamOf(t, whole types.Type, used []string) *streamOutput {
	item := w.value(t)
	used = append(slices.Clone(used), identifiers(item.Type+" "+item.descriptor+" "+item.basic+" "+item.put+" "+item.get)...)
	var locals []*types.Var
	for _, name := range []string{"to", "from", "item", "place"} {
		locals = append(locals, types.NewParam(0, nil, name, types.Typ[types.Int]))
	}
	names, _ := newLocals(used).name(locals, nil)
	s := &streamOutput{Type: types.TypeString(whole, w.im.qualifier), Item: item.Type,
		stub: w.im.names[stubPath], to: names[0], from: names[1], value: names[2], place: names[3]}
	s.put = item.write(s.to, s.to, s.value, "&"+s.value)
	s.get = item.read(s.from, s.from, s.place)
	return s
}

// Put is the function that writes an item, Get the one that reads it.
func (s *streamOutput) Put() string {
	return fmt.Sprintf("func(%s *%s.Encoder, %s %s) { %s }", s.to, s.stub, s.value, s.Item, s.put)
}

func (s *streamOutput) Get() string {
	return fmt.Sprintf("func(%s *%s.Decoder, %s *%s) { %s }", s.from, s.stub, s.place, s.Item, s.get)
}
