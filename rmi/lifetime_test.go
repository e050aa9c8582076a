package rmi_test

import (
	"context"
	"errors"
	"runtime"
	"runtime/pprof"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rmigo/rmigo/internal/leak"
	"github.com/rmigo/rmigo/internal/testobj"
	"github.com/rmigo/rmigo/registry"
	"github.com/rmigo/rmigo/rmi"
)

// pair is a server and a client under virtual time, closed when f returns.
func pair(t *testing.T, o rmi.Options, f func(t *testing.T, w *world, server, client *rmi.Node, endpoint string)) {
	synctest.Test(t, func(t *testing.T) {
		w := memoryWorld(t)
		server, endpoint := w.server(o)
		client := w.node(o)
		defer server.Close()
		defer client.Close()
		f(t, w, server, client, endpoint)
	})
}

func TestACollectableExportLivesWhileItIsHeldAnywhere(t *testing.T) {
	leak.Check(t)
	pair(t, rmi.Options{}, func(t *testing.T, _ *world, server, client *rmi.Node, _ string) {
		impl := &hearer{"it", make(chan string, 1)}
		free := impl.free
		ref, err := rmi.ExportCollectable(server, testobj.RemoteListener.Of(impl))
		if err != nil {
			t.Fatal(err)
		}
		remote := resolved(t, client, testobj.RemoteListener, ref)
		settle(time.Second)
		if holders := server.Holders(impl); len(holders) != 1 || holders[0].Process != client.ID() {
			t.Errorf("the holders are %+v, want the client", holders)
		}
		impl = nil
		settle(5 * time.Minute)
		if got, err := remote.Hear(ctx(t), ""); got != "it" || err != nil {
			t.Fatalf("an object that is held: %q, %v", got, err)
		}
		remote = nil
		settle(time.Second)
		<-free // the hook has the object until it returns
		settle(time.Second)
		settle(time.Second)
		if server.Stats().Exports != 0 {
			t.Errorf("the server still exports %d objects", server.Stats().Exports)
		}
		var e *rmi.Error
		if _, err := resolved(t, client, testobj.RemoteListener, ref).Hear(ctx(t), ""); !errors.As(err, &e) || e.Kind != rmi.ErrNoSuchObject || e.Reason != rmi.Collected {
			t.Errorf("a call on the object that was collected: %v", err)
		}
	})
}

func TestAWeakReferenceHoldsNothingAndIsUpgradedWhileTheObjectLives(t *testing.T) {
	leak.Check(t)
	pair(t, rmi.Options{}, func(t *testing.T, _ *world, server, client *rmi.Node, _ string) {
		impl := &hearer{"it", make(chan string, 2)}
		ref, err := rmi.ExportCollectable(server, testobj.RemoteListener.Of(impl))
		if err != nil {
			t.Fatal(err)
		}
		weak, err := rmi.WeakOf(client, testobj.RemoteListener, resolved(t, client, testobj.RemoteListener, ref))
		if err != nil {
			t.Fatal(err)
		}
		settle(time.Second)
		settle(time.Second)
		if n := len(server.Holders(impl)); n != 0 {
			t.Errorf("%d processes hold an object that is referred to weakly", n)
		}
		strong, err := weak.Upgrade(ctx(t))
		if err != nil || len(server.Holders(impl)) != 1 {
			t.Fatalf("the upgrade of what lives: %v, %d holders", err, len(server.Holders(impl)))
		}
		if got, err := strong.Hear(ctx(t), ""); got != "it" || err != nil {
			t.Errorf("a call: %q, %v", got, err)
		}
		strong, impl = nil, nil
		settle(time.Second)
		settle(time.Second)
		if _, err := weak.Upgrade(ctx(t)); !errors.Is(err, rmi.ErrNoSuchObject) {
			t.Errorf("the upgrade of what is gone: %v, want ErrNoSuchObject", err)
		}
		if _, err := (rmi.Weak[testobj.Listener]{}).Upgrade(ctx(t)); !errors.Is(err, rmi.ErrNoSuchObject) {
			t.Errorf("the upgrade of the zero Weak: %v", err)
		}
	})
}

