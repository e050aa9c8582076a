package rmi_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rmigo/rmigo/internal/leak"
	"github.com/rmigo/rmigo/internal/testobj"
	"github.com/rmigo/rmigo/internal/transport"
	"github.com/rmigo/rmigo/rmi"
)

// meter implements testobj.Meter.
type meter struct {
	on func(ctx context.Context, method string) error // what each method comes to; nil: nothing

	mu    sync.Mutex
	log   []string // the methods that ran
	total int64
}

func (m *meter) run(ctx context.Context, method string) error {
	m.mu.Lock()
	m.log = append(m.log, method)
	m.mu.Unlock()
	if m.on == nil {
		return nil
	}
	return m.on(ctx, method)
}

func (m *meter) ran() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return strings.Join(m.log, " ")
}

func (m *meter) Read(ctx context.Context) (int64, error) {
	err := m.run(ctx, "Read")
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.total, err
}

func (m *meter) Wait(ctx context.Context) error { return m.run(ctx, "Wait") }

func (m *meter) Add(ctx context.Context, n int64) (int64, error) {
	err := m.run(ctx, fmt.Sprint("Add", n))
	m.mu.Lock()
	defer m.mu.Unlock()
	m.total += n
	return m.total, err
}

func (m *meter) Part(ctx context.Context, name string) (testobj.Meter, error) {
	return m, m.run(ctx, "Part "+name)
}

func (m *meter) Attach(ctx context.Context, l testobj.Listener) (testobj.Listener, error) {
	return l, m.run(ctx, "Attach")
}

func (m *meter) Tick(ctx context.Context, n int64) error { return m.run(ctx, fmt.Sprint("Tick", n)) }

// policyBench is a meter in one node, and its stub in another, in memory.
type policyBench struct {
	impl     *meter
	server   *rmi.Node
	client   *rmi.Node
	endpoint string
	memory   *transport.Memory
	plain    testobj.Meter

	begun time.Time

	mu      sync.Mutex
	arrived []time.Duration // when calls arrived at the server
	refuse  []error         // what its interceptor makes of them, in order; nil: nothing
}

// policies runs a test in a bubble.
func policies(t *testing.T, client rmi.Options, test func(t *testing.T, b *policyBench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := memoryWorld(t)
		b := &policyBench{impl: &meter{}, memory: w.network.(*transport.Memory), begun: time.Now()}
		b.server, b.endpoint = w.server(rmi.Options{Inbound: []rmi.Interceptor{b.arrive}})
		b.client = w.node(client)
		ref, err := rmi.Export(b.server, testobj.RemoteMeter.Of(b.impl))
		if err != nil {
			t.Fatal(err)
		}
		b.plain = resolved(t, b.client, testobj.RemoteMeter, ref)
		test(t, b)
	})
}

// arrive notes when a call comes, and refuses it if it is to.
func (b *policyBench) arrive(ctx context.Context, _ *rmi.Call, next func(context.Context) error) error {
	if err := b.refusal(); err != nil {
		return err
	}
	return next(ctx)
}

func (b *policyBench) refusal() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.arrived = append(b.arrived, time.Since(b.begun))
	if i := len(b.arrived) - 1; i < len(b.refuse) {
		return b.refuse[i]
	}
	return nil
}

// attempts is when calls arrived at the server.
func (b *policyBench) attempts() []time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.arrived)
}

// refusing has the next calls refused, and forgets those before.
func (b *policyBench) refusing(refuse ...error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.arrived, b.refuse = nil, refuse
}

func (b *policyBench) expect(t *testing.T, what string, at ...time.Duration) {
	t.Helper()
	if got := b.attempts(); !slices.Equal(got, at) {
		t.Errorf("%s: attempts arrived after %v, want %v", what, got, at)
	}
}

// refusals is so many times the same error.
func refusals(n int, err error) []error { return slices.Repeat([]error{err}, n) }

const ms = time.Millisecond

func TestARefusedCallIsMadeAgainAfterPausesThatDouble(t *testing.T) {
	leak.Check(t)
	policies(t, rmi.Options{}, func(t *testing.T, b *policyBench) {
		b.refusing(refusals(6, rmi.ErrOverloaded)...)
		remote := rmi.With(b.plain, rmi.Policy{Retry: rmi.Retry{Attempts: 10, First: 100 * ms, Longest: 500 * ms, Steady: true}})
		if sum, err := remote.Add(t.Context(), 3); sum != 3 || err != nil || b.impl.ran() != "Add3" {
			t.Errorf("Add(3) = %d, %v; what ran: %s", sum, err, b.impl.ran())
		}
		b.expect(t, "doubling up to the longest pause", 0, 100*ms, 300*ms, 700*ms, 1200*ms, 1700*ms, 2200*ms)
	})
}

