package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/rmigo/rmigo/registry"
	"github.com/rmigo/rmigo/rmi"
	"github.com/rmigo/rmigo/stub"
)

// binding is what a name is bound to, as it is printed. Process is the start of the process's id.
type binding struct {
	Name       string   `json:"name"`
	Interfaces []string `json:"interfaces"`
	Process    string   `json:"process"`
	Endpoints  []string `json:"endpoints"`
	Reference  string   `json:"reference,omitempty"` // a capability: only where it was asked for
}

func lookupCommand() *cobra.Command {
	var c client
	var whole bool
	cmd := &cobra.Command{
		Use:   "lookup NAME",
		Short: "Say what a name is bound to",
		Long: `Say what a name is bound to: the interfaces of the object, its process, and the
endpoints at which that may be reached.`,
		Args:              arguments(1, 1, "NAME"),
		ValidArgsFunction: c.complete,
	}
	cmd.Flags().BoolVar(&whole, "ref", false, "print the whole reference, with which whoever has it can call the object")
	return c.asking(cmd, func(ctx context.Context, args []string) error {
		reg, err := c.registry(ctx)
		if err != nil {
			return err
		}
		b, ref, err := c.lookup(ctx, reg, args[0])
		if err != nil {
			return err
		}
		if !whole {
			return c.print(b, b.table)
		}
		text, err := ref.MarshalText()
		if err != nil {
			return err
		}
		b.Reference = string(text)
		return c.print(b, func(out *table) { out.row(b.Reference) })
	})
}

// object asks for the object of one name.
func (c *client) object(ctx context.Context, reg registry.Registry, name string) (stub.Object, error) {
	obj, err := reg.Lookup(ctx, name)
	if errors.Is(err, rmi.ErrNotBound) {
		return nil, c.notBound(name)
	}
	return obj, err
}

// lookup asks for one name, and says what it is bound to.
func (c *client) lookup(ctx context.Context, reg registry.Registry, name string) (binding, rmi.Ref, error) {
	obj, err := c.object(ctx, reg, name)
	if err != nil {
		return binding{}, rmi.Ref{}, err
	}
	ref, ok := c.node.RefOf(obj)
	if !ok {
		return binding{}, rmi.Ref{}, fmt.Errorf("the registry has no object under %q", name)
	}
	return binding{Name: name, Interfaces: ref.Interfaces(), Process: ref.ID().Process.String(), Endpoints: ref.Endpoints()}, ref, nil
}

func (c *client) notBound(names ...string) *failure {
	return &failure{exitNotBound, fmt.Sprintf("nothing is bound to %s at %s", quoted(names), c.url), `"registry list" prints the names that are bound.`}
}

func (b binding) table(out *table) {
	out.row("name", b.Name)
	out.rows("interfaces", b.Interfaces)
	out.row("process", b.Process)
	out.rows("endpoints", b.Endpoints)
}
