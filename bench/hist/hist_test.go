package hist

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func TestQuantilesAreWithinOnePartIn64(t *testing.T) {
	const seed = 1
	random := rand.New(rand.NewPCG(seed, seed))
	var h Hist
	var all []float64
	for range 50_000 {
		v := math.Exp(random.Float64() * math.Log(1e12))
		h.Record(time.Duration(v))
		all = append(all, math.Floor(v))
	}
	slices.Sort(all)
	for _, q := range []float64{0, 0.01, 0.5, 0.9, 0.99, 0.999, 1} {
		want := all[min(int(q*float64(len(all))), len(all)-1)]
		got := float64(h.Quantile(q))
		if math.Abs(got-want) > max(1, want/64) {
			t.Errorf("seed %d, quantile %v: got %v, want %v to one part in 64", seed, q, got, want)
		}
	}
}

func TestBucketsMeetWithoutGaps(t *testing.T) {
	last := -1
	for v := time.Duration(0); v < 1<<20; v++ {
		b := bucket(v)
		if b != last && b != last+1 {
			t.Fatalf("bucket of %d is %d, after %d", v, b, last)
		}
		last = b
	}
}

func TestDurationsOutOfRangeCountAtItsEnds(t *testing.T) {
	var h Hist
	h.Record(-1)
	h.Record(math.MaxInt64)
	if low, high := h.Quantile(0), h.Quantile(1); low != 0 || high < 4*time.Hour {
		t.Errorf("got %v and %v, want 0 and hours", low, high)
	}
}

func TestAddCountsBoth(t *testing.T) {
	var a, b Hist
	a.Record(10)
	b.Record(20)
	b.Record(30)
	a.Add(&b)
	if a.N() != 3 || a.Quantile(0.5) != 20 {
		t.Errorf("got %d durations with median %v, want 3 and 20ns", a.N(), a.Quantile(0.5))
	}
}

func TestRecordDoesNotAllocate(t *testing.T) {
	h := new(Hist)
	if n := testing.AllocsPerRun(100, func() { h.Record(12345) }); n != 0 {
		t.Errorf("Record allocates %v times", n)
	}
}
