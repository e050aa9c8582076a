package rmi_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/rmigo/rmigo/internal/leak"
	"github.com/rmigo/rmigo/internal/testobj"
	"github.com/rmigo/rmigo/rmi"
)

// drawer implements testobj.Drawer. What it has opened and created tells when it is closed.
type drawer struct {
	content []byte
	began   chan struct{}
	closed  chan string

	mu  sync.Mutex
	got bytes.Buffer
}

func newDrawer() *drawer {
	return &drawer{content: text(300_000), began: make(chan struct{}, 100), closed: make(chan string, 100)}
}

// opened is a reader that is lent.
type opened struct {
	io.Reader
	in     *drawer
	answer error
	once   sync.Once
	also   func()
}

func (o *opened) Close() error {
	o.once.Do(func() {
		if o.also != nil {
			o.also()
		}
	})
	o.in.closed <- "closed"
	return o.answer
}

func (d *drawer) Open(c context.Context, how string) (io.ReadCloser, error) {
	all := &opened{Reader: bytes.NewReader(d.content), in: d}
	switch how {
	case "nil":
		return nil, nil
	case "error":
		return nil, testobj.ErrEmpty
	case "both":
		return all, testobj.ErrEmpty
	case "empty":
		all.Reader = bytes.NewReader(nil)
	case "fails":
		all.Reader = io.MultiReader(bytes.NewReader(d.content), iotest.ErrReader(testobj.ErrEmpty))
	case "panics":
		all.Reader = panicking{}
	case "close":
		all.answer = testobj.ErrEmpty
	case "endless":
		all.Reader = endlessReader{}
	case "waits":
		r, w := io.Pipe()
		all.Reader, all.also = io.MultiReader(strings.NewReader("begin"), r), func() { w.Close() }
	case "never":
		<-c.Done()
		return nil, c.Err()
	case "late":
		d.began <- struct{}{}
		<-c.Done()
	}
	return all, nil
}

type panicking struct{}

func (panicking) Read([]byte) (int, error) { panic("no paper") }

// created is a writer that is lent.
type created struct {
	in    *drawer
	room  int // -1: there is no end of it
	waits chan struct{}
}

func (c *created) Write(p []byte) (int, error) {
	c.in.mu.Lock()
	defer c.in.mu.Unlock()
	if c.waits != nil {
		c.in.began <- struct{}{}
		<-c.waits
	}
	if c.room >= 0 && c.in.got.Len()+len(p) > c.room {
		return 0, testobj.ErrEmpty
	}
	return c.in.got.Write(p)
}

func (c *created) Close() error {
	c.in.closed <- "closed"
	if c.room == 0 {
		return testobj.ErrEmpty
	}
	return nil
}

// revocable is created with a word for those who give up.
type revocable struct{ created }

func (r *revocable) CloseWithError(err error) error {
	r.in.closed <- "given up: " + err.Error()
	if r.waits != nil {
		close(r.waits)
	}
	return nil
}

func (d *drawer) Create(_ context.Context, how string) (io.WriteCloser, error) {
	d.mu.Lock()
	d.got.Reset()
	d.mu.Unlock()
	switch how {
	case "small":
		return &created{in: d, room: 1000}, nil
	case "none":
		return &created{in: d}, nil
	case "revocable":
		return &revocable{created{in: d, room: -1}}, nil
	case "waits":
		return &revocable{created{in: d, room: -1, waits: make(chan struct{})}}, nil
	}
	return &created{in: d, room: -1}, nil
}

func (d *drawer) Pair(ctx context.Context, n int) (io.ReadCloser, int, io.WriteCloser, error) {
	r, _ := d.Open(ctx, "")
	w, err := d.Create(ctx, "")
	return r, n, w, err
}

func (d *drawer) written() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.got.String()
}

// closes fails the test unless what was lent is closed now, in that way, and once.
func (d *drawer) closes(t *testing.T, want string) {
	t.Helper()
	select {
	case got := <-d.closed:
		if !strings.HasPrefix(got, want) {
			t.Errorf("it was %s, want %s", got, want)
		}
	case <-ctx(t).Done():
		t.Fatal("it was not closed")
	}
	if len(d.closed) > 0 {
		t.Errorf("it was closed once more: %s", <-d.closed)
	}
}

