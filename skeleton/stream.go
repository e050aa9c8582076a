package skeleton

import (
	"iter"

	"github.com/rmigo/rmigo/refs"
)

// Stream sends what a method returns, item by item, as the caller takes it: put writes an item. It returns when the method's iterator has
// stopped, with the error that this had as its last element, or with why no more was wanted.
func Stream[T any](call *Call, items iter.Seq2[T, error], put func(*refs.Encoder, T)) error {
	for item, err := range items {
		if err != nil {
			return err
		}
		put(call.Item(), item)
		if err := call.Send(); err != nil {
			return err
		}
	}
	return nil
}
