package dynamic_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/rmigo/rmigo/internal/leak"
	"github.com/rmigo/rmigo/internal/testobj"
	"github.com/rmigo/rmigo/rmi"
)

// sampler implements testobj.Sampler, and keeps what it got.
type sampler struct {
	got   testobj.Sample
	lines []testobj.Line
	cause error
	calls int
}

func (s *sampler) Sample(_ context.Context, v testobj.Sample) (testobj.Sample, error) {
	s.got, s.calls = v, s.calls+1
	return v, nil
}

func (s *sampler) Scale(_ context.Context, by int8, lines ...testobj.Line) (int, error) {
	s.lines, s.calls = lines, s.calls+1
	return int(by) * len(lines), nil
}

func (s *sampler) Answer(_ context.Context, l testobj.Listener, cause error) (testobj.Listener, error, error) {
	s.cause, s.calls = cause, s.calls+1
	return l, cause, nil
}

// ear implements testobj.Listener.
type ear struct{ name string }

func (e *ear) Hear(_ context.Context, text string) (string, error) { return e.name + text, nil }

// served exports a sampler in a node, which also calls it.
func served(t *testing.T) (*sampler, *rmi.Node, rmi.Ref) {
	t.Helper()
	n, err := rmi.NewNode(rmi.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close() })
	s := &sampler{}
	ref, err := rmi.Export(n, testobj.RemoteSampler.Of(s))
	if err != nil {
		t.Fatal(err)
	}
	return s, n, ref
}

// parsed is what encoding/json makes of a text, with numbers as they are written.
func parsed(t *testing.T, text string) any {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return v
}

func pointer[T any](v T) *T { return &v }

// alike compares values as they are printed where they have a text of their own: numbers of math/big differ in what they keep in reserve.
func alike(a, b any) bool {
	x, isText := a.(fmt.Stringer)
	y, _ := b.(fmt.Stringer)
	if isText && y != nil && reflect.TypeOf(a) == reflect.TypeOf(b) {
		return x.String() == y.String()
	}
	return reflect.DeepEqual(a, b)
}

