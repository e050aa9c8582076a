package transport

import (
	"encoding/binary"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// What yamux's two goroutines do to a connection, made cheaper and safer. Its writer writes the header of a frame and then
// the body: framed holds the header back until the body comes, and sends both at once. Its reader reads 4 KiB at a time:
// framed reads more while bytes flow, and holds no buffer while none do. It also counts its way from header to header, to
// refuse the one frame that costs yamux more than it costs the peer.
//
// Read is called by one goroutine at a time and Write by one, which need not be the same; each side's fields are its own.

const (
	headerSize = 12
	readSize   = 16 << 10
	joinSize   = 48 << 10 // bodies up to this size are copied behind their header; larger ones go out by writev

	linger = 500 * time.Millisecond // how long a closing side waits for the other; as a rule it takes a round trip

	frameData = 0 // second byte of a header
	framePing = 2
)

// errPing refuses yamux's own pings: each one costs a goroutine until its answer is written, and nobody here sends them.
var errPing = fmt.Errorf("%w: a ping below the session", errBroken)

// buffers are shared by the connections of one transport and held by a connection only while bytes flow.
type buffers struct {
	read  sync.Pool // *[readSize]byte
	write sync.Pool // *[headerSize + joinSize]byte
}

func newBuffers() *buffers {
	return &buffers{
		read:  sync.Pool{New: func() any { return new([readSize]byte) }},
		write: sync.Pool{New: func() any { return new([headerSize + joinSize]byte) }},
	}
}

type framed struct {
	net.Conn
	buffers *buffers
	blame   func(error) // told what ended the connection before the caller is
	ended   func()      // told that nothing more will be read, before the caller is

	// reading
	ahead   *[readSize]byte // holds unread; nil when nothing is unread
	unread  []byte
	flowing bool // the last read found more than was asked for
	header  [headerSize]byte
	headed  int    // bytes of header that have arrived
	body    uint32 // bytes of the current frame's body that have not

	// writing
	held    [headerSize]byte
	holding bool

	finished atomic.Bool // nothing more is sent, and why is known
}

func (f *framed) Read(p []byte) (int, error) {
	if f.ahead == nil {
		if !f.flowing || len(p) >= readSize {
			n, err := f.receive(p)
			f.flowing = n == len(p)
			return n, err
		}
		f.ahead = f.buffers.read.Get().(*[readSize]byte)
		n, err := f.receive(f.ahead[:])
		f.unread, f.flowing = f.ahead[:n], n > len(p)
		if err != nil {
			f.release()
			return 0, err
		}
	}
	n := copy(p, f.unread)
	f.unread = f.unread[n:]
	if len(f.unread) == 0 {
		f.release()
	}
	return n, nil
}

// release gives the read buffer back.
func (f *framed) release() {
	f.buffers.read.Put(f.ahead)
	f.ahead, f.unread = nil, nil
}

// receive reads from the connection. An error that comes with bytes is left for the next read to find again.
func (f *framed) receive(p []byte) (int, error) {
	n, err := f.Conn.Read(p)
	if n > 0 {
		err = f.inspect(p[:n])
	}
	if err != nil {
		if !f.finished.Load() {
			f.blame(err)
		}
		f.ended()
		return 0, err
	}
	return n, nil
}

// inspect follows the frames in what has arrived.
func (f *framed) inspect(p []byte) error {
	for len(p) > 0 {
		if f.body > 0 {
			n := min(uint64(f.body), uint64(len(p)))
			f.body -= uint32(n)
			p = p[n:]
			continue
		}
		n := copy(f.header[f.headed:], p)
		p = p[n:]
		if f.headed += n; f.headed < headerSize {
			return nil
		}
		f.headed = 0
		switch f.header[1] {
		case frameData:
			f.body = bodySize(f.header[:])
		case framePing:
			return errPing
		}
	}
	return nil
}

func (f *framed) Write(p []byte) (int, error) {
	if !f.holding && len(p) == headerSize && p[1] == frameData && bodySize(p) > 0 {
		copy(f.held[:], p)
		f.holding = true
		return len(p), nil
	}
	if f.finished.Load() {
		return len(p), nil // an error would make yamux close before all has been received
	}
	if err := f.send(p); err != nil && !f.finished.Load() {
		f.blame(err)
		return 0, err
	}
	return len(p), nil
}

func (f *framed) send(p []byte) (err error) {
	switch {
	case !f.holding:
		_, err = f.Conn.Write(p)
	case len(p) <= joinSize:
		buf := f.buffers.write.Get().(*[headerSize + joinSize]byte)
		n := copy(buf[:], f.held[:])
		n += copy(buf[n:], p)
		_, err = f.Conn.Write(buf[:n])
		f.buffers.write.Put(buf)
	default:
		parts := net.Buffers{f.held[:], p}
		_, err = parts.WriteTo(f.Conn)
	}
	f.holding = false
	return err
}

// finish ends what this side sends, while the connection goes on receiving until the other side ends too, or for linger:
// a connection that is closed with input unread is reset, and that destroys what the other side has not read yet. It
// reports whether such an end is under way; if not, the connection must be closed outright.
func (f *framed) finish() bool {
	half, ok := f.Conn.(interface{ CloseWrite() error })
	if !ok {
		return false
	}
	if f.finished.Swap(true) {
		return true
	}
	return f.Conn.SetDeadline(time.Now().Add(linger)) == nil && half.CloseWrite() == nil
}

// Close is called by yamux alone. What fails from here on is not to blame for the end, but follows from it.
func (f *framed) Close() error {
	f.finished.Store(true)
	return f.Conn.Close()
}

func bodySize(header []byte) uint32 { return binary.BigEndian.Uint32(header[8:]) }
