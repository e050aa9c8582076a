package refs

import (
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/rmigo/rmigo/internal/leak"
	"github.com/rmigo/rmigo/internal/wire"
)

func FuzzRefText(f *testing.F) {
	good, _ := refOf(wire.Record{Process: [16]byte{1}, Object: [16]byte{2}, Endpoints: []string{"tcp://a:1"}, Interfaces: []string{"x.Y"}})
	text, _ := good.MarshalText()
	f.Add(string(text))
	f.Add("rmi-ref:00/00?at=&as=")
	f.Fuzz(func(t *testing.T, text string) {
		var r Ref
		if r.UnmarshalText([]byte(text)) != nil {
			return
		}
		out, err := r.MarshalText()
		if err != nil {
			t.Fatalf("%q was read and cannot be written: %v", text, err)
		}
		var back Ref
		if err := back.UnmarshalText(out); err != nil || back != r {
			t.Fatalf("%q reads back as %#v, %v; want %#v", out, back, err, r)
		}
	})
}

func TestMayHaveRunIsFalseOnlyWhereNothingRan(t *testing.T) {
	leak.Check(t)
	notRun := &Error{Op: opCall, Kind: ErrUnreachable, NotRun: true}
	ran := &Error{Op: opCall, Kind: ErrUnreachable}
	for _, c := range []struct {
		name string
		err  error
		want bool
	}{
		{"no error", nil, true},
		{"a stranger's error", io.EOF, true},
		{"a call that did not run", notRun, false},
		{"the same inside another error, which may be a method's", fmt.Errorf("bank: %w", notRun), true},
		{"a call that may have run", ran, true},
		{"two calls, one of which ran", errors.Join(notRun, ran), true},
		{"a method's error about a call of its own", &wire.RemoteError{Wrapped: []error{notRun}}, true},
	} {
		if got := MayHaveRun(c.err); got != c.want {
			t.Errorf("%s: MayHaveRun(%v) = %v, want %v", c.name, c.err, got, c.want)
		}
	}
}

func TestAnErrorSaysWhichOperationOnWhatAndWhetherItRan(t *testing.T) {
	leak.Check(t)
	r, _ := refOf(wire.Record{Process: [16]byte{0xab}, Interfaces: []string{"example.com/bank.Account"}})
	for _, c := range []struct {
		err  Error
		want string
	}{
		{Error{Op: opCall, Method: "bank.Account.Deposit", Kind: ErrUnreachable, NotRun: true, Err: errors.New("connection refused")},
			"rmi: call bank.Account.Deposit: unreachable: connection refused (it did not run)"},
		{Error{Op: opCall, Ref: r, Kind: ErrNoSuchObject, Reason: Unexported},
			"rmi: call on bank.Account" + r.id.Object.String() + "@ab000000: no such object: it was unexported (it may have run)"},
		{Error{Op: "bind", Kind: ErrAlreadyBound, Err: fmt.Errorf("%q: %w", "x", ErrAlreadyBound)}, `rmi: bind: "x": already bound`},
		{Error{Kind: ErrNodeClosed}, "rmi: node closed"},
	} {
		if got := c.err.Error(); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
	}
	var k Kind
	if err := error(&Error{Kind: ErrLimit}); !errors.Is(err, ErrLimit) || errors.Is(err, ErrPanic) || !errors.As(err, &k) || k != ErrLimit {
		t.Error("an Error is not of its kind, or of another one")
	}
}

func TestGravesRememberTheLatest(t *testing.T) {
	leak.Check(t)
	var g graves
	id := func(i int) ObjectID { return ObjectID{byte(i), byte(i >> 8)} }
	for i := range graveyard + 10 {
		g.bury(id(i), Unexported)
	}
	if len(g.why) != graveyard || g.reason(id(9)) != NeverExisted || g.reason(id(10)) != Unexported {
		t.Errorf("%d graves, the 10th is %v, the 11th %v", len(g.why), g.reason(id(9)), g.reason(id(10)))
	}
}
