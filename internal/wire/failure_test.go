package wire

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"reflect"
	"strings"
	"syscall"
	"testing"
)

var errNoFunds = errors.New("no funds")

type overdrawn struct {
	By    int
	Cause error
}

func (e *overdrawn) Error() string { return fmt.Sprintf("overdrawn by %d", e.By) }
func (e *overdrawn) Unwrap() error { return e.Cause }

type channelled struct{ C chan int }

func (channelled) Error() string { return "channelled" }

// misfit has a field of overdrawn's name, and of another type.
type misfit struct{ By string }

func (misfit) Error() string { return "misfit" }

// coded has unexported state, and travels packed.
type coded struct{ code string }
type packedCode struct{ Code string }

func (e *coded) Error() string   { return "code " + e.code }
func (e *coded) RMICode() string { return e.code }

type slippery struct{}

func (slippery) Error() string   { panic("no text") }
func (slippery) Unwrap() []error { panic("no wrapped errors") }
func (slippery) Is(error) bool   { panic("is nothing") }
func (slippery) RMICode() string { panic("no code") }

type unhashable struct{ List []int }

func (unhashable) Error() string { return "unhashable" }

type endless struct{}

func (e *endless) Error() string { return "endless" }
func (e *endless) Unwrap() error { return e }

type bushy struct{ left, right error }

func (b *bushy) Error() string   { return "bushy" }
func (b *bushy) Unwrap() []error { return []error{b.left, b.right} }

func errorTable(t testing.TB) *bench {
	return newBench(t,
		Sentinel{"bank.ErrNoFunds", errNoFunds},
		ErrorType{Path: "bank.Overdrawn", Type: reflect.TypeFor[*overdrawn]()},
		ErrorType{Path: "bank.Channelled", Type: reflect.TypeFor[channelled]()},
		ErrorType{
			Path: "bank.Coded", Type: reflect.TypeFor[*coded](), Packed: reflect.TypeFor[packedCode](),
			Pack:   func(err error) any { return packedCode{err.(*coded).code} },
			Unpack: func(v any) error { return &coded{v.(packedCode).Code} },
		},
	)
}

// sent returns what becomes of an error that goes from one table to another.
func sent(from, to *bench, err error) error {
	from.t.Helper()
	data := AppendError(from.codec, from.table, nil, []byte("results"), err)
	if wrong := oracle.Wellformed(data[7:]); wrong != nil {
		from.t.Fatalf("the oracle refuses %x: %v", data[7:], wrong)
	}
	if len(data) > 7+mostErrorRoom {
		from.t.Fatalf("the item of %v has %d bytes", err, len(data))
	}
	got, rest, wrong := ReadError(to.codec, to.table, nil, append(data[7:], "rest"...))
	if wrong != nil || string(rest) != "rest" {
		from.t.Fatalf("reading %x: %v, rest %q", data[7:], wrong, rest)
	}
	argument, wrong := from.encode(func(e *Encoder) { e.Error(err) })
	if wrong != nil {
		from.t.Fatalf("as an argument: %v", wrong)
	}
	var again error
	if wrong := to.decode(argument, func(d *Decoder) { d.Error(&again) }); wrong != nil || fmt.Sprint(again) != fmt.Sprint(got) {
		from.t.Fatalf("as an argument it became %v, %v, want %v", again, wrong, got)
	}
	return got
}

func TestNilIsNil(t *testing.T) {
	b := errorTable(t)
	if got := sent(b, b, nil); got != nil {
		t.Errorf("got %v", got)
	}
}

