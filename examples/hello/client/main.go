// Command client asks the server for a greeting: go run ./examples/hello/client Ada
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"strings"

	"github.com/rmigo/rmigo/examples/hello/hello"
	"github.com/rmigo/rmigo/rmi"
)

func main() {
	node, err := rmi.NewNode(rmi.Options{})
	if err != nil {
		log.Fatal(err)
	}
	greeter, err := rmi.Lookup(context.Background(), node, hello.RemoteGreeter, hello.URL)
	if err != nil {
		log.Fatal(err)
	}
	greeting, err := greeter.Greet(context.Background(), strings.Join(os.Args[1:], " "))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(greeting)
	node.Close()
}
