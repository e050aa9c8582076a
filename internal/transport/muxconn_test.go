package transport

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"testing"

	"github.com/rmigo/rmigo/internal/leak"
)

// What passes between a connection and yamux, and what does not.

// A script is a connection that notes each Write and serves each Read from one portion.
type script struct {
	net.Conn
	portions [][]byte
	asked    []int // the size of each Read
	writes   [][]byte
}

func (s *script) Read(p []byte) (int, error) {
	s.asked = append(s.asked, len(p))
	if len(s.portions) == 0 {
		return 0, io.EOF
	}
	n := copy(p, s.portions[0])
	if s.portions[0] = s.portions[0][n:]; len(s.portions[0]) == 0 {
		s.portions = s.portions[1:]
	}
	return n, nil
}

func (s *script) Write(p []byte) (int, error) {
	s.writes = append(s.writes, bytes.Clone(p))
	return len(p), nil
}

func header(kind byte, length int) []byte {
	h := newMuxHeader(kind, 0, uint32(length))
	return h[:]
}

// of makes a frame one of the stream's.
func of(stream byte, frame []byte) []byte {
	frame[7] = stream
	return frame
}

// flagged sets a frame's flags.
func flagged(flags byte, frame []byte) []byte {
	frame[3] = flags
	return frame
}

// frame is a data frame with a body of n bytes that look like pings.
func frame(n int) []byte { return append(header(frameData, n), bytes.Repeat([]byte{framePing}, n)...) }

// newMuxConn returns a connection whose yamux is the test.
func newMuxConn(conn net.Conn) *muxConn {
	s := &muxSession{streams: map[uint32]*muxStream{}}
	s.conn = &muxConn{Conn: conn, session: s, buffers: newBuffers(), ready: make(chan struct{})}
	close(s.conn.ready)
	return s.conn
}

func TestAHeaderLeavesTogetherWithItsBody(t *testing.T) {
	leak.Check(t)
	for _, test := range []struct{ body, writes int }{{1, 1}, {headerSize, 1}, {joinSize, 1}, {joinSize + 1, 2}} {
		conn := new(script)
		c := newMuxConn(conn)
		whole := frame(test.body)
		if err := c.send(whole[:headerSize], whole[headerSize:]); err != nil {
			t.Fatalf("body of %d: %v", test.body, err)
		}
		if got := bytes.Join(conn.writes, nil); !bytes.Equal(got, whole) {
			t.Errorf("body of %d: got other bytes than were written", test.body)
		}
		if len(conn.writes) != test.writes {
			t.Errorf("body of %d: got %d writes on a plain connection, want %d", test.body, len(conn.writes), test.writes)
		}
	}
}

func TestCreditIsSentOnceAloneOrWithTheNextFrame(t *testing.T) {
	leak.Check(t)
	conn := new(script)
	c := newMuxConn(conn)
	c.owe(3, 1000)
	c.owe(5, 2000)
	next := of(7, frame(10))
	if err := c.send(next[:headerSize], next[headerSize:]); err != nil {
		t.Fatal(err)
	}
	c.writing.Wait()
	got := bytes.Join(conn.writes, nil)
	for _, want := range [][]byte{of(3, header(frameCredit, 1000)), of(5, header(frameCredit, 2000)), next} {
		if bytes.Count(got, want) != 1 {
			t.Errorf("got %x, want %x once", got, want)
		}
	}
	if len(got) != 2*headerSize+len(next) {
		t.Errorf("got %d bytes, want nothing besides", len(got))
	}
}

func TestMoreCreditThanGoesAlongIsSentAllTheSame(t *testing.T) {
	leak.Check(t)
	conn := new(script)
	c := newMuxConn(conn)
	c.sending.Lock() // so that all of it is owed before any is sent
	var want []byte
	for i := range 3 * shortSize / headerSize {
		c.owe(3, uint32(i))
		want = append(want, of(3, header(frameCredit, i))...)
	}
	c.sending.Unlock()
	c.writing.Wait()
	if got := bytes.Join(conn.writes, nil); !bytes.Equal(got, want) {
		t.Errorf("%d bytes of credit are sent, want %d", len(got), len(want))
	}
}

