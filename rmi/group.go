package rmi

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"sync"
)

// errNotAnswered is what a member comes to whose ask ends its goroutine.
var errNotAnswered = errors.New("the function that asks the member ended its goroutine, and has not returned")

// Answer is what one member of a group said.
type Answer[T, R any] struct {
	Index  int // of the member, in the order in which they were given
	Member T
	Result R
	Err    error
}

// Broadcast has ask called for all members at once, and yields what they say as it comes. Members are stubs, local objects, or whatever
// ask makes of them; each may be called by several goroutines. Who leaves the loop cancels what is still under way: the
// context that ask gets has ended then. Either way the loop ends only when each ask has returned, so that nothing goes on behind the
// caller's back; a member in this process has to heed its context for that, calls to others do. Ranging over the result again asks again.
func Broadcast[T, R any](ctx context.Context, members []T, ask func(ctx context.Context, member T) (R, error)) iter.Seq[Answer[T, R]] {
	return func(yield func(Answer[T, R]) bool) {
		ctx, cancel := context.WithCancel(ctx)
		var asked sync.WaitGroup
		defer asked.Wait()
		defer cancel()
		answers := make(chan Answer[T, R], len(members))
		for i, m := range members {
			asked.Go(func() {
				answer := Answer[T, R]{Index: i, Member: m, Err: errNotAnswered}
				defer func() { answers <- answer }()
				r, err := ask(ctx, m)
				answer.Result, answer.Err = r, err
			})
		}
		for range members {
			if !yield(<-answers) {
				return
			}
		}
	}
}

// Quorum asks all members as Broadcast does and returns the first need answers without an error, in the order in which they came. What is
// still under way is cancelled then, and as soon as so many have failed that the others do not suffice: the error is a *GroupError. A
// member whose answer is not among those returned may have run all the same.
func Quorum[T, R any](ctx context.Context, need int, members []T, ask func(ctx context.Context, member T) (R, error)) ([]Answer[T, R], error) {
	failed := &GroupError{Need: need, Members: len(members)}
	if need <= 0 {
		return nil, nil
	}
	if need > len(members) {
		return nil, failed
	}
	var good []Answer[T, R]
	for a := range Broadcast(ctx, members, ask) {
		if a.Err == nil {
			good = append(good, a)
		} else {
			failed.add(a.Index, a.Err)
		}
		if len(good) == need {
			return good, nil
		}
		if len(failed.Indexes) > len(members)-need {
			break
		}
	}
	return nil, failed
}

// FirstOf asks all members as Broadcast does and returns the first result without an error; the others are cancelled. The error, if all
// fail, is a *GroupError.
func FirstOf[T, R any](ctx context.Context, members []T, ask func(ctx context.Context, member T) (R, error)) (R, error) {
	first, err := Quorum(ctx, 1, members, ask)
	if err != nil {
		var none R
		return none, err
	}
	return first[0].Result, nil
}

// GroupError says that too few members of a group answered. errors.Is and errors.As find what each of them failed with.
type GroupError struct {
	Need    int     // answers that were asked for
	Members int     // there are
	Indexes []int   // of the members that failed, in the order in which they did
	Errs    []error // and what with
}

func (e *GroupError) add(index int, err error) {
	e.Indexes = append(e.Indexes, index)
	e.Errs = append(e.Errs, err)
}

// Error implements error.
func (e *GroupError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "group call: %d of %d members had to answer", e.Need, e.Members)
	if len(e.Errs) > 0 {
		fmt.Fprintf(&b, ", and %d failed", len(e.Errs))
	}
	for i, err := range e.Errs {
		separator := "; "
		if i == 0 {
			separator = ": "
		}
		fmt.Fprintf(&b, "%smember %d: %v", separator, e.Indexes[i], err)
	}
	return b.String()
}

// Unwrap returns what the members failed with.
func (e *GroupError) Unwrap() []error { return e.Errs }
