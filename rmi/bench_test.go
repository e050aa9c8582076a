package rmi_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/rmigo/rmigo/internal/testobj"
	"github.com/rmigo/rmigo/rmi"
)

// Calls between two nodes of this process, over a TCP connection.

// benchServed returns a stub of a service in another node.
func benchServed(b *testing.B) testobj.Service { return benchBetween(b, rmi.Options{}, rmi.Options{}) }

// benchBetween is benchServed for nodes with options.
func benchBetween(b *testing.B, serving, calling rmi.Options) testobj.Service {
	b.Helper()
	server, err := rmi.NewNode(serving)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { server.Close() })
	if _, err := server.Listen("tcp://127.0.0.1:0"); err != nil {
		b.Fatal(err)
	}
	ref, err := rmi.Export(server, testobj.RemoteService.Of(newService(server)))
	if err != nil {
		b.Fatal(err)
	}
	text, err := ref.MarshalText()
	if err != nil {
		b.Fatal(err)
	}
	client, err := rmi.NewNode(calling)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { client.Close() })
	s, err := rmi.Resolve(b.Context(), client, testobj.RemoteService, string(text))
	if err != nil {
		b.Fatal(err)
	}
	if _, err := s.Add(b.Context(), 1, 1); err != nil {
		b.Fatal(err)
	}
	return s
}

func BenchmarkCall(b *testing.B) {
	for _, callers := range []int{1, 16, 128} {
		b.Run(fmt.Sprint("callers=", callers), func(b *testing.B) {
			remote := benchServed(b)
			b.ReportAllocs()
			b.ResetTimer()
			var wg sync.WaitGroup
			for i := range callers {
				wg.Go(func() {
					for range (b.N + callers - 1 - i) / callers {
						if _, err := remote.Add(b.Context(), 1, 2); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
		})
	}
}

// BenchmarkAround is what stands around a call: nothing, policies that have nothing to do, interceptors.
func BenchmarkAround(b *testing.B) {
	through := []rmi.Interceptor{func(ctx context.Context, _ *rmi.Call, next func(context.Context) error) error { return next(ctx) }}
	for _, c := range []struct {
		name             string
		serving, calling rmi.Options
		policy           rmi.Policy
	}{
		{"nothing", rmi.Options{}, rmi.Options{}, rmi.Policy{}},
		{"timeout", rmi.Options{}, rmi.Options{}, rmi.Policy{Timeout: time.Minute}},
		{"retry", rmi.Options{}, rmi.Options{}, rmi.Policy{Retry: rmi.Retry{Attempts: 3}}},
		{"outbound", rmi.Options{}, rmi.Options{Outbound: through}, rmi.Policy{}},
		{"inbound", rmi.Options{Inbound: through}, rmi.Options{}, rmi.Policy{}},
	} {
		b.Run(c.name, func(b *testing.B) {
			remote := rmi.With(benchBetween(b, c.serving, c.calling), c.policy)
			ctx := b.Context()
			b.ReportAllocs()
			for b.Loop() {
				if _, err := remote.Add(ctx, 1, 2); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkEcho(b *testing.B) {
	for _, size := range []int{1 << 10, 64 << 10, 1 << 20} {
		b.Run(fmt.Sprint("bytes=", size), func(b *testing.B) {
			remote := benchServed(b)
			sent := make([]byte, size)
			b.SetBytes(2 * int64(size))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := remote.Bytes(b.Context(), sent); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
