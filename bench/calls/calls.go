// Package calls has what the benchmarks of calls that nobody waits for one by one need: go test -bench . ./calls
package calls

import (
	"context"
	"fmt"
)

//go:generate go run github.com/rmigo/rmigo/cmd/rmigen

// Sink takes numbers.
//
//rmi:remote async
type Sink interface {
	//rmi:oneway
	Put(ctx context.Context, n int64) error
	Add(ctx context.Context, n int64) (int64, error)
	Taken(ctx context.Context) (int64, error)
}

// Counter is a Sink that wants its numbers in order.
type Counter struct{ next, sum int64 }

// Put implements Sink.
func (c *Counter) Put(_ context.Context, n int64) error {
	if n != c.next {
		return fmt.Errorf("%d came in the place of %d", n, c.next)
	}
	c.next++
	return nil
}

// Add implements Sink.
func (c *Counter) Add(_ context.Context, n int64) (int64, error) {
	c.sum += n
	return c.sum, nil
}

// Taken implements Sink.
func (c *Counter) Taken(context.Context) (int64, error) { return c.next, nil }