func (w *world) drawn(server, client rmi.Options) (impl *drawer, sn *rmi.Node, remote testobj.Drawer, cn *rmi.Node) {
	w.t.Helper()
	sn, _ = w.server(server)
	cn = w.node(client)
	impl = newDrawer()
	ref, err := rmi.Export(sn, testobj.RemoteDrawer.Of(impl))
	if err != nil {
		w.t.Fatal(err)
	}
	return impl, sn, resolved(w.t, cn, testobj.RemoteDrawer, ref), cn
}

func TestAReaderThatIsReturnedReadsAsItsOwn(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		impl, server, remote, client := w.drawn(rmi.Options{}, rmi.Options{})
		open := func(how string) io.ReadCloser {
			t.Helper()
			c, cancel := context.WithCancel(ctx(t))
			defer cancel() // it outlives the call, and its context
			r, err := remote.Open(c, how)
			if err != nil {
				t.Fatal(err)
			}
			return r
		}
		for _, c := range []struct {
			name, how string
			read      func(io.Reader) ([]byte, error)
			want      []byte
			err       error
			closing   error
		}{
			{"all", "", io.ReadAll, impl.content, nil, nil},
			{"all, by WriteTo", "", copied, impl.content, nil, nil},
			{"byte by byte", "", func(r io.Reader) ([]byte, error) { return io.ReadAll(iotest.OneByteReader(io.LimitReader(r, 3000))) }, impl.content[:3000], nil, nil},
			{"nothing", "empty", io.ReadAll, nil, nil, nil},
			{"some, and the rest by WriteTo", "", func(r io.Reader) ([]byte, error) {
				some, err := io.ReadAll(io.LimitReader(r, 1000))
				if err != nil {
					return some, err
				}
				rest, err := copied(r)
				return append(some, rest...), err
			}, impl.content, nil, nil},
			{"none of it", "", func(io.Reader) ([]byte, error) { return nil, nil }, nil, nil, nil},
			{"the beginning of what has no end", "endless", func(r io.Reader) ([]byte, error) { return io.ReadAll(io.LimitReader(r, 10)) }, make([]byte, 10), nil, nil},
			{"the beginning of what waits", "waits", func(r io.Reader) ([]byte, error) { return io.ReadAll(io.LimitReader(r, 5)) }, []byte("begin"), nil, nil},
			{"an error", "fails", io.ReadAll, impl.content, testobj.ErrEmpty, nil},
			{"a panic", "panics", io.ReadAll, nil, rmi.ErrPanic, nil},
			{"an error of Close", "close", io.ReadAll, impl.content, nil, testobj.ErrEmpty},
			{"testing/iotest", "", func(r io.Reader) ([]byte, error) { return nil, iotest.TestReader(r, impl.content) }, nil, nil, nil},
		} {
			r := open(c.how)
			got, err := c.read(r)
			if !errors.Is(err, c.err) || !bytes.Equal(got, c.want) {
				t.Errorf("%s: %d bytes, %v; want %d, %v", c.name, len(got), err, len(c.want), c.err)
			}
			for range 2 {
				if err := r.Close(); !errors.Is(err, c.closing) {
					t.Errorf("%s: Close: %v, want %v", c.name, err, c.closing)
				}
			}
			impl.closes(t, "closed")
			if n, err := r.Read(make([]byte, 1)); n != 0 || !errors.Is(err, fs.ErrClosed) {
				t.Errorf("%s: after Close, Read returns %d, %v", c.name, n, err)
			}
		}
		if r := open("nil"); r != nil {
			t.Errorf("no reader arrived as %v", r)
		}
		if r, err := remote.Open(ctx(t), "error"); r != nil || !errors.Is(err, testobj.ErrEmpty) {
			t.Errorf("a failed Open returns %v, %v", r, err)
		}
		streamsEnded(t, server, client)
		collected(t, server, 1)
	})
}

