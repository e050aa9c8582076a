package rmi_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"iter"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"github.com/rmigo/rmigo/internal/leak"
	"github.com/rmigo/rmigo/internal/testobj"
	"github.com/rmigo/rmigo/rmi"
)

// drain implements testobj.Drain.
type drain struct {
	ended chan error // how the context of a call of Upload or Merge was when its stream ended
	kept  chan any   // streams that outlive their calls
}

func newDrain() *drain { return &drain{make(chan error, 100), make(chan any, 100)} }

func (d *drain) Sum(_ context.Context, numbers iter.Seq2[int64, error]) (sum int64, err error) {
	for n, err := range numbers {
		if err != nil {
			return sum, err
		}
		if sum += n; n == 1_000_000 {
			break
		}
	}
	return sum, nil
}

func (d *drain) Merge(c context.Context, how string, a, b iter.Seq2[testobj.Item, error]) iter.Seq2[testobj.Item, error] {
	return func(yield func(testobj.Item, error) bool) {
		if how == "keep" {
			d.kept <- a
			return
		}
		next, stop := iter.Pull2(b)
		defer stop()
		for x, err := range a {
			if err != nil {
				yield(x, fmt.Errorf("the first stream: %w", err))
				d.ended <- context.Cause(c)
				return
			}
			y, err, ok := next()
			if ok && err != nil {
				yield(y, fmt.Errorf("the second stream: %w", err))
				d.ended <- context.Cause(c)
				return
			}
			if !ok || !yield(testobj.Item{Name: x.Name + y.Name, Seen: x.Seen}, nil) {
				d.ended <- context.Cause(c)
				return
			}
		}
		if how == "twice" {
			for _, err := range a {
				yield(testobj.Item{}, err)
				return
			}
		}
	}
}

func (d *drain) Upload(c context.Context, how string, r io.Reader) (int64, uint32, error) {
	h := crc32.NewIEEE()
	switch how {
	case "nil":
		if r != nil {
			return 0, 0, errors.New("a nil reader arrived as another one")
		}
		return 0, 0, nil
	case "check":
		return 0, 0, iotest.TestReader(r, text(100_000))
	case "some":
		n, err := io.CopyN(h, r, 10)
		return n, h.Sum32(), err
	case "none":
		return 0, 0, nil
	case "bytes":
		n, err := io.Copy(h, iotest.OneByteReader(r))
		return n, h.Sum32(), err
	case "keep":
		io.CopyN(h, r, 10)
		d.kept <- r
		return 0, 0, nil
	}
	n, err := io.Copy(h, r)
	d.ended <- context.Cause(c)
	return n, h.Sum32(), err
}

func (d *drain) Download(_ context.Context, size int, w io.Writer) error {
	if size < 0 {
		panic("no size")
	}
	for n := 0; n < size; n += 1000 {
		if _, err := w.Write(text(min(1000, size-n))); err != nil {
			return fmt.Errorf("download: %w", err)
		}
	}
	d.kept <- w
	return nil
}

func (d *drain) Pipe(_ context.Context, r io.Reader, w io.Writer) (int64, error) {
	return io.Copy(w, r)
}

func (d *drain) Ping(context.Context) error { return nil }

func (w *world) drained(o rmi.Options) (impl *drain, server *rmi.Node, remote testobj.Drain, client *rmi.Node) {
	w.t.Helper()
	server, _ = w.server(rmi.Options{})
	client = w.node(o)
	impl = newDrain()
	ref, err := rmi.Export(server, testobj.RemoteDrain.Of(impl))
	if err != nil {
		w.t.Fatal(err)
	}
	return impl, server, resolved(w.t, client, testobj.RemoteDrain, ref), client
}

// numbers yields from 1 to n, and err after that; it counts in made, and running is how many run.
func numbers(n int64, err error, made, running *atomic.Int64) iter.Seq2[int64, error] {
	return func(yield func(int64, error) bool) {
		running.Add(1)
		defer running.Add(-1)
		for i := range n {
			made.Add(1)
			if !yield(i+1, nil) {
				return
			}
		}
		if err != nil {
			yield(0, err)
		}
	}
}

