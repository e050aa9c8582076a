package refs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rmigo/rmigo/internal/transport"
	"github.com/rmigo/rmigo/internal/wire"
)

// bulk is a link's second session: what is large travels there, so that nothing small waits behind it. It is opened when a link
// has something large to send, by whoever dialled the link, and closed in good order when it has been idle; meanwhile, and where it
// cannot be opened, what is large takes the lane.
//
// Each message has a stream to itself while it is sent; each side sends on the streams that it opened, and opens no more than
// mostBulkStreams. A session that breaks takes its link along. Its goroutine, accept, ends when it does.
//
// States: open; closing, once either side wants it closed: nothing is sent any more; then BYE is said when the last message
// has been sent, and heard when the other side's last one has come; then whoever dialled closes. Until then its liveness is looked
// after as that of the link is, and by itself: either connection may fail alone.
type bulk struct {
	l       *link
	session transport.Session
	free    chan transport.Stream // opened here, nobody sends on them
	permits permits
	ctl     writer // of the control stream

	used  atomic.Int64 // when a message last began or ended to be sent, or some of one came, in nanoseconds since the link's start
	heard atomic.Int64 // when the peer was last heard on it
	moved atomic.Int64 // when bytes last went out

	mu       sync.Mutex
	sending  int // messages being sent, or about to be
	opened   int
	closing  bool
	byeSaid  bool
	byeHeard bool
}

const (
	largeFrame      = 32 << 10 // from this size on a frame is better off on the bulk session
	mostBulkStreams = 16
	mostBulks       = 2 // of a link: one in use, and one that is being closed
	bulkChunk       = 256 << 10
	bulkPatience    = time.Second

	// A byte string of such a length, at the end of a message, is sent from where it is, together with the frame that it ends.
	leastTail   = largeFrame
	mostTail    = bulkChunk - 1<<10
	featureBulk = 1 << 0
)

// wide returns the bulk session if a frame of the size is for it, and there is one; its send must follow, or now must begin. If there is none, one is asked
// for.
func (l *link) wide(size int) *bulk { return l.wideFrom(size, largeFrame) }

// wideFrom is wide for frames that are for it from another size on.
func (l *link) wideFrom(size, least int) *bulk {
	if size < least || l.features&featureBulk == 0 {
		return nil
	}
	b := l.bulk.Load()
	if b == nil {
		l.widen()
		return nil
	}
	if !b.begin() {
		return nil
	}
	return b
}

// widen has a bulk session opened, unless that is under way or has just failed.
func (l *link) widen() {
	switch {
	case l.widening.Swap(true):
	case l.dialled:
		l.say(wire.Widen{})
	default:
		l.offerKey()
	}
}

// awaitBulk returns when there is a bulk session for a frame of the size, or there will be none soon: on the lane, how far one is cannot be told.
func (l *link) awaitBulk(ctx context.Context, size int) {
	if size < largeFrame || l.features&featureBulk == 0 {
		return
	}
	l.bulkMu.Lock()
	if l.bulk.Load() != nil || l.unjoined.Load() {
		l.bulkMu.Unlock()
		return
	}
	if l.bulkComes == nil {
		l.bulkComes = make(chan struct{})
	}
	comes := l.bulkComes
	l.bulkMu.Unlock()
	l.widen()
	timer := time.NewTimer(bulkPatience)
	defer timer.Stop()
	select {
	case <-comes:
	case <-ctx.Done():
	case <-l.gone:
	case <-timer.C: // the peer does not dial, or cannot
	}
}

// bulkSettled lets those go who wait for a bulk session. bulkMu is held.
func (l *link) bulkSettled() {
	if l.bulkComes != nil {
		close(l.bulkComes)
		l.bulkComes = nil
	}
}

