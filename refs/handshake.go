package refs

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"github.com/rmigo/rmigo/internal/transport"
	"github.com/rmigo/rmigo/internal/wire"
)

// The handshake, on the session's first stream: the dialler says HELLO and opens the lane, the other side answers WELCOME. By
// then both know from the greeting which process is at the other end, so that the dialler can present the token by which that
// process recognises it, and does not say HELLO at all where it turns out that the two are connected already.

// protocolVersion is the version of the wire protocol; a node speaks those from oldestVersion on.
const (
	protocolVersion = 1
	oldestVersion   = 1
	lastGeneration  = 1<<62 - 1 // none grows so far by itself

	ownFeatures = featureBulk | featureOrder | featurePipes | featureStreams | featureRows
)

// greet makes a link of a connection that this node dialled, or returns the one that exists.
func (n *Node) greet(ctx context.Context, conn transport.Conn, endpoint string) (*link, error) {
	id := ProcessID(conn.Peer().Process)
	p := n.usePeer(id)
	defer n.releasePeer(p)
	p.learn([]string{endpoint}, false)
	for {
		p.mu.Lock()
		if l := p.usable(); l != nil {
			p.mu.Unlock()
			conn.Close()
			return l, nil
		}
		if !p.greeting {
			p.greeting = true
			p.mu.Unlock()
			break
		}
		changed := p.wait()
		p.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			conn.Close()
			return nil, &Error{Op: "connect", NotRun: true, Err: contextError(ctx)}
		}
	}
	l, err := n.hello(ctx, conn, p, endpoint)
	p.mu.Lock()
	p.greeting = false
	p.signal()
	p.mu.Unlock()
	if err != nil {
		conn.Close()
		if l := p.usable(); l != nil && errors.Is(err, errStale) {
			return l, nil
		}
		return nil, err
	}
	n.paths.Worked(id, endpoint)
	return l, nil
}

func (n *Node) hello(ctx context.Context, conn transport.Conn, p *peer, endpoint string) (*link, error) {
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	failed := func(err error) error {
		if ctx.Err() != nil {
			err = contextError(ctx)
		}
		return &Error{Op: "connect", Kind: handshakeKind(err), NotRun: true, Err: fmt.Errorf("%s: handshake: %w", endpoint, err)}
	}
	session, err := conn.Session()
	if err != nil {
		return nil, failed(err)
	}
	control, err := session.Open()
	if err != nil {
		return nil, failed(err)
	}
	defer n.collector.Keep(p.id)() // what HELLO offers to resume
	l, gen, applied := p.standing()
	if l != nil {
		conn.Close()
		return l, nil
	}
	hello, err := wire.AppendControl(nil, wire.Hello{
		VersionMin: oldestVersion, VersionMax: protocolVersion, Process: n.id, Token: n.token(p.id), Generation: gen, LastSeq: applied,
		Endpoints: n.offerTo(session), Features: ownFeatures, Probe: n.cfg.Liveness.Probe, Dead: n.cfg.Liveness.Dead,
		MessageBytes: uint64(n.cfg.Limits.MessageBytes),
	})
	if err == nil {
		_, err = control.Write(hello)
	}
	if err != nil {
		return nil, failed(err)
	}
	lane, err := session.Open()
	if err != nil {
		return nil, failed(err)
	}
	msg, err := wire.ReadControl(control)
	if err != nil {
		return nil, failed(err)
	}
	welcome, ok := msg.(wire.Welcome)
	if !ok {
		return nil, failed(&wire.ControlError{Message: "WELCOME", Says: fmt.Sprintf("%T came instead", msg)})
	}
	crossed := gen == 0 && p.begins(welcome.Generation)
	if err := n.accept(p, welcome); err != nil {
		return nil, err
	}
	defer p.agreed(welcome.Status)
	return n.startLink(p, established{session, control, lane, true, endpoint,
		agree(n.cfg.Liveness, welcome.Probe, welcome.Dead), welcome.MessageBytes, welcome.Features,
		Generation{welcome.Generation, welcome.Status != wire.StatusResumed || crossed, welcome.LastSeq}})
}

