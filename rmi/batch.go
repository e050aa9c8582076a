package rmi

import (
	"context"
	"errors"

	"github.com/rmigo/rmigo/refs"
	"github.com/rmigo/rmigo/stub"
)

// Future is what a call through an asynchronous view comes to.
type Future[R any] = stub.Future[R]

// Await returns the object behind a promise, which an asynchronous view makes, when it is there: the object itself where it is one of this
// process, else its stub. Anything else is returned as it is. The error is why there is no object, or ctx's where that ends first.
func Await[T any](ctx context.Context, promise T) (T, error) { return stub.Await(ctx, promise) }

// errNotReturned is why a batch is not sent whose function panics, or ends its goroutine.
var errNotReturned = errors.New("the function that makes its calls has not returned")

// Batch gathers the calls that calls makes through asynchronous views with the context that it gets, and sends them together when it returns:
// one frame for each process, as far as Limits.MessageBytes of that allow. There they run one at a time, in the order in which they were
// made, whichever objects and methods they are of; each has its own result and error, in its future. Calls on promises are part of the
// batch as any other. Batch returns when all is sent. Where calls returns an error, that is returned, and nothing more is sent: the calls end with
// it, not run. Waiting for one of the calls before that sends what has been gathered so far.
func Batch(ctx context.Context, calls func(context.Context) error) error {
	b, gathering := refs.NewBundle(ctx)
	err := errNotReturned
	defer func() {
		if err != nil {
			b.Drop(err)
		}
	}()
	if err = calls(gathering); err != nil {
		return err
	}
	b.Flush(ctx)
	b.End()
	return context.Cause(ctx)
}
