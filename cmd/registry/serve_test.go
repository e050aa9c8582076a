package main_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/rmigo/rmigo/internal/leak"
	"github.com/rmigo/rmigo/internal/transport"
	"github.com/rmigo/rmigo/rmi"
)

func TestASignalEndsAnIdleDaemon(t *testing.T) {
	for _, s := range []os.Signal{syscall.SIGTERM, os.Interrupt} {
		t.Run(s.String(), func(t *testing.T) {
			leak.Check(t)
			_, daemon := serving(t)
			daemon.signal(s)
			daemon.wait().want(t, ran{})
		})
	}
}

func TestASignalEndsADaemonThatHasClients(t *testing.T) {
	leak.Check(t)
	url, daemon := serving(t, "--log-level", "info")
	binding(t, url, "x")
	daemon.signal(syscall.SIGTERM)
	daemon.wait().want(t, ran{
		stderr: "time=T level=INFO msg=\"shutting down\" signal=terminated grace=10s\n",
	})
}

func TestADaemonListensInSeveralPlaces(t *testing.T) {
	leak.Check(t)
	socket := filepath.Join(t.TempDir(), "r.sock")
	daemon := start(t, "serve", "--listen", "tcp://127.0.0.1:0", "--listen", "unix://"+socket)
	tcp, unix := daemon.endpoint(), daemon.endpoint()
	if unix != "unix://"+socket {
		t.Errorf("the second place is %s, want %s", unix, socket)
	}
	binding(t, urlOf(tcp), "x")
	run(t, "list", "--registry", "rmi+unix://"+socket).want(t, ran{stdout: "x\n"})
	daemon.signal(syscall.SIGTERM)
	daemon.wait().want(t, ran{})
}

func TestAPlaceThatIsTakenIsRefusedWithTheRemedy(t *testing.T) {
	leak.Check(t)
	url, _ := serving(t)
	endpoint := "tcp" + strings.TrimPrefix(url, "rmi")
	run(t, "serve", "--listen", endpoint).want(t, ran{
		code: 1,
		stderr: `registry: cannot listen on tcp://127.0.0.1:PORT: another process listens there
Ask whether that is a registry with "registry ping --registry rmi://127.0.0.1:PORT", or choose another place with --listen.
`})
}

func TestAPlaceThatIsNoneIsRefusedWithTheRemedy(t *testing.T) {
	leak.Check(t)
	run(t, "serve", "--listen", "localhost:7").want(t, ran{
		code: 1,
		stderr: `registry: cannot listen on localhost:7: endpoint "localhost:7": no scheme: write tcp://host:port or unix:///path
Choose another place with --listen, as in tcp://127.0.0.1:PORT or unix:///run/registry.sock.
`})
}

func TestADaemonTakesNoMoreNamesThanItWasTold(t *testing.T) {
	leak.Check(t)
	url, _ := serving(t, "--max-bindings", "1")
	n := binding(t, url, "x")
	if err := rmi.Bind(ctx(t), n, url+"/y", bound()); !errors.Is(err, rmi.ErrLimit) {
		t.Errorf("the second of one name: %v, want ErrLimit", err)
	}
}

func TestNamesReappearAfterACrash(t *testing.T) {
	leak.Check(t)
	url, daemon := serving(t)
	restored := make(signals, 10)
	n, _ := listening(t, rmi.Options{Logger: slog.New(restored)})
	for _, name := range []string{"bank/alice", "bank/bob"} {
		if err := rmi.Bind(ctx(t), n, url+"/"+name, bound()); err != nil {
			t.Fatal(err)
		}
	}
	daemon.kill()
	run(t, "list", "--registry", url).want(t, ran{code: 4, stderr: refused})
	again := start(t, "serve", "--listen", "tcp"+strings.TrimPrefix(url, "rmi"))
	if got := urlOf(again.endpoint()); got != url {
		t.Fatalf("the daemon came back at %s, want %s", got, url)
	}
	<-restored
	<-restored
	run(t, "list", "--registry", url).want(t, ran{stdout: "bank/alice\nbank/bob\n"})
}

// signals is a log handler that tells of each binding that is restored.
type signals chan struct{}

func (s signals) Enabled(context.Context, slog.Level) bool { return true }
func (s signals) WithAttrs([]slog.Attr) slog.Handler       { return s }
func (s signals) WithGroup(string) slog.Handler            { return s }
func (s signals) Handle(_ context.Context, r slog.Record) error {
	if r.Message == "binding restored" {
		s <- struct{}{}
	}
	return nil
}

// deaf is a network whose connections, once told to, hear nothing more.
type deaf struct {
	transport.Sockets
	on   atomic.Bool
	over chan struct{}
}

func (d *deaf) Dial(ctx context.Context, endpoint string) (net.Conn, error) {
	c, err := d.Sockets.Dial(ctx, endpoint)
	if err != nil {
		return nil, err
	}
	return &deafConn{c, d}, nil
}

type deafConn struct {
	net.Conn
	*deaf
}

func (c *deafConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if c.on.Load() {
		<-c.over
	}
	return n, err
}

// deafened connects a process to the registry that does not hear of its end.
func deafened(t *testing.T, url string) {
	t.Helper()
	network := &deaf{over: make(chan struct{})}
	n := node(t, rmi.Options{Network: network})
	if _, err := rmi.List(ctx(t), n, url); err != nil {
		t.Fatal(err)
	}
	network.on.Store(true)
	t.Cleanup(func() { close(network.over) })
}

func TestTheGraceBoundsHowLongADaemonWaits(t *testing.T) {
	leak.Check(t)
	url, daemon := serving(t, "--grace", "50ms")
	deafened(t, url)
	daemon.signal(syscall.SIGTERM)
	got := daemon.wait()
	if got.code != 1 || !strings.HasPrefix(got.stderr, "registry: cut off after 50ms: ") || !strings.HasSuffix(got.stderr, "\nGive it longer with --grace.\n") {
		t.Errorf("got exit code %d and stderr %q; want 1, and that it was cut off after 50ms", got.code, got.stderr)
	}
}

func TestASecondSignalEndsADaemonAtOnce(t *testing.T) {
	leak.Check(t)
	url, daemon := serving(t, "--grace", "1h", "--log-level", "info")
	deafened(t, url)
	daemon.signal(syscall.SIGTERM)
	if line := daemon.line(daemon.stderr); !strings.Contains(line, "shutting down") {
		t.Fatalf("the daemon logged %q", line)
	}
	daemon.signal(os.Interrupt)
	begun := time.Now()
	daemon.wait().want(t, ran{code: 1, stderr: "registry: cut off by a second signal (interrupt)\n"})
	if took := time.Since(begun); took > 10*time.Second {
		t.Errorf("it ended %v after the second signal", took)
	}
}
