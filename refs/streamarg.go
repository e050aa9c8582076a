package refs

import (
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"github.com/rmigo/rmigo/internal/wire"
)

// Streams among the arguments of calls: what the caller produces for the method to take, iterators and readers, and what the method
// produces for the caller to take, writers. An argument of the kind travels as its index; 0 is nil.
//
// User code of the caller runs on pumps: goroutines that begin when the method asks for something, or has sent something, and which the
// call waits for before it returns. So an iterator, reader or writer is in nobody's hands after the call.

// chunk is how much of a byte stream a frame has at most.
const chunk = 256 << 10

// strand is a stream among the arguments of a call that is made.
type strand struct {
	produce func(*Producer) error // nil: the callee produces
	stop    func()                // tells produce that no more is wanted, where it waits for something; nil: it does not
	sink    io.Writer             // for what the callee produces
}

// strands are those of a call, and their pumps.
type strands struct {
	all            []strand
	sources, sinks sync.WaitGroup // the pumps
	begun          atomic.Bool    // user code was run: the call is not made again
	mu             sync.Mutex
	failure        error // of a sink
}

// Producer is what feeds a stream, for generated code.
type Producer struct {
	s      *outflow
	face   *Face
	method uint64
}

// Item returns the encoder for the next item; Send sends it.
func (p *Producer) Item() *wire.Encoder { return p.s.begin(p.face, p.method) }

// Send sends the item that was written. After an error no further one is wanted.
func (p *Producer) Send() error { return p.s.send() }

// PutStream writes an argument that is a stream: produce feeds it, on a goroutine of its own, once the method takes some of it.
func (c *Outgoing) PutStream(produce func(*Producer) error) {
	c.putStrand(strand{produce: produce}, produce != nil)
}

// PutReader writes an argument that is a reader.
func (c *Outgoing) PutReader(r io.Reader) {
	s := strand{produce: func(p *Producer) error { return p.s.copy(r, p.s.put) }}
	if w, ok := r.(Waiting); ok {
		s.stop = w.Stop
	}
	c.putStrand(s, r != nil)
}

// Waiting is a reader that may wait for long, and is told when nobody wants what it waits for any more. Stop may be called more than once.
type Waiting interface {
	io.Reader
	Stop()
}

// PutWriter writes an argument that is a writer.
func (c *Outgoing) PutWriter(w io.Writer) { c.putStrand(strand{sink: w}, w != nil) }

func (c *Outgoing) putStrand(s strand, there bool) {
	if !there || c.Args.Err != nil {
		c.Args.Uint16(0)
		return
	}
	if c.strands == nil {
		c.strands = &strands{}
	}
	c.strands.all = append(c.strands.all, s)
	c.Args.Uint16(uint16(len(c.strands.all)))
}

// beginStrands makes the streams among the arguments known, before the call is sent.
func (c *Outgoing) beginStrands() {
	c.strands.failure = nil // of an earlier attempt
	for i, one := range c.strands.all {
		index := uint16(i + 1)
		if one.produce == nil {
			c.pump(&c.strands.sinks, c.drains(c.flows.taking(index, wire.FirstItems, wire.FirstBytes), one.sink))
			continue
		}
		out := c.flows.producing(c.ctx, index, 0, 0)
		out.halt = one.stop
		feed := c.feeds(out, one.produce)
		out.start = func() {
			c.strands.begun.Store(true)
			c.pump(&c.strands.sources, feed)
		}
	}
}

// pump runs user code for a stream.
func (c *Outgoing) pump(group *sync.WaitGroup, f func()) { group.Go(f) } // ends when the iterator, reader or writer has returned; the call waits for it

// feeds returns what has a stream produced, to its end.
func (c *Outgoing) feeds(out *outflow, produce func(*Producer) error) func() {
	p := &Producer{out, c.face, c.method}
	return func() {
		err := error(&Error{Kind: ErrPanic, Err: errors.New("the iterator or reader ended its goroutine by runtime.Goexit")})
		defer func() { out.end(p.failure(err)) }()
		err = p.guard(produce)
	}
}

// failure is the error item of a stream's END.
func (p *Producer) failure(err error) []byte {
	if err == nil || err == error(errRefused) || err == error(errCallOver) {
		return nil
	}
	return wire.AppendError(p.face.codecOf(p.s.of.link.node), p.face.table, nil, nil, err)
}

