package transport

import (
	"encoding/binary"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// muxConn is the connection of a session as yamux sees it: all that yamux receives from it are the headers that open, close and
// reset streams. Data and credit of streams never get there: muxConn follows the frames in what arrives, gives bodies to their
// streams, and sends bodies and credit itself, between the frames that yamux sends.
//
// Read is called by yamux's receiving goroutine alone. That one receives, unless another one does (see leads); whoever does runs receivers, and
// must not wait for anything but bytes. Write is called by yamux's sending goroutine, which waits while another one sends for it, send by whoever writes to a stream; sending serialises them. Credit that the receiving
// goroutine owes the peer is sent by whoever sends next, or by a goroutine of its own where nobody does.

const (
	headerSize = 12
	readSize   = 32 << 10
	joinSize   = 48 << 10 // bodies up to this size are copied behind their header where the connection is no socket; larger ones are written by themselves
	directRead = 8 << 10  // for so much room, a body is received where it belongs
	smallRead  = 256
	shortSize  = 256      // what is so short is joined in memory of the connection's own: one that idles says little, and that often
	mostPassed = 64 << 10 // bytes of headers that yamux has yet to read

	linger = 500 * time.Millisecond // how long a closing side waits for the other; as a rule it takes a round trip

	yamuxVersion = 0
)

// The kinds and flags of yamux's frames.
const (
	frameData   = 0
	frameCredit = 1
	framePing   = 2

	flagSYN = 1
	flagFIN = 4
	flagRST = 8
)

// muxHeader is a frame's header: version, kind, flags [2], stream [4], length [4].
type muxHeader [headerSize]byte

func newMuxHeader(kind byte, id, length uint32) (h muxHeader) {
	h[1] = kind
	binary.BigEndian.PutUint32(h[4:], id)
	binary.BigEndian.PutUint32(h[8:], length)
	return h
}

func (h *muxHeader) version() byte  { return h[0] }
func (h *muxHeader) kind() byte     { return h[1] }
func (h *muxHeader) flags() uint16  { return binary.BigEndian.Uint16(h[2:]) }
func (h *muxHeader) stream() uint32 { return binary.BigEndian.Uint32(h[4:]) }
func (h *muxHeader) length() uint32 { return binary.BigEndian.Uint32(h[8:]) }

var (
	// errPing refuses yamux's own pings: each one costs a goroutine until its answer is written, and nobody here sends them.
	errPing = fmt.Errorf("%w: a ping below the session", errBroken)

	// errPassed refuses streams that are opened and closed faster than they can be looked at.
	errPassed = fmt.Errorf("%w: too many streams opened and closed at a time", errBroken)

	// errWindow refuses data for which no credit was given.
	errWindow = fmt.Errorf("%w: more data than the stream's window", errBroken)
)

// buffers are shared by the connections of one transport and held by a connection only while bytes flow.
type buffers struct {
	read  sync.Pool // *[readSize]byte
	write sync.Pool // *[shortSize + joinSize]byte
}

func newBuffers() *buffers {
	return &buffers{
		read:  sync.Pool{New: func() any { return new([readSize]byte) }},
		write: sync.Pool{New: func() any { return new([shortSize + joinSize]byte) }},
	}
}

type muxConn struct {
	net.Conn
	socket  socket // the connection, if it is one; or nil
	session *muxSession
	buffers *buffers
	ready   chan struct{} // closed when session has its yamux, which begins to receive before that

	// receiving
	started bool
	flowing bool // the last read filled what it was given
	header  muxHeader
	headed  int        // bytes of header that have arrived
	body    uint32     // bytes of the current frame's body that have not
	stream  *muxStream // whose body it is; nil: nobody's
	fed     *muxStream // whose Worker has been given something since it last worked; nil: there is none
	passed  []byte     // headers for yamux; guarded by leads
	leads

	sending sync.Mutex // held while a frame is written
	broken  error      // a failed write: nothing may follow it
	short   [shortSize]byte

	creditMu sync.Mutex
	credit   []byte         // frames owed to the peer
	debtor   bool           // a goroutine is about to send them
	settled  bool           // none is started any more
	writing  sync.WaitGroup // goroutines that send what others left

	finished atomic.Bool // nothing more is sent, and why is known
}

func (c *muxConn) Read(p []byte) (int, error) {
	if !c.started {
		<-c.ready
		c.started = true
	}
	for {
		if n, err := c.followed(p); n > 0 || err != nil {
			return n, err
		}
		if err := c.receive(p); err != nil {
			c.work() // what came before the error
			c.over(err)
			return 0, err
		}
		if c.work() && !c.finished.Load() {
			c.launch()
		}
	}
}

// over ends the session because nothing more can be received.
func (c *muxConn) over(err error) {
	if !c.finished.Load() {
		c.session.blame(err)
	}
	c.session.end()
}

// receive waits for bytes and takes them in. p is memory to read into while little flows.
func (c *muxConn) receive(p []byte) error {
	if c.body >= directRead && c.stream != nil {
		if room := c.stream.room(); len(room) >= directRead {
			return c.receiveDirect(room[:min(uint64(len(room)), uint64(c.body), chunk)])
		}
	}
	large := c.stream != nil && c.body == 0 && len(c.stream.room()) >= directRead
	if large { // next comes the header of what is received directly
		p = p[:min(len(p), smallRead)]
	} else if c.flowing {
		ahead := c.buffers.read.Get().(*[readSize]byte)
		defer c.buffers.read.Put(ahead)
		p = ahead[:]
	}
	n, err := c.Conn.Read(p)
	if n == 0 {
		return err // one that comes with bytes is left for the next read to find again
	}
	c.flowing = n == len(p) && !large || c.flowing && n >= readSize/4
	return c.take(p[:n])
}

func (c *muxConn) receiveDirect(room []byte) error {
	n, err := c.Conn.Read(room)
	if n == 0 {
		return err
	}
	c.body -= uint32(n)
	return c.stream.filled(n)
}

// take goes through what has arrived.
func (c *muxConn) take(p []byte) error {
	for len(p) > 0 {
		if c.body > 0 {
			n := int(min(uint64(c.body), uint64(len(p))))
			c.body -= uint32(n)
			if c.stream != nil {
				if err := c.stream.deliver(p[:n]); err != nil {
					return err
				}
			}
			p = p[n:]
			continue
		}
		n := copy(c.header[c.headed:], p)
		p = p[n:]
		if c.headed += n; c.headed < headerSize {
			return nil
		}
		c.headed = 0
		if err := c.begin(&c.header); err != nil {
			return err
		}
	}
	return nil
}

// begin looks at a header that has arrived.
func (c *muxConn) begin(h *muxHeader) error {
	if h.version() != yamuxVersion || h.kind() > frameCredit {
		if h.kind() == framePing && h.version() == yamuxVersion {
			return errPing
		}
		return c.forYamux(h[:])
	}
	id, flags, length := h.stream(), h.flags(), h.length()
	if flags&flagSYN != 0 {
		c.session.opened(id)
	}
	if c.stream == nil || c.stream.id != id {
		c.stream = c.session.find(id)
	}
	switch {
	case h.kind() == frameCredit && c.stream != nil:
		if length > 0 {
			c.session.granted.Store(int64(max(1, time.Since(c.session.start))))
		}
		c.stream.grant(length)
	case h.kind() == frameData:
		c.body = length
		if c.stream != nil && !c.stream.expect(length) {
			return errWindow
		}
	}
	var err error
	if flags != 0 {
		pass := newMuxHeader(frameCredit, id, 0)
		copy(pass[2:4], h[2:4])
		err = c.forYamux(pass[:])
	}
	if flags&(flagFIN|flagRST) != 0 && c.stream != nil {
		c.stream.ended(flags&flagRST != 0)
		if c.body == 0 {
			c.stream = nil
		}
	}
	return err
}

// Write sends a frame of yamux's, which is a header: it never has a body to send. yamux's goroutine, which calls it, lives as long as the session and does
// little, so that most of what it takes is its stack: what needs a large one is done on another.
func (c *muxConn) Write(p []byte) (int, error) {
	if c.finished.Load() {
		return len(p), nil // an error would make yamux close before all has been received
	}
	if len(p) == headerSize {
		c.leaving((*muxHeader)(p))
	}
	sent := make(chan error, 1)
	if !c.behind(func() { sent <- c.send(p, nil) }) {
		sent <- c.send(p, nil)
	}
	if err := <-sent; err != nil && !c.finished.Load() {
		return 0, err
	}
	return len(p), nil
}

// leaving looks at a header that yamux sends.
func (c *muxConn) leaving(h *muxHeader) {
	if h.kind() > frameCredit {
		return
	}
	switch id, flags := h.stream(), h.flags(); {
	case flags&flagSYN != 0:
		c.session.opened(id)
	case flags&flagRST != 0:
		if m := c.session.find(id); m != nil {
			m.note(func() { m.gaveUp = true })
			c.session.forget(m)
		}
	}
}

// send writes a frame, and before it the credit that is owed. A failed write ends the session; nothing is sent after it.
func (c *muxConn) send(header, body []byte) error {
	c.sending.Lock()
	defer c.sending.Unlock()
	if c.broken != nil {
		return c.broken
	}
	out := append(c.takeCredit(c.short[:0]), header...)
	var err error
	switch {
	case len(out)+len(body) <= len(c.short):
		_, err = c.Conn.Write(append(out, body...))
	case c.socket != nil:
		err = c.socket.writeAll(parts{out, body})
	case len(body) <= joinSize:
		buf := c.buffers.write.Get().(*[shortSize + joinSize]byte)
		_, err = c.Conn.Write(append(append(buf[:0], out...), body...))
		c.buffers.write.Put(buf)
	default:
		parts := net.Buffers{out, body}
		_, err = parts.WriteTo(c.Conn)
	}
	return c.sent(err)
}

// sent notes what came of a write. sending is held.
func (c *muxConn) sent(err error) error {
	if err != nil {
		c.broken = err
		if !c.finished.Load() {
			c.session.blame(err)
		}
	}
	return err
}

// sendNow begins to write a frame of the stream's, if neither who else writes nor the stream's window is in the way. What the connection has no room for is copied,
// and written by a goroutine; either way sent is told of the end, once. It returns false if it has not begun.
func (c *muxConn) sendNow(s *muxStream, head, body []byte, sent func(error)) bool {
	if c.socket == nil || !c.sending.TryLock() {
		return false
	}
	size := len(head) + len(body)
	if c.broken != nil || !s.takes(size) {
		c.sending.Unlock()
		return false
	}
	header := newMuxHeader(frameData, s.id, uint32(size))
	p := parts{append(c.takeCredit(c.short[:0]), header[:]...), head, body}
	n, err := c.socket.writeNow(p)
	if err == nil && n < len(p[0])+size {
		rest := p.after(n)
		if c.behind(func() { c.ends(c.socket.writeAll(parts{rest}), sent) }) { // ends when all is written, or the session ends
			return true
		}
		err = net.ErrClosed
	}
	c.ends(err, sent)
	return true
}

// ends ends what sendNow began.
func (c *muxConn) ends(err error, sent func(error)) {
	err = c.sent(err)
	c.sending.Unlock()
	if err != nil {
		err = c.session.fail(err)
	}
	sent(err)
}

// behind has f run by a goroutine that the end of the session waits for; false: it has ended.
func (c *muxConn) behind(f func()) bool {
	c.creditMu.Lock()
	defer c.creditMu.Unlock()
	if !c.settled {
		c.writing.Go(f)
	}
	return !c.settled
}

// owe notes credit for the peer, and sees to it that it is sent soon. It never waits.
func (c *muxConn) owe(id, n uint32) {
	frame := newMuxHeader(frameCredit, id, n)
	c.creditMu.Lock()
	defer c.creditMu.Unlock()
	c.credit = append(c.credit, frame[:]...)
	if !c.debtor && !c.settled && !c.finished.Load() {
		c.debtor = true
		c.writing.Go(c.pay) // ends when it is sent, or the session ends
	}
}

// pay sends what is owed, unless other frames have taken it along by then.
func (c *muxConn) pay() {
	for c.owes() {
		if c.send(nil, nil) != nil {
			if !c.finished.Load() {
				c.session.fail(net.ErrClosed)
			}
			return
		}
	}
}

// owes reports whether credit is owed; if not, whoever sends it has nothing to do any more.
func (c *muxConn) owes() bool {
	c.creditMu.Lock()
	defer c.creditMu.Unlock()
	c.debtor = len(c.credit) > 0
	return c.debtor
}

// settle waits for the goroutines that send credit and what others left, if there are some.
func (c *muxConn) settle() {
	c.creditMu.Lock()
	c.settled = true
	c.creditMu.Unlock()
	c.writing.Wait()
}

// takeCredit appends the frames that are owed, as long as they are few enough to go along.
func (c *muxConn) takeCredit(out []byte) []byte {
	c.creditMu.Lock()
	defer c.creditMu.Unlock()
	n := min(len(c.credit), (shortSize-headerSize)/headerSize*headerSize)
	out = append(out, c.credit[:n]...)
	c.credit = c.credit[:copy(c.credit, c.credit[n:])]
	return out
}

// finish ends what this side sends, while the connection goes on receiving until the other side ends too, or for linger:
// a connection that is closed with input unread is reset, and that destroys what the other side has not read yet. It
// reports whether such an end is under way; if not, the connection must be closed outright.
func (c *muxConn) finish() bool {
	half, ok := c.Conn.(interface{ CloseWrite() error })
	if !ok {
		return false
	}
	first, err := c.endsWithin(linger)
	if !first {
		return true
	}
	c.passOn()
	return err == nil && half.CloseWrite() == nil
}

// Close is called by yamux alone, when it has a reason to end. What fails from here on is not to blame for the end, but follows
// from it.
func (c *muxConn) Close() error {
	c.session.settleCause()
	c.finished.Store(true)
	c.session.end()
	err := c.Conn.Close()
	c.passOn()
	return err
}