// offerKey tells the dialler how to open a bulk session.
func (l *link) offerKey() {
	n := l.node
	n.mu.Lock()
	if l.key == (ObjectID{}) {
		l.key = newID()
	}
	key := l.key
	if _, live := n.links[l]; live {
		n.joins[key] = l
	}
	n.mu.Unlock()
	l.say(wire.Widen{Key: key})
}

// hearWiden answers the dialler, or does as the acceptor asks.
func (l *link) hearWiden(w wire.Widen) error {
	switch {
	case l.features&featureBulk == 0, l.dialled == (w.Key == [16]byte{}):
		return &wire.ControlError{Message: "WIDEN", Says: "out of place"}
	case !l.dialled:
		l.offerKey()
	case !l.joining.Swap(true):
		l.widening.Store(true)
		l.node.tasks.run(func() { // ends within HandshakeTimeout, or with the node
			err := l.join(w.Key)
			if err != nil {
				l.node.report(l.node.cfg.log.Debug, "no bulk connection", "peer", l.peer.id.String(), "err", err)
			}
			l.unjoined.Store(err != nil) // for a while there is no further attempt
			l.joining.Store(err != nil)
			if err != nil {
				l.bulkMu.Lock()
				l.bulkSettled()
				l.bulkMu.Unlock()
			}
		})
	}
	return nil
}

// join dials a bulk session.
func (l *link) join(key [16]byte) error {
	n := l.node
	ctx, cancel := context.WithTimeout(n.base, n.cfg.HandshakeTimeout)
	defer cancel()
	if l.bulk.Load() != nil {
		return nil
	}
	conn, err := n.dialOne(ctx, l.endpoint, l.peer.id)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	session, control, err := sayJoin(conn, key)
	if err == nil && !stop() {
		err = context.Cause(ctx)
	}
	if err != nil {
		stop()
		conn.Close()
		return err
	}
	l.startBulk(session, control)
	return nil
}

// sayJoin shakes hands on a bulk session, as its dialler.
func sayJoin(conn transport.Conn, key [16]byte) (transport.Session, transport.Stream, error) {
	session, err := conn.Session()
	if err != nil {
		return nil, nil, err
	}
	control, err := session.Open()
	if err != nil {
		return nil, nil, err
	}
	if err := writeControl(control, wire.Join{Key: key}); err != nil {
		return nil, nil, err
	}
	msg, err := wire.ReadControl(control)
	if err != nil {
		return nil, nil, err
	}
	if _, ok := msg.(wire.Joined); !ok {
		return nil, nil, &wire.ControlError{Message: "JOINED", Says: fmt.Sprintf("%T came instead", msg)}
	}
	return session, control, nil
}

func writeControl(w io.Writer, msg any) error {
	b, err := wire.AppendControl(nil, msg)
	if err == nil {
		_, err = w.Write(b)
	}
	return err
}

// answerJoin takes a bulk session in, if that is in time.
func (n *Node) answerJoin(session transport.Session, control transport.Stream, process ProcessID, join wire.Join, inTime func() error) error {
	n.mu.Lock()
	l := n.joins[join.Key]
	n.mu.Unlock()
	switch {
	case l == nil || l.peer.id != process:
		return errors.New("a bulk connection that belongs to none of this process's connections")
	case l.bulk.Load() != nil:
		return errors.New("a second bulk connection beside one that is in use")
	case l.countBulks() == mostBulks:
		return errors.New("a further bulk connection while others are being closed")
	}
	if err := writeControl(control, wire.Joined{}); err != nil {
		return err
	}
	if err := inTime(); err != nil {
		return err
	}
	l.startBulk(session, control)
	return nil
}

