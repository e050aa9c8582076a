// Package gc decides how long exported objects live: until the last process that holds one has dropped it, has ended, or has not
// been heard of for a lease. It implements refs.Collector, which the node tells of every reference that leaves, arrives or is
// dropped; programs see it as the lifetime of what they pass, and through Stats and Holders of a node.
//
// Owners list who holds what. A process that gets a reference tells the owner so (DIRTY) without anybody waiting for it: until the
// owner knows, whoever sent the reference keeps the object alive, which ends with the receiver's acknowledgement. A process that
// has dropped the last handle of an object says so too (CLEAN). Both travel in numbered batches between the two collectors, which
// arrive once and in order whatever becomes of connections. One lease stands for all that two processes hold of each other, and
// whatever is heard of the peer renews it, so that an idle pair costs the same however many references it has.
//
// The protocol is that of docs/PROTOCOL.md; package internal/model explores it exhaustively in small.
//
// Guarantees:
//
//  1. An object lives as long as a process that is not given up holds it, or a message that carries it is under way.
//  2. What nobody holds is collected, whatever got lost on the way, once faults cease.
//  3. A reference is used for calls as soon as it has arrived; learning of it, holding it and dropping it cost no round trip.
//  4. Every handle of a living process is known to its owner in the end, or says why its object is gone.
//  5. A process that was stopped for longer than its lease does not give up its peers for that.
//  6. Cycles between processes are not collected.
package gc
