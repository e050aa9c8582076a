// Package peer has the runtimes that are measured, each behind the same small interface.
//
//	server, err := peer.Rmigo{}.Serve()
//	session, err := peer.Rmigo{}.Dial(ctx, server.Addr(), 1)
//	call, err := session.Caller(peer.Small, 0)
//	err = call(ctx, true)
//
// Guarantees:
//
//  1. A call that returns nil was answered, and rightly: cheaply checked each time, thoroughly when asked.
//  2. Each runtime is set up as its own documentation says, with its defaults; what differs is said where it does.
//  3. What is sent is made once per caller, never within a call, so that what is measured is the runtime.
package peer

import (
	"context"
	"errors"
	"fmt"
	"net"
)

// An Op is a kind of call.
type Op string

// The kinds of call. Small and the sized ones echo, Order is answered by a receipt, Tree echoes, Callback has the server call the
// client before it answers, Refs returns a new remote object.
const (
	Null     Op = "null"
	Small    Op = "small"
	Bytes1K  Op = "1k"
	Bytes64K Op = "64k"
	Bytes1M  Op = "1m"
	Order    Op = "order"
	Tree     Op = "tree"
	Callback Op = "callback"
	Refs     Op = "refs"
)

// Size returns how many bytes the op echoes, false if it does not echo bytes.
func (op Op) Size() (int, bool) {
	switch op {
	case Bytes1K:
		return 1 << 10, true
	case Bytes64K:
		return 64 << 10, true
	case Bytes1M:
		return 1 << 20, true
	}
	return 0, false
}

// A Peer is one runtime.
type Peer interface {
	// Serve starts a server on a loopback port.
	Serve() (Server, error)
	// Dial starts a session of so many concurrent callers.
	Dial(ctx context.Context, addr string, callers int) (Session, error)
}

// A Server runs until it is closed.
type Server interface {
	Addr() string // for Dial
	Close() error
}

// A Joiner is a session whose client can have others beside it: what it is made of is there once for all of them.
type Joiner interface {
	// Join starts the client's session with one more server. It ends with the one that it was made from, at the latest.
	Join(ctx context.Context, addr string) (Session, error)
}

// An Exporter is a server that can have more objects than the one that is called.
type Exporter interface {
	// Export exports n more.
	Export(n int) error
}

// A Session joins a client and a server: by one connection, or by one a caller where the runtime has it so. Its methods are not
// for concurrent use, the calls of different callers are.
type Session interface {
	// Caller returns the calls of caller i, counting from 0. ErrNone if the runtime has no such call.
	Caller(op Op, i int) (Call, error)
	Close() error
}

// A Pipeliner is a session that makes calls other than by callers who wait for each.
type Pipeliner interface {
	// Pipeline keeps window calls of op under way until it is told to stop, and tells of each that was answered, from one
	// goroutine. It returns once all are answered.
	Pipeline(ctx context.Context, op Op, window int, observer Observer) error
}

// An Observer watches a pipeline. Its methods are called from one goroutine each.
type Observer interface {
	Sent() (more bool) // a call begins; false asks that it be the last
	Answered()         // the oldest call that was not yet answered has been
}

// A Call makes one call and checks its answer.
type Call func(ctx context.Context, thorough bool) error

// ErrNone says that a runtime has no such call; the plan asks for none of those.
var ErrNone = errors.New("peer: the runtime has no such call")

// ErrAnswer says that a call was answered wrongly.
var ErrAnswer = errors.New("peer: wrong answer")

// answered is the end of a call: its error, or ErrAnswer unless it was right.
func answered(op Op, right bool, err error) error {
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w", op, err)
	case !right:
		return fmt.Errorf("%w to %s", ErrAnswer, op)
	}
	return nil
}

func listen() (net.Listener, error) { return net.Listen("tcp", "127.0.0.1:0") }

func dial(ctx context.Context, addr string) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, "tcp", addr)
}

// dialEach dials a connection for each caller.
func dialEach(ctx context.Context, addr string, callers int) ([]net.Conn, error) {
	conns := make([]net.Conn, 0, callers)
	for range callers {
		c, err := dial(ctx, addr)
		if err != nil {
			for _, c := range conns {
				c.Close()
			}
			return nil, err
		}
		conns = append(conns, c)
	}
	return conns, nil
}

// Named returns the runtime of that name, false if none of Go has it.
func Named(name string) (Peer, bool) {
	switch name {
	case "rmigo":
		return Rmigo{}, true
	case "grpc":
		return GRPC{}, true
	case "netrpc":
		return NetRPC{}, true
	case "drpc":
		return DRPC{}, true
	case "raw":
		return Raw{}, true
	case "rawpipe":
		return RawPipe{}, true
	}
	return nil, false
}
