package rmi_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"testing/synctest"
	"time"

	"github.com/rmigo/rmigo/internal/testobj"
	"github.com/rmigo/rmigo/internal/transport"
	"github.com/rmigo/rmigo/rmi"
)

// What can happen in a simulation.

// one returns a process that runs, and a token that it keeps; nil: there is none. The caller holds mu until it is done with both.
func (s *simulation) one() (*process, *slot) {
	alive := s.alive()
	if len(alive) == 0 {
		return nil, nil
	}
	p := alive[s.rng.IntN(len(alive))]
	if len(p.slots) == 0 {
		return p, nil
	}
	return p, p.slots[s.rng.IntN(len(p.slots))]
}

// other returns a process that runs, most often another one than p.
func (s *simulation) other(p *process) *process {
	alive := s.alive()
	q := alive[s.rng.IntN(len(alive))]
	if q == p {
		q = alive[s.rng.IntN(len(alive))]
	}
	return q
}

// at returns the depot of a process as another one sees it. mu is held.
func (p *process) at(q *process) testobj.Depot {
	if d := p.depots[q]; d != nil {
		return d
	}
	if p == q {
		return p.depot
	}
	text, err := q.ref.MarshalText()
	if err != nil {
		p.failf("%v", err)
	}
	d, err := rmi.Resolve(context.Background(), p.node, testobj.RemoteDepot, string(text))
	if err != nil {
		p.failf("%v", err)
	}
	p.depots[q] = d
	return d
}

// try runs an operation beside what happens next. Where nothing disturbs it, it must not fail, unless nothing can be expected of
// what it needs.
func (s *simulation) try(what string, certain bool, f func(context.Context) error) {
	limit := time.Duration(1+s.rng.IntN(30)) * time.Second
	hasty := s.rng.IntN(12) == 0
	if hasty {
		limit = time.Duration(s.rng.IntN(20)) * time.Millisecond
	}
	s.tell("%s", what)
	began := s.now
	for _, p := range s.paths {
		certain = certain && p.quiet.IsZero()
	}
	for _, w := range s.places {
		certain = certain && w.endpoint != ""
	}
	s.pending.Go(func() {
		c, cancel := context.WithTimeout(context.Background(), limit)
		defer cancel()
		err := f(c)
		s.mu.Lock()
		defer s.mu.Unlock()
		if err == nil {
			return
		}
		s.tell("%s: %v", what, err)
		if err := about(err); err != nil {
			s.failf("%s: %v", what, err)
		}
		if certain && !hasty && s.trouble <= began && !kept(err) {
			s.failf("%s, which nothing disturbed: %v", what, err)
		}
	})
}

// kept reports whether err says that a depot has no such token, which is no failure.
func kept(err error) bool {
	return errors.Is(err, errNotKept) || err.Error() == errNotKept.Error()
}

func (s *simulation) make() {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, _ := s.one()
	if p == nil {
		return
	}
	kind := s.rng.IntN(4)
	t := p.newToken(kind == 0)
	var err error
	switch kind {
	case 0:
		_, err = rmi.Export(p.node, testobj.RemoteToken.Of(t))
	case 1:
		_, err = rmi.ExportCollectable(p.node, testobj.RemoteToken.Of(t))
	}
	if err != nil {
		s.failf("%v", err)
	}
	s.tell("process %d makes token %d", p.place, t.number)
}

func (s *simulation) take() {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, k := s.one()
	if k == nil {
		return
	}
	q, certain := s.other(p), !p.excused(k)
	since, t, _ := p.pick(k.number)
	number, d := k.number, p.at(q)
	s.try(fmt.Sprintf("process %d passes token %d to process %d", p.place, number, q.place), certain, func(c context.Context) error {
		return d.Take(c, number, since, t)
	})
}

