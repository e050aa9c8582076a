package wire

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rmigo/rmigo/internal/leak"
)

// countedBuffers knows how many buffers are out, and the largest that was asked for.
type countedBuffers struct{ out, largest int }

func (c *countedBuffers) Get(n int) []byte {
	c.out++
	c.largest = max(c.largest, n)
	return make([]byte, n)
}

func (c *countedBuffers) Put([]byte) { c.out-- }

func sampleCall(t testing.TB, body string) []byte {
	t.Helper()
	frame := AppendCallHeader(nil, CallHeader{Depth: 2, Number: 3, Slot: 4, Timeout: 5, Object: [16]byte{6}, Method: 7})
	frame = append(frame, body...)
	if err := FinishFrame(frame); err != nil {
		t.Fatal(err)
	}
	return frame
}

func TestFramesAreTheBytesOfTheProtocol(t *testing.T) {
	leak.Check(t)
	call := "00000035 01 00 0002 0000000000000003 0000000000000004 0000000000000005 06000000000000000000000000000000 0000000000000007 80"
	if got := sampleCall(t, "\x80"); hex.EncodeToString(got) != strings.ReplaceAll(call, " ", "") || len(got) != CallHeaderBytes+1 {
		t.Errorf("CALL\ngot  %x\nwant %s", got, call)
	}
	reply := AppendReplyHeader(nil, ReplyHeader{Flags: ReplyError | ReplyNotStarted, Slot: 4})
	if err := FinishFrame(reply); err != nil || hex.EncodeToString(reply) != "0000000c"+"02060000"+"0000000000000004" || len(reply) != ReplyHeaderBytes {
		t.Errorf("REPLY: got %x, %v", reply, err)
	}
	if cancel := AppendCancel(nil, CancelHeader{3}); hex.EncodeToString(cancel) != "0000000c"+"03000000"+"0000000000000003" {
		t.Errorf("CANCEL: got %x", cancel)
	}
}

func TestAParsedFrameIsWhatWasAppended(t *testing.T) {
	leak.Check(t)
	h, body, err := ParseCall(sampleCall(t, "body"))
	want := CallHeader{Depth: 2, Number: 3, Slot: 4, Timeout: 5, Object: [16]byte{6}, Method: 7}
	if err != nil || !reflect.DeepEqual(h, want) || string(body) != "body" {
		t.Errorf("got %+v, %q, %v", h, body, err)
	}
	frame := AppendReplyHeader(nil, ReplyHeader{Flags: ReplyResults, Slot: 9})
	if err := FinishFrame(frame); err != nil {
		t.Fatal(err)
	}
	if h, body, err := ParseReply(frame); err != nil || h != (ReplyHeader{Flags: ReplyResults, Slot: 9}) || len(body) != 0 {
		t.Errorf("got %+v, %x, %v", h, body, err)
	}
	if h, err := ParseCancel(AppendCancel(nil, CancelHeader{8})); err != nil || h.Number != 8 {
		t.Errorf("got %+v, %v", h, err)
	}
}

func TestADeadlineThatHasPassedIsNotNoDeadline(t *testing.T) {
	leak.Check(t)
	frame := AppendCallHeader(nil, CallHeader{Timeout: -time.Second})
	if err := FinishFrame(frame); err != nil {
		t.Fatal(err)
	}
	if h, _, err := ParseCall(frame); err != nil || h.Timeout != 1 {
		t.Errorf("got %v, %v, want one nanosecond", h.Timeout, err)
	}
}

func TestAnExtensionMapIsPassedOver(t *testing.T) {
	leak.Check(t)
	frame := sampleCall(t, "\xa1\x01\xa1\x61a\xd8\x63\x02body")
	frame[5] = hasMap
	if _, body, err := ParseCall(frame); err != nil || string(body) != "body" {
		t.Errorf("got %q, %v", body, err)
	}
	for _, wrong := range []string{"", "\x80", "\xa1", "\xbf\xff"} {
		frame := sampleCall(t, wrong)
		frame[5] = hasMap
		if _, _, err := ParseCall(frame); err == nil || !strings.Contains(err.Error(), "CALL: its extension map is malformed") {
			t.Errorf("%x: got %v", wrong, err)
		}
	}
}

