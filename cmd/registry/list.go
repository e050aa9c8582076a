package main

import (
	"context"
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rmigo/rmigo/registry"
)

func listCommand() *cobra.Command {
	var c client
	var long bool
	cmd := &cobra.Command{
		Use:   "list [PREFIX]",
		Short: "List the names that are bound",
		Long: `List the names that are bound, or those that start with PREFIX, sorted, one a
line; with --long, also what each is bound to.`,
		Args:              arguments(0, 1, "PREFIX"),
		ValidArgsFunction: c.complete,
	}
	cmd.Flags().BoolVarP(&long, "long", "l", false, "print interfaces, process and endpoints too, as lookup does")
	return c.asking(cmd, func(ctx context.Context, args []string) error {
		reg, err := c.registry(ctx)
		if err != nil {
			return err
		}
		names, err := reg.List(ctx, strings.Join(args, ""))
		switch {
		case err != nil:
			return err
		case long:
			return c.listLong(ctx, reg, names)
		}
		return c.print(append([]string{}, names...), func(out *table) {
			for _, name := range names {
				out.row(name)
			}
		})
	})
}

// listLong looks the names up; one that was unbound meanwhile is left out.
func (c *client) listLong(ctx context.Context, reg registry.Registry, names []string) error {
	bindings := []binding{}
	for _, name := range names {
		b, _, err := c.lookup(ctx, reg, name)
		var said *failure
		switch {
		case err == nil:
			bindings = append(bindings, b)
		case errors.As(err, &said) && said.code == exitNotBound:
		default:
			return err
		}
	}
	return c.print(bindings, func(out *table) {
		if len(bindings) > 0 {
			out.row("NAME", "INTERFACES", "PROCESS", "ENDPOINTS")
		}
		for _, b := range bindings {
			out.row(b.Name, joined(b.Interfaces), b.Process, joined(b.Endpoints))
		}
	})
}
