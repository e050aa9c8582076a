package refs

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"unsafe"
	"weak"

	"github.com/rmigo/rmigo/internal/wire"
)

// exports is the table of objects that may be called from outside.
//
// Invariants: an id is in byID at most once and never comes back once removed; an implementation is in the table at most
// once, whatever the number of its interfaces. The table itself keeps only pinned objects alive; others live while somebody
// here reaches them, or the collector does because they are held elsewhere, and leave the table when they are garbage. mu guards
// the maps and each export's fields above active; no user code runs under it. active counts running calls and is changed only
// by acquire (under the read lock, so never after removal) and release.
type exports struct {
	mu     sync.RWMutex
	byID   map[ObjectID]*export
	byType map[reflect.Type]*kind
	owned  map[*export][]*export // end with the key, or when nobody holds it any more
	graves graves
}

// kind is a Go type of pointers, and the exports of its objects. An object's identity is its type and its address, since a struct and
// its first field share an address. All pointers to one zero-size type are one object, at no address: Go does not tell them apart.
type kind struct {
	typ    reflect.Type
	at     map[weak.Pointer[byte]]*export
	none   shape // without interfaces
	shapes []*shape
}

// shape is a list of interfaces through which objects of a kind are exported: most have the same. It does not change, but for how long its
// methods take.
type shape struct {
	kind    *kind
	faces   []*Face
	table   *wire.Table // of all interfaces: two of them may share a method
	members map[uint64]*member
}

// member is a method of the objects of a shape.
type member struct {
	face *Face // the first that has it
	pace pace
}

type export struct {
	id      ObjectID
	address weak.Pointer[byte]
	pinned  unsafe.Pointer // to the object, where it was exported for good
	*shape
	options atomic.Pointer[ExportOptions]

	active atomic.Int64
	ending atomic.Pointer[ending] // once it is withdrawn
}

// ending is what the calls that are under way when an object is withdrawn end with.
type ending struct {
	floor int64         // Unexport waits until active is no more than this
	idle  chan struct{} // closed then
	once  sync.Once
}

// object returns the implementation; nil where it is garbage. The table's mu is held.
func (e *export) object() any {
	p := e.pinned
	if p == nil {
		p = unsafe.Pointer(e.address.Value())
	}
	if p == nil {
		return nil
	}
	return reflect.NewAt(e.kind.typ.Elem(), p).Interface()
}

// identity returns the pointer that impl is, and the address that tells it from others of its type.
func identity(impl any) (v reflect.Value, address weak.Pointer[byte], err error) {
	v = reflect.ValueOf(impl)
	if impl == nil {
		return v, address, &Error{Op: "export", Kind: ErrNotPointer, NotRun: true, Err: errors.New("nil: there is no object")}
	}
	if v.Kind() != reflect.Pointer {
		return v, address, &Error{Op: "export", Kind: ErrNotPointer, NotRun: true,
			Err: fmt.Errorf("%T: identity needs an address: export a *%[1]T", impl)}
	}
	if v.IsNil() {
		return v, address, &Error{Op: "export", Kind: ErrNotPointer, NotRun: true, Err: fmt.Errorf("nil %T", impl)}
	}
	if v.Type().Elem().Size() > 0 {
		address = weak.Make((*byte)(v.UnsafePointer()))
	}
	return v, address, nil
}

// Lifetime says how long an object stays exported.
type Lifetime uint8

const (
	Pinned      Lifetime = iota // until Unexport
	Collectable                 // while somebody holds it, here or in another process
)

// Export makes impl callable from outside through d and returns its reference. An object that is exported already keeps its id, gains
// the interface if it is a new one, and stays pinned if it was.
func (n *Node) Export(l Lifetime, o ExportOptions, d Descriptor, impl any) (Ref, error) {
	return n.ExportAt(newID(), l, o, d, impl)
}

// ExportAt is Export with a given id for an object that has none yet; well-known and named objects are exported so. It fails if another
// object has the id, or the object another one of that kind.
func (n *Node) ExportAt(id ObjectID, l Lifetime, o ExportOptions, d Descriptor, impl any) (Ref, error) {
	if n.closed() {
		return Ref{}, &Error{Op: "export", Kind: ErrNodeClosed, NotRun: true}
	}
	if d.HandleOf(impl) != nil {
		return Ref{}, &Error{Op: "export", Kind: ErrNotPointer, NotRun: true,
			Err: fmt.Errorf("%T is a stub: its object is exported where it lives; RefOf gives its reference", impl)}
	}
	f, err := n.Face(d)
	if err != nil {
		return Ref{}, err
	}
	e, err := n.export(id, f, impl, l, l == Collectable)
	if err != nil {
		return Ref{}, err
	}
	if o.Filter != nil || o.Unreferenced != nil {
		e.options.Store(&o)
	}
	return n.refOfExport(e, nil), nil
}