func TestEveryKindOfFrameMayHaveAnExtensionMap(t *testing.T) {
	leak.Check(t)
	extend := func(frame []byte, header int) []byte {
		frame = slices.Insert(frame, header, 0xa1, 0x01, 0x02)
		frame[5] |= hasMap
		if err := FinishFrame(frame); err != nil {
			t.Fatal(err)
		}
		return frame
	}
	reply := append(AppendReplyHeader(nil, ReplyHeader{Flags: ReplyResults, Slot: 5}), 0x80)
	h, body, err := ParseReply(extend(reply, ReplyHeaderBytes))
	if err != nil || h != (ReplyHeader{Flags: ReplyResults, Slot: 5}) || !bytes.Equal(body, []byte{0x80}) {
		t.Errorf("an extended REPLY: %+v, %x, %v", h, body, err)
	}
	if c, err := ParseCancel(extend(AppendCancel(nil, CancelHeader{9}), CancelHeaderBytes)); err != nil || c.Number != 9 {
		t.Errorf("an extended CANCEL: %+v, %v", c, err)
	}
}

func TestFramesThatBreakTheProtocolAreRefused(t *testing.T) {
	leak.Check(t)
	edit := func(i int, b byte) []byte {
		frame := sampleCall(t, "")
		frame[i] = b
		return frame
	}
	for says, frame := range map[string][]byte{
		"too few for its header":       sampleCall(t, "")[:CallHeaderBytes-1],
		"its length field says 53":     edit(3, 53),
		"REPLY: a CALL is expected":    edit(4, 2),
		"frame kind 9: a CALL is":      edit(4, 9),
		"CALL: flags 0x04 are unknown": edit(5, 0x87),
		"CALL: its timeout overflows":  edit(24, 0x80),
	} {
		var typed *FrameError
		if _, _, err := ParseCall(frame); !errors.As(err, &typed) || !strings.Contains(err.Error(), says) {
			t.Errorf("got %v, want an error that says %q", err, says)
		}
	}
	if _, _, err := ParseReply([]byte{0, 0, 0, 12, 2, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}); err == nil {
		t.Error("a REPLY with an unknown flag was accepted")
	}
	if _, err := ParseCancel([]byte{0, 0, 0, 13, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}); err == nil {
		t.Error("a CANCEL with something behind it was accepted")
	}
	if err := FinishFrame([]byte{0, 0, 0, 0}); err == nil {
		t.Error("a frame without a kind was finished")
	}
}

// received is what a handler got.
type received struct {
	kinds  []FrameKind
	frames [][]byte
}

func (r *received) handler(buffers Buffers) FrameHandler {
	return func(kind FrameKind, frame []byte, lent bool) error {
		r.kinds, r.frames = append(r.kinds, kind), append(r.frames, bytes.Clone(frame))
		if !lent {
			buffers.Put(frame)
		}
		return nil
	}
}

func TestFramesArriveWholeHoweverTheirBytesDo(t *testing.T) {
	leak.Check(t)
	large := sampleCall(t, strings.Repeat("x", 300_000))
	frames := [][]byte{sampleCall(t, "one"), AppendCancel(nil, CancelHeader{1}), large, sampleCall(t, "")}
	stream := bytes.Join(frames, nil)
	for _, size := range []int{1, 3, 7, 100, 70_000, len(stream)} {
		for _, direct := range []bool{false, true} {
			buffers, got := &countedBuffers{}, &received{}
			f := NewFrames(Limits{}, buffers, got.handler(buffers))
			for rest := stream; len(rest) > 0; {
				n := min(size, len(rest))
				room := f.Room()
				var err error
				if direct && room != nil {
					n = copy(room, rest[:n])
					err = f.Filled(n)
				} else {
					err = f.Receive(rest[:n])
				}
				if err != nil {
					t.Fatal(err)
				}
				rest = rest[n:]
			}
			for i, want := range frames {
				if i >= len(got.frames) || !bytes.Equal(got.frames[i], want) || got.kinds[i] != FrameKind(want[4]) {
					t.Fatalf("portions of %d: frame %d did not arrive as it is", size, i)
				}
			}
			if len(got.frames) != len(frames) || buffers.out != 0 || f.frame != nil || f.known != 0 {
				t.Errorf("portions of %d: %d frames, %d buffers out, want %d and none, and nothing half", size, len(got.frames), buffers.out, len(frames))
			}
		}
	}
}

