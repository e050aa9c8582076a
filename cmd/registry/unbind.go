package main

import (
	"context"
	"errors"
	"math"

	"github.com/spf13/cobra"

	"github.com/rmigo/rmigo/registry"
	"github.com/rmigo/rmigo/rmi"
)

// freed is what became of the names.
type freed struct {
	Unbound  []string `json:"unbound"`
	NotBound []string `json:"notBound"`
}

func unbindCommand() *cobra.Command {
	var c client
	cmd := &cobra.Command{
		Use:   "unbind NAME...",
		Short: "Free names",
		Long: `Free names, whoever bound them, and print those that were. A name that is not
bound keeps no other from being freed. The process that bound a name is not told:
when the registry is restarted, it binds the name again.`,
		Args:              arguments(1, math.MaxInt, "NAME"),
		ValidArgsFunction: c.complete,
	}
	return c.asking(cmd, func(ctx context.Context, names []string) error {
		reg, err := c.registry(ctx)
		if err != nil {
			return err
		}
		f, err := free(ctx, reg, names)
		printed := c.print(f, func(out *table) {
			for _, name := range f.Unbound {
				out.row(name)
			}
		})
		switch {
		case err != nil:
			return err
		case len(f.NotBound) > 0:
			return c.notBound(f.NotBound...)
		}
		return printed
	})
}

// free frees what is bound, up to the first failure.
func free(ctx context.Context, reg registry.Registry, names []string) (freed, error) {
	f := freed{[]string{}, []string{}}
	for _, name := range names {
		switch err := reg.Unbind(ctx, name); {
		case err == nil:
			f.Unbound = append(f.Unbound, name)
		case errors.Is(err, rmi.ErrNotBound):
			f.NotBound = append(f.NotBound, name)
		default:
			return f, err
		}
	}
	return f, nil
}
