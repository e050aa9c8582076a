package refs

import (
	"context"
	"runtime"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/rmigo/rmigo/internal/leak"
	"github.com/rmigo/rmigo/internal/wire"
)

// permitted is a link with a bulk session all of whose permits are held.
func permitted(t *testing.T) (l *link, held []*permit) {
	n, err := New(Options{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	l = n.home
	l.bulk.Store(&bulk{l: l})
	for range mostPermits {
		p := l.permit(t.Context(), leastPermitted)
		if p == nil {
			t.Fatal("a large message has no permit")
		}
		held = append(held, p)
	}
	return l, held
}

func TestALargeMessageWaitsUntilAnotherOneIsSent(t *testing.T) {
	leak.Check(t)
	for _, tt := range []struct {
		name  string
		ends  func(l *link, held []*permit, giveUp func())
		after time.Duration
		none  bool
	}{
		{"AnotherOneIsSent", func(_ *link, held []*permit, _ func()) { held[1].leave() }, time.Millisecond, false},
		{"ItIsGivenUp", func(_ *link, _ []*permit, giveUp func()) { giveUp() }, time.Millisecond, true},
		{"TheLinkEnds", func(l *link, _ []*permit, _ func()) { l.node.Close() }, time.Millisecond, true},
		{"AnotherOneTakesLong", func(*link, []*permit, func()) {}, permitLease, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l, held := permitted(t)
				c, giveUp := context.WithCancel(t.Context())
				defer giveUp()
				begin := time.Now()
				ahead := make(chan *permit, 1)
				go func() { ahead <- l.permit(c, mostPermitted) }()
				time.Sleep(time.Millisecond)
				if len(ahead) > 0 {
					t.Fatalf("message %d does not wait", mostPermits+1)
				}
				tt.ends(l, held, giveUp)
				if p := <-ahead; (p == nil) != tt.none {
					t.Errorf("it has a permit: %t, want %t", p != nil, !tt.none)
				}
				if took := time.Since(begin); took != tt.after {
					t.Errorf("it has waited for %v, want %v", took, tt.after)
				}
				l.node.Close()
			})
		})
	}
}

func TestMemoryThatTakesNoPermit(t *testing.T) {
	leak.Check(t)
	l, _ := permitted(t)
	defer l.node.Close()
	for _, size := range []int{leastPermitted - 1, mostPermitted + 1} {
		if l.permit(t.Context(), size) != nil {
			t.Errorf("%d bytes have a permit", size)
		}
	}
	l.bulk.Store(nil)
	if l.permit(t.Context(), leastPermitted) != nil {
		t.Error("there is a permit where there is no bulk session")
	}
}

// Whatever has become of messages before, no more than so many have permits, and those who wait get them in their order.
func TestNoMoreThanSoManyHavePermits(t *testing.T) {
	leak.Check(t)
	synctest.Test(t, func(t *testing.T) {
		l, lost := permitted(t) // which are kept for longer than they last
		c, giveUp := context.WithCancel(t.Context())
		for range 3 {
			go l.permit(c, leastPermitted)
		}
		synctest.Wait()
		giveUp()
		synctest.Wait()
		p := &l.bulk.Load().permits
		if len(p.waiting) != 0 || len(p.held) != mostPermits {
			t.Fatalf("%d wait and %d have permits after those who waited have given up, want none and %d", len(p.waiting), len(p.held), mostPermits)
		}
		const messages, each = 20, 5 * time.Millisecond
		begin, next := time.Now(), make(chan int, messages)
		under := 0
		for i := range messages {
			go func() {
				mine := l.permit(t.Context(), leastPermitted)
				p.mu.Lock()
				if under++; under > mostPermits {
					t.Errorf("%d messages at once", under)
				}
				p.mu.Unlock()
				next <- i
				time.Sleep(each)
				p.mu.Lock()
				under--
				p.mu.Unlock()
				mine.leave()
			}()
			synctest.Wait()
		}
		time.Sleep(permitLease + each/2)
		for _, late := range lost {
			late.leave() // of others by now
		}
		for want := range messages {
			if got := <-next; got/mostPermits != want/mostPermits {
				t.Errorf("message %d has its turn when that of %d is", got, want)
			}
		}
		if took, want := time.Since(begin), permitLease+each*(messages/mostPermits-1); took != want {
			t.Errorf("%d messages began within %v, want %v", messages, took, want)
		}
		time.Sleep(each)
		synctest.Wait()
		p.mu.Lock()
		if len(p.held) != 0 {
			t.Errorf("%d permits are held, want none", len(p.held))
		}
		p.mu.Unlock()
		l.node.Close()
	})
}