func TestAFrameInOnePieceTakesNoMemory(t *testing.T) {
	leak.Check(t)
	buffers, got := &countedBuffers{}, &received{}
	f := NewFrames(Limits{}, buffers, got.handler(buffers))
	if err := f.Receive(slices.Concat(sampleCall(t, "one"), sampleCall(t, "two"))); err != nil || len(got.frames) != 2 || buffers.largest != 0 {
		t.Errorf("%d frames, %v, a buffer of %d bytes; want both lent", len(got.frames), err, buffers.largest)
	}
}

func TestAClaimedLengthTakesNoMemoryAheadOfItsBytes(t *testing.T) {
	leak.Check(t)
	buffers := &countedBuffers{}
	f := NewFrames(Limits{}, buffers, nil)
	if err := f.Receive(append([]byte{0x00, 0xff, 0xff, 0xff, byte(CallFrame)}, make([]byte, 100_000)...)); err != nil {
		t.Fatal(err)
	}
	if buffers.largest > 4*firstGrant || f.frame == nil {
		t.Errorf("a buffer of %d bytes was asked for when 100,000 had arrived", buffers.largest)
	}
	if f.Drop(); buffers.out != 0 {
		t.Errorf("%d buffers are out when the frame was dropped", buffers.out)
	}
}

func TestALengthOutOfBoundsIsTyped(t *testing.T) {
	leak.Check(t)
	for _, head := range [][]byte{{0, 0, 0, 0}, {0xff, 0xff, 0xff, 0xff}, {0, 0x03, 0, 1}} {
		for _, portions := range [][][]byte{{head}, {head[:1], head[1:]}} {
			f := NewFrames(Limits{MessageBytes: 1 << 16}, &countedBuffers{}, nil)
			var err error
			for _, p := range portions {
				err = f.Receive(p)
			}
			var typed *FrameSizeError
			if !errors.As(err, &typed) || typed.Most != 1<<16+frameRoom {
				t.Errorf("%x: got %v, want a FrameSizeError", head, err)
			}
		}
	}
}

func TestAHandlersErrorEndsTheReading(t *testing.T) {
	leak.Check(t)
	broken := errors.New("broken")
	calls := 0
	f := NewFrames(Limits{}, &countedBuffers{}, func(FrameKind, []byte, bool) error {
		calls++
		return broken
	})
	if err := f.Receive(slices.Concat(sampleCall(t, "one"), sampleCall(t, "two"))); err != broken || calls != 1 {
		t.Errorf("got %v after %d frames, want %v after one", err, calls, broken)
	}
}

func TestTheLargestMessageAndErrorFitInAFrame(t *testing.T) {
	leak.Check(t)
	limits := Limits{MessageBytes: 1 << 16}
	c := NewCodec(limits)
	var e Encoder
	e.Reset(c, nil, nil, "result", AppendReplyHeader(nil, ReplyHeader{}))
	e.Bytes(make([]byte, 1<<16-4))
	frame, err := e.Finish()
	if err != nil {
		t.Fatal(err)
	}
	frame = AppendError(c, nil, nil, frame, &bushy{errors.New(strings.Repeat("x", 1<<20)), &endless{}})
	if err := FinishFrame(frame); err != nil {
		t.Fatal(err)
	}
	got := &received{}
	if err := NewFrames(limits, &countedBuffers{}, got.handler(&countedBuffers{})).Receive(frame); err != nil || len(got.frames) != 1 {
		t.Errorf("got %d frames, %v, want the one", len(got.frames), err)
	}
	if r := NewFrames(Limits{MessageBytes: math.MaxInt}, nil, nil); r.most != math.MaxInt32-lengthBytes {
		t.Errorf("the bound is %d, want what a frame has room for", r.most)
	}
}

func sampleControls() []any {
	return []any{
		Hello{VersionMin: 1, VersionMax: 2, Process: [16]byte{1}, Token: [16]byte{2}, Generation: 3, LastSeq: math.MaxUint64,
			Endpoints: []string{"tcp://a:1", "unix:///b"}, Features: 5, Probe: 5 * time.Second, Dead: 15 * time.Second, MessageBytes: 1 << 26},
		Hello{},
		Welcome{Version: 1, Process: [16]byte{9}, Token: [16]byte{8}, Status: StatusResumed, Generation: 7, Lease: time.Minute, LastSeq: 6,
			Endpoints: []string{"tcp://c:1"}, Features: 5, Probe: time.Second, Dead: 3 * time.Second, Reason: "because", Refusal: 3, MessageBytes: 9},
		Welcome{Status: StatusNew},
		Ping{1 << 40}, Pong{0}, Bye{}, Bye{Leaving: true}, Widen{}, Widen{Key: [16]byte{1}}, Join{Key: [16]byte{2}}, Joined{},
		Batch{Generation: 1, Seq: 2, Ack: 1, Clean: [][16]byte{{1}}, Dirty: [][16]byte{{2}, {3}}, Gone: []Gone{{[16]byte{4}, 5}},
			Acks: []MessageKey{{7, true, true}}, Queries: []MessageKey{{Call: 8}}},
	}
}

