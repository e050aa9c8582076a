package stub

import (
	"context"
	"errors"

	"github.com/rmigo/rmigo/refs"
)

// Future is what an asynchronous call comes to. Its methods may be called by any number of goroutines.
type Future[R any] struct {
	done   chan struct{}
	cancel context.CancelFunc
	ctx    context.Context // that the call was made with, for the batch in it

	result R
	err    error
}

// None is the result of a method that returns nothing but an error.
type None struct{}

// Wait returns what the call has come to, when it has: what the method would have returned. If ctx ends first, it returns ctx's error; the call
// goes on then. Waiting for a call of a batch sends what the batch has gathered.
func (f *Future[R]) Wait(ctx context.Context) (R, error) {
	select {
	case <-f.done:
		return f.result, f.err
	default:
		refs.FlushBundle(f.ctx)
	}
	select {
	case <-f.done:
		return f.result, f.err
	case <-ctx.Done():
		var none R
		return none, context.Cause(ctx)
	}
}

// Done returns a channel that is closed when the call has ended.
func (f *Future[R]) Done() <-chan struct{} { return f.done }

// Err returns the error of a call that has ended; nil while it is under way.
func (f *Future[R]) Err() error {
	select {
	case <-f.done:
		return f.err
	default:
		return nil
	}
}

// Cancel gives the call up, as the end of its context would; what has ended stays as it is.
func (f *Future[R]) Cancel() { f.cancel() }

// Go calls a method of an object, and returns when the call is on its way: call makes it, and does nothing else, since it may run twice, once to
// send the call and once to read what it came to. What a stub is given as arguments has been written when Go returns; a method of an object of this
// process runs as any goroutine does.
func Go[T, R any](ctx context.Context, object T, call func(context.Context, T) (R, error)) *Future[R] {
	f := &Future[R]{done: make(chan struct{})}
	f.ctx, f.cancel = context.WithCancel(ctx)
	run := func(ctx context.Context) { f.result, f.err = call(ctx, object) }
	ended := func() {
		close(f.done)
		f.cancel()
	}
	if r, remote := Of(object); remote {
		r.v.Start(f.ctx, run, ended)
		return f
	}
	go func() { // ends when the method does
		f.err = errExited
		defer ended()
		run(f.ctx)
	}()
	return f
}

// errExited is what a call comes to whose method called runtime.Goexit.
var errExited = errors.New("the method ended its goroutine, and has not returned")

// Do is Go for a method without results.
func Do[T any](ctx context.Context, object T, call func(context.Context, T) error) *Future[None] {
	return Go(ctx, object, func(ctx context.Context, object T) (None, error) { return None{}, call(ctx, object) })
}

// Then is Go for a method that returns an object. What it returns is a promise, which stands for that object: calls on it go at once to the
// process that the object will be in, one at a time in the order in which they are made, and end in ErrBroken with the cause where the call
// has failed. A method of an object of this process runs at once, before Then returns what it returned.
func Then[T, R any](ctx context.Context, object T, d refs.Descriptor, call func(context.Context, T) (R, error)) R {
	var v any
	var err error
	if r, remote := Of(object); remote {
		v, err = r.v.Promise(ctx, r.v.Face.Known(d), func(ctx context.Context) (any, error) { return call(ctx, object) })
	} else {
		var made R
		if made, err = call(ctx, object); err == nil && any(made) != nil {
			return made
		}
		v, err = d.NewStub(refs.Broken(err))
	}
	if err != nil {
		panic(err) // the descriptor contradicts itself, and cannot have made the object either
	}
	return v.(R)
}

// Await returns the object that a promise stands for when it is there, or why it will not be. Anything else is returned as it is.
func Await[T any](ctx context.Context, promise T) (T, error) {
	r, ok := Of(promise)
	if !ok {
		return promise, nil
	}
	v, promised, err := r.v.Handle.Await(ctx)
	if !promised {
		return promise, err
	}
	t, _ := v.(T)
	return t, err
}
