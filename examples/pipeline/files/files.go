// Package files has directories within directories, which are objects.
package files

import (
	"context"
	"fmt"
	"strings"
	"sync"
)

//go:generate go run github.com/rmigo/rmigo/cmd/rmigen

// Dir is a directory.
//
//rmi:remote async
type Dir interface {
	Open(ctx context.Context, name string) (Dir, error)
	Read(ctx context.Context) (string, error)
}

// Tree is a Dir that has whatever is asked for.
type Tree struct {
	Path string

	mu    sync.Mutex
	below map[string]*Tree
}

// Open implements Dir.
func (t *Tree) Open(_ context.Context, name string) (Dir, error) {
	if name == "" || strings.Contains(name, "/") {
		return nil, fmt.Errorf("files: %q is no name", name)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.below[name] == nil {
		if t.below == nil {
			t.below = map[string]*Tree{}
		}
		t.below[name] = &Tree{Path: t.Path + "/" + name}
	}
	return t.below[name], nil
}

// Read implements Dir.
func (t *Tree) Read(context.Context) (string, error) { return "contents of " + t.Path, nil }
