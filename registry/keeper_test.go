package registry_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rmigo/rmigo/internal/leak"
	"github.com/rmigo/rmigo/internal/testobj"
	"github.com/rmigo/rmigo/internal/transport"
	"github.com/rmigo/rmigo/refs"
	"github.com/rmigo/rmigo/registry"
	"github.com/rmigo/rmigo/rmi"
	"github.com/rmigo/rmigo/skeleton"
	"github.com/rmigo/rmigo/stub"
)

const (
	place = "tcp://registry:1099" // where the town's registry listens
	at    = "rmi://registry/"     // how it is named

	// within is the longest that a keeper waits between two attempts, with the spread that keeps many of them apart.
	within = 5*time.Second + 5*time.Second/4
)

// town is a network in which a registry comes and goes, under virtual time.
type town struct {
	t       *testing.T
	network *transport.Memory
	keeps   registry.Registry // what the present registry's process has
	host    *rmi.Node
}

// inTown runs a test in a bubble.
func inTown(t *testing.T, test func(t *testing.T, w *town)) {
	leak.Check(t)
	synctest.Test(t, func(t *testing.T) {
		test(t, &town{t: t, network: transport.NewMemory()})
	})
}

// open starts a process with an empty registry.
func (w *town) open() {
	w.t.Helper()
	reg, err := registry.New(registry.Options{})
	if err != nil {
		w.t.Fatal(err)
	}
	w.openWith(reg)
}

func (w *town) openWith(reg registry.Registry) {
	w.t.Helper()
	w.openEmpty()
	w.keeps = reg
	if err := rmi.ServeRegistry(w.host, reg); err != nil {
		w.t.Fatal(err)
	}
}

// openEmpty starts a process without a registry at the registry's place.
func (w *town) openEmpty() {
	w.t.Helper()
	w.host = newNode(w.t, rmi.Options{Network: w.network})
	listen(w.t, w.host, place)
}

// crash ends the registry's process, and with it all that it knew.
func (w *town) crash() {
	w.host.Close()
	synctest.Wait()
}

// node makes a process that may be found.
func (w *town) node(name string) *rmi.Node { return w.nodeLogging(name, nil) }

func (w *town) nodeLogging(name string, log *slog.Logger) *rmi.Node {
	w.t.Helper()
	n := newNode(w.t, rmi.Options{Network: w.network, Logger: log})
	listen(w.t, n, "tcp://"+name+":1")
	return n
}

func (w *town) bind(n *rmi.Node, names ...string) {
	w.t.Helper()
	for _, name := range names {
		if err := rmi.Bind(w.t.Context(), n, at+name, bound()); err != nil {
			w.t.Fatal(err)
		}
	}
}

// wantNames checks what the registry has now, asking it where it lives.
func (w *town) wantNames(why string, want ...string) {
	w.t.Helper()
	synctest.Wait()
	got, err := w.keeps.List(w.t.Context(), "")
	if err != nil || !slices.Equal(got, want) {
		w.t.Errorf("the registry has %q, %v; want %q: %s", got, err, want, why)
	}
}

// wantOwner checks whose object the name has.
func (w *town) wantOwner(name string, want *rmi.Node, why string) {
	w.t.Helper()
	obj, err := w.keeps.Lookup(w.t.Context(), name)
	if err != nil {
		w.t.Fatal(err)
	}
	if ref, _ := w.host.RefOf(obj); ref.ID().Process != want.ID() {
		w.t.Errorf("%q is an object of process %v; want %v: %s", name, ref.ID().Process, want.ID(), why)
	}
}

