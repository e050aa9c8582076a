package rmi_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rmigo/rmigo/internal/testobj"
	"github.com/rmigo/rmigo/rmi"
	"github.com/rmigo/rmigo/skeleton"
)

// own is an object of the node, as it is when a reference to it comes home.
func own[T any](t *testing.T, n *rmi.Node, d *skeleton.Interface[T], impl T) T {
	t.Helper()
	ref, err := rmi.Export(n, d.Of(impl))
	if err != nil {
		t.Fatal(err)
	}
	return resolved(t, n, d, ref)
}

// The table in docs/collocated.md, row by row: a call on an object of this process, and the same with Options.AlwaysMarshal, which is as any
// call on a stub.
func TestWhatDiffersBetweenALocalCallAndARemoteOne(t *testing.T) {
	for row, differs := range map[string]func(t *testing.T, n *rmi.Node, remote bool){
		"which value": func(t *testing.T, n *rmi.Node, remote bool) {
			impl := newService(n)
			if s := own(t, n, testobj.RemoteService, testobj.Service(impl)); (s != testobj.Service(impl)) != remote || !rmi.Same(s, impl) {
				t.Errorf("its own object is %T", s)
			}
		},
		"arguments and results": func(t *testing.T, n *rmi.Node, remote bool) {
			next := &testobj.Item{Name: "next"}
			got, err := own(t, n, testobj.RemoteService, testobj.Service(newService(n))).Echo(t.Context(), testobj.Item{Next: next})
			if err != nil || (got.Next != next) != remote || got.Next.Name != "next" {
				t.Errorf("%p comes back as %p, %v", next, got.Next, err)
			}
		},
		"errors": func(t *testing.T, n *rmi.Node, remote bool) {
			cause := errors.New("so")
			got, err := own(t, n, testobj.RemoteService, testobj.Service(newService(n))).Why(t.Context(), cause)
			if err != nil || (got != cause) != remote || got.Error() != "so" {
				t.Errorf("%v comes back as %v, %v", cause, got, err)
			}
		},
		"the context": func(t *testing.T, n *rmi.Node, remote bool) {
			type key struct{}
			var value any
			var peer rmi.Peer
			var metadata rmi.Metadata
			l := own(t, n, testobj.RemoteListener, testobj.Listener(&listener{on: func(ctx context.Context, _ string) (string, error) {
				value, peer, metadata = ctx.Value(key{}), rmi.Caller(ctx), rmi.MetadataFrom(ctx)
				return "", nil
			}}))
			ctx := rmi.WithMetadata(context.WithValue(t.Context(), key{}, 1), rmi.Metadata{"a": "1"})
			if _, err := l.Hear(ctx, ""); err != nil || (value == nil) != remote || (peer.Process == n.ID()) != remote || metadata["a"] != "1" {
				t.Errorf("the method has the value %v, the caller %v, the metadata %v; %v", value, peer, metadata, err)
			}
		},
		"a panic": func(t *testing.T, n *rmi.Node, remote bool) {
			defer func() {
				if p := recover(); (p == nil) != remote {
					t.Errorf("it panicked with %v", p)
				}
			}()
			_, err := own(t, n, testobj.RemoteService, testobj.Service(newService(n))).Fail(t.Context(), "panic")
			if !errors.Is(err, rmi.ErrPanic) {
				t.Errorf("it ended in %v", err)
			}
		},
		"bounds in time": func(t *testing.T, n *rmi.Node, remote bool) {
			p := rmi.With(own(t, n, testobj.RemotePatient, testobj.Patient(&patient{})), rmi.Policy{Timeout: time.Second})
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			begun := time.Now()
			err := p.Briefly(ctx)
			if took := time.Since(begun); !errors.Is(err, context.DeadlineExceeded) || took != map[bool]time.Duration{false: time.Minute, true: time.Second}[remote] {
				t.Errorf("it took %v, and ended in %v", took, err)
			}
		},
		"one-way calls": func(t *testing.T, n *rmi.Node, remote bool) {
			impl := &diary{}
			err := own(t, n, testobj.RemoteDiary, testobj.Diary(impl)).Note(t.Context(), "fail")
			if (err == nil) != remote {
				t.Errorf("a one-way call whose method fails ends in %v", err)
			}
			synctest.Wait()
		},
		"serial objects": func(t *testing.T, n *rmi.Node, remote bool) {
			var running, most atomic.Int32
			d := own(t, n, testobj.RemoteDesk, testobj.Desk(&deskOf{on: func() {
				most.Store(max(most.Load(), running.Add(1)))
				time.Sleep(time.Second)
				running.Add(-1)
			}}))
			done := make(chan error, 2)
			for range cap(done) {
				go func() { done <- d.Note(t.Context(), "") }() // ends when the method returns
				synctest.Wait()
			}
			for range cap(done) {
				if err := <-done; err != nil {
					t.Error(err)
				}
			}
			if n := most.Load(); (n == 1) != remote {
				t.Errorf("%d calls ran at once", n)
			}
		},
		"after Unexport": func(t *testing.T, n *rmi.Node, remote bool) {
			impl := newService(n)
			s := own(t, n, testobj.RemoteService, testobj.Service(impl))
			if err := rmi.Unexport(t.Context(), n, impl); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Add(t.Context(), 1, 2); (err != nil) != remote || remote && !errors.Is(err, rmi.ErrNoSuchObject) {
				t.Errorf("it ended in %v", err)
			}
		},
	} {
		for _, remote := range []bool{false, true} {
			t.Run(row, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { differs(t, memoryWorld(t).node(rmi.Options{AlwaysMarshal: remote}), remote) })
			})
		}
	}
}

// deskOf is a testobj.Desk that does something.
type deskOf struct{ on func() }

func (d *deskOf) Do(context.Context, testobj.Listener) (string, error) { return "", nil }

func (d *deskOf) Note(context.Context, string) error { d.on(); return nil }

func TestInterceptorsStandAroundCallsOnOwnObjectsOnlyIfTheyAreMarshalled(t *testing.T) {
	for _, marshal := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			calls := 0
			count := []rmi.Interceptor{func(ctx context.Context, _ *rmi.Call, next func(context.Context) error) error {
				calls++
				return next(ctx)
			}}
			n := memoryWorld(t).node(rmi.Options{AlwaysMarshal: marshal, Inbound: count, Outbound: count})
			s := own(t, n, testobj.RemoteService, testobj.Service(newService(n)))
			if sum, err := s.Add(t.Context(), 1, 2); sum != 3 || err != nil || calls != map[bool]int{false: 0, true: 2}[marshal] {
				t.Errorf("with AlwaysMarshal %v: %d, %v, and %d interceptors ran", marshal, sum, err, calls)
			}
		})
	}
}