func TestPausesAreAHundredMillisecondsAtFirstAndTenSecondsAtMost(t *testing.T) {
	leak.Check(t)
	policies(t, rmi.Options{}, func(t *testing.T, b *policyBench) {
		b.refusing(refusals(9, rmi.ErrOverloaded)...)
		remote := rmi.With(b.plain, rmi.Policy{Retry: rmi.Retry{Attempts: 10, First: -1, Longest: -1, Steady: true}})
		if _, err := remote.Add(t.Context(), 1); err != nil {
			t.Error(err)
		}
		b.expect(t, "by default", 0, 100*ms, 300*ms, 700*ms, 1500*ms, 3100*ms, 6300*ms, 12700*ms, 22700*ms, 32700*ms)
	})
}

func TestPausesAreRandomUpToTheirBound(t *testing.T) {
	leak.Check(t)
	policies(t, rmi.Options{}, func(t *testing.T, b *policyBench) {
		remote := rmi.With(b.plain, rmi.Policy{Retry: rmi.Retry{Attempts: 4, First: time.Second, Longest: 3 * time.Second}})
		bounds := []time.Duration{time.Second, 2 * time.Second, 3 * time.Second}
		var short, long [3]int // pauses in the lower and upper half of what they may be
		for range 200 {
			b.refusing(refusals(4, rmi.ErrOverloaded)...)
			if _, err := remote.Add(t.Context(), 1); !errors.Is(err, rmi.ErrOverloaded) || len(b.attempts()) != 4 {
				t.Fatalf("%v after %d attempts", err, len(b.attempts()))
			}
			at := b.attempts()
			for i, most := range bounds {
				switch pause := at[i+1] - at[i]; {
				case pause > most:
					t.Errorf("pause %d took %v, more than %v", i+1, pause, most)
				case pause <= most/2:
					short[i]++
				default:
					long[i]++
				}
			}
		}
		for i := range bounds {
			if short[i] < 50 || long[i] < 50 { // of 200; less than 50 has a chance of 1 in 10^12
				t.Errorf("pause %d was short %d times and long %d times: that is not full jitter", i+1, short[i], long[i])
			}
		}
	})
}

func TestWhatIsMadeAgainAndWhatIsFinal(t *testing.T) {
	leak.Check(t)
	read := func(ctx context.Context, m testobj.Meter) error { _, err := m.Read(ctx); return err }
	add := func(ctx context.Context, m testobj.Meter) error { _, err := m.Add(ctx, 1); return err }
	for _, c := range []struct {
		what     string
		call     func(context.Context, testobj.Meter) error
		refuse   error
		on       error // what the method returns
		attempts int
	}{
		{"an overloaded process", add, rmi.ErrOverloaded, nil, 3},
		{"a process that shuts down", add, rmi.ErrNodeClosed, nil, 3},
		{"a refusal of no kind", add, errors.New("not now"), nil, 3},
		{"a refusal that will stand", add, rmi.ErrAccessDenied, nil, 1},
		{"a refusal that will stand, idempotent", read, rmi.ErrAccessDenied, nil, 1},
		{"an object that is gone", read, rmi.ErrNoSuchObject, nil, 1},
		{"a bound that is exceeded", read, rmi.ErrLimit, nil, 1},
		{"a context that ended over there", read, context.DeadlineExceeded, nil, 1},
		{"a method's error", add, nil, testobj.ErrEmpty, 1},
		{"a method's error, idempotent", read, nil, testobj.ErrEmpty, 1},
		{"a method's own deadline, idempotent", read, nil, context.DeadlineExceeded, 1},
		{"a call that the method made", read, nil, &rmi.Error{Op: "call", Kind: rmi.ErrUnreachable, NotRun: true}, 1},
	} {
		policies(t, rmi.Options{}, func(t *testing.T, b *policyBench) {
			if c.refuse != nil {
				b.refusing(refusals(3, c.refuse)...)
			}
			b.impl.on = func(context.Context, string) error { return c.on }
			err := c.call(t.Context(), rmi.With(b.plain, rmi.Policy{Retry: rmi.Retry{Attempts: 3}}))
			if err == nil || len(b.attempts()) != c.attempts {
				t.Errorf("%s: %d attempts, want %d; %v", c.what, len(b.attempts()), c.attempts, err)
			}
			var e *rmi.Error
			if errors.As(err, &e); c.attempts > 1 && (e == nil || e.Attempts != c.attempts || rmi.MayHaveRun(err) ||
				!strings.HasSuffix(err.Error(), " (after 3 attempts) (it did not run)")) {
				t.Errorf("%s: the error after %d attempts is %v", c.what, c.attempts, err)
			}
			if c.attempts == 1 && (strings.Contains(err.Error(), "attempt") || e != nil && e.Attempts != 0) {
				t.Errorf("%s: the error after one attempt is %v", c.what, err)
			}
		})
	}
}

