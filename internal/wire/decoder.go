package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"reflect"
	"time"
	"unicode/utf8"
)

// Decoder reads one message body. What it returns is copied: the data may be reused after Finish. It is used by one
// goroutine between Reset and Finish, and is reused from message to message, of which it keeps a few short texts. The zero Decoder is ready for Reset only.
//
// The data may be anything at all: the decoder never panics on it, and never allocates beyond the codec's limits.
//
// Err is the first failure; once it is set, every method leaves its target untouched.
type Decoder struct {
	Err error

	data []byte
	pos  int

	items   int // begun so far
	count   int // in the array
	level   int // of arrays and maps, the message's own among them
	objects int // that may still be made
	alloc   int64

	codec *Codec
	table *Table
	node  Objects
	what  string

	fault *Error // Err while its path is still being put together

	g         *graphReader    // nil until something is marked, named or postponed
	bodies    int             // that follow the items
	targets   []reflect.Value // what has been read into, where bodies follow
	filters   [2]Filter
	generated bool  // generated code reads, which does nothing out of turn
	start     start // of the item that it reads

	unseen   int // levels beyond Limits.Depth of what is passed over
	failures errorReader

	lent bool // data is the message's own
	kept bool // and a value has kept it

	recent     recentTexts
	zoneMade   *time.Location // for zoneOffset: the last that this message needed
	zoneOffset int
}

// Reset starts to read a message from the front of data. The word what is "argument" or "result", for paths in errors.
func (d *Decoder) Reset(c *Codec, t *Table, o Objects, what string, data []byte) {
	d.reset(c, t, o, what, data)
	if len(data) > c.limits.MessageBytes+frameRoom {
		d.exceed("bytes in a message", int64(c.limits.MessageBytes), "Limits.MessageBytes")
	} else {
		d.open()
	}
	d.end("")
}

func (d *Decoder) reset(c *Codec, t *Table, o Objects, what string, data []byte) {
	d.codec, d.table, d.node, d.what = c, t, o, what
	d.data, d.pos, d.items, d.count, d.level = data, 0, 0, 0, 1
	d.objects, d.alloc, d.unseen = c.limits.Objects, c.limits.Alloc, unseenLevels
	d.Err, d.fault, d.g, d.bodies, d.targets = nil, nil, nil, 0, nil
	d.filters[0], d.filters[1], d.generated, d.lent, d.kept = nil, nil, false, false, false
	d.zoneMade, d.zoneOffset = nil, 0
	if f := &d.failures; f.passed != nil || f.level|f.height|f.spoken != 0 {
		*f = errorReader{}
	}
}

// Lend tells, after Reset, that the data is not used for anything else: a byte string that makes up most of it may keep it instead
// of a copy.
func (d *Decoder) Lend() { d.lent = true }

// Kept reports whether a value has kept the data that was lent: then it must not be reused.
func (d *Decoder) Kept() bool { return d.kept }

// Forget lets go of the data, and of what has been read from it: a decoder that is kept for later must not keep those.
func (d *Decoder) Forget() {
	d.data, d.pos, d.targets, d.g = nil, 0, nil, nil
	d.Err, d.fault = nil, nil
}

// Rest returns the bytes after the array; it is valid once all items have been read.
func (d *Decoder) Rest() []byte { return d.data[d.pos:] }

// Finish reads what follows the items, and reports the first failure, or that items of the array were left unread. Values
// are whole when it has returned nil; when it has failed where something followed the items, what was read by Value is zero
// again. The decoder keeps no reference to the data that Rest did not return.
func (d *Decoder) Finish() error {
	if d.Err == nil && d.items < d.count {
		d.items++
		d.failf("one of %d that came, only %d are expected", d.count, d.items-1)
		d.end("")
	}
	if d.bodies > 0 {
		d.readBodies()
	}
	return d.Err
}

