// Package inspect finds what the collector can not undo: cycles of objects in several processes that keep each other alive, and nothing
// else might. A node with Options.Inspect serves an [Inspector] at a well-known id; the inspectors of the processes on a cycle, each
// of which sees its own part only, find it together:
//
//	cycles, err := node.SuspectedCycles(ctx, 10*time.Minute)
//	for _, c := range cycles {
//		log.Print(c)
//	}
//
// Guarantees:
//
//  1. A cycle is suspected, not proven: each of its objects is exported to be collectable, has been held by another process for
//     the time given, runs no call, and leads to the next one. That one of them is also reached by its own process is not seen.
//  2. Nothing is collected, released or held by being inspected.
//  3. A struct is read while the mutexes in it are held, if they are free; a map only while some mutex on the way to it is. An object that
//     is guarded otherwise and changes tells what it refers to itself, see [Referrer].
//
// The remedies are a weak reference (rmi.WeakOf) on the way that needs to keep nothing alive, as from a listener to what it listens
// to, rmi.Owned, rmi.Release or rmi.Unexport.
package inspect

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/rmigo/rmigo/refs"
)

//go:generate go run github.com/rmigo/rmigo/cmd/rmigen

// Inspector answers questions about the objects of its process.
//
//rmi:remote
type Inspector interface {
	// Object tells of an object what it is and to which remote objects it refers, unless it is exported for good, runs a call, or has
	// not been held by another process for the time given: then it is zero. An error beside what was found tells what could not be
	// looked at.
	//rmi:idempotent
	Object(ctx context.Context, id refs.ObjectID, held time.Duration) (Object, error)

	// SuspectedCycles returns the cycles through objects of this process, asking the other processes on the way. An error beside
	// them tells what could not be looked at: processes that can not be asked, objects whose mutexes are held.
	//rmi:idempotent
	SuspectedCycles(ctx context.Context, held time.Duration) ([]Cycle, error)
}

// Object is what an inspector tells of an object that may be garbage.
type Object struct {
	Type   string        // of its implementation, such as "*chat.room"
	Held   time.Duration // for how long some other process has held it
	Refers []Referent
}

// Referent is a remote object that another one refers to.
type Referent struct {
	Ref  refs.Ref
	Path string // in the implementation, such as `members["bob"].listener`
}

// Cycle is objects that each refer to the next one, and the last to the first.
type Cycle struct {
	Steps []Step
}

// Step is an object on a cycle.
type Step struct {
	Object string        // as Ref prints it: no capability
	Type   string        // of its implementation
	Held   time.Duration // for how long some other process has held it
	Path   string        // where in it the reference to the next step's object is
}

// String describes the cycle in several lines.
func (c Cycle) String() string {
	var b strings.Builder
	for i, s := range c.Steps {
		next := "the next"
		if i == len(c.Steps)-1 {
			next = "the first"
		}
		fmt.Fprintf(&b, "%s %s, held for %v: %s is %s\n", s.Type, s.Object, s.Held.Round(time.Second), s.Path, next)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// Referrer is implemented by objects that tell by themselves which remote objects they refer to, instead of being read by reflection: under
// locks of their own, or because they are large.
type Referrer interface {
	// RemoteRefs yields stubs, or values that are read for stubs, each with a name. It must not block for long.
	RemoteRefs(yield func(name string, v any))
}
