package wire

import (
	"cmp"
	"encoding/binary"
	"reflect"
	"slices"
)

// How the decoder makes a graph again. Things that a message refers to are numbered in the order in which it marks them, and
// bodies in the order in which it first refers to them; names of types likewise (see dynamic.go). What stands in a field that
// is passed over counts as well, and is remembered by its place: a later reference to it makes it from there. The same place
// makes one object for each Go type that it is wanted as, one as a rule.
//
// Out of turn, that is while something is made from a place that has been passed, nothing is numbered: things are found by
// their places. Where that leads beyond what has been read so far, the rest of the message is looked through first (survey).

// graphReader is what a decoder knows of the graph that it reads.
type graphReader struct {
	marks     []origin // by number, and so by place
	bodies    []origin // by number, as far as they have been referred to
	names     []naming // of types, by number
	outOfTurn int
	surveyed  bool // marks, bodies and names are complete
}

// origin is something that the message refers to.
type origin struct {
	at      int // its place in the data: of a mark, of a body; 0 if not known yet
	made    any // what was made of it
	others  []any
	waiting []func(*Decoder) // for the body, to make it as what it was referred to
	passed  bool             // the body has had its turn
	item    int              // that referred to the body first
	root    string           // what paths into the body start with
}

// as returns what was made of it as a value of the type, or nil.
func (o *origin) as(t reflect.Type) any {
	if o.made != nil && reflect.TypeOf(o.made) == t {
		return o.made
	}
	for _, v := range o.others {
		if reflect.TypeOf(v) == t {
			return v
		}
	}
	return nil
}

func (o *origin) make(v any) {
	if o.made == nil {
		o.made = v
	} else {
		o.others = append(o.others, v)
	}
}

// place is where something is to be recorded when it is made: under the number of a mark or a body, −1 for neither.
type place struct{ mark, forward, length int }

// originRoom is the memory of an origin, with the room that a growing list has spare.
const originRoom = 256

func (d *Decoder) graph() *graphReader {
	if d.g == nil {
		d.g = &graphReader{}
	}
	return d.g
}

// open reads the heads of the message.
func (d *Decoder) open() {
	if d.pos < len(d.data) && d.data[d.pos]>>5 == majorTag && d.tag(tagGraph, "the array of all items") {
		n := d.length(majorArray, "the items and the bodies behind them")
		if d.bodies = n - 1; d.Err == nil && n < 2 {
			d.failf("a message with bodies has none")
		}
	}
	d.count = d.length(majorArray, "the array of all items")
}

// tagged reports whether a mark or a reference comes next.
func (d *Decoder) tagged() bool {
	return d.pos < len(d.data) && d.data[d.pos]>>5 == majorTag && d.taggedAt(d.pos)
}

func (d *Decoder) taggedAt(pos int) bool {
	switch b := d.data[pos:]; {
	case len(b) > 2 && b[0] == majorTag<<5|24:
		return b[1] == tagShareable || b[1] == tagShared
	case len(b) > 3 && b[0] == majorTag<<5|25:
		return binary.BigEndian.Uint16(b[1:]) == tagForward
	}
	return false
}

// reference reads what tagged saw. It returns the thing of type t that is referred to if it is there; else the thing is to be
// made, and recorded at the place.
func (d *Decoder) reference(t reflect.Type) (known any, at place) {
	at = place{-1, -1, 0}
	if d.failures.level > 0 {
		d.unexpected("an error of its own")
		return nil, at
	}
	start := d.pos
	switch _, tag := d.head(); tag {
	case tagShareable:
		if at.mark = d.mark(start); at.mark >= 0 {
			if known = d.g.marks[at.mark].as(t); known != nil {
				d.skip()
			}
		}
	case tagShared:
		known = d.shared(t)
	case tagForward:
		k, n := d.forward()
		if d.Err != nil {
			return nil, at
		}
		if (n > 0) != (t.Kind() == reflect.Slice) || isBytes(t) {
			d.failf("a reference to a body, of length %d, where a %v is expected", n, t)
			return nil, at
		}
		at.forward, at.length = k, n
		known = d.g.bodies[k].as(t)
	}
	if d.Err != nil {
		return nil, at
	}
	return known, at
}

