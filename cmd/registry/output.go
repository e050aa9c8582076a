package main

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"text/tabwriter"
)

// print writes a result: as JSON where that is wanted, else what fill makes of it.
func (c *client) print(result any, fill func(*table)) error {
	out := c.cmd.OutOrStdout()
	if c.json {
		e := json.NewEncoder(out)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		return e.Encode(result)
	}
	t := &table{w: tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)}
	fill(t)
	return t.w.Flush() // an error of writing is kept for it
}

// table prints rows in aligned columns.
type table struct{ w *tabwriter.Writer }

func (t *table) row(cells ...string) { fmt.Fprintln(t.w, strings.Join(cells, "\t")) }

// rows prints values below each other, the first beside what they are.
func (t *table) rows(what string, values []string) {
	if len(values) == 0 {
		values = []string{none}
	}
	for _, v := range values {
		t.row(what, v)
		what = ""
	}
}

const none = "-"

func joined(values []string) string {
	if len(values) == 0 {
		return none
	}
	return strings.Join(values, ",")
}

func quoted(names []string) string {
	var q []string
	for _, name := range names {
		q = append(q, strconv.Quote(name))
	}
	return strings.Join(q, ", ")
}
