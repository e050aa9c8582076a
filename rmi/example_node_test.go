package rmi_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/rmigo/rmigo/internal/testobj"
	"github.com/rmigo/rmigo/rmi"
)

// Options are checked when the node is made. The zero value is valid.
func ExampleNewNode() {
	_, err := rmi.NewNode(rmi.Options{Lease: 5 * time.Second, Liveness: rmi.Liveness{Probe: time.Second, Dead: 10 * time.Second}})
	fmt.Println(err)
	node, err := rmi.NewNode(rmi.Options{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(node.Close(), node.Close()) // twice is harmless
	// Output:
	// rmi: Options.Lease (5s) must be longer than Liveness.Dead (10s)
	// <nil> <nil>
}

// A node listens at any number of endpoints, which its references name.
func ExampleNode_Listen() {
	dir, err := os.MkdirTemp("", "rmigo")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	node, err := rmi.NewNode(rmi.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer node.Close()
	for _, at := range []string{"unix://" + filepath.Join(dir, "socket"), "tcp://127.0.0.1:0"} {
		if _, err := node.Listen(at); err != nil {
			log.Fatal(err)
		}
	}
	ref, err := rmi.Export(node, testobj.RemoteListener.Of(&ear{"Ada"}))
	if err != nil {
		log.Fatal(err)
	}
	for _, at := range ref.Endpoints() {
		network, _, _ := strings.Cut(at, ":")
		fmt.Println(network)
	}
	// Unordered output:
	// unix
	// tcp
}

// A listener of one's own is served too.
func ExampleNode_Serve() {
	node, err := rmi.NewNode(rmi.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer node.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	if err := node.Serve(l); err != nil {
		log.Fatal(err)
	}
	client := started(rmi.Options{})
	defer client.Close()
	fmt.Println(found(node, &ear{"Ada"}, client).Hear(context.Background(), "a call"))
	// Output: Ada heard a call <nil>
}

// Shutdown lets running calls finish, and refuses new ones, which their callers can make elsewhere.
func ExampleNode_Shutdown() {
	ctx := context.Background()
	server, client := started(rmi.Options{}), started(rmi.Options{})
	defer client.Close()
	entered, goOn := make(chan string, 1), make(chan struct{})
	ref, err := rmi.Export(server, testobj.RemoteDesk.Of(&desk{entered: entered, hold: goOn}))
	if err != nil {
		log.Fatal(err)
	}
	text, _ := ref.MarshalText()
	d, err := rmi.Resolve(ctx, client, testobj.RemoteDesk, string(text))
	if err != nil {
		log.Fatal(err)
	}

	running, down := make(chan error), make(chan error)
	go func() { running <- d.Note(ctx, "a call") }()
	<-entered
	go func() { down <- server.Shutdown(ctx) }()
	close(goOn)
	fmt.Println(<-running, <-down)
	err = d.Note(ctx, "another")
	fmt.Println(err != nil, rmi.MayHaveRun(err))
	// Output:
	// <nil> <nil>
	// true false
}

// counted is a network that counts what it dials.
type counted struct{ dialled atomic.Int64 }

func (c *counted) Dial(ctx context.Context, endpoint string) (net.Conn, error) {
	c.dialled.Add(1)
	return new(net.Dialer).DialContext(ctx, "tcp", strings.TrimPrefix(endpoint, "tcp://"))
}

func (*counted) Listen(endpoint string) (net.Listener, error) {
	return nil, errors.New("this network only dials")
}

// A dialer of one's own sees that one connection serves two processes, whatever the number of objects and directions.
func ExampleNetwork() {
	ctx := context.Background()
	network := &counted{}
	server := started(rmi.Options{})
	defer server.Close()
	client, err := rmi.NewNode(rmi.Options{Network: rmi.Network(network)})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	for range 10 {
		if _, err := found(server, &ear{"Ada"}, client).Hear(ctx, "a call"); err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println(network.dialled.Load(), "connection,", server.Stats().Exports, "objects")
	// Output: 1 connection, 10 objects
}
