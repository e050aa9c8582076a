package wire

import (
	"fmt"
	"reflect"
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
	mostErrorRoom = 64 << 10 // bytes of an error item, and of a value of the table's types
	mostWrapping  = 32 << 10 // bytes after which no more wrapped errors are written
	errorLevels   = 3        // levels of CBOR that one level of wrapping takes
	cutShort      = "further errors are left out"
)

// AppendError appends the error item that follows the results in a reply, and never fails: what cannot travel as itself
// travels as its text. The item is at most 64 KiB long.
func AppendError(c *Codec, t *Table, o Objects, buf []byte, err error) []byte {
	e := Encoder{codec: c, table: t, objects: o, what: "error", buf: buf, most: len(buf) + mostErrorRoom}
	e.error(err)
	if e.Err == nil {
		return e.buf
	}
	e = Encoder{codec: c, what: "error", buf: buf, most: len(buf) + mostErrorRoom}
	e.plain(err, nil)
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
	level int // of wrapping
	count int
	end   int // length of the buffer after which nothing more is wrapped
}

func (e *Encoder) error(err error) {
	if err == nil {
		e.null()
		return
	}
	w := &e.failures
	if w.level == 0 {
		*w = errorWriter{end: len(e.buf) + mostWrapping}
	}
	w.count++
	if w.level > 0 && e.cut() {
		e.plainItem("", cutShort, "", nil)
		return
	}
	w.level++
	defer func() { w.level-- }()
	if s, ok := e.table.sentinel(err); ok {
		e.named(sentinelName, 3)
		e.string(s.Path)
		e.string(shorten(s.Err.Error(), mostInnerText))
		return
	}
	if t, ok := e.table.errorType(err); ok && w.level <= deepestChain && e.typed(t, err) {
		return
	}
	e.plain(err, e.wrappedBy(err))
}

// cut reports whether enough has been written of an error.
func (e *Encoder) cut() bool { return e.failures.count > mostErrors || len(e.buf) > e.failures.end }

func (e *Encoder) named(name string, parts uint64) {
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
	saved := *e
	e.most = min(e.most, len(e.buf)+mostErrorRoom)
	e.named(t.Path, 3)
	e.codec.plan(t.travels()).enc(e, reflect.ValueOf(value))
	e.string(shorten(message(err), mostInnerText))
	ok := e.within()
	e.most = saved.most
	if !ok {
		e.Err, e.fault = nil, nil
		e.buf, e.depth = e.buf[:len(saved.buf)], saved.depth
		e.trail, e.entries = e.trail[:len(saved.trail)], e.entries[:len(saved.entries)]
	}
	return ok
}

// wrappedBy returns what of an error's chain is written: what it wraps, and the sentinels of the table that it says it is.
func (e *Encoder) wrappedBy(err error) []error {
	level := e.failures.level
	if level > deepestChain || e.depth+errorLevels*(level+1) > e.codec.limits.Depth {
		return nil
	}
	list := wrapped(err)
	if is, ok := err.(interface{ Is(error) bool }); ok && e.table != nil {
		for _, s := range e.table.ordered {
			if claimed := false; safely(func() error { claimed = is.Is(s.Err); return nil }) == nil && claimed {
				list = append(list, s.Err)
			}
		}
	}
	return list[:min(len(list), widestWrap)]
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
	pairs := uint64(1)
	for _, given := range []bool{code != "", name != "", len(wrapped) > 0} {
		if given {
			pairs++
		}
	}
	e.named(plainName, 2)
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
	if len(wrapped) > 0 {
		e.string("w")
		e.head(majorArray, uint64(len(wrapped)))
		for _, w := range wrapped {
			if e.cut() {
				e.null()
				continue
			}
			e.error(w)
		}
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

func (d *Decoder) error() error {
	if d.null() || !d.tag(tagNamed, "an error") {
		return nil
	}
	if d.errors++; d.errors > deepestRead {
		d.failf("errors are nested in more than %d levels", deepestRead)
	}
	defer func() { d.errors-- }()
	n := d.length(majorArray, "the parts of an error")
	name := d.text("the kind of an error")
	if d.Err == nil && n < 2 {
		d.failf("an error of %d parts", n)
	}
	if !d.charge(int64(reflect.TypeFor[RemoteError]().Size())) {
		return nil
	}
	left := n - 1
	var err error
	switch string(name) {
	case sentinelName:
		left, err = d.sentinel(left)
	case plainName:
		left, err = left-1, d.plain()
	default:
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
	if s, ok := d.table.named(name).(Sentinel); ok {
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
// type, there is still its text.
func (d *Decoder) typed(name string, left int) (int, error) {
	saved := *d
	err := d.typedValue(name)
	if err == nil && (d.fault == nil || d.fault.Kind == Unmarshal) {
		d.Err, d.fault, d.pos, d.depth = saved.Err, saved.fault, saved.pos, saved.depth
		d.skip()
	}
	left--
	if err != nil || d.Err != nil {
		return left, err
	}
	plain := &RemoteError{Type: name, Message: name}
	if left > 0 {
		plain.Message = d.string()
		left--
	}
	return left, plain
}

// typedValue returns nil where it cannot make the error.
func (d *Decoder) typedValue(name string) error {
	t, ok := d.table.named(name).(ErrorType)
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
	last := ""
	for n := d.length(majorMap, "the map of an error"); n > 0 && d.Err == nil; n-- {
		key := string(d.text("a key of an error"))
		if len(key) < len(last) || len(key) == len(last) && key <= last {
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
		if err := d.error(); err != nil {
			list = append(list, err)
		}
	}
	return list
}