// What a field of each described type is given as JSON, what the method gets, and what its result is as a natural value.
func TestValuesOfEachDescribedTypeComeFromJSONAndGoBack(t *testing.T) {
	leak.Check(t)
	s, n, ref := served(t)
	at := time.Date(2026, 11, 28, 7, 30, 0, 5, time.UTC)
	third, _ := new(big.Rat).SetString("1/3")
	huge, _ := new(big.Int).SetString("123456789012345678901234567890", 10)
	for _, c := range []struct {
		field   string
		json    string
		got     any
		natural any
	}{
		{"Bool", `true`, true, true},
		{"Int", `-9223372036854775808`, int(-1 << 63), int64(-1 << 63)},
		{"Int8", `-128`, int8(-128), int64(-128)},
		{"Int16", `32767`, int16(32767), int64(32767)},
		{"Int32", `-2147483648`, int32(-1 << 31), int64(-1 << 31)},
		{"Int64", `9223372036854775807`, int64(1<<63 - 1), int64(1<<63 - 1)},
		{"Uint", `18446744073709551615`, uint(1<<64 - 1), uint64(1<<64 - 1)},
		{"Uint8", `255`, uint8(255), uint64(255)},
		{"Uint16", `65535`, uint16(65535), uint64(65535)},
		{"Uint32", `4294967295`, uint32(1<<32 - 1), uint64(1<<32 - 1)},
		{"Uint64", `18446744073709551615`, uint64(1<<64 - 1), uint64(1<<64 - 1)},
		{"Uintptr", `7`, uintptr(7), uint64(7)},
		{"F32", `1.5`, float32(1.5), 1.5},
		{"F64", `-1e300`, -1e300, -1e300},
		{"F64", `3`, 3.0, 3.0},
		{"Text", `"grün\n"`, "grün\n", "grün\n"},
		{"Bytes", `"AQID"`, []byte{1, 2, 3}, []byte{1, 2, 3}},
		{"Bytes", `""`, []byte{}, []byte{}},
		{"Bytes", `null`, []byte(nil), nil},
		{"Cents", `250`, testobj.Cents(250), int64(250)},
		{"For", `"1m30s"`, 90 * time.Second, 90 * time.Second},
		{"For", `1500`, 1500 * time.Nanosecond, 1500 * time.Nanosecond},
		{"At", `"2026-11-28T07:30:00.000000005Z"`, at, at},
		{"Big", `123456789012345678901234567890`, huge, huge},
		{"Big", `"123456789012345678901234567890"`, huge, huge},
		{"Big", `null`, (*big.Int)(nil), nil},
		{"Ratio", `"1/3"`, third, third},
		{"Real", `"2.5"`, big.NewFloat(2.5), big.NewFloat(2.5)},
		{"Real", `2.5`, big.NewFloat(2.5), big.NewFloat(2.5)},
		{"Addr", `"wAACAQ=="`, netip.MustParseAddr("192.0.2.1"), []byte{192, 0, 2, 1}},
		{"List", `["a","b"]`, []string{"a", "b"}, []any{"a", "b"}},
		{"List", `[]`, []string{}, []any{}},
		{"List", `null`, []string(nil), nil},
		{"Three", `[1,2,3]`, [3]int{1, 2, 3}, []any{int64(1), int64(2), int64(3)}},
		{"ByName", `{"a":1,"b":2}`, map[string]int{"a": 1, "b": 2}, map[string]any{"a": int64(1), "b": int64(2)}},
		{"ByID", `{"-7":"x"}`, map[int16]string{-7: "x"}, map[any]any{int64(-7): "x"}},
		{"ByOn", `{"true":1,"false":0}`, map[bool]int{true: 1, false: 0}, map[any]any{true: int64(1), false: int64(0)}},
		{"Opt", `5`, pointer(5), int64(5)},
		{"Opt", `null`, (*int)(nil), nil},
		{"Line", `{"Name":"tea","Price":{"each":250},"Parts":[{"Name":"bag"}]}`,
			testobj.Line{Name: "tea", Price: map[string]testobj.Cents{"each": 250}, Parts: []testobj.Line{{Name: "bag"}}},
			map[string]any{"Name": "tea", "Price": map[string]any{"each": int64(250)}, "Parts": []any{
				map[string]any{"Name": "bag", "Price": nil, "Parts": nil}}}},
		{"Pair", `{"X":1,"Y":-1}`, testobj.Pair{X: 1, Y: -1}, map[string]any{"X": int64(1), "Y": int64(-1)}},
		{"Inline", `{"A":1,"B":2}`, struct{ A, B int }{1, 2}, map[string]any{"A": int64(1), "B": int64(2)}},
		{"Err", `"no more"`, nil, nil}, // compared below: errors are, by their texts
		{"Err", `null`, error(nil), nil},
		{"Any", `"text"`, "text", "text"},
		{"Any", `true`, true, true},
		{"Any", `3`, 3, int64(3)},
		{"Any", `2.5`, 2.5, 2.5},
		{"Any", `[1,{"a":null}]`, []any{1, map[string]any{"a": nil}}, []any{int64(1), map[string]any{"a": nil}}},
		{"Any", `null`, nil, nil},
		{"Hears", `null`, testobj.Listener(nil), nil},
		{"Shape", `null`, testobj.Outline(nil), nil},
	} {
		t.Run(c.field+" "+c.json, func(t *testing.T) {
			results, err := rmi.Invoke(t.Context(), n, ref, "Sample", parsed(t, `{"`+c.field+`":`+c.json+`}`))
			if err != nil {
				t.Fatal(err)
			}
			got := reflect.ValueOf(s.got).FieldByName(c.field).Interface()
			natural := results[0].(map[string]any)[c.field]
			if c.json == `"no more"` {
				if e, _ := natural.(error); e == nil || e.Error() != "no more" || got.(error).Error() != "no more" {
					t.Errorf("the method got %v, and the caller %v", got, natural)
				}
				return
			}
			if !alike(got, c.got) {
				t.Errorf("the method got %T %v, want %T %v", got, got, c.got, c.got)
			}
			if !alike(natural, c.natural) {
				t.Errorf("the caller got %T %v, want %T %v", natural, natural, c.natural, c.natural)
			}
			again, err := rmi.Invoke(t.Context(), n, ref, "Sample", map[string]any{c.field: natural})
			if err != nil || !alike(again[0].(map[string]any)[c.field], natural) {
				t.Errorf("the result, given as the argument, comes back as %v, %v", again, err)
			}
		})
	}
}

