package rmi_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rmigo/rmigo/internal/testobj"
	"github.com/rmigo/rmigo/rmi"
)

type patient struct{ testobj.Patient }

func (*patient) Briefly(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
func (*patient) Long(ctx context.Context) error    { <-ctx.Done(); return ctx.Err() }

func TestAMethodsOwnTimeoutHoldsWhateverTheCallersIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := memoryWorld(t)
		server, _ := w.server(rmi.Options{})
		client := w.node(rmi.Options{Timeout: time.Hour})
		ref, err := rmi.Export(server, testobj.RemotePatient.Of(&patient{}))
		if err != nil {
			t.Fatal(err)
		}
		remote := resolved(t, client, testobj.RemotePatient, ref)
		for _, c := range []struct {
			what    string
			call    func(context.Context) error
			caller  time.Duration // 0: no deadline
			expires time.Duration
		}{
			{"with //rmi:timeout 30s, without deadline", remote.Briefly, 0, 30 * time.Second},
			{"with //rmi:timeout 30s and a longer deadline", remote.Briefly, time.Minute, 30 * time.Second},
			{"with //rmi:timeout 30s and a shorter deadline", remote.Briefly, time.Second, time.Second},
			{"without a timeout of its own", remote.Long, 0, time.Hour},
			{"without a timeout of its own, with a deadline", remote.Long, 2 * time.Hour, 2 * time.Hour},
		} {
			ctx, cancel := t.Context(), context.CancelFunc(func() {})
			if c.caller > 0 {
				ctx, cancel = context.WithTimeout(ctx, c.caller)
			}
			start := time.Now()
			if err := c.call(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != c.expires {
				t.Errorf("a method %s ended after %v in %v, want a deadline after %v", c.what, time.Since(start), err, c.expires)
			}
			cancel()
		}
		client.Close()
		server.Close()
	})
}
