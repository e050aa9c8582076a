package wire

import (
	"bytes"
	"errors"
	"io"
	"math"
	"math/big"
	"net/netip"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"
)

func newBig() *big.Int { return new(big.Int) }

// rich has a field of each way in which a value can travel.
type rich struct {
	Base
	Bool    bool
	Int     int16
	Uint    uint32
	F32     float32
	F64     float64
	Complex complex64
	Text    string
	Bytes   []byte
	Digest  digest
	Time    time.Time
	Big     *big.Int
	Link    *url.URL
	Addr    netip.Addr
	Sealed  *sealed
	Error   error
	Errors  []error
	Thing   remoteThing
	Nodes   []*node
	Words   []string
	Numbers []int64
	Maps    map[string]map[int]bool
	Pairs   map[float64]string
	Grid    [2][]uint8
	Pointer **[]string
}

func sampleRich() rich {
	words := []string{"a", "\xff"}
	pointer := &words
	return rich{
		Base: Base{1}, Bool: true, Int: -300, Uint: math.MaxUint32, F32: 1.5, F64: math.Copysign(0, -1), Complex: 1i,
		Text: "text", Bytes: []byte{}, Digest: digest{1}, Time: time.Unix(5, 6).In(time.FixedZone("", 60)),
		Big: new(big.Int).Lsh(big.NewInt(-1), 70), Link: &url.URL{Host: "h", User: url.UserPassword("u", "p")},
		Addr: netip.MustParseAddr("::1"), Sealed: &sealed{"s"}, Error: io.EOF,
		Errors: []error{nil, &overdrawn{1, errors.Join(io.EOF, errNoFunds)}, &coded{"E"}, errors.New("plain")},
		Nodes:  []*node{{Name: "n", By: map[string]*node{"k": {}}}, nil}, Words: words, Numbers: []int64{-1, math.MaxInt64},
		Maps: map[string]map[int]bool{"m": {-1: true, 5: false}, "": nil}, Pairs: map[float64]string{1.5: "p"},
		Grid: [2][]uint8{{1}, nil}, Pointer: &pointer,
	}
}

