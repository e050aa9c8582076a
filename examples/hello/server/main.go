// Command server serves a Greeter until Ctrl-C. It needs a registry: go run ./cmd/registry serve
package main

import (
	"context"
	"log"
	"os"
	"os/signal"

	"github.com/rmigo/rmigo/examples/hello/hello"
	"github.com/rmigo/rmigo/rmi"
)

func main() {
	ctx, _ := signal.NotifyContext(context.Background(), os.Interrupt)
	node, err := rmi.NewNode(rmi.Options{})
	if err != nil {
		log.Fatal(err)
	}
	if _, err := node.Listen("tcp://127.0.0.1:0"); err != nil {
		log.Fatal(err)
	}
	if err := rmi.Rebind(ctx, node, hello.URL, hello.RemoteGreeter.Of(&hello.English{})); err != nil {
		log.Fatal(err)
	}
	log.Print("serving ", hello.URL)
	<-ctx.Done()
	node.Shutdown(context.Background())
}
