package rmi_test

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rmigo/rmigo/internal/leak"
	"github.com/rmigo/rmigo/internal/testobj"
	"github.com/rmigo/rmigo/rmi"
)

// A byte string that ends a message is sent from where it is, at once or not at all.

// keeper looks at what it gets, and keeps some of it to look at it again.
type keeper struct {
	*service
	mixed atomic.Int64

	mu   sync.Mutex
	kept [][]byte
}

// uniform reports whether all of b is the same.
func uniform(b []byte) bool { return bytes.Count(b, b[:1]) == len(b) }

func (k *keeper) Bytes(_ context.Context, b []byte) ([]byte, error) {
	k.look(b)
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.kept = append(k.kept, b); len(k.kept) > 100 {
		k.look(k.kept[0])
		k.kept = k.kept[1:]
	}
	return b, nil
}

func (k *keeper) look(b []byte) {
	if !uniform(b) {
		k.mixed.Add(1)
	}
}

// Whoever calls may write to what it sent as soon as the call has ended, even where it was given up.
func TestAnArgumentIsTheCallersAgainWhenTheCallEnds(t *testing.T) {
	leak.Check(t)
	w := tcpWorld(t)
	server, _ := w.server(rmi.Options{})
	client := w.node(rmi.Options{})
	impl := &keeper{service: newService(server)}
	remote := pass(t, server, client, impl)
	echo(t, remote, 100_000)
	impl.mixed.Store(0) // that one was
	impl.mu.Lock()
	impl.kept = nil
	impl.mu.Unlock()
	widened(t, server, client)
	c := ctx(t)
	var wg sync.WaitGroup
	var givenUp atomic.Int64
	for g := range 16 {
		wg.Go(func() {
			sent := make([]byte, 300<<10)
			for i := range 60 {
				b := sent[:64<<10+i*g*256]
				for j := range b {
					b[j] = byte(g + i)
				}
				c, cancel := c, func() {}
				if i%3 == 0 {
					c, cancel = context.WithTimeout(c, time.Duration(i)*20*time.Microsecond)
				}
				got, err := remote.Bytes(c, b)
				cancel()
				switch {
				case err == nil && (len(got) != len(b) || got[0] != byte(g+i) || !uniform(got)):
					t.Errorf("%d bytes came back for %d, and they are others", len(got), len(b))
				case err != nil && !errors.Is(err, context.DeadlineExceeded):
					t.Error(err)
				case err != nil:
					givenUp.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if n := impl.mixed.Load(); n > 0 {
		t.Errorf("%d arguments changed after they had been sent", n)
	}
	if givenUp.Load() == 0 {
		t.Error("no call was given up: the test shows nothing")
	}
}

// joiner returns texts, which are not byte strings.
type joiner struct{ *service }

func (j *joiner) Join(_ context.Context, sep string, parts ...string) (string, error) {
	return sep + parts[0] + sep, nil
}

func TestByteStringsOfAllLengthsArriveWhole(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		server, _ := w.server(rmi.Options{})
		client := w.node(rmi.Options{})
		remote := pass(t, server, client, &joiner{newService(server)})
		echo(t, remote, 40_000)
		widened(t, server, client)
		const least, most = 32 << 10, 255 << 10
		for _, about := range []int{least, most, 256 << 10} {
			for size := about - 70; size < about+10; size++ {
				echo(t, remote, size)
			}
		}
		sep := string(bytes.Repeat([]byte("é"), 50<<10))
		if got, err := remote.Join(ctx(t), sep, "x"); err != nil || got != sep+"x"+sep {
			t.Errorf("%d bytes of text, %v", len(got), err)
		}
	})
}

// More is sent from where it is than the sockets between the two take.
func TestAPeerThatReadsNoMoreEndsCallsThatAreSentFromWhereTheirArgumentsAre(t *testing.T) {
	leak.Check(t)
	v, remote := behindValves(t)
	for _, bulk := range v.later() {
		v.hold(&bulk.up)
	}
	sent := make([]byte, 64<<10)
	var wg sync.WaitGroup
	for range 200 {
		wg.Go(func() {
			endsUnreachable(t, func(c context.Context) error {
				_, err := remote.Bytes(c, sent)
				return err
			})
		})
	}
	wg.Wait()
}

// hasty is a service whose Bytes is quick, as a rule.
type hasty struct {
	*service
	there atomic.Bool // the last call ran where it was received
	calls atomic.Int64
	come  chan struct{}
	waits chan bool
}

func (h *hasty) Bytes(c context.Context, b []byte) ([]byte, error) {
	switch b[0] {
	case 1:
		h.waits <- receivedHere()
		select {
		case <-h.come:
		case <-c.Done():
			return nil, c.Err()
		}
	case 2:
		close(h.come)
	default:
		if h.calls.Add(1)%64 == 0 {
			h.there.Store(receivedHere())
		}
	}
	return b, nil
}

// A large call that waits for one that comes after it, by the same connection, gets it.
func TestAQuickLargeCallThatWaitsForALaterOneGetsIt(t *testing.T) {
	leak.Check(t)
	w := tcpWorld(t)
	server, _ := w.server(rmi.Options{})
	client := w.node(rmi.Options{})
	impl := &hasty{service: newService(server), come: make(chan struct{}), waits: make(chan bool, 1)}
	remote := pass(t, server, client, impl)
	call := func(what byte) error {
		b := make([]byte, 64<<10)
		b[0] = what
		got, err := remote.Bytes(ctx(t), b)
		if err == nil && !bytes.Equal(got, b) {
			err = errors.New("something else came back")
		}
		return err
	}
	c := ctx(t)
	for sure := 0; sure < 640; sure++ {
		if err := call(0); err != nil {
			t.Fatal(err)
		}
		if c.Err() != nil {
			t.Fatal("no large call was found to run where it was received")
		}
		if !impl.there.Load() {
			sure = 0
		}
	}
	first := make(chan error, 1)
	go func() { first <- call(1) }()
	if !<-impl.waits {
		t.Error("the call that waits runs on a worker: the test shows nothing")
	}
	for range 10 {
		if err := call(0); err != nil {
			t.Error(err)
		}
	}
	if err := call(2); err != nil {
		t.Error(err)
	}
	if err := <-first; err != nil {
		t.Error(err)
	}
}

var _ testobj.Service = (*hasty)(nil)
