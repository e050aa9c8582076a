package transport

import (
	"context"
	"fmt"
	"io"
	"net"
	"sync"
	"syscall"
	"time"
)

// A memoryLink is one connection: two ends, each of which is first a Conn and then a Session, and the streams between
// them. One mutex guards all of it, its ends, streams and pipes included.
//
// Whatever one end does is noted at once where it did it, and becomes visible to the other end by settling. While the link
// is stalled nothing settles. So a stall is not a second state of everything, but settling put off.
type memoryLink struct {
	memory *Memory
	delay  time.Duration // of bytes, each way; fixed before the link is in use
	places []string      // the endpoint, and what the dialler's host adds to it; fixed before the link is in use
	ends   [2]*memoryEnd // the dialler's, the acceptor's

	mu      sync.Mutex
	changed *sync.Cond // anything but the bytes of a stream
	stalled bool
	streams map[*memoryPair]struct{} // those not closed by both ends
}

func newMemoryLink(m *Memory, place Endpoint, dialler memoryAddr) *memoryLink {
	link := &memoryLink{memory: m, places: []string{place.String()}, streams: map[*memoryPair]struct{}{}}
	link.changed = sync.NewCond(&link.mu)
	acceptor := memoryAddr(place.Address)
	link.ends = [2]*memoryEnd{
		{link: link, side: 0, local: dialler, remote: acceptor, done: make(chan struct{})},
		{link: link, side: 1, local: acceptor, remote: dialler, done: make(chan struct{})},
	}
	return link
}

// settle lets each end see what the other has done, unless the link is stalled. mu is held.
func (l *memoryLink) settle() {
	if l.stalled {
		return
	}
	for side, end := range l.ends {
		other := l.ends[1-side]
		end.heard = other.said
		end.arrived = len(end.incoming)
		if other.err != nil {
			end.die(io.EOF)
		}
	}
	l.changed.Broadcast()
}

func (l *memoryLink) setStalled(stalled bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stalled = stalled
	for pair := range l.streams {
		pair.settle()
	}
	l.settle()
}

// cut is the reset of a connection: both ends die, and what has not arrived never will.
func (l *memoryLink) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, end := range l.ends {
		end.die(&net.OpError{Op: "read", Net: "memory", Source: end.local, Addr: end.remote, Err: syscall.ECONNRESET})
	}
}

func (l *memoryLink) dead() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ends[0].err != nil && l.ends[1].err != nil
}

// wake makes everyone who waits on changed look again.
func (l *memoryLink) wake() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.changed.Broadcast()
}

// memoryEnd is one end of a link. Fields below the line are guarded by link.mu.
type memoryEnd struct {
	link          *memoryLink
	side          int
	local, remote memoryAddr
	done          chan struct{}  // closed when err is set
	reading       sync.WaitGroup // for receivers

	granted  time.Time // when the other end last took bytes
	started  bool
	said     *Greeting       // to the other end
	heard    *Greeting       // from it
	err      error           // why this end is dead
	incoming []*memoryStream // opened by the other end and not accepted here
	arrived  int             // how many of incoming this end knows of
}

func (e *memoryEnd) other() *memoryEnd { return e.link.ends[1-e.side] }

// die ends this end and wakes all who wait for anything. mu is held.
func (e *memoryEnd) die(err error) {
	if e.err != nil {
		return
	}
	e.err = err
	close(e.done)
	e.link.changed.Broadcast()
	for pair := range e.link.streams {
		pair.changed.Broadcast()
	}
}

func (e *memoryEnd) Greet(ctx context.Context, hi Greeting) (Greeting, error) {
	stop := context.AfterFunc(ctx, e.link.wake)
	defer stop()
	peer, err := e.greet(ctx, hi)
	if err != nil {
		e.Close()
	}
	return peer, err
}

func (e *memoryEnd) greet(ctx context.Context, hi Greeting) (Greeting, error) {
	e.link.mu.Lock()
	defer e.link.mu.Unlock()
	if e.said == nil {
		e.said = &hi
		e.link.settle()
	}
	for {
		switch {
		case e.heard != nil && e.err != net.ErrClosed:
			return *e.heard, nil
		case e.err == net.ErrClosed:
			return Greeting{}, fmt.Errorf("%s: the connection was closed here before it greeted: %w", e.remote, e.err)
		case e.err != nil:
			return Greeting{}, fmt.Errorf("%s closed the connection before greeting: %w", e.remote, io.ErrUnexpectedEOF)
		case ctx.Err() != nil:
			return Greeting{}, silence(ctx, e.remote.String(), 0)
		}
		e.link.changed.Wait()
	}
}

func (e *memoryEnd) Peer() (peer Greeting) {
	e.link.mu.Lock()
	defer e.link.mu.Unlock()
	if e.said != nil && e.heard != nil {
		peer = *e.heard
	}
	return peer
}

func (e *memoryEnd) Session() (Session, error) {
	e.link.mu.Lock()
	defer e.link.mu.Unlock()
	greeted := e.said != nil && e.heard != nil
	if err := startable(greeted, e.err == net.ErrClosed, e.started); err != nil {
		return nil, err
	}
	e.started = true
	return e, nil
}

func (e *memoryEnd) Open() (Stream, error) {
	e.link.mu.Lock()
	defer e.link.mu.Unlock()
	other := e.other()
	for e.err == nil && len(other.incoming) >= Backlog {
		e.link.changed.Wait()
	}
	if e.err != nil {
		return nil, e.err
	}
	pair := newMemoryPair(e.link)
	other.incoming = append(other.incoming, &pair.streams[other.side])
	e.link.settle()
	return &pair.streams[e.side], nil
}

func (e *memoryEnd) Accept() (Stream, error) {
	e.link.mu.Lock()
	defer e.link.mu.Unlock()
	for e.err == nil && e.arrived == 0 {
		e.link.changed.Wait()
	}
	if e.err != nil {
		return nil, e.err
	}
	stream := e.incoming[0]
	e.incoming = e.incoming[1:]
	e.arrived--
	e.link.changed.Broadcast() // there is room for an Open
	return stream, nil
}

func (e *memoryEnd) Close() error {
	e.fail(net.ErrClosed)
	e.reading.Wait() // those of streams that are attached to later end by themselves
	return nil
}

// fail ends this end, and so the other one.
func (e *memoryEnd) fail(err error) {
	e.link.mu.Lock()
	e.die(err)
	e.link.settle()
	e.link.mu.Unlock()
	e.link.memory.forget(e.link)
}

func (e *memoryEnd) Done() <-chan struct{} { return e.done }

func (e *memoryEnd) Err() error {
	e.link.mu.Lock()
	defer e.link.mu.Unlock()
	return e.err
}

func (e *memoryEnd) Granted() time.Time {
	e.link.mu.Lock()
	defer e.link.mu.Unlock()
	return e.granted
}

func (e *memoryEnd) LocalAddr() net.Addr  { return e.local }
func (e *memoryEnd) RemoteAddr() net.Addr { return e.remote }
