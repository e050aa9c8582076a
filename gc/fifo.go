package gc

import (
	"fmt"
	"slices"

	"github.com/rmigo/rmigo/refs"
)

// fifo is one association's reliable stream of what the two collectors tell each other, both directions: batches are numbered, applied
// in order and acknowledged, and those that are not are sent again over the next connection. It belongs to one generation.
//
// Within one connection batches neither overtake each other nor get lost, so that nothing is repeated on a timer.
type fifo struct {
	queue   queue
	made    uint64       // number of the last batch made
	unacked []refs.Batch // by number, without a gap, the last being made
	applied uint64       // the last batch of the peer's that was applied
	said    uint64       // the one that is acknowledged in what was made last
	ackDue  bool         // the peer does not know that yet
}

// queue is what has not gone into a batch. Of an object that is dropped and held again, or the other way round, the last counts:
// a batch is applied as a whole.
type queue struct {
	holds   map[refs.ObjectID]bool // dirty, or clean
	order   []refs.ObjectID        // of holds, as they were queued first; those that holds lacks were cancelled
	gone    []refs.Gone
	acks    []refs.MessageKey
	queries []refs.MessageKey
}

func (q *queue) hold(id refs.ObjectID, dirty bool) {
	_, there := q.holds[id]
	if q.holds == nil {
		q.holds = map[refs.ObjectID]bool{}
	}
	q.holds[id] = dirty
	if !there {
		q.order = append(q.order, id)
		q.tidy()
	}
}

// tidy forgets where things stood that were cancelled, once they are most of what there is, and those that were queued again since.
func (q *queue) tidy() {
	if len(q.order) < 64 || len(q.order) < 2*len(q.holds) {
		return
	}
	standing := make(map[refs.ObjectID]bool, len(q.holds))
	q.order = slices.DeleteFunc(q.order, func(id refs.ObjectID) bool {
		_, there := q.holds[id]
		gone := !there || standing[id]
		standing[id] = true
		return gone
	})
}

// cancel takes back what is queued about the object; it reports whether there was anything.
func (q *queue) cancel(id refs.ObjectID) bool {
	_, there := q.holds[id]
	delete(q.holds, id)
	if len(q.holds) == 0 {
		q.order = nil
	}
	return there
}

// revive takes back that the object is gone: there is another one of its name.
func (q *queue) revive(id refs.ObjectID) {
	if id.Named() {
		q.gone = slices.DeleteFunc(q.gone, func(g refs.Gone) bool { return g.Object == id })
	}
}

func (q *queue) empty() bool {
	return len(q.holds)+len(q.gone)+len(q.acks)+len(q.queries) == 0
}

// len is how many things are queued.
func (q *queue) len() int { return len(q.holds) + len(q.gone) + len(q.acks) + len(q.queries) }

// idle reports whether nothing is queued or unacknowledged.
func (f *fifo) idle() bool { return f.queue.empty() && len(f.unacked) == 0 }

// flush makes batches of what is queued, to be sent in this order: acknowledgements last, since they stand for what comes before
// them. A batch that leaves objects that are gone to later ones acknowledges nothing new: what it acknowledged might be the DIRTY for
// one of those. Where nothing is queued but an acknowledgement of batches is due, that is one of number 0.
func (f *fifo) flush(generation uint64) (out []refs.Batch) {
	for !f.queue.empty() {
		f.made++
		b := f.queue.take()
		if len(f.queue.gone) == 0 {
			f.said = f.applied
		}
		b.Generation, b.Seq, b.Ack = generation, f.made, f.said
		f.unacked = append(f.unacked, b)
		out = append(out, b)
	}
	if len(out) == 0 && f.ackDue {
		out = append(out, refs.Batch{Generation: generation, Ack: f.applied})
	}
	f.ackDue = false
	return out
}

// take moves as much of the queue into a batch as fits. Of what is acknowledged there is none in it before all that it stands for:
// where objects are left for want of room, there is no room for a key either.
func (q *queue) take() (b refs.Batch) {
	n := portion(len(q.gone), &b)
	b.Gone, q.gone = q.gone[:n:n], rest(q.gone, n)
	for len(q.order) > 0 && portion(1, &b) == 1 {
		id := q.order[0]
		q.order = rest(q.order, 1)
		dirty, there := q.holds[id]
		delete(q.holds, id)
		switch {
		case !there:
		case dirty:
			b.Dirty = append(b.Dirty, id)
		default:
			b.Clean = append(b.Clean, id)
		}
	}
	n = portion(len(q.acks), &b)
	b.Acks, q.acks = q.acks[:n:n], rest(q.acks, n)
	n = portion(len(q.queries), &b)
	b.Queries, q.queries = q.queries[:n:n], rest(q.queries, n)
	return b
}

// portion is how many of n more records b has room for, the largest kind of them taken for all.
func portion(n int, b *refs.Batch) int {
	const largest = len(refs.ObjectID{}) + 1
	return min(n, (refs.BatchRoom-b.Size())/largest)
}

// rest is list without its first n, and without their memory once nothing is left.
func rest[T any](list []T, n int) []T {
	if n == len(list) {
		return nil
	}
	return list[n:]
}

// resume returns the batches to be sent again over a new connection to a peer that has applied those up to seq.
func (f *fifo) resume(seq uint64) (out []refs.Batch) {
	for _, b := range f.unacked {
		if b.Seq > seq {
			out = append(out, b)
		}
	}
	return out
}

// take admits a batch of the peer's if it is the next one; one that was applied already is acknowledged again.
func (f *fifo) take(seq uint64) (next bool, err error) {
	switch {
	case seq == 0:
		return false, nil
	case seq <= f.applied:
		f.ackDue = true
		return false, nil
	case seq > f.applied+1:
		return false, fmt.Errorf("batch %d comes after batch %d", seq, f.applied)
	}
	f.applied, f.ackDue = seq, true
	return true, nil
}

// acked drops what the peer has applied, and returns it.
func (f *fifo) acked(seq uint64) (done []refs.Batch, err error) {
	if seq > f.made {
		return nil, fmt.Errorf("batch %d is acknowledged, the last one was %d", seq, f.made)
	}
	n := 0
	for n < len(f.unacked) && f.unacked[n].Seq <= seq {
		n++
	}
	done, f.unacked = f.unacked[:n:n], rest(f.unacked, n)
	return done, nil
}