func TestAMethodThatPanicsIsNotRunAgain(t *testing.T) {
	leak.Check(t)
	policies(t, rmi.Options{}, func(t *testing.T, b *policyBench) {
		b.impl.on = func(context.Context, string) error { panic("fell over") }
		remote := rmi.With(b.plain, rmi.Policy{Retry: rmi.Retry{Attempts: 3}})
		if _, err := remote.Read(t.Context()); !errors.Is(err, rmi.ErrPanic) || b.impl.ran() != "Read" {
			t.Errorf("%v; what ran: %s", err, b.impl.ran())
		}
	})
}

func TestWhatMayHaveRunIsMadeAgainOnlyIfItIsIdempotent(t *testing.T) {
	leak.Check(t)
	policies(t, rmi.Options{}, func(t *testing.T, b *policyBench) {
		remote := rmi.With(b.plain, rmi.Policy{Retry: rmi.Retry{Attempts: 3, Steady: true}})
		cut := true
		b.impl.on = func(ctx context.Context, _ string) error {
			if cut {
				cut = false
				b.memory.Cut(b.endpoint)
				<-ctx.Done()
			}
			return nil
		}
		if _, err := remote.Read(t.Context()); err != nil || b.impl.ran() != "Read Read" {
			t.Errorf("an idempotent method: %v; what ran: %s", err, b.impl.ran())
		}
		cut = true
		if _, err := remote.Add(t.Context(), 1); !errors.Is(err, rmi.ErrUnreachable) || !rmi.MayHaveRun(err) || b.impl.ran() != "Read Read Add1" {
			t.Errorf("another method: %v; what ran: %s", err, b.impl.ran())
		}
	})
}

func TestACallMayHaveRunIfOneOfItsAttemptsMay(t *testing.T) {
	leak.Check(t)
	policies(t, rmi.Options{}, func(t *testing.T, b *policyBench) {
		b.impl.on = func(ctx context.Context, _ string) error {
			go b.server.Close() // ends once the method has returned; nobody is there for the second attempt
			<-ctx.Done()
			return nil
		}
		remote := rmi.With(b.plain, rmi.Policy{Retry: rmi.Retry{Attempts: 2}})
		_, err := remote.Read(t.Context())
		var e *rmi.Error
		if !errors.As(err, &e) || e.Kind != rmi.ErrUnreachable || e.Attempts != 2 || !rmi.MayHaveRun(err) {
			t.Errorf("the first attempt ran, the second found nobody: %v", err)
		}
	})
}

func TestNoPauseEndsAfterADeadline(t *testing.T) {
	leak.Check(t)
	for _, c := range []struct {
		what     string
		policy   rmi.Policy
		deadline time.Duration // of the context; 0: none
		attempts int           // at 0, 1, 3, 7 and 15 s
	}{
		{"the context's deadline", rmi.Policy{Retry: rmi.Retry{Attempts: 9}}, 7 * time.Second, 3},
		{"the context's deadline, a nanosecond later", rmi.Policy{Retry: rmi.Retry{Attempts: 9}}, 7*time.Second + 1, 4},
		{"the policy's timeout", rmi.Policy{Timeout: 4 * time.Second, Retry: rmi.Retry{Attempts: 9}}, time.Minute, 3},
		{"the time that may elapse", rmi.Policy{Retry: rmi.Retry{Elapsed: 4 * time.Second}}, 0, 3},
		{"the time that may elapse, and attempts", rmi.Policy{Retry: rmi.Retry{Elapsed: time.Minute, Attempts: 2}}, 0, 2},
	} {
		policies(t, rmi.Options{}, func(t *testing.T, b *policyBench) {
			b.refusing(refusals(20, rmi.ErrOverloaded)...)
			ctx := t.Context()
			if c.deadline > 0 {
				bounded, cancel := context.WithTimeout(ctx, c.deadline)
				defer cancel()
				ctx = bounded
			}
			c.policy.Retry.First, c.policy.Retry.Steady = time.Second, true
			_, err := rmi.With(b.plain, c.policy).Add(ctx, 1)
			at := []time.Duration{0, time.Second, 3 * time.Second, 7 * time.Second, 15 * time.Second}[:c.attempts]
			b.expect(t, c.what, at...)
			if took := time.Since(b.begun); !errors.Is(err, rmi.ErrOverloaded) || took != at[len(at)-1] {
				t.Errorf("%s: it ended after %v in %v, want the last failure at once", c.what, took, err)
			}
		})
	}
}

