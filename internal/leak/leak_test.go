package leak_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/rmigo/rmigo/internal/leak"
)

// A recorder is a test whose failures and cleanups are at hand.
type recorder struct {
	testing.TB
	cleanups []func()
	failures []string
}

func (*recorder) Helper()            {}
func (r *recorder) Cleanup(f func()) { r.cleanups = append(r.cleanups, f) }
func (r *recorder) Errorf(format string, args ...any) {
	r.failures = append(r.failures, fmt.Sprintf(format, args...))
}

// end runs the cleanups as a test does, the last first.
func (r *recorder) end() {
	for _, cleanup := range slices.Backward(r.cleanups) {
		cleanup()
	}
}

func block(release <-chan struct{}) { <-release }

func TestAGoroutineThatOutlivesItsTestIsReportedWithItsStack(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	r := &recorder{TB: t}
	leak.Check(r)
	go block(release)
	r.end()
	if len(r.failures) != 1 || !strings.Contains(r.failures[0], "leak_test.block") {
		t.Errorf("got failures %q, want one that names the function", r.failures)
	}
}

func TestWhatACleanupEndsIsNoLeak(t *testing.T) {
	release := make(chan struct{})
	r := &recorder{TB: t}
	leak.Check(r)
	go block(release)
	r.Cleanup(func() { close(release) })
	r.end()
	if len(r.failures) != 0 {
		t.Errorf("got failures %q, want none: cleanups run before the check", r.failures)
	}
}

func TestWhatRanBeforeTheTestIsNotItsLeak(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	go block(release)
	r := &recorder{TB: t}
	leak.Check(r)
	r.end()
	if len(r.failures) != 0 {
		t.Errorf("got failures %q, want none: the goroutine was there before", r.failures)
	}
}
