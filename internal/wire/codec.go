package wire

import (
	"math"
	"reflect"
	"sync"
)

// Limits bounds what one message may cost whoever decodes it. A zero field means its default. Every bound is checked
// before the memory that it bounds is allocated; going beyond one is an [Error] of kind [Limit].
type Limits struct {
	// MessageBytes bounds one message body, arguments or results; zero: 64 MiB. It is never more than fits into a frame,
	// which is a little less than 2 GiB.
	MessageBytes int
	// Depth bounds how deeply arrays, maps and structs are nested in a message; zero: 512. It is never more than 10,000, so that
	// no value exhausts the stack. A writer goes no deeper than 24 levels through pointers, maps and slices, however deep
	// the value; what counts beyond that are structs and arrays inside each other, and interface values.
	Depth int
	// Objects bounds the number of values with memory of their own (strings, pointees, slices, maps, remote
	// references) in one message; zero: 16 million.
	Objects int
	// Alloc bounds the bytes that decoding one message may allocate, which a hostile message would otherwise make
	// many times larger than the message; zero: 1 GiB. What is read again for each reference to it counts likewise.
	Alloc int64
}

const (
	defaultMessageBytes = 64 << 20
	defaultDepth        = 512
	defaultObjects      = 16 << 20
	defaultAlloc        = 1 << 30
	greatestDepth       = 10_000
	greatestMessage     = math.MaxInt32 - frameRoom - lengthBytes
)

// WithDefaults returns the limits with each zero or negative field replaced by its default, and none beyond its bound.
func (l Limits) WithDefaults() Limits {
	if l.MessageBytes <= 0 {
		l.MessageBytes = defaultMessageBytes
	}
	l.MessageBytes = min(l.MessageBytes, greatestMessage)
	if l.Depth <= 0 {
		l.Depth = defaultDepth
	}
	l.Depth = min(l.Depth, greatestDepth)
	if l.Objects <= 0 {
		l.Objects = defaultObjects
	}
	if l.Alloc <= 0 {
		l.Alloc = defaultAlloc
	}
	return l
}

// Codec is what the messages of one node share: its limits, and a plan for each Go type that has travelled. It may be
// used concurrently.
type Codec struct {
	limits Limits
	plans  sync.Map  // reflect.Type → *plan; grows with the program's types, never with what peers send
	graphs sync.Pool // of *graphWriter
	knots  map[reflect.Type]reflect.Type
}

// NewCodec returns a codec with the given limits, defaults filled in.
func NewCodec(l Limits) *Codec {
	return &Codec{limits: l.WithDefaults(), graphs: sync.Pool{New: func() any { return &graphWriter{} }}}
}

// Limits returns the codec's limits, each of them set.
func (c *Codec) Limits() Limits { return c.limits }

// plan returns the plan of a type, making it and those of the types it mentions on first use.
func (c *Codec) plan(t reflect.Type) *plan {
	if p, ok := c.plans.Load(t); ok {
		return p.(*plan)
	}
	planner := planner{codec: c, made: map[reflect.Type]*plan{}}
	p := planner.plan(t)
	for made, q := range planner.made {
		q.unaliased = unaliased(made, false, map[reflect.Type]bool{})
		c.plans.LoadOrStore(made, q)
	}
	return p
}
