//go:build unix

package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestADocumentThatIsNotThereHasNoBlocks(t *testing.T) {
	err := run(t.Context(), filepath.Join(t.TempDir(), "document.md"), time.Second, io.Discard)
	if want := "document.md does not exist, so it has no block"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got error %v, want %q", err, want)
	}
}

func TestBlocksRunAsTheyStand(t *testing.T) {
	for name, c := range map[string]struct {
		document string
		printed  []string // in this order
		err      string   // "" if all is well
	}{
		"marked blocks only, in the document's folder": {
			document: "# A\n```sh\necho unmarked\n```\n<!-- ci -->\n```sh\necho one\ncat document.md | head -1\n```\n",
			printed:  []string{"$ echo one\n$ cat", "line 5 | one", "line 5 | # A"},
		},
		"a command that fails": {
			document: "<!-- ci -->\n```sh\nfalse\necho not reached\n```\n",
			printed:  []string{"$ false"},
			err:      "document.md:1: exit status 1",
		},
		"a terminal, a client, and the end of the section": {
			document: "## A\n<!-- ci: background -->\n```sh\ntrap 'rm door; echo bye; exit' INT\n" +
				"echo 'go: downloading'; touch door; echo ready; while :; do sleep 0.01; done\n```\n" +
				"<!-- ci -->\n```sh\n# no heading\ntest -f door && echo served\n```\n" +
				"## B\n<!-- ci -->\n```sh\ntest ! -f door && echo closed\n```\n",
			printed: []string{"line 2 | ready", "line 7 | served", "line 2 | bye", "line 13 | closed"},
		},
		"a terminal that is closed by its own end": {
			document: "<!-- ci: background -->\n```sh\necho ready; exit 3\n```\n<!-- ci -->\n```sh\nsleep 0.2\n```\n",
			printed:  []string{"line 1 | ready"},
			err:      "document.md:1: it ended by itself: exit status 3",
		},
		"a terminal that says nothing": {
			document: "<!-- ci: background -->\n```sh\nsleep 60\n```\n",
			err:      "document.md:1: it printed nothing for 2s",
		},
		"a command that hangs": {
			document: "<!-- ci -->\n```sh\nsleep 60\n```\n",
			err:      "document.md:1: it took longer than 2s",
		},
		"output as shown": {
			document: "<!-- ci -->\n```sh\necho noise >&2; printf 'a\\nb'\n```\nIt prints:\n" +
				"<!-- ci: output -->\n```text\na\nb\n```\n",
			printed: []string{"line 1 | b"},
		},
		"other output than shown": {
			document: "<!-- ci -->\n```sh\necho a\n```\n<!-- ci: output -->\n```\nb\n```\n",
			err:      "document.md:5: the commands above printed\na\nthe document says\nb",
		},
		"no marks": {
			document: "```sh\ntrue\n```\n",
			err:      "document.md has no block of shell commands that is marked <!-- ci -->",
		},
		"a misspelt mark": {
			document: "\n<!-- ci: backgroud -->\n```sh\n```\n",
			err:      "document.md:2: <!-- ci: backgroud --> is none of",
		},
		"a mark, no block": {
			document: "<!-- ci -->\n\n```sh\ntrue\n```\n",
			err:      "document.md:1: the line below",
		},
		"another language": {
			document: "<!-- ci -->\n```go\n```\n",
			err:      "document.md:1: <!-- ci --> is for blocks that begin with ```sh",
		},
		"no end": {
			document: "<!-- ci -->\n```sh\ntrue\n",
			err:      "document.md:1: no block ends below",
		},
		"output of nothing": {
			document: "<!-- ci -->\n```sh\ntrue\n```\n# B\n<!-- ci: output -->\n```\n```\n",
			err:      "document.md:6: no block marked <!-- ci --> between the heading and this output",
		},
		"a mark inside a longer fence": {
			document: "````markdown\n<!-- ci -->\n```sh\nfalse\n```\n````\n<!-- ci -->\n```sh\necho on\n```\n",
			printed:  []string{"line 7 | on"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "document.md")
			if err := os.WriteFile(file, []byte(c.document), 0o666); err != nil {
				t.Fatal(err)
			}
			var out strings.Builder
			err := run(t.Context(), file, 2*time.Second, &out)
			if c.err == "" && err != nil || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
				t.Errorf("got error %v, want %q", err, c.err)
			}
			rest := out.String()
			for _, want := range c.printed {
				_, after, ok := strings.Cut(rest, want)
				if !ok {
					t.Fatalf("got output\n%s\nwant %q in it, in this order: %q", &out, want, c.printed)
				}
				rest = after
			}
			if strings.Contains(out.String(), "unmarked") || strings.Contains(out.String(), "| not reached") {
				t.Errorf("got output\n%s\nof a command that must not run", &out)
			}
		})
	}
}
