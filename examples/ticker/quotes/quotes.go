// Package quotes has an exchange, whose prices never end.
package quotes

import (
	"context"
	"iter"
	"math/rand/v2"
	"sync/atomic"
)

//go:generate go run github.com/rmigo/rmigo/cmd/rmigen

// Quote is the price of something at a time.
type Quote struct {
	Number  int64
	Symbol  string
	Cents   int64
	History []int64 // the prices before it
}

// Exchange quotes prices.
//
//rmi:remote
type Exchange interface {
	// Quotes returns a quote after the other, for as long as somebody takes them.
	Quotes(ctx context.Context, symbol string) iter.Seq2[Quote, error]
	// Made returns how many quotes there have been, and how many callers are quoted to.
	Made(ctx context.Context) (quotes, callers int64, err error)
}

// Market is an Exchange. It makes quotes as fast as they can be made.
type Market struct{ made, callers atomic.Int64 }

// Quotes implements Exchange.
func (m *Market) Quotes(_ context.Context, symbol string) iter.Seq2[Quote, error] {
	return func(yield func(Quote, error) bool) {
		m.callers.Add(1)
		defer m.callers.Add(-1)
		q := Quote{Symbol: symbol, Cents: 10_000, History: make([]int64, 0, 250)}
		for {
			if len(q.History) == cap(q.History) {
				q.History = append(q.History[:0], q.History[1:]...)
			}
			q.History = append(q.History, q.Cents)
			q.Number, q.Cents = q.Number+1, q.Cents+rand.Int64N(21)-10
			m.made.Add(1)
			if !yield(q, nil) {
				return
			}
		}
	}
}

// Made implements Exchange.
func (m *Market) Made(context.Context) (quotes, callers int64, err error) {
	return m.made.Load(), m.callers.Load(), nil
}
