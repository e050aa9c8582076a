package wire

import (
	"cmp"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"
)

// RemoteError stands for an error of the other end whose type does not travel. Its text is the original's, and what the
// original wrapped is there for errors.Is and errors.As.
type RemoteError struct {
	Type    string  // the Go type at the other end, or the name that is unknown at this one
	Message string  // what Error returned there
	Code    string  // what RMICode returned there, for the error or one that it wraps
	Wrapped []error // what it wrapped, in order
}

func (e *RemoteError) Error() string { return e.Message }

// Unwrap returns the wrapped errors.
func (e *RemoteError) Unwrap() []error { return e.Wrapped }

// RMICode returns Code, so that an error keeps it when it is passed on.
func (e *RemoteError) RMICode() string { return e.Code }

// An error is one item: null, or tag 27 of
//
//	["!err", path, message]       a sentinel
//	[path, value, message]        an error type of the table
//	["!error", {c, m, t, w}]      any other: code, message, Go type, wrapped errors
//
// A reader passes over further elements. The message makes a path that the reader does not know a readable error.
const (
	sentinelName = "!err"
	plainName    = "!error"
)

// How much of an error travels. A chain or a text beyond these bounds is cut: an error is shortened, never refused.
const (
	deepestChain  = 64       // levels of wrapping
	widestWrap    = 64       // errors wrapped by one
	mostErrors    = 256      // errors within one
	mostErrorText = 8 << 10  // bytes of the message
	mostInnerText = 1 << 10  // bytes of the message of an error inside another
	mostErrorName = 256      // bytes of a type's name or a code
	mostErrorRoom = 64 << 10 // bytes of an error item that is not inside another, for writer and reader
	mostWrapping  = 32 << 10 // bytes after which no more wrapped errors are written
	mostSearched  = 4 << 10  // errors that are searched for sentinels among those that are cut off
	mostRescued   = 32       // sentinels that are written although what wraps them is cut off
	mostShortText = 128      // bytes of the message of such a sentinel
	errorLevels   = 3        // levels of CBOR that one level of wrapping takes
	cutShort      = "further errors are left out"
)

// AppendError appends the error item that follows the results in a reply, and never fails: what cannot travel as itself
// travels as its text. The item is at most 64 KiB long.
func AppendError(c *Codec, t *Table, o Objects, buf []byte, err error) []byte {
	e := Encoder{codec: c, table: t, objects: o, what: "error", buf: buf, most: math.MaxInt, level: 1}
	e.error(err)
	return e.buf
}

// ReadError reads the error item at the front of data, and returns the error, nil for null, and what follows the item. It
// fails where the item is malformed.
func ReadError(c *Codec, t *Table, o Objects, data []byte) (decoded error, rest []byte, err error) {
	var d Decoder
	d.reset(c, t, o, "error", data)
	decoded = d.error()
	if !d.end("") {
		return nil, nil, d.Err
	}
	return decoded, d.Rest(), nil
}

// errorWriter is the part of the encoder's state that bounds one error and all those inside it.
type errorWriter struct {
	level    int // of wrapping
	count    int
	end      int     // length of the buffer after which nothing more is wrapped
	searched int     // of what was cut off
	rescued  []error // the sentinels that were found there
}

// error writes an error item, all of it within the room that an item has.
func (e *Encoder) error(err error) {
	switch {
	case err == nil:
		e.null()
	case e.failures.level > 0:
		e.inner(err)
	default:
		e.failures = errorWriter{end: len(e.buf) + mostWrapping}
		if !e.attempt(func() { e.inner(err) }) {
			e.plain(err, nil)
		}
	}
}

// attempt writes something within the room of an error item, and reports whether it could: if not, the buffer is as it was.
func (e *Encoder) attempt(write func()) bool {
	saved := *e
	e.most = min(e.most, len(e.buf)+mostErrorRoom)
	write()
	ok := e.within()
	e.most = saved.most
	if !ok {
		e.Err, e.fault = nil, nil
		e.buf, e.level = e.buf[:len(saved.buf)], saved.level
		e.failures.rescued = saved.failures.rescued
	}
	return ok
}

// inner writes an error, or one inside another.
func (e *Encoder) inner(err error) {
	w := &e.failures
	w.count++
	if w.level > 0 && e.cut() {
		e.leftOut(e.search([]error{err}))
		return
	}
	outside := e.g
	e.g = nil
	w.level++
	defer func() {
		w.level--
		e.release()
		e.g = outside
	}()
	if s, ok := e.table.sentinel(err); ok {
		e.sentinel(s, mostInnerText)
		return
	}
	if t, ok := e.table.errorType(err); ok && w.level <= deepestChain && e.typed(t, err) {
		return
	}
	e.plain(err, e.wrappedBy(err))
}

