package rmi_test

import (
	"context"
	"io"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/rmigo/rmigo/internal/testobj"
	"github.com/rmigo/rmigo/internal/transport"
	"github.com/rmigo/rmigo/internal/wire"
	"github.com/rmigo/rmigo/rmi"
)

// fuzzServer is a node with a service, reached over memory by a peer that sends what the fuzzer says.
type fuzzServer struct {
	memory   *transport.Memory
	node     *rmi.Node
	endpoint string
	object   [16]byte
	peers    byte
}

func newFuzzServer(f *testing.F) *fuzzServer {
	f.Helper()
	s := &fuzzServer{memory: transport.NewMemory()}
	var err error
	s.node, err = rmi.NewNode(rmi.Options{
		Network: s.memory, Logger: slog.New(slog.DiscardHandler), HandshakeTimeout: time.Second,
		Limits: rmi.Limits{MessageBytes: 1 << 20, Alloc: 8 << 20},
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { s.node.Close() })
	if s.endpoint, err = s.node.Listen("tcp://127.0.0.1:0"); err != nil {
		f.Fatal(err)
	}
	ref, err := rmi.Export(s.node, testobj.RemoteService.Of(newService(s.node)))
	if err != nil {
		f.Fatal(err)
	}
	s.object = ref.ID().Object
	return s
}

// session opens a session, sends bytes on the control stream and the lane, and reads what comes until the other side has
// nothing more to say or the session is broken off.
func (s *fuzzServer) session(t *testing.T, control, lane []byte) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	s.peers++
	conn, err := transport.NewSessions(s.memory).Dial(ctx, s.endpoint, transport.Greeting{Process: [16]byte{s.peers, 1}})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	session, err := conn.Session()
	if err != nil {
		t.Fatal(err)
	}
	c, err := session.Open()
	if err != nil {
		t.Fatal(err)
	}
	l, err := session.Open()
	if err != nil {
		t.Fatal(err)
	}
	hello, _ := wire.AppendControl(nil, wire.Hello{VersionMin: 1, VersionMax: 1, Process: [16]byte{s.peers, 1}, Token: [16]byte{1}, MessageBytes: 1 << 20, Features: 0xfe})
	c.Write(append(hello, control...))
	l.Write(lane)
	l.Close() // the node ends the session when the lane ends
	io.Copy(io.Discard, l)
	select {
	case <-session.Done():
	case <-ctx.Done():
		t.Error("the session was neither served to its end nor broken off")
	}
}

// FuzzSession sends arbitrary bytes to a node: it must neither panic nor hang, and still serve others.
func FuzzSession(f *testing.F) {
	s := newFuzzServer(f)
	call := wire.AppendCallHeader(nil, wire.CallHeader{Number: 1, Object: s.object, Method: 1})
	call = append(call, 0x80)
	wire.FinishFrame(call)
	ping, _ := wire.AppendControl(nil, wire.Ping{Nonce: 7})
	bye, _ := wire.AppendControl(nil, wire.Bye{})
	f.Add(ping, call)
	f.Add(bye, append(append([]byte{}, call...), wire.AppendCancel(nil, wire.CancelHeader{Number: 1})...))
	oneWay := wire.AppendCallHeader(nil, wire.CallHeader{OneWay: true, Number: 2, Slot: 1, Object: s.object, Method: 1000})
	wire.FinishFrame(oneWay)
	done := wire.AppendDone(nil, wire.DoneHeader{Sequence: 1, Object: s.object})
	wire.FinishFrame(done)
	after := wire.AppendCallHeader(nil, wire.CallHeader{Number: 3, Object: s.object, Method: 3, Extensions: wire.AppendMetadata(nil, wire.Metadata{After: 2, Path: []uint64{7}})})
	after = append(after, 0x80)
	wire.FinishFrame(after)
	f.Add(ping, slices.Concat(oneWay, after, wire.AppendProbe(nil, wire.Probe{Number: 3, Rank: 1, Path: []uint64{7}})))
	f.Add(ping, slices.Concat(oneWay, oneWay))
	f.Add(ping, done)
	items := append(wire.AppendItemsHeader(nil, wire.ItemsHeader{Stream: wire.StreamID{Call: 1, Own: true}, Pinned: true, Items: 1}), 0x81, 7, 0, 0, 0, 0, 0, 0, 0, 9)
	wire.FinishFrame(items)
	end := wire.AppendEnd(nil, wire.EndHeader{Stream: wire.StreamID{Call: 1, Own: true}, Sequence: 1})
	wire.FinishFrame(end)
	f.Add(ping, slices.Concat(call, items, wire.AppendCredit(nil, wire.Credit{Stream: wire.StreamID{Call: 1, Own: true}, Items: 1 << 40}), end))
	promised := func(number uint64, object [16]byte) []byte {
		b := wire.AppendCallHeader(nil, wire.CallHeader{Number: number, Promised: true, Object: object, Method: 1, Extensions: wire.AppendMetadata(nil, wire.Metadata{Pipe: 9})})
		b = append(b, 0x80)
		wire.FinishFrame(b)
		return b
	}
	on := [16]byte{'r', 'm', 'i', ':', 'v', 'o', 'w', 0, 15: 4}
	batch := wire.AppendCalls(nil, [][]byte{promised(4, s.object), promised(5, on)})
	wire.FinishFrame(batch)
	f.Add(ping, slices.Concat(batch, promised(6, on), wire.AppendForget(nil, wire.CancelHeader{Number: 4}), promised(7, on)))
	f.Add([]byte{0, 1, 0xff}, []byte{0, 0, 0, 1, 9})
	f.Fuzz(func(t *testing.T, control, lane []byte) { s.session(t, control, lane) })
}

// FuzzArguments sends arbitrary arguments to each method of a service.
func FuzzArguments(f *testing.F) {
	s := newFuzzServer(f)
	methods := testobj.RemoteService.Methods
	f.Add(byte(0), []byte{0x82, 1, 2})
	f.Add(byte(1), []byte{0x81, 0xa1, 0x64, 'N', 'a', 'm', 'e', 0x61, 'x'})
	f.Add(byte(2), []byte{0x82, 0x61, ',', 0x82, 0x61, 'a', 0x61, 'b'})
	f.Fuzz(func(t *testing.T, which byte, args []byte) {
		m := methods[int(which)%len(methods)]
		if m.Name() == "Block" {
			return // it waits for its caller to give up
		}
		call := wire.AppendCallHeader(nil, wire.CallHeader{Number: 1, Object: s.object, Method: m.ID})
		call = append(call, args...)
		wire.FinishFrame(call)
		s.session(t, nil, call)
	})
}
