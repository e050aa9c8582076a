package refs

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/rmigo/rmigo/internal/wire"
)

// Kind classifies what the runtime reports. Kinds are errors themselves, the sentinels that errors.Is matches:
//
//	if errors.Is(err, rmi.ErrUnreachable) && !rmi.MayHaveRun(err) { … try another server … }
//
// The numbers are part of the wire protocol.
type Kind uint8

// The kinds of failure.
const (
	ErrNoSuchObject    Kind = iota + 1 // the object is not there; Error.Reason says why
	ErrNoSuchMethod                    // the object is there, but has no method of this name and signature
	ErrNotBound                        // the registry has nothing under this name
	ErrAlreadyBound                    // the registry has another object under this name
	ErrUnreachable                     // no connection to the object's process, or the connection was lost
	ErrPeerExpired                     // the peer was silent for longer than its lease
	ErrMarshal                         // an argument or result cannot travel
	ErrUnmarshal                       // an argument or result could not be read
	ErrLimit                           // a configured bound was exceeded
	ErrAccessDenied                    // the caller may not do this
	ErrUnauthenticated                 // the peer did not prove who it is
	ErrPanic                           // the method panicked
	ErrOverloaded                      // the process runs as many calls as it admits
	ErrProtocol                        // the other side does not speak the protocol
	ErrVersion                         // the two sides have no protocol version in common
	ErrReleased                        // the stub was released
	ErrNotPointer                      // an implementation must be a pointer
	ErrNodeClosed                      // the node is closed or shutting down
	ErrDeadlock                        // the call waited for what a call that waits for it has
	ErrBroken                          // what the call depends on was promised, and there is none; the cause is why
	lastKind           = ErrBroken
)

// Error names the kind.
func (k Kind) Error() string {
	names := [...]string{
		ErrNoSuchObject: "no such object", ErrNoSuchMethod: "no such method", ErrNotBound: "not bound",
		ErrAlreadyBound: "already bound", ErrUnreachable: "unreachable", ErrPeerExpired: "peer expired",
		ErrMarshal: "cannot marshal", ErrUnmarshal: "cannot unmarshal", ErrLimit: "limit exceeded",
		ErrAccessDenied: "access denied", ErrUnauthenticated: "unauthenticated", ErrPanic: "panic in method",
		ErrOverloaded: "overloaded", ErrProtocol: "protocol error", ErrVersion: "no common protocol version",
		ErrReleased: "reference released", ErrNotPointer: "implementation is not a pointer", ErrNodeClosed: "node closed",
		ErrDeadlock: "deadlock", ErrBroken: "promise broken",
	}
	if k == 0 || int(k) >= len(names) {
		return fmt.Sprintf("kind %d", uint8(k))
	}
	return names[k]
}

// Reason says why an object is missing. The numbers are part of the wire protocol.
type Reason uint8

// Why an object is missing.
const (
	NeverExisted   Reason = iota + 1 // the process never had it, or has forgotten that it had
	Restarted                        // its process ended; another one answers at its endpoints
	LeaseExpired                     // its process heard nothing from this one for a lease
	Collected                        // nobody held it any more
	Unexported                       // its owner withdrew it
	IntroducerLost                   // the process that handed it on was lost before its own process knew of the new holder
	Quota                            // this process holds as many of its process's objects as it may
	Ended                            // its process has said that it ends
)

// String says the reason in words.
func (r Reason) String() string {
	names := [...]string{
		NeverExisted: "its process knows no such object", Restarted: "its process has ended and another one answers there",
		LeaseExpired: "the lease expired", Collected: "it was collected", Unexported: "it was unexported",
		IntroducerLost: "the process that handed it on was lost", Quota: "this process holds too many of its process's objects",
		Ended: "its process has ended",
	}
	if r == 0 || int(r) >= len(names) {
		return "unknown reason"
	}
	return names[r]
}

// Error is what the runtime itself has to report, as opposed to what methods return. It answers: which operation, on what,
// whose fault, may it have run.
//
// An Error that a method returns, mostly one about a call that the method made itself, arrives at the caller as all that, but for
// the reference: an object's id is a capability and does not travel with an error, so that Ref is zero and On says in words which
// object it was. Of the caller's own call it says nothing, and NotRun is false.
type Error struct {
	Op     string // "call", "lookup", "bind", "connect"…
	Ref    Ref    // the object, if one was concerned
	On     string // the object as Ref.String names it, where another process sent the error
	Method string // "bank.Account.Deposit", of a call
	URL    string // "rmi://127.0.0.1:1099/bank/alice", of an operation on a name
	Kind   Kind   // what errors.Is matches; zero for ends of contexts and malformed arguments
	Reason Reason // why the object is missing, with ErrNoSuchObject
	Code   string // an application's code, see WithCode
	Remote bool   // the other process reported it, rather than this one
	NotRun bool   // the method certainly never started, in whatever attempt
	Err    error  // the cause; may be nil

	Attempts int // how often a Policy made the call before it ended so; zero: once

	innerNotRun bool // of a call that a method made and returned the error of: NotRun there, for the text only
}

// Error tells the whole of it in one line.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("rmi: ")
	for _, word := range []string{e.Op, e.Method, e.URL} {
		if word != "" {
			b.WriteString(word + " ")
		}
	}
	if on := e.on(); on != "" {
		b.WriteString("on " + on + " ")
	}
	s := strings.TrimSuffix(b.String(), " ")
	if s != "rmi:" {
		s += ":"
	}
	s += e.what()
	if e.Attempts > 1 {
		s += fmt.Sprintf(" (after %d attempts)", e.Attempts)
	}
	switch {
	case e.Op != opCall:
	case e.NotRun, e.innerNotRun:
		s += " (it did not run)"
	case e.Kind != ErrPanic:
		s += " (it may have run)"
	}
	return s
}