// begin starts an item, and reports whether it is to be read.
func (d *Decoder) begin() bool {
	if d.Err != nil {
		return false
	}
	d.items++
	if d.items > d.count {
		d.failf("missing: only %d came", d.count)
		d.end("")
		return false
	}
	return true
}

// end completes the path of an item that failed, and reports whether the item is good.
func (d *Decoder) end(root string) bool {
	if d.Err == nil {
		return true
	}
	if d.fault != nil {
		d.fault.Path = path(d.what, d.items, root+d.fault.Path)
		d.fault = nil
	}
	return false
}

func (d *Decoder) fail(err error) {
	if d.Err == nil {
		d.fault = fault(Unmarshal, err)
		d.Err = d.fault
	}
}

// Fail makes the decoder fail with err, at the item that was read last, unless it has failed already.
func (d *Decoder) Fail(err error) {
	d.fail(err)
	d.end("")
}

func (d *Decoder) failf(format string, args ...any) { d.fail(fmt.Errorf(format, args...)) }

func (d *Decoder) exceed(what string, bound int64, option string) {
	if d.Err == nil {
		d.fault = &Error{Kind: Limit, Err: &LimitError{what, bound, option}}
		d.Err = d.fault
	}
}

// at puts a step in front of the path of a failure on its way up.
func (d *Decoder) at(step string) {
	if d.fault != nil {
		d.fault.Path = step + d.fault.Path
	}
}

func (d *Decoder) Bool(p *bool) {
	if d.begin() {
		if v := d.bool(); d.end("") {
			*p = v
		}
	}
}

func (d *Decoder) Int(p *int) {
	if v, ok := d.signed(math.MinInt, math.MaxInt); ok {
		*p = int(v)
	}
}

func (d *Decoder) Int8(p *int8) {
	if v, ok := d.signed(math.MinInt8, math.MaxInt8); ok {
		*p = int8(v)
	}
}

func (d *Decoder) Int16(p *int16) {
	if v, ok := d.signed(math.MinInt16, math.MaxInt16); ok {
		*p = int16(v)
	}
}

func (d *Decoder) Int32(p *int32) {
	if v, ok := d.signed(math.MinInt32, math.MaxInt32); ok {
		*p = int32(v)
	}
}

func (d *Decoder) Int64(p *int64) {
	if v, ok := d.signed(math.MinInt64, math.MaxInt64); ok {
		*p = int64(v)
	}
}

func (d *Decoder) Uint(p *uint) {
	if v, ok := d.unsigned(math.MaxUint); ok {
		*p = uint(v)
	}
}

func (d *Decoder) Uint8(p *uint8) {
	if v, ok := d.unsigned(math.MaxUint8); ok {
		*p = uint8(v)
	}
}

func (d *Decoder) Uint16(p *uint16) {
	if v, ok := d.unsigned(math.MaxUint16); ok {
		*p = uint16(v)
	}
}

func (d *Decoder) Uint32(p *uint32) {
	if v, ok := d.unsigned(math.MaxUint32); ok {
		*p = uint32(v)
	}
}

func (d *Decoder) Uint64(p *uint64) {
	if v, ok := d.unsigned(math.MaxUint64); ok {
		*p = uint64(v)
	}
}

func (d *Decoder) Uintptr(p *uintptr) {
	if v, ok := d.unsigned(math.MaxUint); ok {
		*p = uintptr(v)
	}
}

// signed and unsigned take no pointer on purpose: through a generic function, the variable that it points to would escape.

func (d *Decoder) signed(least, most int64) (int64, bool) {
	if !d.begin() {
		return 0, false
	}
	v := d.int(least, most)
	return v, d.end("")
}

func (d *Decoder) unsigned(most uint64) (uint64, bool) {
	if !d.begin() {
		return 0, false
	}
	v := d.uint(most)
	return v, d.end("")
}

func (d *Decoder) Float32(p *float32) {
	if d.begin() {
		if v := d.float32(); d.end("") {
			*p = v
		}
	}
}