func TestAStubThatIsReleasedWhileItIsUpgradedSaysSo(t *testing.T) {
	leak.Check(t)
	pair(t, rmi.Options{}, func(t *testing.T, w *world, server, client *rmi.Node, _ string) {
		impl := &hearer{"it", make(chan string, 2)}
		ref, err := rmi.ExportCollectable(server, testobj.RemoteListener.Of(impl))
		if err != nil {
			t.Fatal(err)
		}
		strong := resolved(t, client, testobj.RemoteListener, ref)
		weak, err := rmi.WeakOf(client, testobj.RemoteListener, strong)
		if err != nil {
			t.Fatal(err)
		}
		upgraded := make(chan error)
		go func() {
			_, err := weak.Upgrade(ctx(t))
			upgraded <- err
		}()
		synctest.Wait()
		rmi.Release(strong)
		if err := <-upgraded; !errors.Is(err, rmi.ErrReleased) {
			t.Errorf("the upgrade ends in %v, want ErrReleased", err)
		}
		runtime.KeepAlive(impl)
	})
}

func TestWhatIsOwnedEndsWithItsOwner(t *testing.T) {
	leak.Check(t)
	pair(t, rmi.Options{}, func(t *testing.T, _ *world, server, client *rmi.Node, _ string) {
		parent, child := &hearer{"parent", make(chan string, 1)}, &hearer{"child", make(chan string, 1)}
		parentRef, err := rmi.Export(server, testobj.RemoteListener.Of(parent))
		if err != nil {
			t.Fatal(err)
		}
		childRef, err := rmi.Export(server, testobj.RemoteListener.Of(child))
		if err == nil {
			err = rmi.Owned(server, parent, child)
		}
		if err != nil {
			t.Fatal(err)
		}
		held, dependent := resolved(t, client, testobj.RemoteListener, parentRef), resolved(t, client, testobj.RemoteListener, childRef)
		settle(time.Second)
		rmi.Release(held)
		settle(time.Second)
		var e *rmi.Error
		if _, err := dependent.Hear(ctx(t), ""); !errors.As(err, &e) || e.Reason != rmi.Unexported {
			t.Errorf("a call on what was owned: %v; want ErrNoSuchObject, unexported", err)
		}
		if err := rmi.Owned(server, parent, child); !errors.Is(err, rmi.ErrNoSuchObject) {
			t.Errorf("Owned of what is not exported: %v", err)
		}
	})
}

func TestWhatIsOwnedEndsWithAnOwnerThatBecomesGarbage(t *testing.T) {
	leak.Check(t)
	pair(t, rmi.Options{TraceExports: true}, func(t *testing.T, _ *world, server, client *rmi.Node, _ string) {
		parent, child, grandchild := &hearer{"parent", make(chan string, 1)}, &hearer{"child", make(chan string, 1)}, &hearer{"grandchild", make(chan string, 1)}
		if _, err := rmi.ExportCollectable(server, testobj.RemoteListener.Of(parent)); err != nil {
			t.Fatal(err)
		}
		if _, err := rmi.Export(server, testobj.RemoteListener.Of(child)); err != nil {
			t.Fatal(err)
		}
		ref, err := rmi.Export(server, testobj.RemoteListener.Of(grandchild))
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(rmi.Owned(server, parent, child), rmi.Owned(server, child, grandchild)); err != nil {
			t.Fatal(err)
		}
		dependent := resolved(t, client, testobj.RemoteListener, ref)
		settle(time.Second)
		if n := server.Stats().Exports; n != 3 {
			t.Errorf("while their owner lives, %d of three objects are exported", n)
		}
		runtime.KeepAlive(parent)
		parent = nil // that nobody ever held
		settle(time.Second)
		if n := server.Stats().Exports; n != 0 || pprof.Lookup("rmi.exports").Count() != 0 {
			t.Errorf("after it the server exports %d objects, and %d by the profile", n, pprof.Lookup("rmi.exports").Count())
		}
		var e *rmi.Error
		if err := rmi.Monitor(ctx(t), dependent); !errors.As(err, &e) || e.Reason != rmi.Unexported {
			t.Errorf("its holder is told %v; want ErrNoSuchObject, unexported", err)
		}
		if err := rmi.Owned(server, []int{1}, child); !errors.Is(err, rmi.ErrNoSuchObject) {
			t.Errorf("Owned by what is no pointer: %v", err)
		}
	})
}

