package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/rmigo/rmigo/internal/leak"
)

var update = flag.Bool("update", false, "rewrite the narration in testdata")

// build compiles the program.
func build(t *testing.T) string {
	t.Helper()
	exe := filepath.Join(t.TempDir(), "bank")
	if runtime.GOOS == "windows" {
		exe += ".exe"
	}
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", exe, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return exe
}

// performance is a narrator's process. Its error output is a pipe that all processes of the story inherit, so that it comes
// to its end when the last of them does.
type performance struct {
	*exec.Cmd
	out    *bufio.Reader
	stderr chan string // receives the whole of the error output when the last process has ended
}

func perform(t *testing.T, exe string) *performance {
	t.Helper()
	p := &performance{Cmd: exec.Command(exe), stderr: make(chan string, 1)}
	out, err := p.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p.out, p.Stderr = bufio.NewReader(out), w
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Process.Kill() }) // has ended, unless the test failed
	w.Close()
	go func() { // ends with the last process
		defer r.Close()
		text, _ := io.ReadAll(r)
		p.stderr <- string(text)
	}()
	return p
}

// end waits for the narrator, whose output has been read, and then for all the others, which must be gone as well.
func (p *performance) end(t *testing.T) (status int, stderr string) {
	t.Helper()
	err := p.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	select {
	case stderr = <-p.stderr:
	case <-time.After(15 * time.Second):
		t.Fatal("the narrator has ended, and processes that it started still run")
	}
	return p.ProcessState.ExitCode(), stderr
}

func TestTheStoryIsTheOneInTestdata(t *testing.T) {
	leak.Check(t)
	p := perform(t, build(t))
	out, err := io.ReadAll(p.out)
	if err != nil {
		t.Fatal(err)
	}
	if status, stderr := p.end(t); status != 0 || stderr != "" {
		t.Errorf("the exit status is %d, want 0; on standard error, where there should be nothing: %q\n%s", status, stderr, out)
	}
	golden, got := filepath.Join("testdata", "narration.txt"), normal(string(out))
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got != strings.ReplaceAll(string(want), "\r\n", "\n") {
		t.Errorf("the narration is not its golden; run with -update and read the change\n got:\n%s\nwant:\n%s", got, want)
	}
}

// normal replaces what differs from one run or system to the next: ids, ports, durations, where lines are broken, how a
// system words that a connection is refused or has broken, whether a process that is being killed still takes one, whether a client notices that the registry is gone before it calls
// it or by calling it, and on which side of a call its deadline is noticed first.
func normal(narration string) string {
	for _, r := range []struct{ pattern, with string }{
		{`\n {22}`, " "},
		{`#[0-9a-f]{6}@[0-9a-f]{8}`, "#OBJECT@PROCESS"},
		{`process [0-9a-f]{8}`, "process PROCESS"},
		{`127\.0\.0\.1:\d+`, "127.0.0.1:PORT"},
		{`(dial tcp 127\.0\.0\.1:PORT: |127\.0\.0\.1:PORT closed the connection before greeting).*?( \(it |\n)`, "dial tcp 127.0.0.1:PORT: REFUSED$2"},
		{`unreachable: the (peer closed the connection|connection broke: .*?) \(it `, "unreachable: BROKEN (it "},
		{`(looks up: rmi: lookup \S+) .*`, "$1 UNREACHABLE"},
		{`gets: .*?(context deadline exceeded).*`, "gets: $1"},
		{`in \d+\.\d s`, "in TIME s"},
	} {
		narration = regexp.MustCompile(r.pattern).ReplaceAllString(narration, r.with)
	}
	return narration
}

func TestAnInterruptedStoryLeavesNoProcess(t *testing.T) {
	leak.Check(t)
	if runtime.GOOS == "windows" {
		t.Skip("one process cannot interrupt another here")
	}
	p := perform(t, build(t))
	hearUntil(t, p, "alice's client")
	if err := p.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	rest, _ := io.ReadAll(p.out)
	if status, stderr := p.end(t); status != 1 || stderr != "" || !strings.Contains(string(rest), "The story ends in step") {
		t.Errorf("the exit status is %d, want 1; standard error %q, want nothing; the end of the narration:\n%s", status, stderr, rest)
	}
}

