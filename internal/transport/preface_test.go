package transport_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/rmigo/rmigo/internal/leak"
	"github.com/rmigo/rmigo/internal/transport"
)

// What strangers send is recognized, from either side, and costs a connection at most.

var strangers = []struct {
	name, sends string
	says        []string
}{
	{"an HTTP server", "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\n\r\n",
		[]string{"speaks HTTP, not rmigo: is this the address of a web server?"}},
	{"an HTTP client", "GET / HTTP/1.1\r\nHost: example.com\r\n\r\n", []string{"speaks HTTP, not rmigo", "web client"}},
	{"an HTTP/2 client", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", []string{"speaks HTTP, not rmigo"}},
	{"a TLS client", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", []string{"speaks TLS, not rmigo"}},
	{"a TLS alert", "\x15\x03\x01\x00\x02\x02\x0a", []string{"speaks TLS, not rmigo"}},
	{"a secure shell", "SSH-2.0-OpenSSH_9.6\r\n", []string{"speaks SSH, not rmigo"}},
	{"a text", "hello there", []string{`does not speak rmigo`, `"hello there"`}},
	{"zeros", strings.Repeat("\x00", 100), []string{"does not speak rmigo", `"\x00\x00`}},
	{"yamux without a preface", "\x00\x01\x00\x01\x00\x00\x00\x01\x00\x00\x00\x00", []string{"does not speak rmigo"}},
	{"a later rmigo", "\x00rmigo\n\x02" + strings.Repeat("p", 16), []string{"speaks version 2 of rmigo's session protocol, this process version 1"}},
}

// stranger returns a raw connection to listener and what greeting it at the accepting side led to.
func stranger(t *testing.T, listener transport.Listener, ctx context.Context) (net.Conn, <-chan error) {
	t.Helper()
	greeted := make(chan error, 1)
	go func() {
		conn, err := listener.Accept()
		if err == nil {
			_, err = conn.Greet(ctx, bob)
		}
		greeted <- err
	}()
	_, address, _ := strings.Cut(listener.Endpoint(), "://")
	raw, err := net.Dial("tcp", address)
	must(t, err)
	t.Cleanup(func() { raw.Close() })
	return raw, greeted
}

// server listens on TCP, handles one connection and returns its endpoint.
func server(t *testing.T, handle func(net.Conn)) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		handle(conn)
	}()
	t.Cleanup(func() { listener.Close(); <-ended })
	return "tcp://" + listener.Addr().String()
}

func wantProtocolError(t *testing.T, err error, sent string, words ...string) {
	t.Helper()
	wantWords(t, err, words...)
	protocol, ok := errors.AsType[*transport.ProtocolError](err)
	if !ok {
		t.Fatalf("got %T, want a *ProtocolError", err)
	}
	if len(protocol.Got) == 0 || !strings.HasPrefix(sent, string(protocol.Got)) {
		t.Errorf("got first bytes %q, want those of %q", protocol.Got, sent)
	}
	if !strings.HasPrefix(err.Error(), protocol.Addr) || !strings.Contains(protocol.Addr, "127.0.0.1:") {
		t.Errorf("got %q by %q, want the address first", err, protocol.Addr)
	}
}

func TestAStrangerWhoConnectsIsRecognized(t *testing.T) {
	for _, who := range strangers {
		t.Run(who.name, func(t *testing.T) {
			leak.Check(t)
			listener := place{transport.NewSessions(nil), "tcp://127.0.0.1:0"}.listen(t)
			raw, greeted := stranger(t, listener, soon(t))
			_, err := io.WriteString(raw, who.sends)
			must(t, err)
			wantProtocolError(t, arrives(t, greeted, "the end of the greeting"), who.sends, who.says...)
		})
	}
}

func TestAStrangerWhoIsDialledIsRecognized(t *testing.T) {
	for _, who := range strangers {
		t.Run(who.name, func(t *testing.T) {
			leak.Check(t)
			endpoint := server(t, func(conn net.Conn) {
				io.ReadFull(conn, make([]byte, 24))
				io.WriteString(conn, who.sends)
			})
			_, err := transport.NewSessions(nil).Dial(soon(t), endpoint, alice)
			wantProtocolError(t, err, who.sends, who.says...)
		})
	}
}