func TestMonitorTellsOfAProcessThatWasGivenUpBefore(t *testing.T) {
	leak.Check(t)
	pair(t, rmi.Options{}, func(t *testing.T, w *world, server, client *rmi.Node, endpoint string) {
		remote := pass(t, server, client, newService(server))
		settle(time.Second)
		w.stall(true, endpoint)
		settle(2 * time.Minute)
		for range 2 {
			if err := rmi.Monitor(ctx(t), remote); !errors.Is(err, rmi.ErrPeerExpired) {
				t.Errorf("a lease after the process was last heard: %v, want ErrPeerExpired", err)
			}
		}
		w.stall(false, endpoint)
		settle(time.Minute)
		if err := rmi.Monitor(ctx(t), remote); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("after it came back: %v, want to wait", err)
		}
	})
}

func TestMonitorTellsOfAProcessThatIsNeverReached(t *testing.T) {
	leak.Check(t)
	pair(t, rmi.Options{}, func(t *testing.T, _ *world, server, client *rmi.Node, _ string) {
		remote := pass(t, server, client, newService(server))
		server.Close() // before anything was said
		began := time.Now()
		err := rmi.Monitor(t.Context(), remote)
		if after := time.Since(began); !errors.Is(err, rmi.ErrPeerExpired) || after < time.Minute || after > time.Minute*9/8+time.Second {
			t.Errorf("after %v: %v, want ErrPeerExpired after a lease", after, err)
		}
	})
}

func TestWaitEndsWithTheNodeAndWithWhatIsExportedForGood(t *testing.T) {
	leak.Check(t)
	pair(t, rmi.Options{}, func(t *testing.T, _ *world, server, client *rmi.Node, _ string) {
		remote := pass(t, server, client, newService(server))
		waited := make(chan error, 1)
		hold := func(l testobj.Listener) {
			if err := remote.Remember(ctx(t), l); err != nil {
				t.Fatal(err)
			}
			go func() { waited <- client.Wait(t.Context()) }()
			synctest.Wait()
		}
		kept := &hearer{"kept", make(chan string, 1)}
		hold(kept)
		if _, err := rmi.Export(client, testobj.RemoteListener.Of(kept)); err != nil {
			t.Fatal(err)
		}
		if err := <-waited; err != nil {
			t.Errorf("Wait, after the last object that was held was exported for good: %v", err)
		}
		hold(&hearer{"held", make(chan string, 1)})
		client.Close()
		if err := <-waited; !errors.Is(err, rmi.ErrNodeClosed) {
			t.Errorf("Wait, after the node was closed: %v, want ErrNodeClosed", err)
		}
		if err := client.Wait(ctx(t)); !errors.Is(err, rmi.ErrNodeClosed) {
			t.Errorf("Wait of a closed node: %v, want ErrNodeClosed", err)
		}
	})
}

func TestWaitEndsWithTheLastHolderOfWhatIsNotPinned(t *testing.T) {
	leak.Check(t)
	pair(t, rmi.Options{}, func(t *testing.T, _ *world, server, client *rmi.Node, _ string) {
		impl := newService(server)
		remote := pass(t, server, client, impl)
		if err := client.Wait(ctx(t)); err != nil {
			t.Errorf("Wait while nothing is held: %v", err)
		}
		if err := remote.Remember(ctx(t), &hearer{"it", make(chan string, 1)}); err != nil {
			t.Fatal(err)
		}
		c, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := client.Wait(c); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Wait while the server holds a callback: %v", err)
		}
		waited := make(chan error, 1)
		go func() { waited <- client.Wait(ctx(t)) }()
		l, _ := impl.Remembered(ctx(t))
		rmi.Release(l)
		if err := <-waited; err != nil {
			t.Errorf("Wait after the server let go: %v", err)
		}
	})
}

