package corpus

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/build"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"golang.org/x/net/html"
	"gopkg.in/yaml.v3"

	"github.com/rmigo/rmigo/rmi"
	"github.com/rmigo/rmigo/skeleton"
)

type echo struct{ html, yaml any }

type trees struct{ files []*ast.File }

func (e *trees) Files(_ context.Context, files []*ast.File) ([]*ast.File, error) {
	e.files = files
	return files, nil
}

func (e *trees) Node(_ context.Context, n ast.Node) (ast.Node, error) { return n, nil }

func (e *echo) HTML(_ context.Context, n *html.Node) (*html.Node, error) {
	e.html = n
	return n, nil
}

func (e *echo) YAML(_ context.Context, n *yaml.Node) (*yaml.Node, error) {
	e.yaml = n
	return n, nil
}

// served returns a stub of an object of another node, over TCP, and its own node.
func served[T any](t *testing.T, d *skeleton.Interface[T], impl T) (T, *rmi.Node) {
	t.Helper()
	server, err := rmi.NewNode(rmi.Options{})
	if err != nil {
		t.Fatal(err)
	}
	client, err := rmi.NewNode(rmi.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close(); client.Close() })
	if _, err := server.Listen("tcp://127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	ref, err := rmi.Export(server, d.Of(impl))
	if err != nil {
		t.Fatal(err)
	}
	text, err := ref.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	stub, err := rmi.Resolve(t.Context(), client, d, string(text))
	if err != nil {
		t.Fatal(err)
	}
	return stub, client
}

// same fails unless two graphs are equal and share the same: the bytes differ where they do not.
func same[T any](t *testing.T, n *rmi.Node, what string, sent, got T, types ...skeleton.Descriptor) {
	t.Helper()
	if !reflect.DeepEqual(sent, got) {
		t.Errorf("%s changed", what)
	}
	a, err := rmi.Marshal(n, sent, types...)
	b, err2 := rmi.Marshal(n, got, types...)
	if a != b || errors.Join(err, err2) != nil {
		t.Errorf("%s shares something else: %v, %v, %v", what, a, b, errors.Join(err, err2))
	}
}

func TestDocumentsOfHTMLComeHomeAsTheyWere(t *testing.T) {
	impl := &echo{}
	stub, client := served[Echo](t, RemoteEcho, impl)
	var page strings.Builder
	page.WriteString("<!doctype html><title>t</title><svg><a xlink:href=x></a></svg><!-- c -->")
	for i := range 2000 {
		fmt.Fprintf(&page, "<p id=%d class='a b'>text <b>bold <i>both</b> italic</i><ul><li>1<li>2</ul><template><td>x</template>", i)
	}
	page.WriteString(strings.Repeat("<div>", 400))
	doc, err := html.Parse(strings.NewReader(page.String()))
	if err != nil {
		t.Fatal(err)
	}
	got, err := stub.HTML(t.Context(), doc)
	if err != nil {
		t.Fatal(err)
	}
	same(t, client, "what the server saw", doc, impl.html.(*html.Node))
	same(t, client, "what came back", doc, got)
	var before, after bytes.Buffer
	if err := errors.Join(html.Render(&before, doc), html.Render(&after, got)); err != nil || before.String() != after.String() {
		t.Errorf("the page is rendered otherwise: %v", err)
	}
	if got.FirstChild.NextSibling.Parent != got || got.LastChild.PrevSibling.NextSibling != got.LastChild {
		t.Error("parents and siblings are not the nodes themselves")
	}
}

func TestDocumentsOfYAMLComeHomeAsTheyWere(t *testing.T) {
	impl := &echo{}
	stub, client := served[Echo](t, RemoteEcho, impl)
	text := "base: &base\n  a: 1\n  list: &list [1, two, 3.0]\nother:\n  <<: *base\n  again: *list\nkeys: {? [x, y] : *list}\n# comment\n"
	for i := range 1000 {
		text += fmt.Sprintf("item%d: {name: n%d, ref: *list}\n", i, i)
	}
	var doc yaml.Node
	if err := yaml.Unmarshal([]byte(text), &doc); err != nil {
		t.Fatal(err)
	}
	got, err := stub.YAML(t.Context(), &doc)
	if err != nil {
		t.Fatal(err)
	}
	same(t, client, "what the server saw", &doc, impl.yaml.(*yaml.Node))
	same(t, client, "what came back", &doc, got)
	before, err := yaml.Marshal(&doc)
	after, err2 := yaml.Marshal(got)
	if string(before) != string(after) || errors.Join(err, err2) != nil {
		t.Errorf("the document is written otherwise: %v", errors.Join(err, err2))
	}
	root := got.Content[0]
	if alias := root.Content[3].Content[3]; alias.Kind != yaml.AliasNode || alias.Alias != root.Content[1].Content[3] {
		t.Error("an alias does not lead to the node of its anchor")
	}
}

// parsed returns the parse trees of files of the standard library, identifiers resolved.
func parsed(t *testing.T, pattern string) []*ast.File {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(build.Default.GOROOT, "src", pattern))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no sources at %s: %v", pattern, err)
	}
	var files []*ast.File
	fset := token.NewFileSet()
	for _, path := range paths {
		f, err := parser.ParseFile(fset, path, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	return files
}

func TestParseTreesOfTheStandardLibraryComeHomeAsTheyWere(t *testing.T) {
	impl := &trees{}
	stub, client := served[Trees](t, RemoteTrees, impl)
	for _, pattern := range []string{"go/ast/*.go", "net/http/s*.go", "encoding/json/*.go", "slices/*.go"} {
		files := parsed(t, pattern)
		got, err := stub.Files(t.Context(), files)
		if err != nil {
			t.Fatalf("%s: %v", pattern, err)
		}
		same(t, client, pattern+": what the server saw", files, impl.files, RemoteTrees)
		same(t, client, pattern+": what came back", files, got, RemoteTrees)
	}
	node, err := stub.Node(t.Context(), parsed(t, "sort/sort.go")[0])
	if f, ok := node.(*ast.File); err != nil || !ok || f.Scope.Lookup("Sort").Decl.(*ast.FuncDecl).Name.Obj != f.Scope.Lookup("Sort") {
		t.Errorf("got %T, %v", node, err)
	}
}
