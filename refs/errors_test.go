package refs

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/rmigo/rmigo/internal/leak"
	"github.com/rmigo/rmigo/internal/wire"
)

// travel sends an error to another process, as a method's.
func travel(t *testing.T, err error) (sent []byte, arrived error) {
	t.Helper()
	table, bad := wire.NewTable(builtinTypes(), nil)
	if bad != nil {
		t.Fatal(bad)
	}
	codec := wire.NewCodec(wire.Limits{})
	sent = wire.AppendError(codec, table, nil, nil, err)
	if arrived, _, bad = wire.ReadError(codec, table, nil, sent); bad != nil {
		t.Fatal(bad)
	}
	return sent, arrived
}

func TestAnErrorOfTheRuntimeThatAMethodReturnsKeepsItsTextThroughAnyNumberOfProcesses(t *testing.T) {
	leak.Check(t)
	r, _ := refOf(wire.Record{Process: [16]byte{0xab}, Object: [16]byte{0xcd, 0xef, 0x01}, Interfaces: []string{"example.com/bank.Account"}})
	has := hasMethods{"Deposit(int64) error"}
	for _, e := range []*Error{
		{Op: opCall, Ref: r, Method: "bank.Account.Deposit", Kind: ErrUnreachable, NotRun: true, Err: errors.New("connection refused")},
		{Op: opCall, Ref: r, Method: "bank.Account.Deposit", Kind: ErrUnreachable, Err: fmt.Errorf("lost: %w", io.ErrUnexpectedEOF)},
		{Op: opCall, Ref: r, Method: "bank.Account.Deposit", Kind: ErrPanic, Remote: true, Err: &panicked{"oh"}},
		{Op: opCall, Ref: r, Method: "bank.Account.Deposit", NotRun: true, Err: context.DeadlineExceeded},
		{Op: opCall, Ref: r, Kind: ErrNoSuchObject, Reason: Unexported, NotRun: true},
		{Op: opCall, Ref: r, Kind: ErrNoSuchMethod, NotRun: true, Err: has},
		{Op: opCall, Ref: r, Kind: ErrNoSuchMethod, NotRun: true, Err: fmt.Errorf("this side calls Deposit(int32) error, %w", has)},
		{Op: "lookup", URL: "rmi://127.0.0.1:1099/x", Kind: ErrNotBound, Err: fmt.Errorf("registry: %q: %w", "x", ErrNotBound)},
		{Op: "call", Ref: r, Method: "bank.Bank.Open", Code: "E42", Kind: ErrLimit, Err: &Error{Op: "export", Ref: r, Kind: ErrLimit, NotRun: true}},
		{Kind: ErrNodeClosed},
	} {
		err := error(e)
		for hop := 1; hop <= 3; hop++ {
			var sent []byte
			sent, err = travel(t, err)
			if err.Error() != e.Error() {
				t.Errorf("after %d processes it says\n%v\nwant\n%v", hop, err, e)
			}
			if id := hex.EncodeToString(r.id.Object[:]); strings.Contains(hex.EncodeToString(sent), id) || strings.Contains(fmt.Sprintf("%#v", err), id) {
				t.Errorf("%v: the object's id, a capability, travels with it", e)
			}
			got, ok := err.(*Error)
			if !ok {
				t.Fatalf("%v arrived as %T", e, err)
			}
			on := e.Ref.String()
			if e.Ref.IsZero() {
				on = ""
			}
			if got.Op != e.Op || got.On != on || got.Method != e.Method || got.URL != e.URL || got.Kind != e.Kind || got.Reason != e.Reason ||
				got.Code != e.Code || !got.Remote {
				t.Errorf("%v arrived as %+v", e, *got)
			}
			if got.NotRun || !MayHaveRun(err) {
				t.Errorf("%v: whoever called the method is told that it did not run", e)
			}
		}
	}
}
