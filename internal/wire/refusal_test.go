package wire

import (
	"errors"
	"fmt"
	"io"
	"math"
	"math/big"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rmigo/rmigo/internal/leak"
)

// Level and Sealed have names that can be listed, whatever they are.
type (
	Level  int
	Sealed struct{ n int }
)

func TestWhatIsNotListedIsRefusedWithARemedyThatItsTypeAllows(t *testing.T) {
	leak.Check(t)
	for says, v := range map[string]any{
		"a wire.Level cannot travel in an interface: list it above the remote interface, //rmi:types wire.Level, or export it if it is an object":                                                                     Level(1),
		"a map[string][]*wire.level cannot travel in an interface: the name of wire.level is not exported, so that only interfaces of its own package can list it: give it an exported name":                          map[string][]*level{},
		"a *wire.Sealed cannot travel in an interface: wire.Sealed has no exported field: export the value if it is an object, else give the type exported fields, or MarshalBinary and UnmarshalBinary, and list it": &Sealed{1},
	} {
		_, err := newBench(t).encode(func(e *Encoder) { e.Interface(v) })
		wantError(t, err, Marshal, says)
	}
	// The remedy works: what is listed under an exported name travels.
	b := newBench(t, ValueType{"Level", reflect.TypeFor[Level]()})
	data, err := b.encode(func(e *Encoder) { e.Interface(Level(7)) })
	if err != nil {
		t.Fatal(err)
	}
	var got any
	if err := b.into(data, &got); err != nil || got != Level(7) {
		t.Errorf("got %v, %v; want the level", got, err)
	}
}

func TestWhatCannotTravelIsRefusedWithItsPath(t *testing.T) {
	leak.Check(t)
	type price struct{ Price any }
	type order struct{ Lines []*price }
	type locked struct {
		Mu   sync.Mutex
		Name string
	}
	type within struct{ L [1]struct{ In locked } }
	type numbered struct {
		A int `cbor:"one,keyasint"`
	}
	type doubled struct {
		A int `cbor:"B"`
		B int
	}
	type base struct{ n, ID int }
	type doc struct {
		*base
		Title string
	}
	type far struct {
		N int
		own
	}
	b := newBench(t)
	for _, c := range []struct {
		value any
		says  string
	}{
		{make(chan int), "argument 2: chan int cannot travel"},
		{func() {}, "argument 2: func() cannot travel"},
		{order{[]*price{nil, {make(chan int)}}}, "argument 2: order.Lines[1].Price: chan int cannot travel"},
		{map[string]any{"a": locked{}}, `argument 2: ["a"]: a wire.locked cannot travel in an interface: the name of wire.locked is not exported`},
		{map[any]int{level(1): 1}, `argument 2: [interface {}]: a wire.level cannot travel in an interface: the name of wire.level is not exported`},
		{[]fmt.Stringer{time.March}, "argument 2: [0]: a time.Month cannot travel in an interface"},
		{map[string]any{"b": []any{1, map[string]any{"c": func() {}}}}, `argument 2: ["b"][1]["c"]: func() cannot travel`},
		{locked{}, "argument 2: locked.Mu: sync.Mutex cannot travel: it has no exported field"},
		{within{}, "argument 2: within.L[0].In.Mu: sync.Mutex cannot travel"},
		{numbered{}, `the cbor name of A: "one" is no number, as keyasint wants it`},
		{doubled{}, "its fields A and B have one name"},
		{doc{&base{1, 2}, "t"}, "argument 2: doc: wire.doc cannot travel: the embedded pointer base is not exported, so that its field ID would be lost"},
		{&far{}, "argument 2: far: wire.far cannot travel: the embedded own is not exported and marshals itself, so that it would be lost"},
		{[]any{[]func(){nil}}, "argument 2: [0]: []func() cannot travel"},
	} {
		var e Encoder
		e.Reset(b.codec, b.table, nil, "argument", nil)
		e.Int(1)
		e.Value(c.value)
		e.Int(3)
		_, err := e.Finish()
		wantError(t, err, Marshal, c.says)
		if e.Err != err {
			t.Errorf("Err is %v, Finish returned %v", e.Err, err)
		}
	}
	keeps(t, map[string]chan int{"nil": nil})
}

