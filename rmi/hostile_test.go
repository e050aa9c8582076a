package rmi_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/rmigo/rmigo/internal/leak"
	"github.com/rmigo/rmigo/internal/testobj"
	"github.com/rmigo/rmigo/internal/transport"
	"github.com/rmigo/rmigo/internal/wire"
	"github.com/rmigo/rmigo/rmi"
)

func TestStrangersAtThePortAreTurnedAwayWhileOthersAreServed(t *testing.T) {
	leak.Check(t)
	w := tcpWorld(t)
	const handshake = 300 * time.Millisecond
	server, endpoint := w.server(rmi.Options{HandshakeTimeout: handshake})
	client := w.node(rmi.Options{})
	remote := pass(t, server, client, newService(server))
	noise := make([]byte, 4096)
	rng := rand.NewChaCha8([32]byte{1})
	rng.Read(noise)
	hello := clientHello(t)
	strangers := map[string][]byte{
		"an HTTP request":      []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
		"a TLS hello":          hello,
		"random bytes":         noise,
		"silence":              nil,
		"half a greeting":      []byte("\x00rmigo"),
		"a greeting, no more":  append([]byte("\x00rmigo\n\x01"), make([]byte, 16)...),
		"a greeting and noise": append(append([]byte("\x00rmigo\n\x01"), noise[:16]...), noise...),
	}
	for name, bytes := range strangers {
		t.Run(name, func(t *testing.T) {
			conn, err := net.Dial("tcp", strings.TrimPrefix(endpoint, "tcp://"))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			began := time.Now()
			conn.Write(bytes)
			if _, err := remote.Add(ctx(t), 1, 1); err != nil {
				t.Errorf("meanwhile, a call failed: %v", err)
			}
			conn.SetReadDeadline(began.Add(10 * time.Second))
			if _, err := io.Copy(io.Discard, conn); errors.Is(err, context.DeadlineExceeded) || time.Since(began) > 20*handshake {
				t.Errorf("the connection was held for %v, the handshake timeout is %v", time.Since(began), handshake)
			}
		})
	}
	if _, err := remote.Add(ctx(t), 1, 1); err != nil {
		t.Errorf("after the strangers, a call failed: %v", err)
	}
}

// clientHello returns the first bytes that a TLS client sends.
func clientHello(t *testing.T) []byte {
	t.Helper()
	ours, theirs := net.Pipe()
	defer ours.Close()
	go func() {
		tls.Client(theirs, &tls.Config{InsecureSkipVerify: true}).Handshake()
		theirs.Close()
	}()
	b := make([]byte, 4096)
	n, err := ours.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	return b[:n]
}

func TestDiallingAWebServerSaysWhatItIs(t *testing.T) {
	leak.Check(t)
	web := httptest.NewServer(http.NotFoundHandler())
	defer web.Close()
	client := tcpWorld(t).node(rmi.Options{HandshakeTimeout: 2 * time.Second})
	url := "rmi://" + strings.TrimPrefix(web.URL, "http://") + "/bank"
	_, err := rmi.Lookup(ctx(t), client, testobj.RemoteService, url)
	if !errors.Is(err, rmi.ErrProtocol) || !strings.Contains(err.Error(), "HTTP") || rmi.MayHaveRun(err) {
		t.Errorf("Lookup at a web server: %v; want ErrProtocol, in words that say HTTP", err)
	}
}

