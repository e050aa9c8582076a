package refs

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/rmigo/rmigo/internal/wire"
)

// exports is the table of objects that may be called from outside.
//
// Invariants: an id is in byID at most once and never comes back once removed; an implementation is in the table at most
// once, whatever the number of its interfaces. mu guards both maps and each export's faces and table; no user code runs
// under it. active counts running calls and is changed only by acquire (under the read lock, so never after removal) and
// release.
type exports struct {
	mu     sync.RWMutex
	byID   map[ObjectID]*export
	byImpl map[implKey]*export
	graves graves
}

// implKey is an implementation's identity. The type is part of it, since a struct and its first field share an address. All
// pointers to one zero-size type are one key: Go does not tell such pointers apart.
type implKey struct {
	typ     reflect.Type
	pointer any
}

type export struct {
	id     ObjectID
	key    implKey
	impl   any
	faces  []*Face
	table  *wire.Table            // of all its interfaces: two of them may share a method
	filter atomic.Pointer[Filter] // for the arguments of its calls

	active atomic.Int64
	gone   atomic.Bool
	floor  int64         // Unexport waits until active is no more than this; set before gone
	idle   chan struct{} // closed then; made before gone is set
	once   sync.Once
}

func keyOf(impl any) (implKey, error) {
	v := reflect.ValueOf(impl)
	if impl == nil {
		return implKey{}, &Error{Op: "export", Kind: ErrNotPointer, NotRun: true, Err: errors.New("nil: there is no object")}
	}
	if v.Kind() != reflect.Pointer {
		return implKey{}, &Error{Op: "export", Kind: ErrNotPointer, NotRun: true,
			Err: fmt.Errorf("%T: identity needs an address: export a *%[1]T", impl)}
	}
	if v.IsNil() {
		return implKey{}, &Error{Op: "export", Kind: ErrNotPointer, NotRun: true, Err: fmt.Errorf("nil %T", impl)}
	}
	if v.Type().Elem().Size() == 0 {
		return implKey{typ: v.Type()}, nil
	}
	return implKey{v.Type(), impl}, nil
}

// Export makes impl callable from outside through d and returns its reference. It stays so until Unexport. An object that is
// exported already keeps its id, and gains the interface if it is a new one.
func (n *Node) Export(d Descriptor, impl any) (Ref, error) {
	return n.ExportAt(newID(), d, impl)
}

// ExportAt is Export with a given id for an object that has none yet; well-known objects are exported so. It fails if another
// object has the id, or the object another well-known one.
func (n *Node) ExportAt(id ObjectID, d Descriptor, impl any) (Ref, error) {
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
	e, err := n.exports.add(id, f, impl, false)
	if err != nil {
		return Ref{}, err
	}
	return n.refOfExport(e, nil), nil
}

// admits returns the filter of the object's own, or nil.
func (e *export) admits() Filter {
	if f := e.filter.Load(); f != nil {
		return *f
	}
	return nil
}

// ExportWith is Export with options, which hold for the object whichever of its interfaces it is called through. Exporting it
// again with others replaces them.
func (n *Node) ExportWith(o ExportOptions, d Descriptor, impl any) (Ref, error) {
	ref, err := n.Export(d, impl)
	if e := n.exports.find(impl); err == nil && e != nil && o.Filter != nil {
		e.filter.Store(&o.Filter)
	}
	return ref, err
}

