package skeleton

import (
	"io"
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

// GetStream reads an argument that is a stream: get reads an item. It may be ranged over once, while the method runs: what it yields otherwise is an error.
func GetStream[T any](call *Call, items *iter.Seq2[T, error], get func(*refs.Decoder, *T)) {
	taker := call.Take()
	if taker == nil {
		return
	}
	*items = func(yield func(T, error) bool) {
		wanted := true
		err := taker.Each(func(d *refs.Decoder) bool {
			var item T
			if get(d, &item); d.Finish() == nil {
				wanted = yield(item, nil)
			}
			return wanted && d.Err == nil
		})
		if err != nil && wanted {
			var none T
			yield(none, err)
		}
	}
}

// GetReader reads an argument that is a reader.
func GetReader(call *Call, r *io.Reader) {
	if taker := call.Take(); taker != nil {
		*r = taker
	}
}

// GetWriter reads an argument that is a writer.
func GetWriter(call *Call, w *io.Writer) {
	if feeder := call.Feed(); feeder != nil {
		*w = feeder
	}
}
