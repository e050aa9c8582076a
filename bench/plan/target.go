package plan

// A Figure is one of the numbers that a target is about.
type Figure int

// The figures: our rate divided by the peer's, and by that of the first workload of the same growth; times of a call; what a call
// or a session uses.
const (
	Ratio Figure = iota
	Growing
	P50
	P99
	CPU
	ClientAllocs
	ClientMemory
	ServerMemory
)

// More says that a target of this figure is a least, not a most.
func (f Figure) More() bool { return f == Ratio || f == Growing }

// A Target is what rmigo is to reach in a workload: Hold is what it must not fall behind, Aim what it strives for. Zero: there is no
// such bound. Times are in seconds, memory in bytes.
type Target struct {
	Workload  string
	Figure    Figure
	Peer      string // of Ratio
	Hold, Aim float64
}

// Targets returns all, in the order of the results.
func Targets() []Target {
	const none = 0
	var all []Target
	than := func(workload, peer string, hold, aim float64) {
		all = append(all, Target{workload, Ratio, peer, hold, aim})
	}
	than("null-c128", "grpc", 10, 18)
	than("null-c128", "netrpc", 6, 10)
	than("null-c128", "javarmi", none, 14)
	than("small-c128", "grpc", 7, 12)
	than("small-c128", "netrpc", 4, 7)
	than("small-c128", "javarmi", none, 13)
	than("null-c16", "grpc", 3, 6)
	than("null-c16", "netrpc", 1.5, 3)
	than("small-c16", "grpc", 3, 4.5)
	than("small-c16", "netrpc", 1.5, 2.6)
	for _, workload := range []string{"null-c1-pinned", "small-c1-pinned", "1k-c1-pinned"} {
		than(workload, "grpc", 1.7, 2.3)
		than(workload, "netrpc", 0.9, 1.1)
		than(workload, "raw", 0.6, 0.8)
	}
	than("64k-c1", "grpc", 2, 3)
	than("64k-c1", "raw", 0.2, 0.35)
	than("64k-c1", "drpc", none, 1)
	than("64k-c16", "grpc", 2, 3)
	than("64k-c16", "raw", 0.4, 0.6)
	than("64k-c16", "drpc", none, 1)
	for _, workload := range []string{"1m-c1", "1m-c16"} {
		than(workload, "grpc", 1.1, none)
		than(workload, "raw", none, 0.35)
		than(workload, "drpc", none, 1)
	}
	all = append(all,
		Target{Workload: "mixed", Figure: P99, Hold: 6e-3, Aim: 4e-3},
		Target{Workload: "mixed", Figure: P50, Hold: 400e-6, Aim: 200e-6},
		Target{Workload: "null-c128", Figure: CPU, Hold: 4e-6, Aim: 2.4e-6},
		Target{Workload: "small-c128", Figure: CPU, Hold: 7e-6, Aim: 4.7e-6},
		Target{Workload: "null-c1", Figure: ClientAllocs, Hold: 3, Aim: 2},
		Target{Workload: "null-c128", Figure: ClientAllocs, Hold: 1, Aim: 0.1},
		Target{Workload: "idle", Figure: ClientMemory, Hold: 35 << 10, Aim: 25 << 10},
		Target{Workload: "idle", Figure: ServerMemory, Hold: 35 << 10, Aim: 25 << 10})
	for _, w := range growth() {
		if w.Objects > 1 || w.Clients > 1 {
			all = append(all, Target{Workload: w.Name, Figure: Growing, Hold: 0.8})
		}
	}
	return all
}