func (d *Decoder) Float64(p *float64) {
	if d.begin() {
		if v := d.float64(); d.end("") {
			*p = v
		}
	}
}

func (d *Decoder) Complex64(p *complex64) {
	if d.begin() {
		if v := d.complex64(); d.end("") {
			*p = v
		}
	}
}

func (d *Decoder) Complex128(p *complex128) {
	if d.begin() {
		if v := d.complex128(); d.end("") {
			*p = v
		}
	}
}

func (d *Decoder) String(p *string) {
	if d.begin() {
		if v := d.string(); d.end("") {
			*p = v
		}
	}
}

func (d *Decoder) Bytes(p *[]byte) {
	if d.begin() {
		if v := d.bytes(); d.end("") {
			*p = v
		}
	}
}

// Time reads an instant, in UTC or in a nameless zone of the offset that it was sent with.
func (d *Decoder) Time(p *time.Time) {
	if d.begin() {
		if v := d.time(); d.end("") {
			*p = v
		}
	}
}

func (d *Decoder) Error(p *error) {
	if d.begin() {
		if v := d.error(); d.end("") {
			*p = v
		}
	}
}

// Value reads a value of any other type into what p, a non-nil pointer, points to.
func (d *Decoder) Value(p any) {
	if !d.begin() {
		return
	}
	target := reflect.ValueOf(p)
	if target.Kind() != reflect.Pointer || target.IsNil() {
		d.failf("cannot decode into %T: not a pointer", p)
		d.end("")
		return
	}
	t := target.Type().Elem()
	plan := d.codec.plan(t)
	into := target.Elem()
	inPlace := plan.zero(into)
	if !inPlace {
		into = reflect.New(t).Elem()
	}
	if d.bodies > 0 {
		d.targets = append(d.targets, target.Elem())
	}
	plan.dec(d, into)
	switch {
	case d.fault != nil:
		d.end(rootName(t))
		if inPlace {
			into.SetZero()
		}
	case !inPlace:
		target.Elem().Set(into)
	}
}

// Remote reads a reference and returns the object that it stands for, assignable to t.GoType(); nil for null and on
// failure.
func (d *Decoder) Remote(t Type) any {
	if !d.begin() {
		return nil
	}
	v := d.remote(t)
	if !d.end("") {
		return nil
	}
	return v
}

// head reads a head in its shortest form. For the major type 7 it reads the first byte only.
func (d *Decoder) head() (major byte, n uint64) {
	if d.Err != nil || d.pos >= len(d.data) {
		d.short()
		return majorSimple, 0
	}
	first := d.data[d.pos]
	d.pos++
	major, n = first>>5, uint64(first&31)
	if n < 24 || major == majorSimple {
		return major, n
	}
	if n == 24 && d.pos < len(d.data) && d.data[d.pos] >= 24 { // the commonest that is left
		d.pos++
		return major, uint64(d.data[d.pos-1])
	}
	if n > 27 {
		if n == 31 {
			d.failf("indefinite lengths are not accepted")
		} else {
			d.failf("%#02x begins no CBOR item", first)
		}
		return major, 0
	}
	return major, d.argument(1 << (n - 24))
}

// argument reads the n bytes of a head's argument.
func (d *Decoder) argument(n int) (v uint64) {
	b := d.take(n)
	if b == nil {
		return 0
	}
	least := uint64(24)
	switch n {
	case 1:
		v = uint64(b[0])
	case 2:
		v, least = uint64(binary.BigEndian.Uint16(b)), 1<<8
	case 4:
		v, least = uint64(binary.BigEndian.Uint32(b)), 1<<16
	case 8:
		v, least = binary.BigEndian.Uint64(b), 1<<32
	}
	if v < least {
		d.failf("the head of %d takes more bytes than it needs", v)
		return 0
	}
	return v
}

