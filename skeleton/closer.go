package skeleton

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
	"weak"

	"github.com/rmigo/rmigo/refs"
	"github.com/rmigo/rmigo/stub"
)

// Readers and writers that methods return, for the caller to close.
//
// Such a one stays in its process, and is exported anew each time that one is returned, as an object of one of the interfaces below. What
// the caller gets makes a call when it is first used, which lasts until it is closed: of a reader the method that writes to a writer, of a
// writer the one that reads from a reader. So what holds of these streams holds here.
//
// Invariants: the one in the method's process is closed once, whoever is first: the caller's Close, the collector where the caller's is
// garbage or its process is gone, or the end of the node. One goroutine at a time uses it.

// readable is what stands for an io.ReadCloser.
type readable interface {
	// Copy writes to w all that there is to read.
	Copy(ctx context.Context, w io.Writer) error
	Close(ctx context.Context) error
}

// writable is what stands for an io.WriteCloser.
type writable interface {
	// Fill writes all that r has, and closes then.
	Fill(ctx context.Context, r io.Reader) error
	Close(ctx context.Context) error
	// Abort closes it as one that has not all.
	Abort(ctx context.Context, why error) error
}

var (
	remoteReadable = &Interface[readable]{
		Path: "io.ReadCloser",
		Methods: []Method{
			{ID: closerClose, Signature: "Close() error"},
			{ID: readableCopy, Signature: "Copy(io.Writer) error", Takes: true},
		},
		Stub:    func(r stub.Ref) readable { return closerStub{r} },
		Servant: readableSkeleton{},
	}
	remoteWritable = &Interface[writable]{
		Path: "io.WriteCloser",
		Methods: []Method{
			{ID: writableAbort, Signature: "Abort(error) error"},
			{ID: closerClose, Signature: "Close() error"},
			{ID: writableFill, Signature: "Fill(io.Reader) error", Takes: true},
		},
		Stub:    func(r stub.Ref) writable { return closerStub{r} },
		Servant: writableSkeleton{},
	}
)

const (
	closerClose   uint64 = 0xac748038ec8ef38e
	readableCopy  uint64 = 0xe7d236f62758f5e2
	writableFill  uint64 = 0xd73496c077ecb535
	writableAbort uint64 = 0x87cc261de655f44
)

type closerStub struct{ stub.Ref }

func (s closerStub) Close(ctx context.Context) error {
	call := s.Ref.Call(ctx, closerClose)
	call.Invoke()
	return call.Finish()
}

func (s closerStub) Copy(ctx context.Context, w io.Writer) error {
	call := s.Ref.Call(ctx, readableCopy)
	call.PutWriter(w)
	call.Invoke()
	return call.Finish()
}

func (s closerStub) Fill(ctx context.Context, r io.Reader) error {
	call := s.Ref.Call(ctx, writableFill)
	call.PutReader(r)
	call.Invoke()
	return call.Finish()
}

func (s closerStub) Abort(ctx context.Context, why error) error {
	call := s.Ref.Call(ctx, writableAbort)
	call.Args.Error(why)
	call.Invoke()
	return call.Finish()
}

type (
	readableSkeleton struct{}
	writableSkeleton struct{}
)

func (readableSkeleton) Types() []Type { return nil }
func (writableSkeleton) Types() []Type { return nil }

func (readableSkeleton) Dispatch(ctx context.Context, impl readable, call *Call) error {
	switch call.Method {
	case readableCopy:
		var w io.Writer
		GetWriter(call, &w)
		if err := call.Begin(); err != nil {
			return err
		}
		return impl.Copy(ctx, w)
	case closerClose:
		if err := call.Begin(); err != nil {
			return err
		}
		return impl.Close(ctx)
	}
	return call.NoSuchMethod()
}

func (writableSkeleton) Dispatch(ctx context.Context, impl writable, call *Call) error {
	switch call.Method {
	case writableFill:
		var r io.Reader
		GetReader(call, &r)
		if err := call.Begin(); err != nil {
			return err
		}
		return impl.Fill(ctx, r)
	case closerClose:
		if err := call.Begin(); err != nil {
			return err
		}
		return impl.Close(ctx)
	case writableAbort:
		var why error
		call.Args.Error(&why)
		if err := call.Begin(); err != nil {
			return err
		}
		return impl.Abort(ctx, why)
	}
	return call.NoSuchMethod()
}

