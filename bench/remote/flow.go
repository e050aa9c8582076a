package remote

import (
	"context"
	"io"
	"iter"

	"github.com/rmigo/rmigo/bench/payload"
)

// Flow has what goes on for long.
//
//rmi:remote
type Flow interface {
	Small(ctx context.Context, s payload.Small) (payload.Small, error)
	Items(ctx context.Context) iter.Seq2[payload.Small, error] // without end
	Upload(ctx context.Context, r io.Reader) (size int64, err error)
}

// Source is a Flow.
type Source struct{}

// Small implements Flow.
func (*Source) Small(_ context.Context, s payload.Small) (payload.Small, error) { return s, nil }

// Upload implements Flow.
func (*Source) Upload(_ context.Context, r io.Reader) (int64, error) {
	return io.CopyBuffer(writerOnly{io.Discard}, r, make([]byte, 256<<10))
}

// writerOnly has io.CopyBuffer use the buffer.
type writerOnly struct{ io.Writer }

// Items implements Flow.
func (*Source) Items(context.Context) iter.Seq2[payload.Small, error] {
	return func(yield func(payload.Small, error) bool) {
		for s := payload.NewSmall(); yield(s, nil); s.ID++ {
		}
	}
}
