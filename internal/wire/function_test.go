package wire

import (
	"context"
	"errors"
	"reflect"
	"testing"

	"github.com/rmigo/rmigo/internal/leak"
)

type visitor func(context.Context, int) error

// visiting is the Function of visitors: the objects are the functions' numbers.
type visiting struct{ known map[*thing]visitor }

func (visiting) Name() string           { return "func(int)error" }
func (visiting) GoType() reflect.Type   { return reflect.TypeFor[remoteThing]() }
func (visiting) FuncType() reflect.Type { return reflect.TypeFor[func(context.Context, int) error]() }

func (t visiting) ObjectOf(f reflect.Value) any {
	made := &thing{byte(len(t.known) + 1)}
	t.known[made] = f.Interface().(func(context.Context, int) error)
	return made
}

func (t visiting) FuncOf(object any) reflect.Value {
	return reflect.ValueOf(func(c context.Context, n int) error {
		for known, f := range t.known {
			if known.number == object.(*thing).number {
				return f(c, n)
			}
		}
		return errors.New("unknown")
	})
}

func TestFunctionsTravelAsObjectsEachOfItsOwn(t *testing.T) {
	leak.Check(t)
	type tour struct {
		First visitor
		Last  func(context.Context, int) error
		Rest  map[string][]visitor
		Fixed [2]*visitor
	}
	types := visiting{map[*thing]visitor{}}
	b := newBench(t, types)
	b.objects = &fakeObjects{}
	mine := errors.New("mine")
	f := visitor(func(_ context.Context, n int) error {
		if n == 7 {
			return mine
		}
		return nil
	})
	got := roundTrip(b, tour{f, f, map[string][]visitor{"a": {nil, f}, "b": nil}, [2]*visitor{&f, nil}})
	for _, g := range []visitor{got.First, got.Last, got.Rest["a"][1], *got.Fixed[0]} {
		if g(t.Context(), 7) != mine || g(t.Context(), 8) != nil {
			t.Error("a function came back as another one")
		}
	}
	if len(types.known) != 4 || got.Rest["a"][0] != nil || got.Rest["b"] != nil || got.Fixed[1] != nil {
		t.Errorf("got %+v of %d objects, want an object for each of 4 functions", got, len(types.known))
	}
}

func TestFunctionsThatTheTableDoesNotHaveAreRefused(t *testing.T) {
	leak.Check(t)
	type tour struct{ Then func(int) error }
	b := newBench(t, visiting{map[*thing]visitor{}}, thingType{})
	b.objects = &fakeObjects{}
	_, err := b.encode(func(e *Encoder) { e.Value(tour{func(int) error { return nil }}) })
	wantError(t, err, Marshal, "argument 1: tour.Then: func(int) error cannot travel")
	if got := roundTrip(b, []tour{{}}); got[0].Then != nil {
		t.Error("nil came back as a function")
	}
	data, _ := b.encode(func(e *Encoder) { e.Remote(thingType{}, &thing{1}) })
	wantError(t, b.into(data, new(func(int) error)), Unmarshal, "func(int) error cannot travel")
	wantError(t, b.into(unhex("8101"), new(visitor)), Unmarshal, "an integer where a remote reference")
	_, err = b.encode(func(e *Encoder) { e.Value([]any{visitor(nil)}) })
	wantError(t, err, Marshal, "wire.visitor cannot travel")
}
