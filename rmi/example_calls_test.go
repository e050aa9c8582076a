package rmi_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"math"
	"strings"
	"sync"

	"github.com/rmigo/rmigo/internal/testobj"
	"github.com/rmigo/rmigo/rmi"
	"github.com/rmigo/rmigo/skeleton"
)

// served exports an object in a node of its own and returns its stub in another one, as a registry would hand it on.
func servedBy[T any](d *skeleton.Interface[T], impl T) (stub T, client *rmi.Node, stop func()) {
	server, client := started(rmi.Options{}), started(rmi.Options{})
	ref, err := rmi.Export(server, d.Of(impl))
	if err != nil {
		log.Fatal(err)
	}
	text, _ := ref.MarshalText()
	if stub, err = rmi.Resolve(context.Background(), client, d, string(text)); err != nil {
		log.Fatal(err)
	}
	return stub, client, func() {
		client.Close()
		server.Close()
	}
}

// A method is called, and waited for.
func Example_synchronous() {
	ada, _, stop := servedBy(testobj.RemoteListener, testobj.Listener(&ear{"Ada"}))
	defer stop()
	fmt.Println(ada.Hear(context.Background(), "a call"))
	// Output: Ada heard a call <nil>
}

// Through an asynchronous view (//rmi:remote async) each method returns at once.
func Example_asynchronous() {
	ctx := context.Background()
	root, _, stop := servedBy(testobj.RemoteDir, testobj.Dir(newTree("", &effects{})))
	defer stop()
	view := testobj.AsyncDirOf(root)
	a, b := view.Stat(ctx), view.Read(ctx) // both under way
	stat, err := a.Wait(ctx)
	fmt.Println(stat.Entries, err)
	text, err := b.Wait(ctx)
	fmt.Printf("%q %v\n", text, err)
	// Output:
	// 0 <nil>
	// "" <nil>
}

// What a call is to return can be called, and passed, before it is there: this takes one round trip.
func Example_pipelined() {
	ctx := context.Background()
	root, _, stop := servedBy(testobj.RemoteDir, testobj.Dir(newTree("", &effects{})))
	defer stop()
	doc := testobj.AsyncDirOf(root).Open(ctx, "usr").Open(ctx, "doc")
	doc.Append(ctx, "read me")
	linked := testobj.AsyncDirOf(root).Link(ctx, "shortcut", doc.Promise())
	fmt.Println(doc.Read(ctx).Wait(ctx))
	linked.Wait(ctx)
	there, err := rmi.Await(ctx, doc.Promise()) // the object itself
	fmt.Println(there != nil, err)
	// Output:
	// read me <nil>
	// true <nil>
}

// A method marked //rmi:oneway returns when it is queued. They run in order, and before later calls that are waited for.
func Example_oneWay() {
	ctx := context.Background()
	impl := &diary{}
	remote, client, stop := servedBy(testobj.RemoteDiary, testobj.Diary(impl))
	defer stop()
	for _, text := range []string{"one", "fail", "two"} {
		if err := remote.Note(ctx, text); err != nil { // could not be queued
			log.Fatal(err)
		}
	}
	fmt.Println(remote.Read(ctx, 2))
	err := rmi.Flush(ctx, remote)
	fmt.Println(err.(*rmi.OneWayError).First, client.OneWays().Ended)
	// Output:
	// [one two] <nil>
	// [testobj: empty] 3
}

// Objects that are passed are called back, over the same connection.
func Example_callback() {
	ctx := context.Background()
	room, _, stop := servedBy(testobj.RemoteService, testobj.Service(newService(nil)))
	defer stop()
	fmt.Println(room.Tell(ctx, &ear{"Ben"}, "a callback"))
	// Output: Ben heard a callback <nil>
}

// A method that returns iter.Seq2 is a stream: the call runs while it is ranged over, and leaving the loop ends it.
func Example_stream() {
	remote, _, stop := servedBy(testobj.RemoteSource, testobj.Source(newSource()))
	defer stop()
	for n, err := range remote.Count(context.Background(), 1, math.MaxInt64) {
		if err != nil { // it would be the last element
			log.Fatal(err)
		}
		if fmt.Println(n); n == 3 {
			break
		}
	}
	// Output:
	// 1
	// 2
	// 3
}

// Parameters may be streams: here the method reads from a reader of its caller's, and writes to its writer.
func Example_upload() {
	remote, _, stop := servedBy(testobj.RemoteDrain, testobj.Drain(newDrain()))
	defer stop()
	var echo strings.Builder
	n, err := remote.Pipe(context.Background(), strings.NewReader("of any length"), &echo)
	fmt.Println(n, err, &echo)
	// Output: 13 <nil> of any length
}

