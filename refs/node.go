package refs

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"reflect"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"
	"weak"

	"github.com/rmigo/rmigo/internal/transport"
	"github.com/rmigo/rmigo/internal/wire"
)

// Node is one process's part of the object space: what it exports, what it holds of others, and its sessions with other
// processes. Several nodes may live in one process; they share nothing. Its methods may be called concurrently.
//
// mu guards the fields below it. Locks are taken in the order Node.mu, peer.mu, and then those of a link's parts and of the
// tables, which are leaves; none is held across I/O, a channel operation that may wait, or user code.
type Node struct {
	id           ProcessID
	secret       [32]byte // peer tokens derive from it
	cfg          config
	codec        *wire.Codec
	direct       *Policies // of the runtime's own calls: none
	plain        *Face     // of its questions
	home         *link     // to this process itself
	collector    Collector
	self         *peer // this process: of handles of its own objects, not among peers
	faces        faces
	exports      exports
	imports      imports
	traces       traces
	garbage      func(*export) // is collected: made once, since each export has it
	buffers      buffers
	reserve      reserve
	outgoing     sync.Pool   // *Outgoing
	incoming     sync.Pool   // *Incoming
	runtimeTable *wire.Table // for errors that belong to no interface
	pending      *transport.Pending
	idle         *transport.Idle
	paths        *transport.Paths

	base   context.Context // the parent of every served call's context; ends with the node
	cancel context.CancelCauseFunc
	tasks  tasks // the node's own goroutines
	calls  tasks // calls being served

	workers  workers  // serve them
	overseer overseer // looks at those who receive while they do
	turns    turns    // who runs on serial objects
	oneWays  oneWays
	forgets  forgets

	number       atomic.Uint64 // of the last call made: to each peer they grow, and none is used twice
	redials      atomic.Int64  // peers that are being dialled because they are wanted
	rootCalls    atomic.Int64  // calls being served that began a chain
	pendingBytes atomic.Int64  // arguments of the calls being served
	receiving    atomic.Int64  // memory of frames that have not arrived whole
	streamBytes  atomic.Int64  // of streams, that have come and were not read
	streamCredit atomic.Int64  // and that may come, those included
	draining     atomic.Bool

	mu        sync.Mutex
	shut      bool
	listeners []transport.Listener
	advertise []transport.Endpoint // of the listeners
	hosts     []string             // this host's own addresses, for wildcard listeners; replaced, never changed
	peers     map[ProcessID]*peer
	links     map[*link]struct{}
	byAddress map[string]*link    // live links by the endpoints at which their processes were found
	joins     map[ObjectID]*link  // links whose diallers may join a bulk session, by key
	dials     map[string]*dialing // to endpoints whose process is not known yet
}

// New makes a node. It validates the options and does no I/O. collect makes its garbage collector; nil: everything exported
// stays alive.
func New(o Options, collect func(*Node, Host) Collector) (*Node, error) {
	cfg, err := o.freeze()
	if err != nil {
		return nil, err
	}
	n := &Node{
		id: newID(), cfg: cfg, codec: wire.NewCodec(cfg.Limits.codec()), direct: &Policies{}, collector: keepAll{},
		exports:   exports{byID: map[ObjectID]*export{}, byType: map[reflect.Type]*kind{}},
		pending:   transport.NewPending(cfg.Limits.PendingHandshakes),
		idle:      transport.NewIdle(cfg.Limits.IdleConnections),
		paths:     transport.NewPaths(4096),
		peers:     map[ProcessID]*peer{},
		links:     map[*link]struct{}{},
		byAddress: map[string]*link{},
		joins:     map[ObjectID]*link{},
		dials:     map[string]*dialing{},
		overseer:  overseer{long: longSpree / time.Duration(runtime.GOMAXPROCS(0))},
	}
	if n.runtimeTable, err = wire.NewTable(builtinTypes(), nil); err != nil {
		return nil, err
	}
	if n.plain, err = NewFace(question{}); err != nil {
		return nil, err
	}
	n.home = n.newHome()
	here := weak.Make(n) // a cleanup is a root
	n.garbage = func(e *export) {
		if n := here.Value(); n != nil {
			n.collected(e)
		}
	}
	n.self = &peer{node: n, id: n.id}
	a, b := newID(), newID()
	copy(n.secret[:], slices.Concat(a[:], b[:]))
	n.base, n.cancel = context.WithCancelCause(context.Background())
	if collect != nil {
		n.collector = collect(n, host{n})
	}
	return n, nil
}

