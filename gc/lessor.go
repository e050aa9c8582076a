package gc

import (
	"maps"
	"slices"
	"time"

	"github.com/rmigo/rmigo/refs"
)

// objects are this process's objects that others hold, or that are on their way to them: each is alive for that. An object is here
// exactly while it has a holder or a pin.
type objects struct {
	m            map[refs.ObjectID]*object
	waiting      map[*object]chan struct{} // closed when the object leaves, or nobody need wait for that any more
	unreferenced func(refs.ObjectID, any)  // nobody holds it any more
}

// object is one of them. impl keeps it alive.
type object struct {
	impl   any
	first  holder                  // the one there is as a rule; or none
	others map[*association]holder // any more
	pins   int32
	listed bool     // somebody held it since it came here, or it was returned to somebody, who may have dropped it at once
	sent   *sending // the last message that carried it
}

// holder is an association whose peer holds the object.
type holder struct {
	by    *association // nil: there is no holder
	since time.Duration
	via   *sending // the message that brought it there; nil: another process handed it on
}

// held reports whether anybody holds the object.
func (x *object) held() bool { return x.first.by != nil || len(x.others) > 0 }

// holders returns those who hold the object.
func (x *object) holders() (all []holder) {
	if x.first.by != nil {
		all = append(all, x.first)
	}
	return slices.AppendSeq(all, maps.Values(x.others))
}

// add adds a holder.
func (x *object) add(h holder) {
	switch {
	case x.first.by == nil:
		x.first = h
	case x.others == nil:
		x.others = map[*association]holder{h.by: h}
	default:
		x.others[h.by] = h
	}
}

// remove takes a holder out.
func (x *object) remove(by *association) {
	if x.first.by == by {
		x.first = holder{}
		return
	}
	delete(x.others, by)
}

// sending is a message that has carried own objects to a peer: the same for all of them.
type sending struct {
	to      *association
	message refs.Message
}

// lessor is the owner's part of one association: which objects the peer holds, and the messages to it whose references it has not
// secured.
type lessor struct {
	holds  map[refs.ObjectID]struct{}
	pins   map[key]*pin
	pinned int // references in pins

	// What the peer held, or may have received, in an earlier generation that only the peer has ended: it may be about to say that it
	// still holds it. It is kept like what is held, until due by the lease clock.
	former map[refs.ObjectID]struct{}
	due    time.Duration
}

// key names a message within one direction of an association.
type key struct {
	call   uint64
	result bool
}

func keyOf(m refs.Message) key { return key{m.Call, m.Result} }

// pin keeps what a message refers to until the receiver has secured it.
type pin struct {
	line *line // that the message goes by; nil once that is lost
	refs []pinned
	sent *sending // nil until an own object is among them
}

// pinned is one of them: an own object, or a handle.
type pinned struct {
	id     refs.ObjectID
	object *object
	handle any
	owner  *association // of what the handle is of
	entry  *entry       // there, if there was one
}

// pin adds an own object to what the message keeps alive.
func (o *objects) pin(id refs.ObjectID, impl any, p *pin, by *association, m refs.Message) {
	x := o.m[id]
	if x == nil {
		x = &object{impl: impl}
		o.m[id] = x
	}
	x.pins++
	x.listed = x.listed || m.Result
	if p.sent == nil {
		p.sent = &sending{by, m}
	}
	x.sent = p.sent
	p.refs = append(p.refs, pinned{id: id, object: x})
}

// unpin ends the pin of an own object.
func (o *objects) unpin(r pinned) {
	r.object.pins--
	o.release(r.id, r.object)
}

// release forgets an object that nobody holds and that is not on its way to anybody.
func (o *objects) release(id refs.ObjectID, x *object) {
	if x.held() || x.pins > 0 || o.m[id] != x {
		return
	}
	delete(o.m, id)
	o.tell(x)
	if x.listed {
		o.unreferenced(id, x.impl)
	}
}

// tell lets go of those who wait for the end of the object.
func (o *objects) tell(x *object) {
	if gone := o.waiting[x]; gone != nil {
		close(gone)
		delete(o.waiting, x)
	}
}

// dirty makes the peer a holder of the object.
func (o *objects) dirty(a *association, id refs.ObjectID, impl any, now time.Duration) {
	x := o.m[id]
	if x == nil {
		x = &object{impl: impl}
		o.m[id] = x
	}
	delete(a.former, id)
	o.keep(a, id, x, now)
	x.listed = true
}

// keep adds the peer to the object's holders.
func (o *objects) keep(a *association, id refs.ObjectID, x *object, now time.Duration) {
	if _, held := a.holds[id]; held {
		return
	}
	h := holder{by: a, since: now}
	if x.sent != nil && x.sent.to == a {
		h.via = x.sent
	}
	a.holds[id] = struct{}{}
	x.add(h)
}

// retain makes all that the peer holds, or may have received, former: a lease is left to it to say what it holds.
func (o *objects) retain(a *association) {
	t := a.table
	for _, p := range a.pins {
		for _, r := range p.refs {
			if r.object != nil && o.m[r.id] == r.object {
				o.keep(a, r.id, r.object, t.now)
			}
		}
	}
	a.former = make(map[refs.ObjectID]struct{}, len(a.holds))
	for id := range a.holds {
		a.former[id] = struct{}{}
	}
	a.due = t.clock.now + t.lease
}

// lapse ends the holding of what is former still.
func (o *objects) lapse(a *association) {
	for id := range a.former {
		o.clean(a, id)
	}
	a.former = nil
	a.touched()
}

// clean takes the peer out of the object's holders.
func (o *objects) clean(a *association, id refs.ObjectID) {
	if _, held := a.holds[id]; !held {
		return
	}
	delete(a.holds, id)
	delete(a.former, id)
	x := o.m[id]
	x.remove(a)
	o.release(id, x)
}

// withdraw ends all holding of an object that is exported no longer, and returns whose it was.
func (o *objects) withdraw(id refs.ObjectID) (holders []*association) {
	x := o.m[id]
	if x == nil {
		return nil
	}
	for _, h := range x.holders() {
		holders = append(holders, h.by)
	}
	x.listed, x.impl = false, nil
	for _, a := range holders {
		o.clean(a, id)
	}
	return holders
}
