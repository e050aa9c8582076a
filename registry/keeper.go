package registry

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/rmigo/rmigo/refs"
	"github.com/rmigo/rmigo/stub"
)

// Keeper keeps what a node has bound in registries bound: when the connection to a registry is lost, it connects again, at
// once and then with growing pauses, and restores the bindings there, until they are given up or the keeper is closed. A
// binding that somebody else has replaced meanwhile is given up, and logged.
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

// keeping is what is kept at one registry, and how to end the goroutine that does it.
type keeping struct {
	names map[string]binding
	stop  context.CancelFunc
}

// NewKeeper makes a keeper for the node. locate returns the registry at an endpoint; log is told of lost bindings.
func NewKeeper(node *refs.Node, log *slog.Logger, locate func(ctx context.Context, endpoint string) (Registry, error)) *Keeper {
	k := &Keeper{locate: locate, node: node, log: log, kept: map[string]*keeping{}}
	k.base, k.cancel = context.WithCancel(context.Background())
	return k
}

// Keep takes over a binding that was just made.
func (k *Keeper) Keep(u URL, obj stub.Object) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed {
		return
	}
	at := k.kept[u.Endpoint]
	if at == nil {
		ctx, stop := context.WithCancel(k.base)
		at = &keeping{map[string]binding{}, stop}
		k.kept[u.Endpoint] = at
		k.wg.Go(func() { k.watch(ctx, u.Endpoint) })
	}
	at.names[u.Name] = binding{obj, time.Now()}
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

// Bindings returns what is kept.
func (k *Keeper) Bindings() []URL {
	k.mu.Lock()
	defer k.mu.Unlock()
	var urls []URL
	for endpoint, at := range k.kept {
		for name := range at.names {
			urls = append(urls, URL{endpoint, name})
		}
	}
	return urls
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

// names returns the bindings at the endpoint.
func (k *Keeper) names(endpoint string) map[string]binding {
	k.mu.Lock()
	defer k.mu.Unlock()
	if at := k.kept[endpoint]; at != nil {
		return maps.Clone(at.names)
	}
	return nil
}

const (
	firstPause = 50 * time.Millisecond
	lastPause  = 5 * time.Second
)

// watch restores the endpoint's bindings each time that its registry was lost and is back, until ctx ends.
func (k *Keeper) watch(ctx context.Context, endpoint string) {
	_, gone, err := k.node.Session(ctx, endpoint)
	pause := time.Duration(0)
	for {
		if err == nil && gone == nil {
			return // the registry is this node's own: it lives as long as the node
		}
		if err == nil {
			select {
			case <-gone:
				pause = 0
			case <-ctx.Done():
				return
			}
		}
		select {
		case <-time.After(pause + rand.N(pause/4+1)):
			pause = min(max(2*pause, firstPause), lastPause)
		case <-ctx.Done():
			return
		}
		if _, gone, err = k.node.Session(ctx, endpoint); err == nil {
			err = k.restore(ctx, endpoint)
		}
	}
}

// restore binds the names again; an error means that the registry could not be asked.
func (k *Keeper) restore(ctx context.Context, endpoint string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	reg, err := k.locate(ctx, endpoint)
	if err != nil {
		return err
	}
	for name, b := range k.names(endpoint) {
		err := reg.Restore(ctx, name, b.object, time.Since(b.since))
		var broken *refs.Error
		switch u := (URL{endpoint, name}); {
		case err == nil:
			k.log.Debug("binding restored", "url", u.String())
		case errors.As(err, &broken):
			return err
		default:
			k.forgetIf(u, b.object)
			k.log.Error("binding lost", "url", u.String(), "err", err)
		}
	}
	return nil
}