// cut reports whether enough has been written of an error.
func (e *Encoder) cut() bool { return e.failures.count > mostErrors || len(e.buf) > e.failures.end }

// omission stands for errors that were cut off, in the list of what an error wraps, by the sentinels that are in them: what
// callers decide by is lost last.
type omission struct{ found []Sentinel }

func (omission) Error() string { return cutShort }

// leftOut writes an error in the place of others, which wraps the sentinels that were found in them.
func (e *Encoder) leftOut(found []Sentinel) {
	e.plainHead("", cutShort, "", len(found))
	for _, s := range found {
		e.sentinel(s, mostShortText)
	}
}

// search returns the sentinels of the table in the chains of errors, without those that an earlier search of the same item
// returned. Chains may lead back into themselves, so that all searches together are bounded.
func (e *Encoder) search(errs []error) (found []Sentinel) {
	w := &e.failures
	next := slices.Clone(errs[:min(len(errs), mostSearched)])
	for ; len(next) > 0 && w.searched < mostSearched && len(w.rescued) < mostRescued; w.searched++ {
		err := next[0]
		next = next[1:]
		if s, ok := e.table.sentinel(err); !ok {
			inside := e.inside(err)
			next = append(next, inside[:min(len(inside), mostSearched)]...)
		} else if !slices.Contains(w.rescued, s.Err) {
			found, w.rescued = append(found, s), append(w.rescued, s.Err)
		}
	}
	return found
}

func (e *Encoder) sentinel(s Sentinel, most int) {
	e.errorHead(sentinelName, 3)
	e.string(s.Path)
	e.string(shorten(message(s.Err), most))
}

func (e *Encoder) errorHead(name string, parts uint64) {
	e.head(majorTag, tagNamed)
	e.head(majorArray, parts)
	e.string(name)
}

// typed writes an error of the table's types, and reports whether it could: if not, the buffer is as it was.
func (e *Encoder) typed(t ErrorType, err error) bool {
	value := any(err)
	if t.Pack != nil {
		if safely(func() error { value = t.Pack(err); return nil }) != nil || reflect.TypeOf(value) != t.Packed {
			return false
		}
	}
	return e.attempt(func() {
		e.errorHead(t.Path, 3)
		e.codec.plan(t.travels()).enc(e, reflect.ValueOf(value))
		e.string(shorten(message(err), mostInnerText))
	})
}

// wrappedBy returns what of an error's chain is written.
func (e *Encoder) wrappedBy(err error) []error {
	list, most := e.inside(err), widestWrap
	if level := e.failures.level; level > deepestChain || e.level+errorLevels*(level+1) > e.codec.limits.Depth {
		most = 0
	}
	if len(list) <= most {
		return list
	}
	found := e.search(list[most:])
	if list = list[:most:most]; len(found) > 0 {
		list = append(list, omission{found})
	}
	return list
}

// inside returns what an error wraps, and the sentinels of the table that it says it is.
func (e *Encoder) inside(err error) []error {
	list := wrapped(err)
	if is, ok := err.(interface{ Is(error) bool }); ok && e.table != nil {
		for _, s := range e.table.ordered {
			if claimed := false; safely(func() error { claimed = is.Is(s.Err); return nil }) == nil && claimed {
				list = append(list, s.Err)
			}
		}
	}
	return list
}

func (e *Encoder) plain(err error, wrapped []error) {
	name := reflect.TypeOf(err).String()
	if passed, ok := err.(*RemoteError); ok && passed != nil {
		name = passed.Type
	}
	most := mostErrorText
	if e.failures.level > 1 {
		most = mostInnerText
	}
	e.plainItem(code(err), shorten(message(err), most), shorten(name, mostErrorName), wrapped)
}

func (e *Encoder) plainItem(code, message, name string, wrapped []error) {
	e.plainHead(code, message, name, len(wrapped))
	ended := false
	for i, w := range wrapped {
		left, rescued := w.(omission)
		switch {
		case rescued:
			e.leftOut(left.found)
		case !e.cut():
			e.inner(w)
		case ended:
			e.null()
		default:
			ended = true
			if found := e.search(wrapped[i:]); len(found) > 0 {
				e.leftOut(found)
			} else {
				e.null()
			}
		}
	}
}

