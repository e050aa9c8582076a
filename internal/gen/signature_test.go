package gen

import (
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rmigo/rmigo/internal/leak"
)

// methodsOf type-checks one interface I of a package example.com/x that imports nothing but contexts, and returns its methods.
func methodsOf(t *testing.T, source string) *types.Interface {
	t.Helper()
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, "x.go", "package x\n"+source, 0)
	if err != nil {
		t.Fatal(err)
	}
	pkg, err := (&types.Config{Importer: contextOnly{}}).Check("example.com/x", fset, []*ast.File{f}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return pkg.Scope().Lookup("I").Type().Underlying().(*types.Interface)
}

// contextOnly is a context package without anything else.
type contextOnly struct{}

func (contextOnly) Import(path string) (*types.Package, error) {
	pkg := types.NewPackage(path, path)
	obj := types.NewTypeName(token.NoPos, pkg, "Context", nil)
	types.NewNamed(obj, types.NewInterfaceType(nil, nil), nil)
	pkg.Scope().Insert(obj)
	pkg.MarkComplete()
	return pkg, nil
}

func TestTheCanonicalTextFollowsItsGrammar(t *testing.T) {
	leak.Check(t)
	for method, want := range map[string]string{
		"M(ctx C) error":                                "M() error",
		"M(ctx C) (_ error)":                            "M() error",
		"M(C, byte, rune) (uint8, error)":               "M(uint8, int32) (uint8, error)",
		"M(ctx C, a, b int) (n T, _ error)":             "M(int, int) (example.com/x.T, error)",
		"M(C, ...*T) error":                             "M([]*example.com/x.T) error",
		"M(C, A, error) error":                          "M(map[string][4]example.com/x.T, error) error",
		"M(C, P[A, any]) error":                         "M(example.com/x.P[map[string][4]example.com/x.T, any]) error",
		"M(C, func(C, ...T) (n int, _ error)) error":    "M(func(...example.com/x.T) (int, error)) error",
		"M(C, V) (func(ctx C, a, b []T) error, error)":  "M(example.com/x.V) (func([]example.com/x.T, []example.com/x.T) error, error)",
		"M(C, struct{ a, B int; T }) error":             "M(struct{a int; B int; example.com/x.T}) error",
		"M(C, struct{ B A `k:\"v\"` }, struct{}) error": `M(struct{B map[string][4]example.com/x.T "k:\"v\""}, struct{}) error`,
	} {
		i := methodsOf(t, "import \"context\"; type C = context.Context; type T int; type A = map[string][4]T; type P[X, Y any] struct{}; type V func(C) error; type I interface{ "+method+" }")
		if got, _ := MethodID(i.Method(0)); got != want {
			t.Errorf("the text of %s is %q, want %q", method, got, want)
		}
	}
}

// The numbers are what sha256sum prints of the text: a peer of another version depends on them.
func TestTheIDIsTheHashOfTheText(t *testing.T) {
	leak.Check(t)
	i := methodsOf(t, "import \"context\"; type C = context.Context; type I interface{ Stop(C) error; Deposit(C, int64) (int64, error) }")
	for k, want := range []uint64{0x112be134449d2d31, 0x25bc8625032795f0} {
		if text, got := MethodID(i.Method(k)); got != want {
			t.Errorf("the ID of %q is %#x, want %#x", text, got, want)
		}
	}
}

func TestMethodsThatTheirIDsCannotTellApartAreRefused(t *testing.T) {
	leak.Check(t)
	i := methodsOf(t, "type I interface{ A(); B(); C(); D() }")
	p := &program{fset: token.NewFileSet()}
	var methods []*method
	for k, id := range []uint64{ReservedIDs, 7, ReservedIDs - 1, ReservedIDs} {
		methods = append(methods, &method{fn: i.Method(k), id: id})
	}
	p.checkIDs(&iface{obj: types.NewTypeName(token.NoPos, nil, "I", nil), methods: methods})
	const remedy = ": rename the method: its ID is the hash of its name and signature"
	compareLines(t, strings.Split(p.refused.Error(), "\n"), []string{
		"-: I.B: its ID 0x7 is reserved" + remedy,
		"-: I.C: its ID 0xff is reserved" + remedy,
		"-: I.D: its ID 0x100 is also A's" + remedy,
	})
}

func TestAChangedParameterNameKeepsTheIDAndAChangedTypeDoesNot(t *testing.T) {
	leak.Check(t)
	id := func(method string) uint64 {
		_, id := MethodID(methodsOf(t, "import \"context\"; type C = context.Context; type T int; type A = T; type I interface{ "+method+" }").Method(0))
		return id
	}
	original := id("M(ctx C, a T) error")
	for _, same := range []string{"M(c C, b T) error", "M(C, T) (err error)", "M(C, A) error"} {
		if got := id(same); got != original {
			t.Errorf("%s has the ID %#x, want %#x as before", same, got, original)
		}
	}
	for _, other := range []string{"M(ctx C, a int) error", "M(ctx C, a []T) error", "M(ctx C, a, b T) error", "M(ctx C, a T) (T, error)", "N(ctx C, a T) error"} {
		if got := id(other); got == original {
			t.Errorf("%s has the ID %#x too, want another", other, got)
		}
	}
}

func TestUnexportedNamesReadAsNames(t *testing.T) {
	leak.Check(t)
	for name, want := range map[string]string{
		"Account": "account", "HTTPServer": "httpServer", "URL": "url", "X": "x", "account": "account", "V2Store": "v2Store", "世界": "世界", "Éclair": "éclair",
	} {
		if got := lowerFirst(name); got != want {
			t.Errorf("lowerFirst(%q) = %q, want %q", name, got, want)
		}
	}
}

func TestAFileNameReadsAsOneWord(t *testing.T) {
	leak.Check(t)
	for name, want := range map[string]string{
		"bank.go": "bank", "bank_linux.go": "bankLinux", "my-Bank.v2.go": "myBankV2", "2nd.go": "file2nd", "-.go": "file", "世界_x.go": "世界X",
	} {
		if got := fileWord(name); got != want {
			t.Errorf("fileWord(%q) = %q, want %q", name, got, want)
		}
	}
}

func TestAFileNameForOneSystemIsAConstraint(t *testing.T) {
	leak.Check(t)
	for name, want := range map[string]string{
		"bank.go": "", "linux.go": "", "bank_linux.go": "linux", "bank_arm64.go": "arm64", "bank_darwin_arm64.go": "darwin && arm64",
		"bank_arm64_linux.go": "linux", "bank_unix.go": "", "linux_bank.go": "", "windows_amd64.go": "amd64",
	} {
		f, err := parser.ParseFile(token.NewFileSet(), filepath.Base(name), "package p\n", parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		if got := buildConstraint(name, f); got != want {
			t.Errorf("%s is built under %q, want %q", name, got, want)
		}
	}
}
