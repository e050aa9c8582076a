//go:build !race

package rmi_test

import (
	"context"
	"testing"
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
