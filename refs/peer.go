package refs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rmigo/rmigo/internal/transport"
)

// peer is the association of this process with another incarnation. It outlives connections: it holds what must not be lost
// between two of them. A node drops it once nothing refers to it: no handle, no link, nobody connecting.
//
// Invariant: current is the link that new calls take, or nil; it is one of links. With two links at once (both processes
// dialled each other) both sides take the one that the smaller process id dialled, and whoever dialled the other one retires
// it.
type peer struct {
	node *Node
	id   ProcessID
	uses int // handles, links and operations that refer to it; guarded by Node.mu

	current atomic.Pointer[link]
	lent    atomic.Bool // one of our objects was passed to it

	mu       sync.Mutex
	links    []*link
	named    []string      // the endpoints that it named itself
	heard    []string      // those that others named, the latest first
	greeting bool          // a HELLO of ours is under way; there is at most one
	dial     *dialing      // the attempt to reach it, if one is under way
	changed  chan struct{} // closed at the next change of links or greeting, for those who wait; nil: nobody does
	ended    bool          // another process answered at every endpoint, and none was learnt since
	known    bool          // token and gen are set
	token    [16]byte      // digest of what it presented when it was first met
	gen      uint64        // generation of the association
}

// dialing is one attempt, shared by all who want its outcome. The fields are set before done is closed.
type dialing struct {
	done chan struct{}
	link *link // nil without an error: it is this process
	err  error
}

// usePeer returns the peer, making it where there is none, and counts the caller in; to be ended by releasePeer.
func (n *Node) usePeer(id ProcessID) *peer {
	n.mu.Lock()
	defer n.mu.Unlock()
	p := n.peers[id]
	if p == nil {
		p = &peer{node: n, id: id}
		n.peers[id] = p
	}
	p.uses++
	return p
}

func (n *Node) releasePeer(p *peer) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if p.uses--; p.uses == 0 {
		delete(n.peers, p.id)
	}
}

// learn adds endpoints at which the peer may be reached. Those that it names itself replace what it named before; of those that
// others name, the latest are kept.
func (p *peer) learn(endpoints []string, itself bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	before := p.all()
	if itself {
		p.named = merge(endpoints)
	} else {
		p.heard = merge(endpoints, p.heard)
	}
	for _, e := range p.all() {
		if !slices.Contains(before, e) {
			p.ended = false
		}
	}
}

// merge joins lists of endpoints, leaving out what is none, what comes twice, and what is beyond the bound.
func merge(lists ...[]string) (out []string) {
	for _, e := range slices.Concat(lists...) {
		if len(out) < maxEndpoints && checkEndpoint(e) == nil && !slices.Contains(out, e) {
			out = append(out, e)
		}
	}
	return out
}

// all returns the endpoints, those that the peer named itself first. p.mu is held.
func (p *peer) all() []string { return merge(p.named, p.heard) }

func (p *peer) candidates() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.all()
}

// usable returns the link that new calls take, or nil.
func (p *peer) usable() *link {
	if l := p.current.Load(); l != nil && !l.retiring.Load() {
		return l
	}
	return nil
}

// wait returns a channel that is closed at the next change. p.mu is held.
func (p *peer) wait() <-chan struct{} {
	if p.changed == nil {
		p.changed = make(chan struct{})
	}
	return p.changed
}

// signal tells those who wait. p.mu is held.
func (p *peer) signal() {
	if p.changed != nil {
		close(p.changed)
		p.changed = nil
	}
}

// add makes l one of the peer's links, and settles which of them new calls take.
func (p *peer) add(l *link) {
	p.mu.Lock()
	var retire []*link
	keep := l
	for _, old := range p.links {
		switch {
		case old.retiring.Load():
		case old.dialled == l.dialled: // whoever dialled it has given it up, and dialled again
			retire = append(retire, old)
		case l.preferredTo(old):
			if old.dialled {
				retire = append(retire, old)
			}
		default:
			keep = old
			if l.dialled {
				retire = append(retire, l)
			}
		}
	}
	var surplus *link
	if len(p.links) >= maxLinks {
		surplus = p.links[0]
	}
	first := len(p.links) == 0
	p.links = append(p.links, l)
	p.current.Store(keep)
	p.signal()
	if first {
		p.node.collector.Connected(p.id) // under mu, so that it never comes after the Disconnected that follows it
	}
	p.mu.Unlock()
	for _, old := range retire {
		old.retire()
	}
	if surplus != nil {
		surplus.fail(&Error{Kind: ErrUnreachable, Err: errors.New("the peer opens ever more connections")})
	}
}

// maxLinks bounds the connections with one peer: one in use, and some that are being retired.
const maxLinks = 8

// preferredTo reports which of two connections dialled from both sides at once both sides keep.
func (l *link) preferredTo(other *link) bool {
	a, b := l.dialler(), other.dialler()
	return slices.Compare(a[:], b[:]) < 0
}

