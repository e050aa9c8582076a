package stub

import (
	"context"
	"iter"

	"github.com/rmigo/rmigo/refs"
)

// Stream returns the stream of a method that returns one: ranging over it makes the call, each time anew. put writes the arguments then, nil: there are
// none; get reads an item. The stream ends with the method's, or with an error as its last element: a zero item, and the method's own error or the
// runtime's. Leaving the loop cancels the call.
func Stream[T any](r Ref, ctx context.Context, method uint64, put func(*Call), get func(*Decoder, *T)) iter.Seq2[T, error] {
	return StreamAs(r, ctx, r.v.Face, method, put, get)
}

// StreamAt is Stream for a method of a generic interface, by its place in the descriptor's table.
func StreamAt[T any](r Ref, ctx context.Context, place int, put func(*Call), get func(*Decoder, *T)) iter.Seq2[T, error] {
	return Stream(r, ctx, r.v.Face.IDAt(place), put, get)
}

// StreamAs is Stream through another interface than the view's.
func StreamAs[T any](r Ref, ctx context.Context, f *refs.Face, method uint64, put func(*Call), get func(*Decoder, *T)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		call := r.v.Handle.Call(ctx, f, method, r.v.Policies)
		if put != nil {
			put(call)
		}
		wanted := true
		call.Range(func(d *refs.Decoder) bool {
			var item T
			if get(d, &item); d.Finish() == nil {
				wanted = yield(item, nil)
			}
			return wanted
		})
		if err := call.Finish(); err != nil && wanted {
			var none T
			yield(none, err)
		}
	}
}

// PutStream writes an argument that is a stream: put writes an item. The iterator runs once the method ranges over it, on a goroutine that the call
// waits for.
func PutStream[T any](call *Call, items iter.Seq2[T, error], put func(*Encoder, T)) {
	if items == nil {
		call.PutStream(nil)
		return
	}
	call.PutStream(func(p *refs.Producer) error {
		for item, err := range items {
			if err != nil {
				return err
			}
			put(p.Item(), item)
			if err := p.Send(); err != nil {
				return err
			}
		}
		return nil
	})
}