// elapse lets virtual time pass.
func elapse(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func TestBindingsReappearInANewRegistryAtOnce(t *testing.T) {
	inTown(t, func(t *testing.T, w *town) {
		w.open()
		a := w.node("a")
		w.bind(a, "x", "y")
		w.crash()
		w.open()
		elapse(63 * time.Millisecond) // the second attempt comes 50 ms after the first, and up to a quarter of that later
		w.wantNames("the owner noticed the loss and came back at once", "x", "y")
		w.wantOwner("x", a, "it bound it")
	})
}

func TestBindingsReappearHoweverLongTheRegistryWasAway(t *testing.T) {
	for _, away := range []time.Duration{time.Second, time.Minute, 24 * time.Hour} {
		t.Run(away.String(), func(t *testing.T) {
			inTown(t, func(t *testing.T, w *town) {
				w.open()
				w.bind(w.node("a"), "x")
				w.bind(w.node("b"), "y")
				w.crash()
				elapse(away)
				w.open()
				w.wantNames("nobody has noticed yet")
				elapse(within)
				w.wantNames("the owners have had their next attempts", "x", "y")
			})
		})
	}
}

func TestBindingsReappearEachTime(t *testing.T) {
	inTown(t, func(t *testing.T, w *town) {
		w.open()
		w.bind(w.node("a"), "x")
		for range 5 {
			w.crash()
			elapse(3 * time.Second)
			w.open()
			elapse(within)
			w.wantNames("the registry was restarted", "x")
		}
	})
}

func TestARestoredNameLeadsToItsObject(t *testing.T) {
	inTown(t, func(t *testing.T, w *town) {
		w.open()
		a, client := w.node("a"), w.node("client")
		old, current := bound(), bound()
		for _, b := range []skeleton.Bound{old, current} {
			if err := rmi.Rebind(t.Context(), a, at+"x", b); err != nil {
				t.Fatal(err)
			}
		}
		w.crash()
		w.open()
		elapse(within)
		got, err := rmi.Lookup(t.Context(), client, testobj.RemoteListener, at+"x")
		if err != nil {
			t.Fatal(err)
		}
		want, _ := a.RefOf(current.Impl())
		if ref, _ := client.RefOf(got); ref.ID() != want.ID() {
			t.Errorf("the name leads to %v, want %v: what was bound last", ref, want)
		}
		if text, err := got.Hear(t.Context(), "you?"); text != "you?" || err != nil {
			t.Errorf("the object answered %q, %v", text, err)
		}
	})
}

func TestAProcessThatHasNoRegistryYetIsAskedAgain(t *testing.T) {
	inTown(t, func(t *testing.T, w *town) {
		w.open()
		w.bind(w.node("a"), "x")
		w.crash()
		w.openEmpty()
		elapse(time.Minute)
		reg, err := registry.New(registry.Options{})
		if err != nil {
			t.Fatal(err)
		}
		w.keeps = reg
		if err := rmi.ServeRegistry(w.host, reg); err != nil {
			t.Fatal(err)
		}
		elapse(within)
		w.wantNames("the registry has been there for long enough", "x")
	})
}

func TestANameThatItsOwnerUnboundStaysFree(t *testing.T) {
	inTown(t, func(t *testing.T, w *town) {
		w.open()
		a := w.node("a")
		w.bind(a, "x", "y")
		if err := rmi.Unbind(t.Context(), a, at+"x"); err != nil {
			t.Fatal(err)
		}
		w.crash()
		w.open()
		elapse(within)
		w.wantNames("x was given up", "y")
	})
}

// A registry that was merely out of reach knows better than the owner what has become of a name.
func TestALostConnectionUndoesNothingInTheSameRegistry(t *testing.T) {
	inTown(t, func(t *testing.T, w *town) {
		w.open()
		a, b := w.node("a"), w.node("b")
		w.bind(a, "x", "y", "z")
		if err := rmi.Unbind(t.Context(), b, at+"x"); err != nil {
			t.Fatal(err)
		}
		if err := rmi.Rebind(t.Context(), b, at+"y", bound()); err != nil {
			t.Fatal(err)
		}
		w.network.Cut()
		elapse(within)
		w.wantNames("x was unbound", "y", "z")
		w.wantOwner("y", b, "b rebound it")
		w.wantOwner("z", a, "nobody touched it")
	})
}

func TestANameThatSomebodyElseTookIsGivenUpAndLogged(t *testing.T) {
	inTown(t, func(t *testing.T, w *town) {
		w.open()
		var log records
		a, b := w.nodeLogging("a", slog.New(&log)), w.node("b")
		w.bind(a, "x", "y")
		w.crash()
		elapse(time.Minute)
		w.open()
		w.bind(b, "x")
		elapse(within)
		w.wantNames("a restored y", "x", "y")
		w.wantOwner("x", b, "it was the first to bind it in the new registry")
		if got, want := log.errors(), []string{`binding lost url=rmi://registry:1099/x err="registry: \"x\": already bound"`}; !slices.Equal(got, want) {
			t.Errorf("the loser logged %q, want %q", got, want)
		}
		b.Close()
		w.crash()
		w.open()
		elapse(within)
		w.wantNames("a has given x up, and b is gone", "y")
	})
}

func TestOfTwoOwnersInTurnTheLaterOneIsRestored(t *testing.T) {
	inTown(t, func(t *testing.T, w *town) {
		w.open()
		a, b := w.node("a"), w.node("b")
		w.bind(a, "x")
		elapse(time.Second)
		if err := rmi.Rebind(t.Context(), b, at+"x", bound()); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			w.crash()
			elapse(time.Minute)
			w.open()
			elapse(within)
			w.wantOwner("x", b, "it bound it last, whoever of the two came back first")
		}
	})
}