// PutReadCloser writes a result that is an io.ReadCloser: by reference. The runtime closes it when the caller has, or cannot any more.
func PutReadCloser(call *Call, r io.ReadCloser) {
	if r == nil {
		putCloser[readable](call, remoteReadable, nil, nil)
		return
	}
	l := &lent{c: r, turn: make(chan struct{}, 1)}
	putCloser[readable](call, remoteReadable, &readableObject{l, r}, l)
}

// PutWriteCloser is PutReadCloser for an io.WriteCloser. Where that has a method CloseWithError(error) error, as an io.PipeWriter has, this
// is what it is closed by if the caller did not close it.
func PutWriteCloser(call *Call, w io.WriteCloser) {
	if w == nil {
		putCloser[writable](call, remoteWritable, nil, nil)
		return
	}
	l := &lent{c: w, turn: make(chan struct{}, 1)}
	putCloser[writable](call, remoteWritable, &writableObject{l, w}, l)
}

func putCloser[T any](call *Call, d *Interface[T], object T, l *lent) {
	d = inMessagesOf(d, call.Interface())
	d.Put(&call.Results, object)
	switch {
	case l == nil:
	case call.Results.Err != nil:
		l.close(errAbandoned)
	default:
		l.atEnd(call)
	}
}

// inMessagesOf returns the interface with what the messages of another one may carry, so that errors are what they are.
func inMessagesOf[T any](d *Interface[T], of refs.Descriptor) *Interface[T] {
	if of == nil {
		return d
	}
	return d.Using(refs.Entries(of)...)
}

// lent is a reader or writer that a method has returned.
type lent struct {
	c    io.Closer
	turn chan struct{} // holds a value while it is used

	once   sync.Once
	closed atomic.Bool
	err    error       // of its Close
	forget func() bool // has the end of the node mean nothing any more; guarded by mu
	mu     sync.Mutex
}

// grace is how long one is waited for that is in a Read or a Write and is to be closed; then it is closed all the same, since as a rule
// nothing else has it return.
const grace = 100 * time.Millisecond

var (
	errInUse     = errors.New("it is in use by another call")
	errAbandoned = errors.New("nobody has it any more, and nobody has closed it")
	errStopped   = errors.New("the call that takes what is written is over")
)

// atEnd has it closed when the node is.
func (l *lent) atEnd(call *Call) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed.Load() {
		l.forget = call.AtEnd(func() { l.close(errAbandoned) })
	}
}

// use runs f, which uses it. One call does at a time.
func (l *lent) use(f func() error) error {
	select {
	case l.turn <- struct{}{}:
	default:
		return errInUse
	}
	defer func() { <-l.turn }()
	if l.closed.Load() {
		return fs.ErrClosed
	}
	return f()
}

// close closes it, once it is not in use if that is soon; why is nil where the caller wants it.
func (l *lent) close(why error) error {
	l.once.Do(func() {
		l.end()
		timer := time.NewTimer(grace)
		defer timer.Stop()
		select {
		case l.turn <- struct{}{}:
			defer func() { <-l.turn }()
		case <-timer.C:
		}
		l.err = l.shut(why)
	})
	return l.err
}

// closeInUse is close for who uses it.
func (l *lent) closeInUse(why error) error {
	l.once.Do(func() {
		l.end()
		l.err = l.shut(why)
	})
	return l.err
}

func (l *lent) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed.Store(true); l.forget != nil {
		l.forget()
	}
}

func (l *lent) shut(why error) error {
	if c, ok := l.c.(interface{ CloseWithError(error) error }); ok && why != nil {
		return c.CloseWithError(why)
	}
	return l.c.Close()
}

func (l *lent) Close(context.Context) error { return l.close(nil) }

// Unreferenced is called when nobody has it any more.
func (l *lent) Unreferenced() { l.close(errAbandoned) }

type readableObject struct {
	*lent
	r io.Reader
}

func (o *readableObject) Copy(_ context.Context, w io.Writer) error {
	return o.use(func() error {
		_, err := io.Copy(w, o.r)
		return err
	})
}

type writableObject struct {
	*lent
	w io.Writer
}

func (o *writableObject) Fill(_ context.Context, r io.Reader) error {
	return o.use(func() error {
		to := &failing{w: o.w}
		_, err := io.Copy(to, r)
		switch {
		case err == nil:
			return o.closeInUse(nil)
		case to.err == nil: // the caller's reader, or the way to it
			o.closeInUse(err)
		}
		return err
	})
}

func (o *writableObject) Abort(_ context.Context, why error) error {
	if why == nil {
		why = errAbandoned
	}
	return o.close(why)
}