// standing is the generation to resume, and the last batch applied in it. Where the peer has just reached this process, there is a link;
// where it is about to, its own HELLO decides.
func (p *peer) standing() (l *link, gen, applied uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if l := p.usable(); l != nil || p.agreeing > 0 {
		return l, 0, 0
	}
	gen, applied = p.node.collector.Current(p.id)
	return nil, gen, applied
}

// begins reports whether a generation that the peer resumes is one that begins here: its own connection has brought it, and is about to be
// taken in.
func (p *peer) begins(generation uint64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return generation > p.gen || p.agreeing > 0 && generation == p.gen
}

// accept checks the WELCOME, and notes what it says of the peer.
func (n *Node) accept(p *peer, w wire.Welcome) error {
	refuse := func(kind Kind, format string, args ...any) error {
		return &Error{Op: "connect", Kind: kind, NotRun: true, Err: fmt.Errorf(format, args...)}
	}
	switch {
	case w.Status == wire.StatusRefused:
		kind := Kind(w.Refusal)
		if kind == 0 || kind > lastKind {
			kind = ErrUnreachable
		}
		err := refuse(kind, "process %v refused the connection: %s", p.id, w.Reason)
		err.(*Error).Remote = true
		return err
	case ProcessID(w.Process) != p.id:
		return refuse(ErrProtocol, "process %v says that it is %v", p.id, ProcessID(w.Process))
	case w.Version < oldestVersion || w.Version > protocolVersion:
		return refuse(ErrVersion, "process %v chose version %d of the protocol, this one speaks %d to %d", p.id, w.Version, oldestVersion, protocolVersion)
	case w.Generation > lastGeneration:
		return refuse(ErrProtocol, "process %v states a generation that is out of bounds", p.id)
	case !p.recognise(w.Token, func(uint64) (uint64, bool) { return w.Generation, w.Status != wire.StatusResumed }):
		return refuse(ErrUnauthenticated, "process %v does not prove that it is the one met before", p.id)
	}
	p.learn(w.Endpoints, true)
	return nil
}

// digest is what of a token is remembered, and shown by who answers: it recognises a token and is none.
func digest(token [16]byte) [16]byte {
	sum := sha256.Sum256(token[:])
	return [16]byte(sum[:16])
}

// recognise checks the token's digest of a peer met before, and notes that of one met for the first time. The association's
// generation, which only grows, becomes what next makes of it; 0 is that of none. Where it succeeds and the generation is a fresh one, the two have agreed
// on it but are not yet connected, until agreed is called.
func (p *peer) recognise(digest [16]byte, next func(gen uint64) (uint64, bool)) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.known && subtle.ConstantTimeCompare(p.token[:], digest[:]) != 1 {
		return false
	}
	gen, fresh := next(p.gen)
	p.known, p.token, p.gen = true, digest, max(p.gen, gen)
	if fresh {
		p.agreeing++
	}
	return true
}

// agreed ends what a successful recognise has begun, whatever has come of it.
func (p *peer) agreed(with wire.Status) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if with != wire.StatusResumed {
		p.agreeing--
	}
}

// offerTo lists this process's endpoints for the other end of a session.
func (n *Node) offerTo(s transport.Session) []string {
	v := vantageOf(s)
	return n.offer(&v)
}

// reached reports whether this process has dialled the peer and is connected: a HELLO that knows of no association then
// crossed ours. p.mu is held.
func (p *peer) reached() bool {
	return slices.ContainsFunc(p.links, func(l *link) bool { return l.dialled })
}

// agree is the liveness of a link: the shorter times of both sides.
func agree(own Liveness, probe, dead time.Duration) Liveness {
	const least = 10 * time.Millisecond // whatever a peer asks for
	if probe > 0 {
		own.Probe = max(least, min(own.Probe, probe))
	}
	if dead > 0 {
		own.Dead = max(2*least, own.Probe+least, min(own.Dead, dead))
	}
	return own
}

