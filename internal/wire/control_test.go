package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"

	"github.com/rmigo/rmigo/internal/leak"
)

func TestControlMessagesKeepTheirFields(t *testing.T) {
	leak.Check(t)
	var stream []byte
	for _, msg := range sampleControls() {
		var err error
		if stream, err = AppendControl(stream, msg); err != nil {
			t.Fatalf("%+v: %v", msg, err)
		}
	}
	r := bytes.NewReader(stream)
	for _, want := range sampleControls() {
		if got, err := ReadControl(r); err != nil || !equalControl(got, want) {
			t.Errorf("got  %#v, %v\nwant %#v", got, err, want)
		}
	}
	if _, err := ReadControl(r); err != io.EOF {
		t.Errorf("at the end: got %v", err)
	}
}

func TestControlMessagesAreTheBytesOfTheProtocol(t *testing.T) {
	leak.Check(t)
	for _, c := range []struct {
		msg  any
		want string
	}{
		{Ping{7}, "00000003 82 04 07"},
		{Pong{24}, "00000004 82 05 1818"},
		{Bye{}, "00000003 82 06 00"},
		{Bye{Leaving: true}, "00000003 82 06 01"},
		{Hello{VersionMin: 1, VersionMax: 1, Endpoints: []string{"a"}, Probe: time.Second, Dead: 1500 * time.Microsecond, MessageBytes: 1024},
			"00000033 8c 01 01 01 50" + strings.Repeat("00", 16) + "50" + strings.Repeat("00", 16) + "00 00 81 6161 00 1903e8 01 190400"},
	} {
		if got, err := AppendControl(nil, c.msg); err != nil || !bytes.Equal(got, unhex(c.want)) {
			t.Errorf("%T\ngot  %x, %v\nwant %s", c.msg, got, err, c.want)
		}
	}
}

// control frames an array of fields.
func control(t *testing.T, fields ...any) []byte {
	t.Helper()
	body, err := cbor.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...)
}

func TestControlMessagesMayGrow(t *testing.T) {
	leak.Check(t)
	for _, fields := range [][]any{{4, 7, "more", map[string]any{"x": []int{1}}}, {6, 1, nil}, {5, 1, 2.5}} {
		if got, err := ReadControl(bytes.NewReader(control(t, fields...))); err != nil {
			t.Errorf("%v: got %v, %v", fields, got, err)
		}
	}
}

