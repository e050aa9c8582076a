package hello_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/rmigo/rmigo/examples/hello/hello"
	"github.com/rmigo/rmigo/internal/leak"
	"github.com/rmigo/rmigo/registry"
	"github.com/rmigo/rmigo/rmi"
)

func TestAGreetingAndAnErrorArriveInAnotherNode(t *testing.T) {
	leak.Check(t)
	server, client := node(t), node(t)
	endpoint, err := server.Listen("tcp://127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	names, err := registry.New(registry.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := rmi.ServeRegistry(server, names); err != nil {
		t.Fatal(err)
	}
	url := strings.Replace(endpoint, "tcp://", "rmi://", 1) + "/hello"
	if err := rmi.Bind(t.Context(), server, url, hello.RemoteGreeter.Of(&hello.English{})); err != nil {
		t.Fatal(err)
	}
	greeter, err := rmi.Lookup(t.Context(), client, hello.RemoteGreeter, url)
	if err != nil {
		t.Fatal(err)
	}
	if greeting, err := greeter.Greet(t.Context(), "Ada"); greeting != "Hello, Ada!" || err != nil {
		t.Errorf("got %q, %v; want a greeting for Ada", greeting, err)
	}
	if _, err := greeter.Greet(t.Context(), ""); !errors.Is(err, hello.ErrNobody) {
		t.Errorf("greeting nobody: %v, want ErrNobody", err)
	}
}

func node(t *testing.T) *rmi.Node {
	t.Helper()
	n, err := rmi.NewNode(rmi.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close() })
	return n
}