func TestACancelledContextEndsAPauseAtOnce(t *testing.T) {
	leak.Check(t)
	policies(t, rmi.Options{}, func(t *testing.T, b *policyBench) {
		b.refusing(refusals(3, rmi.ErrOverloaded)...)
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(1500*ms, func() { cancel(testobj.ErrEmpty) })
		_, err := rmi.With(b.plain, rmi.Policy{Retry: rmi.Retry{Attempts: 9, First: time.Second, Steady: true}}).Add(ctx, 1)
		b.expect(t, "until it was cancelled", 0, time.Second)
		var e *rmi.Error
		if took := time.Since(b.begun); took != 1500*ms || !errors.Is(err, context.Canceled) || !errors.Is(err, testobj.ErrEmpty) ||
			!errors.Is(err, rmi.ErrOverloaded) || !errors.As(err, &e) || e.Kind != 0 || e.Attempts != 2 || rmi.MayHaveRun(err) {
			t.Errorf("after %v: %v", took, err)
		}
	})
}

func TestACallThatEndsWithItsContextIsFinal(t *testing.T) {
	leak.Check(t)
	policies(t, rmi.Options{}, func(t *testing.T, b *policyBench) {
		b.impl.on = func(ctx context.Context, _ string) error { <-ctx.Done(); return ctx.Err() }
		remote := rmi.With(b.plain, rmi.Policy{Timeout: 2 * time.Second, Retry: rmi.Retry{Attempts: 9}})
		if _, err := remote.Read(t.Context()); !errors.Is(err, context.DeadlineExceeded) || time.Since(b.begun) != 2*time.Second {
			t.Errorf("after %v: %v", time.Since(b.begun), err)
		}
		b.expect(t, "once", 0)
	})
}

func TestTheEarliestBoundCounts(t *testing.T) {
	leak.Check(t)
	policies(t, rmi.Options{Timeout: time.Hour}, func(t *testing.T, b *policyBench) {
		b.impl.on = func(ctx context.Context, _ string) error { <-ctx.Done(); return ctx.Err() }
		read := func(ctx context.Context, m testobj.Meter) error { _, err := m.Read(ctx); return err }
		wait := func(ctx context.Context, m testobj.Meter) error { return m.Wait(ctx) } // //rmi:timeout 10s
		for _, c := range []struct {
			what    string
			call    func(context.Context, testobj.Meter) error
			policy  time.Duration
			context time.Duration
			ends    time.Duration
		}{
			{"nothing but the node's", read, 0, 0, time.Hour},
			{"a policy", read, 2 * time.Hour, 0, 2 * time.Hour},
			{"a policy and an earlier deadline", read, 5 * time.Second, 4 * time.Second, 4 * time.Second},
			{"a policy and a later deadline", read, 5 * time.Second, 6 * time.Second, 5 * time.Second},
			{"a directive", wait, 0, 0, 10 * time.Second},
			{"a directive and a shorter policy", wait, 3 * time.Second, time.Minute, 3 * time.Second},
			{"a directive and a longer policy", wait, 30 * time.Second, time.Minute, 10 * time.Second},
			{"a policy that is over", read, -1, 0, 0},
		} {
			ctx, cancel := t.Context(), context.CancelFunc(func() {})
			if c.context > 0 {
				ctx, cancel = context.WithTimeout(ctx, c.context)
			}
			begun := time.Now()
			err := c.call(ctx, rmi.With(b.plain, rmi.Policy{Timeout: c.policy}))
			if took := time.Since(begun); !errors.Is(err, context.DeadlineExceeded) || took != c.ends {
				t.Errorf("%s: %v after %v, want a deadline after %v", c.what, err, took, c.ends)
			}
			cancel()
		}
	})
}

func TestAViewIsItsOwnValueOfTheSameObject(t *testing.T) {
	leak.Check(t)
	policies(t, rmi.Options{}, func(t *testing.T, b *policyBench) {
		p := rmi.Policy{Timeout: time.Second}
		remote := rmi.With(b.plain, p)
		if remote == b.plain || remote == rmi.With(b.plain, p) || !rmi.Same(remote, b.plain) {
			t.Error("a view with a policy is a value of its own, and the same object")
		}
		if rmi.With(remote, rmi.Policy{}) != b.plain {
			t.Error("without a policy it is the plain stub again")
		}
		if rmi.With[testobj.Meter](b.impl, p) != testobj.Meter(b.impl) {
			t.Error("a local object is another one under a policy")
		}
		if narrowed, err := rmi.Narrow(t.Context(), testobj.RemoteMeter, remote); narrowed != b.plain || err != nil {
			t.Errorf("Narrow returns %v, %v, not the plain stub", narrowed, err)
		}
		ref, _ := b.client.RefOf(b.plain)
		if same, ok := b.client.RefOf(remote); !ok || same != ref {
			t.Errorf("its reference is %v, not %v", same, ref)
		}
	})
}

