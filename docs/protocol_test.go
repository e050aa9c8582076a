package docs_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"log/slog"
	"maps"
	"math"
	"math/big"
	"net"
	"net/netip"
	"os"
	"path"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"

	"github.com/rmigo/rmigo/internal/gen"
	"github.com/rmigo/rmigo/internal/leak"
	"github.com/rmigo/rmigo/internal/testobj"
	"github.com/rmigo/rmigo/internal/transport"
	"github.com/rmigo/rmigo/internal/wire"
	"github.com/rmigo/rmigo/refs"
	"github.com/rmigo/rmigo/skeleton"
	"github.com/rmigo/rmigo/stub"
)

// The examples of PROTOCOL.md, and one check for each. A check of a hex example decodes it and compares the values, and
// encodes the same values and compares the bytes.

type (
	hexCheck  func(t *testing.T, b []byte)
	textCheck func(t *testing.T, lines []string)
	talkCheck func(t *testing.T, lines []line)
)

func checks() map[string]any {
	return map[string]any{
		"greeting":        hexCheck(checkGreeting),
		"hello":           control(sampleHello()),
		"welcome":         control(sampleWelcome()),
		"welcome-refused": control(sampleRefusal()),
		"ping":            control(wire.Ping{Nonce: 7}),
		"pong":            control(wire.Pong{Nonce: 24}),
		"bye":             control(wire.Bye{}),
		"bye-leaving":     control(wire.Bye{Leaving: true}),
		"widen":           control(wire.Widen{}),
		"batch": control(wire.Batch{Generation: 1, Seq: 2, Ack: 5, Dirty: [][16]byte{accountID()},
			Acks: []wire.MessageKey{{Call: 7, Result: true}}}),
		"widen-key": control(wire.Widen{Key: bulkKey()}),
		"join":      control(wire.Join{Key: bulkKey()}),
		"joined":    control(wire.Joined{}),

		"call": call(wire.CallHeader{Number: 1, Object: accountID(), Method: deposit}, nil),
		"call-extended": call(wire.CallHeader{
			Depth: 2, Number: 7, Slot: 3<<32 | 5, Timeout: time.Second, Object: accountID(), Method: deposit,
		}, extensions()),
		"call-metadata": metadata(wire.CallHeader{Number: 8},
			wire.Metadata{Own: map[string]string{"lang": "de"}, Chain: map[string]string{"trace": "4bf9", "user": "ada"}}),
		"reply":                reply(wire.ReplyHeader{Flags: wire.ReplyResults}, 500, nil),
		"reply-error":          reply(wire.ReplyHeader{Flags: wire.ReplyResults | wire.ReplyError, Slot: 1}, 500, errNoFunds),
		"reply-no-such-object": hexCheck(checkRefusal),
		"cancel":               cancel(nil),
		"oneway":               call(wire.CallHeader{OneWay: true, Number: 9, Slot: 2, Object: accountID(), Method: deposit}, nil),
		"row":                  hexCheck(checkRow),
		"done":                 hexCheck(checkDone),
		"call-after":           metadata(wire.CallHeader{Depth: 1, Number: 10}, wire.Metadata{After: 2, Path: []uint64{7}}),
		"probe":                hexCheck(checkProbe),
		"forget":               hexCheck(checkForget),
		"calls":                hexCheck(checkCalls),
		"items":                hexCheck(checkItems),
		"credit":               hexCheck(checkCredit),
		"end":                  hexCheck(checkEnd),
		"call-promised": metadata(wire.CallHeader{Number: 12, Promised: true, Object: [16]byte{'r', 'm', 'i', ':', 'v', 'o', 'w', 0, 15: 11}},
			wire.Metadata{Pipe: 10}),
		"description": value(refs.Description{
			Interfaces: []refs.InterfaceDescription{{Name: "b.A", Methods: []refs.MethodDescription{{
				ID: 300, Name: "Open", Signature: "Open(int) (b.A, error)", Params: []refs.Value{{Name: "n", Type: "int"}}, Results: []refs.Value{{Type: "b.A"}},
			}}}},
			Types: []refs.TypeDescription{{Name: "b.A", Kind: refs.KindRemote}},
		}),
		"cancel-extended": cancel(extensions()),

		"scalars":       hexCheck(checkScalars),
		"lists":         value([][]int{{1}, {}, nil}),
		"struct":        value(order{ID: 7, Note: new(string), Lines: []orderLine{{SKU: "nut", Count: 2}}}),
		"map":           value(map[string]int{"aa": 3, "a": 1, "b": 2}),
		"map-of-floats": value(map[float64]bool{1.5: true}),
		"pointers":      hexCheck(checkPointers),
		"marshaled":     value(netip.MustParseAddr("192.0.2.1")),
		"rational":      value(big.NewRat(-1, 3)),
		"big-integer":   value(new(big.Int).Lsh(big.NewInt(1), 64)),
		"time":          value(time.Date(2026, 11, 22, 13, 0, 0, 500, time.FixedZone("", 3600))),
		"reference":     hexCheck(checkReference),

		"shared":           hexCheck(checkShared),
		"cycle":            hexCheck(checkCycle),
		"shared-arguments": hexCheck(checkSharedArguments),
		"bodies":           hexCheck(checkBodies),
		"interfaces":       hexCheck(checkInterfaces),

		"error-none":     failure(nil),
		"error-sentinel": failure(io.EOF),
		"error-typed":    failure(&strconv.NumError{Func: "Atoi", Num: "x", Err: strconv.ErrSyntax}),
		"error-plain":    failure(&wire.RemoteError{Type: "*bank.readError", Message: "read: EOF", Code: "E42", Wrapped: []error{io.EOF}}),
		"error-runtime":  hexCheck(checkRuntimeError),
		"error-passed":   hexCheck(checkPassedError),

		"method-deposit": textCheck(checkMethod),
		"method-place":   textCheck(checkMethod),
		"method-publish": textCheck(checkMethod),
		"reference-text": textCheck(checkReferenceText),

		"served":  talkCheck(checkServed),
		"calling": talkCheck(checkCalling),
	}
}

func TestEveryExampleIsWhatTheCodeReadsAndWrites(t *testing.T) {
	leak.Check(t)
	doc := readDocument(t)
	for name, check := range checks() {
		t.Run(name, func(t *testing.T) {
			leak.Check(t)
			ex, there := doc.examples[name]
			if !there {
				t.Fatalf("PROTOCOL.md has no example %s: write it, or take its check away", name)
			}
			switch check := check.(type) {
			case hexCheck:
				ex.is(t, "hex")
				check(t, doc.bytes(t, ex))
			case textCheck:
				ex.is(t, "text")
				check(t, ex.lines)
			case talkCheck:
				ex.is(t, "talk")
				check(t, doc.talk(t, ex))
			}
		})
	}
}