// Logger returns where the node reports to.
func (n *Node) Logger() *slog.Logger { return n.cfg.log.With("process", n.id.String()) }

// ID returns the process id of the node.
func (n *Node) ID() ProcessID { return n.id }

// Options returns the options in force, defaults filled in.
func (n *Node) Options() Options { return n.cfg.Options }

// token is the secret that proves to the peer, at every connection after the first, that this is the same process.
func (n *Node) token(peer ProcessID) (t [16]byte) {
	mac := hmac.New(sha256.New, n.secret[:])
	mac.Write(peer[:])
	copy(t[:], mac.Sum(nil))
	return t
}

// Listen serves calls at an endpoint, such as "tcp://127.0.0.1:0" or "unix:///run/bank.sock", and returns the endpoint with
// the actual port.
func (n *Node) Listen(endpoint string) (string, error) {
	if n.closed() {
		return "", &Error{Op: "listen", Kind: ErrNodeClosed}
	}
	l, err := n.cfg.transport.Listen(endpoint)
	if err != nil {
		return "", &Error{Op: "listen", Err: err}
	}
	return n.serveListener(l)
}

// Serve serves calls on a listener of one's own until it or the node is closed; it returns at once. The listener's address is
// advertised, and the node closes it.
func (n *Node) Serve(l net.Listener) error {
	_, err := n.serveListener(transport.NewListener(l))
	return err
}

func (n *Node) serveListener(l transport.Listener) (string, error) {
	endpoint := l.Endpoint()
	if err := checkEndpoint(endpoint); err != nil {
		l.Close()
		return "", &Error{Op: "listen", Err: err}
	}
	parsed, _ := transport.ParseEndpoint(endpoint)
	var hosts []string
	if parsed.Wildcard() {
		hosts = hostAddresses()
	}
	if !n.addListener(l, parsed, hosts) {
		l.Close()
		return "", &Error{Op: "listen", Kind: ErrNodeClosed}
	}
	return endpoint, nil
}

func (n *Node) addListener(l transport.Listener, at transport.Endpoint, hosts []string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.shut || n.draining.Load() {
		return false
	}
	n.listeners = append(n.listeners, l)
	n.advertise = append(n.advertise, at)
	if hosts != nil {
		n.hosts = hosts
	}
	n.tasks.run(func() { n.acceptLoop(l) }) // ends when l is closed
	return true
}

// forgetListener takes a listener that its owner closed out of what is advertised.
func (n *Node) forgetListener(l transport.Listener) {
	closed, _ := transport.ParseEndpoint(l.Endpoint())
	n.mu.Lock()
	defer n.mu.Unlock()
	n.listeners = slices.DeleteFunc(n.listeners, func(o transport.Listener) bool { return o == l })
	if i := slices.Index(n.advertise, closed); i >= 0 {
		n.advertise = slices.Delete(slices.Clone(n.advertise), i, i+1)
	}
}

