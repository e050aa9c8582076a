package refs

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rmigo/rmigo/internal/transport"
	"github.com/rmigo/rmigo/internal/wire"
)

// link is one live connection to a peer: a session with its first two streams, the control stream (HELLO, liveness, BYE) and
// the lane, on which all calls of both directions travel.
//
// Its goroutines: watch, which ends when the session does; flushers while something is queued; a timer for liveness. What the
// two streams bring is taken on the session's own goroutine, as it arrives. Whoever receives never waits for the writers, nor runs user code,
// but for quick methods while it has a lead (see spree). fail ends the link, once, from wherever the trouble was noticed; the lane notices the end of
// the session after the replies that had arrived before it.
type link struct {
	node      *Node
	peer      *peer
	session   transport.Session
	control   transport.Stream
	lane      transport.Stream
	dialled   bool
	endpoint  string // at which it was dialled
	vantage   vantage
	probe     time.Duration
	dead      time.Duration
	start     time.Time
	peerLimit int    // bytes of arguments or results that the peer takes
	features  uint64 // in force

	out          writer // of the lane
	ctl          writer // of the control stream
	waiting      slots  // our calls
	rows         rows   // our one-way calls
	serving      serving
	lineups      lineups      // the peer's one-way calls
	vows         vows         // what the peer is promised
	streamCredit atomic.Int64 // of the streams that the peer sends, as the node's of all
	streams      streams      // of calls of both

	probes      atomic.Int64 // PROBEs in the second, since start, that probeSecond is
	probeSecond atomic.Int64

	quickOnes atomic.Int32 // calls that were timed and quick, since the link was idle

	unsent atomic.Int64 // bytes of large replies that wait to be sent

	heard    atomic.Int64 // when the peer was last heard, in nanoseconds since start
	used     atomic.Bool  // since the last tick
	retiring atomic.Bool  // new calls take another way
	timer    *time.Timer
	due      time.Duration // when tick should run next, since start

	bulk      atomic.Pointer[bulk] // the session for what is large; nil: none, or it is being closed
	widening  atomic.Bool          // one has been asked for
	joining   atomic.Bool          // one is being dialled, or that has failed
	unjoined  atomic.Bool          // it has failed
	bulkMu    sync.Mutex
	bulks     map[*bulk]struct{} // that have not been closed
	bulkComes chan struct{}      // closed when one is there, or cannot be; nil: nobody waits; guarded by bulkMu
	key       ObjectID           // by which the dialler joins one; guarded by Node.mu

	line    Line        // what the collector is told
	leaving atomic.Bool // the peer has said that it ends

	byeMu       sync.Mutex
	byeSent     bool
	byeReceived bool
	once        sync.Once
	gone        chan struct{} // closed when the link has failed
	ready       chan struct{} // closed once the link is the peer's, and its goroutines and timer run
}

// established is what the two sides have agreed on.
type established struct {
	session       transport.Session
	control, lane transport.Stream
	dialled       bool
	endpoint      string
	liveness      Liveness
	messageBytes  uint64 // that the peer takes
	features      uint64 // of the peer
	generation    Generation
}

