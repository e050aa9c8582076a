package refs

import (
	"context"
	"sync"

	"github.com/rmigo/rmigo/internal/wire"
)

// Progress says how far the transfer of a call is: how many bytes of its message of arguments, and then of its message of results, have
// gone out or come in, of how many.
type Progress struct {
	Method      string // "bank.Account.Deposit"
	Results     bool   // it is the results that are under way; else the arguments
	Done, Total int64  // bytes
}

// OnProgress returns a context; of calls that are made with it f is told how far their transfer is: of large messages again and again, of
// each at its end. f runs on the goroutine that waits for the call, and holds up nothing but that. One-way calls and streams are not told of.
func OnProgress(ctx context.Context, f func(Progress)) context.Context {
	s := scopeOf(ctx)
	s.progress = f
	return &scope{Context: ctx, scoped: s}
}

// progress is how far a call is, noted by who sends and receives and told by who waits. A nil one notes nothing.
type progress struct {
	tell func(Progress)
	wake bell

	mu        sync.Mutex
	now, told [2]amount // of the arguments, of the results
}

// amount is so many bytes of a message.
type amount struct{ done, total int }

func newProgress(tell func(Progress)) *progress { return &progress{tell: tell, wake: newBell()} }

// begin says that a frame of so many bytes is about to be sent.
func (p *progress) begin(frame int) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now, p.told = [2]amount{{0, frame - wire.CallHeaderBytes}}, [2]amount{}
}

func (p *progress) sent(of int) { p.note(0, of-wire.CallHeaderBytes, 0) }

// received says how many bytes of a reply of so many have come.
func (p *progress) received(have, need int) {
	p.note(1, have-wire.ReplyHeaderBytes, need-wire.ReplyHeaderBytes)
}

func (p *progress) note(i, done, total int) {
	if p == nil {
		return
	}
	p.mu.Lock()
	if p.now[i].done = max(p.now[i].done, done); total > 0 {
		p.now[i].total = total
	}
	p.mu.Unlock()
	p.wake.ring()
}

// report tells what is new.
func (p *progress) report(method string) {
	p.mu.Lock()
	now, told := p.now, p.told
	p.told = now
	p.mu.Unlock()
	for i, a := range now {
		if a != told[i] && a.done > 0 {
			p.tell(Progress{Method: method, Results: i == 1, Done: int64(a.done), Total: int64(a.total)})
		}
	}
}

// watch waits for the outcome of a call, and tells how far it is; false: it was given up.
func (c *Outgoing) watch() bool {
	p, method := c.progress, c.face.methodName(c.method)
	waiting := true
	defer func() {
		if waiting { // what is told has panicked
			c.gaveUp()
			if c.cancel != nil {
				c.cancel()
			}
		}
	}()
	for {
		select {
		case <-p.wake:
			p.report(method)
			continue
		case <-c.done:
		case <-c.ctx.Done():
			if waiting = false; c.gaveUp() {
				return false
			}
		}
		break
	}
	waiting = false
	if c.broke == nil && c.flags&wire.ReplyNotStarted == 0 { // all of it has come, however it did
		p.mu.Lock()
		p.now[0].done = p.now[0].total
		if p.now[1].total == 0 {
			p.now[1].total = len(c.body)
		}
		p.now[1].done = p.now[1].total
		p.mu.Unlock()
		p.report(method)
	}
	return true
}