func TestEveryExampleHasACheck(t *testing.T) {
	leak.Check(t)
	known := checks()
	for _, name := range slices.Sorted(maps.Keys(readDocument(t).examples)) {
		if known[name] == nil {
			t.Errorf("the example %s of PROTOCOL.md is checked by nothing: add it to checks", name)
		}
	}
}

// An example is one fenced block of the document.
type example struct {
	kind, name string
	at         int // line of the document
	lines      []string
}

func (ex example) is(t *testing.T, kind string) {
	t.Helper()
	if ex.kind != kind {
		t.Fatalf("PROTOCOL.md:%d: the example %s is of kind %s, its check is for %s", ex.at, ex.name, ex.kind, kind)
	}
}

type document struct{ examples map[string]example }

// readDocument returns the examples of the document. A fenced block without a word behind its fence is none.
func readDocument(t *testing.T) document {
	t.Helper()
	text, err := os.ReadFile("PROTOCOL.md")
	if err != nil {
		t.Fatal(err)
	}
	doc := document{map[string]example{}}
	var open *example
	for i, s := range strings.Split(string(text), "\n") {
		info, fence := strings.CutPrefix(s, "```")
		switch {
		case !fence && open != nil:
			open.lines = append(open.lines, s)
		case fence && open == nil:
			open = &example{at: i + 1}
			if info != "" {
				open.kind, open.name = fenced(t, i+1, info)
			}
		case fence:
			if old, twice := doc.examples[open.name]; twice {
				t.Fatalf("PROTOCOL.md:%d: the example %s is at line %d already", open.at, open.name, old.at)
			}
			if open.name != "" {
				doc.examples[open.name] = *open
			}
			open = nil
		}
	}
	if open != nil {
		t.Fatalf("PROTOCOL.md:%d: the block has no end", open.at)
	}
	return doc
}

func fenced(t *testing.T, at int, info string) (kind, name string) {
	t.Helper()
	kind, name, named := strings.Cut(info, " name=")
	if !named || name == "" || !slices.Contains([]string{"hex", "text", "talk"}, kind) {
		t.Fatalf("PROTOCOL.md:%d: the block is introduced by %q: write hex, text or talk and name=…", at, info)
	}
	return kind, name
}

// A line is one line of a conversation.
type line struct {
	at      int
	dialler bool // who sends it
	data    []byte
	varies  []bool   // for each byte whether it differs from run to run
	names   []string // of the examples it mentions
}

// bytes returns what a hex example says.
func (d document) bytes(t *testing.T, ex example) []byte {
	t.Helper()
	var all []byte
	for i, s := range ex.lines {
		all = append(all, d.parse(t, ex.at+1+i, s).data...)
	}
	return all
}

// talk returns the lines of a talk example.
func (d document) talk(t *testing.T, ex example) []line {
	t.Helper()
	var all []line
	for i, s := range ex.lines {
		at := ex.at + 1 + i
		rest, ours := strings.CutPrefix(s, "> ")
		if !ours {
			var theirs bool
			if rest, theirs = strings.CutPrefix(s, "< "); !theirs {
				t.Fatalf("PROTOCOL.md:%d: a line of a talk starts with > or <", at)
			}
		}
		l := d.parse(t, at, rest)
		l.dialler = ours
		all = append(all, l)
	}
	return all
}

func (d document) parse(t *testing.T, at int, s string) line {
	t.Helper()
	l := line{at: at}
	s, _, _ = strings.Cut(s, ";")
	for _, word := range strings.Fields(s) {
		name, mention := strings.CutPrefix(word, "@")
		b, err := hex.DecodeString(word)
		switch {
		case mention:
			ex := d.examples[name]
			ex.is(t, "hex")
			b = d.bytes(t, ex)
			l.names = append(l.names, name)
		case word == "??":
			b = []byte{0}
		case err != nil || len(b) != 1:
			t.Fatalf("PROTOCOL.md:%d: %q is no byte", at, word)
		}
		l.data = append(l.data, b...)
		l.varies = append(l.varies, slices.Repeat([]bool{word == "??"}, len(b))...)
	}
	return l
}

func same(t *testing.T, got, want []byte) {
	t.Helper()
	if !bytes.Equal(got, want) {
		t.Errorf("the code writes\n% x\nthe document says\n% x", got, want)
	}
}

// wellformed checks one CBOR item with somebody else's library.
func wellformed(t *testing.T, b []byte) {
	t.Helper()
	if err := cbor.Wellformed(b); err != nil {
		t.Errorf("% x is not well-formed CBOR: %v", b, err)
	}
}

// Connections and control messages.

const (
	accountFace  = "example.com/bank.Account"
	bankEndpoint = "tcp://bank.example:7000"

	deposit  uint64 = 0x112be134449d2d31
	withdraw uint64 = 0x553e53fc558bc271
)

func callerID() [16]byte {
	return [16]byte{0xa1, 0xb2, 0xc3, 0xd4, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}
}

func bankID() [16]byte {
	return [16]byte{15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0}
}

func accountID() [16]byte { return [16]byte{0x0b, 0x1e, 0xc7, 15: 1} }

// pipe is a transport.Network whose connections lead to the test.
type pipe struct{ end net.Conn }

func (p pipe) Dial(context.Context, string) (net.Conn, error) { return p.end, nil }
func (p pipe) Listen(string) (net.Listener, error)            { return nil, net.ErrClosed }

func checkGreeting(t *testing.T, b []byte) {
	ours, theirs := net.Pipe()
	defer ours.Close()
	got := make([]byte, len(b))
	done := make(chan error)
	go func() { // ends when the greeting has been exchanged, or the pipe is closed
		_, err := io.ReadFull(ours, got)
		ours.Write(b)
		done <- err
	}()
	conn, err := transport.NewSessions(pipe{theirs}).Dial(t.Context(), "tcp://pipe:1", transport.Greeting{Process: callerID()})
	if failed := errors.Join(err, <-done); failed != nil {
		t.Fatal(failed)
	}
	defer conn.Close()
	same(t, got, b)
	if conn.Peer().Process != callerID() {
		t.Errorf("the greeting was read as %x", conn.Peer().Process)
	}
}

func sampleHello() wire.Hello {
	return wire.Hello{
		VersionMin: 1, VersionMax: 1, Process: callerID(), Token: [16]byte(bytes.Repeat([]byte{0x11}, 16)),
		Endpoints: []string{"tcp://10.0.0.9:1"}, Probe: 5 * time.Second, Dead: 15 * time.Second, MessageBytes: 16 << 20,
	}
}

