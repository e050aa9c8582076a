//go:build !race

package rmi_test

import (
	"context"
	"testing"
	"time"

	"github.com/rmigo/rmigo/internal/leak"
	"github.com/rmigo/rmigo/internal/testobj"
	"github.com/rmigo/rmigo/rmi"
)

// What a call allocates is part of what it costs. Under the race detector, pools forget on purpose.

func TestACallWithScalarsAllocatesOneObject(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		_, _, remote, _ := w.served()
		c, cancel := context.WithCancel(ctx(t))
		defer cancel()
		call := func() {
			if sum, err := remote.Add(c, 3, 4); sum != 7 || err != nil {
				t.Fatalf("Add(3, 4) = %d, %v", sum, err)
			}
		}
		for range 100 {
			call()
		}
		if got := testing.AllocsPerRun(2000, call); got > 1 {
			t.Errorf("caller and callee together allocate %v objects a call, want one: the context", got)
		}
	})
}

func TestWhatStandsAroundACallIsPaidForOnlyWhereItIs(t *testing.T) {
	leak.Check(t)
	through := []rmi.Interceptor{func(c context.Context, _ *rmi.Call, next func(context.Context) error) error { return next(c) }}
	patient := rmi.Policy{Timeout: time.Minute, Retry: rmi.Retry{Attempts: 3}}
	_, _, plain, _ := memoryWorld(t).served()
	_, outbound := memoryWorld(t).between(rmi.Options{}, rmi.Options{Outbound: through})
	_, inbound := memoryWorld(t).between(rmi.Options{Inbound: through}, rmi.Options{})
	c, cancel := context.WithCancel(ctx(t))
	defer cancel()
	for _, s := range []struct {
		what string
		stub testobj.Service
		free bool
	}{
		{"a plain stub", plain, true},
		{"a plain stub beside one with a policy", rmi.With(rmi.With(plain, patient), rmi.Policy{}), true},
		{"a stub with a policy", rmi.With(plain, patient), false},
		{"an interceptor of the caller's", outbound, false},
		{"an interceptor of the callee's", inbound, false},
	} {
		call := func() {
			if sum, err := s.stub.Add(c, 3, 4); sum != 7 || err != nil {
				t.Fatalf("%s: Add(3, 4) = %d, %v", s.what, sum, err)
			}
		}
		for range 100 {
			call()
		}
		if got := testing.AllocsPerRun(2000, call); (got <= 1) != s.free {
			t.Errorf("%s: %v objects a call, where a call alone takes one", s.what, got)
		}
	}
}