func TestRandomBytesAreNoGreeting(t *testing.T) {
	leak.Check(t)
	listener := place{transport.NewSessions(nil), "tcp://127.0.0.1:0"}.listen(t)
	for seed := range uint64(100) {
		random := rand.New(rand.NewPCG(seed, 0))
		sent := make([]byte, 1+random.IntN(200))
		for i := range sent {
			sent[i] = byte(random.Uint32())
		}
		sent[0] |= 1
		raw, greeted := stranger(t, listener, soon(t))
		_, err := raw.Write(sent)
		must(t, err)
		err = arrives(t, greeted, "the end of the greeting")
		if _, ok := errors.AsType[*transport.ProtocolError](err); !ok {
			t.Errorf("seed %d: got %v, want a *ProtocolError", seed, err)
		}
		raw.Close()
	}
}

func TestAWebServerDialledAsANodeAnswersAtOnce(t *testing.T) {
	leak.Check(t)
	web := httptest.NewServer(http.NotFoundHandler())
	defer web.Close()
	endpoint := "tcp://" + web.Listener.Addr().String()
	_, err := transport.NewSessions(nil).Dial(soon(t), endpoint, alice)
	wantProtocolError(t, err, "HTTP/1.1 400 Bad Request", "speaks HTTP, not rmigo: is this the address of a web server?")
}

func TestATLSServerDialledWithoutTLSSaysSo(t *testing.T) {
	leak.Check(t)
	web := httptest.NewUnstartedServer(http.NotFoundHandler())
	web.Config.ErrorLog = log.New(io.Discard, "", 0)
	web.StartTLS()
	defer web.Close()
	_, err := transport.NewSessions(nil).Dial(soon(t), "tcp://"+web.Listener.Addr().String(), alice)
	wantWords(t, err, "TLS")
}

func TestATLSClientIsRecognized(t *testing.T) {
	leak.Check(t)
	listener := place{transport.NewSessions(nil), "tcp://127.0.0.1:0"}.listen(t)
	raw, greeted := stranger(t, listener, soon(t))
	if err := tls.Client(raw, &tls.Config{ServerName: "node"}).Handshake(); err == nil {
		t.Error("a TLS handshake with a node succeeded")
	}
	wantWords(t, arrives(t, greeted, "the end of the greeting"), "speaks TLS, not rmigo")
}

func TestAWebClientGetsNothingFromANode(t *testing.T) {
	leak.Check(t)
	listener := place{transport.NewSessions(nil), "tcp://127.0.0.1:0"}.listen(t)
	raw, greeted := stranger(t, listener, soon(t))
	_, err := io.WriteString(raw, "GET / HTTP/1.1\r\n\r\n")
	must(t, err)
	wantWords(t, arrives(t, greeted, "the end of the greeting"), "speaks HTTP")
	if got, _ := bufio.NewReader(raw).ReadByte(); got != 0 {
		t.Errorf("got byte %#x, want the end: a stranger learns nothing", got)
	}
}

func TestANodeOfAnotherVersionIsAnsweredSoThatItLearnsOurs(t *testing.T) {
	leak.Check(t)
	listener := place{transport.NewSessions(nil), "tcp://127.0.0.1:0"}.listen(t)
	raw, greeted := stranger(t, listener, soon(t))
	_, err := io.WriteString(raw, "\x00rmigo\n\x63"+strings.Repeat("p", 16))
	must(t, err)
	got, err := io.ReadAll(raw)
	if want := "\x00rmigo\n\x01" + string(bob.Process[:]); err != nil || string(got) != want {
		t.Errorf("got %q (error %v), want %q", got, err, want)
	}
	wantWords(t, arrives(t, greeted, "the end of the greeting"), "speaks version 99")
}

func TestThePrefaceIsTwentyFourBytesAndNotOneMoreIsRead(t *testing.T) {
	leak.Check(t)
	ours, theirs := net.Pipe()
	listener := transport.NewListener(oneConn(ours))
	defer theirs.Close()
	conn, err := listener.Accept()
	must(t, err)
	greeted := make(chan error, 1)
	go func() {
		_, err := conn.Greet(soon(t), bob)
		greeted <- err
	}()
	for _, b := range []byte("\x00rmigo\n\x01" + string(alice.Process[:])) { // a pipe hands over byte by byte
		_, err := theirs.Write([]byte{b})
		must(t, err)
	}
	_, err = io.ReadFull(theirs, make([]byte, 24))
	must(t, err)
	must(t, arrives(t, greeted, "the greeting"))
	if got := conn.Peer(); got != alice {
		t.Errorf("got peer %x, want %x", got, alice)
	}
	must(t, conn.Close())
}

