package worker

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/rmigo/rmigo/bench/hist"
	"github.com/rmigo/rmigo/bench/peer"
)

// load is what a client does to the server. run may be called again and again; close ends a run that is under way.
type load interface {
	run(ctx context.Context, d time.Duration) (Result, error)
	close()
}

// newLoad dials what the load needs.
func newLoad(ctx context.Context, p peer.Peer, addr, name string, callers int) (load, error) {
	if name == Connect {
		return &callersLoad{callers: newCallers([]peer.Call{connect(p, addr)})}, nil
	}
	ops, large := slices.Repeat([]peer.Op{peer.Op(name)}, callers), 0
	if name == Mixed {
		ops, large = slices.Repeat([]peer.Op{peer.Small}, callers), Large
		ops = append(ops, slices.Repeat([]peer.Op{peer.Bytes1M}, large)...)
	}
	session, err := p.Dial(ctx, addr, len(ops))
	if err != nil {
		return nil, err
	}
	if pipe, ok := session.(peer.Pipeliner); ok {
		return &pipeLoad{session, pipe, peer.Op(name), callers}, nil
	}
	calls := make([]peer.Call, len(ops))
	for i, op := range ops {
		if calls[i], err = session.Caller(op, i); err != nil {
			session.Close()
			return nil, fmt.Errorf("%s: %w", op, err)
		}
	}
	return &callersLoad{session: session, callers: newCallers(calls), large: large}, nil
}

// connect is a call that has a session of its own.
func connect(p peer.Peer, addr string) peer.Call {
	return func(ctx context.Context, _ bool) error {
		s, err := p.Dial(ctx, addr, 1)
		if err != nil {
			return err
		}
		defer s.Close()
		return callOnce(ctx, s)
	}
}

func callOnce(ctx context.Context, s peer.Session) error {
	if pipe, ok := s.(peer.Pipeliner); ok {
		return pipe.Pipeline(ctx, peer.Null, 1, &observer{pending: make(chan time.Time, 1)})
	}
	call, err := s.Caller(peer.Null, 0)
	if err != nil {
		return err
	}
	return call(ctx, true)
}

// caller makes calls and counts them; it belongs to one goroutine.
type caller struct {
	call   peer.Call
	called bool
	hist   hist.Hist
	err    error
}

func newCallers(calls []peer.Call) []*caller {
	callers := make([]*caller, len(calls))
	for i, c := range calls {
		callers[i] = &caller{call: c}
	}
	return callers
}

// run makes calls until end, at least one. The first one is checked thoroughly.
func (c *caller) run(ctx context.Context, end time.Time) {
	c.hist = hist.Hist{}
	for last := time.Now(); ; {
		if c.err = c.call(ctx, !c.called); c.err != nil {
			return
		}
		c.called = true
		now := time.Now()
		c.hist.Record(now.Sub(last))
		if now.After(end) {
			return
		}
		last = now
	}
}

// callersLoad is callers who each wait for their calls. The last of them, so many as large, are not measured, only counted.
type callersLoad struct {
	session peer.Session // nil where each call has its own
	callers []*caller
	large   int
}

func (l *callersLoad) run(ctx context.Context, d time.Duration) (Result, error) {
	start := time.Now()
	end := start.Add(d)
	var running sync.WaitGroup
	for _, c := range l.callers {
		running.Go(func() { c.run(ctx, end) })
	}
	running.Wait()
	took := time.Since(start)
	var all hist.Hist
	r := Result{}
	for i, c := range l.callers {
		if c.err != nil {
			return Result{}, c.err
		}
		if i < len(l.callers)-l.large {
			all.Add(&c.hist)
		} else {
			r.Large += int64(c.hist.N())
		}
	}
	return r.of(&all, took), nil
}

func (l *callersLoad) close() {
	if l.session != nil {
		l.session.Close()
	}
}

func (r Result) of(h *hist.Hist, took time.Duration) Result {
	r.Calls, r.Seconds = int64(h.N()), took.Seconds()
	r.P50, r.P99 = h.Quantile(0.5), h.Quantile(0.99)
	return r
}

// pipeLoad is a window of calls under way.
type pipeLoad struct {
	session peer.Session
	pipe    peer.Pipeliner
	op      peer.Op
	window  int
}

func (l *pipeLoad) run(ctx context.Context, d time.Duration) (Result, error) {
	start := time.Now()
	o := &observer{end: start.Add(d), pending: make(chan time.Time, l.window)}
	if err := l.pipe.Pipeline(ctx, l.op, l.window, o); err != nil {
		return Result{}, err
	}
	return Result{}.of(&o.hist, time.Since(start)), nil
}

func (l *pipeLoad) close() { l.session.Close() }

// observer times the calls of a pipeline, which are answered in order. hist is Answered's.
type observer struct {
	end     time.Time
	pending chan time.Time // when those under way were sent
	hist    hist.Hist
}

func (o *observer) Sent() bool {
	now := time.Now()
	o.pending <- now
	return now.Before(o.end)
}

func (o *observer) Answered() { o.hist.Record(time.Since(<-o.pending)) }

// idlers are sessions that do nothing, or nothing most of the time.
type idlers struct {
	mu       sync.Mutex
	sessions []peer.Session
	old      int // how many of them were there before the last idle
}

// idle adds n clients, each with sessions with all the servers, and calls each once.
func (c *client) idle(addrs []string, n int) error {
	c.old = len(c.sessions)
	return abreast(n, func(ctx context.Context, _ int) error {
		var first peer.Session
		for _, addr := range addrs {
			s, err := c.add(ctx, c.peer, first, addr)
			if err != nil {
				return err
			}
			if first == nil {
				first = s
			}
		}
		return nil
	})
}

// burst has each session of the last idle echo 1 MiB so many times.
func (d *idlers) burst(calls int) error {
	fresh := d.sessions[d.old:]
	return abreast(len(fresh), func(ctx context.Context, i int) error {
		call, err := fresh[i].Caller(peer.Bytes1M, 0)
		for n := 0; n < calls && err == nil; n++ {
			err = call(ctx, n == 0)
		}
		return err
	})
}

const ranks = 32 // how many sessions are dealt with at once

// abreast does something to each of n sessions, and returns the first error.
func abreast(n int, do func(ctx context.Context, i int) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), grace+time.Duration(n)*10*time.Millisecond)
	defer cancel()
	var ranked sync.WaitGroup
	errs := make([]error, ranks)
	for rank := range ranks {
		ranked.Go(func() {
			for i := rank; i < n && errs[rank] == nil; i += ranks {
				errs[rank] = do(ctx, i)
			}
		})
	}
	ranked.Wait()
	return cmp.Or(errs...)
}

// add dials a session, of the same client as the first one if there is one, and calls it.
func (d *idlers) add(ctx context.Context, p peer.Peer, first peer.Session, addr string) (peer.Session, error) {
	var s peer.Session
	var err error
	if joiner, can := first.(peer.Joiner); can {
		s, err = joiner.Join(ctx, addr)
	} else {
		s, err = p.Dial(ctx, addr, 1)
	}
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	d.sessions = append(d.sessions, s)
	d.mu.Unlock()
	return s, callOnce(ctx, s)
}

func (d *idlers) close() {
	var closing sync.WaitGroup
	for _, s := range d.sessions {
		closing.Go(func() { s.Close() })
	}
	closing.Wait()
	d.sessions, d.old = nil, 0
}
