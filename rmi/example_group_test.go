package rmi_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/rmigo/rmigo/internal/testobj"
	"github.com/rmigo/rmigo/rmi"
)

// deafEar is an ear that hears nothing.
type deafEar struct{}

func (*deafEar) Hear(context.Context, string) (string, error) { return "", errors.New("what?") }

// Two of three have to answer; which of them does not matter.
func ExampleQuorum() {
	server, client := started(rmi.Options{}), started(rmi.Options{})
	defer server.Close()
	defer client.Close()
	members := []testobj.Listener{
		found(server, &deafEar{}, client), found(server, &ear{"Ada"}, client), &ear{"Bo"},
	}
	answers, err := rmi.Quorum(context.Background(), 2, members, func(ctx context.Context, l testobj.Listener) (string, error) {
		return l.Hear(ctx, "the bell")
	})
	fmt.Println(len(answers), err)
	// Output: 2 <nil>
}

// The error of a group tells what each member failed with.
func ExampleGroupError() {
	server, client := started(rmi.Options{}), started(rmi.Options{})
	defer server.Close()
	defer client.Close()
	members := []testobj.Listener{&ear{"Bo"}, found(server, &deafEar{}, client)}
	_, err := rmi.Quorum(context.Background(), 2, members, func(ctx context.Context, l testobj.Listener) (string, error) {
		return l.Hear(ctx, "the bell")
	})
	fmt.Println(err)
	var group *rmi.GroupError
	fmt.Println(errors.As(err, &group), group.Need, group.Indexes, group.Errs)
	// Output:
	// group call: 2 of 2 members had to answer, and 1 failed: member 1: what?
	// true 2 [1] [what?]
}

// All are asked at once, and each answer is there as soon as it is given.
func ExampleBroadcast() {
	server, client := started(rmi.Options{}), started(rmi.Options{})
	defer server.Close()
	defer client.Close()
	members := []testobj.Listener{found(server, &deafEar{}, client), found(server, &ear{"Ada"}, client)}
	ask := func(ctx context.Context, l testobj.Listener) (string, error) { return l.Hear(ctx, "the bell") }
	for a := range rmi.Broadcast(context.Background(), members, ask) {
		fmt.Println(a.Index, a.Result, a.Err)
	}
	// Unordered output:
	// 0  what?
	// 1 Ada heard the bell <nil>
}
