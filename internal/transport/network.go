package transport

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"sync"
	"syscall"
)

// A Network connects and listens. Sockets is the real one; others are for tests and for sockets of one's own. It must be
// safe for concurrent use. Errors may be anything; closing a connection or a listener must end what is blocked on it.
type Network interface {
	Dial(ctx context.Context, endpoint string) (net.Conn, error)
	Listen(endpoint string) (net.Listener, error)
}

// Sockets is the Network of the operating system: TCP and Unix sockets.
type Sockets struct{}

// Dial connects to endpoint.
func (Sockets) Dial(ctx context.Context, endpoint string) (net.Conn, error) {
	place, err := ParseEndpoint(endpoint)
	if err != nil {
		return nil, err
	}
	return new(net.Dialer).DialContext(ctx, place.Scheme, place.Address)
}

// Listen listens at endpoint. The file of a Unix socket that a dead process left behind is removed first; one that
// somebody listens at, or that is no socket, is an error. Closing the listener removes the file.
func (Sockets) Listen(endpoint string) (net.Listener, error) {
	place, err := ParseEndpoint(endpoint)
	if err != nil {
		return nil, err
	}
	if place.Scheme == "unix" {
		return listenUnix(place.Address)
	}
	return net.Listen(place.Scheme, place.Address)
}

func listenUnix(path string) (net.Listener, error) {
	if err := removeStale(path); err != nil {
		return nil, err
	}
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, err
	}
	listener.SetUnlinkOnClose(false)
	file, err := os.Lstat(path)
	if err != nil {
		listener.Close()
		return nil, err
	}
	return &unixListener{UnixListener: listener, path: path, file: file}, nil
}

// removeStale removes the socket at path if nobody listens at it.
func removeStale(path string) error {
	file, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if file.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("listen unix %s: the file exists and is not a socket", path)
	}
	conn, err := net.Dial("unix", path)
	if err == nil {
		conn.Close()
		return fmt.Errorf("listen unix %s: another process listens there: %w", path, syscall.EADDRINUSE)
	}
	if !refused(err) {
		return err
	}
	return os.Remove(path)
}

// refused reports whether nobody listened; Windows has a number of its own for it.
func refused(err error) bool {
	const wsaConnRefused = syscall.Errno(10061)
	return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, wsaConnRefused)
}

// unixListener removes its file when it is closed, but not one that another process has put there since.
type unixListener struct {
	*net.UnixListener
	path  string
	file  fs.FileInfo
	close sync.Once
}

func (l *unixListener) Close() (err error) {
	l.close.Do(func() {
		if file, statErr := os.Lstat(l.path); statErr == nil && os.SameFile(file, l.file) {
			err = os.Remove(l.path)
		}
		err = errors.Join(l.UnixListener.Close(), err)
	})
	return err
}
