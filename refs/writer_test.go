package refs

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/rmigo/rmigo/internal/leak"
)

// gate is a stream whose Write waits while it is shut.
type gate struct {
	mu     sync.Mutex
	got    bytes.Buffer
	writes int
	enter  chan struct{} // receives when a Write has begun
	open   chan error    // each Write takes one
}

func (g *gate) Write(b []byte) (int, error) {
	g.enter <- struct{}{}
	if err := <-g.open; err != nil {
		return 0, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.writes++
	return g.got.Write(b)
}

func gated() (*gate, *writer, *tasks) {
	g := &gate{enter: make(chan struct{}, 100), open: make(chan error, 100)}
	ts := &tasks{}
	return g, &writer{stream: g, start: time.Now(), tasks: ts, fail: func(error) {}}, ts
}

func TestWhatIsSentWhileOneWritesLeavesTogetherInOrder(t *testing.T) {
	leak.Check(t)
	g, w, ts := gated()
	var wg sync.WaitGroup
	wg.Go(func() { w.send(nil, []byte("a"), false, false) })
	<-g.enter
	for i := range 10 {
		if err := w.send(nil, fmt.Append(nil, i), false, false); err != nil {
			t.Fatal(err)
		}
	}
	g.open <- nil
	g.open <- nil
	wg.Wait()
	ts.wait()
	if g.got.String() != "a0123456789" || g.writes != 2 {
		t.Errorf("written %q in %d writes, want all in order in 2", g.got.String(), g.writes)
	}
}

func TestManySendersAtOnceLoseNoFrameWhoeverWrites(t *testing.T) {
	leak.Check(t)
	g, w, ts := gated()
	g.enter = make(chan struct{}, 100_000) // nobody looks
	g.open = make(chan error)
	close(g.open) // and no write waits
	const senders, each = 64, 100
	var wg sync.WaitGroup
	for range senders {
		wg.Go(func() {
			for range each {
				if err := w.send(nil, []byte("0123456789"), false, true); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	ts.wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	if n := g.got.Len(); n != senders*each*10 || w.busy || w.yielding != 0 || len(w.buf) > 0 {
		t.Errorf("%d bytes were written, want %d; busy %v, yielding %d, %d bytes queued", n, senders*each*10, w.busy, w.yielding, len(w.buf))
	}
}

func TestASenderThatWaitsForRoomGivesUpWithItsContextAndSendsNothing(t *testing.T) {
	leak.Check(t)
	g, w, ts := gated()
	w.post([]byte("a"))
	<-g.enter
	if err := w.send(nil, make([]byte, maxQueued), false, false); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	close(done)
	if err := w.send(done, []byte("late"), false, false); err != errNotQueued {
		t.Errorf("send into a full queue: %v, want to give up", err)
	}
	waited := make(chan error, 1)
	go func() { waited <- w.send(nil, []byte("z"), false, false) }()
	for range 2 + maxQueued/writeChunk {
		g.open <- nil
	}
	if err := <-waited; err != nil {
		t.Errorf("send after room was made: %v", err)
	}
	ts.wait()
	if b := g.got.Bytes(); len(b) != maxQueued+2 || b[len(b)-1] != 'z' || bytes.Contains(b, []byte("late")) {
		t.Errorf("%d bytes were written, want %d with the frame that waited at the end", len(b), maxQueued+2)
	}
}

func TestAFailedWriteIsFinal(t *testing.T) {
	leak.Check(t)
	g, w, ts := gated()
	broken := errors.New("broken")
	failed := make(chan error, 2)
	w.fail = func(err error) { failed <- err }
	g.open <- broken
	if err := w.send(nil, []byte("a"), false, false); err != nil {
		t.Errorf("send = %v: the frame was taken, its loss is told otherwise", err)
	}
	if err := <-failed; err != broken {
		t.Errorf("fail was told %v, want %v", err, broken)
	}
	if err := w.send(nil, []byte("b"), false, false); err != broken {
		t.Errorf("send after a failed write: %v, want %v", err, broken)
	}
	ts.wait()
	if g.got.Len() > 0 || len(failed) > 0 {
		t.Errorf("after the failure %q was written, and fail told %d times more", g.got.String(), len(failed))
	}
}

func TestAPeerThatReadsNothingIsGivenUp(t *testing.T) {
	leak.Check(t)
	g, w, ts := gated()
	failed := make(chan error, 1)
	w.fail = func(err error) { failed <- err }
	w.post([]byte("a"))
	<-g.enter
	frame := make([]byte, 1<<20)
	for range hardQueued/len(frame) + 2 {
		w.post(frame)
	}
	if err := <-failed; err != errPeerStalls {
		t.Errorf("fail was told %v, want %v", err, errPeerStalls)
	}
	if w.stalled() <= 0 {
		t.Error("the write under way does not show as stalled")
	}
	g.open <- errors.New("closed")
	ts.wait()
}

func TestASenderNeverWritesWhatCouldBlockIt(t *testing.T) {
	leak.Check(t)
	g, w, ts := gated()
	large := make([]byte, inlineBatch+1)
	if err := w.send(nil, large, false, false); err != nil { // it would wait here for ever if it wrote itself: the gate is shut
		t.Fatal(err)
	}
	<-g.enter
	g.open <- nil
	ts.wait()
	w.unheard.Store(inlineUnheard + 1)
	if err := w.send(nil, []byte("small, but the peer has not been heard"), false, false); err != nil {
		t.Fatal(err)
	}
	<-g.enter
	g.open <- nil
	ts.wait()
}

// The senders that a reply has woken are likely to send again: what is sent meanwhile leaves with what they send.
func TestWhatIsSentLeavesWhenTheLastOfThoseWhoWereWokenHasCome(t *testing.T) {
	leak.Check(t)
	g, w, ts := gated()
	for range 3 {
		w.wake()
	}
	send := func(frame string) {
		t.Helper()
		if err := w.send(nil, []byte(frame), false, true); err != nil {
			t.Error(err)
		}
	}
	w.arrive()
	send("a")
	w.wake() // one more, for whom what is queued already does not wait
	w.arrive()
	send("b")
	w.shrink() // forgets nothing that waits
	if len(g.enter) > 0 {
		t.Error("a frame left before the last of those that were woken had come")
	}
	g.open <- nil
	w.arrive()
	ts.wait()
	if g.got.String() != "ab" || g.writes != 1 {
		t.Errorf("written %q in %d writes when the last had come, want both frames in one", g.got.String(), g.writes)
	}
	w.arrive()
	g.open <- nil
	send("c")
	if ts.wait(); g.got.String() != "abc" {
		t.Errorf("written %q: nobody is to come, and nothing is to be waited for", g.got.String())
	}
}

func TestEagerFramesWaitForNobody(t *testing.T) {
	leak.Check(t)
	g, w, ts := gated()
	w.wake()
	g.open <- nil
	for range eager {
		if err := w.send(nil, []byte("x"), false, true); err != nil {
			t.Fatal(err)
		}
	}
	if ts.wait(); g.got.Len() != eager {
		t.Errorf("%d bytes were written, want %d though somebody is yet to come", g.got.Len(), eager)
	}
	w.arrive()
}

func TestNoFrameIsLeftByThoseWhoAreWokenHoweverTheyCome(t *testing.T) {
	leak.Check(t)
	g, w, ts := gated()
	g.enter = make(chan struct{}, 1_000_000) // nobody looks
	g.open = make(chan error)
	close(g.open) // and no write waits
	const senders, each = 32, 2000
	woken := make(chan struct{}, senders)
	var wg sync.WaitGroup
	for i := range senders {
		wg.Go(func() {
			for range each {
				<-woken
				w.arrive()
				if i%4 == 0 {
					continue // who was woken need not send
				}
				if err := w.send(nil, []byte("0123456789"), false, true); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range senders * each {
		w.wake()
		woken <- struct{}{}
	}
	wg.Wait()
	ts.wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	if n, want := g.got.Len(), senders*each*10*3/4; n != want || w.busy || len(w.buf) > 0 {
		t.Errorf("%d bytes were written, want %d; busy %v, %d bytes queued", n, want, w.busy, len(w.buf))
	}
}

func TestWhatIsGatheredLeavesInOneWriteOrBeforeItIsMuch(t *testing.T) {
	leak.Check(t)
	g, w, ts := gated()
	for range 100 {
		w.gather(nil, []byte("x"))
	}
	if len(g.enter) > 0 {
		t.Error("gathering few bytes has written")
	}
	g.open <- nil
	if w.flush(); g.writes != 1 || g.got.Len() != 100 {
		t.Errorf("%d bytes in %d writes, want 100 in one", g.got.Len(), g.writes)
	}
	w.flush() // of nothing
	<-g.enter
	w.gather(nil, make([]byte, inlineBatch+1))
	<-g.enter // without a flush
	w.gather(nil, []byte("x"))
	g.open <- nil
	g.open <- nil
	w.flushLater()
	if ts.wait(); g.got.Len() != 100+inlineBatch+2 {
		t.Errorf("%d bytes were written, want %d", g.got.Len(), 100+inlineBatch+2)
	}
}

// Who waits for room must not wait for itself.
func TestRoomIsMadeThoughNobodyWasToWrite(t *testing.T) {
	leak.Check(t)
	for what, large := range map[string]func(w *writer){
		"a reply that is gathered behind others": func(w *writer) {
			w.gather(nil, []byte("a"))
			w.gather(nil, make([]byte, maxQueued))
			w.flush()
		},
		"a call that was answered before it was sent": func(w *writer) {
			w.wake()
			if err := w.send(nil, []byte("a"), false, true); err != nil {
				t.Error(err)
			}
			if err := w.send(nil, make([]byte, maxQueued), false, true); err != nil {
				t.Error(err)
			}
			w.arrive()
		},
	} {
		g, w, ts := gated()
		g.enter = make(chan struct{}, 100)
		g.open = make(chan error)
		close(g.open) // no write waits
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			large(w)
		}()
		select {
		case <-ended:
		case <-time.After(20 * time.Second):
			t.Fatalf("%s waits for room that nobody makes", what)
		}
		if ts.wait(); g.got.Len() != 1+maxQueued {
			t.Errorf("%s: %d bytes were written", what, g.got.Len())
		}
	}
}
