package gc

import (
	"slices"
	"testing"
	"testing/synctest"

	"github.com/rmigo/rmigo/internal/leak"
	"github.com/rmigo/rmigo/refs"
)

func TestABatchIsAppliedOnceAndInItsTurn(t *testing.T) {
	leak.Check(t)
	for _, c := range []struct {
		name              string
		seq               uint64
		next, due, breach bool
	}{
		{"a mere acknowledgement", 0, false, false, false},
		{"one from long ago", 3, false, true, false},
		{"the last one again", 5, false, true, false},
		{"the next one", 6, true, true, false},
		{"one beyond the next", 7, false, false, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := fifo{applied: 5}
			next, err := f.take(c.seq)
			if next != c.next || (err != nil) != c.breach || f.ackDue != c.due {
				t.Errorf("applied: %v, acknowledged: %v, refused: %v; want %v, %v, %v", next, f.ackDue, err, c.next, c.due, c.breach)
			}
			if want := max(5, c.seq); next && f.applied != want || !next && f.applied != 5 {
				t.Errorf("after it, batch %d was applied last", f.applied)
			}
		})
	}
}

func TestALateDuplicateOfADirtyHoldsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, a := newProcess(t, 1, Options{}), newProcess(t, 2, Options{})
		ow, aw := connect(t, o, a, fresh)
		id, _ := o.export(7)
		a.Imported(id, 1)
		dirty := aw.sent()
		pump(t, ow, aw)
		a.Dropped(id, 1, true)
		pump(t, ow, aw)
		for _, b := range dirty {
			if err := ow.line.Batch(b); err != nil {
				t.Fatal(err)
			}
		}
		if s := o.Stats(); len(dirty) != 1 || s.Held != 0 {
			t.Errorf("after a duplicate of %+v the owner has %+v", dirty, s)
		}
	})
}

func TestAnAcknowledgementOfWhatWasNeverSentIsABreach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, a := newProcess(t, 1, Options{}), newProcess(t, 2, Options{})
		ow, aw := connect(t, o, a, fresh)
		id, _ := o.export(7)
		a.Imported(id, 1)
		pump(t, ow, aw)
		if err := aw.line.Batch(refs.Batch{Generation: 1, Ack: 1}); err != nil {
			t.Errorf("what was acknowledged before: %v", err)
		}
		if aw.line.Batch(refs.Batch{Generation: 1, Ack: 2}) == nil {
			t.Error("batch 2 was acknowledged, and there was only one")
		}
	})
}

func TestWhatIsSentAgainIsAsItWas(t *testing.T) {
	leak.Check(t)
	var f fifo
	for i := range 3 {
		f.queue.hold(refs.ObjectID{byte(i)}, true)
		f.applied++
		f.flush(1)
	}
	f.applied = 9 // acknowledged by none of them: there may be GONE in what answers
	var got []uint64
	for _, b := range f.resume(1) {
		got = append(got, b.Seq, b.Ack)
	}
	if want := []uint64{2, 2, 3, 3}; !slices.Equal(got, want) {
		t.Errorf("numbers and acknowledgements are %v, want %v", got, want)
	}
}

func TestAHandshakeAcknowledgesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, a := newProcess(t, 1, Options{}), newProcess(t, 2, Options{})
		ow, aw := connect(t, o, a, fresh)
		id := o.own(7) // which is not there
		a.Imported(id, 1)
		aw.sent()
		deliver(t, aw, ow)
		ow.sent() // says that it is gone, and is lost
		var told []refs.Reason
		a.Secured(id, func(why refs.Reason) { told = append(told, why) })
		ow.line.Lost()
		aw.line.Lost()
		_, applied := o.Current(a.id)
		next, back := &wire{}, &wire{}
		next.line = a.Connected(o.id, refs.Generation{Number: 1, Applied: applied}, next)
		if applied != 1 || len(told) != 0 {
			t.Fatalf("the handshake says that batch %d was applied, and the holder takes the object for %v", applied, told)
		}
		back.line = o.Connected(a.id, refs.Generation{Number: 1}, back)
		pump(t, next, back)
		if !slices.Equal(told, []refs.Reason{refs.Collected}) {
			t.Errorf("the holder is told %v, want that the object is gone", told)
		}
	})
}

