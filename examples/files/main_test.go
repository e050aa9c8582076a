package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rmigo/rmigo/examples/files/store"
	"github.com/rmigo/rmigo/internal/leak"
)

// serveEnv has the test binary be a server of the directory that it names.
const serveEnv = "FILES_TEST_SERVE"

func TestMain(m *testing.M) {
	if dir := os.Getenv(serveEnv); dir != "" {
		if err := serve(context.Background(), dir, os.Stdin, os.Stdout); err != nil {
			log.Fatal(err)
		}
		return
	}
	os.Exit(m.Run())
}

// served is a reference to the store in another process, which ends with the test.
func served(t *testing.T, dir string) string {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env, cmd.Stderr = append(os.Environ(), serveEnv+"="+dir), os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	})
	ref, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(ref)
}

func TestLargeFilesGoThereAndComeBack(t *testing.T) {
	leak.Check(t)
	there, here := t.TempDir(), t.TempDir()
	content := make([]byte, 48<<20+12345)
	rand.NewChaCha8([32]byte{7}).Read(content)
	sent, got := filepath.Join(here, "large.bin"), filepath.Join(here, "again.bin")
	if err := os.WriteFile(sent, content, 0o600); err != nil {
		t.Fatal(err)
	}
	ref := served(t, there)
	last := fmt.Sprintf("\n%x  large.bin, %d bytes\n", sha256.Sum256(content), len(content))
	for _, args := range [][]string{{"put", ref, sent}, {"get", ref, "large.bin", got}} {
		var out bytes.Buffer
		if err := run(t.Context(), args, nil, &out); err != nil {
			t.Fatal(err)
		}
		says := out.String()
		if !strings.HasSuffix(says, last) || !strings.Contains(says, "]  50 %") || !strings.Contains(says, "["+strings.Repeat("#", 50)+"] 100 %") {
			t.Errorf("%s says %q, want a bar up to 100 %% and %q", args[0], says, last)
		}
	}
	for _, path := range []string{filepath.Join(there, "large.bin"), got} {
		if b, err := os.ReadFile(path); err != nil || !bytes.Equal(b, content) {
			t.Errorf("%s has %d bytes, %v, which are not those that were sent", path, len(b), err)
		}
	}
	if err := run(t.Context(), []string{"get", ref, "../large.bin", got}, nil, new(bytes.Buffer)); !errors.Is(err, store.ErrName) {
		t.Errorf("a name outside of the directory: %v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(there, ".put-*")); left != nil {
		t.Errorf("%v are left", left)
	}
}
