package wire

import (
	"encoding/binary"
	"fmt"
	"math"
	"reflect"
	"time"
	"unicode/utf8"
)

// Encoder appends one message body to a buffer: a CBOR array of arguments or of results. It is used by one goroutine
// between Reset and Finish, and is reused from message to message. The zero Encoder is ready for Reset only.
//
// Err is the first failure; every method is a no-op once it is set, so that a message is written in full and checked once.
type Encoder struct {
	Err error

	buf   []byte
	start int // of the array's head, for which one byte is reserved
	most  int // length that buf may not exceed
	items int // begun so far
	level int // of arrays and maps, the message's own among them

	codec   *Codec
	table   *Table
	objects Objects
	what    string
	buffers Buffers // for memory beyond what it was given; nil: the heap
	lent    bool    // buf is from buffers

	leastTail int    // of a byte string that may be left out; 0: none is
	mostTail  int    // of that
	tail      []byte // the byte string that the message ends with so far, of which buf has the head

	fault     *Error // Err while its path is still being put together
	g         *graphWriter
	unaliased bool         // no two references met so far, or in the current item, can be the same
	item      reflect.Type // of the current item, while it is not known whether it is unaliased; nil when that is known
	met       int          // of the references, how many are in early
	early     [earlyVisits]visit
	before    before // the struct that generated code writes as an item
	failures  errorWriter
}

// Reset starts a message whose bytes are appended to buf: what is in buf already, a frame header, stays in front of it.
// The word what is "argument" or "result", for paths in errors. The table and the objects may be nil where no remote
// object travels.
func (e *Encoder) Reset(c *Codec, t *Table, o Objects, what string, buf []byte) {
	e.codec, e.table, e.objects, e.what = c, t, o, what
	e.buf, e.start, e.most = append(buf, 0), len(buf), len(buf)+c.limits.MessageBytes
	e.items, e.level, e.met = 0, 1, 0
	e.Err, e.fault, e.g = nil, nil, nil
	if e.failures.count > 0 {
		e.failures = errorWriter{}
	}
	e.buffers, e.lent = nil, false
	e.leastTail, e.tail = 0, nil
}

// Borrow has the encoder take memory for what is large from b, after Reset. What it borrows and outgrows goes back to b; what Finish
// returns is the caller's.
func (e *Encoder) Borrow(b Buffers) { e.buffers = b }

// LeaveOut has a byte string that is the last item, and whose length is between the two, not copied: Tail returns it after Finish, and it is the end of the
// message, behind what Finish returns. It is to be called after Reset.
func (e *Encoder) LeaveOut(least, most int) { e.leastTail, e.mostTail = least, most }

// Tail returns the end of the message, once it is finished, where that was left out; nil: Finish has returned all of it.
func (e *Encoder) Tail() []byte { return e.tail }

// leavesOut leaves v out, if that is to be. It has been begun, as an item.
func (e *Encoder) leavesOut(v []byte) bool {
	if e.leastTail == 0 || len(v) < e.leastTail || len(v) > e.mostTail || len(v)+longestHead > e.most-len(e.buf) {
		return false
	}
	e.head(majorBytes, uint64(len(v)))
	e.tail = v
	return true
}

// takeIn copies what was left out: it is not the end.
func (e *Encoder) takeIn() {
	if v := e.tail; e.fits(len(v)) { // it did when it was left out
		e.tail = nil
		e.buf = append(e.buf, v...)
	}
}

// Len is how many bytes of the message are written, until Finish.
func (e *Encoder) Len() int { return len(e.buf) - e.start + len(e.tail) }

// Finish completes the array and returns the whole buffer, but for what Tail returns, or Err. The encoder keeps no reference to the buffer.
func (e *Encoder) Finish() ([]byte, error) {
	if !e.within() {
		e.end("")
	}
	if e.g == nil && e.items < 24 && e.Err == nil {
		buf := e.buf
		e.buf = nil
		buf[e.start] = byte(majorArray)<<5 | byte(e.items)
		return buf, nil
	}
	return e.finish()
}

// finish is Finish for a message that has references or many items, or has failed.
func (e *Encoder) finish() ([]byte, error) {
	items := uint64(e.items)
	e.takeIn()
	e.writeBodies()
	if e.Err == nil {
		var room [22]byte
		head := room[:0]
		if e.g != nil && len(e.g.bodies) > 0 {
			head = appendHead(head, majorTag, tagGraph)
			head = appendHead(head, majorArray, uint64(len(e.g.bodies))+1)
		}
		e.buf = e.weave(appendHead(head, majorArray, items))
		if e.items = 0; !e.within() {
			e.end("")
		}
	}
	buf := e.buf
	e.buf = nil
	e.release()
	if e.Err != nil {
		return nil, e.Err
	}
	return buf, nil
}