func TestDepthIsBoundedBothWays(t *testing.T) {
	leak.Check(t)
	type box struct{ In any }
	b := newBench(t, ValueType{"box", reflect.TypeFor[box]()})
	boxes := func(n int) any {
		v := any("inmost")
		for range n {
			v = box{v}
		}
		return v
	}
	// Boxes are values: each takes a level for its type and one for itself, and nothing in them can be written elsewhere.
	roundTrip(b, box{boxes(255)})
	_, err := b.encode(func(e *Encoder) { e.Value(box{boxes(256)}) })
	wantError(t, err, Limit, "more than 512 levels of nesting, the bound set by Limits.Depth")
	wide := &bench{t: t, codec: NewCodec(Limits{Depth: 4000}), table: b.table}
	data := wide.value(box{boxes(256)})
	wantError(t, b.into(data, new(box)), Limit, "Limits.Depth")
	if got := NewCodec(Limits{Depth: 1 << 30}).Limits().Depth; got != greatestDepth {
		t.Errorf("a depth that could exhaust the stack was accepted: %d", got)
	}
	deepest := &bench{t: t, codec: NewCodec(Limits{Depth: greatestDepth}), table: b.table}
	roundTrip(deepest, box{boxes(greatestDepth/2 - 1)})
	nested := append(append([]byte{0x81, 0xa1, 0x61, 'z'}, strings.Repeat("\x81", 100_000)...), 0)
	wantError(t, b.into(nested, new(node)), Limit, "Limits.Depth")
}

func TestAValueAsDeepAsAllowedMayBeSkipped(t *testing.T) {
	leak.Check(t)
	b := newBench(t, ValueType{"*node", reflect.TypeFor[*node]()})
	first, end := any("inmost"), &node{}
	for range 255 {
		first = []any{first, []any{end}}
		end = &node{Next: end, Kids: []*node{}}
	}
	deep := errors.New("end")
	for range 60 {
		deep = fmt.Errorf("%w", deep)
	}
	type newer struct {
		Added   any
		More    *node
		At      []time.Time
		Failure error
		ID      int
	}
	type older struct{ ID int }
	data := b.value(newer{Added: first, More: end, At: []time.Time{time.Now()}, Failure: deep, ID: 5})
	var got older
	if err := b.into(data, &got); err != nil || got.ID != 5 {
		t.Errorf("got %+v, %v, want the field that both versions have", got, err)
	}
}

func TestFieldsComeAndGoBetweenVersions(t *testing.T) {
	leak.Check(t)
	type v1 struct {
		A int8
		C float32
	}
	type v2 struct {
		A int64
		B []map[string]*v1
		C float64
		D *string
	}
	b := newBench(t)
	text := "text"
	data := b.value(v2{A: 5, B: []map[string]*v1{{"x": {A: 1}}}, D: &text})
	var old v1
	if err := b.into(data, &old); err != nil || old != (v1{A: 5}) {
		t.Errorf("an older reader got %+v, %v", old, err)
	}
	var later v2
	if err := b.into(b.value(v1{A: 7, C: 1.5}), &later); err != nil || later.A != 7 || later.C != 1.5 {
		t.Errorf("a newer reader got %+v, %v", later, err)
	}
	wantError(t, b.into(b.value(v2{A: 300}), &old), Unmarshal, "argument 1: v1.A: 300 overflows: it is not within [-128, 127]")
	wantError(t, b.into(b.value(v2{C: 1.5}), &old), Unmarshal, "argument 1: v1.C: a float where a 32-bit float is expected")
}