func TestASentinelKeepsItsIdentity(t *testing.T) {
	b := errorTable(t)
	for _, want := range []error{errNoFunds, io.EOF, context.Canceled, context.DeadlineExceeded, os.ErrDeadlineExceeded, fs.ErrNotExist, errors.ErrUnsupported} {
		if got := sent(b, b, want); got != want {
			t.Errorf("got %#v, want the very same %v", got, want)
		}
	}
	item := AppendError(b.codec, b.table, nil, nil, io.EOF)
	if got, want := hex.EncodeToString(item), "d81b8364"+hex.EncodeToString([]byte("!err"))+"66"+hex.EncodeToString([]byte("io.EOF"))+"63"+hex.EncodeToString([]byte("EOF")); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestAnErrorTypeKeepsItsTypeAndWhatItWraps(t *testing.T) {
	b := errorTable(t)
	got := sent(b, b, fmt.Errorf("paying: %w", &overdrawn{5, errNoFunds}))
	var as *overdrawn
	if got.Error() != "paying: overdrawn by 5" || !errors.As(got, &as) || as.By != 5 || !errors.Is(got, errNoFunds) {
		t.Errorf("got %#v", got)
	}
	if typed, ok := sent(b, b, &coded{"E1"}).(*coded); !ok || typed.code != "E1" {
		t.Errorf("a packed error: got %#v", typed)
	}
	var none *overdrawn
	if typed, ok := sent(b, b, none).(*overdrawn); !ok || typed != nil {
		t.Errorf("a typed nil: got %#v", typed)
	}
}

func TestAnErrorWithoutATypeKeepsItsTextAndItsChain(t *testing.T) {
	b := errorTable(t)
	got := sent(b, b, fmt.Errorf("outer: %w", errors.Join(errNoFunds, &coded{"E2"}, errors.New("other"))))
	remote, ok := got.(*RemoteError)
	if !ok || remote.Type != "*fmt.wrapError" || remote.Message != "outer: no funds\ncode E2\nother" || remote.Code != "E2" {
		t.Errorf("got %#v", got)
	}
	var as *coded
	if !errors.Is(got, errNoFunds) || !errors.As(got, &as) {
		t.Errorf("the chain of %v is lost", got)
	}
	if passed := sent(b, b, got); !reflect.DeepEqual(passed, got) {
		t.Errorf("passed on once more it became %#v, want %#v", passed, got)
	}
}

func TestWhatTheReceiverDoesNotKnowStaysReadable(t *testing.T) {
	known, unknown := errorTable(t), newBench(t)
	for _, c := range []struct {
		err      error
		typ, msg string
	}{
		{errNoFunds, "bank.ErrNoFunds", "no funds"},
		{&overdrawn{By: 3}, "bank.Overdrawn", "overdrawn by 3"},
		{&coded{"x"}, "bank.Coded", "code x"},
	} {
		got, ok := sent(known, unknown, c.err).(*RemoteError)
		if !ok || got.Type != c.typ || got.Message != c.msg {
			t.Errorf("got %#v, want the type %s and the text %q", got, c.typ, c.msg)
		}
	}
	other := newBench(t, ErrorType{Path: "bank.Overdrawn", Type: reflect.TypeFor[misfit]()})
	if got := sent(known, other, &overdrawn{By: 3}); got.Error() != "overdrawn by 3" {
		t.Errorf("a value that does not suit the receiver's type: got %#v", got)
	}
}

func TestNoErrorIsEverLost(t *testing.T) {
	b := errorTable(t)
	deep := errNoFunds
	for range 100 {
		deep = fmt.Errorf("x%w", deep)
	}
	var wide []error
	for range 1000 {
		wide = append(wide, errNoFunds)
	}
	var bush error = errNoFunds
	for range 60 {
		bush = &bushy{bush, bush}
	}
	self := &overdrawn{By: 1}
	self.Cause = self
	long := errors.New(strings.Repeat("é", 100_000))
	var nilJoin *bushy
	for name, c := range map[string]struct {
		err  error
		text string
	}{
		"with a channel":              {channelled{make(chan int)}, "channelled"},
		"whose methods panic":         {slippery{}, "wire.slippery whose Error method failed: panic: no text"},
		"wrapping one that panics":    {&overdrawn{1, slippery{}}, "overdrawn by 1"},
		"that cannot be compared":     {unhashable{}, "unhashable"},
		"with a chain of 100":         {deep, "xxx"},
		"wrapping 1000":               {errors.Join(wide...), "no funds"},
		"wrapping itself":             {&endless{}, "endless"},
		"with a shared, bushy chain":  {bush, "bushy"},
		"typed, that contains itself": {self, "overdrawn by 1"},
		"with a long text":            {long, strings.Repeat("é", mostErrorText/2)},
		"wrapping long texts":         {errors.Join(long, long, fmt.Errorf("%w", long)), "é"},
		"a nil pointer":               {nilJoin, "bushy"},
		"with text that is not UTF-8": {errors.New("\xff"), "\xff"},
	} {
		if got := sent(b, b, c.err); got == nil || !strings.Contains(got.Error(), c.text) {
			t.Errorf("an error %s became %.100v, want its text %.100q", name, got, c.text)
		}
	}
}

func TestAnErrorOfTheSystemStillAnswersIs(t *testing.T) {
	b := newBench(t)
	_, err := os.Open("/nonexistent/file")
	got := sent(b, b, err)
	var as *fs.PathError
	if !errors.Is(got, fs.ErrNotExist) || !errors.As(got, &as) || as.Path != "/nonexistent/file" {
		t.Errorf("got %#v", got)
	}
	if got := sent(b, b, syscall.EEXIST); !errors.Is(got, fs.ErrExist) || errors.Is(got, fs.ErrNotExist) {
		t.Errorf("got %#v", got)
	}
}

func TestErrorsTravelInFields(t *testing.T) {
	b := errorTable(t)
	type report struct {
		First error
		All   []error
		By    map[string]error
	}
	got := roundTrip(b, report{io.EOF, []error{nil, errNoFunds}, map[string]error{"a": &overdrawn{By: 1}}})
	var as *overdrawn
	if got.First != io.EOF || got.All[0] != nil || got.All[1] != errNoFunds || !errors.As(got.By["a"], &as) {
		t.Errorf("got %+v", got)
	}
}

func TestErrorItemsMayGrow(t *testing.T) {
	b := errorTable(t)
	for _, item := range []string{
		"d81b84" + text("!err") + text("io.EOF") + text("EOF") + "01",
		"d81b84" + text("!future") + "a10102" + text("EOF") + "01",
		"d81b83" + text("!error") + "a2" + text("d") + "f5" + text("m") + text("EOF") + "8101",
	} {
		got, rest, err := ReadError(b.codec, b.table, nil, unhex(item))
		if err != nil || len(rest) > 0 {
			t.Errorf("%s: got %#v, rest %x, %v", item, got, rest, err)
		}
	}
}

func TestMalformedErrorItemsAreRefused(t *testing.T) {
	b := errorTable(t)
	deep := strings.Repeat("d81b82"+text("!error")+"a1"+text("w")+"81", 200) + "f6"
	for item, says := range map[string]string{
		"":                                     "ends too early",
		"00":                                   "an integer where an error is expected",
		"d81b80":                               "the message ends too early",
		"d81b81" + text("!err"):                "an error of 1 parts",
		"d81b82" + text("!error") + "00":       "an integer where the map of an error",
		"d81b82" + text("!err") + "62c328":     "not UTF-8",
		"d81b82" + text("bank.Overdrawn") + "": "ends too early",
		"d81b82" + text("!error") + "a2" + text("m") + "60" + text("m") + "60": "twice or out of order",
		deep: "nested in more than 96 levels",
	} {
		_, _, err := ReadError(b.codec, b.table, nil, unhex(item))
		wantError(t, err, Unmarshal, "error: ", says)
	}
}

// text returns the hex of a short text's encoding.
func text(s string) string {
	return hex.EncodeToString(append(appendHead(nil, majorText, uint64(len(s))), s...))
}

type remoteThing interface{ Do() }
type thingType struct{}

func (thingType) Name() string         { return "test.Thing" }
func (thingType) GoType() reflect.Type { return reflect.TypeFor[remoteThing]() }

func TestATableRefusesTwoMeaningsOfAName(t *testing.T) {
	for _, c := range []struct {
		types []Type
		says  string
	}{
		{[]Type{Sentinel{"a.A", errNoFunds}, Sentinel{"a.A", io.EOF}}, `a.A has two meanings: the error "no funds" and the error "EOF"`},
		{[]Type{Sentinel{"test.Thing", errNoFunds}, thingType{}}, "the interface wire.remoteThing"},
		{[]Type{thingType{}, Sentinel{"test.Thing", errNoFunds}}, "two meanings"},
		{[]Type{Sentinel{"io.EOF", errNoFunds}}, "two meanings"},
		{[]Type{ErrorType{Path: "a.A", Type: reflect.TypeFor[*coded]()}, ErrorType{Path: "a.A", Type: reflect.TypeFor[*overdrawn]()}}, "the error type *wire.overdrawn"},
		{[]Type{nil}, "no name"},
		{[]Type{Sentinel{"", io.EOF}}, "no name"},
		{[]Type{Sentinel{"!err", io.EOF}}, "the protocol's own"},
		{[]Type{Sentinel{"a.A", nil}}, "no sentinel"},
		{[]Type{Sentinel{"a.A", unhashable{}}}, "cannot be compared"},
		{[]Type{ErrorType{Path: "a.A", Type: reflect.TypeFor[int]()}}, "not an error type"},
		{[]Type{ErrorType{Path: "a.A", Type: reflect.TypeFor[*coded](), Pack: func(error) any { return nil }}}, "go together"},
	} {
		if _, err := NewTable(nil, c.types); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("got %v, want an error that says %q", err, c.says)
		}
	}
	same := []Type{Sentinel{"a.A", errNoFunds}, Sentinel{"b.B", errNoFunds}, thingType{}}
	if _, err := NewTable(same, same); err != nil {
		t.Errorf("a name given twice with one meaning: %v", err)
	}
}
