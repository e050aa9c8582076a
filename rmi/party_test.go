package rmi_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rmigo/rmigo/internal/testobj"
	"github.com/rmigo/rmigo/rmi"
)

// partyEnv makes the test binary a party: a process with a node that advertises the variable's endpoint, or its listener's where that
// is "-". It says hello by a line of JSON on its standard output, and then obeys lines on its standard input, each by a line of JSON:
//
//	make NAME          an object of its own, which it keeps; Text is its reference
//	keep NAME REF      the stub of an object, held
//	drop NAME          no longer
//	hear NAME          Text is what the object says
//	next REF           the process that Pass hands on to; none where REF is "-"
//	send N HOPS        N objects of its own on their way; it answers when the last process has called each
//	stats              Stats, after a garbage collection
//
// It ends with its standard input.
const partyEnv = "RMI_TEST_PARTY"

// partyLease is the lease of parties that are killed or stopped, and of the nodes that they are tested with; ringLease that of those that
// are to notice no more than cuts, however busy the machine is. It is the variable's second word.
const (
	partyLease = 2 * time.Second
	ringLease  = 10 * time.Second
)

// answer is a line of a party's.
type answer struct {
	Text  string
	Error string
	Kind  string // the sentinel that Error is, as far as tests ask
	Why   rmi.Reason
	Stats rmi.Stats

	Unreferenced []string // those of its own objects that nobody held any more at some time
	Lost         []string // what Pass could not do, though objects are never lost by cuts
}

// party is the process's node, and what it serves: testobj.Party.
type party struct {
	node  *rmi.Node
	freed chan string // names of its objects that nobody holds any more
	home  chan string // and of those that were called at the end of their way

	mu   sync.Mutex
	kept map[string]testobj.Listener
	next testobj.Party
	seen map[string]bool // what was passed here
	lost []string
	sent int // objects, so far
}

func newParty(n *rmi.Node) *party {
	return &party{node: n, freed: make(chan string, 1000), home: make(chan string, 1000),
		kept: map[string]testobj.Listener{}, seen: map[string]bool{}}
}

// traveller is an object of a party's.
type traveller struct {
	name string
	of   *party
}

// Hear tells the name; "home" says that the object has arrived at the end of its way.
func (o *traveller) Hear(_ context.Context, text string) (string, error) {
	if text == "home" {
		o.of.home <- o.name
	}
	return o.name, nil
}

func (o *traveller) Unreferenced() {
	select {
	case o.of.freed <- o.name:
	default: // nobody asks
	}
}

func (p *party) Make(_ context.Context, n int) ([]testobj.Listener, error) {
	made := make([]testobj.Listener, n)
	for i := range made {
		made[i] = &traveller{"made", p}
	}
	return made, nil
}

// Pass takes an object and hands it on by itself. It does so once, however often the caller has to say so.
func (p *party) Pass(_ context.Context, l testobj.Listener, name string, hops int) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if leg := fmt.Sprint(name, " ", hops); !p.seen[leg] {
		p.seen[leg] = true
		go p.pass(l, name, hops, p.next) // ends when the next one has it, or with the process
	}
	return nil
}

func (p *party) pass(l testobj.Listener, name string, hops int, next testobj.Party) {
	if err := insist(func(ctx context.Context) error {
		_, err := l.Hear(ctx, "on the way")
		return err
	}); err != nil {
		p.fail("%s, %d hops before its end: %v", name, hops, err)
	}
	err := insist(func(ctx context.Context) error {
		if hops > 0 {
			return next.Pass(ctx, l, name, hops-1)
		}
		_, err := l.Hear(ctx, "home")
		return err
	})
	if err != nil {
		p.fail("%s was not passed on, %d hops before its end: %v", name, hops, err)
	}
	runtime.KeepAlive(l)
}

// insist makes a call until it is answered, over whatever connections. A handshake that is cut can leave one side with an association that
// the other does not know; what was called by it ends with it.
func insist(call func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	for {
		if err := call(ctx); err == nil || !errors.Is(err, rmi.ErrUnreachable) && !errors.Is(err, rmi.ErrPeerExpired) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func (p *party) fail(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lost = append(p.lost, fmt.Sprintf(format, args...))
}

func partyProcess(how string) error {
	advertise, text, _ := strings.Cut(how, " ")
	lease, err := time.ParseDuration(text)
	if err != nil {
		return err
	}
	o := rmi.Options{Lease: lease}
	if advertise != "-" {
		o.Advertise = []string{advertise}
	}
	n, err := rmi.NewNode(o)
	if err != nil {
		return err
	}
	at, err := n.Listen("tcp://127.0.0.1:0")
	if err != nil {
		return err
	}
	p := newParty(n)
	ref, err := rmi.Export(n, testobj.RemoteParty.Of(p))
	if err != nil {
		return err
	}
	whole, _ := ref.MarshalText()
	out := json.NewEncoder(os.Stdout)
	if err := out.Encode([2]string{string(whole), at}); err != nil {
		return err
	}
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		a := p.obey(strings.Fields(lines.Text()))
		if err := out.Encode(a); err != nil {
			return err
		}
	}
	return nil
}

func (p *party) obey(words []string) (a answer) {
	ctx, cancel := context.WithTimeout(context.Background(), 25*time.Second)
	defer cancel()
	var err error
	switch words[0] {
	case "make":
		a.Text, err = p.export(words[1])
	case "keep":
		var l testobj.Listener
		if l, err = hold(ctx, p.node, words[2]); err == nil {
			p.keep(words[1], l)
		}
	case "drop":
		p.keep(words[1], nil)
	case "hear":
		p.mu.Lock()
		l := p.kept[words[1]]
		p.mu.Unlock()
		c, cancel := context.WithTimeout(ctx, partyLease)
		defer cancel()
		a.Text, err = l.Hear(c, "")
	case "next":
		var next testobj.Party
		if words[1] != "-" {
			next, err = rmi.Resolve(ctx, p.node, testobj.RemoteParty, words[1])
		}
		p.mu.Lock()
		p.next = next
		p.mu.Unlock()
	case "send":
		n, _ := strconv.Atoi(words[1])
		hops, _ := strconv.Atoi(words[2])
		err = p.send(ctx, n, hops)
	case "stats":
		runtime.GC()
		a.Stats = p.node.Stats()
	default:
		err = fmt.Errorf("no such command: %q", words)
	}
	a.describe(err)
	p.tell(&a)
	return a
}

// hold returns the stub of an object once its owner knows that n holds it.
func hold(ctx context.Context, n *rmi.Node, ref string) (testobj.Listener, error) {
	l, err := rmi.Resolve(ctx, n, testobj.RemoteListener, ref)
	if err != nil {
		return nil, err
	}
	w, err := rmi.WeakOf(n, testobj.RemoteListener, l)
	if err != nil {
		return nil, err
	}
	return w.Upgrade(ctx)
}

func (p *party) export(name string) (ref string, err error) {
	o := &traveller{name, p}
	p.keep(name, o)
	r, err := rmi.ExportCollectable(p.node, testobj.RemoteListener.Of(o))
	if err != nil {
		return "", err
	}
	text, err := r.MarshalText()
	return string(text), err
}

func (p *party) keep(name string, l testobj.Listener) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if l == nil {
		delete(p.kept, name)
		return
	}
	p.kept[name] = l
}

