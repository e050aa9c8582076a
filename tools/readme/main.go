//go:build unix

// Command readme runs the shell commands of a document as they stand, so that what it tells a reader to type works.
//
//	go -C tools run ./readme ../README.md
//
// It runs those blocks fenced by ```sh that have a mark on the line above them, one after the other, each in a shell of its
// own in the document's folder:
//
//	<!-- ci -->              the block runs to its end and must succeed
//	<!-- ci: background -->  the block is a terminal that stays open: what follows starts once it has printed its first
//	                         line, and at the next heading, of any level, it is interrupted, as with Ctrl-C
//	<!-- ci: output -->      on any other fenced block: what the <!-- ci --> block before it wrote to its standard output
//
// Two lines that are not a program's first: an empty one, and one by which the go command says what it downloads.
//
// Everything that the commands print is shown, with the name of the block that it is from. The exit status is 0 if all
// commands did as they should, and there were any. A block has two minutes, unless -timeout says otherwise.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

func main() {
	timeout := flag.Duration("timeout", 2*time.Minute, "how long a block may take; in the background, to its first line")
	flag.Parse()
	if flag.NArg() != 1 {
		fmt.Fprintln(os.Stderr, "usage: readme [-timeout 2m] DOCUMENT")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, flag.Arg(0), *timeout, os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "readme:", err)
		os.Exit(1)
	}
}

// run runs the marked blocks of a document, and writes what happens to out.
func run(ctx context.Context, document string, timeout time.Duration, out io.Writer) error {
	text, err := os.ReadFile(document)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s does not exist, so it has no block of shell commands that is marked %s", document, foreground)
	}
	if err != nil {
		return err
	}
	blocks, err := marked(string(text))
	if err != nil {
		return fmt.Errorf("%s:%w", document, err)
	}
	if len(blocks) == 0 {
		return fmt.Errorf("%s has no block of shell commands that is marked %s", document, foreground)
	}
	s := &stage{dir: filepath.Dir(document), timeout: timeout, out: &lines{to: out}}
	for _, b := range blocks {
		if err = s.play(ctx, b); err != nil {
			err = fmt.Errorf("%s:%d: %w", document, b.line, err)
			break
		}
	}
	if closing := s.close(); err == nil && closing != nil {
		err = fmt.Errorf("%s:%w", document, closing)
	}
	return err
}
