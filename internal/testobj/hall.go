package testobj

import "context"

// Booth takes one caller at a time.
//
//rmi:remote async
//rmi:serial
type Booth interface {
	Self(ctx context.Context) (Booth, error)
	Meet(ctx context.Context, other Booth) (same bool, err error)
}

// Hall has a booth, and perhaps a hall inside.
//
//rmi:remote async
type Hall interface {
	Booth(ctx context.Context) (Booth, error)
	Inner(ctx context.Context) (Hall, error)
	//rmi:oneway
	Ring(ctx context.Context, n int) error
	Rung(ctx context.Context) (int, error)
	Visit(ctx context.Context, f func(ctx context.Context, n int) error) error
}
