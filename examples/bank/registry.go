package main

import (
	"context"
	"fmt"
	"time"

	"github.com/rmigo/rmigo/registry"
	"github.com/rmigo/rmigo/rmi"
	"github.com/rmigo/rmigo/stub"
)

// registryRole serves a registry, as the command registry does.
type registryRole struct{ *player }

func newRegistry(p *player) role { return &registryRole{p} }

func (r *registryRole) do(_ context.Context, c command) (string, error) {
	if c.Do != "listen" {
		return "", fmt.Errorf("a registry does not know how to %s", c.Do)
	}
	names, err := registry.New(registry.Options{})
	if err != nil {
		return "", err
	}
	h := &herald{Registry: names, to: r.player, open: make(chan struct{})}
	if err := rmi.ServeRegistry(r.node, h); err != nil {
		return "", err
	}
	endpoint, err := r.node.Listen(c.At)
	if err != nil {
		return "", err
	}
	r.say("listens at %s", endpoint)
	close(h.open)
	return endpoint, nil
}

func (r *registryRole) leave(ctx context.Context) error { return r.node.Shutdown(ctx) }

// herald is a registry that tells the narrator what becomes of its names. It can be one by embedding: what a node serves as
// its registry is any implementation of the interface. Before it has said where it listens, it says nothing else.
type herald struct {
	registry.Registry
	to   *player
	open chan struct{} // closed once that is said
}

func (h *herald) Bind(ctx context.Context, name string, obj stub.Object) error {
	return h.announce(h.Registry.Bind(ctx, name, obj), "has bound %q", name)
}

func (h *herald) Rebind(ctx context.Context, name string, obj stub.Object) error {
	return h.announce(h.Registry.Rebind(ctx, name, obj), "has bound %q to another object", name)
}

func (h *herald) Restore(ctx context.Context, name string, obj stub.Object, age time.Duration) error {
	return h.announce(h.Registry.Restore(ctx, name, obj, age), "hears from the bank's node that %q was bound, and binds it again", name)
}

func (h *herald) Withdraw(ctx context.Context, name string, obj stub.Object) error {
	return h.announce(h.Registry.Withdraw(ctx, name, obj), "has freed %q", name)
}

func (h *herald) announce(err error, format, name string) error {
	if err == nil {
		<-h.open
		h.to.say(format, name)
	}
	return err
}