func TestANamedObjectIsFoundInTheProcessThatComesAfter(t *testing.T) {
	leak.Check(t)
	pair(t, rmi.Options{}, func(t *testing.T, w *world, server, client *rmi.Node, endpoint string) {
		ref, err := rmi.ExportAs(server, "the listener", testobj.RemoteListener.Of(&hearer{name: "first", free: make(chan string, 9)}))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := rmi.ExportAs(server, "the listener", testobj.RemoteListener.Of(&hearer{name: "other"})); !errors.Is(err, rmi.ErrAlreadyBound) {
			t.Errorf("another object by the name: %v", err)
		}
		remote := resolved(t, client, testobj.RemoteListener, ref)
		if got, err := remote.Hear(ctx(t), ""); got != "first" || err != nil {
			t.Fatalf("%q, %v", got, err)
		}
		server.Close()
		next := w.node(rmi.Options{})
		defer next.Close()
		if _, err := next.Listen(endpoint); err != nil {
			t.Fatal(err)
		}
		if _, err := rmi.ExportAs(next, "the listener", testobj.RemoteListener.Of(&hearer{name: "second", free: make(chan string, 9)})); err != nil {
			t.Fatal(err)
		}
		settle(time.Second)
		if got, err := remote.Hear(ctx(t), ""); got != "second" || err != nil {
			t.Errorf("the old stub: %q, %v; want the object by that name in the new process", got, err)
		}
		weak, err := rmi.WeakOf(client, testobj.RemoteListener, remote)
		if err != nil {
			t.Fatal(err)
		}
		strong, err := weak.Upgrade(ctx(t))
		if err != nil {
			t.Fatalf("a weak reference to it: %v", err)
		}
		if got, err := strong.Hear(ctx(t), ""); got != "second" || err != nil {
			t.Errorf("by a weak reference: %q, %v", got, err)
		}
	})
}

func TestAStubOfANameThatAnotherObjectTookIsTheOtherObjects(t *testing.T) {
	for name, pause := range map[string]time.Duration{"at once": 0, "after its holders were told": 20 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			leak.Check(t)
			pair(t, rmi.Options{}, func(t *testing.T, _ *world, server, client *rmi.Node, _ string) {
				first, second := &hearer{"first", make(chan string, 9)}, &hearer{"second", make(chan string, 9)}
				ref, err := rmi.ExportAs(server, "the listener", testobj.RemoteListener.Of(first))
				if err != nil {
					t.Fatal(err)
				}
				old := resolved(t, client, testobj.RemoteListener, ref)
				settle(time.Second)
				if err := rmi.Unexport(ctx(t), server, first); err != nil {
					t.Fatal(err)
				}
				settle(pause)
				if _, err := rmi.ExportAs(server, "the listener", testobj.RemoteListener.Of(second)); err != nil {
					t.Fatal(err)
				}
				remote := resolved(t, client, testobj.RemoteListener, ref)
				settle(time.Second) // what is said of the first arrives
				if got, err := remote.Hear(ctx(t), ""); got != "second" || err != nil {
					t.Errorf("a stub of the name answers %q, %v", got, err)
				}
				if holders := server.Holders(second); len(holders) != 1 {
					t.Errorf("the second is held by %v, want the client", holders)
				}
				rmi.Release(remote)
				settle(time.Second)
				if holders := server.Holders(second); len(holders) != 0 || len(second.free) != 1 {
					t.Errorf("after the release the second is held by %v, and was told %d times", holders, len(second.free))
				}
				runtime.KeepAlive(old)
			})
		})
	}
}

func TestAHolderOfANameIsToldOnceNothingHasIt(t *testing.T) {
	leak.Check(t)
	pair(t, rmi.Options{}, func(t *testing.T, _ *world, server, client *rmi.Node, _ string) {
		impl := &hearer{"it", make(chan string, 9)}
		ref, err := rmi.ExportAs(server, "the listener", testobj.RemoteListener.Of(impl))
		if err != nil {
			t.Fatal(err)
		}
		told := make(chan error, 1)
		remote := resolved(t, client, testobj.RemoteListener, ref)
		go func() { told <- rmi.Monitor(ctx(t), remote) }()
		settle(time.Second)
		if err := rmi.Unexport(ctx(t), server, impl); err != nil {
			t.Fatal(err)
		}
		var e *rmi.Error
		if err := <-told; !errors.As(err, &e) || e.Reason != rmi.Unexported {
			t.Errorf("its holder is told %v, want that it was unexported", err)
		}
		settle(time.Second)
		if s, c := server.Stats(), client.Stats(); s.Held != 0 || c.Holding != 0 {
			t.Errorf("the server has %+v, the client %+v", s, c)
		}
	})
}