// slow is a registry that takes its time to restore.
type slow struct {
	registry.Registry
	restored atomic.Int64
}

func (s *slow) Restore(ctx context.Context, name string, obj stub.Object, age time.Duration) error {
	time.Sleep(time.Second)
	s.restored.Add(1)
	return s.Registry.Restore(context.WithoutCancel(ctx), name, obj, age)
}

func newSlow(t *testing.T) *slow {
	t.Helper()
	reg, err := registry.New(registry.Options{RemoteWrites: true})
	if err != nil {
		t.Fatal(err)
	}
	return &slow{Registry: reg}
}

func TestAnyNumberOfBindingsIsRestoredOnceEach(t *testing.T) {
	inTown(t, func(t *testing.T, w *town) {
		w.open()
		var want []string
		for i := range 60 {
			want = append(want, fmt.Sprintf("x%02d", i))
		}
		w.bind(w.node("a"), want...)
		w.crash()
		s := newSlow(t)
		w.openWith(s)
		elapse(within + 60*time.Second)
		w.wantNames("each took a second", want...)
		if got := s.restored.Load(); got != 60 {
			t.Errorf("it took %d calls to restore 60 bindings, want one each", got)
		}
	})
}

func TestANameOfWhatEndedWithItsOwnerIsNotRestored(t *testing.T) {
	inTown(t, func(t *testing.T, w *town) {
		w.open()
		a := w.node("a")
		parent, child := bound(), bound()
		_, err := rmi.Export(a, parent)
		if err == nil {
			err = rmi.Bind(t.Context(), a, at+"x", child)
		}
		if err == nil {
			err = rmi.Owned(a, parent.Impl(), child.Impl())
		}
		if err == nil {
			err = rmi.Unexport(t.Context(), a, parent.Impl())
		}
		if err != nil {
			t.Fatal(err)
		}
		elapse(time.Second)
		w.wantNames("its object is gone")
		w.bind(a, "y")
		w.crash()
		s := newSlow(t)
		w.openWith(s)
		elapse(within + 10*time.Second)
		w.wantNames("only y is of an object that is there", "y")
		if got := s.restored.Load(); got != 1 {
			t.Errorf("%d names were restored, want one", got)
		}
	})
}

func TestANameGivenUpWhileItIsRestoredIsTakenBack(t *testing.T) {
	inTown(t, func(t *testing.T, w *town) {
		w.open()
		a := w.node("a")
		w.bind(a, "x")
		w.crash()
		w.openWith(newSlow(t))
		elapse(500 * time.Millisecond)
		if err := rmi.Unbind(t.Context(), a, at+"x"); !errors.Is(err, rmi.ErrNotBound) {
			t.Errorf("Unbind returned %v, want ErrNotBound: the new registry does not have the name yet", err)
		}
		elapse(within)
		w.wantNames("it was given up before the registry had restored it")
	})
}

// countedTransport counts who dials.
type countedTransport struct {
	transport.Transport
	dials *atomic.Int64
}

func (c countedTransport) Dial(ctx context.Context, endpoint string, hi transport.Greeting) (transport.Conn, error) {
	c.dials.Add(1)
	return c.Transport.Dial(ctx, endpoint, hi)
}