// add exports impl through f. An object that is exported by being passed must have an identity of its own, or be there already.
func (t *exports) add(id ObjectID, f *Face, impl any, passed bool) (*export, error) {
	key, err := keyOf(impl)
	if err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.byImpl[key]
	switch {
	case id.WellKnown() && (e != nil && e.id != id || t.byID[id] != nil && t.byID[id] != e):
		return nil, &Error{Op: "export", Kind: ErrAlreadyBound, NotRun: true,
			Err: errors.New("this node has another object at that well-known id, or the object is exported under another id")}
	case e == nil && passed && key.pointer == nil:
		return nil, &Error{Op: "export", Kind: ErrNotPointer, NotRun: true, Err: fmt.Errorf(
			"%T: the implementation is not a pointer that tells one object from another, since what it points to has size zero: "+
				"give the type a field, or Export the object before it is passed", impl)}
	case e == nil:
		e = &export{id: id, key: key, impl: impl}
		t.byID[id], t.byImpl[key] = e, e
	}
	if !slices.Contains(e.faces, f) {
		if len(e.faces) == maxInterfaces {
			return nil, &Error{Op: "export", Kind: ErrLimit, NotRun: true, Err: fmt.Errorf("an object has at most %d interfaces", maxInterfaces)}
		}
		if e.table, err = tableOf(append(e.faces, f)); err != nil {
			return nil, &Error{Op: "export", NotRun: true, Err: err}
		}
		e.faces = append(e.faces, f)
	}
	return e, nil
}

// tableOf is the table for messages of an object with these interfaces.
func tableOf(faces []*Face) (*wire.Table, error) {
	if len(faces) == 1 {
		return faces[0].table, nil
	}
	var types []Type
	for _, f := range faces {
		types = append(types, entries(f.Descriptor)...)
	}
	return wire.NewTable(builtinTypes(), types)
}

// acquire finds the object and counts a call on it, to be ended by release. It returns with it the interface that has the method,
// or nil, and the object's table.
func (t *exports) acquire(id ObjectID, method uint64) (*export, *Face, *wire.Table, Reason) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	e := t.byID[id]
	if e == nil {
		return nil, nil, nil, t.graves.reason(id)
	}
	e.active.Add(1)
	return e, e.face(method), e.table, 0
}

// face returns the first interface that has the method, or nil. The table's mu is held.
func (e *export) face(method uint64) *Face {
	for _, f := range e.faces {
		if f.methods[method] != nil {
			return f
		}
	}
	return nil
}

func (e *export) release() {
	if e.active.Add(-1) <= e.floorIfGone() {
		e.once.Do(func() { close(e.idle) })
	}
}

func (e *export) floorIfGone() int64 {
	if e.gone.Load() {
		return e.floor
	}
	return -1
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
	key, err := keyOf(impl)
	if err != nil {
		return nil
	}
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.byImpl[key]
}

// get returns the export with the id, or why there is none.
func (t *exports) get(id ObjectID) (*export, Reason) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if e := t.byID[id]; e != nil {
		return e, 0
	}
	return nil, t.graves.reason(id)
}

// Unexport withdraws the object: calls that come from now on end in ErrNoSuchObject with the reason Unexported. It returns
// once those under way have ended; when ctx ends first, it cancels them and returns ctx's error. A call that withdraws its
// own object is not waited for. Withdrawing an object that is not exported is ErrNoSuchObject.
func (n *Node) Unexport(ctx context.Context, impl any) error {
	e := n.exports.find(impl)
	if e == nil {
		return &Error{Op: "unexport", Kind: ErrNoSuchObject, NotRun: true, Err: fmt.Errorf("this %T is not exported by this node", impl)}
	}
	var own int64
	if in := incomingFrom(ctx); in != nil && in.export.Load() == e {
		own = 1
	}
	if !n.exports.remove(e, own) {
		return &Error{Op: "unexport", Kind: ErrNoSuchObject, Reason: Unexported, NotRun: true}
	}
	if e.active.Load() <= own {
		return nil
	}
	select {
	case <-e.idle:
		return nil
	case <-ctx.Done():
		n.cancelCalls(e, &Error{Op: "unexport", Kind: ErrNoSuchObject, Reason: Unexported})
		return &Error{Op: "unexport", Err: contextError(ctx)}
	}
}

func (t *exports) remove(e *export, floor int64) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.byID[e.id] != e {
		return false
	}
	delete(t.byID, e.id)
	delete(t.byImpl, e.key)
	t.graves.bury(e.id, Unexported)
	e.floor, e.idle = floor, make(chan struct{})
	e.gone.Store(true)
	return true
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
