package harness

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"sync"
	"time"

	"github.com/rmigo/rmigo/bench/worker"
)

// process is a worker. Its methods are for one goroutine.
type process struct {
	cmd     *exec.Cmd
	in      io.WriteCloser
	lines   chan []byte // closed with its standard output
	log     excerpt
	reading sync.WaitGroup
}

const (
	patience = 60 * time.Second // for an answer, beyond what was asked for
	farewell = 3 * time.Second  // for ending by itself
)

// start starts a worker and hears its greeting.
func start(command []string) (*process, worker.Hello, error) {
	p := &process{cmd: exec.Command(command[0], command[1:]...), lines: make(chan []byte)}
	p.cmd.Stderr = &p.log
	var hello worker.Hello
	var err error
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, hello, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, hello, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, hello, err
	}
	p.reading.Go(func() { // ends with the process
		defer close(p.lines)
		r := bufio.NewReader(out)
		for {
			line, err := r.ReadBytes('\n')
			if err != nil {
				return
			}
			p.lines <- line
		}
	})
	if err := p.hear(&hello, patience); err != nil {
		p.end()
		return nil, hello, err
	}
	return p, hello, nil
}

// ask gives a command that takes so long, and returns its answer.
func (p *process) ask(takes time.Duration, command string) (worker.Answer, error) {
	var a worker.Answer
	if _, err := io.WriteString(p.in, command+"\n"); err != nil {
		p.end()
		return a, p.told(err)
	}
	if err := p.hear(&a, takes+patience); err != nil {
		return a, fmt.Errorf("%s: %w", command, err)
	}
	if a.Error != "" {
		return a, fmt.Errorf("%s: %w", command, p.told(errors.New(a.Error)))
	}
	return a, nil
}

func (p *process) hear(answer any, within time.Duration) error {
	select {
	case line, open := <-p.lines:
		if !open {
			p.end() // so that all it wrote has been read
			return p.told(errors.New("the process ended"))
		}
		return json.Unmarshal(line, answer)
	case <-time.After(within):
		return p.told(fmt.Errorf("no answer within %v", within))
	}
}

// told adds to an error what the process has written to its standard error.
func (p *process) told(err error) error {
	if log := p.log.String(); log != "" {
		return fmt.Errorf("%w; it said:\n%s", err, log)
	}
	return err
}

// end has the process end, by force if need be. It may be called again.
func (p *process) end() {
	p.in.Close()
	force := time.AfterFunc(farewell, func() { p.cmd.Process.Kill() })
	defer force.Stop()
	for range p.lines { // what nobody waits for any more
	}
	p.reading.Wait()
	p.cmd.Wait()
}

// excerpt keeps the beginning of what is written to it. It may be used concurrently.
type excerpt struct {
	mu   sync.Mutex
	text bytes.Buffer
}

const maxLog = 4 << 10

func (e *excerpt) Write(b []byte) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.text.Write(b[:min(len(b), max(0, maxLog-e.text.Len()))])
	return len(b), nil
}

func (e *excerpt) String() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.text.String()
}
