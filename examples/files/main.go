// Command files sends files of any size to another process, and fetches them:
//
//	go run ./examples/files serve DIR          prints a reference to the store
//	go run ./examples/files put REFERENCE FILE
//	go run ./examples/files get REFERENCE NAME FILE
//
// Contents go as they are read, so that neither process has more of a file in memory than is under way. Both ends add up what they have seen.
package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"

	"github.com/rmigo/rmigo/examples/files/store"
	"github.com/rmigo/rmigo/rmi"
)

func main() {
	if err := run(context.Background(), os.Args[1:], os.Stdin, os.Stdout); err != nil {
		log.Fatal(err)
	}
}

var errUsage = errors.New("usage: files serve DIR, files put REFERENCE FILE, files get REFERENCE NAME FILE")

func run(ctx context.Context, args []string, in io.Reader, out io.Writer) error {
	switch {
	case len(args) == 2 && args[0] == "serve":
		return serve(ctx, args[1], in, out)
	case len(args) == 3 && args[0] == "put":
		return with(ctx, args[1], func(s store.Store) error { return put(ctx, s, args[2], out) })
	case len(args) == 4 && args[0] == "get":
		return with(ctx, args[1], func(s store.Store) error { return get(ctx, s, args[2], args[3], out) })
	}
	return errUsage
}

// serve serves a directory until its input ends.
func serve(ctx context.Context, dir string, in io.Reader, out io.Writer) error {
	node, err := rmi.NewNode(rmi.Options{})
	if err != nil {
		return err
	}
	defer node.Close()
	if _, err := node.Listen("tcp://127.0.0.1:0"); err != nil {
		return err
	}
	ref, err := rmi.Export(node, store.RemoteStore.Of(&store.Folder{Dir: dir}))
	if err != nil {
		return err
	}
	text, err := ref.MarshalText()
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%s\n", text)
	for lines := bufio.NewScanner(in); lines.Scan(); {
	}
	return node.Shutdown(ctx)
}

// with calls f with the store that is referred to.
func with(ctx context.Context, ref string, f func(store.Store) error) error {
	node, err := rmi.NewNode(rmi.Options{})
	if err != nil {
		return err
	}
	defer node.Close()
	s, err := rmi.Resolve(ctx, node, store.RemoteStore, ref)
	if err != nil {
		return err
	}
	return f(s)
}

func put(ctx context.Context, s store.Store, path string, out io.Writer) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	about, err := file.Stat()
	if err != nil {
		return err
	}
	sum, b := sha256.New(), newBar(out, about.Size())
	info, err := s.Put(ctx, filepath.Base(path), io.TeeReader(file, io.MultiWriter(sum, b)))
	if err != nil {
		return err
	}
	return verify(info, b, sum.Sum(nil), out)
}

func get(ctx context.Context, s store.Store, name, path string, out io.Writer) error {
	about, err := s.Stat(ctx, name)
	if err != nil {
		return err
	}
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	sum, b := sha256.New(), newBar(out, about.Size)
	info, err := s.Get(ctx, name, io.MultiWriter(file, sum, b))
	if err := errors.Join(err, file.Close()); err != nil {
		return err
	}
	return verify(info, b, sum.Sum(nil), out)
}

// verify compares what both ends have seen.
func verify(info store.Info, b *bar, sum []byte, out io.Writer) error {
	if own := hex.EncodeToString(sum); info.SHA256 != own || info.Size != b.done {
		return fmt.Errorf("%s has %d bytes and the sum %s there, %d and %s here", info.Name, info.Size, info.SHA256, b.done, own)
	}
	_, err := fmt.Fprintf(out, "\n%s  %s, %d bytes\n", info.SHA256, info.Name, info.Size)
	return err
}
