package main

import (
	"context"
	"net"
	"strings"
	"time"
)

// far is a network on which bytes take a while each way, for who dials.
type far time.Duration

// Dial implements rmi.Network.
func (f far) Dial(ctx context.Context, endpoint string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", strings.TrimPrefix(endpoint, "tcp://"))
	if err != nil {
		return nil, err
	}
	near, here := net.Pipe()
	go carry(conn, near, time.Duration(f)) // each ends when one of the two ends is closed
	go carry(near, conn, time.Duration(f))
	return farConn{here, conn.LocalAddr(), conn.RemoteAddr()}, nil
}

// Listen implements rmi.Network.
func (f far) Listen(endpoint string) (net.Listener, error) {
	return net.Listen("tcp", strings.TrimPrefix(endpoint, "tcp://"))
}

// farConn is one end of a pipe, with the addresses of the connection behind it.
type farConn struct {
	net.Conn
	local, remote net.Addr
}

func (c farConn) LocalAddr() net.Addr  { return c.local }
func (c farConn) RemoteAddr() net.Addr { return c.remote }

// piece is bytes under way.
type piece struct {
	due   time.Time
	bytes []byte
}

// carry moves what it reads from one connection to the other, each piece when it is due.
func carry(from, to net.Conn, delay time.Duration) {
	under := make(chan piece, 1024)
	go func() {
		defer to.Close()
		for p := range under {
			time.Sleep(time.Until(p.due))
			if _, err := to.Write(p.bytes); err != nil {
				from.Close()
			}
		}
	}()
	defer close(under)
	for {
		buf := make([]byte, 32<<10)
		n, err := from.Read(buf)
		if n > 0 {
			under <- piece{time.Now().Add(delay), buf[:n]}
		}
		if err != nil {
			return
		}
	}
}
