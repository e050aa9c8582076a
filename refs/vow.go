package refs

import (
	"bytes"
	"errors"
	"fmt"
	"sync"

	"github.com/rmigo/rmigo/internal/wire"
)

// Promises, at the callee: what a link's peer has been promised by calls that it waits for, and its pipes. mu is held for table work only;
// who waits for a vow does so on a worker of its own.
type vows struct {
	mu    sync.Mutex
	made  map[uint64]*vowed
	pipes map[uint64]*inPipe
}

// vowed is what a call is to return. It keeps the object until the caller has forgotten it.
type vowed struct {
	done   chan struct{}
	object ObjectID // of this process; zero: it is none of its own
	keep   any
	moved  bool // it is in another process
}

// inPipe is a pipeline: its calls run one at a time, in the order in which they came, but for those that the running one waits for. One
// that cannot go ahead stops it.
type inPipe struct {
	token   uint64 // that the calls made on behalf of the running one carry along
	queue   []*Incoming
	running bool
	stopped bool
}

var errMoved = errors.New("what was promised is not in this process")

// vow notes that the caller is promised what the call returns; false: that is too much.
func (s *vows) vow(number uint64, limit int) (*vowed, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.made) >= limit {
		return nil, false
	}
	if s.made == nil {
		s.made = map[uint64]*vowed{}
	}
	v := &vowed{done: make(chan struct{})}
	s.made[number] = v
	return v, true
}

// What becomes of a call that comes in a pipe.
type entry int

const (
	starts entry = iota
	waits        // for those before it
	within       // the one that runs: it is served as any other call
)

// join puts a call into its pipe.
func (s *vows) join(in *Incoming, pipe uint64) entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.pipes[pipe]
	if p != nil && p.running && in.ctx.on(p.token) {
		return within
	}
	in.pipe = pipe
	if p == nil {
		if s.pipes == nil {
			s.pipes = map[uint64]*inPipe{}
		}
		p = &inPipe{}
		s.pipes[pipe] = p
	}
	if p.running {
		p.queue = append(p.queue, in)
		return waits
	}
	p.running, p.token = true, in.ctx.lastToken()
	return starts
}

// leave returns the next call of the pipe, which is to start.
func (s *vows) leave(pipe uint64) *Incoming {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.pipes[pipe]
	switch {
	case p == nil:
		return nil
	case len(p.queue) == 0:
		if p.running = false; !p.stopped {
			delete(s.pipes, pipe)
		}
		return nil
	}
	next := p.queue[0]
	p.queue[0] = nil
	p.queue = p.queue[1:]
	p.token = next.ctx.lastToken()
	return next
}

// more reports whether calls of the pipe wait.
func (s *vows) more(pipe uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.pipes[pipe]
	return p != nil && len(p.queue) > 0
}

// stop has all further calls of the pipe refused.
func (s *vows) stop(pipe uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.pipes[pipe]; p != nil {
		p.stopped = true
	}
}

func (s *vows) stopped(pipe uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.pipes[pipe]
	return p != nil && p.stopped
}

// forget lets go of what the caller does not need any more.
func (s *vows) forget(number uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.made, number)
	if p := s.pipes[number]; p != nil && !p.running {
		delete(s.pipes, number)
	}
}

// redeem waits for what was promised, and returns the id of the object.
func (c *callContext) redeem(number uint64) (ObjectID, *Error) {
	s := &c.link.vows
	s.mu.Lock()
	v := s.made[number]
	s.mu.Unlock()
	if v == nil {
		return ObjectID{}, &Error{Kind: ErrNoSuchObject, Reason: NeverExisted, Err: errors.New("no call was to return it")}
	}
	select {
	case <-v.done:
	default:
		select {
		case <-v.done:
		case <-c.Done():
			return ObjectID{}, &Error{Err: contextError(c)}
		}
	}
	switch {
	case v.moved:
		return ObjectID{}, &Error{Kind: ErrBroken, Err: errMoved}
	case v.object == ObjectID{}:
		return ObjectID{}, &Error{Kind: ErrBroken, Err: errors.New("the call that was to return it has failed")}
	}
	return v.object, nil
}

// aim finds the object of a call that came with a promise, or in a pipe.
func (in *Incoming) aim() *Error {
	l := in.ctx.link
	if in.pipe != 0 && l.vows.stopped(in.pipe) {
		return &Error{Kind: ErrBroken, Err: errMoved}
	}
	if number, ok := in.object.vowed(); ok {
		object, e := in.ctx.redeem(number)
		if e != nil {
			return e
		}
		in.object = object
	}
	if in.node.turns.any.Load() {
		in.redeemAll()
	}
	in.node.turns.await(in)
	return in.refused
}

// redeemAll waits for what is promised among the arguments, since what returns that may need the object that the call is about to have for
// itself. It looks for the ids of promises wherever they may be: the decoder says what is wrong with them.
func (in *Incoming) redeemAll() {
	for rest := in.body; ; {
		i := bytes.Index(rest, []byte(vowPrefix))
		if i < 0 || len(rest)-i < len(ObjectID{}) {
			return
		}
		number, _ := ObjectID(rest[i:][:len(ObjectID{})]).vowed()
		_, _ = in.ctx.redeem(number)
		rest = rest[i+len(vowPrefix):]
	}
}

// keepVow makes the object that the call has returned the one that was promised.
func (in *Incoming) keepVow(err error) {
	v := in.vow
	if err == nil && in.begun {
		v.object, v.keep = in.leaves.first.id.Object, in.leaves.first.keep
		v.moved = in.leaves.first.keep != nil && in.leaves.first.id.Process != in.node.id
	}
	close(v.done)
	in.vow, in.leaves.first = nil, held{}
}

// takeCalls takes the calls of a batch.
func (r *lane) takeCalls(frame []byte, lent bool) error {
	calls, err := wire.ParseCalls(frame)
	if err != nil {
		return err
	}
	for len(calls) > 0 {
		var one []byte
		if one, calls, err = wire.NextCall(calls); err != nil {
			return err
		}
		if err = r.l.takeCall(one, arrival{now: r.now(), lent: true, late: true}); err != nil {
			return err
		}
	}
	if !lent {
		r.l.node.buffers.Put(frame)
	}
	return nil
}

// promiseFor prepares what a call needs that returns a promise; the error refuses it.
func (in *Incoming) promiseFor(number uint64) *Error {
	limit := in.node.cfg.Limits.CallsPerPeer
	v, ok := in.ctx.link.vows.vow(number, limit)
	if !ok {
		return &Error{Kind: ErrOverloaded, Err: fmt.Errorf("this peer is promised the results of %d calls (Limits.CallsPerPeer)", limit)}
	}
	in.vow = v
	return nil
}

// Promises returns how many objects the node keeps because calls have promised them.
func (n *Node) Promises() (count int) {
	n.mu.Lock()
	links := append(n.liveLinks(), n.home)
	n.mu.Unlock()
	for _, l := range links {
		l.vows.mu.Lock()
		count += len(l.vows.made)
		l.vows.mu.Unlock()
	}
	return count
}
