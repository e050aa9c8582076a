package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rmigo/rmigo/internal/gen"
	"github.com/rmigo/rmigo/internal/vet"
)

func vetCommand() *cobra.Command {
	var checks strings.Builder
	for _, c := range vet.Checks() {
		fmt.Fprintf(&checks, "  %-11s %s\n", c.Name, c.Doc)
	}
	return &cobra.Command{
		Use:   "vet [packages or directories…]",
		Short: "Find what compiles and will hurt at run time",
		Long: `vet reads the marked interfaces, what travels by them, and the code that implements
and calls them, and prints what will hurt: where, why, and what to do instead. It
looks at one function at a time, and is silent where it cannot tell. The checks:

` + checks.String() + `
Exit codes: 0 nothing was found; 1 something was, or was refused; 2 the command
line is wrong.`,
		Args: arguments,
		RunE: func(cmd *cobra.Command, args []string) error {
			found, err := vet.Run(cmd.Context(), gen.Options{Packages: args})
			for _, f := range found {
				fmt.Fprintln(cmd.OutOrStdout(), f)
			}
			if err == nil && len(found) > 0 {
				return errFound
			}
			return err
		},
	}
}