func sampleWelcome() wire.Welcome {
	return wire.Welcome{
		Version: 1, Process: bankID(), Token: [16]byte(bytes.Repeat([]byte{0x22}, 16)), Status: wire.StatusNew, Generation: 1,
		Endpoints: []string{bankEndpoint}, Probe: 5 * time.Second, Dead: 15 * time.Second, MessageBytes: 16 << 20,
	}
}

func sampleRefusal() wire.Welcome {
	return wire.Welcome{
		Version: 1, Process: bankID(), Status: wire.StatusRefused, Probe: 5 * time.Second, Dead: 15 * time.Second,
		Reason: "this process speaks version 1, the other versions 2 to 3", Refusal: uint8(refs.ErrVersion), MessageBytes: 16 << 20,
	}
}

func bulkKey() (key [16]byte) { return [16]byte(bytes.Repeat([]byte{0x33}, len(key))) }

func control(msg any) hexCheck {
	return func(t *testing.T, b []byte) {
		written, err := wire.AppendControl(nil, msg)
		if err != nil {
			t.Fatal(err)
		}
		same(t, written, b)
		wellformed(t, b[4:])
		if got, err := wire.ReadControl(bytes.NewReader(b)); err != nil || !reflect.DeepEqual(got, msg) {
			t.Errorf("it is read as\n%+v, %v\nwant\n%+v", got, err, msg)
		}
	}
}

// Frames.

// extensions returns a map as a later version may send it.
func extensions() map[string]bool { return map[string]bool{"x": true} }

// extended puts a map of extensions, if there is one, behind the header of a frame.
func extended(t *testing.T, frame []byte, header int, extensions map[string]bool) []byte {
	t.Helper()
	if extensions == nil {
		return frame
	}
	more, err := cbor.Marshal(extensions)
	if err != nil {
		t.Fatal(err)
	}
	frame = slices.Insert(frame, header, more...)
	frame[5] |= 0x80
	if err := wire.FinishFrame(frame); err != nil {
		t.Fatal(err)
	}
	return frame
}

func call(h wire.CallHeader, extensions map[string]bool) hexCheck {
	return func(t *testing.T, b []byte) {
		frame := extended(t, wire.AppendCallHeader(nil, h), wire.CallHeaderBytes, extensions)
		body := len(frame)
		var e wire.Encoder
		e.Reset(wire.NewCodec(wire.Limits{}), nil, nil, "argument", frame)
		e.Int64(250)
		frame, err := e.Finish()
		if err == nil {
			err = wire.FinishFrame(frame)
		}
		if err != nil {
			t.Fatal(err)
		}
		same(t, frame, b)
		wellformed(t, b[body:])

		got, args, err := wire.ParseCall(alone(t, b, kindOf(h)))
		if extensions != nil {
			h.Extensions = b[wire.CallHeaderBytes:body]
		}
		if err != nil || !reflect.DeepEqual(got, h) || !bytes.Equal(args, b[body:]) {
			t.Errorf("it is read as\n%+v, % x, %v\nwant\n%+v", got, args, err, h)
		}
		var d wire.Decoder
		var cents int64
		d.Reset(wire.NewCodec(wire.Limits{}), nil, nil, "argument", args)
		d.Int64(&cents)
		if err := d.Finish(); err != nil || cents != 250 {
			t.Errorf("the argument is read as %d, %v", cents, err)
		}
	}
}

func kindOf(h wire.CallHeader) wire.FrameKind {
	if h.OneWay {
		return wire.OneWayFrame
	}
	return wire.CallFrame
}

func metadata(h wire.CallHeader, want wire.Metadata) hexCheck {
	return func(t *testing.T, b []byte) {
		if h.Method, h.Extensions = deposit, wire.AppendMetadata(nil, want); h.Object == [16]byte{} {
			h.Object = accountID()
		}
		call(h, nil)(t, b)
		wellformed(t, h.Extensions)
		if got, err := wire.ReadMetadata(h.Extensions, 100); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("the extensions are read as %+v, %v; want %+v", got, err, want)
		}
	}
}

func checkRow(t *testing.T, b []byte) {
	want := wire.RowHeader{Place: 3, Object: accountID(), Method: deposit}
	args := [][]byte{{0x81, 0x18, 0xfa}, {0x81, 0x18, 0xfb}}
	frame := wire.AppendRowHeader(nil, want)
	for _, one := range args {
		frame = wire.AppendInRow(frame, one)
	}
	if err := wire.FinishFrame(frame); err != nil {
		t.Fatal(err)
	}
	same(t, frame, b)
	got, calls, count, err := wire.ParseRow(alone(t, b, wire.RowFrame))
	if err != nil || got != want || count != len(args) {
		t.Fatalf("it is read as %+v, %d calls, %v; want %+v", got, count, err, want)
	}
	for _, one := range args {
		var first []byte
		if first, calls = wire.NextInRow(calls); !bytes.Equal(first, one) {
			t.Errorf("a call is read as % x; want % x", first, one)
		}
	}
}

func checkDone(t *testing.T, b []byte) {
	want := wire.DoneHeader{Sequence: 2, Object: accountID(), Method: deposit}
	frame := wire.AppendDone(nil, want)
	if err := wire.FinishFrame(frame); err != nil {
		t.Fatal(err)
	}
	same(t, frame, b)
	if got, item, err := wire.ParseDone(alone(t, b, wire.DoneFrame)); err != nil || got != want || len(item) > 0 {
		t.Errorf("it is read as %+v, % x, %v; want %+v", got, item, err, want)
	}
}

func checkForget(t *testing.T, b []byte) {
	want := wire.CancelHeader{Number: 11}
	same(t, wire.AppendForget(nil, want), b)
	if got, err := wire.ParseForget(alone(t, b, wire.ForgetFrame)); err != nil || got != want {
		t.Errorf("it is read as %+v, %v; want %+v", got, err, want)
	}
}

func checkItems(t *testing.T, b []byte) {
	want := wire.ItemsHeader{Stream: wire.StreamID{Call: 1}, Items: 2}
	frame := append(wire.AppendItemsHeader(nil, want), 0x81, 7, 0x81, 0x18, 250)
	if err := wire.FinishFrame(frame); err != nil {
		t.Fatal(err)
	}
	same(t, frame, b)
	got, body, err := wire.ParseItems(alone(t, b, wire.ItemsFrame))
	if err != nil || got != want {
		t.Errorf("it is read as %+v, %v; want %+v", got, err, want)
	}
	var items []int64
	for range got.Items {
		var d wire.Decoder
		var item int64
		d.Reset(wire.NewCodec(wire.Limits{}), nil, nil, "item", body)
		if d.Int64(&item); d.Finish() != nil {
			t.Fatal(d.Err)
		}
		items, body = append(items, item), d.Rest()
	}
	if !slices.Equal(items, []int64{7, 250}) || len(body) > 0 {
		t.Errorf("its items are %v, and % x", items, body)
	}
}

