package rmi_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rmigo/rmigo/internal/leak"
	"github.com/rmigo/rmigo/internal/testobj"
	"github.com/rmigo/rmigo/rmi"
)

// serveEnv makes the test binary a server: it prints the text of its service's reference and serves until its standard input
// ends.
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
	os.Exit(m.Run())
}

func serveProcess() {
	n, err := rmi.NewNode(rmi.Options{})
	if err == nil {
		_, err = n.Listen("tcp://127.0.0.1:0")
	}
	var ref rmi.Ref
	if err == nil {
		ref, err = rmi.Export(n, testobj.RemoteService.Of(newService(n)))
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
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), serveEnv+"=1")
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
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
	mayHaveRun := 0
	for err := range outcomes {
		if !errors.Is(err, rmi.ErrUnreachable) {
			t.Errorf("a call to a killed server ended in %v, want ErrUnreachable", err)
		}
		if rmi.MayHaveRun(err) {
			mayHaveRun++
		}
	}
	if mayHaveRun < 100 {
		t.Errorf("%d calls say that they may have run; the 100 that were running must", mayHaveRun)
	}
	if _, err := remote.Add(ctx(t), 1, 1); !errors.Is(err, rmi.ErrUnreachable) || rmi.MayHaveRun(err) {
		t.Errorf("a call after that: %v; want ErrUnreachable, not run", err)
	}
}