// export adds impl to the table, and sees to it that one that may become garbage leaves it then.
func (n *Node) export(id ObjectID, f *Face, impl any, l Lifetime, needsIdentity bool) (*export, error) {
	if f.serial {
		n.turns.any.Store(true)
	}
	e, fresh, err := n.exports.add(id, f, impl, l, needsIdentity)
	if fresh && n.cfg.TraceExports {
		n.traces.add(e, 2)
		if there, _, _ := n.exports.get(e.id); there != e { // it was withdrawn before that
			n.traces.remove(e)
		}
	}
	if fresh && l == Collectable {
		runtime.AddCleanup((*byte)(reflect.ValueOf(impl).UnsafePointer()), n.garbage, e)
	}
	return e, err
}

// collected is the cleanup of an object that was found to be garbage: it may only lock and delete. A pinned object is none, though it
// may have been withdrawn.
func (n *Node) collected(e *export) {
	t := &n.exports
	t.mu.Lock()
	if t.byID[e.id] != e || e.object() != nil {
		t.mu.Unlock()
		return
	}
	owned := t.disown(e)
	t.drop(e, Collected)
	n.traces.remove(e)
	var ended []*export
	for len(owned) > 0 {
		child := owned[0]
		owned = append(owned[1:], t.disown(child)...)
		if t.byID[child.id] == child {
			t.drop(child, Unexported)
			n.traces.remove(child)
			ended = append(ended, child)
		}
	}
	t.mu.Unlock()
	for _, child := range ended {
		n.collector.Orphaned(child.id)
		n.endOwn(child.id)
	}
}

// admits returns the filter of the object's own, or nil.
func (e *export) admits() Filter {
	if o := e.options.Load(); o != nil {
		return o.Filter
	}
	return nil
}

// add exports impl through f; fresh: it was not there. An object that needs an identity must have one of its own, or be there already.
func (t *exports) add(id ObjectID, f *Face, impl any, l Lifetime, needsIdentity bool) (e *export, fresh bool, err error) {
	v, address, err := identity(impl)
	if err != nil {
		return nil, false, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	k := t.byType[v.Type()]
	if k == nil {
		k = &kind{typ: v.Type(), at: map[weak.Pointer[byte]]*export{}}
		k.none.kind = k
		t.byType[k.typ] = k
	}
	e = k.at[address]
	switch {
	case id.Fixed() && (e != nil && e.id != id || t.byID[id] != nil && t.byID[id] != e):
		return nil, false, &Error{Op: "export", Kind: ErrAlreadyBound, NotRun: true,
			Err: errors.New("this node has another object at that name or well-known id, or the object is exported under another id")}
	case e == nil && needsIdentity && address == weak.Pointer[byte]{}:
		return nil, false, &Error{Op: "export", Kind: ErrNotPointer, NotRun: true, Err: fmt.Errorf(
			"%T: the implementation is not a pointer that tells one object from another, since what it points to has size zero: "+
				"give the type a field, or Export the object before it is passed", impl)}
	case e == nil:
		e, fresh = &export{id: id, address: address, shape: &k.none}, true
	}
	s, err := e.shape.with(f)
	if err != nil {
		return nil, false, err
	}
	e.shape = s
	if l == Pinned {
		e.pinned = v.UnsafePointer()
	}
	if fresh {
		t.byID[id], k.at[address] = e, e
	}
	return e, fresh, nil
}

// with returns the shape that has one more interface; the same one where it has it already.
func (s *shape) with(f *Face) (*shape, error) {
	n := len(s.faces)
	switch {
	case slices.Contains(s.faces, f):
		return s, nil
	case n == maxInterfaces:
		return nil, &Error{Op: "export", Kind: ErrLimit, NotRun: true, Err: fmt.Errorf("an object has at most %d interfaces", maxInterfaces)}
	}
	for _, known := range s.kind.shapes {
		if len(known.faces) == n+1 && known.faces[n] == f && slices.Equal(known.faces[:n], s.faces) {
			return known, nil
		}
	}
	faces := append(slices.Clip(s.faces), f)
	table, err := tableOf(faces)
	if err != nil {
		return nil, &Error{Op: "export", NotRun: true, Err: err}
	}
	more := &shape{s.kind, faces, table, map[uint64]*member{}}
	for _, f := range slices.Backward(faces) {
		for id := range f.methods {
			more.members[id] = &member{face: f}
		}
	}
	s.kind.shapes = append(s.kind.shapes, more)
	return more, nil
}

// tableOf is the table for messages of an object with these interfaces.
func tableOf(faces []*Face) (*wire.Table, error) {
	if len(faces) == 1 {
		return faces[0].table, nil
	}
	var types []Type
	for _, f := range faces {
		types = append(types, Entries(f.Descriptor)...)
	}
	return wire.NewTable(builtinTypes(), types)
}

// located is what a call is to be run on.
type located struct {
	known  bool // it has been looked for
	impl   any
	member *member     // nil: it has no such method
	table  *wire.Table // of the object's interfaces
	why    Reason      // there is no object
}

// acquire finds the object and counts a call on it, to be ended by release.
func (t *exports) acquire(id ObjectID, method uint64) (*export, located) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	e, impl, why := t.look(id)
	if why != 0 {
		return nil, located{known: true, why: why}
	}
	e.active.Add(1)
	return e, located{true, impl, e.members[method], e.table, 0}
}