// startBulk begins to use a session that has shaken hands.
func (l *link) startBulk(session transport.Session, control transport.Stream) {
	b := &bulk{l: l, session: session, free: make(chan transport.Stream, mostBulkStreams)}
	b.ctl = writer{stream: control, start: l.start, tasks: &l.node.tasks, fail: b.fail}
	b.hear()
	b.used.Store(b.heard.Load())
	l.bulkMu.Lock()
	if l.ended() || l.bulk.Load() != nil || len(l.bulks) == mostBulks {
		l.bulkMu.Unlock()
		session.Close()
		return
	}
	l.bulks[b] = struct{}{}
	l.node.reserve.take()
	l.bulk.Store(b)
	l.bulkSettled()
	l.node.tasks.run(b.accept) // ends when the session does
	l.bulkMu.Unlock()
	control.Attach(&controls{wire.NewControls(b.hearControl), b.fail, b.hear})
}

func (l *link) countBulks() int {
	l.bulkMu.Lock()
	defer l.bulkMu.Unlock()
	return len(l.bulks)
}

// tickBulks looks after the liveness of bulk sessions, and retires one that went unused for a probe's time. Where there is none, one
// may be asked for again. It returns for how long nothing was heard on one of them, and nothing went out that should have.
func (l *link) tickBulks() (silent, stalled time.Duration) {
	l.bulkMu.Lock()
	bulks := slices.Collect(maps.Keys(l.bulks))
	l.bulkMu.Unlock()
	for _, b := range bulks {
		heard := max(time.Duration(b.heard.Load()), time.Duration(b.moved.Load()), l.granted(b.session)) // a peer that takes much in may be slow to speak
		quiet := time.Since(l.start) - heard
		if quiet >= l.probe {
			b.say(wire.Ping{Nonce: uint64(time.Since(l.start))})
		}
		silent, stalled = max(silent, quiet), max(stalled, b.stalled(), b.ctl.stalled())
		if l.dialled && time.Since(l.start)-time.Duration(b.used.Load()) >= l.probe && b.rests() {
			b.retire()
		}
	}
	if l.bulk.Load() == nil {
		l.widening.Store(false)
		if l.unjoined.Swap(false) {
			l.joining.Store(false)
		}
	}
	return silent, stalled
}

// closeBulks closes the sessions of a link that has ended.
func (l *link) closeBulks() {
	l.bulkMu.Lock()
	defer l.bulkMu.Unlock()
	l.bulk.Store(nil)
	for b := range l.bulks {
		b.close()
	}
}

// close ends the session. bulkMu is held.
func (b *bulk) close() {
	delete(b.l.bulks, b)
	b.l.node.reserve.drop()
	b.l.node.tasks.run(func() { b.session.Close() }) // returns when its goroutines have ended, in half a second at most
}

// hear stamps the time at which the peer was heard.
func (b *bulk) hear() { b.heard.Store(int64(time.Since(b.l.start))) }

// rests reports whether nothing is being sent.
func (b *bulk) rests() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.sending == 0
}

// say queues a control message.
func (b *bulk) say(msg any) {
	text, err := wire.AppendControl(nil, msg)
	if err != nil {
		panic(err) // ours are all well-formed
	}
	b.ctl.post(text)
}

// begin counts a message in; it fails once the session is being closed.
func (b *bulk) begin() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closing {
		return false
	}
	now := int64(time.Since(b.l.start))
	if b.sending == 0 {
		b.moved.Store(now)
	}
	b.sending++
	b.used.Store(now)
	return true
}

func (b *bulk) end() {
	b.used.Store(int64(time.Since(b.l.start)))
	b.mu.Lock()
	b.sending--
	b.mu.Unlock()
	b.settle()
}

// now sends a frame, which is head and tail, if that takes no waiting; if not, it returns false, and send must follow. Head and tail are the caller's again.
// sent, if there is one, is called once when all is out, or never will be: before now returns, or later.
func (b *bulk) now(head, tail []byte, sent func()) bool {
	var stream transport.Stream
	select {
	case stream = <-b.free:
	default:
		return false
	}
	begun := stream.WriteNow(head, tail, func(err error) {
		if err == nil {
			b.moved.Store(int64(time.Since(b.l.start)))
		} else {
			b.fail(err)
		}
		b.end()
		if sent != nil {
			sent()
		}
	})
	b.free <- stream // there is room for all
	return begun
}

