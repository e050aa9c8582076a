// Command server serves a bank until Ctrl-C, to be called from a shell. It needs a registry: go run ./cmd/registry serve
package main

import (
	"context"
	"log"
	"os"
	"os/signal"

	"github.com/rmigo/rmigo/examples/bank/bank"
	"github.com/rmigo/rmigo/rmi"
)

const url = "rmi://127.0.0.1:1099/bank"

func main() {
	ctx, _ := signal.NotifyContext(context.Background(), os.Interrupt)
	node, err := rmi.NewNode(rmi.Options{})
	if err != nil {
		log.Fatal(err)
	}
	if _, err := node.Listen("tcp://127.0.0.1:0"); err != nil {
		log.Fatal(err)
	}
	ledger := bank.NewLedger(bank.Options{})
	defer ledger.Close()
	if err := rmi.Rebind(ctx, node, url, bank.RemoteBank.Of(ledger)); err != nil {
		log.Fatal(err)
	}
	log.Print("serving ", url)
	<-ctx.Done()
	node.Shutdown(context.Background())
}
