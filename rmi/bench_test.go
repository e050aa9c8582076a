package rmi_test

import (
	"context"
	"testing"

	"github.com/rmigo/rmigo/internal/testobj"
	"github.com/rmigo/rmigo/rmi"
)

// BenchmarkCall measures calls of a method with two integers between two nodes of one process over loopback TCP.
func BenchmarkCall(b *testing.B) {
	server, err := rmi.NewNode(rmi.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer server.Close()
	if _, err := server.Listen("tcp://127.0.0.1:0"); err != nil {
		b.Fatal(err)
	}
	ref, err := rmi.Export(server, testobj.RemoteService.Of(newService(server)))
	if err != nil {
		b.Fatal(err)
	}
	client, err := rmi.NewNode(rmi.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer client.Close()
	text, _ := ref.MarshalText()
	ctx := context.Background()
	remote, err := rmi.Resolve(ctx, client, testobj.RemoteService, string(text))
	if err != nil {
		b.Fatal(err)
	}
	b.Run("alone", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := remote.Add(ctx, 1, 2); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("128 callers", func(b *testing.B) {
		b.ReportAllocs()
		b.SetParallelism(64)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if _, err := remote.Add(ctx, 1, 2); err != nil {
					b.Error(err)
					return
				}
			}
		})
	})
}