// mark returns the number of the mark at a place, which is given one if it is new; −1 on failure.
func (d *Decoder) mark(at int) int {
	g := d.graph()
	if g.outOfTurn > 0 || g.surveyed {
		find := func() (int, bool) {
			return slices.BinarySearchFunc(d.g.marks, at, func(o origin, at int) int { return cmp.Compare(o.at, at) })
		}
		i, found := find()
		if !found && d.survey() {
			i, found = find()
		}
		if !found {
			return -1
		}
		return i
	}
	if !d.charge(originRoom) {
		return -1
	}
	g.marks = append(g.marks, origin{at: at})
	return len(g.marks) - 1
}

// shared reads the number of a mark and returns what it stands for as a value of the type; nil on failure.
func (d *Decoder) shared(t reflect.Type) any {
	i := d.marked()
	if d.Err != nil {
		return nil
	}
	if known := d.g.marks[i].as(t); known != nil {
		return known
	}
	if d.generated {
		d.fail(errByReflection)
		return nil
	}
	d.outOfTurn(d.g.marks[i].at, func(d *Decoder) { d.codec.plan(t).dec(d, reflect.New(t).Elem()) })
	if d.Err != nil {
		return nil
	}
	known := d.g.marks[i].as(t)
	if known == nil {
		d.failf("a reference to what is no %v", t)
	}
	return known
}

// marked reads the number of a mark that has been met.
func (d *Decoder) marked() int {
	n := d.uint(1<<31 - 1)
	met := 0
	if d.g != nil {
		met = len(d.g.marks)
	}
	if d.Err == nil && n >= uint64(met) {
		d.failf("a reference to shared value %d of %d", n, met)
	}
	return int(n)
}

// forward reads the number of a body, and the length where it is to make a slice, else 0.
func (d *Decoder) forward() (k, length int) {
	if d.peek()>>5 == majorArray {
		if n := d.length(majorArray, "the number and length of a body"); d.Err == nil && n != 2 {
			d.failf("a reference to a body has %d parts, not two", n)
		}
		length = -1
	}
	n := d.uint(1<<31 - 1)
	if length < 0 {
		length = int(d.uint(uint64(len(d.data)))) // an element takes a byte at least
		if length == 0 {
			d.failf("a reference to the body of a slice of no elements")
		}
	}
	g := d.graph()
	switch {
	case d.Err != nil:
		return 0, 0
	case n >= uint64(d.bodies) || n > uint64(len(g.bodies)):
		d.failf("a reference to body %d: there are %d, and it comes out of order after %d", n, d.bodies, len(g.bodies))
		return 0, 0
	case n == uint64(len(g.bodies)):
		if !d.charge(originRoom) {
			return 0, 0
		}
		g.bodies = append(g.bodies, origin{item: d.items})
	}
	return int(n), length
}

// place records what is being made, before its content is read, so that the content may refer to it.
func (d *Decoder) place(at place, v any) {
	if at.mark >= 0 && d.Err == nil {
		d.g.marks[at.mark].make(v)
	}
}

// await records what was made of a body, and has its content read when the body's turn comes, or now if it has been.
func (d *Decoder) await(at place, v any, content func(*Decoder)) {
	if d.Err != nil {
		return
	}
	o := &d.g.bodies[at.forward]
	o.make(v)
	if o.passed {
		d.outOfTurn(o.at, content)
		return
	}
	o.waiting = append(o.waiting, content)
	if o.root == "" {
		o.root = rootName(reflect.TypeOf(v))
	}
}