// send sends the frame and returns when it is out; it gives up before it has begun when done is closed. A failure ends the link. p is told how
// far it is; nil: nobody is.
func (b *bulk) send(done <-chan struct{}, frame []byte, p *progress) {
	defer b.end()
	stream, err := b.take(done)
	if err != nil || stream == nil {
		b.fail(err)
		return
	}
	for rest := frame; len(rest) > 0; {
		n := min(len(rest), bulkChunk)
		if _, err := stream.Write(rest[:n]); err != nil {
			b.fail(err)
			return
		}
		b.moved.Store(int64(time.Since(b.l.start)))
		rest = rest[n:]
		p.sent(len(frame) - len(rest))
	}
	b.free <- stream // there is room for all
}

// take returns a stream to send on, waiting for one where many are sending; nil when done is closed first.
func (b *bulk) take(done <-chan struct{}) (transport.Stream, error) {
	select {
	case s := <-b.free:
		return s, nil
	default:
	}
	b.mu.Lock()
	fresh := b.opened < mostBulkStreams
	if fresh {
		b.opened++
	}
	b.mu.Unlock()
	if fresh {
		return b.session.Open()
	}
	select {
	case s := <-b.free:
		return s, nil
	case <-done:
	case <-b.l.gone:
	}
	return nil, nil
}

// stalled returns for how long nothing has gone out although there is something to send.
func (b *bulk) stalled() time.Duration {
	b.mu.Lock()
	sending := b.sending
	b.mu.Unlock()
	if sending == 0 {
		return 0
	}
	return time.Since(b.l.start) - time.Duration(b.moved.Load())
}

// accept takes in the streams that the peer sends on.
func (b *bulk) accept() {
	for count := 0; ; count++ {
		s, err := b.session.Accept()
		if err != nil {
			b.fail(err)
			return
		}
		if count == mostBulkStreams {
			b.l.fail(&Error{Kind: ErrProtocol, Remote: true, Err: fmt.Errorf("the peer opened more than %d streams for what is large", mostBulkStreams)})
			return
		}
		s.Attach(b.l.newLane(b))
	}
}

// hearControl takes a message of the control stream.
func (b *bulk) hearControl(msg any) error {
	switch m := msg.(type) {
	case wire.Ping:
		b.say(wire.Pong{Nonce: m.Nonce})
	case wire.Pong:
	case wire.Bye:
		b.mu.Lock()
		b.byeHeard = true
		b.mu.Unlock()
		b.retire()
	default:
		return misplaced(msg)
	}
	return nil
}

// fail ends the link because the session has broken, unless it was closed in good order. Without an error it does nothing.
func (b *bulk) fail(err error) {
	if err == nil {
		return
	}
	b.mu.Lock()
	orderly := b.byeSaid && b.byeHeard
	b.mu.Unlock()
	if orderly {
		b.finish()
		return
	}
	b.l.fail(b.l.broken(b.session, err))
}

// retire closes the session in good order.
func (b *bulk) retire() {
	b.mu.Lock()
	b.closing = true
	b.mu.Unlock()
	b.l.bulk.CompareAndSwap(b, nil)
	b.settle()
}

// settle takes the next step towards the end, if it is due.
func (b *bulk) settle() {
	b.mu.Lock()
	bye := b.closing && b.sending == 0 && !b.byeSaid
	b.byeSaid = b.byeSaid || bye
	over := b.byeSaid && b.byeHeard && b.l.dialled
	b.mu.Unlock()
	if bye {
		b.say(wire.Bye{})
	}
	if over {
		b.finish()
	}
}

// finish forgets a session that has been closed in good order.
func (b *bulk) finish() {
	b.l.bulkMu.Lock()
	defer b.l.bulkMu.Unlock()
	if _, there := b.l.bulks[b]; there {
		b.close()
		b.l.widening.Store(false)
	}
}
