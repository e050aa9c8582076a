// Package skeleton is the serving side of generated code: the descriptor of a remote interface and the dispatch of calls to
// implementations. Programs use the descriptor that rmigen makes of their interface:
//
//	err := rmi.Bind(ctx, node, "rmi://127.0.0.1:1099/bank/alice", bank.RemoteAccount.Of(account))
//	acct, err := rmi.Lookup(ctx, node, bank.RemoteAccount, "rmi://127.0.0.1:1099/bank/alice")
//
// Guarantees:
//
//  1. A method runs only after all its arguments were read and checked.
//  2. A panic of a method is reported to the log with its stack and to the caller as ErrPanic; the process lives.
//  3. A descriptor holds no state: any number of nodes may use it at once.
package skeleton

import (
	"context"
	"fmt"
	"reflect"
	"runtime/debug"

	"github.com/rmigo/rmigo/refs"
	"github.com/rmigo/rmigo/stub"
)

// Call is one call being served. Its Args give the arguments in order, Begin says whether the method may run, Results takes
// the results in order.
type Call = refs.Incoming

// Method describes a method of a remote interface, Orphan what becomes of its calls that nobody waits for any more.
type (
	Method = refs.Method
	Orphan = refs.Orphan
)

// What //rmi:orphan says.
const (
	OrphanCancel = refs.OrphanCancel // their context ends
	OrphanFinish = refs.OrphanFinish // they go on to their end
	OrphanKeep   = refs.OrphanKeep   // they do, and what they return is kept
)

// What the source says of an interface and of its methods, for descriptions.
type (
	Docs       = refs.Docs
	MethodDocs = refs.MethodDocs
)

// Descriptor is an Interface whose T does not matter.
type Descriptor = refs.Descriptor

// Type is an entry of an interface's type table: what its messages may carry by name. It is another interface's descriptor, a
// Value, a Sentinel or an ErrorType.
type Type = refs.Type

// Sentinel lets the error variable known as path travel so that errors.Is holds at the caller.
func Sentinel(path string, err error) Type { return refs.Sentinel(path, err) }

// ErrorType lets errors of the type E, known as path, travel so that errors.As holds at the caller.
func ErrorType[E error](path string) Type {
	return refs.ErrorType(path, reflect.TypeFor[E]())
}

// Value lets values of the type T, known as path, travel where a parameter, result or field is of an interface type.
func Value[T any](path string) Type { return refs.ValueType(path, reflect.TypeFor[T]()) }

// Format1ElseRunRmigenAgain is named in every generated file, so that one of a version of rmigen that does not fit this module
// fails to compile, and says what to do.
const Format1ElseRunRmigenAgain = 1

// Servant is the part of a descriptor that rmigen writes: what calls methods by their ids. It is an interface rather than a
// function, so that interfaces may mention each other in their signatures.
type Servant[T any] interface {
	// Dispatch reads the call's arguments, runs the method on impl and writes its results.
	Dispatch(ctx context.Context, impl T, call *Call) error
	// Types lists what the interface's messages may carry by name.
	Types() []Type
}

// Interface describes the remote interface T. rmigen declares one, RemoteT, for each interface marked //rmi:remote; of a generic
// interface it is a function that makes one.
type Interface[T any] struct {
	Path    string    // import path and name: "example.com/bank.Account"
	Args    []TypeArg // of a generic interface: its Methods have signatures, and no ids
	Serial  bool      // one call at a time runs on an object, whichever of its interfaces it comes through
	Async   bool      // there is an asynchronous view
	Methods []Method
	Docs    Docs // what its source says of it, for descriptions
	Stub    func(stub.Ref) T
	Servant Servant[T]

	given []Type // by Using
}

// Bound is an object together with the interface through which it is to be seen.
type Bound struct {
	descriptor refs.Descriptor
	impl       any
	options    ExportOptions
}

// ExportOptions are what holds for one exported object, whichever of its interfaces it is called through.
type ExportOptions = refs.ExportOptions

// Of binds impl to the interface; the compiler checks that it has it.
func (d *Interface[T]) Of(impl T) Bound {
	if d == nil {
		return Bound{impl: impl}
	}
	return Bound{descriptor: d, impl: impl}
}

