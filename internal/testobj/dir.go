package testobj

import "context"

// Dir is a tree of names, each with a log of what was done to it.
//
//rmi:remote async
type Dir interface {
	Open(ctx context.Context, name string) (Dir, error)
	Append(ctx context.Context, text string) error
	Read(ctx context.Context) (string, error)
	Stat(ctx context.Context) (entries int, bytes int64, err error)
	Link(ctx context.Context, name string, to Dir) error // to may be anywhere
	Mirror(ctx context.Context) (Dir, error)             // what was linked as "mirror"
}