// startLink makes a greeted session the peer's link and starts it. It fails if the node is closed.
func (n *Node) startLink(p *peer, e established) (*link, error) {
	l := &link{
		node: n, peer: p, session: e.session, control: e.control, lane: e.lane, dialled: e.dialled, endpoint: e.endpoint,
		vantage: vantageOf(e.session), probe: e.liveness.Probe, dead: e.liveness.Dead, start: time.Now(),
		peerLimit: peerLimit(e.messageBytes), features: e.features & ownFeatures, bulks: map[*bulk]struct{}{},
		gone: make(chan struct{}), ready: make(chan struct{}),
	}
	l.serving.running = map[uint64]*callContext{}
	for w, stream := range map[*writer]transport.Stream{&l.out: e.lane, &l.ctl: e.control} {
		w.stream, w.start, w.tasks = stream, l.start, &n.tasks
		w.fail = l.broke(e.session)
	}
	l.ctl.fail = func(err error) { // the collector posts under its lock, and is told of the end
		n.tasks.run(func() { l.broke(e.session)(err) })
	}
	n.mu.Lock()
	if n.shut || !e.dialled && (n.draining.Load() || len(n.links) >= n.cfg.Limits.Connections) {
		n.mu.Unlock()
		e.session.Close()
		return nil, &Error{Op: "connect", Kind: ErrNodeClosed, NotRun: true}
	}
	n.links[l] = struct{}{}
	p.uses++
	n.mu.Unlock()

	if l.line = n.collector.Connected(p.id, e.generation, l); l.line == nil {
		l.line = keepAll{}
		close(l.ready)
		err := &Error{Op: "connect", Kind: ErrUnreachable, NotRun: true, Err: errStale}
		l.fail(err)
		return nil, err
	}
	p.add(l)
	n.tasks.run(l.watch)
	l.due = l.probe + time.Since(l.start)
	l.timer = time.AfterFunc(l.probe, l.tick)
	close(l.ready)
	l.control.Attach(&controls{wire.NewControls(l.hearControl), l.broke(l.session), l.hear})
	l.lane.Attach(l.newLane(nil))
	n.report(n.cfg.log.Debug, "connected", "peer", p.id.String(), "at", l.session.RemoteAddr().String(), "dialled", l.dialled)
	return l, nil
}

// errStale ends a connection of a generation that does not go on.
var errStale = errors.New("the association has begun anew by another connection")

// peerLimit is the bound that a peer has stated; 0 is none but the protocol's.
func peerLimit(stated uint64) int {
	if stated == 0 {
		return 1 << 30
	}
	return int(min(stated, 1<<30))
}

// fail ends the link: calls that wait for replies end with why, calls that the peer waits for are cancelled.
func (l *link) fail(why *Error) {
	l.once.Do(func() {
		n := l.node
		n.tasks.begin() // Close of the node does not see a link that is on its way out
		defer n.tasks.done()
		l.retiring.Store(true)
		l.out.close(why)
		l.ctl.close(why)
		<-l.ready
		if l.timer != nil {
			l.timer.Stop()
		}
		n.idle.Remove(l)
		n.mu.Lock()
		delete(n.links, l)
		delete(n.joins, l.key)
		for endpoint, o := range n.byAddress {
			if o == l {
				delete(n.byAddress, endpoint)
			}
		}
		n.mu.Unlock()
		l.line.Lost()
		l.peer.remove(l, true)
		if l.leaving.Load() && l.peer.usable() == nil {
			n.collector.Left(l.peer.id)
		}
		for _, c := range l.waiting.fail(why) {
			c.lost(why)
		}
		l.rows.fail(why)
		l.serving.end(why)
		l.streams.fail(why)
		l.lineups.end()
		close(l.gone)
		l.closeBulks()
		n.tasks.run(func() { // Close waits for the session's own goroutines
			l.session.Close()
			l.peer.reconsider()
			n.report(n.cfg.log.Debug, "disconnected", "peer", l.peer.id.String(), "why", why.Error())
			n.releasePeer(l.peer)
		})
	})
}

func (l *link) ended() bool {
	select {
	case <-l.gone:
		return true
	default:
		return false
	}
}

// watch refuses streams beyond the first two; it ends with the session.
func (l *link) watch() {
	if _, err := l.session.Accept(); err == nil {
		l.fail(&Error{Kind: ErrProtocol, Remote: true, Err: errors.New("the peer opened a third stream, which this version has no use for")})
	}
}

// hear stamps the time at which the peer was heard.
func (l *link) hear() { l.heard.Store(int64(time.Since(l.start))) }

// lately is the time at which the peer was heard last. Where the lane's bytes are received, that is now.
func (l *link) lately() time.Time { return l.start.Add(time.Duration(l.heard.Load())) }

