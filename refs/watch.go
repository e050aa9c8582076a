package refs

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// watch is somebody who wants to know when an object is gone, or its process given up: told once.
type watch struct {
	once sync.Once
	f    func(why error)
}

func (w *watch) tell(why error) { w.once.Do(func() { w.f(why) }) }

// Watch has f called, once, when the object is known to be gone, the handle is released, or the object's process is given up, at once where
// that has happened: with an *Error of the kind ErrNoSuchObject, ErrReleased, ErrPeerExpired or ErrUnreachable. f may only lock and delete, for
// of an object of this process it is a cleanup that tells, and may be called before Watch returns. stop ends the watching; f may be running
// then. The handle must be reachable for as long as that matters.
func (h *Handle) Watch(f func(why error)) (stop func()) {
	w := &watch{f: f}
	r := h.rarely()
	h.mu.Lock()
	if r.watches == nil {
		r.watches = map[*watch]struct{}{}
	}
	r.watches[w] = struct{}{}
	h.mu.Unlock()
	why := h.peer.watch(w)
	if end := h.end.Load(); end != nil {
		why = end
	} else if h.Local() {
		if _, _, gone := h.Node().exports.get(h.id.Object); gone != 0 {
			why = &Error{Kind: ErrNoSuchObject, Reason: gone, NotRun: true}
		}
	}
	if why != nil {
		w.tell(why)
	}
	return func() {
		h.mu.Lock()
		delete(r.watches, w)
		h.mu.Unlock()
		h.peer.unwatch(w)
	}
}

// watch has w told when the peer is given up; why says that it is already.
func (p *peer) watch(w *watch) (why error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.watchers == nil {
		p.watchers = map[*watch]struct{}{}
	}
	p.watchers[w] = struct{}{}
	return p.givenUp
}

func (p *peer) unwatch(w *watch) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.watchers, w)
}

// Monitor blocks until what Watch tells of, and returns it. If ctx ends first, it returns ctx's error. A well-known object, such as a
// registry, is held by nobody and so cannot be monitored, nor can one of this process.
func (h *Handle) Monitor(ctx context.Context) error {
	if h.Local() || h.id.Object.WellKnown() {
		return &Error{Op: "monitor", Ref: h.Ref(), NotRun: true, Err: errors.New("objects of this process and well-known ones are not monitored")}
	}
	told := make(chan error, 1)
	defer h.Watch(func(why error) { told <- why })()
	var err *Error
	select {
	case why := <-told:
		err = asError(why)
	case <-h.Node().base.Done():
		err = &Error{Kind: ErrNodeClosed, NotRun: true}
	case <-ctx.Done():
		err = &Error{NotRun: true, Err: contextError(ctx)}
	}
	err.Op, err.Ref = "monitor", h.Ref()
	return err
}

// Secure waits until the object's process knows that this one holds the object; an *Error of the kind ErrNoSuchObject where the
// object is gone.
func (h *Handle) Secure(ctx context.Context) error {
	if h.Local() || h.id.Object.WellKnown() {
		return nil
	}
	told := make(chan Reason, 1)
	h.Node().collector.Secured(h.id, func(why Reason) { told <- why })
	err := &Error{Op: "hold", Ref: h.Ref(), NotRun: true}
	select {
	case err.Reason = <-told:
		end := h.end.Load() // it may have been released meanwhile
		switch {
		case end != nil:
			err = asError(end)
			err.Op, err.Ref = "hold", h.Ref()
		case err.Reason == 0:
			return nil
		default:
			err.Kind = ErrNoSuchObject
		}
	case <-h.Node().base.Done():
		err.Kind = ErrNodeClosed
	case <-ctx.Done():
		err.Err = fmt.Errorf("process %v did not answer: %w", h.id.Process, contextError(ctx))
	}
	return err
}
