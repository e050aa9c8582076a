package wire

import (
	"reflect"
	"slices"
)

// A message is a graph. Two references to one thing (pointers, maps, slices of one extent) are one thing at the other end,
// and what lies deep is written at the end of the message instead of inside, so that neither side nests without bound.
//
// How the encoder goes about it: it logs each reference that it meets with its place in the buffer, and leaves out the second
// and later ones; what is met at inlineLevels or below is written as the number of a body, and waits. When all items are
// written, so are the bodies; then weave puts the marks and the references in, which had no place until it was known what is
// referred to twice. A tree pays for the log only, and a message whose types cannot alias not even for looking things up.
//
// Errors are outside of all this: an error item is a tree of its own, since it must be readable where nothing else is.

// inlineLevels is how many arrays and maps a writer opens inside each other before it writes a body instead.
const inlineLevels = 24

// graphWriter is what an encoder knows of the graph that it writes. The zero value is ready.
type graphWriter struct {
	visits  []visit // in the order of the message
	index   []int32 // open addressing: places in visits, plus one
	indexed int     // how many of visits are in index
	repeats int     // how many of visits are not the first of their kind
	bodies  []body
	names   map[reflect.Type]uint64 // the types that the message has named, by the order in which it did
	entries []entry                 // of the maps being written
	scratch []byte                  // for putting a map's entries in order
}

// visit is one reference in the message.
type visit struct {
	at     uintptr
	len    int // of a slice
	typ    reflect.Type
	off    int    // where it is written, or would be
	first  int32  // of a repeat: the place of the first visit, plus one
	body   int32  // the number of its body, plus one
	mark   uint32 // its number among the marked ones, once they are counted
	shared bool   // somebody repeats it
}

// move notes that what lies behind a place of the buffer has moved on, and reports whether the visit is there.
func (v *visit) move(behind, by int) bool {
	if v.off <= behind {
		return false
	}
	v.off += by
	return true
}

// The first visits of a message are kept by the encoder itself until something must be looked up: most messages have no more,
// and do without a graph.
const earlyVisits = 3

// body is a value that is written behind the items.
type body struct {
	write func(*Encoder)
	item  int    // in which it was met
	root  string // what paths into it start with
}

// What becomes of a reference.
type fate int

const (
	inline    fate = iota // its target is to be written now
	elsewhere             // it has been written as a reference
	postponed             // likewise, and its target is to be written as the next body
)

// graph returns the encoder's graph, taking one from the codec at first use; Finish gives it back.
func (e *Encoder) graph() *graphWriter {
	if e.g == nil {
		e.g = e.codec.graphs.Get().(*graphWriter)
	}
	return e.g
}

// visit logs a reference to what lies at an address, n elements of it for a slice, and writes it unless the target is to be
// written in its place.
func (e *Encoder) visit(at uintptr, n int, t reflect.Type) fate {
	if e.failures.level > 0 {
		return inline
	}
	if e.item != nil {
		e.alone(e.codec.plan(e.item))
	}
	v := visit{at: at, len: n, typ: t, off: len(e.buf)}
	if e.unaliased && e.level < inlineLevels && e.met < earlyVisits {
		e.early[e.met] = v
		e.met++
		return inline
	}
	g := e.graph()
	if e.met > 0 {
		g.visits = append(g.visits, e.early[:e.met]...)
		e.met = 0
	}
	if !e.unaliased {
		if i := g.find(at, n, t); i >= 0 {
			e.repeat(i, v)
			return elsewhere
		}
	}
	if e.level >= inlineLevels && !isBytes(t) {
		v.body = int32(len(g.bodies)) + 1
		e.forward(v)
	}
	g.visits = append(g.visits, v)
	if v.body > 0 {
		return postponed
	}
	return inline
}

// isBytes reports whether a type is written as a byte string, which nests no further.
func isBytes(t reflect.Type) bool {
	return t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8
}

func (e *Encoder) repeat(i int, v visit) {
	first := &e.g.visits[i]
	if first.body > 0 {
		v.body = first.body
		e.forward(v)
		return
	}
	first.shared = true
	v.first = int32(i) + 1
	e.g.visits = append(e.g.visits, v)
	e.g.repeats++
}

// forward writes a reference to a body: its number, and for a slice its length, by which a reader makes it.
func (e *Encoder) forward(v visit) {
	e.head(majorTag, tagForward)
	if v.typ.Kind() == reflect.Slice {
		e.head(majorArray, 2)
	}
	e.head(majorUint, uint64(v.body-1))
	if v.typ.Kind() == reflect.Slice {
		e.head(majorUint, uint64(v.len))
	}
}

