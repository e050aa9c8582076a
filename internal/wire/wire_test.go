package wire

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"math"
	"math/big"
	"net/netip"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"

	"github.com/rmigo/rmigo/internal/leak"
)

// The oracle is another implementation of CBOR: what the encoder emits must be well-formed to it, and mean the same.
var oracle = func() cbor.DecMode {
	mode, err := cbor.DecOptions{
		DupMapKey:       cbor.DupMapKeyEnforcedAPF,
		MaxNestedLevels: 65535,
		IndefLength:     cbor.IndefLengthForbidden,
		IntDec:          cbor.IntDecConvertSignedOrBigInt,
		DefaultMapType:  reflect.TypeFor[map[any]any](),
	}.DecMode()
	if err != nil {
		panic(err)
	}
	return mode
}()

func newTable(t testing.TB, types ...Type) *Table {
	t.Helper()
	table, err := NewTable(nil, types)
	if err != nil {
		t.Fatalf("NewTable: %v", err)
	}
	return table
}

// bench is a codec with a table and objects, on which tests encode and decode.
type bench struct {
	t       testing.TB
	codec   *Codec
	table   *Table
	objects Objects
}

func newBench(t testing.TB, types ...Type) *bench {
	return &bench{t: t, codec: NewCodec(Limits{}), table: newTable(t, types...)}
}

func (b *bench) encode(write func(*Encoder)) ([]byte, error) {
	b.t.Helper()
	var e Encoder
	e.Reset(b.codec, b.table, b.objects, "argument", []byte("head"))
	write(&e)
	buf, err := e.Finish()
	if err != nil {
		return nil, err
	}
	if string(buf[:4]) != "head" {
		b.t.Fatalf("the message overwrote what was in the buffer: %x", buf)
	}
	if err := oracle.Wellformed(buf[4:]); err != nil {
		b.t.Fatalf("the oracle refuses %x: %v", buf[4:], err)
	}
	return buf[4:], nil
}

// value encodes a single value.
func (b *bench) value(v any) []byte {
	b.t.Helper()
	data, err := b.encode(func(e *Encoder) { e.Value(v) })
	if err != nil {
		b.t.Fatalf("encoding a %T: %v", v, err)
	}
	return data
}

func (b *bench) decode(data []byte, read func(*Decoder)) error {
	b.t.Helper()
	var d Decoder
	d.Reset(b.codec, b.table, b.objects, "argument", data)
	read(&d)
	return d.Finish()
}

// into decodes a single value into what p points to.
func (b *bench) into(data []byte, p any) error {
	b.t.Helper()
	return b.decode(data, func(d *Decoder) { d.Value(p) })
}

// roundTrip returns what becomes of a value on the wire.
func roundTrip[T any](b *bench, v T) T {
	b.t.Helper()
	var got T
	if err := b.into(b.value(v), &got); err != nil {
		b.t.Fatalf("decoding a %T: %v\nfrom %x", v, err, b.value(v))
	}
	return got
}

func keeps[T any](t *testing.T, values ...T) {
	t.Helper()
	b := newBench(t)
	for _, v := range values {
		if got := roundTrip(b, v); !reflect.DeepEqual(got, v) {
			t.Errorf("a %T changed on the wire\ngot  %#v\nwant %#v", v, got, v)
		}
	}
}

func unhex(s string) []byte {
	data, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		panic(err)
	}
	return data
}

func wantError(t *testing.T, err error, kind Kind, parts ...string) {
	t.Helper()
	var got *Error
	if !errors.As(err, &got) {
		t.Fatalf("got error %v (%T), want a *wire.Error", err, err)
	}
	if got.Kind != kind {
		t.Errorf("got kind %v, want %v: %v", got.Kind, kind, err)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("got error %q, want it to say %q", err, part)
		}
	}
}

