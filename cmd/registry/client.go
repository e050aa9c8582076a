package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rmigo/rmigo/registry"
	"github.com/rmigo/rmigo/rmi"
)

const defaultURL = "rmi://127.0.0.1:1099"

// client is what the commands that ask a registry have in common.
type client struct {
	cmd     *cobra.Command
	url     string
	timeout time.Duration
	json    bool
	node    *rmi.Node
}

// asking makes a client's command of cmd: do runs with the node made, a context that an interrupt ends, and the errors of
// rmi put into words.
func (c *client) asking(cmd *cobra.Command, do func(ctx context.Context, args []string) error) *cobra.Command {
	c.cmd = cmd
	cmd.Long += "\n\n" + exitCodes
	flags := cmd.Flags()
	flags.StringVar(&c.url, "registry", "", "the registry's `URL` (default: $RMI_REGISTRY, else "+defaultURL+")")
	flags.DurationVar(&c.timeout, "timeout", 5*time.Second, "how long to wait for the connection, and for each answer")
	flags.BoolVar(&c.json, "json", false, "print JSON")
	cmd.Args = noURLs(cmd.Args)
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		if err := c.check(); err != nil {
			return wrongUsage(cmd, err)
		}
		ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt)
		defer stop()
		return c.run(ctx, args, do)
	}
	return cmd
}

// noURLs says how to name a registry and a name in it, where an argument is a URL. A name that looks like one can be given beside
// --registry.
func noURLs(others cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		for _, arg := range args {
			scheme, _, _ := strings.Cut(arg, "://")
			if !slices.Contains([]string{"rmi", "rmis", "rmi+unix"}, scheme) || scheme == arg || cmd.Flags().Changed("registry") {
				continue
			}
			u, err := registry.ParseURL(arg)
			if err != nil {
				return fmt.Errorf("%s: %s", cmd.Name(), cause(err))
			}
			right := []string{cmd.CommandPath(), "--registry", address(u.Endpoint)}
			if u.Name != "" {
				right = append(right, u.Name)
			}
			return fmt.Errorf("%s: %s is a URL: write %q", cmd.Name(), arg, strings.Join(right, " "))
		}
		return others(cmd, args)
	}
}

// address is the URL of the registry at the endpoint, without a name.
func address(endpoint string) string {
	return strings.TrimRight(registry.URL{Endpoint: endpoint}.String(), "/#")
}

// check settles on the URL.
func (c *client) check() error {
	from := "--registry"
	if c.url == "" {
		c.url, from = os.Getenv("RMI_REGISTRY"), "RMI_REGISTRY"
	}
	if c.url == "" {
		c.url = defaultURL
	}
	u, err := registry.ParseURL(c.url)
	switch {
	case err != nil:
		return fmt.Errorf("%s: %s", from, cause(err))
	case u.Name != "":
		return fmt.Errorf("%s: %s has a name in it: write the registry's address only", from, c.url)
	case c.timeout <= 0:
		return fmt.Errorf("--timeout: %v is no time to wait", c.timeout)
	}
	return nil
}

func (c *client) run(ctx context.Context, args []string, do func(context.Context, []string) error) error {
	node, err := rmi.NewNode(rmi.Options{
		HandshakeTimeout: c.timeout, Timeout: c.timeout, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return err
	}
	defer node.Close()
	c.node = node
	err = do(ctx, args)
	var said *failure
	if err == nil || errors.As(err, &said) {
		return err
	}
	return explain(c.url, err)
}

// registry connects, and makes sure that there is one.
func (c *client) registry(ctx context.Context) (registry.Registry, error) {
	return rmi.LocateRegistry(ctx, c.node, c.url)
}

// complete completes arguments with what is bound. It is quick or does nothing.
func (c *client) complete(cmd *cobra.Command, given []string, prefix string) (names []string, _ cobra.ShellCompDirective) {
	c.timeout = min(c.timeout, time.Second)
	if c.check() == nil {
		c.run(cmd.Context(), nil, func(ctx context.Context, _ []string) error {
			reg, err := c.registry(ctx)
			if err == nil {
				names, err = reg.List(ctx, prefix)
			}
			return err
		})
	}
	if cmd.Args(cmd, append(given, prefix)) != nil {
		names = nil // enough are given
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
