package rmi_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/rmigo/rmigo/internal/testobj"
	"github.com/rmigo/rmigo/rmi"
	"github.com/rmigo/rmigo/skeleton"
)

// held exports an object that lives while it is held, and returns its stub in another node, which its own one knows to hold it.
func held[T any](server *rmi.Node, d *skeleton.Interface[T], impl T, client *rmi.Node) T {
	ref, err := rmi.ExportCollectable(server, d.Of(impl))
	if err != nil {
		log.Fatal(err)
	}
	text, _ := ref.MarshalText()
	stub, err := rmi.Resolve(context.Background(), client, d, string(text))
	if err != nil {
		log.Fatal(err)
	}
	weak, err := rmi.WeakOf(client, d, stub)
	if err == nil {
		stub, err = weak.Upgrade(context.Background()) // waits until that is so
	}
	if err != nil {
		log.Fatal(err)
	}
	runtime.KeepAlive(impl) // nobody held it so far
	return stub
}

// Objects live while somebody holds them, in whatever process. A holder may let go at once, instead of with its garbage, and a process that
// lives for what others hold of it may end then.
func ExampleRelease() {
	ctx := context.Background()
	impl := newService(nil)
	room, client, stop := servedBy(testobj.RemoteService, testobj.Service(impl))
	defer stop()
	ada := &ear{"Ada"}
	if err := room.Remember(ctx, ada); err != nil { // exported by being passed
		log.Fatal(err)
	}

	kept, _ := impl.Remembered(ctx) // the room's stub
	fmt.Println(kept.Hear(ctx, "a call"))
	rmi.Release(kept)
	_, err := kept.Hear(ctx, "a call")
	fmt.Println(errors.Is(err, rmi.ErrReleased))
	fmt.Println(client.Wait(ctx), len(client.Holders(ada)))
	// Output:
	// Ada heard a call <nil>
	// true
	// <nil> 0
}

// The owner of an object knows who holds it, and where it was exported.
func ExampleNode_Holders() {
	server, client := started(rmi.Options{TraceExports: true}), started(rmi.Options{})
	defer server.Close()
	defer client.Close()
	impl := &ear{"Ada"}
	ada := held(server, testobj.RemoteListener, testobj.Listener(impl), client)

	isClient := func(h rmi.Holder) bool { return h.Process == client.ID() }
	fmt.Println("held by the client:", slices.ContainsFunc(server.Holders(impl), isClient))
	fmt.Println("exported at a known line:", strings.Contains(server.ExportedAt(impl), "example_lifetime_test.go"))
	fmt.Println("holding", client.Stats().Holding, "held", server.Stats().Held)
	runtime.KeepAlive(ada)
	// Output:
	// held by the client: true
	// exported at a known line: true
	// holding 1 held 1
}

// Who depends on an object is told when it is gone, and why.
func ExampleMonitor() {
	ctx := context.Background()
	server, client := started(rmi.Options{}), started(rmi.Options{})
	defer server.Close()
	defer client.Close()
	impl := &ear{"Ada"}
	ada := found(server, impl, client)

	gone := make(chan error)
	go func() { gone <- rmi.Monitor(ctx, ada) }()
	if err := rmi.Unexport(ctx, server, impl); err != nil {
		log.Fatal(err)
	}
	var e *rmi.Error
	fmt.Println(errors.As(<-gone, &e), e.Reason == rmi.Unexported)
	// Output: true true
}

// A cursor makes sense only together with its session: where that ends, so does the cursor's export.
func ExampleOwned() {
	ctx := context.Background()
	server, client := started(rmi.Options{}), started(rmi.Options{})
	defer server.Close()
	defer client.Close()
	session, cursor := &ear{"session"}, &ear{"cursor"}
	found(server, session, client)
	remote := found(server, cursor, client)

	if err := rmi.Owned(server, session, cursor); err != nil {
		log.Fatal(err)
	}
	fmt.Println(remote.Hear(ctx, "next"))
	if err := rmi.Unexport(ctx, server, session); err != nil {
		log.Fatal(err)
	}
	_, err := remote.Hear(ctx, "next")
	fmt.Println(errors.Is(err, rmi.ErrNoSuchObject))
	// Output:
	// cursor heard next <nil>
	// true
}

// A weak reference keeps nothing alive. Upgraded, it holds the object, if that is still there.
func ExampleWeakOf() {
	ctx := context.Background()
	server, client := started(rmi.Options{}), started(rmi.Options{})
	defer server.Close()
	defer client.Close()
	impl := &ear{"Ada"}

	weak, err := rmi.WeakOf(client, testobj.RemoteListener, found(server, impl, client))
	if err != nil {
		log.Fatal(err)
	}
	keep := struct{ last rmi.Weak[testobj.Listener] }{weak} // where a stub would close a cycle
	ada, err := keep.last.Upgrade(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(ada.Hear(ctx, "a call"))
	ref, _ := client.RefOf(ada)
	fmt.Println(keep.last.Ref().ID() == ref.ID())
	rmi.Release(ada)

	if err := rmi.Unexport(ctx, server, impl); err != nil {
		log.Fatal(err)
	}
	_, err = keep.last.Upgrade(ctx)
	fmt.Println(errors.Is(err, rmi.ErrNoSuchObject))
	// Output:
	// Ada heard a call <nil>
	// true
	// true
}

// An object that is exported as collectable is there for those who hold it, and for nothing else: it is no longer exported once it is garbage.
func ExampleExportCollectable() {
	server, client := started(rmi.Options{}), started(rmi.Options{})
	defer server.Close()
	defer client.Close()
	impl, gone := &ear{"Ada"}, make(chan struct{})
	options := rmi.ExportOptions{Unreferenced: func() { close(gone) }}
	if _, err := rmi.ExportCollectable(server, testobj.RemoteListener.Of(impl).With(options)); err != nil {
		log.Fatal(err)
	}
	ada := held(server, testobj.RemoteListener, testobj.Listener(impl), client)
	fmt.Println(ada.Hear(context.Background(), "a call"))
	rmi.Release(ada)
	<-gone // nobody holds it any more
	// Output: Ada heard a call <nil>
}

// Two objects of two processes that hold each other are not collected while both processes live. They are found on request.
func ExampleNode_SuspectedCycles() {
	ctx := context.Background()
	a, b := started(rmi.Options{Inspect: true}), started(rmi.Options{Inspect: true})
	defer a.Close()
	defer b.Close()
	impl := newService(a)
	room := held(a, testobj.RemoteService, testobj.Service(impl), b)
	guest := &member{room: room}
	impl.Remember(ctx, held(b, testobj.RemoteListener, testobj.Listener(guest), a)) // each has the other in a field now

	cycles, err := a.SuspectedCycles(ctx, 0)
	if err != nil || len(cycles) != 1 {
		log.Fatal(cycles, err)
	}
	show := func(c rmi.Cycle) {
		for _, step := range c.Steps {
			fmt.Println(step.Type, "refers to the next by", step.Path)
		}
	}
	show(cycles[0])
	inspector, err := rmi.Inspect(b, room) // that of the room's process
	if err != nil {
		log.Fatal(err)
	}
	cycles, err = inspector.SuspectedCycles(ctx, time.Hour)
	fmt.Println(len(cycles), "for an hour", err)
	runtime.KeepAlive(guest)
	// Output:
	// *rmi_test.service refers to the next by kept
	// *rmi_test.member refers to the next by room
	// 0 for an hour <nil>
}