// FuzzDecode: whatever the bytes, nothing panics and no limit is passed; and what was accepted can be sent on, and then
// means the same. A message with a remote object is an ordinary one to it.
func FuzzDecode(f *testing.F) {
	b := newBench(f, thingType{}, Sentinel{"bank.ErrNoFunds", errNoFunds}, ErrorType{Path: "bank.Overdrawn", Type: reflect.TypeFor[*overdrawn]()})
	b.codec = NewCodec(Limits{Alloc: 1 << 20, Objects: 10_000, Depth: 64})
	b.objects = &fakeObjects{record: Record{Endpoints: []string{"tcp://a:1"}}}
	f.Add(b.value(sampleRich()))
	f.Add(b.value(rich{Thing: &thing{3}}))
	for _, seed := range []string{"81a0", "81a14542617365a0", "819bffffffffffffffff", "81a1654572726f72d81b80", "81d81c00"} {
		f.Add(unhex(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		b := &bench{t: t, codec: b.codec, table: b.table, objects: &fakeObjects{}}
		var first rich
		if err := b.into(data, &first); err != nil {
			var typed *Error
			if !errors.As(err, &typed) || typed.Path == "" {
				t.Fatalf("the error %#v is not typed, or says no place", err)
			}
			return
		}
		again, err := b.encode(func(e *Encoder) { e.Value(first) })
		if err != nil {
			t.Fatalf("what was decoded cannot be encoded: %v", err)
		}
		second := roundTrip(b, first)
		if len(first.Pairs) <= 1 && first.Error == nil && first.Errors == nil && !bytes.Equal(b.value(second), again) {
			t.Fatalf("the value changed\nfirst  %x\nsecond %x", again, b.value(second))
		}
	})
}

// FuzzGraph: whatever the bytes, decoding into a type that can have any shape does not panic, hang or go beyond its limits; and
// what was accepted can be sent on, and then is the same graph.
func FuzzGraph(f *testing.F) { fuzzGraph(f, func() any { return new(*tangle) }) }

// FuzzAny is FuzzGraph where even the type is the message's.
func FuzzAny(f *testing.F) { fuzzGraph(f, func() any { return new(any) }) }

func fuzzGraph(f *testing.F, target func() any) {
	full := graphBench(f)
	for _, v := range fuzzedGraphs() {
		f.Add(full.value(v))
		f.Add(full.value([]any{v, v}))
	}
	tight := &bench{codec: NewCodec(Limits{Alloc: 1 << 20, Objects: 10_000, Depth: 64}), table: full.table}
	f.Fuzz(func(t *testing.T, data []byte) {
		b := &bench{t: t, codec: tight.codec, table: tight.table, objects: &fakeObjects{}}
		var d Decoder
		d.Reset(b.codec, b.table, b.objects, "argument", data)
		first := target()
		d.Value(first)
		if err := d.Finish(); err != nil {
			var typed *Error
			if !errors.As(err, &typed) || typed.Path == "" {
				t.Fatalf("the error %#v is not typed, or says no place", err)
			}
			if d.items == 1 && !reflect.ValueOf(first).Elem().IsZero() {
				t.Fatalf("after the failure %v there is %v", err, first)
			}
			return
		}
		again, err := b.encode(func(e *Encoder) { e.codecValue(reflect.ValueOf(first).Elem()) })
		if err != nil {
			if unsendable(err) {
				return
			}
			t.Fatalf("what was decoded cannot be encoded: %v", err)
		}
		second := target()
		loose := &bench{t: t, codec: NewCodec(Limits{}), table: b.table, objects: b.objects}
		if err := loose.into(again, second); err != nil {
			t.Fatalf("what was encoded cannot be decoded: %v\n%x", err, again)
		}
		if diff := isomorphic(first, second); diff != "" {
			t.Fatalf("the graph changed: %s\nfrom %x", diff, again)
		}
	})
}

// unsendable reports whether a value cannot be encoded though it was decoded, for a reason that is known: it needs more room than
// the message that it came in, or more levels.
func unsendable(err error) bool {
	var limit *LimitError
	return errors.As(err, &limit) || strings.Contains(err.Error(), "two keys of this map differ only by what does not travel")
}

func fuzzedGraphs() (all []any) {
	one, deep := &tangle{Name: "one", Raw: []byte("raw")}, &tangle{}
	for range 30 {
		deep = &tangle{Next: deep, Kids: []*tangle{one}, Any: []any{one.Raw, map[string]any{"x": one}}}
	}
	ring := &tangle{Maps: []map[string]int{{"a": 1}}}
	ring.Next, ring.Any, ring.Pairs = ring, list{list{}, nil}, map[*tangle]int{ring: 1}
	ring.Self = &ring.Next
	return []any{one, deep, ring, &tangle{By: map[string]*tangle{"a": one, "b": one}, Numbers: []int{1, 2}, Any: int8(5)}}
}

func FuzzErrorItem(f *testing.F) {
	b := errorTable(f)
	for _, err := range []error{nil, io.EOF, errNoFunds, &overdrawn{2, io.EOF}, &coded{"E"}, errors.Join(io.EOF, errors.New("x"))} {
		f.Add(AppendError(b.codec, b.table, nil, nil, err))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got, rest, err := ReadError(b.codec, b.table, nil, data)
		if err != nil {
			return
		}
		if len(rest) >= len(data) {
			t.Fatalf("an item of no bytes was accepted")
		}
		item := AppendError(b.codec, b.table, nil, nil, got)
		if again, rest, err := ReadError(b.codec, b.table, nil, item); err != nil || len(rest) > 0 || (again == nil) != (got == nil) {
			t.Fatalf("passed on, %#v became %#v, %v", got, again, err)
		}
	})
}

