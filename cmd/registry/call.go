package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"reflect"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rmigo/rmigo/rmi"
	"github.com/rmigo/rmigo/stub"
)

func callCommand() *cobra.Command {
	var c client
	cmd := &cobra.Command{
		Use:   "call NAME METHOD [ARGUMENT]...",
		Short: "Call a method of an object",
		Long: `Call a method of an object, and print its results, one a line; with --json, all
of them as a JSON array. What a stream brings is printed as it comes, a line of
JSON for each item. A reader that is returned is read to its end, after the other
results; what a writer takes is read from standard input. ` + ofWhat + `

An argument is JSON, and a text where it is none: 100, true, '{"Name": "x"}', Ada.
Write '"100"' for the text 100. Times are as in "2026-11-26T07:00:00Z", bytes in
base64. A remote object is given as the text of its reference, and is printed so.
"registry describe NAME" prints what an object can be asked.`,
		Example: `  registry call bank Account Ada
  registry call bank/alice Deposit 100`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) < 2 {
				return fmt.Errorf("%s: give a NAME and a METHOD", cmd.Name())
			}
			return nil
		},
	}
	cmd.Flags().SetInterspersed(true)
	return c.asking(cmd, func(ctx context.Context, args []string) error {
		obj, err := c.referred(ctx, args[0])
		if err != nil {
			return err
		}
		var values []any
		for _, arg := range args[2:] {
			values = append(values, argument(arg))
		}
		d, err := rmi.Describe(ctx, obj)
		if err != nil {
			return c.uncalled(args[0], err)
		}
		if _, m := d.Method(args[1]); m != nil && m.Stream {
			return c.printStream(args[0], rmi.InvokeStream(ctx, c.node, obj, args[1], values...))
		}
		results, err := rmi.Invoke(ctx, c.node, obj, args[1], values...)
		if err != nil {
			return c.uncalled(args[0], err)
		}
		return c.printResults(ctx, args[0], results)
	})
}

// printResults prints what a call has returned, and reads and writes what is to be read and written.
func (c *client) printResults(ctx context.Context, name string, results []any) error {
	p := &printing{c, map[uintptr]bool{}}
	var shown []any
	var streams []io.Closer
	for _, r := range results {
		if stream, ok := r.(io.Closer); ok {
			streams = append(streams, stream)
			continue
		}
		shown = append(shown, p.of(r))
	}
	if len(shown) > 0 || len(streams) == 0 {
		err := c.print(slices.Concat([]any{}, shown), func(out *table) {
			for _, r := range shown {
				text, isText := r.(string)
				if !isText {
					b, _ := json.Marshal(r)
					text = string(b)
				}
				fmt.Fprintln(out.w, text)
			}
		})
		if err != nil {
			return err
		}
	}
	for _, s := range streams {
		if err := c.transfer(ctx, s); err != nil {
			return c.uncalled(name, err)
		}
	}
	return nil
}

// transfer reads a reader to its end, or gives a writer all of the standard input, and closes it; what is not whole is given up.
func (c *client) transfer(ctx context.Context, stream io.Closer) error {
	copied := make(chan error, 1)
	go func() { // ends with what is copied, or with the process
		var err error
		switch s := stream.(type) {
		case io.Reader:
			_, err = io.Copy(c.cmd.OutOrStdout(), s)
		case io.Writer:
			_, err = io.Copy(s, c.cmd.InOrStdin())
		}
		copied <- err
	}()
	var err error
	select {
	case err = <-copied:
	case <-ctx.Done():
		err = ctx.Err()
	}
	if w, ok := stream.(interface{ CloseWithError(error) error }); ok && err != nil {
		w.CloseWithError(err)
		return err
	}
	if closing := stream.Close(); err == nil {
		err = closing
	}
	return err
}

// printStream prints the items of a stream as they come, each as a line of JSON.
func (c *client) printStream(name string, items iter.Seq2[any, error]) error {
	lines := json.NewEncoder(c.cmd.OutOrStdout())
	lines.SetEscapeHTML(false)
	for item, err := range items {
		if err != nil {
			return c.uncalled(name, err)
		}
		p := &printing{c, map[uintptr]bool{}}
		if err := lines.Encode(p.of(item)); err != nil {
			return err
		}
	}
	return nil
}

// argument is what an argument on the command line means.
func argument(text string) any {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return text
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return text
	}
	return v
}

// printing makes results printable as JSON.
type printing struct {
	c    *client
	open map[uintptr]bool // maps and lists on the way to what is printed
}

func (p *printing) of(v any) any {
	switch v := v.(type) {
	case stub.Object: // before Marshaler: a stub is one, which fails
		ref, _ := p.c.node.RefOf(v)
		text, _ := ref.MarshalText()
		return string(text)
	case nil, bool, string, int64, uint64, json.Marshaler:
		return v
	case []byte:
		return base64.StdEncoding.EncodeToString(v)
	case float64:
		if _, err := json.Marshal(v); err == nil {
			return v
		}
	case map[string]any:
		return p.inside(v, func() any {
			out := make(map[string]any, len(v))
			for key, item := range v {
				out[key] = p.of(item)
			}
			return out
		})
	case map[any]any:
		return p.inside(v, func() any {
			out := make(map[string]any, len(v))
			for key, item := range v {
				out[fmt.Sprint(p.of(key))] = p.of(item)
			}
			return out
		})
	case []any:
		return p.inside(v, func() any {
			out := make([]any, len(v))
			for i, item := range v {
				out[i] = p.of(item)
			}
			return out
		})
	}
	return fmt.Sprint(v) // an error, a duration, what JSON has no number for
}

// inside prints what v contains, unless v contains itself.
func (p *printing) inside(v any, content func() any) any {
	at := reflect.ValueOf(v).Pointer()
	if p.open[at] && reflect.ValueOf(v).Len() > 0 {
		return "…"
	}
	p.open[at] = true
	defer delete(p.open, at)
	return content()
}

// uncalled puts an error of asking an object into words.
func (c *client) uncalled(name string, err error) error {
	var argument *rmi.ArgumentError
	var e *rmi.Error
	if len(name) > 60 {
		name = "the object"
	}
	remedy := `"registry describe" prints what an object can be asked.`
	switch {
	case errors.As(err, &argument):
		return &failure{exitUsage, argument.Error(), remedy}
	case errors.Is(err, rmi.ErrNoSuchMethod):
		return &failure{exitUsage, fmt.Sprintf("%s: %s", name, cause(err)), remedy}
	case errors.Is(err, context.DeadlineExceeded):
		return &failure{exitFailed, name + " did not answer in time", "Give it longer with --timeout."}
	case errors.As(err, &e) && e.Err == nil:
		return &failure{exitFailed, fmt.Sprintf("%s: %s", name, e.Reason), ""}
	}
	return &failure{exitFailed, fmt.Sprintf("%s: %s", name, cause(err)), ""}
}
