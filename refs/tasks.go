package refs

import "sync"

// tasks are goroutines that somebody owns: whoever starts one here can wait for it. Unlike a sync.WaitGroup, run may race
// with wait; what runs then ends by itself, for its owner is closed.
type tasks struct {
	mu      sync.Mutex
	running int
	none    chan struct{} // closed when running falls to zero; nil while nobody waits
}

func (t *tasks) run(f func()) {
	t.begin()
	go func() {
		defer t.done()
		f()
	}()
}

// begin counts a goroutine that the caller starts, and that ends with done.
func (t *tasks) begin() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.running++
}

func (t *tasks) done() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.running--
	if t.running == 0 && t.none != nil {
		close(t.none)
		t.none = nil
	}
}

// idle returns a channel that is closed once nothing runs.
func (t *tasks) idle() <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.none == nil {
		t.none = make(chan struct{})
	}
	none := t.none
	if t.running == 0 {
		close(t.none)
		t.none = nil
	}
	return none
}

// wait returns once nothing runs.
func (t *tasks) wait() { <-t.idle() }
