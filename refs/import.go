package refs

import (
	"fmt"
	"reflect"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"weak"

	"github.com/rmigo/rmigo/internal/wire"
)

// imports is the table of remote objects that this process holds: their canonical handles, weakly.
//
// Invariant: at any time at most one reachable Handle of an object exists in a node, so that == on stubs means the same
// object. An entry is removed by the cleanup of the handle that made it, unless a new handle has taken its place since: the
// entry's generation tells. mu is held for no longer than map work; the cleanup takes it too, on the runtime's goroutine.
type imports struct {
	mu  sync.Mutex
	m   map[ID]importEntry
	gen uint64
}

type importEntry struct {
	handle weak.Pointer[Handle]
	gen    uint64
}

// Handle is the canonical handle of one remote object in this process. Whoever reaches it holds the object; stubs reach it.
// A handle of an object of this same process exists where an untyped reference came home.
type Handle struct {
	id   ID
	node *Node
	peer *peer                // of id.Process; nil when that is this process
	via  atomic.Pointer[peer] // the process that answers for a well-known object now

	mu         sync.Mutex
	interfaces []string
	views      map[*Face]any
}

// ID returns the identity of the object.
func (h *Handle) ID() ID { return h.id }

// Node returns the node that holds the object.
func (h *Handle) Node() *Node { return h.node }

// Local reports whether the object is one of this node's own.
func (h *Handle) Local() bool { return h.peer == nil }

// Ref returns the object's reference, with the endpoints at which its process is known to be reached by now.
func (h *Handle) Ref() Ref {
	if h.Local() {
		if e, _ := h.node.exports.get(h.id.Object); e != nil {
			return h.node.refOfExport(e, nil)
		}
	}
	rec := wire.Record{Process: h.id.Process, Object: h.id.Object, Interfaces: h.knownInterfaces()}
	if !h.Local() {
		rec.Endpoints = h.peer.candidates()
	}
	ref, _ := refOf(rec)
	return ref
}

func (h *Handle) knownInterfaces() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.interfaces)
}

// learn adds interface names that the object turned out to have.
func (h *Handle) learn(names []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, name := range names {
		if len(h.interfaces) < maxInterfaces && isWord(name) && !slices.Contains(h.interfaces, name) {
			h.interfaces = append(h.interfaces, name)
		}
	}
}

// View returns the handle's one view under d, making it by mk the first time: package stub keeps its canonical stubs here.
func (h *Handle) View(f *Face, mk func() any) any {
	h.mu.Lock()
	defer h.mu.Unlock()
	v, ok := h.views[f]
	if !ok {
		if h.views == nil {
			h.views = map[*Face]any{}
		}
		v = mk()
		h.views[f] = v
	}
	return v
}

// dropped is what a handle's cleanup needs. It holds pointers, so that it is never allocated together with small objects that
// live longer.
type dropped struct {
	node *Node
	peer *peer
	id   ID
	gen  uint64
}

// handle returns the canonical handle of the object that r names.
func (n *Node) handle(r Ref) *Handle {
	var p *peer
	if r.id.Process != n.id {
		p = n.usePeer(r.id.Process)
		p.learn(r.Endpoints(), false)
	}
	t := &n.imports
	t.mu.Lock()
	h := t.m[r.id].handle.Value()
	fresh := h == nil
	if fresh {
		h = &Handle{id: r.id, node: n, peer: p}
		t.gen++
		t.m[r.id] = importEntry{weak.Make(h), t.gen}
		runtime.AddCleanup(h, (*dropped).run, &dropped{n, p, r.id, t.gen})
	}
	t.mu.Unlock()
	if !fresh && p != nil {
		n.releasePeer(p) // counted for a handle that was there already
	}
	h.learn(r.Interfaces())
	return h
}

// run is the cleanup: it may only lock, delete and enqueue.
func (d *dropped) run() {
	t := &d.node.imports
	t.mu.Lock()
	last := t.m[d.id].gen == d.gen
	if last {
		delete(t.m, d.id)
	}
	t.mu.Unlock()
	if last {
		d.node.collector.Dropped(d.id)
	}
	if d.peer != nil {
		d.node.releasePeer(d.peer)
	}
}

