package harness

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/rmigo/rmigo/bench/plan"
)

// rest is the cell of sessions that are left alone before they are measured. All those of a round rest at the same time: that takes
// no longer than one of them, and changes nothing in what each holds.
type rest struct {
	w      plan.Workload
	p      plan.Peer
	pr     pair
	addrs  []string // each client has sessions with all of these
	n      int      // sessions that are measured
	before memory
}

// memory is what both sides have resident.
type memory struct{ client, server float64 }

// lay starts processes with the sessions of a cell.
func (r *runner) lay(w plan.Workload, p plan.Peer) (*rest, error) {
	pr, err := r.pair(w, p)
	if err != nil {
		return nil, err
	}
	s := &rest{w: w, p: p, pr: pr, addrs: []string{pr.addr}}
	n := r.Sessions
	if w.Shape == plan.Burst {
		n = min(n, plan.BurstSessions)
	}
	if err := s.lay(n); err != nil {
		pr.end()
		return nil, err
	}
	return s, nil
}

// lay starts at least n sessions. What the first ones of their kind bring in is not the sessions' own: it is there before.
func (s *rest) lay(n int) error {
	if s.p.Nodes {
		more, err := s.pr.server.ask(0, fmt.Sprint("more ", min(n, plan.RestServers)-1))
		if err != nil {
			return err
		}
		s.addrs = append(s.addrs, more.Addrs...)
	}
	err := s.rehearse()
	if err != nil {
		return err
	}
	if s.before, err = s.pr.memory(); err != nil {
		return err
	}
	clients := (n + len(s.addrs) - 1) / len(s.addrs)
	s.n = clients * len(s.addrs)
	if err := s.bring(clients, s.addrs); err != nil {
		return err
	}
	return s.burst()
}

// rehearse does with a session what is to be done with all and ends it, and leaves a client that does nothing.
func (s *rest) rehearse() error {
	if err := s.bring(1, s.addrs[:1]); err != nil {
		return err
	}
	if err := s.burst(); err != nil {
		return err
	}
	if _, err := s.pr.client.ask(0, "close"); err != nil {
		return err
	}
	return s.bring(1, s.addrs)
}

// bring adds clients.
func (s *rest) bring(clients int, addrs []string) error {
	_, err := s.pr.client.ask(dialling(clients*len(addrs)), fmt.Sprintf("idle %s %d", strings.Join(addrs, ","), clients))
	return err
}

// burst has those that were added last make large calls, if that is what is measured.
func (s *rest) burst() error {
	if s.w.Shape != plan.Burst {
		return nil
	}
	_, err := s.pr.client.ask(0, fmt.Sprint("burst ", plan.BurstCalls))
	return err
}

// dialling returns how long it may take to dial so many sessions.
func dialling(sessions int) time.Duration { return time.Duration(sessions) * 10 * time.Millisecond }

// wake measures sessions when they have rested, and ends them.
func (r *runner) wake(resting []*rest) {
	if len(resting) == 0 {
		return
	}
	time.Sleep(r.Settle)
	for _, s := range resting {
		sample, err := s.sample()
		if err == nil {
			err = r.heaps(s.w, s.p, s.pr)
		}
		r.note(s.w, s.p, sample, err)
	}
	for _, s := range resting {
		s.pr.end()
	}
}

// sample works out a session's share of what both sides hold.
func (s *rest) sample() (Sample, error) {
	now, err := s.pr.memory()
	none := math.NaN()
	return Sample{
		Rate: none, P50: none, P99: none, Large: none, CPU: none, ClientAllocs: none, ServerAllocs: none,
		ClientRSS: (now.client - s.before.client) / float64(s.n),
		ServerRSS: (now.server - s.before.server) / float64(s.n),
	}, err
}

// memory returns how much is resident when both sides have given back what they can.
func (p pair) memory() (memory, error) {
	c, err := p.client.ask(0, "trim")
	if err != nil {
		return memory{}, err
	}
	s, err := p.server.ask(0, "trim")
	return memory{known(c.Usage.RSS), known(s.Usage.RSS)}, err
}
