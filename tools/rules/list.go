package main

import (
	"fmt"
	"os"
	"strings"
)

// read reads a list of rules. A rule is a block of lines, and ends with an empty one:
//
//	D3: a batch that was applied is applied again      its name, and what happens without it
//	test gc TestABatchIsAppliedOnce                    one or more
//	file gc/fifo.go                                    one or more, each with what is replaced and by what
//	-	case seq <= f.applied:
//	+	case false:
//
// Lines that begin with # are comments.
func read(file string) (rules []*rule, err error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var r *rule
	for i, line := range strings.Split(string(text), "\n") {
		switch {
		case strings.HasPrefix(line, "#"):
			continue
		case line == "":
			r = nil
			continue
		case r == nil:
			r = &rule{line: i + 1}
			rules = append(rules, r)
			var ok bool
			if r.name, r.without, ok = strings.Cut(line, ": "); !ok {
				return nil, fmt.Errorf("%s:%d: a rule begins with its name, a colon and what happens without it, not with %q", file, i+1, line)
			}
			continue
		}
		if err := r.add(line); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", file, i+1, err)
		}
	}
	for _, r := range rules {
		if len(r.tests) == 0 || len(r.edits) == 0 {
			return nil, fmt.Errorf("%s:%d: a rule needs tests and a change that takes it out", file, r.line)
		}
	}
	return rules, nil
}

// add takes a line of the rule's block in.
func (r *rule) add(line string) error {
	words := strings.Fields(line)
	switch {
	case strings.HasPrefix(line, "-"), strings.HasPrefix(line, "+"):
		return r.change(line)
	case words[0] == "test" && len(words) == 3:
		r.tests = append(r.tests, test{words[1], words[2]})
		return nil
	case words[0] == "file" && len(words) == 2:
		r.edits = append(r.edits, edit{file: words[1]})
		return nil
	}
	return fmt.Errorf("%q is no test, file or change", line)
}

// change takes in a line that is replaced, or that replaces others. After lines that replace, another change of the file begins.
func (r *rule) change(line string) error {
	if len(r.edits) == 0 {
		return fmt.Errorf("no file is named above %q", line)
	}
	e := &r.edits[len(r.edits)-1]
	switch {
	case line[0] == '+':
		e.after += line[1:] + "\n"
		return nil
	case e.after != "":
		r.edits = append(r.edits, edit{file: e.file})
		e = &r.edits[len(r.edits)-1]
	}
	e.before += line[1:] + "\n"
	return nil
}
