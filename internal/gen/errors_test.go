package gen

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rmigo/rmigo/internal/leak"
)

// What an error wraps is as a rule in an unexported field, and would not arrive: the entry would trade the chain for the type.
func TestAnErrorTypeWithUnexportedStateHasNoEntry(t *testing.T) {
	leak.Check(t)
	dir := newModule(t, "example.com/p")
	writeFile(t, filepath.Join(dir, "job.go"), stoppable+`
type OpError struct { Op string; err error }

func (e *OpError) Error() string { return e.Op + ": " + e.err.Error() }

type StatusError struct { error; Status int }

type Padded struct { _ int; N int }

func (Padded) Error() string { return "" }
`)
	plan := generate(t, dir)
	content := string(plan.Files[0].Content)
	for name, want := range map[string]bool{"OpError": false, "StatusError": false, "Padded": true} {
		if got := strings.Contains(content, name); got != want {
			t.Errorf("%s is in the type table: got %v, want %v", name, got, want)
		}
	}
	compareLines(t, strings.Split(plan.Notes.Error(), "\n"), []string{
		"job.go:10:6: OpError will arrive as its text and what it wraps, without its type: OpError.err: the field is not exported and would be lost: export it, or give the type MarshalBinary and UnmarshalBinary",
		"job.go:14:6: StatusError will arrive as its text and what it wraps, without its type: StatusError.error: the field is not exported and would be lost: export it, or give the type MarshalBinary and UnmarshalBinary",
	})
}

func TestATypeThatLeadsToEverLongerInstancesIsRefusedBeforeItIsWalked(t *testing.T) {
	leak.Check(t)
	for name, cyclic := range map[string]string{
		"by a pointer":    "type T[A any] struct{ Next *T[[]A] }",
		"by another type": "type U[A any] struct{ All []T[A] }\n\ntype T[A any] struct{ Next *U[[]A] }",
		"embedded":        "type T[A any] struct{ *T[[]A]; n int }",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := newModule(t, "example.com/p")
			source := strings.Replace(stoppable, "ctx context.Context", "ctx context.Context, v T[int]", 1)
			writeFile(t, filepath.Join(dir, "job.go"), source+"\n"+cyclic+"\n\ntype E struct{ *T[int] }\n")
			done := make(chan []string, 1)
			go func() { done <- refusals(t, dir) }() // ends, or the test has failed
			select {
			case got := <-done:
				if len(got) != 1 || !strings.Contains(got[0], "a generic type leads to an endless row of its own instances") {
					t.Errorf("got %q, want one refusal of the cycle", got)
				}
			case <-time.After(20 * time.Second):
				t.Fatal("rmigen is still walking the type after 20 seconds")
			}
		})
	}
}
