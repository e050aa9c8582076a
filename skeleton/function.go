package skeleton

import (
	"context"
	"reflect"

	"github.com/rmigo/rmigo/refs"
	"github.com/rmigo/rmigo/stub"
)

// Function describes functions of the type F as remote objects: each of them is one, with the function for its only method. rmigen
// declares one, which is not exported, for each function type in the signatures of a package.
//
// A function has no identity. It is exported anew each time that it is passed, and lives in its process until the receiver's function, which
// calls it, is garbage there. The function that a process received is one of its own when it is passed on, or back: calls then go by way of
// that process. Where the very reference comes home, it is the function itself.
type Function[F any] struct {
	Path    string   // the type, without blanks: "func(example.com/bank.Entry)error"
	Methods []Method // the one that there is, whose signature is the type
	Servant FunctionServant[F]
}

// FunctionServant is the part of a Function that rmigen writes.
type FunctionServant[F any] interface {
	Servant[F]
	// Stub returns a function that calls another one by a reference.
	Stub(stub.Ref) F
}

// callable is what stands for a function: an object that has it, or a reference to one in another process.
type callable[F any] interface{ function() F }

type object[F any] struct{ f F }

func (o *object[F]) function() F { return o.f }

type reference[F any] struct {
	stub.Ref
	f F // calls it
}

func (r *reference[F]) function() F { return r.f }

// Put writes f as an argument or result: by reference. Nil goes as nil.
func (d *Function[F]) Put(e *refs.Encoder, f F) {
	if reflect.ValueOf(f).IsNil() {
		e.Remote(d, nil)
		return
	}
	e.Remote(d, &object[F]{f})
}

// Get reads what Put wrote into *p.
func (d *Function[F]) Get(from *refs.Decoder, p *F) {
	if v := from.Remote(d); v != nil {
		*p = v.(callable[F]).function()
	}
}

// Name returns the function type, as an interface's name.
func (d *Function[F]) Name() string { return d.Path }

// GoType returns the type of what stands for functions.
func (d *Function[F]) GoType() reflect.Type { return reflect.TypeFor[callable[F]]() }

// FuncType returns F.
func (d *Function[F]) FuncType() reflect.Type { return reflect.TypeFor[F]() }

// ObjectOf makes an object of a function.
func (d *Function[F]) ObjectOf(f reflect.Value) any { return &object[F]{f.Interface().(F)} }

// FuncOf returns the function that an object, or a reference to one, stands for.
func (d *Function[F]) FuncOf(object any) reflect.Value {
	return reflect.ValueOf(object.(callable[F]).function())
}

// MethodTable returns the one method.
func (d *Function[F]) MethodTable() []Method { return d.Methods }

// TypeTable returns what the function's messages may carry by name.
func (d *Function[F]) TypeTable() []Type { return d.Servant.Types() }

// Documentation returns nothing: the source documents parameters, not their types.
func (d *Function[F]) Documentation() Docs { return Docs{} }

// NewStub returns what stands for the function behind the handle.
func (d *Function[F]) NewStub(h *refs.Handle) (any, error) {
	f, err := h.Face(d)
	if err != nil {
		return nil, err
	}
	return d.reference(stub.Canonical(h, f)), nil
}

// StubOf returns what stands for the function behind the view.
func (d *Function[F]) StubOf(v *refs.View) any { return d.reference(stub.Viewing(v)) }

func (d *Function[F]) reference(r stub.Ref) *reference[F] { return &reference[F]{r, d.Servant.Stub(r)} }

// HandleOf returns the handle behind v if v is a reference, else nil.
func (d *Function[F]) HandleOf(v any) *refs.Handle { return handleOf(v) }

// Serve runs the call on the function, through the node's interceptors.
func (d *Function[F]) Serve(ctx context.Context, impl any, call *Call) error {
	return serve(ctx, d.Servant, impl.(callable[F]).function(), call)
}
