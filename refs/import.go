package refs

import (
	"fmt"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"unique"
	"weak"

	"github.com/rmigo/rmigo/internal/wire"
)

// imports is the table of remote objects that this process holds: their canonical handles, weakly.
//
// Invariant: at any time at most one reachable Handle of an object exists in a node, so that == on stubs means the same
// object. Each peer has the entries of its own objects. One is removed by the cleanup of the handle that made it, unless a new handle
// has taken its place since. mu guards all peers' entries. It is held for no longer than map work; the cleanup takes it too, on the
// runtime's goroutine.
type imports struct {
	mu   sync.Mutex
	made uint64 // handles, so far
}

// Handle is the canonical handle of one remote object in this process. Whoever reaches it holds the object; stubs reach it.
// A handle of an object of this same process exists where an untyped reference came home.
type Handle struct {
	id    ID
	peer  *peer                 // of id.Process; the node's self when that is this process
	local uint64                // tells it from other handles of the object, earlier and later ones
	via   atomic.Pointer[peer]  // the process that answers for a fixed object now
	end   atomic.Pointer[Error] // why calls fail without being sent; nil: they do not
	keep  any                   // the object itself, where it is one of this process
	row   atomic.Pointer[row]   // the latest of one-way calls; nil: there were none

	promise *promise // it stands for; nil: it is a handle of an object

	mu         sync.Mutex
	interfaces unique.Handle[string] // joined by spaces; one string for all handles
	views      *View
	rare       atomic.Pointer[rarities]
}

// rarities are what few handles have.
type rarities struct {
	watches map[*watch]struct{}  // told once end is set. Guarded by Handle.mu
	piped   atomic.Pointer[pipe] // by which one-way calls on the object may be under way; nil: none are
}

// rarely returns what few handles have.
func (h *Handle) rarely() *rarities {
	if r := h.rare.Load(); r != nil {
		return r
	}
	h.rare.CompareAndSwap(nil, &rarities{})
	return h.rare.Load()
}

// View is a remote object through an interface: what a stub is a pointer to. It does not change.
type View struct {
	Handle   *Handle
	Face     *Face
	Policies *Policies // nil: as the node's options say

	next *View
}

// ID returns the identity of the object.
func (h *Handle) ID() ID { return h.id }

// Node returns the node that holds the object.
func (h *Handle) Node() *Node { return h.peer.node }

// Local reports whether the object is one of this node's own.
func (h *Handle) Local() bool { return h.peer != nil && h.peer == h.peer.node.self }

// Ref returns the object's reference, with the endpoints at which its process is known to be reached by now.
func (h *Handle) Ref() Ref {
	if h.peer == nil || h.promise != nil {
		return Ref{}
	}
	if h.Local() {
		if e, _, _ := h.Node().exports.get(h.id.Object); e != nil {
			return h.Node().refOfExport(e, nil)
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
	return strings.Fields(h.joined())
}

// joined returns the names of the object's interfaces, joined by spaces. mu is held.
func (h *Handle) joined() string {
	if h.interfaces == (unique.Handle[string]{}) {
		return ""
	}
	return h.interfaces.Value()
}

// learn adds interface names that the object turned out to have, joined by spaces.
func (h *Handle) learn(names string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if names == h.joined() {
		return
	}
	known := strings.Fields(h.joined())
	for _, name := range strings.Fields(names) {
		if len(known) < maxInterfaces && isWord(name) && !slices.Contains(known, name) {
			known = append(known, name)
		}
	}
	h.interfaces = unique.Make(strings.Join(known, " "))
}

// View returns the handle's one view through the interface, without policies of its own.
func (h *Handle) View(f *Face) *View {
	h.mu.Lock()
	defer h.mu.Unlock()
	for v := h.views; v != nil; v = v.next {
		if v.Face == f {
			return v
		}
	}
	h.views = &View{Handle: h, Face: f, next: h.views}
	return h.views
}

// finish makes calls fail from now on; it reports whether they did not already.
func (h *Handle) finish(why *Error) bool {
	if !h.end.CompareAndSwap(nil, why) {
		return false
	}
	if r := h.rare.Load(); r != nil {
		h.mu.Lock()
		watches := r.watches
		r.watches = nil
		h.mu.Unlock()
		for w := range watches {
			w.tell(why)
		}
	}
	return true
}

// Release gives the object up now, rather than when the handle is garbage collected: calls through it end in ErrReleased.
// Releasing twice is harmless. What is promised and not there yet is not released.
func (h *Handle) Release() {
	if h.peer == nil || h.promise != nil || h.Local() || !h.finish(&Error{Kind: ErrReleased, NotRun: true}) {
		return
	}
	n := h.Node()
	n.imports.forget(h)
	if !h.id.Object.WellKnown() {
		n.collector.Dropped(h.id, h.local, true)
	}
}

// Kill implements Host.
func (h host) Kill(id ID, local uint64, why Reason) {
	if id.Object.Named() && (why == Restarted || why == Ended) {
		return // it may be found in the process that comes after
	}
	h.mu.Lock()
	p := h.peers[id.Process]
	h.mu.Unlock()
	if p == nil {
		return
	}
	t := &h.imports
	t.mu.Lock()
	old := p.handles[id.Object].Value()
	t.mu.Unlock()
	if old == nil || old.local != local {
		return
	}
	t.forget(old)
	end := &Error{Kind: ErrNoSuchObject, Reason: why, NotRun: true}
	if why == Restarted {
		old.peer.mu.Lock()
		ended := old.peer.ended
		end.Err = old.peer.replaced
		old.peer.mu.Unlock()
		if !ended && t.restore(old) { // a reference with other endpoints has come meanwhile, and may have met this handle
			h.collector.Imported(id, local)
			return
		}
	}
	old.finish(end)
}

// restore takes a handle in again that was forgotten, unless another one has taken its place.
func (t *imports) restore(h *Handle) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, there := h.peer.handles[h.id.Object]; there {
		return false
	}
	h.peer.handles[h.id.Object] = weak.Make(h)
	return true
}

// forget takes a handle out of the table, so that a reference that arrives later has another one.
func (t *imports) forget(h *Handle) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if h.peer.handles[h.id.Object].Value() == h {
		delete(h.peer.handles, h.id.Object)
	}
}