// guard runs user code that produces.
func (p *Producer) guard(produce func(*Producer) error) error {
	return guarded(p.s.of.link.node, p.face.methodName(p.method), func() error { return produce(p) })
}

// guarded runs user code of a pump. What it panics with is its error, as a panic of a method called back is that call's.
func guarded(n *Node, method string, run func() error) (err error) {
	returned := false
	defer func() {
		if returned {
			return
		}
		what := fmt.Sprint(recover()) // nil: it ends its goroutine
		n.report(n.cfg.log.Error, "panic in a stream among arguments", "method", method, "panic", what, "stack", string(debug.Stack()))
		err = &Error{Kind: ErrPanic, Err: errors.New(what)}
	}()
	err = run()
	returned = true
	return err
}

// drains returns what writes to a sink what the callee produces, until its end.
func (c *Outgoing) drains(in *inflow, sink io.Writer) func() {
	s, ctx, f, method := c.strands, c.ctx, c.face, c.face.methodName(c.method)
	n := in.of.link.node
	return func() {
		bad := error(&Error{Kind: ErrPanic, Err: errors.New("the writer ended its goroutine by runtime.Goexit")})
		defer func() { // also where it does so
			if bad != nil {
				s.fail(bad)
				in.leave(wire.AppendError(f.codecOf(n), f.table, nil, nil, bad))
			}
		}()
		for {
			p, err := in.await(ctx)
			if err != nil {
				if bad = nil; in.overloaded() { // which the callee is told of
					bad = err
					return
				}
				s.fail(err)
				return
			}
			s.begun.Store(true)
			err = guarded(n, method, func() error { return writeAll(sink, p.body) })
			if in.done(p, false); err != nil {
				bad = err
				return
			}
			in.grant()
		}
	}
}

// writeAll writes all of b, or returns why not.
func writeAll(w io.Writer, b []byte) error {
	switch n, err := w.Write(b); {
	case err != nil:
		return err
	case n < 0 || n > len(b):
		return errors.New("a writer has returned a count that cannot be")
	case n < len(b):
		return io.ErrShortWrite
	}
	return nil
}

// fail notes why a sink has not got all.
func (s *strands) fail(why error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failure == nil && why != errNoMore && why != error(errCallOver) {
		s.failure = why
	}
}

// settleStrands waits, after a good reply, until sinks have all that the method has written. A sink that failed fails the call.
func (c *Outgoing) settleStrands() {
	if c.strands == nil || c.err != nil || c.flags&wire.ReplyNotStarted != 0 {
		return
	}
	c.strands.sinks.Wait()
	if failure := c.strands.failure; failure != nil && c.failure == nil {
		if e, ok := failure.(*Error); ok { // the runtime's
			c.give(asError(e))
			return
		}
		c.failure = failure
	}
}

// Taker is a stream that the method takes, for generated code. It stays valid after the call, and is at its end then.
type Taker struct {
	ctx     *callContext
	flows   *flows
	face    *Face
	filters [2]Filter
	index   uint16
	used    atomic.Bool

	in   *inflow // of a reader
	rest piece   // of which body is what has not been read
	err  error
}

// Take reads an argument that is a stream; nil where it is nil.
func (in *Incoming) Take() *Taker {
	index := in.strand()
	if index == 0 {
		return nil
	}
	t := &Taker{ctx: in.ctx, flows: in.streams(), face: in.face, index: index}
	t.filters = [2]Filter{in.ctx.export.Load().admits(), in.node.cfg.Filter}
	return t
}

// strand reads the index of a stream, which must be new.
func (in *Incoming) strand() (index uint16) {
	in.Args.Uint16(&index)
	if in.Args.Err != nil || index == 0 {
		return 0
	}
	if index <= in.strands {
		in.Args.Fail(fmt.Errorf("stream %d where one beyond %d is expected", index, in.strands))
		return 0
	}
	in.strands = index
	return index
}

var errTwice = errors.New("a stream among the arguments is ranged over once: the caller's iterator has been")

// Each reads the items, until item wants no more. It returns with what the stream has ended with.
func (t *Taker) Each(item func(*wire.Decoder) bool) error {
	if t.used.Swap(true) {
		return errTwice
	}
	in := t.begin()
	defer in.leave(nil)
	for {
		p, err := in.await(t.ctx)
		if err == errNoMore {
			return t.failure(in)
		}
		if err != nil {
			return err
		}
		left, bad := in.read(p, t.face, t.filters, item)
		switch {
		case bad != nil:
			kind, reason := codecKind(bad)
			return &Error{Kind: kind, Reason: reason, Err: bad}
		case left:
			return nil
		}
	}
}

