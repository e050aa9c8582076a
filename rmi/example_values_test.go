package rmi_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"strings"

	"github.com/rmigo/rmigo/internal/testobj"
	"github.com/rmigo/rmigo/rmi"
)

// What is passed arrives as a copy, with all that it points to; an object within it is the object itself.
func Example_values() {
	ctx := context.Background()
	room, _, stop := servedBy(testobj.RemoteService, testobj.Service(newService(nil)))
	defer stop()
	ada := &ear{"Ada"}
	item := testobj.Item{Name: "bell", Tags: []string{"loud"}, Seen: ada}

	echo, err := room.Echo(ctx, item)
	if err != nil {
		log.Fatal(err)
	}
	item.Tags[0] = "silent"
	fmt.Println(echo.Name, echo.Tags, echo.Seen == testobj.Listener(ada))
	// Output: bell [loud] true
}

// A value can be kept as it travels: in a file, a database, or a message of somebody else.
func ExampleMarshal() {
	node := started(rmi.Options{})
	defer node.Close()
	twice := []string{"once"}
	kept, err := rmi.Marshal(node, [][]string{twice, twice})
	if err != nil {
		log.Fatal(err)
	}
	text, _ := kept.MarshalText()
	bytes, _ := kept.MarshalBinary()
	fmt.Println(kept, len(text) > len(bytes))

	var read, also rmi.Marshalled[[][]string]
	if err := errors.Join(read.UnmarshalText(text), also.UnmarshalBinary(bytes)); err != nil {
		log.Fatal(err)
	}
	fmt.Println(read == kept, also == kept)
	lists, err := read.Get(node) // a new copy, in which the two are one list, as they were
	if err != nil {
		log.Fatal(err)
	}
	lists[0][0] = "again"
	fmt.Println(lists)
	// Output:
	// marshalled [][]string of 14 bytes true
	// true true
	// [[again] [again]]
}

// A filter decides what messages may make a process allocate, before they do.
func ExampleFilter() {
	ctx := context.Background()
	var short rmi.Filter = func(v rmi.FilterInfo) rmi.Verdict {
		if v.ArrayLen > 3 {
			return rmi.Reject
		}
		return rmi.Undecided // the next one says, and in the end the limits
	}
	server, client := started(rmi.Options{}), started(rmi.Options{})
	defer server.Close()
	defer client.Close()
	ref, err := rmi.Export(server, testobj.RemoteService.Of(newService(server)).With(rmi.ExportOptions{Filter: short}))
	if err != nil {
		log.Fatal(err)
	}
	text, _ := ref.MarshalText()
	room, err := rmi.Resolve(ctx, client, testobj.RemoteService, string(text))
	if err != nil {
		log.Fatal(err)
	}

	fmt.Println(room.Join(ctx, "-", "a", "b", "c"))
	_, err = room.Join(ctx, "-", "a", "b", "c", "d")
	fmt.Println(errors.Is(err, rmi.ErrUnmarshal), rmi.MayHaveRun(err))
	_, why, _ := strings.Cut(err.Error(), "argument")
	fmt.Println("argument" + why)
	// Output:
	// a-b-c <nil>
	// true false
	// argument 2: a []string of length 4 is rejected by the filter (it did not run)
}

// Limits bound what a peer can make a process hold. What goes beyond them is refused before the method runs.
func ExampleLimits() {
	ctx := context.Background()
	server := started(rmi.Options{Limits: rmi.Limits{MessageBytes: 64 << 10}})
	client := started(rmi.Options{})
	defer server.Close()
	defer client.Close()
	ada := found(server, &ear{"Ada"}, client)

	_, err := ada.Hear(ctx, strings.Repeat("bla ", 32<<10))
	fmt.Println(errors.Is(err, rmi.ErrLimit), rmi.MayHaveRun(err))
	// Output: true false
}

// Tests of one process can have its own objects come home as stubs, so that what would be copied on the way is copied.
func ExampleOptions_alwaysMarshal() {
	ctx := context.Background()
	for _, always := range []bool{false, true} {
		node := started(rmi.Options{AlwaysMarshal: always})
		l := found(node, &ear{"Ada"}, node)
		_, itself := l.(*ear)
		said, err := l.Hear(ctx, "a call")
		fmt.Println(itself, said, err)
		node.Close()
	}
	// Output:
	// true Ada heard a call <nil>
	// false Ada heard a call <nil>
}
