package rmi_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rmigo/rmigo/internal/testobj"
	"github.com/rmigo/rmigo/rmi"
)

// asked answers after a while, with its name or an error, unless the call is given up first.
type asked struct {
	name  string
	after time.Duration
	err   error

	calls, left atomic.Int32 // calls begun, and those that were given up
}

func (m *asked) Hear(ctx context.Context, text string) (string, error) {
	m.calls.Add(1)
	select {
	case <-time.After(m.after):
		return m.name + ": " + text, m.err
	case <-ctx.Done():
		m.left.Add(1)
		return "", ctx.Err()
	}
}

func hear(ctx context.Context, l testobj.Listener) (string, error) { return l.Hear(ctx, "now") }

var errDeaf = errors.New("deaf")

// group exports the members each in a node of its own, the last one stays in the caller's.
func group(t *testing.T, members ...*asked) (all []testobj.Listener) {
	w := memoryWorld(t)
	client := w.node(rmi.Options{})
	for i, m := range members {
		if i == len(members)-1 {
			all = append(all, m)
			break
		}
		server := w.node(rmi.Options{})
		if _, err := server.Listen(w.listen()); err != nil {
			t.Fatal(err)
		}
		all = append(all, found(server, m, client))
	}
	return all
}

func TestBroadcastYieldsAnswersAsTheyCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := group(t, &asked{name: "slow", after: 3 * time.Second}, &asked{name: "bad", after: time.Second, err: errDeaf},
			&asked{name: "quick"}, &asked{name: "here", after: 2 * time.Second})
		var got []string
		begun := time.Now()
		for a := range rmi.Broadcast(t.Context(), all, hear) {
			if a.Member != all[a.Index] {
				t.Errorf("answer %d is said to be of another member", a.Index)
			}
			got = append(got, fmt.Sprint(a.Index, a.Result, time.Since(begun).Truncate(time.Second), a.Err != nil))
		}
		want := []string{"2quick: now0s false", "1bad: now1s true", "3here: now2s false", "0slow: now3s false"}
		if !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

func TestWhoLeavesABroadcastCancelsTheRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow, here := &asked{name: "slow", after: time.Hour}, &asked{name: "here", after: time.Hour}
		all := group(t, slow, &asked{name: "quick", after: time.Millisecond}, here) // by then all have been asked
		begun := time.Now()
		for a := range rmi.Broadcast(t.Context(), all, hear) {
			if a.Index != 1 {
				t.Errorf("member %d answered", a.Index)
			}
			break
		}
		synctest.Wait()
		if took := time.Since(begun); took > time.Second || slow.left.Load() != 1 || here.left.Load() != 1 {
			t.Errorf("after %v %d and %d calls were given up, not 1 and 1", took, slow.left.Load(), here.left.Load())
		}
	})
}

func TestQuorumTakesTheFirstAndToleratesFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := &asked{name: "slow", after: time.Hour}
		all := group(t, &asked{name: "bad", err: errDeaf}, &asked{name: "b", after: 2 * time.Second}, slow, &asked{name: "a", after: time.Second})
		begun := time.Now()
		got, err := rmi.Quorum(t.Context(), 2, all, hear)
		if err != nil || len(got) != 2 || got[0].Index != 3 || got[1].Result != "b: now" || time.Since(begun).Truncate(time.Second) != 2*time.Second {
			t.Errorf("got %v, %v after %v", got, err, time.Since(begun))
		}
		synctest.Wait()
		if slow.left.Load() != 1 {
			t.Error("the straggler was not cancelled")
		}
	})
}

func TestQuorumEndsOnceItIsOutOfReach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := &asked{name: "slow", after: time.Hour}
		all := group(t, &asked{name: "bad", err: errDeaf}, slow, &asked{name: "good"}, &asked{name: "worse", after: time.Second, err: errors.New("asleep")})
		begun := time.Now()
		_, err := rmi.Quorum(t.Context(), 3, all, hear)
		var e *rmi.GroupError
		if !errors.As(err, &e) || !slices.Equal(e.Indexes, []int{0, 3}) || e.Need != 3 || e.Members != 4 || time.Since(begun) > 2*time.Second {
			t.Fatalf("got %v after %v", err, time.Since(begun))
		}
		if !rmi.MayHaveRun(err) {
			t.Error("it is said not to have run")
		}
		for _, n := range []int{-1, 0} {
			if got, err := rmi.Quorum(t.Context(), n, all, hear); len(got) != 0 || err != nil {
				t.Errorf("%d of them: %v, %v", n, got, err)
			}
		}
		before := slow.calls.Load()
		if _, err := rmi.Quorum(t.Context(), 5, all, hear); !errors.As(err, &e) || slow.calls.Load() != before {
			t.Errorf("5 of 4 members: %v, and %d were asked", err, slow.calls.Load()-before)
		}
	})
}

func TestFirstOfSaysWhyNobodyAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := group(t, &asked{name: "slow", after: time.Hour}, &asked{name: "bad", err: errDeaf})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := rmi.FirstOf(ctx, all, hear)
		if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, errDeaf) {
			t.Errorf("got %v", err)
		}
		if _, err := rmi.FirstOf(t.Context(), nil, hear); err == nil || err.Error() != "group call: 1 of 0 members had to answer" {
			t.Errorf("nobody: %v", err)
		}
	})
}