// where is a connection that notes by which calls it was written to.
type where struct {
	net.Conn
	stack string
}

func (c *where) Write(p []byte) (int, error) {
	c.stack = string(debug.Stack())
	return len(p), nil
}

func TestYamuxsSenderNeedsNoStackToSendWith(t *testing.T) {
	leak.Check(t)
	conn := new(where)
	c := newMuxConn(conn)
	open := newMuxHeader(frameCredit, 1, 0)
	if n, err := c.Write(open[:]); n != headerSize || err != nil {
		t.Fatalf("got %d, %v", n, err)
	}
	if conn.stack == "" || strings.Contains(conn.stack, t.Name()) {
		t.Errorf("the frame was written by\n%s\nwant another goroutine than that of Write, and before that returns", conn.stack)
	}
}

func TestAConnectionThatSaysLittleTakesNoBuffer(t *testing.T) {
	leak.Check(t)
	c := newMuxConn(new(script))
	short := frame(shortSize - headerSize)
	runtime.GC()
	runtime.GC() // no buffer is kept from before
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if err := c.send(short[:headerSize], short[headerSize:]); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if took := after.TotalAlloc - before.TotalAlloc; took > joinSize/2 {
		t.Errorf("%d bytes are said in %d bytes of memory", len(short), took)
	}
}

// collect is a receiver that keeps what it gets, and wants large bodies in place.
type collect struct {
	got  []byte
	room []byte
	ends int
}

func (c *collect) Receive(p []byte) error {
	c.got = append(c.got, p...)
	return nil
}

func (c *collect) Room() []byte {
	c.room = make([]byte, directRead)
	return c.room
}

func (c *collect) Filled(n int) error { return c.Receive(c.room[:n]) }
func (c *collect) End()               { c.ends++ }

func TestBodiesReachTheirStreamsAndYamuxTheRestWhereverTheReadsAreCut(t *testing.T) {
	leak.Check(t)
	open := flagged(flagSYN, of(1, header(frameCredit, 0)))
	end := flagged(flagFIN, of(1, header(frameCredit, 0)))
	goAway := header(3, 0)
	stream := bytes.Join([][]byte{
		open, of(1, frame(300)), of(9, frame(40)), of(1, header(frameCredit, 77)), of(1, frame(3*directRead)), of(1, frame(0)), end, goAway,
	}, nil)
	want := bytes.Repeat([]byte{framePing}, 300+3*directRead)
	for size := 1; size <= len(stream); size += 1 + size/16 {
		conn := new(script)
		for rest := stream; len(rest) > 0; {
			n := min(size, len(rest))
			conn.portions, rest = append(conn.portions, bytes.Clone(rest[:n])), rest[n:]
		}
		c := newMuxConn(conn)
		sink := new(collect)
		c.session.opened(1)
		m := c.session.find(1)
		m.Attach(sink)
		passed, err := io.ReadAll(c)
		if err != nil {
			t.Fatalf("reads of %d bytes: %v", size, err)
		}
		if rest := bytes.Join([][]byte{open, end, goAway}, nil); !bytes.Equal(passed, rest) {
			t.Errorf("reads of %d bytes: yamux got %x, want %x", size, passed, rest)
		}
		if !bytes.Equal(sink.got, want) || sink.ends != 1 {
			t.Errorf("reads of %d bytes: the stream got %d bytes and %d ends, want %d and one", size, len(sink.got), sink.ends, len(want))
		}
		if m.window != Window+77 {
			t.Errorf("reads of %d bytes: a window of %d, want the credit of 77 in it", size, m.window)
		}
	}
}

func TestReadsGrowWhileBytesFlow(t *testing.T) {
	leak.Check(t)
	conn := &script{portions: [][]byte{frame(100), frame(50_000), frame(100), frame(100)}}
	c := newMuxConn(conn)
	for {
		if _, err := c.Read(make([]byte, 4096)); err != nil {
			break
		}
	}
	if conn.asked[0] != 4096 || conn.asked[2] != readSize || conn.asked[len(conn.asked)-1] != 4096 {
		t.Errorf("got reads of %v bytes, want small ones until one was filled, then large ones, then small ones", conn.asked)
	}
}

