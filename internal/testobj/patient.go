package testobj

import "context"

// Patient waits until its callers give up.
//
//rmi:remote
type Patient interface {
	// Briefly has a timeout of its own.
	//
	//rmi:timeout 30s
	Briefly(ctx context.Context) error
	Long(ctx context.Context) error
}
