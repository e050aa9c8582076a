package model

import "fmt"

// unsafe says which of S1 to S3 s breaks, or nothing. S3 is S2 for a reference in flight to its owner.
func (m *Model) unsafe(s *state) string {
	calm := m.calm(s)
	for x := range uint8(m.Objects) {
		o := m.Owner[x]
		for p := range proc(procs) {
			if p == o || !s.up[p] {
				continue
			}
			e, held := s.entry[p][x], s.held(p, x)
			agreed := s.up[o] && !s.closed[p][o] && s.gen[p][o] == s.gen[o][p]
			switch {
			case held && e.reg && e.out == 0 && agreed && !s.removed[x] && !(s.alive[x] && s.holds[x][p]):
				return fmt.Sprintf("S1: %s has a stub of %s that is HELD, but %s", who(p), which(x), m.fate(s, x))
			case calm && held && !s.alive[x]:
				return fmt.Sprintf("S2: %s has a stub of %s, which is collected though nothing failed", who(p), which(x))
			case e.dead && s.alive[x] && !s.closed[p][o]:
				return fmt.Sprintf("L2: %s has a stub of %s that is DEAD, but the object is there", who(p), which(x))
			}
		}
	}
	for _, t := range s.tr {
		if calm && t.phase == flight && !s.alive[t.obj] {
			return fmt.Sprintf("S2: a reference to %s is in flight to %s, but the object is collected though nothing failed",
				which(t.obj), who(t.to))
		}
	}
	return ""
}

// calm reports whether nothing has happened that may end an object which is referred to.
func (m *Model) calm(s *state) bool {
	l, b := s.left, m.Bounds
	return int(l.expire) == b.Expire && int(l.crash) == b.Crash && int(l.unexport) == b.Unexport && int(l.giveIn) == b.GiveIn
}

// fate says why x cannot be called.
func (m *Model) fate(s *state, x uint8) string {
	if !s.alive[x] {
		return "the object is collected"
	}
	return who(m.Owner[x]) + " does not know it as a holder"
}

// unsettled says which of L1 and L2 s breaks, in which no event of the protocol can happen, or nothing.
func (m *Model) unsettled(s *state) string {
	for _, t := range s.tr {
		switch {
		case t.pin && s.up[t.from]:
			return fmt.Sprintf("L1: %s pins %s for ever", who(t.from), which(t.obj))
		case t.wait > 0:
			return fmt.Sprintf("L1: %s owes %s an XACK for ever", who(t.to), who(t.from))
		}
	}
	for p := range proc(procs) {
		for q := range proc(procs) {
			if p != q && s.up[p] && s.up[q] && !s.open[p][q] {
				return fmt.Sprintf("L2: the session of %s with %s stays shut", who(p), who(q))
			}
		}
	}
	for x := range uint8(m.Objects) {
		if why := m.unsettledObject(s, x); why != "" {
			return why
		}
	}
	return ""
}

func (m *Model) unsettledObject(s *state, x uint8) string {
	o, wanted := m.Owner[x], s.root[x]
	for p := range proc(procs) {
		e, known := s.entry[p][x], s.holds[x][p]
		wanted = wanted || e.app
		switch {
		case e.app && !e.dead && !(e.reg && e.out == 0 && known && s.alive[x]):
			return fmt.Sprintf("L2: %s has a stub of %s that is neither registered nor DEAD", who(p), which(x))
		case known && !e.reg && s.up[o]:
			return fmt.Sprintf("L1: %s counts %s as a holder of %s for ever", who(o), who(p), which(x))
		}
	}
	if s.alive[x] && !wanted {
		return fmt.Sprintf("L1: %s is never collected", which(x))
	}
	return ""
}

// potential is a number that every event of the protocol makes smaller, so that the protocol comes to rest.
func (m *Model) potential(s *state) (sum int) {
	for p := range proc(procs) {
		for q := range proc(procs) {
			if p == q || !s.up[p] {
				continue
			}
			if !s.up[q] && !s.closed[p][q] {
				sum += 1000
			}
			if s.broken[p][q] {
				sum += 50
			}
		}
		for x := range objects {
			e := s.entry[p][x]
			if e.reg || e.dead || e.app {
				sum += 6
			}
			if e.reg && !e.linger {
				sum++
			}
			if e.old {
				sum += 2
			}
		}
		for q := range proc(procs) {
			sum += m.weightOfWire(s, p, q)
		}
	}
	for x := range objects {
		if s.alive[x] {
			sum++
		}
	}
	for _, t := range s.tr {
		switch t.phase {
		case asked:
			sum++
		case flight:
			sum += 30
		}
		if t.wait > 0 {
			sum += 3
		}
	}
	return sum
}

func (m *Model) weightOfWire(s *state, p, q proc) (sum int) {
	f := &s.wire[p][q]
	gen := s.gen[q][p]
	for _, o := range f.ops[:f.n] {
		switch o.kind() {
		case opOpen:
			if o.arg() > gen {
				gen = o.arg()
				sum += 100
			}
			sum++
		case opDirty:
			sum += 10
		case opXquery, opClean:
			sum += 3
		case opGone:
			sum += 4
		default:
			sum++
		}
	}
	return sum
}