func TestSilenceEndsWithTheDeadlineAndSaysHowMuchCame(t *testing.T) {
	for _, test := range []struct{ sends, says string }{
		{"", "said nothing"},
		{"\x00rmi", "sent 4 of the 24 bytes of a greeting and then nothing"},
	} {
		t.Run(test.says, func(t *testing.T) {
			leak.Check(t)
			listener := place{transport.NewSessions(nil), "tcp://127.0.0.1:0"}.listen(t)
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			raw, greeted := stranger(t, listener, ctx)
			_, err := io.WriteString(raw, test.sends)
			must(t, err)
			err = arrives(t, greeted, "the end of the greeting")
			wantError(t, err, context.DeadlineExceeded, "the deadline of the context bounds a greeting")
			wantWords(t, err, test.says, raw.LocalAddr().String())
			if _, err := raw.Read(make([]byte, 1)); err == nil {
				t.Error("the connection is still open: a failed greeting closes it")
			}
		})
	}
}

func TestAGreetingCutShortIsNamed(t *testing.T) {
	leak.Check(t)
	listener := place{transport.NewSessions(nil), "tcp://127.0.0.1:0"}.listen(t)
	raw, greeted := stranger(t, listener, soon(t))
	_, err := io.WriteString(raw, "\x00rmigo\n\x01half")
	must(t, err)
	must(t, raw.Close())
	err = arrives(t, greeted, "the end of the greeting")
	wantWords(t, err, "closed the connection before greeting")
	wantError(t, err, io.ErrUnexpectedEOF, "the stream ended inside the preface")
}

func TestAnEvictedConnectionFailsItsGreetingAtOnce(t *testing.T) {
	leak.Check(t)
	pending := transport.NewPending(2)
	defer pending.Close()
	listener := place{transport.NewSessions(nil), "tcp://127.0.0.1:0"}.listen(t)
	ended := make(chan error, 3)
	for range 3 {
		raw, err := net.Dial("tcp", strings.TrimPrefix(listener.Endpoint(), "tcp://"))
		must(t, err)
		defer raw.Close()
		conn, err := listener.Accept()
		must(t, err)
		go func() {
			_, err := conn.Greet(soon(t), bob)
			ended <- err
		}()
		pending.Add(conn)
	}
	err := arrives(t, ended, "the end of the oldest greeting")
	wantError(t, err, net.ErrClosed, "the third connection pushed the first out")
	pending.Close()
	arrives(t, ended, "the end of the second greeting")
	arrives(t, ended, "the end of the third greeting")
}

// oneConn is a listener that accepts conn.
func oneConn(conn net.Conn) net.Listener {
	accept := make(chan net.Conn, 1)
	accept <- conn
	return pipeListener{accept}
}

// pipeListener accepts the connections that pipeNetwork dials.
type pipeListener struct{ conns chan net.Conn }

func (l pipeListener) Accept() (net.Conn, error) {
	conn, ok := <-l.conns
	if !ok {
		return nil, net.ErrClosed
	}
	return conn, nil
}

func (l pipeListener) Addr() net.Addr { return &net.UnixAddr{Name: "/pipe", Net: "pipe"} }
func (l pipeListener) Close() error   { close(l.conns); return nil }

// pipeNetwork is a Network of one's own: connections without buffers, of a type that transport does not know.
type pipeNetwork struct{ conns chan net.Conn }

func (n pipeNetwork) Dial(context.Context, string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	n.conns <- theirs
	return ours, nil
}

func (n pipeNetwork) Listen(string) (net.Listener, error) { return pipeListener(n), nil }

func TestANetworkOfOnesOwnCarriesSessions(t *testing.T) {
	leak.Check(t)
	network := pipeNetwork{make(chan net.Conn, 1)}
	dialled, accepted := place{transport.NewSessions(network), "anything at all"}.sessions(t)
	from, to := open(t, dialled, accepted)
	go io.WriteString(from, strings.Repeat("x", 200_000))
	_, err := io.ReadFull(to, make([]byte, 200_000))
	must(t, err)
	must(t, dialled.Close())
	arrives(t, accepted.Done(), "the end of the other side")
}