func TestMessageBytesBoundTheEncoder(t *testing.T) {
	leak.Check(t)
	b := &bench{t: t, codec: NewCodec(Limits{MessageBytes: 100}), table: newTable(t)}
	if _, err := b.encode(func(e *Encoder) { e.Bytes(make([]byte, 97)) }); err != nil {
		t.Errorf("100 bytes are within the bound: %v", err)
	}
	long := strings.Repeat("x", 101)
	for name, write := range map[string]func(*Encoder){
		"bytes":        func(e *Encoder) { e.Bytes(make([]byte, 98)) },
		"string":       func(e *Encoder) { e.String(long) },
		"many scalars": func(e *Encoder) { e.Value(make([]float64, 90)) },
		"array":        func(e *Encoder) { e.Value(make([]struct{}, 1<<30)) },
		"structs":      func(e *Encoder) { e.Value(make([]node, 101)) },
		"in a struct":  func(e *Encoder) { e.Value(node{Name: long}) },
		"map":          func(e *Encoder) { e.Value(map[string]string{"a": long}) },
		"items": func(e *Encoder) {
			for range 20 {
				e.Float64(1)
			}
		},
		"error": func(e *Encoder) { e.Error(errors.New(long)) },
	} {
		_, err := b.encode(write)
		wantError(t, err, Limit, "argument ", "more than 100 bytes in a message, the bound set by Limits.MessageBytes")
		var limit *LimitError
		if !errors.As(err, &limit) || limit.Bound != 100 {
			t.Errorf("%s: got %#v, want a LimitError", name, err)
		}
	}
}

func TestFailSetsErrAtTheNextItem(t *testing.T) {
	leak.Check(t)
	b := newBench(t)
	_, err := b.encode(func(e *Encoder) {
		e.Int(1)
		e.Fail(nil)
		e.Fail(io.EOF)
		e.Fail(io.ErrUnexpectedEOF)
	})
	wantError(t, err, Marshal, "argument 2: EOF")
	if !errors.Is(err, io.EOF) {
		t.Errorf("%v is not io.EOF", err)
	}
}

func TestMemoryIsBoundedBeforeItIsTaken(t *testing.T) {
	leak.Check(t)
	type fat struct{ Block [1 << 20]int64 }
	type holder struct{ A, B, C []fat }
	tight := &bench{t: t, codec: NewCodec(Limits{Alloc: 1 << 20, Objects: 100}), table: newTable(t)}
	err := tight.into(unhex("81 81 a0"), new([]fat))
	wantError(t, err, Limit, "more than 1048576 bytes of memory for a message, the bound set by Limits.Alloc")
	wantError(t, tight.into(unhex("81 81 a0"), new([]*fat)), Limit, "Limits.Alloc")
	wantError(t, tight.into(unhex("81 a1 6001 "), new(map[string]fat)), Limit, "Limits.Alloc")
	data := tight.value(make([]*int, 0, 1))
	data = append(data[:1], append(appendHead(nil, majorArray, 200), make([]byte, 200)...)...)
	wantError(t, tight.into(data, new([]*int)), Limit, "more than 100 values in a message, the bound set by Limits.Objects")

	b := newBench(t)
	for _, claim := range []string{"9affffffff", "9bffffffffffffffff", "9b7fffffffffffffff", "5bffffffffffffffff", "7affffffff", "ba7fffffff", "bbffffffffffffffff"} {
		data := unhex("81" + claim + "00")
		for _, p := range []any{new([]holder), new([]string), new(string), new([]byte), new(map[string]int), new(map[float64]int), new(node), new([]fat)} {
			if allocated := testing.AllocsPerRun(1, func() { err = b.into(data, p) }); err == nil || allocated > 100 {
				t.Errorf("%s for a %T: %v", claim, p, err)
			}
		}
	}
}

