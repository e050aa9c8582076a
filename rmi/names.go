package rmi

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rmigo/rmigo/refs"
	"github.com/rmigo/rmigo/registry"
	"github.com/rmigo/rmigo/skeleton"
	"github.com/rmigo/rmigo/stub"
)

// Bind puts an object under a name in a registry, exporting it if need be. The name must be free, or have this object already;
// else ErrAlreadyBound. URLs are rmi://host:port/name (port 1099 where left out) and rmi+unix:///socket#name. If the registry
// goes away, the node binds the object again once it is back. A stub may be bound too: then the name leads to its object.
//
// A node that listens nowhere, or only on loopback or a Unix socket while the registry is on another host, cannot be found by
// those who look the name up; binding its objects is ErrUnreachable, unless the registry is its own.
func Bind(ctx context.Context, n *Node, url string, b skeleton.Bound) error {
	return bind(ctx, n, "bind", url, b, registry.Registry.Bind)
}

// Rebind is Bind whatever the name has had before.
func Rebind(ctx context.Context, n *Node, url string, b skeleton.Bound) error {
	return bind(ctx, n, "rebind", url, b, registry.Registry.Rebind)
}

func bind(ctx context.Context, n *Node, op, url string, b skeleton.Bound,
	put func(registry.Registry, context.Context, string, stub.Object) error) error {
	u, err := parseName(op, url)
	if err != nil {
		return err
	}
	if err := unbound(op, url, b); err != nil {
		return err
	}
	reg, err := n.locate(ctx, u.Endpoint)
	if err != nil {
		return naming(op, url, err)
	}
	_, theirs := stub.Of(b.Impl())
	remote, elsewhere := stub.Of(reg)
	elsewhere = elsewhere && !remote.Handle().Local() // with AlwaysMarshal, the own registry is a stub too
	if elsewhere && !theirs {
		if err := n.refs.Findable(ctx, remote.Handle()); err != nil {
			return naming(op, url, err)
		}
	}
	obj, err := ObjectOf(n, b)
	if err != nil {
		return naming(op, url, err)
	}
	var in refs.Association
	if elsewhere {
		if in, _, err = n.refs.Session(ctx, u.Endpoint); err != nil {
			return naming(op, url, err)
		}
	}
	since := time.Now()
	if err := put(reg, ctx, u.Name, obj); err != nil {
		return naming(op, url, err)
	}
	if elsewhere {
		n.keeper.Keep(u, obj, in, since)
	}
	return nil
}

// Lookup returns the object under a name, seen through d: its stub, or the object itself if it is this node's own. Errors:
// ErrNotBound; ErrUnreachable if nothing answers at the registry's address; ErrNoSuchObject if what answers serves no registry;
// ErrNoSuchMethod if the object has no such interface.
func Lookup[T any](ctx context.Context, n *Node, d *skeleton.Interface[T], url string) (T, error) {
	var zero T
	u, err := parseName("lookup", url)
	if err != nil {
		return zero, err
	}
	if err := undescribed("lookup", url, d); err != nil {
		return zero, err
	}
	reg, err := n.locate(ctx, u.Endpoint)
	if err != nil {
		return zero, naming("lookup", url, err)
	}
	obj, err := reg.Lookup(ctx, u.Name)
	if err != nil {
		return zero, naming("lookup", url, err)
	}
	t, err := Narrow(ctx, d, obj)
	if err != nil {
		return zero, naming("lookup", url, err)
	}
	return t, nil
}

// Unbind frees a name, whoever bound it; ErrNotBound if it is free.
func Unbind(ctx context.Context, n *Node, url string) error {
	u, err := parseName("unbind", url)
	if err != nil {
		return err
	}
	n.keeper.Forget(u)
	reg, err := n.locate(ctx, u.Endpoint)
	if err != nil {
		return naming("unbind", url, err)
	}
	return naming("unbind", url, reg.Unbind(ctx, u.Name))
}

// List returns the names in a registry that start with the URL's name, sorted; all for a URL without one.
func List(ctx context.Context, n *Node, url string) ([]string, error) {
	u, err := registry.ParseURL(url)
	if err != nil {
		return nil, malformed("list", err)
	}
	reg, err := n.locate(ctx, u.Endpoint)
	if err != nil {
		return nil, naming("list", url, err)
	}
	names, err := reg.List(ctx, u.Name)
	return names, naming("list", url, err)
}

// LocateRegistry returns the registry at a URL, whose name is ignored, having asked the process there whether it has one.
func LocateRegistry(ctx context.Context, n *Node, url string) (registry.Registry, error) {
	u, err := registry.ParseURL(url)
	if err != nil {
		return nil, malformed("locate", err)
	}
	reg, err := n.locate(ctx, u.Endpoint)
	if err != nil {
		return nil, naming("locate", url, err)
	}
	if s, remote := stub.Of(reg); remote {
		f, err := n.refs.Face(registry.RemoteRegistry)
		if err != nil {
			return nil, err
		}
		if _, err := s.Handle().Interfaces(ctx, f); err != nil {
			return nil, naming("locate", url, err)
		}
	}
	return reg, nil
}

// ServeRegistry makes reg the registry of this node, found at the node's endpoints by those who know nothing but an address.
func ServeRegistry(n *Node, reg registry.Registry) error {
	_, err := n.refs.ExportAt(refs.RegistryObject(), refs.Pinned, ExportOptions{}, registry.RemoteRegistry, reg)
	return err
}

// locate returns the registry of the process that answers at the endpoint, without asking whether it has one.
func (n *Node) locate(ctx context.Context, endpoint string) (registry.Registry, error) {
	ref, err := n.refs.RefAt(ctx, endpoint, refs.RegistryObject(), registry.RemoteRegistry.Path)
	if err != nil {
		return nil, err
	}
	return resolve(n.refs, registry.RemoteRegistry, ref)
}

func parseName(op, url string) (registry.URL, error) {
	u, err := registry.ParseURL(url)
	if err == nil && u.Name == "" {
		u.Name = "name"
		err = fmt.Errorf("registry: URL %q has no name: write one as in %s", url, u)
	}
	return u, malformed(op, err)
}

// malformed says that a URL cannot be read: nothing was done.
func malformed(op string, err error) error {
	if err == nil {
		return nil
	}
	return &Error{Op: op, NotRun: true, Err: err}
}

// naming says which operation on which URL failed, keeping what else is known.
func naming(op, url string, err error) error {
	if err == nil {
		return nil
	}
	out := &Error{NotRun: !refs.MayHaveRun(err), Err: err}
	if cause, ok := err.(*Error); ok && cause.On == "" {
		*out = *cause
		out.Method = ""
		if cause.Kind == ErrNoSuchObject && cause.Ref.ID().Object == refs.RegistryObject() {
			out.Reason, out.Err = NeverExisted, errors.New("the process there serves no registry")
		}
	} else { // the registry's own answer, maybe about a call that it made
		errors.As(err, &out.Kind)
	}
	out.Op, out.URL, out.Ref = op, url, Ref{}
	return out
}
