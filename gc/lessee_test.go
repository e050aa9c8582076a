package gc

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rmigo/rmigo/internal/leak"
	"github.com/rmigo/rmigo/refs"
)

func TestAReferenceThatComesBackWhileItLingersCostsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, a := newProcess(t, 1, Options{}), newProcess(t, 2, Options{})
		ow, aw := connect(t, o, a, fresh)
		id, _ := o.export(7)
		a.Imported(id, 1)
		pump(t, ow, aw)
		a.Dropped(id, 1, false)
		time.Sleep(Linger / 4)
		a.Imported(id, 2)
		time.Sleep(2 * Linger)
		if sent := aw.sent(); len(sent) != 0 || len(o.Holders(id.Object)) != 1 {
			t.Errorf("the owner is told %+v, and knows of %v", sent, o.Holders(id.Object))
		}
		ow, aw = connect(t, o, a, refs.Generation{Number: 2, Fresh: true})
		pump(t, ow, aw)
		if s := a.Stats(); s.Holding != 1 || o.Stats().Held != 1 {
			t.Errorf("in the next generation the holder has %+v; want the handle that came back", s)
		}
	})
}

func TestALingeringHandleIsGivenUpAfterItsOwnTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, a := newProcess(t, 1, Options{}), newProcess(t, 2, Options{})
		ow, aw := connect(t, o, a, fresh)
		id, _ := o.export(7)
		a.Imported(id, 1)
		pump(t, ow, aw)
		a.Dropped(id, 1, false)
		a.Stats() // an event, at which the drop is noticed
		time.Sleep(Linger/2 - 10*time.Millisecond)
		a.Imported(id, 2)
		a.Dropped(id, 2, false)
		a.Stats()
		time.Sleep(Linger / 4)
		if a.Stats().Holding != 1 {
			t.Error("the second handle is given up when the first one's time is over")
		}
		time.Sleep(Linger / 2)
		if a.Stats().Holding != 0 {
			t.Error("the second handle lingers on")
		}
	})
}

func TestHandlesMayBeToldOfInAnyOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, a := newProcess(t, 1, Options{}), newProcess(t, 2, Options{})
		ow, aw := connect(t, o, a, fresh)
		id, _ := o.export(7)
		a.Imported(id, 2)
		a.Imported(id, 1) // made before, told after
		pump(t, ow, aw)
		a.Dropped(id, 1, true)
		pump(t, ow, aw)
		if len(o.Holders(id.Object)) != 1 {
			t.Fatal("the object was given up with the earlier handle")
		}
		a.Dropped(id, 2, true)
		pump(t, ow, aw)
		if len(o.Holders(id.Object)) != 0 {
			t.Error("the object is held though the latest handle was dropped")
		}
	})
}

func TestAnObjectThatIsNotThereIsNotHeldForAMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, a := newProcess(t, 1, Options{}), newProcess(t, 2, Options{})
		ow, aw := connect(t, o, a, fresh)
		id := o.own(7)
		a.Imported(id, 1)
		var told []refs.Reason
		a.Secured(id, func(why refs.Reason) { told = append(told, why) })
		pump(t, ow, aw)
		if !slices.Equal(told, []refs.Reason{refs.Collected}) {
			t.Errorf("who waits is told %v; want once, that it is gone", told)
		}
	})
}

func TestAnAnswerIsNotForADirtyThatHasNotLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, a := newProcess(t, 1, Options{}), newProcess(t, 2, Options{})
		ow, aw := connect(t, o, a, fresh)
		id := o.own(7)
		a.Imported(id, 1)
		aw.sent()
		deliver(t, aw, ow)
		ow.sent() // says that it is gone
		a.Dropped(id, 1, true)
		o.export(7)
		a.Imported(id, 2) // its DIRTY is queued
		deliver(t, ow, aw)
		pump(t, ow, aw)
		if why := a.dead(id); why != 0 || len(o.Holders(id.Object)) != 1 {
			t.Errorf("the new handle is dead (%v), or not listed: %v", why, o.Holders(id.Object))
		}
	})
}

func TestAMessageThatNobodyReadsIsAcknowledgedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, a := newProcess(t, 1, Options{}), newProcess(t, 2, Options{})
		ow, aw := connect(t, o, a, fresh)
		id, impl := o.export(7)
		m := refs.Message{Call: 1, Result: true}
		carry(t, ow, aw, m, id, impl) // the result of a call that was given up
		aw.line.Done(m)
		aw.line.Done(m)
		acks := 0
		for _, b := range aw.sent() {
			acks += len(b.Acks)
		}
		pump(t, ow, aw)
		if s := o.Stats(); acks != 1 || s.Pins != 0 || s.Held != 0 {
			t.Errorf("it is acknowledged %d times, and the sender has %+v", acks, s)
		}
	})
}