// failing notes that a writer has failed.
type failing struct {
	w   io.Writer
	err error
}

func (f *failing) Write(p []byte) (int, error) {
	n, err := f.w.Write(p)
	if err != nil {
		f.err = err
	}
	return n, err
}

// GetReadCloser reads a result that is an io.ReadCloser.
func GetReadCloser(call *stub.Call, p *io.ReadCloser) {
	var object readable
	if getCloser(call, remoteReadable, &object); object != nil {
		in := &reading{borrowed: borrow(call, object), object: object}
		in.atEnd(call, func() { in.close(nodeClosed()) })
		r := &remoteReader{in}
		runtime.AddCleanup(r, (*garbage).close, &garbage{in: weak.Make(in)})
		*p = r
	}
}

// GetWriteCloser reads a result that is an io.WriteCloser. What it makes has a method CloseWithError(error) error, which gives up.
func GetWriteCloser(call *stub.Call, p *io.WriteCloser) {
	var object writable
	if getCloser(call, remoteWritable, &object); object != nil {
		out := &writing{borrowed: borrow(call, object), object: object}
		out.atEnd(call, func() { out.abort(nodeClosed(), nodeClosed()) })
		w := &remoteWriter{out}
		runtime.AddCleanup(w, (*garbage).close, &garbage{out: weak.Make(out)})
		*p = w
	}
}

func getCloser[T any](call *stub.Call, d *Interface[T], p *T) {
	if call.Results.Err == nil {
		inMessagesOf(d, call.Interface()).Get(&call.Results, p)
	}
}

// garbage closes what programs have no more of. It is a root, so that it must not keep the node, which keeps what it closes.
type garbage struct {
	in  weak.Pointer[reading]
	out weak.Pointer[writing]
}

func (g *garbage) close() {
	if in := g.in.Value(); in != nil {
		go in.close(errAbandoned) // ends when the other process has closed its own, or is lost
	}
	if out := g.out.Value(); out != nil {
		go out.abort(errAbandoned, errAbandoned) // likewise
	}
}

func nodeClosed() error {
	return &refs.Error{Op: "call", Kind: refs.ErrNodeClosed, Err: errors.New("this node was closed")}
}

// borrowed is a reader or writer that another process has, at the caller. The node and the call that is made know of it alone, and not of
// what programs have, so that this can become garbage.
type borrowed struct {
	ctx    context.Context // of the call
	base   context.Context // of a Close
	cancel context.CancelFunc
	handle *refs.Handle
	from   *io.PipeReader
	to     *io.PipeWriter

	mu     sync.Mutex
	over   chan struct{} // closed when the call is over; nil: there is none yet
	closed error         // why nothing more is wanted; nil: it is
	forget func() bool   // has the end of the node mean nothing any more
	once   sync.Once
	err    error // of Close
}

func borrow(call *stub.Call, object any) *borrowed {
	b := &borrowed{base: call.Apart(), handle: handleOf(object)}
	b.ctx, b.cancel = context.WithCancel(b.base)
	b.from, b.to = io.Pipe()
	return b
}

// atEnd has f run when the node is closed.
func (b *borrowed) atEnd(call *stub.Call, f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.forget = call.AtEnd(f)
}

// begin reports whether the call is to be made now; the channel is to be closed when it is over.
func (b *borrowed) begin() (over chan struct{}, now bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.closed != nil:
		return nil, false, b.closed
	case b.over != nil:
		return nil, false, nil
	}
	b.over = make(chan struct{})
	return b.over, true, nil
}

// end says that nothing more is wanted, and returns the channel of the call, if there is one.
func (b *borrowed) end(why error) (over chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = why
	return b.over
}

// release lets go of the object.
func (b *borrowed) release() {
	b.cancel()
	b.mu.Lock()
	forget := b.forget
	b.mu.Unlock()
	forget()
	if b.handle != nil { // else it is of this process
		b.handle.Release()
	}
}

// outcome is an error of the pipe as who uses it is to see it; failed is that of the call, once it is over, where the pipe does not know it.
func (b *borrowed) outcome(err error, failed *error) error {
	if err != io.ErrClosedPipe && err != errStopped {
		return err
	}
	b.mu.Lock()
	over, closed := b.over, b.closed
	b.mu.Unlock()
	switch {
	case closed != nil:
		return closed
	case failed == nil: // it is the other process's
		return err
	}
	<-over
	return *failed
}

// reading is a reader of another process.
type reading struct {
	*borrowed
	object readable
}

// remoteReader is what programs have of it.
type remoteReader struct{ in *reading }