func checkCredit(t *testing.T, b []byte) {
	want := wire.Credit{Stream: wire.StreamID{Call: 1, Own: true}, Items: 8320, Bytes: 1_081_344}
	same(t, wire.AppendCredit(nil, want), b)
	if got, err := wire.ParseCredit(alone(t, b, wire.CreditFrame)); err != nil || got != want {
		t.Errorf("it is read as %+v, %v; want %+v", got, err, want)
	}
}

func checkEnd(t *testing.T, b []byte) {
	want := wire.EndHeader{Stream: wire.StreamID{Call: 1}, Sequence: 1}
	frame := wire.AppendEnd(nil, want)
	if err := wire.FinishFrame(frame); err != nil {
		t.Fatal(err)
	}
	same(t, frame, b)
	if got, item, err := wire.ParseEnd(alone(t, b, wire.EndFrame)); err != nil || got != want || len(item) > 0 {
		t.Errorf("it is read as %+v, % x, %v; want %+v", got, item, err, want)
	}
}

func checkCalls(t *testing.T, b []byte) {
	one := b[8:]
	call(wire.CallHeader{Number: 1, Object: accountID(), Method: deposit}, nil)(t, one)
	frame := wire.AppendCalls(nil, [][]byte{one})
	if err := wire.FinishFrame(frame); err != nil {
		t.Fatal(err)
	}
	same(t, frame, b)
	calls, err := wire.ParseCalls(alone(t, b, wire.CallsFrame))
	if err != nil {
		t.Fatal(err)
	}
	if got, rest, err := wire.NextCall(calls); err != nil || !bytes.Equal(got, one) || len(rest) > 0 {
		t.Errorf("it is read as % x, % x, %v", got, rest, err)
	}
}

func checkProbe(t *testing.T, b []byte) {
	want := wire.Probe{Hops: 1, Number: 10, Rank: 99, Path: []uint64{7}}
	same(t, wire.AppendProbe(nil, want), b)
	if got, err := wire.ParseProbe(alone(t, b, wire.ProbeFrame)); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("it is read as %+v, %v; want %+v", got, err, want)
	}
}

// alone reads a frame as a lane does, and checks that it is one.
func alone(t *testing.T, b []byte, want wire.FrameKind) []byte {
	t.Helper()
	r := bytes.NewReader(b)
	kind, frame, err := testobj.ReadFrame(r)
	if err != nil || kind != want {
		t.Fatalf("the lane reads %v, %v; want %v", kind, err, want)
	}
	if r.Len() > 0 {
		t.Errorf("%d bytes follow the frame", r.Len())
	}
	return frame
}

