// Package report writes what a run has measured: RESULTS.md, a chart, and lines for programs.
//
//	r := report.Report{Machine: report.ThisMachine(), Results: results, …}
//	err := r.WriteMarkdown(file)
//
// Guarantees:
//
//  1. The same report is written the same way, byte by byte.
//  2. Ratios are of runs of the same round, minutes apart at most; what is shown is their median.
package report

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"slices"
	"time"

	"github.com/rmigo/rmigo/bench/harness"
	"github.com/rmigo/rmigo/bench/plan"
)

// Report is a run and what there is to know of it.
type Report struct {
	Machine   Machine
	Commit    string
	Date      string
	Workloads []plan.Workload
	Peers     []plan.Peer
	Results   harness.Results
	Measure   time.Duration
	Warm      time.Duration // before that
	Sessions  int           // of Idle
	Settle    time.Duration // of Idle and Burst
	Grown     time.Duration // a measurement of Growth
	Few       int           // rounds of those and of Holding
	NoJava    string        // why Java's peers are left out, if they are
	Chart     string        // file name of the chart, relative to the Markdown
}

// Stat is a median and the spread about it.
type Stat struct{ Median, Min, Max float64 }

// stat returns the statistics of the samples that are known, false if none is.
func stat(values []float64) (Stat, bool) {
	values = slices.DeleteFunc(slices.Clone(values), math.IsNaN)
	if len(values) == 0 {
		return Stat{}, false
	}
	slices.Sort(values)
	mid := len(values) / 2
	median := values[mid]
	if len(values)%2 == 0 {
		median = (values[mid-1] + values[mid]) / 2
	}
	return Stat{median, values[0], values[len(values)-1]}, true
}

// A measure is one of the numbers of a sample.
type measure func(harness.Sample) float64

func rate(s harness.Sample) float64         { return s.Rate }
func p50(s harness.Sample) float64          { return s.P50 }
func p99(s harness.Sample) float64          { return s.P99 }
func large(s harness.Sample) float64        { return s.Large }
func cpu(s harness.Sample) float64          { return s.CPU }
func clientAllocs(s harness.Sample) float64 { return s.ClientAllocs }
func serverAllocs(s harness.Sample) float64 { return s.ServerAllocs }
func clientRSS(s harness.Sample) float64    { return s.ClientRSS }
func serverRSS(s harness.Sample) float64    { return s.ServerRSS }

// of returns a measure's statistics in a cell.
func (r Report) of(m measure, w plan.Workload, p plan.Peer) (Stat, bool) {
	var values []float64
	for _, s := range r.Results.Samples[harness.Key{Workload: w.Name, Peer: p.Name}] {
		values = append(values, m(s))
	}
	return stat(values)
}

// Ratio returns our rate divided by the peer's, round by round.
func (r Report) Ratio(w plan.Workload, p plan.Peer) (Stat, bool) {
	return r.quotient(harness.Key{Workload: w.Name, Peer: plan.Ours}, harness.Key{Workload: w.Name, Peer: p.Name})
}

// Growth returns our rate in a step of a growth divided by that in its first step, round by round; false if w is no step.
func (r Report) Growth(w plan.Workload) (Stat, bool) {
	if w.Shape != plan.Growth {
		return Stat{}, false
	}
	first := slices.IndexFunc(r.Workloads, func(f plan.Workload) bool { return f.Shape == plan.Growth && f.Kind() == w.Kind() })
	if first < 0 {
		return Stat{}, false
	}
	return r.quotient(harness.Key{Workload: w.Name, Peer: plan.Ours}, harness.Key{Workload: r.Workloads[first].Name, Peer: plan.Ours})
}

// quotient divides the rates of two cells, round by round.
func (r Report) quotient(a, b harness.Key) (Stat, bool) {
	over, under := r.Results.Samples[a], r.Results.Samples[b]
	var values []float64
	for i := range min(len(over), len(under)) {
		values = append(values, over[i].Rate/under[i].Rate)
	}
	return stat(values)
}

// WriteLines writes a line for each cell and each ratio:
//
//	cell WORKLOAD PEER rate=… p50us=… p99us=… cpuus=… clientallocs=… serverallocs=… clientkb=… serverkb=… large=…
//	ratio WORKLOAD PEER VALUE
//
//	growth WORKLOAD VALUE
//	held WORKLOAD bytespersecond=… ownerbytes=… holderbytes=… ownergcms=… holdergcms=…
//
// What was not measured is left out. Of idle and burst, the memory is a session's.
func (r Report) WriteLines(out io.Writer) error {
	w := bufio.NewWriter(out)
	for _, load := range r.Workloads {
		for _, p := range r.Peers {
			r.writeCell(w, load, p)
		}
	}
	for _, load := range r.Workloads {
		for _, p := range r.Peers {
			if s, ok := r.Ratio(load, p); ok && p.Name != plan.Ours {
				fmt.Fprintf(w, "ratio %s %s %.3f\n", load.Name, p.Name, s.Median)
			}
		}
	}
	for _, load := range r.Workloads {
		if s, ok := r.Growth(load); ok {
			fmt.Fprintf(w, "growth %s %.3f\n", load.Name, s.Median)
		}
		r.writeHeld(w, load)
	}
	return w.Flush()
}

func (r Report) writeCell(w io.Writer, load plan.Workload, p plan.Peer) {
	told := false
	for _, column := range []struct {
		name string
		of   measure
		unit float64
	}{
		{"rate", rate, 1}, {"p50us", p50, 1e-6}, {"p99us", p99, 1e-6}, {"cpuus", cpu, 1e-6}, {"clientallocs", clientAllocs, 1},
		{"serverallocs", serverAllocs, 1}, {"clientkb", clientRSS, 1024}, {"serverkb", serverRSS, 1024}, {"large", large, 1},
	} {
		s, ok := r.of(column.of, load, p)
		if !ok {
			continue
		}
		if !told {
			fmt.Fprintf(w, "cell %s %s", load.Name, p.Name)
			told = true
		}
		fmt.Fprintf(w, " %s=%.1f", column.name, s.Median/column.unit)
	}
	if told {
		fmt.Fprintln(w)
	}
}
