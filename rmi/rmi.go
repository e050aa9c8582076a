// Package rmi is the front of the object runtime: calling methods of objects in other processes through ordinary Go
// interfaces.
//
// An interface marked //rmi:remote gets its stub and skeleton from rmigen, and a descriptor named after it, here
// bank.RemoteAccount. A process that has an object binds it to a name in a registry:
//
//	node, err := rmi.NewNode(rmi.Options{})
//	defer node.Close()
//	_, err = node.Listen("tcp://127.0.0.1:0")
//	err = rmi.Bind(ctx, node, "rmi://127.0.0.1:1099/bank/alice", bank.RemoteAccount.Of(account))
//
// and another process looks it up and calls it:
//
//	acct, err := rmi.Lookup(ctx, node, bank.RemoteAccount, "rmi://127.0.0.1:1099/bank/alice")
//	balance, err := acct.Deposit(ctx, 100)
//
// Guarantees:
//
//  1. Values travel by value, remote objects by reference: what is passed as a remote interface is the same object for the
//     receiver, who may call it over the connection that exists, wherever it listens or does not.
//  2. One of a process's own objects that comes back to it is that object; == on stubs means the same object.
//  3. One connection joins two processes, whatever the number of objects, calls and directions.
//  4. The context's deadline and cancellation reach the method, in whatever process it runs.
//  5. A call runs at most once, and each error says whether it may have run: MayHaveRun.
//  6. A method's error arrives so that errors.Is and errors.As hold for sentinels and error types of the interface's package, and
//     keeps its text and what it wraps otherwise;
//     the runtime's own errors are *Error, with sentinels of this package, and keep their text too when a method passes them on.
//  7. A panic in a method is that call's error, and the process lives.
//  8. Everything is safe for concurrent use, and nothing is shared between two nodes.
package rmi

import (
	"context"
	"log/slog"
	"net"

	"github.com/rmigo/rmigo/gc"
	"github.com/rmigo/rmigo/inspect"
	"github.com/rmigo/rmigo/refs"
	"github.com/rmigo/rmigo/registry"
	"github.com/rmigo/rmigo/stub"
)

// What the layers below declare and programs use by the names of this package.
type (
	Options   = refs.Options   // configures a node; the zero value is valid
	Liveness  = refs.Liveness  // when a silent connection is taken for dead
	Limits    = refs.Limits    // what peers may make a node hold
	Network   = refs.Network   // a dialer and listener of one's own
	Ref       = refs.Ref       // a reference as data: comparable, storable, keeping nothing alive
	ID        = refs.ID        // the identity of an object
	ProcessID = refs.ProcessID // one incarnation of a process
	ObjectID  = refs.ObjectID  // an object within its process: a capability
	Peer      = refs.Peer      // who calls
	Error     = refs.Error     // what the runtime itself reports
	Kind      = refs.Kind      // what an Error is about: the sentinels below
	Reason    = refs.Reason    // why an object is missing

	Filter        = refs.Filter        // decides what a message may make a node allocate
	FilterInfo    = refs.FilterInfo    // what a Filter decides by
	FilterError   = refs.FilterError   // says what a Filter rejected
	Verdict       = refs.Verdict       // what a Filter says: Allow, Reject or Undecided
	ExportOptions = refs.ExportOptions // what holds for one exported object
	Holder        = gc.Holder          // a process that holds an object

	Interceptor = refs.Interceptor // stands around calls: Options.Outbound and Options.Inbound
	Call        = refs.Call        // one call, as an Interceptor sees it
	Metadata    = refs.Metadata    // what goes along with a call beside its arguments
)

// What a Filter says.
const (
	Undecided = refs.Undecided // the next filter decides; after the last, as Allow
	Allow     = refs.Allow
	Reject    = refs.Reject
)

// The kinds of failure that the runtime reports, for errors.Is.
const (
	ErrNoSuchObject    = refs.ErrNoSuchObject
	ErrNoSuchMethod    = refs.ErrNoSuchMethod
	ErrNotBound        = refs.ErrNotBound
	ErrAlreadyBound    = refs.ErrAlreadyBound
	ErrUnreachable     = refs.ErrUnreachable
	ErrPeerExpired     = refs.ErrPeerExpired
	ErrMarshal         = refs.ErrMarshal
	ErrUnmarshal       = refs.ErrUnmarshal
	ErrLimit           = refs.ErrLimit
	ErrAccessDenied    = refs.ErrAccessDenied
	ErrUnauthenticated = refs.ErrUnauthenticated
	ErrPanic           = refs.ErrPanic
	ErrOverloaded      = refs.ErrOverloaded
	ErrProtocol        = refs.ErrProtocol
	ErrVersion         = refs.ErrVersion
	ErrReleased        = refs.ErrReleased
	ErrNotPointer      = refs.ErrNotPointer
	ErrNodeClosed      = refs.ErrNodeClosed
	ErrDeadlock        = refs.ErrDeadlock
	ErrBroken          = refs.ErrBroken
)

// Why an object is missing, in Error.Reason.
const (
	NeverExisted = refs.NeverExisted
	Restarted    = refs.Restarted
	LeaseExpired = refs.LeaseExpired
	Collected    = refs.Collected
	Unexported   = refs.Unexported

	IntroducerLost = refs.IntroducerLost
	Quota          = refs.Quota
	Ended          = refs.Ended
)

