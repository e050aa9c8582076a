package refs

import "sync"

// askers are goroutines that make asynchronous calls. One that has made its call waits for the next: what a new one costs is mostly the
// growth of its stack. mu is a leaf.
type askers struct {
	tasks *tasks // whose they are

	mu     sync.Mutex
	idle   []chan func() // the last to wait is the first to work; closed to end it
	closed bool
}

// run has one of them run f, and returns at once.
func (a *askers) run(f func()) {
	a.mu.Lock()
	if last := len(a.idle) - 1; last >= 0 {
		next := a.idle[last]
		a.idle[last], a.idle = nil, a.idle[:last]
		a.mu.Unlock()
		next <- f // has room
		return
	}
	a.mu.Unlock()
	a.tasks.run(func() { // ends when enough others wait, by trim, or by close
		next := make(chan func(), 1)
		for more := true; more; {
			f()
			if more = a.rest(next); more {
				f, more = <-next
			}
		}
	})
}

// mostIdleAskers is how many may wait.
const mostIdleAskers = 1024

// rest makes one of them wait; false: it is to end.
func (a *askers) rest(next chan func()) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed || len(a.idle) >= mostIdleAskers {
		return false
	}
	a.idle = append(a.idle, next)
	return true
}

// trim ends half of those that wait.
func (a *askers) trim() {
	a.mu.Lock()
	n := (len(a.idle) + 1) / 2
	surplus := append([]chan func(){}, a.idle[:n]...)
	a.idle = append([]chan func(){}, a.idle[n:]...)
	a.mu.Unlock()
	for _, next := range surplus {
		close(next)
	}
}

// close ends those that wait, and lets the others end after their calls.
func (a *askers) close() {
	a.mu.Lock()
	idle := a.idle
	a.idle, a.closed = nil, true
	a.mu.Unlock()
	for _, next := range idle {
		close(next)
	}
}
