package rmi_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
	"weak"

	"github.com/rmigo/rmigo/internal/testobj"
	"github.com/rmigo/rmigo/rmi"
	"github.com/rmigo/rmigo/stub"
)

// What the processes of a simulation hold: the implementation of testobj.Depot, in which what is kept is known to the oracle.

// token implements testobj.Token. It holds a pointer, without which Go may keep it alive together with a neighbour.
type token struct {
	number uint64
	maker  *process
}

func (t *token) Number(context.Context) (uint64, error) { return t.number, nil }

// object is what the oracle knows of a token.
type object struct {
	owner      *process
	impl       weak.Pointer[token]
	pinned     bool
	unexported bool
}

// process is one incarnation of a process of the simulation. Its fields are guarded by simulation.mu.
type process struct {
	*simulation
	place    int // its endpoint, which the next incarnation has too
	node     *rmi.Node
	lease    time.Duration
	exports  int // that are there from the start
	ref      rmi.Ref
	depot    *depot
	ended    bool
	slots    []*slot
	weak     []weakSlot
	depots   map[*process]testobj.Depot
	released map[uint64]int64 // when the token was released here
}

// slot is a token that a process keeps: one of its own, or a stub.
type slot struct {
	number uint64
	token  testobj.Token
	since  int64 // when it left where it came from; never: nothing can be said of it
	sure   int64 // when the owner was found to know; 0: not yet
	dead   bool  // a call has said why the object is gone
	lost   bool  // a call has said that there is no way to its owner
}

// weakSlot is a weak reference that a process keeps.
type weakSlot struct {
	number uint64
	ref    rmi.Weak[testobj.Token]
}

// never is the since of what may be dead.
const never = -1

var errNotKept = errors.New("simulation: the depot has no such token")

// find returns a slot with the token, one that is not doubtful if there is one; nil: there is none. mu is held.
func (p *process) find(number uint64) (found *slot) {
	for _, s := range p.slots {
		if s.number == number && (found == nil || p.doubtful(found)) {
			found = s
		}
	}
	return found
}

// keep puts a token that has arrived into a slot. Whose own it is must have got the object itself.
func (p *process) keep(number uint64, since int64, t testobj.Token) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		return errNotKept
	}
	own, local := t.(*token)
	switch home := p.objects[number].owner == p; {
	case local != home, local && own.number != number:
		p.failf("process %d got token %d, of process %d, as a %T", p.place, number, p.objects[number].owner.place, t)
	}
	if other := p.find(number); other != nil && other.token != t && !p.excused(other) && since != never && p.released[number] <= since {
		p.failf("process %d has two stubs of token %d", p.place, number)
	}
	p.slots = append(p.slots, &slot{number: number, token: t, since: since})
	return nil
}

// pick returns a kept token, which is to be sent, with what is to be said of it. One token of three is kept in one place only: it is
// dropped here while it is under way. mu is held.
func (p *process) pick(number uint64) (since int64, t testobj.Token, err error) {
	s := p.find(number)
	if s == nil || p.ended {
		return 0, nil, errNotKept
	}
	if number%3 == 0 {
		p.remove(func(o *slot) bool { return o.number == number })
	}
	if p.doubtful(s) {
		return never, s.token, nil
	}
	return p.now, s.token, nil
}

// depot implements testobj.Depot.
type depot struct{ p *process }

func (d *depot) Take(_ context.Context, number uint64, since int64, t testobj.Token) error {
	return d.p.keep(number, since, t)
}

func (d *depot) Swap(_ context.Context, in []testobj.Ticket, out []uint64) (tickets []testobj.Ticket, err error) {
	for _, t := range in {
		if err := d.p.keep(t.Number, t.Since, t.Token); err != nil {
			return nil, err
		}
	}
	d.p.mu.Lock()
	defer d.p.mu.Unlock()
	for _, number := range out {
		if since, t, err := d.p.pick(number); err == nil {
			tickets = append(tickets, testobj.Ticket{Number: number, Since: since, Token: t})
		}
	}
	return tickets, nil
}

func (d *depot) Give(_ context.Context, number uint64) (since int64, t testobj.Token, err error) {
	d.p.mu.Lock()
	defer d.p.mu.Unlock()
	return d.p.pick(number)
}

func (d *depot) Borrow(c context.Context, t testobj.Token) (uint64, error) { return t.Number(c) }

func (d *depot) HandOn(c context.Context, number uint64, to testobj.Depot) error {
	since, t, err := d.Give(c, number)
	if err != nil {
		return err
	}
	return to.Take(c, number, since, t)
}

func (d *depot) Fetch(c context.Context, number uint64, from testobj.Depot) (since int64, t testobj.Token, err error) {
	return from.Give(c, number)
}

// excused reports whether nothing can be said of whether the slot's object is there. mu is held.
func (p *process) excused(s *slot) bool {
	o := p.objects[s.number]
	return o.unexported || o.owner.ended || p.doubtful(s)
}

// doubtful reports whether the process may have lost its hold on the object: its stub was released, or its owner may have given it
// up, or it came before the owner was found to know and somebody who was to keep it alive meanwhile may be gone, or the owner can not be told.
func (p *process) doubtful(s *slot) bool {
	o := p.objects[s.number]
	switch {
	case o.owner == p:
		return false
	case s.dead || s.since == never || p.released[s.number] > s.since:
		return true
	case s.sure > 0:
		return p.path(p.place, o.owner.place).expired > s.sure
	case p.places[o.owner.place].endpoint == "": // there may be no way to it
		return true
	}
	return p.fault > s.since
}

// holds returns the ids of the remote objects that the process has stubs of which are not known to be dead, and whether there is a
// way to their owners. mu is held.
func (p *process) holds() map[rmi.ID]bool {
	ids := map[rmi.ID]bool{}
	for _, s := range p.slots {
		if r, ok := stub.Of(s.token); ok && !s.dead {
			ids[r.Handle().ID()] = !s.lost
		}
	}
	for _, d := range p.depots {
		if r, ok := stub.Of(d); ok {
			ids[r.Handle().ID()] = true
		}
	}
	return ids
}

// lists reports whether the owner knows that the process holds the object. mu is held.
func (o *object) lists(p *process) bool {
	impl := o.impl.Value()
	return impl != nil && slices.ContainsFunc(o.owner.node.Holders(impl), func(h rmi.Holder) bool { return h.Process == p.node.ID() })
}

// about checks the error of an operation: the runtime says what kind of failure it is, and it is one that faults lead to.
func about(err error) error {
	if err == nil || errors.Is(err, errNotKept) || err.Error() == errNotKept.Error() {
		return nil
	}
	for _, kind := range []error{rmi.ErrUnreachable, rmi.ErrPeerExpired, rmi.ErrNoSuchObject, rmi.ErrReleased, rmi.ErrNodeClosed,
		context.DeadlineExceeded, context.Canceled} {
		if errors.Is(err, kind) {
			return nil
		}
	}
	return fmt.Errorf("an operation failed in a way that no fault explains: %w", err)
}