func TestAStreamAsArgumentIsReadByTheMethod(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		_, server, remote, client := w.drained(rmi.Options{})
		var made, running atomic.Int64
		for _, n := range []int64{0, 1, 1000, 100_000} {
			sum, err := remote.Sum(ctx(t), numbers(n, nil, &made, &running))
			if want := n * (n + 1) / 2; sum != want || err != nil {
				t.Errorf("the sum to %d is %d, %v; want %d", n, sum, err, want)
			}
		}
		if _, err := remote.Sum(ctx(t), numbers(3, testobj.ErrEmpty, &made, &running)); !errors.Is(err, testobj.ErrEmpty) {
			t.Errorf("an iterator's error arrived as %v", err)
		}
		if _, err := remote.Sum(ctx(t), func(func(int64, error) bool) { panic("no numbers") }); !errors.Is(err, rmi.ErrPanic) || !strings.Contains(err.Error(), "no numbers") {
			t.Errorf("an iterator's panic arrived as %v", err)
		}
		if _, err := remote.Sum(ctx(t), func(func(int64, error) bool) { runtime.Goexit() }); !errors.Is(err, rmi.ErrPanic) {
			t.Errorf("the end of an iterator's goroutine arrived as %v", err)
		}
		// The method leaves in the middle: when the call returns, the iterator has stopped.
		made.Store(0)
		sum, err := remote.Sum(ctx(t), numbers(1<<40, nil, &made, &running))
		if sum != 500_000_500_000 || err != nil || running.Load() != 0 {
			t.Errorf("the sum is %d, %v, and %d iterators run", sum, err, running.Load())
		}
		if ahead := made.Load() - 1_000_000; ahead > 8<<10+1 {
			t.Errorf("%d items were made beyond what was read, which is more than its credit", ahead)
		}
		streamsEnded(t, server, client)
	})
}

func items(texts ...string) iter.Seq2[testobj.Item, error] {
	return func(yield func(testobj.Item, error) bool) {
		for _, text := range texts {
			if !yield(testobj.Item{Name: text, Seen: &listener{}}, nil) {
				return
			}
		}
	}
}

func TestStreamsOfBothDirectionsRunAtOnce(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		impl, server, remote, client := w.drained(rmi.Options{})
		var got []string
		for item, err := range remote.Merge(ctx(t), "", items("a", "b", "c"), items("x", "y", "z", "more")) {
			if err != nil {
				t.Fatal(err)
			}
			if _, err := item.Seen.Hear(ctx(t), ""); err != nil {
				t.Fatal(err)
			}
			got = append(got, item.Name)
		}
		if fmt.Sprint(got) != "[ax by cz]" {
			t.Errorf("merged: %v", got)
		}
		fails := func(yield func(testobj.Item, error) bool) { yield(testobj.Item{}, testobj.ErrEmpty) }
		var last error
		for _, last = range remote.Merge(ctx(t), "", fails, items()) {
		}
		if !errors.Is(last, testobj.ErrEmpty) || !strings.Contains(last.Error(), "the first stream") {
			t.Errorf("a stream that failed among the arguments ended the other in %v", last)
		}
		for _, last = range remote.Merge(ctx(t), "twice", items("a"), items("b")) {
		}
		if last == nil || !strings.Contains(last.Error(), "ranged over once") {
			t.Errorf("a stream that is ranged over twice yields %v", last)
		}
		// Who leaves the result's loop ends all of them.
		endless := func(yield func(testobj.Item, error) bool) {
			for yield(testobj.Item{}, nil) {
			}
		}
		for len(impl.ended) > 0 {
			<-impl.ended
		}
		for range remote.Merge(ctx(t), "", endless, endless) {
			break
		}
		if cause := <-impl.ended; !errors.Is(cause, context.Canceled) {
			t.Errorf("the callee's context ended in %v", cause)
		}
		// What the method keeps is at its end after the call.
		for _, err := range remote.Merge(ctx(t), "keep", items("a"), nil) {
			t.Error(err)
		}
		for _, err := range (<-impl.kept).(iter.Seq2[testobj.Item, error]) {
			if err == nil {
				t.Error("a stream brings an item after its call")
			}
		}
		streamsEnded(t, server, client)
	})
}

