package inspect

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/rmigo/rmigo/refs"
)

// Host is what an inspector needs of its node. Its methods may be called concurrently, and do no I/O.
type Host interface {
	// HeldFor returns the objects of this process that some other process has held for so long.
	HeldFor(time.Duration) []refs.ObjectID
	// Suspect returns an object that lives only while it is held and runs no call, with how long some process has held it; nil otherwise.
	Suspect(refs.ObjectID) (impl any, held time.Duration)
	// Inspector returns a stub of the inspector of another process, which has the object.
	Inspector(object refs.Ref) (Inspector, error)
}

// New makes the inspector of the process, without I/O.
func New(self refs.ProcessID, h Host) Inspector { return &inspector{self, h} }

type inspector struct {
	self refs.ProcessID
	host Host
}

// Object implements Inspector.
func (in *inspector) Object(_ context.Context, id refs.ObjectID, held time.Duration) (Object, error) {
	impl, since := in.host.Suspect(id)
	if impl == nil || since < held {
		return Object{}, nil
	}
	found, err := referents(impl)
	return Object{Type: reflect.TypeOf(impl).String(), Held: since, Refers: found}, err
}

// SuspectedCycles implements Inspector.
func (in *inspector) SuspectedCycles(ctx context.Context, held time.Duration) ([]Cycle, error) {
	s := search{inspector: in, held: held, known: map[refs.ID]Object{}, silent: map[refs.ProcessID]bool{}}
	var cycles []Cycle
	reported := map[refs.ID]bool{}
	for _, id := range in.host.HeldFor(held) {
		start := refs.ID{Process: in.self, Object: id}
		if reported[start] {
			continue
		}
		steps := s.from(ctx, start)
		for _, at := range steps {
			reported[at.id] = true
		}
		if len(steps) > 0 {
			cycles = append(cycles, s.cycle(steps))
		}
		if ctx.Err() != nil {
			return cycles, errors.Join(append(s.missing, context.Cause(ctx))...)
		}
	}
	return cycles, errors.Join(s.missing...)
}

// mostAsked bounds the objects that one search looks at.
const mostAsked = 10_000

// search is one question for cycles. What an object refers to is asked once.
type search struct {
	*inspector
	held    time.Duration
	known   map[refs.ID]Object
	silent  map[refs.ProcessID]bool // that can not be asked
	missing []error
}

// visit is an object that the search has come to, from another one.
type visit struct {
	id   refs.ID
	ref  refs.Ref
	from *visit
	path string // in from
}

// from returns the shortest way from an object of this process back to it, the object itself first; none if there is none. Breadth
// first, after E. F. Moore, The shortest path through a maze (1959).
func (s *search) from(ctx context.Context, start refs.ID) []*visit {
	queue := []*visit{{id: start}}
	seen := map[refs.ID]bool{}
	for len(queue) > 0 && ctx.Err() == nil {
		at := queue[0]
		queue = queue[1:]
		for _, r := range s.ask(ctx, at).Refers {
			next := &visit{id: r.Ref.ID(), ref: r.Ref, from: at, path: r.Path}
			if next.id == start {
				return next.way()
			}
			if !seen[next.id] {
				seen[next.id] = true
				queue = append(queue, next)
			}
		}
	}
	return nil
}

// way returns the visits that led back to the start: each with the path that leads on.
func (v *visit) way() (out []*visit) {
	for ; v.from != nil; v = v.from {
		out = append(out, &visit{id: v.from.id, path: v.path})
	}
	slices.Reverse(out)
	return out
}

func (s *search) cycle(way []*visit) (c Cycle) {
	for _, at := range way {
		o := s.known[at.id]
		c.Steps = append(c.Steps, Step{Object: at.id.String(), Type: o.Type, Held: o.Held, Path: at.path})
	}
	return c
}

// ask returns what the object refers to, as far as that can be found out.
func (s *search) ask(ctx context.Context, at *visit) Object {
	o, known := s.known[at.id]
	switch {
	case known || s.silent[at.id.Process]:
		return o
	case len(s.known) == mostAsked:
		s.silence(at, fmt.Errorf("more than %d objects are to be looked at", mostAsked))
		return o
	}
	var err error
	if at.id.Process == s.self {
		o, err = s.Object(ctx, at.id.Object, s.held)
	} else {
		var there Inspector
		if there, err = s.host.Inspector(at.ref); err == nil {
			o, err = there.Object(ctx, at.id.Object, s.held)
		}
		var e *refs.Error
		switch {
		case errors.Is(err, refs.ErrNoSuchObject):
			s.silence(at, errors.New("it serves no inspector: set Options.Inspect there"))
			return o
		case errors.As(err, &e) && !e.Remote:
			s.silence(at, err)
			return o
		}
	}
	if err != nil {
		s.missing = append(s.missing, fmt.Errorf("in object %v: %w", at.id, err))
	}
	s.known[at.id] = o
	return o
}

// silence asks nothing more of a process.
func (s *search) silence(at *visit, why error) {
	s.silent[at.id.Process] = true
	s.missing = append(s.missing, fmt.Errorf("process %v was not asked about %v: %w", at.id.Process, at.id, why))
}
