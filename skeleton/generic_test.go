package skeleton_test

import (
	"net/url"
	"testing"

	"github.com/rmigo/rmigo/internal/leak"
	"github.com/rmigo/rmigo/skeleton"
)

type pair[A, B any] struct {
	First  A
	Second B
}

func TestTypeArgumentsHaveTheNamesThatSignaturesGiveThem(t *testing.T) {
	leak.Check(t)
	const here = "github.com/rmigo/rmigo/skeleton_test."
	for _, test := range []struct {
		got  skeleton.TypeArg
		want string
	}{
		{skeleton.Arg[string](), "string"},
		{skeleton.Arg[[]byte](), "[]uint8"},
		{skeleton.Arg[map[rune][3]*url.URL](), "map[int32][3]*net/url.URL"},
		{skeleton.Arg[error](), "error"},
		{skeleton.Arg[[]any](), "[]any"},
		{skeleton.Arg[map[string]struct{}](), "map[string]struct{}"},
		{skeleton.Arg[pair[string, []pair[int, any]]](), here + "pair[string, []" + here + "pair[int, any]]"},
		{skeleton.Arg[pair[interface{}, struct{}]](), here + "pair[any, struct{}]"},
	} {
		if test.got.Name != test.want {
			t.Errorf("%v is called %q, want %q", test.got.Type, test.got.Name, test.want)
		}
	}
}

// The text and its id are those of an interface without type parameters.
func TestAnInstancesMethodHasTheIDOfItsSignature(t *testing.T) {
	leak.Check(t)
	args := []skeleton.TypeArg{skeleton.Arg[int64](), skeleton.Arg[pair[int, string]]()}
	d := &skeleton.Interface[any]{
		Path:    "example.com/bank.Account",
		Args:    args,
		Methods: []skeleton.Method{{Signature: "Deposit(" + args[0].Name + ") (" + args[0].Name + ", error)"}},
	}
	if m := d.MethodTable()[0]; m.Signature != "Deposit(int64) (int64, error)" || m.ID != 0x112be134449d2d31 {
		t.Errorf("got %s with the id %#x, want Deposit(int64) (int64, error) with that of docs/PROTOCOL.md", m.Signature, m.ID)
	}
	const want = "example.com/bank.Account[int64,github.com/rmigo/rmigo/skeleton_test.pair[int,string]]"
	if d.Name() != want {
		t.Errorf("the instance is called %s, want %s", d.Name(), want)
	}
}
