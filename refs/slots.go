package refs

import "sync"

// slots is the table of a link's outgoing calls that wait for their replies. A slot number names an index and a generation,
// so that the reply to a call that was given up never reaches the next user of its index.
//
// Invariant: a call is owned by whoever took it out: the reader that has its reply, the caller that gives up, or the link
// that fails. mu is held for no longer than the table's own work.
type slots struct {
	mu     sync.Mutex
	table  []slot
	free   []uint32
	active int
	shut   error  // no further calls: why
	drain  func() // called once active is zero, when set by retire
}

type slot struct {
	call *Outgoing
	gen  uint32
}

// add reserves a slot, and returns with it how many calls wait now; it fails with the reason once the table is shut.
func (s *slots) add(c *Outgoing) (number uint64, waiting int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.shut != nil {
		return 0, 0, s.shut
	}
	var i uint32
	if n := len(s.free); n > 0 {
		i, s.free = s.free[n-1], s.free[:n-1]
	} else {
		i = uint32(len(s.table))
		s.table = append(s.table, slot{})
	}
	s.table[i].call = c
	s.active++
	return uint64(s.table[i].gen)<<32 | uint64(i), s.active, nil
}

// take removes and returns the call that waits in the slot, or nil if none does (any more).
func (s *slots) take(number uint64) *Outgoing {
	i, gen := uint32(number), uint32(number>>32)
	s.mu.Lock()
	if int(i) >= len(s.table) || s.table[i].gen != gen || s.table[i].call == nil {
		s.mu.Unlock()
		return nil
	}
	c := s.table[i].call
	s.table[i] = slot{gen: gen + 1}
	s.free = append(s.free, i)
	s.active--
	drained := s.drained()
	s.mu.Unlock()
	if drained != nil {
		drained()
	}
	return c
}

// receiving tells the call in the slot how much of its reply is there.
func (s *slots) receiving(number uint64, have, need int) {
	i, gen := uint32(number), uint32(number>>32)
	s.mu.Lock()
	defer s.mu.Unlock()
	if int(i) < len(s.table) && s.table[i].gen == gen && s.table[i].call != nil {
		s.table[i].call.progress.received(have, need)
	}
}

// expects reports whether a call in the slot waits for its reply.
func (s *slots) expects(number uint64) bool {
	i, gen := uint32(number), uint32(number>>32)
	s.mu.Lock()
	defer s.mu.Unlock()
	return int(i) < len(s.table) && s.table[i].gen == gen && s.table[i].call != nil
}

// drained returns the function to call now that the table is empty, if it is and one waits for that.
func (s *slots) drained() func() {
	if s.active > 0 {
		return nil
	}
	f := s.drain
	s.drain = nil
	return f
}

// hold keeps the table from being empty until release, for what is under way without a slot; false: it is shut.
func (s *slots) hold() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.shut == nil {
		s.active++
	}
	return s.shut == nil
}

// release ends a hold.
func (s *slots) release() {
	s.mu.Lock()
	s.active = max(0, s.active-1) // after fail there is nothing to release
	drained := s.drained()
	s.mu.Unlock()
	if drained != nil {
		drained()
	}
}

// retire admits no further calls and calls drained once those under way are answered.
func (s *slots) retire(why error, drained func()) {
	s.mu.Lock()
	if s.shut == nil {
		s.shut = why
	}
	s.drain = drained
	now := s.drained()
	s.mu.Unlock()
	if now != nil {
		now()
	}
}

// fail shuts the table and takes all calls out.
func (s *slots) fail(why error) []*Outgoing {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shut, s.drain = why, nil
	var calls []*Outgoing
	for i := range s.table {
		if c := s.table[i].call; c != nil {
			calls = append(calls, c)
			s.table[i] = slot{gen: s.table[i].gen + 1}
		}
	}
	s.active, s.free, s.table = 0, nil, nil
	return calls
}

// len returns how many calls wait.
func (s *slots) len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.active
}
