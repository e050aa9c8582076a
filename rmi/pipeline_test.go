package rmi_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rmigo/rmigo/internal/leak"
	"github.com/rmigo/rmigo/internal/testobj"
	"github.com/rmigo/rmigo/internal/transport"
	"github.com/rmigo/rmigo/rmi"
	"github.com/rmigo/rmigo/stub"
)

func TestFiveDependentCallsTakeOneRoundTrip(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		memory := transport.NewMemory()
		memory.Delay(50 * time.Millisecond)
		w := &world{t: t, network: memory, listen: func() string { return "tcp://127.0.0.1:0" }}
		_, remote, _, _ := w.trees(rmi.Options{})
		c := t.Context()
		if _, _, err := remote.Stat(c); err != nil { // there is a connection
			t.Fatal(err)
		}
		took := func(what string, want time.Duration, do func() error) {
			start := time.Now()
			if err := do(); err != nil {
				t.Errorf("%s: %v", what, err)
			}
			if got := time.Since(start); got != want {
				t.Errorf("%s took %v, want %v", what, got, want)
			}
		}
		took("one after another", 500*time.Millisecond, func() (err error) {
			d := remote
			for _, name := range []string{"a", "b", "c", "d"} {
				if d, err = d.Open(c, name); err != nil {
					return err
				}
			}
			_, err = d.Read(c)
			return err
		})
		took("pipelined", 100*time.Millisecond, func() error {
			_, err := testobj.AsyncDirOf(remote).Open(c, "a").Open(c, "b").Open(c, "c").Open(c, "d").Read(c).Wait(c)
			return err
		})
		took("as a batch", 100*time.Millisecond, func() error {
			var last *rmi.Future[string]
			if err := rmi.Batch(c, func(c context.Context) error {
				last = testobj.AsyncDirOf(remote).Open(c, "a").Open(c, "b").Open(c, "c").Open(c, "d").Read(c)
				return nil
			}); err != nil {
				return err
			}
			_, err := last.Wait(c)
			return err
		})
	})
}

// A program is steps on variables that hold directories; each Open makes a new one.
type step struct {
	do     string
	on, to int
	text   string
}

func randomProgram(r *rand.Rand) (steps []step) {
	vars := 1
	for range 4 + r.IntN(40) {
		s := step{on: r.IntN(vars), to: r.IntN(vars), text: string(rune('a' + r.IntN(4)))}
		switch k := r.IntN(20); {
		case k < 7:
			s.do = "open"
			if special := r.IntN(12); special < 4 {
				s.text = []string{"far", "home", "missing", "nothing"}[special]
			}
			vars++
		case k < 13:
			s.do = "append"
		case k < 17:
			s.do = "read"
		default:
			s.do = "link"
		}
		steps = append(steps, s)
	}
	return steps
}

// outcome is what a program sees of a step.
func outcome(text string, err error) string {
	switch {
	case errors.Is(err, rmi.ErrBroken):
		return "broken"
	case errors.Is(err, testobj.ErrEmpty):
		return "empty"
	case err != nil:
		return err.Error()
	}
	return text
}

// sequentially runs a program one call after another.
func sequentially(c context.Context, root testobj.Dir, steps []step) (outcomes []string) {
	vars := []testobj.Dir{root}
	for _, s := range steps {
		d, text := vars[s.on], ""
		var err error
		switch {
		case d == nil || s.do == "link" && vars[s.to] == nil:
			err = rmi.ErrBroken
			if s.do == "open" {
				vars = append(vars, nil)
			}
		case s.do == "open":
			var made testobj.Dir
			if made, err = d.Open(c, s.text); err != nil {
				made = nil
			}
			vars = append(vars, made)
		case s.do == "append":
			err = d.Append(c, s.text)
		case s.do == "read":
			text, err = d.Read(c)
		default:
			err = d.Link(c, s.text, vars[s.to])
		}
		outcomes = append(outcomes, outcome(text, err))
	}
	return outcomes
}

