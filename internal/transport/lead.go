package transport

import (
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// A Lead is the part of the goroutine that receives for a session: leaders and followers (Schmidt, O'Ryan, Kircher, Pyarali, Buschmann:
// Leader/Followers, PLoP 2000), but that the leader keeps the part while it works, and loses it only where that lasts.
//
// Its state goes from receiving to lent and back with the goroutine whose it is, and from lent to passed, at the end, by Pass.
type Lead struct {
	conn  *muxConn
	state atomic.Int32
}

const (
	receiving int32 = iota
	lent
	passed
)

// Pass has another goroutine receive, if the one whose the lead is works for a Worker: it may then do so for as long as it likes. Otherwise it
// does nothing. It may be called by any goroutine, and returns at once.
func (l *Lead) Pass() {
	if !l.state.CompareAndSwap(lent, passed) {
		return
	}
	c := l.conn
	next := &Lead{conn: c}
	c.leads.Lock()
	c.lead = next
	c.leads.Unlock()
	go c.follow(next) // as told at launch
}

// leads is who receives for a connection. yamux's goroutine does until a Worker wants the lead: user code must not run there, since yamux
// waits for that goroutine to end. From then on a goroutine of the connection's own receives, until the session ends or has been idle for a
// while; yamux's waits for the headers that are for it.
//
// The fields are guarded by the mutex; it is a leaf.
type leads struct {
	sync.Mutex
	moved   sync.Cond      // lead is nil again, headers have been passed on, or failed is set
	lead    *Lead          // nil: yamux's goroutine receives
	failed  error          // what receiving by a lead ended in
	calming bool           // the lead's read was interrupted, to have yamux's goroutine receive again
	until   time.Time      // how long the other side has to end too, once this one has
	leading sync.WaitGroup // the goroutine that has the lead and does not work
}

// ownRead is the memory into which a lead reads while little flows.
const ownRead = 4 << 10

// launch has a goroutine of the connection's own receive from now on. It is called by yamux's.
func (c *muxConn) launch() {
	l := &Lead{conn: c}
	c.leads.Lock()
	defer c.leads.Unlock()
	c.lead = l
	c.leading.Add(1)
	go c.follow(l) // ends with the session, when that is idle, or after its work when the lead was passed; Close waits for it unless it works
}

// follow receives for as long as it has the lead.
func (c *muxConn) follow(l *Lead) {
	defer l.Pass() // for work that ends its goroutine
	own := make([]byte, ownRead)
	for {
		switch err := c.receive(own); {
		case err == nil:
			if !c.lend(l) {
				return
			}
		case !c.interrupted(err):
			c.work() // what came before the error
			c.leave(err)
			return
		case c.giveBack():
			return
		}
	}
}

// lend has the Worker work that was given something; false: the lead was passed meanwhile.
func (c *muxConn) lend(l *Lead) bool {
	fed := c.fed
	if fed == nil {
		return true
	}
	c.leads.Lock()
	over := c.finished.Load() // who ends the session sees to a lead that is lent; none is after that
	if !over {
		c.fed = nil
		l.state.Store(lent)
	}
	c.leads.Unlock()
	if over {
		c.work()
		return true
	}
	fed.worker.Work(l) // it does not change once it is there
	return l.state.CompareAndSwap(lent, receiving)
}

// work has who received what arrived work it off, without a lead; wants: by one it would have done more. It is called by the goroutine that receives.
func (c *muxConn) work() (wants bool) {
	fed := c.fed
	if fed == nil {
		return false
	}
	c.fed = nil
	return fed.worker.Work(nil)
}

// passOn has another goroutine receive where the one that does is working.
func (c *muxConn) passOn() {
	c.leads.Lock()
	l := c.lead
	c.leads.Unlock()
	if l != nil {
		l.Pass()
	}
}

// leave ends the lead because nothing more can be received.
func (c *muxConn) leave(err error) {
	c.over(err)
	c.leads.Lock()
	defer c.leads.Unlock()
	c.failed = err
	c.moved.Broadcast()
	c.leading.Done()
}

// calm has yamux's goroutine receive again, which has its memory anyway.
func (c *muxConn) calm() {
	c.leads.Lock()
	defer c.leads.Unlock()
	if c.lead != nil && c.failed == nil && !c.finished.Load() && c.lead.state.Load() == receiving {
		c.calming = c.Conn.SetReadDeadline(time.Unix(1, 0)) == nil // else the lead stays where it is
	}
}

// interrupted reports whether a read ended because of calm.
func (c *muxConn) interrupted(err error) bool {
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		return false
	}
	c.leads.Lock()
	defer c.leads.Unlock()
	if c.finished.Load() {
		return time.Now().Before(c.until)
	}
	return c.calming
}

// giveBack gives the lead back to yamux's goroutine, unless the session is ending.
func (c *muxConn) giveBack() bool {
	c.leads.Lock()
	defer c.leads.Unlock()
	c.calming = false
	if c.finished.Load() {
		_ = c.Conn.SetReadDeadline(c.until)
		return false
	}
	_ = c.Conn.SetReadDeadline(time.Time{})
	c.lead = nil
	c.moved.Broadcast()
	c.leading.Done()
	return true
}

// endsWithin gives the other side the time d to end too; false: this side has ended before.
func (c *muxConn) endsWithin(d time.Duration) (first bool, err error) {
	c.leads.Lock()
	defer c.leads.Unlock()
	if c.finished.Swap(true) {
		return false, nil
	}
	c.until = time.Now().Add(d)
	return true, c.Conn.SetDeadline(c.until)
}

// followed waits, for yamux's goroutine, while another one receives and has nothing for it. Then it returns the headers that are for yamux, or why
// there will be none, or neither: it is for yamux's goroutine to receive.
func (c *muxConn) followed(p []byte) (n int, err error) {
	c.leads.Lock()
	defer c.leads.Unlock()
	for c.lead != nil && len(c.passed) == 0 && c.failed == nil {
		c.moved.Wait()
	}
	if n = copy(p, c.passed); n > 0 {
		c.passed = c.passed[:copy(c.passed, c.passed[n:])]
		return n, nil
	}
	return 0, c.failed
}

// forYamux has yamux read a header. What piles up is bounded, though yamux reads at once: a peer that sends faster ends the session.
func (c *muxConn) forYamux(h []byte) error {
	c.leads.Lock()
	defer c.leads.Unlock()
	if len(c.passed) >= mostPassed {
		return errPassed
	}
	c.passed = append(c.passed, h...)
	c.moved.Broadcast()
	return nil
}
