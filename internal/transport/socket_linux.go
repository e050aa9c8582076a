//go:build linux && (amd64 || arm64) && (!race || rmigo_sockets) && !msan && !asan

package transport

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"unsafe"
)

// quickSocket is a socket of the system whose system calls the Go scheduler is not told of. It is told as a rule so that it can give what else is to
// run to another thread while one waits in the system; but none of these wait: they copy what there is, or room for, and return. They take
// some ten microseconds, and a thread that looks for those which last takes ten to twenty to find that one does. What it then does, only for the call
// to return and to ask for its processor back, costs more than the call.
//
// Where there is nothing to read, or no room, the goroutine waits as it does in package net. A descriptor that the program has made blocking is no
// exception: each call says that it must not wait.
type quickSocket struct {
	net.Conn
	raw syscall.RawConn

	// reading, by one goroutine at a time
	in     []byte
	n      int
	inErr  error
	takeIn func(descriptor uintptr) bool // receive, without memory for each call

	// writing, by one goroutine at a time
	left     [len(parts{})]syscall.Iovec // from first on, up to end
	first    int
	end      int
	message  syscall.Msghdr
	put      int // bytes sent
	outErr   error
	putOut   func(descriptor uintptr) bool // transmit
	putFirst func(descriptor uintptr) bool // transmit, once
}

// asSocket returns the connection as a socket, or nil. One that somebody has wrapped is what they say it is.
func asSocket(conn net.Conn) socket {
	var raw syscall.RawConn
	var err error
	switch c := conn.(type) {
	case *net.TCPConn:
		raw, err = c.SyscallConn()
	case *net.UnixConn:
		raw, err = c.SyscallConn()
	default:
		return nil
	}
	if err != nil {
		return nil
	}
	s := &quickSocket{Conn: conn, raw: raw}
	s.takeIn, s.putOut = s.receive, s.transmit
	s.putFirst = func(descriptor uintptr) bool {
		s.transmit(descriptor)
		return true
	}
	return s
}

// Read implements net.Conn.
func (s *quickSocket) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	s.in = p
	err := s.raw.Read(s.takeIn)
	s.in = nil
	switch {
	case err != nil:
		return 0, s.failed("read", err)
	case s.inErr != nil:
		return 0, s.failed("read", os.NewSyscallError("recvfrom", s.inErr))
	case s.n == 0:
		return 0, io.EOF
	}
	return s.n, nil
}

// receive takes in what there is; false: there is nothing.
func (s *quickSocket) receive(descriptor uintptr) bool {
	for {
		n, _, e := syscall.RawSyscall6(syscall.SYS_RECVFROM, descriptor, uintptr(unsafe.Pointer(&s.in[0])), uintptr(len(s.in)), syscall.MSG_DONTWAIT, 0, 0)
		switch e {
		case 0:
			s.n, s.inErr = int(n), nil
		case syscall.EAGAIN:
			return false
		case syscall.EINTR:
			continue
		default:
			s.inErr = e
		}
		return true
	}
}

// Write implements net.Conn, but that it tells nothing of what was sent before an error.
func (s *quickSocket) Write(p []byte) (int, error) {
	if err := s.writeAll(parts{p}); err != nil {
		return 0, err
	}
	return len(p), nil
}

// writeAll implements socket.
func (s *quickSocket) writeAll(p parts) error {
	_, err := s.write(p, s.putOut)
	return err
}

// writeNow implements socket.
func (s *quickSocket) writeNow(p parts) (int, error) { return s.write(p, s.putFirst) }

// write sends what put sends of the parts, and returns how much that was.
func (s *quickSocket) write(p parts, put func(descriptor uintptr) bool) (int, error) {
	s.load(p)
	err := s.raw.Write(put)
	s.left = [len(parts{})]syscall.Iovec{}
	switch {
	case err != nil:
		err = s.failed("write", err)
	case s.outErr != nil:
		err = s.failed("write", os.NewSyscallError("sendmsg", s.outErr))
	}
	return s.put, err
}

// load has the parts be what is left.
func (s *quickSocket) load(p parts) {
	s.first, s.end, s.put, s.outErr = 0, 0, 0, nil
	for _, part := range p {
		if len(part) > 0 {
			s.left[s.end] = syscall.Iovec{Base: &part[0], Len: uint64(len(part))}
			s.end++
		}
	}
}

// transmit sends what is left, as far as there is room; false: not all of it.
func (s *quickSocket) transmit(descriptor uintptr) bool {
	for s.first < s.end {
		s.message = syscall.Msghdr{Iov: &s.left[s.first], Iovlen: uint64(s.end - s.first)}
		n, _, e := syscall.RawSyscall(syscall.SYS_SENDMSG, descriptor, uintptr(unsafe.Pointer(&s.message)), syscall.MSG_DONTWAIT|syscall.MSG_NOSIGNAL)
		switch e {
		case 0:
			s.sent(uint64(n))
		case syscall.EAGAIN:
			return false
		case syscall.EINTR:
		default:
			s.outErr = e
			return true
		}
	}
	return true
}

// sent takes n bytes off what is left.
func (s *quickSocket) sent(n uint64) {
	s.put += int(n)
	for s.first < s.end {
		part := &s.left[s.first]
		if n < part.Len {
			part.Base = (*byte)(unsafe.Add(unsafe.Pointer(part.Base), n))
			part.Len -= n
			return
		}
		n -= part.Len
		s.first++
	}
}

// failed returns err as package net has it.
func (s *quickSocket) failed(op string, err error) error {
	var of *net.OpError
	if errors.As(err, &of) {
		err = of.Err
	}
	local := s.LocalAddr()
	return &net.OpError{Op: op, Net: local.Network(), Source: local, Addr: s.RemoteAddr(), Err: err}
}

// CloseWrite ends what is written; both kinds of socket can do so.
func (s *quickSocket) CloseWrite() error {
	return s.Conn.(interface{ CloseWrite() error }).CloseWrite()
}
