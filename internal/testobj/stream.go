package testobj

import (
	"context"
	"io"
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

// Drain is what the tests give streams to.
//
//rmi:remote async
type Drain interface {
	Sum(ctx context.Context, numbers iter.Seq2[int64, error]) (int64, error)
	Merge(ctx context.Context, how string, a, b iter.Seq2[Item, error]) iter.Seq2[Item, error]
	Upload(ctx context.Context, how string, r io.Reader) (size int64, sum uint32, err error)
	Download(ctx context.Context, size int, w io.Writer) error
	Pipe(ctx context.Context, r io.Reader, w io.Writer) (int64, error)
	Ping(ctx context.Context) error
}

// Drawer is what the tests have readers and writers from.
//
//rmi:remote async
//rmi:errors ErrEmpty
type Drawer interface {
	Open(ctx context.Context, how string) (io.ReadCloser, error)
	Create(ctx context.Context, how string) (io.WriteCloser, error)
	Pair(ctx context.Context, n int) (r io.ReadCloser, size int, w io.WriteCloser, err error)
}