// pipelined runs a program without waiting for anything, in a batch if that is wanted.
func pipelined(c context.Context, root testobj.AsyncDir, steps []step) func(c context.Context) []string {
	vars := []testobj.AsyncDir{root}
	var ends []func(context.Context) string
	for _, s := range steps {
		d := vars[s.on]
		var none *rmi.Future[stub.None]
		switch s.do {
		case "open":
			made := d.Open(c, s.text)
			vars = append(vars, made)
			ends = append(ends, func(c context.Context) string { _, err := rmi.Await(c, made.Promise()); return outcome("", err) })
			continue
		case "read":
			f := d.Read(c)
			ends = append(ends, func(c context.Context) string { return outcome(f.Wait(c)) })
			continue
		case "append":
			none = d.Append(c, s.text)
		default:
			none = d.Link(c, s.text, vars[s.to].Promise())
		}
		ends = append(ends, func(c context.Context) string { _, err := none.Wait(c); return outcome("", err) })
	}
	return func(c context.Context) (outcomes []string) {
		for _, end := range ends {
			outcomes = append(outcomes, end(c))
		}
		return outcomes
	}
}

// grove is a tree, some of which is in the client's process and in a third one, all with one log.
type grove struct {
	root testobj.Dir
	log  *effects
}

func (w *world) grove(server, third, client *rmi.Node) grove {
	impl := newTree("", &effects{})
	impl.below["root"] = newTree("root", impl.log)
	root := impl.below["root"].(*tree)
	root.below["far"] = w.treeStub(third, server, newTree("far", impl.log))
	root.below["home"] = w.treeStub(client, server, newTree("home", impl.log))
	return grove{w.treeStub(server, client, impl), impl.log}
}

func TestPipelinesDoWhatSequentialProgramsDo(t *testing.T) {
	leak.Check(t)
	w := memoryWorld(t)
	server, _ := w.server(rmi.Options{})
	third, _ := w.server(rmi.Options{})
	client, _ := w.server(rmi.Options{})
	seed := rand.Uint64()
	for n := range lasting(300) {
		r := rand.New(rand.NewPCG(seed, uint64(n)))
		steps := randomProgram(r)
		one, other := w.grove(server, third, client), w.grove(server, third, client)
		root, err := one.root.Open(ctx(t), "root")
		if err != nil {
			t.Fatal(err)
		}
		want := sequentially(ctx(t), root, steps)
		var got []string
		if r.IntN(3) == 0 {
			var ends func(context.Context) []string
			err = rmi.Batch(ctx(t), func(c context.Context) error {
				ends = pipelined(c, testobj.AsyncDirOf(other.root).Open(c, "root"), steps)
				return nil
			})
			got = ends(ctx(t))
		} else {
			got = pipelined(ctx(t), testobj.AsyncDirOf(other.root).Open(ctx(t), "root"), steps)(ctx(t))
		}
		if err != nil || fmt.Sprint(got) != fmt.Sprint(want) || other.log.String() != one.log.String() {
			t.Fatalf("seed %d, program %d: %+v\nsequentially %q, pipelined %q, %v\nsequentially done %v\npipelined done    %v", seed, n, steps, want, got, err, one.log, other.log)
		}
	}
}

// lastFor has tests of random programs last for as long as that.
var lastFor = flag.Duration("lasting", 0, "how long tests of random programs run, at least")

// lasting counts up to n, and on while -lasting has not passed.
func lasting(n int) func(func(int) bool) {
	return func(yield func(int) bool) {
		start := time.Now()
		for i := 0; i < n || time.Since(start) < *lastFor; i++ {
			if !yield(i) {
				return
			}
		}
	}
}

// fresh is a tree that keeps nothing of what it opens.
type fresh struct{ *tree }

func (d *fresh) Open(_ context.Context, name string) (testobj.Dir, error) {
	return &fresh{newTree(d.name+"/"+name, d.log)}, nil
}

