package report

import (
	"fmt"
	"io"

	"github.com/rmigo/rmigo/bench/harness"
	"github.com/rmigo/rmigo/bench/plan"
)

func traffic(s harness.Sample) float64  { return s.Held.Traffic }
func owner(s harness.Sample) float64    { return s.Held.Owner }
func holder(s harness.Sample) float64   { return s.Held.Holder }
func ownerGC(s harness.Sample) float64  { return s.Held.OwnerGC }
func holderGC(s harness.Sample) float64 { return s.Held.HolderGC }

// writeHolding writes what references cost that are held and not used.
func (r Report) writeHolding(w *page) {
	if !r.has(isHolding) {
		return
	}
	w.head("References at rest", fmt.Sprintf("One process holds so many objects of another one, which lives for that alone; neither does anything for %v, in which their leases\n"+
		"are renewed. Bytes a second between the two, both directions; live bytes on the heap for each reference, where the object is\n"+
		"(the object's own 8 included) and where it is held; ms that a garbage collection takes there, from start to end. Median (least\n"+
		"to most) of the rounds.", r.Settle))
	r.writeAlone(w, isHolding, []column{
		{"bytes/s", func(load plan.Workload) string { return r.ours(traffic, load, count) }},
		{"owner's bytes", func(load plan.Workload) string { return r.ours(owner, load, count) }},
		{"holder's bytes", func(load plan.Workload) string { return r.ours(holder, load, count) }},
		{"owner's collection", func(load plan.Workload) string { return r.ours(ownerGC, load, milliseconds) }},
		{"holder's collection", func(load plan.Workload) string { return r.ours(holderGC, load, milliseconds) }},
	})
}

// writeHeld writes the line of what is held, if that was measured.
func (r Report) writeHeld(w io.Writer, load plan.Workload) {
	if !isHolding(load) {
		return
	}
	line := ""
	for _, c := range []struct {
		name string
		of   measure
		unit float64
	}{{"bytespersecond", traffic, 1}, {"ownerbytes", owner, 1}, {"holderbytes", holder, 1}, {"ownergcms", ownerGC, 1e3}, {"holdergcms", holderGC, 1e3}} {
		if s, ok := r.of(c.of, load, plan.Peer{Name: plan.Ours}); ok {
			line += fmt.Sprintf(" %s=%.1f", c.name, s.Median*c.unit)
		}
	}
	if line != "" {
		fmt.Fprintf(w, "held %s%s\n", load.Name, line)
	}
}
