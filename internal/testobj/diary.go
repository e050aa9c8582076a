package testobj

import "context"

// Diary takes notes, which nobody waits for.
//
//rmi:remote
type Diary interface {
	//rmi:oneway
	Note(ctx context.Context, text string) error
	//rmi:oneway
	Count(ctx context.Context, n int64) error
	//rmi:oneway
	Ask(ctx context.Context, l Listener) error
	Read(ctx context.Context, least int) ([]string, error)
}

// Desk serves one caller at a time.
//
//rmi:remote
//rmi:serial
type Desk interface {
	Do(ctx context.Context, l Listener) (string, error)
	Note(ctx context.Context, text string) error
}
