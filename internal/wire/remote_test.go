package wire

import (
	"context"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/rmigo/rmigo/internal/leak"
)

// thing is a remote object of the tests: fakeObjects turns it into its number and back.
type thing struct{ number byte }

func (*thing) Do() {}

type fakeObjects struct {
	known  [256]*thing
	record Record
	err    error
	any    any
}

func (o *fakeObjects) Export(t Type, v any) (Record, error) {
	if o.err != nil {
		return Record{}, o.err
	}
	r := o.record
	r.Object[0] = v.(*thing).number
	return r, nil
}

func (o *fakeObjects) Import(t Type, r Record) (any, error) {
	switch {
	case o.err != nil:
		return nil, o.err
	case o.any != nil:
		return o.any, nil
	case o.known[r.Object[0]] == nil:
		o.known[r.Object[0]] = &thing{r.Object[0]}
	}
	o.record = r
	return o.known[r.Object[0]], nil
}

func (o *fakeObjects) Known(t Type, v any) (Record, bool) {
	one, ok := v.(*thing)
	if !ok || o.err != nil {
		return Record{}, false
	}
	r, _ := o.Export(t, one)
	return r, true
}

func (o *fakeObjects) Exported(v any) bool {
	_, ok := v.(*thing)
	return ok
}

func (o *fakeObjects) Home(r Record) (any, bool) { return nil, false }

func thingBench(t testing.TB, o *fakeObjects) *bench {
	b := newBench(t, thingType{})
	b.objects = o
	return b
}

func TestARemoteObjectTravelsAsItsRecord(t *testing.T) {
	leak.Check(t)
	from := &fakeObjects{record: Record{Process: [16]byte{1}, Endpoints: []string{"tcp://a:1"}, Interfaces: []string{"test.Thing", "x"}}}
	to := &fakeObjects{}
	data, err := thingBench(t, from).encode(func(e *Encoder) {
		e.Remote(thingType{}, &thing{7})
		e.Remote(thingType{}, nil)
	})
	want := "82 d99925 84 50" + "01" + strings.Repeat("00", 15) + "50" + "07" + strings.Repeat("00", 15) + "81" + text("tcp://a:1") + "82" + text("test.Thing") + text("x") + "f6"
	if err != nil || hex.EncodeToString(data) != strings.ReplaceAll(want, " ", "") {
		t.Fatalf("got  %x, %v\nwant %s", data, err, want)
	}
	err = thingBench(t, to).decode(data, func(d *Decoder) {
		if got, ok := d.Remote(thingType{}).(*thing); !ok || got.number != 7 {
			t.Errorf("got %v, want the thing 7", got)
		}
		if got := d.Remote(thingType{}); got != nil {
			t.Errorf("got %v, want nil", got)
		}
	})
	if err != nil || to.record.Process != from.record.Process || len(to.record.Endpoints) != 1 || len(to.record.Interfaces) != 2 {
		t.Errorf("got record %+v, %v", to.record, err)
	}
}

func TestRemoteObjectsInFieldsGoThroughObjects(t *testing.T) {
	leak.Check(t)
	type pair struct {
		A, B remoteThing
		List []remoteThing
		By   map[remoteThing]string
	}
	b := thingBench(t, &fakeObjects{})
	one := &thing{1}
	got := roundTrip(b, pair{A: one, List: []remoteThing{one, nil}, By: map[remoteThing]string{one: "x"}})
	if got.A == nil || got.B != nil || got.List[0] != got.A || got.List[1] != nil || got.By[got.A] != "x" {
		t.Errorf("got %+v", got)
	}
}

