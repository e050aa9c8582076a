package refs

import (
	"sync"
	"sync/atomic"
)

// tasks are goroutines that somebody owns: whoever starts one here can wait for it. Unlike a sync.WaitGroup, run may race
// with wait; what runs then ends by itself, for its owner is closed.
type tasks struct {
	running atomic.Int64

	mu   sync.Mutex
	none chan struct{} // closed when running falls to zero; nil while nobody waits
}

func (t *tasks) run(f func()) {
	t.begin()
	go func() {
		defer t.done()
		f()
	}()
}

// begin counts what ends with done.
func (t *tasks) begin() { t.running.Add(1) }

func (t *tasks) done() {
	if t.running.Add(-1) == 0 {
		t.settle()
	}
}

// settle tells those who wait, if nothing runs.
func (t *tasks) settle() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.none != nil && t.running.Load() == 0 {
		close(t.none)
		t.none = nil
	}
}

// idle returns a channel that is closed once nothing runs.
func (t *tasks) idle() <-chan struct{} {
	t.mu.Lock()
	if t.none == nil {
		t.none = make(chan struct{})
	}
	none := t.none
	t.mu.Unlock()
	t.settle() // it may have been the last that ended meanwhile
	return none
}

// wait returns once nothing runs.
func (t *tasks) wait() { <-t.idle() }