func bankTable(t *testing.T) *wire.Table {
	t.Helper()
	table, err := wire.NewTable(nil, accounts{}.Types())
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func reply(h wire.ReplyHeader, result int64, failed error) hexCheck {
	return func(t *testing.T, b []byte) {
		codec, table := wire.NewCodec(wire.Limits{}), bankTable(t)
		frame := wire.AppendReplyHeader(nil, h)
		if failed != nil {
			frame = wire.AppendError(codec, table, nil, frame, failed)
			wellformed(t, frame[wire.ReplyHeaderBytes:])
		}
		results := len(frame)
		var e wire.Encoder
		e.Reset(codec, table, nil, "result", frame)
		e.Int64(result)
		frame, err := e.Finish()
		if err == nil {
			err = wire.FinishFrame(frame)
		}
		if err != nil {
			t.Fatal(err)
		}
		wellformed(t, frame[results:])
		same(t, frame, b)
		readReply(t, b, h, result, failed)
		readReply(t, extended(t, bytes.Clone(b), wire.ReplyHeaderBytes, extensions()), h, result, failed)
	}
}

func readReply(t *testing.T, b []byte, want wire.ReplyHeader, result int64, failed error) {
	t.Helper()
	codec, table := wire.NewCodec(wire.Limits{}), bankTable(t)
	h, body, err := wire.ParseReply(alone(t, b, wire.ReplyFrame))
	if err != nil || h != want {
		t.Fatalf("it is read as %+v, %v; want %+v", h, err, want)
	}
	if failed != nil {
		var got error
		if got, body, err = wire.ReadError(codec, table, nil, body); got != failed || err != nil {
			t.Errorf("the error is read as %v, %v", got, err)
		}
	}
	var d wire.Decoder
	var n int64
	d.Reset(codec, table, nil, "result", body)
	d.Int64(&n)
	if err := d.Finish(); err != nil || n != result || len(d.Rest()) > 0 {
		t.Errorf("the result is read as %d, %v, with % x behind it", n, err, d.Rest())
	}
}

// checkRefusal looks at what of a refusal is below the node; checkServed has a node write it.
func checkRefusal(t *testing.T, b []byte) {
	h, body, err := wire.ParseReply(alone(t, b, wire.ReplyFrame))
	want := wire.ReplyHeader{Flags: wire.ReplyError | wire.ReplyRuntime | wire.ReplyNotStarted, Slot: 2}
	if err != nil || h != want {
		t.Fatalf("it is read as %+v, %v; want %+v", h, err, want)
	}
	checkRuntimeError(t, body)
}

// checkRuntimeError looks at an rmi.Error as one who does not know the type; checkServed has a node write it and
// checkCalling has one read it.
func checkRuntimeError(t *testing.T, b []byte) {
	wellformed(t, b)
	err, rest, bad := wire.ReadError(wire.NewCodec(wire.Limits{}), nil, nil, b)
	var remote *wire.RemoteError
	if bad != nil || len(rest) > 0 || !errors.As(err, &remote) || remote.Type != "rmi.Error" || !strings.HasPrefix(remote.Message, "rmi: no such") {
		t.Errorf("it is read as %+v, %v, with % x behind it", err, bad, rest)
	}
}

// refusing is an account whose methods return an error.
type refusing struct{ err error }

func (r *refusing) Deposit(context.Context, int64) (int64, error)  { return 0, r.err }
func (r *refusing) Withdraw(context.Context, int64) (int64, error) { return 0, r.err }

// checkPassedError has a node return an rmi.Error from a method, and receive one from a method.
func checkPassedError(t *testing.T, b []byte) {
	node := newNode(t, refs.Options{})
	passed := &refs.Error{
		Op: "call", Ref: reference(t, bankEndpoint, bankID()), Method: "bank.Account.Deposit", Kind: refs.ErrUnreachable, NotRun: true,
		Err: errors.New("connection refused"),
	}
	if _, err := node.ExportAt(accountID(), refs.Pinned, refs.ExportOptions{}, remoteAccount(), account(&refusing{passed})); err != nil {
		t.Fatal(err)
	}
	session, control := dial(t, node)
	say(t, control, sampleHello())
	lane, err := session.Open()
	if err != nil {
		t.Fatal(err)
	}
	if msg, err := wire.ReadControl(control); err != nil {
		t.Fatalf("the answer is %+v, %v", msg, err)
	}
	doc := readDocument(t)
	if _, err := lane.Write(doc.bytes(t, doc.examples["call"])); err != nil {
		t.Fatal(err)
	}
	_, frame, err := testobj.ReadFrame(lane)
	if err != nil {
		t.Fatal(err)
	}
	h, body, err := wire.ParseReply(frame)
	if want := wire.ReplyResults | wire.ReplyError; err != nil || h.Flags != want {
		t.Fatalf("the reply is %+v, %v; want flags %d", h, err, want)
	}
	same(t, body, append(bytes.Clone(b), arrayOfOne, 0))

	object, err := node.Resolve(remoteAccount(), reference(t, bankEndpoint, callerID()))
	if err != nil {
		t.Fatal(err)
	}
	outcome := make(chan error, 1)
	go func() { // ends with the reply, or the node
		_, err := object.(account).Deposit(context.Background(), 250)
		outcome <- err
	}()
	if _, frame, err = testobj.ReadFrame(lane); err != nil {
		t.Fatal(err)
	}
	asked, _, err := wire.ParseCall(frame)
	if err != nil {
		t.Fatal(err)
	}
	reply := append(wire.AppendReplyHeader(nil, wire.ReplyHeader{Flags: wire.ReplyError, Slot: asked.Slot}), b...)
	if err := wire.FinishFrame(reply); err != nil {
		t.Fatal(err)
	}
	if _, err := lane.Write(reply); err != nil {
		t.Fatal(err)
	}
	err = <-outcome
	var got *refs.Error
	if !errors.As(err, &got) || err.Error() != passed.Error() || got.On != passed.Ref.String() || !got.Ref.IsZero() || !refs.MayHaveRun(err) {
		t.Errorf("it is read as\n%v, %+v\nwant\n%v, without the reference, and that the call may have run", err, got, passed)
	}
}

func cancel(extensions map[string]bool) hexCheck {
	return func(t *testing.T, b []byte) {
		frame := wire.AppendCancel(nil, wire.CancelHeader{Number: 3})
		same(t, extended(t, frame, wire.CancelHeaderBytes, extensions), b)
		if h, err := wire.ParseCancel(alone(t, b, wire.CancelFrame)); err != nil || h.Number != 3 {
			t.Errorf("it is read as %+v, %v", h, err)
		}
	}
}

// Values.

type orderLine struct {
	SKU   string
	Count uint8 `cbor:"n"`
}

type order struct {
	ID    int64
	Lines []orderLine
	Note  *string
	Paid  bool
}

// written returns a body that is made by put.
func written(t *testing.T, table *wire.Table, objects wire.Objects, put func(e *wire.Encoder)) []byte {
	t.Helper()
	var e wire.Encoder
	e.Reset(wire.NewCodec(wire.Limits{}), table, objects, "argument", nil)
	put(&e)
	b, err := e.Finish()
	if err != nil {
		t.Fatal(err)
	}
	wellformed(t, b)
	return b
}

// read reads a body by get.
func read(t *testing.T, table *wire.Table, objects wire.Objects, body []byte, get func(d *wire.Decoder)) {
	t.Helper()
	var d wire.Decoder
	d.Reset(wire.NewCodec(wire.Limits{}), table, objects, "argument", body)
	get(&d)
	if err := d.Finish(); err != nil || len(d.Rest()) > 0 {
		t.Errorf("it is not read: %v, with % x behind it", err, d.Rest())
	}
}

const arrayOfOne = 0x81

// value checks an example that is one item.
func value[T any](want T) hexCheck {
	return func(t *testing.T, b []byte) {
		body := append([]byte{arrayOfOne}, b...)
		same(t, written(t, nil, nil, func(e *wire.Encoder) { e.Value(want) }), body)
		var got T
		read(t, nil, nil, body, func(d *wire.Decoder) { d.Value(&got) })
		if !reflect.DeepEqual(got, want) {
			t.Errorf("it is read as %#v, want %#v", got, want)
		}
	}
}

func checkScalars(t *testing.T, b []byte) {
	type all struct {
		B  bool
		I8 int8
		U  uint64
		F  float32
		G  float64
		S  string
		X  string
		Y  []byte
		Z  []byte
		D  time.Duration
	}
	want := all{true, -100, math.MaxUint64, 1.5, math.Copysign(0, -1), "é", "\xc3\x28", []byte{1, 2, 3}, nil, time.Second}
	same(t, written(t, nil, nil, func(e *wire.Encoder) {
		e.Bool(want.B)
		e.Int8(want.I8)
		e.Uint64(want.U)
		e.Float32(want.F)
		e.Float64(want.G)
		e.String(want.S)
		e.String(want.X)
		e.Bytes(want.Y)
		e.Bytes(want.Z)
		e.Int64(int64(want.D))
	}), b)
	var got all
	read(t, nil, nil, b, func(d *wire.Decoder) {
		d.Bool(&got.B)
		d.Int8(&got.I8)
		d.Uint64(&got.U)
		d.Float32(&got.F)
		d.Float64(&got.G)
		d.String(&got.S)
		d.String(&got.X)
		d.Bytes(&got.Y)
		d.Bytes(&got.Z)
		d.Int64((*int64)(&got.D))
	})
	if !reflect.DeepEqual(got, want) || !math.Signbit(got.G) {
		t.Errorf("they are read as %+v, want %+v", got, want)
	}
}

func checkPointers(t *testing.T, b []byte) {
	five, list := 5, []int(nil)
	same(t, written(t, nil, nil, func(e *wire.Encoder) {
		e.Value(&five)
		e.Value((*int)(nil))
		e.Value(&list)
		e.Value((*[]int)(nil))
	}), b)
	var a, nilA *int
	var l, nilL *[]int
	read(t, nil, nil, b, func(d *wire.Decoder) {
		d.Value(&a)
		d.Value(&nilA)
		d.Value(&l)
		d.Value(&nilL)
	})
	if a == nil || *a != 5 || nilA != nil || l == nil || *l != nil || nilL != nil {
		t.Errorf("they are read as %v, %v, %v, %v", a, nilA, l, nilL)
	}
}

type ring struct{ Next *ring }

func checkShared(t *testing.T, b []byte) {
	type pair struct{ A, B *orderLine }
	line := &orderLine{SKU: "x"}
	body := append([]byte{arrayOfOne}, b...)
	same(t, written(t, nil, nil, func(e *wire.Encoder) { e.Value(pair{line, line}) }), body)
	var got pair
	read(t, nil, nil, body, func(d *wire.Decoder) { d.Value(&got) })
	if got.A != got.B || got.A == nil || *got.A != *line {
		t.Errorf("it is read as %+v, %+v; want one line twice", got.A, got.B)
	}
}

func checkCycle(t *testing.T, b []byte) {
	loop := &ring{}
	loop.Next = &ring{loop}
	body := append([]byte{arrayOfOne}, b...)
	same(t, written(t, nil, nil, func(e *wire.Encoder) { e.Value(loop) }), body)
	var got *ring
	read(t, nil, nil, body, func(d *wire.Decoder) { d.Value(&got) })
	if got == nil || got.Next == got || got.Next.Next != got {
		t.Errorf("it is read as %+v, want a ring of two", got)
	}
}

func checkSharedArguments(t *testing.T, b []byte) {
	numbers := []int{1, 2}
	same(t, written(t, nil, nil, func(e *wire.Encoder) {
		e.Value(numbers)
		e.Bool(true)
		e.Value(numbers)
	}), b)
	var first, second []int
	var truth bool
	read(t, nil, nil, b, func(d *wire.Decoder) {
		d.Value(&first)
		d.Bool(&truth)
		d.Value(&second)
	})
	if !truth || !slices.Equal(first, numbers) || &first[0] != &second[0] {
		t.Errorf("they are read as %v and %v", first, second)
	}
}

func checkBodies(t *testing.T, b []byte) {
	var list *ring
	for range 30 {
		list = &ring{list}
	}
	same(t, written(t, nil, nil, func(e *wire.Encoder) { e.Value(list) }), b)
	var got *ring
	read(t, nil, nil, b, func(d *wire.Decoder) { d.Value(&got) })
	length := 0
	for ; got != nil; got = got.Next {
		length++
	}
	if length != 30 {
		t.Errorf("it is read as a list of %d", length)
	}
}

func checkInterfaces(t *testing.T, b []byte) {
	table, err := wire.NewTable(nil, []wire.Type{wire.ValueType{Path: "*example.com/shop.Line", Type: reflect.TypeFor[*orderLine]()}})
	if err != nil {
		t.Fatal(err)
	}
	line := &orderLine{SKU: "x"}
	want := []any{nil, 5, "x", []any{}, int8(3), line, line, io.EOF}
	body := append([]byte{arrayOfOne}, b...)
	same(t, written(t, table, nil, func(e *wire.Encoder) { e.Value(want) }), body)
	var got []any
	read(t, table, nil, body, func(d *wire.Decoder) { d.Value(&got) })
	if !reflect.DeepEqual(got, want) || got[5] != got[6] {
		t.Errorf("they are read as %v, want %v", got, want)
	}
}

// remotes is a wire.Objects with one object.
type remotes struct{ record wire.Record }

type remoteThing struct{}

func (remoteThing) Deposit(context.Context, int64) (int64, error)  { return 0, nil }
func (remoteThing) Withdraw(context.Context, int64) (int64, error) { return 0, nil }

func (r *remotes) Export(wire.Type, any) (wire.Record, error) { return r.record, nil }

func (r *remotes) Import(_ wire.Type, got wire.Record) (any, error) {
	if !reflect.DeepEqual(got, r.record) {
		return nil, fmt.Errorf("the record is read as %+v, want %+v", got, r.record)
	}
	return remoteThing{}, nil
}

func (r *remotes) Known(wire.Type, any) (wire.Record, bool) { return wire.Record{}, false }
func (r *remotes) Exported(any) bool                        { return false }
func (r *remotes) Home(wire.Record) (any, bool)             { return nil, false }

func checkReference(t *testing.T, b []byte) {
	objects := &remotes{wire.Record{Process: bankID(), Object: accountID(), Endpoints: []string{bankEndpoint}, Interfaces: []string{accountFace}}}
	body := append([]byte{arrayOfOne}, b...)
	same(t, written(t, nil, objects, func(e *wire.Encoder) { e.Remote(remoteAccount(), remoteThing{}) }), body)
	read(t, nil, objects, body, func(d *wire.Decoder) {
		if got := d.Remote(remoteAccount()); got != (remoteThing{}) {
			t.Errorf("it is read as %v", got)
		}
	})
}

func failure(want error) hexCheck {
	return func(t *testing.T, b []byte) {
		codec, table := wire.NewCodec(wire.Limits{}), bankTable(t)
		same(t, wire.AppendError(codec, table, nil, nil, want), b)
		wellformed(t, b)
		if got, rest, err := wire.ReadError(codec, table, nil, b); err != nil || len(rest) > 0 || !reflect.DeepEqual(got, want) {
			t.Errorf("it is read as %#v, %v, with % x behind it; want %#v", got, err, rest, want)
		}
	}
}

// Texts.

// packages imports what the signatures of the document name.
type packages struct{ fset *token.FileSet }

func (p packages) Import(name string) (*types.Package, error) {
	source := map[string]string{
		"context":          "type Context interface{ Err() error }",
		"time":             "type Time struct{}",
		"example.com/shop": "type Order struct{}; type Receipt struct{}",
	}[name]
	return p.check(name, "package "+path.Base(name)+"\n"+source)
}

func (p packages) check(name, source string) (*types.Package, error) {
	f, err := parser.ParseFile(p.fset, name, source, 0)
	if err != nil {
		return nil, err
	}
	return (&types.Config{Importer: p, DisableUnusedImportCheck: true}).Check(name, p.fset, []*ast.File{f}, nil)
}

func checkMethod(t *testing.T, lines []string) {
	if len(lines) != 3 {
		t.Fatalf("%d lines: write the method in Go, its text and its id", len(lines))
	}
	method, ok := strings.CutPrefix(lines[0], "func ")
	if !ok {
		t.Fatalf("%q is no method", lines[0])
	}
	pkg, err := packages{token.NewFileSet()}.check("example.com/bank", `package bank
import ("context"; "time"; "example.com/shop")
type Account interface{ `+method+` }`)
	if err != nil {
		t.Fatal(err)
	}
	face := pkg.Scope().Lookup("Account").Type().Underlying().(*types.Interface)
	if text, id := gen.MethodID(face.Method(0)); text != lines[1] || fmt.Sprintf("%016x", id) != lines[2] {
		t.Errorf("the text is\n%s\nand the id %016x", text, id)
	}
}

func checkReferenceText(t *testing.T, lines []string) {
	var ref refs.Ref
	if err := ref.UnmarshalText([]byte(lines[0])); err != nil || len(lines) != 1 {
		t.Fatalf("%d lines, %v", len(lines), err)
	}
	if ref.ID() != (refs.ID{Process: bankID(), Object: accountID()}) ||
		!slices.Equal(ref.Endpoints(), []string{bankEndpoint}) || !slices.Equal(ref.Interfaces(), []string{accountFace}) {
		t.Errorf("it is read as %x, at %v, as %v", ref.ID(), ref.Endpoints(), ref.Interfaces())
	}
	if text, err := ref.MarshalText(); err != nil || string(text) != lines[0] {
		t.Errorf("it is written as %s, %v", text, err)
	}
}

// Conversations with a node. What follows is what rmigen would make of
//
//	type account interface {
//		Deposit(ctx context.Context, cents int64) (balance int64, err error)
//		Withdraw(ctx context.Context, cents int64) (balance int64, err error)
//	}

type account interface {
	Deposit(ctx context.Context, cents int64) (int64, error)
	Withdraw(ctx context.Context, cents int64) (int64, error)
}

var errNoFunds = errors.New("no funds")

func remoteAccount() *skeleton.Interface[account] {
	return &skeleton.Interface[account]{
		Path: accountFace,
		Methods: []skeleton.Method{
			{ID: deposit, Signature: "Deposit(int64) (int64, error)"},
			{ID: withdraw, Signature: "Withdraw(int64) (int64, error)"},
		},
		Stub:    func(r stub.Ref) account { return accountStub{r} },
		Servant: accounts{},
	}
}

type accountStub struct{ stub.Ref }

func (s accountStub) Deposit(ctx context.Context, cents int64) (int64, error) {
	return s.call(ctx, deposit, cents)
}

func (s accountStub) Withdraw(ctx context.Context, cents int64) (int64, error) {
	return s.call(ctx, withdraw, cents)
}

func (s accountStub) call(ctx context.Context, method uint64, cents int64) (balance int64, err error) {
	call := s.Ref.Call(ctx, method)
	call.Args.Int64(cents)
	call.Invoke()
	call.Results.Int64(&balance)
	return balance, call.Finish()
}

type accounts struct{}

func (accounts) Types() []skeleton.Type {
	return []skeleton.Type{skeleton.Sentinel("example.com/bank.ErrNoFunds", errNoFunds)}
}

func (accounts) Dispatch(ctx context.Context, impl account, call *skeleton.Call) error {
	method := map[uint64]func(context.Context, int64) (int64, error){deposit: impl.Deposit, withdraw: impl.Withdraw}[call.Method]
	var cents int64
	call.Args.Int64(&cents)
	if err := call.Begin(); err != nil {
		return err
	}
	balance, err := method(ctx, cents)
	call.Results.Int64(balance)
	return err
}

// purse is an account.
type purse struct {
	mu    sync.Mutex
	cents int64
}

func (p *purse) Deposit(_ context.Context, cents int64) (int64, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cents += cents
	return p.cents, nil
}

func (p *purse) Withdraw(_ context.Context, cents int64) (int64, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cents < cents {
		return p.cents, errNoFunds
	}
	p.cents -= cents
	return p.cents, nil
}

func newNode(t *testing.T, o refs.Options) *refs.Node {
	t.Helper()
	o.Logger = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
	n, err := refs.New(o, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close() })
	return n
}

