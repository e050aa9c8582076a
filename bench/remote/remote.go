// Package remote has the remote interface that rmigo is measured with, and what is behind it.
//
//	ref, err := rmi.Export(node, remote.RemoteService.Of(remote.Object{}))
//
// It asks of the runtime what the services of the other peers ask of theirs, and what only remote objects can do:
// Callback, New and Many.
package remote

import (
	"context"

	"github.com/rmigo/rmigo/bench/payload"
)

//go:generate go tool rmigen

// Service has one method for each kind of call.
//
//rmi:remote
type Service interface {
	Null(ctx context.Context) error
	Small(ctx context.Context, s payload.Small) (payload.Small, error)
	Bytes(ctx context.Context, b []byte) ([]byte, error)
	Order(ctx context.Context, o payload.Order) (payload.Receipt, error)
	Tree(ctx context.Context, n *payload.Node) (*payload.Node, error)
	Callback(ctx context.Context, l Listener, n int64) (int64, error) // what l.Heard makes of n
	New(ctx context.Context) (Counter, error)                         // a counter of its own
	Many(ctx context.Context, n int) ([]Counter, error)               // so many of them
}

// Listener is called while a call is under way.
//
//rmi:remote
type Listener interface {
	Heard(ctx context.Context, n int64) (int64, error)
}

// Counter is a small object with a state.
//
//rmi:remote
type Counter interface {
	Add(ctx context.Context, n int64) (int64, error)
}