// send sends objects on their way, and waits for them to be called at its end.
func (p *party) send(ctx context.Context, n, hops int) error {
	p.mu.Lock()
	next, first := p.next, p.sent
	p.sent += n
	p.mu.Unlock()
	for i := range n {
		name := fmt.Sprint(p.node.ID(), "/", first+i)
		go p.pass(&traveller{name, p}, name, hops, next) // as in Pass
	}
	for i := range n {
		select {
		case <-p.home:
		case <-ctx.Done():
			return fmt.Errorf("%d of %d have come to the end of their way: %w", i, n, ctx.Err())
		}
	}
	return nil
}

func (a *answer) describe(err error) {
	if err == nil {
		return
	}
	a.Error = err.Error()
	var e *rmi.Error
	if errors.As(err, &e) {
		a.Why = e.Reason
	}
	for name, kind := range map[string]rmi.Kind{"no such object": rmi.ErrNoSuchObject, "unreachable": rmi.ErrUnreachable, "expired": rmi.ErrPeerExpired} {
		if errors.Is(err, kind) {
			a.Kind = name
		}
	}
}

// tell adds what has happened since it was told last.
func (p *party) tell(a *answer) {
	p.mu.Lock()
	a.Lost, p.lost = p.lost, nil
	p.mu.Unlock()
	for {
		select {
		case name := <-p.freed:
			a.Unreferenced = append(a.Unreferenced, name)
		default:
			return
		}
	}
}

// partyClient is a party as the test that started it sees it. Its methods are for one goroutine.
type partyClient struct {
	t      *testing.T
	cmd    *exec.Cmd
	ref    string // of its testobj.Party
	at     string // where it listens
	stdin  interface{ Write([]byte) (int, error) }
	stdout *os.File
	lines  *json.Decoder
}

// startParty starts a process that ends with the test.
func startParty(t *testing.T, advertise string, lease time.Duration) *partyClient {
	t.Helper()
	cmd, stdin, stdout := startSelf(t, partyEnv+"="+advertise+" "+lease.String())
	p := &partyClient{t: t, cmd: cmd, stdin: stdin, stdout: stdout.(*os.File), lines: json.NewDecoder(stdout)}
	var hello [2]string
	p.read(&hello)
	p.ref, p.at = hello[0], hello[1]
	return p
}

func (p *partyClient) read(v any) {
	p.t.Helper()
	p.stdout.SetReadDeadline(time.Now().Add(30 * time.Second)) // where pipes have none, the test's own ends it
	if err := p.lines.Decode(v); err != nil {
		p.t.Fatalf("process %d does not answer: %v", p.cmd.Process.Pid, err)
	}
}

// tell gives a command; its answer is to be read.
func (p *partyClient) tell(command string, args ...any) {
	p.t.Helper()
	if _, err := p.stdin.Write([]byte(command + " " + fmt.Sprintln(args...))); err != nil {
		p.t.Fatal(err)
	}
}

func (p *partyClient) answer() (a answer) {
	p.t.Helper()
	p.read(&a)
	return a
}

// ask gives a command that must not fail.
func (p *partyClient) ask(command string, args ...any) answer {
	p.t.Helper()
	p.tell(command, args...)
	a := p.answer()
	if a.Error != "" {
		p.t.Fatalf("%s: %s", command, a.Error)
	}
	return a
}

// try gives a command that may fail.
func (p *partyClient) try(command string, args ...any) answer {
	p.t.Helper()
	p.tell(command, args...)
	return p.answer()
}

// eventually waits until it is true, for so long at most; what says what is waited for.
func eventually(t *testing.T, within time.Duration, it func() bool, what func() string) {
	t.Helper()
	late := time.After(within)
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for !it() {
		select {
		case <-again.C:
		case <-late:
			t.Fatalf("not within %v: %s", within, what())
		}
	}
}

// nothing reports whether neither others hold anything of the node's, nor it of others', and nothing is under way.
func nothing(s rmi.Stats) bool {
	return s.Held+s.Holding+s.Pins+s.Owed+s.Queued == 0
}