func TestTheLastPolicyCountsAlone(t *testing.T) {
	leak.Check(t)
	policies(t, rmi.Options{}, func(t *testing.T, b *policyBench) {
		b.refusing(refusals(3, rmi.ErrOverloaded)...)
		b.impl.on = func(ctx context.Context, _ string) error { <-ctx.Done(); return ctx.Err() }
		retrying := rmi.With(b.plain, rmi.Policy{Timeout: time.Second, Retry: rmi.Retry{Attempts: 2}})
		brief := rmi.With(retrying, rmi.Policy{Timeout: time.Minute})
		if _, err := brief.Read(t.Context()); !errors.Is(err, rmi.ErrOverloaded) || len(b.attempts()) != 1 {
			t.Errorf("the policy below retries: %v after %d attempts", err, len(b.attempts()))
		}
		b.refusing()
		if _, err := brief.Read(t.Context()); !errors.Is(err, context.DeadlineExceeded) || time.Since(b.begun) != time.Minute {
			t.Errorf("the timeout below holds: %v after %v", err, time.Since(b.begun))
		}
	})
}

func TestAPolicyStaysAtHomeWhenItsStubIsPassedOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := memoryWorld(t)
		server, _ := w.server(rmi.Options{})
		owner, _ := w.server(rmi.Options{})
		client, _ := w.server(rmi.Options{})
		l := &listener{on: func(ctx context.Context, _ string) (string, error) { <-ctx.Done(); return "", ctx.Err() }}
		ref, err := rmi.Export(owner, testobj.RemoteListener.Of(l))
		if err != nil {
			t.Fatal(err)
		}
		plain := resolved(t, client, testobj.RemoteListener, ref)
		hasty := rmi.With(plain, rmi.Policy{Timeout: time.Second})
		remote := pass(t, server, client, newService(server))
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		begun := time.Now()
		if _, err := remote.Tell(ctx, hasty, "hi"); !errors.Is(err, context.DeadlineExceeded) || time.Since(begun) != 5*time.Second {
			t.Errorf("through the stub that was passed on: %v after %v", err, time.Since(begun))
		}
		if err := remote.Remember(t.Context(), hasty); err != nil {
			t.Fatal(err)
		}
		if back, err := remote.Remembered(t.Context()); back != plain || err != nil {
			t.Errorf("it comes back as %v, %v; want the plain stub", back, err)
		}
	})
}

func TestInterceptorsStandAroundEachAttempt(t *testing.T) {
	leak.Check(t)
	var seen []string
	note := func(c context.Context, call *rmi.Call, next func(context.Context) error) error {
		if len(seen) == 1 {
			seen = append(seen, fmt.Sprint("refused ", call.Attempts))
			return errors.New("not this time")
		}
		err := next(c)
		seen = append(seen, fmt.Sprint(call.Attempts, " ", err != nil))
		return err
	}
	policies(t, rmi.Options{Outbound: []rmi.Interceptor{note}}, func(t *testing.T, b *policyBench) {
		b.refusing(refusals(2, rmi.ErrOverloaded)...)
		remote := rmi.With(b.plain, rmi.Policy{Retry: rmi.Retry{Attempts: 9, First: time.Second, Steady: true}})
		if sum, err := remote.Add(t.Context(), 2); sum != 2 || err != nil {
			t.Errorf("Add(2) = %d, %v", sum, err)
		}
		b.expect(t, "but for what the interceptor refused", 0, 3*time.Second, 7*time.Second)
		if got, want := strings.Join(seen, ", "), "1 true, refused 1, 2 true, 3 false"; got != want {
			t.Errorf("the interceptor saw %s; want %s", got, want)
		}
	})
}

func TestWhatAnInterceptorMakesOfAFailureIsFinal(t *testing.T) {
	leak.Check(t)
	wrap := func(c context.Context, _ *rmi.Call, next func(context.Context) error) error {
		if err := next(c); err != nil {
			return fmt.Errorf("in the shop: %w", err)
		}
		return nil
	}
	policies(t, rmi.Options{Outbound: []rmi.Interceptor{wrap}}, func(t *testing.T, b *policyBench) {
		b.refusing(refusals(2, rmi.ErrOverloaded)...)
		remote := rmi.With(b.plain, rmi.Policy{Retry: rmi.Retry{Attempts: 9}})
		if _, err := remote.Add(t.Context(), 2); !errors.Is(err, rmi.ErrOverloaded) || len(b.attempts()) != 1 || !strings.HasPrefix(err.Error(), "in the shop") {
			t.Errorf("%v after %d attempts", err, len(b.attempts()))
		}
	})
}

