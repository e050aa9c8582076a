package model

import "cmp"

// A symmetry renames processes and objects so that the protocol does not notice.
type symmetry struct {
	proc [procs]proc
	obj  [objects]uint8
}

// symmetries returns all renamings that keep the owner of each object, the identity first.
func (m *Model) symmetries() (all []symmetry) {
	swaps := [][objects]uint8{{0, 1}}
	if m.Objects == 2 {
		swaps = append(swaps, [objects]uint8{1, 0})
	}
	for _, p := range [][procs]proc{{O, A, C}, {O, C, A}, {A, O, C}, {A, C, O}, {C, O, A}, {C, A, O}} {
		for _, x := range swaps {
			same := true
			for i := range m.Objects {
				same = same && m.Owner[x[i]] == p[m.Owner[i]]
			}
			if same {
				all = append(all, symmetry{p, x})
			}
		}
	}
	return all
}

// apply returns s under other names, its transfers sorted.
func (y *symmetry) apply(s *state) (r state) {
	r.left = s.left
	for x := range objects {
		to := y.obj[x]
		r.root[to], r.alive[to], r.removed[to] = s.root[x], s.alive[x], s.removed[x]
		for p := range procs {
			r.holds[to][y.proc[p]] = s.holds[x][p]
			r.entry[y.proc[p]][to] = s.entry[p][x]
		}
	}
	slot := y.transfers(s, &r)
	for p := range procs {
		pp := y.proc[p]
		r.up[pp] = s.up[p]
		for q := range procs {
			qq := y.proc[q]
			r.gen[pp][qq], r.heard[pp][qq] = s.gen[p][q], s.heard[p][q]
			r.open[pp][qq], r.broken[pp][qq], r.closed[pp][qq] = s.open[p][q], s.broken[p][q], s.closed[p][q]
			f, to := &s.wire[p][q], &r.wire[pp][qq]
			to.n = f.n
			for i, o := range f.ops[:f.n] {
				to.ops[i] = y.op(o, &slot)
			}
		}
	}
	return r
}

func (y *symmetry) op(o op, slot *[slots]uint8) op {
	switch {
	case o.aboutTransfer():
		return mk(o.kind(), slot[o.arg()])
	case o.kind() == opOpen:
		return o
	}
	return mk(o.kind(), y.obj[o.arg()])
}

// transfers copies the renamed transfers to r in the order of what they are, and returns where each one went.
func (y *symmetry) transfers(s, r *state) (slot [slots]uint8) {
	var key [slots]uint32
	for i := range s.tr {
		t := s.tr[i]
		if t.phase != free {
			t.from, t.to, t.obj = y.proc[t.from], y.proc[t.to], y.obj[t.obj]
			key[i] = t.key()
		} else if s.mentions(uint8(i)) {
			key[i] = 1
		}
		j := i
		for ; j > 0 && cmp.Compare(key[slot[j-1]], key[i]) < 0; j-- {
			slot[j] = slot[j-1]
			r.tr[j] = r.tr[j-1]
		}
		slot[j], r.tr[j] = uint8(i), t
	}
	var inverse [slots]uint8
	for j, i := range slot {
		inverse[i] = uint8(j)
	}
	return inverse
}

// key is a number that differs for transfers that differ.
func (t *transfer) key() uint32 {
	k := uint32(t.phase)<<16 | uint32(t.from)<<14 | uint32(t.to)<<12 | uint32(t.obj)<<11 | uint32(t.gen)<<4 | uint32(t.wait)<<1
	for i, b := range []bool{t.result, t.pin, t.stale, t.abandoned} {
		if b {
			k |= 1 << (7 + i)
		}
	}
	return k << 1
}
