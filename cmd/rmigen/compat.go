package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rmigo/rmigo/internal/compat"
)

func compatCommand() *cobra.Command {
	var asJSON bool
	var clients string
	var rules strings.Builder
	for _, r := range compat.Rules() {
		fmt.Fprintf(&rules, "  %-21s %s\n", r.Name, r.Doc)
	}
	cmd := &cobra.Command{
		Use:   "compat OLD NEW [packages…]",
		Short: "Name the changes that break a peer built from the other version",
		Long: `compat compares the marked interfaces of two versions, and what travels by them, and
names each change by which clients of one version do not get along with servers of
the other: where, what it was and is, whose calls it breaks, why, and what to do
instead. What is worth knowing and breaks nobody is a note.

A version is a directory, or a revision of the git repository at the working directory.
Where there are both, the directory is meant: main^{} is the branch. Packages are
patterns in either version; without any, all of the module: ./...

The changes:

` + rules.String() + `
Exit codes: 0 nothing breaks; 1 something does; 2 it could not be judged, since
a version is not there or rmigen refuses it, or the command line is wrong.`,
		Example: `  rmigen compat v1.2.0 .
  rmigen compat --clients old origin/main HEAD ./bank
  rmigen compat --json ../released .`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) < 2 {
				return usage("compat takes two versions, directories or revisions: rmigen compat v1.2.0 .")
			}
			return arguments(nil, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			judged, ok := map[string]compat.Clients{"old": compat.OldClients, "new": compat.NewClients, "both": compat.OldClients | compat.NewClients}[clients]
			if !ok {
				return usage("--clients is old, new or both, not " + clients)
			}
			changes, err := compare(cmd, args)
			if err != nil {
				return fmt.Errorf("%w: %w", errUnjudged, err)
			}
			changes = only(changes, judged)
			if err := showChanges(cmd.OutOrStdout(), changes, asJSON); err != nil {
				return err
			}
			return verdict(changes)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object, with the changes in an array")
	cmd.Flags().StringVar(&clients, "clients", "both", "judge what breaks the calls of clients of this version only: old, where all servers are brought up to date first, or new")
	return cmd
}

func compare(cmd *cobra.Command, args []string) (changes []compat.Change, err error) {
	packages := args[2:]
	if len(packages) == 0 {
		packages = []string{"./..."}
	}
	var versions [2]*compat.Version
	for i, name := range args[:2] {
		v, err := compat.Read(cmd.Context(), name, packages...)
		if err != nil {
			return nil, err
		}
		defer v.Close()
		versions[i] = v
	}
	return compat.Compare(versions[0], versions[1]), nil
}

// only leaves out what breaks others than those who are judged.
func only(changes []compat.Change, judged compat.Clients) (kept []compat.Change) {
	for _, c := range changes {
		if note := c.Breaks == 0; note || c.Breaks&judged != 0 {
			c.Breaks &= judged
			kept = append(kept, c)
		}
	}
	return kept
}

func verdict(changes []compat.Change) error {
	for _, c := range changes {
		if c.Breaks != 0 {
			return errFound
		}
	}
	return nil
}

// A changeRecord is a change as JSON.
type changeRecord struct {
	File    string   `json:"file"`
	Line    int      `json:"line"`
	Column  int      `json:"column"`
	Rule    string   `json:"rule"`
	Subject string   `json:"subject"`
	Breaks  []string `json:"breaks"` // "old clients", "new clients"; empty for a note
	Old     string   `json:"old,omitempty"`
	New     string   `json:"new,omitempty"`
	Why     string   `json:"why"`
	Remedy  string   `json:"remedy,omitempty"`
	By      []string `json:"by,omitempty"`
}

func showChanges(w io.Writer, changes []compat.Change, asJSON bool) error {
	if !asJSON {
		for _, c := range changes {
			if _, err := fmt.Fprintln(w, c); err != nil {
				return err
			}
		}
		return nil
	}
	records := []changeRecord{}
	for _, c := range changes {
		r := changeRecord{File: c.Pos.Filename, Line: c.Pos.Line, Column: c.Pos.Column, Rule: c.Rule, Subject: c.Subject, Breaks: []string{},
			Old: c.Old, New: c.New, Why: c.Why, Remedy: c.Remedy, By: c.By}
		if c.Breaks&compat.OldClients != 0 {
			r.Breaks = append(r.Breaks, "old clients")
		}
		if c.Breaks&compat.NewClients != 0 {
			r.Breaks = append(r.Breaks, "new clients")
		}
		records = append(records, r)
	}
	out := json.NewEncoder(w)
	out.SetEscapeHTML(false)
	out.SetIndent("", "  ")
	return out.Encode(map[string]any{"changes": records})
}
