package testobj

import (
	"cmp"
	"context"
	"errors"
)

// Shelf keeps values by keys.
//
//rmi:remote async
type Shelf[K cmp.Ordered, V any] interface {
	// Get returns what lies at a key; ErrNoSuchKey where nothing does.
	//
	//rmi:idempotent
	Get(ctx context.Context, key K) (V, error)
	Put(ctx context.Context, entries ...Entry[K, V]) error
	All(ctx context.Context) ([]Entry[K, V], error)
	Len(ctx context.Context) (int, error)
	Each(ctx context.Context, r Reader[K, V]) error
	// Beside returns the shelf itself.
	Beside(ctx context.Context) (Shelf[K, V], error)
	// Hold echoes anything.
	Hold(ctx context.Context, v any) (any, error)
}

// Reader is shown values.
//
//rmi:remote
type Reader[K cmp.Ordered, V any] interface {
	Read(ctx context.Context, key K, value V) (more bool, err error)
}

// Entry is a key and what lies there.
type Entry[K cmp.Ordered, V any] struct {
	Key   K
	Value V
}

// Library has instances of a generic interface in its signatures.
//
//rmi:remote
type Library interface {
	Listeners(ctx context.Context) (Shelf[string, Listener], error)
	Shelves(ctx context.Context) (Shelf[string, Shelf[string, Listener]], error)
	Numbers(ctx context.Context, shelves map[string]Shelf[string, int]) (int, error)
}

var ErrNoSuchKey = errors.New("no such key")