// Forget lets go of a message that will not be finished: an encoder that is kept for later must not keep it.
func (e *Encoder) Forget() {
	e.buf, e.tail, e.Err, e.fault = nil, nil, nil, nil
	e.release()
}

// release gives the graph back.
func (e *Encoder) release() {
	if e.g != nil {
		e.g.reset()
		e.codec.graphs.Put(e.g)
		e.g = nil
	}
}

// Fail sets Err, if there is none yet, to err at the item that would come next.
func (e *Encoder) Fail(err error) {
	if e.Err != nil || err == nil {
		return
	}
	e.items++
	e.fail(err)
	e.end("")
}

// begin starts an item, and reports whether it is to be written.
func (e *Encoder) begin() bool {
	if !e.within() {
		e.end("")
		return false
	}
	if e.tail != nil {
		e.takeIn()
	}
	e.items++
	return true
}

// end completes the path of an item that failed.
func (e *Encoder) end(root string) {
	if e.fault != nil {
		e.fault.Path = path(e.what, e.items, root+e.fault.Path)
		e.fault = nil
	}
}

func (e *Encoder) fail(err error) {
	if e.Err == nil {
		e.fault = fault(Marshal, err)
		e.Err = e.fault
	}
}

func (e *Encoder) failf(format string, args ...any) { e.fail(fmt.Errorf(format, args...)) }

func (e *Encoder) exceed(what string, bound int64, option string) {
	if e.Err == nil {
		e.fault = &Error{Kind: Limit, Err: &LimitError{what, bound, option}}
		e.Err = e.fault
	}
}

// within reports whether all is well so far, and fails where the message has become too long.
func (e *Encoder) within() bool {
	if e.Err == nil && len(e.buf) <= e.most {
		return true
	}
	if e.Err == nil {
		e.tooLong()
	}
	return false
}

// at puts a step in front of the path of a failure on its way up.
func (e *Encoder) at(step string) {
	if e.fault != nil {
		e.fault.Path = step + e.fault.Path
	}
}

func (e *Encoder) Bool(v bool) {
	if e.begin() {
		e.bool(v)
	}
}

func (e *Encoder) Int(v int)         { e.Int64(int64(v)) }
func (e *Encoder) Int8(v int8)       { e.Int64(int64(v)) }
func (e *Encoder) Int16(v int16)     { e.Int64(int64(v)) }
func (e *Encoder) Int32(v int32)     { e.Int64(int64(v)) }
func (e *Encoder) Uint(v uint)       { e.Uint64(uint64(v)) }
func (e *Encoder) Uint8(v uint8)     { e.Uint64(uint64(v)) }
func (e *Encoder) Uint16(v uint16)   { e.Uint64(uint64(v)) }
func (e *Encoder) Uint32(v uint32)   { e.Uint64(uint64(v)) }
func (e *Encoder) Uintptr(v uintptr) { e.Uint64(uint64(v)) }

func (e *Encoder) Int64(v int64) {
	if e.begin() {
		e.int(v)
	}
}

func (e *Encoder) Uint64(v uint64) {
	if e.begin() {
		e.head(majorUint, v)
	}
}

func (e *Encoder) Float32(v float32) {
	if e.begin() {
		e.float32(v)
	}
}

func (e *Encoder) Float64(v float64) {
	if e.begin() {
		e.float64(v)
	}
}

func (e *Encoder) Complex64(v complex64) {
	if e.begin() {
		e.complex64(v)
	}
}

func (e *Encoder) Complex128(v complex128) {
	if e.begin() {
		e.complex128(v)
	}
}

func (e *Encoder) String(v string) {
	if e.begin() {
		e.string(v)
		e.end("")
	}
}

// Bytes writes a byte string, or null where v is nil. Nothing else in the message may be the same slice: where it may be, Value
// writes it.
func (e *Encoder) Bytes(v []byte) {
	if e.begin() {
		if e.leavesOut(v) {
			return
		}
		e.bytes(v)
		e.end("")
	}
}

// Time writes an instant with its offset from UTC; the zone's name and the monotonic reading do not travel.
func (e *Encoder) Time(v time.Time) {
	if e.begin() {
		e.time(v)
	}
}

// Error writes an error so that errors.Is and errors.As hold at the other end for what the table names. No error is
// ever refused: what cannot travel as itself travels as its text.
func (e *Encoder) Error(v error) {
	if e.begin() {
		e.error(v)
		e.end("")
	}
}

// Value writes a value of any other static type, which is v's dynamic type. What v refers to must not change until Finish.
func (e *Encoder) Value(v any) {
	if !e.begin() {
		return
	}
	if v == nil {
		e.failf("a nil interface has no type to travel by: write it by Interface")
		e.end("")
		return
	}
	e.planned(reflect.ValueOf(v))
}

