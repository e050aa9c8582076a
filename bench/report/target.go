package report

import (
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/rmigo/rmigo/bench/plan"
)

// figure is how a figure is written, and judged as it is written.
type figure struct {
	title    string
	of       measure // nil where it is a quotient of cells
	unit     float64
	decimals int
}

var figures = map[plan.Figure]figure{
	plan.Ratio:        {"rate ÷ %s", nil, 1, 2},
	plan.Growing:      {"rate ÷ the first's", nil, 1, 2},
	plan.P50:          {"p50, µs", p50, 1e-6, 0},
	plan.P99:          {"p99, µs", p99, 1e-6, 0},
	plan.CPU:          {"processor, µs a call", cpu, 1e-6, 1},
	plan.ClientAllocs: {"client's allocations a call", clientAllocs, 1, 1},
	plan.ClientMemory: {"client's memory, KiB a session", clientRSS, 1 << 10, 1},
	plan.ServerMemory: {"server's memory, KiB a session", serverRSS, 1 << 10, 1},
}

func (f figure) text(v float64) string { return strconv.FormatFloat(v/f.unit, 'f', f.decimals, 64) }

// bound writes a bound of a target with as many digits as it has.
func (f figure) bound(v float64) string {
	if v == 0 {
		return ""
	}
	return strconv.FormatFloat(v/f.unit, 'g', 4, 64)
}

// round returns v as it is written.
func (f figure) round(v float64) float64 {
	scale := math.Pow10(f.decimals) / f.unit
	return math.Round(v*scale) / scale
}

// targets returns those about what the run was to measure.
func (r Report) targets() []plan.Target {
	return slices.DeleteFunc(plan.Targets(), func(t plan.Target) bool {
		_, workload := r.workload(t.Workload)
		_, peer := r.peer(t.Peer)
		return !workload || t.Figure == plan.Ratio && !peer
	})
}

func (r Report) workload(name string) (plan.Workload, bool) {
	i := slices.IndexFunc(r.Workloads, func(w plan.Workload) bool { return w.Name == name })
	if i < 0 {
		return plan.Workload{}, false
	}
	return r.Workloads[i], true
}

func (r Report) peer(name string) (plan.Peer, bool) {
	i := slices.IndexFunc(r.Peers, func(p plan.Peer) bool { return p.Name == name })
	if i < 0 {
		return plan.Peer{}, false
	}
	return r.Peers[i], true
}

// Reached returns what the run has reached of a target, false if that was not measured.
func (r Report) Reached(t plan.Target) (Stat, bool) {
	w, _ := r.workload(t.Workload)
	switch t.Figure {
	case plan.Ratio:
		return r.Ratio(w, plan.Peer{Name: t.Peer})
	case plan.Growing:
		return r.Growth(w)
	}
	return r.of(figures[t.Figure].of, w, plan.Peer{Name: plan.Ours})
}

// verdict judges a median by a target.
func verdict(t plan.Target, median float64) string {
	f := figures[t.Figure]
	v := f.round(median)
	meets := func(bound float64) bool {
		if t.Figure.More() {
			return v >= f.round(bound)
		}
		return v <= f.round(bound)
	}
	switch {
	case t.Aim != 0 && meets(t.Aim):
		return "aim reached"
	case t.Hold == 0:
		return "short of the aim"
	case !meets(t.Hold):
		return "**missed**"
	}
	return "held"
}

func (r Report) writeTargets(w *page) {
	targets := r.targets()
	if len(targets) == 0 {
		return
	}
	w.head("Targets", "What rmigo must not fall behind (hold) and strives for (aim), and what this run has reached: median (least to most) of the\n"+
		"rounds. Rates are divided by the peer's, or by the first one's of a growth.")
	fmt.Fprintln(w)
	w.row([]string{"", "figure", "hold", "aim", "reached", "verdict"})
	w.row([]string{"---", "---", "---:", "---:", "---:", "---"})
	for _, t := range targets {
		f := figures[t.Figure]
		title := f.title
		if p, is := r.peer(t.Peer); is {
			title = fmt.Sprintf(title, p.Title)
		}
		reached, judged := "", "not measured"
		if s, ok := r.Reached(t); ok {
			reached, judged = cell(s, ok, f.text, true), verdict(t, s.Median)
		}
		w.row([]string{t.Workload, title, f.bound(t.Hold), f.bound(t.Aim), reached, judged})
	}
}
