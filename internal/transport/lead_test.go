package transport_test

import (
	"bytes"
	"io"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/rmigo/rmigo/internal/leak"
	"github.com/rmigo/rmigo/internal/transport"
)

// A crew is a sink that works off what it gets, as work says, and notices when two goroutines receive for it at a time.
type crew struct {
	*sink
	idle    atomic.Bool // it has worked since it received something
	work    func(lead *transport.Lead) (wants bool)
	inside  atomic.Int32
	crossed atomic.Bool
}

func newCrew(work func(lead *transport.Lead) bool) *crew { return &crew{sink: newSink(), work: work} }

func (c *crew) Receive(p []byte) error {
	if c.inside.Add(1) > 1 {
		c.crossed.Store(true)
	}
	defer c.inside.Add(-1)
	c.idle.Store(false)
	return c.sink.Receive(p)
}

func (c *crew) Filled(n int) error { return c.Receive(c.room[:n]) }

func (c *crew) Work(lead *transport.Lead) bool {
	c.idle.Store(true)
	return c.work(lead)
}

// overSockets runs the test over the transports whose sessions give leads.
func overSockets(t *testing.T, test func(t *testing.T, at place)) {
	everywhere(t, func(t *testing.T, at place) {
		if at.endpoint != "tcp://a:0" {
			test(t, at)
		}
	})
}

// attached opens a stream to a crew.
func attached(t *testing.T, at place, c *crew) (from, to transport.Stream, receiving transport.Session) {
	t.Helper()
	dialled, accepted := at.sessions(t)
	from, to = open(t, dialled, accepted)
	to.Attach(c)
	return from, to, accepted
}

// led says "a" and "b" to a crew that wants a lead, and returns what it tells when it has one.
func led[T any](t *testing.T, from io.Writer, c *crew, working <-chan T) T {
	t.Helper()
	say(t, from, "a")
	c.has(t, 1)
	say(t, from, "b")
	return arrives(t, working, "work with a lead")
}

func say(t *testing.T, to io.Writer, text string) {
	t.Helper()
	_, err := io.WriteString(to, text)
	must(t, err)
}

func TestAWorkerWorksAfterEachArrivalAndGetsALeadOnlyWhenItWantsOne(t *testing.T) {
	everywhere(t, func(t *testing.T, at place) {
		leads := make(chan bool, 100)
		var wants atomic.Bool
		c := newCrew(func(lead *transport.Lead) bool {
			leads <- lead != nil
			return wants.Load()
		})
		from, _, _ := attached(t, at, c)
		for range 3 {
			say(t, from, "x")
			if arrives(t, leads, "work") {
				t.Error("a lead was given that nobody wanted")
			}
		}
		wants.Store(true)
		say(t, from, "x")
		arrives(t, leads, "work")
		say(t, from, "x")
		if given := arrives(t, leads, "work"); given != (at.endpoint != "tcp://a:0") {
			t.Errorf("a lead was given: %v", given)
		}
	})
}

func TestBytesGoOnArrivingWhileAWorkerWorksWhoseLeadWasPassed(t *testing.T) {
	leak.Check(t)
	overSockets(t, func(t *testing.T, at place) {
		working, leave := make(chan *transport.Lead), make(chan struct{})
		var lasts atomic.Bool
		c := newCrew(func(lead *transport.Lead) bool {
			if lead != nil && lasts.CompareAndSwap(false, true) {
				working <- lead
				<-leave
			}
			return true
		})
		from, _, _ := attached(t, at, c)
		lead := led(t, from, c, working)
		say(t, from, "c")
		if got := string(c.has(t, 2)); got != "ab" {
			t.Errorf("%q was received while the lead was lent", got)
		}
		lead.Pass()
		lead.Pass() // for nothing
		say(t, from, "d")
		if got := string(c.has(t, 4)); got != "abcd" {
			t.Errorf("got %q", got)
		}
		close(leave)
		say(t, from, "e")
		c.has(t, 5)
		lead.Pass() // it is another one's by now
		say(t, from, "f")
		if got := string(c.has(t, 6)); got != "abcdef" || c.crossed.Load() {
			t.Errorf("got %q; two goroutines received at a time: %v", got, c.crossed.Load())
		}
	})
}

func TestWorkThatEndsItsGoroutineLeavesReceivingToAnother(t *testing.T) {
	leak.Check(t)
	overSockets(t, func(t *testing.T, at place) {
		var ended atomic.Int32
		c := newCrew(func(lead *transport.Lead) bool {
			if lead != nil {
				ended.Add(1)
				runtime.Goexit()
			}
			return true
		})
		from, _, _ := attached(t, at, c)
		for i := range 10 {
			say(t, from, "x")
			c.has(t, i+1)
		}
		if ended.Load() < 5 {
			t.Errorf("%d goroutines ended in their work: the test shows nothing", ended.Load())
		}
	})
}

