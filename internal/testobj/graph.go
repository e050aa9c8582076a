package testobj

import (
	"context"
	"net/netip"
	"net/url"
	"time"
)

// Grapher echoes values of every shape.
//
//rmi:remote
type Grapher interface {
	Any(ctx context.Context, v any) (any, error)
	Pair(ctx context.Context, a, b *Knot) (c, d *Knot, err error)
	Slices(ctx context.Context, a, b []byte) (c, d []byte, err error)
}

// Knot is a value that can refer to anything, itself included.
type Knot struct {
	Name  string
	Left  *Knot
	Right *Knot
	By    map[string]*Knot
	Any   any
	Keys  map[any]*Knot
	Link  *url.URL
	Addr  netip.Addr
	At    time.Time
	Hears Listener
}
