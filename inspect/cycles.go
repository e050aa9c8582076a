package inspect

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
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
	s := search{inspector: in, held: held, known: map[refs.ID]Object{}, silent: map[refs.ProcessID]bool{}, steps: mostSteps}
	starts := in.host.HeldFor(held)
	s.explore(ctx, starts)
	cycles := s.cycles(ctx, starts)
	if ctx.Err() != nil {
		s.missing = append(s.missing, context.Cause(ctx))
	}
	return cycles, errors.Join(s.missing...)
}

// What ends a search early.
const (
	mostAsked = 10_000  // objects that are looked at
	mostKnown = 1 << 20 // what they refer to, all together
	mostSteps = 1 << 24 // references that are followed in looking for the shortest cycles
	mostText  = 1 << 10 // bytes of a path or a type that another process tells
)

var errMany = fmt.Errorf("more than %d objects, or %d references between them, are to be looked at", mostAsked, mostKnown)

// search is one question for cycles. What an object refers to is asked once.
type search struct {
	*inspector
	held    time.Duration
	known   map[refs.ID]Object
	edges   int                     // what all of known refers to
	silent  map[refs.ProcessID]bool // that can not be asked
	steps   int                     // that may be taken
	missing []error
}

// visit is an object that the search has come to, from another one.
type visit struct {
	id   refs.ID
	ref  refs.Ref
	from *visit
	path string // in from
}

// explore asks about all objects that those of this process lead to.
func (s *search) explore(ctx context.Context, starts []refs.ObjectID) {
	var queue []*visit
	seen := map[refs.ID]bool{}
	for len(queue) > 0 || len(starts) > 0 {
		if ctx.Err() != nil {
			return
		}
		if len(queue) == 0 {
			id := refs.ID{Process: s.self, Object: starts[0]}
			starts = starts[1:]
			if seen[id] {
				continue
			}
			seen[id] = true
			queue = append(queue, &visit{id: id})
		}
		at := queue[0]
		queue = queue[1:]
		if len(s.known) == mostAsked || s.edges > mostKnown {
			s.missing = append(s.missing, errMany)
			return
		}
		for _, r := range s.ask(ctx, at).Refers {
			if id := r.Ref.ID(); !seen[id] && len(seen) <= mostAsked {
				seen[id] = true
				queue = append(queue, &visit{id: id, ref: r.Ref})
			}
		}
	}
}

// cycles returns a shortest cycle through each object of this process that is on one, but for those that are on one of them already.
func (s *search) cycles(ctx context.Context, starts []refs.ObjectID) (out []Cycle) {
	component := components(s.known)
	reported := map[refs.ID]bool{}
	for _, id := range starts {
		start := refs.ID{Process: s.self, Object: id}
		if reported[start] || ctx.Err() != nil {
			continue
		}
		if s.steps <= 0 {
			s.missing = append(s.missing, errMany)
			return out
		}
		steps := s.from(start, component)
		for _, at := range steps {
			reported[at.id] = true
		}
		if len(steps) > 0 {
			out = append(out, s.cycle(steps))
		}
	}
	return out
}

// from returns the shortest way from an object of this process back to it, the object itself first; none if there is none. Breadth
// first, after E. F. Moore, The shortest path through a maze (1959), within the component of the object: no other leads back.
func (s *search) from(start refs.ID, component map[refs.ID]int) []*visit {
	queue := []*visit{{id: start}}
	seen := map[refs.ID]bool{}
	for len(queue) > 0 && s.steps > 0 {
		at := queue[0]
		queue = queue[1:]
		for _, r := range s.known[at.id].Refers {
			s.steps--
			next := &visit{id: r.Ref.ID(), from: at, path: r.Path}
			if next.id == start {
				return next.way()
			}
			if !seen[next.id] && component[next.id] == component[start] {
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

// components numbers the strongly connected components of a graph, from 1: two objects have the same number if each leads to the other.
// After R. Tarjan, Depth-first search and linear graph algorithms (1972), without recursion, since the graph may be deep.
func components(graph map[refs.ID]Object) map[refs.ID]int {
	type node struct {
		id    refs.ID
		low   int // the least number of a node on the stack that it leads to
		index int
		next  int // of what it refers to
	}
	component := map[refs.ID]int{}
	index := map[refs.ID]int{}
	var path []*node    // from the root of the search to where it is
	var stack []refs.ID // visited, and not in a component yet
	enter := func(id refs.ID) {
		index[id] = len(index) + 1
		path = append(path, &node{id: id, low: index[id], index: index[id]})
		stack = append(stack, id)
	}
	count := 0
	for root := range graph {
		if index[root] == 0 {
			enter(root)
		}
		for len(path) > 0 {
			at := path[len(path)-1]
			if refers := graph[at.id].Refers; at.next < len(refers) {
				to := refers[at.next].Ref.ID()
				at.next++
				switch {
				case index[to] == 0:
					enter(to)
				case component[to] == 0:
					at.low = min(at.low, index[to])
				}
				continue
			}
			path = path[:len(path)-1]
			if len(path) > 0 {
				path[len(path)-1].low = min(path[len(path)-1].low, at.low)
			}
			if at.low < at.index {
				continue
			}
			count++
			for {
				id := stack[len(stack)-1]
				stack = stack[:len(stack)-1]
				component[id] = count
				if id == at.id {
					break
				}
			}
		}
	}
	return component
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
	var o Object
	if s.silent[at.id.Process] {
		return o
	}
	var err error
	if at.id.Process == s.self {
		o, err = s.Object(ctx, at.id.Object, s.held)
	} else {
		var there Inspector
		if there, err = s.host.Inspector(at.ref); err == nil {
			o, err = there.Object(ctx, at.id.Object, s.held)
			o.bound()
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
		if text := err.Error(); len(text) > mostText {
			err = errors.New(cut(text))
		}
		s.missing = append(s.missing, fmt.Errorf("in object %v: %w", at.id, err))
	}
	s.known[at.id] = o
	s.edges += len(o.Refers)
	return o
}

// bound cuts what another process tells to what an inspector would tell.
func (o *Object) bound() {
	o.Type = cut(o.Type)
	o.Refers = o.Refers[:min(len(o.Refers), mostReferents)]
	for i := range o.Refers {
		o.Refers[i].Path = cut(o.Refers[i].Path)
	}
}

func cut(text string) string {
	if len(text) <= mostText {
		return text
	}
	return strings.ToValidUTF8(text[:mostText], "") + "…"
}

// silence asks nothing more of a process.
func (s *search) silence(at *visit, why error) {
	s.silent[at.id.Process] = true
	s.missing = append(s.missing, fmt.Errorf("process %v was not asked about %v: %w", at.id.Process, at.id, why))
}