func FuzzFrames(f *testing.F) {
	call := AppendCallHeader(nil, CallHeader{Depth: 1, Number: 2, Slot: 3, Timeout: 4, Method: 5})
	call = append(call, 0x80)
	if err := FinishFrame(call); err != nil {
		f.Fatal(err)
	}
	reply := append(AppendReplyHeader(nil, ReplyHeader{Flags: ReplyResults, Slot: 9}), 0x80)
	if err := FinishFrame(reply); err != nil {
		f.Fatal(err)
	}
	f.Add(append(append(call, reply...), AppendCancel(nil, CancelHeader{7})...))
	row := AppendInRow(AppendInRow(AppendRowHeader(nil, RowHeader{Place: 2, Timeout: 3, Method: 4}), []byte{0x80}), []byte{0x81, 0x18, 0xfa})
	if err := FinishFrame(row); err != nil {
		f.Fatal(err)
	}
	f.Add(row)
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 1})
	f.Add([]byte{0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		buffers := &countedBuffers{}
		frames := NewFrames(Limits{MessageBytes: 1 << 20}, buffers, func(kind FrameKind, frame []byte, lent bool) error {
			checkFrame(t, kind, frame)
			if !lent {
				buffers.Put(frame)
			}
			return nil
		})
		cut := len(data) / 3
		if frames.Receive(data[:cut]) == nil {
			frames.Receive(data[cut:])
		}
		frames.Drop()
		if buffers.out != 0 {
			t.Fatalf("%d buffers were not given back", buffers.out)
		}
		if most := 4 * (len(data) + firstGrant); buffers.largest > most {
			t.Fatalf("%d bytes were asked for when %d had arrived", buffers.largest, len(data))
		}
	})
}

// checkFrame fails unless a frame that parses, and has neither extensions nor anything in reserved bytes, is written again as it was.
func checkFrame(t *testing.T, kind FrameKind, frame []byte) {
	var again []byte
	if len(frame) > lengthBytes+1 && frame[lengthBytes+1]&hasMap != 0 {
		kind = 0
	}
	switch kind {
	case CallFrame:
		h, body, err := ParseCall(frame)
		if err != nil || frame[5]&^callPinned != 0 {
			return
		}
		again = append(AppendCallHeader(nil, h), body...)
	case ReplyFrame:
		h, body, err := ParseReply(frame)
		if err != nil || frame[6]|frame[7] != 0 {
			return
		}
		again = append(AppendReplyHeader(nil, h), body...)
		if h.Flags&ReplyPinned != 0 {
			again = AppendReplyNumber(again, h.Number)
		}
	case CancelFrame:
		h, err := ParseCancel(frame)
		if err != nil || frame[6]|frame[7] != 0 {
			return
		}
		again = AppendCancel(nil, h)
	case RowFrame:
		h, calls, count, err := ParseRow(frame)
		if err != nil || frame[6]|frame[7] != 0 {
			return
		}
		again = AppendRowHeader(nil, h)
		for range count {
			var args []byte
			args, calls = NextInRow(calls)
			again = AppendInRow(again, args)
		}
	case 0: // it has extensions, which nobody writes yet: it must parse or not, and no more
		ParseCall(frame)
		ParseReply(frame)
		ParseCancel(frame)
		ParseRow(frame)
		return
	default:
		return
	}
	if err := FinishFrame(again); err != nil || !bytes.Equal(again, frame) {
		t.Fatalf("%v: got %x, %v\nwant %x", kind, again, err, frame)
	}
}

func FuzzControl(f *testing.F) {
	for _, msg := range sampleControls() {
		data, err := AppendControl(nil, msg)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		msg, err := ReadControl(bytes.NewReader(data))
		if err != nil {
			return
		}
		again, err := AppendControl(nil, msg)
		if err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		if second, err := ReadControl(bytes.NewReader(again)); err != nil || !equalControl(second, msg) {
			t.Fatalf("got %+v, %v, want %+v", second, err, msg)
		}
	})
}
