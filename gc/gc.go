// Package gc decides how long exported objects live. It implements refs.Collector, which the node tells of every reference
// that leaves, arrives or is dropped.
//
// At present nothing is collected: an object lives from its export, explicit or by being passed, until Unexport. The Ledger
// keeps the account that collection will act on, and that Stats of a node shows.
//
// Guarantees:
//
//  1. Safe for concurrent use; no method blocks or calls the node back.
//  2. No object is ever released by this package.
package gc

import (
	"sync/atomic"

	"github.com/rmigo/rmigo/refs"
)

// Ledger counts what references move between this process and its peers.
type Ledger struct {
	sent, received, dropped atomic.Uint64
	peers                   atomic.Int64
}

// New makes the collector of a node.
func New(*refs.Node) *Ledger { return &Ledger{} }

// Stats is a Ledger's account since the node was made.
type Stats struct {
	Sent     uint64 // references that left inside messages
	Received uint64 // references to remote objects that arrived inside messages
	Dropped  uint64 // remote objects whose last stub here was garbage collected
	Peers    int64  // processes connected now
}

// Stats returns the account.
func (l *Ledger) Stats() Stats {
	return Stats{l.sent.Load(), l.received.Load(), l.dropped.Load(), l.peers.Load()}
}

// Sent implements refs.Collector.
func (l *Ledger) Sent(refs.ProcessID, refs.Message, refs.ID) { l.sent.Add(1) }

// Received implements refs.Collector.
func (l *Ledger) Received(refs.ProcessID, refs.Message, refs.ID) { l.received.Add(1) }

// Dropped implements refs.Collector.
func (l *Ledger) Dropped(refs.ID) { l.dropped.Add(1) }

// Connected implements refs.Collector.
func (l *Ledger) Connected(refs.ProcessID) { l.peers.Add(1) }

// Disconnected implements refs.Collector.
func (l *Ledger) Disconnected(refs.ProcessID) { l.peers.Add(-1) }

var _ refs.Collector = (*Ledger)(nil)