func TestNamesInTheOwnRegistryEndWithWhatTheyAreOf(t *testing.T) {
	for name, end := range map[string]func(t *testing.T, server, client *rmi.Node, parent, child *hearer, ref rmi.Ref){
		"its owner is held no longer": func(t *testing.T, _, client *rmi.Node, _, _ *hearer, ref rmi.Ref) {
			held := resolved(t, client, testobj.RemoteListener, ref)
			settle(time.Second)
			rmi.Release(held)
		},
		"its owner is unexported": func(t *testing.T, server, _ *rmi.Node, parent, _ *hearer, _ rmi.Ref) {
			if err := rmi.Unexport(ctx(t), server, parent); err != nil {
				t.Fatal(err)
			}
		},
		"it is unexported itself": func(t *testing.T, server, _ *rmi.Node, _, child *hearer, _ rmi.Ref) {
			if err := rmi.Unexport(ctx(t), server, child); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			leak.Check(t)
			pair(t, rmi.Options{}, func(t *testing.T, _ *world, server, client *rmi.Node, endpoint string) {
				reg := servesRegistry(t, server)
				url := "rmi://" + strings.TrimPrefix(endpoint, "tcp://") + "/child"
				parent, child := &hearer{"parent", make(chan string, 1)}, &hearer{"child", make(chan string, 1)}
				ref, err := rmi.Export(server, testobj.RemoteListener.Of(parent))
				if err == nil {
					err = rmi.Bind(ctx(t), server, url, testobj.RemoteListener.Of(child))
				}
				if err == nil {
					err = rmi.Owned(server, parent, child)
				}
				if err != nil {
					t.Fatal(err)
				}
				if got, err := rmi.Lookup(ctx(t), client, testobj.RemoteListener, url); err != nil {
					t.Fatalf("while it lives, the name leads to %v, %v", got, err)
				}
				end(t, server, client, parent, child, ref)
				settle(time.Second)
				if names, err := reg.List(ctx(t), ""); len(names) != 0 || err != nil {
					t.Errorf("after its end the registry has %v, %v", names, err)
				}
				if _, err := rmi.Lookup(ctx(t), client, testobj.RemoteListener, url); !errors.Is(err, rmi.ErrNotBound) {
					t.Errorf("the name leads to %v, want ErrNotBound", err)
				}
				if err := rmi.Bind(ctx(t), server, url, testobj.RemoteListener.Of(child)); err != nil {
					t.Errorf("bound again: %v", err)
				}
				settle(time.Second)
				if got, err := rmi.Lookup(ctx(t), client, testobj.RemoteListener, url); err != nil {
					t.Errorf("exported and bound again, the name leads to %v, %v", got, err)
				}
			})
		})
	}
}

// servesRegistry gives a node a registry.
func servesRegistry(t *testing.T, n *rmi.Node) registry.Registry {
	t.Helper()
	reg, err := registry.New(registry.Options{})
	if err == nil {
		err = rmi.ServeRegistry(n, reg)
	}
	if err != nil {
		t.Fatal(err)
	}
	return reg
}

func TestADeadServersNamesVanish(t *testing.T) {
	leak.Check(t)
	pair(t, rmi.Options{}, func(t *testing.T, w *world, server, client *rmi.Node, endpoint string) {
		reg := servesRegistry(t, server)
		if _, err := client.Listen(w.listen()); err != nil {
			t.Fatal(err)
		}
		url := "rmi://" + strings.TrimPrefix(endpoint, "tcp://")
		if err := rmi.Bind(ctx(t), client, url+"/it", testobj.RemoteListener.Of(&hearer{name: "it", free: make(chan string, 9)})); err != nil {
			t.Fatal(err)
		}
		settle(5 * time.Minute)
		if names, err := reg.List(ctx(t), ""); len(names) != 1 || err != nil {
			t.Fatalf("the names are %v, %v", names, err)
		}
		client.Close() // without a word
		settle(70 * time.Second)
		if names, err := reg.List(ctx(t), ""); len(names) != 0 || err != nil {
			t.Errorf("after a lease, the names are %v, %v", names, err)
		}
	})
}