func TestMalformedMessagesAreRefused(t *testing.T) {
	leak.Check(t)
	b := newBench(t)
	for _, c := range []struct {
		data string
		into any
		says string
	}{
		{"", new(int), "argument: the message ends too early"},
		{"00", new(int), "argument: an integer where the array of all items"},
		{"9f00ff", new(int), "indefinite lengths are not accepted"},
		{"81", new(int), "ends too early"},
		{"8118", new(int), "ends too early"},
		{"811817", new(int), "takes more bytes than it needs"},
		{"81190017", new(int), "takes more bytes than it needs"},
		{"811a00000017", new(int), "takes more bytes than it needs"},
		{"811b0000000000000017", new(int), "takes more bytes than it needs"},
		{"811c", new(int), "0x1c begins no CBOR item"},
		{"81f6", new(int), "null where an integer is expected"},
		{"81fb3ff0000000000000", new(int), "a float where an integer is expected"},
		{"811b8000000000000000", new(int64), "overflows"},
		{"813b8000000000000000", new(int64), "overflows"},
		{"811880", new(int8), "128 overflows: it is not within [-128, 127]"},
		{"813880", new(int8), "-129 overflows"},
		{"8120", new(uint), "a negative integer overflows"},
		{"81190100", new(uint8), "256 overflows: it is not within [0, 255]"},
		{"8100", new(bool), "an integer where a boolean is expected"},
		{"8100", new(float64), "an integer where a float is expected"},
		{"81f93c00", new(float64), "a simple value where a float is expected"},
		{"81f5", new(string), "a boolean where a string is expected"},
		{"8161ff", new(string), "text that is not UTF-8"},
		{"8161", new(string), "ends too early"},
		{"816161", new([]byte), "text where a byte string is expected"},
		{"8182fb0000000000000000", new(complex128), "ends too early"},
		{"8183000000", new(complex64), "a complex number of 3 parts"},
		{"8143010203", new(digest), "3 bytes for wire.digest"},
		{"81820102", new([3]int), "2 elements for [3]int"},
		{"81820102", new(*[]int), "a pointer's array has 2 items, not one"},
		{"8180", new(node), "an array where a map of fields is expected"},
		{"81a14000", new(node), "a byte string where a field's name is expected"},
		{"81a1644e616d6500", new(node), "argument 1: node.Name: an integer where a string"},
		{"81a2644e616d656161644e616d656161", new(node), "field Name comes twice or out of order"},
		{"81a2644e65787 4f6644e616d656161", new(node), "field Name comes twice or out of order"},
		{"81a161ff00", new(node), "text that is not UTF-8"},
		{"81a1617a61ff", new(node), "text that is not UTF-8"},
		{"81a1617af81f", new(node), "a simple value in two bytes"},
		{"81a1617aff", new(node), "0xff begins no CBOR item"},
		{"81a1617aa1", new(node), "ends too early"},
		{"81a2616101616102", new(map[string]int), "a key comes twice"},
		{"818301", new(map[float64]int), "ends too early"},
		{"8183010203", new(map[float64]int), "has 3 items, an odd number"},
		{"81d81d00", new(*node), "a reference to shared value 0 of 0"},
		{"8182d81c01d81d01", new([]*int), "a reference to shared value 1 of 1"},
		{"81d81d20", new(*node), "a negative integer overflows"},
		{"81d9992100", new([]int), "a message within the message where an array is expected"},
		{"81a1617ad9992180", new(node), "a message within the message where a plain value"},
		{"d99921 81 80", new(int), "a message with bodies has none"},
		{"d99921 82 81 05 06", new(int), "nothing refers to body 0"},
		{"81d9992300", new(*int), "a reference to body 0: there are 0"},
		{"d99921 82 81 d9992301 05", new(*int), "a reference to body 1"},
		{"d99921 82 81 d99923820001 8105", new(*int), "of length 1, where a *int is expected"},
		{"d99921 82 81 d99923820002 8105", new([]int), "a body of 1 elements, a slice of 2 was announced"},
		{"d99921 82 81 d99923820000 80", new([]int), "a slice of no elements"},
		{"d99921 82 81 d999238300 0100 80", new([]int), "3 parts, not two"},
		{"81d81b00", new(int), "an error or a value with its type where an integer"},
		{"81d90fff00", new(int), "tag 4095 where an integer"},
		{"81 d81b82 656f74686572 00", new(any), `the type "other", which this method's interface values may not hold`},
		{"81 d81b82 00 00", new(any), "a reference to type name 0 of 0"},
		{"81 c1 00", new(any), "tag 1 where a value of an interface type is expected"},
		{"81 d81c 00", new(any), "a shared value (tag 28) where a value of an interface type"},
		{"8101", new(fmt.Stringer), "a int, which is no fmt.Stringer"},
		{"8101", new(chan int), "chan int cannot travel"},
		{"81a10101", new(time.Time), "argument 1: Time: a map where a time is expected"},
		{"81d903e9a0", new(time.Time), "a time without seconds"},
		{"81d903e9a201010101", new(time.Time), "a key comes twice"},
		{"81d903e9a10201", new(time.Time), "a time with key 2, which is unknown"},
		{"81d903e9a20101281a3b9aca00", new(time.Time), "1000000000 overflows"},
		{"81c2410 1", newBig(), "a bignum takes more bytes than it needs"},
		{"81c200", newBig(), "an integer where a byte string"},
		{"8160", newBig(), "text where an integer"},
	} {
		t.Run(c.data, func(t *testing.T) { wantError(t, b.into(unhex(c.data), c.into), Unmarshal, "argument", c.says) })
	}
}

