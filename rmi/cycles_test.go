package rmi_test

import (
	"context"
	"errors"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rmigo/rmigo/internal/testobj"
	"github.com/rmigo/rmigo/rmi"
)

// member is a listener that knows to what it listens.
type member struct{ room testobj.Service }

func (*member) Hear(_ context.Context, text string) (string, error) { return text, nil }

// collectable exports a service that lives while it is held, and returns its stub in the other node.
func collectable(t *testing.T, from, to *rmi.Node, impl testobj.Service) testobj.Service {
	t.Helper()
	ref, err := rmi.ExportCollectable(from, testobj.RemoteService.Of(impl))
	if err != nil {
		t.Fatal(err)
	}
	s := resolved(t, to, testobj.RemoteService, ref)
	time.Sleep(time.Second) // until it is held: the text held nothing
	synctest.Wait()
	runtime.KeepAlive(impl)
	return s
}

// suspects are the cycles that the node suspects, objects' names left out.
func suspects(t *testing.T, n *rmi.Node, held time.Duration) string {
	t.Helper()
	cycles, err := n.SuspectedCycles(ctx(t), held)
	if err != nil {
		t.Error(err)
	}
	var out []string
	for _, c := range cycles {
		out = append(out, regexp.MustCompile(` (\w+\.)?#\S+,`).ReplaceAllString(c.String(), ","))
	}
	return strings.Join(out, "\n\n")
}

func TestObjectsThatKeepEachOtherAliveAreFoundWithTheirPath(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := memoryWorld(t)
		a, _ := w.server(rmi.Options{Inspect: true})
		b, _ := w.server(rmi.Options{Inspect: true})
		room := newService(a)
		remote := collectable(t, a, b, room)
		if err := remote.Remember(ctx(t), &member{room: remote}); err != nil {
			t.Fatal(err)
		}
		settle(10 * time.Minute)
		if got := suspects(t, a, 11*time.Minute); got != "" {
			t.Errorf("of what is held for less than eleven minutes, found\n%s", got)
		}
		settle(time.Hour)
		want := "*rmi_test.service, held for 1h10m1s: kept is the next\n*rmi_test.member, held for 1h10m0s: room is the first"
		if got := suspects(t, a, time.Hour); got != want {
			t.Errorf("found\n%s\nwant\n%s", got, want)
		}
		want = "*rmi_test.member, held for 1h10m0s: room is the next\n*rmi_test.service, held for 1h10m1s: kept is the first"
		if got := suspects(t, b, time.Hour); got != want {
			t.Errorf("the other process found\n%s\nwant\n%s", got, want)
		}
		there, err := rmi.Inspect(b, remote)
		if err != nil {
			t.Fatal(err)
		}
		if cycles, err := there.SuspectedCycles(ctx(t), time.Hour); len(cycles) != 1 || err != nil {
			t.Errorf("asked from elsewhere, it found %v, %v", cycles, err)
		}
		if s := a.Stats(); s.Holding != 1 || s.Held != 1 {
			t.Errorf("after all these questions it has %+v", s)
		}
		if err := room.Remember(ctx(t), nil); err != nil { // the listener leaves
			t.Fatal(err)
		}
		settle(time.Second)
		if got := suspects(t, a, time.Hour); got != "" {
			t.Errorf("once the cycle is open, found\n%s", got)
		}
		a.Close()
		b.Close()
	})
}

func TestACycleThroughThreeProcessesIsFoundAndOneThroughAPinnedObjectIsNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := memoryWorld(t)
		a, _ := w.server(rmi.Options{Inspect: true})
		b, _ := w.server(rmi.Options{Inspect: true})
		c, _ := w.server(rmi.Options{Inspect: true})
		first, third := newService(a), newService(c)
		third.calls.Store(3)
		inA, inC := collectable(t, a, b, first), collectable(t, c, b, third)
		if err := inA.Remember(ctx(t), &member{room: inC}); err != nil { // a → b → c
			t.Fatal(err)
		}
		home := &member{room: first}
		ref, err := rmi.ExportCollectable(a, testobj.RemoteListener.Of(home))
		if err != nil {
			t.Fatal(err)
		}
		back := resolved(t, c, testobj.RemoteListener, ref)
		third.Remember(ctx(t), back) // c → a, where it is a plain pointer to the first
		time.Sleep(time.Second)
		runtime.KeepAlive(home)
		settle(time.Hour)
		want := "*rmi_test.member, held for 1h0m1s: room.kept is the next\n" +
			"*rmi_test.member, held for 1h0m1s: room is the next\n" +
			"*rmi_test.service, held for 1h0m2s: kept is the first"
		if got := suspects(t, a, 30*time.Minute); got != want {
			t.Errorf("found\n%s\nwant\n%s", got, want)
		}
		if _, err := rmi.Export(c, testobj.RemoteService.Of(third)); err != nil {
			t.Fatal(err)
		}
		if got := suspects(t, a, 30*time.Minute); got != "" {
			t.Errorf("though the third is exported for good, found\n%s", got)
		}
		a.Close()
		b.Close()
		c.Close()
	})
}

func TestProcessesThatCanNotBeAskedAreNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := memoryWorld(t)
		a, _ := w.server(rmi.Options{Inspect: true})
		b, _ := w.server(rmi.Options{})
		remote := collectable(t, a, b, newService(a))
		if err := remote.Remember(ctx(t), &member{room: remote}); err != nil {
			t.Fatal(err)
		}
		settle(time.Hour)
		cycles, err := a.SuspectedCycles(ctx(t), time.Minute)
		if len(cycles) != 0 || err == nil || !strings.Contains(err.Error(), b.ID().String()) || !strings.Contains(err.Error(), "Options.Inspect") {
			t.Errorf("found %v, %v; want an error that names the process and the remedy", cycles, err)
		}
		if _, err := b.SuspectedCycles(ctx(t), time.Minute); err == nil || rmi.MayHaveRun(err) {
			t.Errorf("a node without Options.Inspect says %v", err)
		}
		a.Close()
		b.Close()
		if _, err := a.SuspectedCycles(ctx(t), time.Minute); err != nil && !errors.Is(err, rmi.ErrNodeClosed) {
			t.Errorf("a closed node says %v", err)
		}
	})
}
