package refs

import (
	"math"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"testing"

	"github.com/rmigo/rmigo/internal/leak"
)

// goal is the size of the heap at which the collector runs next, after it has just run.
func goal() int {
	runtime.GC()
	sample := []metrics.Sample{{Name: "/gc/heap/goal:bytes"}}
	metrics.Read(sample)
	return int(sample[0].Value.Uint64())
}

func TestTheReserveIsHeldWhileThereAreBulkSessions(t *testing.T) {
	leak.Check(t)
	defer debug.SetGCPercent(debug.SetGCPercent(100))
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(math.MaxInt64))
	var r reserve
	before := goal()
	r.take()
	r.take()
	r.drop()
	held := goal()
	runtime.KeepAlive(&r)
	if held < before+reserved {
		t.Errorf("the collector runs at %d bytes with a reserve, at %d without: want %d more at least", held, before, reserved)
	}
	r.drop()
	if after := goal(); after > held-reserved {
		t.Errorf("the collector runs at %d bytes when the reserve is gone, at %d before", after, held)
	}
}

func TestThereIsNoReserveWhereTheCollectorIsTuned(t *testing.T) {
	leak.Check(t)
	defer debug.SetGCPercent(debug.SetGCPercent(100))
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(math.MaxInt64))
	for what, tune := range map[string]func(){
		"off":     func() { debug.SetGCPercent(-1) },
		"lazy":    func() { debug.SetGCPercent(400) },
		"limited": func() { debug.SetMemoryLimit(1 << 30) },
	} {
		debug.SetGCPercent(100)
		debug.SetMemoryLimit(math.MaxInt64)
		tune()
		var r reserve
		if r.take(); r.memory.Cap() != 0 {
			t.Errorf("%s: %d bytes are held, want none", what, r.memory.Cap())
		}
	}
}