// Resolve turns a reference into the object seen through d: the object itself when it is this node's own, else its canonical
// stub. It does not ask the object's process.
func (n *Node) Resolve(d Descriptor, r Ref) (any, error) {
	if r.id.Process == (ProcessID{}) {
		return nil, &Error{Op: "resolve", Kind: ErrNoSuchObject, Reason: NeverExisted, NotRun: true, Err: fmt.Errorf("the reference names no process")}
	}
	if r.id.Process != n.id || d.Name() == AnyName {
		if r.id.Process == n.id {
			if _, why := n.exports.get(r.id.Object); why != 0 {
				return nil, &Error{Op: "resolve", Ref: r, Kind: ErrNoSuchObject, Reason: why, NotRun: true}
			}
		}
		return d.NewStub(n.handle(r))
	}
	e, why := n.exports.get(r.id.Object)
	if e == nil {
		return nil, &Error{Op: "resolve", Ref: r, Kind: ErrNoSuchObject, Reason: why, NotRun: true}
	}
	if !reflect.TypeOf(e.impl).Implements(d.GoType()) {
		return nil, &Error{Op: "resolve", Ref: r, Kind: ErrNoSuchMethod, NotRun: true,
			Err: fmt.Errorf("%T does not implement %s", e.impl, d.Name())}
	}
	return e.impl, nil
}

// courier carries references in and out of one message; it is the codec's view of the node.
type courier struct {
	node *Node
	link *link // where the message goes or comes from; nil: nowhere yet
	in   Message
}

// Export implements wire.Objects: the record for v, a stub or an object of this process, which is exported if it is not yet.
func (c *courier) Export(t wire.Type, v any) (wire.Record, error) {
	d := t.(Descriptor)
	if h := d.HandleOf(v); h != nil {
		if e, _ := c.node.exports.get(h.id.Object); e != nil && h.id.Process == c.node.id {
			return c.own(e), nil
		}
		c.sent(h.id)
		rec := h.Ref().record()
		rec.Endpoints = passable(rec.Endpoints, c.vantage())
		return rec, nil
	}
	f, err := c.node.Face(d)
	if err != nil {
		return wire.Record{}, err
	}
	e, err := c.node.exports.add(newID(), f, v, true)
	if err != nil {
		return wire.Record{}, err
	}
	return c.own(e), nil
}

// Known implements wire.Objects: the record of a stub, or of an object that this process has exported.
func (c *courier) Known(t wire.Type, v any) (wire.Record, bool) {
	if t.(Descriptor).HandleOf(v) != nil {
		rec, err := c.Export(t, v)
		return rec, err == nil
	}
	e := c.node.exports.find(v)
	if e == nil {
		return wire.Record{}, false
	}
	return c.own(e), true
}

// Exported implements wire.Objects.
func (c *courier) Exported(v any) bool { return c.node.exports.find(v) != nil }

// Home implements wire.Objects.
func (c *courier) Home(rec wire.Record) (any, bool) {
	if rec.Process != c.node.id {
		return nil, false
	}
	e, _ := c.node.exports.get(rec.Object)
	if e == nil {
		return nil, false
	}
	return e.impl, true
}

func (c *courier) own(e *export) wire.Record {
	if c.link != nil {
		c.link.peer.lent.Store(true)
	}
	c.sent(ID{c.node.id, e.id})
	return c.node.refOfExport(e, c.vantage()).record()
}

func (c *courier) vantage() *vantage {
	if c.link == nil {
		return nil
	}
	return &c.link.vantage
}

func (c *courier) sent(id ID) {
	if c.link != nil {
		c.node.collector.Sent(c.link.peer.id, c.in, id)
	}
}

// Import implements wire.Objects.
func (c *courier) Import(t wire.Type, rec wire.Record) (any, error) {
	r, err := refOf(rec)
	if err != nil {
		return nil, &Error{Op: "import", Kind: ErrUnmarshal, Err: err}
	}
	v, err := c.node.Resolve(t.(Descriptor), r)
	if err == nil && c.link != nil && r.id.Process != c.node.id {
		c.node.collector.Received(c.link.peer.id, c.in, r.id)
	}
	return v, err
}