// on names the object concerned, if there is one.
func (e *Error) on() string {
	if e.Ref.IsZero() {
		return e.On
	}
	return e.Ref.String()
}

// what joins kind, reason and cause, saying nothing twice.
func (e *Error) what() string {
	var parts []string
	cause := ""
	if e.Err != nil {
		cause = strings.TrimPrefix(e.Err.Error(), "rmi: ")
	}
	if e.Kind != 0 && !strings.Contains(cause, e.Kind.Error()) {
		parts = append(parts, e.Kind.Error())
	}
	if e.Reason != 0 && !strings.Contains(cause, e.Reason.String()) {
		parts = append(parts, e.Reason.String())
	}
	if cause != "" {
		parts = append(parts, cause)
	}
	return " " + strings.Join(parts, ": ")
}

// Is makes errors.Is match the kind.
func (e *Error) Is(target error) bool { return e.Kind != 0 && target == error(e.Kind) }

// As makes errors.As find the kind.
func (e *Error) As(target any) bool {
	k, ok := target.(*Kind)
	if ok && e.Kind != 0 {
		*k = e.Kind
		return true
	}
	return false
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// RMICode returns the code, for CodeOf.
func (e *Error) RMICode() string { return e.Code }

const opCall = "call"

// MayHaveRun reports whether the call that returned err may have started. It is false only if the call certainly never did,
// so that sending it again is safe whatever it does. It is true for nil and for every error that is not, as it stands, the
// runtime's: an *Error inside another error may be about a call that the method itself made. So ask before wrapping; and where
// the object may be a local one, remember that a method that returns such an *Error unwrapped has run all the same.
func MayHaveRun(err error) bool {
	e, ok := err.(*Error)
	return !ok || !e.NotRun
}

// WithCode attaches an application's code to err; it travels with the error. The code of a nil error is nil.
func WithCode(err error, code string) error {
	if err == nil {
		return nil
	}
	return &codedError{err, code}
}

type codedError struct {
	err  error
	code string
}

func (e *codedError) Error() string   { return e.err.Error() }
func (e *codedError) Unwrap() error   { return e.err }
func (e *codedError) RMICode() string { return e.code }

// CodeOf returns the outermost code attached to err, or "".
func CodeOf(err error) string {
	var c interface{ RMICode() string }
	if errors.As(err, &c) {
		return c.RMICode()
	}
	return ""
}

// contextError is why ctx ended: its error, so that errors.Is matches context.Canceled and DeadlineExceeded, and its cause
// where it has another one.
func contextError(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if cause == nil || errors.Is(err, cause) {
		return err
	}
	return fmt.Errorf("%w: %w", err, cause)
}

// codecKind is the sentinel for a failure of the codec; an error of this package inside (from exporting or importing an
// object) keeps its own.
func codecKind(err error) (Kind, Reason) {
	var own *Error
	if errors.As(err, &own) && own.Kind != 0 {
		return own.Kind, own.Reason
	}
	var w *wire.Error
	if errors.As(err, &w) {
		switch w.Kind {
		case wire.Marshal:
			return ErrMarshal, 0
		case wire.Limit:
			return ErrLimit, 0
		}
	}
	return ErrUnmarshal, 0
}

// errorRecord is an Error on the wire. It names an object in words only.
type errorRecord struct {
	Kind     uint8
	Reason   uint8
	Code     string
	Op       string
	Method   string
	On       string
	URL      string
	NotRun   bool
	Attempts int
	Cause    error
	Has      []string // signatures that the object has, with ErrNoSuchMethod
}

// hasMethods is the cause of ErrNoSuchMethod as the owner reports it: what the object has instead.
type hasMethods []string

func (h hasMethods) Error() string { return "the object has " + strings.Join(h, ", ") }

func packError(err error) any {
	e := err.(*Error)
	rec := errorRecord{
		Kind: uint8(e.Kind), Reason: uint8(e.Reason), Code: e.Code, Op: e.Op, Method: e.Method, On: e.on(), URL: e.URL,
		NotRun: e.NotRun || e.innerNotRun, Attempts: e.Attempts, Cause: e.Err,
	}
	if has, ok := e.Err.(hasMethods); ok {
		rec.Has, rec.Cause = has, nil
	}
	return rec
}

func unpackError(v any) error {
	rec := v.(errorRecord)
	e := &Error{
		Op: rec.Op, Method: rec.Method, On: rec.On, URL: rec.URL, Kind: Kind(rec.Kind), Reason: Reason(rec.Reason), Code: rec.Code,
		Remote: true, Err: rec.Cause, Attempts: rec.Attempts, innerNotRun: rec.NotRun,
	}
	if len(rec.Has) > 0 {
		e.Err = hasMethods(rec.Has)
	}
	return e
}

// builtinTypes are in every interface's table: the kinds, which travel as the sentinels they are, and Error.
func builtinTypes() []wire.Type {
	types := []wire.Type{wire.ErrorType{
		Path: "rmi.Error", Type: reflect.TypeFor[*Error](), Packed: reflect.TypeFor[errorRecord](), Pack: packError, Unpack: unpackError,
	}}
	for k := ErrNoSuchObject; k <= lastKind; k++ {
		types = append(types, wire.Sentinel{Path: "rmi: " + k.Error(), Err: k})
	}
	return types
}