// dropped is what a handle's cleanup needs. It is a root, so that it must not keep the node: a peer is there while it has handles,
// unless all of the node is garbage. It holds pointers, so that it is never allocated together with small objects that live longer.
type dropped struct {
	peer   weak.Pointer[peer]
	object ObjectID
	local  uint64
}

// handle returns the canonical handle of the object that r names; keep is the object where it is one of this process.
func (n *Node) handle(r Ref, keep any) *Handle {
	p := n.self
	if r.id.Process != n.id {
		p = n.usePeer(r.id.Process)
		p.learn(r.Endpoints(), false)
	}
	t := &n.imports
	t.mu.Lock()
	h := p.handles[r.id.Object].Value()
	fresh := h == nil
	if fresh {
		t.made++
		h = &Handle{id: r.id, peer: p, local: t.made, keep: keep}
		if p.handles == nil {
			p.handles = map[ObjectID]weak.Pointer[Handle]{}
		}
		p.handles[r.id.Object] = weak.Make(h)
		runtime.AddCleanup(h, (*dropped).run, &dropped{weak.Make(p), r.id.Object, t.made})
	}
	t.mu.Unlock()
	if fresh && p != n.self && !r.id.Object.WellKnown() {
		n.collector.Imported(r.id, h.local)
		if n.cfg.TraceExports {
			n.traces.addStub(h)
		}
	}
	if !fresh && p != n.self {
		n.releasePeer(p) // counted for a handle that was there already
	}
	h.learn(r.interfaces)
	return h
}

// run is the cleanup: it may only lock, delete and enqueue.
func (d *dropped) run() {
	p := d.peer.Value()
	if p == nil {
		return
	}
	n := p.node
	n.imports.mu.Lock()
	if p.handles[d.object].Value() == nil { // it may be that of a later handle, which is garbage as well
		delete(p.handles, d.object)
	}
	n.imports.mu.Unlock()
	id := ID{p.id, d.object}
	n.traces.remove(stubKey{&n.traces, id, d.local})
	if p == n.self {
		return
	}
	if !id.Object.WellKnown() { // also of a handle that was released: a message may have met it after that
		n.collector.Dropped(id, d.local, false)
	}
	n.releasePeer(p)
}

// Resolve turns a reference into the object seen through d: the object itself when it is this node's own, else its canonical
// stub. It does not ask the object's process.
func (n *Node) Resolve(d Descriptor, r Ref) (any, error) {
	if r.id.Process == (ProcessID{}) {
		return nil, &Error{Op: "resolve", Kind: ErrNoSuchObject, Reason: NeverExisted, NotRun: true, Err: fmt.Errorf("the reference names no process")}
	}
	if r.id.Process != n.id || d.Name() == AnyName || n.cfg.AlwaysMarshal {
		var keep any
		if r.id.Process == n.id {
			_, impl, why := n.exports.get(r.id.Object)
			if why != 0 {
				return nil, &Error{Op: "resolve", Ref: r, Kind: ErrNoSuchObject, Reason: why, NotRun: true}
			}
			keep = impl
		}
		return d.NewStub(n.handle(r, keep))
	}
	_, impl, why := n.exports.get(r.id.Object)
	if why != 0 {
		return nil, &Error{Op: "resolve", Ref: r, Kind: ErrNoSuchObject, Reason: why, NotRun: true}
	}
	if !reflect.TypeOf(impl).Implements(d.GoType()) {
		return nil, &Error{Op: "resolve", Ref: r, Kind: ErrNoSuchMethod, NotRun: true,
			Err: fmt.Errorf("%T does not implement %s", impl, d.Name())}
	}
	return impl, nil
}

