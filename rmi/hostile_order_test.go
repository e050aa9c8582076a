package rmi_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/rmigo/rmigo/internal/leak"
	"github.com/rmigo/rmigo/internal/testobj"
	"github.com/rmigo/rmigo/internal/transport"
	"github.com/rmigo/rmigo/internal/wire"
	"github.com/rmigo/rmigo/rmi"
	"github.com/rmigo/rmigo/skeleton"
)

// frameOf is a whole CALL or ONEWAY of the first method of an object, without arguments.
func frameOf(h wire.CallHeader, m wire.Metadata) []byte {
	if h.Method == 0 {
		h.Method = 1
	}
	if e := wire.AppendMetadata(nil, m); e != nil {
		h.Extensions = e
	}
	b := append(wire.AppendCallHeader(nil, h), 0x80)
	wire.FinishFrame(b)
	return b
}

func finished(b []byte) []byte {
	wire.FinishFrame(b)
	return b
}

func TestAPeerThatBreaksTheOrderLosesItsConnectionOnly(t *testing.T) {
	leak.Check(t)
	w := tcpWorld(t)
	server, endpoint := w.server(rmi.Options{})
	remote := pass(t, server, w.node(rmi.Options{}), newService(server))
	object := [16]byte{15: 9}
	oneWay := func(place uint64) []byte {
		return frameOf(wire.CallHeader{OneWay: true, Number: place, Slot: place, Object: object}, wire.Metadata{})
	}
	breaches := map[string][]byte{
		"a place in the row that is taken":      slices.Concat(oneWay(2), oneWay(2)),
		"a place in the row before the first":   oneWay(0),
		"a place in the row that is far off":    oneWay(2 + wire.RowWindow),
		"the end of what was never sent":        finished(wire.AppendDone(nil, wire.DoneHeader{Sequence: 1, Object: object})),
		"a failure without an error":            finished(wire.AppendDone(nil, wire.DoneHeader{Flags: wire.ReplyError, Sequence: 1, Object: object})),
		"a probe with half a token":             finished(append(wire.AppendProbe(nil, wire.Probe{Number: 1, Path: []uint64{1}}), 1)),
		"a path of half a token":                frameOf(wire.CallHeader{Number: 1, Extensions: []byte{0xa1, 0x64, 'p', 'a', 't', 'h', 0x41, 7}}, wire.Metadata{}),
		"a batch with something else in it":     finished(wire.AppendCalls(nil, [][]byte{oneWay(1)})),
		"a batch with half a call in it":        finished(wire.AppendCalls(nil, [][]byte{frameOf(wire.CallHeader{Number: 1}, wire.Metadata{})[:58]})),
		"two calls of a number in a batch":      finished(wire.AppendCalls(nil, [][]byte{block(server, remote, 1), block(server, remote, 1)})),
		"something to forget that is too long":  finished(append(wire.AppendForget(nil, wire.CancelHeader{Number: 1}), 1)),
		"items that are none":                   finished(wire.AppendItemsHeader(nil, wire.ItemsHeader{Items: 1})),
		"credit that is too long":               finished(append(wire.AppendCredit(nil, wire.Credit{}), 1)),
		"an end without its error":              finished(wire.AppendEnd(nil, wire.EndHeader{Failed: true})),
		"a one-way call that is promised":       promisedOneWay(object),
		"what the feature has not been said of": nil,
	}
	peers := byte(0)
	for name, bytes := range breaches {
		peers++
		t.Run(name, func(t *testing.T) {
			hello := wire.Hello{Process: [16]byte{1, 2, 4, peers}, Token: [16]byte{7}, Features: 0xff}
			if bytes == nil {
				hello.Features, bytes = 0, oneWay(1)
			}
			i, _ := intrudeWith(t, endpoint, hello)
			i.lane.Write(bytes)
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
}

// block is a call that lasts until it is cancelled.
func block(server *rmi.Node, remote testobj.Service, number uint64) []byte {
	methods := testobj.RemoteService.Methods
	i := slices.IndexFunc(methods, func(m skeleton.Method) bool { return m.Name() == "Block" })
	ref, _ := server.RefOf(remote)
	return frameOf(wire.CallHeader{Number: number, Object: ref.ID().Object, Method: methods[i].ID}, wire.Metadata{})
}

func promisedOneWay(object [16]byte) []byte {
	b := frameOf(wire.CallHeader{OneWay: true, Number: 1, Slot: 1, Object: object}, wire.Metadata{})
	b[5] |= 2
	return b
}

// replies reads so many of them, and returns what they say of calls by their slots.
func replies(t *testing.T, lane transport.Stream, count int) map[uint64]error {
	t.Helper()
	table, err := wire.NewTable(nil, testobj.RemoteService.TypeTable())
	if err != nil {
		t.Fatal(err)
	}
	got := map[uint64]error{}
	for range count {
		_, frame, err := testobj.ReadFrame(lane)
		if err != nil {
			t.Fatal(err)
		}
		h, body, err := wire.ParseReply(frame)
		if err != nil {
			t.Fatal(err)
		}
		if got[h.Slot] = nil; h.Flags&wire.ReplyError != 0 {
			if got[h.Slot], _, err = wire.ReadError(wire.NewCodec(wire.Limits{}), table, nil, body); err != nil {
				got[h.Slot] = err
			}
		}
	}
	return got
}

func TestPromisesThatNeverWereAndTooManyAreRefused(t *testing.T) {
	leak.Check(t)
	w := tcpWorld(t)
	server, endpoint := w.server(rmi.Options{Limits: rmi.Limits{CallsPerPeer: 3}})
	ref, err := rmi.Export(server, testobj.RemoteService.Of(newService(server)))
	if err != nil {
		t.Fatal(err)
	}
	i, _ := intrudeWith(t, endpoint, wire.Hello{Process: [16]byte{5}, Token: [16]byte{7}, Features: 0xff})
	never := [16]byte{'r', 'm', 'i', ':', 'v', 'o', 'w', 0, 15: 99}
	i.lane.Write(frameOf(wire.CallHeader{Number: 1, Slot: 1, Object: never}, wire.Metadata{Pipe: 7}))
	if got := replies(t, i.lane, 1); got[1] == nil {
		t.Error("a call on a promise that never was has run")
	}
	var batch [][]byte
	for n := range uint64(10) {
		batch = append(batch, frameOf(wire.CallHeader{Number: 10 + n, Slot: 10 + n, Promised: true, Object: ref.ID().Object}, wire.Metadata{Pipe: 8}))
	}
	i.lane.Write(finished(wire.AppendCalls(nil, batch)))
	refused := 0
	for _, err := range replies(t, i.lane, 10) {
		if err != nil {
			refused++
		}
	}
	if refused < 7 {
		t.Errorf("of ten calls in a batch whose results are promised %d were refused, want all but three at most", refused)
	}
	if n := rmi.PromisesOf(server); n > 3 {
		t.Errorf("%d promises are kept", n)
	}
	i.lane.Write(slices.Concat(wire.AppendForget(nil, wire.CancelHeader{Number: 10}), wire.AppendForget(nil, wire.CancelHeader{Number: 1 << 60})))
	i.lane.Write(frameOf(wire.CallHeader{Number: 30, Slot: 30, Object: ref.ID().Object}, wire.Metadata{}))
	if got := replies(t, i.lane, 1); got[30] != nil && !errors.Is(got[30], rmi.ErrOverloaded) {
		t.Errorf("an ordinary call after all that: %v", got[30])
	}
}