// MayHaveRun reports whether the call that returned err may have started: false only if it certainly never did, so that it is safe to
// make again whatever it does. Ask before wrapping: it is true for every error that is not, as it stands, the runtime's.
func MayHaveRun(err error) bool { return refs.MayHaveRun(err) }

// WithCode attaches an application's code to err, which travels with it.
func WithCode(err error, code string) error { return refs.WithCode(err, code) }

// CodeOf returns the outermost code attached to err, or "".
func CodeOf(err error) string { return refs.CodeOf(err) }

// Caller returns, inside a method, who calls; a zero Peer where the call is an ordinary local one.
func Caller(ctx context.Context) Peer { return refs.Caller(ctx) }

// Progress is how far the transfer of a call's arguments or results is.
type Progress = refs.Progress

// OnProgress returns a context; of calls that are made with it, and not within their methods, f is told how far their transfer is: of what is
// large up to four times a megabyte, and of each message at its end. f runs on the goroutine that waits for the call, one call at a time
// unless the context is used for several at once, and may panic to give the call up. A first large call to a process waits up to a second for the
// connection that what is large goes by. One-way calls and streams are not told of: who reads or writes a stream can count.
func OnProgress(ctx context.Context, f func(Progress)) context.Context {
	return refs.OnProgress(ctx, f)
}

// WithMetadata returns a context with the pairs of m beside those of ctx, in place of those that have the same keys; an empty value
// takes a pair away. Calls made with the context carry the pairs of m, up to Limits.MetadataBytes: ErrLimit beyond. They go no
// further than the method called, unless Propagate asks for that. In an Interceptor it is how metadata is rewritten: next takes the
// context.
func WithMetadata(ctx context.Context, m Metadata) context.Context {
	return refs.WithMetadata(ctx, m)
}

// Propagate returns a context whose pairs of these keys, all of its pairs where none is named, go along with calls made with it and
// with all calls that are made on behalf of those, in whatever process. Either side of a call may ask for it: who makes it, with the
// context of WithMetadata, or who serves it, with the method's.
func Propagate(ctx context.Context, keys ...string) context.Context {
	return refs.Propagate(ctx, keys...)
}

// MetadataFrom returns the metadata of ctx: inside a method what came with the call, and what WithMetadata has added since. Nil: none.
func MetadataFrom(ctx context.Context) Metadata { return refs.MetadataFrom(ctx) }

// Node is one process's part of the object space. Several may live in one process; they share nothing. Its methods may be
// called concurrently.
type Node struct {
	refs      *refs.Node
	collector *gc.Collector
	keeper    *registry.Keeper
	inspector inspect.Inspector // nil unless Options.Inspect
}

// NewNode makes a node. It validates the options and does no I/O. The node listens nowhere until Listen: it can call, be
// called over its own connections, and nothing else. Close or Shutdown ends it.
func NewNode(o Options) (*Node, error) {
	n := &Node{}
	inner, err := refs.New(o, func(r *refs.Node, h refs.Host) refs.Collector {
		n.collector = gc.New(r.ID(), h, gc.Options{Lease: r.Options().Lease, Quota: r.Options().Limits.HeldPerPeer})
		return n.collector
	})
	if err != nil {
		return nil, err
	}
	n.refs = inner
	n.keeper = registry.NewKeeper(inner, inner.Logger(), n.locate)
	if o.Inspect {
		if err := n.serveInspector(); err != nil {
			n.Close()
			return nil, err
		}
	}
	return n, nil
}

// ID returns the node's process id.
func (n *Node) ID() ProcessID { return n.refs.ID() }

// Listen takes connections at an endpoint, such as "tcp://127.0.0.1:0", "tcp://:7000" or "unix:///run/bank.sock", and returns
// the endpoint with the actual port.
func (n *Node) Listen(endpoint string) (string, error) { return n.refs.Listen(endpoint) }

// Serve takes connections from a listener of one's own and returns at once. The node closes the listener; references to the
// node's objects name its address.
func (n *Node) Serve(l net.Listener) error { return n.refs.Serve(l) }

// Stats returns what the node has and did.
func (n *Node) Stats() Stats {
	return Stats{Stats: n.collector.Stats(), Exports: n.refs.Exports(), Connections: n.refs.Links()}
}

// Close ends the node abruptly: calls that it makes end in ErrNodeClosed, contexts of calls that it serves are cancelled. It
// does not wait for methods that are still running. Closing twice is harmless.
func (n *Node) Close() error {
	err := n.refs.Close()
	n.keeper.Close()
	return err
}

// Shutdown ends the node gently: it takes the names that it bound out of the registries, unless others have taken them over, takes no more connections and calls (callers see
// ErrNodeClosed, and that the call did not run), lets running calls finish and be answered, and closes. When ctx ends first,
// what remains is closed abruptly and ctx's error is returned.
func (n *Node) Shutdown(ctx context.Context) error {
	if err := n.keeper.Withdraw(ctx, func(stub.Object) bool { return true }); err != nil {
		n.refs.Logger().Log(ctx, slog.LevelWarn, "names not taken out of the registry", "err", err)
	}
	n.keeper.Close()
	return n.refs.Shutdown(ctx)
}