// plainHead writes an error up to the errors that it wraps.
func (e *Encoder) plainHead(code, message, name string, wrapped int) {
	pairs := uint64(1)
	for _, given := range []bool{code != "", name != "", wrapped > 0} {
		if given {
			pairs++
		}
	}
	e.errorHead(plainName, 2)
	e.head(majorMap, pairs)
	if code != "" {
		e.string("c")
		e.string(code)
	}
	e.string("m")
	e.string(message)
	if name != "" {
		e.string("t")
		e.string(name)
	}
	if wrapped > 0 {
		e.string("w")
		e.head(majorArray, uint64(wrapped))
	}
}

// message returns an error's text, also where its Error method panics.
func message(err error) (text string) {
	if failed := safely(func() error { text = err.Error(); return nil }); failed != nil {
		return fmt.Sprintf("%T whose Error method failed: %v", err, failed)
	}
	return text
}

// wrapped returns the errors that one wraps directly, none of them nil.
func wrapped(err error) (list []error) {
	_ = safely(func() error {
		switch err := err.(type) {
		case interface{ Unwrap() error }:
			list = []error{err.Unwrap()}
		case interface{ Unwrap() []error }:
			list = append(list, err.Unwrap()...)
		}
		return nil
	})
	kept := list[:0]
	for _, w := range list {
		if w != nil {
			kept = append(kept, w)
		}
	}
	return kept
}

// code returns the first code in an error's chain. The walk is bounded, since a chain may lead back into itself.
func code(err error) string {
	next := []error{err}
	for seen := 0; len(next) > 0 && seen < mostErrors; seen++ {
		err, next = next[0], next[1:]
		if coded, ok := err.(interface{ RMICode() string }); ok {
			text := ""
			if safely(func() error { text = coded.RMICode(); return nil }) == nil && text != "" {
				return shorten(text, mostErrorName)
			}
		}
		if list := wrapped(err); len(next) < mostErrors {
			next = append(next, list[:min(len(list), widestWrap)]...)
		}
	}
	return ""
}

// shorten cuts a text, between characters, to at most n bytes and a mark.
func shorten(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return strings.ToValidUTF8(s[:n], "\uFFFD") + "…"
}

// deepestRead is the nesting of errors that a reader accepts, somewhat more than any writer sends.
const deepestRead = deepestChain + 32

// errorReader is the part of the decoder's state that bounds one error and all those inside it.
type errorReader struct {
	level  int    // of nesting
	passed []span // the errors inside that were read, each outside the others, in order: they need not be passed over again
	height int    // of error types inside each other, in what was read of the value that is being read
	spoken int    // bytes of text that was asked of error types, times their height
}

// span is a stretch of the data.
type span struct{ from, to int }

// mostSpoken bounds what it costs to try the Error methods of one item: each may write anew all that those inside it wrote.
const mostSpoken = 1 << 20

// error reads an error item, and no further than the room that one has.
func (d *Decoder) error() error {
	if d.failures.level > 0 {
		return d.innerError()
	}
	whole := d.data
	if room := d.pos + mostErrorRoom; room < len(whole) {
		d.data = whole[:room]
	}
	err := d.innerError()
	if d.fault != nil && d.fault.Err == errShort && len(d.data) < len(whole) {
		d.fault.Err = fmt.Errorf("an error takes more than %d bytes", mostErrorRoom)
	}
	d.data, d.failures = whole, errorReader{}
	return err
}

// innerError reads an error, or one inside another.
func (d *Decoder) innerError() error {
	start := d.pos
	if d.null() || !d.tag(tagNamed, "an error") {
		return nil
	}
	r := &d.failures
	if r.level++; r.level > deepestRead {
		d.failf("errors are nested in more than %d levels", deepestRead)
	}
	outside, bodies := d.g, d.bodies
	d.g, d.bodies = nil, 0
	err := d.errorParts()
	d.g, d.bodies = outside, bodies
	if r.level--; r.level > 0 && d.Err == nil {
		for len(r.passed) > 0 && r.passed[len(r.passed)-1].from >= start {
			r.passed = r.passed[:len(r.passed)-1]
		}
		r.passed = append(r.passed, span{start, d.pos})
	}
	return err
}