// later queues the body of the reference that was postponed last.
func (e *Encoder) later(root string, write func(*Encoder)) {
	e.g.bodies = append(e.g.bodies, body{write, e.items, root})
}

// find returns the place of the first visit to the same thing, or −1.
func (g *graphWriter) find(at uintptr, n int, t reflect.Type) int {
	if 2*len(g.visits) >= len(g.index) {
		g.index = make([]int32, max(64, 4*len(g.visits)))
		g.indexed = 0
	}
	for ; g.indexed < len(g.visits); g.indexed++ {
		if v := &g.visits[g.indexed]; v.first == 0 {
			g.index[g.slot(v.at, v.len, v.typ)] = int32(g.indexed) + 1
		}
	}
	return int(g.index[g.slot(at, n, t)]) - 1
}

// slot returns where in the index a reference is, or would be.
func (g *graphWriter) slot(at uintptr, n int, t reflect.Type) int {
	mask := len(g.index) - 1
	hash := mixed(uint64(at)>>3 ^ uint64(n)<<32)
	for i := int(hash>>40) & mask; ; i = (i + 1) & mask {
		if g.index[i] == 0 {
			return i
		}
		if v := &g.visits[g.index[i]-1]; v.at == at && v.len == n && v.typ == t {
			return i
		}
	}
}

// mixed returns a number of which the high bits depend on all of x, by Fibonacci hashing.
func mixed(x uint64) uint64 { return x * 0x9e3779b97f4a7c15 }

// writeBodies writes what was postponed, which may postpone more.
func (e *Encoder) writeBodies() {
	if e.g == nil {
		return
	}
	e.unaliased, e.item = false, nil
	for i := 0; i < len(e.g.bodies) && e.Err == nil; i++ {
		b := e.g.bodies[i]
		e.g.bodies[i].write = nil
		e.level = 1
		if b.write(e); !e.within() {
			e.items = b.item
			e.end("…" + b.root)
		}
	}
}

// weave puts a prefix in the place of the byte that was reserved for the message's head, a mark before each value that is
// referred to again, and each reference where it belongs. It moves the buffer's parts to their places from the back.
func (e *Encoder) weave(prefix []byte) []byte {
	extra := len(prefix) - 1
	var visits []visit
	if e.g != nil && e.g.repeats > 0 {
		visits = e.g.visits
		extra += e.g.number()
	}
	buf := e.buf
	if extra > 0 {
		from := len(buf)
		buf = slices.Grow(buf, extra)[:from+extra]
		to := len(buf)
		var room [11]byte
		for i := len(visits) - 1; i >= 0; i-- {
			inserted := visits[i].insertion(visits, room[:0])
			if len(inserted) == 0 {
				continue
			}
			part := from - visits[i].off
			copy(buf[to-part:to], buf[from-part:from])
			from, to = from-part, to-part-len(inserted)
			copy(buf[to:], inserted)
		}
		part := from - e.start - 1
		copy(buf[to-part:to], buf[from-part:from])
	}
	copy(buf[e.start:], prefix)
	return buf
}

// number counts the marks, and returns how many bytes they and the references to them take.
func (g *graphWriter) number() (size int) {
	next := uint32(0)
	var room [11]byte
	for i := range g.visits {
		v := &g.visits[i]
		if v.shared {
			v.mark = next
			next++
		}
		size += len(v.insertion(g.visits, room[:0]))
	}
	return size
}

// insertion appends what stands at a visit's place in the message: a mark, a reference or nothing.
func (v *visit) insertion(all []visit, room []byte) []byte {
	switch {
	case v.first > 0:
		return appendHead(appendHead(room, majorTag, tagShared), majorUint, uint64(all[v.first-1].mark))
	case v.shared:
		return appendHead(room, majorTag, tagShareable)
	}
	return room
}

// reset makes the graph ready for the next message. What a large message has made it hold is let go.
func (g *graphWriter) reset() {
	const most = 1 << 10
	g.visits, g.indexed, g.repeats = g.visits[:0], 0, 0
	g.entries, g.scratch = g.entries[:0], g.scratch[:0]
	if len(g.names) > 0 {
		clear(g.names)
	}
	if len(g.index) > 0 {
		clear(g.index)
	}
	if len(g.bodies) > 0 {
		g.bodies = nil
	}
	if cap(g.visits) > most || cap(g.entries) > most || cap(g.scratch) > 64*most {
		*g = graphWriter{}
	}
}
