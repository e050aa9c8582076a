package registry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/rmigo/rmigo/refs"
	"github.com/rmigo/rmigo/stub"
)

// Keeper keeps what a node has bound in registries bound: when the connection to a registry is lost, it connects again, at
// once and then with growing pauses, until the bindings are given up or the keeper is closed; where it finds another process
// then, or one that has given this one up meanwhile, it restores them. A binding that somebody else has replaced meanwhile is given
// up, and logged.
//
// One goroutine runs for each registry that has bindings of the node; it ends with the last of them, or with Close. mu guards
// what stands below it and is not held across calls.
type Keeper struct {
	locate func(ctx context.Context, endpoint string) (Registry, error)
	node   *refs.Node
	log    *slog.Logger
	base   context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu     sync.Mutex
	closed bool
	kept   map[string]*keeping // by endpoint; each has at least one name
}

// keeping is what is kept at one registry, and how to wake and end the goroutine that does it.
type keeping struct {
	names map[string]kept
	wake  chan struct{} // has room for one
	stop  context.CancelFunc
}

// kept is a binding, and the association with the registry's process in which it was made: the registry drops it with that.
type kept struct {
	binding
	in refs.Association
}

// NewKeeper makes a keeper for the node. locate returns the registry at an endpoint; log is told of lost bindings.
func NewKeeper(node *refs.Node, log *slog.Logger, locate func(ctx context.Context, endpoint string) (Registry, error)) *Keeper {
	k := &Keeper{locate: locate, node: node, log: log, kept: map[string]*keeping{}}
	k.base, k.cancel = context.WithCancel(context.Background())
	return k
}

// Keep takes over a binding that was made at the given time, in the association that there was with the registry's process before.
func (k *Keeper) Keep(u URL, obj stub.Object, in refs.Association, since time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed {
		return
	}
	at := k.kept[u.Endpoint]
	if at == nil {
		ctx, stop := context.WithCancel(k.base)
		at = &keeping{map[string]kept{}, make(chan struct{}, 1), stop}
		k.kept[u.Endpoint] = at
		k.wg.Go(func() { k.watch(ctx, u.Endpoint, at.wake) })
	}
	at.names[u.Name] = kept{binding{object: obj, since: since}, in}
	select {
	case at.wake <- struct{}{}:
	default:
	}
}

// Forget gives the binding up.
func (k *Keeper) Forget(u URL) { k.forgetIf(u, nil) }

// forgetIf gives the binding up if it is still of the object; nil: whatever it is of.
func (k *Keeper) forgetIf(u URL, obj stub.Object) {
	k.mu.Lock()
	defer k.mu.Unlock()
	at := k.kept[u.Endpoint]
	if at == nil || obj != nil && at.names[u.Name].object != obj {
		return
	}
	delete(at.names, u.Name)
	if len(at.names) == 0 {
		at.stop()
		delete(k.kept, u.Endpoint)
	}
}

// Withdraw gives up the bindings of the objects that which accepts, and takes them out of the registries, unless somebody else
// has taken over the name.
func (k *Keeper) Withdraw(ctx context.Context, which func(stub.Object) bool) error {
	k.mu.Lock()
	found := map[URL]stub.Object{}
	for endpoint, at := range k.kept {
		for name, b := range at.names {
			if which(b.object) {
				found[URL{endpoint, name}] = b.object
			}
		}
	}
	k.mu.Unlock()
	var errs []error
	for u, obj := range found {
		k.forgetIf(u, obj)
		reg, err := k.locate(ctx, u.Endpoint)
		if err == nil {
			err = ignoreNotBound(reg.Withdraw(ctx, u.Name, obj))
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s stays bound: %w", u, err))
		}
	}
	return errors.Join(errs...)
}

// Close gives all bindings up and waits for the keeper's goroutines. The registries are not told.
func (k *Keeper) Close() {
	k.mu.Lock()
	k.closed = true
	for _, at := range k.kept {
		at.stop()
	}
	clear(k.kept)
	k.mu.Unlock()
	k.cancel()
	k.wg.Wait()
}

