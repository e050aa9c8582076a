package gc

import (
	"time"

	"github.com/rmigo/rmigo/refs"
)

// lessee is the holder's part of one association: the peer's objects that this process holds, and the messages from the peer whose
// references are not all secured.
type lessee struct {
	entries map[refs.ObjectID]*entry
	owed    map[key]*obligation
}

// state is how far a remote object is registered with its owner.
type state uint8

// What becomes of an entry:
//
//	(none)            a handle is made                → pending    DIRTY
//	pending           the owner has applied DIRTY     → held       those who wait are told
//	pending, held     the owner says GONE             → (none)     the handle is dead; those who wait are told
//	held              the same, of a name             → pending    DIRTY, for another object may have the name
//	pending, held     the handle is dropped           → lingering
//	lingering         a handle is made                → pending or held, as before
//	lingering         Linger is over                  → (none)     CLEAN
//	pending, held     the association begins anew     → pending    DIRTY
//	lingering         the association begins anew     → (none)
//
// A handle that is made after CLEAN was queued begins again: its DIRTY comes behind, and the sender's pin covers the gap.
const (
	pending state = iota
	held
)

// entry is a remote object that this process holds.
type entry struct {
	local    uint64 // the latest handle
	seq      uint64 // of the batch with its DIRTY; 0: in none yet
	state    state
	linger   bool // the handle was dropped
	released bool // and is not waited for
	lapsed   bool // it was held in an earlier generation
	again    bool // its DIRTY took the place of a CLEAN that had not left
	pins     int  // messages that carry it and are not acknowledged
	waiting  []waiter
}

// waiter waits for an entry to be secured: a message that brought it, or somebody else.
type waiter struct {
	message *obligation
	tell    func(why refs.Reason)
}

// secured tells those who wait that the owner knows of this holder, or why it has no such object.
func (e *entry) secured(why refs.Reason) {
	waiting := e.waiting
	e.waiting = nil
	for _, w := range waiting {
		if w.message == nil {
			w.tell(why)
			continue
		}
		o := w.message
		o.left--
		o.unsafe = o.unsafe || why != 0
		o.settle()
	}
}

// orphaned reports whether the object came from a process that no longer keeps it alive for this one.
func (e *entry) orphaned() bool {
	for _, w := range e.waiting {
		if w.message != nil && w.message.void {
			return true
		}
	}
	return false
}

// obligation is a message that has arrived and is to be acknowledged once its references are safe.
type obligation struct {
	from   *association
	key    key
	left   int  // references to third processes' objects that their owners do not know of yet
	done   bool // all references are known
	unsafe bool // one could not be secured
	void   bool // the generation it belongs to is over, or it is acknowledged
	since  time.Duration
}

// settle acknowledges the message if that is due.
func (o *obligation) settle() {
	if o.void || !o.done || o.left > 0 {
		return
	}
	o.void = true
	delete(o.from.owed, o.key)
	o.from.fifo.queue.acks = append(o.from.fifo.queue.acks,
		refs.MessageKey{Call: o.key.call, Result: o.key.result, Unsafe: o.unsafe})
	o.from.touched()
}

// giveUp acknowledges the message though not all is secured: its sender has waited long enough.
func (o *obligation) giveUp() {
	o.left, o.done, o.unsafe = 0, true, true
	o.settle() // those entries find it void
}
