//go:build unix

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// farewell is how long a terminal has to end once it is interrupted.
const farewell = 20 * time.Second

// A stage plays blocks. It owns the terminals that it has opened, until the section that they are in is over.
type stage struct {
	dir     string
	timeout time.Duration
	out     *lines

	section   int
	terminals []*terminal
	printed   []byte // by the last block in the foreground, on its standard output
}

// A terminal is a block that runs, with the processes that it starts.
type terminal struct {
	line    int
	cmd     *exec.Cmd
	spoke   chan struct{} // closed at the first line
	over    chan struct{} // closed when all has ended, by itself or not
	printed bytes.Buffer  // standard output; to be read once over is closed
	err     error         // how it ended; valid once over is closed
}

func (s *stage) play(ctx context.Context, b block) error {
	if b.section != s.section {
		if err := s.close(); err != nil {
			return err
		}
		s.section = b.section
	}
	switch b.mark {
	case background:
		return s.open(ctx, b)
	case output:
		if got := strings.TrimSpace(string(s.printed)); got != strings.TrimSpace(b.text) {
			return fmt.Errorf("the commands above printed\n%s\nthe document says\n%s", got, strings.TrimSpace(b.text))
		}
		return nil
	}
	return s.finish(ctx, b)
}

// finish runs a block to its end.
func (s *stage) finish(ctx context.Context, b block) error {
	ctx, cancel := context.WithTimeoutCause(ctx, s.timeout, fmt.Errorf("it took longer than %v", s.timeout))
	defer cancel()
	t, err := s.start(b)
	if err != nil {
		return err
	}
	select {
	case <-t.over:
	case <-ctx.Done():
		t.signal(syscall.SIGKILL)
		<-t.over
		return context.Cause(ctx)
	}
	s.printed = t.printed.Bytes()
	return t.err
}

// open starts a block and waits for the first line that it prints.
func (s *stage) open(ctx context.Context, b block) error {
	ctx, cancel := context.WithTimeoutCause(ctx, s.timeout, fmt.Errorf("it printed nothing for %v", s.timeout))
	defer cancel()
	t, err := s.start(b)
	if err != nil {
		return err
	}
	s.terminals = append(s.terminals, t)
	select {
	case <-t.spoke:
		return nil
	case <-t.over:
		return t.early()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// close interrupts the terminals, last one first, and waits for them. It is an error that begins with a line's number if
// one had ended before, or does not end.
func (s *stage) close() error {
	var first error
	for len(s.terminals) > 0 {
		t := s.terminals[len(s.terminals)-1]
		s.terminals = s.terminals[:len(s.terminals)-1]
		if err := t.close(); err != nil && first == nil {
			first = fmt.Errorf("%d: %w", t.line, err)
		}
	}
	return first
}

// start starts a block; a goroutine, which ends with the shell and all that has its output, waits for it.
func (s *stage) start(b block) (*terminal, error) {
	fmt.Fprintf(s.out, "$ %s\n", strings.ReplaceAll(strings.TrimSpace(b.text), "\n", "\n$ "))
	cmd := exec.Command("sh", "-ec", b.text)
	cmd.Dir = s.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // so that a signal reaches what the shell started
	cmd.WaitDelay = farewell
	t := &terminal{line: b.line, cmd: cmd, over: make(chan struct{}), spoke: make(chan struct{})}
	shown := &prefixed{to: s.out, prefix: fmt.Sprintf("line %d | ", b.line), first: t.spoke}
	cmd.Stdout, cmd.Stderr = io.MultiWriter(&t.printed, shown), shown
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		t.err = cmd.Wait()
		shown.end()
		close(t.over)
	}()
	return t, nil
}

// close ends a terminal that still runs. How it ends is its own affair: after an interrupt most commands fail.
func (t *terminal) close() error {
	select {
	case <-t.over:
		return t.early()
	default:
	}
	t.signal(syscall.SIGINT)
	select {
	case <-t.over:
	case <-time.After(2 * farewell): // the shell may take one, what it started another
	}
	t.signal(syscall.SIGKILL)
	<-t.over
	if t.cmd.ProcessState.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL || errors.Is(t.err, exec.ErrWaitDelay) {
		return fmt.Errorf("it did not end within %v of an interrupt", farewell)
	}
	return nil
}

// early is the error of a terminal that ended before it was closed.
func (t *terminal) early() error {
	if t.err == nil {
		return errors.New("it ended by itself, so it is not for the background")
	}
	return fmt.Errorf("it ended by itself: %w", t.err)
}

// signal reaches the shell and all that it started.
func (t *terminal) signal(sig syscall.Signal) { syscall.Kill(-t.cmd.Process.Pid, sig) }

// lines writes for several blocks at a time. It may be used concurrently.
type lines struct {
	mu sync.Mutex
	to io.Writer // guarded by mu
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.to.Write(p)
}

// prefixed writes whole lines, each behind a prefix, and closes first at the first one that a program would have written.
// It may be used concurrently.
type prefixed struct {
	to     io.Writer
	prefix string
	first  chan struct{}

	mu     sync.Mutex
	rest   []byte // of a line that has no end yet
	opened bool   // first is closed
}

func (w *prefixed) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.rest = append(w.rest, p...)
	for {
		line, rest, whole := bytes.Cut(w.rest, []byte("\n"))
		if !whole {
			return len(p), nil
		}
		w.rest = rest
		w.line(line)
	}
}

// end writes what came after the last end of a line.
func (w *prefixed) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.rest) > 0 {
		w.line(w.rest)
		w.rest = nil
	}
}

// line writes a line; w.mu is held.
func (w *prefixed) line(line []byte) {
	fmt.Fprintf(w.to, "%s%s\n", w.prefix, line)
	if !w.opened && len(bytes.TrimSpace(line)) > 0 && !bytes.HasPrefix(line, []byte("go: ")) {
		w.opened = true
		close(w.first)
	}
}
