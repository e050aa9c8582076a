package gc

import (
	"slices"
	"time"

	"github.com/rmigo/rmigo/refs"
)

// Stats is a collector's account: what there is now, and what there was since the node was made.
type Stats struct {
	Peers    int    // associations with other processes
	Held     int    // own objects that other processes hold, or that are on their way to them
	Holding  int    // objects of other processes that this one holds
	Pins     int    // messages with references that their receivers have not acknowledged
	Owed     int    // messages with references that this process has not acknowledged
	Queued   int    // batches that peers have not acknowledged, and what has gone into none
	Sent     uint64 // references that left inside messages
	Received uint64 // references to third processes' and the sender's objects that arrived inside messages
	Dropped  uint64 // handles that were garbage collected or released
}

// Stats returns the account.
func (c *Collector) Stats() (s Stats) {
	c.event(func(t *table) {
		s = c.counts
		s.Peers, s.Held = len(t.associations), len(t.objects.m)
		for _, a := range t.associations {
			s.Holding += len(a.entries)
			s.Pins += len(a.pins)
			s.Owed += len(a.owed)
			s.Queued += len(a.unacked) + a.queue.len()
		}
	})
	return s
}

// Held returns an object of this process for which which holds and that others hold or that is on its way to them, with a channel that
// is closed when that has ended or is Pinned; none where there is no such object. which is called with locks held. Once the collector is
// closed, open is false.
func (c *Collector) Held(which func(refs.ObjectID) bool) (gone <-chan struct{}, open bool) {
	c.event(func(t *table) {
		open = true
		for id, x := range t.objects.m {
			if which(id) {
				if t.objects.waiting[x] == nil {
					t.objects.waiting[x] = make(chan struct{})
				}
				gone = t.objects.waiting[x]
				return
			}
		}
	})
	return gone, open
}

// Pinned tells that an object of this process lives for good from now on, whoever holds it.
func (c *Collector) Pinned(id refs.ObjectID) {
	c.event(func(t *table) {
		if x := t.objects.m[id]; x != nil {
			t.objects.tell(x)
		}
	})
}

// Holder is a process that holds an object.
type Holder struct {
	Process refs.ProcessID
	For     time.Duration // how long it has
	Method  string        // of the call that brought the reference there, such as "bank.Bank.Open"; "" where another process handed it on
	Call    uint64        // that call's number
}

// Holders returns who holds the object of this process, the longest first.
func (c *Collector) Holders(id refs.ObjectID) (out []Holder) {
	c.event(func(t *table) {
		x := t.objects.m[id]
		if x == nil {
			return
		}
		for _, h := range x.holders() {
			one := Holder{Process: h.by.peer, For: t.now - h.since}
			if h.via != nil {
				one.Method, one.Call = h.via.message.Method(), h.via.message.Call
			}
			out = append(out, one)
		}
	})
	slices.SortFunc(out, func(a, b Holder) int { return int(min(1, max(-1, b.For-a.For))) })
	return out
}

// HeldFor returns the objects of this process that some other process has held for d or longer.
func (c *Collector) HeldFor(d time.Duration) (out []refs.ObjectID) {
	c.event(func(t *table) {
		for id, x := range t.objects.m {
			if x.heldFor(t.now) >= d && x.held() {
				out = append(out, id)
			}
		}
	})
	return out
}

// heldFor is for how long some process has held the object; 0 where none does.
func (x *object) heldFor(now time.Duration) (longest time.Duration) {
	for _, h := range x.holders() {
		longest = max(longest, now-h.since)
	}
	return longest
}