func TestARefusalByTheCallersInterceptorSaysHowOftenItWasTried(t *testing.T) {
	leak.Check(t)
	refuse := func(context.Context, *rmi.Call, func(context.Context) error) error { return errors.New("closed today") }
	policies(t, rmi.Options{Outbound: []rmi.Interceptor{refuse}}, func(t *testing.T, b *policyBench) {
		remote := rmi.With(b.plain, rmi.Policy{Retry: rmi.Retry{Attempts: 2}})
		_, err := remote.Add(t.Context(), 2)
		if err == nil || rmi.MayHaveRun(err) || !strings.HasSuffix(err.Error(), "closed today (after 2 attempts) (it did not run)") {
			t.Errorf("got %v", err)
		}
	})
}

func TestAnObjectThatOutlivesItsProcessIsFoundAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := memoryWorld(t)
		serve := func(at string) (*rmi.Node, rmi.Ref, string) {
			n := w.node(rmi.Options{})
			endpoint, err := n.Listen(at)
			if err != nil {
				t.Fatal(err)
			}
			ref, err := rmi.ExportAs(n, "meter", testobj.RemoteMeter.Of(&meter{}))
			if err != nil {
				t.Fatal(err)
			}
			return n, ref, endpoint
		}
		first, ref, endpoint := serve("tcp://127.0.0.1:0")
		client := w.node(rmi.Options{})
		plain := resolved(t, client, testobj.RemoteMeter, ref)
		remote := rmi.With(plain, rmi.Policy{Retry: rmi.Retry{Attempts: 9, First: time.Second, Steady: true}})
		if _, err := remote.Add(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		first.Close()
		synctest.Wait()
		begun := time.Now()
		time.AfterFunc(2*time.Second, func() { serve(endpoint) })
		if sum, err := remote.Add(t.Context(), 5); sum != 5 || err != nil || time.Since(begun) != 3*time.Second {
			t.Errorf("Add(5) = %d, %v after %v; want it from the process that came after two seconds, at the third", sum, err, time.Since(begun))
		}
	})
}

func TestReferencesAmongTheArgumentsOfEachAttemptAreKept(t *testing.T) {
	leak.Check(t)
	policies(t, rmi.Options{}, func(t *testing.T, b *policyBench) {
		b.refusing(refusals(1, rmi.ErrOverloaded)...)
		l := &listener{}
		remote := rmi.With(b.plain, rmi.Policy{Retry: rmi.Retry{Attempts: 5, First: time.Minute, Longest: time.Minute, Steady: true}})
		if back, err := remote.Attach(t.Context(), l); back != testobj.Listener(l) || err != nil {
			t.Errorf("it came back as %v, %v", back, err)
		}
		b.expect(t, "refused once", 0, time.Minute)
	})
}

func TestAOneWayCallIsMadeAgainUntilItIsQueued(t *testing.T) {
	leak.Check(t)
	policies(t, rmi.Options{}, func(t *testing.T, b *policyBench) {
		b.refusing(refusals(1, rmi.ErrOverloaded)...)
		remote := rmi.With(b.plain, rmi.Policy{Timeout: time.Second, Retry: rmi.Retry{Attempts: 5}})
		if err := remote.Tick(t.Context(), 1); err != nil {
			t.Errorf("a call that is queued ends so: %v", err)
		}
		if err := remote.Tick(t.Context(), 2); err != nil {
			t.Error(err)
		}
		var failed *rmi.OneWayError
		if err := rmi.Flush(t.Context(), remote); !errors.As(err, &failed) || !errors.Is(err, rmi.ErrOverloaded) || b.impl.ran() != "Tick2" {
			t.Errorf("what became of it later: %v; what ran: %s", err, b.impl.ran())
		}
		b.server.Close()
		synctest.Wait()
		begun := time.Now()
		remote = rmi.With(b.plain, rmi.Policy{Retry: rmi.Retry{Attempts: 3, First: time.Second, Steady: true}})
		err := remote.Tick(t.Context(), 3)
		if e := (*rmi.Error)(nil); !errors.As(err, &e) || e.Attempts != 3 || e.Kind != rmi.ErrUnreachable || rmi.MayHaveRun(err) || time.Since(begun) != 3*time.Second {
			t.Errorf("nobody to queue it for: %v after %v", err, time.Since(begun))
		}
	})
}

