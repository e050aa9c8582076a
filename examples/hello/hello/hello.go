// Package hello has the smallest remote interface, and something that has it.
package hello

import (
	"context"
	"errors"
)

//go:generate go run github.com/rmigo/rmigo/cmd/rmigen

// URL is where the server binds its Greeter: the registry on this host, and a name in it.
const URL = "rmi://127.0.0.1:1099/hello"

// ErrNobody is returned for a name that is empty.
var ErrNobody = errors.New("hello: nobody to greet: give a name")

// Greeter greets.
//
//rmi:remote
type Greeter interface {
	Greet(ctx context.Context, name string) (string, error)
}

// English is a Greeter.
type English struct{}

// Greet implements Greeter.
func (*English) Greet(_ context.Context, name string) (string, error) {
	if name == "" {
		return "", ErrNobody
	}
	return "Hello, " + name + "!", nil
}
