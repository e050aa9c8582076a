package rmi

import "runtime"

// LinksOf returns how many connections a node has, for tests.
func LinksOf(n *Node) int { return n.refs.Links() }

// BulksOf returns how many of them have a second one for what is large.
func BulksOf(n *Node) int { return n.refs.Bulks() }

// StreamsOf returns how many calls of a node have streams, and how many bytes are pending.
func StreamsOf(n *Node) (calls int, pending int64) { return n.refs.Streams() }

// PromisesOf returns how many promises a node keeps for its peers.
func PromisesOf(n *Node) int { return n.refs.Promises() }

// WhenGarbage has f called when nothing leads to the node any more.
func WhenGarbage(n *Node, f func()) { runtime.AddCleanup(n.refs, func(f func()) { f() }, f) }

// ReceivingOf returns how much memory a node has for messages that have not arrived whole.
func ReceivingOf(n *Node) int64 { return n.refs.Receiving() }

// KeptOf returns how much memory a node keeps for large frames to come.
func KeptOf(n *Node) int { return n.refs.Kept() }
