package refs

import (
	"time"

	"github.com/rmigo/rmigo/internal/wire"
)

// Collector decides how long exports live, and keeps the owners of remote objects informed of who holds them; package gc implements
// it. The node tells it what happens. Its methods are called from the paths that calls take, without locks: they must not block or
// run user code.
type Collector interface {
	// Connected tells of a connection to the peer within a generation of the association. What happens on the connection goes to the
	// Line. Nil: this is not the generation that goes on, and the connection is to be closed.
	Connected(peer ProcessID, g Generation, c Carrier) Line
	// Current returns the association's generation, if it goes on, and the last batch of the peer's that was applied in it; else 0.
	Current(peer ProcessID) (generation, applied uint64)
	// Keep has the association not forgotten for having no connection and no use, until release is called: a handshake resumes it.
	Keep(peer ProcessID) (release func())
	// Wanted reports whether the association has to go on, so that a lost connection is to be restored.
	Wanted(peer ProcessID) bool
	// Imported tells that the process has a new handle of the object, the local-th of all.
	Imported(id ID, local uint64)
	// Dropped tells that the local-th handle is there no more: it was garbage collected, or released.
	Dropped(id ID, local uint64, released bool)
	// Secured has f called once the object's owner knows that this process holds it (0) or has no such object (why); at once where
	// that is known.
	Secured(id ID, f func(why Reason))
	// Missing tells that the owner has answered a call through the local-th handle with that it has no such object.
	Missing(id ID, local uint64, why Reason)
	// Withdrawn tells that an object of this process is exported no longer.
	Withdrawn(id ObjectID, why Reason)
	// Orphaned tells the same of one that ended as Unexported when its owner was found to be garbage. As it is a cleanup that tells, the
	// collector may take no more than a note, as for Dropped.
	Orphaned(id ObjectID)
	// Left tells that the peer has said that it ends, and has no connection any more; Replaced, that another process answers at all its
	// endpoints.
	Left(peer ProcessID)
	Replaced(peer ProcessID)
	// Close stops everything.
	Close()
}

// Generation is what two processes have agreed on when they met.
type Generation struct {
	Number  uint64
	Fresh   bool   // it begins, unless another connection has begun it
	Applied uint64 // the last batch of this side's that the peer has applied in it
}

// Line is what the collector is told of one connection.
type Line interface {
	// Sent tells that a reference to id goes into the message, which is about to be sent: keep is to stay alive until the receiver has
	// secured it. Where it can not be kept, the error says why, and the message must not be sent.
	Sent(m Message, id ID, keep any) *Error
	// Renumbered tells that what was to be sent as one message, with that many references, on another connection maybe, goes on this
	// one as another. False: they are not all kept alive any more, and the message must not be sent.
	Renumbered(from, to Message, references int) bool
	// Unsent tells that the message was not sent.
	Unsent(m Message)
	// Arrived tells of a message that the sender wants acknowledged, as soon as it is there. False: this connection is lost for both
	// sides, and the message with it.
	Arrived(m Message) bool
	// Received tells of a reference to another process's object in a message that has arrived, once there is a handle, the local-th.
	Received(m Message, id ID, local uint64)
	// Done tells that all references of a message that has arrived are received, or that it will not be looked at.
	Done(m Message)
	// Batch tells of what the peer's collector says; an error is a breach of the protocol.
	Batch(b wire.Batch) error
	// Lost tells that the connection is over.
	Lost()
	// Epoch tells generations apart, also those of a peer that was forgotten in between and counts from 1 again.
	Epoch() uint64
}

// Carrier is what a Line does with its connection. Its methods do not block.
type Carrier interface {
	Carry(b wire.Batch)
	Ping()
	Heard() time.Time // when the peer was heard last
	Fail(*Error)
}

// Host is what a Collector may ask of its node. Its methods do not block. All but Lookup are called without the collector's locks.
type Host interface {
	// Lookup returns an object of this node, or why there is none.
	Lookup(id ObjectID) (impl any, why Reason)
	// Kill makes calls through the local-th handle, if it is still there, fail.
	Kill(id ID, local uint64, why Reason)
	// Reconsider tells that Wanted has changed.
	Reconsider(peer ProcessID)
	// Expired tells that the lease with the peer has run out, or that it has ended.
	Expired(peer ProcessID, why error)
	// Unreferenced tells that nobody outside holds the object any more, after somebody did, or after it was
	// returned to somebody who may have died or given up before that was heard.
	Unreferenced(id ObjectID, impl any)
}

// Message names a message that carried a reference, the same on both sides of a connection: the call's number and the direction. Who
// called is known by the direction and by who sent it.
type Message struct {
	Call   uint64
	Result bool // the reply rather than the call

	face   *Face // and method, for Method: known to the sender only
	method uint64
}

// Method names the method that the message belongs to, such as "bank.Bank.Open"; "" where that is not known.
func (m Message) Method() string {
	if m.face == nil {
		return ""
	}
	return m.face.methodName(m.method)
}

// What package gc needs of the protocol.
type (
	Batch      = wire.Batch
	Gone       = wire.Gone
	MessageKey = wire.MessageKey
)

// keepAll is the Collector of a node without one, and its Lines: everything exported stays alive.
type keepAll struct{}

func (k keepAll) Connected(ProcessID, Generation, Carrier) Line { return k }
func (keepAll) Current(ProcessID) (uint64, uint64)              { return 0, 0 }
func (keepAll) Keep(ProcessID) func()                           { return func() {} }
func (keepAll) Wanted(ProcessID) bool                           { return false }
func (keepAll) Imported(ID, uint64)                             {}
func (keepAll) Dropped(ID, uint64, bool)                        {}
func (keepAll) Secured(_ ID, f func(Reason))                    { f(0) }
func (keepAll) Missing(ID, uint64, Reason)                      {}
func (keepAll) Withdrawn(ObjectID, Reason)                      {}
func (keepAll) Orphaned(ObjectID)                               {}
func (keepAll) Left(ProcessID)                                  {}
func (keepAll) Replaced(ProcessID)                              {}
func (keepAll) Close()                                          {}
func (keepAll) Sent(Message, ID, any) *Error                    { return nil }
func (keepAll) Renumbered(Message, Message, int) bool           { return true }
func (keepAll) Unsent(Message)                                  {}
func (keepAll) Arrived(Message) bool                            { return true }
func (keepAll) Received(Message, ID, uint64)                    {}
func (keepAll) Done(Message)                                    {}
func (keepAll) Batch(wire.Batch) error                          { return nil }
func (keepAll) Lost()                                           {}

// BatchRoom is how much the lists of a Batch may hold, in bytes by its Size.
const BatchRoom = wire.BatchRoom

// Epoch implements Line.
func (keepAll) Epoch() uint64 { return 0 }
