package transport_test

import (
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/rmigo/rmigo/internal/leak"
	"github.com/rmigo/rmigo/internal/transport"
)

func socketPath(t *testing.T) (endpoint, path string) {
	endpoint = socketEndpoint(t)
	place, err := transport.ParseEndpoint(endpoint)
	must(t, err)
	return endpoint, place.Address
}

// abandon leaves a socket file behind at path, as a killed process does.
func abandon(t *testing.T, path string) {
	t.Helper()
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	must(t, err)
	listener.SetUnlinkOnClose(false)
	must(t, listener.Close())
}

func TestASocketFileOfADeadProcessIsReplaced(t *testing.T) {
	leak.Check(t)
	endpoint, path := socketPath(t)
	abandon(t, path)
	listener, err := transport.Sockets{}.Listen(endpoint)
	must(t, err)
	must(t, listener.Close())
}

func TestASocketInUseIsLeftAlone(t *testing.T) {
	leak.Check(t)
	endpoint, path := socketPath(t)
	first, err := transport.Sockets{}.Listen(endpoint)
	must(t, err)
	defer first.Close()
	_, err = transport.Sockets{}.Listen(endpoint)
	wantError(t, err, syscall.EADDRINUSE, "somebody listens there")
	wantWords(t, err, "another process listens there", path)
	conn, err := transport.Sockets{}.Dial(soon(t), endpoint)
	must(t, err)
	conn.Close()
}

func TestAFileThatIsNoSocketIsLeftAlone(t *testing.T) {
	leak.Check(t)
	endpoint, path := socketPath(t)
	must(t, os.WriteFile(path, []byte("precious"), 0o600))
	_, err := transport.Sockets{}.Listen(endpoint)
	wantWords(t, err, "the file exists and is not a socket")
	if got, _ := os.ReadFile(path); string(got) != "precious" {
		t.Errorf("got %q in the file, want it untouched", got)
	}
}

func TestClosingAListenerRemovesItsSocketFile(t *testing.T) {
	leak.Check(t)
	endpoint, path := socketPath(t)
	listener, err := transport.Sockets{}.Listen(endpoint)
	must(t, err)
	must(t, listener.Close())
	must(t, listener.Close())
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("got %v for the file, want it gone", err)
	}
}

func TestClosingAListenerLeavesTheFileOfItsSuccessor(t *testing.T) {
	leak.Check(t)
	endpoint, path := socketPath(t)
	first, err := transport.Sockets{}.Listen(endpoint)
	must(t, err)
	must(t, os.Rename(path, path+"old"))
	second, err := transport.Sockets{}.Listen(endpoint)
	must(t, err)
	defer second.Close()
	must(t, first.Close())
	if _, err := os.Lstat(path); err != nil {
		t.Errorf("got %v, want the successor's file untouched", err)
	}
}

func TestADialWhereNobodyListensNamesTheAddress(t *testing.T) {
	leak.Check(t)
	listener, err := transport.Sockets{}.Listen("tcp://127.0.0.1:0")
	must(t, err)
	address := listener.Addr().String()
	must(t, listener.Close())
	_, err = transport.NewSessions(nil).Dial(soon(t), "tcp://"+address, alice)
	wantError(t, err, syscall.ECONNREFUSED, "nobody listens there")
	wantWords(t, err, address)
}

func TestAListenerMadeElsewhereNamesItsEndpoint(t *testing.T) {
	leak.Check(t)
	raw, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	listener := transport.NewListener(raw)
	if got := listener.Endpoint(); !strings.HasPrefix(got, "tcp://127.0.0.1:") {
		t.Errorf("got endpoint %q, want one of tcp on 127.0.0.1", got)
	}
	dial(t, transport.NewSessions(nil), listener)
	must(t, listener.Close())
}
