package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"
)

// narrator has processes do things, and prints what they say and what was checked, in an order that is the same each time:
// a process is heard when it is its turn. It is used by one goroutine.
type narrator struct {
	out    io.Writer
	exe    string
	cast   []*process // all that were started
	checks int        // that held
}

// step is a part of the story. An error ends the story.
type step struct {
	title string
	run   func(context.Context, *narrator) error
}

// errFailed is a check that did not hold; it has been printed.
var errFailed = errors.New("a check failed")

// tell tells the story to its end or to the first failure, and reports whether all checks held.
func (n *narrator) tell(ctx context.Context, steps []step) bool {
	begun := time.Now()
	for i, s := range steps {
		fmt.Fprintf(n.out, "%2d. %s\n", i+1, s.title)
		err := s.run(ctx, n)
		switch {
		case err == nil:
			fmt.Fprintln(n.out)
			continue
		case ctx.Err() != nil:
			n.line("narrator", "stops: "+context.Cause(ctx).Error())
		case !errors.Is(err, errFailed):
			n.line("narrator", "[FAILED] expected no error, got: "+err.Error())
		}
		fmt.Fprintf(n.out, "\nThe story ends in step %d of %d.\n", i+1, len(steps))
		return false
	}
	fmt.Fprintf(n.out, "All %d checks held, in %.1f s.\n", n.checks, time.Since(begun).Seconds())
	return true
}

// enter starts a process.
func (n *narrator) enter(ctx context.Context, role, name string) (*process, error) {
	p, err := start(ctx, n.exe, role, name)
	if err == nil {
		n.cast = append(n.cast, p)
	}
	return p, err
}

// do has a process carry a command out, and returns what that gave.
func (n *narrator) do(ctx context.Context, p *process, c command) (string, error) {
	if err := p.order(c); err != nil {
		return "", fmt.Errorf("telling the %s to %s: %w", p.name, c.Do, err)
	}
	return n.done(ctx, p)
}

// act is do for several commands that give nothing.
func (n *narrator) act(ctx context.Context, p *process, commands ...command) error {
	for _, c := range commands {
		if _, err := n.do(ctx, p, c); err != nil {
			return err
		}
	}
	return nil
}

// done hears a process until the command it is at is done.
func (n *narrator) done(ctx context.Context, p *process) (string, error) {
	var failed error
	for {
		m, err := n.hear(ctx, p)
		switch {
		case errors.Is(err, errFailed):
			failed = err // what else was checked helps to see why
		case err != nil:
			return "", err
		case m.Error != "":
			return "", fmt.Errorf("%s: %s", p.name, m.Error)
		case m.Done:
			return m.Value, failed
		}
	}
}

// hear waits for the next that a process says, and prints it.
func (n *narrator) hear(ctx context.Context, p *process) (message, error) {
	m, err := p.next(ctx)
	switch {
	case err != nil:
		return m, err
	case m.Check != nil:
		return m, n.check(p.name, m.Check)
	case m.Say != "":
		n.line(p.name, m.Say)
	}
	return m, nil
}

func (n *narrator) check(who string, c *check) error {
	n.line(who, c.String())
	if !c.holds() {
		return errFailed
	}
	n.checks++
	return nil
}

// dismiss ends all processes that there still are, at once.
func (n *narrator) dismiss() {
	for _, p := range n.cast {
		if !p.over() {
			_ = p.kill() // an error means that it has ended meanwhile
		}
	}
}

const (
	margin = 20  // where what is said begins
	width  = 110 // where it is broken
)

// line prints who says what, broken into lines between words.
func (n *narrator) line(who, text string) {
	var b strings.Builder
	fmt.Fprintf(&b, "    %-*s", margin-4, who)
	column := margin
	for i, word := range strings.Fields(text) {
		switch length := utf8.RuneCountInString(word); {
		case i > 0 && column+1+length > width:
			b.WriteString("\n" + strings.Repeat(" ", margin+2) + word)
			column = margin + 2 + length
		case i > 0:
			b.WriteString(" " + word)
			column += 1 + length
		default:
			b.WriteString(word)
			column += length
		}
	}
	fmt.Fprintln(n.out, b.String())
}
