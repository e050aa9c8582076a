//go:build unix

package main

import (
	"fmt"
	"strings"
)

// A block is one marked block of a document.
type block struct {
	line    int // of the mark
	mark    mark
	section int // how many headings are above it
	text    string
}

type mark string

const (
	foreground mark = "<!-- ci -->"
	background mark = "<!-- ci: background -->"
	output     mark = "<!-- ci: output -->"
)

// marked returns the marked blocks of a document in Markdown. A mark that is misspelt, or has no block of its kind right
// below it, is an error that begins with the number of its line.
func marked(text string) ([]block, error) {
	var blocks []block
	var pending *block // a mark that waits for its fence
	var fence string   // what ends the block that the line is in
	var wanted bool    // that block is marked
	section, ran := 0, false
	for i, line := range strings.Split(text, "\n") {
		number, line := i+1, strings.TrimRight(line, " \t\r")
		switch {
		case fence != "" && line == fence:
			if wanted {
				blocks = append(blocks, *pending)
				pending = nil
			}
			fence = ""
		case fence != "":
			if wanted {
				pending.text += line + "\n"
			}
		case strings.HasPrefix(line, "```"):
			info := strings.TrimLeft(line, "`")
			fence, wanted = strings.TrimSuffix(line, info), pending != nil
			if wanted && pending.mark != output && info != "sh" {
				return nil, fmt.Errorf("%d: %s is for blocks that begin with ```sh, not %s",
					pending.line, pending.mark, line)
			}
		case pending != nil:
			return nil, fmt.Errorf("%d: the line below %s must begin the block", pending.line, pending.mark)
		case strings.HasPrefix(line, "#"):
			section++
			ran = false
		case strings.HasPrefix(line, "<!-- ci"):
			pending = &block{line: number, mark: mark(line), section: section}
			switch {
			case pending.mark == foreground:
				ran = true
			case pending.mark == background:
			case pending.mark != output:
				return nil, fmt.Errorf("%d: %s is none of %s, %s, %s", number, line, foreground, background, output)
			case !ran:
				return nil, fmt.Errorf("%d: no block marked %s between the heading and this output", number, foreground)
			}
		}
	}
	if pending != nil {
		return nil, fmt.Errorf("%d: no block ends below %s", pending.line, pending.mark)
	}
	return blocks, nil
}