// look returns the export with the id and its object, or why there is none. mu is held.
func (t *exports) look(id ObjectID) (*export, any, Reason) {
	e := t.byID[id]
	if e == nil {
		return nil, nil, t.graves.reason(id)
	}
	impl := e.object()
	if impl == nil {
		return nil, nil, Collected
	}
	return e, impl, 0
}

func (e *export) release() {
	active := e.active.Add(-1)
	if end := e.ending.Load(); end != nil && active <= end.floor {
		end.once.Do(func() { close(end.idle) })
	}
}

// interfaces returns the names of the object's interfaces, in the order in which they were exported.
func (t *exports) interfaces(e *export) []string {
	t.mu.RLock()
	defer t.mu.RUnlock()
	names := make([]string, 0, len(e.faces))
	for _, f := range e.faces {
		if f.Name() != AnyName {
			names = append(names, f.Name())
		}
	}
	return names
}

// signatures lists the object's methods, for whoever asked for one that it lacks; at most a hundred.
func (t *exports) signatures(e *export) hasMethods {
	t.mu.RLock()
	defer t.mu.RUnlock()
	var has hasMethods
	for _, f := range e.faces {
		for _, m := range f.MethodTable() {
			if len(has) < 100 {
				has = append(has, m.Signature)
			}
		}
	}
	return has
}

// find returns the export of a local object, or nil.
func (t *exports) find(impl any) *export {
	v, address, err := identity(impl)
	if err != nil {
		return nil
	}
	t.mu.RLock()
	defer t.mu.RUnlock()
	k := t.byType[v.Type()]
	if k == nil {
		return nil
	}
	return k.at[address]
}

// get returns the export with the id and its object, or why there is none.
func (t *exports) get(id ObjectID) (*export, any, Reason) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.look(id)
}

// Lookup implements Host.
func (h host) Lookup(id ObjectID) (impl any, why Reason) {
	_, impl, why = h.exports.get(id)
	return impl, why
}

// Unexport withdraws the object: calls that come from now on end in ErrNoSuchObject with the reason Unexported. It returns
// once those under way have ended; when ctx ends first, it cancels them and returns ctx's error. A call that withdraws its
// own object is not waited for. Withdrawing an object that is not exported is ErrNoSuchObject.
func (n *Node) Unexport(ctx context.Context, impl any) error {
	e := n.exports.find(impl)
	if e == nil {
		return notExported("unexport", impl)
	}
	var own int64
	if in := incomingFrom(ctx); in != nil && in.export.Load() == e {
		own = 1
	}
	if !n.withdraw(e, own) {
		return &Error{Op: "unexport", Kind: ErrNoSuchObject, Reason: Unexported, NotRun: true}
	}
	if e.active.Load() <= own {
		return nil
	}
	select {
	case <-e.ending.Load().idle:
		return nil
	case <-ctx.Done():
		n.cancelCalls(e, &Error{Op: "unexport", Kind: ErrNoSuchObject, Reason: Unexported})
		return &Error{Op: "unexport", Err: contextError(ctx)}
	}
}

// withdraw takes the object out of the table, with all that it owns, and has their holders told. False: it is not there.
func (n *Node) withdraw(e *export, floor int64) bool {
	t := &n.exports
	t.mu.Lock()
	there := t.byID[e.id] == e
	owned := t.disown(e)
	if there {
		e.ending.Store(&ending{floor: floor, idle: make(chan struct{})})
		t.drop(e, Unexported)
	}
	t.mu.Unlock()
	for _, child := range owned {
		n.withdraw(child, 0)
	}
	if there {
		n.traces.remove(e)
		n.collector.Withdrawn(e.id, Unexported)
		n.endOwn(e.id)
	}
	return there
}

// endOwn ends the handle of an object of this process that is exported no longer, if there is one: what watches it is told. It may be called
// from a cleanup.
func (n *Node) endOwn(id ObjectID) {
	n.imports.mu.Lock()
	h := n.self.handles[id].Value()
	n.imports.mu.Unlock()
	if h == nil {
		return
	}
	n.imports.forget(h) // the name may be another object's next
	h.finish(&Error{Kind: ErrNoSuchObject, Reason: Unexported, NotRun: true})
}

