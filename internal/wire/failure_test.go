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
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/rmigo/rmigo/internal/leak"
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
	leak.Check(t)
	b := errorTable(t)
	if got := sent(b, b, nil); got != nil {
		t.Errorf("got %v", got)
	}
}

func TestASentinelKeepsItsIdentity(t *testing.T) {
	leak.Check(t)
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
	leak.Check(t)
	b := errorTable(t)
	got := sent(b, b, fmt.Errorf("paying: %w", &overdrawn{5, errNoFunds}))
	var as *overdrawn
	if got.Error() != "paying: overdrawn by 5" || !errors.As(got, &as) || as.By != 5 || !errors.Is(got, errNoFunds) {
		t.Errorf("got %#v", got)
	}
	if typed, ok := sent(b, b, &coded{"E1"}).(*coded); !ok || typed.code != "E1" {
		t.Errorf("a packed error: got %#v", typed)
	}
}

func TestAnErrorWithoutATypeKeepsItsTextAndItsChain(t *testing.T) {
	leak.Check(t)
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
	leak.Check(t)
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
	leak.Check(t)
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
	leak.Check(t)
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
	leak.Check(t)
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
	leak.Check(t)
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
	leak.Check(t)
	b := errorTable(t)
	deep := strings.Repeat("d81b82"+text("!error")+"a1"+text("w")+"81", 200) + "f6"
	for item, says := range map[string]string{
		"":                                       "ends too early",
		"00":                                     "an integer where an error is expected",
		"d81b80":                                 "the message ends too early",
		"d81b81" + text("!err"):                  "an error of 1 parts",
		"d81b82" + text("!error") + "00":         "an integer where the map of an error",
		"d81b82" + text("!err") + "62c328":       "not UTF-8",
		"d81b82" + text("bank.Overdrawn") + "a0": "a value of the type \"bank.Overdrawn\" where an error is expected",
		"d81b83" + text("bank.Overdrawn") + "":   "ends too early",
		"d81b82" + text("!error") + "a2" + text("m") + "60" + text("m") + "60": "twice or out of order",
		deep: "nested in more than 96 levels",
	} {
		_, _, err := ReadError(b.codec, b.table, nil, unhex(item))
		wantError(t, err, Unmarshal, "error: ", says)
	}
}

// fragile has an Error method that trusts its fields, as those of most error types do.
type fragile struct {
	By      string
	Cause   error
	Trailer string
}

func (e *fragile) Error() string { return e.Trailer + ": " + e.Cause.Error() }
func (e *fragile) Unwrap() error { return e.Cause }

func fragileTable(t testing.TB) *bench {
	return newBench(t, Sentinel{"bank.ErrNoFunds", errNoFunds}, ErrorType{Path: "bank.Fragile", Type: reflect.TypeFor[*fragile]()})
}

func TestAnErrorTypeThatCannotLiveWithWhatCameIsReplacedByItsText(t *testing.T) {
	leak.Check(t)
	b := fragileTable(t)
	for name, value := range map[string]string{
		"null":            "f6",
		"without a cause": "a0",
		"within another":  "a2" + text("By") + text("b") + text("Trailer") + text("z"),
	} {
		got, rest, err := ReadError(b.codec, b.table, nil, unhex("d81b83"+text("bank.Fragile")+value+text("its text")))
		remote, ok := got.(*RemoteError)
		if err != nil || len(rest) > 0 || !ok || remote.Type != "bank.Fragile" || remote.Error() != "its text" {
			t.Errorf("%s: got %#v, %v", name, got, err)
		}
	}
	path := "d81b83" + text("io/fs.PathError") + "a1" + text("Op") + text("open") + text("open : no cause")
	if got, _, err := ReadError(b.codec, b.table, nil, unhex(path)); err != nil || got.Error() != "open : no cause" {
		t.Errorf("a path error without a cause: got %#v, %v", got, err)
	}
	var none *fragile
	if got := sent(b, b, none); !strings.Contains(got.Error(), "whose Error method failed") {
		t.Errorf("a nil pointer: got %#v", got)
	}
	got := sent(b, b, &fragile{Cause: errNoFunds, Trailer: "z"})
	if typed, ok := got.(*fragile); !ok || typed.Error() != "z: no funds" {
		t.Errorf("one that is whole: got %#v", got)
	}
}