func TestAReferenceThatCameHomeKeepsNobodyWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, a := newProcess(t, 1, Options{}), newProcess(t, 2, Options{})
		ow, aw := connect(t, o, a, fresh)
		id, _ := o.export(7)
		a.Imported(id, 1)
		m := refs.Message{Call: 1}
		carry(t, aw, ow, m, id, "handle")
		ow.line.Done(m) // the object itself was found: nothing is received
		if sent := ow.sent(); len(sent) != 1 || len(sent[0].Acks) != 1 || sent[0].Acks[0].Unsafe {
			t.Errorf("the sender is told %+v, want one acknowledgement", sent)
		}
	})
}

// introduced is a stub of an object that its owner does not know to be held, in c: a has passed it on.
func introduced(t *testing.T) (o, a, c *process, ac, ca *wire, id refs.ID) {
	o, a, c = newProcess(t, 1, Options{}), newProcess(t, 2, Options{}), newProcess(t, 3, Options{})
	ac, ca = connect(t, a, c, fresh)
	id = o.own(7)
	a.Imported(id, 1)
	m := refs.Message{Call: 1}
	carry(t, ac, ca, m, id, "handle")
	receive(c, ca, m, id, 1)
	return
}

func TestAnIntroducerIsToldThatAReferenceIsNotSafe(t *testing.T) {
	for _, c := range []struct {
		name string
		then func(t *testing.T, o, c *process)
	}{
		{"the owner has no such object", func(t *testing.T, o, c *process) {
			ow, cw := connect(t, o, c, fresh)
			pump(t, ow, cw)
		}},
		{"the owner has ended", func(_ *testing.T, o, c *process) { c.Left(o.id) }},
		{"another process has taken its place", func(_ *testing.T, o, c *process) { c.Replaced(o.id) }},
		{"the owner is not reached for a lease", func(*testing.T, *process, *process) { time.Sleep(70 * time.Second) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o, a, third, ac, ca, _ := introduced(t)
				if n := len(ca.sent()); n != 0 {
					t.Fatalf("before anything is known of the owner, %d batches are sent", n)
				}
				c.then(t, o, third)
				if sent := ca.sent(); len(sent) != 1 || len(sent[0].Acks) != 1 || !sent[0].Acks[0].Unsafe {
					t.Fatalf("the introducer is told %+v; want an acknowledgement that says so", sent)
				}
				pump(t, ac, ca)
				if s := a.Stats(); s.Pins != 0 {
					t.Errorf("the introducer has %+v", s)
				}
			})
		})
	}
}

func TestAStubWhoseIntroducerKeepsItNoLongerSaysSo(t *testing.T) {
	for name, lose := range map[string]func(a, c *process){
		"its process has ended":     func(a, c *process) { c.Left(a.id) },
		"it has waited for a lease": func(*process, *process) { time.Sleep(70 * time.Second) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o, a, c, _, _, id := introduced(t)
				lose(a, c)
				if c.Stats().Holding != 1 || c.dead(id) != 0 {
					t.Fatalf("the stub is given up with its introducer: %v", c.dead(id))
				}
				oc, co := connect(t, o, c, fresh) // and its owner has collected the object meanwhile
				pump(t, oc, co)
				if why := c.dead(id); why != refs.IntroducerLost {
					t.Errorf("the stub is dead with %v, want IntroducerLost", why)
				}
			})
		})
	}
}

func TestAStubWhoseIntroducerIsLostLivesOnWhereItsOwnerHasTheObject(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, a, c, _, _, id := introduced(t)
		o.export(7)
		c.Left(a.id)
		oc, co := connect(t, o, c, fresh)
		pump(t, oc, co)
		if why := c.dead(id); why != 0 || len(o.Holders(id.Object)) != 1 {
			t.Errorf("the stub is dead with %v, and the owner knows of %v", why, o.Holders(id.Object))
		}
	})
}

