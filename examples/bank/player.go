package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"time"

	"github.com/rmigo/rmigo/rmi"
)

// player is the process's side of the conversation with the narrator, and the node that it plays with. say and check may be
// called concurrently. mu guards out.
type player struct {
	node *rmi.Node

	mu  sync.Mutex
	out *json.Encoder
}

// role is what a player can do: it carries out a command, and gives the narrator what the command is to give.
type role interface {
	do(ctx context.Context, c command) (value string, err error)
	leave(ctx context.Context) error // ends the role in good order
}

const farewell = 3 * time.Second // for ending in good order

// play carries out commands until in ends, which it does at the latest with the narrator. It returns the exit status.
func play(in io.Reader, out io.Writer, cast func(*player) role) int {
	signal.Ignore(os.Interrupt) // Ctrl-C reaches every process of a terminal; the narrator sees to it
	node, err := rmi.NewNode(rmi.Options{})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer node.Close()
	p := &player{node: node, out: json.NewEncoder(out)}
	r := cast(p)

	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	commands := make(chan command)
	var reading sync.WaitGroup
	reading.Go(func() { // ends with in
		defer close(commands)
		for lines := json.NewDecoder(in); ; {
			var c command
			if lines.Decode(&c) != nil {
				break
			}
			commands <- c
		}
		cancel()
		time.AfterFunc(2*farewell, func() { os.Exit(1) }) // whatever may hang
	})
	for c := range commands {
		m := message{Done: true}
		if m.Value, err = r.do(ctx, c); err != nil {
			m.Error = err.Error()
		}
		p.send(m)
	}
	reading.Wait()
	last, stop := context.WithTimeout(context.Background(), farewell)
	defer stop()
	if err := r.leave(last); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// send writes a message. Where nobody reads any more, in has ended too.
func (p *player) send(m message) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = p.out.Encode(m)
}

func (p *player) say(format string, args ...any) { p.send(message{Say: fmt.Sprintf(format, args...)}) }

func (p *player) check(what string, got, want any) { p.send(message{Check: newCheck(what, got, want)}) }