// outOfTurn reads something at a place of the data, and comes back. What is read counts as memory does: it may be referred to
// any number of times, and be long though nothing of it is wanted.
func (d *Decoder) outOfTurn(at int, read func(*Decoder)) {
	if !d.enter() {
		return
	}
	back := d.pos
	d.pos = at
	d.g.outOfTurn++
	read(d)
	d.g.outOfTurn--
	d.charge(int64(d.pos - at))
	d.pos = back
	d.leave()
}

// readBodies reads what follows the items. What was read of the items goes back to zero if that fails.
func (d *Decoder) readBodies() {
	for k := 0; k < d.bodies && d.Err == nil; k++ {
		if k >= len(d.graph().bodies) {
			d.failf("nothing refers to body %d", k)
			break
		}
		d.readBody(k)
	}
	if d.Err != nil {
		d.end("")
		for _, v := range d.targets {
			v.SetZero()
		}
	}
	d.targets = nil
}

func (d *Decoder) readBody(k int) {
	o := &d.g.bodies[k]
	o.at, o.passed = d.pos, true
	waiting := o.waiting
	o.waiting = nil
	d.level = 1
	if len(waiting) == 0 {
		d.skip()
	}
	at, item, root := o.at, o.item, o.root // reading may move the list
	for i, content := range waiting {
		if i == 0 {
			content(d)
		} else {
			d.outOfTurn(at, content)
		}
	}
	if d.Err != nil {
		d.items = item
		d.end("…" + root)
	}
}

// decode reads a value of the plan's type, where a pointer to one may have stood at the other end: what was shared there is
// copied.
func (p *plan) decode(d *Decoder, v reflect.Value) {
	if !p.nullable && d.tagged() {
		p.decodeCopy(d, v)
		return
	}
	p.dec(d, v)
}

func (p *plan) decodeCopy(d *Decoder, v reflect.Value) {
	if d.generated {
		d.fail(errByReflection)
		return
	}
	if d.failures.level > 0 {
		d.unexpected("an error of its own")
		return
	}
	start := d.pos
	at := 0
	switch _, tag := d.head(); tag {
	case tagShareable:
		if d.mark(start) >= 0 {
			p.dec(d, v)
		}
		return
	case tagShared:
		if i := d.marked(); d.Err == nil {
			at = d.g.marks[i].at + len(appendHead(nil, majorTag, tagShareable))
		}
	case tagForward:
		if k, _ := d.forward(); d.survey() {
			at = d.g.bodies[k].at
		}
	}
	if d.Err == nil {
		d.outOfTurn(at, func(d *Decoder) { p.dec(d, v) })
	}
}

// survey looks through the whole message and completes what is known of it. From then on things are found by their places.
func (d *Decoder) survey() bool {
	if d.Err != nil || d.g.surveyed {
		return d.Err == nil
	}
	all := Decoder{codec: d.codec, data: d.data, objects: d.objects, alloc: d.alloc, unseen: d.unseen, level: 1}
	all.open()
	for range all.count {
		all.skip()
	}
	for k := 0; k < all.bodies && all.Err == nil; k++ {
		if k >= len(all.graph().bodies) {
			all.failf("nothing refers to body %d", k)
			break
		}
		all.g.bodies[k].at = all.pos
		all.skip()
	}
	if all.Err != nil {
		d.fail(all.Err)
		return false
	}
	found := all.graph()
	if len(found.marks) < len(d.g.marks) || len(found.names) < len(d.g.names) || len(found.bodies) < len(d.g.bodies) {
		d.failf("what is shared in the message cannot be told")
		return false
	}
	d.objects, d.alloc = all.objects, all.alloc
	d.g.marks = append(d.g.marks, found.marks[len(d.g.marks):]...)
	d.g.names = append(d.g.names, found.names[len(d.g.names):]...)
	for k := range found.bodies {
		if k < len(d.g.bodies) {
			d.g.bodies[k].at = found.bodies[k].at
		} else {
			d.g.bodies = append(d.g.bodies, origin{at: found.bodies[k].at, item: d.items})
		}
	}
	d.g.surveyed = true
	return true
}
