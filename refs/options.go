package refs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"time"

	"github.com/rmigo/rmigo/internal/transport"
	"github.com/rmigo/rmigo/internal/wire"
)

// Options configure a node. The zero value is valid: a node that listens nowhere until Listen, with the limits below.
type Options struct {
	// Advertise lists the endpoints written into references to this node's objects, the preferred first, such as
	// "tcp://bank.example.com:7000". Each must be one that others can dial: a host, which is no wildcard such as 0.0.0.0, and a
	// port other than 0. They are written as they stand; nothing checks that they lead here. Empty: the addresses of its
	// listeners.
	Advertise []string

	// HandshakeTimeout bounds connecting to a process and greeting it, and how long a connection that came in may take to
	// say who it is. Zero: 10 s.
	HandshakeTimeout time.Duration

	// Liveness says when a silent connection is taken for dead.
	Liveness Liveness

	// Lease is how long a process that this one hears nothing from keeps what it holds of this node's objects; after that, all of it is
	// given up, in both directions. It must be longer than Liveness.Dead. Zero: 60 s.
	Lease time.Duration

	// TraceExports has Holders and the profiles rmi.exports and rmi.stubs of runtime/pprof tell where in the program each object was
	// exported and each stub came to be, at the price of a stack for each of them. All nodes of a process that set it share the
	// profiles.
	TraceExports bool

	// Inspect has the node tell whoever asks to which remote objects its own ones refer, for SuspectedCycles. It reads them by
	// reflection when it is asked, as package inspect describes: what changes without a mutex of its own should be an inspect.Referrer.
	Inspect bool

	// Timeout bounds calls whose context has no deadline, of methods that have no //rmi:timeout and no streams, through stubs without a
	// Policy.Timeout. Zero: no bound; a dead peer still ends them.
	Timeout time.Duration

	// MaxCalls bounds how many calls run at once in this node, counting those that start a chain; calls made by running
	// calls, also through other processes, are always admitted, so that callbacks and recursion cannot deadlock. Beyond it a
	// call is refused with ErrOverloaded. Zero: 10,000.
	MaxCalls int

	// MaxCallDepth bounds how deep a chain of calls may nest across processes; beyond it, ErrLimit. Zero: 1,000.
	MaxCallDepth int

	// Limits bounds what peers may send. Each zero field has its own default.
	Limits Limits

	// Filter is asked about each value that a message makes this node allocate, arguments and results alike, before it does:
	// ErrUnmarshal with a *FilterError where it rejects one. Values themselves are decided by limits and type tables; a filter
	// narrows them. An object may have a filter of its own, which is asked first. Nil: all is allowed that those allow.
	Filter Filter

	// Outbound and Inbound stand around the calls that this node makes and serves, the first of each outermost. Nil: nothing does, and
	// it costs nothing.
	Outbound, Inbound []Interceptor

	// AlwaysMarshal is for tests: references to this node's own objects arrive as stubs rather than as the objects themselves, and calls
	// through them are written, served and answered as those of another process would be, without a connection. Zero: what comes home is
	// the object, and a call on it an ordinary Go call. What that differs in, and a test with this option does not pass over:
	//
	//	                        a call on an object at home        with AlwaysMarshal, or on a stub
	//	the value               the object itself                  a stub, rmi.Same as the object
	//	arguments and results   the caller's and the method's own  copies
	//	what cannot travel      is passed all the same             stays behind, or is ErrMarshal
	//	errors                  what the method returned           what arrives of it
	//	context                 the caller's, with its values      one with its deadline, its end and its metadata
	//	Caller                  that of the call around, or none   the process that calls
	//	panic                   goes up the caller's stack         ErrPanic
	//	//rmi:timeout, Timeout, policies, interceptors, limits
	//	                        have no effect                     in force
	//	//rmi:oneway            runs, and its error is returned    queued
	//	//rmi:serial            calls run at once                  one at a time
	//	Unexport                has no effect                      ErrNoSuchObject
	AlwaysMarshal bool

	// Logger receives what happens: connections at Debug, refusals at Warn, methods that panic or end their goroutine, and lost
	// bindings, at Error.
	// Nil: slog's default handler from level Error on.
	Logger *slog.Logger

	// Network dials and listens. Nil: the sockets of the operating system.
	Network Network
}

// Liveness is negotiated when two processes meet: the shorter times of both count. They measure only the connection.
type Liveness struct {
	Probe time.Duration // a connection silent for so long is asked for a sign of life. Zero: 5 s, at most a twelfth of Lease
	Dead  time.Duration // a connection silent for so long is broken off. Zero: three times Probe
}