func TestReadersArriveAsTheyAre(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		impl, server, remote, client := w.drained(rmi.Options{})
		content := text(300_000)
		errBroken := fmt.Errorf("the disk: %w", testobj.ErrEmpty)
		for _, c := range []struct {
			name, how string
			r         io.Reader
			want      []byte
			err       error
		}{
			{"nothing", "", bytes.NewReader(nil), nil, nil},
			{"one byte", "", bytes.NewReader(content[:1]), content[:1], nil},
			{"all at once", "", bytes.NewReader(content), content, nil},
			{"byte by byte", "", iotest.OneByteReader(bytes.NewReader(content[:5000])), content[:5000], nil},
			{"by halves", "", iotest.HalfReader(bytes.NewReader(content)), content, nil},
			{"the end with the data", "", iotest.DataErrReader(bytes.NewReader(content)), content, nil},
			{"an error", "", io.MultiReader(bytes.NewReader(content), iotest.ErrReader(errBroken)), content, testobj.ErrEmpty},
			{"a reader that gets nowhere", "", idle{}, nil, io.ErrNoProgress},
			{"read byte by byte", "bytes", bytes.NewReader(content[:5000]), content[:5000], nil},
			{"not all of it", "some", bytes.NewReader(content), content[:10], nil},
			{"not all of what has no end", "some", endlessReader{}, make([]byte, 10), nil},
			{"none of it", "none", endlessReader{}, nil, nil},
		} {
			size, sum, err := remote.Upload(ctx(t), c.how, c.r)
			if !errors.Is(err, c.err) || size != int64(len(c.want)) || c.how != "none" && sum != crc32.ChecksumIEEE(c.want) {
				t.Errorf("%s: %d bytes with checksum %d, %v; want %d, %d, %v", c.name, size, sum, err, len(c.want), crc32.ChecksumIEEE(c.want), c.err)
			}
		}
		if _, _, err := remote.Upload(ctx(t), "nil", nil); err != nil {
			t.Error(err)
		}
		if _, _, err := remote.Upload(ctx(t), "check", bytes.NewReader(text(100_000))); err != nil {
			t.Errorf("testing/iotest finds: %v", err)
		}
		if _, _, err := remote.Upload(ctx(t), "keep", bytes.NewReader(content)); err != nil {
			t.Error(err)
		}
		if _, err := io.Copy(io.Discard, (<-impl.kept).(io.Reader)); err == nil {
			t.Error("a reader is read to its end after its call")
		}
		streamsEnded(t, server, client)
	})
}

type idle struct{}

func (idle) Read([]byte) (int, error) { return 0, nil }

type endlessReader struct{}

func (endlessReader) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestWritersGetWhatTheMethodWrites(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		impl, server, remote, client := w.drained(rmi.Options{})
		for _, size := range []int{0, 1, 1000, 300_000} {
			var got bytes.Buffer
			if err := remote.Download(ctx(t), size, &got); err != nil || got.Len() != size {
				t.Errorf("%d bytes were written, %v; want %d", got.Len(), err, size)
			}
			if _, err := (<-impl.kept).(io.Writer).Write([]byte("late")); err == nil {
				t.Error("a writer takes something after its call")
			}
		}
		full := &fullWriter{room: 100_000}
		if err := remote.Download(ctx(t), 50<<20, full); !errors.Is(err, testobj.ErrEmpty) {
			t.Errorf("a writer that failed: %v", err)
		}
		if err := remote.Download(ctx(t), 100_500, &fullWriter{room: 100_000}); !errors.Is(err, testobj.ErrEmpty) {
			t.Errorf("a writer that failed at the end: %v", err)
		}
		if err := remote.Download(ctx(t), -1, full); !errors.Is(err, rmi.ErrPanic) {
			t.Errorf("a method that panicked: %v", err)
		}
		var got bytes.Buffer
		content := text(3 << 20)
		if n, err := remote.Pipe(ctx(t), bytes.NewReader(content), &got); n != 3<<20 || err != nil || !bytes.Equal(got.Bytes(), content) {
			t.Errorf("a pipe brought %d of %d bytes, %v", got.Len(), n, err)
		}
		for len(impl.kept) > 0 {
			<-impl.kept
		}
		streamsEnded(t, server, client)
	})
}

// fullWriter has room for so much.
type fullWriter struct{ room int }

func (w *fullWriter) Write(p []byte) (int, error) {
	if w.room -= len(p); w.room < 0 {
		return 0, testobj.ErrEmpty
	}
	return len(p), nil
}

// sinks are writers that do what none should.
type sink func(p []byte) (int, error)

func (s sink) Write(p []byte) (int, error) { return s(p) }