func TestWhatTheNewestConnectionCarriedGoesByAnOlderOneWhenThatIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, a := newProcess(t, 1, Options{}), newProcess(t, 2, Options{})
		ow, aw := connect(t, o, a, fresh)
		_, newest := connect(t, o, a, refs.Generation{Number: 1})
		id, _ := o.export(7)
		a.Imported(id, 1)
		if len(newest.sent()) != 1 || len(aw.sent()) != 0 {
			t.Fatal("batches do not go by the newest connection alone")
		}
		newest.line.Lost()
		pump(t, ow, aw)
		if len(o.Holders(id.Object)) != 1 {
			t.Error("the owner does not know what the lost connection carried")
		}
	})
}

func TestManyThingsAreSentWithoutWaitingForMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, a := newProcess(t, 1, Options{}), newProcess(t, 2, Options{})
		_, aw := connect(t, o, a, fresh)
		for i := range manyQueued {
			if len(aw.queue) != 0 {
				t.Fatalf("after %d things a batch is sent", i)
			}
			a.Imported(refs.ID{Process: o.id, Object: refs.ObjectID{byte(i), 1}}, uint64(i+1))
		}
		if len(aw.queue) != 1 || len(aw.queue[0].Dirty) != manyQueued {
			t.Errorf("after %d things, %d batches are sent; want one with all", manyQueued, len(aw.queue))
		}
	})
}

func TestAHandleThatComesAndGoesAtOnceIsNeverTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, a := newProcess(t, 1, Options{}), newProcess(t, 2, Options{})
		_, aw := connect(t, o, a, fresh)
		id, _ := o.export(7)
		a.Imported(id, 1)
		a.Dropped(id, 1, true)
		if sent := aw.sent(); len(sent) != 0 {
			t.Errorf("the owner is told %+v", sent)
		}
	})
}

func TestManyIdsGoIntoAsManyBatchesAsTheyNeed(t *testing.T) {
	leak.Check(t)
	var f fifo
	const n = 5000
	for i := range n {
		f.queue.hold(refs.ObjectID{byte(i), byte(i >> 8)}, i%3 > 0)
		f.queue.acks = append(f.queue.acks, refs.MessageKey{Call: uint64(i)})
	}
	ids, acks := 0, 0
	for _, b := range f.flush(1) {
		if b.Size() > refs.BatchRoom {
			t.Fatalf("a batch takes %d bytes", b.Size())
		}
		if acks += len(b.Acks); acks > 0 && ids+len(b.Dirty)+len(b.Clean) < n {
			t.Fatal("an acknowledgement comes before what it stands for")
		}
		ids += len(b.Dirty) + len(b.Clean)
	}
	if ids != n || acks != n {
		t.Errorf("%d ids and %d acknowledgements went into batches, want %d each", ids, acks, n)
	}
}

func TestWhatIsGoneGoesAheadOfTheAcknowledgementOfWhoHolds(t *testing.T) {
	leak.Check(t)
	var f fifo
	f.applied = 3 // of which the last batches were of objects that are all gone
	const n = 3000
	for i := range n {
		f.queue.gone = append(f.queue.gone, refs.Gone{Object: refs.ObjectID{byte(i), byte(i >> 8)}})
	}
	gone := 0
	for _, b := range f.flush(1) {
		if gone += len(b.Gone); b.Ack != 0 && gone < n {
			t.Fatalf("batch %d is acknowledged with %d of %d objects told to be gone", b.Ack, gone, n)
		}
	}
	if gone != n || f.said != 3 {
		t.Errorf("%d objects are told to be gone, and batch %d is acknowledged; want all, and 3", gone, f.said)
	}
}

func TestAQueueForgetsWhatWasCancelled(t *testing.T) {
	leak.Check(t)
	var q queue
	id := func(i int) refs.ObjectID { return refs.ObjectID{byte(i), byte(i >> 8), byte(i >> 16)} }
	q.hold(id(0), true)
	for i := range 100_000 {
		q.hold(id(i+1), true)
		q.cancel(id(i + 1))
	}
	for i := range 10 {
		q.hold(id(i), i != 5)
	}
	if len(q.order) > 100 {
		t.Errorf("a queue of %d things remembers %d", q.len(), len(q.order))
	}
	b := q.take()
	if len(b.Dirty) != 9 || len(b.Clean) != 1 || b.Clean[0] != id(5) || !q.empty() || q.order != nil {
		t.Errorf("it gives %v and %v, and has %v left; want nine and one", b.Dirty, b.Clean, q)
	}
	q.hold(id(1), true)
	if q.cancel(id(1)); q.order != nil {
		t.Error("an empty queue remembers something")
	}
}