// controls receives the messages of a control stream, on the session's receiving goroutine. The end of a session is not for it
// to notice.
type controls struct {
	*wire.Controls
	broken func(error) // told of a breach of the protocol
	hear   func()      // told of bytes
}

// Receive implements transport.Receiver.
func (c *controls) Receive(p []byte) error {
	c.hear()
	err := c.Controls.Receive(p)
	if err != nil {
		c.broken(err)
	}
	return err
}

// Room implements transport.Receiver: messages are small.
func (c *controls) Room() []byte { return nil }

// Filled implements transport.Receiver.
func (c *controls) Filled(int) error { return nil }

// End implements transport.Receiver.
func (c *controls) End() {}

// broke returns a function that ends the link for an error of the session.
func (l *link) broke(session transport.Session) func(error) {
	return func(err error) { l.fail(l.broken(session, err)) }
}

// hearControl takes a message of the control stream.
func (l *link) hearControl(msg any) error {
	switch m := msg.(type) {
	case wire.Ping:
		l.say(wire.Pong{Nonce: m.Nonce})
	case wire.Pong:
	case wire.Bye:
		if m.Leaving {
			l.leaving.Store(true)
		}
		l.hearBye()
	case wire.Batch:
		if err := l.line.Batch(m); err != nil {
			return &wire.ControlError{Message: "BATCH", Says: err.Error()}
		}
	case wire.Widen:
		return l.hearWiden(m)
	default:
		return misplaced(msg)
	}
	return nil
}

// Carry implements Carrier.
func (l *link) Carry(b wire.Batch) { l.say(b) }

// Ping implements Carrier.
func (l *link) Ping() { l.say(wire.Ping{Nonce: uint64(time.Since(l.start))}) }

// Heard implements Carrier.
func (l *link) Heard() time.Time { return l.start.Add(l.silentSince()) }

// Fail implements Carrier.
func (l *link) Fail(why *Error) { l.fail(why) }

func misplaced(msg any) error {
	return &wire.ControlError{Message: fmt.Sprintf("%T", msg), Says: "in the middle of a session"}
}

// say queues a control message.
func (l *link) say(msg any) {
	b, err := wire.AppendControl(nil, msg)
	if err != nil {
		panic(err) // ours are all well-formed
	}
	l.ctl.post(b)
}

// tick looks after liveness: it asks a silent peer for a sign of life and breaks off with a dead one. It must not block.
func (l *link) tick() {
	<-l.ready
	if l.ended() {
		return
	}
	now := time.Since(l.start)
	if late := now - l.due; late > l.probe { // this process stood still: what the peer sent meanwhile has yet to be read
		l.Ping()
		l.next(now, l.probe)
		return
	}
	l.node.settleForgotten()
	silent := now - l.silentSince()
	silentBulk, stalled := l.tickBulks()
	stalled = max(stalled, l.out.stalled(), l.ctl.stalled())
	switch {
	case silent >= l.dead:
		l.fail(&Error{Kind: ErrUnreachable, Err: fmt.Errorf("nothing was heard from the peer for %v", silent.Round(time.Millisecond))})
		return
	case silentBulk >= l.dead:
		l.fail(&Error{Kind: ErrUnreachable, Err: fmt.Errorf("nothing was heard from the peer on the connection for what is large for %v",
			silentBulk.Round(time.Millisecond))})
		return
	case stalled >= l.dead:
		l.fail(&Error{Kind: ErrUnreachable, Err: fmt.Errorf("%w for %v", errPeerStalls, stalled.Round(time.Millisecond))})
		return
	case silent >= l.probe:
		l.Ping()
	}
	l.noteIdle()
	next := l.dead - max(silent, silentBulk, stalled)
	if silent < l.probe {
		next = min(next, l.probe-silent)
	} else {
		next = min(next, l.probe)
	}
	l.next(now, next)
}

// silentSince is when the peer last gave a sign of life on the lane's session, since the link's start.
func (l *link) silentSince() time.Duration {
	return max(time.Duration(l.heard.Load()), l.granted(l.session))
}