// What JSON has no form for is given as Go values.
func TestComplexNumbersObjectsAndOwnStructsAreGivenAsTheyAre(t *testing.T) {
	leak.Check(t)
	s, n, ref := served(t)
	e := &ear{"x"}
	hears, err := rmi.ObjectOf(n, testobj.RemoteListener.Of(e))
	if err != nil {
		t.Fatal(err)
	}
	own := testobj.Sample{C64: 1 + 2i, C128: -3i, Text: "own", Line: testobj.Line{Name: "tea"}, Pair: testobj.Pair{X: 4}, Hears: e}
	results, err := rmi.Invoke(t.Context(), n, ref, "Sample", map[string]any{
		"C64": complex64(1 + 2i), "C128": -3i, "Text": "own", "Line": own.Line, "Pair": &own.Pair, "Hears": hears})
	if err != nil || !reflect.DeepEqual(s.got, own) {
		t.Fatalf("the method got %+v, %v\nwant %+v", s.got, err, own)
	}
	natural := results[0].(map[string]any)
	if natural["C64"] != complex128(1+2i) || natural["C128"] != -3i || !rmi.Same(natural["Hears"], e) {
		t.Errorf("the caller got %v, %v, %v", natural["C64"], natural["C128"], natural["Hears"])
	}
	own.Next, own.Hears = &testobj.Sample{Text: "next"}, nil
	if _, err := rmi.Invoke(t.Context(), n, ref, "Sample", own); err != nil || !reflect.DeepEqual(s.got, own) {
		t.Errorf("a struct as it is arrives as %+v, %v", s.got, err)
	}
}

func TestAnInterfacesValuesAreNaturalResults(t *testing.T) {
	leak.Check(t)
	n, err := rmi.NewNode(rmi.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close() })
	ref, err := rmi.Export(n, testobj.RemoteSampler.Of(&disc{}))
	if err != nil {
		t.Fatal(err)
	}
	results, err := rmi.Invoke(t.Context(), n, ref, "Sample", map[string]any{})
	if err != nil {
		t.Fatal(err)
	}
	natural := results[0].(map[string]any)
	if want := map[string]any{"R": 2.0}; !reflect.DeepEqual(natural["Shape"], want) || !reflect.DeepEqual(natural["Any"], want) {
		t.Errorf("the caller got %v and %v, want %v twice", natural["Shape"], natural["Any"], want)
	}
	next := natural["Next"].(map[string]any)
	if reflect.ValueOf(next["Next"]).Pointer() != reflect.ValueOf(next).Pointer() {
		t.Error("a value that contains itself arrives as one that does not")
	}
}

// disc is a sampler with discs, and a value that contains itself.
type disc struct{ sampler }

func (*disc) Sample(context.Context, testobj.Sample) (testobj.Sample, error) {
	round := &testobj.Sample{}
	round.Next = round
	return testobj.Sample{Shape: testobj.Disc{R: 2}, Any: testobj.Disc{R: 2}, Next: round}, nil
}

func TestArgumentsThatFollowMayBeGivenOneByOneOrAsAList(t *testing.T) {
	leak.Check(t)
	s, n, ref := served(t)
	tea, milk := map[string]any{"Name": "tea"}, map[string]any{"Name": "milk"}
	for _, c := range []struct {
		args []any
		want int64
	}{
		{[]any{3}, 0},
		{[]any{3, tea}, 3},
		{[]any{3, tea, milk}, 6},
		{[]any{3, []any{tea, milk}}, 6},
		{[]any{3, []any{}}, 0},
	} {
		results, err := rmi.Invoke(t.Context(), n, ref, "Scale", c.args...)
		if err != nil || results[0] != c.want || int64(3*len(s.lines)) != c.want {
			t.Errorf("Scale%v = %v, %v with %v; want %d", c.args, results, err, s.lines, c.want)
		}
	}
}

func TestErrorsAndObjectsAreArgumentsAndResultsOfTheirOwn(t *testing.T) {
	leak.Check(t)
	s, n, ref := served(t)
	e := &ear{"x"}
	results, err := rmi.Invoke(t.Context(), n, ref, "Answer", testobj.RemoteListener.Of(e), "no more")
	if err != nil {
		t.Fatal(err)
	}
	if cause, _ := results[1].(error); !rmi.Same(results[0], e) || cause == nil || cause.Error() != "no more" || s.cause.Error() != "no more" {
		t.Errorf("the caller got %v, the method %v", results, s.cause)
	}
	if results, err = rmi.Invoke(t.Context(), n, ref, "Answer", nil, nil); err != nil || results[0] != nil || results[1] != nil || s.cause != nil {
		t.Errorf("nothing arrives as %v, %v", results, err)
	}
	if _, err = rmi.Invoke(t.Context(), n, ref, "Answer", nil, testobj.ErrEmpty); err != nil || s.cause == nil || s.cause.Error() != testobj.ErrEmpty.Error() {
		t.Errorf("an error arrives as %v, %v", s.cause, err)
	}
}

