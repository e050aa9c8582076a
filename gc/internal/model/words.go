package model

import (
	"fmt"
	"strings"
)

func who(p proc) string    { return "OAC"[p : p+1] }
func which(x uint8) string { return "XY"[x : x+1] }

// words says what happens in s by e.
func (m *Model) words(s *state, e event) string {
	p, q, x, call := who(e.p), who(e.q), which(e.x), fmt.Sprintf("call %d", e.t+1)
	switch e.what {
	case passes:
		return fmt.Sprintf("%s passes %s to %s as argument of call %d", p, x, q, s.slot()+1)
	case calls:
		return fmt.Sprintf("%s calls %s: call %d", p, q, s.slot()+1)
	case returns:
		return fmt.Sprintf("%s returns %s to %s as result of %s", p, x, q, call)
	case returnsNothing:
		return fmt.Sprintf("%s returns from %s of %s without a reference", p, call, q)
	case abandons:
		return fmt.Sprintf("%s gives up %s of %s", p, call, q)
	case drops:
		return fmt.Sprintf("%s's application drops %s", p, x)
	case loses:
		return fmt.Sprintf("the connection of %s and %s breaks", p, q)
	case expires:
		return fmt.Sprintf("%s takes the lease of %s for run out, and begins generation %d", p, q, s.gen[e.p][e.q]+1)
	case crashes:
		return fmt.Sprintf("%s crashes", p)
	case unexports:
		return fmt.Sprintf("%s unexports %s", p, x)
	case exports:
		return fmt.Sprintf("%s exports %s again", p, x)
	case givesIn:
		return fmt.Sprintf("%s has waited long enough for the owner of %s, and tells %s so", p, x, q)
	case refuses:
		return fmt.Sprintf("%s cannot decode the message of %s from %s", p, call, q)
	case forgets:
		return fmt.Sprintf("what %s sent %s before its OPEN is lost", p, q)
	case accepts:
		return fmt.Sprintf("%s begins %s of %s", p, call, q)
	case delivers:
		return fmt.Sprintf("%s gets the message of %s from %s with %s%s", p, call, q, x, m.dropped(s, e))
	case applies:
		return fmt.Sprintf("%s applies %s of %s%s", p, m.opWords(e.op), q, m.ignored(s, e))
	case lingers:
		return fmt.Sprintf("%s's stub of %s is collected", p, x)
	case cleans:
		return fmt.Sprintf("%s has lingered and sends CLEAN(%s)", p, x)
	case cleansUp:
		return fmt.Sprintf("the cleanup of %s's earlier stub of %s runs", p, x)
	case collects:
		return fmt.Sprintf("%s collects %s", p, x)
	case notices:
		return fmt.Sprintf("%s notices that the connection to %s broke, and has another", p, q)
	case buries:
		return fmt.Sprintf("%s learns that %s is gone for good", p, q)
	}
	panic("model: an event without words")
}

func (m *Model) dropped(s *state, e event) string {
	if w := (&world{state: *s, m: m}); !w.current(e.p, e.q, s.tr[e.t].gen) {
		return ", which is of another generation, and drops it"
	}
	return ""
}

func (m *Model) ignored(s *state, e event) string {
	if w := (&world{state: *s, m: m}); e.op.kind() != opOpen && !w.current(e.p, e.q, s.heard[e.p][e.q]) {
		return ": it is of another generation, and dropped"
	}
	return ""
}

func (m *Model) opWords(o op) string {
	x, call := which(o.arg()&1), fmt.Sprintf("(call %d)", o.arg()+1)
	switch o.kind() {
	case opDirty:
		return "DIRTY(" + x + ")"
	case opClean:
		return "CLEAN(" + x + ")"
	case opGone:
		return "GONE(" + x + ")"
	case opAck:
		return "the ack of DIRTY(" + x + ")"
	case opXack:
		return "XACK" + call
	case opNack:
		return "XACK with nack" + call
	case opXquery:
		return "XQUERY" + call
	}
	return fmt.Sprintf("OPEN(%d)", o.arg())
}

// String says what was found, with the trace for people.
func (r Result) String() string {
	counts := fmt.Sprintf("%d states, %d events, %d at rest, at most %d events deep", r.States, r.Events, r.Quiescent, r.Depth)
	switch {
	case r.Violation != "":
		return counts + "\n" + r.story()
	case !r.Whole:
		return counts + ", and there are more"
	}
	return counts
}

// story is the trace, with what is wrong at its end.
func (r Result) story() string {
	var b strings.Builder
	for i, step := range r.Trace {
		fmt.Fprintf(&b, "%3d  %s\n", i+1, step)
	}
	return b.String() + "     " + r.Violation
}
