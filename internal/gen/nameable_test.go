package gen

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rmigo/rmigo/internal/leak"
)

func TestOnlyAPackageNearbyImportsAnInternalOne(t *testing.T) {
	leak.Check(t)
	for _, c := range []struct {
		from, path string
		want       bool
	}{
		{"example.com/p", "example.com/other", true},
		{"example.com/p", "example.com/p/internal/x", true},
		{"example.com/p/a/b", "example.com/p/internal", true},
		{"example.com/pq", "example.com/p/internal/x", false},
		{"example.com", "example.com/p/internal/x", false},
		{"example.com/p", "example.com/p/internal/a/internal/b", false},
		{"example.com/p/internal/a", "example.com/p/internal/a/internal/b", true},
		{"example.com/p", "example.com/internals/x", true},
		{"example.com/p", "internal/abi", false},
		{"example.com/p", "vendor/golang.org/x/net/idna", false},
	} {
		if got := importable(c.from, c.path); got != c.want {
			t.Errorf("importable(%q, %q) = %v, want %v", c.from, c.path, got, c.want)
		}
	}
}

// hiding is what a package offers others to embed and to use; its import path precedes /internal/x.
const hiding = `package other

import (
	"context"

	"PATH/internal/x"
)

type Base interface {
	Get(ctx context.Context) (x.T, error)
	Put(ctx context.Context, all map[string][]*x.T) error
	Box(ctx context.Context, b Box[x.T]) error
	Kept(ctx context.Context, s secret) error
	Field(ctx context.Context, v struct{ S secret }) error
	Closed(ctx context.Context, v struct{ A, b int }) error
	Alias(ctx context.Context, a T) (Box[T], error)
	Call(ctx context.Context, f func(context.Context, x.T) error) error
}

type Good interface {
	Alias(ctx context.Context, a T) (Box[T], error)
	Inside(ctx context.Context, o Order) error
}

type (
	Box[E any] struct{ Item E }
	Order      struct{ T x.T; S secret }
	T          = x.T
	secret     struct{ N int }
)
`

const embedding = `package p

import (
	"context"

	"PATH"
)

//rmi:remote
type Job interface {
	other.Base
	Do(ctx context.Context, o other.Order) error
}
`

// A foreign type need only be named as its method names it: by an exported alias is enough, and what a struct holds does
// not matter.
func TestAnEmbeddedMethodWhoseTypesCannotBeNamedHereIsRefused(t *testing.T) {
	leak.Check(t)
	dir := newModule(t, "example.com/p")
	foreign := newDependency(t, dir)
	for place, path := range map[string]string{foreign: "example.com/other", filepath.Join(dir, "sub", "other"): "example.com/p/sub/other"} {
		writeFile(t, filepath.Join(place, "other.go"), strings.ReplaceAll(hiding, "PATH", path))
		writeFile(t, filepath.Join(place, "internal", "x", "x.go"), "package x\n\ntype T struct{ N int }\n")
		t.Run(path, func(t *testing.T) {
			source := strings.Replace(embedding, "PATH", path, 1)
			writeFile(t, filepath.Join(dir, "job.go"), source)
			hidden := "x.T lies in " + path + "/internal/x, which example.com/p cannot import, so the stub cannot name it: "
			secret := "other.secret is not exported by its package, so the stub cannot name it: "
			const remedy = "let the interface that has the method use an exported type or alias of a package that can be imported, or do not embed it"
			compareLines(t, refusals(t, dir), []string{
				"job.go:10:6: Job.Get: result 1: " + hidden + remedy,
				"job.go:10:6: Job.Put: parameter all: map[string][]*x.T: " + hidden + remedy,
				"job.go:10:6: Job.Box: parameter b: other.Box[x.T]: " + hidden + remedy,
				"job.go:10:6: Job.Kept: parameter s: " + secret + remedy,
				"job.go:10:6: Job.Field: parameter v: struct{S other.secret}: " + secret + remedy,
				"job.go:10:6: Job.Call: parameter f: func(context.Context, x.T) error: " + hidden + remedy,
				"job.go:10:6: Job.Closed: parameter v: field b is of another package, so the stub cannot write the struct: " +
					"let the interface that has the method use a declared type, or do not embed it",
			})
			writeFile(t, filepath.Join(dir, "job.go"), strings.Replace(source, "other.Base", "other.Good", 1))
			if err := generate(t, dir).Write(); err != nil {
				t.Fatal(err)
			}
			defer os.Remove(filepath.Join(dir, "job_rmi.go"))
			cmd := exec.CommandContext(t.Context(), "go", "build", ".")
			cmd.Dir = dir
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("go build: %v, want success\n%s\n%s", err, out, read(t, filepath.Join(dir, "job_rmi.go")))
			}
		})
	}
}

func TestARemoteInterfaceWhoseDescriptorCannotBeNamedHereIsRefused(t *testing.T) {
	leak.Check(t)
	dir := newModule(t, "example.com/p")
	writeFile(t, filepath.Join(dir, "job.go"), strings.Replace(strings.Replace(embedding, "PATH", "example.com/p/sub/other", 1), "\tother.Base\n", "", 1))
	writeFile(t, filepath.Join(dir, "sub", "other", "other.go"), `package other

import (
	"context"

	"example.com/p/sub/internal/x"
)

type Order struct {
	Feeds []x.Feed
	Plain plain
	Visit Visit
}

type Visit func(context.Context, secret) error
type secret struct{ N int }

//rmi:remote
type plain interface{ Stop(ctx context.Context) error }
`)
	writeFile(t, filepath.Join(dir, "sub", "internal", "x", "x.go"), "package x\n\nimport \"context\"\n\n//rmi:remote\ntype Feed interface{ Stop(ctx context.Context) error }\n")
	const remedy = ", so its descriptor cannot be named: export it from a package that can be imported"
	compareLines(t, refusals(t, dir), []string{
		"job.go:11:2: Job.Do: parameter o: other.Order.Feeds[]: x.Feed lies in example.com/p/sub/internal/x, which example.com/p cannot import" + remedy,
		"job.go:11:2: Job.Do: parameter o: other.Order.Plain: other.plain is not exported by its package" + remedy,
		"job.go:11:2: Job.Do: parameter o: other.Order.Visit: other.secret is not exported by its package, so the stub cannot name it: " +
			"use a function type of exported types of packages that can be imported",
	})
	if got := generate(t, dir, "./sub/..."); len(got.Files) != 2 {
		t.Errorf("got %q, want the two files of the packages that may name each other", states(got))
	}
}
