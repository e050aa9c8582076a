// Package refs is the remote reference layer: nodes, references to objects, the sessions between processes and the calls that
// travel over them. Programs use it through package rmi, generated code through stub and skeleton.
//
//	node, err := refs.New(refs.Options{}, nil)
//	ref, err := node.Export(bank.RemoteAccount, account) // in one process
//	acct, err := node.Resolve(bank.RemoteAccount, ref)   // in another one: a bank.Account
//
// Guarantees:
//
//  1. An object has one ID, and a node one handle for it, as long as anybody there can tell.
//  2. A reference to an object of this node resolves to the object itself.
//  3. Calls of both directions between two processes share one connection; a call runs at most once.
//  4. Every call ends: by its reply, its context, or the death of the connection, noticed within Options.Liveness.
//  5. What a peer sends is bounded before memory is spent on it, and a breach of the protocol costs the peer its connection and
//     nobody else anything.
package refs
