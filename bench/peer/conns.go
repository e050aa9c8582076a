package peer

import (
	"net"
	"sync"
)

// connServer serves connections of a listener, a goroutine each. mu guards conns and closed.
type connServer struct {
	listener net.Listener
	serving  sync.WaitGroup

	mu     sync.Mutex
	conns  map[net.Conn]struct{}
	closed bool
}

// serveConns serves the listener's connections until the server is closed; it closes each when serve returns.
func serveConns(l net.Listener, serve func(net.Conn)) *connServer {
	s := &connServer{listener: l, conns: map[net.Conn]struct{}{}}
	s.serving.Go(func() { // ends with the listener
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			if !s.add(c) {
				c.Close()
				return
			}
			s.serving.Go(func() { // ends with the connection
				serve(c)
				s.remove(c)
			})
		}
	})
	return s
}

func (s *connServer) Addr() string { return s.listener.Addr().String() }

func (s *connServer) Close() error {
	err := s.listener.Close()
	s.mu.Lock()
	s.closed = true
	for c := range s.conns {
		c.Close()
	}
	s.mu.Unlock()
	s.serving.Wait()
	return err
}

func (s *connServer) add(c net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.conns[c] = struct{}{}
	return true
}

func (s *connServer) remove(c net.Conn) {
	c.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
}
