// Command ticker takes an endless stream of another node's more slowly than it is made: what is made waits for what is taken, and memory
// does not grow.
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"runtime"
	"time"

	"github.com/rmigo/rmigo/examples/ticker/quotes"
	"github.com/rmigo/rmigo/rmi"
)

const (
	pause  = 500 * time.Microsecond // of the consumer, for each quote
	each   = 1000                   // quotes to a report
	enough = 5                      // reports

	ahead = 64 // quotes that may be under way; 256 where nothing is said
)

func main() {
	if err := run(context.Background(), os.Stdout); err != nil {
		log.Fatal(err)
	}
}

// run takes quotes, and reports how many were made meanwhile.
func run(ctx context.Context, out io.Writer) error {
	exchange, stop, err := distant(ctx)
	if err != nil {
		return err
	}
	defer stop()
	taken := int64(0)
	for q, err := range exchange.Quotes(ctx, "RMI") {
		if err != nil {
			return err
		}
		if taken++; q.Number != taken {
			return fmt.Errorf("quote %d came as number %d", q.Number, taken)
		}
		time.Sleep(pause)
		if taken%each == 0 {
			if err := report(ctx, exchange, taken, out); err != nil {
				return err
			}
		}
		if taken == each*enough {
			break // which ends the stream at the exchange too
		}
	}
	made, callers, err := exchange.Made(ctx)
	if err != nil {
		return err
	}
	for callers > 0 { // it learns of that by a message
		if _, callers, err = exchange.Made(ctx); err != nil {
			return err
		}
	}
	fmt.Fprintf(out, "left: %d taken, %d made, %d quoted to\n", taken, made, callers)
	return nil
}

func report(ctx context.Context, exchange quotes.Exchange, taken int64, out io.Writer) error {
	made, _, err := exchange.Made(ctx) // a call beside the stream
	if err != nil {
		return err
	}
	var memory runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&memory)
	_, err = fmt.Fprintf(out, "%5d taken, %5d made, %3d under way, heap %d KiB\n", taken, made, made-taken, memory.HeapAlloc>>10)
	return err
}

// distant serves an exchange in one node, and returns a stub of it in another.
func distant(ctx context.Context) (exchange quotes.Exchange, stop func(), err error) {
	server, err := rmi.NewNode(rmi.Options{})
	if err != nil {
		return nil, nil, err
	}
	client, err := rmi.NewNode(rmi.Options{Limits: rmi.Limits{StreamItems: ahead}})
	if err != nil {
		return nil, nil, err
	}
	stop = func() {
		client.Close()
		server.Close()
	}
	if _, err = server.Listen("tcp://127.0.0.1:0"); err == nil {
		exchange, err = found(ctx, server, client)
	}
	if err != nil {
		stop()
		return nil, nil, err
	}
	return exchange, stop, nil
}

func found(ctx context.Context, server, client *rmi.Node) (quotes.Exchange, error) {
	ref, err := rmi.Export(server, quotes.RemoteExchange.Of(&quotes.Market{}))
	if err != nil {
		return nil, err
	}
	text, err := ref.MarshalText()
	if err != nil {
		return nil, err
	}
	return rmi.Resolve(ctx, client, quotes.RemoteExchange, string(text))
}