// patience is how long a conversation may take before the test gives up.
const patience = 20 * time.Second

// play sends the lines of one side, reads and compares those of the other, and returns the bytes that vary. The function for
// the name of an example is called before the first line that mentions it.
func play(t *testing.T, conn net.Conn, dialler bool, lines []line, before map[string]func()) (varying []byte) {
	t.Helper()
	conn.SetDeadline(time.Now().Add(patience))
	r := bufio.NewReader(conn)
	for _, l := range lines {
		for _, name := range l.names {
			if f := before[name]; f != nil {
				f()
			}
		}
		if l.dialler == dialler {
			if _, err := conn.Write(l.data); err != nil {
				t.Fatalf("PROTOCOL.md:%d: %v", l.at, err)
			}
			continue
		}
		got := make([]byte, len(l.data))
		if n, err := io.ReadFull(r, got); err != nil {
			t.Fatalf("PROTOCOL.md:%d: the node sent % x and then %v", l.at, got[:n], err)
		}
		for i, varies := range l.varies {
			if varies {
				varying = append(varying, got[i])
				l.data[i] = got[i]
			}
		}
		if !bytes.Equal(got, l.data) {
			more, _ := r.Peek(r.Buffered())
			t.Fatalf("PROTOCOL.md:%d: the node sent\n% x\nand then % x; the document says\n% x", l.at, got, more, l.data)
		}
	}
	return varying
}