// Network is a dialer and listener of one's own: for sockets of one's own and for tests. Endpoints are written as in
// Node.Listen.
type Network interface {
	Dial(ctx context.Context, endpoint string) (net.Conn, error)
	Listen(endpoint string) (net.Listener, error)
}

// Limits bound what a peer can make this node hold. Exceeding one is ErrLimit for the call concerned unless said otherwise.
type Limits struct {
	MessageBytes      int   // size of one call's arguments or results. Zero: 16 MiB
	Depth             int   // levels of structs, arrays and interface values inside each other. Zero: 512
	Objects           int   // values in a message that are allocated one by one. Zero: 10,000,000
	Alloc             int64 // bytes that a message may make the decoder allocate. Zero: 256 MiB, at least sixteen times MessageBytes
	PendingBytes      int64 // arguments of all calls that run at once, and results of more than 8 KiB that wait to be sent, for one peer at most half of it; beyond it ErrOverloaded. Streams have half as much beside that. Zero: 256 MiB
	CallsPerPeer      int   // calls of one peer that run at once, nested ones included; beyond it ErrOverloaded. Zero: 65,536
	PendingHandshakes int   // connections that have not said who they are; beyond it the oldest is closed. Zero: 1,024
	Connections       int   // connections in all; beyond it new ones are refused with ErrOverloaded. Zero: 16,384
	IdleConnections   int   // connections dialled, idle, and not needed to keep references; beyond it the longest idle is closed. Zero: 1,024
	MetadataBytes     int   // keys and values of one call's metadata, sent or received; at most 65,536. Zero: 8,192
	StreamItems       int   // items of one stream that were sent and not taken, each side counting what it takes. Zero: 8,192
	StreamBytes       int   // bytes of them, an item that is larger by itself excepted; less while little was read of it, or where those of all streams would come to half of PendingBytes, or those that one peer sends to a quarter: where not even 16 KiB are left, a further one is ErrOverloaded. Zero: 1 MiB
	HeldPerPeer       int   // objects of this node that one peer may hold; its references to more are ErrNoSuchObject with the reason Quota. Zero: 1,000,000
}

// What a filter decides by, and says.
type (
	Filter      = wire.Filter
	FilterInfo  = wire.FilterInfo
	FilterError = wire.FilterError
	Verdict     = wire.Verdict
)

// What a filter says.
const (
	Undecided = wire.Undecided
	Allow     = wire.Allow
	Reject    = wire.Reject
)

// ExportOptions are what holds for one exported object. The zero value is valid. What its functions refer to lives as long as the object
// is exported: functions of a collectable object that refer to the object itself keep it for ever. For those there is the method
// Unreferenced().
type ExportOptions struct {
	Filter       Filter // asked before Options.Filter about the arguments of calls on the object. Nil: only that one is
	Unreferenced func() // called when no process holds the object any more, after one did or it was returned to one; each time, on a goroutine of its own. Nil: the object's method Unreferenced(), if it has one, is
}

// config is Options checked, defaulted and frozen.
type config struct {
	Options
	transport transport.Transport
	log       *slog.Logger
}

