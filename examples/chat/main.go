// Command chat is a room in one process and its members in others. It needs a registry: go run ./cmd/registry serve
//
//	go run ./examples/chat serve
//	go run ./examples/chat join Ada
//
// A member says what it reads, and asks everybody what ends with a question mark.
package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"strings"

	"github.com/rmigo/rmigo/examples/chat/chat"
	"github.com/rmigo/rmigo/rmi"
)

const url = "rmi://127.0.0.1:1099/chat"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var err error
	switch {
	case len(os.Args) == 2 && os.Args[1] == "serve":
		err = serve(ctx)
	case len(os.Args) == 3 && os.Args[1] == "join":
		err = join(ctx, os.Args[2], os.Stdin, os.Stdout)
	default:
		err = fmt.Errorf("usage: chat serve, or chat join NAME")
	}
	if err != nil {
		log.Fatal(err)
	}
}

func serve(ctx context.Context) error {
	node, err := rmi.NewNode(rmi.Options{})
	if err != nil {
		return err
	}
	defer node.Close()
	if _, err := node.Listen("tcp://127.0.0.1:0"); err != nil {
		return err
	}
	if err := rmi.Rebind(ctx, node, url, chat.RemoteRoom.Of(&chat.Hall{})); err != nil {
		return err
	}
	<-ctx.Done()
	return node.Shutdown(context.Background())
}

// join is a member for as long as there are lines. It listens nowhere: the room calls it back over its own connection.
func join(ctx context.Context, name string, in io.Reader, out io.Writer) error {
	node, err := rmi.NewNode(rmi.Options{})
	if err != nil {
		return err
	}
	defer node.Close()
	room, err := rmi.Lookup(ctx, node, chat.RemoteRoom, url)
	if err != nil {
		return err
	}
	if err := talk(ctx, room, name, in, out); err != nil {
		return err
	}
	return node.Shutdown(ctx) // what was said has been heard then
}

// talk takes part in a room.
func talk(ctx context.Context, room chat.Room, name string, in io.Reader, out io.Writer) error {
	if err := room.Join(ctx, name, &member{name: name, out: out}); err != nil {
		return err
	}
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		if !strings.HasSuffix(lines.Text(), "?") {
			if err := room.Say(ctx, name, lines.Text()); err != nil {
				return err
			}
			continue
		}
		yes, silent, err := room.Poll(ctx, lines.Text())
		if err != nil {
			return err
		}
		if err := room.Say(ctx, name, fmt.Sprintf("%s yes: %v, silent: %v", lines.Text(), yes, silent)); err != nil {
			return err
		}
	}
	if err := rmi.Flush(ctx, room); err != nil {
		return err
	}
	return room.Leave(ctx, name)
}

// member is a chat.Member that writes what it hears, and likes short questions.
type member struct {
	name string
	out  io.Writer
}

// Hear implements chat.Member.
func (m *member) Hear(_ context.Context, from, text string) error {
	_, err := fmt.Fprintf(m.out, "%s: %s\n", from, text)
	return err
}

// Asked implements chat.Member.
func (m *member) Asked(_ context.Context, question string) (bool, error) {
	return len(question) < len("a rather long question?"), nil
}