// take returns the next n bytes of the data itself, not a copy; nil at failure.
func (d *Decoder) take(n int) []byte {
	if d.Err != nil || n > len(d.data)-d.pos {
		d.short()
		return nil
	}
	b := d.data[d.pos : d.pos+n : d.pos+n]
	d.pos += n
	return b
}

var errShort = errors.New("the message ends too early")

func (d *Decoder) short() { d.fail(errShort) }

// peek returns the next byte, or 0 at the end, where no item begins with it that is not read as such.
func (d *Decoder) peek() byte {
	if d.pos < len(d.data) {
		return d.data[d.pos]
	}
	return 0
}

// null consumes a null, and reports whether there was one.
func (d *Decoder) null() bool {
	if d.Err == nil && d.peek() == codeNull && d.pos < len(d.data) {
		d.pos++
		return true
	}
	return false
}

// length reads the head of a major type that counts bytes, items or pairs, and checks that the data can hold so many.
func (d *Decoder) length(major byte, want string) int {
	at := d.pos
	m, n := d.head()
	if d.Err != nil {
		return 0
	}
	if m != major {
		d.pos = at
		d.unexpected(want)
		return 0
	}
	size := uint64(1)
	if major == majorMap {
		size = 2
	}
	if n > uint64(len(d.data)-d.pos)/size {
		d.short()
		return 0
	}
	return int(n)
}

// unexpected fails at an item that is not the wanted one.
func (d *Decoder) unexpected(want string) {
	if d.Err != nil {
		return
	}
	if d.pos >= len(d.data) {
		d.short()
		return
	}
	at := d.pos
	first := d.data[at]
	got := [...]string{"an integer", "a negative integer", "a byte string", "text", "an array", "a map", "a tag", "a simple value"}[first>>5]
	switch {
	case first>>5 == majorTag:
		if _, tag := d.head(); d.Err == nil {
			got = tagName(tag)
		}
	case first == codeFalse || first == codeTrue:
		got = "a boolean"
	case first == codeNull:
		got = "null"
	case first == codeFloat32 || first == codeFloat64:
		got = "a float"
	}
	d.pos = at
	d.failf("%s where %s is expected", got, want)
}

func tagName(tag uint64) string {
	switch tag {
	case tagShareable, tagShared, tagForward:
		return fmt.Sprintf("a shared value (tag %d)", tag)
	case tagGraph:
		return "a message within the message"
	case tagNamed:
		return "an error or a value with its type"
	case tagRemote:
		return "a remote reference"
	}
	return fmt.Sprintf("tag %d", tag)
}

// charge takes n bytes, as a value with memory of its own, from what the message may still allocate.
func (d *Decoder) charge(n int64) bool {
	if d.Err != nil {
		return false
	}
	const overhead = 16
	if d.objects--; d.objects < 0 {
		d.exceed("values in a message", int64(d.codec.limits.Objects), "Limits.Objects")
		return false
	}
	if n < 0 || n > d.alloc-overhead {
		d.exceed("bytes of memory for a message", d.codec.limits.Alloc, "Limits.Alloc")
		return false
	}
	d.alloc -= n + overhead
	return true
}

func (d *Decoder) enter() bool { return d.enterWithin(d.codec.limits.Depth) }

func (d *Decoder) enterWithin(bound int) bool {
	if d.Err != nil {
		return false
	}
	if d.level++; d.level <= bound {
		return true
	}
	d.level--
	d.exceed("levels of nesting", int64(d.codec.limits.Depth), "Limits.Depth")
	return false
}

func (d *Decoder) leave() { d.level-- }

func (d *Decoder) bool() bool {
	switch c := d.peek(); {
	case c == codeTrue || c == codeFalse:
		d.pos++
		return c == codeTrue
	default:
		d.unexpected("a boolean")
		return false
	}
}

