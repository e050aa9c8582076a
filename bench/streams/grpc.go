package main

import (
	"context"
	"io"
	"net"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/rmigo/rmigo/bench/payload"
	"github.com/rmigo/rmigo/bench/pb"
)

// grpcGo is grpc-go with its defaults, and the messages of package pb. The service is written as protoc-gen-go-grpc writes one.
type grpcGo struct{}

const (
	itemsMethod  = "/bench.Flow/Items"
	uploadMethod = "/bench.Flow/Upload"
)

type flowServer interface {
	items(*pb.Nothing, grpc.ServerStreamingServer[pb.Small]) error
	upload(grpc.ClientStreamingServer[pb.Bytes, pb.Number]) error
}

var flow = grpc.ServiceDesc{
	ServiceName: "bench.Flow",
	HandlerType: (*flowServer)(nil),
	Streams: []grpc.StreamDesc{{
		StreamName:    "Items",
		ServerStreams: true,
		Handler: func(server any, stream grpc.ServerStream) error {
			m := new(pb.Nothing)
			if err := stream.RecvMsg(m); err != nil {
				return err
			}
			return server.(flowServer).items(m, &grpc.GenericServerStream[pb.Nothing, pb.Small]{ServerStream: stream})
		},
	}, {
		StreamName:    "Upload",
		ClientStreams: true,
		Handler: func(server any, stream grpc.ServerStream) error {
			return server.(flowServer).upload(&grpc.GenericServerStream[pb.Bytes, pb.Number]{ServerStream: stream})
		},
	}},
}

// chunk is how much of an upload a message has. With 64 KiB it takes longer.
const chunk = 256 << 10

type grpcFlow struct{}

func (grpcFlow) items(_ *pb.Nothing, stream grpc.ServerStreamingServer[pb.Small]) error {
	for s := pb.NewSmall(); ; s.Id++ {
		if err := stream.Send(s); err != nil {
			return err
		}
	}
}

func (grpcFlow) upload(stream grpc.ClientStreamingServer[pb.Bytes, pb.Number]) error {
	n := &pb.Number{}
	for {
		b, err := stream.Recv()
		if err == io.EOF {
			return stream.SendAndClose(n)
		}
		if err != nil {
			return err
		}
		n.Value += int64(len(b.GetData()))
	}
}

// echo answers small calls.
type echo struct{ pb.UnimplementedServiceServer }

func (echo) Echo(_ context.Context, s *pb.Small) (*pb.Small, error) { return s, nil }

func (grpcGo) serve() (addr string, stop func(), err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	s := grpc.NewServer()
	s.RegisterService(&flow, grpcFlow{})
	pb.RegisterServiceServer(s, echo{})
	served := make(chan struct{})
	go func() { // ends with stop
		defer close(served)
		s.Serve(l)
	}()
	return l.Addr().String(), func() {
		s.Stop()
		<-served
	}, nil
}

func (grpcGo) dial(_ context.Context, addr string) (session, error) {
	c, err := grpc.NewClient("passthrough:///"+addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	return grpcSession{c}, err
}

type grpcSession struct{ conn *grpc.ClientConn }

func (s grpcSession) close() { s.conn.Close() }

func (s grpcSession) items(ctx context.Context, more func() bool) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := s.conn.NewStream(ctx, &flow.Streams[0], itemsMethod)
	if err != nil {
		return err
	}
	if err := stream.SendMsg(&pb.Nothing{}); err != nil {
		return err
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	in := &grpc.GenericClientStream[pb.Nothing, pb.Small]{ClientStream: stream}
	want := payload.NewSmall()
	for {
		item, err := in.Recv()
		switch {
		case err != nil:
			return err
		case item.GetId() != want.ID || len(item.GetTags()) != len(want.Tags):
			return errAnswer
		}
		if want.ID++; !more() {
			return nil
		}
	}
}

func (s grpcSession) upload(ctx context.Context, r io.Reader) (int64, error) {
	stream, err := s.conn.NewStream(ctx, &flow.Streams[1], uploadMethod)
	if err != nil {
		return 0, err
	}
	up := &grpc.GenericClientStream[pb.Bytes, pb.Number]{ClientStream: stream}
	buf := make([]byte, chunk) // Send has written it out in full when it returns
	for {
		n, err := io.ReadFull(r, buf)
		if n > 0 {
			if err := up.Send(&pb.Bytes{Data: buf[:n]}); err != nil {
				return 0, err
			}
		}
		if err != nil {
			break
		}
	}
	n, err := up.CloseAndRecv()
	return n.GetValue(), err
}

func (s grpcSession) small(ctx context.Context) error {
	sent := pb.NewSmall()
	echo, err := pb.NewServiceClient(s.conn).Echo(ctx, sent)
	if err == nil && echo.GetId() != sent.GetId() {
		err = errAnswer
	}
	return err
}
