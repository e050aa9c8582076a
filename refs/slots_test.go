package refs

import (
	"errors"
	"testing"

	"github.com/rmigo/rmigo/internal/leak"
)

func TestAReplyNeverReachesTheNextUserOfASlot(t *testing.T) {
	leak.Check(t)
	var s slots
	first, second := &Outgoing{}, &Outgoing{}
	a, _, err := s.add(first)
	if err != nil {
		t.Fatal(err)
	}
	if s.take(a) != first {
		t.Fatal("the call is not in its slot")
	}
	b, _, _ := s.add(second)
	if uint32(a) != uint32(b) || a == b {
		t.Errorf("slots %#x and %#x: want the same index in another generation", a, b)
	}
	if got := s.take(a); got != nil {
		t.Error("a late reply to the first call reached the second")
	}
	if s.take(b) != second || s.take(b) != nil {
		t.Error("a call is taken once")
	}
	for _, wild := range []uint64{1 << 40, 1 << 31, ^uint64(0)} {
		if s.take(wild) != nil {
			t.Errorf("slot %#x, which was never given out, has a call", wild)
		}
	}
}

func TestARetiredTableTakesNoCallsAndSaysWhenTheLastIsAnswered(t *testing.T) {
	leak.Check(t)
	var s slots
	why := errors.New("retired")
	slot, _, _ := s.add(&Outgoing{})
	drained := 0
	s.retire(why, func() { drained++ })
	if _, _, err := s.add(&Outgoing{}); err != why || drained != 0 {
		t.Errorf("add after retire: %v; drained %d times with a call under way", err, drained)
	}
	s.take(slot)
	if drained != 1 {
		t.Errorf("drained %d times after the last call was answered, want once", drained)
	}
	s.retire(why, func() { drained++ })
	if drained != 2 {
		t.Error("an empty table that is retired is drained at once")
	}
}

func TestAFailedTableGivesAllItsCallsBack(t *testing.T) {
	leak.Check(t)
	var s slots
	slot, _, _ := s.add(&Outgoing{})
	s.add(&Outgoing{})
	if calls := s.fail(errors.New("broken")); len(calls) != 2 {
		t.Errorf("%d calls came out, want 2", len(calls))
	}
	if s.take(slot) != nil || s.len() != 0 {
		t.Error("a call was left in a failed table")
	}
}

func BenchmarkSlots(b *testing.B) {
	var s slots
	c := &Outgoing{}
	for b.Loop() {
		slot, _, _ := s.add(c)
		s.take(slot)
	}
}
