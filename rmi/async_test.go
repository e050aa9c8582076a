package rmi_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/rmigo/rmigo/internal/leak"
	"github.com/rmigo/rmigo/internal/testobj"
	"github.com/rmigo/rmigo/rmi"
	"github.com/rmigo/rmigo/stub"
)

// tree is a Dir. The log, which is all trees', has what was done, in order.
type tree struct {
	name string
	log  *effects
	slow bool // Append lasts until its caller gives it up

	mu    sync.Mutex
	text  string
	below map[string]testobj.Dir
}

type effects struct {
	mu   sync.Mutex
	done []string
}

func (e *effects) add(format string, args ...any) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.done = append(e.done, fmt.Sprintf(format, args...))
}

func (e *effects) String() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return strings.Join(e.done, "; ")
}

func newTree(name string, log *effects) *tree {
	return &tree{name: name, log: log, below: map[string]testobj.Dir{}}
}

func (d *tree) Open(_ context.Context, name string) (testobj.Dir, error) {
	d.log.add("%s.open(%s)", d.name, name)
	if name == "missing" {
		return nil, testobj.ErrEmpty
	}
	if name == "nothing" {
		return nil, nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.below[name] == nil {
		d.below[name] = newTree(d.name+"/"+name, d.log)
	}
	return d.below[name], nil
}

func (d *tree) Append(ctx context.Context, text string) error {
	if d.slow {
		<-ctx.Done()
		return ctx.Err()
	}
	d.log.add("%s+%s", d.name, text)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.text += text
	return nil
}

func (d *tree) Read(context.Context) (string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.log.add("%s.read", d.name)
	return d.text, nil
}

func (d *tree) Stat(context.Context) (int, int64, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.below), int64(len(d.text)), nil
}

func (d *tree) Link(_ context.Context, name string, to testobj.Dir) error {
	d.log.add("%s.link(%s)", d.name, name)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.below[name] = to
	return nil
}

func (d *tree) Mirror(ctx context.Context) (testobj.Dir, error) { return d.Open(ctx, "mirror") }

// trees serves a tree, and returns a stub of it in another node.
func (w *world) trees(o rmi.Options) (impl *tree, remote testobj.Dir, server, client *rmi.Node) {
	w.t.Helper()
	server, _ = w.server(o)
	client = w.node(o)
	impl = newTree("", &effects{})
	return impl, w.treeStub(server, client, impl), server, client
}

func (w *world) treeStub(server, client *rmi.Node, impl *tree) testobj.Dir {
	w.t.Helper()
	ref, err := rmi.Export(server, testobj.RemoteDir.Of(impl))
	if err != nil {
		w.t.Fatal(err)
	}
	return resolved(w.t, client, testobj.RemoteDir, ref)
}

func wait[R any](t *testing.T, f *rmi.Future[R]) R {
	t.Helper()
	r, err := f.Wait(ctx(t))
	if err != nil {
		t.Error(err)
	}
	return r
}

func TestAsynchronousCallsReturnFutures(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		_, remote, _, _ := w.trees(rmi.Options{})
		view := testobj.AsyncDirOf(remote)
		var all []*rmi.Future[testobj.AsyncDirStat]
		wait(t, view.Append(ctx(t), "abc"))
		for range 1000 { // at once
			all = append(all, view.Stat(ctx(t)))
		}
		for _, f := range all {
			if got := wait(t, f); got.Bytes != 3 || got.Entries != 0 {
				t.Fatalf("Stat = %+v", got)
			}
			<-f.Done()
		}
		impl := testobj.AsyncDirOf(newTree("local", &effects{})) // of this process
		wait(t, impl.Open(ctx(t), "a").Append(ctx(t), "xyz"))
		if got := wait(t, impl.Open(ctx(t), "a").Read(ctx(t))); got != "xyz" {
			t.Errorf("a view of a local object reads %q", got)
		}
		if _, err := impl.Open(ctx(t), "missing").Open(ctx(t), "b").Read(ctx(t)).Wait(ctx(t)); !errors.Is(err, testobj.ErrEmpty) || !errors.Is(err, rmi.ErrBroken) {
			t.Errorf("on a local object that there is not: %v", err)
		}
	})
}

func TestEachAsynchronousCallIsCancelledByItself(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		impl, remote, _, _ := w.trees(rmi.Options{})
		impl.slow = true
		view := testobj.AsyncDirOf(remote)
		slow := view.Append(ctx(t), "never")
		if slow.Err() != nil {
			t.Error("it has ended")
		}
		quick := view.Stat(ctx(t))
		wait(t, quick)
		slow.Cancel()
		if _, err := slow.Wait(ctx(t)); !errors.Is(err, context.Canceled) || !rmi.MayHaveRun(err) {
			t.Errorf("a call that was cancelled: %v", err)
		}
		if !errors.Is(slow.Err(), context.Canceled) {
			t.Errorf("Err = %v", slow.Err())
		}
	})
}