func TestAPingIsRefusedWhereverTheReadsAreCut(t *testing.T) {
	leak.Check(t)
	stream := bytes.Join([][]byte{frame(300), header(1, 5), frame(1), header(framePing, 7)}, nil)
	for size := 1; size <= len(stream); size++ {
		conn := new(script)
		for rest := stream; len(rest) > 0; {
			n := min(size, len(rest))
			conn.portions, rest = append(conn.portions, bytes.Clone(rest[:n])), rest[n:]
		}
		c := newMuxConn(conn)
		_, err := io.Copy(io.Discard, c)
		if cause := c.session.cause.Load(); !errors.Is(err, errPing) || cause == nil || !errors.Is(*cause, errPing) {
			t.Fatalf("reads of %d bytes: got error %v, blamed %v, want the ping refused", size, err, cause)
		}
	}
}

// What a peer that does not keep to the session protocol achieves: the end of its session, with a reason.

// greeted returns a session and the raw other end of its connection.
func greeted(t *testing.T) (Session, net.Conn) {
	t.Helper()
	raw, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listener := NewListener(raw)
	t.Cleanup(func() { listener.Close() })
	peer, err := net.Dial("tcp", raw.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { peer.Close() })
	if _, err := peer.Write(appendPreface(nil, Greeting{})); err != nil {
		t.Fatal(err)
	}
	conn, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if _, err := conn.Greet(t.Context(), Greeting{}); err != nil {
		t.Fatal(err)
	}
	session, err := conn.Session()
	if err != nil {
		t.Fatal(err)
	}
	return session, peer
}

func TestAPeerThatBreaksTheSessionProtocolLosesItsSession(t *testing.T) {
	open := header(1, 0)
	open[3], open[7] = 1, 1 // SYN of stream 1
	body := func(n int) []byte {
		f := frame(n)
		f[7] = 1
		return f
	}
	for _, test := range []struct {
		name string
		says string
		data [][]byte
	}{
		{"another version", "invalid protocol version", [][]byte{{9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}}},
		{"an unknown frame", "invalid msg type", [][]byte{header(77, 0)}},
		{"a ping", "a ping below the session", [][]byte{header(framePing, 0)}},
		{"a stream opened twice", "duplicate stream", [][]byte{open, open}},
		{"more than the window", "more data than the stream's window", [][]byte{open, body(Window), body(1)}},
	} {
		t.Run(test.name, func(t *testing.T) {
			leak.Check(t)
			session, peer := greeted(t)
			go io.Copy(io.Discard, peer)
			for _, data := range test.data {
				peer.Write(data)
			}
			<-session.Done()
			var err error
			for range Backlog {
				if _, err = session.Accept(); err != nil {
					break
				}
			}
			if err == nil || !bytes.Contains([]byte(err.Error()), []byte(test.says)) {
				t.Errorf("got error %v, want it to say %q", err, test.says)
			}
			if got := session.Err(); !errors.Is(got, err) {
				t.Errorf("got cause %v, want %v: the session and its calls say the same", got, err)
			}
		})
	}
}

func TestAStreamThatThePeerResetsFailsAlone(t *testing.T) {
	leak.Check(t)
	session, peer := greeted(t)
	go io.Copy(io.Discard, peer)
	syn, rst := header(1, 0), header(1, 0)
	syn[3], syn[7] = 1, 1
	rst[3], rst[7] = 8, 1
	peer.Write(syn)
	stream, err := session.Accept()
	if err != nil {
		t.Fatal(err)
	}
	peer.Write(rst)
	if _, err := stream.Read(make([]byte, 1)); !errors.Is(err, ErrReset) {
		t.Errorf("got error %v from a read, want ErrReset", err)
	}
	if _, err := stream.Write([]byte("x")); !errors.Is(err, ErrReset) {
		t.Errorf("got error %v from a write, want ErrReset", err)
	}
	if err := session.Err(); err != nil {
		t.Errorf("the session ended with %v: a reset is the stream's alone", err)
	}
}

