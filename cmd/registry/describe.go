package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rmigo/rmigo/rmi"
	"github.com/rmigo/rmigo/stub"
)

const ofWhat = "NAME is what the object is bound to, or the text of a reference, as \"lookup --ref\" and \"call\" print it."

func describeCommand() *cobra.Command {
	var c client
	cmd := &cobra.Command{
		Use:   "describe NAME",
		Short: "Say what an object can be asked",
		Long: `Say what an object can be asked: its interfaces with their methods, docs and
directives, and the types that these lead to. ` + ofWhat,
		Args:              arguments(1, 1, "NAME"),
		ValidArgsFunction: c.complete,
	}
	return c.asking(cmd, func(ctx context.Context, args []string) error {
		obj, err := c.referred(ctx, args[0])
		if err != nil {
			return err
		}
		d, err := rmi.Describe(ctx, obj)
		if err != nil {
			return c.uncalled(args[0], err)
		}
		if !c.json {
			_, err = fmt.Fprint(c.cmd.OutOrStdout(), d.String())
			return err
		}
		return c.print(d, nil)
	})
}

// referred returns what is bound to a name, or what a reference refers to.
func (c *client) referred(ctx context.Context, name string) (stub.Object, error) {
	if strings.HasPrefix(name, referenceScheme) {
		obj, err := rmi.Resolve(ctx, c.node, rmi.AnyObject, name)
		if err != nil {
			return nil, &failure{exitUsage, fmt.Sprintf("%.60s…: %s", name, cause(err)), ""}
		}
		return obj, nil
	}
	reg, err := c.registry(ctx)
	if err != nil {
		return nil, err
	}
	return c.object(ctx, reg, name)
}

const referenceScheme = "rmi-ref:"
