package refs

import (
	"context"
	"fmt"
	"io"
	"reflect"
	"testing"
	"time"

	"github.com/rmigo/rmigo/internal/wire"
)

func benchNode(b *testing.B) *Node {
	b.Helper()
	n, err := New(Options{}, nil)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { n.Close() })
	return n
}

// anything describes an interface with one method.
type anything struct{}

func (anything) Name() string                                { return "refs.Anything" }
func (anything) GoType() reflect.Type                        { return reflect.TypeFor[any]() }
func (anything) MethodTable() []Method                       { return []Method{{ID: 300, Signature: "Do() error"}} }
func (anything) TypeTable() []Type                           { return nil }
func (anything) Documentation() Docs                         { return Docs{} }
func (anything) Serve(context.Context, any, *Incoming) error { return nil }
func (anything) NewStub(h *Handle) (any, error)              { return h, nil }
func (anything) StubOf(*View) any                            { return nil }
func (anything) HandleOf(any) *Handle                        { return nil }

func BenchmarkExports(b *testing.B) {
	for _, size := range []int{1, 10_000, 1_000_000} {
		b.Run(fmt.Sprint("objects=", size), func(b *testing.B) {
			n := benchNode(b)
			type object struct{ _ int }
			ids := make([]ObjectID, size)
			for i := range ids {
				ref, err := n.Export(Pinned, ExportOptions{}, anything{}, new(object))
				if err != nil {
					b.Fatal(err)
				}
				ids[i] = ref.ID().Object
			}
			i := 0
			b.ReportAllocs()
			for b.Loop() {
				e, _ := n.exports.acquire(ids[i], 300)
				e.release()
				i = (i + 7919) % size
			}
		})
	}
}

func BenchmarkExport(b *testing.B) {
	n := benchNode(b)
	type object struct{ _ int }
	b.ReportAllocs()
	for b.Loop() {
		if _, err := n.Export(Pinned, ExportOptions{}, anything{}, &object{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkImports(b *testing.B) {
	n := benchNode(b)
	record := func() Ref {
		r, err := refOf(wire.Record{Process: [16]byte{7}, Object: newID(), Endpoints: []string{"tcp://127.0.0.1:1"}, Interfaces: []string{"x.Y"}})
		if err != nil {
			b.Fatal(err)
		}
		return r
	}
	b.Run("known", func(b *testing.B) {
		r := record()
		h := n.handle(r, nil)
		b.ReportAllocs()
		for b.Loop() {
			if n.handle(r, nil) != h {
				b.Fatal("another handle of the same object")
			}
		}
	})
	b.Run("new", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			n.handle(record(), nil)
		}
	})
}

func BenchmarkLane(b *testing.B) {
	w := &writer{stream: io.Discard, start: time.Now(), tasks: &tasks{}, fail: func(error) {}}
	frame := make([]byte, wire.CallHeaderBytes+8)
	b.Run("alone", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			w.send(nil, frame, false, false)
			w.unheard.Store(0)
		}
	})
	b.Run("joined", func(b *testing.B) {
		b.ReportAllocs()
		b.SetParallelism(64)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				w.send(nil, frame, false, true)
				w.unheard.Store(0)
			}
		})
		w.tasks.wait()
	})
}
