package refs

import "sync"

// workers are the goroutines that serve calls. One that has served a call waits for the next: a new goroutine costs more than
// waking one, above all since its stack has to grow first. Those that wait are bounded, and fewer the longer little happens.
//
// Invariant: a worker is in idle, or somebody is about to give it a call, or it serves one, or it ends. mu is never held while a
// call is served; giving a call to a worker never waits.
type workers struct {
	mu     sync.Mutex
	idle   []*worker // the last to wait is the first to work
	closed bool
}

type worker struct {
	call  chan *Incoming // gets the next call; closed to end the worker
	ended chan struct{}
}

// mostIdle is how many workers may wait.
const mostIdle = 512

// serve has the call served.
func (w *workers) serve(in *Incoming) {
	w.mu.Lock()
	if last := len(w.idle) - 1; last >= 0 {
		one := w.idle[last]
		w.idle = w.idle[:last]
		w.mu.Unlock()
		one.call <- in
		return
	}
	w.mu.Unlock()
	one := &worker{make(chan *Incoming, 1), make(chan struct{})}
	one.call <- in
	go w.work(one) // ends when there are enough that wait, or by close; not waited for while it runs a method
}

func (w *workers) work(one *worker) {
	defer close(one.ended)
	for in := range one.call {
		in.serve()
		if !w.wait(one) {
			return
		}
	}
}

// wait lets the worker be given calls, unless it is to end.
func (w *workers) wait(one *worker) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed || len(w.idle) >= mostIdle {
		return false
	}
	w.idle = append(w.idle, one)
	return true
}

// trim ends half of those that wait.
func (w *workers) trim() {
	w.mu.Lock()
	n := (len(w.idle) + 1) / 2
	surplus := append([]*worker(nil), w.idle[:n]...)
	w.idle = append(w.idle[:0], w.idle[n:]...)
	if len(w.idle) == 0 {
		w.idle = nil
	}
	w.mu.Unlock()
	end(surplus)
}

// close ends those that wait, and lets the others end when their calls have.
func (w *workers) close() {
	w.mu.Lock()
	idle := w.idle
	w.idle, w.closed = nil, true
	w.mu.Unlock()
	end(idle)
	for _, one := range idle {
		<-one.ended
	}
}

func end(idle []*worker) {
	for _, one := range idle {
		close(one.call)
	}
}
