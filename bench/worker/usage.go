package worker

import (
	"runtime/debug"
	"runtime/metrics"
)

func usage() Usage { return Usage{CPU: cpuTime(), Allocs: allocs(), RSS: resident()} }

// trim gives back what memory it can. The second collection is for what finalizers and cleanups of the first let go.
func trim() Usage {
	debug.FreeOSMemory()
	debug.FreeOSMemory()
	return usage()
}

// allocs returns how many objects were allocated since the process began, small ones that share a block included.
func allocs() int64 {
	samples := []metrics.Sample{{Name: "/gc/heap/allocs:objects"}, {Name: "/gc/heap/tiny/allocs:objects"}}
	metrics.Read(samples)
	var n uint64
	for _, s := range samples {
		n += s.Value.Uint64()
	}
	return int64(n)
}
