package refs

import (
	"errors"
	"io"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rmigo/rmigo/internal/wire"
)

// writer is the sending half of a stream shared by many senders: a combining writer. A sender appends its frame under the
// lock; the first one in writes for all that came meanwhile, and what piles up behind it goes to a flusher goroutine, so that
// no sender writes for others for ever and an idle stream has no goroutine. Where replies have just woken senders, what is queued
// waits for them.
//
// Invariants: frames are appended whole and leave in order; at most one goroutine is inside stream.Write (busy); mu is never
// held across it. Where frames are queued and nobody is busy, either those who are awaited will come, or who gathers them will flush. A
// failed write is final: err is set, and nothing is written again.
type writer struct {
	stream io.Writer
	fail   func(error) // told of a failed write, once; must not block
	tasks  *tasks      // runs flushers

	mu   sync.Mutex
	buf  []byte        // frames not yet taken by a write
	free []byte        // the buffer of the last write, to be filled next
	room chan struct{} // closed when buf is taken; non-nil while senders wait for that
	busy bool
	err  error

	frames   int    // in buf
	tail     tail   // its end
	yielding uint64 // the turn of the sender that has set busy and lets others in first; 0: none does
	turn     uint64 // of the last that did

	woken  atomic.Uint64 // senders that replies have woken, so far
	came   atomic.Uint64 // of those, that have run since
	awaits atomic.Uint64 // how many must have, before what is queued is written by the last of them; 0: it does not wait for any

	since   atomic.Int64 // when the write under way began, in nanoseconds since start; 0: none
	unheard atomic.Int64 // bytes written since the peer was last known to read: since a reply came
	start   time.Time
}

const (
	maxQueued  = 1 << 20  // senders wait while so much is queued
	hardQueued = 16 << 20 // the peer takes in nothing: post gives up on it
	writeChunk = 64 << 10 // one Write to a stream; larger ones bloat the receiver's buffer
	keepBuffer = 4 << 20  // until the stream is idle
	// A sender writes itself only a small batch, and an impatient one only what cannot block: so much as fits into the socket's
	// buffers and the stream's window (256 KiB) though the peer reads nothing.
	inlineBatch   = 16 << 10
	inlineUnheard = 128 << 10
	// With eager frames the peer can begin. For others to join, a sender with company yields until there are so many, but no more often than this.
	yields = 1
	eager  = 48
)

var (
	errNotQueued  = errors.New("gave up waiting for the connection to take the call")
	errPeerStalls = errors.New("the peer does not read what it is sent")
)

// send queues the frame and sees to it that it is written, by this goroutine when that cannot block. While too much is queued
// it waits, until done is closed. After an error the frame was not, and will not be, sent; nil does not mean that it arrived.
// The frame may be reused at once. A patient sender may block in a write, one with a deadline must not. With company, other
// senders are likely about to send: let them join the write.
func (w *writer) send(done <-chan struct{}, frame []byte, patient, company bool) error {
	w.mu.Lock()
	if err := w.append(done, frame); err != nil {
		w.mu.Unlock()
		return err
	}
	mine := w.claim(company)
	w.mu.Unlock()
	if mine && w.round(true, patient) {
		w.tasks.run(w.drain)
	}
	return nil
}

// append queues the frame, once there is room. mu is held, but not while it waits.
func (w *writer) append(done <-chan struct{}, frame []byte) error {
	err := w.admit(done, len(frame))
	if err == nil {
		w.buf = append(w.buf, frame...)
	}
	return err
}

// admit returns when there is room for so much. mu is held, but not while it waits.
func (w *writer) admit(done <-chan struct{}, size int) error {
	for w.err == nil && len(w.buf) > 0 && len(w.buf)+size > maxQueued {
		if w.room == nil {
			w.room = make(chan struct{})
		}
		room := w.room
		if !w.busy { // what is queued waits for somebody, who may be this one
			w.busy = true
			w.tasks.run(w.drain)
		}
		w.mu.Unlock()
		select {
		case <-room:
			w.mu.Lock()
		case <-done:
			w.mu.Lock()
			return errNotQueued
		}
	}
	return w.err
}

