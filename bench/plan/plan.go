// Package plan says what is measured: the workloads, the peers, and which of them do not go together and why.
//
//	for _, w := range plan.Workloads() {
//		for _, p := range plan.Peers() {
//			if why := p.Without(w); why == "" { … }
//		}
//	}
package plan

import (
	"fmt"
	"time"

	"github.com/rmigo/rmigo/bench/peer"
	"github.com/rmigo/rmigo/bench/worker"
)

// Ours is the name of the peer that all others are compared with.
const Ours = "rmigo"

// A Shape is how a workload goes.
type Shape int

// The shapes: callers who call again and again; the same beside saturating large calls; sessions of one call each; sessions that
// do nothing; sessions that do nothing after a burst of large calls; callers of a server that has much else to look after; a client
// that holds references and does nothing.
const (
	Calls Shape = iota
	Mixed
	Connect
	Idle
	Burst
	Growth
	Holding
)

// A Workload is one row of the results.
type Workload struct {
	Name    string
	Shape   Shape
	Op      peer.Op // of Calls and Growth
	Callers int
	Pinned  bool // client and server share one core
	Quick   bool // is part of the quick run
	Objects int  // of Growth: that the server exports, the one that is called included; of Holding: that the client holds, likewise
	Clients int  // of Growth: further ones, connected and idle, in a process of their own
}

// WarmUp is how long the load runs before it is measured, where most loads do for so long. With large messages heaps take longer to reach the size that they will keep, and what is measured would
// be how fast the system hands out memory that is touched for the first time.
func (w Workload) WarmUp(most time.Duration) time.Duration {
	if w.Shape == Mixed || w.Op == peer.Bytes64K || w.Op == peer.Bytes1M {
		return largeWarmUp * most
	}
	return most
}

const largeWarmUp = 4

// Load is what the client's worker is told.
func (w Workload) Load() string {
	switch w.Shape {
	case Mixed:
		return worker.Mixed
	case Connect:
		return worker.Connect
	}
	return string(w.Op)
}

// Kind is what workloads have in common that differ in callers, cores and size: "null", "mixed", "objects".
func (w Workload) Kind() string {
	switch {
	case w.Shape == Calls:
		return string(w.Op)
	case w.Shape == Holding:
		return "holding"
	case w.Shape == Growth && w.Clients == 0:
		return "objects"
	case w.Shape == Growth:
		return "clients"
	}
	return w.Name
}

// Alone says that ours is measured without peers: what it is compared with is itself.
func (w Workload) Alone() bool { return w.Shape == Growth || w.Shape == Holding }

// Rests says that sessions are measured when they have been left alone for a while.
func (w Workload) Rests() bool { return w.Shape == Idle || w.Shape == Burst }

// Long says that a measurement takes so long that there are fewer of them.
func (w Workload) Long() bool { return w.Rests() || w.Alone() }

// MixedCallers is how many small calls run at a time beside the large ones.
const MixedCallers = 4

// GrowthCallers is how many call while a server grows.
const GrowthCallers = 128

// RestServers is how many servers each client of Idle and Burst has sessions with, where they are nodes: so many sessions share what a
// node holds beside them.
const RestServers = 50

// A burst is so many 1 MiB echoes by each of so many sessions.
const (
	BurstSessions = 400
	BurstCalls    = 3
)

// Workloads returns all, in the order of the results.
func Workloads() []Workload {
	var all []Workload
	calls := func(op peer.Op, callers int, quick bool) {
		all = append(all, Workload{Name: fmt.Sprintf("%s-c%d", op, callers), Op: op, Callers: callers, Quick: quick})
	}
	for _, op := range []peer.Op{peer.Null, peer.Small, peer.Bytes1K, peer.Bytes64K, peer.Bytes1M} {
		tiny := op == peer.Null || op == peer.Small
		calls(op, 1, op != peer.Bytes1K)
		calls(op, 16, op != peer.Bytes1K)
		calls(op, 128, tiny || op == peer.Bytes1K)
	}
	for _, op := range []peer.Op{peer.Null, peer.Small, peer.Bytes1K, peer.Bytes64K, peer.Bytes1M} {
		all = append(all, Workload{Name: string(op) + "-c1-pinned", Op: op, Callers: 1, Pinned: true,
			Quick: op == peer.Null || op == peer.Small || op == peer.Bytes1K})
	}
	all = append(all, Workload{Name: "mixed", Shape: Mixed, Callers: MixedCallers, Quick: true})
	for _, op := range []peer.Op{peer.Order, peer.Tree, peer.Callback, peer.Refs} {
		calls(op, 1, op == peer.Callback)
		calls(op, 16, op != peer.Callback)
	}
	all = append(all,
		Workload{Name: "connect", Shape: Connect, Callers: 1, Quick: true},
		Workload{Name: "idle", Shape: Idle, Quick: true},
		Workload{Name: "burst", Shape: Burst})
	return append(append(all, growth()...), holding()...)
}