// A wrong argument is refused before anything is sent, with the place of what is wrong.
func TestWrongArgumentsAreRefusedWithTheirPosition(t *testing.T) {
	leak.Check(t)
	s, n, ref := served(t)
	const sample = "github.com/rmigo/rmigo/internal/testobj."
	for _, c := range []struct {
		json string // of the argument of Sample
		path string
		says string
	}{
		{`7`, "", "7 where " + sample + "Sample is expected"},
		{`null`, "", "nothing where " + sample + "Sample is expected"},
		{`{"Bool":1}`, ".Bool", "1 where bool is expected"},
		{`{"Bool":"true"}`, ".Bool", `the text "true" where bool is expected`},
		{`{"Int8":128}`, ".Int8", "128 is out of the range of int8"},
		{`{"Int8":-129}`, ".Int8", "-129 is out of the range of int8"},
		{`{"Int16":32768}`, ".Int16", "32768 is out of the range of int16"},
		{`{"Int32":2147483648}`, ".Int32", "2147483648 is out of the range of int32"},
		{`{"Int64":9223372036854775808}`, ".Int64", "9223372036854775808 is out of the range of int64"},
		{`{"Int":1.5}`, ".Int", "1.5 where int is expected"},
		{`{"Int":"1"}`, ".Int", `the text "1" where int is expected`},
		{`{"Uint":-1}`, ".Uint", "-1 is out of the range of uint"},
		{`{"Uint8":256}`, ".Uint8", "256 is out of the range of uint8"},
		{`{"Uint64":18446744073709551616}`, ".Uint64", "18446744073709551616 is out of the range of uint64"},
		{`{"F32":1e39}`, ".F32", "1e39 is out of the range of float32"},
		{`{"F64":1e999}`, ".F64", "1e999 is out of the range of float64"},
		{`{"F64":"1"}`, ".F64", `the text "1" where float64 is expected`},
		{`{"C64":1}`, ".C64", "1 where complex64 is expected"},
		{`{"Text":7}`, ".Text", "7 where string is expected"},
		{`{"Text":null}`, ".Text", "nothing where string is expected"},
		{`{"Bytes":"!"}`, ".Bytes", `the text "!" where bytes in base64 are expected`},
		{`{"Bytes":[1]}`, ".Bytes", "a list where []uint8 is expected"},
		{`{"Cents":"x"}`, ".Cents", `the text "x" where ` + sample + "Cents is expected"},
		{`{"For":"soon"}`, ".For", `the text "soon" where a duration as in 1m30s is expected`},
		{`{"For":1.5}`, ".For", "1.5 where time.Duration is expected"},
		{`{"At":"today"}`, ".At", `the text "today" where a time as in 2006-01-02T15:04:05Z07:00 is expected`},
		{`{"At":7}`, ".At", "7 where time.Time is expected"},
		{`{"Big":"ten"}`, ".Big", `the text "ten" where math/big.Int is expected`},
		{`{"Ratio":"1/0"}`, ".Ratio", `the text "1/0" where math/big.Rat is expected`},
		{`{"Real":true}`, ".Real", "the bool true where math/big.Float is expected"},
		{`{"Addr":"192.0.2.1"}`, ".Addr", `the text "192.0.2.1" where bytes in base64 are expected`},
		{`{"List":"a"}`, ".List", `the text "a" where []string is expected`},
		{`{"List":["a",2]}`, ".List[1]", "2 where string is expected"},
		{`{"Three":[1,2]}`, ".Three", "2 elements where [3]int is expected"},
		{`{"Three":[1,2,"x"]}`, ".Three[2]", `the text "x" where int is expected`},
		{`{"ByName":[1]}`, ".ByName", "a list where map[string]int is expected"},
		{`{"ByName":{"a":"x"}}`, `.ByName["a"]`, `the text "x" where int is expected`},
		{`{"ByID":{"40000":"x"}}`, `.ByID["40000"]`, "40000 is out of the range of int16"},
		{`{"ByID":{"x":"x"}}`, `.ByID["x"]`, "x where int16 is expected"},
		{`{"ByOn":{"yes":1}}`, `.ByOn["yes"]`, "yes where bool is expected"},
		{`{"Opt":"5"}`, ".Opt", `the text "5" where int is expected`},
		{`{"Line":{"Nmae":"x"}}`, ".Line", sample + `Line has no field "Nmae": it has Name, Price, Parts`},
		{`{"Line":{"Parts":[{},{"Price":{"each":0.5}}]}}`, `.Line.Parts[1].Price["each"]`, "0.5 where " + sample + "Cents is expected"},
		{`{"Pair":{"X":1,"Z":2}}`, ".Pair", sample + `Pair has no field "Z": it has X, Y`},
		{`{"Inline":{"A":"x"}}`, ".Inline.A", `the text "x" where int is expected`},
		{`{"Next":{"Next":{"Int":"x"}}}`, ".Next.Next.Int", `the text "x" where int is expected`},
		{`{"Hears":"nobody"}`, ".Hears", `the text "nobody" where a reference to a remote object (` + sample + "Listener) is expected"},
		{`{"Hears":7}`, ".Hears", "a json.Number where a remote object (" + sample + "Listener) is expected"},
		{`{"Err":7}`, ".Err", "7 where error is expected"},
		{`{"Any":[1e999]}`, ".Any[0]", "1e999 is out of the range of float64"},
	} {
		_, err := rmi.Invoke(t.Context(), n, ref, "Sample", parsed(t, c.json))
		var e *rmi.ArgumentError
		if !errors.As(err, &e) || !errors.Is(err, rmi.ErrMarshal) || rmi.MayHaveRun(err) {
			t.Errorf("%s: %v", c.json, err)
			continue
		}
		if e.Argument != 1 || e.Name != "v" || e.Path != c.path || !strings.HasPrefix(e.Says, c.says) {
			t.Errorf("%s is refused as argument %d (%s), %s: %s\nwant %s: %s", c.json, e.Argument, e.Name, e.Path, e.Says, c.path, c.says)
		}
	}
	if s.calls != 0 {
		t.Errorf("%d calls were made with a wrong argument", s.calls)
	}
}

