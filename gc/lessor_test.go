package gc

import (
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/rmigo/rmigo/refs"
)

func TestAnObjectIsFreeOnceTheLastOfThoseWhoKeepItLetsGo(t *testing.T) {
	for _, order := range [][3]int{{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}} {
		t.Run(fmt.Sprint(order), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o, a, c := newProcess(t, 1, Options{}), newProcess(t, 2, Options{}), newProcess(t, 3, Options{})
				ow, aw := connect(t, o, a, fresh)
				oc, cw := connect(t, o, c, fresh)
				id, impl := o.export(7)
				m := refs.Message{Call: 1}
				a.Imported(id, 1)
				c.Imported(id, 1)
				carry(t, oc, cw, m, id, impl)
				letGo := []func(){
					func() { a.Dropped(id, 1, true) },
					func() { c.Dropped(id, 1, true) },
					func() { cw.line.Done(m) },
				}
				for n, which := range order {
					pump(t, ow, aw)
					pump(t, oc, cw)
					if s := o.Stats(); s.Held != 1 || len(o.freed()) != 0 {
						t.Fatalf("after %d of three have let go, the owner has %+v and freed %v", n, s, o.freed())
					}
					letGo[which]()
				}
				pump(t, ow, aw)
				pump(t, oc, cw)
				if s := o.Stats(); s.Held != 0 || len(o.freed()) != 1 {
					t.Errorf("after all have let go, the owner has %+v and told %d times", s, len(o.freed()))
				}
			})
		})
	}
}

func TestAnObjectThatIsHeldAgainIsFreedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, a := newProcess(t, 1, Options{}), newProcess(t, 2, Options{})
		ow, aw := connect(t, o, a, fresh)
		id, _ := o.export(7)
		for n := range uint64(3) {
			a.Imported(id, n+1)
			pump(t, ow, aw)
			a.Dropped(id, n+1, true)
			pump(t, ow, aw)
			if got := len(o.freed()); got != int(n+1) {
				t.Fatalf("after %d holders, one after another, the object was free %d times", n+1, got)
			}
		}
	})
}

func TestWhoHoldsIsListedBeforeTheMessageIsLetGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, a := newProcess(t, 1, Options{}), newProcess(t, 2, Options{})
		ow, aw := connect(t, o, a, fresh)
		id, impl := o.export(7)
		a.Imported(id, 1)
		pump(t, ow, aw)
		m := refs.Message{Call: 1, Result: true}
		carry(t, ow, aw, m, id, impl)
		a.Dropped(id, 1, true)
		pump(t, ow, aw)
		receive(a, aw, m, id, 2) // DIRTY and the acknowledgement come in one batch
		pump(t, ow, aw)
		if s := o.Stats(); len(o.freed()) != 0 || s.Held != 1 || s.Pins != 0 {
			t.Errorf("the owner has %+v, and freed %v, which somebody had all the time", s, o.freed())
		}
	})
}

func TestAPinKeepsAliveWhatIsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, c := newProcess(t, 2, Options{}), newProcess(t, 3, Options{})
		aw, cw := connect(t, a, c, fresh)
		own, foreign := a.own(7), refs.ID{Process: refs.ProcessID{9}, Object: refs.ObjectID{8}}
		m := refs.Message{Call: 1}
		object, handle := new([64]byte), new([64]byte)
		a.Imported(foreign, 1)
		carry(t, aw, cw, m, own, object)
		carry(t, aw, cw, m, foreign, handle)
		x, h := weak.Make(object), weak.Make(handle)
		object, handle = nil, nil
		runtime.GC()
		runtime.GC()
		if x.Value() == nil || h.Value() == nil {
			t.Errorf("garbage, though a message carries it: the object %v, the handle %v", x.Value() == nil, h.Value() == nil)
		}
		cw.line.Done(m)
		pump(t, aw, cw)
		for range 50 {
			runtime.GC()
		}
		if x.Value() != nil || h.Value() != nil {
			t.Error("what was acknowledged is kept alive")
		}
	})
}

