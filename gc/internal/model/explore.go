package model

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/maphash"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
)

// A Result is what an exploration found.
type Result struct {
	States    int // that were reached, up to symmetry
	Events    int // that were tried
	Quiescent int // states in which the protocol is at rest
	Depth     int // events to the farthest state
	Whole     bool
	Violation string   // which invariant does not hold, or nothing
	Trace     []string // the fewest events that lead there, in words
}

// Explore visits the states of m breadth first, until an invariant is broken, or limit states were seen.
func (m Model) Explore(workers, limit int) Result {
	for _, r := range m.Without {
		m.out[r] = true
	}
	x := &explorer{m: &m, group: m.symmetries(), limit: int64(limit)}
	x.seen.seed = maphash.MakeSeed()
	w := &worker{explorer: x}
	start := m.start()
	w.add(&start, 0)
	level := w.next
	var r Result
	for ; len(level) > 0 && x.violation == "" && x.states.Load() < x.limit; r.Depth++ {
		level = x.level(level, workers)
	}
	r.States, r.Events, r.Quiescent = int(x.states.Load()), int(x.events.Load()), int(x.quiescent.Load())
	r.Whole = len(level) == 0 && x.violation == ""
	if r.Violation = x.violation; x.violation != "" {
		r.Trace, r.Violation = x.trace(x.at)
	}
	return r
}

// An explorer is an exploration under way.
type explorer struct {
	m     *Model
	group []symmetry
	limit int64
	seen  store

	states, events, quiescent atomic.Int64

	mu        sync.Mutex
	violation string
	at        id // where it is
}

// level expands the states of one level by several workers, and returns the next one.
func (x *explorer) level(level []id, workers int) (next []id) {
	const chunk = 256
	var at atomic.Int64
	var wg sync.WaitGroup
	all := make([]*worker, max(1, min(workers, runtime.GOMAXPROCS(0), len(level)/chunk)))
	for i := range all {
		all[i] = &worker{explorer: x}
		wg.Go(func() {
			for {
				from := int(at.Add(chunk)) - chunk
				if from >= len(level) || !all[i].expand(level[from:min(from+chunk, len(level))]) {
					return
				}
			}
		})
	}
	wg.Wait()
	for _, w := range all {
		next = append(next, w.next...)
		x.events.Add(int64(w.events))
		x.quiescent.Add(int64(w.quiescent))
	}
	return next
}

// A worker expands states, one at a time.
type worker struct {
	*explorer
	next              []id
	events, quiescent int
	best, image       []byte
}

// expand expands states until the exploration is over, and reports whether it is not.
func (w *worker) expand(level []id) bool {
	for _, at := range level {
		if w.states.Load() >= w.limit {
			return false
		}
		s := unpack(w.seen.get(at))
		if why := w.m.unsafe(&s); why != "" {
			return w.fail(at, why)
		}
		rest, before := true, w.m.potential(&s)
		w.m.steps(&s, func(e event, next *state) {
			w.events++
			if e.what.protocol() {
				rest = false
				if len(w.m.Without) == 0 && w.m.potential(next) >= before {
					w.fail(at, fmt.Sprintf("the protocol may go on for ever: %v", w.m.words(&s, e)))
				}
			}
			w.add(next, at)
		})
		if rest {
			w.quiescent++
			if why := w.m.unsettled(&s); why != "" {
				return w.fail(at, why)
			}
		}
	}
	return w.violation == ""
}

func (w *worker) fail(at id, why string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.violation == "" {
		w.violation, w.at = why, at
	}
	return false
}

// add notes s, which was reached from parent.
func (w *worker) add(s *state, parent id) {
	w.canonical(s)
	if at, isNew := w.seen.add(w.best, parent); isNew {
		w.states.Add(1)
		w.next = append(w.next, at)
	}
}

