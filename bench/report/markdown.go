package report

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/rmigo/rmigo/bench/harness"
	"github.com/rmigo/rmigo/bench/plan"
)

// WriteMarkdown writes all that was measured.
func (r Report) WriteMarkdown(out io.Writer) error {
	w := &page{Writer: bufio.NewWriter(out)}
	r.writeHead(w)
	w.head("Rate", "Calls a second; median (least to most) of the rounds.")
	r.writeTable(w, isLoad, rate, count, true)
	w.head("Ratio", "rmigo's rate divided by the peer's, round by round; median (least to most). Above 1, rmigo is faster.")
	r.writeRatios(w)
	w.head("Time of a call", "Half of the calls took at most so many µs / 99 of 100 did. Medians of the rounds.")
	r.writePairs(w, isLoad, p50, p99, microseconds, false)
	w.head("Processor", "µs of processor time a call, client and server together, kernel included.")
	r.writeTable(w, isLoad, cpu, microseconds, false)
	w.head("Allocations", "Objects a call, client / server. Java does not tell.")
	r.writePairs(w, isLoad, clientAllocs, serverAllocs, digits, false)
	w.head("Memory under load", "MiB resident at the end of a run, client / server.")
	r.writePairs(w, isLoad, clientRSS, serverRSS, mebibytes, false)
	if r.has(isMixed) {
		w.head("Large calls beside small ones", "How many 1 MiB echoes a second ran beside the small calls of mixed.")
		r.writeTable(w, isMixed, large, count, true)
	}
	if r.has(plan.Workload.Rests) {
		w.head("Sessions at rest", r.aboutRest())
		r.writePairs(w, plan.Workload.Rests, clientRSS, serverRSS, kibibytes, true)
	}
	r.writeGrowth(w)
	r.writeHolding(w)
	r.writeTargets(w)
	r.writeOmissions(w)
	return w.Flush()
}

// page is Markdown being written; errors stick until Flush.
type page struct{ *bufio.Writer }

func (w *page) head(title, text string) { fmt.Fprintf(w, "\n## %s\n\n%s\n", title, text) }

func (w *page) row(cells []string) { fmt.Fprintf(w, "| %s |\n", strings.Join(cells, " | ")) }

func isMixed(w plan.Workload) bool   { return w.Shape == plan.Mixed }
func isGrowth(w plan.Workload) bool  { return w.Shape == plan.Growth }
func isHolding(w plan.Workload) bool { return w.Shape == plan.Holding }
func isLoad(w plan.Workload) bool    { return !w.Rests() && !w.Alone() }

func (r Report) has(kind func(plan.Workload) bool) bool {
	return slices.ContainsFunc(r.Workloads, kind)
}

func (r Report) writeHead(w *page) {
	fmt.Fprintf(w, "# How rmigo compares\n\nWritten by the benchmark; `make bench` writes it anew.\n\n")
	for _, fact := range [][2]string{
		{"machine", r.Machine.CPU}, {"cores", fmt.Sprint(r.Machine.Cores)}, {"system", r.Machine.System},
		{"congestion control", r.Machine.Congestion}, {"Go", r.Machine.Go},
		{"Java", cmp.Or(r.NoJava, r.Machine.Java)}, {"commit", r.Commit}, {"date", r.Date},
		{"rounds", r.rounds()},
	} {
		if fact[1] != "" {
			fmt.Fprintf(w, "- %s: %s\n", fact[0], fact[1])
		}
	}
	if r.Chart != "" {
		fmt.Fprintf(w, "\n![Rates of rmigo and its peers](%s)\n", r.Chart)
	}
	fmt.Fprint(w, "\nServer and client are processes of this machine and share its cores; they meet by loopback. A workload's name ends in the\n"+
		"number of concurrent callers; pinned means that both processes have one core. Each call's context has a deadline. Figures of\n"+
		"different runs differ by more than those within one: trust ratios.\n\n")
	w.row([]string{"peer", "", ""})
	w.row([]string{"---", "---", "---"})
	for _, p := range r.Peers {
		w.row([]string{p.Title, "`" + p.Name + "`", p.About})
	}
	fmt.Fprintln(w)
	said := map[string]bool{}
	w.row([]string{"workload", ""})
	w.row([]string{"---", "---"})
	for _, load := range r.Workloads {
		if about := plan.About(load); !said[about] {
			said[about] = true
			w.row([]string{load.Kind(), about})
		}
	}
}

