package transport

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
)

// The preface is 24 bytes: the magic, whose last byte is the version of the session protocol, and the process id. The
// magic begins with a zero, which begins no text and no TLS record, and contains a newline, so that a server of a
// protocol made of lines answers it at once and is recognized by its answer.
//
// The dialling side speaks first; the accepting side answers only what begins like a preface. So a stranger learns
// nothing, and a side that speaks another version still learns that this is rmigo.
const (
	magic       = "\x00rmigo\n"
	version     = 1
	prefaceSize = len(magic) + 1 + len(Greeting{}.Process)
)

// A ProtocolError says that what is at the other end does not speak rmigo, or another version of it.
type ProtocolError struct {
	Addr string // who
	Got  []byte // the first bytes it sent, up to 24
	Says string // what that looks like
}

func (e *ProtocolError) Error() string { return e.Addr + " " + e.Says }

// errVersion marks a preface that is well formed, but of another version.
var errVersion = errors.New("another version")

func appendPreface(buf []byte, hi Greeting) []byte {
	buf = append(buf, magic...)
	buf = append(buf, version)
	return append(buf, hi.Process[:]...)
}

// readPreface reads a preface and not one byte more. It stops at the first Read that brought a byte which cannot be part
// of one. got is what arrived; the error is nil, errVersion (got is whole), a *ProtocolError without Addr, or the reader's.
func readPreface(conn io.Reader) (hi Greeting, got []byte, err error) {
	buf := make([]byte, prefaceSize)
	for len(got) < prefaceSize {
		n, err := conn.Read(buf[len(got):])
		got = buf[:len(got)+n]
		if stranger(got) {
			return hi, got, &ProtocolError{Got: got, Says: describe(got)}
		}
		if err != nil && len(got) < prefaceSize {
			return hi, got, err
		}
	}
	copy(hi.Process[:], got[len(magic)+1:])
	if got[len(magic)] != version {
		return hi, got, errVersion
	}
	return hi, got, nil
}

func stranger(got []byte) bool {
	return string(got[:min(len(got), len(magic))]) != magic[:min(len(got), len(magic))]
}

// describe says in words what sent got.
func describe(got []byte) string {
	const (
		webServer = "speaks HTTP, not rmigo: is this the address of a web server?"
		webClient = "speaks HTTP, not rmigo: a web client has connected to a node's port"
		tls       = "speaks TLS, not rmigo: one side uses TLS and the other does not, or this is another service"
	)
	for _, known := range [...]struct{ prefix, says string }{
		{"HTTP/", webServer}, {"<!DOCTYPE", webServer}, {"<html", webServer},
		{"GET ", webClient}, {"HEAD ", webClient}, {"POST ", webClient}, {"PUT ", webClient}, {"PATCH ", webClient},
		{"DELETE ", webClient}, {"OPTIONS ", webClient}, {"CONNECT ", webClient}, {"PRI * HTTP/2", webClient},
		{"\x15\x03", tls}, {"\x16\x03", tls},
		{"SSH-", "speaks SSH, not rmigo: is this the port of a secure shell?"},
	} {
		if bytes.HasPrefix(got, []byte(known.prefix)) {
			return known.says
		}
	}
	return fmt.Sprintf("does not speak rmigo: the first bytes it sent are %q", got[:min(len(got), 16)])
}

// exchange greets the other end of conn, which errors call name. When it fails or ctx ends, it has closed conn.
func exchange(ctx context.Context, conn net.Conn, name string, dialled bool, hi Greeting) (Greeting, error) {
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	peer, got, err := converse(conn, dialled, hi)
	if !stop() {
		conn.Close()
		return Greeting{}, silence(ctx, name, len(got))
	}
	if err != nil {
		conn.Close()
		return Greeting{}, rejection(name, dialled, got, err)
	}
	return peer, nil
}

// converse writes and reads the prefaces in the order that the side at hand keeps.
func converse(conn io.ReadWriter, dialled bool, hi Greeting) (peer Greeting, got []byte, err error) {
	said := appendPreface(make([]byte, 0, prefaceSize), hi)
	if dialled {
		if _, err := conn.Write(said); err != nil {
			return Greeting{}, nil, err
		}
		return readPreface(conn)
	}
	peer, got, err = readPreface(conn)
	if err == nil || err == errVersion {
		if _, writeErr := conn.Write(said); err == nil {
			err = writeErr
		}
	}
	return peer, got, err
}

// silence is the error for a greeting that ctx cut off after n bytes.
func silence(ctx context.Context, name string, n int) error {
	if n > 0 {
		return fmt.Errorf("%s sent %d of the %d bytes of a greeting and then nothing: %w", name, n, prefaceSize, ended(ctx))
	}
	return fmt.Errorf("%s said nothing, it may not speak rmigo: %w", name, ended(ctx))
}

// ended is why ctx ended: an error that is ctx.Err() and its cause.
func ended(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if errors.Is(cause, err) {
		return cause
	}
	return fmt.Errorf("%w: %w", err, cause)
}

// rejection is the error for a greeting that failed with err after got.
func rejection(name string, dialled bool, got []byte, err error) error {
	var protocol *ProtocolError
	switch {
	case errors.As(err, &protocol):
		protocol.Addr = name
		return protocol
	case errors.Is(err, errVersion):
		says := fmt.Sprintf("speaks version %d of rmigo's session protocol, this process version %d", got[len(magic)], version)
		return &ProtocolError{Addr: name, Got: got, Says: says}
	case errors.Is(err, net.ErrClosed):
		return fmt.Errorf("%s: the connection was closed here before it greeted: %w", name, err)
	case errors.Is(err, io.EOF):
		err = io.ErrUnexpectedEOF
	}
	if dialled {
		return fmt.Errorf("%s closed the connection before greeting, it may expect TLS or not speak rmigo: %w", name, err)
	}
	return fmt.Errorf("%s closed the connection before greeting: %w", name, err)
}

// nameOf is what errors call the other end of an accepted connection.
func nameOf(conn net.Conn) string {
	if remote := conn.RemoteAddr(); remote != nil && strings.Trim(remote.String(), "@") != "" {
		return remote.String()
	}
	return "a client of " + conn.LocalAddr().String()
}
