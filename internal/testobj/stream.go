package testobj

import (
	"context"
	"iter"
)

// Source is what the tests take streams from.
//
//rmi:remote
type Source interface {
	Count(ctx context.Context, from, to int64) iter.Seq2[int64, error]
	Items(ctx context.Context, how string, items ...Item) iter.Seq2[Item, error]
	Listeners(ctx context.Context, n int) iter.Seq2[Listener, error]
	Texts(ctx context.Context, size int) iter.Seq2[[]byte, error]
	Any(ctx context.Context) iter.Seq2[any, error]
	Errors(ctx context.Context) iter.Seq2[error, error]
}
