package peer

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/rmigo/rmigo/bench/payload"
	"github.com/rmigo/rmigo/bench/pb"
)

// Raw is the floor: frames that a server sends back as they are, by plain TCP, a connection for each caller. A frame is its length
// in four bytes and that many bytes: nothing for Null, and for structs as many as protobuf would make of them.
type Raw struct{}

const (
	header   = 4
	maxFrame = 16 << 20
)

// Serve implements Peer.
func (Raw) Serve() (Server, error) {
	l, err := listen()
	if err != nil {
		return nil, err
	}
	return serveConns(l, pingPong), nil
}

// pingPong sends each frame back, with one write.
func pingPong(c net.Conn) {
	r := bufio.NewReader(c)
	var buf []byte
	for {
		var err error
		if buf, err = readFrame(r, buf); err != nil {
			return
		}
		if _, err := c.Write(buf); err != nil {
			return
		}
	}
}

// readFrame reads a frame with its header into buf, which may grow.
func readFrame(r *bufio.Reader, buf []byte) ([]byte, error) {
	head, err := r.Peek(header)
	if err != nil {
		return buf, err
	}
	n := binary.BigEndian.Uint32(head)
	if n > maxFrame {
		return buf, fmt.Errorf("peer: a frame of %d bytes", n)
	}
	buf = slices.Grow(buf[:0], header+int(n))[:header+int(n)]
	_, err = io.ReadFull(r, buf)
	return buf, err
}

// frameOf returns the frame that stands for a call of op.
func frameOf(op Op) ([]byte, error) {
	size, sized := op.Size()
	switch op {
	case Null:
	case Small:
		size = proto.Size(pb.NewSmall())
	case Order:
		size = proto.Size(pb.NewOrder())
	case Tree:
		size = proto.Size(pb.NewTree())
	default:
		if !sized {
			return nil, ErrNone
		}
	}
	frame := binary.BigEndian.AppendUint32(nil, uint32(size))
	return append(frame, payload.NewBytes(size)...), nil
}

type rawSession struct{ conns []net.Conn }

// Dial implements Peer.
func (Raw) Dial(ctx context.Context, addr string, callers int) (Session, error) {
	conns, err := dialEach(ctx, addr, callers)
	return rawSession{conns}, err
}

func (s rawSession) Close() error {
	for _, c := range s.conns {
		c.Close()
	}
	return nil
}

func (s rawSession) Caller(op Op, i int) (Call, error) {
	frame, err := frameOf(op)
	if err != nil {
		return nil, err
	}
	c := s.conns[i]
	r := bufio.NewReader(c)
	var echo []byte
	return func(_ context.Context, thorough bool) error {
		_, err := c.Write(frame)
		if err == nil {
			echo, err = readFrame(r, echo)
		}
		return answered(op, payload.Resembles(echo, frame) && (!thorough || bytes.Equal(echo, frame)), err)
	}, nil
}