func TestAPeerHasABoundedNumberOfMessagesThatWaitForOthers(t *testing.T) {
	leak.Check(t)
	nobody := &process{id: refs.ProcessID{3}}
	table := newTable(nobody.id, nobody, time.Minute, 1000)
	a := table.associate(refs.ProcessID{2})
	l := a.connected(fresh, &wire{})
	id := refs.ID{Process: refs.ProcessID{9}, Object: refs.ObjectID{7}} // whose process is nowhere
	for n := range uint64(mostOwed + 1) {
		m := refs.Message{Call: n}
		a.arrived(l, m)
		a.received(m, id, 1)
		a.complete(m)
	}
	if acks := a.queue.acks; len(a.owed) != mostOwed || len(acks) != 1 || !acks[0].Unsafe || acks[0].Call != mostOwed {
		t.Errorf("%d messages wait, and %d were given up; want %d and the last one", len(a.owed), len(acks), mostOwed)
	}
}

// named is an object of o's by a name, which a holds and o has withdrawn.
func named(t *testing.T) (o, a *process, ow, aw *wire, id refs.ID) {
	o, a = newProcess(t, 1, Options{}), newProcess(t, 2, Options{})
	ow, aw = connect(t, o, a, fresh)
	id = refs.ID{Process: o.id, Object: refs.NamedObject("it")}
	o.objects[id.Object] = new(int)
	a.Imported(id, 1)
	pump(t, ow, aw)
	delete(o.objects, id.Object)
	o.gone = refs.Unexported
	o.Withdrawn(id.Object, refs.Unexported)
	return
}

func TestAHandleOfANameIsDeadOnceItsOwnerHasNothingByIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, a, ow, aw, id := named(t)
		pump(t, ow, aw)
		if s := a.Stats(); a.dead(id) != refs.Unexported || s.Holding != 0 || o.Stats().Held != 0 {
			t.Errorf("the handle is dead with %v, and the holder has %+v", a.dead(id), s)
		}
	})
}

func TestAHandleOfANameGoesOverToTheNextObjectOfTheName(t *testing.T) {
	for name, then := range map[string]func(a *process, id refs.ID){
		"by the handle that there is": func(*process, refs.ID) {},
		"after a call was answered that there is none": func(a *process, id refs.ID) {
			a.Missing(id, 1, refs.Unexported)
			a.Missing(id, 1, refs.Unexported) // the answer to an earlier call comes later
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o, a, ow, aw, id := named(t)
				o.objects[id.Object] = new(int) // before its holder is told
				then(a, id)
				pump(t, ow, aw)
				if why := a.dead(id); why != 0 || len(o.Holders(id.Object)) != 1 {
					t.Fatalf("the handle is dead with %v, and the owner knows of %v", why, o.Holders(id.Object))
				}
				a.Dropped(id, 1, true)
				pump(t, ow, aw)
				if s := o.Stats(); s.Held != 0 || len(o.freed()) != 1 {
					t.Errorf("after the drop the owner has %+v, and freed %v", s, o.freed())
				}
			})
		})
	}
}

func TestThatANameHasNoObjectIsTakenBackWhenItIsAskedForItsNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, a := newProcess(t, 1, Options{}), newProcess(t, 2, Options{})
		ow, aw := connect(t, o, a, fresh)
		id := refs.ID{Process: o.id, Object: refs.NamedObject("it")}
		o.objects[id.Object] = new(int)
		a.Imported(id, 1)
		pump(t, ow, aw)
		a.Dropped(id, 1, true)
		a.Imported(id, 2)
		time.Sleep(settleTime / 2)
		o.Withdrawn(id.Object, refs.Unexported)
		o.objects[id.Object] = new(int) // another one
		time.Sleep(settleTime * 3 / 4)
		synctest.Wait()
		deliver(t, aw, ow) // DIRTY, while it is not yet said that the first is gone
		pump(t, ow, aw)
		if why := a.dead(id); why != 0 || len(o.Holders(id.Object)) != 1 {
			t.Errorf("the handle is dead with %v, and the owner knows of %v", why, o.Holders(id.Object))
		}
	})
}

func TestAHandleOfANameThatWasAskedForAgainAndDroppedIsToldOf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, a := newProcess(t, 1, Options{}), newProcess(t, 2, Options{})
		ow, aw := connect(t, o, a, fresh)
		id := refs.ID{Process: o.id, Object: refs.NamedObject("it")}
		o.objects[id.Object] = new(int)
		a.Imported(id, 1)
		pump(t, ow, aw)
		a.Missing(id, 1, refs.Unexported) // which was said before the name had this object
		a.Dropped(id, 1, true)
		pump(t, ow, aw)
		if s := o.Stats(); s.Held != 0 {
			t.Errorf("the owner has %+v", s)
		}
	})
}