func TestAFailureOfObjectsIsWrappedWithItsPath(t *testing.T) {
	leak.Check(t)
	mine := errors.New("mine")
	b := thingBench(t, &fakeObjects{err: mine})
	type box struct{ Things []remoteThing }
	_, err := b.encode(func(e *Encoder) { e.Value(box{[]remoteThing{&thing{}}}) })
	wantError(t, err, Marshal, "argument 1: box.Things[0]: mine")
	if !errors.Is(err, mine) {
		t.Errorf("%v does not unwrap to the error of Objects", err)
	}
	data := thingBench(t, &fakeObjects{}).value(box{[]remoteThing{&thing{}}})
	if err := b.into(data, new(box)); !errors.Is(err, mine) || !strings.HasPrefix(err.Error(), "argument 1: box.Things[0]: ") {
		t.Errorf("got %v", err)
	}
	err = thingBench(t, &fakeObjects{any: "text"}).into(data, new(box))
	wantError(t, err, Unmarshal, "a string is no test.Thing")
	none := newBench(t, thingType{})
	wantError(t, none.into(data, new(box)), Unmarshal, "remote objects cannot travel in this message")
	_, err = none.encode(func(e *Encoder) { e.Remote(thingType{}, &thing{}) })
	wantError(t, err, Marshal, "remote objects cannot travel in this message")
}

func TestRecordsAreBoundedBothWays(t *testing.T) {
	leak.Check(t)
	for _, r := range []Record{
		{Endpoints: make([]string, 17)},
		{Interfaces: make([]string, 65)},
		{Endpoints: []string{strings.Repeat("x", 257)}},
	} {
		_, err := thingBench(t, &fakeObjects{record: r}).encode(func(e *Encoder) { e.Remote(thingType{}, &thing{}) })
		wantError(t, err, Marshal, "argument 1: a reference with")
	}
	id := "50" + strings.Repeat("00", 16)
	for item, says := range map[string]string{
		"d99925 80":                    "has 0 parts",
		"d99925 84 4100" + id + "8080": "an identity has 1 bytes",
		"d99925 84" + id + id + "91" + strings.Repeat("60", 17) + "80":        "17 endpoints",
		"d99925 84" + id + id + "81590101" + strings.Repeat("00", 257) + "80": "a byte string where a name",
		"d99925 84" + id + id + "81790101" + strings.Repeat("61", 257) + "80": "a name of 257 bytes",
		"d99926 00": "tag 39206 where a remote reference",
		"01":        "an integer where a remote reference",
	} {
		err := thingBench(t, &fakeObjects{}).decode(unhex("81"+item), func(d *Decoder) { d.Remote(thingType{}) })
		wantError(t, err, Unmarshal, "argument 1: ", says)
	}
}

func TestARecordMayGrow(t *testing.T) {
	leak.Check(t)
	id := "50" + strings.Repeat("09", 16)
	b := thingBench(t, &fakeObjects{})
	err := b.decode(unhex("81 d99925 86"+id+id+"8080 a10102 d81800"), func(d *Decoder) {
		if got, ok := d.Remote(thingType{}).(*thing); !ok || got.number != 9 {
			t.Errorf("got %v", got)
		}
	})
	if err != nil {
		t.Error(err)
	}
}

// walker is a type whose pointers may be remote objects.
type walker struct{ Steps int }

func (*walker) Walk(context.Context) error { return nil }

// exporting has some objects exported.
type exporting struct {
	fakeObjects
	exported map[any]bool
}

func (o *exporting) Exported(v any) bool { return o.exported[v] }

func TestAnExportedObjectIsNotCopiedByItsOwnType(t *testing.T) {
	leak.Check(t)
	type tour struct{ By map[string][]*walker }
	object, value := &walker{1}, &walker{2}
	b := thingBench(t, nil)
	b.objects = &exporting{exported: map[any]bool{object: true}}
	_, err := b.encode(func(e *Encoder) { e.Value(tour{map[string][]*walker{"a": {value, object}}}) })
	wantError(t, err, Marshal, `argument 1: tour.By["a"][1]: this *wire.walker is an exported object, which its own type would make a copy of`)
	if got := roundTrip(b, tour{map[string][]*walker{"a": {value, value}}}); got.By["a"][0].Steps != 2 || got.By["a"][0] != got.By["a"][1] {
		t.Errorf("got %+v, want the copy of what is not exported", got)
	}
	if got := roundTrip(b, *object); got.Steps != 1 {
		t.Errorf("got %+v, want the copy of a struct", got)
	}
}