// copied is what io.Copy has of a reader, which is its own WriterTo.
func copied(r io.Reader) ([]byte, error) {
	var all bytes.Buffer
	if _, ok := r.(io.WriterTo); !ok {
		return nil, errors.New("it is no io.WriterTo")
	}
	n, err := io.Copy(&all, r)
	if n != int64(all.Len()) {
		return nil, errors.New("io.Copy returns another count than what was written")
	}
	return all.Bytes(), err
}

func TestAWriterThatIsReturnedWritesAsItsOwn(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		impl, server, remote, client := w.drawn(rmi.Options{}, rmi.Options{})
		write := func(all []byte) func(io.Writer) error {
			return func(w io.Writer) error { _, err := w.Write(all); return err }
		}
		for _, c := range []struct {
			name, how string
			write     func(io.Writer) error
			want      []byte
			err       error // of the write
			closing   error
		}{
			{"nothing", "", write(nil), nil, nil, nil},
			{"never", "", func(io.Writer) error { return nil }, nil, nil, nil},
			{"all at once", "", write(impl.content), impl.content, nil, nil},
			{"nothing again and again", "", func(w io.Writer) error {
				for range 200 {
					if _, err := w.Write(nil); err != nil {
						return err
					}
				}
				return nil
			}, nil, nil, nil},
			{"in small pieces", "", func(w io.Writer) error {
				for i := range 3000 {
					if _, err := w.Write(impl.content[i : i+1]); err != nil {
						return err
					}
				}
				return nil
			}, impl.content[:3000], nil, nil},
			{"by io.Copy", "", func(w io.Writer) error { _, err := io.Copy(w, bytes.NewReader(impl.content)); return err }, impl.content, nil, nil},
			{"what does not fit, which is known at the end", "small", write(impl.content[:1001]), nil, nil, testobj.ErrEmpty},
			{"what does not fit", "small", func(w io.Writer) error { _, err := io.Copy(w, endlessReader{}); return err }, nil, testobj.ErrEmpty, testobj.ErrEmpty},
			{"what Close fails for", "none", func(io.Writer) error { return nil }, nil, nil, testobj.ErrEmpty},
		} {
			to, err := remote.Create(ctx(t), c.how)
			if err != nil {
				t.Fatal(err)
			}
			if err := c.write(to); !errors.Is(err, c.err) {
				t.Errorf("%s: %v, want %v", c.name, err, c.err)
			}
			for range 2 {
				if err := to.Close(); !errors.Is(err, c.closing) {
					t.Errorf("%s: Close: %v, want %v", c.name, err, c.closing)
				}
			}
			impl.closes(t, "closed")
			if got := impl.written(); got != string(c.want) {
				t.Errorf("%s: %d bytes were written, want %d", c.name, len(got), len(c.want))
			}
			if n, err := to.Write([]byte("late")); n != 0 || !errors.Is(err, fs.ErrClosed) {
				t.Errorf("%s: after Close, Write returns %d, %v", c.name, n, err)
			}
		}
		for _, how := range []string{"revocable", ""} { // who gives up
			for _, some := range []string{"", "some"} {
				to, err := remote.Create(ctx(t), how)
				if err != nil {
					t.Fatal(err)
				}
				if some != "" {
					io.WriteString(to, some)
				}
				if err := to.(interface{ CloseWithError(error) error }).CloseWithError(errors.New("no time")); err != nil {
					t.Errorf("giving up: %v", err)
				}
				impl.closes(t, map[string]string{"revocable": "given up: no time", "": "closed"}[how])
			}
		}
		streamsEnded(t, server, client)
		collected(t, server, 1)
	})
}

func TestSeveralReadersAndWritersAreReturnedAtOnce(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		impl, server, remote, client := w.drawn(rmi.Options{}, rmi.Options{})
		future := testobj.AsyncDrawerOf(remote).Pair(ctx(t), 7)
		pair, err := future.Wait(ctx(t))
		if err != nil || pair.Size != 7 {
			t.Fatal(pair, err)
		}
		if n, err := io.Copy(pair.W, pair.R); n != int64(len(impl.content)) || err != nil {
			t.Errorf("from one to the other went %d bytes, %v", n, err)
		}
		for _, c := range []io.Closer{pair.W, pair.R} {
			if err := c.Close(); err != nil {
				t.Error(err)
			}
			impl.closes(t, "closed")
		}
		if impl.written() != string(impl.content) {
			t.Error("what was written is not what was read")
		}
		streamsEnded(t, server, client)
	})
}

