package rmi

import (
	"context"
	"errors"
	"fmt"

	"github.com/rmigo/rmigo/gc"
	"github.com/rmigo/rmigo/refs"
	"github.com/rmigo/rmigo/skeleton"
	"github.com/rmigo/rmigo/stub"
)

// Release gives up the object behind a stub now, instead of when the last stub of it is garbage collected. It is optional, and harmless
// when it is done twice. All stubs of the object in this process, of whatever interface, are one in this: calls through them end in
// ErrReleased. A reference to the object that arrives later makes a new stub. Of anything but a stub, nothing happens.
func Release(v any) {
	if s, ok := stub.Of(v); ok {
		s.Handle().Release()
	}
}

// Monitor blocks until the object behind the stub v is gone, or its process is given up, and returns why: an *Error of the kind
// ErrNoSuchObject with its Reason (unexported, collected, ended, restarted…), or ErrPeerExpired where nothing was heard from
// its process for a lease. While it runs, the connection is kept up. If ctx ends first, it returns ctx's error. A local object is not
// monitored.
func Monitor(ctx context.Context, v any) error {
	v, err := stub.Await(ctx, v)
	if err != nil {
		return err
	}
	s, ok := stub.Of(v)
	if !ok {
		return &Error{Op: "monitor", NotRun: true, Err: fmt.Errorf("%T is no stub", v)}
	}
	return s.Handle().Monitor(ctx)
}

// Owned has the export of child end when no process holds parent any more after one did or it was returned to one, or when parent's own export ends, by Unexport or
// because parent is garbage: for objects that make sense only together, such as a session and its cursors. Both are objects that n exports.
func Owned(n *Node, parent, child any) error { return n.refs.Own(parent, child) }

// Weak is a remote reference that keeps nothing alive. It is data, as Ref is: it may be kept where a stub would close a cycle between
// processes, which the collector does not undo. The zero Weak refers to nothing.
type Weak[T any] struct {
	node *Node
	face *skeleton.Interface[T]
	ref  Ref
	own  bool
}

// WeakOf makes a weak reference of a stub, or of an object that n exports.
func WeakOf[T any](n *Node, d *skeleton.Interface[T], v T) (Weak[T], error) {
	if err := undescribed("weaken", "", d); err != nil {
		return Weak[T]{}, err
	}
	ref, ok := n.RefOf(v)
	if !ok {
		return Weak[T]{}, &Error{Op: "weaken", Kind: ErrNoSuchObject, NotRun: true, Err: fmt.Errorf("this %T is neither a stub nor exported by this node", v)}
	}
	return Weak[T]{n, d, ref, ref.ID().Process == n.ID()}, nil
}

// Ref returns what is referred to.
func (w Weak[T]) Ref() Ref { return w.ref }

// Upgrade returns the object, which is held from then on: its process has confirmed that it is there. ErrNoSuchObject, with the reason,
// where it is not.
func (w Weak[T]) Upgrade(ctx context.Context) (T, error) {
	var zero T
	if w.node == nil {
		return zero, &Error{Op: "upgrade", Kind: ErrNoSuchObject, NotRun: true, Err: errors.New("the weak reference is zero")}
	}
	v, err := resolve(w.node.refs, w.face, w.ref)
	if err != nil || w.own {
		return v, err
	}
	if s, ok := stub.Of(v); ok {
		if err := w.confirm(ctx, s.Handle()); err != nil {
			return zero, err
		}
	}
	return v, nil
}

// confirm waits until the object is held. A named one is there for good, in whatever process: it is asked.
func (w Weak[T]) confirm(ctx context.Context, h *refs.Handle) error {
	if !h.ID().Object.Named() {
		return h.Secure(ctx)
	}
	f, err := w.node.refs.Face(w.face)
	if err == nil {
		_, err = h.Interfaces(ctx, f)
	}
	return err
}

// Stats is what a node has, and did since it was made.
type Stats struct {
	gc.Stats
	Exports     int // objects of this node that can be called from outside
	Connections int // with other processes, but for those for what is large
}

// Holders returns which processes hold an object of this node, the longest first.
func (n *Node) Holders(impl any) []Holder {
	ref, ok := n.refs.LocalRef(impl)
	if !ok {
		return nil
	}
	return n.collector.Holders(ref.ID().Object)
}

// ExportedAt returns the line of the program at which an object of this node was exported, where Options.TraceExports is set; "" where
// it is not known, as for results of methods, which the runtime exports: Holders tells the method.
func (n *Node) ExportedAt(impl any) string { return n.refs.ExportedAt(impl) }

// Wait returns once no other process holds any object of this node but those that are pinned by Export, Bind or ExportAs: a process that
// lives only for what others hold of it may end then. If ctx ends first, it returns ctx's error, and ErrNodeClosed once n is closed.
func (n *Node) Wait(ctx context.Context) error {
	for {
		gone, open := n.collector.Held(func(id refs.ObjectID) bool { return !n.refs.IsPinned(id) })
		switch {
		case !open:
			return &Error{Op: "wait", Kind: ErrNodeClosed, NotRun: true}
		case gone == nil:
			return nil
		}
		select {
		case <-gone:
		case <-ctx.Done():
			return &Error{Op: "wait", NotRun: true, Err: context.Cause(ctx)}
		}
	}
}