// passOver passes over an error that was read before, and reports whether one begins here.
func (d *Decoder) passOver() bool {
	passed := d.failures.passed
	i, found := slices.BinarySearchFunc(passed, d.pos, func(s span, pos int) int { return cmp.Compare(s.from, pos) })
	if found {
		d.pos = passed[i].to
	}
	return found
}

func (d *Decoder) errorParts() (err error) {
	n := d.length(majorArray, "the parts of an error")
	name := d.text("the kind of an error")
	if d.Err == nil && n < 2 {
		d.failf("an error of %d parts", n)
	}
	if !d.charge(int64(reflect.TypeFor[RemoteError]().Size())) {
		return nil
	}
	left := n - 1
	switch string(name) {
	case sentinelName:
		left, err = d.sentinel(left)
	case plainName:
		left, err = left-1, d.plain()
	default:
		if n < 3 {
			d.failf("a value of the type %.80q where an error is expected", name)
		}
		left, err = d.typed(string(name), left)
	}
	for ; left > 0 && d.Err == nil; left-- {
		d.skip()
	}
	return err
}

// sentinel returns the error of this program that has the sender's path, or one with its text.
func (d *Decoder) sentinel(left int) (int, error) {
	name := d.string()
	left--
	if s, ok := d.table.entry(name).(Sentinel); ok {
		return left, s.Err
	}
	err := &RemoteError{Type: name, Message: name}
	if left > 0 {
		err.Message = d.string()
		left--
	}
	return left, err
}

// typed returns an error of the table's type of that name. Where the name is unknown here, or the value does not suit the
// type, there is still its text; where the type cannot live with the value, also what it wraps.
func (d *Decoder) typed(name string, left int) (int, error) {
	saved := *d
	d.failures.height = 0
	err := d.typedValue(name)
	if err == nil && (d.fault == nil || d.fault.Kind == Unmarshal) {
		d.Err, d.fault, d.pos, d.level, d.g = saved.Err, saved.fault, saved.pos, saved.level, saved.g
		d.skip()
	}
	if left--; d.Err != nil {
		return left, nil
	}
	height := 1 + d.failures.height
	d.failures.height = max(saved.failures.height, height)
	if err != nil && d.speaks(err, height) {
		return left, err
	}
	plain := &RemoteError{Type: name, Message: name}
	if err != nil {
		plain.Wrapped = wrapped(err)
	}
	if left > 0 {
		plain.Message = d.string()
		left--
	}
	return left, plain
}

// speaks reports whether an error's methods can do with what came for its fields: the first that whoever gets it will do is
// to print it.
func (d *Decoder) speaks(err error, height int) bool {
	if v := reflect.ValueOf(err); v.Kind() == reflect.Pointer && v.IsNil() || d.failures.spoken > mostSpoken {
		return false
	}
	length := 0
	failed := safely(func() error { length = len(err.Error()); return nil })
	d.failures.spoken += length * height
	return failed == nil
}

// typedValue returns nil where it cannot make the error.
func (d *Decoder) typedValue(name string) error {
	t, ok := d.table.entry(name).(ErrorType)
	if !ok {
		return nil
	}
	value := reflect.New(t.travels()).Elem()
	if d.codec.plan(t.travels()).dec(d, value); d.Err != nil {
		return nil
	}
	if t.Unpack == nil {
		return value.Interface().(error)
	}
	var err error
	if safely(func() error { err = t.Unpack(value.Interface()); return nil }) != nil {
		return nil
	}
	return err
}

// plain reads the map of an error whose type does not travel. Its keys come in order.
func (d *Decoder) plain() error {
	err := &RemoteError{}
	last, n := "", d.length(majorMap, "the map of an error")
	for i := 0; i < n && d.Err == nil; i++ {
		key := string(d.text("a key of an error"))
		if i > 0 && (len(key) < len(last) || len(key) == len(last) && key <= last) {
			d.failf("the key %.40q of an error comes twice or out of order", key)
		}
		switch last = key; key {
		case "c":
			err.Code = d.string()
		case "m":
			err.Message = d.string()
		case "t":
			err.Type = d.string()
		case "w":
			err.Wrapped = d.wrapped()
		default:
			d.skip()
		}
	}
	return err
}

func (d *Decoder) wrapped() []error {
	n := d.length(majorArray, "the errors that one wraps")
	if n == 0 || !d.chargeEach(n, 16) {
		return nil
	}
	list := make([]error, 0, n)
	for i := 0; i < n && d.Err == nil; i++ {
		if err := d.innerError(); err != nil {
			list = append(list, err)
		}
	}
	return list
}
