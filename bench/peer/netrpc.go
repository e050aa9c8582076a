package peer

import (
	"bytes"
	"context"
	"net"
	"net/rpc"

	"github.com/rmigo/rmigo/bench/payload"
)

// NetRPC is the standard library's net/rpc with gob: one connection for all callers. It knows no contexts.
type NetRPC struct{}

// gobService is what net/rpc serves.
type gobService struct{}

func (gobService) Null(struct{}, *struct{}) error { return nil }

func (gobService) Small(in payload.Small, out *payload.Small) error {
	*out = in
	return nil
}

func (gobService) Bytes(in []byte, out *[]byte) error {
	*out = in
	return nil
}

func (gobService) Order(in payload.Order, out *payload.Receipt) error {
	*out = in.Receipt()
	return nil
}

func (gobService) Tree(in payload.Node, out *payload.Node) error {
	*out = in
	return nil
}

// Serve implements Peer.
func (NetRPC) Serve() (Server, error) {
	l, err := listen()
	if err != nil {
		return nil, err
	}
	server := rpc.NewServer()
	if err := server.RegisterName("Service", gobService{}); err != nil {
		return nil, err
	}
	return serveConns(l, func(c net.Conn) { server.ServeConn(c) }), nil
}

type netRPCSession struct{ client *rpc.Client }

// Dial implements Peer.
func (NetRPC) Dial(ctx context.Context, addr string, _ int) (Session, error) {
	c, err := dial(ctx, addr)
	if err != nil {
		return nil, err
	}
	return netRPCSession{rpc.NewClient(c)}, nil
}

func (s netRPCSession) Close() error { return s.client.Close() }

func (s netRPCSession) Caller(op Op, _ int) (Call, error) {
	if size, ok := op.Size(); ok {
		sent := payload.NewBytes(size)
		return func(_ context.Context, thorough bool) error {
			var echo []byte
			err := s.client.Call("Service.Bytes", sent, &echo)
			return answered(op, payload.Resembles(echo, sent) && (!thorough || bytes.Equal(echo, sent)), err)
		}, nil
	}
	switch op {
	case Null:
		return func(context.Context, bool) error {
			return answered(op, true, s.client.Call("Service.Null", struct{}{}, &struct{}{}))
		}, nil
	case Small:
		sent := payload.NewSmall()
		return func(_ context.Context, thorough bool) error {
			var echo payload.Small
			err := s.client.Call("Service.Small", sent, &echo)
			return answered(op, echo.ID == sent.ID && (!thorough || echo.Equal(sent)), err)
		}, nil
	case Order:
		sent := payload.NewOrder()
		want := sent.Receipt()
		return func(context.Context, bool) error {
			var receipt payload.Receipt
			err := s.client.Call("Service.Order", sent, &receipt)
			return answered(op, receipt == want, err)
		}, nil
	case Tree:
		sent := payload.NewTree()
		return func(context.Context, bool) error {
			var echo payload.Node
			err := s.client.Call("Service.Tree", sent, &echo)
			return answered(op, payload.IsTree(&echo), err)
		}, nil
	}
	return nil, ErrNone
}
