// Package hist counts durations in a fixed number of buckets.
//
//	var h hist.Hist
//	h.Record(time.Since(start))
//	median := h.Quantile(0.5)
//
// Guarantees:
//
//  1. Record never allocates and takes constant time.
//  2. A quantile is off by less than one part in 64, from 64 ns up to about five hours; below, by less than one nanosecond.
//
// The buckets are those of HdrHistogram (Tene, 2012): the octaves of the value, each cut into equal parts.
package hist

import (
	"math/bits"
	"time"
)

const (
	precision = 6 // an octave has 1<<precision buckets
	parts     = 1 << precision
	octaves   = 44 - precision
)

// Hist is a histogram; the zero value is empty. It is not safe for concurrent use: give each caller its own, and Add them.
type Hist struct {
	n       uint64
	buckets [(octaves + 1) * parts]uint64
}

// Record counts one duration. Negative ones count as zero, those beyond the range as its end.
func (h *Hist) Record(d time.Duration) {
	h.n++
	h.buckets[bucket(d)]++
}

// N returns how many durations have been recorded.
func (h *Hist) N() uint64 { return h.n }

// Add counts what other has counted.
func (h *Hist) Add(other *Hist) {
	h.n += other.n
	for i, n := range other.buckets {
		h.buckets[i] += n
	}
}

// Quantile returns the duration that a fraction q of those recorded do not exceed, zero if there are none.
func (h *Hist) Quantile(q float64) time.Duration {
	if h.n == 0 {
		return 0
	}
	rank := min(uint64(q*float64(h.n)), h.n-1)
	var seen uint64
	for i, n := range h.buckets {
		if seen += n; seen > rank {
			return middle(i)
		}
	}
	return middle(len(h.buckets) - 1)
}

func bucket(d time.Duration) int {
	v := uint64(max(d, 0))
	if v < parts {
		return int(v)
	}
	octave := bits.Len64(v) - precision // from 1
	if octave > octaves {
		return (octaves+1)*parts - 1
	}
	// The leading bit is the octave's; the precision bits behind it choose the part. One bit fewer than the octave's shift
	// is dropped, so that the parts of octave 1 are one nanosecond wide.
	return octave*parts + int(v>>(octave-1)) - parts
}

// middle is the inverse of bucket: the middle of its range.
func middle(i int) time.Duration {
	if i < parts {
		return time.Duration(i)
	}
	octave := i / parts
	low := uint64(i%parts+parts) << (octave - 1)
	return time.Duration(low + (uint64(1)<<(octave-1))/2)
}