// TestWhatIsReturnedIsClosedWhateverHappens has the ways in which nobody comes to close what a method has returned.
func TestWhatIsReturnedIsClosedWhateverHappens(t *testing.T) {
	for _, c := range []struct {
		name, how string
		use       func(t *testing.T, r io.ReadCloser, w io.WriteCloser, server, client *rmi.Node)
		reader    string // how the reader is closed
		writer    string
	}{
		{"it becomes garbage unused", "", func(*testing.T, io.ReadCloser, io.WriteCloser, *rmi.Node, *rmi.Node) {}, "closed", "given up: nobody"},
		{"it becomes garbage while it is used", "endless", func(t *testing.T, r io.ReadCloser, w io.WriteCloser, _, _ *rmi.Node) {
			begin(t, r, w)
		}, "closed", "given up: nobody"},
		{"the client's node is closed", "endless", func(t *testing.T, r io.ReadCloser, w io.WriteCloser, _, client *rmi.Node) {
			begin(t, r, w)
			client.Close()
			if _, err := io.ReadAll(r); !errors.Is(err, rmi.ErrNodeClosed) {
				t.Errorf("the reader ends in %v", err)
			}
			if _, err := io.Copy(w, endlessReader{}); !errors.Is(err, rmi.ErrNodeClosed) {
				t.Errorf("the writer ends in %v", err)
			}
		}, "closed", "given up: "},
		{"the client's node is closed before either is used", "endless", func(_ *testing.T, _ io.ReadCloser, _ io.WriteCloser, _, client *rmi.Node) {
			client.Close()
		}, "closed", "given up: "},
		{"the server's node is closed", "waits", func(t *testing.T, r io.ReadCloser, w io.WriteCloser, server, _ *rmi.Node) {
			begin(t, r, w)
			server.Close()
			var e *rmi.Error
			if _, err := io.ReadAll(r); !errors.As(err, &e) {
				t.Errorf("the reader ends in %v", err)
			}
			if _, err := io.Copy(w, endlessReader{}); !errors.As(err, &e) {
				t.Errorf("the writer ends in %v", err)
			}
		}, "closed", "given up: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			everywhere(t, func(t *testing.T, w *world) {
				brief := rmi.Options{Lease: 2 * time.Second} // a node that is closed does not say that it ends
				if strings.Contains(c.name, "client's node") && w.network == nil {
					t.Skip("takes a lease, over memory only")
				}
				impl, server, remote, client := w.drawn(brief, brief)
				r, err := remote.Open(ctx(t), c.how)
				if err != nil {
					t.Fatal(err)
				}
				to, err := remote.Create(ctx(t), "revocable")
				if err != nil {
					t.Fatal(err)
				}
				c.use(t, r, to, server, client)
				if strings.Contains(c.name, "garbage") {
					r, to = nil, nil
				}
				var got []string
				for bound := ctx(t); len(got) < 2; runtime.GC() {
					select {
					case how := <-impl.closed:
						got = append(got, how)
					default:
						if bound.Err() != nil {
							t.Fatalf("closed is only %q", got)
						}
					}
				}
				for _, want := range []string{c.reader, c.writer} {
					if !strings.HasPrefix(got[0], want) && !strings.HasPrefix(got[1], want) {
						t.Errorf("closed is %q, want one as %q", got, want)
					}
				}
				runtime.KeepAlive(r)
				runtime.KeepAlive(to)
				streamsEnded(t, server, client)
			})
		})
	}
}

// begin reads and writes a little.
func begin(t *testing.T, r io.Reader, w io.Writer) {
	t.Helper()
	if _, err := io.ReadFull(r, make([]byte, 5)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, "begin"); err != nil {
		t.Fatal(err)
	}
}

