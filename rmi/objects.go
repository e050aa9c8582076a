package rmi

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"

	"github.com/rmigo/rmigo/refs"
	"github.com/rmigo/rmigo/skeleton"
	"github.com/rmigo/rmigo/stub"
)

// Export makes an object callable from other processes and returns its reference. It stays exported until Unexport or the end
// of the node. Exporting it again returns a reference with the same ID; through another interface, the object gains that one.
// The implementation must be a pointer (ErrNotPointer); all pointers to one type of size zero are one object.
//
// Objects that are passed as arguments or results are exported by that, and need no Export, but for pointers to types of size
// zero: passed without it, they are ErrNotPointer. What was exported by being passed lives as after ExportCollectable.
func Export(n *Node, b skeleton.Bound) (Ref, error) { return export(n, refs.Pinned, b) }

// ExportCollectable is Export without keeping the object: it lives while it is reachable in this process or held in another one, by a
// stub or by a message under way, and is exported no longer once it is garbage. The Ref that is returned holds nothing. (Go keeps objects
// of less than 16 bytes without pointers together, so that such a one may become garbage only with its neighbours.)
func ExportCollectable(n *Node, b skeleton.Bound) (Ref, error) {
	return export(n, refs.Collectable, b)
}

func export(n *Node, l refs.Lifetime, b skeleton.Bound) (Ref, error) {
	if err := unbound("export", "", b); err != nil {
		return Ref{}, err
	}
	ref, err := n.refs.Export(l, b.Options(), b.Descriptor(), b.Impl())
	if err == nil && l == refs.Pinned {
		n.collector.Pinned(ref.ID().Object) // it may have been held before
	}
	return ref, err
}

// ExportAs is Export under an id that stands for a name: references to the object stay valid when this process ends and another one, at
// the same endpoint, exports its object by that name. Whoever knows the name can make the id, so that the id is no capability.
// ErrAlreadyBound where another object has the name, or the object another id.
func ExportAs(n *Node, name string, b skeleton.Bound) (Ref, error) {
	if err := unbound("export", "", b); err != nil {
		return Ref{}, err
	}
	if name == "" {
		return Ref{}, &Error{Op: "export", NotRun: true, Err: errors.New("the name to export the object by is empty")}
	}
	return n.refs.ExportAt(refs.NamedObject(name), refs.Pinned, b.Options(), b.Descriptor(), b.Impl())
}

// unbound says that b was not made by a descriptor's Of.
func unbound(op, url string, b skeleton.Bound) error {
	if b.Descriptor() != nil {
		return nil
	}
	return &Error{Op: op, URL: url, NotRun: true, Err: errors.New(
		"no object seen through an interface: write the descriptor's Of, as in bank.RemoteAccount.Of(account)")}
}

// undescribed says that there is no descriptor to see an object through.
func undescribed[T any](op, url string, d *skeleton.Interface[T]) error {
	if d != nil {
		return nil
	}
	return &Error{Op: op, URL: url, NotRun: true, Err: fmt.Errorf(
		"the descriptor of %v is nil: give the one that rmigen made, such as bank.RemoteAccount", reflect.TypeFor[T]())}
}

// Unexport withdraws an object: calls that come from now on end in ErrNoSuchObject with the reason Unexported. It returns once
// calls under way have ended; when ctx ends first, it cancels their contexts and returns ctx's error. Names that this node has
// bound to the object are taken out of their registries. A method may withdraw its own object; but a chain of calls that passed
// through an object and withdraws it further down waits for itself, until ctx ends.
func Unexport(ctx context.Context, n *Node, impl any) error {
	ref, exported := n.refs.LocalRef(impl)
	if !exported {
		return n.refs.Unexport(ctx, impl)
	}
	names := make(chan error, 1)
	go func() { // ends with ctx; waited for below
		names <- n.keeper.Withdraw(ctx, func(o stub.Object) bool {
			s, _ := stub.Of(o)
			return s.Handle().ID() == ref.ID()
		})
	}()
	return errors.Join(n.refs.Unexport(ctx, impl), <-names)
}

