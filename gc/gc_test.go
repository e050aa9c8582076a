package gc

import (
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rmigo/rmigo/refs"
)

// process is a node as a collector sees it.
type process struct {
	*Collector
	mu      sync.Mutex // of all below it
	id      refs.ProcessID
	objects map[refs.ObjectID]any
	killed  map[refs.ObjectID]refs.Reason
	free    []refs.ObjectID // objects that nobody holds any more
	expired []refs.ProcessID
	gone    refs.Reason // why objects that are not there are gone
}

func newProcess(t *testing.T, id byte, o Options) *process {
	p := &process{id: refs.ProcessID{id}, objects: map[refs.ObjectID]any{}, killed: map[refs.ObjectID]refs.Reason{}, gone: refs.Collected}
	if o.Lease == 0 {
		o.Lease = time.Minute
	}
	if o.Quota == 0 {
		o.Quota = 1000
	}
	p.Collector = New(p.id, p, o)
	t.Cleanup(p.Close)
	return p
}

func (p *process) Lookup(id refs.ObjectID) (any, refs.Reason) {
	if impl := p.objects[id]; impl != nil {
		return impl, 0
	}
	return nil, p.gone
}
func (p *process) Kill(id refs.ID, _ uint64, why refs.Reason) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.killed[id.Object] = why
}
func (p *process) Reconsider(refs.ProcessID) {}
func (p *process) Expired(peer refs.ProcessID, _ error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.expired = append(p.expired, peer)
}
func (p *process) Unreferenced(id refs.ObjectID, _ any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.free = append(p.free, id)
}

// freed is what nobody holds any more.
func (p *process) freed() []refs.ObjectID {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.free)
}

// givenUp is how many peers were, and dead why the handle of an object is.
func (p *process) givenUp() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.expired)
}

func (p *process) dead(id refs.ID) refs.Reason {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.killed[id.Object]
}
func (p *process) own(object byte) refs.ID {
	return refs.ID{Process: p.id, Object: refs.ObjectID{object}}
}
func (p *process) export(object byte) (id refs.ID, impl any) {
	id = p.own(object)
	impl = new(int)
	p.objects[id.Object] = impl
	return
}

// wire is one end of a connection: what is carried by it waits until it is delivered.
type wire struct {
	mu      sync.Mutex // of all below it
	line    refs.Line
	queue   []refs.Batch
	failed  *refs.Error
	silent  bool
	heardAt time.Time
	pings   int
}

func (w *wire) Carry(b refs.Batch) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.queue = append(w.queue, b)
}
func (w *wire) Ping() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pings++
}
func (w *wire) Heard() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.silent {
		return w.heardAt
	}
	return time.Now()
}
func (w *wire) Fail(why *refs.Error) { w.failed = why }

// silence ends what is heard by the connection.
func (w *wire) silence() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.silent, w.heardAt = true, time.Now()
}

// connect joins two processes.
func connect(t *testing.T, a, b *process, g refs.Generation) (at, bt *wire) {
	t.Helper()
	at, bt = &wire{heardAt: time.Now()}, &wire{heardAt: time.Now()}
	at.line, bt.line = a.Connected(b.id, g, at), b.Connected(a.id, g, bt)
	if at.line == nil || bt.line == nil {
		t.Fatal("a connection was refused")
	}
	return at, bt
}

var fresh = refs.Generation{Number: 1, Fresh: true}

// pump delivers what is due, both ways, until nothing is.
func pump(t *testing.T, a, b *wire) {
	t.Helper()
	for range 10 {
		time.Sleep(2 * settleTime)
		synctest.Wait()
		deliver(t, a, b)
		deliver(t, b, a)
	}
}

func deliver(t *testing.T, from, to *wire) {
	t.Helper()
	from.mu.Lock()
	batches := from.queue
	from.queue = nil
	from.mu.Unlock()
	for _, b := range batches {
		if err := to.line.Batch(b); err != nil {
			t.Fatal(err)
		}
	}
}

// sent is what waits to be delivered.
func (w *wire) sent() []refs.Batch {
	time.Sleep(2 * settleTime)
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.queue)
}

// carry sends a reference in a message, whose arrival and end are for the test.
func carry(t *testing.T, from, to *wire, m refs.Message, id refs.ID, keep any) {
	t.Helper()
	if from.line.Sent(m, id, keep) != nil || !to.line.Arrived(m) {
		t.Fatal("the message was refused")
	}
}

func receive(p *process, w *wire, m refs.Message, id refs.ID, local uint64) {
	p.Imported(id, local)
	w.line.Received(m, id, local)
	w.line.Done(m)
}