func TestNothingAtTheAddressSaysWhereAndWhy(t *testing.T) {
	leak.Check(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	client := tcpWorld(t).node(rmi.Options{})
	_, err = rmi.Lookup(ctx(t), client, testobj.RemoteService, "rmi://"+address+"/bank")
	if !errors.Is(err, rmi.ErrUnreachable) || !strings.Contains(err.Error(), address) || !strings.Contains(err.Error(), "refused") {
		t.Errorf("Lookup where nobody listens: %v; want ErrUnreachable with the address and the reason", err)
	}
}

// intruder is a peer that follows the protocol up to a point.
type intruder struct {
	control, lane transport.Stream
	session       transport.Session
}

// intrude connects as a peer with the id and says HELLO.
func intrude(t *testing.T, endpoint string, id, token [16]byte) (intruder, wire.Welcome) {
	t.Helper()
	return intrudeWith(t, endpoint, wire.Hello{Process: id, Token: token})
}

func intrudeWith(t *testing.T, endpoint string, h wire.Hello) (intruder, wire.Welcome) {
	t.Helper()
	return intrudeBy(t, transport.NewSessions(transport.Sockets{}), endpoint, h)
}

func intrudeBy(t *testing.T, by transport.Transport, endpoint string, h wire.Hello) (intruder, wire.Welcome) {
	t.Helper()
	conn, err := by.Dial(ctx(t), endpoint, transport.Greeting{Process: h.Process})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	s, err := conn.Session()
	if err != nil {
		t.Fatal(err)
	}
	i := intruder{session: s}
	if i.control, err = s.Open(); err != nil {
		t.Fatal(err)
	}
	h.VersionMin, h.VersionMax = 1, 1
	hello, err := wire.AppendControl(nil, h)
	if err != nil {
		t.Fatal(err)
	}
	i.control.Write(hello)
	if i.lane, err = s.Open(); err != nil {
		t.Fatal(err)
	}
	msg, err := wire.ReadControl(i.control)
	if err != nil {
		t.Fatal(err)
	}
	welcome, ok := msg.(wire.Welcome)
	if !ok {
		t.Fatalf("%T answers HELLO", msg)
	}
	return i, welcome
}

func TestAPeerThatBreaksTheProtocolLosesItsConnectionOnly(t *testing.T) {
	leak.Check(t)
	w := tcpWorld(t)
	server, endpoint := w.server(rmi.Options{})
	client := w.node(rmi.Options{})
	remote := pass(t, server, client, newService(server))
	call := func(number uint64) []byte {
		b := wire.AppendCallHeader(nil, wire.CallHeader{Number: number, Method: 1, Object: [16]byte{15: 9}})
		b = append(b, 0x80)
		wire.FinishFrame(b)
		return b
	}
	breaches := map[string]func(i intruder){
		"a frame of four gigabytes":  func(i intruder) { i.lane.Write([]byte{0xff, 0xff, 0xff, 0xff, 1}) },
		"an unknown kind of frame":   func(i intruder) { i.lane.Write([]byte{0, 0, 0, 1, 99}) },
		"a call cut short":           func(i intruder) { i.lane.Write([]byte{0, 0, 0, 3, 1, 0, 0}) },
		"a control message of noise": func(i intruder) { i.control.Write([]byte{0, 0, 0, 3, 0xff, 0xff, 0xff}) },
		"a third stream":             func(i intruder) { i.session.Open() },
		"a HELLO in the middle": func(i intruder) {
			b, _ := wire.AppendControl(nil, wire.Hello{VersionMin: 1, VersionMax: 1})
			i.control.Write(b)
		},
		"an unknown flag in a reply": func(i intruder) { i.lane.Write([]byte{0, 0, 0, 12, 2, 0x70, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}) },
		"a timeout that overflows":   func(i intruder) { b := call(1); b[24] = 0xff; i.lane.Write(b) },
	}
	peers := byte(0)
	for name, breach := range breaches {
		peers++
		t.Run(name, func(t *testing.T) {
			i, welcome := intrude(t, endpoint, [16]byte{1, 2, 3, peers}, [16]byte{7})
			if welcome.Status != wire.StatusNew {
				t.Fatalf("WELCOME says %v, want NEW", welcome.Status)
			}
			breach(i)
			select {
			case <-i.session.Done():
			case <-ctx(t).Done():
				t.Error("the connection was not broken off")
			}
			if _, err := remote.Add(ctx(t), 1, 1); err != nil {
				t.Errorf("a call of another peer failed: %v", err)
			}
		})
	}
	t.Run("a reply to no call, and a cancellation of none, are harmless", func(t *testing.T) {
		i, _ := intrude(t, endpoint, [16]byte{9, 9}, [16]byte{7})
		reply := wire.AppendReplyHeader(nil, wire.ReplyHeader{Flags: wire.ReplyResults, Slot: 1 << 40})
		reply = append(reply, 0x80)
		wire.FinishFrame(reply)
		i.lane.Write(append(reply, wire.AppendCancel(nil, wire.CancelHeader{Number: 77})...))
		i.lane.Write(call(1))
		kind, frame, err := testobj.ReadFrame(i.lane)
		if err != nil || kind != wire.ReplyFrame {
			t.Fatalf("the call after them: %v, %v; want its reply", kind, err)
		}
		if h, _, err := wire.ParseReply(frame); err != nil || h.Flags != wire.ReplyError|wire.ReplyRuntime|wire.ReplyNotStarted {
			t.Errorf("the reply for an unknown object has flags %b, %v", h.Flags, err)
		}
	})
}

func TestAnotherTokenIsRefusedWhileTheRealPeerIsKnown(t *testing.T) {
	leak.Check(t)
	w := tcpWorld(t)
	server, endpoint := w.server(rmi.Options{})
	client := w.node(rmi.Options{})
	remote := pass(t, server, client, newService(server))
	if _, err := remote.Add(ctx(t), 1, 1); err != nil {
		t.Fatal(err)
	}
	_, welcome := intrude(t, endpoint, client.ID(), [16]byte{1})
	if welcome.Status != wire.StatusRefused || rmi.Kind(welcome.Refusal) != rmi.ErrUnauthenticated {
		t.Errorf("an impostor was told %v, %v; want to be refused", welcome.Status, rmi.Kind(welcome.Refusal))
	}
	if _, err := remote.Add(ctx(t), 1, 1); err != nil {
		t.Errorf("the real peer's call failed: %v", err)
	}
}

func TestAnArgumentBeyondTheLimitIsATypedErrorAndTheConnectionLives(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		server, _ := w.server(rmi.Options{Limits: rmi.Limits{MessageBytes: 1 << 20}})
		client := w.node(rmi.Options{Limits: rmi.Limits{MessageBytes: 1 << 20}})
		remote := pass(t, server, client, newService(server))
		_, err := remote.Bytes(ctx(t), make([]byte, 2<<20))
		if !errors.Is(err, rmi.ErrLimit) || rmi.MayHaveRun(err) || !strings.Contains(err.Error(), "MessageBytes") {
			t.Errorf("an argument beyond the bound: %v; want ErrLimit naming the option, not run", err)
		}
		big := make([]byte, 1<<20-100)
		big[len(big)-1] = 42
		if back, err := remote.Bytes(ctx(t), big); err != nil || len(back) != len(big) || back[len(back)-1] != 42 {
			t.Errorf("an argument within the bound: %d bytes, %v", len(back), err)
		}
	})
}

