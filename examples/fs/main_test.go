package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/rmigo/rmigo/examples/fs/disk"
	"github.com/rmigo/rmigo/internal/leak"
	"github.com/rmigo/rmigo/rmi"
)

// started builds the program, has it serve dir in another process, and returns the reference that it prints, and what ends it.
func started(t *testing.T, dir string) (ref string, end func()) {
	t.Helper()
	exe := filepath.Join(t.TempDir(), "fs.exe")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", exe, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	cmd := exec.CommandContext(t.Context(), exe, "serve", dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	end = func() {
		cmd.Process.Kill()
		cmd.Wait()
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		end()
		t.Fatal(err)
	}
	return strings.TrimSpace(line), end
}

func mounted(t *testing.T, ref string) (fs.FS, *rmi.Node) {
	t.Helper()
	node, err := rmi.NewNode(rmi.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { node.Close() })
	d, err := rmi.Resolve(t.Context(), node, disk.RemoteDisk, ref)
	if err != nil {
		t.Fatal(err)
	}
	return disk.FS(t.Context(), d), node
}

func TestTheStubOfAnotherProcessIsAFileSystem(t *testing.T) {
	leak.Check(t)
	dir := t.TempDir()
	if err := os.CopyFS(dir, fstest.MapFS{
		"hello.txt":       {Data: []byte("hello\n"), Mode: 0o600},
		"empty":           {},
		"sub/a/parts.bin": {Data: bytes.Repeat([]byte("0123456789abcdef"), 16<<10)},
		"sub/b.txt":       {Data: []byte("b")},
	}); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/etc", filepath.Join(dir, "sub", "out")); err != nil {
		t.Fatal(err)
	}
	ref, end := started(t, dir)
	defer end()
	files, _ := mounted(t, ref)
	t.Run("out of it", func(t *testing.T) {
		if _, err := fs.ReadFile(files, "sub/out/hosts"); err == nil {
			t.Error("a link out of the directory is followed")
		}
	})
	if err := os.Remove(filepath.Join(dir, "sub", "out")); err != nil {
		t.Fatal(err)
	}
	if err := fstest.TestFS(files, "hello.txt", "empty", "sub/a/parts.bin", "sub/b.txt"); err != nil {
		t.Error(err)
	}
	var out strings.Builder
	if err := run(t.Context(), "list", ref, &out); err != nil {
		t.Fatal(err)
	}
	if want := "      0 empty\n      6 hello.txt\n 262144 sub/a/parts.bin\n      1 sub/b.txt\n"; out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
}

func TestAFileThatDoesNotFitIntoAMessageIsReadInParts(t *testing.T) {
	leak.Check(t)
	dir := t.TempDir()
	want := bytes.Repeat([]byte("0123456789abcdef"), 17<<16) // 17 MiB
	if err := os.WriteFile(filepath.Join(dir, "large"), want, 0o600); err != nil {
		t.Fatal(err)
	}
	ref, end := started(t, dir)
	defer end()
	files, _ := mounted(t, ref)
	if got, err := fs.ReadFile(files, "large"); err != nil || !bytes.Equal(got, want) {
		t.Errorf("got %d bytes, %v; want the %d of the file", len(got), err, len(want))
	}
}

func TestErrorsAreThoseOfPackageFS(t *testing.T) {
	leak.Check(t)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "f"), []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	ref, end := started(t, dir)
	defer end()
	files, _ := mounted(t, ref)
	failed := func(what string, err, want error) {
		t.Helper()
		if p, ok := errors.AsType[*fs.PathError](err); !ok || p.Path == "" || !errors.Is(err, want) {
			t.Errorf("%s: got %v, want an *fs.PathError of %v", what, err, want)
		}
	}
	_, err := files.Open("missing")
	failed("open", err, fs.ErrNotExist)
	_, err = fs.Stat(files, "missing/of/it")
	failed("stat", err, fs.ErrNotExist)
	_, err = fs.ReadFile(files, "missing")
	failed("read", err, fs.ErrNotExist)
	_, err = fs.ReadDir(files, "missing")
	failed("readdir", err, fs.ErrNotExist)
	_, err = files.Open("../f")
	failed("open", err, fs.ErrInvalid)
	f, err := files.Open("f")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(f); err != nil || string(got) != "text" {
		t.Errorf("got %q, %v", got, err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	_, err = f.Read(make([]byte, 1))
	failed("read", err, fs.ErrClosed)
	end()
	_, err = fs.Stat(files, "f")
	failed("stat of a disk that is gone", err, rmi.ErrUnreachable)
}

func TestAFileThatNobodyHoldsIsClosed(t *testing.T) {
	leak.Check(t)
	server, err := rmi.NewNode(rmi.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	if _, err := server.Listen("tcp://127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	closed := make(chan struct{})
	d := &watched{disk.New(told{fstest.MapFS{"f": {}}, closed}), make(chan disk.File, 1)}
	ref, err := rmi.Export(server, disk.RemoteDisk.Of(d))
	if err != nil {
		t.Fatal(err)
	}
	text, err := ref.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	files, client := mounted(t, string(text))
	if _, err := files.Open("f"); err != nil {
		t.Fatal(err)
	}
	for f := <-d.opened; len(server.Holders(f)) == 0; { // which the server is told in its time
		if _, err := fs.Stat(files, "."); err != nil {
			t.Fatal(err)
		}
	}
	if err := client.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
	<-closed
}

// watched tells what it has opened.
type watched struct {
	disk.Disk
	opened chan disk.File
}

func (w *watched) Open(ctx context.Context, name string) (disk.Info, disk.File, error) {
	info, f, err := w.Disk.Open(ctx, name)
	w.opened <- f
	return info, f, err
}

// told tells when its file f is closed.
type told struct {
	fs.FS
	closed chan struct{}
}

func (t told) Open(name string) (fs.File, error) {
	f, err := t.FS.Open(name)
	if name == "f" {
		f = toldFile{f, t.closed}
	}
	return f, err
}

type toldFile struct {
	fs.File
	closed chan struct{}
}

func (f toldFile) Close() error {
	close(f.closed)
	return f.File.Close()
}
