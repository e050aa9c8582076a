package refs

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"weak"
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
	handles map[ObjectID]weak.Pointer[Handle] // of its objects; guarded by the node's imports

	mu       sync.Mutex
	links    []*link
	named    []string            // the endpoints that it named itself
	heard    []string            // those that others named, the latest first
	greeting bool                // a HELLO of ours is under way; there is at most one
	dial     *dialing            // the attempt to reach it, if one is under way
	changed  chan struct{}       // closed at the next change of links or greeting, for those who wait; nil: nobody does
	ended    bool                // another process answered at every endpoint, and none was learnt since
	replaced error               // with ended: what answers where
	wanted   bool                // the association has to go on
	waits    bool                // redial runs
	theirs   bool                // the last link was dialled by the peer
	watchers map[*watch]struct{} // told when the peer is given up
	givenUp  error               // why it was, if it has not been connected since
	known    bool                // token and gen are set
	token    [16]byte            // digest of what it presented when it was first met
	agreeing int                 // handshakes that have agreed on a generation, and come to no connection yet
	gen      uint64              // the latest generation of the association, which may be over
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
	p.links = append(p.links, l)
	p.current.Store(keep)
	p.theirs = !l.dialled
	p.givenUp = nil
	p.signal()
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
	p.mu.Unlock()
}

// connect returns a link to the peer, dialling it if there is none. All who want one at the same time share one attempt,
// which goes on when ctx ends, within Options.HandshakeTimeout.
func (p *peer) connect(ctx context.Context) (*link, error) {
	var d *dialing // the one attempt that this caller waits for
	retries := 0
	for {
		if l := p.usable(); l != nil {
			return l, nil
		}
		if ctx.Err() != nil && d != nil {
			return nil, d.unfinished(ctx)
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
			defer p.mu.Unlock()
			return nil, &Error{Op: "connect", Kind: ErrNoSuchObject, Reason: Restarted, NotRun: true, Err: p.replaced}
		}
		if d == nil {
			if p.dial == nil {
				p.startDial()
			}
			d = p.dial
		}
		changed := p.wait()
		p.mu.Unlock()
		select {
		case <-d.done:
			if l := p.usable(); d.err != nil && l != nil { // it reached us meanwhile
				return l, nil
			}
			if errors.Is(d.err, errStale) && retries < 3 { // another connection, which crossed, has begun the next generation
				retries++
				d = nil
				continue
			}
			return d.link, d.err
		case <-changed:
		case <-ctx.Done():
		}
	}
}