func TestAPinHasNoTimer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, a := newProcess(t, 1, Options{}), newProcess(t, 2, Options{})
		ow, aw := connect(t, o, a, fresh)
		id, impl := o.export(7)
		carry(t, ow, aw, refs.Message{Call: 1}, id, impl) // and is read slowly
		time.Sleep(24 * time.Hour)
		pump(t, ow, aw)
		if s := o.Stats(); s.Pins != 1 || s.Held != 1 {
			t.Errorf("after a day the owner has %+v; the message is not acknowledged", s)
		}
	})
}

func TestPinsEndWithTheGeneration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, a, c := newProcess(t, 1, Options{}), newProcess(t, 2, Options{}), newProcess(t, 3, Options{})
		ow, aw := connect(t, o, a, fresh)
		ac, ca := connect(t, a, c, fresh)
		foreign, _ := o.export(7)
		own, impl := a.export(8)
		a.Imported(foreign, 1)
		m := refs.Message{Call: 1}
		carry(t, ac, ca, m, foreign, "handle")
		carry(t, ac, ca, m, own, impl)
		a.Dropped(foreign, 1, true) // and is held for the message alone
		pump(t, ow, aw)
		ac.silence()
		time.Sleep(70 * time.Second)
		pump(t, ow, aw)
		if s := a.Stats(); s.Pins != 0 || s.Held != 0 || s.Holding != 0 {
			t.Errorf("the receiver was given up, and its sender has %+v", s)
		}
		if s := o.Stats(); s.Held != 0 {
			t.Errorf("the owner of what was passed has %+v", s)
		}
	})
}

func TestAPeerHoldsNoMoreThanItsQuota(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, a := newProcess(t, 1, Options{Quota: 2}), newProcess(t, 2, Options{})
		ow, aw := connect(t, o, a, fresh)
		var ids []refs.ID
		for i := range 4 {
			id, _ := o.export(byte(i + 1))
			ids = append(ids, id)
		}
		for i, id := range ids[:3] {
			a.Imported(id, uint64(i+1))
			pump(t, ow, aw)
		}
		if s := o.Stats(); s.Held != 2 || a.dead(ids[2]) != refs.Quota || a.dead(ids[1]) != 0 {
			t.Fatalf("of three objects a peer with a quota of two holds %d, and the third is dead with %v", s.Held, a.dead(ids[2]))
		}
		if err := ow.line.Batch(refs.Batch{Generation: 1, Seq: 4, Dirty: [][16]byte{ids[0].Object}}); err != nil {
			t.Fatal(err)
		}
		if sent := ow.sent(); len(sent) != 1 || len(sent[0].Gone) != 0 {
			t.Errorf("for what it holds already, a peer at its quota is told %+v", sent)
		}
	})
}

func TestAnObjectThatIsWithdrawnIsGoneForAllWhoHoldIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, a, c := newProcess(t, 1, Options{}), newProcess(t, 2, Options{}), newProcess(t, 3, Options{})
		ow, aw := connect(t, o, a, fresh)
		oc, cw := connect(t, o, c, fresh)
		id, impl := o.export(7)
		a.Imported(id, 1)
		c.Imported(id, 1)
		carry(t, ow, aw, refs.Message{Call: 1}, id, impl)
		pump(t, ow, aw)
		pump(t, oc, cw)
		delete(o.objects, id.Object)
		o.Withdrawn(id.Object, refs.Unexported)
		pump(t, ow, aw)
		pump(t, oc, cw)
		if a.dead(id) != refs.Unexported || c.dead(id) != refs.Unexported {
			t.Errorf("its holders are told %v and %v", a.dead(id), c.dead(id))
		}
		if len(o.Holders(id.Object)) != 0 || len(o.freed()) != 0 {
			t.Errorf("it is held by %v, and was free %d times; want neither: it was withdrawn", o.Holders(id.Object), len(o.freed()))
		}
	})
}
