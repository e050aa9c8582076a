package report

import (
	"fmt"

	"github.com/rmigo/rmigo/bench/plan"
)

// writeGrowth writes what calls cost in a server that has more and more to look after.
func (r Report) writeGrowth(w *page) {
	if !r.has(isGrowth) {
		return
	}
	w.head("Growth", fmt.Sprintf("Calls of null by %d callers on one session of rmigo, while the server exports so many objects, or has so many further clients\n"+
		"that do nothing but answer probes every 5 s. Each is measured for %v. Calls a second; µs of processor time a call, that server\n"+
		"and client together; the server's MiB resident at the end; the rate divided by the first one's, round by round. Median (least\n"+
		"to most) of the rounds.",
		plan.GrowthCallers, r.Grown))
	r.writeAlone(w, isGrowth, []column{
		{"rate", func(load plan.Workload) string { return r.ours(rate, load, count) }},
		{"processor", func(load plan.Workload) string { return r.ours(cpu, load, microseconds) }},
		{"server's MiB", func(load plan.Workload) string { return r.ours(serverRSS, load, mebibytes) }},
		{"ratio", func(load plan.Workload) string {
			s, ok := r.Growth(load)
			return cell(s, ok, digits, true)
		}},
	})
}

// column is one of a table about rmigo alone.
type column struct {
	title string
	text  func(plan.Workload) string
}

// writeAlone writes a row for each workload of a kind.
func (r Report) writeAlone(w *page, kind func(plan.Workload) bool, columns []column) {
	head, rule := []string{""}, []string{"---"}
	for _, c := range columns {
		head, rule = append(head, c.title), append(rule, "---:")
	}
	fmt.Fprintln(w)
	w.row(head)
	w.row(rule)
	for _, load := range r.Workloads {
		if !kind(load) {
			continue
		}
		row := []string{load.Name}
		for _, c := range columns {
			row = append(row, c.text(load))
		}
		w.row(row)
	}
}

// ours writes a measure of rmigo's, with its spread.
func (r Report) ours(m measure, load plan.Workload, format func(float64) string) string {
	s, ok := r.of(m, load, plan.Peer{Name: plan.Ours})
	return cell(s, ok, format, true)
}
