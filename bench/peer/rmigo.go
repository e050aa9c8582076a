package peer

import (
	"bytes"
	"context"

	"github.com/rmigo/rmigo/bench/payload"
	"github.com/rmigo/rmigo/bench/remote"
	"github.com/rmigo/rmigo/rmi"
)

// Rmigo is rmigo with its defaults: one connection for all callers. A session is a node of its own, and finds the object by its
// reference, without a registry.
type Rmigo struct{}

type rmigoServer struct {
	node *rmi.Node
	ref  string
}

// Serve implements Peer.
func (Rmigo) Serve() (Server, error) {
	node, err := rmi.NewNode(rmi.Options{})
	if err != nil {
		return nil, err
	}
	if _, err := node.Listen("tcp://127.0.0.1:0"); err != nil {
		return nil, err
	}
	ref, err := rmi.Export(node, remote.RemoteService.Of(new(remote.Object)))
	if err != nil {
		return nil, err
	}
	text, err := ref.MarshalText()
	return &rmigoServer{node, string(text)}, err
}

func (s *rmigoServer) Addr() string { return s.ref }
func (s *rmigoServer) Close() error { return s.node.Close() }

// Export implements Exporter.
func (s *rmigoServer) Export(n int) error {
	for range n {
		if _, err := rmi.Export(s.node, remote.RemoteCounter.Of(new(remote.Count))); err != nil {
			return err
		}
	}
	return nil
}

type rmigoSession struct {
	node     *rmi.Node
	service  remote.Service
	listener remote.Listener
}

// Dial implements Peer.
func (Rmigo) Dial(ctx context.Context, addr string, _ int) (Session, error) {
	node, err := rmi.NewNode(rmi.Options{})
	if err != nil {
		return nil, err
	}
	s, err := (&rmigoSession{node: node}).Join(ctx, addr)
	if err != nil {
		node.Close()
		return nil, err
	}
	return s, nil
}

// Join implements Joiner.
func (s *rmigoSession) Join(ctx context.Context, addr string) (Session, error) {
	service, err := rmi.Resolve(ctx, s.node, remote.RemoteService, addr)
	if err != nil {
		return nil, err
	}
	return &rmigoSession{s.node, service, new(remote.Successor)}, nil
}

// Close ends the sessions that have the same node, too.
func (s *rmigoSession) Close() error { return s.node.Close() }

func (s *rmigoSession) Caller(op Op, i int) (Call, error) {
	if size, ok := op.Size(); ok {
		return s.bytes(op, size), nil
	}
	switch op {
	case Null:
		return func(ctx context.Context, _ bool) error { return answered(op, true, s.service.Null(ctx)) }, nil
	case Small:
		sent := payload.NewSmall()
		return func(ctx context.Context, thorough bool) error {
			echo, err := s.service.Small(ctx, sent)
			return answered(op, echo.ID == sent.ID && (!thorough || echo.Equal(sent)), err)
		}, nil
	case Order:
		sent := payload.NewOrder()
		want := sent.Receipt()
		return func(ctx context.Context, _ bool) error {
			receipt, err := s.service.Order(ctx, sent)
			return answered(op, receipt == want, err)
		}, nil
	case Tree:
		sent := payload.NewTree()
		return func(ctx context.Context, _ bool) error {
			echo, err := s.service.Tree(ctx, sent)
			return answered(op, payload.IsTree(echo), err)
		}, nil
	case Callback:
		n := int64(i)
		return func(ctx context.Context, _ bool) error {
			n++
			m, err := s.service.Callback(ctx, s.listener, n)
			return answered(op, m == n+1, err)
		}, nil
	case Refs:
		return s.refs, nil
	}
	return nil, ErrNone
}

func (s *rmigoSession) bytes(op Op, size int) Call {
	sent := payload.NewBytes(size)
	return func(ctx context.Context, thorough bool) error {
		echo, err := s.service.Bytes(ctx, sent)
		return answered(op, payload.Resembles(echo, sent) && (!thorough || bytes.Equal(echo, sent)), err)
	}
}

// refs asks for a new object, and when thorough for one more, and sees that they count apart.
func (s *rmigoSession) refs(ctx context.Context, thorough bool) error {
	first, err := s.service.New(ctx)
	if err != nil || !thorough {
		return answered(Refs, first != nil, err)
	}
	second, err := s.service.New(ctx)
	if err != nil {
		return answered(Refs, false, err)
	}
	if _, err := first.Add(ctx, 2); err != nil {
		return answered(Refs, false, err)
	}
	n, err := second.Add(ctx, 3)
	return answered(Refs, first != second && n == 3, err)
}