// dialCounter is the town's network seen by one process, whose dials it counts.
type dialCounter struct {
	*transport.Memory
	dials atomic.Int64
}

func (d *dialCounter) Sessions() transport.Transport {
	return countedTransport{d.Memory.Sessions(), &d.dials}
}

func TestARegistryThatIsAwayIsAskedForRarely(t *testing.T) {
	inTown(t, func(t *testing.T, w *town) {
		w.open()
		network := &dialCounter{Memory: w.network}
		a := newNode(t, rmi.Options{Network: network})
		listen(t, a, "tcp://a:1")
		w.bind(a, "x", "y", "z")
		w.crash()
		elapse(time.Minute)
		before := network.dials.Load()
		elapse(time.Hour)
		// One attempt each 5 s to 6.25 s, whatever the number of names.
		if got := network.dials.Load() - before; got < 576 || got > 720 {
			t.Errorf("%d attempts in an hour, want between 576 and 720", got)
		}
	})
}

func TestAClosedNodeKeepsNothing(t *testing.T) {
	for _, when := range []string{"connected", "away", "mute"} {
		t.Run(when, func(t *testing.T) {
			inTown(t, func(t *testing.T, w *town) {
				w.open()
				a := w.node("a")
				w.bind(a, "x")
				switch when {
				case "away":
					w.crash()
					elapse(time.Minute)
				case "mute":
					w.network.Stall(place)
					elapse(time.Minute)
				}
				start := time.Now()
				a.Close() // the bubble fails the test if a goroutine is left
				if took := time.Since(start); took > time.Second {
					t.Errorf("Close took %v, want less than a second", took)
				}
			})
		})
	}
}

func TestAKeeperIsClosedInTheMiddleOfRestoring(t *testing.T) {
	inTown(t, func(t *testing.T, w *town) {
		w.open()
		node, err := refs.New(refs.Options{Network: w.network}, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer node.Close()
		located := make(chan struct{})
		keeper := registry.NewKeeper(node, slog.New(slog.DiscardHandler), func(ctx context.Context, endpoint string) (registry.Registry, error) {
			close(located)
			<-ctx.Done()
			return nil, ctx.Err()
		})
		x, err := registry.ParseURL(at + "x")
		if err != nil {
			t.Fatal(err)
		}
		ref, err := node.Export(refs.Pinned, refs.ExportOptions{}, skeleton.AnyObject, new(listener))
		if err != nil {
			t.Fatal(err)
		}
		in, _, err := node.Session(t.Context(), x.Endpoint)
		if err != nil {
			t.Fatal(err)
		}
		obj, err := node.Resolve(skeleton.AnyObject, ref)
		if err != nil {
			t.Fatal(err)
		}
		keeper.Keep(x, obj.(stub.Object), in, time.Now())
		synctest.Wait()
		w.crash()
		w.open()
		<-located
		if got := keeper.Bindings(); !slices.Equal(got, []registry.URL{x}) {
			t.Errorf("the keeper has %v, want %v", got, x)
		}
		keeper.Close() // returns because it ends what locate waits for
		keeper.Keep(x, obj.(stub.Object), in, time.Now())
		if got := keeper.Bindings(); len(got) != 0 {
			t.Errorf("a closed keeper has %v, want nothing", got)
		}
	})
}

// records is a log handler that remembers errors as text.
type records struct {
	mu    sync.Mutex
	lines []string
}

func (r *records) Enabled(context.Context, slog.Level) bool { return true }
func (r *records) WithAttrs([]slog.Attr) slog.Handler       { return r }
func (r *records) WithGroup(string) slog.Handler            { return r }

func (r *records) Handle(_ context.Context, rec slog.Record) error {
	if rec.Level < slog.LevelError {
		return nil
	}
	line := rec.Message
	for a := range rec.Attrs {
		if text := a.Value.String(); a.Key == "err" {
			line += fmt.Sprintf(" err=%q", text)
		} else {
			line += " " + a.Key + "=" + text
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines, line)
	return nil
}

func (r *records) errors() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.lines)
}