func TestPromisesThatNobodyHasAnyMoreKeepNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := memoryWorld(t)
		server, _ := w.server(rmi.Options{})
		client := w.node(rmi.Options{})
		ref, err := rmi.Export(server, testobj.RemoteDir.Of(&fresh{newTree("", &effects{})}))
		if err != nil {
			t.Fatal(err)
		}
		remote := resolved(t, client, testobj.RemoteDir, ref)
		root := testobj.AsyncDirOf(remote)
		for range 50 {
			root.Open(t.Context(), "abandoned").Open(t.Context(), "at once")
			wait(t, root.Open(t.Context(), "used").Open(t.Context(), "deep").Append(t.Context(), "x"))
		}
		c, cancel := context.WithCancel(t.Context())
		given := root.Open(c, "given up").Open(c, "too").Read(c)
		cancel()
		given.Wait(t.Context())
		kept := root.Open(t.Context(), "kept").Open(t.Context(), "for now")
		wait(t, kept.Append(t.Context(), "x"))
		for range 4 {
			settle(10 * time.Second)
		}
		if s := server.Stats(); s.Exports != 2 || s.Pins != 0 {
			t.Errorf("the server has %+v, want the root and what is kept", s)
		}
		if got := rmi.PromisesOf(server); got != 1 {
			t.Errorf("it keeps %d promises, want one", got)
		}
		if got := wait(t, kept.Read(t.Context())); got != "x" {
			t.Errorf("what was kept reads %q", got)
		}
		runtime.KeepAlive(kept)
		kept = testobj.AsyncDir{}
		for range 4 {
			settle(10 * time.Second)
		}
		if s := server.Stats(); s.Exports != 1 || rmi.PromisesOf(server) != 0 {
			t.Errorf("in the end the server has %+v, and %d promises", s, rmi.PromisesOf(server))
		}
		client.Close()
		server.Close()
	})
}

func TestArgumentsOfCallsThatGoOnFromHereAreKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := memoryWorld(t)
		server, _ := w.server(rmi.Options{})
		third, _ := w.server(rmi.Options{})
		client, _ := w.server(rmi.Options{})
		g := w.grove(server, third, client)
		c := t.Context()
		root := testobj.AsyncDirOf(g.root).Open(c, "root")
		far := root.Open(c, "far") // which is not where root is
		gift := newTree("gift", g.log)
		linked := far.Link(c, "gift", gift)
		nearby := root.Link(c, "gift", gift)
		wait(t, linked)
		wait(t, nearby)
		wait(t, far.Open(c, "gift").Append(c, "1"))
		gift = nil
		for range 3 {
			settle(30 * time.Second)
		}
		for _, d := range []testobj.AsyncDir{far, root} {
			wait(t, d.Open(c, "gift").Append(c, "2"))
		}
		if s := client.Stats(); s.Pins != 0 || s.Held != 2 {
			t.Errorf("the client has %+v, want two exports that others hold, home and the gift", s)
		}
		runtime.KeepAlive(root)
		for _, n := range []*rmi.Node{client, third, server} {
			n.Close()
		}
	})
}

func TestPromisesOutliveAConnection(t *testing.T) {
	leak.Check(t)
	memory := transport.NewMemory()
	w := &world{t: t, network: memory, listen: func() string { return "tcp://127.0.0.1:0" }}
	impl, remote, _, _ := w.trees(rmi.Options{})
	a := testobj.AsyncDirOf(remote).Open(ctx(t), "a")
	wait(t, a.Append(ctx(t), "1"))
	memory.Cut()
	for _, _, err := remote.Stat(ctx(t)); err != nil; _, _, err = remote.Stat(ctx(t)) {
		t.Log(err) // until there is another connection
	}
	wait(t, a.Append(ctx(t), "2")) // by another one, on the object itself
	b := a.Open(ctx(t), "b")
	wait(t, b.Append(ctx(t), "3"))
	if got := wait(t, a.Read(ctx(t))); got != "12" {
		t.Errorf("a reads %q", got)
	}
	if got := impl.log.String(); !strings.HasSuffix(got, "/a+2; /a.open(b); /a/b+3; /a.read") {
		t.Errorf("done was %s", got)
	}
}
