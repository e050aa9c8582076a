package peer

import (
	"bufio"
	"bytes"
	"context"
	"net"
	"sync"

	"github.com/rmigo/rmigo/bench/payload"
)

// RawPipe is Raw's frames by one connection for all callers, where no caller is woken for each answer: a window of calls is kept
// under way by one writer and one reader, and frames are written together where they can be. It is what could be had from one
// connection if calls cost nothing.
type RawPipe struct{}

const pipeBuffer = 64 << 10

// Serve implements Peer.
func (RawPipe) Serve() (Server, error) {
	l, err := listen()
	if err != nil {
		return nil, err
	}
	return serveConns(l, echoes), nil
}

// echoes sends frames back; those that have arrived together leave together.
func echoes(c net.Conn) {
	r, w := bufio.NewReaderSize(c, pipeBuffer), bufio.NewWriterSize(c, pipeBuffer)
	var buf []byte
	for {
		var err error
		if buf, err = readFrame(r, buf); err != nil {
			return
		}
		if _, err := w.Write(buf); err != nil {
			return
		}
		if r.Buffered() == 0 && w.Flush() != nil {
			return
		}
	}
}

type rawPipeSession struct {
	conn net.Conn
	r    *bufio.Reader
}

// Dial implements Peer.
func (RawPipe) Dial(ctx context.Context, addr string, _ int) (Session, error) {
	c, err := dial(ctx, addr)
	if err != nil {
		return nil, err
	}
	return &rawPipeSession{c, bufio.NewReaderSize(c, pipeBuffer)}, nil
}

func (s *rawPipeSession) Close() error { return s.conn.Close() }

func (*rawPipeSession) Caller(Op, int) (Call, error) { return nil, ErrNone }

// Pipeline implements Pipeliner. The writer takes what the window has free, writes it, and flushes when the window is full; the
// reader gives back, at once, all that has arrived together.
func (s *rawPipeSession) Pipeline(_ context.Context, op Op, window int, o Observer) error {
	frame, err := frameOf(op)
	if err != nil {
		return err
	}
	sent := make(chan int, window) // batches of calls under way, for the reader
	free := make(chan int, window) // calls answered, for the writer
	free <- window
	var writing sync.WaitGroup
	var failure error
	writing.Go(func() { // ends when the observer wants no more, or the connection fails
		defer close(sent)
		failure = s.write(frame, free, sent, o)
		if failure != nil {
			s.conn.Close()
		}
	})
	err = s.read(op, frame, sent, free, o)
	if err != nil {
		s.conn.Close() // ends the writer
		close(free)
		for range sent { // what it has under way is lost
		}
	}
	writing.Wait()
	if failure != nil {
		return answered(op, false, failure)
	}
	return err
}

func (s *rawPipeSession) write(frame []byte, free <-chan int, sent chan<- int, o Observer) error {
	w := bufio.NewWriterSize(s.conn, pipeBuffer)
	for batch := range free {
		for waiting := true; waiting; { // what else has been freed
			select {
			case n, open := <-free:
				batch, waiting = batch+n, open
			default:
				waiting = false
			}
		}
		n, more := 0, true
		for ; n < batch && more; n++ {
			more = o.Sent()
		}
		sent <- n // before they are, so that their answers are read while they are written
		for range n {
			if _, err := w.Write(frame); err != nil {
				return err
			}
		}
		if err := w.Flush(); err != nil || !more {
			return err
		}
	}
	return nil
}

func (s *rawPipeSession) read(op Op, frame []byte, sent <-chan int, free chan<- int, o Observer) error {
	var buf []byte
	thorough := true // of the first answer
	for batch := range sent {
		for batch > 0 {
			done := 0
			for done == 0 || batch > 0 && s.r.Buffered() >= len(frame) {
				var err error
				if buf, err = readFrame(s.r, buf); err != nil {
					return answered(op, false, err)
				}
				if !payload.Resembles(buf, frame) || thorough && !bytes.Equal(buf, frame) {
					return answered(op, false, nil)
				}
				thorough = false
				o.Answered()
				done++
				batch--
			}
			free <- done
		}
	}
	return nil
}