func TestAnIdleStreamGivesItsLeadBack(t *testing.T) {
	leak.Check(t)
	overSockets(t, func(t *testing.T, at place) {
		leads := make(chan bool, 100)
		var wants atomic.Bool
		wants.Store(true)
		c := newCrew(func(lead *transport.Lead) bool {
			leads <- lead != nil
			return wants.Load()
		})
		from, to, _ := attached(t, at, c)
		for round := range 3 {
			wants.Store(true)
			for given := false; !given; given = arrives(t, leads, "work") {
				say(t, from, "x")
			}
			wants.Store(false)
			for given := true; given; given = arrives(t, leads, "work") {
				to.Shrink()
				say(t, from, "x")
			}
			say(t, from, "x")
			if arrives(t, leads, "work") {
				t.Errorf("round %d: a lead that was given back was given again though nobody wants it", round)
			}
		}
	})
}

func TestClosingASessionDoesNotWaitForWork(t *testing.T) {
	leak.Check(t)
	overSockets(t, func(t *testing.T, at place) {
		working, leave := make(chan struct{}), make(chan struct{})
		c := newCrew(func(lead *transport.Lead) bool {
			if lead != nil {
				close(working)
				<-leave
			}
			return true
		})
		from, _, receiving := attached(t, at, c)
		led(t, from, c, working)
		closed := make(chan error, 1)
		go func() { closed <- receiving.Close() }()
		must(t, arrives(t, closed, "the end of Close"))
		arrives(t, c.ended, "the end of the stream")
		close(leave)
	})
}

func TestTheCauseOfAnEndIsToldByWhoeverReceivesAfterItsWork(t *testing.T) {
	leak.Check(t)
	for _, wants := range []bool{false, true} {
		everywhere(t, func(t *testing.T, at place) {
			leads := make(chan bool, 100)
			c := newCrew(func(lead *transport.Lead) bool {
				leads <- lead != nil
				return wants
			})
			from, _, receiving := attached(t, at, c)
			say(t, from, "x")
			for led := arrives(t, leads, "work"); led != (wants && at.endpoint != "tcp://a:0"); led = arrives(t, leads, "work") {
				say(t, from, "x")
			}
			c.mu.Lock()
			c.fails = io.ErrNoProgress
			c.mu.Unlock()
			say(t, from, "x")
			arrives(t, receiving.Done(), "the end of the session")
			wantError(t, receiving.Err(), io.ErrNoProgress, "the receiver said so")
			arrives(t, c.ended, "the end of the stream")
			if !c.idle.Load() {
				t.Errorf("with a lead, %v: what came before the error was not worked off", wants)
			}
		})
	}
}

// meddle passes the last lead and shrinks the stream until stop is closed.
func meddle(last *atomic.Pointer[transport.Lead], to transport.Stream, stop chan struct{}) {
	for i := 0; ; i++ {
		select {
		case <-stop:
			return
		default:
		}
		if lead := last.Load(); lead != nil {
			lead.Pass()
		}
		if i%5 == 0 {
			to.Shrink()
		}
		runtime.Gosched()
	}
}

// Whoever passes leads, and whenever, all bytes come in order, to one goroutine at a time, and streams open and close meanwhile.
func TestLeadsThatArePassedAtAnyTimeLoseNothing(t *testing.T) {
	leak.Check(t)
	overSockets(t, func(t *testing.T, at place) {
		var last atomic.Pointer[transport.Lead]
		var n atomic.Int64
		c := newCrew(func(lead *transport.Lead) bool {
			if lead != nil {
				last.Store(lead)
				for range n.Add(1) % 7 {
					runtime.Gosched()
				}
			}
			return true
		})
		dialled, accepted := at.sessions(t)
		from, to := open(t, dialled, accepted)
		to.Attach(c)
		stop := make(chan struct{})
		var meddling sync.WaitGroup
		meddling.Go(func() { meddle(&last, to, stop) })
		seed := rand.Uint64()
		t.Logf("seed %d", seed)
		random := rand.New(rand.NewPCG(seed, 1))
		sent := make([]byte, 3<<20)
		for i := range sent {
			sent[i] = byte(random.Uint32())
		}
		for rest := sent; len(rest) > 0; {
			k := min(1+random.IntN(1<<random.IntN(18)), len(rest))
			_, err := from.Write(rest[:k])
			must(t, err)
			rest = rest[k:]
			if random.IntN(100) == 0 {
				a, b := open(t, dialled, accepted)
				carry(t, a, b, "meanwhile")
				must(t, a.Close())
				must(t, b.Close())
			}
		}
		if !bytes.Equal(c.has(t, len(sent)), sent) {
			t.Error("other bytes came than were sent")
		}
		close(stop)
		meddling.Wait()
		if c.crossed.Load() {
			t.Error("two goroutines received at a time")
		}
	})
}
