package main

import (
	"fmt"
	"time"
)

// The narrator and the processes it starts converse in lines of JSON: commands go to a process's standard input, messages
// come from its standard output. A process carries out its commands one by one, and ends each by a message that is Done; what
// it says of its own accord, such as when it is called back, may come at any time.

// command has a process do something. Which fields matter depends on what.
type command struct {
	Do     string
	At     string        // an endpoint or URL
	Owner  string        // of an account
	Cents  int64         // an amount, or the one to expect
	Times  int           // how often, or how often to expect
	Within time.Duration // a deadline
}

// message is one of: something said, a check made, the end of a command.
type message struct {
	Say   string `json:",omitempty"`
	Check *check `json:",omitempty"`
	Done  bool   `json:",omitempty"`
	Value string `json:",omitempty"` // what a command that is done gave
	Error string `json:",omitempty"` // why it could not be done
}

// check compares what was got with what was expected, both as text.
type check struct{ What, Got, Want string }

func newCheck(what string, got, want any) *check {
	return &check{what, fmt.Sprint(got), fmt.Sprint(want)}
}

func (c *check) holds() bool { return c.Got == c.Want }

func (c *check) String() string {
	if c.holds() {
		return fmt.Sprintf("[ok] %s: %s", c.What, c.Got)
	}
	return fmt.Sprintf("[FAILED] %s: expected %s, got %s", c.What, c.Want, c.Got)
}
