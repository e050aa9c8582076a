package transport_test

import (
	"slices"
	"testing"

	"github.com/rmigo/rmigo/internal/leak"
	"github.com/rmigo/rmigo/internal/transport"
)

// A closing counts how often it was closed.
type closing struct{ closed int }

func (c *closing) Close() error { c.closed++; return nil }

func TestTheConnectionThatWaitedLongestMakesRoom(t *testing.T) {
	leak.Check(t)
	pending := transport.NewPending(2)
	first, second, third := new(closing), new(closing), new(closing)
	pending.Add(first)
	pending.Add(second)
	pending.Add(third)
	if first.closed != 1 || second.closed != 0 || third.closed != 0 {
		t.Errorf("got closed %d, %d, %d, want the first alone", first.closed, second.closed, third.closed)
	}
	if pending.Remove(first) {
		t.Error("the first was still in, want it evicted")
	}
	if !pending.Remove(second) {
		t.Error("the second was not in, want it still waiting")
	}
	pending.Close()
	if second.closed != 0 || third.closed != 1 {
		t.Errorf("got closed %d, %d, want the one that still waited", second.closed, third.closed)
	}
	late := new(closing)
	pending.Add(late)
	if late.closed != 1 {
		t.Error("a connection added after Close stayed open")
	}
}

func TestTheSessionUnusedForLongestIsClosed(t *testing.T) {
	leak.Check(t)
	idle := transport.NewIdle(2)
	var closed []string
	touch := func(name string) { idle.Touch(name, func() { closed = append(closed, name) }) }
	touch("a")
	touch("b")
	touch("a")
	touch("c")
	if want := []string{"b"}; !slices.Equal(closed, want) {
		t.Errorf("got closed %v, want %v: a was used since", closed, want)
	}
	if idle.Remove("b") {
		t.Error("b was still idle, want it closed")
	}
	if !idle.Remove("a") {
		t.Error("a was not idle, want it so")
	}
	touch("d")
	touch("e")
	if want := []string{"b", "c"}; !slices.Equal(closed, want) {
		t.Errorf("got closed %v, want %v: a is in use and does not count", closed, want)
	}
}

func TestACloseFunctionMayCallBack(t *testing.T) {
	leak.Check(t)
	idle := transport.NewIdle(0)
	called := false
	idle.Touch("a", func() { called = !idle.Remove("a") })
	if !called {
		t.Error("the close function was not called, or found its session still idle")
	}
}

func TestTheEndpointThatWorkedIsTriedFirst(t *testing.T) {
	leak.Check(t)
	paths := transport.NewPaths(2)
	candidates := []string{"tcp://a:1", "tcp://b:1", "tcp://a:1"}
	order := func(process byte) []string { return paths.Order([16]byte{process}, candidates) }
	want := func(got []string, want ...string) {
		t.Helper()
		if !slices.Equal(got, want) {
			t.Errorf("got order %v, want %v", got, want)
		}
	}
	want(order(1), "tcp://a:1", "tcp://b:1")
	paths.Worked([16]byte{1}, "tcp://b:1")
	want(order(1), "tcp://b:1", "tcp://a:1")
	paths.Worked([16]byte{2}, "unix:///elsewhere")
	want(order(2), "unix:///elsewhere", "tcp://a:1", "tcp://b:1")
	order(1)
	paths.Worked([16]byte{3}, "tcp://b:1")
	want(order(2), "tcp://a:1", "tcp://b:1")
	want(order(1), "tcp://b:1", "tcp://a:1")
	if candidates[0] != "tcp://a:1" {
		t.Error("the caller's candidates were changed")
	}
}
