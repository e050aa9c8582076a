package calls

import (
	"context"
	"net"
	"net/rpc"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/rmigo/rmigo/bench/pb"
	"github.com/rmigo/rmigo/rmi"
)

// served serves a Counter in a node, and returns a stub of it in another one, over TCP.
func served(b *testing.B) Sink {
	b.Helper()
	var nodes [2]*rmi.Node
	for i := range nodes {
		n, err := rmi.NewNode(rmi.Options{})
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { n.Close() })
		nodes[i] = n
	}
	if _, err := nodes[0].Listen("tcp://127.0.0.1:0"); err != nil {
		b.Fatal(err)
	}
	ref, err := rmi.Export(nodes[0], RemoteSink.Of(&Counter{}))
	if err != nil {
		b.Fatal(err)
	}
	text, err := ref.MarshalText()
	if err != nil {
		b.Fatal(err)
	}
	s, err := rmi.Resolve(b.Context(), nodes[1], RemoteSink, string(text))
	if err != nil {
		b.Fatal(err)
	}
	if _, err := s.Taken(b.Context()); err != nil {
		b.Fatal(err)
	}
	return s
}

// BenchmarkOneWay sends numbers that nobody waits for from one caller, and waits until all have been taken.
func BenchmarkOneWay(b *testing.B) {
	b.Run("rmigo", func(b *testing.B) {
		s, ctx := served(b), b.Context()
		b.ResetTimer()
		for n := range b.N {
			if err := s.Put(ctx, int64(n)); err != nil {
				b.Fatal(err)
			}
		}
		if err := rmi.Flush(ctx, s); err != nil {
			b.Fatal(err)
		}
	})
	b.Run("grpc-client-stream", benchGRPC)
	b.Run("netrpc-go", benchNetRPC)
}

// benchGRPC sends them by one client stream, whose order and flow control are nearest to those of one-way calls.
func benchGRPC(b *testing.B) {
	desc := grpc.StreamDesc{StreamName: "Put", ClientStreams: true, Handler: func(srv any, s grpc.ServerStream) error {
		var taken int64
		for {
			var n pb.Number
			if err := s.RecvMsg(&n); err != nil {
				return s.SendMsg(&pb.Number{Value: taken})
			}
			if n.GetValue() != taken {
				b.Error("out of order")
			}
			taken++
		}
	}}
	server := grpc.NewServer()
	server.RegisterService(&grpc.ServiceDesc{ServiceName: "calls.Sink", HandlerType: (*any)(nil), Streams: []grpc.StreamDesc{desc}}, struct{}{})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	go server.Serve(l)
	b.Cleanup(server.Stop)
	conn, err := grpc.NewClient(l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { conn.Close() })
	s, err := conn.NewStream(b.Context(), &desc, "/calls.Sink/Put")
	if err != nil {
		b.Fatal(err)
	}
	b.ResetTimer()
	for n := range b.N {
		if err := s.SendMsg(&pb.Number{Value: int64(n)}); err != nil {
			b.Fatal(err)
		}
	}
	s.CloseSend()
	var taken pb.Number
	if err := s.RecvMsg(&taken); err != nil || taken.GetValue() != int64(b.N) {
		b.Fatalf("%d taken, %v", taken.GetValue(), err)
	}
}

// Taker is what net/rpc serves.
type Taker struct{ taken int64 }

// Put implements a method of net/rpc's.
func (t *Taker) Put(_ int64, _ *struct{}) error { return nil }

// benchNetRPC calls without waiting for each call: net/rpc answers each, and keeps no order.
func benchNetRPC(b *testing.B) {
	server := rpc.NewServer()
	if err := server.Register(&Taker{}); err != nil {
		b.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	go server.Accept(l)
	b.Cleanup(func() { l.Close() })
	client, err := rpc.Dial("tcp", l.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { client.Close() })
	done := make(chan *rpc.Call, 1024)
	b.ResetTimer()
	under := 0
	for n := range b.N {
		if under == cap(done) {
			<-done
			under--
		}
		client.Go("Taker.Put", int64(n), new(struct{}), done)
		under++
	}
	for ; under > 0; under-- {
		<-done
	}
}

// BenchmarkThousand makes a thousand small calls from one caller.
func BenchmarkThousand(b *testing.B) {
	const calls = 1000
	b.Run("sequential", func(b *testing.B) {
		s, ctx := served(b), b.Context()
		b.ResetTimer()
		for range b.N {
			for range calls {
				if _, err := s.Add(ctx, 1); err != nil {
					b.Fatal(err)
				}
			}
		}
	})
	b.Run("batch", func(b *testing.B) {
		s, ctx := served(b), b.Context()
		b.ResetTimer()
		for range b.N {
			all := make([]*rmi.Future[int64], 0, calls)
			err := rmi.Batch(ctx, func(ctx context.Context) error {
				for range calls {
					all = append(all, AsyncSinkOf(s).Add(ctx, 1))
				}
				return nil
			})
			for _, f := range all {
				if _, failed := f.Wait(ctx); failed != nil {
					err = failed
				}
			}
			if err != nil {
				b.Fatal(err)
			}
		}
	})
}
