package model

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

// hoist moves the ops of a kind to the front.
func (f *fifo) hoist(kind uint8) {
	var front, back fifo
	for _, o := range f.ops[:f.n] {
		if o.kind() == kind {
			front.push(o)
		} else {
			back.push(o)
		}
	}
	for _, o := range back.ops[:back.n] {
		front.push(o)
	}
	*f = front
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
	obj       uint8
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

// fields visits every field in a fixed order, so that one function packs and unpacks.
func (s *state) fields(c *coder) {
	for p := range s.up {
		c.flag(&s.up[p])
	}
	for x := range s.root {
		c.flag(&s.root[x])
		c.flag(&s.alive[x])
		c.flag(&s.removed[x])
		for p := range procs {
			c.flag(&s.holds[x][p])
			s.entry[p][x].fields(c)
		}
	}
	for p := range procs {
		for q := range procs {
			if p == q {
				continue
			}
			c.bits(&s.gen[p][q], 2)
			c.bits(&s.heard[p][q], 2)
			c.flag(&s.open[p][q])
			c.flag(&s.broken[p][q])
			c.flag(&s.closed[p][q])
			w := &s.wire[p][q]
			c.bits(&w.n, 4)
			for i := range w.n {
				c.bits((*uint8)(&w.ops[i]), 5)
			}
		}
	}
	for i := range s.tr {
		s.tr[i].fields(c)
	}
	for _, b := range []*uint8{&s.left.send, &s.left.lose, &s.left.expire, &s.left.crash, &s.left.unexport, &s.left.giveIn,
		&s.left.refuse} {
		c.bits(b, 3)
	}
}

func (e *entry) fields(c *coder) {
	c.flag(&e.app)
	c.flag(&e.reg)
	c.flag(&e.dead)
	c.flag(&e.linger)
	c.flag(&e.old)
	c.bits(&e.out, 3)
}

func (t *transfer) fields(c *coder) {
	c.bits(&t.phase, 3)
	if t.phase == free {
		return
	}
	c.bits(&t.from, 2)
	c.bits(&t.to, 2)
	c.bits(&t.obj, 1)
	c.flag(&t.result)
	c.flag(&t.pin)
	c.flag(&t.stale)
	c.flag(&t.abandoned)
	c.bits(&t.gen, 2)
	c.bits(&t.wait, 3)
}

// A coder packs bits into buf, or unpacks them from it.
type coder struct {
	buf    []byte
	unpack bool
	pos    int
	acc    uint64
	n      uint
}

func (c *coder) bits(v *uint8, n uint) {
	if c.unpack {
		if c.n < n {
			c.acc |= uint64(c.buf[c.pos]) << c.n
			c.pos++
			c.n += 8
		}
		*v = uint8(c.acc & (1<<n - 1))
		c.acc >>= n
		c.n -= n
		return
	}
	c.acc |= uint64(*v) << c.n
	c.n += n
	if c.n >= 8 {
		c.buf = append(c.buf, byte(c.acc))
		c.acc >>= 8
		c.n -= 8
	}
}

func (c *coder) flag(v *bool) {
	var b uint8
	if *v {
		b = 1
	}
	c.bits(&b, 1)
	*v = b == 1
}

// pack appends s in about 30 bytes; no two states have the same ones.
func (s *state) pack(buf []byte) []byte {
	c := coder{buf: buf}
	s.fields(&c)
	return append(c.buf, byte(c.acc))
}

func unpack(buf []byte) (s state) {
	c := coder{buf: buf, unpack: true}
	s.fields(&c)
	return s
}
