package gc

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/rmigo/rmigo/refs"
)

func TestABatchOfAnotherGenerationIsIgnored(t *testing.T) {
	for _, generation := range []uint64{1, 3} {
		synctest.Test(t, func(t *testing.T) {
			o, a := newProcess(t, 1, Options{}), newProcess(t, 2, Options{})
			ow, _ := connect(t, o, a, refs.Generation{Number: 2, Fresh: true})
			id, _ := o.export(7)
			b := refs.Batch{Generation: generation, Seq: 1, Dirty: [][16]byte{id.Object}}
			if err := ow.line.Batch(b); err != nil {
				t.Fatal(err)
			}
			if s := o.Stats(); s.Held != 0 {
				t.Errorf("in generation 2, a batch of generation %d made the owner have %+v", generation, s)
			}
			if b.Generation = 2; ow.line.Batch(b) != nil || o.Stats().Held != 1 {
				t.Errorf("after it, batch 1 of generation 2 is not applied")
			}
		})
	}
}

func TestWhatOldConnectionsCarryIsNotReadInANewGeneration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, a := newProcess(t, 1, Options{}), newProcess(t, 2, Options{})
		ow, aw := connect(t, o, a, fresh)
		id, _ := o.export(7)
		connect(t, o, a, refs.Generation{Number: 2, Fresh: true})
		if aw.line.Arrived(refs.Message{Call: 1}) {
			t.Error("a message of the old generation has arrived")
		}
		if err := ow.line.Batch(refs.Batch{Generation: 2, Seq: 1, Dirty: [][16]byte{id.Object}}); err != nil || o.Stats().Held != 0 {
			t.Errorf("a batch by a connection of the old generation: %v, and the owner has %+v", err, o.Stats())
		}
		if ow.failed == nil || ow.line.Epoch() == 0 {
			t.Error("the connection of the old generation goes on")
		}
	})
}

func TestAGenerationBeginsWhereNoneGoesOn(t *testing.T) {
	for _, c := range []struct {
		name    string
		over    bool // generation 5
		g       refs.Generation
		refused bool
	}{
		{"the one that goes on", false, refs.Generation{Number: 5}, false},
		{"the one that goes on, begun by another connection", false, refs.Generation{Number: 5, Fresh: true}, false},
		{"the next", false, refs.Generation{Number: 6, Fresh: true}, false},
		{"an earlier one", false, refs.Generation{Number: 4, Fresh: true}, true},
		{"the next, said to go on", false, refs.Generation{Number: 6}, true},
		{"one that is over", true, refs.Generation{Number: 5}, true},
		{"the next after it", true, refs.Generation{Number: 6, Fresh: true}, false},
		{"the first of a peer that has forgotten this process", true, refs.Generation{Number: 1, Fresh: true}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o, a := newProcess(t, 1, Options{}), newProcess(t, 2, Options{})
				back, _ := a.export(9)
				o.Imported(back, 1)
				ow, _ := connect(t, o, a, refs.Generation{Number: 5, Fresh: true})
				if c.over {
					ow.silence()
					time.Sleep(70 * time.Second)
					synctest.Wait()
				}
				if refused := o.Connected(a.id, c.g, &wire{heardAt: time.Now()}) == nil; refused != c.refused {
					t.Errorf("refused: %v, want %v", refused, c.refused)
				}
			})
		})
	}
}

func TestTheEndOfAGenerationEndsTheHoldersRoleToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, a, c := newProcess(t, 1, Options{}), newProcess(t, 2, Options{}), newProcess(t, 3, Options{})
		ow, aw := connect(t, o, a, fresh)
		ca, ac := connect(t, c, a, fresh)
		id, _ := o.export(7)
		a.Imported(id, 1)
		pump(t, ow, aw)
		aw.silence()
		time.Sleep(70 * time.Second)
		synctest.Wait()
		told := 0
		a.Secured(id, func(refs.Reason) { told++ })
		m := refs.Message{Call: 1}
		carry(t, ca, ac, m, id, "handle")
		receive(a, ac, m, id, 1)
		if n := len(ac.sent()); told != 0 || n != 0 {
			t.Fatalf("a handle of a generation that is over passes for held: %d told, %d batches to who passed it on", told, n)
		}
		ow, aw = connect(t, o, a, refs.Generation{Number: 2, Fresh: true})
		if told != 0 {
			t.Fatal("it passes for held before the owner has said so")
		}
		pump(t, ow, aw)
		if told != 1 || len(o.Holders(id.Object)) != 1 || len(ac.sent()) != 1 {
			t.Errorf("in the next generation, %d are told, and the owner knows of %v", told, o.Holders(id.Object))
		}
	})
}

func TestWhatLingersIsNotRegisteredAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, a := newProcess(t, 1, Options{}), newProcess(t, 2, Options{})
		ow, aw := connect(t, o, a, fresh)
		id, _ := o.export(7)
		a.Imported(id, 1)
		pump(t, ow, aw)
		a.Dropped(id, 1, false)
		ow, aw = connect(t, o, a, refs.Generation{Number: 2, Fresh: true})
		if s := a.Stats(); s.Holding != 0 {
			t.Errorf("the holder has %+v", s)
		}
		for _, b := range aw.sent() {
			if len(b.Dirty) > 0 {
				t.Errorf("the owner is told that %d are held", len(b.Dirty))
			}
		}
		pump(t, ow, aw)
	})
}

// listens is a process that looks at its collector's lock whenever it is told something.
type listens struct {
	*process
	locked int
}

func (p *listens) look() {
	if !p.Collector.mu.TryLock() {
		p.locked++
		return
	}
	p.Collector.mu.Unlock()
}
func (p *listens) Kill(id refs.ID, local uint64, why refs.Reason) {
	p.look()
	p.process.Kill(id, local, why)
}
func (p *listens) Reconsider(refs.ProcessID) { p.look() }
func (p *listens) Expired(peer refs.ProcessID, why error) {
	p.look()
	p.process.Expired(peer, why)
}
func (p *listens) Unreferenced(id refs.ObjectID, impl any) {
	p.look()
	p.process.Unreferenced(id, impl)
}

func TestTheNodeIsToldWithoutTheCollectorsLock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newProcess(t, 2, Options{})
		o := &listens{process: newProcess(t, 1, Options{})}
		o.Collector = New(o.id, o, Options{Lease: time.Minute, Quota: 1000})
		defer o.Close()
		ow, aw := connect(t, o.process, a, fresh)
		id, _ := o.export(7)
		missing := a.own(8)
		a.Imported(id, 1)
		o.Imported(missing, 1)
		pump(t, ow, aw)
		a.Dropped(id, 1, true)
		pump(t, ow, aw)
		o.Left(a.id)
		if len(o.freed()) != 1 || o.dead(missing) == 0 || o.givenUp() != 1 {
			t.Fatalf("the node is told of %d free objects, %d dead handles and %d peers given up; want one each",
				len(o.freed()), len(o.killed), o.givenUp())
		}
		if o.locked > 0 {
			t.Errorf("it was told %d times with the lock held: what it does then may take that lock", o.locked)
		}
	})
}

func TestMessagesOfAGenerationThatIsOverAreNotAcknowledged(t *testing.T) {
	for name, last := range map[string]time.Duration{"at once": 0, "after its acknowledgement was queued": settleTime / 2} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o, a := newProcess(t, 1, Options{}), newProcess(t, 2, Options{})
				ow, aw := connect(t, o, a, fresh)
				id, impl := o.export(7)
				m := refs.Message{Call: 1, Result: true}
				carry(t, ow, aw, m, id, impl)
				old := aw
				if last > 0 {
					old.line.Done(m)
					time.Sleep(last)
				}
				ow, aw = connect(t, o, a, refs.Generation{Number: 2, Fresh: true})
				if last == 0 {
					old.line.Done(m)
				}
				carry(t, ow, aw, m, id, impl) // one of the same number, in the next generation
				pump(t, ow, aw)
				if s := o.Stats(); s.Pins != 1 || s.Held != 1 {
					t.Fatalf("before it is read, the sender has %+v; want its pin", s)
				}
				aw.line.Done(m)
				pump(t, ow, aw)
				if s := o.Stats(); s.Pins != 0 {
					t.Errorf("after it was read, the sender has %+v", s)
				}
			})
		})
	}
}
