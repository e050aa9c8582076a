// Command fs serves a directory to other processes, and lists what another process serves.
//
//	go run ./examples/fs serve examples # prints a reference, and serves until Ctrl-C
//	go run ./examples/fs list REFERENCE
package main

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"log"
	"os"
	"os/signal"

	"github.com/rmigo/rmigo/examples/fs/disk"
	"github.com/rmigo/rmigo/rmi"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if len(os.Args) != 3 {
		log.Fatal("usage: fs serve DIRECTORY, or fs list REFERENCE")
	}
	if err := run(ctx, os.Args[1], os.Args[2], os.Stdout); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, command, arg string, out io.Writer) error {
	node, err := rmi.NewNode(rmi.Options{})
	if err != nil {
		return err
	}
	defer node.Close()
	switch command {
	case "serve":
		return serve(ctx, node, arg, out)
	case "list":
		return list(ctx, node, arg, out)
	}
	return fmt.Errorf("there is no command %s: write serve or list", command)
}

// serve prints a reference to the disk of a directory, and serves that until ctx ends. Links out of the directory are not followed.
func serve(ctx context.Context, node *rmi.Node, dir string, out io.Writer) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	if _, err := node.Listen("tcp://127.0.0.1:0"); err != nil {
		return err
	}
	ref, err := rmi.Export(node, disk.RemoteDisk.Of(disk.New(root.FS())))
	if err != nil {
		return err
	}
	text, err := ref.MarshalText()
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%s\n", text)
	<-ctx.Done()
	return node.Shutdown(context.WithoutCancel(ctx))
}

// list prints all files of the disk that a reference is to.
func list(ctx context.Context, node *rmi.Node, ref string, out io.Writer) error {
	d, err := rmi.Resolve(ctx, node, disk.RemoteDisk, ref)
	if err != nil {
		return err
	}
	return fs.WalkDir(disk.FS(ctx, d), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(out, "%7d %s\n", info.Size(), name)
		return err
	})
}
