package rmi_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"strings"

	"github.com/rmigo/rmigo/internal/testobj"
	"github.com/rmigo/rmigo/registry"
	"github.com/rmigo/rmigo/rmi"
)

// registryNode makes a node that serves a registry, and says at which URL.
func registryNode() (node *rmi.Node, url string) {
	node, err := rmi.NewNode(rmi.Options{})
	if err != nil {
		log.Fatal(err)
	}
	names, err := registry.New(registry.Options{})
	if err != nil {
		log.Fatal(err)
	}
	if err := rmi.ServeRegistry(node, names); err != nil {
		log.Fatal(err)
	}
	endpoint, err := node.Listen("tcp://127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	return node, strings.Replace(endpoint, "tcp://", "rmi://", 1)
}

// A server binds an object to a name, and a client, which need not listen, looks it up. A name that is taken is kept.
func ExampleBind() {
	ctx := context.Background()
	names, url := registryNode()
	defer names.Close()
	server, client := started(rmi.Options{}), started(rmi.Options{})
	defer server.Close()
	defer client.Close()

	if err := rmi.Bind(ctx, server, url+"/ears/ada", testobj.RemoteListener.Of(&ear{"Ada"})); err != nil {
		log.Fatal(err)
	}
	ada, err := rmi.Lookup(ctx, client, testobj.RemoteListener, url+"/ears/ada")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(ada.Hear(ctx, "a call"))

	err = rmi.Bind(ctx, client, url+"/ears/ada", testobj.RemoteListener.Of(&ear{"Ben"}))
	fmt.Println(errors.Is(err, rmi.ErrAlreadyBound))
	// Output:
	// Ada heard a call <nil>
	// true
}

// Rebind takes a name over.
func ExampleRebind() {
	ctx := context.Background()
	names, url := registryNode()
	defer names.Close()
	server := started(rmi.Options{})
	defer server.Close()

	for _, name := range []string{"Ada", "Ben"} {
		if err := rmi.Rebind(ctx, server, url+"/ear", testobj.RemoteListener.Of(&ear{name})); err != nil {
			log.Fatal(err)
		}
	}
	l, err := rmi.Lookup(ctx, names, testobj.RemoteListener, url+"/ear")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(l.Hear(ctx, "a call"))
	// Output: Ben heard a call <nil>
}

// What is bound is listed by what the names begin with, and a name that was freed leads nowhere.
func ExampleList() {
	ctx := context.Background()
	node, url := registryNode()
	defer node.Close()
	for _, name := range []string{"ears/ada", "ears/ben", "eyes/cyd"} {
		if err := rmi.Bind(ctx, node, url+"/"+name, testobj.RemoteListener.Of(&ear{name})); err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println(rmi.List(ctx, node, url+"/ears/"))
	fmt.Println(rmi.Unbind(ctx, node, url+"/ears/ada"))
	_, err := rmi.Lookup(ctx, node, testobj.RemoteListener, url+"/ears/ada")
	fmt.Println(errors.Is(err, rmi.ErrNotBound))
	// Output:
	// [ears/ada ears/ben] <nil>
	// <nil>
	// true
}

// The registry is a remote object itself, which any node can serve beside its other objects.
func ExampleServeRegistry() {
	node, err := rmi.NewNode(rmi.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer node.Close()
	names, err := registry.New(registry.Options{})
	if err != nil {
		log.Fatal(err)
	}
	if err := rmi.ServeRegistry(node, names); err != nil {
		log.Fatal(err)
	}
	endpoint, err := node.Listen("tcp://127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(rmi.List(context.Background(), node, strings.Replace(endpoint, "tcp://", "rmi://", 1)))
	// Output: [] <nil>
}

// Whoever wants the registry itself, to call or to pass, gets it by its address. A process without one says so.
func ExampleLocateRegistry() {
	ctx := context.Background()
	names, url := registryNode()
	defer names.Close()
	client := started(rmi.Options{})
	defer client.Close()

	reg, err := rmi.LocateRegistry(ctx, client, url)
	if err != nil {
		log.Fatal(err)
	}
	_, err = reg.Lookup(ctx, "nobody")
	fmt.Println(errors.Is(err, rmi.ErrNotBound))

	other := started(rmi.Options{})
	defer other.Close()
	endpoint, err := other.Listen("tcp://127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	_, err = rmi.LocateRegistry(ctx, client, strings.Replace(endpoint, "tcp://", "rmi://", 1))
	fmt.Println(errors.Is(err, rmi.ErrNoSuchObject))
	// Output:
	// true
	// true
}
