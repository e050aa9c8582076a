// Package worker is a process under measurement: a server, or a client with its load. The harness starts it and commands it by
// lines on its standard input; it answers each with a line of JSON.
//
//	bench serve rmigo          {"addr":"…"}
//	bench call rmigo ADDR      {}
//
// To both:
//
//	usage                      {"cpu":…,"allocs":…,"rss":…} since the process began
//	trim                       the same, when garbage has been collected and memory given back
//	profile FILE               {} when it has begun to profile the processor
//	profiled                   {} when the profile is in its file
//	collect                    {"live":…,"took":…} of a garbage collection
//	heap FILE                  {} when the file has a profile of what is allocated; FILE is escaped as in a URL
//
// To a server:
//
//	export N                   {} when it exports N more objects
//	more N                     {"addrs":["…",…]} of N more servers in its process
//
// To a client:
//
//	open LOAD CALLERS MS       {} when it has warmed up for so long
//	run MS                     {"calls":…,"seconds":…,"p50":…,"p99":…,"large":…,"usage":{…}} of the load, for so long
//	close                      {} when the load and the idle sessions have ended
//	idle ADDR,ADDR… N          {} when N clients have each called each of these servers; their sessions stay
//	hold N                     {} when the client holds N objects of the server, the service included
//	traffic MS                 {"bytes":…} that have passed between the two in so long, of what is held
//	burst N                    {} when each session of the last idle has echoed 1 MiB N times
//
// LOAD is a kind of call of package peer, or one of:
//
//	mixed      callers of small, beside two more that echo 1 MiB each without pause; large counts theirs
//	connect    a new session, a null call and the session's end, again and again
//
// What fails is {"error":"…"}. A worker ends with its standard input. Programs in other languages join by the same lines.
package worker

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/rmigo/rmigo/bench/peer"
)

// Loads that are no peer.Op.
const (
	Mixed   = "mixed"
	Connect = "connect"
)

// Large is how many callers of Mixed echo 1 MiB.
const Large = 2

// Hello is a worker's first line.
type Hello struct {
	Addr  string `json:"addr,omitempty"` // of a server
	Error string `json:"error,omitempty"`
}

// Usage is what a process has used.
type Usage struct {
	CPU    time.Duration `json:"cpu"`
	Allocs int64         `json:"allocs"` // objects; -1 where not known
	RSS    int64         `json:"rss"`    // bytes; -1 where not known
}

// Result is what a load has done.
type Result struct {
	Calls   int64         `json:"calls"`
	Seconds float64       `json:"seconds"`
	P50     time.Duration `json:"p50"`
	P99     time.Duration `json:"p99"`
	Large   int64         `json:"large"`
	Usage   Usage         `json:"usage"` // of the client, meanwhile; RSS at the end
}

// Answer is any answer; what it does not tell is zero.
type Answer struct {
	Usage
	Result
	Collection
	Bytes int64    `json:"bytes,omitempty"`
	Addrs []string `json:"addrs,omitempty"`
	Error string   `json:"error,omitempty"`
}

// Main is what a worker does, if the arguments, those of the process without its name, make it one. It returns the exit status.
func Main(args []string) (status int, is bool) {
	var err error
	switch {
	case len(args) == 2 && args[0] == "serve":
		err = serve(args[1], os.Stdin, os.Stdout)
	case len(args) == 3 && args[0] == "call":
		err = call(args[1], args[2], os.Stdin, os.Stdout)
	case len(args) >= 3 && args[0] == "pinned":
		err = pinned(args[1], args[2:])
	default:
		return 0, false
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1, true
	}
	return 0, true
}

func pinned(core string, command []string) error {
	n, err := strconv.Atoi(core)
	if err != nil {
		return err
	}
	return execPinned(n, command)
}

// commands carries out the commands that it reads.
type commands map[string]func(numbers []int, word string) (any, error)

func serve(name string, in io.Reader, out io.Writer) error {
	p, known := peer.Named(name)
	if !known {
		return fmt.Errorf("no peer is named %q", name)
	}
	server, err := p.Serve()
	if err != nil {
		return err
	}
	defer server.Close()
	more := &servers{peer: p}
	defer more.close()
	return commands{
		"export": func(n []int, _ string) (any, error) { return struct{}{}, export(server, n[0]) },
		"more":   func(n []int, _ string) (any, error) { return more.add(n[0]) },
	}.obey(Hello{Addr: server.Addr()}, in, out)
}

// servers are those of a process beside its first one.
type servers struct {
	peer peer.Peer
	all  []peer.Server
}

func (s *servers) add(n int) (Answer, error) {
	var a Answer
	for range n {
		server, err := s.peer.Serve()
		if err != nil {
			return a, err
		}
		s.all = append(s.all, server)
		a.Addrs = append(a.Addrs, server.Addr())
	}
	return a, nil
}

func (s *servers) close() {
	for _, server := range s.all {
		server.Close()
	}
}