func (r Report) rounds() string {
	large := plan.Workload{Shape: plan.Mixed}.WarmUp(r.Warm)
	text := fmt.Sprintf("%d, each measurement %v after warming up for %v (%v where messages are large), all in %.0f minutes", r.Results.Rounds, r.Measure, r.Warm, large, r.Results.Took.Minutes())
	if r.Few < r.Results.Rounds {
		text += fmt.Sprintf("; %d rounds of idle, burst, growth and holding", r.Few)
	}
	return text
}

// aboutRest says what is told of sessions at rest.
func (r Report) aboutRest() string {
	return fmt.Sprintf("KiB resident for each session, client / server, at least %v after its last call: of %d sessions of idle, %d of burst. A\n"+
		"client of rmigo is a node with sessions to %d others, so that what nodes hold besides hardly counts. Median (least to most) of\n"+
		"the rounds.",
		r.Settle, r.Sessions, min(r.Sessions, plan.BurstSessions), min(r.Sessions, plan.RestServers))
}

// writeTable writes a row for each workload of a kind and a column for each peer.
func (r Report) writeTable(w *page, kind func(plan.Workload) bool, m measure, format func(float64) string, spread bool) {
	r.writeCells(w, kind, r.Peers, func(load plan.Workload, p plan.Peer) string {
		s, ok := r.of(m, load, p)
		return cell(s, ok, format, spread)
	})
}

func cell(s Stat, ok bool, format func(float64) string, spread bool) string {
	switch {
	case !ok:
		return ""
	case spread:
		return fmt.Sprintf("%s (%s to %s)", format(s.Median), format(s.Min), format(s.Max))
	}
	return format(s.Median)
}

// writePairs is writeTable with two measures a cell.
func (r Report) writePairs(w *page, kind func(plan.Workload) bool, a, b measure, format func(float64) string, spread bool) {
	r.writeCells(w, kind, r.Peers, func(load plan.Workload, p plan.Peer) string {
		x, okX := r.of(a, load, p)
		y, okY := r.of(b, load, p)
		if !okX && !okY {
			return ""
		}
		return cell(x, okX, format, spread) + " / " + cell(y, okY, format, spread)
	})
}

func (r Report) writeRatios(w *page) {
	others := slices.DeleteFunc(slices.Clone(r.Peers), func(p plan.Peer) bool { return p.Name == plan.Ours })
	r.writeCells(w, isLoad, others, func(load plan.Workload, p plan.Peer) string {
		s, ok := r.Ratio(load, p)
		return cell(s, ok, digits, true)
	})
}

// writeCells writes a table; rows that have nothing to tell are left out.
func (r Report) writeCells(w *page, kind func(plan.Workload) bool, peers []plan.Peer, text func(plan.Workload, plan.Peer) string) {
	head, rule := []string{""}, []string{"---"}
	for _, p := range peers {
		head, rule = append(head, p.Title), append(rule, "---:")
	}
	fmt.Fprintln(w)
	w.row(head)
	w.row(rule)
	for _, load := range r.Workloads {
		if !kind(load) {
			continue
		}
		row, told := []string{load.Name}, false
		for _, p := range peers {
			row = append(row, text(load, p))
			told = told || row[len(row)-1] != ""
		}
		if told {
			w.row(row)
		}
	}
}

// writeOmissions says what is not there, and why.
func (r Report) writeOmissions(w *page) {
	var lines []string
	for _, p := range r.Peers {
		for _, load := range r.Workloads {
			if why := p.Without(load); why != "" && !load.Alone() {
				lines = append(lines, fmt.Sprintf("- %s: not %s; it %s.", load.Kind(), p.Title, why))
			}
		}
	}
	slices.Sort(lines)
	if lines = slices.Compact(lines); len(lines) > 0 {
		w.head("Not measured", strings.Join(lines, "\n"))
	}
	lines = nil
	for _, load := range r.Workloads {
		for _, p := range r.Peers {
			if err := r.Results.Failures[harness.Key{Workload: load.Name, Peer: p.Name}]; err != nil {
				first, _, _ := strings.Cut(err.Error(), "\n")
				lines = append(lines, fmt.Sprintf("- %s, %s: %s", load.Name, p.Title, first))
			}
		}
	}
	if len(lines) > 0 {
		w.head("Failed", strings.Join(lines, "\n"))
	}
}