func TestASenderPinsUntilTheReceiverIsListed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, a := newProcess(t, 1, Options{}), newProcess(t, 2, Options{})
		ow, aw := connect(t, o, a, fresh)
		id, impl := o.export(7)
		m := refs.Message{Call: 1, Result: true}
		carry(t, ow, aw, m, id, impl)
		pump(t, ow, aw)
		if s := o.Stats(); s.Held != 1 || s.Pins != 1 || len(o.Holders(id.Object)) != 0 {
			t.Fatalf("before it is read, the owner has %+v; want a pin and no holder", s)
		}
		receive(a, aw, m, id, 1)
		time.Sleep(2 * settleTime)
		synctest.Wait()
		if len(aw.queue) != 1 || len(aw.queue[0].Dirty) != 1 || len(aw.queue[0].Acks) != 1 {
			t.Fatalf("the receiver said %+v, want DIRTY and the acknowledgement in one batch", aw.queue)
		}
		pump(t, ow, aw)
		if s := o.Stats(); s.Held != 1 || s.Pins != 0 || len(o.Holders(id.Object)) != 1 {
			t.Fatalf("the owner has %+v; want a holder and no pin", s)
		}
		a.Dropped(id, 1, false)
		time.Sleep(Linger + 10*time.Millisecond)
		pump(t, ow, aw)
		if s := o.Stats(); s.Held != 0 || len(o.freed()) != 1 {
			t.Errorf("after the drop the owner has %+v and told %v", s, o.freed())
		}
	})
}

func TestAnIntroducerPinsUntilTheOwnerHasConfirmed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, a, c := newProcess(t, 1, Options{}), newProcess(t, 2, Options{}), newProcess(t, 3, Options{})
		ow, cw := connect(t, o, c, fresh)
		aw, cwa := connect(t, a, c, fresh)
		id, _ := o.export(7)
		m := refs.Message{Call: 1}
		a.Imported(id, 1)
		carry(t, aw, cwa, m, id, "handle")
		receive(c, cwa, m, id, 1)
		for range 5 { // the owner is not heard
			time.Sleep(2 * settleTime)
			synctest.Wait()
			deliver(t, aw, cwa)
			deliver(t, cwa, aw)
		}
		if a.Stats().Pins != 1 {
			t.Fatal("the introducer let go before the owner knew of the new holder")
		}
		pump(t, ow, cw)
		pump(t, aw, cwa)
		if s := a.Stats(); s.Pins != 0 || len(o.Holders(id.Object)) != 1 {
			t.Errorf("after the owner confirmed, the introducer has %+v", s)
		}
	})
}

func TestAnIntroducerWaitsForALeaseAtMost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, c := newProcess(t, 2, Options{}), newProcess(t, 3, Options{})
		aw, cw := connect(t, a, c, fresh)
		id := refs.ID{Process: refs.ProcessID{9}, Object: refs.ObjectID{7}} // whose process is nowhere
		m := refs.Message{Call: 1}
		carry(t, aw, cw, m, id, "handle")
		receive(c, cw, m, id, 1)
		time.Sleep(55 * time.Second)
		pump(t, aw, cw)
		if a.Stats().Pins != 1 {
			t.Fatal("the pin went before the lease was over")
		}
		time.Sleep(15 * time.Second)
		pump(t, aw, cw)
		if a.Stats().Pins != 0 {
			t.Error("the pin outlives the lease")
		}
	})
}

func TestWhatALostConnectionCarriedIsAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, a := newProcess(t, 1, Options{}), newProcess(t, 2, Options{})
		ow, aw := connect(t, o, a, fresh)
		lost, impl := o.export(7)
		kept, impl2 := o.export(8)
		late, there := refs.Message{Call: 1, Result: true}, refs.Message{Call: 2, Result: true}
		ow.line.Sent(late, lost, impl) // it never arrives
		carry(t, ow, aw, there, kept, impl2)
		ow.line.Lost()
		ow2, aw2 := connect(t, o, a, refs.Generation{Number: 1})
		pump(t, ow2, aw2)
		if s := o.Stats(); s.Pins != 1 {
			t.Fatalf("%d messages are pinned, want the one that arrived", s.Pins)
		}
		if aw.failed == nil || aw.line.Arrived(late) {
			t.Error("the lost message may still arrive by the old connection, after it was said that it will not")
		}
		receive(a, aw2, there, kept, 1)
		pump(t, ow2, aw2)
		if s := o.Stats(); s.Pins != 0 || s.Held != 1 {
			t.Errorf("the owner has %+v", s)
		}
	})
}

func TestBatchesAreSentAgainOverTheNextConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, a := newProcess(t, 1, Options{}), newProcess(t, 2, Options{})
		ow, aw := connect(t, o, a, fresh)
		first, _ := o.export(6)
		a.Imported(first, 1)
		pump(t, ow, aw)
		id, _ := o.export(7)
		a.Imported(id, 2)
		time.Sleep(2 * settleTime)
		synctest.Wait() // DIRTY has left, and is lost
		ow.line.Lost()
		aw.line.Lost()
		ow2, aw2 := connect(t, o, a, refs.Generation{Number: 1})
		pump(t, ow2, aw2)
		if len(o.Holders(id.Object)) != 1 || a.Stats().Queued != 0 {
			t.Errorf("the owner knows of %v", o.Holders(id.Object))
		}
	})
}

func TestAnAssociationIsNotForgottenWhileAHandshakeResumesIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, a := newProcess(t, 1, Options{}), newProcess(t, 2, Options{})
		ow, aw := connect(t, o, a, fresh)
		release := o.Keep(a.id)
		ow.line.Lost()
		aw.line.Lost()
		if g, _ := o.Current(a.id); g != 1 {
			t.Errorf("generation %d was promised to go on, and is %d", 1, g)
		}
		back := &wire{}
		if back.line = o.Connected(a.id, refs.Generation{Number: 1}, back); back.line == nil {
			t.Fatal("a connection that resumes it is refused")
		}
		back.line.Lost()
		release()
		if g, _ := o.Current(a.id); g != 0 || o.Stats().Peers != 0 {
			t.Errorf("generation %d of an association without any use goes on", g)
		}
		o.Keep(a.id)() // of one that there is not
	})
}

func TestAnAcknowledgementThatIsLostIsMadeAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, a := newProcess(t, 1, Options{}), newProcess(t, 2, Options{})
		ow, aw := connect(t, o, a, fresh)
		id, _ := o.export(7)
		a.Imported(id, 1)
		time.Sleep(2 * settleTime)
		synctest.Wait()
		deliver(t, aw, ow)
		time.Sleep(2 * settleTime)
		synctest.Wait() // the owner knows, and what it has answered is lost
		ow.line.Lost()
		aw.line.Lost()
		_, applied := o.Current(a.id)
		next := &wire{}
		next.line = a.Connected(o.id, refs.Generation{Number: 1, Applied: applied}, next)
		back := &wire{}
		back.line = o.Connected(a.id, refs.Generation{Number: 1}, back)
		told := make(chan refs.Reason, 1)
		a.Secured(id, func(why refs.Reason) { told <- why })
		pump(t, next, back)
		select {
		case why := <-told:
			if why != 0 {
				t.Errorf("the object is %v", why)
			}
		default:
			t.Error("the holder never learns that its owner knows")
		}
	})
}

func TestAnAnswerToAnEarlierDirtyIsNotForTheNextHandle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, a := newProcess(t, 1, Options{Quota: 1}), newProcess(t, 2, Options{})
		ow, aw := connect(t, o, a, fresh)
		other, _ := o.export(8)
		a.Imported(other, 1)
		pump(t, ow, aw)
		id, _ := o.export(7)
		a.Imported(id, 2) // one too many
		time.Sleep(2 * settleTime)
		synctest.Wait()
		deliver(t, aw, ow)
		a.Dropped(id, 2, true)
		a.Dropped(other, 1, true)
		a.Imported(id, 3)
		pump(t, ow, aw)
		if why := a.dead(id); why != 0 || len(o.Holders(id.Object)) != 1 {
			t.Errorf("the new handle is dead (%v), or not listed: %v", why, o.Holders(id.Object))
		}
	})
}

func TestAHandleThatIsMadeAgainBeforeItsCleanLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, a := newProcess(t, 1, Options{}), newProcess(t, 2, Options{})
		ow, aw := connect(t, o, a, fresh)
		id, _ := o.export(7)
		a.Imported(id, 1)
		pump(t, ow, aw)
		a.Dropped(id, 1, true) // CLEAN is queued,
		a.Imported(id, 2)      // DIRTY takes its place,
		a.Dropped(id, 2, true) // and is taken back
		pump(t, ow, aw)
		if n := len(o.Holders(id.Object)); n != 0 || o.Stats().Held != 0 {
			t.Errorf("%d processes hold what was dropped", n)
		}
	})
}

func TestALateDropIsNotTheNewHandles(t *testing.T) {
	for name, released := range map[string]bool{"of a handle that is garbage": false, "of one that was released": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o, a := newProcess(t, 1, Options{}), newProcess(t, 2, Options{})
				ow, aw := connect(t, o, a, fresh)
				id, _ := o.export(7)
				a.Imported(id, 1)
				a.Imported(id, 2)
				a.Dropped(id, 1, released) // is told after the second was made
				time.Sleep(2 * Linger)
				pump(t, ow, aw)
				if len(o.Holders(id.Object)) != 1 {
					t.Error("the object was given up though there is a handle")
				}
			})
		})
	}
}