func (d *Decoder) int(least, most int64) int64 {
	at := d.pos
	if at < len(d.data) && d.data[at] < 24 && d.Err == nil { // most integers are small
		d.pos++
		return int64(d.data[at])
	}
	major, n := d.head()
	if d.Err != nil {
		return 0
	}
	switch {
	case major > majorNegative:
		d.pos = at
		d.unexpected("an integer")
	case n > math.MaxInt64:
		d.failf("the integer overflows: it is not within [%d, %d]", least, most)
	case major == majorUint && int64(n) <= most:
		return int64(n)
	case major == majorNegative && ^int64(n) >= least:
		return ^int64(n)
	case major == majorUint:
		d.failf("%d overflows: it is not within [%d, %d]", n, least, most)
	default:
		d.failf("%d overflows: it is not within [%d, %d]", ^int64(n), least, most)
	}
	return 0
}

func (d *Decoder) uint(most uint64) uint64 {
	at := d.pos
	major, n := d.head()
	if d.Err != nil {
		return 0
	}
	switch {
	case major == majorNegative:
		d.failf("a negative integer overflows: it is not within [0, %d]", most)
	case major != majorUint:
		d.pos = at
		d.unexpected("an integer")
	case n > most:
		d.failf("%d overflows: it is not within [0, %d]", n, most)
	default:
		return n
	}
	return 0
}

func (d *Decoder) float32() float32 {
	if d.peek() != codeFloat32 {
		d.unexpected("a 32-bit float")
		return 0
	}
	if b := d.take(5); b != nil {
		return math.Float32frombits(binary.BigEndian.Uint32(b[1:]))
	}
	return 0
}

// float64 reads a float of either size: widening loses nothing.
func (d *Decoder) float64() float64 {
	switch d.peek() {
	case codeFloat32:
		return float64(d.float32())
	case codeFloat64:
		if b := d.take(9); b != nil {
			return math.Float64frombits(binary.BigEndian.Uint64(b[1:]))
		}
		return 0
	}
	d.unexpected("a float")
	return 0
}

func (d *Decoder) complex64() complex64 {
	d.pair()
	re := d.float32()
	return complex(re, d.float32())
}

func (d *Decoder) complex128() complex128 {
	d.pair()
	re := d.float64()
	return complex(re, d.float64())
}

func (d *Decoder) pair() {
	if n := d.length(majorArray, "the two parts of a complex number"); n != 2 {
		d.failf("a complex number of %d parts", n)
	}
}

// string reads text, which is UTF-8, or the byte string that stands for any other string.
func (d *Decoder) string() string {
	if from := d.pos + 1; from < len(d.data) { // most strings are short texts
		n := int(d.data[d.pos]) - majorText<<5
		if n > 0 && n < shortText && n <= len(d.data)-from && d.Err == nil {
			if text := d.recent.string(d.data[from : from+n]); text != "" && d.charge(int64(n)) {
				d.pos = from + n
				return text
			}
		}
	}
	b, text := d.chunk()
	if d.Err != nil {
		return ""
	}
	if text && !utf8.Valid(b) {
		d.failf("text that is not UTF-8")
		return ""
	}
	if len(b) == 0 || !d.charge(int64(len(b))) {
		return ""
	}
	return string(b)
}

// chunk returns the bytes of the next string in the data itself, and whether it is text.
func (d *Decoder) chunk() (b []byte, text bool) {
	text = d.peek()>>5 == majorText
	major := byte(majorBytes)
	if text {
		major = majorText
	}
	n := d.length(major, "a string")
	return d.take(n), text
}

func (d *Decoder) bytes() []byte {
	if d.null() {
		return nil
	}
	n := d.length(majorBytes, "a byte string")
	b := d.take(n)
	if b == nil || !d.charge(int64(n)) {
		return nil
	}
	if d.lent && n >= keepable && 2*n >= cap(d.data) {
		d.kept = true
		return b[:n:n]
	}
	return append(make([]byte, 0, n), b...)
}

// keepable is the length from which on a byte string may keep the message that it came in.
const keepable = 4 << 10
