package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/rmigo/rmigo/registry"
	"github.com/rmigo/rmigo/rmi"
)

// daemon is what serve was told.
type daemon struct {
	cmd     *cobra.Command
	listen  []string
	options registry.Options
	grace   time.Duration
	level   slog.Level
}

func serveCommand() *cobra.Command {
	var d daemon
	d.cmd = &cobra.Command{
		Use:   "serve",
		Short: "Serve a registry",
		Long: `Serve a registry until SIGTERM or SIGINT, and print a line for each place where
it listens. The signal makes it take no more calls, finish those that run, and
exit; a second one, or the end of --grace, cuts off what is left. The names are
kept in memory: the processes that bound them bind them again when the registry
comes back at the same place.

Processes on the same host may bind, look up and unbind; those on other hosts
look up only, and only where it listens for them, as at tcp://:1099.

Exit codes: 0 drained; 1 failed, or cut off; 2 wrong usage.`,
		Example: `  registry serve
  registry serve --listen tcp://:1099 --listen unix:///run/registry.sock`,
		Args:              cobra.MatchAll(cobra.NoArgs, func(*cobra.Command, []string) error { return d.check() }),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              func(*cobra.Command, []string) error { return d.serve() },
	}
	flags := d.cmd.Flags()
	flags.StringArrayVar(&d.listen, "listen", []string{"tcp://127.0.0.1:1099"}, "an `endpoint` to listen at, with port 0 any free one; may be repeated")
	flags.BoolVar(&d.options.RemoteWrites, "allow-remote-writes", false, "let processes on other hosts bind and unbind")
	flags.IntVar(&d.options.MaxBindings, "max-bindings", 100_000, "bind at most `N` names at once")
	flags.DurationVar(&d.grace, "grace", 10*time.Second, "how long running calls may take to finish at the end")
	flags.TextVar(&d.level, "log-level", slog.LevelWarn, "the least `level` to log to stderr: DEBUG, INFO, WARN or ERROR")
	return d.cmd
}

// check refuses what makes no sense before anything is done.
func (d *daemon) check() error {
	switch {
	case len(d.listen) == 0:
		return errors.New("--listen: nowhere to listen")
	case d.options.MaxBindings <= 0:
		return fmt.Errorf("--max-bindings: %d is no number of names", d.options.MaxBindings)
	case d.grace < 0:
		return fmt.Errorf("--grace: %v is no time to wait", d.grace)
	}
	return nil
}

func (d *daemon) serve() error {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)

	log := slog.New(slog.NewTextHandler(d.cmd.ErrOrStderr(), &slog.HandlerOptions{Level: d.level}))
	node, err := rmi.NewNode(rmi.Options{Logger: log})
	if err != nil {
		return err
	}
	defer node.Close()
	reg, err := registry.New(d.options)
	if err != nil {
		return err
	}
	if err := rmi.ServeRegistry(node, reg); err != nil {
		return err
	}
	for _, endpoint := range d.listen {
		at, err := node.Listen(endpoint)
		if err != nil {
			return cannotListen(endpoint, err)
		}
		fmt.Fprintf(d.cmd.OutOrStdout(), "registry: listening on %s\n", at)
	}
	log.Info("shutting down", "signal", (<-signals).String(), "grace", d.grace)
	return d.drain(node, signals)
}

// drain ends the node in good order, within the grace and until another signal comes.
func (d *daemon) drain(node *rmi.Node, signals <-chan os.Signal) error {
	ctx, cancel := context.WithTimeout(context.Background(), d.grace)
	defer cancel()
	drained := make(chan error, 1)
	go func() { drained <- node.Shutdown(ctx) }() // ends with ctx at the latest
	var err error
	select {
	case err = <-drained:
	case s := <-signals:
		cancel()
		<-drained
		return &failure{exitFailed, fmt.Sprintf("cut off by a second signal (%v)", s), ""}
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return &failure{exitFailed, fmt.Sprintf("cut off after %v: %s", d.grace, cause(err)), "Give it longer with --grace."}
	}
	return err
}