func TestAReleasedHandleThatIsUnderWayStaysRegistered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, a, c := newProcess(t, 1, Options{}), newProcess(t, 2, Options{}), newProcess(t, 3, Options{})
		ow, aw := connect(t, o, a, fresh)
		ac, ca := connect(t, a, c, fresh)
		id, _ := o.export(7)
		a.Imported(id, 1)
		pump(t, ow, aw)
		m := refs.Message{Call: 1}
		carry(t, ac, ca, m, id, "handle")
		a.Dropped(id, 1, true)
		pump(t, ow, aw)
		if len(o.Holders(id.Object)) != 1 {
			t.Fatal("the object was given up while a message carried it")
		}
		ca.line.Done(m)
		pump(t, ac, ca)
		pump(t, ow, aw)
		if len(o.Holders(id.Object)) != 0 {
			t.Error("the object is held after the message was acknowledged")
		}
	})
}

func TestALeaseEndsBothRolesAndTheNextGenerationBeginsWithWhatIsHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, a := newProcess(t, 1, Options{}), newProcess(t, 2, Options{})
		ow, aw := connect(t, o, a, fresh)
		lives, _ := o.export(7)
		dies, _ := o.export(8)
		back, _ := a.export(9)
		a.Imported(lives, 1)
		a.Imported(dies, 2)
		o.Imported(back, 1)
		pump(t, ow, aw)
		ow.silence()
		aw.silence()
		time.Sleep(60*time.Second - time.Minute/8)
		synctest.Wait()
		if o.givenUp() != 0 {
			t.Fatal("the lease ended early")
		}
		time.Sleep(2 * time.Minute / 8)
		synctest.Wait()
		if o.givenUp() != 1 || a.givenUp() != 1 || ow.failed == nil || o.Stats().Held != 0 || a.Stats().Held != 0 {
			t.Fatalf("after a lease of silence, the owner has given up %d and has %+v", o.givenUp(), o.Stats())
		}
		delete(o.objects, dies.Object)
		if o.Connected(a.id, refs.Generation{Number: 1}, &wire{}) != nil {
			t.Error("a generation that is over was resumed")
		}
		ow2, aw2 := connect(t, o, a, refs.Generation{Number: 2, Fresh: true})
		pump(t, ow2, aw2)
		if len(o.Holders(lives.Object)) != 1 || len(a.Holders(back.Object)) != 1 {
			t.Error("what is held was not registered again, in both directions")
		}
		if a.dead(dies) != refs.LeaseExpired || a.dead(lives) != 0 {
			t.Errorf("dead are %v and %v; want the one that did not survive, with its lease expired", a.dead(dies), a.dead(lives))
		}
		if ow.line.Sent(refs.Message{Call: 5}, lives, "x") == nil {
			t.Error("a message of the old generation took a reference")
		}
	})
}

func TestAPeerThatGaveThisProcessUpIsLeftALeaseToSayWhatItHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, a := newProcess(t, 1, Options{}), newProcess(t, 2, Options{})
		ow, aw := connect(t, o, a, fresh)
		stays, _ := o.export(7)
		goes, _ := o.export(8)
		comes, impl := o.export(9)
		a.Imported(stays, 1)
		a.Imported(goes, 2)
		m := refs.Message{Call: 1, Result: true}
		carry(t, ow, aw, m, comes, impl)
		pump(t, ow, aw)
		a.Imported(comes, 3) // of the message, while the next generation begins
		a.Dropped(goes, 2, true)

		ow, aw = connect(t, o, a, refs.Generation{Number: 2, Fresh: true})
		if s := o.Stats(); s.Held != 3 || s.Pins != 0 || len(o.freed()) != 0 {
			t.Fatalf("before the peer has said what it holds, the owner has %+v and freed %v", s, o.freed())
		}
		pump(t, ow, aw)
		if s := o.Stats(); s.Held != 3 {
			t.Fatalf("while the peer may say more, the owner has %+v", s)
		}
		time.Sleep(time.Minute - time.Minute/8)
		synctest.Wait()
		if len(o.freed()) != 0 {
			t.Fatalf("within the lease %v is free", o.freed())
		}
		time.Sleep(2 * time.Minute / 8)
		synctest.Wait()
		if s := o.Stats(); s.Held != 2 || len(o.freed()) != 1 || o.freed()[0] != goes.Object || len(o.Holders(comes.Object)) != 1 {
			t.Errorf("a lease later the owner has %+v, and freed %v; want two that are held", s, o.freed())
		}
		a.Dropped(comes, 3, true)
		pump(t, ow, aw)
		if s := o.Stats(); s.Held != 1 || len(o.freed()) != 2 {
			t.Errorf("after a drop the owner has %+v, and freed %v", s, o.freed())
		}
	})
}

