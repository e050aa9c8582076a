package wire

import (
	"encoding/hex"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/rmigo/rmigo/internal/leak"
)

func TestMetadataArrivesAsItWasWritten(t *testing.T) {
	leak.Check(t)
	for _, m := range []Metadata{
		{},
		{Own: map[string]string{"a": "1"}},
		{Chain: map[string]string{"b": "2", "aa": "ü"}},
		{Own: map[string]string{"a": "1", "x": strings.Repeat("y", 300)}, Chain: map[string]string{"b": "2"}},
	} {
		b := AppendMetadata(nil, m)
		if b == nil {
			b = []byte{0xa0} // a map of nothing
		}
		if got, err := ReadMetadata(b, 1000); err != nil || !reflect.DeepEqual(got, m) {
			t.Errorf("%+v arrives as %+v, %v", m, got, err)
		}
	}
}

func TestExtensionsThatAreUnknownArePassedOver(t *testing.T) {
	leak.Check(t)
	b, _ := hex.DecodeString("a4" + "01" + "a101f5" + "6178" + "f5" + "646d657461" + "a161616162" + "6179" + "80")
	if m, err := ReadMetadata(b, 2); err != nil || !reflect.DeepEqual(m, Metadata{Own: map[string]string{"a": "b"}}) {
		t.Errorf("got %+v, %v", m, err)
	}
}

func TestMetadataThatBreaksTheProtocolIsRefused(t *testing.T) {
	leak.Check(t)
	for name, text := range map[string]string{
		"no map":          "a1646d657461" + "80",
		"a number":        "a1646d657461" + "a1616101",
		"a number's key":  "a1646d657461" + "a1016161",
		"an empty key":    "a1646d657461" + "a1606161",
		"an empty value":  "a1646d657461" + "a1616160",
		"a key twice":     "a1646d657461" + "a2616161626161" + "6163",
		"an extension":    "a2646d657461" + "a161616162" + "646d657461" + "a161626162",
		"a key in both":   "a2646d657461" + "a161616162" + "65636861696e" + "a161616162",
		"what is no text": "a1646d657461" + "a1616161ff",
	} {
		b, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		var frame *FrameError
		if m, err := ReadMetadata(b, 100); !errors.As(err, &frame) {
			t.Errorf("%s: got %+v, %v", name, m, err)
		}
	}
	b := AppendMetadata(nil, Metadata{Own: map[string]string{"abc": "de"}, Chain: map[string]string{"f": "ghi"}})
	if _, err := ReadMetadata(b, 8); err == nil || !errors.Is(err, ErrMetadata) {
		t.Errorf("9 bytes where 8 may be: %v", err)
	}
	if _, err := ReadMetadata(b, 9); err != nil {
		t.Errorf("9 bytes where 9 may be: %v", err)
	}
}

func TestTheShortWayThroughExtensionsReadsWhatTheLongOneDoes(t *testing.T) {
	leak.Check(t)
	for _, value := range []uint64{1, 23, 24, 255, 256, 65_535, 65_536, 1<<32 - 1, 1 << 32, 1<<64 - 1} {
		for _, m := range []Metadata{{Pipe: value}, {After: value}, {Pipe: value, After: 7}} {
			b := AppendMetadata(nil, m)
			got, size := orderOnly(append(b, 0x80))
			long, err := ReadMetadata(AppendMetadata(nil, Metadata{Own: map[string]string{"k": "v"}, Pipe: m.Pipe, After: m.After}), 100)
			if size != len(b) || got.Pipe != m.Pipe || got.After != m.After || err != nil || long.Pipe != m.Pipe || long.After != m.After {
				t.Errorf("%+v is read as %+v, %d bytes of %d, and with metadata as %+v, %v", m, got, size, len(b), long, err)
			}
		}
	}
	for _, other := range []string{"\xa1\x64pipe\x18\x05", "\xa1\x64pipe\x00", "\xa1\x64pipe", "\xa1\x64pipe\x19\x01", "\xa2\x64pipe\x05\x64pipe\x05",
		"\xa3\x64pipe\x05", "\xa1\x64meta\xa0", "\x80", "\xa2\x64pipe\x05", ""} {
		if _, size := orderOnly([]byte(other)); size != 0 {
			t.Errorf("%q is taken for %d bytes of order", other, size)
		}
	}
}
