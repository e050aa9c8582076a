// Command rmigen writes the stubs and skeletons of the interfaces that are marked //rmi:remote.
//
//	//go:generate go run github.com/rmigo/rmigo/cmd/rmigen
//
// Without arguments it reads the package in the working directory; with arguments, the packages, patterns or directories
// that they name. Beside each file that declares a marked interface it writes one that ends in _rmi.go, and it removes such
// files of its own whose interfaces are gone. If anything is refused, every refusal is printed and nothing is written.
//
// Its subcommands write nothing: check names the generated files that are not up to date, vet finds what compiles and will hurt
// at run time, compat names what breaks a peer built from another version. A directory of such a name is ./check.
//
// The exit code is 0 when all is well, 1 when something was refused, found or not up to date, and 2 when the command line is
// wrong, or versions cannot be compared.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rmigo/rmigo/internal/gen"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run is main without the process: it returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	cmd := command()
	cmd.SetArgs(normalised(args))
	cmd.SetOut(stdout)
	cmd.SetErr(stderr)
	err := cmd.ExecuteContext(ctx)
	var refused gen.Diagnostics
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errUnjudged):
		fmt.Fprintf(stderr, "rmigen: %v\n", err)
		return 2
	case errors.As(err, &refused):
		fmt.Fprintln(stderr, refused)
		return 1
	case errors.Is(err, errOutOfDate), errors.Is(err, errFound):
		return 1
	case errors.Is(err, errUsage):
		fmt.Fprintf(stderr, "rmigen: %v\nRun rmigen --help for usage.\n", err)
		return 2
	}
	fmt.Fprintf(stderr, "rmigen: %v\n", err)
	return 1
}

var (
	errUsage     = errors.New("usage")
	errOutOfDate = errors.New("not up to date") // what is not has been printed
	errFound     = errors.New("found")          // what was has been printed
	errUnjudged  = errors.New("could not be judged")
)

type flags struct {
	check, stdout, verbose bool
	foreign                gen.Foreign
	out                    string
}

// normalised lets the long flags of -type and of compat be written with one dash, as go:generate lines of other generators are.
func normalised(args []string) []string {
	all := slices.Clone(args)
	for k, arg := range all {
		name, _, _ := strings.Cut(arg, "=")
		if arg == "--" {
			break
		}
		if slices.Contains([]string{"-type", "-timeout", "-oneway", "-json", "-clients"}, name) {
			all[k] = "-" + arg
		}
	}
	return all
}

func command() *cobra.Command {
	var f flags
	cmd := &cobra.Command{
		Use:   "rmigen [packages or directories…]",
		Short: "Write stubs and skeletons for interfaces marked //rmi:remote",
		Long: `rmigen reads the interfaces marked //rmi:remote and writes <file>_rmi.go beside
each file that declares one. Without arguments it reads the package in ".".

Directives, in the doc comment of an interface or, the last, of a method:

  //rmi:remote          calls to it may cross processes
  //rmi:errors pkg.X    X keeps its identity or type on the way, as the errors
                        of the interface's own package do; where the file has
                        no other use for the import: var _ = pkg.X
  //rmi:idempotent      may be called again when an answer is lost
  //rmi:timeout 5s      a call takes no longer than that

docs/rmigen.md lists all, with those that have no effect yet.

With -type it generates for interfaces of other packages, which nobody can mark,
into the package in the directory that -o names. Methods without a context are
admitted by -timeout, which bounds each call of them; methods without results, by
-oneway. The generated file says what it was asked for, so that rmigen and rmigen
check without -type keep it up to date. A package whose signatures mention such an
interface says where its descriptor is: //rmi:use example.com/x.Y=example.com/yrmi.

If anything is refused, every refusal is printed and nothing is written.

Exit codes: 0 all is well; 1 something was refused or is not up to date; 2 the
command line is wrong.`,
		Example: `  //go:generate go run github.com/rmigo/rmigo/cmd/rmigen
  rmigen ./bank
  rmigen -type example.com/x.Y,example.com/x.Z -o yrmi -timeout 5s
  rmigen check ./...`,
		Version:       version(),
		Args:          arguments,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE:          func(cmd *cobra.Command, args []string) error { return generate(cmd, f, args) },
	}
	cmd.CompletionOptions.DisableDefaultCmd = true
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usage(err.Error()) })
	cmd.Flags().BoolVar(&f.check, "check", false, "the same as the subcommand check")
	cmd.Flags().BoolVar(&f.stdout, "stdout", false, "write nothing; print what would be written")
	cmd.Flags().BoolVarP(&f.verbose, "verbose", "v", false, "say what is done, and which errors lose their type")
	cmd.Flags().StringSliceVar(&f.foreign.Types, "type", nil, "generate for these interfaces: import/path.Name,…")
	cmd.Flags().StringVarP(&f.out, "output", "o", "", "with -type: the directory of the package to generate into")
	cmd.Flags().DurationVar(&f.foreign.Timeout, "timeout", 0, "with -type: bounds the calls of methods without a context")
	cmd.Flags().StringSliceVar(&f.foreign.OneWay, "oneway", nil, "with -type: methods that may lack an error: import/path.Name.Method,…")
	cmd.AddCommand(checkCommand(), vetCommand(), compatCommand())
	return cmd
}

func checkCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "check [packages or directories…]",
		Short: "Name the generated files that are missing, stale or left over",
		Long: `check generates as rmigen does, compares with what is on disk and writes
nothing. It prints one line for each file that differs: missing, stale, or left
over from interfaces that are gone. The same sources give the same bytes on every
system, so that it says the same on every machine.

Exit codes: 0 all files are up to date; 1 some are not, or something was refused;
2 the command line is wrong.`,
		Args: arguments,
		RunE: func(cmd *cobra.Command, args []string) error {
			return generate(cmd, flags{check: true}, args)
		},
	}
}

func usage(text string) error { return fmt.Errorf("%w: %s", errUsage, text) }

func arguments(_ *cobra.Command, args []string) error {
	for _, arg := range args {
		if filepath.Ext(arg) == ".go" {
			return usage(arg + " is a file: name its package or directory")
		}
	}
	return nil
}

func generate(cmd *cobra.Command, f flags, args []string) error {
	if f.check && f.stdout {
		return usage("--check and --stdout exclude each other")
	}
	opts, err := f.options(cmd, args)
	if err != nil {
		return err
	}
	plan, err := gen.Generate(cmd.Context(), opts)
	if err != nil {
		return err
	}
	if f.verbose {
		for _, note := range plan.Notes {
			cmd.PrintErrln(note)
		}
	}
	switch {
	case f.check:
		return check(cmd, plan)
	case f.stdout:
		return show(cmd, plan)
	}
	if f.verbose {
		for _, file := range plan.Files {
			cmd.PrintErrf("%s: %s\n", file.Name, done(file.State))
		}
	}
	return plan.Write()
}

// options says what to generate.
func (f *flags) options(cmd *cobra.Command, args []string) (gen.Options, error) {
	typed := cmd.Flags().Changed("type")
	for _, name := range []string{"output", "timeout", "oneway"} {
		if !typed && cmd.Flags().Changed(name) {
			return gen.Options{}, usage("--" + name + " goes with -type")
		}
	}
	switch {
	case !typed:
		return gen.Options{Packages: args}, nil
	case len(args) > 0:
		return gen.Options{}, usage("-type names all that is to be read: leave out " + strings.Join(args, " "))
	case f.out == "":
		return gen.Options{}, usage("-type needs a directory to generate into: -o yrmi")
	}
	if err := f.foreign.Check(); err != nil {
		return gen.Options{}, usage(err.Error())
	}
	return gen.Options{Foreign: &f.foreign, Out: f.out}, nil
}

// check names what is not up to date.
func check(cmd *cobra.Command, plan *gen.Plan) error {
	var err error
	for _, file := range plan.Files {
		if file.State != gen.Current {
			cmd.PrintErrf("%s: %s: run rmigen\n", file.Name, file.State)
			err = errOutOfDate
		}
	}
	return err
}

// show prints one file as it is, several as a txtar archive.
func show(cmd *cobra.Command, plan *gen.Plan) error {
	var files []gen.File
	for _, file := range plan.Files {
		if file.State != gen.Leftover {
			files = append(files, file)
		}
	}
	for _, file := range files {
		if len(files) > 1 {
			fmt.Fprintf(cmd.OutOrStdout(), "-- %s --\n", file.Name)
		}
		if _, err := cmd.OutOrStdout().Write(file.Content); err != nil {
			return err
		}
	}
	return nil
}

func done(s gen.State) string {
	switch s {
	case gen.Current:
		return "up to date"
	case gen.Leftover:
		return "removed"
	}
	return "written"
}

// version is the module's, as the go command built it in.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "(devel)"
	}
	if info.Main.Path == "github.com/rmigo/rmigo" {
		return info.Main.Version
	}
	for _, dep := range info.Deps {
		if dep.Path == "github.com/rmigo/rmigo" {
			return dep.Version
		}
	}
	return "(devel)"
}
