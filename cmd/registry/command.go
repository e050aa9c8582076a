package main

import (
	"fmt"
	"io"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// run is main without the process: it returns the exit code.
func run(args []string, stdout, stderr io.Writer) int {
	understood := false // the command line is right: what fails from then on is no wrong usage
	root := command()
	root.PersistentPreRun = func(*cobra.Command, []string) { understood = true }
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	cmd, err := root.ExecuteC()
	switch {
	case err == nil:
		return 0
	case !understood:
		err = wrongUsage(cmd, err)
	}
	return report(stderr, err)
}

const exitCodes = `Exit codes: 0 done; 1 failed; 2 wrong usage; 3 not bound; 4 no registry to ask.`

func command() *cobra.Command {
	root := &cobra.Command{
		Use:   "registry",
		Short: "Serve a registry of remote objects, and ask one",
		Long: `registry serves a registry, in which processes find each other's remote objects
by name, and asks one for what it holds.

` + exitCodes,
		Example: `  registry serve
  registry list bank/
  registry lookup bank/alice`,
		Version:       version(),
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.AddCommand(serveCommand(), listCommand(), lookupCommand(), describeCommand(), callCommand(), unbindCommand(), pingCommand(), cyclesCommand())
	return root
}

// wrongUsage says where to read what is right.
func wrongUsage(cmd *cobra.Command, err error) error {
	return &failure{exitUsage, err.Error(), fmt.Sprintf("Run %q for usage.", cmd.CommandPath()+" --help")}
}

// arguments takes from least to most of what is named so.
func arguments(least, most int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < least {
			return fmt.Errorf("%s: give a %s", cmd.Name(), what)
		}
		if len(args) > most {
			return fmt.Errorf("%s: give one %s, not %q", cmd.Name(), what, args)
		}
		return nil
	}
}

// version is the module's, as the go command built it in.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}