func handshakeKind(err error) Kind {
	var control *wire.ControlError
	var alien *transport.ProtocolError
	switch {
	case errors.As(err, &control), errors.As(err, &alien):
		return ErrProtocol
	}
	return ErrUnreachable
}

// acceptLoop takes connections in until the listener is closed. Each is greeted in a goroutine of its own, which ends within
// HandshakeTimeout; how many may be so far is bounded.
func (n *Node) acceptLoop(l transport.Listener) {
	pause := time.Duration(0)
	for {
		conn, err := l.Accept()
		if err == nil {
			pause = 0
			n.pending.Add(conn)
			n.tasks.run(func() { n.welcome(conn) })
			continue
		}
		if n.closed() || n.draining.Load() {
			return
		}
		if errors.Is(err, net.ErrClosed) { // its owner closed it
			n.forgetListener(l)
			return
		}
		pause = min(max(2*pause, 5*time.Millisecond), time.Second)
		n.report(n.cfg.log.Warn, "cannot accept connections", "at", l.Endpoint(), "err", err)
		select {
		case <-time.After(pause):
		case <-n.base.Done():
			return
		}
	}
}

// welcome makes a link of a connection that came in, or closes it.
func (n *Node) welcome(conn transport.Conn) {
	ctx, cancel := context.WithTimeout(n.base, n.cfg.HandshakeTimeout)
	defer cancel()
	err := n.answer(ctx, conn)
	n.pending.Remove(conn)
	if err != nil {
		conn.Close()
		n.report(n.cfg.log.Warn, "refused a connection", "from", conn.RemoteAddr().String(), "err", err)
	}
}

func (n *Node) answer(ctx context.Context, conn transport.Conn) error {
	greeting, err := conn.Greet(ctx, transport.Greeting{Process: n.id})
	if err != nil {
		return err
	}
	switch ProcessID(greeting.Process) {
	case n.id: // a node that dials itself finds out by the greeting, and closes
		return errors.New("the other side greets with this process's own id")
	case ProcessID{}:
		return errors.New("the other side greets with no process id")
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	session, err := conn.Session()
	if err != nil {
		return err
	}
	control, msg, err := hearFirst(session)
	if err != nil {
		return aboutEnd(ctx, err)
	}
	inTime := func() error {
		if !stop() {
			return context.Canceled
		}
		return nil
	}
	switch m := msg.(type) {
	case wire.Hello:
		err = n.answerHello(ctx, session, control, greeting.Process, m, inTime)
	case wire.Join:
		err = n.answerJoin(session, control, greeting.Process, m, inTime)
	default:
		err = &wire.ControlError{Message: "HELLO", Says: fmt.Sprintf("%T came instead", msg)}
	}
	if err != nil {
		return aboutEnd(ctx, err)
	}
	return nil
}

// hearFirst takes the control stream in, and the first message on it.
func hearFirst(session transport.Session) (transport.Stream, any, error) {
	control, err := session.Accept()
	if err != nil {
		return nil, nil, err
	}
	msg, err := wire.ReadControl(control)
	return control, msg, err
}

// answerHello answers the HELLO, takes the lane in and makes a link of the session, if that is in time.
func (n *Node) answerHello(ctx context.Context, session transport.Session, control transport.Stream, process ProcessID, hello wire.Hello, inTime func() error) error {
	p := n.usePeer(process)
	defer n.releasePeer(p)
	defer n.collector.Keep(p.id)() // what WELCOME resumes
	welcome, err := n.sayWelcome(ctx, session, control, p, hello)
	if err != nil {
		return err
	}
	defer p.agreed(welcome.Status)
	lane, err := session.Accept()
	if err == nil {
		err = inTime()
	}
	if err != nil {
		return err
	}
	g := Generation{welcome.Generation, welcome.Status != wire.StatusResumed, 0}
	if hello.Generation == g.Number {
		g.Applied = hello.LastSeq
	}
	_, err = n.startLink(p, established{session, control, lane, false, "",
		agree(n.cfg.Liveness, hello.Probe, hello.Dead), hello.MessageBytes, hello.Features, g})
	return err
}

// sayWelcome answers the HELLO; an error if it is refused.
func (n *Node) sayWelcome(ctx context.Context, session transport.Session, control transport.Stream, p *peer, hello wire.Hello) (wire.Welcome, error) {
	welcome, refusal := n.consider(p, p.id, hello)
	if refusal == nil {
		welcome.Endpoints = n.offerTo(session)
	}
	b, err := wire.AppendControl(nil, welcome)
	if err == nil {
		_, err = control.Write(b)
	}
	switch {
	case refusal == nil && err != nil:
		p.agreed(welcome.Status)
		return welcome, err
	case refusal == nil || err != nil:
		return welcome, err
	}
	select { // let the refusal arrive: the dialler closes when it has read it
	case <-session.Done():
	case <-ctx.Done():
	}
	return welcome, refusal
}

// aboutEnd says that the time ran out where that is why a handshake failed.
func aboutEnd(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("handshake: %w", contextError(ctx))
	}
	return fmt.Errorf("handshake: %w", err)
}