type halting struct{ Cause error }

func (halting) Error() string   { panic("no text") }
func (h halting) Unwrap() error { return h.Cause }

func TestAnErrorTypeThatPanicsStillWrapsWhatItDid(t *testing.T) {
	leak.Check(t)
	b := newBench(t, ErrorType{Path: "bank.Halting", Type: reflect.TypeFor[halting]()})
	if got := sent(b, b, halting{io.EOF}); !errors.Is(got, io.EOF) {
		t.Errorf("got %#v, want that it is io.EOF", got)
	}
}

// nest returns an item of an error type within itself, whose innermost cause is an item of size bytes and each of whose
// values ends with tail, in hex.
func nest(levels, size int, tail string) []byte {
	pad := appendHead(unhex("d81b82"+text(plainName)+"a1"+text("m")), majorText, uint64(size))
	item := append(pad, strings.Repeat("x", size)...)
	for range levels {
		outer := unhex("d81b83" + text("bank.Fragile") + "a2" + text("Cause"))
		item = append(append(outer, item...), unhex(text("Trailer")+tail+text("m"))...)
	}
	return item
}

func TestAnErrorIsReadNoFurtherThanOneIsWritten(t *testing.T) {
	leak.Check(t)
	b := fragileTable(t)
	if got, _, err := ReadError(b.codec, b.table, nil, nest(3, 60<<10, "60")); err != nil || got == nil {
		t.Errorf("an error of 60 KiB: got %v, %v", got, err)
	}
	for _, tail := range []string{"60", "00"} {
		_, _, err := ReadError(b.codec, b.table, nil, nest(3, 64<<10, tail))
		wantError(t, err, Unmarshal, "error", "an error takes more than 65536 bytes")
	}
	data := append(append([]byte{0x82}, nest(1, 40<<10, "60")...), nest(1, 40<<10, "60")...)
	var first, second error
	err := b.decode(data, func(d *Decoder) { d.Error(&first); d.Error(&second) })
	if err != nil || second == nil {
		t.Errorf("each error has its own room: got %v", err)
	}
	wide := make([]error, 60)
	for i := range wide {
		wide[i] = errors.New(strings.Repeat("y", 1000))
	}
	wide = append(wide[:31], &fragile{Cause: io.EOF, Trailer: strings.Repeat("z", 60<<10)})
	if got := sent(b, b, errors.Join(wide...)); got == nil {
		t.Error("an error that would take more was lost")
	}
}

// Each level is decoded, found not to suit its type, and passed over: what is inside must not be passed over once a level.
// failures is an error item in which 2,000 errors stand within so many levels that cannot be made what they say they are.
func failures(levels int) []byte {
	item := appendHead(unhex("d81b82"+text(plainName)+"a1"+text("w")), majorArray, 2000)
	for range 2000 {
		item = append(item, unhex("d81b82"+text(plainName)+"a1"+text("m")+"60")...)
	}
	for range levels {
		item = append(unhex("d81b83"+text("bank.Fragile")+"a2"+text("Cause")), item...)
		item = append(item, unhex(text("Trailer")+"00"+text("m"))...)
	}
	return item
}

func TestErrorsThatFailInsideEachOtherArePassedOver(t *testing.T) {
	leak.Check(t)
	b := fragileTable(t)
	for _, levels := range []int{1, 90} {
		if got, rest, err := ReadError(b.codec, b.table, nil, failures(levels)); err != nil || len(rest) > 0 || got.Error() != "m" {
			t.Errorf("%d levels: got %v, %d bytes left, %v", levels, got, len(rest), err)
		}
	}
}