// granted is the time, since the link's start, at which the peer last told by a session that it had taken bytes.
func (l *link) granted(s transport.Session) time.Duration { return s.Granted().Sub(l.start) }

// next has tick run again after a while.
func (l *link) next(now, after time.Duration) {
	l.due = now + after
	l.timer.Reset(after)
}

// noteIdle gives back the buffers of a connection that went unused for a probe's time, and offers it to the bounded set of
// idle ones; what falls out of that is retired. One by which references are kept is never offered: it would be dialled again.
func (l *link) noteIdle() {
	if l.used.Swap(false) {
		l.node.idle.Remove(l)
		return
	}
	l.quickOnes.Store(0)
	l.lane.Shrink()
	l.control.Shrink()
	l.out.shrink()
	l.node.workers.trim()
	l.node.buffers.trim()
	switch {
	case l.dialled && !l.node.collector.Wanted(l.peer.id) && l.waiting.len() == 0 && l.serving.count.Load() == 0 && !l.retiring.Load():
		l.node.idle.Touch(l, l.retire)
		if l.ended() {
			l.node.idle.Remove(l)
		}
	}
}

var errRetired = &Error{Op: "connect", Kind: ErrUnreachable, NotRun: true, Err: errors.New("the connection is being closed in good order")}

// retire closes the link in good order: new calls take another way, those under way are answered, then both sides say BYE and
// the dialler closes.
func (l *link) retire() {
	if l.retiring.Swap(true) {
		return
	}
	l.peer.remove(l, false)
	l.waiting.retire(errRetired, l.sayBye)
}

func (l *link) sayBye() {
	l.say(wire.Bye{Leaving: l.node.draining.Load()})
	l.bye(&l.byeSent)
}

func (l *link) hearBye() {
	l.retire()
	l.bye(&l.byeReceived)
}

// bye notes one side's BYE; after both, neither side has a call under way, and the dialler closes.
func (l *link) bye(side *bool) {
	l.byeMu.Lock()
	*side = true
	both := l.byeSent && l.byeReceived
	l.byeMu.Unlock()
	if both && l.dialled {
		l.fail(errRetired)
	}
}

// lane receives frames, those of the lane or those of a stream of the bulk session, on the session's receiving goroutine.
type lane struct {
	l *link
	b *bulk // nil: the lane
	*wire.Frames
	grant grant
	spree spree
}

func (l *link) newLane(b *bulk) *lane {
	r := &lane{l: l, b: b}
	r.spree.l = l
	r.Frames = wire.NewFrames(l.node.cfg.Limits.codec(), &l.node.buffers, r.handle)
	r.Frames.Bound(r)
	return r
}

// now is the time at which the bytes being received came.
func (r *lane) now() time.Time {
	if r.b == nil {
		return r.l.lately()
	}
	return time.Now()
}

// Receive implements transport.Receiver.
func (r *lane) Receive(p []byte) error {
	r.hear()
	return r.partly(r.checked(r.Frames.Receive(p)))
}

// Filled implements transport.Receiver.
func (r *lane) Filled(n int) error {
	r.hear()
	return r.partly(r.checked(r.Frames.Filled(n)))
}

// partly tells the call of a reply that is incomplete.
func (r *lane) partly(err error) error {
	if slot, have, need, ok := r.Frames.Reply(); ok && err == nil {
		r.l.waiting.receiving(slot, have, need)
	}
	return err
}

func (r *lane) hear() {
	if r.b == nil {
		r.l.hear()
		return
	}
	r.b.hear()
	r.b.used.Store(r.b.heard.Load())
}

// checked ends the link at an error.
func (r *lane) checked(err error) error {
	if err != nil {
		r.l.fail(r.l.broken(r.l.session, err))
	}
	return err
}

