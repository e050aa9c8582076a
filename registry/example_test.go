package registry_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/rmigo/rmigo/registry"
	"github.com/rmigo/rmigo/rmi"
)

// A registry is a table in memory; rmi.ServeRegistry makes it one for other processes.
func ExampleNew() {
	reg, err := registry.New(registry.Options{MaxBindings: 1000})
	if err != nil {
		log.Fatal(err)
	}
	_, err = reg.Lookup(context.Background(), "bank/alice")
	fmt.Println(err)
	fmt.Println(errors.Is(err, rmi.ErrNotBound))
	// Output:
	// registry: "bank/alice": not bound
	// true
}

// A URL says where a registry is and what is looked up there. What is left out has its usual value.
func ExampleParseURL() {
	for _, text := range []string{"rmi://bank.example.com/bank/alice", "rmi+unix:///run/registry.sock#bank/alice", "rmi://[::1]:7000", "bank/alice"} {
		u, err := registry.ParseURL(text)
		if err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Printf("%s %q %s\n", u.Endpoint, u.Name, u.String())
	}
	// Output:
	// tcp://bank.example.com:1099 "bank/alice" rmi://bank.example.com:1099/bank/alice
	// unix:///run/registry.sock "bank/alice" rmi+unix:///run/registry.sock#bank/alice
	// tcp://[::1]:7000 "" rmi://[::1]:7000/
	// registry: URL "bank/alice": no scheme: write rmi://host:port/name or rmi+unix:///socket#name
}