func TestACycleComesHomeAsOne(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		_, _, remote, _ := w.served()
		ring := testobj.Item{Name: "a", Next: &testobj.Item{Name: "b"}}
		ring.Next.Next = ring.Next
		got, err := remote.Echo(ctx(t), ring)
		if err != nil || got.Name != "a" || got.Next.Name != "b" || got.Next.Next != got.Next {
			t.Errorf("got %+v, %v, want the item and the one behind it that leads to itself", got, err)
		}
	})
}

func TestAListOfAMillionGoesThroughACall(t *testing.T) {
	if testing.Short() {
		t.Skip("16 MB each way")
	}
	leak.Check(t)
	w := memoryWorld(t)
	_, _, remote, _ := w.served()
	const length = 1_000_000
	list := testobj.Item{}
	for range length {
		list.Next = &testobj.Item{Next: list.Next}
	}
	got, err := remote.Echo(ctx(t), list)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for at := got.Next; at != nil; at = at.Next {
		n++
	}
	if n != length {
		t.Errorf("%d came, want %d", n, length)
	}
}

func TestMessagesThatAreBegunAndNotEndedAreBoundedTogether(t *testing.T) {
	leak.Check(t)
	w := tcpWorld(t)
	const bound = 4 << 20
	server, endpoint := w.server(rmi.Options{Limits: rmi.Limits{PendingBytes: bound}})
	client := w.node(rmi.Options{})
	impl := newService(server)
	remote := pass(t, server, client, impl)
	ref, err := rmi.Export(server, testobj.RemoteService.Of(impl))
	if err != nil {
		t.Fatal(err)
	}
	id := ref.ID().Object
	begun := func(peer byte, frame []byte) intruder {
		i, _ := intrude(t, endpoint, [16]byte{7, peer}, [16]byte{1})
		if _, err := i.lane.Write(frame); err != nil {
			t.Fatal(err)
		}
		return i
	}
	call := wire.AppendCallHeader(nil, wire.CallHeader{Number: 1, Object: id, Method: methodID(t, "Bytes")})
	call = append(call, 0x81, 0x5a, 0, 0x80, 0, 0) // one byte string, of 8 MiB
	call = append(call, make([]byte, 8<<20)...)
	wire.FinishFrame(call)
	var intruders []intruder
	for peer := range byte(20) {
		intruders = append(intruders, begun(peer, call[:3<<20]))
	}
	eventually(t, 10*time.Second, func() bool { return rmi.ReceivingOf(server) > bound/2 }, func() string { return fmt.Sprint(rmi.ReceivingOf(server)) })
	if got := rmi.ReceivingOf(server); got > int64(bound+len(call)) { // the first one may be as large as messages may
		t.Errorf("%d bytes are taken for messages that are not whole, want no more than %d", got, bound+len(call))
	}
	_, err = remote.Bytes(ctx(t), make([]byte, 2<<20))
	if !errors.Is(err, rmi.ErrOverloaded) || rmi.MayHaveRun(err) || !strings.Contains(err.Error(), "Limits.PendingBytes") {
		t.Errorf("a large call meanwhile: %v; want it refused, and that it has not run", err)
	}
	if sum, err := remote.Add(ctx(t), 1, 2); err != nil || sum != 3 {
		t.Errorf("a small call by the same connection: %d, %v", sum, err)
	}
	for _, i := range intruders {
		i.session.Close()
	}
	eventually(t, 10*time.Second, func() bool { return rmi.ReceivingOf(server) == 0 }, func() string { return fmt.Sprint(rmi.ReceivingOf(server)) })
	if got, err := remote.Bytes(ctx(t), make([]byte, 2<<20)); err != nil || len(got) != 2<<20 {
		t.Errorf("a large call when they are gone: %d bytes, %v", len(got), err)
	}
}

func TestWhatIsBegunAndCanBeToldToNobodyEndsItsConnection(t *testing.T) {
	leak.Check(t)
	const bound = 2 << 20
	server, endpoint := tcpWorld(t).server(rmi.Options{Limits: rmi.Limits{PendingBytes: bound}})
	reply := wire.AppendReplyHeader(nil, wire.ReplyHeader{Slot: 5, Flags: wire.ReplyPinned})
	reply = append(reply, make([]byte, 8<<20)...)
	wire.FinishFrame(reply)
	for peer := range byte(4) { // each less than all may have, together more
		i, _ := intrude(t, endpoint, [16]byte{8, peer}, [16]byte{1})
		go i.lane.Write(reply[:6<<20])
		defer i.session.Close()
		if peer == 0 {
			eventually(t, 10*time.Second, func() bool { return rmi.ReceivingOf(server) > bound }, func() string { return "nothing came" })
		}
	}
	last, _ := intrude(t, endpoint, [16]byte{9}, [16]byte{1})
	go last.lane.Write(reply) // all of it: that it is too much is known at its end
	select {
	case <-last.session.Done():
	case <-ctx(t).Done():
		t.Error("replies that nobody asked for take memory without bound")
	}
}
