package rmi_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/rmigo/rmigo/internal/testobj"
	"github.com/rmigo/rmigo/rmi"
)

// An exported object is found by its reference, whose text may go by any way: a file, a message, an argument of a program.
func ExampleExport() {
	ctx := context.Background()
	server, client := started(rmi.Options{}), started(rmi.Options{})
	defer server.Close()
	defer client.Close()

	impl := &ear{"Ada"}
	ref, err := rmi.Export(server, testobj.RemoteListener.Of(impl))
	if err != nil {
		log.Fatal(err)
	}
	text, err := ref.MarshalText() // whoever has it can call the object
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(ref.Interfaces())

	ada, err := rmi.Resolve(ctx, client, testobj.RemoteListener, string(text))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(ada.Hear(ctx, "a call"))

	// At home the same reference is the object itself.
	own, err := rmi.Resolve(ctx, server, testobj.RemoteListener, string(text))
	fmt.Println(own == testobj.Listener(impl), err)
	// Output:
	// [github.com/rmigo/rmigo/internal/testobj.Listener]
	// Ada heard a call <nil>
	// true <nil>
}

// An object that has a name of its own outlives the process: references to it lead to what the next process at the same endpoint exports
// by the name.
func ExampleExportAs() {
	ctx := context.Background()
	serve := func(endpoint string, impl testobj.Listener) (server *rmi.Node, at string, text []byte) {
		server, err := rmi.NewNode(rmi.Options{})
		if err == nil {
			at, err = server.Listen(endpoint)
		}
		if err != nil {
			log.Fatal(err)
		}
		ref, err := rmi.ExportAs(server, "the ear", testobj.RemoteListener.Of(impl))
		if err != nil {
			log.Fatal(err)
		}
		text, _ = ref.MarshalText()
		return server, at, text
	}
	first, endpoint, kept := serve("tcp://127.0.0.1:0", &ear{"Ada"})
	first.Close()
	second, _, _ := serve(endpoint, &ear{"Ben"})
	defer second.Close()

	client := started(rmi.Options{})
	defer client.Close()
	l, err := rmi.Resolve(ctx, client, testobj.RemoteListener, string(kept)) // the first one's
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(l.Hear(ctx, "a call"))
	// Output: Ben heard a call <nil>
}

// An object that is withdrawn says to those who still call it why it is gone.
func ExampleUnexport() {
	ctx := context.Background()
	server, client := started(rmi.Options{}), started(rmi.Options{})
	defer server.Close()
	defer client.Close()
	impl := &ear{"Ada"}
	ada := found(server, impl, client)

	if err := rmi.Unexport(ctx, server, impl); err != nil {
		log.Fatal(err)
	}
	_, err := ada.Hear(ctx, "a call")
	var e *rmi.Error
	fmt.Println(errors.As(err, &e), e.Kind, "/", e.Reason, rmi.MayHaveRun(err))
	// Output: true no such object / it was unexported false
}

// both is a listener that is a desk too.
type both struct {
	ear
	desk
}

// An object may have several interfaces, and Narrow gives a view through another one of them.
func ExampleNarrow() {
	ctx := context.Background()
	server, client := started(rmi.Options{}), started(rmi.Options{})
	defer server.Close()
	defer client.Close()
	impl := &both{ear: ear{"Ada"}}
	ada := found(server, impl, client)
	if _, err := rmi.Export(server, testobj.RemoteDesk.Of(impl)); err != nil {
		log.Fatal(err)
	}

	d, err := rmi.Narrow(ctx, testobj.RemoteDesk, ada)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(d.Note(ctx, "a note"), impl.notes)
	fmt.Println(rmi.Same(d, ada)) // the same object, seen through two interfaces

	_, err = rmi.Narrow(ctx, testobj.RemoteSpare, ada)
	fmt.Println(errors.Is(err, rmi.ErrNoSuchMethod))
	// Output:
	// <nil> [a note]
	// true
	// true
}

// Stubs that arrive are canonical: == says whether two of one interface are of the same object, and so does a map.
func ExampleSame() {
	ctx := context.Background()
	room, client, stop := servedBy(testobj.RemoteService, testobj.Service(newService(nil)))
	defer stop()
	ada := &ear{"Ada"}
	if err := room.Remember(ctx, ada); err != nil {
		log.Fatal(err)
	}

	self, err := room.Self(ctx) // an object passes itself
	fmt.Println(self == room, err)
	back, err := room.Remembered(ctx) // an object comes home
	fmt.Println(back == testobj.Listener(ada), err)
	ref, exported := client.RefOf(ada)
	fmt.Println(exported, ref.ID().Process == client.ID())
	fmt.Println(rmi.Same(back, ada), rmi.Same(back, room))
	// Output:
	// true <nil>
	// true <nil>
	// true true
	// true false
}

// An object without a type is what a method takes that takes any remote object, as those of a registry do.
func ExampleObjectOf() {
	ctx := context.Background()
	room, client, stop := servedBy(testobj.RemoteService, testobj.Service(newService(nil)))
	defer stop()
	ada := &ear{"Ada"}

	o, err := rmi.ObjectOf(client, testobj.RemoteListener.Of(ada))
	if err != nil {
		log.Fatal(err)
	}
	back, err := room.Object(ctx, o)
	if err != nil {
		log.Fatal(err)
	}
	l, err := rmi.Narrow(ctx, testobj.RemoteListener, back)
	fmt.Println(l == testobj.Listener(ada), err)
	// Output: true <nil>
}

// What an object can be asked is told by the object, to those who have no generated code for it.
func ExampleDescribe() {
	ctx := context.Background()
	ada, client, stop := servedBy(testobj.RemoteListener, testobj.Listener(&ear{"Ada"}))
	defer stop()
	ref, _ := client.RefOf(ada)
	text, _ := ref.MarshalText()
	o, err := rmi.Resolve(ctx, client, rmi.AnyObject, string(text))
	if err != nil {
		log.Fatal(err)
	}

	var d *rmi.Description
	if d, err = rmi.Describe(ctx, o); err != nil {
		log.Fatal(err)
	}
	for _, face := range d.Interfaces {
		fmt.Println(face.Name, "/", face.Doc)
		for _, m := range face.Methods {
			fmt.Println(" ", m.Signature)
		}
	}
	// Output:
	// github.com/rmigo/rmigo/internal/testobj.Listener / Listener is called back.
	//   Hear(string) (string, error)
}

// Arguments of a call without generated code are checked before it is sent.
func ExampleInvoke() {
	ctx := context.Background()
	room, client, stop := servedBy(testobj.RemoteService, testobj.Service(newService(nil)))
	defer stop()

	fmt.Println(rmi.Invoke(ctx, client, room, "Add", 40, 2.0))
	_, err := rmi.Invoke(ctx, client, room, "Add", 40, "two")
	var wrong *rmi.ArgumentError
	fmt.Println(errors.As(err, &wrong), errors.Is(err, rmi.ErrMarshal), rmi.MayHaveRun(err))
	fmt.Println(wrong)
	// Output:
	// [42] <nil>
	// true true false
	// argument 2 (b): the text "two" where int64 is expected
}
