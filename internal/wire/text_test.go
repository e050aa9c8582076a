package wire

import (
	"fmt"
	"strings"
	"testing"
	"unsafe"

	"github.com/rmigo/rmigo/internal/leak"
)

func TestASCIIIsToldFromOtherTextOfEveryLength(t *testing.T) {
	leak.Check(t)
	for n := range 3 * shortText {
		plain := strings.Repeat("a", n)
		if !ascii(plain) {
			t.Errorf("%d letters are not ASCII", n)
		}
		for at := range n {
			if text := plain[:at] + "\x80" + plain[at+1:]; ascii(text) {
				t.Errorf("%q is ASCII", text)
			}
		}
	}
}

func TestTextsThatComeAgainShareMemory(t *testing.T) {
	leak.Check(t)
	b := newBench(t)
	var all []string
	for i := range 40 {
		all = append(all, strings.Repeat("é", i), strings.Repeat("x", i), fmt.Sprint("name ", i), fmt.Sprint("other name ", i))
	}
	var e Encoder
	var d Decoder
	for range 3 {
		e.Reset(b.codec, b.table, nil, "argument", nil)
		e.Value(all)
		e.String("a status")
		e.String("a status")
		data, err := e.Finish()
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		var one, two string
		d.Reset(b.codec, b.table, nil, "argument", data)
		d.Value(&got)
		d.String(&one)
		d.String(&two)
		if err := d.Finish(); err != nil {
			t.Fatal(err)
		}
		for i := range all {
			if got[i] != all[i] {
				t.Errorf("got %q, want %q", got[i], all[i])
			}
		}
		if one != "a status" || unsafe.StringData(one) != unsafe.StringData(two) {
			t.Errorf("got %q and %q apart", one, two)
		}
		clear(data) // nothing may be kept of it
		if one != "a status" {
			t.Errorf("the text became %q with the message that it came in", one)
		}
	}
}

func TestTextThatIsNotUTF8IsRefusedHoweverShort(t *testing.T) {
	leak.Check(t)
	b := newBench(t)
	for _, data := range []string{"\x81\x61\x80", "\x81\x65abc\xc3\x28", "\x81\x6aabcdefghi\xff"} {
		var d Decoder
		var s string
		d.Reset(b.codec, b.table, nil, "argument", []byte(data))
		d.String(&s)
		wantError(t, d.Finish(), Unmarshal, "text that is not UTF-8")
	}
}
