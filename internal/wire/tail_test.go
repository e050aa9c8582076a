package wire

import (
	"bytes"
	"errors"
	"testing"

	"github.com/rmigo/rmigo/internal/leak"
)

// inTwoWays writes a message whole and with its end left out, and returns what was left out; both must be the same bytes.
func inTwoWays(t *testing.T, limits Limits, write func(*Encoder)) (tail []byte) {
	t.Helper()
	codec, table := NewCodec(limits), newTable(t)
	var whole, parted Encoder
	whole.Reset(codec, table, nil, "argument", []byte("header"))
	write(&whole)
	wantLength := whole.Len()
	want, wantErr := whole.Finish()
	if whole.Tail() != nil {
		t.Error("something was left out of a message that is to be whole")
	}
	parted.Reset(codec, table, nil, "argument", []byte("header"))
	parted.LeaveOut(4, 8)
	write(&parted)
	if length := parted.Len(); length != wantLength {
		t.Errorf("%d bytes are said to be written, %d are", length, wantLength)
	}
	got, err := parted.Finish()
	if errorText(err) != errorText(wantErr) {
		t.Errorf("got error %v, whole %v", err, wantErr)
	}
	if err != nil {
		return nil
	}
	tail = parted.Tail()
	if !bytes.Equal(append(got, tail...), want) {
		t.Errorf("got %x and %x, whole %x", got, tail, want)
	}
	if parted.Forget(); parted.Tail() != nil {
		t.Error("what was left out is kept")
	}
	return tail
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestAByteStringAtTheEndIsLeftOut(t *testing.T) {
	leak.Check(t)
	v := []byte("12345678")
	shared := &line{SKU: "shared"}
	for name, test := range map[string]struct {
		write func(*Encoder)
		out   int // bytes left out
	}{
		"alone":                   {func(e *Encoder) { e.Bytes(v) }, 8},
		"the last of two":         {func(e *Encoder) { e.Bytes(v[:5]); e.Bytes(v[:4]) }, 4},
		"after a string":          {func(e *Encoder) { e.String("12345"); e.Bytes(v) }, 8},
		"before a string":         {func(e *Encoder) { e.Bytes(v); e.String("12345") }, 0},
		"before nothing":          {func(e *Encoder) { e.Bytes(v); e.Bytes(nil) }, 0},
		"before a struct":         {func(e *Encoder) { e.Bytes(v); e.Value(line{SKU: "a"}) }, 0},
		"too short":               {func(e *Encoder) { e.Bytes(v[:3]) }, 0},
		"too long":                {func(e *Encoder) { e.Bytes(append(v, v...)) }, 0},
		"after what is shared":    {func(e *Encoder) { e.Value([]*line{shared, shared}); e.Bytes(v) }, 0},
		"before what is shared":   {func(e *Encoder) { e.Bytes(v); e.Value([]*line{shared, shared}) }, 0},
		"inside a value":          {func(e *Encoder) { e.Value([][]byte{v}) }, 0},
		"the last of many":        {func(e *Encoder) { many(e); e.Bytes(v) }, 0},
		"before what is an error": {func(e *Encoder) { e.Bytes(v); e.Fail(errors.New("broken")) }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			if tail := inTwoWays(t, Limits{}, test.write); len(tail) != test.out {
				t.Errorf("%d bytes were left out, want %d", len(tail), test.out)
			} else if len(tail) > 0 && &tail[0] != &v[0] {
				t.Error("what was left out is a copy")
			}
		})
	}
}

// many writes more items than the head of a short message can count.
func many(e *Encoder) {
	for range 30 {
		e.Bool(true)
	}
}

func TestWhatIsLeftOutCountsAgainstTheLimit(t *testing.T) {
	leak.Check(t)
	for most := range 32 {
		for _, write := range []func(*Encoder){
			func(e *Encoder) { e.Bytes([]byte("12345678")) },
			func(e *Encoder) { e.Bytes([]byte("12345678")); e.String("after it") },
			func(e *Encoder) { e.String("before"); e.Bytes([]byte("1234567")) },
		} {
			inTwoWays(t, Limits{MessageBytes: most + 1}, write)
		}
	}
}
