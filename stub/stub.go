// Package stub is what generated stubs are made of. Programs meet it as the types of generated code: they call methods of
// their own interfaces, and package rmi for the rest.
//
// A stub is a struct around a [Ref], one pointer wide:
//
//	type accountStub struct{ stub.Ref }
//
//	func (s accountStub) Deposit(ctx context.Context, cents int64) (balance int64, err error) {
//		call := s.Ref.Call(ctx, accountDeposit)
//		call.Args.Int64(cents)
//		call.Invoke()
//		call.Results.Int64(&balance)
//		return balance, call.Finish()
//	}
//
// Guarantees:
//
//  1. Stubs are safe for concurrent use, comparable, and usable as map keys; two stubs of one interface that a node received
//     for the same object are equal.
//  2. A stub holds its object; so does a call until Finish, whatever becomes of the stub meanwhile.
//  3. Printing a stub shows no capability; putting one through encoding/json or encoding/gob fails.
package stub

import (
	"context"
	"fmt"

	"github.com/rmigo/rmigo/refs"
)

// Call is one call in the making. Its Args take the arguments in order, Invoke sends them and waits, Results gives the
// results in order, Finish returns the error. An error at any step makes the later ones do nothing, and is what Finish
// returns.
type Call = refs.Outgoing

// Ref is a view of a remote object through one interface. The zero Ref views nothing.
type Ref struct{ v *refs.View }

// Object is any remote object: an untyped, strong reference. Every generated stub is one, and so is what ObjectOf of package
// rmi makes of a local object. It stays a reference even in the process that has the object; Narrow gives it a type.
type Object interface {
	ref() Ref // sealed: only a Ref has it, and what embeds one
}

// Canonical returns the handle's one view through the interface, so that stubs of the same object and interface are equal.
func Canonical(h *refs.Handle, f *refs.Face) Ref {
	return Ref{h.View(f)}
}

// Viewing returns the Ref that is the view.
func Viewing(v *refs.View) Ref { return Ref{v} }

// With returns v, a stub or any other Object, under the policy in place of the one that it has; what is none is returned as it is.
func With(v any, p refs.Policy) any {
	r, ok := Of(v)
	if !ok {
		return v
	}
	return r.v.Face.StubOf(r.v.With(p))
}

// Of returns the Ref in v, if v is a stub or any other Object.
func Of(v any) (Ref, bool) {
	o, ok := v.(Object)
	if !ok {
		return Ref{}, false
	}
	r := o.ref()
	return r, r.v != nil
}

func (r Ref) ref() Ref { return r }

// Handle returns the handle of the object viewed: that of a promise only until the object is there.
func (r Ref) Handle() *refs.Handle { return r.v.Handle.Settled() }

// CallThrough begins a call of the method of another interface of the object, under the Ref's policy.
func CallThrough(ctx context.Context, r Ref, f *refs.Face, method uint64) *Call {
	return r.Handle().Call(ctx, f, method, r.v.Policies)
}

// Call begins a call of the method with the given id.
func (r Ref) Call(ctx context.Context, method uint64) *Call {
	return r.v.Handle.Call(ctx, r.v.Face, method, r.v.Policies)
}

// String names the object without giving its id, which is a capability.
func (r Ref) String() string {
	if r.v == nil {
		return "stub of no object"
	}
	return "stub of " + r.Handle().Ref().String()
}

// GoString is String, for %#v.
func (r Ref) GoString() string { return r.String() }

// MarshalJSON fails: the encoded bytes would keep nothing alive, and could be turned into no stub.
func (r Ref) MarshalJSON() ([]byte, error) { return nil, r.unfit("encoding/json") }

// GobEncode fails as MarshalJSON does.
func (r Ref) GobEncode() ([]byte, error) { return nil, r.unfit("encoding/gob") }

func (r Ref) unfit(encoding string) error {
	return fmt.Errorf("rmi: %v cannot go through %s: pass it as an argument, or store the text of rmi.RefOf", r, encoding)
}
