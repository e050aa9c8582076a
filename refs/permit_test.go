package refs

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rmigo/rmigo/internal/leak"
)

// permitted is a link with a bulk session of which all permits are held.
func permitted(t *testing.T) *link {
	n, err := New(Options{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	l := n.home
	l.bulk.Store(&bulk{l: l, permits: make(chan struct{}, permits)})
	for range permits {
		if l.permit(nil, leastPermitted) == nil {
			t.Fatal("a large message has no permit")
		}
	}
	return l
}

func TestALargeMessageWaitsUntilAnotherOneIsSent(t *testing.T) {
	leak.Check(t)
	for _, tt := range []struct {
		name  string
		ends  func(l *link, giveUp func())
		after time.Duration
	}{
		{"AnotherOneIsSent", func(l *link, _ func()) { l.bulk.Load().leave() }, time.Millisecond},
		{"ItIsGivenUp", func(_ *link, giveUp func()) { giveUp() }, time.Millisecond},
		{"TheLinkEnds", func(l *link, _ func()) { l.node.Close() }, time.Millisecond},
		{"ItsPatienceEnds", func(*link, func()) {}, permitPatience},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := permitted(t)
				c, giveUp := context.WithCancel(t.Context())
				defer giveUp()
				begin := time.Now()
				ahead := make(chan *bulk, 1)
				go func() { ahead <- l.permit(c.Done(), mostPermitted) }()
				time.Sleep(time.Millisecond)
				if len(ahead) > 0 {
					t.Fatalf("message %d does not wait", permits+1)
				}
				tt.ends(l, giveUp)
				if <-ahead == nil {
					t.Error("it has no permit")
				}
				if took := time.Since(begin); took != tt.after {
					t.Errorf("it has waited for %v, want %v", took, tt.after)
				}
				l.node.Close()
			})
		})
	}
}

func TestMessagesThatNeedNoPermit(t *testing.T) {
	leak.Check(t)
	l := permitted(t)
	defer l.node.Close()
	for _, size := range []int{leastPermitted - 1, mostPermitted + 1} {
		if l.permit(nil, size) != nil {
			t.Errorf("one of %d bytes has a permit", size)
		}
	}
	l.bulk.Store(nil)
	if l.permit(nil, leastPermitted) != nil {
		t.Error("there is a permit where there is no bulk session")
	}
}

// Whoever has lost patience gives back a permit that it does not have, in the place of who will not.
func TestPermitsThatAreNeverGivenBackAreReplaced(t *testing.T) {
	leak.Check(t)
	synctest.Test(t, func(t *testing.T) {
		l := permitted(t)
		begin := time.Now()
		for range permits {
			l.permit(nil, leastPermitted).leave()
		}
		if took := time.Since(begin); took != permitPatience { // the second one has what the first has given back
			t.Errorf("%d messages behind those which are never sent have waited for %v, want %v", permits, took, permitPatience)
		}
		for range permits + 1 {
			l.bulk.Load().leave()
		}
		if n := len(l.bulk.Load().permits); n != 0 {
			t.Errorf("%d permits are held, want none", n)
		}
		l.node.Close()
	})
}
