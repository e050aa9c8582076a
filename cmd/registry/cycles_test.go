package main_test

import (
	"context"
	"encoding/json"
	"runtime"
	"testing"

	"github.com/rmigo/rmigo/internal/leak"
	"github.com/rmigo/rmigo/internal/testobj"
	"github.com/rmigo/rmigo/rmi"
)

// friend knows another one.
type friend struct{ best testobj.Listener }

func (*friend) Hear(_ context.Context, text string) (string, error) { return text, nil }

// befriend exports a friend that lives while it is held, and has the other node hold it.
func befriend(t *testing.T, from, to *rmi.Node, f *friend) testobj.Listener {
	t.Helper()
	ref, err := rmi.ExportCollectable(from, testobj.RemoteListener.Of(f))
	if err != nil {
		t.Fatal(err)
	}
	text, err := ref.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	l, err := rmi.Resolve(ctx(t), to, testobj.RemoteListener, string(text))
	if err != nil {
		t.Fatal(err)
	}
	weak, err := rmi.WeakOf(to, testobj.RemoteListener, l)
	if err != nil {
		t.Fatal(err)
	}
	if l, err = weak.Upgrade(ctx(t)); err != nil { // it is held from now on, as the text said nothing
		t.Fatal(err)
	}
	runtime.KeepAlive(f)
	return l
}

func TestCyclesPrintsWhatKeepsItselfAlive(t *testing.T) {
	leak.Check(t)
	url, _ := serving(t)
	a, _ := listening(t, rmi.Options{Inspect: true})
	b, _ := listening(t, rmi.Options{Inspect: true})
	if err := rmi.Bind(ctx(t), a, url+"/a", bound()); err != nil {
		t.Fatal(err)
	}
	run(t, "cycles", "--registry", url, "a").want(t, ran{stdout: "no cycles of objects that have been held for 10m0s\n"})
	run(t, "cycles", "--registry", url, "a", "--json").want(t, ran{stdout: "[]\n"})

	one, two := &friend{}, &friend{}
	two.best = befriend(t, a, b, one)
	one.best = befriend(t, b, a, two)
	for _, n := range []*rmi.Node{a, b} { // whatever a node serves after that sees what was written before
		if _, err := rmi.Export(n, bound()); err != nil {
			t.Fatal(err)
		}
	}
	run(t, "cycles", "--registry", url, "a", "--held", "0s").want(t, ran{stdout: `*main_test.friend #OBJECT@PROCESS_, held for TIME: best is the next
*main_test.friend #OBJECT@PROCESS_, held for TIME: best is the first
`})
	var cycles [][]struct{ Object, Type, Path string }
	printed := run(t, "cycles", "--registry", url, "a", "--held", "0s", "--json")
	if err := json.Unmarshal([]byte(printed.stdout), &cycles); err != nil || len(cycles) != 1 || len(cycles[0]) != 2 || cycles[0][1].Path != "best" {
		t.Errorf("with --json it printed\n%s%v; want one cycle of two", printed.stdout, err)
	}
	runtime.KeepAlive(one)
	runtime.KeepAlive(two)
}

func TestCyclesSaysWhoDoesNotTell(t *testing.T) {
	leak.Check(t)
	url, _ := serving(t)
	binding(t, url, "quiet")
	run(t, "cycles", "--registry", url, "quiet").want(t, ran{code: 1, stderr: `registry: the process that has "quiet" does not tell what its objects refer to
Make its node with Options.Inspect set.
`})
	run(t, "cycles", "--registry", url, "nix").want(t, ran{code: 3, stderr: `registry: nothing is bound to "nix" at rmi://127.0.0.1:PORT
"registry list" prints the names that are bound.
`})
}
