package rmi_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/rmigo/rmigo/internal/leak"
	"github.com/rmigo/rmigo/internal/testobj"
	"github.com/rmigo/rmigo/rmi"
)

// streamEnv has this test program be one end of streams, to be killed: the one that has the objects, or with references the one that calls them.
const streamEnv = "RMI_TEST_STREAMS"

// streamers are the objects of one end.
type streamers struct {
	source *source
	drain  *drain
	drawer *drawer
}

// exported exports the objects of streams, and returns their references.
func (s *streamers) exported(n *rmi.Node) (string, error) {
	s.source, s.drain, s.drawer = newSource(), newDrain(), newDrawer()
	var all []string
	for _, export := range []func() (rmi.Ref, error){
		func() (rmi.Ref, error) { return rmi.Export(n, testobj.RemoteSource.Of(s.source)) },
		func() (rmi.Ref, error) { return rmi.Export(n, testobj.RemoteDrain.Of(s.drain)) },
		func() (rmi.Ref, error) { return rmi.Export(n, testobj.RemoteDrawer.Of(s.drawer)) },
	} {
		ref, err := export()
		if err != nil {
			return "", err
		}
		text, _ := ref.MarshalText()
		all = append(all, string(text))
	}
	return strings.Join(all, " "), nil
}

// streamProcess is a process of streamEnv.
func streamProcess(refs string) error {
	n, err := rmi.NewNode(rmi.Options{Lease: time.Second})
	if err != nil {
		return err
	}
	if refs == "serve" {
		if _, err := n.Listen("tcp://127.0.0.1:0"); err != nil {
			return err
		}
		var s streamers
		texts, err := s.exported(n)
		if err != nil {
			return err
		}
		fmt.Println(texts)
		io.Copy(io.Discard, os.Stdin)
		return nil
	}
	calls, err := streaming(context.Background(), n, refs)
	if err != nil {
		return err
	}
	for _, call := range calls {
		go call()
	}
	io.Copy(io.Discard, os.Stdin)
	return nil
}

// streaming returns calls whose streams have no end, by name.
func streaming(ctx context.Context, n *rmi.Node, refs string) (map[string]func() error, error) {
	texts := strings.Fields(refs)
	source, err := rmi.Resolve(ctx, n, testobj.RemoteSource, texts[0])
	if err != nil {
		return nil, err
	}
	drain, err := rmi.Resolve(ctx, n, testobj.RemoteDrain, texts[1])
	if err != nil {
		return nil, err
	}
	drawer, err := rmi.Resolve(ctx, n, testobj.RemoteDrawer, texts[2])
	if err != nil {
		return nil, err
	}
	return map[string]func() error{
		"a stream that is returned": func() (last error) {
			for _, last = range source.Items(ctx, "endless") {
			}
			return last
		},
		"a reader among the arguments": func() error {
			_, _, err := drain.Upload(ctx, "", endlessReader{})
			return err
		},
		"a writer among the arguments": func() error { return drain.Download(ctx, 1<<40, io.Discard) },
		"a reader that is returned": func() error {
			r, err := drawer.Open(ctx, "endless")
			if err != nil {
				return err
			}
			defer r.Close()
			_, err = io.Copy(io.Discard, r)
			return err
		},
		"a writer that is returned": func() error {
			w, err := drawer.Create(ctx, "revocable")
			if err != nil {
				return err
			}
			defer w.Close()
			_, err = io.Copy(w, endlessReader{})
			return err
		},
	}, nil
}

func TestStreamsOfAProcessThatIsKilledEnd(t *testing.T) {
	leak.Check(t)
	cmd, _, stdout := startSelf(t, streamEnv+"=serve")
	refs, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	client := tcpWorld(t).node(rmi.Options{Lease: time.Second})
	calls, err := streaming(ctx(t), client, refs)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan string, len(calls))
	for name, call := range calls {
		go func() {
			err := call()
			text := name
			if !errors.Is(err, rmi.ErrUnreachable) || !rmi.MayHaveRun(err) {
				text = fmt.Sprintf("%s ended in %v, want ErrUnreachable, which may have run", name, err)
			}
			ended <- text
		}()
	}
	for calls, _ := rmi.StreamsOf(client); calls < 5; calls, _ = rmi.StreamsOf(client) {
		runtime.Gosched()
	}
	cmd.Process.Kill()
	for range calls {
		select {
		case text := <-ended:
			if strings.Contains(text, "want") {
				t.Error(text)
			}
		case <-ctx(t).Done():
			t.Fatal("a stream of a process that was killed has not ended")
		}
	}
	streamsEnded(t, client)
}

func TestStreamsToAProcessThatIsKilledEnd(t *testing.T) {
	leak.Check(t)
	server, _ := tcpWorld(t).server(rmi.Options{Lease: time.Second})
	var s streamers
	refs, err := s.exported(server)
	if err != nil {
		t.Fatal(err)
	}
	cmd, _, _ := startSelf(t, streamEnv+"="+refs)
	for calls, _ := rmi.StreamsOf(server); calls < 5; calls, _ = rmi.StreamsOf(server) {
		runtime.Gosched()
	}
	cmd.Process.Kill()
	for what, ends := range map[string]chan error{"the iterator": s.source.stopped, "the upload": s.drain.ended} {
		select {
		case cause := <-ends:
			if !errors.Is(cause, rmi.ErrUnreachable) {
				t.Errorf("the context of %s ended in %v", what, cause)
			}
		case <-ctx(t).Done():
			t.Fatalf("%s has not ended", what)
		}
	}
	for range 2 {
		select {
		case <-s.drawer.closed:
		case <-ctx(t).Done():
			t.Fatal("what was returned to a process that was killed is not closed")
		}
	}
	streamsEnded(t, server)
}