func TestEachScalarMethodWritesTheBytesOfItsValue(t *testing.T) {
	leak.Check(t)
	b := newBench(t)
	for _, c := range []struct {
		write func(*Encoder)
		want  string
	}{
		{func(e *Encoder) { e.Bool(true); e.Bool(false) }, "82 f5 f4"},
		{func(e *Encoder) { e.Int(-1); e.Int8(-128); e.Int16(300) }, "83 20 387f 19012c"},
		{func(e *Encoder) { e.Int32(math.MinInt32); e.Int64(math.MinInt64) }, "82 3a7fffffff 3b7fffffffffffffff"},
		{func(e *Encoder) { e.Uint(23); e.Uint8(24); e.Uint16(256); e.Uint32(65536) }, "84 17 1818 190100 1a00010000"},
		{func(e *Encoder) { e.Uint64(math.MaxUint64); e.Uintptr(0) }, "82 1bffffffffffffffff 00"},
		{func(e *Encoder) { e.Float32(1.5); e.Float64(-2) }, "82 fa3fc00000 fbc000000000000000"},
		{func(e *Encoder) { e.Complex64(1 + 2i) }, "81 82fa3f800000fa40000000"},
		{func(e *Encoder) { e.Complex128(0) }, "81 82fb0000000000000000fb0000000000000000"},
		{func(e *Encoder) { e.String("né"); e.String("\xff"); e.String("") }, "83 636ec3a9 41ff 60"},
		{func(e *Encoder) { e.Bytes(nil); e.Bytes([]byte{}); e.Bytes([]byte{1}) }, "83 f6 40 4101"},
		{func(e *Encoder) { e.Time(time.Unix(1, 5).UTC()) }, "81 d903e9 a2 0101 2805"},
		{func(e *Encoder) { e.Time(time.Unix(1, 0).In(time.FixedZone("", -60))) }, "81 d903e9 a2 0101 29 66 2d30303a3031"},
		{func(e *Encoder) { e.Error(nil) }, "81 f6"},
		{func(*Encoder) {}, "80"},
	} {
		got, err := b.encode(c.write)
		if err != nil || hex.EncodeToString(got) != strings.ReplaceAll(c.want, " ", "") {
			t.Errorf("got %x, %v\nwant %s", got, err, c.want)
		}
	}
}

func TestTheExampleOfThePackageCommentHolds(t *testing.T) {
	leak.Check(t)
	type Line struct{ SKU string }
	type Order struct {
		ID    int
		Lines []Line
		Note  string
	}
	got, err := newBench(t).encode(func(e *Encoder) {
		e.Int64(250)
		e.Value(&Order{ID: 7, Lines: []Line{{SKU: "a"}}})
	})
	if want := unhex("82 18fa a2 624944 07 654c696e6573 81 a1 63534b55 6161"); string(got) != string(want) || err != nil {
		t.Errorf("got  %x, %v\nwant %x", got, err, want)
	}
}

// scalars are one of each thing that has a method of its own.
type scalars struct {
	A bool
	B int
	C int8
	D int16
	E int32
	F int64
	G uint
	H uint8
	I uint16
	J uint32
	K uint64
	L uintptr
	M float32
	N float64
	O complex64
	P complex128
	Q string
	R []byte
	S time.Time
	T error
}

func TestEachScalarMethodReadsWhatItsTwinWrote(t *testing.T) {
	leak.Check(t)
	b := newBench(t)
	now := time.Date(2024, 2, 29, 12, 0, 0, 7, time.FixedZone("", 3600))
	data, err := b.encode(func(e *Encoder) {
		e.Bool(true)
		e.Int(-7)
		e.Int8(-8)
		e.Int16(-16)
		e.Int32(-32)
		e.Int64(-64)
		e.Uint(7)
		e.Uint8(8)
		e.Uint16(16)
		e.Uint32(32)
		e.Uint64(64)
		e.Uintptr(9)
		e.Float32(1.25)
		e.Float64(2.5)
		e.Complex64(1i)
		e.Complex128(2i)
		e.String("text")
		e.Bytes([]byte("bytes"))
		e.Time(now)
		e.Error(nil)
	})
	if err != nil {
		t.Fatal(err)
	}
	var got scalars
	err = b.decode(data, func(d *Decoder) {
		d.Bool(&got.A)
		d.Int(&got.B)
		d.Int8(&got.C)
		d.Int16(&got.D)
		d.Int32(&got.E)
		d.Int64(&got.F)
		d.Uint(&got.G)
		d.Uint8(&got.H)
		d.Uint16(&got.I)
		d.Uint32(&got.J)
		d.Uint64(&got.K)
		d.Uintptr(&got.L)
		d.Float32(&got.M)
		d.Float64(&got.N)
		d.Complex64(&got.O)
		d.Complex128(&got.P)
		d.String(&got.Q)
		d.Bytes(&got.R)
		d.Time(&got.S)
		d.Error(&got.T)
	})
	want := scalars{true, -7, -8, -16, -32, -64, 7, 8, 16, 32, 64, 9, 1.25, 2.5, 1i, 2i, "text", []byte("bytes"), now, nil}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v, %v\nwant %+v", got, err, want)
	}
}

