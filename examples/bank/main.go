// Command bank tells the life of a remote object in four processes that it starts itself, on loopback, at ports that the
// system chooses:
//
//	go run ./examples/bank
//
// The narrator is this process. It starts copies of itself that play a registry, a bank and two clients, has them do one
// thing after the other, and prints what they say and what was checked. The exit status is 0 only if every check held. To
// see how a program uses the runtime, read package bank first, then server.go and client.go; the rest is stagecraft.
//
// No process outlives the narrator, however that ends: each ends when its standard input does.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// bound is how long the whole story may take.
const bound = 60 * time.Second

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout)) }

// run is main without the process: it returns the exit status. Roles are what the narrator gives the processes it starts.
func run(args []string, in io.Reader, out io.Writer) int {
	role := ""
	if len(args) > 0 {
		role = args[0]
	}
	switch role {
	case "":
		return narrate(out)
	case "registry":
		return play(in, out, newRegistry)
	case "server":
		return play(in, out, newServer)
	case "client":
		return play(in, out, newClient)
	}
	fmt.Fprintf(os.Stderr, "bank: no role is called %q; run it without arguments\n", role)
	return 2
}

func narrate(out io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeoutCause(ctx, bound, fmt.Errorf("the story took longer than %v", bound))
	defer cancel()
	exe, err := os.Executable()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bank: finding this program:", err)
		return 1
	}
	n := &narrator{out: out, exe: exe}
	defer n.dismiss()
	if !n.tell(ctx, story()) {
		return 1
	}
	return 0
}
