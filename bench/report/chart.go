package report

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"strings"

	"github.com/rmigo/rmigo/bench/plan"
)

// Measures of the chart, in pixels.
const (
	panelWidth = 320
	panelHead  = 24 // from a panel's top to its first bar
	barPitch   = 18
	barHeight  = 13
	barLeft    = 118 // where bars begin: to their left are the peers' names
	barLongest = 140
	cutAt      = 16 // from the end of a bar that is cut off
	cutWidth   = 4
	perRow     = 3
	border     = 16
	chartHead  = 56
)

const style = `<style>
  text { font: 12px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #1f2328; }
  .title { font-size: 16px; font-weight: 600; }
  .panel { font-weight: 600; }
  .faint { fill: #59636e; }
  .ours { fill: #0969da; }
  .peer { fill: #8c959f; }
  .floor { fill: #d1d9e0; }
  .ground { fill: #ffffff; }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc; }
    .faint { fill: #9198a1; }
    .ours { fill: #4493f8; }
    .peer { fill: #6e7681; }
    .floor { fill: #3d444d; }
    .ground { fill: #0d1117; }
  }
</style>
`

// WriteChart writes the rates as an SVG picture: a panel for each workload of calls that is not pinned, where each peer has a bar.
// A floor that is beyond twice the best runtime is cut off, so that runtimes can be told apart. It is for light and dark pages.
func (r Report) WriteChart(out io.Writer) error {
	w := bufio.NewWriter(out)
	var panels []plan.Workload
	for _, load := range r.Workloads {
		if load.Shape == plan.Calls && !load.Pinned && r.scale(load) > 0 {
			panels = append(panels, load)
		}
	}
	panelHeight := panelHead + barPitch*len(r.Peers) + border
	width := 2*border + perRow*panelWidth
	height := chartHead + (len(panels)+perRow-1)/perRow*panelHeight + border
	fmt.Fprintf(w, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img">`+"\n", width, height, width, height)
	fmt.Fprintln(w, "<title>Calls a second, of rmigo and its peers</title>")
	fmt.Fprint(w, style)
	fmt.Fprintf(w, `<rect class="ground" width="%d" height="%d"/>`+"\n", width, height)
	fmt.Fprintf(w, `<text class="title" x="%d" y="30">Calls a second</text>`+"\n", border)
	fmt.Fprintf(w, `<text class="faint" x="%d" y="30">longer is better; each panel has a scale of its own, with a gap in bars beyond it; c: concurrent callers</text>`+"\n", border+barLeft+20)
	for i, load := range panels {
		r.writePanel(w, load, border+i%perRow*panelWidth, chartHead+i/perRow*panelHeight)
	}
	fmt.Fprintln(w, "</svg>")
	return w.Flush()
}

// scale returns the rate that the longest bar of a workload stands for, 0 if there is none.
func (r Report) scale(load plan.Workload) float64 {
	best, bestRuntime := 0.0, 0.0
	for _, p := range r.Peers {
		s, _ := r.of(rate, load, p)
		best = max(best, s.Median)
		if !p.Floor {
			bestRuntime = max(bestRuntime, s.Median)
		}
	}
	if bestRuntime == 0 {
		return best
	}
	return min(best, 2*bestRuntime)
}

func (r Report) writePanel(w io.Writer, load plan.Workload, x, y int) {
	fmt.Fprintf(w, `<text class="panel" x="%d" y="%d">%s</text>`+"\n", x, y+12, escape(load.Name))
	scale := r.scale(load)
	y += panelHead
	for _, p := range r.Peers {
		s, ok := r.of(rate, load, p)
		if !ok {
			continue
		}
		length := min(max(1, s.Median/scale*barLongest), barLongest)
		class := "peer"
		switch {
		case p.Name == plan.Ours:
			class = "ours"
		case p.Floor:
			class = "floor"
		}
		fmt.Fprintf(w, `<text x="%d" y="%d" text-anchor="end">%s</text>`, x+barLeft-6, y+barHeight-2, escape(p.Title))
		fmt.Fprintf(w, `<rect class="%s" x="%d" y="%d" width="%.1f" height="%d" rx="2"/>`, class, x+barLeft, y, length, barHeight)
		if s.Median > scale {
			fmt.Fprintf(w, `<rect class="ground" x="%d" y="%d" width="%d" height="%d"/>`, x+barLeft+barLongest-cutAt, y, cutWidth, barHeight)
		}
		fmt.Fprintf(w, `<text class="faint" x="%.1f" y="%d">%s</text>`+"\n", float64(x+barLeft)+length+5, y+barHeight-2, count(s.Median))
		y += barPitch
	}
}

func escape(text string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(cmp.Or(text, " "))
}
