package harness

import (
	"fmt"
	"math"
	"time"

	"github.com/rmigo/rmigo/bench/plan"
)

// rest is the cell of sessions that are left alone before they are measured. All those of a round rest at the same time: that takes
// no longer than one of them, and changes nothing in what each holds.
type rest struct {
	w      plan.Workload
	p      plan.Peer
	pr     pair
	n      int // sessions
	before memory
	node   float64 // what a node of the client's without sessions holds
}

// memory is what both sides have resident.
type memory struct{ client, server float64 }

// lay starts processes with the sessions of a cell.
func (r *runner) lay(w plan.Workload, p plan.Peer) (*rest, error) {
	pr, err := r.pair(w, p)
	if err != nil {
		return nil, err
	}
	s := &rest{w: w, p: p, pr: pr, n: r.Sessions}
	if w.Shape == plan.Burst {
		s.n = min(s.n, plan.BurstSessions)
	}
	if err := s.lay(); err != nil {
		pr.end()
		return nil, err
	}
	return s, nil
}

func (s *rest) lay() error {
	// One session first: what the first one brings in is not the sessions' own.
	err := s.bring(1)
	if err != nil {
		return err
	}
	if s.before, err = s.pr.memory(); err != nil {
		return err
	}
	if s.p.Nodes {
		bare := s.before
		if _, err := s.pr.client.ask(dialling(s.n), fmt.Sprint("nodes ", s.n)); err != nil {
			return err
		}
		if s.before, err = s.pr.memory(); err != nil {
			return err
		}
		s.node = (s.before.client - bare.client) / float64(s.n)
	}
	return s.bring(s.n)
}

// bring adds n sessions, and has all do what is to be done before they rest.
func (s *rest) bring(n int) error {
	_, err := s.pr.client.ask(dialling(n), fmt.Sprint("idle ", n))
	if err == nil && s.w.Shape == plan.Burst {
		_, err = s.pr.client.ask(0, fmt.Sprint("burst ", plan.BurstCalls))
	}
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
	sample := Sample{
		Rate: none, P50: none, P99: none, Large: none, CPU: none, ClientAllocs: none, ServerAllocs: none,
		ClientRSS: (now.client-s.before.client)/float64(s.n) - s.node,
		ServerRSS: (now.server - s.before.server) / float64(s.n),
		NodeRSS:   none,
	}
	if s.p.Nodes {
		sample.NodeRSS = s.node
	}
	return sample, err
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