func TestAWriterThatMisbehavesFailsItsCallOnly(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		impl, server, remote, client := w.drained(rmi.Options{})
		for _, c := range []struct {
			name string
			sink sink
			want error
		}{
			{"it panics", func([]byte) (int, error) { panic("it fell over") }, rmi.ErrPanic},
			{"it ends its goroutine", func([]byte) (int, error) { runtime.Goexit(); return 0, nil }, rmi.ErrPanic},
			{"it writes less", func([]byte) (int, error) { return 0, nil }, io.ErrShortWrite},
			{"it has written more than there is", func(p []byte) (int, error) { return len(p) + 1, nil }, nil},
			{"it has written less than nothing", func([]byte) (int, error) { return -1, nil }, nil},
		} {
			for _, size := range []int{500, 5_000_000} {
				err := remote.Download(ctx(t), size, c.sink)
				if err == nil || c.want != nil && !errors.Is(err, c.want) {
					t.Errorf("%s, of %d bytes: %v, want %v", c.name, size, err, c.want)
				}
			}
		}
		for len(impl.kept) > 0 {
			<-impl.kept
		}
		streamsEnded(t, server, client)
	})
}

// slowly takes its time for the first download.
type slowly struct {
	*drain
	first atomic.Bool
}

func (d *slowly) Download(c context.Context, size int, w io.Writer) error {
	if !d.first.Swap(true) {
		<-c.Done()
		return c.Err()
	}
	_, err := w.Write(text(size))
	return err
}

func TestAnAttemptThatSucceedsHasNothingOfThoseBefore(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		server, _ := w.server(rmi.Options{})
		attempts := func(ctx context.Context, call *rmi.Call, next func(context.Context) error) (err error) {
			for range 3 {
				c, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
				err = next(c)
				if cancel(); err == nil {
					return nil
				}
			}
			return err
		}
		client := w.node(rmi.Options{Outbound: []rmi.Interceptor{attempts}})
		ref, err := rmi.Export(server, testobj.RemoteDrain.Of(&slowly{drain: newDrain()}))
		if err != nil {
			t.Fatal(err)
		}
		var got bytes.Buffer
		if err := resolved(t, client, testobj.RemoteDrain, ref).Download(ctx(t), 10, &got); err != nil || got.Len() != 10 {
			t.Errorf("%d bytes were written, %v; want 10 of the second attempt", got.Len(), err)
		}
		streamsEnded(t, server, client)
	})
}

// gate is an endless reader that waits until it is open.
type gate chan struct{}

func (g gate) Read(p []byte) (int, error) { <-g; return len(p), nil }

// stuck reads a byte, and no more until its caller gives up.
type stuck struct {
	*drain
	refused atomic.Int64
}

func (d *stuck) Upload(c context.Context, _ string, r io.Reader) (int64, uint32, error) {
	if _, err := r.Read(make([]byte, 1)); err != nil {
		if errors.Is(err, rmi.ErrOverloaded) {
			d.refused.Add(1)
		}
		return 0, 0, err
	}
	<-c.Done()
	return 0, 0, c.Err()
}

func TestStreamsThatNobodyReadsAreBoundedTogether(t *testing.T) {
	leak.Check(t)
	w := memoryWorld(t)
	const bound, streams = 8 << 20, 400
	server, _ := w.server(rmi.Options{Limits: rmi.Limits{PendingBytes: bound}})
	client, other := w.node(rmi.Options{}), w.node(rmi.Options{})
	impl := &stuck{drain: newDrain()}
	ref, err := rmi.Export(server, testobj.RemoteDrain.Of(impl))
	if err != nil {
		t.Fatal(err)
	}
	remote := resolved(t, client, testobj.RemoteDrain, ref)
	service := pass(t, server, other, newService(server))
	c, cancel := context.WithCancel(ctx(t))
	var calls sync.WaitGroup
	open := make(gate)
	for range streams {
		calls.Go(func() { remote.Upload(c, "", open) })
	}
	for n := 0; n < streams; runtime.Gosched() { // each has its credit, or is refused, before any is used
		n, _ = rmi.StreamsOf(server)
		n += int(impl.refused.Load())
	}
	close(open)
	const full = bound - bound/16 - 256<<10 // there may be no room for one of 256 KiB more
	most := int64(0)
	for rests := 0; rests < 2000; {
		_, pending := rmi.StreamsOf(server)
		if most = max(most, pending); most > full {
			rests++
		}
		if _, err := service.Add(ctx(t), 1, 2); err != nil {
			t.Fatalf("another peer's call beside streams that are not read: %v", err)
		}
	}
	cancel()
	calls.Wait()
	if most > bound {
		t.Errorf("%d bytes of streams wait, want %d at most", most, bound)
	}
	if impl.refused.Load() == 0 {
		t.Error("none of 400 streams was refused, though least credits for all are more than is allowed for a peer")
	}
	streamsEnded(t, server, client)
}

