package model

import "encoding/binary"

// A proc is one of the three processes.
type proc = uint8

// The processes. O owns the first object; what A and C are is up to Model.Owner.
const (
	O proc = iota
	A
	C
	procs = 3
)

const (
	objects = 2  // objects in a state
	slots   = 4  // transfers in a state at a time
	depth   = 15 // unapplied control ops in one direction
	maxGen  = 3  // the last generation of a session
)

// An op is an entry of a control stream: its kind and, in two bits, the object, transfer or generation that it is about.
type op uint8

// The kinds of op. An ack is no op on the wire: it stands in the stream where the receiver of the DIRTY acknowledged it.
const (
	opDirty uint8 = iota
	opClean
	opGone
	opAck
	opXack
	opXquery
	opOpen
	opNack // an XACK that says that the owner does not know of the receiver
)

func mk(kind, arg uint8) op { return op(kind<<2 | arg) }

func (o op) kind() uint8 { return uint8(o) >> 2 }
func (o op) arg() uint8  { return uint8(o) & 3 }

func (o op) aboutTransfer() bool {
	return o.kind() == opXack || o.kind() == opNack || o.kind() == opXquery
}

// alike reports whether two ops that stand next to each other in a stream may change places: what one event queues for several
// transfers or objects is queued in any order.
func alike(a, b op) bool {
	return a.aboutTransfer() && b.aboutTransfer() || a.kind() == opDirty && b.kind() == opDirty
}

// A fifo holds the ops of one direction of a control stream that the receiver has not applied.
type fifo struct {
	n   uint8
	ops [depth]op
}

func (f *fifo) push(o op) {
	if f.n == depth {
		panic("model: the bounds need longer control streams: raise depth")
	}
	f.ops[f.n] = o
	f.n++
}

// take removes and returns entry i.
func (f *fifo) take(i uint8) op {
	o := f.ops[i]
	copy(f.ops[i:], f.ops[i+1:f.n])
	f.n--
	f.ops[f.n] = 0
	return o
}

func (f *fifo) has(o op) bool {
	for _, x := range f.ops[:f.n] {
		if x == o {
			return true
		}
	}
	return false
}

// filter removes the ops of a kind.
func (f *fifo) filter(kind uint8) {
	for i := uint8(0); i < f.n; {
		if f.ops[i].kind() != kind {
			i++
			continue
		}
		f.take(i)
	}
}

// hoist moves acks ahead of other ops of their generation.
func (f *fifo) hoist() {
	for i := 1; i < int(f.n); i++ {
		for j := i; j > 0 && f.ops[j].kind() == opAck && f.ops[j-1].kind() != opAck && f.ops[j-1].kind() != opOpen; j-- {
			f.ops[j], f.ops[j-1] = f.ops[j-1], f.ops[j]
		}
	}
}

// opens reports where the last OPEN stands, or -1.
func (f *fifo) opens() int {
	for i := int(f.n) - 1; i >= 0; i-- {
		if f.ops[i].kind() == opOpen {
			return i
		}
	}
	return -1
}

// An entry is what a holder's table says of an object of another process.
type entry struct {
	app    bool  // the application holds the stub
	reg    bool  // the last op queued for the object, DIRTY or CLEAN, was DIRTY
	dead   bool  // the stub that the application holds is DEAD
	linger bool  // the stub was collected, CLEAN waits for the timer
	old    bool  // a cleanup of an earlier stub has yet to run
	out    uint8 // DIRTYs whose acks are outstanding: reg and none of them is HELD, reg and some is PENDING
}

// A phase is where a transfer is.
type phase = uint8

const (
	free   phase = iota
	asked        // the request of a call is in flight; its result may become a reference
	run          // the callee runs the call
	flight       // the message with the reference is in flight
	after        // the message arrived or is lost; pins, obligations or ops about it are left
)

// A transfer is a reference that is passed, with the pin of its sender and the obligation of its receiver.
type transfer struct {
	phase     phase
	from, to  proc
	obj       uint8 // in flight and after
	result    bool  // the reference is a call's result and from is the callee; else an argument and from the caller
	pin       bool  // from holds the object or stub until XACK
	stale     bool  // the message went by a connection that is broken
	abandoned bool  // the caller of the call has given it up
	gen       uint8 // the session's generation in which it was sent
	wait      uint8 // acks of DIRTY(obj) that to awaits before it acknowledges; 0: owes nothing
}

// A budget is how often something may still happen.
type budget struct {
	send, lose, expire, crash, unexport, giveIn, refuse uint8
}