// restored notes in which association the binding is there now.
func (k *Keeper) restored(u URL, b kept, in refs.Association) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if at := k.kept[u.Endpoint]; at != nil && at.names[u.Name] == b {
		b.in = in
		at.names[u.Name] = b
	}
}

// missing returns the bindings at the endpoint that were made in another association than the given one.
func (k *Keeper) missing(endpoint string, now refs.Association) map[string]kept {
	k.mu.Lock()
	defer k.mu.Unlock()
	out := map[string]kept{}
	if at := k.kept[endpoint]; at != nil {
		maps.Copy(out, at.names)
	}
	maps.DeleteFunc(out, func(_ string, b kept) bool { return b.in == now })
	return out
}

// binding returns what is kept under the name.
func (k *Keeper) binding(u URL) (kept, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	at := k.kept[u.Endpoint]
	if at == nil {
		return kept{}, false
	}
	b, ok := at.names[u.Name]
	return b, ok
}

const (
	firstPause = 50 * time.Millisecond
	lastPause  = 5 * time.Second
)

// watch sees to it that the process that has the registry at the endpoint has the bindings, until ctx ends. It looks again when
// the connection is lost and when it is woken.
func (k *Keeper) watch(ctx context.Context, endpoint string, wake <-chan struct{}) {
	pause := time.Duration(0)
	for {
		now, gone, err := k.node.Session(ctx, endpoint)
		if err == nil && gone == nil {
			return // the registry is this node's own: it lives as long as the node
		}
		if err == nil {
			err = k.restore(ctx, endpoint, now)
		}
		if err == nil {
			pause = 0
			select {
			case <-gone:
			case <-wake:
			case <-ctx.Done():
				return
			}
			continue
		}
		pause = min(max(2*pause, firstPause), lastPause)
		select {
		case <-time.After(pause + rand.N(pause/4)):
		case <-ctx.Done():
			return
		}
	}
}

// restore binds again what was bound in an earlier association; an error means that the registry could not be asked.
func (k *Keeper) restore(ctx context.Context, endpoint string, in refs.Association) error {
	missing := k.missing(endpoint, in)
	if len(missing) == 0 {
		return nil
	}
	reg, err := k.locate(ctx, endpoint)
	if err != nil {
		return err
	}
	for name, b := range missing {
		u := URL{endpoint, name}
		if now, ok := k.binding(u); !ok || now != b {
			continue
		}
		if withdrawn(b.object) {
			k.forgetIf(u, b.object)
			continue
		}
		err := k.restoreOne(reg, u, b)
		switch {
		case err == nil:
			k.restored(u, b, in)
			k.log.Debug("binding restored", "url", u.String())
		case couldNotAsk(err):
			return err
		default:
			k.forgetIf(u, b.object)
			k.log.Error("binding lost", "url", u.String(), "err", err)
		}
	}
	return nil
}

// withdrawn reports whether the object was one of this process's, and is exported no longer.
func withdrawn(obj stub.Object) (gone bool) {
	if s, _ := stub.Of(obj); s.Handle().Local() {
		s.Handle().Watch(func(error) { gone = true })()
	}
	return gone
}

// couldNotAsk reports whether asking the registry again may help.
func couldNotAsk(err error) bool {
	e, ok := err.(*refs.Error)
	if !ok {
		return false // the registry's own answer
	}
	switch e.Kind {
	case refs.ErrUnreachable, refs.ErrOverloaded, refs.ErrNodeClosed, refs.ErrNoSuchObject, 0:
		return true
	}
	return false
}

// restoreOne binds one name again. What was given up meanwhile is taken back, for the registry may have been asked to unbind
// it before it had it; so this call goes on when the watch ends, and ends with the keeper.
func (k *Keeper) restoreOne(reg Registry, u URL, b kept) error {
	ctx, cancel := context.WithTimeout(k.base, 10*time.Second)
	defer cancel()
	err := reg.Restore(ctx, u.Name, b.object, time.Since(b.since))
	if _, kept := k.binding(u); kept || err != nil {
		return err
	}
	return ignoreNotBound(reg.Withdraw(ctx, u.Name, b.object))
}

func ignoreNotBound(err error) error {
	if errors.Is(err, refs.ErrNotBound) {
		return nil
	}
	return err
}