// RefOf returns the reference of a stub, or of an object that this node exports; false for anything else.
func (n *Node) RefOf(v any) (Ref, bool) {
	if s, ok := stub.Of(v); ok {
		ref := s.Handle().Ref()
		return ref, !ref.IsZero() // that of a promise is not known before the object is there
	}
	return n.refs.LocalRef(v)
}

// ObjectOf returns an object as an untyped reference, exporting it if it is not yet: for interfaces such as the registry's,
// which take any remote object.
func ObjectOf(n *Node, b skeleton.Bound) (stub.Object, error) {
	if err := unbound("export", "", b); err != nil {
		return nil, err
	}
	if s, ok := stub.Of(b.Impl()); ok {
		return s, nil
	}
	ref, err := Export(n, b)
	if err != nil {
		return nil, err
	}
	return resolve(n.refs, skeleton.AnyObject, ref)
}

// Resolve turns the text of a Ref into the object, without a registry: into its stub, or the object itself if it is this
// node's own. Where the reference does not say that the object has the interface, its process is asked; ErrNoSuchMethod, at
// once, if it has not.
func Resolve[T any](ctx context.Context, n *Node, d *skeleton.Interface[T], ref string) (T, error) {
	var zero T
	if err := undescribed("resolve", "", d); err != nil {
		return zero, err
	}
	var r Ref
	if err := r.UnmarshalText([]byte(ref)); err != nil {
		return zero, &Error{Op: "resolve", Kind: ErrUnmarshal, NotRun: true, Err: err}
	}
	obj, err := resolve(n.refs, skeleton.AnyObject, r)
	if err != nil {
		return zero, err
	}
	return Narrow(ctx, d, obj)
}

// Narrow gives another view of an object: v, a stub or untyped reference, through the interface d. An object of this process
// is returned itself. If the object is not known to have the interface, its process is asked; if it has not, the error is
// ErrNoSuchMethod and names both.
func Narrow[T any](ctx context.Context, d *skeleton.Interface[T], v any) (T, error) {
	var zero T
	if err := undescribed("narrow", "", d); err != nil {
		return zero, err
	}
	v, err := stub.Await(ctx, v)
	if err != nil {
		return zero, err
	}
	s, remote := stub.Of(v)
	if !remote {
		if t, ok := v.(T); ok {
			return t, nil
		}
		return zero, &Error{Op: "narrow", NotRun: true, Err: fmt.Errorf("%T is no %s", v, d.Name())}
	}
	h := s.Handle()
	if d.Name() != refs.AnyName && (!h.Has(d.Name()) || h.Local()) {
		f, err := h.Node().Face(d)
		if err != nil {
			return zero, err
		}
		names, err := h.Interfaces(ctx, f)
		if err != nil {
			return zero, err
		}
		if !slices.Contains(names, d.Name()) {
			return zero, &Error{Op: "narrow", Ref: h.Ref(), Kind: ErrNoSuchMethod, NotRun: true,
				Err: fmt.Errorf("the object has the interfaces %v, not %s", names, d.Name())}
		}
	}
	return resolve(h.Node(), d, h.Ref())
}

// resolve is refs.Node.Resolve, typed.
func resolve[T any](n *refs.Node, d *skeleton.Interface[T], r Ref) (T, error) {
	var zero T
	v, err := n.Resolve(d, r)
	if err != nil {
		return zero, err
	}
	return v.(T), nil
}

// Same reports whether a and b are the same object, each a stub of whatever interface, an untyped reference, or a local
// object.
func Same(a, b any) bool {
	x, xStub := stub.Of(a)
	y, yStub := stub.Of(b)
	switch {
	case xStub && yStub:
		return x.Handle().ID() == y.Handle().ID()
	case xStub:
		return isLocal(x, b)
	case yStub:
		return isLocal(y, a)
	}
	return a != nil && b != nil && reflect.TypeOf(a).Kind() == reflect.Pointer && a == b
}

// isLocal reports whether s refers to the local object impl.
func isLocal(s stub.Ref, impl any) bool {
	if s.Handle().IsBroken() {
		return false
	}
	ref, ok := s.Handle().Node().LocalRef(impl)
	return ok && ref.ID() == s.Handle().ID()
}
