// Package model is the protocol of distributed garbage collection in small, and an explorer that visits everything that can happen
// in it. It is for tests, and for whoever wants to know why a rule is there: each can be taken out, and the explorer tells the
// shortest story of what goes wrong without it.
//
//	m := model.Model{Objects: 1, Bounds: model.Bounds{Send: 1}, Without: []model.Rule{model.Pins}}
//	fmt.Println(m.Explore(2, 1_000_000))
//
//	  1  O passes X to A as argument of call 1
//	  2  O collects X
//	     S2: a reference to X is in flight to A, but the object is collected though nothing failed
//
// # The protocol
//
// An owner lists who holds its objects. A process that gets a reference to another's object queues DIRTY for the owner, and CLEAN
// when its stub was garbage collected and no reference arrived while that lingered. Until the DIRTY is acknowledged the entry is
// PENDING, then HELD; GONE from the owner makes it DEAD. Nobody waits: a stub can be used at once, because whoever passes a reference
// pins the object, or its stub of it, until the receiver acknowledges the message (XACK). The receiver does so
//
//   - to the owner, behind the DIRTY, in the same stream;
//   - to an introducer, who passed a third party's object, when the owner has acknowledged the DIRTY, or has no such object, or
//     cannot be reached (nack);
//   - at once, if the object is its own: the reference has come home.
//
// A pin belongs to one message, which is a call, and a direction: argument or result. A caller that gives up a call acknowledges the
// result that it will not read, and the callee remembers that, running or not yet there. When a connection breaks, calls fail, and
// each side asks what became of its pins (XQUERY).
//
// Ops go by a stream for each direction that outlives connections: reliable, in order. A session of two processes has one
// generation, for both directions and both roles. Who takes the peer's lease for run out begins the next one, drops what the
// peer held and what was pinned for it, and queues OPEN and then DIRTY for every stub of the peer's objects. The peer does the
// same when it reads that OPEN. References are passed only when the peer's OPEN was read; messages, ops and acks of
// another generation are dropped.
//
// # Invariants
//
//   - S1: an entry that is HELD, whose stub is reachable, and whose session's generation both sides agree on, is the
//     owner's: the object is there, and lists the holder.
//   - S2: if no lease ran out, nobody crashed, gave an introduction up or unexported, every stub, pinned stub and reference in
//     flight has its object. Connections may break.
//   - S3: a reference that comes home finds its object. This is S2 for references in flight to the owner.
//   - S4: nothing of an older generation changes anything behind an OPEN. It is what OneGeneration, AckOfGeneration
//     and BatchOfGeneration say, and S1 and L1 fail without.
//   - S5: an id stands for one object for ever. Ids are given, but for NewID: the process that crashes stays away.
//   - L1: at rest there are no pins, obligations or holders left over, and what no application holds is collected.
//   - L2: at rest every stub is HELD and listed, or DEAD and its object gone; sessions of living processes are open. A stub is
//     DEAD only if its object is gone, at any time.
//
// A state is at rest when no event of the protocol can happen in it, whatever applications and faults could still do; and every event
// of the protocol makes a number smaller (see potential), so that it comes to rest from every state, in whatever order things happen.
// That number is checked at each event.
//
// # What is in a Model
//
// Three processes, O, A and C, and one or two objects, X and Y, of the same owner or of two. Applications pass references
// in arguments and results between any two processes, third parties' and back home included, give up calls, and drop what they hold,
// at any time. Connections break between any two, and each side notices when it does: what the broken one still holds may be
// read or lost. Leases run out, rightly and wrongly, on either side of any two. Processes crash and stay away. Owners unexport,
// introduction timeouts run out, messages cannot be decoded. How often, Bounds says. Messages overtake each other and ops at will.
//
// Three things stand for more than they seem:
//
//   - A control stream is a queue of ops that the receiver takes from the front. Acks stand in the opposite queue where the receiver
//     applied the DIRTY, and may be read later than that but not earlier, nor in another generation. Link has what this stands
//     for: numbered batches, acks, connections, generations; and shows that it keeps the promise.
//   - A stub that was collected and one whose cleanup has run are one state, lingering: what tells them apart is whether the cleanup of
//     a stub that was replaced still runs, and it does nothing (CleanupGeneration). CLEANING is an entry that is
//     absent while its CLEAN is in the queue. With Coarse, a stub is lingering as soon as nothing reaches it; it may stay so as
//     long as it likes.
//   - A call runs from when its request is accepted to when it returns. It holds nothing: what it works on is the application's,
//     a root or a stub, and can be dropped while it runs, which is worse than what happens.
//
// States that differ only in the names of processes, objects or calls are counted once. States are kept whole, none are
// told apart by hashes alone.
//
// # What is not
//
// Time, and so leases that are renewed, stalls and clocks (D4, D11); tokens (D2); goroutines and locks (D15); cycles (D13); BYE, which is
// an expiry that is announced; pins of streams, which are pins of calls by another name; a crashed process that comes back, which
// is another process.
package model
