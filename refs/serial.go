package refs

import (
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rmigo/rmigo/internal/wire"
)

// turns are the serial objects that are being called, each by one call at a time, first come, first served.
//
// Who has an object is known by a token, which the calls made on its behalf carry along as part of their path: they are let in while it
// has the object. So an object may be called by its own chain, and chains through several of them end in a deadlock only where two have
// what the other waits for. To find such a circle, whoever has waited for a while sends a probe along the calls that keep it waiting
// (Chandy, Misra and Haas 1983). mu is held for table work only.
type turns struct {
	any atomic.Bool // there are serial objects

	mu      sync.Mutex
	busy    map[*export]*turn
	waiting map[*callContext]wait // whatever for
}

// turn is one object that is being called.
type turn struct {
	e     *export
	token uint64
	holds int // the call that has it, and those of its chain that were let in
	line  []*inLine
}

// wait is a call that waits.
type wait interface {
	holder() uint64         // the token of who keeps it waiting; 0: nobody just now
	refuse(why *Error) bool // ends it, unless it has been let go meanwhile
	about() (rank uint64, t *time.Timer)
}

// waiter is what all waits have in common.
type waiter struct {
	in    *Incoming
	rank  uint64
	timer *time.Timer
}

// inLine waits for its turn.
type inLine struct {
	waiter
	t     *turn
	ready chan struct{} // closed when its turn has come; nil: a worker is to serve it then
}

const (
	probeAfter    = time.Second
	mostHops      = 64
	probesATick   = 4096 // of one peer, in a second
	errDeadlocked = "it waits for what a call that waits for it has"
)

// newToken is never 0, and nobody can guess it.
func newToken() uint64 { return rand.Uint64() | 1 }

// serialExport returns the object if it is a serial one.
func (t *exports) serialExport(id ObjectID) *export {
	t.mu.RLock()
	defer t.mu.RUnlock()
	e := t.byID[id]
	if e == nil || !slices.ContainsFunc(e.faces, func(f *Face) bool { return f.serial }) {
		return nil
	}
	return e
}

// take gives the call its object, or a place in the line for it; then it is served when its turn has come.
func (t *turns) take(in *Incoming) bool { return t.enter(in, nil) }

// await is take for a call whose worker waits.
func (t *turns) await(in *Incoming) {
	if !t.any.Load() {
		return
	}
	ready := make(chan struct{})
	if !t.enter(in, ready) {
		<-ready
	}
}

