package wire

import (
	"errors"
	"fmt"
	"strings"
)

// Kind says which of three things went wrong in the codec.
type Kind uint8

const (
	Marshal   Kind = iota + 1 // a value cannot travel
	Unmarshal                 // a message does not hold what its reader expects
	Limit                     // a bound of Limits was exceeded, by either side; Err is a *LimitError
)

func (k Kind) String() string {
	switch k {
	case Marshal:
		return "marshal"
	case Unmarshal:
		return "unmarshal"
	case Limit:
		return "limit"
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// Error is a value that could not be encoded or decoded.
type Error struct {
	Kind Kind
	Path string // where: `argument 2: Order.Lines[3].Price`
	Err  error  // why; what Objects, a marshaler or Fail reported is unwrapped from here
}

func (e *Error) Error() string {
	if e.Path == "" {
		return e.Err.Error()
	}
	return e.Path + ": " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// fault is an Error without a path, of a kind unless err is one of another.
func fault(kind Kind, err error) *Error {
	var inner *Error
	if errors.As(err, &inner) {
		kind = inner.Kind
	}
	return &Error{Kind: kind, Err: err}
}

// LimitError says which bound was exceeded and which option widens it.
type LimitError struct {
	What   string // what there was too much of: "bytes in a message"
	Bound  int64  // how much there may be
	Option string // the option that widens the bound: "Limits.MessageBytes"
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("more than %d %s, the bound set by %s", e.Bound, e.What, e.Option)
}

// shownPath bounds how much of a path an error shows: both its ends, since a cycle's path repeats itself.
const shownPath = 160

// path joins the place of an item and the way to the value inside it: `argument 2: Order.Lines[3]`.
func path(what string, item int, inside string) string {
	place := what
	if item > 0 {
		place = fmt.Sprintf("%s %d", what, item)
	}
	inside = strings.TrimPrefix(inside, ".")
	if len(inside) > shownPath {
		head, tail := inside[:shownPath/2], inside[len(inside)-shownPath/2:]
		inside = strings.ToValidUTF8(head, "") + "…" + strings.ToValidUTF8(tail, "")
	}
	if inside == "" {
		return place
	}
	return place + ": " + inside
}
