package refs

import (
	"bytes"
	"strings"
	"testing"

	"github.com/rmigo/rmigo/internal/leak"
	"github.com/rmigo/rmigo/internal/wire"
)

// grantedFlow is a stream of a call that nobody reads.
func grantedFlow(t *testing.T, items, bytes uint64) (*Node, *inflow) {
	n, err := New(Options{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close() })
	f := &flows{link: n.home, call: streamsOf{number: 1}}
	return n, f.taking(resultStream, items, bytes)
}

func frameOf(sequence uint64, items uint32, size int) piece {
	return piece{sequence: sequence, items: items, body: make([]byte, size), size: wire.ItemsHeaderBytes + size}
}

func TestFramesBeyondTheirCreditAreABreach(t *testing.T) {
	leak.Check(t)
	const items, bytes = 10, 1000
	for _, tt := range []struct {
		name   string
		frames []piece
		says   string // of the last; "": it is taken
	}{
		{"AllThatIsGranted", []piece{frameOf(0, 5, 968), frameOf(1, 5, 100)}, ""},
		{"OneThatIsLargerThanItsCredit", []piece{frameOf(0, 1, 5000)}, ""},
		{"OneBehindAnotherThatUsesTheCreditUp", []piece{frameOf(0, 1, 968), frameOf(1, 1, 968)}, "2000 bytes"},
		{"OneBehindALargeOneWithinIt", []piece{frameOf(0, 1, 500), frameOf(1, 1, 5000)}, ""},
		{"TooManyItems", []piece{frameOf(0, 6, 10), frameOf(1, 5, 10)}, "11 items"},
		{"TooManyThatOvertakeOthers", []piece{frameOf(7, 1, 600), frameOf(5, 1, 600), frameOf(3, 1, 600)}, "bytes"},
		{"TheSameTwice", []piece{frameOf(1, 1, 10), frameOf(1, 1, 10)}, "came twice"},
		{"OneThatWasTaken", []piece{frameOf(0, 1, 10), frameOf(0, 1, 10)}, "came twice"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			leak.Check(t)
			_, s := grantedFlow(t, items, bytes)
			for i, p := range tt.frames {
				err := s.take(p)
				switch last := i == len(tt.frames)-1; {
				case last && tt.says != "":
					if err == nil || !strings.Contains(err.Error(), tt.says) {
						t.Errorf("frame %d: %v, want it to speak of %q", i, err, tt.says)
					}
				case err != nil:
					t.Fatalf("frame %d: %v", i, err)
				}
			}
		})
	}
}

func TestManySmallFramesUseTheCreditUp(t *testing.T) {
	leak.Check(t)
	_, s := grantedFlow(t, wire.FirstItems, wire.FirstBytes)
	taken := 0
	for s.take(frameOf(uint64(taken), 0, 1)) == nil {
		if taken++; taken > wire.FirstBytes/wire.ItemsHeaderBytes {
			t.Fatalf("%d frames of a byte of a stream of bytes are taken within a credit of %d bytes", taken, wire.FirstBytes)
		}
	}
	if least := wire.FirstBytes / (wire.ItemsHeaderBytes + 1); taken < least {
		t.Errorf("only %d frames are taken, want %d", taken, least)
	}
}

func TestWhatIsSmallKeepsNoMoreMemoryThanItHas(t *testing.T) {
	leak.Check(t)
	n, s := grantedFlow(t, wire.FirstItems, wire.FirstBytes)
	s.of.link.streams.enter(s.of)
	frame := n.buffers.Get(wire.ItemsHeaderBytes + 100)
	wire.AppendItemsHeader(frame[:0], wire.ItemsHeader{Stream: wire.StreamID{Call: 1, Own: true}})
	copy(frame[wire.ItemsHeaderBytes:], bytes.Repeat([]byte("x"), 100))
	if err := wire.FinishFrame(frame); err != nil {
		t.Fatal(err)
	}
	if err := s.of.link.takeItems(frame, false); err != nil {
		t.Fatal(err)
	}
	p, ok, err := s.poll()
	if !ok || err != nil {
		t.Fatalf("nothing has arrived: %v", err)
	}
	if len(p.body) != 100 || cap(p.body) > 128 {
		t.Errorf("a body of 100 bytes is %d, in %d bytes of memory", len(p.body), cap(p.body))
	}
	if n.buffers.kept == 0 {
		t.Error("the frame's buffer has not gone back")
	}
	s.done(p, false)
}

func TestAStreamThatIsLeftIsGrantedNoMore(t *testing.T) {
	leak.Check(t)
	const items = 10
	for _, tt := range []struct {
		name  string
		wants int // so many items
		more  bool
	}{
		{"ReadToItsEnd", items, true},
		{"LeftInTheMiddle", 3, false},
		{"LeftAtItsEnd", items - 1, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			leak.Check(t)
			_, s := grantedFlow(t, items, 1000)
			filled := frameOf(0, items, 0)
			for range items {
				filled.body = wire.AppendNone(filled.body)
			}
			if err := s.take(filled); err != nil {
				t.Fatal(err)
			}
			p, _, err := s.poll()
			if err != nil {
				t.Fatal(err)
			}
			read := 0
			left, err := s.read(p, &Face{}, [2]Filter{}, func(*wire.Decoder) bool {
				read++
				return read <= tt.wants
			})
			if left == tt.more || err != nil {
				t.Errorf("left: %t, %v", left, err)
			}
			if more := s.grantedItems > items; more != tt.more {
				t.Errorf("%d items are granted after %d of %d were read", s.grantedItems, read, items)
			}
			s.leave(nil)
		})
	}
}