func TestRandomFramesEndASessionAtWorst(t *testing.T) {
	leak.Check(t)
	for seed := range uint64(150) {
		random := rand.New(rand.NewPCG(seed, 0))
		session, peer := greeted(t)
		var reading sync.WaitGroup
		reading.Go(func() { serve(session, &reading) })
		reading.Go(func() { io.Copy(io.Discard, peer) })
		for range random.IntN(60) {
			if _, err := peer.Write(randomFrame(random)); err != nil {
				break
			}
		}
		peer.(*net.TCPConn).CloseWrite()
		<-session.Done()
		session.Close()
		peer.Close()
		reading.Wait()
		if session.Err() == nil {
			t.Errorf("seed %d: got no cause for the end of the session", seed)
		}
	}
}

// serve takes every stream of session and does with it all that can be done.
func serve(session Session, reading *sync.WaitGroup) {
	for {
		stream, err := session.Accept()
		if err != nil {
			return
		}
		reading.Go(func() {
			stream.Write([]byte("hello"))
			io.Copy(io.Discard, stream)
			stream.Shrink()
			stream.Close()
		})
	}
}

// randomFrame is a header that is right in most places, and a body if one belongs to it.
func randomFrame(random *rand.Rand) []byte {
	kind := []byte{0, 0, 0, 1, 1, 1, 1, 1, 3, 2}[random.IntN(10)]
	length := random.IntN(3000)
	if kind == 3 {
		length = random.IntN(2) * random.IntN(4)
	}
	f := header(kind, length)
	f[3] = byte(random.IntN(16) & random.IntN(16))
	f[7] = byte(1 + random.IntN(5))
	if kind == frameData {
		f = append(f, make([]byte, length)...)
	}
	return f
}

func FuzzPreface(f *testing.F) {
	f.Add(appendPreface(nil, Greeting{}), 1)
	f.Add([]byte("HTTP/1.1 200 OK\r\n\r\n"), 24)
	f.Add([]byte("\x00rmigo\n\x02and so on and so forth"), 7)
	f.Fuzz(func(t *testing.T, sent []byte, size int) {
		rest := bytes.NewReader(sent)
		hi, got, err := readPreface(&portioned{rest, max(size, 1)})
		if len(got) > prefaceSize || !bytes.HasPrefix(sent, got) || rest.Len() != len(sent)-len(got) {
			t.Fatalf("got %q of %q, want what was read and no more than a preface", got, sent)
		}
		if err == nil && !bytes.Equal(appendPreface(nil, hi), got) {
			t.Fatalf("got greeting %x from %q, want one that is written like that", hi, got)
		}
		if err != nil && rejection("peer", true, got, err).Error() == "" {
			t.Fatal("an error without words")
		}
	})
}

// portioned reads at most size bytes at a time.
type portioned struct {
	io.Reader
	size int
}

func (p *portioned) Read(b []byte) (int, error) { return p.Reader.Read(b[:min(len(b), p.size)]) }

func TestAPeerThatNeverEndsDoesNotHoldUpClose(t *testing.T) {
	leak.Check(t)
	session, _ := greeted(t)
	stream, err := session.Open()
	if err != nil {
		t.Fatal(err)
	}
	if err := session.Close(); err != nil {
		t.Errorf("got error %v, want the close to succeed", err)
	}
	if _, err := stream.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
		t.Errorf("got error %v from a write, want net.ErrClosed", err)
	}
	if got := session.Err(); !errors.Is(got, net.ErrClosed) {
		t.Errorf("got cause %v, want net.ErrClosed: it was closed here", got)
	}
}

func TestAPeerThatStopsReadingDoesNotHoldUpClose(t *testing.T) {
	leak.Check(t)
	session, peer := greeted(t)
	grant := header(1, 1<<30) // room for a gigabyte on stream 2, so that the socket itself fills
	grant[7] = 2
	stream, err := session.Open()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := peer.Write(grant); err != nil {
		t.Fatal(err)
	}
	stuck := make(chan error, 1)
	go func() {
		_, err := stream.Write(make([]byte, 64<<20))
		stuck <- err
	}()
	if err := session.Close(); err != nil {
		t.Errorf("got error %v, want the close to succeed", err)
	}
	if err := <-stuck; err == nil {
		t.Error("64 MiB were written to a peer that reads nothing, want an error")
	}
}