func (t *turns) enter(in *Incoming, ready chan struct{}) bool {
	e := in.node.exports.serialExport(in.object)
	if e == nil || in.Method < 256 {
		return true
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	u := t.busy[e]
	switch {
	case len(in.ctx.path()) == wire.MostTokens:
		in.refused = &Error{Kind: ErrLimit, Err: errors.New("the chain of calls has too many serial objects")}
		return true
	case u == nil:
		if t.busy == nil {
			t.busy = map[*export]*turn{}
		}
		u = &turn{e: e}
		t.busy[e] = u
		u.admit(in)
		return true
	case in.ctx.on(u.token):
		u.holds++
		in.turn = u
		return true
	}
	w := &inLine{waiter{in: in}, u, ready}
	u.line = append(u.line, w)
	w.watchLocked(in.node, w)
	return false
}

// admit makes the call the one that has the object.
func (u *turn) admit(in *Incoming) {
	u.token, u.holds, in.turn = newToken(), 1, u
	in.ctx.takes(u.token)
}

// release ends a call's having of its object; the next one has it then.
func (t *turns) release(in *Incoming) {
	u := in.turn
	in.turn = nil
	t.mu.Lock()
	if u.holds--; u.holds > 0 {
		t.mu.Unlock()
		return
	}
	if len(u.line) == 0 {
		delete(t.busy, u.e)
		t.mu.Unlock()
		return
	}
	next := u.line[0]
	u.line = slices.Delete(u.line, 0, 1)
	u.admit(next.in)
	delete(t.waiting, next.in.ctx)
	t.mu.Unlock()
	next.timer.Stop()
	next.wake()
}

func (w *inLine) wake() {
	if w.ready != nil {
		close(w.ready)
		return
	}
	w.in.node.workers.do(w.in)
}

// holder implements wait. turns.mu is held.
func (w *inLine) holder() uint64 { return w.t.token }

// refuse implements wait.
func (w *inLine) refuse(why *Error) bool {
	t := &w.in.node.turns
	t.mu.Lock()
	i := slices.Index(w.t.line, w)
	if i >= 0 {
		w.t.line = slices.Delete(w.t.line, i, i+1)
		delete(t.waiting, w.in.ctx)
		w.in.refused = why
	}
	t.mu.Unlock()
	if i < 0 {
		return false
	}
	w.timer.Stop()
	w.wake()
	return true
}

// about implements wait.
func (w *waiter) about() (uint64, *time.Timer) { return w.rank, w.timer }

// watch has the wait looked after: it is known to probes, and sends its own.
func (w *waiter) watch(n *Node, self wait) {
	n.turns.mu.Lock()
	defer n.turns.mu.Unlock()
	w.watchLocked(n, self)
}

func (w *waiter) watchLocked(n *Node, self wait) {
	if n.turns.waiting == nil {
		n.turns.waiting = map[*callContext]wait{}
	}
	n.turns.waiting[w.in.ctx] = self
	w.rank = newToken()
	ctx := w.in.ctx
	w.timer = time.AfterFunc(probeAfter, func() { n.probe(ctx, self) })
}

// stop ends a watch.
func (w *waiter) stop(n *Node) {
	n.turns.mu.Lock()
	delete(n.turns.waiting, w.in.ctx)
	n.turns.mu.Unlock()
	w.timer.Stop()
}

// probe asks whether a wait is part of a circle, and goes on asking while it lasts.
func (n *Node) probe(ctx *callContext, self wait) {
	n.turns.mu.Lock()
	if n.turns.waiting[ctx] != self || n.base.Err() != nil {
		n.turns.mu.Unlock()
		return
	}
	token := self.holder()
	rank, timer := self.about()
	path := ctx.path()
	n.turns.mu.Unlock()
	if token != 0 && len(path) > 0 {
		n.chase(token, wire.Probe{Rank: rank, Path: path})
	}
	timer.Reset(probeAfter)
}

// chase sends a probe along what the call with the token waits for: the calls that it has made, and its own turn if it is a one-way one.
func (n *Node) chase(token uint64, p wire.Probe) {
	n.follow(p, func(c *callContext) bool { return c.on(token) })
	n.turns.mu.Lock()
	var found []wait
	for ctx, w := range n.turns.waiting {
		if l, ok := w.(*inLine); ok && l.ready != nil && ctx.on(token) {
			found = append(found, w)
		}
	}
	n.turns.mu.Unlock()
	for _, w := range found {
		n.reached(w, p)
	}
}

// follow sends a probe along the calls made on behalf of some that are being served.
func (n *Node) follow(p wire.Probe, of func(*callContext) bool) {
	if p.Hops++; p.Hops > mostHops {
		return
	}
	n.mu.Lock()
	links := append(n.liveLinks(), n.home)
	n.mu.Unlock()
	for _, l := range links {
		if l.features&featureOrder == 0 {
			continue
		}
		for _, number := range l.waiting.of(of) {
			p.Number = number
			l.out.post(wire.AppendProbe(nil, p))
		}
	}
}

// reached ends a wait that closes a circle with who asks, or asks on.
func (n *Node) reached(w wait, p wire.Probe) {
	n.turns.mu.Lock()
	token := w.holder()
	rank, _ := w.about()
	n.turns.mu.Unlock()
	switch {
	case rank > p.Rank || token == 0: // one of a circle is enough: that of the highest rank
	case slices.Contains(p.Path, token):
		w.refuse(&Error{Kind: ErrDeadlock, Err: errors.New(errDeadlocked)})
	default:
		n.chase(token, p)
	}
}

// takeProbe takes a PROBE.
func (l *link) takeProbe(frame []byte) error {
	p, err := wire.ParseProbe(frame)
	if err != nil {
		return err
	}
	if now := int64(time.Since(l.start) / time.Second); l.probeSecond.Swap(now) != now {
		l.probes.Store(0)
	}
	if l.probes.Add(1) > probesATick {
		return nil
	}
	l.serving.mu.Lock()
	c := l.serving.running[p.Number]
	l.serving.mu.Unlock()
	if c == nil {
		return nil
	}
	n := l.node
	n.turns.mu.Lock()
	w := n.turns.waiting[c]
	n.turns.mu.Unlock()
	if w != nil {
		n.reached(w, p)
		return nil
	}
	n.follow(p, func(in *callContext) bool { return in == c })
	return nil
}

// of returns the numbers of calls that are made on behalf of some that are being served.
func (s *slots) of(which func(*callContext) bool) (numbers []uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.table {
		if c := s.table[i].call; c != nil && c.in != nil && which(c.in) {
			numbers = append(numbers, c.number)
		}
	}
	return numbers
}