// BenchmarkNestedFailures shows that an error that fails inside another is not read anew at each level: 90 levels cost about as
// much as one.
func BenchmarkNestedFailures(bench *testing.B) {
	b := fragileTable(bench)
	for _, levels := range []int{1, 90} {
		item := failures(levels)
		bench.Run(fmt.Sprint(levels), func(bench *testing.B) {
			for bench.Loop() {
				if _, _, err := ReadError(b.codec, b.table, nil, item); err != nil {
					bench.Fatal(err)
				}
			}
		})
	}
}

func TestTheTextsOfErrorTypesAreTriedWithinABound(t *testing.T) {
	leak.Check(t)
	b := fragileTable(t)
	item := nest(90, 60<<10, "60")
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	got, _, err := ReadError(b.codec, b.table, nil, item)
	runtime.ReadMemStats(&after)
	if err != nil || got == nil {
		t.Fatalf("got %v, %v", got, err)
	}
	if spent := after.TotalAlloc - before.TotalAlloc; spent > 8<<20 {
		t.Errorf("reading %d bytes allocated %d: each level's text holds those of all inside it", len(item), spent)
	}
	var as *fragile
	if !errors.As(got, &as) {
		t.Error("no error inside kept its type")
	}
}

func TestSentinelsSurviveWhatIsCutOff(t *testing.T) {
	leak.Check(t)
	b := fragileTable(t)
	deep, wide, long := error(io.EOF), make([]error, 0, 1000), make([]error, 0, 100)
	for range 100 {
		deep = fmt.Errorf("x: %w", deep)
	}
	for i := range 1000 {
		wide = append(wide, fmt.Errorf("error %d", i))
	}
	wide = append(wide, fmt.Errorf("last: %w", io.EOF))
	for range 60 {
		long = append(long, errors.New(strings.Repeat("z", 2000)))
	}
	long = append(long, errors.Join(errors.New("a"), io.EOF))
	bush := error(&bushy{io.EOF, errNoFunds})
	for range 12 {
		bush = &bushy{bush, bush}
	}
	for name, err := range map[string]error{
		"deeper than 64":               deep,
		"after the 64th":               errors.Join(wide...),
		"after 32 KiB":                 errors.Join(long...),
		"after 256 errors":             errors.Join(bush, bush, errors.Join(wide...)),
		"in a field of an error":       &fragile{Cause: errors.Join(wide...)},
		"in a field, after 32 KiB":     errors.Join(append(long[:60:60], &fragile{Cause: io.EOF})...),
		"in a field, after another":    &fragile{By: strings.Repeat("b", 40<<10), Cause: fmt.Errorf("x: %w", io.EOF)},
		"behind one that wraps itself": errors.Join(append(wide[:70:70], &endless{}, io.EOF)...),
	} {
		if got := sent(b, b, err); !errors.Is(got, io.EOF) {
			t.Errorf("io.EOF %s: lost in %.200q", name, got)
		}
	}
}

func TestASentinelThatIsNoneDoesNotStandInTheWay(t *testing.T) {
	leak.Check(t)
	b := newBench(t, Sentinel{"bank.ErrNil", nil}, Sentinel{"bank.ErrList", unhashable{}}, Sentinel{"bank.ErrNoFunds", errNoFunds})
	if got := sent(b, b, errNoFunds); got != errNoFunds {
		t.Errorf("got %#v", got)
	}
	if got := sent(b, b, unhashable{}); got.Error() != "unhashable" {
		t.Errorf("got %#v", got)
	}
	item := unhex("d81b83" + text("!err") + text("bank.ErrNil") + text("later"))
	if got, _, err := ReadError(b.codec, b.table, nil, item); err != nil || got.Error() != "later" {
		t.Errorf("its name: got %#v, %v", got, err)
	}
}

func TestAnEmptyKeyOfAnErrorIsAnUnknownOne(t *testing.T) {
	leak.Check(t)
	b := newBench(t)
	item := "d81b82" + text("!error") + "a2" + "6000" + text("m") + text("hi")
	if got, _, err := ReadError(b.codec, b.table, nil, unhex(item)); err != nil || got.Error() != "hi" {
		t.Errorf("got %#v, %v", got, err)
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
	leak.Check(t)
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