func (s *simulation) swap() {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, k := s.one()
	if k == nil {
		return
	}
	q := s.other(p)
	d := p.at(q)
	var in []testobj.Ticket
	var out []uint64
	certain := true
	for range 1 + s.rng.IntN(3) {
		if len(p.slots) > 0 {
			k := p.slots[s.rng.IntN(len(p.slots))]
			certain = certain && !p.excused(k)
			since, t, _ := p.pick(k.number)
			in = append(in, testobj.Ticket{Number: k.number, Since: since, Token: t})
		}
		if len(q.slots) > 0 {
			k := q.slots[s.rng.IntN(len(q.slots))]
			certain = certain && !q.excused(k)
			out = append(out, k.number)
		}
	}
	s.try(fmt.Sprintf("process %d swaps tokens with process %d: %v", p.place, q.place, out), certain, func(c context.Context) error {
		got, err := d.Swap(c, in, out)
		if err != nil {
			return err
		}
		for _, t := range got {
			if err := p.keep(t.Number, t.Since, t.Token); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *simulation) give() {
	s.mu.Lock()
	defer s.mu.Unlock()
	q, k := s.one()
	if k == nil {
		return
	}
	p := s.other(q)
	number, d := k.number, p.at(q)
	s.try(fmt.Sprintf("process %d has process %d give token %d", p.place, q.place, number), !q.excused(k), func(c context.Context) error {
		since, t, err := d.Give(c, number)
		if err != nil {
			return err
		}
		return p.keep(number, since, t)
	})
}

func (s *simulation) borrow() {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, k := s.one()
	if k == nil {
		return
	}
	q := s.other(p)
	number, t, d := k.number, k.token, p.at(q)
	s.try(fmt.Sprintf("process %d lends token %d to process %d", p.place, number, q.place), !p.excused(k), func(c context.Context) error {
		got, err := d.Borrow(c, t)
		if err == nil && got != number {
			s.failf("S5: token %d was called back, and token %d answered", number, got)
		}
		return err
	})
}

func (s *simulation) handOn() {
	s.mu.Lock()
	defer s.mu.Unlock()
	q, k := s.one()
	if k == nil {
		return
	}
	p, r := s.other(q), s.other(q)
	number, d, to := k.number, p.at(q), p.at(r)
	s.try(fmt.Sprintf("process %d has process %d hand token %d on to process %d", p.place, q.place, number, r.place), !q.excused(k),
		func(c context.Context) error { return d.HandOn(c, number, to) })
}

func (s *simulation) fetch() {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, k := s.one()
	if k == nil {
		return
	}
	q := s.other(r)
	p := s.other(q)
	number, d, from := k.number, p.at(q), p.at(r)
	s.try(fmt.Sprintf("process %d has process %d fetch token %d from process %d", p.place, q.place, number, r.place), !r.excused(k),
		func(c context.Context) error {
			since, t, err := d.Fetch(c, number, from)
			if err != nil {
				return err
			}
			return p.keep(number, since, t)
		})
}

func (s *simulation) drop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, k := s.one()
	if k == nil {
		return
	}
	p.remove(func(o *slot) bool { return o == k })
	s.tell("process %d drops token %d", p.place, k.number)
}

// remove takes slots out. mu is held.
func (p *process) remove(which func(*slot) bool) {
	rest := []*slot{}
	for _, k := range p.slots {
		if !which(k) {
			rest = append(rest, k)
		}
	}
	p.slots = rest
}

func (s *simulation) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, k := s.one()
	if k == nil || s.objects[k.number].owner == p {
		return
	}
	s.now++
	p.released[k.number], s.trouble = s.now, s.now
	s.tell("process %d releases token %d", p.place, k.number)
	rmi.Release(k.token)
	p.remove(func(o *slot) bool { return o.number == k.number })
}

func (s *simulation) unexport() {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, k := s.one()
	if k == nil || s.objects[k.number].owner != p {
		return
	}
	o, impl := s.objects[k.number], k.token
	if _, exported := p.node.RefOf(impl); !exported {
		return
	}
	o.unexported, s.trouble = true, s.now
	p.remove(func(o *slot) bool { return o.number == k.number }) // passed on, it would be exported again
	s.try(fmt.Sprintf("process %d unexports token %d", p.place, k.number), false, func(c context.Context) error {
		return rmi.Unexport(c, p.node, impl)
	})
}

func (s *simulation) weaken() {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, k := s.one()
	if k == nil || s.objects[k.number].owner == p {
		return
	}
	w, err := rmi.WeakOf(p.node, testobj.RemoteToken, k.token)
	if err != nil {
		s.failf("%v", err)
	}
	p.weak = append(p.weak, weakSlot{k.number, w})
}

func (s *simulation) upgrade() {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, _ := s.one()
	if p == nil || len(p.weak) == 0 {
		return
	}
	w := p.weak[s.rng.IntN(len(p.weak))]
	place := s.objects[w.number].owner.place
	s.try(fmt.Sprintf("process %d upgrades its weak reference to token %d", p.place, w.number), false, func(c context.Context) error {
		s.mu.Lock()
		since := s.now // what is released from now on may be this very stub
		s.mu.Unlock()
		t, err := w.ref.Upgrade(c)
		if err != nil {
			return err
		}
		s.mu.Lock()
		if !s.path(p.place, place).quiet.IsZero() {
			since = never
		}
		s.mu.Unlock()
		return p.keep(w.number, since, t)
	})
}

// forget drops a process's stub of another one's depot, so that the two may have nothing in common any more.
func (s *simulation) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, _ := s.one()
	if p == nil {
		return
	}
	for _, q := range s.all {
		if p.depots[q] != nil && (q.ended || s.rng.IntN(3) == 0) {
			delete(p.depots, q)
		}
	}
}

