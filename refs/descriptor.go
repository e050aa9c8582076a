package refs

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rmigo/rmigo/internal/wire"
)

// Descriptor is what the node needs to know of a remote interface. Package skeleton implements it by Interface[T], which
// rmigen instantiates.
type Descriptor interface {
	Type                                                     // the interface's qualified name and Go type
	MethodTable() []Method                                   // its methods
	TypeTable() []Type                                       // what its messages may carry by name
	Documentation() Docs                                     // what its source says of it
	Serve(ctx context.Context, impl any, in *Incoming) error // runs the method on impl; recovers its panics
	NewStub(h *Handle) (any, error)                          // the canonical stub of this interface on h
	StubOf(v *View) any                                      // the stub that is the view
	HandleOf(v any) *Handle                                  // the handle behind v if v is a stub of any interface, else nil
}

// What the codec and the layers above share: messages are written by an Encoder and read by a Decoder, and a Type is an entry
// of an interface's type table.
type (
	Encoder = wire.Encoder
	Decoder = wire.Decoder
	Type    = wire.Type

	// Function is what a Descriptor is too, of an interface whose objects programs see as functions. Its one method has the name and the text of
	// the function type: "func(int64) error".
	Function = wire.Function
)

// Sentinel is the entry by which the error variable known as path travels as itself.
func Sentinel(path string, err error) Type { return wire.Sentinel{Path: path, Err: err} }

// ErrorType is the entry by which errors of the type, known as path, keep their type.
func ErrorType(path string, typ reflect.Type) Type { return wire.ErrorType{Path: path, Type: typ} }

// ValueType is the entry by which an interface-typed value may hold values of the type, known as path.
func ValueType(path string, typ reflect.Type) Type { return wire.ValueType{Path: path, Type: typ} }

// Method is a method of a remote interface. Of what its directives say, Idempotent, OneWay and Timeout have an effect in this version; the rest is
// there for those who ask what an interface is like.
type Method struct {
	ID         uint64        // hash of the signature; below 256 is the runtime's
	Signature  string        // "Deposit(int64) (int64, error)", the text that is hashed
	Idempotent bool          // may be sent again after a failure that leaves it open whether it ran
	OneWay     bool          // returns once it is queued
	Stream     bool          // returns a stream, and nothing else
	Takes      bool          // takes streams: iterators, readers or writers
	Timeout    time.Duration // how long a call of it may take, whatever its context says; 0: no bound of its own
	Resumable  bool          // may go on elsewhere from its last checkpoint
	Orphan     Orphan        // what becomes of a running call that nobody waits for any more
}

// Orphan says what becomes of a running call whose caller has died or given up.
type Orphan uint8

const (
	OrphanCancel Orphan = iota // its context is cancelled
	OrphanFinish               // it runs on, its result is dropped
	OrphanKeep                 // it runs on, its result is kept
)

// Name returns the method's name.
func (m *Method) Name() string {
	name, _, _ := strings.Cut(m.Signature, "(")
	return name
}

// AnyName is the name of the descriptor for stub.Object: a reference through no interface. Such a reference stays one even
// when its object is at home.
const AnyName = "*"

// The methods that every object has.
const (
	methodInterfaces uint64 = 1 // () ([]string): the names of the object's interfaces
	methodDescribe   uint64 = 2 // () (Description): what the object is like
)

// Face is a descriptor as one node has interned it, with what the node derives from it. Descriptors are told apart by name
// and type, and by the types that were given to them, never by pointer: a generic interface makes a new descriptor each time it is asked.
type Face struct {
	Descriptor
	name    string
	listed  []Method // in the descriptor's order
	table   *wire.Table
	methods map[uint64]*Method
	timed   bool        // some method has a timeout of its own
	oneWay  bool        // some method is one-way
	serial  bool        // its objects run one call at a time
	codec   *wire.Codec // of its messages; nil: the node's
}

type faceKey struct {
	name  string
	typ   reflect.Type
	given string // names of types
}

// An instance is the descriptor of an instance of a generic interface.
type instance interface {
	TypeArgs() []reflect.Type
	Given() string // names of the types that the instance's user has given it; "" if there are none
}

// faces interns descriptors.
type faces struct {
	m sync.Map // faceKey → *Face
}

// Face returns the node's own form of d; it fails if d's tables contradict themselves.
func (n *Node) Face(d Descriptor) (*Face, error) {
	key := faceKey{name: d.Name(), typ: d.GoType()}
	generic, isGeneric := d.(instance)
	if isGeneric {
		key.given = generic.Given()
	}
	if f, ok := n.faces.m.Load(key); ok {
		return f.(*Face), nil
	}
	f, err := NewFace(d)
	if err == nil && isGeneric {
		err = f.checkArgs(generic)
	}
	if err != nil {
		return nil, err
	}
	actual, _ := n.faces.m.LoadOrStore(key, f)
	return actual.(*Face), nil
}

