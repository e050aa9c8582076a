// Package testobj has the remote interfaces of the project's end-to-end tests, with one of each thing that can be passed.
package testobj

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rmigo/rmigo/stub"
)

//go:generate go run github.com/rmigo/rmigo/cmd/rmigen

// ErrEmpty travels as the sentinel it is.
var ErrEmpty = errors.New("testobj: empty")

// RangeError travels as the type it is.
type RangeError struct {
	Got, Limit int64
	Cause      error
}

func (e *RangeError) Error() string { return fmt.Sprintf("%d is beyond %d", e.Got, e.Limit) }

// Unwrap returns the cause.
func (e *RangeError) Unwrap() error { return e.Cause }

// Item is a value: a copy travels, with all it points to.
type Item struct {
	Name  string
	Tags  []string
	Price map[string]float64
	Next  *Item
	At    time.Time
	Seen  Listener // an object within a value travels by reference all the same
}

// Service is what the tests serve.
//
//rmi:remote
type Service interface {
	Add(ctx context.Context, a, b int64) (sum int64, err error)
	Echo(ctx context.Context, item Item) (Item, error)
	Join(ctx context.Context, sep string, parts ...string) (string, error)
	Fail(ctx context.Context, how string) (int64, error)
	Tell(ctx context.Context, l Listener, text string) (string, error)
	TellAll(ctx context.Context, text string, all ...Listener) error
	Remember(ctx context.Context, l Listener) error
	Remembered(ctx context.Context) (Listener, error)
	Self(ctx context.Context) (Service, error)
	Same(ctx context.Context, s Service) (bool, error)
	Recurse(ctx context.Context, other Service, depth int) (int, error)
	Block(ctx context.Context) error
	Object(ctx context.Context, o stub.Object) (stub.Object, error)
	Why(ctx context.Context, cause error) (error, error)
	Bytes(ctx context.Context, b []byte) ([]byte, error)
}

// Listener is called back.
//
//rmi:remote
type Listener interface {
	Hear(ctx context.Context, text string) (string, error)
}

// Party is what a process has for others in tests of references that travel.
//
//rmi:remote
type Party interface {
	Make(ctx context.Context, n int) ([]Listener, error)               // n new objects
	Pass(ctx context.Context, l Listener, name string, hops int) error // on to the next process, so many times
}

// Spare is an interface that the tests' objects do not have.
//
//rmi:remote
type Spare interface {
	Nothing(ctx context.Context) error
}
