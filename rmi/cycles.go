package rmi

import (
	"context"
	"fmt"
	"time"

	"github.com/rmigo/rmigo/inspect"
	"github.com/rmigo/rmigo/refs"
	"github.com/rmigo/rmigo/stub"
)

// Cycle is objects in several processes that keep each other alive.
type Cycle = inspect.Cycle

// SuspectedCycles returns cycles of objects that have been held by other processes for the time given or longer, and that nothing else
// may need: they pass through this node, whose Options.Inspect must be set. The other processes on the way are asked; those that can not
// be, or do not answer questions, are told of in the error, beside what was found without them. Nothing is collected.
func (n *Node) SuspectedCycles(ctx context.Context, held time.Duration) ([]Cycle, error) {
	if n.inspector == nil {
		return nil, &Error{Op: "inspect", NotRun: true, Err: fmt.Errorf("this node does not inspect: set Options.Inspect")}
	}
	return n.inspector.SuspectedCycles(ctx, held)
}

// Inspect returns the inspector of the process that has the object behind the stub v. Its calls are ErrNoSuchObject where that process
// has no Options.Inspect.
func Inspect(n *Node, v any) (inspect.Inspector, error) {
	s, ok := stub.Of(v)
	if !ok {
		return nil, &Error{Op: "inspect", NotRun: true, Err: fmt.Errorf("%T is no stub", v)}
	}
	return host{n}.Inspector(s.Handle().Ref())
}

// serveInspector makes the node's inspector and exports it.
func (n *Node) serveInspector() error {
	n.inspector = inspect.New(n.ID(), host{n})
	_, err := n.refs.ExportAt(refs.InspectorObject(), refs.Pinned, ExportOptions{}, inspect.RemoteInspector, n.inspector)
	return err
}

// host is the node as its inspector sees it.
type host struct{ n *Node }

// HeldFor implements inspect.Host.
func (h host) HeldFor(d time.Duration) []refs.ObjectID { return h.n.collector.HeldFor(d) }

// Suspect implements inspect.Host.
func (h host) Suspect(id refs.ObjectID) (impl any, held time.Duration) {
	impl = h.n.refs.Idle(id)
	for _, holder := range h.n.collector.Holders(id) {
		held = max(held, holder.For)
	}
	return impl, held
}

// Inspector implements inspect.Host.
func (h host) Inspector(object refs.Ref) (inspect.Inspector, error) {
	return resolve(h.n.refs, inspect.RemoteInspector, object.Beside(refs.InspectorObject(), inspect.RemoteInspector.Path))
}
