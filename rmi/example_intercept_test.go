package rmi_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"strings"
	"sync"

	"github.com/rmigo/rmigo/internal/testobj"
	"github.com/rmigo/rmigo/rmi"
)

// The examples call a testobj.Listener, an interface with the one method Hear(ctx, text) (string, error).

// ear answers what it hears.
type ear struct{ name string }

func (e *ear) Hear(_ context.Context, text string) (string, error) {
	return e.name + " heard " + text, nil
}

// started makes a node that listens.
func started(o rmi.Options) *rmi.Node {
	node, err := rmi.NewNode(o)
	if err == nil {
		_, err = node.Listen("tcp://127.0.0.1:0")
	}
	if err != nil {
		log.Fatal(err)
	}
	return node
}

// found exports l in one node and returns its stub in another, as a registry would hand it on.
func found(server *rmi.Node, l testobj.Listener, client *rmi.Node) testobj.Listener {
	ref, err := rmi.Export(server, testobj.RemoteListener.Of(l))
	if err != nil {
		log.Fatal(err)
	}
	text, _ := ref.MarshalText()
	stub, err := rmi.Resolve(context.Background(), client, testobj.RemoteListener, string(text))
	if err != nil {
		log.Fatal(err)
	}
	return stub
}

// An interceptor that counts the calls that a node makes, and how they end.
func ExampleInterceptor_count() {
	var mu sync.Mutex
	counts := map[string]int{}
	count := func(ctx context.Context, call *rmi.Call, next func(context.Context) error) error {
		err := next(ctx)
		mu.Lock()
		defer mu.Unlock()
		counts[call.Method]++
		if err != nil {
			counts[call.Method+" failed"]++
		}
		return err
	}
	server := started(rmi.Options{})
	defer server.Close()
	client := started(rmi.Options{Outbound: []rmi.Interceptor{count}})
	defer client.Close()

	l := found(server, &ear{"Ada"}, client)
	for range 3 {
		l.Hear(context.Background(), "a call")
	}
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	l.Hear(gone, "nothing")
	fmt.Println(counts)
	// Output: map[Hear:4 Hear failed:1]
}

// An interceptor that refuses calls before the method runs, and before its arguments are even read.
func ExampleInterceptor_refuse() {
	quiet := func(ctx context.Context, call *rmi.Call, next func(context.Context) error) error {
		if call.ArgumentBytes > 20 {
			return fmt.Errorf("%w: %s takes no more than 20 bytes", rmi.ErrAccessDenied, call.Method)
		}
		return next(ctx)
	}
	server := started(rmi.Options{Inbound: []rmi.Interceptor{quiet}})
	defer server.Close()
	client := started(rmi.Options{})
	defer client.Close()

	l := found(server, &ear{"Ada"}, client)
	fmt.Println(l.Hear(context.Background(), "a whisper"))
	_, err := l.Hear(context.Background(), strings.Repeat("shouting ", 10))
	fmt.Println(errors.Is(err, rmi.ErrAccessDenied), rmi.MayHaveRun(err))
	// Output:
	// Ada heard a whisper <nil>
	// true false
}

// An interceptor that adds metadata to every call that a node makes. The method finds it in its context.
func ExampleInterceptor_metadata() {
	sign := func(ctx context.Context, call *rmi.Call, next func(context.Context) error) error {
		return next(rmi.WithMetadata(ctx, rmi.Metadata{"app": "shop/1.4"}))
	}
	server := started(rmi.Options{})
	defer server.Close()
	client := started(rmi.Options{Outbound: []rmi.Interceptor{sign}})
	defer client.Close()

	l := found(server, &asking{}, client)
	fmt.Println(l.Hear(context.Background(), "hello"))
	// Output: hello from shop/1.4 <nil>
}

// asking answers with its caller's metadata.
type asking struct{ _ byte }

func (*asking) Hear(ctx context.Context, text string) (string, error) {
	return text + " from " + rmi.MetadataFrom(ctx)["app"], nil
}

// A trace's id goes along a chain of calls through three nodes, each of which could be a process of its own; none has to pass it on by hand.
func ExamplePropagate() {
	var mu sync.Mutex
	var spans []string
	trace := func(process string) rmi.Options {
		return rmi.Options{Inbound: []rmi.Interceptor{
			func(ctx context.Context, call *rmi.Call, next func(context.Context) error) error {
				mu.Lock()
				spans = append(spans, process+": "+call.Method+" in trace "+rmi.MetadataFrom(ctx)["trace"])
				mu.Unlock()
				return next(ctx)
			},
		}}
	}
	first, second, third := started(trace("first")), started(trace("second")), started(trace("third"))
	defer first.Close()
	defer second.Close()
	defer third.Close()

	last := found(third, &ear{"Ada"}, second) // in the second process, a stub of an object in the third
	l := found(second, &passing{last}, first) // in the first one, a stub of an object in the second
	ctx := rmi.WithMetadata(context.Background(), rmi.Metadata{"trace": "4bf92f35"})
	fmt.Println(l.Hear(rmi.Propagate(ctx, "trace"), "hello"))
	fmt.Println(strings.Join(spans, "\n"))
	// Output:
	// Ada heard hello <nil>
	// second: Hear in trace 4bf92f35
	// third: Hear in trace 4bf92f35
}

// passing hands on what it hears.
type passing struct{ to testobj.Listener }

func (r *passing) Hear(ctx context.Context, text string) (string, error) { return r.to.Hear(ctx, text) }