func TestFuturesAreUnderTheirStubsPolicy(t *testing.T) {
	leak.Check(t)
	policies(t, rmi.Options{}, func(t *testing.T, b *policyBench) {
		b.refusing(refusals(2, rmi.ErrOverloaded)...)
		remote := testobj.AsyncMeterOf(rmi.With(b.plain, rmi.Policy{Retry: rmi.Retry{Attempts: 5, First: time.Second, Steady: true}}))
		f := remote.Add(t.Context(), 7)
		if took := time.Since(b.begun); took != 0 {
			t.Errorf("whoever made the call waited for %v", took)
		}
		if sum, err := f.Wait(t.Context()); sum != 7 || err != nil {
			t.Errorf("Add(7) = %d, %v", sum, err)
		}
		b.expect(t, "behind its maker's back", 0, time.Second, 3*time.Second)
	})
	policies(t, rmi.Options{}, func(t *testing.T, b *policyBench) {
		b.server.Close() // there is no connection, and will be none
		synctest.Wait()
		remote := testobj.AsyncMeterOf(rmi.With(b.plain, rmi.Policy{Retry: rmi.Retry{Attempts: 2, First: time.Second, Steady: true}}))
		f := remote.Add(t.Context(), 7)
		if took := time.Since(b.begun); took != 0 {
			t.Errorf("whoever made a call that cannot be sent waited for %v", took)
		}
		if _, err := f.Wait(t.Context()); !errors.Is(err, rmi.ErrUnreachable) || time.Since(b.begun) != time.Second {
			t.Errorf("%v after %v", err, time.Since(b.begun))
		}
	})
}

func TestCallsOnAPromiseWaitForTheCallThatIsMadeAgain(t *testing.T) {
	leak.Check(t)
	policies(t, rmi.Options{}, func(t *testing.T, b *policyBench) {
		b.refusing(refusals(1, rmi.ErrOverloaded)...)
		remote := testobj.AsyncMeterOf(rmi.With(b.plain, rmi.Policy{Retry: rmi.Retry{Attempts: 5, First: time.Second, Steady: true}}))
		part := remote.Part(t.Context(), "a")
		one, two := part.Add(t.Context(), 1), part.Add(t.Context(), 2)
		sum, err := two.Wait(t.Context())
		if sum != 3 || err != nil || one.Err() != nil || b.impl.ran() != "Part a Add1 Add2" {
			t.Errorf("Add(2) = %d, %v; what ran: %s", sum, err, b.impl.ran())
		}
		if took := time.Since(b.begun); took != time.Second {
			t.Errorf("it took %v", took)
		}
		object, err := rmi.Await(t.Context(), part.Promise())
		if object != b.plain && !rmi.Same(object, b.plain) || err != nil {
			t.Errorf("the object behind the promise is %v, %v", object, err)
		}
	})
}