// queue is send for a frame that nobody waits for: a flusher writes it, and all that come until it does.
func (w *writer) queue(done <-chan struct{}, frame []byte) error {
	w.mu.Lock()
	if err := w.append(done, frame); err != nil {
		w.mu.Unlock()
		return err
	}
	w.later()
	return nil
}

// later leaves a frame that was queued to a flusher. It unlocks mu.
func (w *writer) later() {
	w.frames++
	idle := !w.busy
	w.busy = true
	w.mu.Unlock()
	if idle {
		w.tasks.run(w.drain)
	}
}

// tail is a ONEWAY at the end of what is queued, or a ROW: those that come next may join it.
type tail struct {
	row     *row // nil: there is none
	method  uint64
	timeout time.Duration
	next    uint64 // the place after the last
	at      int    // where the ROW begins; -1: it is a ONEWAY
	end     int    // of what is queued; where that has grown since, nothing joins
}

const (
	mostJoining = 1 << 10  // bytes of the arguments of a call that joins others
	mostOfRow   = 24 << 10 // bytes of a ROW: it is not for the bulk session
)

// queueOneWay is queue for a ONEWAY, which frame has room for the header of, and arguments behind that: it joins the ROW of those before
// it, where it may.
func (w *writer) queueOneWay(done <-chan struct{}, frame []byte, r *row, h *wire.CallHeader) error {
	args := frame[wire.CallHeaderBytes:]
	alone := h.Pinned || h.Extensions != nil || len(args) > mostJoining
	if alone {
		wire.AppendCallHeader(frame[:0], *h)
		_ = wire.FinishFrame(frame) // the peer's limit bounds it
	}
	w.mu.Lock()
	if err := w.admit(done, len(frame)); err != nil {
		w.mu.Unlock()
		return err
	}
	if alone {
		w.buf = append(w.buf, frame...)
	} else {
		w.join(args, r, h)
	}
	w.later()
	return nil
}

// join queues a ONEWAY by itself, or as one of a row. mu is held.
func (w *writer) join(args []byte, r *row, h *wire.CallHeader) {
	t := &w.tail
	start := len(w.buf)
	follows := t.row == r && t.end == len(w.buf) && t.next == h.Slot && t.method == h.Method && t.timeout == h.Timeout && r.link.features&featureRows != 0
	switch {
	case !follows:
		w.buf = append(wire.AppendCallHeader(w.buf, *h), args...)
		*t = tail{row: r, method: h.Method, timeout: h.Timeout, at: -1}
	case t.at < 0 || start-t.at > mostOfRow:
		t.at = start
		w.buf = wire.AppendRowHeader(w.buf, wire.RowHeader{Place: h.Slot, Timeout: h.Timeout, Object: h.Object, Method: h.Method})
		fallthrough
	default:
		w.buf = wire.AppendInRow(w.buf, args)
		start = t.at
	}
	_ = wire.FinishFrame(w.buf[start:]) // it is short
	t.next, t.end = h.Slot+1, len(w.buf)
}

// claim decides whether it is for this sender to write: for the first one in, unless enough come while it lets others in; then for
// the last of those. mu is held, but not all the time.
func (w *writer) claim(company bool) bool {
	w.frames++
	if w.busy {
		enough := w.yielding != 0 && w.frames >= eager
		if enough {
			w.yielding = 0
		}
		return enough
	}
	if w.others() {
		return false
	}
	w.busy = true
	if !company {
		return true
	}
	w.turn++
	turn := w.turn
	w.yielding = turn
	for range yields {
		w.mu.Unlock()
		runtime.Gosched()
		w.mu.Lock()
		if w.yielding != turn {
			return false
		}
	}
	w.yielding = 0
	return true
}

// others reports whether what is queued waits for senders that replies have woken and that have yet to run: they are likely to send again.
// mu is held, and nobody is busy.
func (w *writer) others() bool {
	if w.frames >= eager || len(w.buf) > inlineBatch {
		return false
	}
	if w.awaits.Load() == 0 {
		woken := w.woken.Load()
		if w.came.Load() >= woken {
			return false
		}
		w.awaits.Store(woken)
	}
	return w.came.Load() < w.awaits.Load() // else the last of them may have come before it could see that it is waited for
}

// wake notes that a sender is being woken, which will arrive.
func (w *writer) wake() { w.woken.Add(1) }