func TestANameThatWasBoundForADeadServerVanishes(t *testing.T) {
	leak.Check(t)
	pair(t, rmi.Options{}, func(t *testing.T, w *world, server, client *rmi.Node, endpoint string) {
		reg := servesRegistry(t, server)
		dead, _ := w.server(rmi.Options{})
		remote := pass(t, dead, client, newService(dead))
		dead.Close() // which the registry's process never meets
		url := "rmi://" + strings.TrimPrefix(endpoint, "tcp://")
		if err := rmi.Bind(ctx(t), client, url+"/it", testobj.RemoteService.Of(remote)); err != nil {
			t.Fatal(err)
		}
		settle(30 * time.Second)
		if names, err := reg.List(ctx(t), ""); len(names) != 1 || err != nil {
			t.Fatalf("the names are %v, %v", names, err)
		}
		settle(40 * time.Second)
		if names, err := reg.List(ctx(t), ""); len(names) != 0 || err != nil {
			t.Errorf("after a lease, the names are %v, %v", names, err)
		}
	})
}

func TestNamesComeBackAfterAPartitionLongerThanTheLease(t *testing.T) {
	leak.Check(t)
	pair(t, rmi.Options{}, func(t *testing.T, w *world, server, client *rmi.Node, endpoint string) {
		reg := servesRegistry(t, server)
		at, err := client.Listen(w.listen())
		if err != nil {
			t.Fatal(err)
		}
		url := "rmi://" + strings.TrimPrefix(endpoint, "tcp://")
		if err := rmi.Bind(ctx(t), client, url+"/it", testobj.RemoteListener.Of(&hearer{name: "it", free: make(chan string, 9)})); err != nil {
			t.Fatal(err)
		}
		w.stall(true, endpoint, at)
		settle(2 * time.Minute)
		if names, _ := reg.List(ctx(t), ""); len(names) != 0 {
			t.Errorf("in the partition, the names are %v", names)
		}
		w.stall(false, endpoint, at)
		settle(time.Minute)
		if names, _ := reg.List(ctx(t), ""); len(names) != 1 {
			t.Errorf("after the partition, the names are %v", names)
		}
	})
}

func TestTracedExportsTellWhereTheyCameToBe(t *testing.T) {
	leak.Check(t)
	pair(t, rmi.Options{TraceExports: true}, func(t *testing.T, _ *world, server, client *rmi.Node, _ string) {
		impl := &hearer{"it", make(chan string, 1)}
		ref, err := rmi.Export(server, testobj.RemoteListener.Of(impl))
		if err != nil {
			t.Fatal(err)
		}
		if at := server.ExportedAt(impl); !strings.Contains(at, "_test.go:") {
			t.Errorf("it was exported at %q, want this file", at)
		}
		remote := resolved(t, client, testobj.RemoteListener, ref)
		if n := pprof.Lookup("rmi.exports").Count(); n != 1 {
			t.Errorf("the profile of exports has %d", n)
		}
		if n := pprof.Lookup("rmi.stubs").Count(); n != 1 {
			t.Errorf("the profile of stubs has %d", n)
		}
		_ = remote.Hear
		if err := rmi.Unexport(ctx(t), server, impl); err != nil {
			t.Fatal(err)
		}
		if n := pprof.Lookup("rmi.exports").Count(); n != 0 {
			t.Errorf("after Unexport, the profile of exports has %d", n)
		}
	})
}

func TestNodesThatTraceShareTheProfilesAndLeaveNothingInThem(t *testing.T) {
	leak.Check(t)
	pair(t, rmi.Options{TraceExports: true}, func(t *testing.T, w *world, server, client *rmi.Node, _ string) {
		other := w.node(rmi.Options{TraceExports: true})
		impl := newService(server)
		one, two := pass(t, server, client, impl), pass(t, server, other, impl) // the first handle of either
		if n := pprof.Lookup("rmi.stubs").Count(); n != 2 {
			t.Errorf("the profile of stubs has %d, want one of each node", n)
		}
		other.Close()
		if n := pprof.Lookup("rmi.stubs").Count(); n != 1 {
			t.Errorf("after one was closed, the profile of stubs has %d", n)
		}
		server.Close()
		client.Close()
		if n := pprof.Lookup("rmi.stubs").Count() + pprof.Lookup("rmi.exports").Count(); n != 0 {
			t.Errorf("closed nodes have left %d entries", n)
		}
		runtime.KeepAlive(one)
		runtime.KeepAlive(two)
	})
}
