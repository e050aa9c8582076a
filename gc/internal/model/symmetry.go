package model

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
				o = y.op(o, &slot)
				for ; i > 0 && alike(to.ops[i-1], o) && o < to.ops[i-1]; i-- {
					to.ops[i] = to.ops[i-1]
				}
				to.ops[i] = o
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

// transfers copies the renamed transfers to r, in the order of what they are and where ops mention them, and returns where each went.
func (y *symmetry) transfers(s, r *state) (slot [slots]uint8) {
	key := y.mentions(s)
	var order [slots]uint8
	for i := range s.tr {
		t := s.tr[i]
		if t.phase != free {
			t.from, t.to = y.proc[t.from], y.proc[t.to]
			if t.phase == flight || t.phase == after {
				t.obj = y.obj[t.obj]
			}
			key[i] |= t.key() << 32
		}
		j := i
		for ; j > 0 && key[order[j-1]] < key[i]; j-- {
			order[j], r.tr[j] = order[j-1], r.tr[j-1]
		}
		order[j], r.tr[j] = uint8(i), t
	}
	for j, i := range order {
		slot[i] = uint8(j)
	}
	return slot
}

// mentions returns for each transfer a number of 32 bits that tells under the new names ops are about it; 0 is
// nowhere. If two places have one number, states that are the same may be counted as two.
func (y *symmetry) mentions(s *state) (where [slots]uint64) {
	for p := range s.wire {
		for q := range s.wire[p] {
			f := &s.wire[p][q]
			run := 0
			for i, o := range f.ops[:f.n] {
				if !alike(f.ops[run], o) {
					run = i
				}
				if o.aboutTransfer() {
					place := ((uint64(y.proc[p])*procs+uint64(y.proc[q]))*16+uint64(run))*8 + uint64(o.kind())
					where[o.arg()] += (place + 1) * 0x9E3779B97F4A7C15 >> 35
				}
			}
		}
	}
	return where
}

// key is a number that differs for transfers that differ.
func (t *transfer) key() uint64 {
	k := uint64(t.phase)<<16 | uint64(t.from)<<14 | uint64(t.to)<<12 | uint64(t.obj)<<11 | uint64(t.gen)<<4 | uint64(t.wait)<<1
	for i, b := range []bool{t.result, t.pin, t.stale, t.abandoned} {
		if b {
			k |= 1 << (7 + i)
		}
	}
	return k
}
