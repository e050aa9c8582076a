package remote

import (
	"context"
	"sync/atomic"

	"github.com/rmigo/rmigo/bench/payload"
)

// Object is a Service: it echoes, adds orders up, calls back and makes counters.
type Object struct{ _ byte }

func (*Object) Null(context.Context) error { return nil }

func (*Object) Small(_ context.Context, s payload.Small) (payload.Small, error) { return s, nil }

func (*Object) Bytes(_ context.Context, b []byte) ([]byte, error) { return b, nil }

func (*Object) Order(_ context.Context, o payload.Order) (payload.Receipt, error) {
	return o.Receipt(), nil
}

func (*Object) Tree(_ context.Context, n *payload.Node) (*payload.Node, error) { return n, nil }

func (*Object) Callback(ctx context.Context, l Listener, n int64) (int64, error) {
	return l.Heard(ctx, n)
}

func (*Object) New(context.Context) (Counter, error) { return new(Count), nil }

func (*Object) Many(_ context.Context, n int) ([]Counter, error) {
	all := make([]Counter, n)
	for i := range all {
		all[i] = new(Count)
	}
	return all, nil
}

// Successor is a Listener that answers with the next number.
type Successor struct{ _ byte }

func (*Successor) Heard(_ context.Context, n int64) (int64, error) { return n + 1, nil }

// Count is a Counter that starts at zero.
type Count struct{ sum atomic.Int64 }

func (c *Count) Add(_ context.Context, n int64) (int64, error) { return c.sum.Add(n), nil }