func TestWrongNumbersOfArgumentsAndMethodsAreRefused(t *testing.T) {
	leak.Check(t)
	s, n, ref := served(t)
	for _, c := range []struct {
		method string
		args   []any
		kind   error
		says   string
	}{
		{"Sample", nil, rmi.ErrMarshal, "0 arguments where Sample takes 1"},
		{"Sample", []any{nil, nil}, rmi.ErrMarshal, "2 arguments where Sample takes 1"},
		{"Scale", nil, rmi.ErrMarshal, "0 arguments where Scale takes 2"},
		{"Scale", []any{1, map[string]any{}, map[string]any{"Name": 2}}, rmi.ErrMarshal, "argument 2 (lines), [1].Name: the int 2 where string is expected"},
		{"Scale", []any{1, nil}, rmi.ErrMarshal, "argument 2 (lines), [0]: nothing where github.com/rmigo/rmigo/internal/testobj.Line is expected"},
		{"Scale", []any{300}, rmi.ErrMarshal, "argument 1 (by): 300 is out of the range of int8"},
		{"Weigh", nil, rmi.ErrNoSuchMethod, "the object has no method Weigh: it has ["},
		{"Other.Sample", nil, rmi.ErrNoSuchMethod, "the object has no method Other.Sample"},
	} {
		_, err := rmi.Invoke(t.Context(), n, ref, c.method, c.args...)
		if !errors.Is(err, c.kind) || rmi.MayHaveRun(err) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s%v: %v\nwant %s", c.method, c.args, err, c.says)
		}
	}
	if s.calls != 0 {
		t.Errorf("%d calls were made", s.calls)
	}
}

func TestArgumentsThatContainThemselvesAreRefused(t *testing.T) {
	leak.Check(t)
	_, n, ref := served(t)
	round := &testobj.Sample{}
	round.Next = round
	list := []any{nil}
	list[0] = list
	for name, c := range map[string]struct {
		arg  any
		says string
	}{
		"a pointer": {round, "it refers to itself"},
		"a list":    {map[string]any{"Any": list}, "it is nested too deeply"},
	} {
		_, err := rmi.Invoke(t.Context(), n, ref, "Sample", c.arg)
		if e := (*rmi.ArgumentError)(nil); !errors.As(err, &e) || e.Says != c.says {
			t.Errorf("%s: %v", name, err)
		}
	}
}
