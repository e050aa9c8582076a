package wire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"reflect"
	"strconv"
	"sync"
)

// Objects is the node as the codec sees it: it turns remote objects into records and back. Both methods are called
// while a message is encoded or decoded, on that goroutine.
type Objects interface {
	// Export returns the record that stands for v, a stub or a local object, seen through t.
	Export(t Type, v any) (Record, error)
	// Import returns the object that r stands for: its canonical stub, or the local object itself. What it returns
	// is assignable to t.GoType().
	Import(t Type, r Record) (any, error)
	// Known returns the record of v, a stub or an object that is exported already, whatever the interface; false for any
	// other value. The type is one of the table's remote interfaces, no matter which.
	Known(t Type, v any) (Record, bool)
	// Exported reports whether v is an object of this process that is exported already.
	Exported(v any) bool
	// Home returns the object that r stands for if it is one of this process.
	Home(r Record) (any, bool)
}

// Record is a remote reference as it travels.
type Record struct {
	Process    [16]byte
	Object     [16]byte
	Endpoints  []string // where the process can be reached, best first; at most 16
	Interfaces []string // the remote interfaces that the object has; at most 64
}

// Type is one entry of a [Table]: a [Sentinel], an [ErrorType], a [ValueType], or else a remote interface, whose GoType is an
// interface type; it may be a [Function].
type Type interface {
	Name() string
	GoType() reflect.Type
}

// Sentinel is an error value that keeps its identity: at the other end it decodes to the variable of the same path.
type Sentinel struct {
	Path string // import path and name: "example.com/bank.ErrNoFunds"
	Err  error
}

func (s Sentinel) Name() string         { return s.Path }
func (s Sentinel) GoType() reflect.Type { return errorType }

// ErrorType is an error type whose values keep their type: errors.As finds them at the other end. It is matched by
// exact dynamic type. Where Pack is nil the value itself travels; else what Pack returns does, and Unpack makes the
// error again. An error that was decoded is asked for its text once: if that panics, it is replaced by a [RemoteError].
type ErrorType struct {
	Path   string       // import path and name: "example.com/bank.OverdrawnError"
	Type   reflect.Type // the dynamic type of the errors, often a pointer
	Packed reflect.Type // the type that Pack returns and Unpack takes; nil without Pack
	Pack   func(error) any
	Unpack func(any) error
}

func (t ErrorType) Name() string         { return t.Path }
func (t ErrorType) GoType() reflect.Type { return t.Type }

// ValueType is a type whose values interface-typed values may hold. It is matched by exact dynamic type.
type ValueType struct {
	Path string // the type with import paths: "*example.com/shop.Order"
	Type reflect.Type
}

func (t ValueType) Name() string         { return t.Path }
func (t ValueType) GoType() reflect.Type { return t.Type }

// travels returns the type of what is on the wire.
func (t ErrorType) travels() reflect.Type {
	if t.Pack != nil {
		return t.Packed
	}
	return t.Type
}

// Table is the closed set of names and remote interfaces that the messages of one interface may carry. It is immutable,
// and may be shared. The sentinels and error types of the standard library that calls commonly return are in every table.
// A nil *Table holds nothing.
type Table struct {
	names      map[string]Type // of all but values
	values     map[string]ValueType
	valueNames map[reflect.Type]string
	remotes    map[reflect.Type]Type
	anyRemote  Type                      // one of them
	functions  map[reflect.Type]Function // by FuncType; not among remotes
	uses       sync.Map                  // reflect.Type → use: remembered, not changed
	sentinels  map[error]Sentinel
	errorTypes map[reflect.Type]ErrorType
	ordered    []Sentinel // as given, for errors that answer Is
}

// NewTable returns the table of the given entries. It fails where one name has two meanings, and where an entry is
// incomplete. Where two names mean the same value, both decode, and the first one is sent. A sentinel that is nil, or whose
// value cannot be compared, is left out: nobody compares with it, and it must not stand in the way of those beside it.
func NewTable(builtin, types []Type) (*Table, error) {
	t := &Table{
		names:      map[string]Type{},
		values:     map[string]ValueType{},
		valueNames: map[reflect.Type]string{},
		remotes:    map[reflect.Type]Type{},
		functions:  map[reflect.Type]Function{},
		sentinels:  map[error]Sentinel{},
		errorTypes: map[reflect.Type]ErrorType{},
	}
	for _, list := range [][]Type{StandardErrors(), StandardValues(), builtin, types} {
		for _, entry := range list {
			if err := t.add(entry); err != nil {
				return nil, err
			}
		}
	}
	return t, nil
}

func (t *Table) add(entry Type) error {
	if err := checkEntry(entry); err != nil {
		return err
	}
	if s, ok := entry.(Sentinel); ok && (s.Err == nil || !reflect.ValueOf(s.Err).Comparable()) {
		return nil
	}
	if v, ok := entry.(ValueType); ok {
		return t.addValue(v)
	}
	if old, ok := t.names[entry.Name()]; ok {
		if !sameMeaning(old, entry) {
			return fmt.Errorf("%s has two meanings: %s and %s", entry.Name(), describe(old), describe(entry))
		}
		return nil
	}
	t.names[entry.Name()] = entry
	switch entry := entry.(type) {
	case Sentinel:
		t.ordered = append(t.ordered, entry)
		setFirst(t.sentinels, entry.Err, entry)
	case ErrorType:
		setFirst(t.errorTypes, entry.Type, entry)
	case Function:
		setFirst(t.functions, entry.FuncType(), entry)
	default:
		setFirst(t.remotes, entry.GoType(), entry)
		if t.anyRemote == nil {
			t.anyRemote = entry
		}
	}
	return nil
}

