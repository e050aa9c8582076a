package main_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/rmigo/rmigo/internal/testobj"
	"github.com/rmigo/rmigo/rmi"
	"github.com/rmigo/rmigo/skeleton"
)

// binary is the command, built by TestMain and not changed after that.
var binary string

var update = flag.Bool("update", false, "rewrite the help texts in testdata")

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(buildAndRun(m))
}

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "registry")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "registry")
	if runtime.GOOS == "windows" {
		binary += ".exe"
	}
	build := exec.Command("go", "build", "-o", binary, ".")
	build.Stdout, build.Stderr = os.Stderr, os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "cannot build the command:", err)
		return 1
	}
	return m.Run()
}

// ran is what a process printed and how it ended.
type ran struct {
	stdout, stderr string
	code           int
}

// command is a process to be, killed when ctx ends. Nothing of this process's own environment chooses the registry.
func command(ctx context.Context, env []string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Env = append(os.Environ(), "RMI_REGISTRY=")
	cmd.Env = append(cmd.Env, env...)
	return cmd
}

// run runs the command to its end.
func run(t *testing.T, args ...string) ran { return runWith(t, nil, args...) }

func runWith(t *testing.T, env []string, args ...string) ran {
	t.Helper()
	cmd := command(ctx(t), env, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	return ran{code: exitCode(t, cmd.Run()), stdout: stdout.String(), stderr: stderr.String()}
}

func exitCode(t *testing.T, err error) int {
	t.Helper()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.ExitCode()
	}
	t.Fatal(err)
	return 0
}

// ctx ends with the test, and long before the test's own time limit.
func ctx(t *testing.T) context.Context {
	c, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return c
}

// process is one that goes on running.
type process struct {
	t              *testing.T
	cmd            *exec.Cmd
	stdout, stderr *bufio.Reader
	ended          bool
}

// start starts the command; it is killed at the end of the test if it still runs.
func start(t *testing.T, args ...string) *process {
	t.Helper()
	p := &process{t: t, cmd: command(context.Background(), nil, args...)}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.stdout, p.stderr = bufio.NewReader(stdout), bufio.NewReader(stderr)
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.kill)
	return p
}

// line reads the next line, whole.
func (p *process) line(r *bufio.Reader) string {
	p.t.Helper()
	text, err := r.ReadString('\n')
	if err != nil {
		rest, _ := io.ReadAll(p.stderr)
		p.t.Fatalf("got %q, %v instead of a line; stderr: %s", text, err, rest)
	}
	return text
}

// endpoint reads where a daemon says that it listens.
func (p *process) endpoint() string {
	p.t.Helper()
	line := p.line(p.stdout)
	endpoint, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "registry: listening on ")
	if !ok {
		p.t.Fatalf("the daemon printed %q", line)
	}
	return endpoint
}

func (p *process) signal(s os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// wait returns what the process printed since, and how it ended.
func (p *process) wait() ran {
	p.t.Helper()
	stdout, _ := io.ReadAll(p.stdout)
	stderr, _ := io.ReadAll(p.stderr)
	p.ended = true
	return ran{string(stdout), string(stderr), exitCode(p.t, p.cmd.Wait())}
}

// kill ends the process as a crash does.
func (p *process) kill() {
	if !p.ended {
		p.ended = true
		p.cmd.Process.Kill()
		p.cmd.Wait()
	}
}

// serving starts a daemon at a free port and returns its URL.
func serving(t *testing.T, args ...string) (url string, daemon *process) {
	t.Helper()
	daemon = start(t, append([]string{"serve", "--listen", "tcp://127.0.0.1:0"}, args...)...)
	return urlOf(daemon.endpoint()), daemon
}

func urlOf(endpoint string) string { return "rmi" + strings.TrimPrefix(endpoint, "tcp") }

// listener implements testobj.Listener. It has a size, so that each is an object of its own.
type listener struct{ _ int }

func (*listener) Hear(_ context.Context, text string) (string, error) { return "heard " + text, nil }

// bound is a new object.
func bound() skeleton.Bound { return testobj.RemoteListener.Of(new(listener)) }

// node makes a node in this process, closed at the end of the test.
func node(t *testing.T, o rmi.Options) *rmi.Node {
	t.Helper()
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	n, err := rmi.NewNode(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close() })
	return n
}

func listening(t *testing.T, o rmi.Options) (n *rmi.Node, endpoint string) {
	t.Helper()
	n = node(t, o)
	endpoint, err := n.Listen("tcp://127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return n, endpoint
}

// binding binds new objects of a new node.
func binding(t *testing.T, url string, names ...string) *rmi.Node {
	t.Helper()
	n, _ := listening(t, rmi.Options{})
	for _, name := range names {
		if err := rmi.Bind(ctx(t), n, url+"/"+name, bound()); err != nil {
			t.Fatal(err)
		}
	}
	return n
}

// want compares what a process did with what it should have done, once what differs from run to run is replaced: ports, ids
// and times.
func (got ran) want(t *testing.T, want ran) {
	t.Helper()
	got.stdout, got.stderr = normal(got.stdout), normal(got.stderr)
	if got != want {
		t.Errorf("got exit code %d and\n--- stdout\n%s--- stderr\n%s\nwant exit code %d and\n--- stdout\n%s--- stderr\n%s",
			got.code, got.stdout, got.stderr, want.code, want.stdout, want.stderr)
	}
}

func normal(text string) string {
	for _, r := range []struct{ pattern, with string }{
		{`#[0-9a-f]{6}@`, "#OBJECT@"},
		{`held for [0-9.]+s`, "held for TIME"},
		{`rmi-ref:[0-9a-f]{32}/[0-9a-f]{32}`, "rmi-ref:PROCESS/OBJECT"},
		{`(127\.0\.0\.1(:|%3A))[0-9]+`, "${1}PORT"},
		{`\b[0-9a-f]{8}\b`, "PROCESS_"}, // as long as an id, which keeps columns in line
		{`[0-9]+\.[0-9]{3} ms`, "N ms"},
		{`\b[0-9]+(\.[0-9]+)?(,?\n)`, "N$2"},
		{`time=\S+`, "time=T"},
	} {
		text = regexp.MustCompile(r.pattern).ReplaceAllString(text, r.with)
	}
	return text
}