// canonical leaves in w.best the bytes that stand for s and all states that are the same up to names.
func (w *worker) canonical(s *state) {
	w.best = w.best[:0]
	for i := range w.group {
		image := w.group[i].apply(s)
		w.image = image.pack(w.image[:0])
		if i == 0 || bytes.Compare(w.image, w.best) < 0 {
			w.best, w.image = w.image, w.best
		}
	}
}

// trace finds events that lead to state at, and says what is wrong there in their names.
func (x *explorer) trace(at id) (trace []string, violation string) {
	var path []id
	for ; at != x.first(); at = x.seen.parent(at) {
		path = append(path, at)
	}
	slices.Reverse(path)
	s := x.m.start()
	w := &worker{explorer: x}
	for _, at := range path {
		want := slices.Clone(x.seen.get(at))
		found := false
		from := s
		x.m.steps(&from, func(e event, next *state) {
			if found {
				return
			}
			if w.canonical(next); bytes.Equal(w.best, want) {
				trace, s, found = append(trace, x.m.words(&from, e)), *next, true
			}
		})
		if !found {
			panic("model: a state does not follow from its parent")
		}
	}
	for _, why := range []string{x.m.unsafe(&s), x.m.unsettled(&s)} {
		if why != "" && why[:2] == x.violation[:2] {
			return trace, why
		}
	}
	return trace, x.violation
}

// first returns the state that the exploration began with.
func (x *explorer) first() id {
	w := &worker{explorer: x}
	s := x.m.start()
	w.canonical(&s)
	at, _ := x.seen.add(w.best, 0)
	return at
}

// An id names a state of a store.
type id uint32

const shards = 64

// A store is a set of byte strings, each with a parent, that remembers all of them whole.
type store struct {
	seed  maphash.Seed
	shard [shards]shard
}

type shard struct {
	mu    sync.RWMutex
	n     uint32
	table []uint32 // index of an entry + 1, by hash; open addressing
	at    []uint32 // where the entry begins in data: four bytes of parent, then the string
	data  []byte
}

// add inserts key unless it is there, and reports whether it was not.
func (st *store) add(key []byte, parent id) (id, bool) {
	h := maphash.Bytes(st.seed, key)
	sh := &st.shard[h%shards]
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if int(sh.n)*4 >= len(sh.table)*3 {
		sh.grow(st.seed)
	}
	i, found := sh.find(key, h)
	if !found {
		sh.at = append(sh.at, uint32(len(sh.data)))
		sh.data = binary.LittleEndian.AppendUint32(sh.data, uint32(parent))
		sh.data = append(sh.data, key...)
		sh.n++
		sh.table[i] = sh.n
	}
	return id(h%shards)<<26 | id(sh.table[i]-1), !found
}

// find returns the place in the table where key is, or is to be.
func (sh *shard) find(key []byte, h uint64) (int, bool) {
	mask := len(sh.table) - 1
	for i := int(h/shards) & mask; ; i = (i + 1) & mask {
		switch n := sh.table[i]; {
		case n == 0:
			return i, false
		case bytes.Equal(sh.key(n-1), key):
			return i, true
		}
	}
}

// key returns entry n.
func (sh *shard) key(n uint32) []byte {
	end := len(sh.data)
	if int(n)+1 < len(sh.at) {
		end = int(sh.at[n+1])
	}
	return sh.data[sh.at[n]+4 : end]
}

func (sh *shard) grow(seed maphash.Seed) {
	sh.table = make([]uint32, max(64, 2*len(sh.table)))
	for n := range sh.n {
		key := sh.key(n)
		i, _ := sh.find(key, maphash.Bytes(seed, key))
		sh.table[i] = n + 1
	}
}

// get returns the string that at names, which is not to be changed.
func (st *store) get(at id) []byte {
	sh := &st.shard[at>>26]
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	return sh.key(uint32(at) & (1<<26 - 1))
}

func (st *store) parent(at id) id {
	sh := &st.shard[at>>26]
	return id(binary.LittleEndian.Uint32(sh.data[sh.at[uint32(at)&(1<<26-1)]:]))
}