func TestAReaderPassesOverTimeKeysThatItMay(t *testing.T) {
	leak.Check(t)
	var got time.Time
	if err := newBench(t).into(unhex("81d903e9a2 0105 3863 a10102"), &got); err != nil || got.Unix() != 5 {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestEveryTruncationOfAMessageIsRefused(t *testing.T) {
	leak.Check(t)
	b := errorTable(t)
	data := b.value(sampleRich())
	for n := range data {
		if err := b.into(data[:n], new(rich)); err == nil {
			t.Fatalf("the first %d of %d bytes were accepted", n, len(data))
		}
	}
	if err := b.into(data, new(rich)); err != nil {
		t.Errorf("the whole message: %v", err)
	}
}

func TestACodecServesManyGoroutines(t *testing.T) {
	leak.Check(t)
	b := errorTable(t)
	want := b.value(sampleRich())
	fresh := &bench{t: t, codec: NewCodec(Limits{}), table: b.table}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if got := roundTrip(fresh, sampleRich()); string(fresh.value(got)) != string(want) {
				t.Errorf("got %x\nwant %x", fresh.value(got), want)
			}
		})
	}
	all.Wait()
}

func TestExtremeTimesKeepTheirInstant(t *testing.T) {
	leak.Check(t)
	for _, want := range []time.Time{time.Unix(math.MaxInt64, 999_999_999).UTC(), time.Unix(math.MinInt64, 0).UTC()} {
		if got := roundTrip(newBench(t), want); !got.Equal(want) {
			t.Errorf("got %v, want %v", got, want)
		}
	}
}

func TestKeysThatDifferByWhatDoesNotTravelAreRefusedByTheSender(t *testing.T) {
	leak.Check(t)
	noon := time.Date(2024, 1, 1, 12, 0, 0, 0, time.UTC)
	here, there := noon.In(time.FixedZone("HERE", 3600)), noon.In(time.FixedZone("THERE", 3600))
	type hidden struct {
		A int
		b int
	}
	type pointing struct {
		At time.Time
		P  *int
	}
	b := newBench(t, thingType{})
	b.objects = &fakeObjects{}
	for name, v := range map[string]any{
		"zones":             map[time.Time]int{here: 1, there: 2, noon: 3},
		"in arrays":         map[[1]time.Time]int{{here}: 1, {there}: 2},
		"unexported fields": map[hidden]bool{{1, 2}: true, {1, 3}: true},
		"objects":           map[remoteThing]int{&thing{1}: 1, &thing{1}: 2},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := b.encode(func(e *Encoder) { e.Value(v) })
			wantError(t, err, Marshal, "argument 1", "two keys of this map differ only by what does not travel")
		})
	}
	nan := math.NaN()
	type number struct {
		F float64
		n int
	}
	for _, v := range []any{
		map[time.Time]int{here: 1, noon: 2}, map[time.Time]int{}, map[float64]int{nan: 1, math.Copysign(nan, 1): 2},
		map[number]int{{nan, 1}: 1, {nan, 2}: 2}, map[pointing]int{{here, new(int)}: 1, {here, new(int)}: 2},
		map[[2]int]int{{1, 2}: 1, {2, 1}: 2},
	} {
		data := b.value(v)
		into := reflect.New(reflect.TypeOf(v))
		if err := b.into(data, into.Interface()); err != nil || into.Elem().Len() != reflect.ValueOf(v).Len() {
			t.Errorf("%v became %v, %v", v, into.Elem(), err)
		}
	}
}