// With returns the same object, to be exported with the options.
func (b Bound) With(o ExportOptions) Bound {
	b.options = o
	return b
}

// Descriptor returns the interface, Impl the object; nil and nil for the zero Bound.
func (b Bound) Descriptor() refs.Descriptor { return b.descriptor }

// Impl returns the object.
func (b Bound) Impl() any { return b.impl }

// Options returns what the object is to be exported with.
func (b Bound) Options() ExportOptions { return b.options }

// Name returns the interface's qualified name, with its type arguments: "example.com/shop.Store[string,int]".
func (d *Interface[T]) Name() string {
	if len(d.Args) == 0 {
		return d.Path
	}
	return instanceName(d.Path, d.Args)
}

// GoType returns T.
func (d *Interface[T]) GoType() reflect.Type { return reflect.TypeFor[T]() }

// MethodTable returns the methods.
func (d *Interface[T]) MethodTable() []Method {
	if len(d.Args) == 0 {
		return d.Methods
	}
	return identified(d.Methods)
}

// OneAtATime reports whether one call at a time runs on an object.
func (d *Interface[T]) OneAtATime() bool { return d.Serial }

// Documentation returns what the source says of the interface.
func (d *Interface[T]) Documentation() Docs { return d.Docs }

// NewStub returns the canonical stub on the handle.
func (d *Interface[T]) NewStub(h *refs.Handle) (any, error) {
	f, err := h.Face(d)
	if err != nil {
		return nil, err
	}
	return d.Stub(stub.Canonical(h, f)), nil
}

// StubOf returns the stub that is the view.
func (d *Interface[T]) StubOf(v *refs.View) any { return d.Stub(stub.Viewing(v)) }

// HandleOf returns the handle behind v if v is a stub, else nil.
func (d *Interface[T]) HandleOf(v any) *refs.Handle { return handleOf(v) }

func handleOf(v any) *refs.Handle {
	if r, ok := stub.Of(v); ok {
		return r.Handle()
	}
	return nil
}

// Serve runs the call on impl, through the node's interceptors.
func (d *Interface[T]) Serve(ctx context.Context, impl any, call *Call) error {
	return serve(ctx, d.Servant, impl.(T), call)
}

// serve is Serve. What recovers is here alone: user code runs below it.
func serve[T any](ctx context.Context, s Servant[T], impl T, call *Call) error {
	if call.Intercepted() {
		return intercept(ctx, s, impl, call)
	}
	return dispatch(ctx, s, impl, call)
}

func dispatch[T any](ctx context.Context, s Servant[T], impl T, call *Call) (err error) {
	defer recovered(call, &err)
	return s.Dispatch(ctx, impl, call)
}

func intercept[T any](ctx context.Context, s Servant[T], impl T, call *Call) (err error) {
	defer recovered(call, &err)
	return call.Intercept(ctx, func(ctx context.Context) error { return dispatch(ctx, s, impl, call) })
}

// recovered, deferred, makes a panic the call's error.
func recovered(call *Call, err *error) {
	if p := recover(); p != nil {
		*err = call.Panicked(p, debug.Stack())
	}
}

// Put writes v as an argument or result: by reference.
func (d *Interface[T]) Put(e *refs.Encoder, v T) {
	if any(v) == nil {
		e.Remote(d, nil)
		return
	}
	e.Remote(d, v)
}

// Get reads what Put wrote into *p: the object itself where it is one of this process, else its stub.
func (d *Interface[T]) Get(from *refs.Decoder, p *T) {
	v := from.Remote(d)
	if v == nil {
		return
	}
	t, ok := v.(T)
	if !ok {
		from.Fail(fmt.Errorf("%T is no %s", v, d.Name()))
		return
	}
	*p = t
}

// AnyObject describes stub.Object: a reference through no interface in particular.
var AnyObject = &Interface[stub.Object]{
	Path:    refs.AnyName,
	Stub:    func(r stub.Ref) stub.Object { return r },
	Servant: noMethods{},
}

type noMethods struct{}

func (noMethods) Types() []Type { return nil }

func (noMethods) Dispatch(_ context.Context, _ stub.Object, call *Call) error {
	return call.NoSuchMethod()
}