// consider decides on a HELLO: the WELCOME to answer with, and why if it is a refusal.
func (n *Node) consider(p *peer, greeted [16]byte, h wire.Hello) (wire.Welcome, error) {
	w := wire.Welcome{
		Version: min(protocolVersion, h.VersionMax), Process: n.id, Features: ownFeatures,
		Probe: n.cfg.Liveness.Probe, Dead: n.cfg.Liveness.Dead, MessageBytes: uint64(n.cfg.Limits.MessageBytes),
		Lease: n.cfg.Lease,
	}
	refuse := func(kind Kind, why string) (wire.Welcome, error) {
		w.Status, w.Refusal, w.Reason, w.Version = wire.StatusRefused, uint8(kind), why, protocolVersion
		return w, &Error{Op: "accept", Kind: kind, Err: errors.New(why)}
	}
	switch {
	case h.VersionMin > protocolVersion || h.VersionMax < oldestVersion:
		return refuse(ErrVersion, fmt.Sprintf("this process speaks versions %d to %d of the protocol, the other %d to %d",
			oldestVersion, protocolVersion, h.VersionMin, h.VersionMax))
	case h.Process != greeted:
		return refuse(ErrProtocol, "HELLO names another process than the greeting")
	case n.draining.Load() || n.closed():
		return refuse(ErrNodeClosed, "the process is shutting down")
	case n.Links() >= n.cfg.Limits.Connections:
		return refuse(ErrOverloaded, fmt.Sprintf("the process has %d connections (Limits.Connections)", n.cfg.Limits.Connections))
	case h.Generation >= lastGeneration:
		return refuse(ErrProtocol, "the generation in HELLO is out of bounds")
	}
	if !p.recognise(digest(h.Token), func(gen uint64) (uint64, bool) {
		current, applied := n.collector.Current(p.id)
		switch {
		case current > 0 && (h.Generation == current || h.Generation == 0 && p.reached()):
			w.Status, w.Generation, w.LastSeq = wire.StatusResumed, current, applied
		case p.agreeing > 0: // another handshake has just agreed on one: the two crossed
			w.Status, w.Generation = wire.StatusGone, gen
		case h.Generation == 0 && gen == 0:
			w.Status, w.Generation = wire.StatusNew, 1
		default: // one of the two has given the other up
			w.Status, w.Generation = wire.StatusGone, max(h.Generation, gen)+1
		}
		return w.Generation, w.Status != wire.StatusResumed
	}) {
		return refuse(ErrUnauthenticated, "the token is not the one that this process presented before")
	}
	w.Token = digest(n.token(p.id))
	p.learn(h.Endpoints, true)
	return w, nil
}