// PutValue writes a value by its static type T, which may be an interface.
func PutValue[T any](e *Encoder, v T) {
	if e.begin() {
		e.planned(reflect.ValueOf(&v).Elem())
	}
}

// planned writes an item by the plan of its type.
func (e *Encoder) planned(v reflect.Value) {
	t := v.Type()
	p := e.codec.plan(t)
	e.alone(p)
	p.enc(e, v)
	if e.fault != nil {
		e.end(rootName(t))
	}
}

// alone notes whether no two references in the item that begins, of the type planned, and before it can be the same.
func (e *Encoder) alone(p *plan) {
	e.unaliased = p.unaliased && e.met == 0 && (e.g == nil || len(e.g.visits) == 0)
	e.item = nil
}

// Interface writes a value whose static type is an interface that is neither remote nor error: the value, which may be nil,
// and by which of the table's types it travels.
func (e *Encoder) Interface(v any) {
	if e.begin() {
		e.unaliased, e.item = false, nil
		e.dynamic(reflect.ValueOf(v))
		switch {
		case e.fault == nil:
		case e.fault.Path == "":
			e.end("") // the value itself, which the error names
		default:
			e.end(rootName(reflect.TypeOf(v)))
		}
	}
}

// Remote writes the reference that stands for v, seen through t; null where v is nil.
func (e *Encoder) Remote(t Type, v any) {
	if e.begin() {
		e.remote(t, v)
		e.end("")
	}
}

func (e *Encoder) head(major byte, n uint64) { e.buf = appendHead(e.buf, major, n) }
func (e *Encoder) null()                     { e.buf = append(e.buf, codeNull) }

func (e *Encoder) bool(v bool) {
	code := byte(codeFalse)
	if v {
		code = codeTrue
	}
	e.buf = append(e.buf, code)
}

func (e *Encoder) int(v int64) {
	if v < 0 {
		e.head(majorNegative, uint64(^v))
		return
	}
	e.head(majorUint, uint64(v))
}

func (e *Encoder) float32(v float32) {
	e.buf = binary.BigEndian.AppendUint32(append(e.buf, codeFloat32), math.Float32bits(v))
}

func (e *Encoder) float64(v float64) {
	e.buf = binary.BigEndian.AppendUint64(append(e.buf, codeFloat64), math.Float64bits(v))
}

func (e *Encoder) complex64(v complex64) {
	e.head(majorArray, 2)
	e.float32(real(v))
	e.float32(imag(v))
}

func (e *Encoder) complex128(v complex128) {
	e.head(majorArray, 2)
	e.float64(real(v))
	e.float64(imag(v))
}

// string writes text, or the bytes of a string that is not UTF-8.
func (e *Encoder) string(v string) {
	if n := len(v); n < shortText && n < e.most-len(e.buf) && ascii(v) { // most are
		e.buf = append(append(e.buf, majorText<<5|byte(n)), v...)
		return
	}
	if !e.fits(len(v)) {
		return
	}
	major := byte(majorText)
	if !utf8.ValidString(v) {
		major = majorBytes
	}
	e.head(major, uint64(len(v)))
	e.buf = append(e.buf, v...)
}

func (e *Encoder) bytes(v []byte) {
	if v == nil {
		e.null()
		return
	}
	if !e.fits(len(v)) {
		return
	}
	e.head(majorBytes, uint64(len(v)))
	e.buf = append(e.buf, v...)
}

const (
	borrowed    = 16 << 10 // from this length on, memory for a string is borrowed
	longestHead = 9
)

// fits fails where n more bytes make the message too long.
func (e *Encoder) fits(n int) bool {
	if n <= e.most-len(e.buf) {
		if n >= borrowed && e.buffers != nil && cap(e.buf)-len(e.buf) < n+longestHead {
			grown := append(e.buffers.Get(len(e.buf) + n + longestHead)[:0], e.buf...)
			if e.lent {
				e.buffers.Put(e.buf)
			}
			e.buf, e.lent = grown, true
		}
		return true
	}
	e.tooLong()
	return false
}

func (e *Encoder) tooLong() {
	if e.Err != nil {
		return
	}
	e.exceed("bytes in a message", int64(e.codec.limits.MessageBytes), "Limits.MessageBytes")
}

// enter goes one level down, and fails at the bound.
func (e *Encoder) enter() bool {
	if e.level++; e.level <= e.codec.limits.Depth {
		return true
	}
	e.level--
	e.exceed("levels of nesting", int64(e.codec.limits.Depth), "Limits.Depth")
	return false
}

func (e *Encoder) leave() { e.level-- }