func equalControl(a, b any) bool { return reflect.DeepEqual(a, b) }

func TestAnExtensionMapHasAtMost16Levels(t *testing.T) {
	leak.Check(t)
	for levels, good := range map[int]bool{16: true, 17: false} {
		extension := append([]byte{0xa1, 0x01}, bytes.Repeat([]byte{0x81}, levels-2)...)
		frame := append(AppendCallHeader(nil, CallHeader{}), append(extension, 0x80, 0x80)...)
		frame[lengthBytes+1] |= hasMap
		if err := FinishFrame(frame); err != nil {
			t.Fatal(err)
		}
		if _, body, err := ParseCall(frame); (err == nil) != good || good && len(body) != 1 {
			t.Errorf("%d levels: got the body %x, %v", levels, body, err)
		}
	}
}

// stingy grants what it has, and no more.
type stingy struct {
	has, granted int
	fault        error // of Cut
	cut          [][]byte
}

func (s *stingy) Grant(_ []byte, n int) bool {
	if s.granted+n > s.has {
		return false
	}
	s.granted += n
	return true
}

func (s *stingy) Release() { s.granted = 0 }

func (s *stingy) Cut(_ FrameKind, frame []byte) error {
	s.cut = append(s.cut, bytes.Clone(frame))
	return s.fault
}

func TestOfAFrameThatIsNotGrantedMemoryTheBeginningArrives(t *testing.T) {
	leak.Check(t)
	large, small := sampleCall(t, strings.Repeat("x", 3_000_000)), sampleCall(t, "small")
	stream := slices.Concat(large, small, large)
	for _, has := range []int{0, 100_000, 1_000_000, 3_000_000} {
		for _, size := range []int{1000, 70_000, len(stream)} {
			bound, buffers, got := &stingy{has: has}, &countedBuffers{}, &received{}
			f := NewFrames(Limits{}, buffers, got.handler(buffers))
			f.Bound(bound)
			for rest := stream; len(rest) > 0; {
				n := min(size, len(rest))
				var err error
				if room := f.Room(); room != nil && size > 1000 {
					n = copy(room, rest[:n])
					err = f.Filled(n)
				} else {
					err = f.Receive(rest[:n])
				}
				if err != nil {
					t.Fatal(err)
				}
				rest = rest[n:]
			}
			whole := 3
			if has < len(large)-firstGrant {
				whole = 1
			}
			if size < len(stream) && (len(got.frames) != whole || len(bound.cut) != 3-whole) {
				t.Errorf("%d bytes in portions of %d: %d frames arrived whole and %d cut, want %d and %d", has, size, len(got.frames), len(bound.cut), whole, 3-whole)
			}
			for _, frame := range bound.cut {
				h, _, err := ParseCall(frame)
				if want, _, _ := ParseCall(large); err != nil || len(frame) < firstGrant/2 || h.Number != want.Number || h.Object != want.Object {
					t.Errorf("%d bytes in portions of %d: a frame was cut to %d bytes, and reads %+v, %v", has, size, len(frame), h, err)
				}
			}
			if buffers.out != 0 || bound.granted != 0 || buffers.largest > max(4*firstGrant, 4*has) {
				t.Errorf("%d bytes in portions of %d: %d buffers are out, %d bytes granted, the largest buffer had %d", has, size, buffers.out, bound.granted, buffers.largest)
			}
		}
	}
	fatal := errors.New("no more")
	f := NewFrames(Limits{}, &countedBuffers{}, nil)
	f.Bound(&stingy{fault: fatal})
	var err error
	for rest := large; len(rest) > 0 && err == nil; rest = rest[min(len(rest), 200_000):] {
		err = f.Receive(rest[:min(len(rest), 200_000)])
	}
	if err != fatal {
		t.Errorf("got %v, want the error of the bound", err)
	}
}