// disown returns what the export owns, which it does no longer. mu is held.
func (t *exports) disown(e *export) []*export {
	owned := t.owned[e]
	delete(t.owned, e)
	return owned
}

// letGo keeps no object alive any more, once the node is closed: what a promise's cleanup has is a root, and leads to the node.
func (t *exports) letGo() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, e := range t.byID {
		e.pinned = nil
	}
	t.owned = nil
}

// drop forgets the export. mu is held.
func (t *exports) drop(e *export, why Reason) {
	delete(t.byID, e.id)
	delete(e.kind.at, e.address)
	delete(t.owned, e)
	e.pinned = nil
	t.graves.bury(e.id, why)
}

// Own has the export of child end when nobody holds parent any more after somebody did or it was returned to somebody, or when parent is no longer exported itself,
// because it was withdrawn or is garbage.
// Both are objects that this node exports; ErrNoSuchObject where one is not.
func (n *Node) Own(parent, child any) error {
	p, c := n.exports.find(parent), n.exports.find(child)
	switch {
	case p == nil:
		return notExported("own", parent)
	case c == nil:
		return notExported("own", child)
	case p == c:
		return &Error{Op: "own", NotRun: true, Err: errors.New("an object cannot own itself")}
	}
	n.exports.mu.Lock()
	defer n.exports.mu.Unlock()
	if n.exports.byID[p.id] != p {
		return &Error{Op: "own", Kind: ErrNoSuchObject, Reason: Unexported, NotRun: true}
	}
	if n.exports.owned == nil {
		n.exports.owned = map[*export][]*export{}
	}
	n.exports.owned[p] = append(n.exports.owned[p], c)
	return nil
}

func notExported(op string, impl any) error {
	return &Error{Op: op, Kind: ErrNoSuchObject, NotRun: true, Err: fmt.Errorf("this %T is not exported by this node", impl)}
}

// Unreferenced implements Host: what the object owns ends, and the object is told, on a goroutine of its own.
func (h host) Unreferenced(id ObjectID, impl any) {
	n := h.Node
	e, _, _ := n.exports.get(id)
	if e == nil {
		return
	}
	n.exports.mu.Lock()
	owned := n.exports.disown(e)
	n.exports.mu.Unlock()
	for _, child := range owned {
		n.withdraw(child, 0)
	}
	var hook func()
	if o := e.options.Load(); o != nil {
		hook = o.Unreferenced
	}
	if u, ok := impl.(interface{ Unreferenced() }); ok && hook == nil {
		hook = u.Unreferenced
	}
	if hook == nil || n.base.Err() != nil {
		return
	}
	go n.tellUser("Unreferenced", id, hook) // ends when the hook returns: nobody waits for user code
}

// tellUser runs user code that a panic of which is only reported.
func (n *Node) tellUser(what string, id ObjectID, hook func()) {
	defer func() {
		if p := recover(); p != nil {
			n.report(n.cfg.log.Error, "panic in "+what, "object", id.String(), "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
		}
	}()
	hook()
}

// graves remembers why objects are gone, for the last of them: first in, first out, so that the memory is bounded.
type graves struct {
	why   map[ObjectID]Reason
	order []ObjectID // a ring once it has graveyard entries
	next  int
}

const graveyard = 4096

func (g *graves) bury(id ObjectID, why Reason) {
	if g.why == nil {
		g.why = map[ObjectID]Reason{}
	}
	if len(g.order) < graveyard {
		g.order = append(g.order, id)
	} else {
		delete(g.why, g.order[g.next])
		g.order[g.next] = id
		g.next = (g.next + 1) % graveyard
	}
	g.why[id] = why
}

func (g *graves) reason(id ObjectID) Reason {
	if why, ok := g.why[id]; ok {
		return why
	}
	return NeverExisted
}

// IsPinned reports whether the object is exported until Unexport.
func (n *Node) IsPinned(id ObjectID) bool {
	n.exports.mu.RLock()
	defer n.exports.mu.RUnlock()
	e := n.exports.byID[id]
	return e != nil && e.pinned != nil
}

// Idle returns an object that lives only while somebody holds it and runs no call; nil otherwise.
func (n *Node) Idle(id ObjectID) any {
	n.exports.mu.RLock()
	defer n.exports.mu.RUnlock()
	e := n.exports.byID[id]
	if e == nil || e.pinned != nil || e.active.Load() > 0 {
		return nil
	}
	return e.object()
}

// Exports returns how many objects the node exports.
func (n *Node) Exports() int {
	n.exports.mu.RLock()
	defer n.exports.mu.RUnlock()
	return len(n.exports.byID)
}

// ExportedAt returns where the object was exported, as far as Options.TraceExports tells.
func (n *Node) ExportedAt(impl any) string {
	if e := n.exports.find(impl); e != nil {
		return n.traces.at(e)
	}
	return ""
}