// End implements transport.Receiver. The end of a bulk session is told by who accepts its streams.
func (r *lane) End() {
	r.release(true)
	r.spree.disband()
	switch {
	case r.b == nil:
		r.l.fail(r.l.broken(r.l.session, io.EOF))
	case r.b.session.Err() == nil:
		r.l.fail(&Error{Kind: ErrProtocol, Remote: true, Err: errors.New("the peer closed a single stream of a bulk connection")})
	}
}

// broken says what an error of a session's streams means.
func (l *link) broken(session transport.Session, err error) *Error {
	var size *wire.FrameSizeError
	var bad *wire.FrameError
	var control *wire.ControlError
	switch {
	case errors.As(err, &size), errors.As(err, &bad), errors.As(err, &control):
		return &Error{Kind: ErrProtocol, Remote: true, Err: err}
	case errors.Is(err, io.EOF):
		if why := session.Err(); why == nil || errors.Is(why, io.EOF) {
			return &Error{Kind: ErrUnreachable, Err: errors.New("the peer closed the connection")}
		} else {
			err = why
		}
	}
	return &Error{Kind: ErrUnreachable, Err: fmt.Errorf("the connection broke: %w", err)}
}

// handle takes one frame; an error is the peer's breach of the protocol.
func (r *lane) handle(kind wire.FrameKind, frame []byte, lent bool) error {
	l := r.l
	if kind >= wire.OneWayFrame && l.features&featureOrder == 0 {
		return &wire.FrameError{Kind: kind, Says: "the feature is not in force"}
	}
	switch kind {
	case wire.ItemsFrame, wire.CreditFrame, wire.EndFrame:
		if l.features&featureStreams == 0 {
			break
		}
		return l.takeStream(kind, frame, lent)
	case wire.CallFrame, wire.OneWayFrame:
		return l.takeCall(frame, arrival{now: r.now(), lent: lent, spree: r.spree.open()})
	case wire.ReplyFrame:
		h, body, err := wire.ParseReply(frame)
		if err != nil {
			return err
		}
		m := Message{Call: h.Number, Result: true}
		pinned := h.Flags&wire.ReplyPinned != 0
		if pinned && !l.line.Arrived(m) {
			return nil // the connection is over, and so is the call
		}
		c := l.waiting.take(h.Slot)
		if pinned && (c == nil || c.number != h.Number) {
			l.line.Done(m) // nobody waits for it any more
		}
		if c != nil && r.b == nil {
			l.out.unheard.Store(0) // the peer has read the call
			if c.prompt {
				c.woken = true
				l.out.wake()
			}
		}
		switch {
		case c != nil && lent:
			c.answered(h.Flags, body, nil)
		case c != nil:
			c.answered(h.Flags, body, frame)
		case !lent:
			l.node.buffers.Put(frame) // the reply to a call that was given up
		}
		return nil
	}
	return r.handleRest(kind, frame, lent)
}

// handleRest is handle for frames that are neither calls nor replies.
func (r *lane) handleRest(kind wire.FrameKind, frame []byte, lent bool) error {
	l := r.l
	switch kind {
	case wire.CancelFrame:
		h, err := wire.ParseCancel(frame)
		if !lent {
			l.node.buffers.Put(frame)
		}
		if err == nil {
			l.serving.cancel(h.Number)
		}
		return err
	case wire.DoneFrame:
		err := l.takeDone(frame)
		if !lent {
			l.node.buffers.Put(frame)
		}
		return err
	case wire.RowFrame:
		if l.features&featureRows == 0 {
			break
		}
		return l.takeRow(frame, lent)
	case wire.CallsFrame:
		if l.features&featurePipes == 0 {
			break
		}
		return r.takeCalls(frame, lent)
	case wire.ForgetFrame:
		h, err := wire.ParseForget(frame)
		if !lent {
			l.node.buffers.Put(frame)
		}
		if err == nil {
			l.vows.forget(h.Number)
		}
		return err
	case wire.ProbeFrame:
		err := l.takeProbe(frame)
		if !lent {
			l.node.buffers.Put(frame)
		}
		return err
	}
	return &wire.FrameError{Kind: kind, Says: "this version does not know it"}
}