// growth returns the workloads of Growth: those of a kind follow each other, the one that the others are compared with first. The
// server has its default limits, which leave room for all.
func growth() []Workload {
	var all []Workload
	for _, n := range []int{1, 10_000, 1_000_000} {
		all = append(all, Workload{Name: fmt.Sprintf("objects-%d", n), Shape: Growth, Op: peer.Null, Callers: GrowthCallers, Objects: n})
	}
	for _, n := range []int{1, 100, 2_000} {
		all = append(all, Workload{Name: fmt.Sprintf("clients-%d", n), Shape: Growth, Op: peer.Null, Callers: GrowthCallers, Objects: 1, Clients: n})
	}
	return all
}

// holding returns the workloads of Holding.
func holding() []Workload {
	var all []Workload
	for _, n := range []int{1, 1_000, 100_000, 1_000_000} {
		all = append(all, Workload{Name: fmt.Sprintf("holding-%d", n), Shape: Holding, Objects: n})
	}
	return all
}

// A Peer is one column of the results.
type Peer struct {
	Name  string
	Title string // as people write it
	About string // how it is set up
	Floor bool   // no runtime of remote calls, but what a socket can do
	Java  bool   // its workers are Java's
	Nodes bool   // servers and clients are nodes, with more to them than sessions
}

// Peers returns all, ours first.
func Peers() []Peer {
	return []Peer{
		{Name: Ours, Title: "rmigo", Nodes: true, About: "one connection; generated stubs"},
		{Name: "grpc", Title: "grpc-go", About: "one connection; protobuf, generated code"},
		{Name: "netrpc", Title: "net/rpc", About: "one connection; gob; no contexts"},
		{Name: "drpc", Title: "drpc", About: "a connection per caller; protobuf, generated code"},
		{Name: "javarmi", Title: "Java RMI", Java: true,
			About: "a connection per call under way; a thread per caller; its processes live through the whole run, so that they are warm"},
		{Name: "raw", Title: "raw TCP", Floor: true, About: "a connection per caller; frames of the size that protobuf needs, sent back as they are"},
		{Name: "rawpipe", Title: "raw TCP, pipelined", Floor: true,
			About: "one connection; the same frames, a window of as many as there are callers, written together; nobody is woken for each"},
	}
}

// Without returns why the peer is not measured with the workload, "" if it is.
func (p Peer) Without(w Workload) string {
	type pair struct {
		peer string
		key  any // a Shape or an Op
	}
	const (
		noObjects   = "has no references to objects"
		oneWindow   = "is one window of equal frames"
		same        = "is a connection like raw's"
		sharesConns = "shares connections among all of a process's clients and closes those that are idle"
	)
	reasons := map[pair]string{
		{"grpc", peer.Refs}:        noObjects,
		{"netrpc", peer.Refs}:      noObjects,
		{"netrpc", peer.Callback}:  "has no calls from server to client",
		{"drpc", peer.Refs}:        noObjects,
		{"javarmi", Idle}:          sharesConns,
		{"javarmi", Burst}:         sharesConns,
		{"raw", peer.Refs}:         noObjects,
		{"raw", peer.Callback}:     "has no calls within calls",
		{"rawpipe", peer.Refs}:     noObjects,
		{"rawpipe", peer.Callback}: "has no calls within calls",
		{"rawpipe", Mixed}:         oneWindow,
		{"rawpipe", Connect}:       same,
		{"rawpipe", Idle}:          same,
		{"rawpipe", Burst}:         same,
	}
	if w.Alone() && p.Name != Ours {
		return "is not asked"
	}
	if w.Shape == Calls {
		return reasons[pair{p.Name, w.Op}]
	}
	return reasons[pair{p.Name, w.Shape}]
}

// About says in a line what the workloads of one kind are.
func About(w Workload) string {
	switch w.Shape {
	case Mixed:
		return fmt.Sprintf("%d callers of small, while %d more echo 1 MiB without pause; measured are the small calls", MixedCallers, worker.Large)
	case Connect:
		return "a new session, its first call and its end, one after another. Java RMI calls its registry, the others their service"
	case Idle:
		return "sessions between two processes, each called once and then left alone: resident memory of each, a side"
	case Burst:
		return fmt.Sprintf("%d sessions as in idle, each of which has then echoed 1 MiB %d times and been left alone", BurstSessions, BurstCalls)
	case Holding:
		return "a client holds so many references to objects of a server, each of which lives for that alone; both do nothing"
	case Growth:
		return map[string]string{
			"objects": "null, on one session of a server that exports so many objects",
			"clients": "null, on one session of a server that has so many further clients, which do nothing; they are one process",
		}[w.Kind()]
	}
	switch w.Op {
	case peer.Null:
		return "no argument, no result"
	case peer.Small:
		return "echo of a struct of an int64, a string of 16 characters, three tags, a float64 and a nested struct"
	case peer.Bytes1K:
		return "echo of 1 KiB"
	case peer.Bytes64K:
		return "echo of 64 KiB"
	case peer.Bytes1M:
		return "echo of 1 MiB"
	case peer.Order:
		return "an order of 20 items, answered by a receipt"
	case peer.Tree:
		return "echo of a binary tree of 511 nodes"
	case peer.Callback:
		return "the server calls the client before it answers. For grpc-go and drpc, which cannot, a bidirectional stream per call with two messages each way"
	case peer.Refs:
		return "a new remote object returned by each call"
	}
	return ""
}
