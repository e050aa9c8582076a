// Package leak fails a test that leaves goroutines behind.
//
//	func TestAClosedNodeLeavesNothing(t *testing.T) {
//		leak.Check(t)
//		…
//	}
package leak

import (
	"testing"

	"go.uber.org/goleak"
)

// Check is the first line of a test. It fails t if a goroutine that was not there now is still there when t and all
// cleanups registered after this call are over; goroutines that are about to end get a moment to do so. It is not for
// tests that run in parallel with others.
func Check(t testing.TB) {
	t.Helper()
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() {
		if err := goleak.Find(before); err != nil {
			t.Errorf("goroutines outlive the test: whoever starts a goroutine waits for it\n%v", err)
		}
	})
}