func TestCallsOnPromisesTravelAtOnce(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		impl, remote, _, _ := w.trees(rmi.Options{})
		c := ctx(t)
		root := testobj.AsyncDirOf(remote)
		a := root.Open(c, "a")
		b := a.Open(c, "b")
		x, y := b.Append(c, "x"), b.Append(c, "y")
		linked := a.Link(c, "twin", b.Promise()) // before there is a b
		twin := a.Open(c, "twin").Append(c, "z")
		got := b.Read(c)
		for _, f := range []*rmi.Future[stub.None]{x, y, linked, twin} {
			wait(t, f)
		}
		if got := wait(t, got); got != "xyz" {
			t.Errorf("b reads %q, want xyz", got)
		}
		const want = ".open(a); /a.open(b); /a/b+x; /a/b+y; /a.link(twin); /a.open(twin); /a/b+z; /a/b.read"
		if impl.log.String() != want {
			t.Errorf("done was\n%s\nwant\n%s", impl.log, want)
		}
		here, err := rmi.Await(c, b.Promise())
		if err != nil {
			t.Fatal(err)
		}
		if text, err := here.Read(c); text != "xyz" || err != nil {
			t.Errorf("the object itself reads %q, %v", text, err)
		}
		if text, err := b.Promise().Read(c); text != "xyz" || err != nil {
			t.Errorf("a synchronous call on a promise reads %q, %v", text, err)
		}
		if !rmi.Same(here, b.Promise()) {
			t.Error("the promise is not the same object as what it has become")
		}
	})
}

func TestWhatDependsOnAFailureHasItsCause(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		impl, remote, _, _ := w.trees(rmi.Options{})
		c := ctx(t)
		missing := testobj.AsyncDirOf(remote).Open(c, "a").Open(c, "missing")
		deep := missing.Open(c, "b").Open(c, "c").Read(c)
		argument := testobj.AsyncDirOf(remote).Open(c, "other").Link(c, "x", missing.Promise())
		for name, f := range map[string]interface {
			Done() <-chan struct{}
			Err() error
		}{"of a call on it": deep, "with it": argument} {
			<-f.Done()
			err := f.Err()
			var e *rmi.Error
			if !errors.As(err, &e) || e.Kind != rmi.ErrBroken || e.Err != testobj.ErrEmpty || rmi.MayHaveRun(err) {
				t.Errorf("the error %s is %v; want ErrBroken by the first cause, not run", name, err)
			}
		}
		if _, err := rmi.Await(c, missing.Promise()); err != testobj.ErrEmpty {
			t.Errorf("Await = %v", err)
		}
		if _, err := testobj.AsyncDirOf(remote).Open(c, "nothing").Read(c).Wait(c); !errors.Is(err, rmi.ErrBroken) {
			t.Errorf("a call on nil: %v", err)
		}
		if got := impl.log.String(); strings.Contains(got, "read") || strings.Contains(got, "link") {
			t.Errorf("done was %s", got)
		}
	})
}

func TestOrderIsKeptWhenWhatWasPromisedLivesElsewhere(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		impl, remote, _, client := w.trees(rmi.Options{})
		third, _ := w.server(rmi.Options{})
		c := ctx(t)
		log := impl.log
		far := newTree("far", log)
		home := newTree("home", log)
		if err := remote.Link(c, "far", w.treeStub(third, client, far)); err != nil {
			t.Fatal(err)
		}
		if err := remote.Link(c, "home", home); err != nil {
			t.Fatal(err)
		}
		log.done = nil
		near := testobj.AsyncDirOf(remote).Open(c, "near")
		self := near.Open(c, "x")
		wait(t, near.Link(c, "far", resolvedDir(t, c, remote, "far")))
		log.done = nil
		away := near.Open(c, "far")
		var all []*rmi.Future[stub.None]
		all = append(all, self.Append(c, "1"), away.Append(c, "2"), self.Append(c, "3"), away.Append(c, "4"), away.Link(c, "back", self.Promise()))
		back := away.Open(c, "back")
		all = append(all, back.Append(c, "5"), self.Append(c, "6"))
		got := back.Read(c)
		for _, f := range all {
			wait(t, f)
		}
		if text := wait(t, got); text != "1356" {
			t.Errorf("it reads %q", text)
		}
		const want = "/near.open(far); /near/x+1; far+2; /near/x+3; far+4; far.link(back); far.open(back); /near/x+5; /near/x+6; /near/x.read"
		if log.String() != want {
			t.Errorf("done was\n%s\nwant\n%s", log, want)
		}
		atHome := testobj.AsyncDirOf(remote).Open(c, "home") // of this very process
		one, two := atHome.Append(c, "1"), atHome.Append(c, "2")
		wait(t, one)
		wait(t, two)
		if home.text != "12" {
			t.Errorf("home has %q", home.text)
		}
	})
}

