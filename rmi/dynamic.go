package rmi

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"reflect"
	"strings"

	"github.com/rmigo/rmigo/internal/dynamic"
	"github.com/rmigo/rmigo/refs"
	"github.com/rmigo/rmigo/skeleton"
	"github.com/rmigo/rmigo/stub"
)

// What an object can be asked, as Describe tells it.
type (
	Description          = refs.Description
	InterfaceDescription = refs.InterfaceDescription
	MethodDescription    = refs.MethodDescription
	TypeDescription      = refs.TypeDescription
	ArgumentError        = dynamic.ArgumentError // says which argument of Invoke does not fit, and why
)

// AnyObject is the descriptor of stub.Object, for those who look objects up, or resolve their references, without knowing a type.
var AnyObject = skeleton.AnyObject

// Describe asks an object which interfaces, methods and types it has, with their docs and directives. v is a stub or any other
// stub.Object. ErrNoSuchObject where the object is gone, ErrNoSuchMethod where its process is of a version that does not describe.
func Describe(ctx context.Context, v any) (*Description, error) {
	v, err := stub.Await(ctx, v)
	if err != nil {
		return nil, err
	}
	s, remote := stub.Of(v)
	if !remote {
		return nil, &Error{Op: "describe", NotRun: true, Err: fmt.Errorf("%T is no stub: ObjectOf makes one of an object of this process", v)}
	}
	return s.Handle().Describe(ctx)
}

// Invoke calls a method of an object without generated code, by what the object says of itself, which is asked for first. object is a
// Ref, its text, or a stub; the method's name may have the interface's before it, as in "Account.Deposit".
//
// Arguments are checked before the call is sent: one that does not fit is ErrMarshal with an *ArgumentError that says which. They may be
// natural values or any Go values that look like what is expected: numbers within range, strings, []byte, lists, maps, structs or maps
// by the names of fields, times, and what encoding/json makes of those (with UseNumber, where large integers must not lose digits). A
// remote object is given as a stub, as a Ref or its text, or as what a descriptor's Of returns.
//
// Results, without the error, come as natural values: bool, int64, uint64, float64, complex128, string, []byte, time.Time, time.Duration,
// []any, map[string]any (structs too, by the names of their fields), stub.Object, error, nil, pointers to the types of math/big, and
// io.ReadCloser and io.WriteCloser, which are to be closed. What is
// shared among them is shared, and they may contain themselves, as the originals may.
//
// A method that returns a stream is called by InvokeStream.
//
// The call is made under the policy of the stub that object is; the question before it is not bounded by that.
//
// An object of this process is called in the same way, and not as by an ordinary call: arguments and results are copies.
func Invoke(ctx context.Context, n *Node, object any, method string, args ...any) ([]any, error) {
	v, err := newInvocation(ctx, n, object, method, args)
	if err != nil {
		return nil, err
	}
	if v.method.Stream() {
		e := uninvoked(method, errors.New("it returns a stream: use InvokeStream"))
		e.Ref = v.handle.Ref()
		return nil, e
	}
	r, _ := stub.Of(v.object)
	call := stub.CallThrough(ctx, r, v.method.Face, v.method.ID)
	v.put(call)
	call.Invoke()
	results := v.method.Results(call)
	if err := call.Finish(); err != nil {
		return nil, err
	}
	return results(), nil
}

// InvokeStream is Invoke for a method that returns a stream: it yields the items, and an error as the last element where there is one. The
// call, and the question before it, are made when it is ranged over.
func InvokeStream(ctx context.Context, n *Node, object any, method string, args ...any) iter.Seq2[any, error] {
	return func(yield func(any, error) bool) {
		v, err := newInvocation(ctx, n, object, method, args)
		if err == nil && !v.method.Stream() {
			e := uninvoked(method, errors.New("it returns no stream: use Invoke"))
			e.Ref, err = v.handle.Ref(), e
		}
		if err != nil {
			yield(nil, err)
			return
		}
		r, _ := stub.Of(v.object)
		stub.StreamAs(r, ctx, v.method.Face, v.method.ID, v.put, func(d *stub.Decoder, item *any) {
			if get := v.method.Item(d); d.Finish() == nil {
				*item = get()[0]
			}
		})(yield)
	}
}

// invocation is a call that has been checked against what the object says of itself.
type invocation struct {
	object stub.Object
	handle *refs.Handle
	method *dynamic.Method
	values []reflect.Value
}

func newInvocation(ctx context.Context, n *Node, object any, method string, args []any) (*invocation, error) {
	object, err := stub.Await(ctx, object)
	if err != nil {
		return nil, uninvoked(method, err)
	}
	s, err := objectOf(n, object)
	if err == nil && s == nil {
		err = fmt.Errorf("%T is neither a reference nor a stub", object)
	}
	if err != nil {
		return nil, uninvoked(method, err)
	}
	r, _ := stub.Of(s)
	h := r.Handle()
	d, err := h.Describe(ctx)
	if err != nil {
		return nil, err
	}
	m, err := dynamic.Compile(h.Node(), d, method)
	if err != nil {
		e := uninvoked(method, err)
		e.Ref, e.Kind = h.Ref(), ErrUnmarshal
		if none := (*dynamic.NoMethodError)(nil); errors.As(err, &none) {
			e.Kind = ErrNoSuchMethod
		}
		return nil, e
	}
	values, err := m.Arguments(args, func(v any) (stub.Object, error) { return objectOf(n, v) })
	if err != nil {
		e := uninvoked(method, err)
		e.Ref, e.Kind = h.Ref(), ErrMarshal
		return nil, e
	}
	return &invocation{s, h, m, values}, nil
}

// put writes the arguments.
func (v *invocation) put(call *stub.Call) {
	for i, value := range v.values {
		v.method.Put(&call.Args, i, value)
	}
}

func uninvoked(method string, err error) *Error {
	e := &Error{Op: "invoke", Method: method, NotRun: true, Err: err}
	errors.As(err, &e.Kind)
	return e
}

// objectOf returns the remote object that v stands for; nil, nil where it stands for none.
func objectOf(n *Node, v any) (stub.Object, error) {
	switch v := v.(type) {
	case stub.Object:
		return v, nil
	case Ref:
		return resolve(n.refs, skeleton.AnyObject, v)
	case skeleton.Bound:
		if s, ok := stub.Of(v.Impl()); ok {
			return s, nil
		}
		ref, err := ExportCollectable(n, v)
		if err != nil {
			return nil, err
		}
		return resolve(n.refs, skeleton.AnyObject, ref)
	case string:
		if !strings.HasPrefix(v, "rmi-ref:") {
			return nil, nil
		}
		var r Ref
		if err := r.UnmarshalText([]byte(v)); err != nil {
			return nil, err
		}
		return resolve(n.refs, skeleton.AnyObject, r)
	}
	return nil, nil
}
