package gc

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/rmigo/rmigo/internal/leak"
	"github.com/rmigo/rmigo/refs"
)

func TestAProcessThatStoodStillGivesNobodyUp(t *testing.T) {
	leak.Check(t)
	c := newClock(time.Minute)
	heard := c.now
	for now := time.Duration(0); now < 50*time.Second; now += c.period {
		c.tick(now)
	}
	if late := c.tick(10 * time.Hour); !late || c.expired(heard) {
		t.Fatalf("after ten hours of standstill, late is %v and the peer is given up: %v", late, c.expired(heard))
	}
	c.tick(10*time.Hour + c.period)
	c.tick(10*time.Hour + 2*c.period)
	if !c.expired(heard) {
		t.Error("a peer that stays silent is not given up")
	}
}

func TestAStandstillCountsForTwoTicks(t *testing.T) {
	leak.Check(t)
	c := newClock(time.Minute)
	heard := c.now
	for now := c.period; now <= 4*c.period; now += c.period { // half a lease of silence
		c.tick(now)
	}
	now := 10 * time.Hour
	c.tick(now)
	if got := c.now - heard; got != 6*c.period {
		t.Fatalf("after ten hours of standstill the clock reads %v, want two ticks more: %v", got, 6*c.period)
	}
	now += c.period
	if c.tick(now); c.expired(heard) {
		t.Error("a peer was given up a quarter of a lease too early")
	}
	now += c.period
	if c.tick(now); !c.expired(heard) {
		t.Error("a peer that was silent for a lease is not given up")
	}
}

func TestAfterAStandstillPeersAreAskedAndHaveATickToAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, a := newProcess(t, 1, Options{}), newProcess(t, 2, Options{})
		ow, _ := connect(t, o, a, fresh)
		id, _ := a.export(7)
		o.Imported(id, 1)
		ow.silence()
		time.Sleep(6*time.Minute/8 + time.Second)
		o.event(func(t *table) {
			t.now += 9 * time.Hour
			t.beat(func(*association) time.Duration { return 0 })
		})
		if ow.pings != 1 || o.givenUp() != 0 {
			t.Errorf("it has asked %d times, and given up %d; want one question and a tick's time for the answer", ow.pings, o.givenUp())
		}
	})
}

// stoodStill is a table at an instant in the middle of a tick's time, at which it was stopped for ten hours, with a peer by one line.
func stoodStill(t *testing.T) (*table, *association, *line) {
	t.Helper()
	nobody := &process{id: refs.ProcessID{3}}
	table := newTable(nobody.id, nobody, time.Minute, 1000)
	table.since = func(at time.Time) time.Duration { return at.Sub(time.Time{}) }
	a := table.associate(refs.ProcessID{2})
	l := a.connected(fresh, &wire{silent: true, heardAt: time.Time{}.Add(10 * time.Hour)})
	table.now = table.clock.period
	table.tick(func(*association) time.Duration { return 0 })
	table.now = 10 * time.Hour
	return table, a, l
}

func TestWhatWasHeardBeforeAStandstillCounts(t *testing.T) {
	leak.Check(t)
	table, a, _ := stoodStill(t)
	table.tick(func(*association) time.Duration { return table.clock.period * 3 / 2 })
	if got, want := table.clock.now-a.heard, table.clock.period*3/2; got != want {
		t.Errorf("a peer that was heard half a tick before a standstill has been silent for %v, want %v", got, want)
	}
}

func TestWhatIsHeardAfterAStandstillRenewsForALeaseAndNoMore(t *testing.T) {
	leak.Check(t)
	for name, lost := range map[string]bool{"by a connection that goes on": false, "by one that is lost before the next tick": true} {
		table, a, l := stoodStill(t)
		if lost {
			a.lost(l)
		}
		table.tick(func(*association) time.Duration { return table.now })
		if got := table.clock.now - a.heard; got != 0 {
			t.Errorf("%s: a peer that was heard just now has been silent for %v", name, got)
		}
	}
}

func TestATimeWithoutPeersIsNoStandstill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newProcess(t, 2, Options{})
		time.Sleep(time.Hour)
		a.Imported(refs.ID{Process: refs.ProcessID{9}, Object: refs.ObjectID{7}}, 1) // whose process is nowhere
		began := time.Now()
		for a.givenUp() == 0 && time.Since(began) < 2*time.Minute {
			time.Sleep(time.Second)
			synctest.Wait()
		}
		if got := time.Since(began); got != time.Minute {
			t.Errorf("a process that is nowhere is given up after %v, want a lease", got)
		}
	})
}

func TestWhateverIsHeardRenewsTheLeaseAndNothingIsSaidForThat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, a := newProcess(t, 1, Options{}), newProcess(t, 2, Options{})
		ow, aw := connect(t, o, a, fresh)
		for i := range 500 {
			id := o.own(byte(i))
			id.Object[1] = byte(i >> 8)
			o.objects[id.Object] = new(int)
			a.Imported(id, uint64(i+1))
		}
		pump(t, ow, aw)
		time.Sleep(time.Hour)
		synctest.Wait()
		if o.givenUp() != 0 || a.givenUp() != 0 || o.Stats().Held != 500 {
			t.Fatalf("after an hour in which the two heard each other, the owner has given up %d and has %+v", o.givenUp(), o.Stats())
		}
		if n := len(ow.sent()) + len(aw.sent()); n != 0 {
			t.Errorf("the collectors have said %d things in an hour in which nothing happened", n)
		}
	})
}