func TestCallsOnPromisesAndOfBatchesAreMadeOnce(t *testing.T) {
	leak.Check(t)
	policies(t, rmi.Options{}, func(t *testing.T, b *policyBench) {
		retry := rmi.Policy{Retry: rmi.Retry{Attempts: 5}}
		b.refusing(nil, rmi.ErrOverloaded)
		part := testobj.AsyncMeterOf(b.plain).Part(t.Context(), "a").Promise()
		if _, err := rmi.With(part, retry).Add(t.Context(), 1); !errors.Is(err, rmi.ErrOverloaded) || rmi.MayHaveRun(err) || b.impl.ran() != "Part a" {
			t.Errorf("on a promise: %v; what ran: %s", err, b.impl.ran())
		}
		b.refusing(rmi.ErrOverloaded)
		view := testobj.AsyncMeterOf(rmi.With(b.plain, retry))
		var sums [2]*rmi.Future[int64]
		if err := rmi.Batch(t.Context(), func(ctx context.Context) error {
			sums[0], sums[1] = view.Add(ctx, 1), view.Add(ctx, 2)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		_, first := sums[0].Wait(t.Context())
		sum, second := sums[1].Wait(t.Context())
		if !errors.Is(first, rmi.ErrOverloaded) || rmi.MayHaveRun(first) || sum != 2 || second != nil || b.impl.ran() != "Part a Add2" {
			t.Errorf("of a batch: %v; %d, %v; what ran: %s", first, sum, second, b.impl.ran())
		}
	})
}

func TestATimeoutBoundsFuturesPromisesAndBatches(t *testing.T) {
	leak.Check(t)
	policies(t, rmi.Options{}, func(t *testing.T, b *policyBench) {
		b.impl.on = func(ctx context.Context, method string) error {
			if method == "Read" {
				<-ctx.Done()
			}
			return ctx.Err()
		}
		hasty := rmi.Policy{Timeout: time.Second}
		view := testobj.AsyncMeterOf(rmi.With(b.plain, hasty))
		promised := testobj.AsyncMeterOf(rmi.With(testobj.AsyncMeterOf(b.plain).Part(t.Context(), "a").Promise(), hasty))
		all := []*rmi.Future[int64]{view.Read(t.Context()), promised.Read(t.Context())}
		rmi.Batch(t.Context(), func(ctx context.Context) error {
			all = append(all, view.Read(ctx))
			return nil
		})
		for i, f := range all {
			if _, err := f.Wait(t.Context()); !errors.Is(err, context.DeadlineExceeded) || time.Since(b.begun) != time.Second {
				t.Errorf("call %d: %v after %v", i, err, time.Since(b.begun))
			}
		}
	})
}

func TestInvokeIsUnderItsStubsPolicyAndTheMethodsTimeout(t *testing.T) {
	leak.Check(t)
	policies(t, rmi.Options{}, func(t *testing.T, b *policyBench) {
		b.refusing(refusals(2, rmi.ErrOverloaded)...)
		remote := rmi.With(b.plain, rmi.Policy{Retry: rmi.Retry{Attempts: 5, First: time.Second, Steady: true}})
		if sum, err := rmi.Invoke(t.Context(), b.client, remote, "Add", 4); err != nil || sum[0] != int64(4) {
			t.Errorf("Add(4) = %v, %v", sum, err)
		}
		b.expect(t, "without generated code", 0, time.Second, 3*time.Second)
		lost := true
		b.impl.on = func(ctx context.Context, method string) error {
			if method == "Read" && lost {
				lost = false
				b.memory.Cut(b.endpoint)
			} else if method == "Read" {
				return nil
			}
			<-ctx.Done()
			return ctx.Err()
		}
		if sum, err := rmi.Invoke(t.Context(), b.client, remote, "Read"); err != nil || sum[0] != int64(4) || b.impl.ran() != "Add4 Read Read" {
			t.Errorf("Read, which is said to be idempotent: %v, %v; what ran: %s", sum, err, b.impl.ran())
		}
		begun := time.Now()
		if _, err := rmi.Invoke(t.Context(), b.client, b.plain, "Wait"); !errors.Is(err, context.DeadlineExceeded) || time.Since(begun) != 10*time.Second {
			t.Errorf("Wait, which is said to take ten seconds at most: %v after %v", err, time.Since(begun))
		}
	})
}

func TestAnErrorOfManyAttemptsKeepsItsTextWhenItIsPassedOn(t *testing.T) {
	leak.Check(t)
	policies(t, rmi.Options{}, func(t *testing.T, b *policyBench) {
		busy := &rmi.Error{Op: "call", Method: "x.Y.Z", Kind: rmi.ErrUnreachable, Attempts: 3, NotRun: true}
		b.impl.on = func(context.Context, string) error { return busy }
		_, err := b.plain.Read(t.Context())
		var e *rmi.Error
		if !errors.As(err, &e) || e.Attempts != 3 || err.Error() != busy.Error() || !rmi.MayHaveRun(err) {
			t.Errorf("%v arrives as %v", busy, err)
		}
		b.impl.on = nil
		b.refusing(refusals(2, busy)...)
		if _, err := b.plain.Read(t.Context()); !errors.As(err, &e) || e.Attempts == 3 && !e.Remote || strings.HasSuffix(err.Error(), "(after 3 attempts) (it did not run)") {
			t.Errorf("a call that was made once says %v", err)
		}
	})
}

func TestPoliciesAreSafeForConcurrentUse(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		var calls atomic.Int64
		impl, plain := w.between(rmi.Options{Inbound: []rmi.Interceptor{func(ctx context.Context, _ *rmi.Call, next func(context.Context) error) error {
			if calls.Add(1)%2 == 0 {
				return rmi.ErrOverloaded
			}
			return next(ctx)
		}}}, rmi.Options{})
		remote := rmi.With(plain, rmi.Policy{Timeout: time.Minute, Retry: rmi.Retry{Attempts: 1000, First: time.Microsecond, Longest: 50 * time.Microsecond}})
		var wg sync.WaitGroup
		for g := range int64(8) {
			wg.Go(func() {
				for i := range int64(50) {
					if sum, err := remote.Add(ctx(t), g, i); sum != g+i || err != nil {
						t.Errorf("Add(%d, %d) = %d, %v", g, i, sum, err)
					}
				}
			})
		}
		wg.Wait()
		if n := impl.calls.Load(); n != 400 {
			t.Errorf("the method ran %d times, want 400", n)
		}
	})
}