func TestAMessageThatIsLargerThanItBeganHasNoPermit(t *testing.T) {
	leak.Check(t)
	synctest.Test(t, func(t *testing.T) {
		l, held := permitted(t)
		held[0].leave()
		for what, begin := range map[string]func() (get func(int) []byte, has func() bool){
			"arguments": func() (func(int) []byte, func() bool) {
				c := &Outgoing{handle: &Handle{peer: l.peer}, ctx: t.Context(), link: l}
				return (*argumentMemory)(c).Get, func() bool { return c.permit != nil }
			},
			"results": func() (func(int) []byte, func() bool) {
				in := &Incoming{node: l.node, ctx: &callContext{link: l}}
				return (*resultMemory)(in).Get, func() bool { return in.permit != nil }
			},
		} {
			get, has := begin()
			for _, step := range []struct {
				n    int
				want bool
			}{{1000, false}, {leastPermitted, true}, {1000, true}, {mostPermitted, true}, {mostPermitted + 1, false}} {
				if get(step.n); has() != step.want {
					t.Errorf("%s: after memory of %d bytes there is a permit: %t, want %t", what, step.n, has(), step.want)
				}
			}
		}
		l.node.Close()
	})
}

func TestACallThatHasEndedKeepsNoMessage(t *testing.T) {
	leak.Check(t)
	n, err := New(Options{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	message := func() []byte {
		var e wire.Encoder
		e.Reset(n.codec, nil, nil, "result", nil)
		e.Bytes(make([]byte, 1<<20))
		data, err := e.Finish()
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	read := func(d *wire.Decoder) weak.Pointer[byte] {
		d.Reset(n.codec, nil, nil, "result", message())
		d.Lend()
		var kept []byte
		d.Bytes(&kept)
		if err := d.Finish(); err != nil || !d.Kept() {
			t.Fatalf("the message is kept by what was read of it: %t, %v", d.Kept(), err)
		}
		return weak.Make(&kept[0])
	}
	written := func(e *wire.Encoder) weak.Pointer[byte] {
		e.Reset(n.codec, nil, nil, "argument", nil)
		data := message()
		e.Borrow(&given{data})
		e.Bytes(data[:1<<18])
		return weak.Make(&data[0])
	}
	made, served := n.newOutgoing(), n.newIncoming()
	made.handle = &Handle{peer: n.home.peer}
	for what, message := range map[string]weak.Pointer[byte]{
		"result":                         read(&made.Results),
		"argument":                       read(&served.Args),
		"argument that was not finished": written(&made.Args),
		"result that was not finished":   written(&served.Results),
	} {
		defer func() {
			if message.Value() != nil {
				t.Errorf("the %s of a call that has ended is held, and nobody has it", what)
			}
		}()
	}
	made.drop()
	served.clear()
	runtime.GC()
	runtime.KeepAlive(made)
	runtime.KeepAlive(served)
}

// given is a wire.Buffers that has one.
type given struct{ b []byte }

func (g *given) Get(n int) (b []byte) {
	b, g.b = g.b[:n], nil
	return b
}

func (*given) Put([]byte) {}
