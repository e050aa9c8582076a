// Package registry maps names to remote objects. The registry is a remote object itself, at a well-known id, so that any node
// can serve one beside its other objects:
//
//	reg, err := registry.New(registry.Options{})
//	err = rmi.ServeRegistry(node, reg)
//
// Programs mostly use it through Bind, Lookup and their kin of package rmi, which take URLs such as
// "rmi://127.0.0.1:1099/bank/alice".
//
// Guarantees:
//
//  1. Safe for concurrent use, locally and from any number of processes.
//  2. A binding holds its object, and ends with it: the names of a process that has ended, or was not heard of for a lease, vanish.
//  3. What a node bound through package rmi is bound again when the registry comes back, see Keeper.
package registry

import (
	"context"
	"time"

	"github.com/rmigo/rmigo/stub"
)

//go:generate go run github.com/rmigo/rmigo/cmd/rmigen

// DefaultPort is the registry's port where a URL names none.
const DefaultPort = "1099"

// Registry maps names to objects. A name is any UTF-8 text without control characters, 1 to 512 bytes; slashes have no
// meaning but to the reader.
//
//rmi:remote
type Registry interface {
	// Bind puts obj under a name that is free, or has that object already; ErrAlreadyBound otherwise.
	Bind(ctx context.Context, name string, obj stub.Object) error

	// Rebind puts obj under the name, whatever is there.
	//rmi:idempotent
	Rebind(ctx context.Context, name string, obj stub.Object) error

	// Restore puts obj under a name that it was bound to before this registry forgot it, so long ago. A binding made since
	// then by somebody else stays: ErrAlreadyBound.
	//rmi:idempotent
	Restore(ctx context.Context, name string, obj stub.Object, age time.Duration) error

	// Unbind frees the name; ErrNotBound if it is free.
	Unbind(ctx context.Context, name string) error

	// Withdraw frees the name if it still leads to obj; ErrNotBound if it is free, or leads elsewhere by now.
	//rmi:idempotent
	Withdraw(ctx context.Context, name string, obj stub.Object) error

	// Lookup returns the object under the name; ErrNotBound if there is none.
	//rmi:idempotent
	Lookup(ctx context.Context, name string) (stub.Object, error)

	// List returns the names that start with prefix, sorted.
	//rmi:idempotent
	List(ctx context.Context, prefix string) ([]string, error)
}

// Options configure a registry. The zero value is valid.
type Options struct {
	// MaxBindings bounds the number of names; beyond it, ErrLimit. Zero: 100,000.
	MaxBindings int

	// RemoteWrites lets processes on other hosts bind, rebind and unbind. False: they may only look up and list, as nothing
	// yet tells a friend from a stranger.
	RemoteWrites bool
}