// Close ends the node abruptly: its listeners and sessions are closed, calls that its stubs wait for end in ErrNodeClosed,
// the contexts of calls it serves are cancelled. It waits for the node's own goroutines, not for methods that are still
// running. Closing twice is harmless.
func (n *Node) Close() error {
	n.mu.Lock()
	first := !n.shut
	n.shut = true
	links := n.liveLinks()
	listeners := n.takeListeners()
	n.mu.Unlock()
	if !first {
		n.tasks.wait()
		return nil
	}
	var errs []error
	for _, l := range listeners {
		if err := l.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	closed := &Error{Kind: ErrNodeClosed, Err: errors.New("this node was closed")}
	n.cancel(closed)
	for _, l := range links { // before what waits for them is told that it is in vain
		l.fail(closed)
	}
	n.pending.Close()
	n.home.endHome(closed)
	n.collector.Close()
	n.tasks.wait()
	n.workers.close()
	n.overseer.close()
	n.traces.close()
	n.exports.letGo()
	return errors.Join(errs...)
}

// liveLinks and takeListeners are called with mu held.
func (n *Node) liveLinks() []*link {
	links := make([]*link, 0, len(n.links))
	for l := range n.links {
		links = append(links, l)
	}
	return links
}

func (n *Node) takeListeners() []transport.Listener {
	l := n.listeners
	n.listeners = nil
	return l
}

// Shutdown ends the node gently: no connection and no new call is taken (callers see ErrNodeClosed, and that it did not run), running calls finish and
// are answered, each peer is told, then the node is closed. When ctx ends first, what remains is closed abruptly and ctx's
// error is returned.
func (n *Node) Shutdown(ctx context.Context) error {
	if in := incomingFrom(ctx); in != nil && in.link.node == n {
		return &Error{Op: "shutdown", NotRun: true, Err: errors.New(
			"called by a method that it would wait for: start it in a goroutine, with a context of its own")}
	}
	n.mu.Lock()
	n.draining.Store(true)
	listeners := n.takeListeners()
	n.mu.Unlock()
	for _, l := range listeners {
		l.Close()
	}
	err := n.drain(ctx)
	if closing := n.Close(); err == nil {
		err = closing
	}
	return err
}

func (n *Node) drain(ctx context.Context) error {
	select {
	case <-n.calls.idle():
	case <-ctx.Done():
		return &Error{Op: "shutdown", Err: fmt.Errorf("calls are still running: %w", contextError(ctx))}
	}
	n.mu.Lock()
	links := n.liveLinks()
	n.mu.Unlock()
	for _, l := range links {
		l.retire()
	}
	for _, l := range links {
		select {
		case <-l.gone:
		case <-ctx.Done():
			return &Error{Op: "shutdown", Err: fmt.Errorf("process %v does not close its side: %w", l.peer.id, contextError(ctx))}
		}
	}
	return nil
}

func (n *Node) closed() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.shut
}

// Connect finds out which process answers at an endpoint, connecting to it unless there is a session already, and returns its
// id: this node's own where the endpoint is its own.
func (n *Node) Connect(ctx context.Context, endpoint string) (ProcessID, error) {
	a, _, err := n.Session(ctx, endpoint)
	return a.Process, err
}

// Association names what two processes have with each other for as long as neither gives the other up.
type Association struct {
	Process ProcessID // the other one
	Epoch   uint64    // another one after the lease has run out, or one of the two has forgotten the other
}

// Session connects to the process that answers at an endpoint as Connect does, and returns a channel that is closed when
// that connection is gone; nil where the endpoint is this node's own.
func (n *Node) Session(ctx context.Context, endpoint string) (Association, <-chan struct{}, error) {
	l, err := n.linkTo(ctx, endpoint)
	switch {
	case err != nil:
		return Association{}, nil, err
	case l == nil:
		return Association{Process: n.id}, nil, nil
	}
	return Association{l.peer.id, l.line.Epoch()}, l.gone, nil
}

// RefAt returns a reference to a well-known object of the process that answers at the endpoint.
func (n *Node) RefAt(ctx context.Context, endpoint string, object ObjectID, face string) (Ref, error) {
	process, err := n.Connect(ctx, endpoint)
	if err != nil {
		return Ref{}, err
	}
	return refOf(wire.Record{Process: process, Object: object, Endpoints: []string{endpoint}, Interfaces: []string{face}})
}

// LocalRef returns the reference of an object that this node exports.
func (n *Node) LocalRef(impl any) (Ref, bool) {
	if e := n.exports.find(impl); e != nil {
		return n.refOfExport(e, nil), true
	}
	return Ref{}, false
}

// report logs with the process's id.
func (n *Node) report(level func(string, ...any), msg string, args ...any) {
	level(msg, append([]any{"process", n.id.String()}, args...)...)
}

// Links returns how many connections the node has now.
func (n *Node) Links() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.links)
}

// Streams returns how many calls that are under way have streams, and how many bytes of all calls and streams are pending.
func (n *Node) Streams() (calls int, pending int64) {
	n.mu.Lock()
	links := append(n.liveLinks(), n.home)
	n.mu.Unlock()
	for _, l := range links {
		calls += l.streams.count()
	}
	return calls, n.pendingBytes.Load() + n.streamBytes.Load()
}

// Receiving returns how much memory messages take that have not arrived whole, beyond what each gets.
func (n *Node) Receiving() int64 { return n.receiving.Load() }

// Kept returns how much memory is kept for large frames to come.
func (n *Node) Kept() int {
	n.buffers.mu.Lock()
	defer n.buffers.mu.Unlock()
	return n.buffers.kept
}

// Bulks returns how many of the connections have another one beside them for what is large.
func (n *Node) Bulks() (count int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for l := range n.links {
		if l.bulk.Load() != nil {
			count++
		}
	}
	return count
}
