package peer

import (
	"context"
	"fmt"
	"net"
	"sync/atomic"

	"github.com/rmigo/rmigo/bench/remote"
	"github.com/rmigo/rmigo/rmi"
)

// Holding is a client of rmigo that holds references, and counts what its sockets carry.
type Holding struct {
	node    *rmi.Node
	bytes   *atomic.Int64
	service remote.Service
	held    []remote.Counter
}

// Hold returns a client that holds the service at addr only.
func (Rmigo) Hold(ctx context.Context, addr string) (*Holding, error) {
	h := &Holding{bytes: new(atomic.Int64)}
	var err error
	if h.node, err = rmi.NewNode(rmi.Options{Network: counting{h.bytes}}); err != nil {
		return nil, err
	}
	if h.service, err = rmi.Resolve(ctx, h.node, remote.RemoteService, addr); err == nil {
		err = h.service.Null(ctx)
	}
	if err != nil {
		h.Close()
		return nil, err
	}
	return h, nil
}

// batchOfReferences is how many references a call brings.
const batchOfReferences = 1_000

// Add has the client hold n more objects, each of which it has just been given.
func (h *Holding) Add(ctx context.Context, n int) error {
	if n <= 0 {
		return nil
	}
	for n > 0 {
		batch, err := h.service.Many(ctx, min(n, batchOfReferences))
		if err != nil {
			return err
		}
		h.held = append(h.held, batch...)
		n -= len(batch)
	}
	last := h.held[len(h.held)-1]
	if got, err := last.Add(ctx, 5); err != nil || got != 5 {
		return fmt.Errorf("the last object counts to %d: %w", got, err)
	}
	return nil
}

// Bytes returns how many have gone over the client's sockets so far, in both directions.
func (h *Holding) Bytes() int64 { return h.bytes.Load() }

// Held returns how many objects of others the client's collector knows that it holds.
func (h *Holding) Held() int { return h.node.Stats().Holding }

// Close ends the client.
func (h *Holding) Close() error { return h.node.Close() }

// counting is the network of TCP, with its bytes counted.
type counting struct{ bytes *atomic.Int64 }

// Dial implements rmi.Network.
func (c counting) Dial(ctx context.Context, endpoint string) (net.Conn, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", endpoint[len("tcp://"):])
	if err != nil {
		return nil, err
	}
	return countedConn{conn, c.bytes}, nil
}

// Listen implements rmi.Network: the client listens nowhere.
func (counting) Listen(string) (net.Listener, error) { return nil, ErrNone }

type countedConn struct {
	net.Conn
	bytes *atomic.Int64
}

func (c countedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.bytes.Add(int64(n))
	return n, err
}

func (c countedConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.bytes.Add(int64(n))
	return n, err
}