// checkArgs refuses an instance whose type arguments lead to what its messages cannot carry: at once, rather than by the first call
// that meets it.
func (f *Face) checkArgs(d instance) error {
	for _, arg := range d.TypeArgs() {
		if lacking := f.table.Lacks(arg); lacking != nil {
			return &Error{Op: "describe", Kind: ErrMarshal, NotRun: true, Err: fmt.Errorf("%s: %w", f.name, lacking)}
		}
	}
	if strings.Contains(f.name, "·") {
		return &Error{Op: "describe", Kind: ErrMarshal, NotRun: true,
			Err: fmt.Errorf("%s: a type argument is declared in a function, and its name is not its own: declare it at package level", f.name)}
	}
	return nil
}

// Face returns d as the handle's node has interned it.
func (h *Handle) Face(d Descriptor) (*Face, error) {
	if h.peer == nil {
		return NewFace(d)
	}
	return h.Node().Face(d)
}

// DynamicFace returns a Face that the node does not keep, for a descriptor that is made for a call, with types among which there are
// knots.
func (n *Node) DynamicFace(d Descriptor, knots map[reflect.Type]reflect.Type) (*Face, error) {
	f, err := NewFace(d)
	if err == nil {
		f.codec = wire.NewKnottedCodec(n.cfg.Limits.codec(), knots)
	}
	return f, err
}

// codecOf returns the codec of the interface's messages in the node.
func (f *Face) codecOf(n *Node) *wire.Codec {
	if f.codec != nil {
		return f.codec
	}
	return n.codec
}

// NewFace returns a Face that no node keeps.
func NewFace(d Descriptor) (*Face, error) {
	name := d.Name()
	if !isWord(name) {
		return nil, fmt.Errorf("rmi: the interface name %q is longer than %d bytes or has spaces: where that is for a type argument, declare a type with a short name for it", name, maxNameBytes)
	}
	f := &Face{Descriptor: d, name: name, listed: d.MethodTable(), methods: map[uint64]*Method{}}
	if s, ok := d.(interface{ OneAtATime() bool }); ok {
		f.serial = s.OneAtATime()
	}
	for i := range f.listed {
		m := &f.listed[i]
		if other := f.methods[m.ID]; other != nil || m.ID < 256 {
			return nil, fmt.Errorf("rmi: %s: method %s has an id that is taken: run rmigen again", name, m.Name())
		}
		f.methods[m.ID] = m
		f.timed = f.timed || m.Timeout > 0
		f.oneWay = f.oneWay || m.OneWay
	}
	var err error
	if f.table, err = wire.NewTable(builtinTypes(), Entries(d)); err != nil {
		return nil, fmt.Errorf("rmi: %s: %w", name, err)
	}
	return f, nil
}

// Entries are what the messages of an interface may carry by name: its type table, and the interface itself.
func Entries(d Descriptor) []Type {
	if d.GoType().Kind() != reflect.Interface {
		return d.TypeTable()
	}
	return append(d.TypeTable(), d)
}

// Name is the descriptor's, worked out once, as is MethodTable.
func (f *Face) Name() string { return f.name }

// MethodTable returns the descriptor's methods.
func (f *Face) MethodTable() []Method { return f.listed }

// IDAt returns the id of the method at a place in the table.
func (f *Face) IDAt(place int) uint64 { return f.listed[place].ID }

// placeOf returns the place of a method in the table; -1: it is none of the interface.
func (f *Face) placeOf(id uint64) int {
	return slices.IndexFunc(f.listed, func(m Method) bool { return m.ID == id })
}

// Known returns d as the interface's messages know it: with the types that a generic one was given there.
func (f *Face) Known(d Descriptor) Descriptor {
	if known, ok := f.table.Remote(d.GoType()).(Descriptor); ok {
		return known
	}
	return d
}

// timeout is the method's own; 0: it has none.
func (f *Face) timeout(method uint64) time.Duration {
	if !f.timed {
		return 0
	}
	if m := f.methods[method]; m != nil {
		return m.Timeout
	}
	return 0
}

func (f *Face) isOneWay(method uint64) bool {
	if !f.oneWay {
		return false
	}
	m := f.methods[method]
	return m != nil && m.OneWay
}

func (f *Face) isStream(method uint64) bool {
	m := f.methods[method]
	return m != nil && m.Stream
}

func (f *Face) hasStreams(method uint64) bool {
	m := f.methods[method]
	return m != nil && (m.Stream || m.Takes)
}

// methodName returns "bank.Account.Deposit", and of a function its type.
func (f *Face) methodName(id uint64) string {
	name := shortName(f.Name())
	if m := f.methods[id]; m != nil {
		if _, ok := f.Descriptor.(Function); ok {
			return name
		}
		return name + "." + m.Name()
	}
	switch id {
	case methodInterfaces:
		return name + ".(interfaces)"
	case methodDescribe:
		return name + ".(describe)"
	case methodFlush:
		return name + ".(flush)"
	}
	return fmt.Sprintf("%s.(method %#x)", name, id)
}
