package worker

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/rmigo/rmigo/bench/peer"
)

func TestAClientObeysItsCommands(t *testing.T) {
	server, err := peer.Raw{}.Serve()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	answers := converse(t, func(in io.Reader, out io.Writer) error { return call("raw", server.Addr(), in, out) },
		"open small 3 1", "run 5", "close", "open mixed 2 1", "run 5", "close", "open connect 1 1", "run 5", "close", "idle "+server.Addr()+" 40", "usage", "trim")
	for i, a := range answers {
		if a.Error != "" {
			t.Errorf("answer %d: %s", i, a.Error)
		}
	}
	for _, i := range []int{2, 5, 8} {
		r := answers[i].Result
		if r.Calls == 0 || r.Seconds <= 0 || r.P50 <= 0 || r.P99 < r.P50 || r.Usage.CPU <= 0 {
			t.Errorf("answer %d: %+v, want calls, seconds, times and processor time", i, r)
		}
	}
	if answers[5].Large == 0 {
		t.Error("mixed made no large calls")
	}
}

func TestAServerExportsMoreObjects(t *testing.T) {
	for name, can := range map[string]bool{"rmigo": true, "raw": false} {
		answers := converse(t, func(in io.Reader, out io.Writer) error { return serve(name, in, out) }, "export 3")
		if got := answers[1].Error == ""; got != can {
			t.Errorf("%s: error %q, but whether it can is %v", name, answers[1].Error, can)
		}
	}
}

func TestAServerIsJoinedByMore(t *testing.T) {
	answers := converse(t, func(in io.Reader, out io.Writer) error { return serve("raw", in, out) }, "more 3", "usage", "more 1")
	addrs := append(answers[1].Addrs, answers[3].Addrs...)
	if len(answers[1].Addrs) != 3 || len(answers[3].Addrs) != 1 || answers[2].Addrs != nil {
		t.Fatalf("got the addresses %+v, want three and one", answers)
	}
	slices.Sort(addrs)
	if len(slices.Compact(addrs)) != 4 {
		t.Errorf("servers share addresses: %q", addrs)
	}
}

func TestIdleSessionsMakeABurstOfLargeCalls(t *testing.T) {
	server, err := peer.Rmigo{}.Serve()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	other, err := peer.Rmigo{}.Serve()
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	answers := converse(t, func(in io.Reader, out io.Writer) error { return call("rmigo", server.Addr(), in, out) },
		"idle "+server.Addr()+","+other.Addr()+" 3", "usage", "burst 2", "usage", "idle "+server.Addr()+" 0", "usage", "burst 2", "usage",
		"close", "idle "+server.Addr()+" 1", "burst 1")
	for i, a := range answers {
		if a.Error != "" {
			t.Errorf("answer %d: %s", i, a.Error)
		}
	}
	const calls = 2 * 3 * 2 // servers, clients, calls
	if quiet, busy := answers[2].Allocs, answers[4].Allocs; busy-quiet < calls {
		t.Errorf("%d objects were allocated by %d large calls", busy-quiet, calls)
	}
	if quiet, busy := answers[6].Allocs, answers[8].Allocs; busy-quiet > 1000 {
		t.Errorf("%d objects were allocated by no large calls, since no session was new", busy-quiet)
	}
}

func TestTheFirstErrorOfManySessionsIsTold(t *testing.T) {
	bad := errors.New("bad")
	var done atomic.Int32
	err := abreast(100, func(_ context.Context, i int) error {
		done.Add(1)
		if i == 40 {
			return bad
		}
		return nil
	})
	if err != bad || done.Load() < 97 { // those of its rank after it are not tried
		t.Errorf("%v after %d sessions, want %v after 98", err, done.Load(), bad)
	}
}

func TestCommandsThatCannotBeObeyedAreErrors(t *testing.T) {
	server, err := peer.Raw{}.Serve()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	answers := converse(t, func(in io.Reader, out io.Writer) error { return call("raw", server.Addr(), in, out) },
		"", "dance", "run", "run x", "run 5", "open refs 1 1", "open null 1", "idle 1",
		"heap /nowhere/heap", "profile /nowhere/cpu", "profile %zz")
	for i, a := range answers[1:] {
		if a.Error == "" {
			t.Errorf("command %d: no error", i)
		}
	}
}

func TestAnUnknownPeerIsAnError(t *testing.T) {
	if err := serve("nobody", strings.NewReader(""), io.Discard); err == nil {
		t.Error("serve: no error")
	}
	if err := call("nobody", "", strings.NewReader(""), io.Discard); err == nil {
		t.Error("call: no error")
	}
}

func TestArgumentsOfTheHarnessAreNoWorkers(t *testing.T) {
	for _, args := range [][]string{nil, {"-quick"}, {"serve"}, {"call", "raw"}} {
		if _, is := Main(args); is {
			t.Errorf("%q was taken for a worker's", args)
		}
	}
}

// converse gives a worker commands, and returns its greeting and answers.
func converse(t *testing.T, work func(io.Reader, io.Writer) error, commands ...string) []Answer {
	t.Helper()
	var out strings.Builder
	if err := work(strings.NewReader(strings.Join(commands, "\n")+"\n"), &out); err != nil {
		t.Fatal(err)
	}
	var answers []Answer
	for d := json.NewDecoder(strings.NewReader(out.String())); d.More(); {
		var a Answer
		if err := d.Decode(&a); err != nil {
			t.Fatal(err)
		}
		answers = append(answers, a)
	}
	if len(answers) != 1+len(commands) {
		t.Fatalf("%d answers to %d commands:\n%s", len(answers), len(commands), out.String())
	}
	return answers
}