func (t *Taker) begin() *inflow {
	in := t.flows.taking(t.index, 0, 0)
	if in.crowded() {
		in.fail(tooManyStreams(t.flows.link.node))
		return in
	}
	in.grant()
	return in
}

// failure is the error that the caller's side has ended the stream with.
func (t *Taker) failure(in *inflow) error {
	if len(in.failure) == 0 {
		return nil
	}
	err, _, bad := wire.ReadError(t.face.codecOf(t.flows.link.node), t.face.table, nil, in.failure)
	if bad != nil {
		return &Error{Kind: ErrUnmarshal, Err: bad}
	}
	return err
}

// Read implements io.Reader for a stream of bytes.
func (t *Taker) Read(p []byte) (int, error) {
	if len(p) == 0 || !t.fill() {
		return 0, t.err
	}
	n := copy(p, t.rest.body)
	t.advance(n)
	return n, nil
}

// WriteTo implements io.WriterTo: what has arrived is written as it is.
func (t *Taker) WriteTo(w io.Writer) (written int64, err error) {
	for t.fill() {
		n, err := w.Write(t.rest.body)
		if err == nil && n < len(t.rest.body) {
			err = io.ErrShortWrite
		}
		t.advance(min(max(n, 0), len(t.rest.body)))
		written += int64(n)
		if err != nil {
			return written, err
		}
	}
	if t.err == io.EOF {
		return written, nil
	}
	return written, t.err
}

// fill has something to read; false: there is nothing, and err says why.
func (t *Taker) fill() bool {
	for t.err == nil && len(t.rest.body) == 0 {
		if t.in == nil {
			t.in = t.begin()
		}
		if t.rest, t.err = t.in.await(t.ctx); t.err == errNoMore {
			if t.err = t.failure(t.in); t.err == nil {
				t.err = io.EOF
			}
		}
	}
	return t.err == nil
}

// advance notes that so much was read.
func (t *Taker) advance(n int) {
	if t.rest.body = t.rest.body[n:]; len(t.rest.body) > 0 {
		return
	}
	t.in.done(t.rest, false)
	t.in.grant()
	t.rest = piece{}
}

// Feeder is a writer among the arguments, for generated code: what is written travels to the caller's. It stays valid after the call, and
// takes nothing then.
type Feeder struct {
	mu   sync.Mutex
	ctx  *callContext
	s    *outflow
	face *Face
}

// Feed reads an argument that is a writer; nil where it is nil.
func (in *Incoming) Feed() *Feeder {
	index := in.strand()
	if index == 0 {
		return nil
	}
	f := &Feeder{ctx: in.ctx, s: in.produce(index), face: in.face}
	in.feeds = append(in.feeds, f.s)
	return f
}

// Write implements io.Writer. It returns when p is on its way; an error of the caller's writer comes with a later Write, or is the call's.
func (f *Feeder) Write(p []byte) (n int, err error) {
	for len(p) > 0 {
		part := p[:min(len(p), chunk)]
		if err := f.put(parcel{}, part); err != nil {
			return n, err
		}
		n += len(part)
		p = p[len(part):]
	}
	return n, nil
}

// put sends one goroutine's piece at a time.
func (f *Feeder) put(p parcel, body []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.s.put(p, body); err != nil {
		return f.why(err)
	}
	return nil
}

// ReadFrom implements io.ReaderFrom: what is read is sent from where it was read to.
func (f *Feeder) ReadFrom(r io.Reader) (int64, error) {
	from := &counted{r: r}
	err := f.s.copy(from, f.put)
	return from.n, err
}

// counted counts what is read.
type counted struct {
	r io.Reader
	n int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(max(n, 0))
	return n, err
}

// why says why nothing more is taken: the error of the caller's writer, if there is one.
func (f *Feeder) why(err error) error {
	f.s.mu.Lock()
	item := f.s.failure
	f.s.mu.Unlock()
	if len(item) > 0 {
		if failed, _, bad := wire.ReadError(f.face.codecOf(f.s.of.link.node), f.face.table, nil, item); bad == nil && failed != nil {
			return failed
		}
	}
	if f.ctx.Err() != nil {
		return contextError(f.ctx)
	}
	return err
}