func (l *link) dialler() ProcessID {
	if l.dialled {
		return l.node.id
	}
	return l.peer.id
}

// remove takes a failed or retiring link out of the way of new calls; gone: it has ended.
func (p *peer) remove(l *link, gone bool) {
	p.mu.Lock()
	if gone {
		p.links = slices.DeleteFunc(p.links, func(o *link) bool { return o == l })
	}
	if p.current.Load() == l {
		p.current.Store(nil)
		for _, o := range p.links {
			if o != l && !o.retiring.Load() {
				p.current.Store(o)
			}
		}
	}
	p.signal()
	if gone && len(p.links) == 0 {
		p.node.collector.Disconnected(p.id)
	}
	p.mu.Unlock()
}

// connect returns a link to the peer, dialling it if there is none. All who want one at the same time share one attempt,
// which goes on when ctx ends, within Options.HandshakeTimeout.
func (p *peer) connect(ctx context.Context) (*link, error) {
	for {
		if l := p.usable(); l != nil {
			return l, nil
		}
		if ctx.Err() != nil {
			return nil, &Error{Op: "connect", NotRun: true, Err: contextError(ctx)}
		}
		if p.node.base.Err() != nil {
			return nil, &Error{Op: "connect", Kind: ErrNodeClosed, NotRun: true, Err: errors.New("this node was closed")}
		}
		p.mu.Lock()
		if p.usable() != nil {
			p.mu.Unlock()
			continue
		}
		if p.ended {
			p.mu.Unlock()
			return nil, &Error{Op: "connect", Kind: ErrNoSuchObject, Reason: Restarted, NotRun: true}
		}
		if p.dial == nil {
			p.startDial()
		}
		d, changed := p.dial, p.wait()
		p.mu.Unlock()
		select {
		case <-d.done:
			if l := p.usable(); d.err != nil && l != nil { // it reached us meanwhile
				return l, nil
			}
			return d.link, d.err
		case <-changed:
		case <-ctx.Done():
		}
	}
}

// startDial begins an attempt. p.mu is held.
func (p *peer) startDial() {
	d := &dialing{done: make(chan struct{})}
	p.dial = d
	candidates := p.all()
	p.node.tasks.run(func() { // ends within HandshakeTimeout, or with the node
		d.link, d.err = p.reach(candidates)
		p.mu.Lock()
		p.dial = nil
		p.mu.Unlock()
		close(d.done)
	})
}

func (p *peer) reach(candidates []string) (*link, error) {
	n := p.node
	if len(candidates) == 0 {
		return nil, &Error{Op: "connect", Kind: ErrUnreachable, NotRun: true, Err: fmt.Errorf(
			"process %v is not connected to this one and is not known to listen anywhere", p.id)}
	}
	ctx, cancel := context.WithTimeout(n.base, n.cfg.HandshakeTimeout)
	defer cancel()
	found, err := n.race(ctx, n.paths.Order(p.id, candidates), p.id)
	if err != nil {
		var failures dialErrors
		if errors.As(err, &failures) && failures.allStrangers() {
			p.mu.Lock()
			p.ended = true
			p.mu.Unlock()
		}
		return nil, err
	}
	return n.greet(ctx, found.conn, found.endpoint)
}

// linkTo returns a link to whichever process answers at the endpoint; nil if that is this process.
func (n *Node) linkTo(ctx context.Context, endpoint string) (*link, error) {
	parsed, err := transport.ParseEndpoint(endpoint)
	if err != nil {
		return nil, &Error{Op: "connect", NotRun: true, Err: err}
	}
	endpoint = parsed.String()
	n.mu.Lock()
	if n.shut {
		n.mu.Unlock()
		return nil, &Error{Op: "connect", Kind: ErrNodeClosed, NotRun: true}
	}
	if l := n.byAddress[endpoint]; l != nil && !l.retiring.Load() {
		n.mu.Unlock()
		return l, nil
	}
	if slices.Contains(n.advertise, parsed) {
		n.mu.Unlock()
		return nil, nil
	}
	d := n.dials[endpoint]
	if d == nil {
		d = &dialing{done: make(chan struct{})}
		n.dials[endpoint] = d
		n.tasks.run(func() { // ends within HandshakeTimeout, or with the node
			d.link, d.err = n.dialAddress(endpoint)
			n.mu.Lock()
			delete(n.dials, endpoint)
			n.mu.Unlock()
			close(d.done)
		})
	}
	n.mu.Unlock()
	select {
	case <-d.done:
		return d.link, d.err
	case <-ctx.Done():
		return nil, &Error{Op: "connect", NotRun: true, Err: fmt.Errorf("%s: %w", endpoint, contextError(ctx))}
	}
}