// arrive is called by a sender that was woken, before all else: the last of those that what is queued waits for writes it.
func (w *writer) arrive() {
	came := w.came.Add(1)
	if awaits := w.awaits.Load(); awaits == 0 || came < awaits {
		return
	}
	if w.take() && w.round(true, false) {
		w.tasks.run(w.drain)
	}
}

// gather queues the frame for flush, which is to be called by the same goroutine. It may wait as send does.
func (w *writer) gather(done <-chan struct{}, frame []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.append(done, frame) != nil {
		return
	}
	if w.frames++; !w.busy && len(w.buf) > inlineBatch {
		w.busy = true
		w.tasks.run(w.drain)
	}
}

// flush writes what is queued, unless somebody else is to; what comes meanwhile it leaves to a flusher.
func (w *writer) flush() {
	if w.take() && w.round(false, true) {
		w.tasks.run(w.drain)
	}
}

// flushLater leaves all of it to a flusher.
func (w *writer) flushLater() {
	if w.take() {
		w.tasks.run(w.drain)
	}
}

// take makes it this goroutine's business to write what is queued, if nobody's it is.
func (w *writer) take() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	mine := !w.busy && len(w.buf) > 0
	w.busy = w.busy || mine
	return mine
}

// post queues the frame without ever waiting, for goroutines that read and must not depend on the peer's reading. Where the
// peer lets more than hardQueued pile up, the stream is given up.
func (w *writer) post(frame []byte) {
	w.mu.Lock()
	if w.err == nil && len(w.buf) > hardQueued {
		w.err = errPeerStalls
		w.mu.Unlock()
		w.fail(errPeerStalls)
		return
	}
	if w.err != nil {
		w.mu.Unlock()
		return
	}
	w.buf = append(w.buf, frame...)
	idle := !w.busy
	w.busy = true
	w.mu.Unlock()
	if idle {
		w.tasks.run(w.drain)
	}
}

// drain writes until nothing is queued.
func (w *writer) drain() {
	for w.round(false, true) {
	}
}

// round writes what is queued; it reports whether there is more, which then is the caller's to write. Only the goroutine that
// set busy calls it. For an impatient sender it writes nothing that could block, whoever queued it.
func (w *writer) round(sender, patient bool) (more bool) {
	w.mu.Lock()
	if sender && len(w.buf) > inlineBatch || !patient && w.unheard.Load() > inlineUnheard {
		w.mu.Unlock()
		return true
	}
	out := w.buf
	w.frames, w.tail = 0, tail{}
	w.awaits.Store(0)
	w.buf, w.free = w.free[:0], nil
	if w.room != nil {
		close(w.room)
		w.room = nil
	}
	w.mu.Unlock()

	err := w.write(out)

	w.mu.Lock()
	if cap(out) <= keepBuffer {
		w.free = out
	}
	failed := err != nil && w.err == nil
	if failed {
		w.err = err
	}
	if w.err != nil {
		w.abandon()
	}
	more = len(w.buf) > 0
	w.busy = more
	w.mu.Unlock()
	if failed {
		w.fail(err)
	}
	return more
}

// abandon drops what is queued and lets waiting senders go. mu is held and err set.
func (w *writer) abandon() {
	w.buf, w.free = nil, nil
	if w.room != nil {
		close(w.room)
		w.room = nil
	}
}

func (w *writer) write(out []byte) error {
	for len(out) > 0 {
		n := min(len(out), writeChunk)
		w.since.Store(max(1, int64(time.Since(w.start))))
		_, err := w.stream.Write(out[:n])
		w.since.Store(0)
		if err != nil {
			return err
		}
		w.unheard.Add(int64(n))
		out = out[n:]
	}
	return nil
}

// shrink gives back the buffer of an idle stream.
func (w *writer) shrink() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.busy && len(w.buf) == 0 {
		w.buf, w.free = nil, nil
	}
}

// close makes further sends fail with err.
func (w *writer) close(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == nil {
		w.err = err
	}
	w.abandon()
}

// stalled returns how long the write under way has been going on.
func (w *writer) stalled() time.Duration {
	since := w.since.Load()
	if since == 0 {
		return 0
	}
	return time.Since(w.start) - time.Duration(since)
}
