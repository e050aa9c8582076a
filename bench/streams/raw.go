package main

import (
	"context"
	"encoding/binary"
	"io"
	"net"
)

// raw is bare TCP: a connection for each upload, whose end is the end of the connection.
type raw struct{}

func (raw) serve() (addr string, stop func(), err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	served := make(chan struct{})
	go func() { // ends with stop
		defer close(served)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			count(c)
		}
	}()
	return l.Addr().String(), func() {
		l.Close()
		<-served
	}, nil
}

// count says how much has come.
func count(c net.Conn) {
	defer c.Close()
	buf := make([]byte, 256<<10)
	var n int64
	for {
		k, err := c.Read(buf)
		n += int64(k)
		if err != nil {
			break
		}
	}
	binary.Write(c, binary.BigEndian, n)
}

func (raw) dial(_ context.Context, addr string) (session, error) { return rawSession{addr}, nil }

type rawSession struct{ addr string }

func (rawSession) close()                                   {}
func (rawSession) items(context.Context, func() bool) error { return errNone }
func (rawSession) small(context.Context) error              { return errNone }

func (s rawSession) upload(ctx context.Context, r io.Reader) (n int64, err error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", s.addr)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	buf := make([]byte, 256<<10)
	for {
		k, err := r.Read(buf)
		if _, err := c.Write(buf[:k]); err != nil {
			return 0, err
		}
		if err == io.EOF {
			break
		}
	}
	if err := c.(*net.TCPConn).CloseWrite(); err != nil {
		return 0, err
	}
	err = binary.Read(c, binary.BigEndian, &n)
	return n, err
}
