package refs

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"
)

// An association that is wanted, since references depend on it, is kept connected: when its last connection is lost, whoever dialled
// that one dials again at once and then with growing pauses; the other side waits a while for that before it does the same, if it
// can. A process that listens nowhere is reached again because it dials.

const (
	firstRedial = 50 * time.Millisecond
	lastRedial  = 5 * time.Second
	mostRedials = 256 // peers that a node dials at once for this; others get their turn at a later tick of the lease clock
)

// host is the node as the collector sees it.
type host struct{ *Node }

// Reconsider implements Host.
func (h host) Reconsider(id ProcessID) {
	p := h.usePeer(id)
	p.reconsider()
	h.releasePeer(p)
}

// Expired implements Host.
func (h host) Expired(id ProcessID, why error) {
	level := h.cfg.log.Warn
	if errors.Is(why, ErrUnreachable) { // it has said that it ends
		level = h.cfg.log.Debug
	}
	h.report(level, "gave up a process", "peer", id.String(), "why", why.Error())
	p := h.usePeer(id)
	defer h.releasePeer(p)
	p.mu.Lock()
	watchers := p.watchers
	p.watchers = nil
	if generation, _ := h.collector.Current(id); generation == 0 { // it has not come back meanwhile
		p.givenUp = why
	}
	p.signal()
	p.mu.Unlock()
	for w := range watchers {
		w.tell(why)
	}
}

// reconsider keeps the peer for as long as the collector wants the association, and has it dialled where it is not connected.
func (p *peer) reconsider() {
	n := p.node
	p.mu.Lock()
	was := p.wanted
	p.wanted = n.collector.Wanted(p.id)
	now, ended := p.wanted, p.ended
	dial := now && !p.waits && !p.ended && p.usable() == nil && n.base.Err() == nil && n.redials.Load() < mostRedials
	pause := time.Duration(0)
	if dial {
		p.waits = true
		n.redials.Add(1)
		if p.theirs {
			pause = n.cfg.Lease / 8
		}
	}
	p.mu.Unlock()
	switch {
	case now && !was:
		n.usePeer(p.id)
	case was && !now:
		n.releasePeer(p)
	}
	if dial {
		n.usePeer(p.id)
		n.tasks.run(func() { p.redial(pause) })
	}
	if now && ended { // references have arrived since that turned out
		n.collector.Replaced(p.id)
	}
}

// redial dials the peer until it is connected or not wanted any more, or there is nowhere to dial. It ends with the node.
func (p *peer) redial(pause time.Duration) {
	n := p.node
	defer n.releasePeer(p)
	defer n.redials.Add(-1)
	for p.waitToDial(pause) {
		ctx, cancel := context.WithTimeout(n.base, n.cfg.HandshakeTimeout)
		p.connect(ctx)
		cancel()
		pause = min(max(2*pause, firstRedial), lastRedial)
		pause += rand.N(pause / 4)
	}
}

// waitToDial waits, and reports whether dialling is still called for; if not, redial is over.
func (p *peer) waitToDial(pause time.Duration) bool {
	n := p.node
	timer := time.NewTimer(pause)
	defer timer.Stop()
	for {
		p.mu.Lock()
		if !p.wanted || p.ended || p.usable() != nil || len(p.all()) == 0 || n.base.Err() != nil || n.draining.Load() {
			p.waits = false
			p.mu.Unlock()
			return false
		}
		changed := p.wait()
		p.mu.Unlock()
		select {
		case <-timer.C:
			return true
		case <-changed:
		case <-n.base.Done():
		}
	}
}

// awaitReturn waits for a peer that cannot be dialled, but was connected and is not given up, to dial again.
func (p *peer) awaitReturn(ctx context.Context) *link {
	for ctx.Err() == nil {
		p.mu.Lock()
		l, changed := p.usable(), p.wait()
		p.mu.Unlock()
		if l != nil {
			return l
		}
		if g, _ := p.node.collector.Current(p.id); g == 0 {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}
	return p.usable()
}
