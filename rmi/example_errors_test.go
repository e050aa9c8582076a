package rmi_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/rmigo/rmigo/internal/testobj"
	"github.com/rmigo/rmigo/rmi"
)

// A method's own errors arrive as what they are, whichever process it ran in.
func Example_errors() {
	ctx := context.Background()
	room, _, stop := servedBy(testobj.RemoteService, testobj.Service(newService(nil)))
	defer stop()

	_, err := room.Fail(ctx, "wrapped")
	fmt.Println(errors.Is(err, testobj.ErrEmpty), err)
	_, err = room.Fail(ctx, "typed")
	var beyond *testobj.RangeError
	fmt.Println(errors.As(err, &beyond), beyond.Got, beyond.Limit)
	_, err = room.Fail(ctx, "another one")
	fmt.Println(err)
	// Output:
	// true while serving: testobj: empty
	// true 9 5
	// another one
}

// What the runtime itself reports says which operation failed, on what, why, and whether the method may have run.
func ExampleError() {
	ctx := context.Background()
	server := started(rmi.Options{Logger: slog.New(slog.DiscardHandler)}) // where the panic's stack goes
	client := started(rmi.Options{})
	defer server.Close()
	defer client.Close()
	ref, _ := rmi.Export(server, testobj.RemoteService.Of(newService(server)))
	text, _ := ref.MarshalText()
	room, _ := rmi.Resolve(ctx, client, testobj.RemoteService, string(text))

	_, err := room.Fail(ctx, "panic")
	var e *rmi.Error
	if errors.As(err, &e) {
		fmt.Println(e.Op, e.Method, e.Kind == rmi.ErrPanic, e.Remote)
	}
	fmt.Println(room.Add(ctx, 40, 2)) // the process lives
	// Output:
	// call testobj.Service.Fail true true
	// 42 <nil>
}

// A call that certainly did not run can be made again, of whatever it is.
func ExampleMayHaveRun() {
	ctx := context.Background()
	impl := newService(nil)
	room, _, stop := servedBy(testobj.RemoteService, testobj.Service(impl))

	gone, cancel := context.WithCancel(ctx)
	go func() { <-impl.blocked; cancel() }() // given up while it runs
	err := room.Block(gone)
	fmt.Println(errors.Is(err, context.Canceled), rmi.MayHaveRun(err))

	stop()
	_, err = room.Add(ctx, 40, 2)
	fmt.Println(errors.Is(err, rmi.ErrNodeClosed), rmi.MayHaveRun(err))
	// Output:
	// true true
	// true false
}

// full has no room for anything.
type full struct{ _ byte }

func (*full) Hear(context.Context, string) (string, error) {
	return "", rmi.WithCode(errors.New("no more"), "E42")
}

// A code goes with an error, for programs that decide by one.
func ExampleWithCode() {
	l, _, stop := servedBy(testobj.RemoteListener, testobj.Listener(&full{}))
	defer stop()
	_, err := l.Hear(context.Background(), "a call")
	fmt.Println(err, rmi.CodeOf(err))
	// Output: no more E42
}

// whom answers with who calls.
type whom struct{ _ byte }

func (*whom) Hear(ctx context.Context, text string) (string, error) {
	caller := rmi.Caller(ctx)
	return fmt.Sprintf("%s, process %s, this host: %v", text, caller.Process, caller.SameHost), nil
}

// A method knows which process calls it.
func ExampleCaller() {
	server, client := started(rmi.Options{}), started(rmi.Options{})
	defer server.Close()
	defer client.Close()
	l := found(server, &whom{}, client)
	got, err := l.Hear(context.Background(), "hello")
	fmt.Println(got == fmt.Sprintf("hello, process %s, this host: true", client.ID()), err)
	// Output: true <nil>
}
