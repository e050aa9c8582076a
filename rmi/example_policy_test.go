package rmi_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/rmigo/rmigo/rmi"
)

// busy is an interceptor that refuses the first calls.
func busy(refusals int64) rmi.Interceptor {
	var calls atomic.Int64
	return func(ctx context.Context, _ *rmi.Call, next func(context.Context) error) error {
		if calls.Add(1) <= refusals {
			return rmi.ErrOverloaded
		}
		return next(ctx)
	}
}

// A stub that makes calls again which were refused, or found nobody, after pauses that double. The plain stub beside it does not.
func ExampleWith() {
	ctx := context.Background()
	server := started(rmi.Options{Inbound: []rmi.Interceptor{busy(3)}})
	defer server.Close()
	client := started(rmi.Options{})
	defer client.Close()
	ada := found(server, &ear{"Ada"}, client)

	_, err := ada.Hear(ctx, "a call")
	fmt.Println(errors.Is(err, rmi.ErrOverloaded), rmi.MayHaveRun(err))

	patient := rmi.With(ada, rmi.Policy{Retry: rmi.Retry{Attempts: 5, First: time.Millisecond}})
	fmt.Println(patient.Hear(ctx, "a call"))
	fmt.Println(patient == ada, rmi.Same(patient, ada))
	// Output:
	// true false
	// Ada heard a call <nil>
	// false true
}

// A call that fails for good says how often it was made.
func ExampleWith_attempts() {
	server := started(rmi.Options{Inbound: []rmi.Interceptor{busy(100)}})
	defer server.Close()
	client := started(rmi.Options{})
	defer client.Close()

	ada := rmi.With(found(server, &ear{"Ada"}, client), rmi.Policy{Retry: rmi.Retry{Attempts: 3, First: time.Millisecond}})
	_, err := ada.Hear(context.Background(), "a call")
	var e *rmi.Error
	fmt.Println(errors.As(err, &e), e.Kind, e.Attempts)
	// Output: true overloaded 3
}

// A stub whose calls take no longer than a policy says, whatever their contexts say.
func ExampleWith_timeout() {
	gone := make(chan struct{})
	server := started(rmi.Options{})
	defer server.Close()
	client := started(rmi.Options{})
	defer client.Close()

	slow := found(server, &listener{on: func(ctx context.Context, _ string) (string, error) {
		<-ctx.Done() // the deadline has come along
		close(gone)
		return "", ctx.Err()
	}}, client)
	hasty := rmi.With(slow, rmi.Policy{Timeout: 20 * time.Millisecond})
	_, err := hasty.Hear(context.Background(), "a call")
	<-gone
	fmt.Println(errors.Is(err, context.DeadlineExceeded))
	// Output: true
}
