package registry_test

import (
	"context"
	"log/slog"
	"testing"

	"github.com/rmigo/rmigo/internal/testobj"
	"github.com/rmigo/rmigo/rmi"
	"github.com/rmigo/rmigo/skeleton"
	"github.com/rmigo/rmigo/stub"
)

// listener implements testobj.Listener. It has a size, so that each is an object of its own.
type listener struct{ _ int }

func (*listener) Hear(_ context.Context, text string) (string, error) { return text, nil }

// bound is a new object.
func bound() skeleton.Bound { return testobj.RemoteListener.Of(new(listener)) }

// newNode makes a node that is closed at the end of the test and logs into the test's log where it has no other.
func newNode(t *testing.T, o rmi.Options) *rmi.Node {
	t.Helper()
	if o.Logger == nil {
		o.Logger = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	n, err := rmi.NewNode(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close() })
	return n
}

func listen(t *testing.T, n *rmi.Node, endpoint string) string {
	t.Helper()
	at, err := n.Listen(endpoint)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// objectOf is a new object of the node.
func objectOf(t *testing.T, n *rmi.Node) stub.Object {
	t.Helper()
	obj, err := rmi.ObjectOf(n, bound())
	if err != nil {
		t.Fatal(err)
	}
	return obj
}
