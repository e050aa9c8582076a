package peer

import (
	"context"
	"sync"

	"storj.io/drpc/drpcconn"
	"storj.io/drpc/drpcmux"
	"storj.io/drpc/drpcserver"

	"github.com/rmigo/rmigo/bench/payload"
	"github.com/rmigo/rmigo/bench/pb"
)

// DRPC is drpc with generated code and protobuf: a connection for each caller, since one takes a call at a time.
type DRPC struct{}

// drpcService is what drpc serves. Its methods answer with the messages that they were given.
type drpcService struct{}

func (drpcService) Null(context.Context, *pb.Nothing) (*pb.Nothing, error)      { return &pb.Nothing{}, nil }
func (drpcService) Echo(_ context.Context, s *pb.Small) (*pb.Small, error)      { return s, nil }
func (drpcService) EchoBytes(_ context.Context, b *pb.Bytes) (*pb.Bytes, error) { return b, nil }
func (drpcService) Place(_ context.Context, o *pb.Order) (*pb.Receipt, error) {
	return o.Receipt(), nil
}
func (drpcService) EchoTree(_ context.Context, n *pb.Node) (*pb.Node, error) { return n, nil }
func (drpcService) Callback(s pb.DRPCService_CallbackStream) error           { return relay(s) }

type drpcServer struct {
	addr    string
	stop    context.CancelFunc
	serving sync.WaitGroup
}

// Serve implements Peer.
func (DRPC) Serve() (Server, error) {
	l, err := listen()
	if err != nil {
		return nil, err
	}
	mux := drpcmux.New()
	if err := pb.DRPCRegisterService(mux, drpcService{}); err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	s := &drpcServer{addr: l.Addr().String(), stop: stop}
	s.serving.Go(func() { drpcserver.New(mux).Serve(ctx, l) }) // ends with Close
	return s, nil
}

func (s *drpcServer) Addr() string { return s.addr }

func (s *drpcServer) Close() error {
	s.stop()
	s.serving.Wait()
	return nil
}

type drpcSession struct{ conns []*drpcconn.Conn }

// Dial implements Peer.
func (DRPC) Dial(ctx context.Context, addr string, callers int) (Session, error) {
	conns, err := dialEach(ctx, addr, callers)
	if err != nil {
		return nil, err
	}
	s := drpcSession{}
	for _, c := range conns {
		s.conns = append(s.conns, drpcconn.New(c))
	}
	return s, nil
}

func (s drpcSession) Close() error {
	for _, c := range s.conns {
		c.Close()
	}
	return nil
}

func (s drpcSession) Caller(op Op, i int) (Call, error) {
	client := pb.NewDRPCServiceClient(s.conns[i])
	if size, ok := op.Size(); ok {
		sent := &pb.Bytes{Data: payload.NewBytes(size)}
		return func(ctx context.Context, thorough bool) error {
			echo, err := client.EchoBytes(ctx, sent)
			return answered(op, echoesBytes(echo, sent, thorough), err)
		}, nil
	}
	switch op {
	case Null:
		return func(ctx context.Context, _ bool) error {
			_, err := client.Null(ctx, &pb.Nothing{})
			return answered(op, true, err)
		}, nil
	case Small:
		sent := pb.NewSmall()
		return func(ctx context.Context, thorough bool) error {
			echo, err := client.Echo(ctx, sent)
			return answered(op, echoesSmall(echo, sent, thorough), err)
		}, nil
	case Order:
		sent := pb.NewOrder()
		want := sent.Receipt().Plain()
		return func(ctx context.Context, _ bool) error {
			receipt, err := client.Place(ctx, sent)
			return answered(op, receipt.Plain() == want, err)
		}, nil
	case Tree:
		sent := pb.NewTree()
		return func(ctx context.Context, _ bool) error {
			echo, err := client.EchoTree(ctx, sent)
			return answered(op, pb.IsTree(echo), err)
		}, nil
	case Callback:
		n := int64(i)
		return func(ctx context.Context, _ bool) error {
			n++
			m, err := drpcCallback(ctx, client, n)
			return answered(op, m == n+1, err)
		}, nil
	}
	return nil, ErrNone
}

func drpcCallback(ctx context.Context, client pb.DRPCServiceClient, n int64) (int64, error) {
	stream, err := client.Callback(ctx)
	if err != nil {
		return 0, err
	}
	m, err := callBack(stream, n)
	if err != nil {
		stream.Close()
		return 0, err
	}
	if err := finish(stream); err != nil {
		return 0, err
	}
	return m, stream.Close()
}
