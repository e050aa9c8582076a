package refs

import "sync"

// workers are the goroutines that serve calls. Waking one costs more than a short method does, so a worker that has served a call
// takes the next one itself; and since a method may as well last, there is always another one on its way while calls wait.
//
// Invariant: while calls wait, coming is true: a worker that runs no method is about to take one. If more wait then, it has another
// worker follow before it serves its own. So calls wait for workers, never for methods. mu is never held while a call is served.
type workers struct {
	mu     sync.Mutex
	queue  []task // those that wait, from head on
	head   int
	coming bool
	idle   []*worker // the last to wait is the first to work
	closed bool
}

// task is a call to be served, an object's one-way calls to be run in their order, or an asynchronous call whose outcome is to be read.
type task interface{ serve() }

type worker struct {
	wake   chan struct{} // receives when the worker is to come; closed to end it
	comes  bool          // it is the one that is coming
	ended  chan struct{}
	worked bool // its goroutine runs
}

// mostIdle is how many workers may wait.
const mostIdle = 512

// do has the task served. It never waits.
func (w *workers) do(t task) {
	w.mu.Lock()
	if w.head > 64 && w.head >= len(w.queue)/2 { // rather than grow for ever where calls always wait
		w.queue = w.queue[:copy(w.queue, w.queue[w.head:])]
		w.head = 0
	}
	w.queue = append(w.queue, t)
	next := w.follow()
	w.mu.Unlock()
	w.send(next)
}

// follow returns the worker that has to come for the calls that wait, if one has to. mu is held.
func (w *workers) follow() *worker {
	if w.coming || w.head == len(w.queue) {
		return nil
	}
	w.coming = true
	var next *worker
	if last := len(w.idle) - 1; last >= 0 {
		next = w.idle[last]
		w.idle[last], w.idle = nil, w.idle[:last]
	} else {
		next = &worker{wake: make(chan struct{}, 1), ended: make(chan struct{})}
	}
	next.comes = true
	return next
}

// send has the worker come that follow returned.
func (w *workers) send(next *worker) {
	switch {
	case next == nil:
	case next.worked:
		next.wake <- struct{}{}
	default:
		next.worked = true
		go w.work(next) // ends when enough others wait, or by close; not waited for while it runs a method
	}
}

func (w *workers) work(one *worker) {
	defer close(one.ended)
	for {
		t, idle := w.take(one)
		if t != nil {
			t.serve()
			continue
		}
		if !idle {
			return
		}
		if _, more := <-one.wake; !more {
			return
		}
	}
}

// take returns the next task. If there is none, the worker is one of the idle now, or is to end.
func (w *workers) take(one *worker) (t task, idle bool) {
	w.mu.Lock()
	if one.comes {
		one.comes, w.coming = false, false
	}
	if w.head == len(w.queue) {
		defer w.mu.Unlock()
		if w.closed || len(w.idle) >= mostIdle {
			return nil, false
		}
		w.idle = append(w.idle, one)
		return nil, true
	}
	t = w.queue[w.head]
	w.queue[w.head] = nil
	w.head++
	if w.head == len(w.queue) {
		w.queue, w.head = w.queue[:0], 0
	}
	next := w.follow()
	w.mu.Unlock()
	w.send(next)
	return t, false
}

// trim ends half of those that wait.
func (w *workers) trim() {
	w.mu.Lock()
	n := (len(w.idle) + 1) / 2
	surplus := append([]*worker(nil), w.idle[:n]...)
	w.idle = append([]*worker(nil), w.idle[n:]...)
	if w.head == len(w.queue) {
		w.queue, w.head = nil, 0
	}
	w.mu.Unlock()
	for _, one := range surplus {
		close(one.wake)
	}
}

// close ends those that wait, and lets the others end when they have nothing to do.
func (w *workers) close() {
	w.mu.Lock()
	idle := w.idle
	w.idle, w.closed = nil, true
	w.mu.Unlock()
	for _, one := range idle {
		close(one.wake)
		<-one.ended
	}
}