func TestAReaderThatIsReturnedToNobodyIsClosed(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		impl, server, remote, client := w.drawn(rmi.Options{}, rmi.Options{})
		c, cancel := context.WithCancel(ctx(t))
		done := make(chan error)
		go func() {
			_, err := remote.Open(c, "late")
			done <- err
		}()
		<-impl.began
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("a call that is given up: %v", err)
		}
		impl.closes(t, "closed")
		r, err := remote.Open(ctx(t), "both") // results arrive beside an error, too
		if r == nil || !errors.Is(err, testobj.ErrEmpty) {
			t.Fatalf("a reader and an error arrived as %v, %v", r, err)
		}
		r.Close()
		impl.closes(t, "closed")
		streamsEnded(t, server, client)
	})
}

func TestAWriterInAWriteIsClosedAllTheSame(t *testing.T) {
	leak.Check(t)
	brief := rmi.Options{Lease: 2 * time.Second}
	impl, server, remote, client := memoryWorld(t).drawn(brief, brief)
	to, err := remote.Create(ctx(t), "waits")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(to, "text"); err != nil {
		t.Fatal(err)
	}
	<-impl.began
	client.Close() // nobody comes to end the Write
	impl.closes(t, "given up")
	streamsEnded(t, server, client)
}

func TestCloseOfWhatIsReturnedWaitsForNobody(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		impl, server, remote, client := w.drawn(rmi.Options{}, rmi.Options{})
		open := func() io.ReadCloser {
			t.Helper()
			r, err := remote.Open(ctx(t), "endless")
			if err != nil {
				t.Fatal(err)
			}
			return r
		}
		r := open() // closed from within what it is copied to
		if _, err := io.Copy(sink(func(p []byte) (int, error) { return len(p), r.Close() }), r); err == nil {
			t.Error("an endless reader that was closed is at its end")
		}
		impl.closes(t, "closed")
		r = open() // and while that waits
		copying, waits := make(chan error, 1), make(chan struct{})
		in := make(chan struct{}, 1)
		go func() {
			_, err := io.Copy(sink(func(p []byte) (int, error) {
				select {
				case in <- struct{}{}:
				default:
				}
				<-waits
				return len(p), nil
			}), r)
			copying <- err
		}()
		<-in
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		impl.closes(t, "closed")
		close(waits)
		if err := <-copying; err == nil {
			t.Error("an endless reader that was closed is at its end")
		}
		streamsEnded(t, server, client)
	})
}

func TestGivingUpWaitsForNoWrite(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		impl, server, remote, client := w.drawn(rmi.Options{}, rmi.Options{})
		for _, closing := range []bool{false, true} {
			to, err := remote.Create(ctx(t), "waits")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.WriteString(to, "text"); err != nil {
				t.Fatal(err)
			}
			<-impl.began // it is in a Write
			closed := make(chan error, 1)
			if closing {
				go func() { closed <- to.Close() }()
			}
			if err := to.(interface{ CloseWithError(error) error }).CloseWithError(errors.New("no time")); err != nil {
				t.Error(err)
			}
			impl.closes(t, "given up")
			if closing {
				<-closed // in whatever way
			} else if err := to.Close(); err != nil {
				t.Errorf("a Close after that: %v", err)
			}
		}
		streamsEnded(t, server, client)
	})
}

func TestAReaderThatIsPassedOnIsReadByWayOfTheProcessThatHasIt(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		impl, _, remote, middle := w.drawn(rmi.Options{}, rmi.Options{})
		mine, _ := w.server(rmi.Options{AlwaysMarshal: true})
		for _, n := range []*rmi.Node{mine, middle} { // at home too, where all is marshalled
			between := &middleman{remote}
			server, _ := w.server(rmi.Options{AlwaysMarshal: true})
			client := w.node(rmi.Options{})
			if n == mine {
				server, client = mine, mine
			}
			ref, err := rmi.Export(server, testobj.RemoteDrawer.Of(between))
			if err != nil {
				t.Fatal(err)
			}
			r, err := resolved(t, client, testobj.RemoteDrawer, ref).Open(ctx(t), "fails")
			if err != nil {
				t.Fatal(err)
			}
			if got, err := io.ReadAll(r); !errors.Is(err, testobj.ErrEmpty) || !bytes.Equal(got, impl.content) {
				t.Errorf("%d bytes came this way, %v", len(got), err)
			}
			if err := r.Close(); err != nil {
				t.Error(err)
			}
			impl.closes(t, "closed")
		}
	})
}