func resolvedDir(t *testing.T, c context.Context, d testobj.Dir, name string) testobj.Dir {
	t.Helper()
	got, err := d.Open(c, name)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestPromisesAreObjectsToAllElse(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		_, remote, _, client := w.trees(rmi.Options{})
		c := ctx(t)
		root := testobj.AsyncDirOf(remote)
		if d, err := rmi.Narrow(c, testobj.RemoteDir, root.Open(c, "a").Promise()); err != nil || d == nil {
			t.Errorf("Narrow = %v, %v", d, err)
		}
		if _, err := rmi.Describe(c, root.Open(c, "a").Promise()); err != nil {
			t.Errorf("Describe: %v", err)
		}
		if got, err := rmi.Invoke(c, client, root.Open(c, "a").Promise(), "Read"); err != nil || len(got) != 1 {
			t.Errorf("Invoke = %v, %v", got, err)
		}
		a, b := root.Open(c, "a").Promise(), root.Open(c, "b").Promise()
		if rmi.Same(a, b) || !rmi.Same(a, a) {
			t.Error("two promises are the same, or one is not the same as itself")
		}
		rmi.Release(root.Open(c, "a").Promise())
		t.Log(root.Open(c, "a"))
		local := testobj.AsyncDirOf(newTree("", &effects{}))
		broken := local.Open(c, "missing").Promise()
		for name, err := range map[string]error{
			"Narrow": second(rmi.Narrow(c, testobj.RemoteDir, broken)), "Describe": second(rmi.Describe(c, broken)), "Monitor": rmi.Monitor(c, broken),
			"Await": second(rmi.Await(c, broken)), "Link": remote.Link(c, "x", broken),
		} {
			if !errors.Is(err, testobj.ErrEmpty) {
				t.Errorf("%s of what is broken: %v", name, err)
			}
		}
		if rmi.Same(broken, remote) || rmi.Same(broken, newTree("", nil)) {
			t.Error("what is broken is the same as something")
		}
		rmi.Release(broken)
		t.Log(broken)
		if err := rmi.Flush(c, broken); err != nil {
			t.Error(err)
		}
	})
}

func second[T any](_ T, err error) error { return err }

func TestABatchRunsInOrder(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		impl, remote, server, client := w.trees(rmi.Options{})
		other := w.treeStub(server, client, newTree("other", impl.log))
		var first, second *rmi.Future[stub.None]
		var bad, got *rmi.Future[string]
		err := rmi.Batch(ctx(t), func(c context.Context) error {
			root, beside := testobj.AsyncDirOf(remote), testobj.AsyncDirOf(other)
			first = root.Append(c, "a")
			second = beside.Append(c, "b")
			bad = root.Open(c, "missing").Read(c)
			got = root.Open(c, "new").Read(c)
			if len(impl.log.String()) > 0 {
				t.Error("something has run before the batch was sent")
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		wait(t, first)
		wait(t, second)
		if _, err := bad.Wait(ctx(t)); !errors.Is(err, testobj.ErrEmpty) {
			t.Errorf("the item that fails: %v", err)
		}
		wait(t, got)
		if got := impl.log.String(); got != "+a; other+b; .open(missing); .open(new); /new.read" {
			t.Errorf("done was %s", got)
		}
		stopped := errors.New("changed my mind")
		if err := rmi.Batch(ctx(t), func(c context.Context) error {
			first = testobj.AsyncDirOf(remote).Append(c, "c")
			return stopped
		}); err != stopped {
			t.Errorf("Batch = %v", err)
		}
		if _, err := first.Wait(ctx(t)); !errors.Is(err, stopped) || rmi.MayHaveRun(err) {
			t.Errorf("a call of a batch that was not sent: %v", err)
		}
		if err := rmi.Batch(ctx(t), func(c context.Context) error {
			_, err := testobj.AsyncDirOf(remote).Append(c, "d").Wait(c) // sends what there is
			return err
		}); err != nil {
			t.Error(err)
		}
	})
}

func TestAThousandCallsAreOneBatch(t *testing.T) {
	leak.Check(t)
	impl, remote, _, _ := tcpWorld(t).trees(rmi.Options{})
	var all []*rmi.Future[stub.None]
	want := ""
	if err := rmi.Batch(ctx(t), func(c context.Context) error {
		for i := range 1000 {
			all = append(all, testobj.AsyncDirOf(remote).Append(c, fmt.Sprint(i)))
			want += fmt.Sprint(i)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		wait(t, f)
	}
	if impl.text != want {
		t.Error("they ran in another order")
	}
}
