package inspect_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/rmigo/rmigo/inspect"
	"github.com/rmigo/rmigo/internal/leak"
	"github.com/rmigo/rmigo/internal/testobj"
	"github.com/rmigo/rmigo/refs"
	"github.com/rmigo/rmigo/rmi"
	"github.com/rmigo/rmigo/stub"
)

// knot is an object that refers to others by name.
type knot map[string]testobj.Listener

func (k knot) RemoteRefs(yield func(string, any)) {
	for name, l := range k {
		yield(name, l)
	}
}

// knots is a process whose objects are all held; others answers for all other processes.
type knots struct {
	ids    []refs.ObjectID
	all    map[refs.ObjectID]*knot
	others inspect.Inspector
}

func (k *knots) HeldFor(time.Duration) []refs.ObjectID { return k.ids }
func (k *knots) Suspect(id refs.ObjectID) (any, time.Duration) {
	if o := k.all[id]; o != nil {
		return o, time.Hour
	}
	return nil, 0
}
func (k *knots) Inspector(refs.Ref) (inspect.Inspector, error) { return k.others, nil }

// exported makes an object in the process, and a stub of it elsewhere.
func (k *knots) exported(t *testing.T, owner, holder *rmi.Node) (*knot, testobj.Listener) {
	t.Helper()
	ref, err := rmi.Export(owner, testobj.RemoteListener.Of(&deaf{}))
	if err != nil {
		t.Fatal(err)
	}
	l := link(t, holder, ref)
	o := &knot{}
	k.ids = append(k.ids, ref.ID().Object)
	k.all[ref.ID().Object] = o
	return o, l
}

// link is a stub of what a reference names.
func link(t *testing.T, holder *rmi.Node, ref rmi.Ref) testobj.Listener {
	t.Helper()
	text, err := ref.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	l, err := rmi.Resolve(t.Context(), holder, testobj.RemoteListener, string(text))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestEachObjectOnACycleIsOnOneThatIsReported(t *testing.T) {
	leak.Check(t)
	owner, holder := node(t), node(t)
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 0))
		k := &knots{all: map[refs.ObjectID]*knot{}}
		n := 1 + random.IntN(9)
		objects, links, leads := make([]*knot, n), make([]testobj.Listener, n), make([][]bool, n)
		place := map[string]int{}
		for i := range n {
			objects[i], links[i] = k.exported(t, owner, holder)
			s, _ := stub.Of(links[i])
			place[s.Handle().ID().String()], leads[i] = i, make([]bool, n)
		}
		for range random.IntN(2 * n) {
			from, to := random.IntN(n), random.IntN(n)
			(*objects[from])[fmt.Sprint(to)] = links[to]
			leads[from][to] = true
		}
		cycles, err := inspect.New(owner.ID(), k).SuspectedCycles(t.Context(), time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		on := make([]bool, n)
		for _, c := range cycles {
			for i, s := range c.Steps {
				from, to := place[s.Object], place[c.Steps[(i+1)%len(c.Steps)].Object]
				if on[from] = true; s.Path != fmt.Sprint(to) || !leads[from][to] {
					t.Errorf("seed %d: a cycle goes from %d by %s to %d", seed, from, s.Path, to)
				}
			}
		}
		for i, there := range warshall(leads) {
			if there != on[i] {
				t.Errorf("seed %d: that %d is on a cycle is %v, and reported %v", seed, i, there, on[i])
			}
		}
	}
}

// warshall tells who leads to itself.
func warshall(leads [][]bool) (self []bool) {
	for k := range leads {
		for i := range leads {
			for j := range leads {
				leads[i][j] = leads[i][j] || leads[i][k] && leads[k][j]
			}
		}
	}
	for i := range leads {
		self = append(self, leads[i][i])
	}
	return self
}

// maze answers for a process whose objects each refer to many of those after it: there are many ways, and none back.
type maze struct {
	inspect.Inspector
	base     refs.Ref
	n, wide  int
	asked    int
	longPath bool
}

func (m *maze) Object(_ context.Context, id refs.ObjectID, _ time.Duration) (o inspect.Object, err error) {
	m.asked++
	at := int(id[1])<<8 | int(id[2])
	for i := at + 1; i <= at+m.wide && (m.n == 0 || i < m.n); i++ {
		r := inspect.Referent{Ref: m.base.Beside(refs.ObjectID{1, byte(i >> 8), byte(i)}, "x"), Path: "next"}
		if m.longPath {
			r.Path = strings.Repeat("é", 1<<11)
		}
		o.Refers = append(o.Refers, r)
	}
	return o, nil
}

func TestASearchTakesTimeInProportionToWhatThereIs(t *testing.T) {
	leak.Check(t)
	owner, holder, other := node(t), node(t), node(t)
	k := &knots{all: map[refs.ObjectID]*knot{}}
	somewhere, err := rmi.Export(other, testobj.RemoteListener.Of(&deaf{}))
	if err != nil {
		t.Fatal(err)
	}
	m := &maze{base: somewhere, n: 600, wide: 600}
	entrance := link(t, holder, somewhere.Beside(refs.ObjectID{1}, testobj.RemoteListener.Path))
	k.others = m
	for range 5000 {
		o, _ := k.exported(t, owner, holder)
		(*o)["entrance"] = entrance
	}
	c, cancel := context.WithTimeout(t.Context(), 20*time.Second) // to go through the maze from each of them would take minutes
	defer cancel()
	cycles, err := inspect.New(owner.ID(), k).SuspectedCycles(c, time.Minute)
	if len(cycles) != 0 || err != nil || m.asked != m.n {
		t.Errorf("in a maze of %d objects without a way back, asked %d, found %d cycles, %v", m.n, m.asked, len(cycles), err)
	}

	m.n, m.wide, m.longPath, m.asked = 0, 3, true, 0 // and now it has no end
	_, err = inspect.New(owner.ID(), k).SuspectedCycles(t.Context(), time.Minute)
	if err == nil || !strings.Contains(err.Error(), "more than") || m.asked > 10_000 {
		t.Errorf("in a maze without end, asked %d, %v; want to be told that it is too large", m.asked, err)
	}

	ended, end := context.WithCancelCause(t.Context())
	enough := errors.New("enough")
	end(enough)
	if _, err := inspect.New(owner.ID(), k).SuspectedCycles(ended, time.Minute); !errors.Is(err, enough) {
		t.Errorf("when the context ends: %v", err)
	}
}