func TestAnArrayOfMoreThan23ItemsGetsALongerHead(t *testing.T) {
	leak.Check(t)
	b := newBench(t)
	for _, n := range []int{0, 1, 23, 24, 255, 256, 70000} {
		data, err := b.encode(func(e *Encoder) {
			for i := range n {
				e.Int(i)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		var got []int
		if err := oracle.Unmarshal(data, &got); n < 131072 && (err != nil || len(got) != n) {
			t.Errorf("%d items: the oracle reads %d, %v", n, len(got), err)
		}
		err = b.decode(data, func(d *Decoder) {
			for want := range n {
				got := -1
				if d.Int(&got); got != want {
					t.Fatalf("item %d of %d: got %d", want, n, got)
				}
			}
		})
		if err != nil {
			t.Errorf("%d items: %v", n, err)
		}
	}
}

type (
	level  int8
	flags  []byte
	digest [4]byte
	node   struct {
		Name string
		Next *node
		Kids []*node
		By   map[string]*node
	}
	// Base and others have exported names so that embedding them makes exported fields.
	Base  struct{ ID int }
	outer struct {
		Base
		*node  `cbor:"-"` // unexported: does not travel
		ID     string
		hidden int
		Shown  int
	}
)

func TestScalarsKeepTheirValueAsElementsOfOthers(t *testing.T) {
	leak.Check(t)
	keeps(t, []bool{true, false}, nil, []bool{})
	keeps(t, []int8{math.MinInt8, 0, math.MaxInt8})
	keeps(t, []int{math.MinInt, -1, 0, 23, 24, math.MaxInt})
	keeps(t, []int64{math.MinInt64, math.MaxInt64}, nil, []int64{})
	keeps(t, []uint64{0, math.MaxUint64})
	keeps(t, []uintptr{1}, []uintptr{})
	keeps(t, []float64{0, math.Copysign(0, -1), math.Inf(1), math.SmallestNonzeroFloat64})
	keeps(t, []complex64{1 + 2i}, nil)
	keeps(t, []string{"", "a", "\xff\xfe", "日本"}, nil, []string{})
	keeps(t, level(-3))
	keeps(t, flags{1, 2}, flags{}, nil)
	keeps(t, digest{1, 2, 3, 4})
	keeps(t, [3]string{"a"}, [3]string{})
	keeps(t, [0]int{})
	keeps(t, [][]int{{1}, nil, {}})
	keeps(t, time.Second)
}

func TestFloatsKeepEachBit(t *testing.T) {
	leak.Check(t)
	b := newBench(t)
	for _, bits := range []uint64{0x7ff8000000000001, 0x7ff0000000000001, 1 << 63} {
		if got := roundTrip(b, []float64{math.Float64frombits(bits)}); math.Float64bits(got[0]) != bits {
			t.Errorf("got %x, want %x", math.Float64bits(got[0]), bits)
		}
	}
	type named float32
	type pair complex64
	for _, bits := range []uint32{0x7f800001, 0x7fc00001, 1 << 31} {
		f := math.Float32frombits(bits)
		if got := roundTrip(b, []float32{f}); math.Float32bits(got[0]) != bits {
			t.Errorf("float32: got %x, want %x", math.Float32bits(got[0]), bits)
		}
		if got := roundTrip(b, []named{named(f)}); math.Float32bits(float32(got[0])) != bits {
			t.Errorf("a named float32: got %x, want %x", math.Float32bits(float32(got[0])), bits)
		}
		pairs := roundTrip(b, map[string]pair{"a": pair(complex(f, f))})
		if got := pairs["a"]; math.Float32bits(real(got)) != bits || math.Float32bits(imag(got)) != bits {
			t.Errorf("a named complex64: got %x, %x, want %x", math.Float32bits(real(got)), math.Float32bits(imag(got)), bits)
		}
	}
	type deep struct{ P struct{ F [1]float64 } }
	var negative deep
	negative.P.F[0] = math.Copysign(0, -1)
	if got := roundTrip(b, negative); !math.Signbit(got.P.F[0]) {
		t.Error("−0 in a struct in a struct was taken for a zero field and lost its sign")
	}
}

func TestAStructKeepsItsFields(t *testing.T) {
	leak.Check(t)
	keeps(t, node{Name: "a", Next: &node{Name: "b"}, Kids: []*node{{Name: "c"}, nil, {}}, By: map[string]*node{"x": {Name: "d"}, "": nil}})
	keeps(t, outer{Base: Base{1}, ID: "two", Shown: 3})
	keeps(t, struct{}{})
	keeps(t, []struct{}{{}, {}})
	keeps(t, map[string]struct{}{"a": {}})
	type many struct {
		A, B, C, D, E, F, G, H, I, J, K, L, M, N, O, P, Q, R, S, T, U, V, W, X, Y, Z int
	}
	keeps(t, many{A: 1, Z: 26}, many{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26})
}

func TestAStructIsAMapOfItsNonZeroFieldsToTheOracle(t *testing.T) {
	leak.Check(t)
	type order struct {
		ID     int `cbor:"id,omitempty"`
		Note   string
		Secret string `cbor:"-"`
		Empty  []int
		Zero   *int
	}
	b := newBench(t)
	zero := 0
	data := b.value(order{ID: 7, Secret: "s", Empty: []int{}, Zero: &zero})
	var got []any
	if err := oracle.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	want := []any{map[any]any{"id": int64(7), "Empty": []any{}, "Zero": int64(0)}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %#v\nwant %#v", got, want)
	}
	if back := roundTrip(b, order{Secret: "s"}); back.Secret != "" {
		t.Errorf(`a field tagged cbor:"-" travelled: %q`, back.Secret)
	}
}

func TestUnexportedFieldsStayAtHome(t *testing.T) {
	leak.Check(t)
	got := roundTrip(newBench(t), outer{node: &node{}, hidden: 1, Shown: 2})
	if want := (outer{Shown: 2}); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestPointersAreNullTheirValueOrAnArrayOfOne(t *testing.T) {
	leak.Check(t)
	b := newBench(t)
	one := 1
	p := &one
	var none *int
	type pair struct {
		P **int
		Q *[]int
	}
	for _, c := range []struct {
		value any
		want  string
	}{
		{p, "81 01"},
		{none, "81 f6"},
		{&p, "81 81 01"},
		{&none, "81 81 f6"},
		{pair{P: &none, Q: new([]int)}, "81 a2 6150 81f6 6151 81f6"},
	} {
		if got := b.value(c.value); hex.EncodeToString(got) != strings.ReplaceAll(c.want, " ", "") {
			t.Errorf("%T: got %x, want %s", c.value, got, c.want)
		}
	}
	if got := roundTrip(b, pair{P: &none}); got.P == nil || *got.P != nil || got.Q != nil {
		t.Errorf("got %+v, want a pointer to a nil pointer, and a nil pointer", got)
	}
}

func TestMapsAreSortedByTheBytesOfTheirKeys(t *testing.T) {
	leak.Check(t)
	b := newBench(t)
	strings := b.value(map[string]int{"b": 1, "aa": 2, "a": 3, "": 4, "\xff": 5})
	if got, want := hex.EncodeToString(strings), "81a541ff056004616103616201626161"+"02"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	ints := b.value(map[int8]bool{-1: true, 5: false, 100: true, -100: true})
	if got, want := hex.EncodeToString(ints), "81a405f41864f520f53863f5"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestMapsKeepTheirPairs(t *testing.T) {
	leak.Check(t)
	keeps(t, map[string]string{"a": "1", "b": "2"}, nil, map[string]string{})
	keeps(t, map[int]map[string][]int{1: {"a": {1}}, -1: nil, 300: {}})
	keeps(t, map[bool]int{true: 1, false: 0})
	keeps(t, map[float64]int{1.5: 1, math.Inf(-1): 2})
	keeps(t, map[[2]int]string{{1, 2}: "a", {}: "b"})
	keeps(t, map[Base]int{{1}: 1})
	big := map[uint16]string{}
	for i := range 1000 {
		big[uint16(i)] = strings.Repeat("x", i%7)
	}
	keeps(t, big)
	got := roundTrip(newBench(t), map[float64]int{math.NaN(): 1, math.Float64frombits(0x7ff8000000000001): 2})
	if len(got) != 2 {
		t.Errorf("two NaN keys: got %v", got)
	}
}

func TestTypesOfTheStandardLibraryKeepTheirState(t *testing.T) {
	leak.Check(t)
	huge, _ := new(big.Int).SetString("-123456789012345678901234567890", 10)
	keeps(t, huge, new(big.Int).Neg(huge), big.NewInt(0), big.NewInt(-1), new(big.Int).SetUint64(math.MaxUint64),
		new(big.Int).Lsh(big.NewInt(1), 64), new(big.Int).Neg(new(big.Int).Lsh(big.NewInt(1), 64)))
	keeps(t, *big.NewRat(1, 3))
	keeps(t, new(big.Float).SetPrec(200).Quo(big.NewFloat(1), big.NewFloat(3)))
	keeps(t, netip.MustParseAddrPort("[fe80::1%eth0]:80"))
	link, err := url.Parse("https://user:p%40ss@example.com/a?b#c")
	if err != nil {
		t.Fatal(err)
	}
	keeps(t, link, &url.URL{User: url.User("me")})
	keeps(t, time.Time{}, time.Unix(0, 0).UTC(), time.Date(-4000, 1, 1, 0, 0, 0, 1, time.UTC), time.Date(2024, 1, 1, 0, 0, 0, 0, time.FixedZone("", -3*3600)))
	var got []*big.Int
	if err := oracle.Unmarshal(newBench(t).value(huge), &got); err != nil || got[0].Cmp(huge) != 0 {
		t.Errorf("the oracle reads %v, %v, want %v", got, err, huge)
	}
}

func TestATimeLosesItsZoneNameAndMonotonicReadingOnly(t *testing.T) {
	leak.Check(t)
	now := time.Now().In(time.FixedZone("NAME", 7200))
	got := roundTrip(newBench(t), now)
	if name, offset := got.Zone(); !got.Equal(now) || name != "" || offset != 7200 {
		t.Errorf("got %v in zone %q, want the instant %v at offset 7200", got, name, now)
	}
}

type sealed struct{ text string }

func (s sealed) MarshalBinary() ([]byte, error) { return []byte(s.text), nil }
func (s *sealed) UnmarshalBinary(b []byte) error {
	if string(b) == "panic" {
		panic("of the user's")
	}
	s.text = string(b)
	return nil
}

func TestAStructWithUnexportedStateTravelsThroughItsMarshaler(t *testing.T) {
	leak.Check(t)
	keeps(t, sealed{"state"}, sealed{})
	keeps(t, map[string]*sealed{"a": {"x"}})
	err := newBench(t).into(newBench(t).value(sealed{"panic"}), new(sealed))
	wantError(t, err, Unmarshal, "argument 1: sealed", "panic: of the user's")
}

type (
	stamped struct {
		time.Time
		Title string
		seq   int
	}
	linked struct {
		Title string
		*url.URL
		seq int
	}
	stamp struct {
		time.Time
		Title string
	}
	twice struct { // has the methods by way of stamp, which does not use them
		stamp
		seq int
	}
	alone struct {
		time.Time
		seq int
	}
	own struct {
		time.Time
		Title string
		seq   int
	}
)

func (o own) MarshalText() ([]byte, error) { return []byte(o.Title), nil }
func (o *own) UnmarshalText(b []byte) error {
	o.Title = "own " + string(b)
	return nil
}

func TestTheMarshalerOfAnEmbeddedFieldDoesNotSwallowTheOthers(t *testing.T) {
	leak.Check(t)
	at := time.Unix(5, 0).UTC()
	keeps(t, stamped{at, "title", 0}, stamped{Title: "title"})
	keeps(t, linked{"title", &url.URL{Host: "h"}, 0}, linked{Title: "title"})
	keeps(t, alone{at, 0})
	if got := roundTrip(newBench(t), own{at, "t", 0}); got.Title != "own t" {
		t.Errorf("a struct with methods of its own: got %+v", got)
	}
	keeps(t, twice{stamp{at, "t"}, 0}, twice{})
}

// gobbed, texted and jsoned have no exported fields; each marshals itself in ways of which one counts.
type (
	gobbed struct{ n int }
	jsoned struct{ n int }
	shown  struct { // JSON does not count where fields travel
		Shown  int
		hidden int
	}
)

func (g gobbed) GobEncode() ([]byte, error)    { return []byte{byte(g.n)}, nil }
func (g *gobbed) GobDecode(b []byte) error     { g.n = int(b[0]); return nil }
func (gobbed) MarshalText() ([]byte, error)    { return nil, errors.New("the text loses something") }
func (*gobbed) UnmarshalText(b []byte) error   { return nil }
func (j jsoned) MarshalJSON() ([]byte, error)  { return json.Marshal(j.n) }
func (j *jsoned) UnmarshalJSON(b []byte) error { return json.Unmarshal(b, &j.n) }
func (s shown) MarshalJSON() ([]byte, error)   { return []byte("{}"), nil }
func (s *shown) UnmarshalJSON(b []byte) error  { return nil }

func TestWhatMarshalsItselfForGobOrJSONTravels(t *testing.T) {
	leak.Check(t)
	keeps(t, gobbed{5}, gobbed{})
	keeps(t, jsoned{-7}, jsoned{})
	keeps(t, []any{map[string]*jsoned{"a": {1}}, []gobbed{{2}}}[0].(map[string]*jsoned))
	if got := roundTrip(newBench(t), shown{1, 2}); got != (shown{1, 0}) {
		t.Errorf("got %+v", got)
	}
}

type (
	hidden struct {
		ID   int
		Self *embedding
		Tags map[string]string
		note string
	}
	deeper    struct{ hidden }
	embedding struct {
		deeper
		Name string
	}
)

func TestAnEmbeddedStructThatIsNotExportedTravels(t *testing.T) {
	leak.Check(t)
	v := &embedding{Name: "n"}
	v.ID, v.Self, v.Tags, v.note = 7, v, map[string]string{"a": "b"}, "stays"
	got := roundTrip(newBench(t), v)
	if got.ID != 7 || got.Self != got || got.Tags["a"] != "b" || got.note != "" || got.Name != "n" {
		t.Errorf("got %+v", got)
	}
	keeps(t, embedding{}, embedding{Name: "n"})
	type bare struct{ ID int }
	type stands struct{ bare }
	keeps(t, map[stands]int{{bare{1}}: 1, {bare{2}}: 2})
	type held struct{ P *int }
	type key struct{ held }
	one, two := 1, 1
	if got := roundTrip(newBench(t), map[key]int{{held{&one}}: 1, {held{&two}}: 2}); len(got) != 2 {
		t.Errorf("keys that differ by what a pointer in an embedded struct leads to: got %v", got)
	}
}

func TestValueNeedsATypeAndAPointer(t *testing.T) {
	leak.Check(t)
	b := newBench(t)
	_, err := b.encode(func(e *Encoder) { e.Value(nil) })
	wantError(t, err, Marshal, "argument 1: a nil interface")
	wantError(t, b.into([]byte{0x81, 0x01}, 5), Unmarshal, "argument 1: cannot decode into int")
}

func TestAFailureLeavesTheTargetUntouched(t *testing.T) {
	leak.Check(t)
	b := newBench(t)
	data := b.value(false)
	for _, target := range []*node{{}, {Name: "before"}} {
		before := *target
		if err := b.into(data, target); err == nil || !reflect.DeepEqual(*target, before) {
			t.Errorf("got %+v, %v, want the value from before and an error", *target, err)
		}
	}
	partly := unhex("81 a2 644e616d65 6178 644e657874 01")
	target := node{}
	if err := b.into(partly, &target); err == nil || target.Name != "" {
		t.Errorf("got %+v, %v, want nothing of the value that failed half-way", target, err)
	}
	n := 5
	err := b.decode([]byte{0x82, 0x60, 0x01}, func(d *Decoder) {
		d.Int(&n)
		d.Int(&n)
	})
	if n != 5 {
		t.Errorf("after the failure %v the target became %d", err, n)
	}
}

func TestADecoderCopiesAllThatItReturns(t *testing.T) {
	leak.Check(t)
	b := newBench(t)
	type all struct {
		S string
		B []byte
		M map[string]string
		E error
		L []string
	}
	data := b.value(all{"one", []byte("two"), map[string]string{"three": "four"}, errors.New("five"), []string{"six"}})
	var got all
	if err := b.into(data, &got); err != nil {
		t.Fatal(err)
	}
	clear(data)
	if got.S != "one" || string(got.B) != "two" || got.M["three"] != "four" || got.E.Error() != "five" || got.L[0] != "six" {
		t.Errorf("got %+v after the data was overwritten", got)
	}
}

func TestRestIsWhatFollowsTheArray(t *testing.T) {
	leak.Check(t)
	b := newBench(t)
	var d Decoder
	d.Reset(b.codec, b.table, nil, "result", []byte{0x81, 0x05, 0xf6, 0x01})
	var n int
	d.Int(&n)
	if err := d.Finish(); err != nil || n != 5 || string(d.Rest()) != "\xf6\x01" {
		t.Errorf("got %d, %v, rest %x", n, err, d.Rest())
	}
}

func TestTheCountOfItemsMustMatch(t *testing.T) {
	leak.Check(t)
	b := newBench(t)
	var n int
	err := b.decode([]byte{0x81, 0x05}, func(d *Decoder) { d.Int(&n); d.Int(&n) })
	wantError(t, err, Unmarshal, "argument 2: missing: only 1 came")
	err = b.decode([]byte{0x82, 0x05, 0x06}, func(d *Decoder) { d.Int(&n) })
	wantError(t, err, Unmarshal, "argument 2: one of 2 that came, only 1 are expected")
}

func TestScalarsAndWarmStructsDoNotAllocate(t *testing.T) {
	leak.Check(t)
	b := newBench(t)
	buf := make([]byte, 0, 1024)
	order := sampleOrder()
	var e Encoder
	write := func() {
		e.Reset(b.codec, b.table, nil, "argument", buf)
		e.Int(5)
		e.String("name")
		e.Bytes(buf[:3])
		e.Float64(1)
		e.Value(order)
		if _, err := e.Finish(); err != nil {
			t.Fatal(err)
		}
	}
	write()
	if got := testing.AllocsPerRun(100, write); got > 2 {
		t.Errorf("encoding allocates %.0f times, want at most the two scratch values of the order's map", got)
	}
	data := []byte{0x83, 0x05, 0xf5, 0xfb, 0, 0, 0, 0, 0, 0, 0, 0}
	var d Decoder
	var n int
	var truth bool
	var f float64
	got := testing.AllocsPerRun(100, func() {
		d.Reset(b.codec, b.table, nil, "argument", data)
		d.Int(&n)
		d.Bool(&truth)
		d.Float64(&f)
		if err := d.Finish(); err != nil {
			t.Fatal(err)
		}
	})
	if got > 0 {
		t.Errorf("decoding scalars allocates %.0f times", got)
	}
}

func TestTheOffsetOfATimeIsText(t *testing.T) {
	leak.Check(t)
	for offset, want := range map[int]string{3600: "+01:00", -60: "-00:01", 5*3600 + 45*60: "+05:45", -(4*3600 + 56*60 + 2): "-04:56:02"} {
		if got := offsetText(offset); got != want {
			t.Errorf("%d seconds are %q, want %q", offset, got, want)
		}
		if got, ok := parseOffset(want); got != offset || !ok {
			t.Errorf("%q is %d seconds, want %d", want, got, offset)
		}
	}
	for _, wrong := range []string{"", "+1:00", "01:00", "+01:60", "+01-00", "+0a:00", "+01:00:60", "+01:00:0", "Europe/Paris"} {
		if got, ok := parseOffset(wrong); ok {
			t.Errorf("%q was read as %d seconds", wrong, got)
		}
	}
}
