package transport

import (
	"io"
	"slices"
	"sync"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// Three bounded memories, each a mutex around a least-recently-used list. None of them calls what it was given (Close, a
// close function) while it holds its mutex.

// Pending bounds how many connections may be waiting for their greeting: beyond it the one that waited longest is
// closed, so that silent connections never keep others out. It is safe for concurrent use.
type Pending struct {
	mu     sync.Mutex
	list   *simplelru.LRU[io.Closer, struct{}]
	bound  int
	closed bool
}

// NewPending returns a Pending that holds up to bound connections; at least one.
func NewPending(bound int) *Pending {
	bound = max(bound, 1)
	return &Pending{list: newLRU[io.Closer, struct{}](bound + 1), bound: bound}
}

// Add takes conn in, closing the oldest if there are too many now. After Close it closes conn at once.
func (p *Pending) Add(conn io.Closer) {
	if out := p.add(conn); out != nil {
		out.Close()
	}
}

func (p *Pending) add(conn io.Closer) (out io.Closer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return conn
	}
	p.list.Add(conn, struct{}{})
	if p.list.Len() > p.bound {
		out, _, _ = p.list.RemoveOldest()
	}
	return out
}

// Remove takes conn out without closing it: it has greeted or failed. It reports whether conn was still in: if not, it
// has been closed, or is about to be.
func (p *Pending) Remove(conn io.Closer) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.list.Remove(conn)
}

// Close closes all that wait.
func (p *Pending) Close() {
	p.mu.Lock()
	p.closed = true
	conns := p.list.Keys()
	p.list.Purge()
	p.mu.Unlock()
	for _, conn := range conns {
		conn.Close()
	}
}

// Idle bounds how many sessions may stay open unused: beyond it the one unused for longest is closed. It is safe for
// concurrent use.
type Idle struct {
	mu    sync.Mutex
	list  *simplelru.LRU[any, func()]
	bound int
}

// NewIdle returns an Idle that holds up to bound sessions. Zero or less: no session stays open unused.
func NewIdle(bound int) *Idle {
	bound = max(bound, 0)
	return &Idle{list: newLRU[any, func()](bound + 1), bound: bound}
}

// Touch says that the session known as key, a comparable value, is idle from now on and is closed by calling close. If
// there are too many now, Touch calls the close of the one touched longest ago, on the caller's goroutine.
func (i *Idle) Touch(key any, close func()) {
	if out := i.touch(key, close); out != nil {
		out()
	}
}

func (i *Idle) touch(key any, close func()) (out func()) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.list.Add(key, close)
	if i.list.Len() > i.bound {
		_, out, _ = i.list.RemoveOldest()
	}
	return out
}

// Remove says that the session known as key is in use again or has ended. It reports whether it was idle: if not, its
// close was called, or is about to be, or it never was.
func (i *Idle) Remove(key any) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.list.Remove(key)
}

// Paths remembers, for a bounded number of processes, at which endpoint each was last reached. It is safe for concurrent
// use.
type Paths struct {
	mu   sync.Mutex
	list *simplelru.LRU[[16]byte, string]
}

// NewPaths returns a Paths that remembers up to bound processes; at least one.
func NewPaths(bound int) *Paths {
	return &Paths{list: newLRU[[16]byte, string](max(bound, 1))}
}

// Worked says that process answered at endpoint.
func (p *Paths) Worked(process [16]byte, endpoint string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.list.Add(process, endpoint)
}

// Order returns the endpoints at which to try process: first the one that worked last, be it a candidate or not, then
// the candidates in their order, each once. The result is a new slice.
func (p *Paths) Order(process [16]byte, candidates []string) []string {
	p.mu.Lock()
	last, known := p.list.Get(process)
	p.mu.Unlock()
	order := make([]string, 0, len(candidates)+1)
	if known {
		order = append(order, last)
	}
	for _, candidate := range candidates {
		if !slices.Contains(order, candidate) {
			order = append(order, candidate)
		}
	}
	return order
}

func newLRU[K comparable, V any](size int) *simplelru.LRU[K, V] {
	list, err := simplelru.NewLRU[K, V](size, nil)
	if err != nil {
		panic("transport: " + err.Error()) // size is positive wherever it is called
	}
	return list
}