// addValue adds a type of values. Their names are apart from those of errors: an error type may be a value too.
func (t *Table) addValue(v ValueType) error {
	if old, ok := t.values[v.Path]; ok && old.Type != v.Type {
		return fmt.Errorf("%s has two meanings: the types %v and %v", v.Path, old.Type, v.Type)
	}
	t.values[v.Path] = v
	setFirst(t.valueNames, v.Type, v.Path)
	return nil
}

// setFirst keeps what is there.
func setFirst[K comparable, V any](m map[K]V, k K, v V) {
	if _, ok := m[k]; !ok {
		m[k] = v
	}
}

func checkEntry(entry Type) error {
	if entry == nil || entry.Name() == "" {
		return errors.New("an entry of the type table has no name")
	}
	if entry.Name()[0] == '!' {
		return fmt.Errorf("%s: names that start with ! are the protocol's own", entry.Name())
	}
	switch entry := entry.(type) {
	case Sentinel:
	case ErrorType:
		if entry.Type == nil || !entry.Type.Implements(errorType) {
			return fmt.Errorf("%s: %v is not an error type", entry.Path, entry.Type)
		}
		if packs := entry.Pack != nil; packs != (entry.Unpack != nil) || packs != (entry.Packed != nil) {
			return fmt.Errorf("%s: Pack, Unpack and Packed go together", entry.Path)
		}
	case ValueType:
		if entry.Type == nil || entry.Type.Kind() == reflect.Interface {
			return fmt.Errorf("%s: %v is not the type of a value", entry.Path, entry.Type)
		}
	default:
		if entry.GoType() == nil || entry.GoType().Kind() != reflect.Interface {
			return fmt.Errorf("%s: %v is not a remote interface", entry.Name(), entry.GoType())
		}
	}
	return nil
}

func sameMeaning(a, b Type) bool {
	switch a := a.(type) {
	case Sentinel:
		b, ok := b.(Sentinel)
		return ok && a.Err == b.Err
	case ErrorType:
		b, ok := b.(ErrorType)
		return ok && a.Type == b.Type && a.Packed == b.Packed
	}
	switch b.(type) {
	case Sentinel, ErrorType:
		return false
	}
	return a.GoType() == b.GoType()
}

func describe(entry Type) string {
	switch entry := entry.(type) {
	case Sentinel:
		return fmt.Sprintf("the error %q", message(entry.Err))
	case ErrorType:
		return fmt.Sprintf("the error type %v", entry.Type)
	}
	return fmt.Sprintf("the interface %v", entry.GoType())
}

func (t *Table) remote(static reflect.Type) (Type, bool) {
	if t == nil {
		return nil, false
	}
	r, ok := t.remotes[static]
	return r, ok
}

func (t *Table) sentinel(err error) (Sentinel, bool) {
	if t == nil || !reflect.ValueOf(err).Comparable() {
		return Sentinel{}, false
	}
	s, ok := t.sentinels[err]
	return s, ok
}

func (t *Table) errorType(err error) (ErrorType, bool) {
	if t == nil {
		return ErrorType{}, false
	}
	e, ok := t.errorTypes[reflect.TypeOf(err)]
	return e, ok
}

func (t *Table) entry(name string) Type {
	if t == nil {
		return nil
	}
	return t.names[name]
}

// StandardErrors are in every table: sentinels and types of the standard library.
func StandardErrors() []Type {
	return []Type{
		Sentinel{"io.EOF", io.EOF},
		Sentinel{"io.ErrUnexpectedEOF", io.ErrUnexpectedEOF},
		Sentinel{"io.ErrClosedPipe", io.ErrClosedPipe},
		Sentinel{"io.ErrNoProgress", io.ErrNoProgress},
		Sentinel{"io.ErrShortBuffer", io.ErrShortBuffer},
		Sentinel{"io.ErrShortWrite", io.ErrShortWrite},
		Sentinel{"context.Canceled", context.Canceled},
		Sentinel{"context.DeadlineExceeded", context.DeadlineExceeded},
		Sentinel{"io/fs.ErrInvalid", fs.ErrInvalid},
		Sentinel{"io/fs.ErrPermission", fs.ErrPermission},
		Sentinel{"io/fs.ErrExist", fs.ErrExist},
		Sentinel{"io/fs.ErrNotExist", fs.ErrNotExist},
		Sentinel{"io/fs.ErrClosed", fs.ErrClosed},
		Sentinel{"os.ErrDeadlineExceeded", os.ErrDeadlineExceeded},
		Sentinel{"os.ErrProcessDone", os.ErrProcessDone},
		Sentinel{"net.ErrClosed", net.ErrClosed},
		Sentinel{"errors.ErrUnsupported", errors.ErrUnsupported},
		Sentinel{"strconv.ErrRange", strconv.ErrRange},
		Sentinel{"strconv.ErrSyntax", strconv.ErrSyntax},
		ErrorType{Path: "io/fs.PathError", Type: reflect.TypeFor[*fs.PathError]()},
		ErrorType{Path: "os.LinkError", Type: reflect.TypeFor[*os.LinkError]()},
		ErrorType{Path: "os.SyscallError", Type: reflect.TypeFor[*os.SyscallError]()},
		ErrorType{Path: "strconv.NumError", Type: reflect.TypeFor[*strconv.NumError]()},
	}
}
