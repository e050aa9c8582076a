package rmi_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/rmigo/rmigo/internal/leak"
	"github.com/rmigo/rmigo/internal/testobj"
	"github.com/rmigo/rmigo/rmi"
	"github.com/rmigo/rmigo/skeleton"
)

// reach exports an object in one node and returns its stub in another.
func reach[T any](t *testing.T, from, to *rmi.Node, d *skeleton.Interface[T], impl T) T {
	t.Helper()
	ref, err := rmi.Export(from, d.Of(impl))
	if err != nil {
		t.Fatal(err)
	}
	text, err := ref.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	stub, err := rmi.Resolve(ctx(t), to, d, string(text))
	if err != nil {
		t.Fatal(err)
	}
	return stub
}

type patient struct{ testobj.Patient }

func (*patient) Briefly(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
func (*patient) Long(ctx context.Context) error    { <-ctx.Done(); return ctx.Err() }

func TestAMethodsOwnTimeoutGoesBeforeTheNodesAndAfterTheCallers(t *testing.T) {
	leak.Check(t)
	w := memoryWorld(t)
	server, _ := w.server(rmi.Options{})
	remote := reach(t, server, w.node(rmi.Options{Timeout: time.Hour}), testobj.RemotePatient, testobj.Patient(&patient{}))
	if err := remote.Briefly(context.Background()); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a call without deadline of a method with //rmi:timeout: %v, want that it ended by that", err)
	}
	c, cancel := context.WithTimeout(ctx(t), 60*time.Millisecond)
	defer cancel()
	start := time.Now()
	if err := remote.Briefly(c); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) < 60*time.Millisecond {
		t.Errorf("a call with a deadline of its own ended after %v by %v, want that the deadline held, not //rmi:timeout", time.Since(start), err)
	}
	if err := remote.Long(c); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a call of another method: %v", err)
	}
}