func (o Options) freeze() (config, error) {
	for name, d := range map[string]time.Duration{
		"HandshakeTimeout": o.HandshakeTimeout, "Liveness.Probe": o.Liveness.Probe,
		"Liveness.Dead": o.Liveness.Dead, "Timeout": o.Timeout, "Lease": o.Lease,
	} {
		if d < 0 {
			return config{}, fmt.Errorf("rmi: Options.%s is negative (%v): leave it zero for the default", name, d)
		}
	}
	l := &o.Limits
	for name, n := range map[string]int64{
		"MaxCalls": int64(o.MaxCalls), "MaxCallDepth": int64(o.MaxCallDepth), "Limits.MessageBytes": int64(l.MessageBytes),
		"Limits.Depth": int64(l.Depth), "Limits.Objects": int64(l.Objects), "Limits.Alloc": l.Alloc,
		"Limits.PendingBytes": l.PendingBytes, "Limits.CallsPerPeer": int64(l.CallsPerPeer),
		"Limits.PendingHandshakes": int64(l.PendingHandshakes), "Limits.IdleConnections": int64(l.IdleConnections),
		"Limits.Connections": int64(l.Connections), "Limits.HeldPerPeer": int64(l.HeldPerPeer),
		"Limits.MetadataBytes": int64(l.MetadataBytes), "Limits.StreamItems": int64(l.StreamItems), "Limits.StreamBytes": int64(l.StreamBytes),
	} {
		if n < 0 {
			return config{}, fmt.Errorf("rmi: Options.%s is negative (%d): leave it zero for the default", name, n)
		}
	}
	if o.MaxCallDepth > 65_535 {
		return config{}, fmt.Errorf("rmi: Options.MaxCallDepth is %d: the protocol counts to 65535", o.MaxCallDepth)
	}
	if l.MessageBytes > 1<<30 {
		return config{}, fmt.Errorf("rmi: Options.Limits.MessageBytes is %d: a message has at most 1 GiB", l.MessageBytes)
	}
	if l.MetadataBytes > 1<<16 {
		return config{}, fmt.Errorf("rmi: Options.Limits.MetadataBytes is %d: a call carries at most 65536", l.MetadataBytes)
	}
	if slices.ContainsFunc(slices.Concat(o.Outbound, o.Inbound), func(i Interceptor) bool { return i == nil }) {
		return config{}, errors.New("rmi: Options.Outbound or Options.Inbound has a nil interceptor")
	}
	o.Outbound, o.Inbound = slices.Clone(o.Outbound), slices.Clone(o.Inbound)
	for _, e := range o.Advertise {
		if err := checkAdvertised(e); err != nil {
			return config{}, fmt.Errorf("rmi: Options.Advertise: %w", err)
		}
	}
	if len(o.Advertise) > maxEndpoints {
		return config{}, fmt.Errorf("rmi: Options.Advertise lists %d endpoints: a reference carries at most %d", len(o.Advertise), maxEndpoints)
	}
	defaults(&o)
	if o.Liveness.Dead <= o.Liveness.Probe {
		return config{}, fmt.Errorf("rmi: Options.Liveness: Dead (%v) must be longer than Probe (%v)", o.Liveness.Dead, o.Liveness.Probe)
	}
	if o.Lease <= o.Liveness.Dead {
		return config{}, fmt.Errorf("rmi: Options.Lease (%v) must be longer than Liveness.Dead (%v)", o.Lease, o.Liveness.Dead)
	}
	c := config{Options: o, log: o.Logger}
	if c.log == nil {
		c.log = slog.New(quiet{slog.Default().Handler()})
	}
	switch n := o.Network.(type) {
	case nil:
		c.transport = transport.NewSessions(transport.Sockets{})
	case interface{ Sessions() transport.Transport }: // makes sessions itself: the in-memory one does
		c.transport = n.Sessions()
	default:
		c.transport = transport.NewSessions(n)
	}
	return c, nil
}

func defaults(o *Options) {
	setDefault(&o.HandshakeTimeout, 10*time.Second)
	setDefault(&o.Lease, 60*time.Second)
	setDefault(&o.Liveness.Probe, max(1, min(5*time.Second, o.Lease/12)))
	setDefault(&o.Liveness.Dead, 3*o.Liveness.Probe)
	setDefault(&o.MaxCalls, 10_000)
	setDefault(&o.MaxCallDepth, 1_000)
	l := &o.Limits
	setDefault(&l.MessageBytes, 16<<20)
	setDefault(&l.Depth, 512)
	setDefault(&l.Objects, 10_000_000)
	setDefault(&l.Alloc, max(256<<20, 16*int64(l.MessageBytes)))
	setDefault(&l.PendingBytes, 256<<20)
	setDefault(&l.CallsPerPeer, 1<<16)
	setDefault(&l.PendingHandshakes, 1024)
	setDefault(&l.Connections, 16<<10)
	setDefault(&l.IdleConnections, 1024)
	setDefault(&l.MetadataBytes, 8<<10)
	setDefault(&l.StreamItems, 8<<10)
	setDefault(&l.StreamBytes, 1<<20)
	setDefault(&l.HeldPerPeer, 1_000_000)
}

func setDefault[T comparable](p *T, v T) {
	var zero T
	if *p == zero {
		*p = v
	}
}

func (l Limits) codec() wire.Limits {
	return wire.Limits{MessageBytes: l.MessageBytes, Depth: l.Depth, Objects: l.Objects, Alloc: l.Alloc}
}

// quiet passes on real trouble only.
type quiet struct{ slog.Handler }

func (q quiet) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelError && q.Handler.Enabled(ctx, level)
}
func (q quiet) WithAttrs(a []slog.Attr) slog.Handler { return quiet{q.Handler.WithAttrs(a)} }
func (q quiet) WithGroup(g string) slog.Handler      { return quiet{q.Handler.WithGroup(g)} }
