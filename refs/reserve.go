package refs

import (
	"math"
	"runtime/metrics"
	"strings"
	"sync"
)

// reserve is memory that is never used, and held while a node has bulk sessions. The garbage collector lets a heap grow to twice what is
// in use before it runs; a program that holds little else would run it once for every few large messages. None of the memory is touched, so
// that none is resident. A process whose collector somebody has tuned does without it.
type reserve struct {
	mu       sync.Mutex
	sessions int
	memory   strings.Builder // which takes memory without clearing it
}

const reserved = 32 << 20

// take holds the reserve for one more session.
func (r *reserve) take() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.sessions++; r.sessions == 1 && untuned() {
		r.memory.Grow(reserved)
	}
}

// drop ends what take began.
func (r *reserve) drop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.sessions--; r.sessions == 0 {
		r.memory.Reset()
	}
}

// untuned reports whether the collector runs as it does when nobody says otherwise.
func untuned() bool {
	settings := []metrics.Sample{{Name: "/gc/gogc:percent"}, {Name: "/gc/gomemlimit:bytes"}}
	metrics.Read(settings)
	return settings[0].Value.Uint64() == 100 && settings[1].Value.Uint64() == math.MaxInt64
}
