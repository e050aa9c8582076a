//go:build unix

package rmi_test

import (
	"context"
	"errors"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rmigo/rmigo/internal/leak"
	"github.com/rmigo/rmigo/internal/testobj"
	"github.com/rmigo/rmigo/rmi"
)

func TestAStoppedServerDelaysNoCallBeyondItsDeadlineAndServesOnWhenContinued(t *testing.T) {
	leak.Check(t)
	cmd, ref := startServer(t)
	client := tcpWorld(t).node(rmi.Options{})
	remote, err := rmi.Resolve(ctx(t), client, testobj.RemoteService, ref)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := remote.Add(ctx(t), 1, 1); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	var status syscall.WaitStatus
	if _, err := syscall.Wait4(cmd.Process.Pid, &status, syscall.WUNTRACED, nil); err != nil || !status.Stopped() {
		t.Fatalf("the server did not stop: %v, %v", status, err)
	}
	c, cancel := context.WithTimeout(ctx(t), 300*time.Millisecond)
	defer cancel()
	var wg sync.WaitGroup
	for i := range 60 {
		wg.Go(func() {
			_, err := remote.Bytes(c, make([]byte, i*50_000))
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("a call to a stopped server: %v, want its deadline", err)
			}
		})
	}
	wg.Wait() // a call that outlived its deadline by far would run into the test's own
	if err := cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if sum, err := remote.Add(ctx(t), 2, 3); sum != 5 || err != nil {
		t.Errorf("a call after the server went on: %d, %v; want the same connection to serve it", sum, err)
	}
}