func TestWhatIsReturnedAndNotHeldIsFreedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, a := newProcess(t, 1, Options{}), newProcess(t, 2, Options{})
		ow, aw := connect(t, o, a, fresh)
		id, impl := o.export(7)
		passed, argument := o.export(8)
		carry(t, ow, aw, refs.Message{Call: 1, Result: true}, id, impl) // and is lost
		carry(t, ow, aw, refs.Message{Call: 2}, passed, argument)
		connect(t, o, a, refs.Generation{Number: 2, Fresh: true})
		o.Left(a.id)
		if s := o.Stats(); s.Held != 0 || len(o.freed()) != 1 || o.freed()[0] != id.Object {
			t.Errorf("after its end the owner has %+v, and freed %v; want nothing held, and told of what was returned", s, o.freed())
		}
	})
}

func TestAMessageGoesOnAsAnotherOnlyWithAllItsReferences(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, a := newProcess(t, 1, Options{}), newProcess(t, 2, Options{})
		ow, aw := connect(t, o, a, fresh)
		x, ximpl := o.export(7)
		y, yimpl := o.export(8)
		kept, _ := o.export(9)
		a.Imported(kept, 1) // or the association would be over with the connection
		pump(t, ow, aw)
		first, second := refs.Message{Call: 1}, refs.Message{Call: 2}
		if why := ow.line.Sent(first, x, ximpl); why != nil {
			t.Fatal(why)
		}
		ow.line.Lost()
		aw.line.Lost()
		old := ow
		ow, aw = connect(t, o, a, refs.Generation{Number: 1})
		if !ow.line.Renumbered(first, second, 1) {
			t.Fatal("at once, nothing can have been let go of")
		}
		if why := old.line.Sent(first, y, yimpl); why != nil {
			t.Fatal(why)
		}
		pump(t, ow, aw) // the peer says that it has no message 1
		if s := o.Stats(); s.Held != 2 || s.Pins != 1 {
			t.Fatalf("the owner has %+v, want the pin of the second message", s)
		}
		if ow.line.Renumbered(first, refs.Message{Call: 3}, 1) {
			t.Error("a message whose pins are gone went on as another one")
		}
		if why := old.line.Sent(first, x, ximpl); why != nil {
			t.Fatal(why)
		}
		if ow.line.Renumbered(first, refs.Message{Call: 3}, 2) {
			t.Error("a message with one of its two references pinned went on as another one")
		}
	})
}

func TestAPeerThatAcknowledgesNothingIsSentNoMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, a, c := newProcess(t, 1, Options{Quota: 3}), newProcess(t, 2, Options{}), newProcess(t, 3, Options{})
		ow, _ := connect(t, o, a, fresh)
		id, impl := o.export(7)
		foreign, _ := c.export(8)
		for n, id := range []refs.ID{id, foreign, id} {
			if why := ow.line.Sent(refs.Message{Call: uint64(n)}, id, impl); why != nil {
				t.Fatal(why)
			}
		}
		why := ow.line.Sent(refs.Message{Call: 4}, id, impl)
		if why == nil || why.Kind != refs.ErrLimit || !why.NotRun {
			t.Errorf("the fourth reference is refused with %v, want a limit", why)
		}
		ow.line.Unsent(refs.Message{Call: 1})
		if why := ow.line.Sent(refs.Message{Call: 5}, id, impl); why != nil {
			t.Errorf("after one was let go of: %v", why)
		}
	})
}

func TestAHandleEndsWhenItsOwnerSaysThatTheObjectIsMissing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, a := newProcess(t, 1, Options{}), newProcess(t, 2, Options{})
		ow, aw := connect(t, o, a, fresh)
		id, _ := o.export(7)
		a.Imported(id, 5)
		pump(t, ow, aw)
		a.Missing(id, 4, refs.Unexported) // of an earlier handle
		if a.dead(id) != 0 {
			t.Fatal("a later handle was ended")
		}
		a.Missing(id, 5, refs.Unexported)
		if s := a.Stats(); a.dead(id) != refs.Unexported || s.Holding != 0 {
			t.Errorf("the handle is dead because %v, and the holder has %+v", a.dead(id), s)
		}
	})
}