func checkServed(t *testing.T, lines []line) {
	node := newNode(t, refs.Options{Advertise: []string{bankEndpoint}})
	if _, err := node.ExportAt(accountID(), refs.Pinned, refs.ExportOptions{}, remoteAccount(), account(&purse{cents: 250})); err != nil {
		t.Fatal(err)
	}
	endpoint, err := node.Listen("tcp://127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", strings.TrimPrefix(endpoint, "tcp://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	varying := play(t, conn, true, lines, nil)
	id := node.ID()
	if len(varying) != 48 || !bytes.Equal(varying[:16], id[:]) || !bytes.Equal(varying[16:32], id[:]) {
		t.Errorf("greeting, process and token are %x; the node is %x", varying, id[:])
	}
}

func checkCalling(t *testing.T, lines []line) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	listener.(*net.TCPListener).SetDeadline(time.Now().Add(patience))
	node := newNode(t, refs.Options{})
	object, err := node.Resolve(remoteAccount(), reference(t, "tcp://"+listener.Addr().String(), bankID()))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	outcome := make(chan error, 1)
	go func() { // ends when the node does
		outcome <- callThrice(ctx, object.(account))
	}()
	conn, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	varying := play(t, conn, false, lines, map[string]func(){"cancel": cancel})
	id := node.ID()
	if len(varying) != 48 || !bytes.Equal(varying[:16], id[:]) || !bytes.Equal(varying[16:32], id[:]) {
		t.Errorf("greeting, process and token are %x; the node is %x", varying, id[:])
	}
	if err := <-outcome; err != nil {
		t.Error(err)
	}
}

// reference returns the reference of the account of a process at an endpoint.
func reference(t *testing.T, endpoint string, process [16]byte) (ref refs.Ref) {
	t.Helper()
	object := accountID()
	if err := ref.UnmarshalText(fmt.Appendf(nil, "rmi-ref:%x/%x?at=%s&as=%s", process[:], object[:], endpoint, accountFace)); err != nil {
		t.Fatal(err)
	}
	return ref
}

// callThrice makes the calls of the conversation; ctx ends during the third.
func callThrice(ctx context.Context, remote account) error {
	balance, err := remote.Deposit(context.Background(), 250)
	if balance != 500 || err != nil {
		return fmt.Errorf("the first call: %d, %w; want 500", balance, err)
	}
	_, err = remote.Withdraw(context.Background(), 1000)
	var typed *refs.Error
	if !errors.As(err, &typed) || typed.Kind != refs.ErrNoSuchMethod || !typed.Remote || refs.MayHaveRun(err) ||
		!strings.Contains(err.Error(), "the object has Withdraw(int64) (int64, error)") {
		return fmt.Errorf("the second call: %w; want ErrNoSuchMethod, not run, with the object's method", err)
	}
	if _, err = remote.Deposit(ctx, 250); !errors.Is(err, context.Canceled) || !refs.MayHaveRun(err) {
		return fmt.Errorf("the third call: %w; want context.Canceled, may have run", err)
	}
	return nil
}

// dial greets a node, and returns a new stream to it.
func dial(t *testing.T, node *refs.Node) (transport.Session, transport.Stream) {
	t.Helper()
	endpoint, err := node.Listen("tcp://127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	conn, err := transport.NewSessions(nil).Dial(t.Context(), endpoint, transport.Greeting{Process: callerID()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	session, err := conn.Session()
	if err != nil {
		t.Fatal(err)
	}
	stream, err := session.Open()
	if err != nil {
		t.Fatal(err)
	}
	return session, stream
}

func say(t *testing.T, control io.Writer, msg any) {
	t.Helper()
	b, err := wire.AppendControl(nil, msg)
	if err == nil {
		_, err = control.Write(b)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestAVersionThatNobodySpeaksIsRefusedInWords(t *testing.T) {
	leak.Check(t)
	_, stream := dial(t, newNode(t, refs.Options{Advertise: []string{bankEndpoint}}))
	// A HELLO as a later version may write it: versions 2 to 3, and one field more.
	hello := sampleHello()
	hello.VersionMin, hello.VersionMax = 2, 3
	b, err := wire.AppendControl(nil, hello)
	if err != nil {
		t.Fatal(err)
	}
	b[4]++
	b = append(b, 0xa0)
	binary.BigEndian.PutUint32(b, uint32(len(b)-4))
	if _, err := stream.Write(b); err != nil {
		t.Fatal(err)
	}
	msg, err := wire.ReadControl(stream)
	if w, ok := msg.(wire.Welcome); err != nil || !ok || w.Status != wire.StatusRefused || w.Version != 1 ||
		refs.Kind(w.Refusal) != refs.ErrVersion || w.Token != [16]byte{} || w.Reason == "" || len(w.Endpoints) > 0 {
		t.Errorf("the answer is %+v, %v; want a refusal of kind %d in words, which tells nothing else", msg, err, refs.ErrVersion)
	}
}

func TestAGenerationOutOfBoundsIsRefused(t *testing.T) {
	leak.Check(t)
	_, stream := dial(t, newNode(t, refs.Options{}))
	hello := sampleHello()
	hello.Generation = 1 << 62
	say(t, stream, hello)
	msg, err := wire.ReadControl(stream)
	if w, ok := msg.(wire.Welcome); err != nil || !ok || w.Status != wire.StatusRefused || refs.Kind(w.Refusal) != refs.ErrProtocol {
		t.Errorf("the answer is %+v, %v; want a refusal of kind %d", msg, err, refs.ErrProtocol)
	}
}

func TestBytesBehindTheArgumentsAreRefused(t *testing.T) {
	leak.Check(t)
	node := newNode(t, refs.Options{})
	if _, err := node.ExportAt(accountID(), refs.Pinned, refs.ExportOptions{}, remoteAccount(), account(&purse{cents: 250})); err != nil {
		t.Fatal(err)
	}
	session, control := dial(t, node)
	say(t, control, sampleHello())
	lane, err := session.Open()
	if err != nil {
		t.Fatal(err)
	}
	if msg, err := wire.ReadControl(control); err != nil {
		t.Fatalf("the answer is %+v, %v", msg, err)
	}
	doc := readDocument(t)
	frame := append(doc.bytes(t, doc.examples["call"]), 0xf6)
	if err := wire.FinishFrame(frame); err != nil {
		t.Fatal(err)
	}
	if _, err := lane.Write(frame); err != nil {
		t.Fatal(err)
	}
	_, frame, err = testobj.ReadFrame(lane)
	if err != nil {
		t.Fatal(err)
	}
	h, body, err := wire.ParseReply(frame)
	if want := wire.ReplyError | wire.ReplyRuntime | wire.ReplyNotStarted; err != nil || h.Flags != want {
		t.Fatalf("the reply is %+v, %v; want flags %d", h, err, want)
	}
	failed, rest, err := wire.ReadError(wire.NewCodec(wire.Limits{}), nil, nil, body)
	if err != nil || len(rest) > 0 || !strings.Contains(failed.Error(), refs.ErrUnmarshal.Error()) {
		t.Errorf("the error is %v, %v, with % x behind it; want %v", failed, err, rest, refs.ErrUnmarshal)
	}
}

func TestANodeThatShutsDownSaysSoInItsBye(t *testing.T) {
	leak.Check(t)
	node := newNode(t, refs.Options{})
	session, control := dial(t, node)
	hello := sampleHello()
	hello.Generation = 5
	say(t, control, hello)
	if _, err := session.Open(); err != nil {
		t.Fatal(err)
	}
	msg, err := wire.ReadControl(control)
	if w, ok := msg.(wire.Welcome); err != nil || !ok || w.Status != wire.StatusGone || w.Generation != 6 {
		t.Fatalf("the answer is %+v, %v; want GONE and generation 6", msg, err)
	}
	say(t, control, wire.Ping{}) // by the PONG the connection is the node's
	if msg, err := wire.ReadControl(control); err != nil || msg != (wire.Pong{}) {
		t.Fatalf("the answer is %+v, %v; want PONG", msg, err)
	}
	down := make(chan error, 1)
	go func() { down <- node.Shutdown(t.Context()) }() // ends when both have said BYE, or with the test
	if msg, err := wire.ReadControl(control); err != nil || msg != (wire.Bye{Leaving: true}) {
		t.Errorf("the node says %+v, %v; want a BYE that says that it leaves", msg, err)
	}
	say(t, control, wire.Bye{})
	session.Close() // the dialler closes
	if err := <-down; err != nil {
		t.Error(err)
	}
}
