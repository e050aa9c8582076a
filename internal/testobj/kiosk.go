package testobj

import "context"

// Visitor is shown numbers.
type Visitor func(ctx context.Context, n int) error

// Alarm has functions inside a value.
type Alarm struct {
	Name string
	Ring func(ctx context.Context, text string) (string, error)
	Also []Visitor
	By   map[string]Visitor
}

// Kiosk takes functions and returns some.
//
//rmi:remote async
type Kiosk interface {
	// Each shows the numbers below n.
	Each(ctx context.Context, n int, f Visitor) error
	//rmi:oneway
	Post(ctx context.Context, n int, f Visitor) error
	// Keep has Kept return f, and Ring call it.
	Keep(ctx context.Context, f func(ctx context.Context, text string) (string, error)) error
	Kept(ctx context.Context) (func(ctx context.Context, text string) (string, error), error)
	Ring(ctx context.Context, text string) (string, error)
	// Adder returns a function of the kiosk's own.
	Adder(ctx context.Context, start int) (func(ctx context.Context, more ...int) (int, error), error)
	Alarm(ctx context.Context, a Alarm) (Alarm, error)
	// Through returns what f returns, having passed it all the arguments.
	Through(ctx context.Context, f func(context.Context, Kiosk, error) (Kiosk, error), d Kiosk, why error) (Kiosk, error)
	// Wrapped returns what wrap makes of a function of the kiosk's own.
	Wrapped(ctx context.Context, wrap func(context.Context, Visitor) (Visitor, error)) (Visitor, error)
}
