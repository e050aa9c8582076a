package testobj

import "context"

// Meter is called under policies.
//
//rmi:remote async
type Meter interface {
	// Read may be made again.
	//
	//rmi:idempotent
	Read(ctx context.Context) (int64, error)
	// Wait may be made again, within ten seconds in all.
	//
	//rmi:idempotent
	//rmi:timeout 10s
	Wait(ctx context.Context) error
	Add(ctx context.Context, n int64) (int64, error)
	Part(ctx context.Context, name string) (Meter, error)
	Attach(ctx context.Context, l Listener) (Listener, error)
	//rmi:oneway
	Tick(ctx context.Context, n int64) error
}