// A state is all there is to know. It is a value: comparing and copying are Go's.
type state struct {
	up      [procs]bool
	root    [objects]bool // the owner's application holds the object
	alive   [objects]bool // the object is in its owner's table
	removed [objects]bool // and is not, because it was unexported
	holds   [objects][procs]bool
	entry   [procs][objects]entry

	// Of process p about its session with q, at [p][q].
	gen    [procs][procs]uint8 // p's generation
	heard  [procs][procs]uint8 // the generation of the last OPEN that p read from q
	open   [procs][procs]bool  // p knows that q is in p's generation
	broken [procs][procs]bool  // the connection broke and p has not noticed
	closed [procs][procs]bool  // p knows that q is gone for good

	wire [procs][procs]fifo // the control stream from p to q
	tr   [slots]transfer
	left budget
}

// fields visits everything in a fixed order, so that one function packs and unpacks.
func (s *state) fields(c *coder) {
	for p := range s.up {
		c.flags(&s.up[p])
	}
	for x := range s.root {
		h := &s.holds[x]
		c.flags(&s.root[x], &s.alive[x], &s.removed[x], &h[O], &h[A], &h[C])
		for p := range procs {
			e := &s.entry[p][x]
			if !c.absent(*e == entry{}) {
				c.flags(&e.app, &e.reg, &e.dead, &e.linger, &e.old)
				c.bits(3, &e.out)
			}
		}
	}
	for p := range procs {
		for q := range procs {
			if p == q {
				continue
			}
			c.bits(2, &s.gen[p][q])
			c.bits(2, &s.heard[p][q])
			c.flags(&s.open[p][q], &s.broken[p][q], &s.closed[p][q])
			w := &s.wire[p][q]
			c.bits(4, &w.n)
			for i := range w.n {
				c.bits(5, (*uint8)(&w.ops[i]))
			}
		}
	}
	for i := range s.tr {
		s.tr[i].fields(c)
	}
	l := &s.left
	c.bits(3, &l.send)
	c.bits(2, &l.lose)
	c.bits(2, &l.expire)
	c.bits(2, &l.crash)
	c.bits(1, &l.unexport)
	c.bits(1, &l.giveIn)
	c.bits(1, &l.refuse)
}

func (t *transfer) fields(c *coder) {
	if c.bits(3, &t.phase); t.phase == free {
		return
	}
	c.bits(2, &t.from)
	c.bits(2, &t.to)
	c.bits(1, &t.obj)
	c.bits(2, &t.gen)
	c.bits(3, &t.wait)
	c.flags(&t.result, &t.pin, &t.stale, &t.abandoned)
}

// A coder packs bits into buf, or unpacks them from it.
type coder struct {
	buf    []byte
	unpack bool
	acc    uint64
	n      uint
}

// bits packs or unpacks the low n bits of v.
func (c *coder) bits(n uint, v *uint8) {
	if c.unpack {
		*v = c.next(n)
		return
	}
	c.acc |= uint64(*v) << c.n
	if c.n += n; c.n >= 32 {
		c.buf = binary.LittleEndian.AppendUint32(c.buf, uint32(c.acc))
		c.acc >>= 32
		c.n -= 32
	}
}

func (c *coder) next(n uint) uint8 {
	for c.n < n {
		c.acc |= uint64(c.buf[0]) << c.n
		c.buf = c.buf[1:]
		c.n += 8
	}
	v := uint8(c.acc & (1<<n - 1))
	c.acc >>= n
	c.n -= n
	return v
}

// flags packs or unpacks up to eight bits.
func (c *coder) flags(f ...*bool) {
	var b uint8
	for i := range f {
		if *f[i] {
			b |= 1 << i
		}
	}
	c.bits(uint(len(f)), &b)
	for i := range f {
		*f[i] = b>>i&1 == 1
	}
}

// absent packs is, or unpacks what was packed.
func (c *coder) absent(is bool) bool {
	c.flags(&is)
	return is
}

// pack appends s in about 25 bytes; no two states have the same ones.
func (s *state) pack(buf []byte) []byte {
	c := coder{buf: buf}
	s.fields(&c)
	for ; c.n > 0; c.n -= min(8, c.n) {
		c.buf = append(c.buf, byte(c.acc))
		c.acc >>= 8
	}
	return c.buf
}

func unpack(buf []byte) (s state) {
	c := coder{buf: buf, unpack: true}
	s.fields(&c)
	return s
}