func TestAKilledNarratorLeavesNoProcess(t *testing.T) {
	leak.Check(t)
	p := perform(t, build(t))
	hearUntil(t, p, "alice's client")
	if err := p.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, p.out)
	p.end(t)
}

// hearUntil reads the narration up to a line that mentions who.
func hearUntil(t *testing.T, p *performance, who string) {
	t.Helper()
	for {
		line, err := p.out.ReadString('\n')
		if err != nil {
			t.Fatalf("the narration ends before %q: %v", who, err)
		}
		if strings.Contains(line, who) {
			return
		}
	}
}

func TestAFailedCheckEndsTheStoryAndSaysWhatWasExpected(t *testing.T) {
	leak.Check(t)
	var out bytes.Buffer
	n := &narrator{out: &out}
	told := n.tell(t.Context(), []step{
		{"Something holds", func(_ context.Context, n *narrator) error { return n.check("bank", newCheck("one", 1, 1)) }},
		{"Something does not", func(_ context.Context, n *narrator) error { return n.check("bank", newCheck("two", 1, 2)) }},
		{"Never told", func(context.Context, *narrator) error { panic("told") }},
	})
	const want = ` 1. Something holds
    bank            [ok] one: 1

 2. Something does not
    bank            [FAILED] two: expected 2, got 1

The story ends in step 2 of 3.
`
	if told || out.String() != want {
		t.Errorf("told to its end: %v, want false; got\n%s\nwant\n%s", told, &out, want)
	}
}

func TestAnErrorEndsTheStoryAndIsPrinted(t *testing.T) {
	leak.Check(t)
	var out bytes.Buffer
	n := &narrator{out: &out}
	broken := func(context.Context, *narrator) error { return errors.New("the stage is on fire") }
	if n.tell(t.Context(), []step{{"Fire", broken}}) || !strings.Contains(out.String(), "expected no error, got: the stage is on fire") {
		t.Errorf("got\n%s", &out)
	}
}

func TestAStoryThatTakesTooLongIsStopped(t *testing.T) {
	leak.Check(t)
	ctx, cancel := context.WithTimeoutCause(t.Context(), time.Millisecond, errors.New("the audience has left"))
	defer cancel()
	var out bytes.Buffer
	n := &narrator{out: &out}
	mute := &process{name: "bank", said: make(chan message)}
	told := n.tell(ctx, []step{{"Silence", func(ctx context.Context, n *narrator) error {
		_, err := n.hear(ctx, mute)
		return err
	}}})
	if told || !strings.Contains(out.String(), "narrator        stops: the audience has left\n") {
		t.Errorf("told to its end: %v, want false; got\n%s", told, &out)
	}
}

func TestAPlayerThatDiesIsNoticed(t *testing.T) {
	leak.Check(t)
	n := &narrator{out: io.Discard, exe: build(t)}
	defer n.dismiss()
	p, err := n.enter(t.Context(), "registry", "registry")
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if _, err := n.done(t.Context(), p); err == nil || !strings.Contains(err.Error(), "the process of the registry has ended unexpectedly") {
		t.Errorf("got %v, want that the registry's process has ended", err)
	}
}

func TestAPlayerSaysWhatItCannotDo(t *testing.T) {
	leak.Check(t)
	n := &narrator{out: io.Discard, exe: build(t)}
	defer n.dismiss()
	for _, role := range []string{"registry", "server", "client"} {
		p, err := n.enter(t.Context(), role, role)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := n.do(t.Context(), p, command{Do: "sing"}); err == nil || !strings.Contains(err.Error(), "does not know how to sing") {
			t.Errorf("the %s answered %v", role, err)
		}
		if err := p.end(); err != nil {
			t.Errorf("the %s ended with %v, want status 0", role, err)
		}
	}
}

func TestLongLinesAreBrokenBetweenWords(t *testing.T) {
	leak.Check(t)
	var out bytes.Buffer
	text := strings.Repeat("word ", 40) + "end"
	(&narrator{out: &out}).line("bank", text)
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	for _, line := range lines {
		if len(line) > width {
			t.Errorf("a line has %d columns, want at most %d: %s", len(line), width, line)
		}
	}
	if got := strings.Join(strings.Fields(out.String())[1:], " "); len(lines) != 3 || got != text {
		t.Errorf("got %d lines, want 3, that say %q:\n%s", len(lines), text, &out)
	}
}