func TestZonesAndBigIntegersAreChargedForTheirMemory(t *testing.T) {
	leak.Check(t)
	tight := &bench{t: t, codec: NewCodec(Limits{Alloc: 1 << 20}), table: newTable(t)}
	const n = 20_000
	times, same, bigs := appendHead([]byte{0x81}, majorArray, n), appendHead([]byte{0x81}, majorArray, n), appendHead([]byte{0x81}, majorArray, n)
	for i := range n {
		at := "d903e9a2010029"
		times = append(times, unhex(at+text(offsetText(i+1)))...)
		same = append(same, unhex(at+text("+01:00"))...)
		bigs = append(bigs, 0x20)
	}
	wantError(t, tight.into(times, new([]time.Time)), Limit, "Limits.Alloc")
	if err := tight.into(same, new([]time.Time)); err != nil {
		t.Errorf("times of one zone: %v", err)
	}
	wantError(t, tight.into(bigs, new([]big.Int)), Limit, "Limits.Alloc")
	for _, into := range []any{new([]time.Time), new([]big.Int)} {
		data, loose := times, newBench(t)
		if _, ok := into.(*[]big.Int); ok {
			data = bigs
		}
		var d Decoder
		d.Reset(loose.codec, nil, nil, "argument", data)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		d.Value(into)
		runtime.ReadMemStats(&after)
		charged := loose.codec.limits.Alloc - d.alloc
		if spent := int64(after.TotalAlloc - before.TotalAlloc); d.Err != nil || spent > charged+charged/8 {
			t.Errorf("a %T: %d bytes were charged for %d, %v", into, charged, spent, d.Err)
		}
	}
}

func TestAbsurdLimitsAreBroughtWithinBounds(t *testing.T) {
	leak.Check(t)
	all := Limits{MessageBytes: math.MaxInt, Depth: math.MaxInt, Objects: math.MaxInt, Alloc: math.MaxInt64}
	b := &bench{t: t, codec: NewCodec(all), table: newTable(t)}
	if got := roundTrip(b, "text"); got != "text" {
		t.Errorf("got %q", got)
	}
	if got := b.codec.Limits(); got.MessageBytes+frameRoom > math.MaxInt32 || got.Depth > 10_000 {
		t.Errorf("got %+v", got)
	}
}

func TestAZoneNameForAnOffsetIsPassedOver(t *testing.T) {
	leak.Check(t)
	b := newBench(t)
	var got time.Time
	if err := b.into(unhex("81d903e9a2 0105 29"+text("Europe/Paris")), &got); err != nil || !got.Equal(time.Unix(5, 0)) || got.Location() != time.UTC {
		t.Errorf("got %v, %v", got, err)
	}
	wantError(t, b.into(unhex("81d903e9a2 0105 29 00"), &got), Unmarshal, "an integer where the offset of a time")
	wantError(t, b.into(unhex("81d903e9a2 0105 29 41 5a"), &got), Unmarshal, "a byte string where the offset of a time")
}

func TestFailNamesTheItemReadLast(t *testing.T) {
	leak.Check(t)
	err := newBench(t).decode([]byte{0x82, 0x05, 0x06}, func(d *Decoder) {
		var n int
		d.Int(&n)
		d.Fail(io.EOF)
		d.Int(&n)
	})
	wantError(t, err, Unmarshal, "argument 1: EOF")
}