func export(s peer.Server, n int) error {
	e, can := s.(peer.Exporter)
	if !can {
		return peer.ErrNone
	}
	return e.Export(n)
}

func call(name, addr string, in io.Reader, out io.Writer) error {
	p, known := peer.Named(name)
	if !known {
		return fmt.Errorf("no peer is named %q", name)
	}
	c := &client{peer: p, addr: addr}
	defer c.close()
	return commands{
		"open":    func(n []int, load string) (any, error) { return struct{}{}, c.open(load, n[0], millis(n[1])) },
		"run":     func(n []int, _ string) (any, error) { return c.run(millis(n[0])) },
		"idle":    func(n []int, addrs string) (any, error) { return struct{}{}, c.idle(strings.Split(addrs, ","), n[0]) },
		"hold":    func(n []int, _ string) (any, error) { return struct{}{}, c.hold(n[0]) },
		"traffic": func(n []int, _ string) (any, error) { return c.traffic(millis(n[0])) },
		"burst":   func(n []int, _ string) (any, error) { return struct{}{}, c.burst(n[0]) },
		"close": func([]int, string) (any, error) {
			c.close()
			return struct{}{}, nil
		},
	}.obey(Hello{}, in, out)
}

func millis(n int) time.Duration { return time.Duration(n) * time.Millisecond }

// arguments returns whether a command takes a word, and how many numbers after it.
func arguments(name string) (word bool, numbers int) {
	switch name {
	case "open":
		return true, 2
	case "profile", "heap":
		return true, 0
	case "idle":
		return true, 1
	case "run", "burst", "export", "more", "hold", "traffic":
		return false, 1
	}
	return false, 0
}

// obey greets, and carries out commands until in ends.
func (c commands) obey(hello Hello, in io.Reader, out io.Writer) error {
	c["usage"] = func([]int, string) (any, error) { return usage(), nil }
	c["collect"] = func([]int, string) (any, error) { return collect(), nil }
	c["trim"] = func([]int, string) (any, error) { return trim(), nil }
	var p profiler
	defer p.stop()
	c["profile"] = func(_ []int, file string) (any, error) { return struct{}{}, p.start(file) }
	c["profiled"] = func([]int, string) (any, error) { return struct{}{}, p.stop() }
	c["heap"] = func(_ []int, file string) (any, error) { return struct{}{}, heap(file) }
	answers := json.NewEncoder(out)
	if err := answers.Encode(hello); err != nil {
		return err
	}
	for lines := bufio.NewScanner(in); lines.Scan(); {
		answer, err := c.carryOut(strings.Fields(lines.Text()))
		if err != nil {
			answer = Answer{Error: err.Error()}
		}
		if err := answers.Encode(answer); err != nil {
			return err
		}
	}
	return nil
}

func (c commands) carryOut(words []string) (any, error) {
	if len(words) == 0 || c[words[0]] == nil {
		return nil, fmt.Errorf("no such command: %q", words)
	}
	name, words := words[0], words[1:]
	takesWord, want := arguments(name)
	word := ""
	if takesWord && len(words) > 0 {
		word, words = words[0], words[1:]
	}
	numbers := make([]int, len(words))
	for i, word := range words {
		var err error
		if numbers[i], err = strconv.Atoi(word); err != nil {
			return nil, err
		}
	}
	if len(numbers) != want {
		return nil, fmt.Errorf("%s takes %d numbers, not %d", name, want, len(numbers))
	}
	return c[name](numbers, word)
}

// client is a process that calls: it has at most one load, and idle sessions, and what it holds.
type client struct {
	peer    peer.Peer
	addr    string
	load    load
	holding *peer.Holding
	idlers
}

const grace = 20 * time.Second // beyond a run's time, for calls that hang

func (c *client) open(name string, callers int, warm time.Duration) error {
	if c.load != nil {
		return errors.New("a load is open")
	}
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	l, err := newLoad(ctx, c.peer, c.addr, name, callers)
	if err != nil {
		return err
	}
	c.load = l
	_, err = c.run(warm)
	return err
}

// run runs the load. Each call's context has the run's deadline, so that a deadline travels where the runtime has such a thing.
func (c *client) run(d time.Duration) (Result, error) {
	if c.load == nil {
		return Result{}, errors.New("no load is open")
	}
	ctx, cancel := context.WithTimeout(context.Background(), d+grace)
	defer cancel()
	stop := context.AfterFunc(ctx, c.load.close) // ends the calls of those that know no contexts
	defer stop()
	before := usage()
	r, err := c.load.run(ctx, d)
	after := usage()
	r.Usage = Usage{CPU: after.CPU - before.CPU, Allocs: after.Allocs - before.Allocs, RSS: after.RSS}
	if ctx.Err() != nil {
		err = fmt.Errorf("calls hang: %w", errors.Join(ctx.Err(), err))
	}
	return r, err
}

func (c *client) close() {
	if c.load != nil {
		c.load.close()
		c.load = nil
	}
	if c.holding != nil {
		c.holding.Close()
		c.holding = nil
	}
	c.idlers.close()
}