func (n *Node) dialAddress(endpoint string) (*link, error) {
	ctx, cancel := context.WithTimeout(n.base, n.cfg.HandshakeTimeout)
	defer cancel()
	found, err := n.race(ctx, []string{endpoint}, ProcessID{})
	if err != nil {
		return nil, err
	}
	if found.conn.Peer().Process == n.id {
		found.conn.Close()
		return nil, nil
	}
	l, err := n.greet(ctx, found.conn, endpoint)
	if err == nil {
		n.remember(endpoint, l)
	}
	return l, err
}

// remember notes that l leads to the process at the endpoint, for as long as it lives.
func (n *Node) remember(endpoint string, l *link) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if _, live := n.links[l]; live {
		n.byAddress[endpoint] = l
	}
}

// attempt is the outcome of dialling one endpoint.
type attempt struct {
	endpoint string
	conn     transport.Conn
	err      error
}

// strangerError is the failure of an endpoint at which another process answers than the one wanted.
type strangerError struct{ process ProcessID }

func (e *strangerError) Error() string {
	return fmt.Sprintf("process %v", e.process)
}

// dialErrors lists every endpoint tried and why it failed.
type dialErrors []attempt

func (e dialErrors) Error() string {
	var parts []string
	for _, a := range e {
		text := a.err.Error()
		if !strings.Contains(text, strings.TrimPrefix(strings.TrimPrefix(a.endpoint, "tcp://"), "unix://")) {
			text = a.endpoint + ": " + text
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, "; ")
}

func (e dialErrors) Unwrap() []error {
	errs := make([]error, len(e))
	for i, a := range e {
		errs[i] = a.err
	}
	return errs
}

// allStrangers reports whether another process answered at every endpoint.
func (e dialErrors) allStrangers() bool {
	return !slices.ContainsFunc(e, func(a attempt) bool {
		stranger := (*strangerError)(nil)
		return !errors.As(a.err, &stranger)
	})
}

// typed makes an Error of the failures.
func (e dialErrors) typed() error {
	out := &Error{Op: "connect", Kind: ErrUnreachable, NotRun: true, Err: e}
	var alien *transport.ProtocolError
	switch {
	case e.allStrangers():
		out.Kind, out.Reason = ErrNoSuchObject, Restarted
	case errors.As(out.Err, &alien):
		out.Kind = ErrProtocol
	}
	return out
}

// stagger is how long race waits for one endpoint before it tries the next beside it, as in RFC 8305.
const stagger = 250 * time.Millisecond

// race dials the endpoints in order, each a little after the one before or as soon as that has failed, and returns the first
// greeted connection to the wanted process (zero: to any). The others are closed.
func (n *Node) race(ctx context.Context, endpoints []string, want ProcessID) (attempt, error) {
	ctx, cancel := context.WithCancel(ctx)
	results := make(chan attempt, len(endpoints))
	begun, ended := 0, 0
	defer func() {
		cancel()
		n.tasks.run(func() { // dialling ends soon after ctx does
			for range begun - ended {
				if a := <-results; a.conn != nil {
					a.conn.Close()
				}
			}
		})
	}()
	timer := time.NewTimer(0)
	defer timer.Stop()
	var failures dialErrors
	for ended < len(endpoints) && (ctx.Err() == nil || ended < begun) {
		select {
		case <-timer.C:
			if begun < len(endpoints) && ctx.Err() == nil {
				endpoint := endpoints[begun]
				begun++
				n.tasks.run(func() {
					conn, err := n.dialOne(ctx, endpoint, want)
					results <- attempt{endpoint, conn, err}
				})
				timer.Reset(stagger)
			}
		case a := <-results:
			ended++
			if a.err == nil {
				return a, nil
			}
			failures = append(failures, a)
			timer.Reset(0)
		}
	}
	for _, endpoint := range endpoints[begun:] {
		failures = append(failures, attempt{endpoint: endpoint, err: contextError(ctx)})
	}
	return attempt{}, failures.inOrder(endpoints).typed()
}

func (e dialErrors) inOrder(endpoints []string) dialErrors {
	slices.SortStableFunc(e, func(a, b attempt) int {
		return cmp.Compare(slices.Index(endpoints, a.endpoint), slices.Index(endpoints, b.endpoint))
	})
	return e
}

func (n *Node) dialOne(ctx context.Context, endpoint string, want ProcessID) (transport.Conn, error) {
	conn, err := n.cfg.transport.Dial(ctx, endpoint, transport.Greeting{Process: n.id})
	if err != nil {
		return nil, err
	}
	got := ProcessID(conn.Peer().Process)
	switch {
	case got == ProcessID{}:
		conn.Close()
		return nil, &transport.ProtocolError{Addr: endpoint, Says: "greets with no process id"}
	case want == got, want == ProcessID{}:
		return conn, nil
	}
	conn.Close()
	return nil, &strangerError{got}
}
