package transport

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
)

// NewSessions returns a Transport that multiplexes with yamux over network; over Sockets if network is nil. For a *Memory
// it is the Transport that Memory makes itself.
func NewSessions(network Network) Transport {
	if network == nil {
		network = Sockets{}
	}
	if own, ok := network.(interface{ Sessions() Transport }); ok {
		return own.Sessions()
	}
	return &sessions{network: network, buffers: newBuffers()}
}

// NewListener returns a Listener over one that was made elsewhere; closing either closes both.
func NewListener(listener net.Listener) Listener {
	return &socketListener{Listener: listener, buffers: newBuffers()}
}

type sessions struct {
	network Network
	buffers *buffers
}

func (s *sessions) Dial(ctx context.Context, endpoint string, hi Greeting) (Conn, error) {
	_, name, found := strings.Cut(endpoint, "://")
	if !found {
		name = endpoint
	}
	raw, err := s.network.Dial(ctx, endpoint)
	if err != nil && ctx.Err() != nil {
		return nil, fmt.Errorf("%s cannot be reached: %w", name, ended(ctx))
	}
	if err != nil {
		return nil, err
	}
	conn := &socketConn{raw: raw, name: name, dialled: true, buffers: s.buffers}
	if _, err := conn.Greet(ctx, hi); err != nil {
		return nil, err
	}
	return conn, nil
}

func (s *sessions) Listen(endpoint string) (Listener, error) {
	listener, err := s.network.Listen(endpoint)
	if err != nil {
		return nil, err
	}
	return &socketListener{Listener: listener, buffers: s.buffers}, nil
}

type socketListener struct {
	net.Listener
	buffers *buffers
}

func (l *socketListener) Accept() (Conn, error) {
	raw, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &socketConn{raw: raw, name: nameOf(raw), buffers: l.buffers}, nil
}

func (l *socketListener) Endpoint() string {
	addr := l.Listener.Addr()
	scheme := addr.Network()
	if strings.HasPrefix(scheme, "tcp") {
		scheme = "tcp"
	}
	return Endpoint{scheme, addr.String()}.String()
}

// socketConn is a connection of a Network before it is a session. raw is closed by whoever comes first: a failed
// greeting, Close, or the session once there is one.
type socketConn struct {
	raw     net.Conn
	name    string // what errors call the other end
	dialled bool
	buffers *buffers
	greeted bool
	peer    Greeting

	mu      sync.Mutex
	closed  bool
	session *muxSession
}

func (c *socketConn) Greet(ctx context.Context, hi Greeting) (peer Greeting, err error) {
	if c.greeted {
		return c.peer, nil
	}
	if c.peer, err = exchange(ctx, c.raw, c.name, c.dialled, hi); err != nil {
		return Greeting{}, err
	}
	c.greeted = true
	return c.peer, nil
}

func (c *socketConn) Peer() Greeting { return c.peer }

func (c *socketConn) Session() (Session, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := startable(c.greeted, c.closed, c.session != nil); err != nil {
		return nil, err
	}
	c.session = newMuxSession(c.raw, c.dialled, c.buffers)
	return c.session, nil
}

// startable says why a connection cannot become a session; nil if it can.
func startable(greeted, closed, started bool) error {
	switch {
	case closed:
		return net.ErrClosed
	case !greeted:
		return errors.New("the connection has not been greeted")
	case started:
		return errors.New("the session has been started already")
	}
	return nil
}

func (c *socketConn) Close() error {
	c.mu.Lock()
	session := c.session
	c.closed = true
	c.mu.Unlock()
	if session != nil {
		return session.Close()
	}
	return c.raw.Close()
}

func (c *socketConn) LocalAddr() net.Addr  { return c.raw.LocalAddr() }
func (c *socketConn) RemoteAddr() net.Addr { return c.raw.RemoteAddr() }
