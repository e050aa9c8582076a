package dynamic_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/rmigo/rmigo/internal/dynamic"
	"github.com/rmigo/rmigo/internal/leak"
	"github.com/rmigo/rmigo/refs"
)

// taking describes an object with a method Take, whose one parameter is of the type.
func taking(typ string, named ...refs.TypeDescription) *refs.Description {
	take := refs.MethodDescription{Name: "Take", Signature: "Take(" + typ + ") error", ID: 300, Params: []refs.Value{{Type: typ}}}
	return &refs.Description{Interfaces: []refs.InterfaceDescription{{Name: "x.Taker", Methods: []refs.MethodDescription{take}}}, Types: named}
}

func node(t *testing.T) *refs.Node {
	t.Helper()
	n, err := refs.New(refs.Options{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close() })
	return n
}

func TestDescriptionsOfAllKindsOfTypesAreUnderstood(t *testing.T) {
	leak.Check(t)
	n := node(t)
	for _, typ := range []string{
		"int", "uintptr", "complex64", "error", "any", "time.Duration", "time.Time", "math/big.Rat", "*int", "**string", "[]byte2", "[]uint8", "[3][]int",
		"map[string]map[int]bool", "map[[2]int]x.Node", "struct{}", "struct{A int; B []string}", `struct{A int "cbor:\"a,omitempty\""; B struct{C any}}`,
		`struct{_ struct{} "cbor:\",toarray\""; A int; B int}`, "x.Node", "[]x.Node", "x.Box[int]", "x.Box[map[string]int]", "x.Raw", "x.Far",
	} {
		d := taking(typ,
			refs.TypeDescription{Name: "byte2", Kind: refs.KindNamed, Type: "uint8"},
			refs.TypeDescription{Name: "time.Time", Kind: refs.KindBuiltin},
			refs.TypeDescription{Name: "math/big.Rat", Kind: refs.KindBuiltin},
			refs.TypeDescription{Name: "x.Node", Kind: refs.KindStruct, Fields: []refs.Value{{Name: "Next", Type: "*x.Node"}, {Name: "By", Type: "map[string]x.Node"}}},
			refs.TypeDescription{Name: "x.Box[int]", Kind: refs.KindList, Fields: []refs.Value{{Name: "V", Type: "int"}}},
			refs.TypeDescription{Name: "x.Box[map[string]int]", Kind: refs.KindStruct, Fields: []refs.Value{{Name: "V", Type: "map[string]int"}}},
			refs.TypeDescription{Name: "x.Raw", Kind: refs.KindBytes},
			refs.TypeDescription{Name: "x.Far", Kind: refs.KindRemote},
		)
		if _, err := dynamic.Compile(n, d, "Take"); err != nil {
			t.Errorf("%s: %v", typ, err)
		}
	}
}

// A description comes from a peer, which may be wrong, of another version, or hostile.
func TestDescriptionsThatMakeNoSenseAreRefused(t *testing.T) {
	leak.Check(t)
	n := node(t)
	wide := refs.TypeDescription{Name: "x.Wide", Kind: refs.KindStruct}
	for i := range 1_001 {
		wide.Fields = append(wide.Fields, refs.Value{Name: fmt.Sprint("F", i), Type: "int"})
	}
	var chain []refs.TypeDescription
	for i := range 2_001 {
		chain = append(chain, refs.TypeDescription{Name: fmt.Sprint("x.T", i), Kind: refs.KindStruct, Fields: []refs.Value{{Name: "Next", Type: fmt.Sprint("[]x.T", i+1)}}})
	}
	for _, c := range []struct {
		typ   string
		says  string
		named []refs.TypeDescription
	}{
		{"", `the type "" is not described`, nil},
		{"integer", `the type "integer" is not described`, nil},
		{"x.Unknown", `the type "x.Unknown" is not described`, nil},
		{"int]", `"]" follows the type`, nil},
		{"[x]int", `an array of "x" elements`, nil},
		{"[-1]int", `an array of "-1" elements`, nil},
		{"[65537]int", `an array of "65537" elements`, nil},
		{"[65536][65536]int", "an array of more than 1048576 bytes", nil},
		{"map[string", "a map's key has no end", nil},
		{"map[[]int]int", "a map with keys of the type []int", nil},
		{"struct{A int", "a struct has no end", nil},
		{"struct{A", "a field has no type", nil},
		{`struct{A int "cbor`, "a field's tag has no end", nil},
		{"struct{a int}", `a struct with the field "a"`, nil},
		{"struct{A int; A int}", `a struct with the field "A"`, nil},
		{strings.Repeat("*", 200) + "int", "nested more than 100 deep", nil},
		{"x.Wide", "a struct with 1001 fields", []refs.TypeDescription{wide}},
		{"x.T0", "more than 2000 types", chain},
		{"x.Odd", `is of a kind that is unknown: "odd"`, []refs.TypeDescription{{Name: "x.Odd", Kind: "odd"}}},
		{"x.New", `this version does not know "x.New"`, []refs.TypeDescription{{Name: "x.New", Kind: refs.KindBuiltin}}},
		{"x.Name", "which is no type", []refs.TypeDescription{{Name: "x.Name", Kind: refs.KindNamed, Type: "int int"}}},
		{"x.Name", "nested more than 100 deep", []refs.TypeDescription{{Name: "x.Name", Kind: refs.KindNamed, Type: "x.Name"}}},
	} {
		_, err := dynamic.Compile(n, taking(c.typ, c.named...), "Take")
		if err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "%!") {
			t.Errorf("%.60s: %v\nwant %s", c.typ, err, c.says)
		}
	}
	var none *dynamic.NoMethodError
	if _, err := dynamic.Compile(n, taking("int"), "Give"); !errors.As(err, &none) || none.Name != "Give" || len(none.Has) != 1 {
		t.Errorf("a method that is not described: %v", err)
	}
}
