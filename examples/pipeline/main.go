// Command pipeline opens a directory four levels down in another process that is 50 ms away, and reads it: one call after another,
// pipelined, and as a batch.
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"time"

	"github.com/rmigo/rmigo/examples/pipeline/files"
	"github.com/rmigo/rmigo/rmi"
)

const delay = 50 * time.Millisecond

func main() {
	if err := run(context.Background(), os.Stdout); err != nil {
		log.Fatal(err)
	}
}

// run prints how long each way takes.
func run(ctx context.Context, out io.Writer) error {
	root, stop, err := distant(ctx)
	if err != nil {
		return err
	}
	defer stop()
	for _, way := range []struct {
		name string
		read func(context.Context, files.Dir) (string, error)
	}{{"sequential", sequential}, {"pipelined", pipelined}, {"batch", batch}} {
		start := time.Now()
		text, err := way.read(ctx, root)
		if err != nil {
			return fmt.Errorf("%s: %w", way.name, err)
		}
		fmt.Fprintf(out, "%-10s %q after %v\n", way.name, text, time.Since(start).Round(delay))
	}
	return nil
}

func sequential(ctx context.Context, d files.Dir) (string, error) {
	for _, name := range []string{"usr", "share", "doc", "go"} {
		var err error
		if d, err = d.Open(ctx, name); err != nil {
			return "", err
		}
	}
	return d.Read(ctx)
}

func pipelined(ctx context.Context, d files.Dir) (string, error) {
	return files.AsyncDirOf(d).Open(ctx, "usr").Open(ctx, "share").Open(ctx, "doc").Open(ctx, "go").Read(ctx).Wait(ctx)
}

func batch(ctx context.Context, d files.Dir) (string, error) {
	var text *rmi.Future[string]
	err := rmi.Batch(ctx, func(ctx context.Context) error {
		text = files.AsyncDirOf(d).Open(ctx, "usr").Open(ctx, "share").Open(ctx, "doc").Open(ctx, "go").Read(ctx)
		return nil
	})
	if err != nil {
		return "", err
	}
	return text.Wait(ctx)
}

// distant serves a tree, and returns a stub of it in a node for which that is far away.
func distant(ctx context.Context) (root files.Dir, stop func(), err error) {
	server, err := rmi.NewNode(rmi.Options{})
	if err != nil {
		return nil, nil, err
	}
	client, err := rmi.NewNode(rmi.Options{Network: far(delay)})
	if err != nil {
		return nil, nil, err
	}
	stop = func() {
		client.Close()
		server.Close()
	}
	if _, err = server.Listen("tcp://127.0.0.1:0"); err == nil {
		root, err = found(ctx, server, client)
	}
	if err != nil {
		stop()
		return nil, nil, err
	}
	return root, stop, nil
}

func found(ctx context.Context, server, client *rmi.Node) (files.Dir, error) {
	ref, err := rmi.Export(server, files.RemoteDir.Of(&files.Tree{}))
	if err != nil {
		return nil, err
	}
	text, err := ref.MarshalText()
	if err != nil {
		return nil, err
	}
	root, err := rmi.Resolve(ctx, client, files.RemoteDir, string(text))
	if err == nil {
		_, err = root.Read(ctx) // by now there is a connection
	}
	return root, err
}