// middleman is a drawer that has what another one has.
type middleman struct{ testobj.Drawer }

func TestWhatHoldsForCallsHoldsForReadersThatAreReturned(t *testing.T) {
	leak.Check(t)
	w := memoryWorld(t)
	var mu sync.Mutex
	var calls []string
	note := func(ctx context.Context, call *rmi.Call, next func(context.Context) error) error {
		mu.Lock()
		defer mu.Unlock()
		calls = append(calls, call.Interface+"."+call.Method+" "+rmi.MetadataFrom(ctx)["tenant"])
		return next(ctx)
	}
	impl, _, remote, _ := w.drawn(rmi.Options{Inbound: []rmi.Interceptor{note}}, rmi.Options{Timeout: time.Minute})
	r, err := remote.Open(rmi.WithMetadata(ctx(t), rmi.Metadata{"tenant": "a"}), "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(r); err != nil {
		t.Error(err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	impl.closes(t, "closed")
	mu.Lock()
	defer mu.Unlock()
	const want = "github.com/rmigo/rmigo/internal/testobj.Drawer.Open a|io.ReadCloser.Copy a|io.ReadCloser.Close a"
	if got := strings.Join(calls, "|"); got != want {
		t.Errorf("the calls are %s, want %s", got, want)
	}
	d, err := rmi.Describe(ctx(t), remote)
	if err != nil {
		t.Fatal(err)
	}
	if _, m := d.Method("Open"); m == nil || m.String() != "Open(how string) (io.ReadCloser)" {
		t.Errorf("the method is described as %v", m)
	}
}

func TestReadersAndWritersAreReturnedByInvoke(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		impl, server, remote, client := w.drawn(rmi.Options{}, rmi.Options{})
		results, err := rmi.Invoke(ctx(t), client, remote, "Pair", 7)
		if err != nil || len(results) != 3 || results[1] != int64(7) {
			t.Fatal(results, err)
		}
		to := results[2].(io.WriteCloser)
		if n, err := io.Copy(to, results[0].(io.ReadCloser)); n != int64(len(impl.content)) || err != nil {
			t.Errorf("from one to the other went %d bytes, %v", n, err)
		}
		for _, i := range []int{0, 2} {
			if err := results[i].(io.Closer).Close(); err != nil {
				t.Error(err)
			}
			impl.closes(t, "closed")
		}
		if results, err = rmi.Invoke(ctx(t), client, remote, "Open", "nil"); err != nil || results[0] != nil {
			t.Errorf("no reader arrived as %v, %v", results, err)
		}
		streamsEnded(t, server, client)
	})
}

func TestOptionsTimeoutIsNotForStreams(t *testing.T) {
	leak.Check(t)
	w := memoryWorld(t)
	impl, server, remote, client := w.drawn(rmi.Options{}, rmi.Options{Timeout: time.Millisecond})
	c, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	r, err := remote.Open(c, "waits")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(r, make([]byte, 5)); err != nil {
		t.Fatal(err)
	}
	if _, err := testobj.AsyncDrawerOf(remote).Open(t.Context(), "never").Wait(c); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a call without a deadline: %v", err) // more than the bound later
	}
	ended := make(chan error, 1)
	go func() {
		_, err := io.ReadAll(r)
		ended <- err
	}()
	select {
	case err := <-ended:
		t.Errorf("beyond the bound, the reader ended in %v", err)
	default:
	}
	r.Close()
	if err := <-ended; !errors.Is(err, fs.ErrClosed) {
		t.Errorf("a Read that Close ended: %v", err)
	}
	impl.closes(t, "closed")
	streamsEnded(t, server, client)
}