// somewhere returns places of connections in the memory network, and the paths that they are: all of one process's, or those
// between two. mu is held.
func (s *simulation) somewhere() (names []string, paths []*path) {
	a := s.rng.IntN(len(s.places))
	if b := (a + 1 + s.rng.IntN(len(s.places)-1)) % len(s.places); s.rng.IntN(4) > 0 {
		x, y := s.places[a], s.places[b]
		return []string{transport.Between(x.name, y.endpoint), transport.Between(y.name, x.endpoint)}, []*path{s.path(a, b)}
	}
	for b := range s.places {
		if b != a {
			paths = append(paths, s.path(a, b))
		}
	}
	return []string{s.places[a].name, s.places[a].endpoint}, paths
}

func (s *simulation) cut() {
	s.mu.Lock()
	names, paths := s.somewhere()
	for _, p := range paths {
		s.disturb(p)
	}
	s.mu.Unlock()
	s.tell("%v are cut", names)
	s.memory.Cut(names...)
}

func (s *simulation) partition() {
	s.mu.Lock()
	names, paths := s.somewhere()
	for _, other := range s.stalls {
		if other.places[0] == names[0] || other.places[0] == names[1] || len(s.stalls) > 1 {
			s.mu.Unlock()
			return
		}
	}
	for _, p := range paths {
		p.stalls++
		s.disturb(p)
	}
	s.mu.Unlock()
	d := [...]int{1, 14, 20, 34, 34, 70, 150}[s.rng.IntN(7)]
	d = d*500 + s.rng.IntN(d*500)
	length := time.Duration(d) * time.Millisecond
	s.tell("%v stall for %v", names, length)
	s.memory.Stall(names...)
	s.stalls = append(s.stalls, stall{names, paths, time.Now().Add(length)})
}

// end takes a process out. mu is held.
func (s *simulation) end(p *process) {
	s.now++
	s.fault, s.trouble = s.now, s.now
	p.ended, p.slots, p.weak = true, nil, nil
	clear(p.depots)
	s.places[p.place].process = nil
	s.now++
}

func (s *simulation) crash() {
	s.mu.Lock()
	p, _ := s.one()
	if p == nil {
		s.mu.Unlock()
		return
	}
	s.end(p)
	s.mu.Unlock()
	s.tell("process %d crashes", p.place)
	p.node.Close()
}

func (s *simulation) shutdown() {
	s.mu.Lock()
	p, _ := s.one()
	if p == nil {
		s.mu.Unlock()
		return
	}
	s.end(p)
	s.mu.Unlock()
	s.tell("process %d shuts down", p.place)
	c, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	p.node.Shutdown(c)
}

func (s *simulation) restart() {
	for i, w := range s.places {
		if w.process == nil {
			s.tell("process %d is back", i)
			s.start(i)
			return
		}
	}
}

func (s *simulation) wait() {
	limit := []int{10, 100, 1_000, 3_000, 3_000, 5_000, 5_000, 10_000, 30_000, 150_000}[s.rng.IntN(10)]
	d := time.Duration(1+s.rng.IntN(limit)) * time.Millisecond
	s.tell("%v pass", d)
	runtime.GC()
	s.pass(d)
	synctest.Wait()
	runtime.GC()
}