func TestControlMessagesThatBreakTheProtocolAreRefused(t *testing.T) {
	leak.Check(t)
	id := make([]byte, 16)
	many := make([]string, 17)
	long := []string{strings.Repeat("x", 257)}
	hello := func(min, max, process, endpoints, probe any) []byte {
		return control(t, 1, min, max, process, id, 0, 0, endpoints, 0, probe, 0, 0)
	}
	for _, c := range []struct {
		data []byte
		says string
	}{
		{[]byte{0xff, 0xff, 0xff, 0xff}, "4294967295 bytes are not between 1 and 16384"},
		{[]byte{0, 0, 0, 0}, "0 bytes are not between 1 and 16384"},
		{[]byte{0, 0, 0, 1, 0}, "control message: cbor: cannot unmarshal"},
		{[]byte{0, 0, 0, 1, 0x80}, "field 1 is missing"},
		{[]byte{0, 0, 0, 1, 0xf6}, "field 1 is missing"},
		{[]byte{0, 0, 0, 3, 0x9f, 0x06, 0xff}, "indefinite"},
		{[]byte{0, 0, 0, 3, 0x81, 0xc1, 0x06}, "tag"},
		{[]byte{0, 0, 0, 3, 0x81, 0x06, 0x00}, "extraneous"},
		{control(t, 4, [][][][]int{{{{1}}}}), "nested"},
		{control(t, 4, make([]int, 65)), "64"},
		{control(t, 99), "kind 99 is unknown"},
		{control(t, "4"), "field 1 has the wrong type"},
		{control(t, 4), "PING: field 2 is missing"},
		{control(t, 4, -1), "PING: field 2 has the wrong type"},
		{control(t, 4, nil), "PING: field 2 has the wrong type"},
		{control(t, 6), "BYE: field 2 is missing"},
		{control(t, 6, 2), "BYE: field 2 is 2, more than 1"},
		{control(t, 5, 1.5), "PONG: field 2 has the wrong type"},
		{hello(1, 70000, id, many[:0], 0), "HELLO: field 3 is 70000, more than 65535"},
		{hello(2, 1, id, many[:0], 0), "HELLO: its versions are 2 to 1"},
		{hello(1, 1, id[:15], many[:0], 0), "HELLO: field 4 has 15 bytes, not 16"},
		{hello(1, 1, "text", many[:0], 0), "HELLO: field 4 has the wrong type"},
		{hello(1, 1, id, many, 0), "HELLO: 17 endpoints are more than 16"},
		{hello(1, 1, id, long, 0), "HELLO: field 1 has 257 bytes, more than 256"},
		{hello(1, 1, id, []int{1}, 0), "HELLO: field 1 has the wrong type"},
		{hello(1, 1, id, nil, 0), "HELLO: field 8 has the wrong type"},
		{hello(1, 1, id, many[:0], uint64(1)<<60), "HELLO: field 10 is"},
		{control(t, 2, 1, id, id, 0, 0, 0, 0, []string{}, 0, 0, 0, "", 0, 0), "WELCOME: status 0 is unknown"},
		{control(t, 2, 1, id, id, 5, 0, 0, 0, []string{}, 0, 0, 0, "", 0, 0), "WELCOME: status 5 is unknown"},
		{control(t, 2, 1, id, id, 4, 0, 0, 0, []string{}, 0, 0, 0, strings.Repeat("x", 1025)), "WELCOME: field 13 has 1025 bytes"},
	} {
		got, err := ReadControl(bytes.NewReader(c.data))
		var typed *ControlError
		if !errors.As(err, &typed) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%x: got %v, %v, want an error that says %q", c.data, got, err, c.says)
		}
	}
	whole := control(t, 4, 7)
	for n := 1; n < len(whole); n++ {
		if _, err := ReadControl(bytes.NewReader(whole[:n])); err != io.ErrUnexpectedEOF {
			t.Errorf("after %d bytes: got %v", n, err)
		}
	}
}

func TestAControlMessageOutOfBoundsIsNotSent(t *testing.T) {
	leak.Check(t)
	for _, msg := range []any{
		Hello{Endpoints: make([]string, 17)}, Welcome{Status: 9}, Welcome{}, Hello{Probe: -time.Second},
		Welcome{Status: StatusRefused, Reason: strings.Repeat("x", 1025)}, Hello{VersionMin: 1}, 5, nil,
	} {
		if got, err := AppendControl([]byte("front"), msg); err == nil || string(got) != "front" {
			t.Errorf("%+v: got %q, %v, want an error and the buffer as it was", msg, got, err)
		}
	}
}

func TestControlMessagesArriveWholeHoweverTheirBytesDo(t *testing.T) {
	leak.Check(t)
	var stream []byte
	var want []any
	for _, msg := range sampleControls() {
		var err error
		if stream, err = AppendControl(stream, msg); err != nil {
			t.Fatal(err)
		}
		want = append(want, msg)
	}
	for size := 1; size <= len(stream); size++ {
		var got []any
		c := NewControls(func(msg any) error {
			got = append(got, msg)
			return nil
		})
		for rest := stream; len(rest) > 0; {
			n := min(size, len(rest))
			if err := c.Receive(rest[:n]); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		if !equalControl(got, want) {
			t.Fatalf("portions of %d: got %v, want %v", size, got, want)
		}
	}
	for _, bad := range [][]byte{{0, 0, 0x40, 1}, {0, 0, 0, 0}, {0, 0, 0, 2, 0x81, 0xff}} {
		if err := NewControls(func(any) error { return nil }).Receive(bad); err == nil {
			t.Errorf("% x was taken for a message", bad)
		}
	}
	broken := errors.New("broken")
	if err := NewControls(func(any) error { return broken }).Receive(stream); err != broken {
		t.Errorf("got %v, want the handler's %v", err, broken)
	}
}
