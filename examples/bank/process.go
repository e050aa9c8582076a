package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"
)

// process is a copy of this program that plays a role. It is killed when the context it was started with ends.
type process struct {
	name  string
	cmd   *exec.Cmd
	in    io.WriteCloser
	said  chan message  // closed at the end of what it says
	ended chan struct{} // closed when the process has ended; then err is set
	err   error
}

func start(ctx context.Context, exe, role, name string) (*process, error) {
	p := &process{name: name, cmd: exec.CommandContext(ctx, exe, role), said: make(chan message), ended: make(chan struct{})}
	p.cmd.Stderr = os.Stderr
	in, err := p.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting the %s: %w", name, err)
	}
	p.in = in
	go p.read(out) // ends with the process; end waits for it
	return p, nil
}

func (p *process) read(out io.Reader) {
	defer close(p.ended)
	defer close(p.said)
	for lines := json.NewDecoder(out); ; {
		var m message
		if lines.Decode(&m) != nil {
			break
		}
		p.said <- m
	}
	p.err = p.cmd.Wait()
}

// order sends a command.
func (p *process) order(c command) error { return json.NewEncoder(p.in).Encode(c) }

// next returns what the process says next.
func (p *process) next(ctx context.Context) (message, error) {
	select {
	case m, ok := <-p.said:
		if ok {
			return m, nil
		}
		if err := ctx.Err(); err == nil {
			return message{}, fmt.Errorf("the process of the %s has ended unexpectedly: %v", p.name, p.err)
		}
	case <-ctx.Done():
	}
	return message{}, context.Cause(ctx)
}

// kill ends the process as SIGKILL does, and waits for its end.
func (p *process) kill() error {
	err := p.cmd.Process.Kill()
	p.await()
	return err
}

// end has the process end in good order, and returns how it did. One that does not end is killed.
func (p *process) end() error {
	p.in.Close()
	late := time.AfterFunc(3*farewell, func() { p.cmd.Process.Kill() })
	defer late.Stop()
	p.await()
	return p.err
}

// await waits for the process to end. Nobody listens to what it still says.
func (p *process) await() {
	for range p.said {
	}
	<-p.ended
}

// over reports whether the process has ended.
func (p *process) over() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}
