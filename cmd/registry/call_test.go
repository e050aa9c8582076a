package main_test

import (
	"context"
	"io"
	"iter"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/rmigo/rmigo/internal/leak"
	"github.com/rmigo/rmigo/internal/testobj"
	"github.com/rmigo/rmigo/registry"
	"github.com/rmigo/rmigo/rmi"
)

// A registry is an object like any other, with references among its arguments and results: these tests call one.
func bindingRegistry(t *testing.T) (url string) {
	t.Helper()
	url, _ = serving(t)
	binding(t, url, "ear")
	n, _ := listening(t, rmi.Options{})
	reg, err := registry.New(registry.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := rmi.Bind(ctx(t), n, url+"/other", registry.RemoteRegistry.Of(reg)); err != nil {
		t.Fatal(err)
	}
	return url
}

func TestCallPrintsResultsAndTakesReferences(t *testing.T) {
	leak.Check(t)
	url := bindingRegistry(t)
	run(t, "call", "--registry", url, "ear", "Hear", "you").want(t, ran{stdout: "heard you\n"})
	run(t, "call", "--registry", url, "ear", "Hear", `"100"`, "--json").want(t, ran{stdout: "[\n  \"heard 100\"\n]\n"})
	ear := strings.TrimSpace(run(t, "lookup", "--registry", url, "ear", "--ref").stdout)
	run(t, "call", ear, "Hear", "you").want(t, ran{stdout: "heard you\n"})
	run(t, "call", "--registry", url, "other", "Bind", "a", ear).want(t, ran{})
	run(t, "call", "--registry", url, "other", "List", "").want(t, ran{stdout: "[\"a\"]\n"})
	returned := run(t, "call", "--registry", url, "other", "Lookup", "a")
	if returned.code != 0 || !strings.HasPrefix(returned.stdout, "rmi-ref:") {
		t.Fatalf("a reference is printed as %+v", returned)
	}
	run(t, "call", strings.TrimSpace(returned.stdout), "Hear", "me").want(t, ran{stdout: "heard me\n"})
}

// counting has one stream.
type counting struct{ testobj.Source }

func (counting) Items(_ context.Context, how string, items ...testobj.Item) iter.Seq2[testobj.Item, error] {
	return func(yield func(testobj.Item, error) bool) {
		for _, item := range items {
			if !yield(item, nil) {
				return
			}
		}
		if how == "fail" {
			yield(testobj.Item{}, testobj.ErrEmpty)
		}
	}
}

func TestCallPrintsAStreamLineByLine(t *testing.T) {
	leak.Check(t)
	url, _ := serving(t)
	n, _ := listening(t, rmi.Options{})
	if err := rmi.Bind(ctx(t), n, url+"/source", testobj.RemoteSource.Of(&counting{})); err != nil {
		t.Fatal(err)
	}
	const first = `{"At":"0001-01-01T00:00:00Z","Name":"<a>","Next":null,"Price":null,"Seen":null,"Tags":null}` + "\n"
	run(t, "call", "--registry", url, "source", "Items", "", `{"Name": "<a>"}`, `{"Tags": ["x"]}`).want(t, ran{stdout: first +
		`{"At":"0001-01-01T00:00:00Z","Name":"","Next":null,"Price":null,"Seen":null,"Tags":["x"]}` + "\n"})
	run(t, "call", "--registry", url, "source", "Items", "fail", `{"Name": "<a>"}`).want(t,
		ran{code: 1, stdout: first, stderr: "registry: source: testobj: empty\n"})
}

// drawer has a text.
type drawer struct{ text strings.Builder }

func (d *drawer) Open(_ context.Context, how string) (io.ReadCloser, error) {
	r := io.Reader(strings.NewReader(d.text.String()))
	if how == "fail" {
		r = io.MultiReader(r, iotest.ErrReader(testobj.ErrEmpty))
	}
	return io.NopCloser(r), nil
}

func (d *drawer) Create(context.Context, string) (io.WriteCloser, error) {
	return writeCloser{&d.text}, nil
}

func (d *drawer) Pair(ctx context.Context, n int) (io.ReadCloser, int, io.WriteCloser, error) {
	r, err := d.Open(ctx, "")
	return r, n, nil, err
}

type writeCloser struct{ io.Writer }

func (writeCloser) Close() error { return nil }

func TestCallReadsAndWritesWhatIsReturned(t *testing.T) {
	leak.Check(t)
	url, _ := serving(t)
	n, _ := listening(t, rmi.Options{})
	if err := rmi.Bind(ctx(t), n, url+"/drawer", testobj.RemoteDrawer.Of(&drawer{})); err != nil {
		t.Fatal(err)
	}
	cmd := command(ctx(t), nil, "call", "--registry", url, "drawer", "Create", "")
	cmd.Stdin = strings.NewReader("two\nlines\n")
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Fatalf("writing: %v, %s", err, out)
	}
	run(t, "call", "--registry", url, "drawer", "Open", "").want(t, ran{stdout: "two\nlines\n"})
	run(t, "call", "--registry", url, "drawer", "Open", "fail").want(t, ran{code: 1, stdout: "two\nlines\n", stderr: "registry: drawer: testobj: empty\n"})
	run(t, "call", "--registry", url, "drawer", "Pair", "7").want(t, ran{stdout: "N\nnull\ntwo\nlines\n"})
}

func TestCallSaysWhatIsWrong(t *testing.T) {
	leak.Check(t)
	url := bindingRegistry(t)
	const advice = "\"registry describe\" prints what an object can be asked.\n"
	for _, c := range []struct {
		args []string
		want ran
	}{
		{[]string{"ear", "Hear", "100"}, ran{code: 2, stderr: "registry: argument 1 (text): 100 where string is expected\n" + advice}},
		{[]string{"ear", "Hear"}, ran{code: 2, stderr: "registry: 0 arguments where Hear takes 1: Hear(text string) (string)\n" + advice}},
		{[]string{"ear", "See"}, ran{code: 2, stderr: "registry: ear: the object has no method See: it has [Hear(text string) (string)]\n" + advice}},
		{[]string{"nix", "Hear", "x"}, ran{code: 3, stderr: "registry: nothing is bound to \"nix\" at rmi://127.0.0.1:PORT\n\"registry list\" prints the names that are bound.\n"}},
		{[]string{"other", "Lookup", "nix"}, ran{code: 1, stderr: "registry: other: \"nix\": not bound\n"}},
	} {
		run(t, append([]string{"call", "--registry", url}, c.args...)...).want(t, c.want)
	}
	run(t, "call", "x").want(t, ran{code: 2, stderr: "registry: call: give a NAME and a METHOD\nRun \"registry call --help\" for usage.\n"})
}

func TestDescribePrintsTheInterface(t *testing.T) {
	leak.Check(t)
	url := bindingRegistry(t)
	run(t, "describe", "--registry", url, "ear").want(t, ran{stdout: `// Listener is called back.
interface github.com/rmigo/rmigo/internal/testobj.Listener

	Hear(text string) (string)
`})
	json := run(t, "describe", "--registry", url, "ear", "--json")
	if json.code != 0 || !strings.Contains(json.stdout, `"Signature": "Hear(string) (string, error)"`) {
		t.Errorf("as JSON: %+v", json)
	}
}