func TestAReaderIsGivenMoreAsItFillsIt(t *testing.T) {
	leak.Check(t)
	_, server, remote, client := memoryWorld(t).drained(rmi.Options{})
	var given []int
	most := 0
	r := readerFunc(func(p []byte) (int, error) {
		given = append(given, len(p))
		if most += len(p); most > 2<<20 {
			return 0, io.EOF
		}
		return len(p), nil
	})
	if _, _, err := remote.Upload(ctx(t), "", r); err != nil {
		t.Fatal(err)
	}
	if given[0] > 8<<10 || slices.Max(given) != 256<<10 {
		t.Errorf("the reader was given %v bytes: want little at first, for it may wait long, and 256 KiB in the end", given)
	}
	streamsEnded(t, server, client)
}

type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestHoweverACallEndsItsStreamsEndWithIt(t *testing.T) {
	kinds := map[string]func(c context.Context, remote testobj.Drain, step func()) error{
		"a reader": func(c context.Context, remote testobj.Drain, step func()) error {
			_, _, err := remote.Upload(c, "", readerFunc(func(p []byte) (int, error) { step(); return len(p), nil }))
			return err
		},
		"a writer": func(c context.Context, remote testobj.Drain, step func()) error {
			return remote.Download(c, 1<<40, sink(func(p []byte) (int, error) { step(); return len(p), nil }))
		},
		"an iterator": func(c context.Context, remote testobj.Drain, step func()) error {
			_, err := remote.Sum(c, func(yield func(int64, error) bool) {
				for step(); yield(-1, nil); step() {
				}
			})
			return err
		},
	}
	for _, end := range []struct {
		name   string
		within time.Duration
		by     func(server, client *rmi.Node, cancel context.CancelFunc)
		want   error
	}{
		{"it is cancelled", 0, func(_, _ *rmi.Node, cancel context.CancelFunc) { cancel() }, context.Canceled},
		{"the deadline passes", 100 * time.Millisecond, nil, context.DeadlineExceeded},
		{"the callee's node is closed", 0, func(server, _ *rmi.Node, _ context.CancelFunc) { server.Close() }, rmi.ErrUnreachable},
		{"the caller's node is closed", 0, func(_, client *rmi.Node, _ context.CancelFunc) { client.Close() }, rmi.ErrNodeClosed},
		{"the callee's node is shut down, and does not wait", 0, func(server, _ *rmi.Node, _ context.CancelFunc) {
			done, cancel := context.WithCancel(context.Background())
			cancel()
			server.Shutdown(done)
		}, rmi.ErrUnreachable},
	} {
		t.Run(strings.ReplaceAll(end.name, " ", "-"), func(t *testing.T) {
			everywhere(t, func(t *testing.T, w *world) {
				for name, call := range kinds {
					_, server, remote, client := w.drained(rmi.Options{})
					c, cancel := context.WithCancel(ctx(t))
					defer cancel()
					if end.within > 0 {
						c, cancel = context.WithTimeout(c, end.within)
						defer cancel()
					}
					steps, returned := atomic.Int64{}, atomic.Bool{}
					err := call(c, remote, func() {
						if returned.Load() {
							t.Errorf("%s is used after its call", name)
						}
						if steps.Add(1) == 100 && end.by != nil {
							go end.by(server, client, cancel)
						}
					})
					returned.Store(true)
					if !errors.Is(err, end.want) {
						t.Errorf("with %s the call ended in %v, want %v", name, err, end.want)
					}
					streamsEnded(t, server, client)
					for _, n := range []*rmi.Node{server, client} {
						if s := n.Stats(); s.Pins != 0 {
							t.Errorf("with %s, %d messages are pinned", name, s.Pins)
						}
					}
				}
			})
		})
	}
}

func TestStreamsAmongParametersAreDescribedAndNotInvoked(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		_, _, remote, client := w.drained(rmi.Options{})
		d, err := rmi.Describe(ctx(t), remote)
		if err != nil {
			t.Fatal(err)
		}
		for name, want := range map[string]string{
			"Sum":  "Sum(numbers iter.Seq2[int64, error]) (int64)",
			"Pipe": "Pipe(r io.Reader, w io.Writer) (int64)",
		} {
			if _, m := d.Method(name); m == nil || m.String() != want {
				t.Errorf("%s is described as %v", name, m)
			}
			if _, err := rmi.Invoke(ctx(t), client, remote, name, 1); err == nil || !strings.Contains(err.Error(), "takes a stream") || rmi.MayHaveRun(err) {
				t.Errorf("%s without generated code: %v", name, err)
			}
		}
	})
}
