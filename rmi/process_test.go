package rmi_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rmigo/rmigo/internal/leak"
	"github.com/rmigo/rmigo/internal/testobj"
	"github.com/rmigo/rmigo/rmi"
)

// serveEnv makes the test binary a server with that lease: it prints the text of its service's reference and serves until its standard
// input ends.
const serveEnv = "RMI_TEST_SERVE"

func TestMain(m *testing.M) {
	if os.Getenv(serveEnv) != "" {
		serveProcess()
		return
	}
	if at := os.Getenv(partyEnv); at != "" {
		if err := partyProcess(at); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	if refs := os.Getenv(streamEnv); refs != "" {
		if err := streamProcess(refs); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	code := m.Run()
	if left := made.left(); code == 0 && left != "" {
		fmt.Fprintln(os.Stderr, "nodes that were closed are no garbage, by tests:", left)
		code = 1
	}
	os.Exit(code)
}

func serveProcess() {
	lease, err := time.ParseDuration(os.Getenv(serveEnv))
	var n *rmi.Node
	impl := &tracer{}
	if err == nil {
		n, err = rmi.NewNode(rmi.Options{Lease: lease, Inbound: []rmi.Interceptor{impl.intercept}})
	}
	if err == nil {
		_, err = n.Listen("tcp://127.0.0.1:0")
	}
	var ref rmi.Ref
	if err == nil {
		impl.service = newService(n)
		ref, err = rmi.Export(n, testobj.RemoteService.Of(impl))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	text, _ := ref.MarshalText()
	fmt.Println(string(text))
	io.Copy(io.Discard, os.Stdin)
}

// startServer starts a server as another process and returns the text of its service's reference.
func startServer(t *testing.T) (*exec.Cmd, string) {
	t.Helper()
	return startLeasing(t, time.Minute)
}

// startSelf starts this test program as another process, which TestMain tells by the environment what to be. It ends with the test.
func startSelf(t *testing.T, env string) (cmd *exec.Cmd, stdin io.WriteCloser, stdout io.ReadCloser) {
	t.Helper()
	cmd = exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), env)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if stdout, err = cmd.StdoutPipe(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stdin.Close()
		cmd.Process.Kill()
		cmd.Wait()
	})
	return cmd, stdin, stdout
}

func startLeasing(t *testing.T, lease time.Duration) (*exec.Cmd, string) {
	t.Helper()
	cmd, _, stdout := startSelf(t, serveEnv+"="+lease.String())
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return cmd, strings.TrimSpace(line)
}

func TestEveryCallReturnsInTimeAndSaysWhetherItMayHaveRunWhenTheServerIsKilled(t *testing.T) {
	leak.Check(t)
	cmd, ref := startServer(t)
	client := tcpWorld(t).node(rmi.Options{})
	remote, err := rmi.Resolve(ctx(t), client, testobj.RemoteService, ref)
	if err != nil {
		t.Fatal(err)
	}
	const deadline = 10 * time.Second
	c, cancel := context.WithTimeout(ctx(t), deadline)
	defer cancel()
	began := time.Now()
	var wg sync.WaitGroup
	inside := &listener{}
	outcomes := make(chan error, 200)
	for range 100 {
		wg.Go(func() { // runs when the server dies: the callback tells that it has begun
			l := &listener{on: func(c context.Context, _ string) (string, error) {
				inside.heard.Add(1)
				<-c.Done()
				return "", c.Err()
			}}
			_, err := remote.Tell(c, l, "")
			outcomes <- err
		})
		wg.Go(func() { // calls without end: some never begin
			var err error
			for err == nil {
				_, err = remote.Add(c, 1, 1)
			}
			outcomes <- err
		})
	}
	for inside.heard.Load() < 100 {
		if c.Err() != nil {
			t.Fatal("the calls did not begin")
		}
		if _, err := remote.Add(c, 0, 0); err != nil {
			t.Fatal(err)
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	if took := time.Since(began); took > deadline {
		t.Errorf("the calls took %v to return, their deadline was %v", took, deadline)
	}
	close(outcomes)
	checkKilled(t, outcomes, 100)
	if _, err := remote.Add(ctx(t), 1, 1); !errors.Is(err, rmi.ErrUnreachable) || rmi.MayHaveRun(err) {
		t.Errorf("a call after that: %v; want ErrUnreachable, not run", err)
	}
}

// checkKilled checks what calls to a server that was killed came to, of which so many were running.
func checkKilled(t *testing.T, outcomes <-chan error, running int) {
	t.Helper()
	mayHaveRun := 0
	for err := range outcomes {
		if !errors.Is(err, rmi.ErrUnreachable) {
			t.Errorf("a call to a killed server ended in %v, want ErrUnreachable", err)
		}
		if rmi.MayHaveRun(err) {
			mayHaveRun++
		}
	}
	if mayHaveRun < running {
		t.Errorf("%d calls say that they may have run; the %d that were running must", mayHaveRun, running)
	}
}

// shortLease is what processes have whose leases are to run out within a test.
const shortLease = 2 * time.Second

// lend has a process hold an object of this one; free tells when it does not any more.
func lend(t *testing.T, ref string) (client *rmi.Node, free chan string) {
	t.Helper()
	client = tcpWorld(t).node(rmi.Options{Lease: shortLease})
	remote, err := rmi.Resolve(ctx(t), client, testobj.RemoteService, ref)
	if err != nil {
		t.Fatal(err)
	}
	free = make(chan string, 1)
	if err := remote.Remember(ctx(t), &hearer{"it", free}); err != nil {
		t.Fatal(err)
	}
	for c := ctx(t); client.Stats().Pins > 0; runtime.Gosched() {
		if c.Err() != nil {
			t.Fatal("the argument was not acknowledged")
		}
	}
	return client, free
}

func TestAHolderThatIsKilledIsReleasedAfterItsLease(t *testing.T) {
	leak.Check(t)
	cmd, ref := startLeasing(t, shortLease)
	client, free := lend(t, ref)
	if client.Stats().Held != 1 {
		t.Fatal("the object is not held")
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	c, cancel := context.WithTimeout(ctx(t), shortLease*9/8+2*time.Second)
	defer cancel()
	select {
	case <-free:
	case <-c.Done():
		t.Errorf("the dead process still holds the object: %+v", client.Stats())
	}
}

func TestAHundredThousandReferencesComeAndGo(t *testing.T) {
	leak.Check(t)
	w := tcpWorld(t)
	server, _ := w.server(rmi.Options{})
	client := w.node(rmi.Options{})
	remote := pass(t, server, client, newService(server))
	cycles := 1000
	if raceDetector {
		cycles = 50
	}
	for range cycles {
		all := make([]testobj.Listener, 100)
		for i := range all {
			all[i] = &listener{}
		}
		if err := remote.TellAll(ctx(t), "", all...); err != nil {
			t.Fatal(err)
		}
	}
	for c := ctx(t); ; runtime.GC() {
		s, of := client.Stats(), server.Stats()
		if s.Exports+s.Held+s.Pins+s.Queued+of.Holding+of.Owed == 0 {
			break
		}
		if c.Err() != nil {
			t.Fatalf("they are not all gone: %+v, %+v", s, of)
		}
	}
}