// What a method returns to be read or written stays where it is, until the caller closes it.
func Example_open() {
	ctx := context.Background()
	remote, _, stop := servedBy(testobj.RemoteDrawer, testobj.Drawer(newDrawer()))
	defer stop()
	from, size, to, err := remote.Pair(ctx, 10)
	if err != nil {
		log.Fatal(err)
	}
	n, err := io.CopyN(to, from, int64(size))
	fmt.Println(n, err)
	fmt.Println(to.Close(), from.Close())
	// Output:
	// 10 <nil>
	// <nil> <nil>
}

// How far large arguments and results are is told to whoever asks.
func ExampleOnProgress() {
	remote, _, stop := servedBy(testobj.RemoteService, testobj.Service(&service{}))
	defer stop()
	var sent, received rmi.Progress
	ctx := rmi.OnProgress(context.Background(), func(p rmi.Progress) {
		if p.Results {
			received = p
			return
		}
		sent = p
	})
	if _, err := remote.Bytes(ctx, make([]byte, 3<<20)); err != nil {
		log.Fatal(err)
	}
	fmt.Println(sent.Method, sent.Done == sent.Total, received.Done == received.Total, received.Total > 3<<20)
	// Output: testobj.Service.Bytes true true true
}

// So are functions: what the other process has is a function that calls this one, for as long as it keeps it.
func Example_function() {
	ctx := context.Background()
	remote, _, stop := servedBy(testobj.RemoteKiosk, testobj.Kiosk(newKiosk()))
	defer stop()
	sum := 0
	err := remote.Each(ctx, 5, func(_ context.Context, n int) error {
		sum += n
		return nil
	})
	fmt.Println(sum, err)
	add, err := remote.Adder(ctx, sum) // a function of the other process
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(add(ctx, 1, 2))
	// Output:
	// 10 <nil>
	// 13 <nil>
}

// A batch is one frame there, whose calls run in order.
func Example_batch() {
	ctx := context.Background()
	root, _, stop := servedBy(testobj.RemoteDir, testobj.Dir(newTree("", &effects{})))
	defer stop()
	var missing, text *rmi.Future[string]
	err := rmi.Batch(ctx, func(ctx context.Context) error {
		dir := testobj.AsyncDirOf(root)
		dir.Append(ctx, "a")
		missing = dir.Open(ctx, "missing").Read(ctx)
		dir.Append(ctx, "b")
		text = dir.Read(ctx)
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
	_, err = missing.Wait(ctx)
	fmt.Println(err != nil)
	fmt.Println(text.Wait(ctx))
	// Output:
	// true
	// ab <nil>
}

// All members of a group are asked at once.
func Example_group() {
	ada, _, stop := servedBy(testobj.RemoteListener, testobj.Listener(&ear{"Ada"}))
	defer stop()
	members := []testobj.Listener{ada, &ear{"Ben"}} // wherever they are
	ask := func(ctx context.Context, m testobj.Listener) (string, error) { return m.Hear(ctx, "all") }
	answers := map[int]string{}
	for a := range rmi.Broadcast(context.Background(), members, ask) { // as they come
		answers[a.Index] = a.Result
	}
	fmt.Println(answers)
	first, err := rmi.FirstOf(context.Background(), members, ask) // the others are cancelled
	fmt.Println(first != "", err)
	// Output:
	// map[0:Ada heard all 1:Ben heard all]
	// true <nil>
}

// What an object can be asked is known without generated code.
func Example_dynamic() {
	ada, client, stop := servedBy(testobj.RemoteListener, testobj.Listener(&ear{"Ada"}))
	defer stop()
	ref, _ := client.RefOf(ada)
	fmt.Println(rmi.Invoke(context.Background(), client, ref, "Hear", "a text"))
	// Output: [Ada heard a text] <nil>
}

// A stream needs no generated code either.
func Example_dynamicStream() {
	source, client, stop := servedBy(testobj.RemoteSource, testobj.Source(newSource()))
	defer stop()
	for item, err := range rmi.InvokeStream(context.Background(), client, source, "Count", 1, 3) {
		fmt.Println(item, err)
	}
	// Output:
	// 1 <nil>
	// 2 <nil>
}

// An object of an interface marked //rmi:serial runs one call at a time, first come, first served.
func Example_serial() {
	impl := &desk{}
	remote, _, stop := servedBy(testobj.RemoteDesk, testobj.Desk(impl))
	defer stop()
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() { remote.Note(context.Background(), "next") })
	}
	all.Wait()
	fmt.Println(len(impl.notes), "calls, at once", impl.most)
	// Output: 100 calls, at once 1
}
