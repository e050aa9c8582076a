package peer

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"net"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/rmigo/rmigo/bench/payload"
	"github.com/rmigo/rmigo/bench/pb"
)

// GRPC is grpc-go with generated code and protobuf: one connection for all callers.
type GRPC struct{}

// grpcService is what grpc-go serves. Its methods answer with the messages that they were given. It embeds no defaults: a method
// of the service that it lacks is an error of the compiler.
type grpcService struct {
	pb.UnsafeServiceServer
}

func (grpcService) Null(context.Context, *pb.Nothing) (*pb.Nothing, error)      { return &pb.Nothing{}, nil }
func (grpcService) Echo(_ context.Context, s *pb.Small) (*pb.Small, error)      { return s, nil }
func (grpcService) EchoBytes(_ context.Context, b *pb.Bytes) (*pb.Bytes, error) { return b, nil }
func (grpcService) Place(_ context.Context, o *pb.Order) (*pb.Receipt, error) {
	return o.Receipt(), nil
}
func (grpcService) EchoTree(_ context.Context, n *pb.Node) (*pb.Node, error)        { return n, nil }
func (grpcService) Callback(s grpc.BidiStreamingServer[pb.Number, pb.Number]) error { return relay(s) }

// numbers is one end of a stream that stands for a call with a callback, of grpc-go's or drpc's.
type numbers interface {
	Send(*pb.Number) error
	Recv() (*pb.Number, error)
}

// relay is the server's side: it asks the client what it makes of its number, and answers with that.
func relay(s numbers) error {
	for range 2 {
		n, err := s.Recv()
		if err != nil {
			return err
		}
		if err := s.Send(n); err != nil {
			return err
		}
	}
	return nil
}

// callBack is the client's side: it sends n, is asked, answers with the next number, and returns what the server makes of that.
func callBack(s numbers, n int64) (int64, error) {
	if err := s.Send(&pb.Number{Value: n}); err != nil {
		return 0, err
	}
	asked, err := s.Recv()
	if err != nil {
		return 0, err
	}
	if err := s.Send(&pb.Number{Value: asked.GetValue() + 1}); err != nil {
		return 0, err
	}
	answer, err := s.Recv()
	return answer.GetValue(), err
}

type grpcServer struct {
	listener net.Listener
	server   *grpc.Server
	serving  sync.WaitGroup
}

// Serve implements Peer.
func (GRPC) Serve() (Server, error) {
	l, err := listen()
	if err != nil {
		return nil, err
	}
	s := &grpcServer{listener: l, server: grpc.NewServer()}
	pb.RegisterServiceServer(s.server, grpcService{})
	s.serving.Go(func() { s.server.Serve(l) }) // ends with Close
	return s, nil
}

func (s *grpcServer) Addr() string { return s.listener.Addr().String() }

func (s *grpcServer) Close() error {
	s.server.Stop()
	s.serving.Wait()
	return nil
}

type grpcSession struct {
	conn   *grpc.ClientConn
	client pb.ServiceClient
}

// Dial implements Peer. The passthrough scheme leaves out the name resolver, which an address has no use for.
func (GRPC) Dial(_ context.Context, addr string, _ int) (Session, error) {
	c, err := grpc.NewClient("passthrough:///"+addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, err
	}
	return grpcSession{c, pb.NewServiceClient(c)}, nil
}

func (s grpcSession) Close() error { return s.conn.Close() }

func (s grpcSession) Caller(op Op, i int) (Call, error) {
	if size, ok := op.Size(); ok {
		sent := &pb.Bytes{Data: payload.NewBytes(size)}
		return func(ctx context.Context, thorough bool) error {
			echo, err := s.client.EchoBytes(ctx, sent)
			return answered(op, echoesBytes(echo, sent, thorough), err)
		}, nil
	}
	switch op {
	case Null:
		return func(ctx context.Context, _ bool) error {
			_, err := s.client.Null(ctx, &pb.Nothing{})
			return answered(op, true, err)
		}, nil
	case Small:
		sent := pb.NewSmall()
		return func(ctx context.Context, thorough bool) error {
			echo, err := s.client.Echo(ctx, sent)
			return answered(op, echoesSmall(echo, sent, thorough), err)
		}, nil
	case Order:
		sent := pb.NewOrder()
		want := sent.Receipt().Plain()
		return func(ctx context.Context, _ bool) error {
			receipt, err := s.client.Place(ctx, sent)
			return answered(op, receipt.Plain() == want, err)
		}, nil
	case Tree:
		sent := pb.NewTree()
		return func(ctx context.Context, _ bool) error {
			echo, err := s.client.EchoTree(ctx, sent)
			return answered(op, pb.IsTree(echo), err)
		}, nil
	case Callback:
		n := int64(i)
		return func(ctx context.Context, _ bool) error {
			n++
			m, err := s.callback(ctx, n)
			return answered(op, m == n+1, err)
		}, nil
	}
	return nil, ErrNone
}

func (s grpcSession) callback(ctx context.Context, n int64) (int64, error) {
	stream, err := s.client.Callback(ctx)
	if err != nil {
		return 0, err
	}
	m, err := callBack(stream, n)
	if err != nil {
		return 0, err
	}
	return m, finish(stream)
}

// finish reads a stream to its end, so that it leaves nothing behind.
func finish(s numbers) error {
	_, err := s.Recv()
	if errors.Is(err, io.EOF) {
		return nil
	}
	return cmp.Or(err, ErrAnswer)
}

func echoesBytes(echo, sent *pb.Bytes, thorough bool) bool {
	return payload.Resembles(echo.GetData(), sent.GetData()) && (!thorough || bytes.Equal(echo.GetData(), sent.GetData()))
}

func echoesSmall(echo, sent *pb.Small, thorough bool) bool {
	return echo.GetId() == sent.GetId() && (!thorough || echo.Plain().Equal(sent.Plain()))
}
