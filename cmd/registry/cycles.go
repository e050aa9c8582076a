package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/rmigo/rmigo/inspect"
	"github.com/rmigo/rmigo/rmi"
)

// suspected is a cycle as it is printed, step by step.
type suspected []suspectedStep

type suspectedStep struct {
	Object string  `json:"object"`
	Type   string  `json:"type"`
	Held   float64 `json:"heldSeconds"`
	Path   string  `json:"path"` // in the object, to the next step's one
}

func cyclesCommand() *cobra.Command {
	var c client
	var held time.Duration
	cmd := &cobra.Command{
		Use:   "cycles NAME",
		Short: "Find objects that keep each other alive across processes",
		Long: `Ask the process that has the object NAME for cycles of objects that have been held
by other processes for long and may be needed by nothing else: the collector can
not undo those. Each object is printed with the field in it that leads to the
next. All processes on a cycle must run with Options.Inspect. Nothing is changed.`,
		Args:              arguments(1, 1, "NAME"),
		ValidArgsFunction: c.complete,
	}
	cmd.Flags().DurationVar(&held, "held", 10*time.Minute, "suspect what has been held by another process for a `time` like this")
	return c.asking(cmd, func(ctx context.Context, args []string) error {
		reg, err := c.registry(ctx)
		if err != nil {
			return err
		}
		obj, err := c.object(ctx, reg, args[0])
		if err != nil {
			return err
		}
		there, err := rmi.Inspect(c.node, obj)
		if err != nil {
			return err
		}
		cycles, err := there.SuspectedCycles(ctx, held)
		if e, ok := err.(*rmi.Error); ok {
			return cannotInspect(args[0], e)
		}
		return errors.Join(c.print(steps(cycles), func(out *table) { printCycles(out, cycles, held) }), incomplete(err))
	})
}

// cannotInspect puts an error of asking the process that has the object of that name into words.
func cannotInspect(name string, e *rmi.Error) *failure {
	if e.Kind == rmi.ErrNoSuchObject {
		return &failure{exitFailed, fmt.Sprintf("the process that has %q does not tell what its objects refer to", name),
			"Make its node with Options.Inspect set."}
	}
	return &failure{exitFailed, fmt.Sprintf("the process that has %q: %s", name, cause(e)), ""}
}

// incomplete says what could not be looked at.
func incomplete(err error) error {
	if err == nil {
		return nil
	}
	return &failure{exitFailed, "not everything could be looked at: " + err.Error(), ""}
}

func steps(cycles []inspect.Cycle) []suspected {
	all := []suspected{}
	for _, c := range cycles {
		var s suspected
		for _, step := range c.Steps {
			s = append(s, suspectedStep{step.Object, step.Type, step.Held.Seconds(), step.Path})
		}
		all = append(all, s)
	}
	return all
}

func printCycles(out *table, cycles []inspect.Cycle, held time.Duration) {
	if len(cycles) == 0 {
		out.row(fmt.Sprintf("no cycles of objects that have been held for %v", held))
	}
	for i, c := range cycles {
		if i > 0 {
			out.row()
		}
		out.row(c.String())
	}
}