// courier carries references in and out of one message; it is the codec's view of the node.
type courier struct {
	node   *Node
	link   *link // where the message goes or comes from; nil: nowhere yet
	in     Message
	pinned bool // it is to be acknowledged, for the sake of the references in it

	references int // that were written into it

	later bool    // what is written is kept alive only when the message is sent, and by that it is held until then
	held  []held  // what has been written, then
	guess vantage // of who will receive it, where there is no link yet

	call    *Outgoing    // whose message it is; nil: another one
	serving *callContext // of the call that came with it
	was     ProcessID    // for which the arguments were written
	first   held         // of what was written
}

// held is an object that a message refers to.
type held struct {
	id   ID
	keep any
}

// Export implements wire.Objects: the record for v, a stub or an object of this process, which is exported if it is not yet.
func (c *courier) Export(t wire.Type, v any) (wire.Record, error) {
	d := t.(Descriptor)
	if h := d.HandleOf(v); h != nil {
		if h.promise != nil {
			return c.promised(t, h)
		}
		if h.peer == nil {
			return wire.Record{}, asError(h.end.Load())
		}
		if h.Local() {
			if e, impl, _ := c.node.exports.get(h.id.Object); e != nil {
				return c.own(e, impl)
			}
		}
		if end := h.end.Load(); end != nil && end.Kind == ErrReleased {
			return wire.Record{}, asError(end)
		}
		rec := h.Ref().record()
		rec.Endpoints = passable(rec.Endpoints, c.vantage())
		return rec, c.sent(h.id, h)
	}
	f, err := c.node.Face(d)
	if err != nil {
		return wire.Record{}, err
	}
	e, err := c.node.export(newID(), f, v, Collectable, true)
	if err != nil {
		return wire.Record{}, err
	}
	return c.own(e, v)
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
	rec, err := c.own(e, v)
	return rec, err == nil
}

// Exported implements wire.Objects.
func (c *courier) Exported(v any) bool { return c.node.exports.find(v) != nil }

// Home implements wire.Objects.
func (c *courier) Home(rec wire.Record) (any, bool) {
	if rec.Process != c.node.id || c.node.cfg.AlwaysMarshal {
		return nil, false
	}
	_, impl, why := c.node.exports.get(rec.Object)
	return impl, why == 0
}

func (c *courier) own(e *export, impl any) (wire.Record, error) {
	return c.node.refOfExport(e, c.vantage()).record(), c.sent(ID{c.node.id, e.id}, impl)
}

func (c *courier) vantage() *vantage {
	switch {
	case c.link != nil:
		return &c.link.vantage
	case c.later:
		return &c.guess
	}
	return nil
}

// sent has what the record stands for kept alive until the message is acknowledged.
func (c *courier) sent(id ID, keep any) error {
	if c.first.keep == nil {
		c.first = held{id, keep}
	}
	switch {
	case id.Object.WellKnown():
		return nil
	case c.later:
		c.held = append(c.held, held{id, keep})
		return nil
	case c.link == nil:
		return nil
	}
	if why := c.pin(id, keep); why != nil {
		return why
	}
	return nil
}

// pin tells the collector of a reference in the message.
func (c *courier) pin(id ID, keep any) *Error {
	if why := c.link.line.Sent(c.in, id, keep); why != nil {
		return why
	}
	c.pinned = true
	c.references++
	return nil
}

// Import implements wire.Objects.
func (c *courier) Import(t wire.Type, rec wire.Record) (any, error) {
	r, err := refOf(rec)
	if err != nil {
		return nil, &Error{Op: "import", Kind: ErrUnmarshal, Err: err}
	}
	d := t.(Descriptor)
	if number, ok := r.id.Object.vowed(); ok && c.serving != nil {
		object, e := c.serving.redeem(number)
		if e != nil {
			return nil, e
		}
		r.id = ID{c.node.id, object}
	}
	v, err := c.node.Resolve(d, r)
	if err == nil && c.pinned && r.id.Process != c.node.id && !r.id.Object.WellKnown() {
		c.link.line.Received(c.in, r.id, d.HandleOf(v).local)
	}
	return v, err
}