func (r *remoteReader) Read(p []byte) (int, error) {
	defer runtime.KeepAlive(r)
	over, now, err := r.in.begin()
	if err != nil {
		return 0, err
	}
	if now {
		go r.in.copy(r.in.to, over) // ends with the reader: at its end, when it is closed or garbage, or with the connection
	}
	n, err := r.in.from.Read(p)
	return n, r.in.outcome(err, nil)
}

// WriteTo implements io.WriterTo: what arrives is written as it is.
func (r *remoteReader) WriteTo(w io.Writer) (int64, error) {
	defer runtime.KeepAlive(r)
	over, now, err := r.in.begin()
	if err != nil {
		return 0, err
	}
	if !now {
		n, err := io.Copy(w, r.in.from)
		return n, r.in.outcome(err, nil)
	}
	to := &counting{w: w}
	err = r.in.copy(to, over)
	return to.n, err
}

func (r *remoteReader) Close() error {
	defer runtime.KeepAlive(r)
	return r.in.close(fs.ErrClosed)
}

// copy makes the call.
func (in *reading) copy(w io.Writer, over chan struct{}) error {
	defer close(over)
	err := in.object.Copy(in.ctx, w)
	in.to.CloseWithError(err)
	return err
}

func (in *reading) close(why error) error {
	in.once.Do(func() { // which may be in a Write that the call makes: that is not waited for
		in.end(why)
		in.cancel()
		in.from.Close()
		in.err = in.object.Close(in.base)
		in.release()
	})
	return in.err
}

// counting counts what is written.
type counting struct {
	w io.Writer
	n int64
}

func (c *counting) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

// writing is a writer of another process.
type writing struct {
	*borrowed
	object  writable
	failed  error     // of the call; there once that is over
	gaveUp  sync.Once // that is abort
	aborted atomic.Bool
	ended   atomic.Bool // by close
	lost    error       // of abort
}

// remoteWriter is what programs have of it.
type remoteWriter struct{ out *writing }

func (w *remoteWriter) Write(p []byte) (int, error) {
	defer runtime.KeepAlive(w)
	over, now, err := w.out.begin()
	if err != nil || len(p) == 0 && !now {
		return 0, err
	}
	if now {
		go w.out.fill(over) // ends when the writer is closed or garbage, with its first error, or with the connection
	}
	n, err := w.out.to.Write(p)
	return n, w.out.outcome(err, &w.out.failed)
}

// ReadFrom implements io.ReaderFrom: what is read goes in large pieces.
func (w *remoteWriter) ReadFrom(r io.Reader) (int64, error) {
	return io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{r}, make([]byte, 256<<10))
}

func (w *remoteWriter) Close() error {
	defer runtime.KeepAlive(w)
	return w.out.close()
}

// CloseWithError gives up, a Close that is under way too: the other process does not close its writer as one that has all, if that can be
// told so.
func (w *remoteWriter) CloseWithError(why error) error {
	defer runtime.KeepAlive(w)
	if why == nil {
		return w.out.close()
	}
	return w.out.abort(fs.ErrClosed, why)
}

// fill makes the call.
func (out *writing) fill(over chan struct{}) {
	defer close(over)
	out.failed = out.object.Fill(out.ctx, source{out.from})
	out.from.CloseWithError(errStopped)
}

// source is what the call reads from.
type source struct{ *io.PipeReader }

// Stop implements refs.Waiting: the call takes no more.
func (s source) Stop() { s.CloseWithError(errStopped) }

// close closes the writer once all is written there.
func (out *writing) close() error {
	if out.aborted.Load() {
		out.gaveUp.Do(func() {})
		return out.lost
	}
	out.once.Do(func() {
		over := out.end(fs.ErrClosed)
		out.to.Close()
		if over != nil {
			<-over
			out.err = out.failed
		}
		if over == nil || out.err != nil {
			if err := out.object.Close(out.base); out.err == nil {
				out.err = err
			}
		}
		out.ended.Store(true)
		out.release()
	})
	return out.err
}

// abort closes it without that, unless it is closed; later writes end in closed.
func (out *writing) abort(closed, why error) error {
	if out.ended.Load() {
		return nil
	}
	out.gaveUp.Do(func() {
		out.aborted.Store(true)
		out.end(closed)
		out.to.CloseWithError(why)
		timer := time.AfterFunc(2*grace, out.cancel) // the call, which may wait for a Write that does not return
		out.lost = out.object.Abort(out.base, why)
		timer.Stop()
		out.release()
	})
	return out.lost
}
