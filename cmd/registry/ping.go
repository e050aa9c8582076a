package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/rmigo/rmigo/registry"
)

// pinged is what ping measured; times are in milliseconds.
type pinged struct {
	Registry   string    `json:"registry"`
	Process    string    `json:"process"`
	Connect    float64   `json:"connectMs"`
	RoundTrips []float64 `json:"roundTripsMs"`
}

func pingCommand() *cobra.Command {
	var c client
	var count int
	cmd := &cobra.Command{
		Use:   "ping",
		Short: "Measure how far away the registry is",
		Long: `Connect, ask whether there is a registry, and print how long that took; then how
long further questions take: as long as calls over an existing connection.`,
		Args: cobra.MatchAll(cobra.NoArgs, func(*cobra.Command, []string) error {
			if count < 0 {
				return fmt.Errorf("--count: %d is no number of round trips", count)
			}
			return nil
		}),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	cmd.Flags().IntVar(&count, "count", 3, "ask `N` further questions")
	return c.asking(cmd, func(ctx context.Context, _ []string) error {
		p := pinged{Registry: c.url, RoundTrips: []float64{}}
		reg, took, err := c.timed(ctx)
		if err != nil {
			return err
		}
		ref, _ := c.node.RefOf(reg)
		p.Process, p.Connect = ref.ID().Process.String(), took
		for range count {
			if _, took, err = c.timed(ctx); err != nil {
				return err
			}
			p.RoundTrips = append(p.RoundTrips, took)
		}
		return c.print(p, p.table)
	})
}

// timed asks for the registry once and says how many milliseconds that took.
func (c *client) timed(ctx context.Context) (registry.Registry, float64, error) {
	start := time.Now()
	reg, err := c.registry(ctx)
	return reg, float64(time.Since(start).Microseconds()) / 1000, err
}

func (p pinged) table(out *table) {
	out.row("registry", p.Registry)
	out.row("process", p.Process)
	out.row("connected in", milliseconds(p.Connect))
	var texts []string
	for _, took := range p.RoundTrips {
		texts = append(texts, milliseconds(took))
	}
	if len(texts) > 0 {
		out.rows("round trips", texts)
		sorted := slices.Sorted(slices.Values(p.RoundTrips))
		out.row("median", milliseconds(sorted[len(sorted)/2]))
	}
}

func milliseconds(ms float64) string { return fmt.Sprintf("%.3f ms", ms) }
