package peer

import (
	"bufio"
	"context"
	"errors"
	"net"
	"testing"
)

func ops() []Op {
	return []Op{Null, Small, Bytes1K, Bytes64K, Bytes1M, Order, Tree, Callback, Refs}
}

func names() []string { return []string{"rmigo", "grpc", "netrpc", "drpc", "raw"} }

func TestEachCallIsAnsweredRightlyToEachCaller(t *testing.T) {
	for _, name := range names() {
		t.Run(name, func(t *testing.T) {
			session := served(t, name, 2)
			for _, op := range ops() {
				for i := range 2 {
					call, err := session.Caller(op, i)
					if errors.Is(err, ErrNone) {
						continue
					}
					if err != nil {
						t.Fatalf("%s: %v", op, err)
					}
					for _, thorough := range []bool{true, false, true} {
						if err := call(t.Context(), thorough); err != nil {
							t.Errorf("caller %d: %v", i, err)
						}
					}
				}
			}
		})
	}
}

func TestAServerOfManyObjectsStillAnswers(t *testing.T) {
	server, err := Rmigo{}.Serve()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	if err := server.(Exporter).Export(1000); err != nil {
		t.Fatal(err)
	}
	session, err := Rmigo{}.Dial(t.Context(), server.Addr(), 1)
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	call, err := session.Caller(Small, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := call(t.Context(), true); err != nil {
		t.Error(err)
	}
	server.Close()
	if err := server.(Exporter).Export(1); err == nil {
		t.Error("a server that is closed exports")
	}
}

// window counts what goes through a pipeline of n calls.
type window struct{ n, sent, answered int }

func (w *window) Sent() bool {
	w.sent++
	return w.sent < w.n
}

func (w *window) Answered() { w.answered++ }

func TestAPipelineAnswersWhatItSends(t *testing.T) {
	session := served(t, "rawpipe", 1).(Pipeliner)
	for _, op := range []Op{Null, Small, Bytes1K, Bytes64K, Bytes1M, Order, Tree} {
		for _, size := range []int{1, 16, 128} {
			w := &window{n: 300}
			if err := session.Pipeline(t.Context(), op, size, w); err != nil {
				t.Fatalf("%s, window %d: %v", op, size, err)
			}
			if w.sent != 300 || w.answered != 300 {
				t.Errorf("%s, window %d: %d sent, %d answered, want 300", op, size, w.sent, w.answered)
			}
		}
	}
}

func TestAWrongAnswerIsNoticed(t *testing.T) {
	l, err := listen()
	if err != nil {
		t.Fatal(err)
	}
	s := serveConns(l, func(c net.Conn) {
		r := bufio.NewReader(c)
		var buf []byte
		for {
			if buf, err = readFrame(r, buf); err != nil {
				return
			}
			buf[len(buf)/2]++ // in the middle: a cheap check does not see it
			if _, err := c.Write(buf); err != nil {
				return
			}
		}
	})
	defer s.Close()
	session, err := Raw{}.Dial(t.Context(), s.Addr(), 1)
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	call, err := session.Caller(Bytes1K, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := call(t.Context(), true); !errors.Is(err, ErrAnswer) {
		t.Errorf("raw: %v, want %v", err, ErrAnswer)
	}
	pipe, err := RawPipe{}.Dial(t.Context(), s.Addr(), 1)
	if err != nil {
		t.Fatal(err)
	}
	defer pipe.Close()
	if err := pipe.(Pipeliner).Pipeline(t.Context(), Bytes1K, 16, &window{n: 100}); !errors.Is(err, ErrAnswer) {
		t.Errorf("rawpipe: %v, want %v", err, ErrAnswer)
	}
}

func TestCallsToAServerThatIsGoneFail(t *testing.T) {
	for _, name := range names() {
		p, _ := Named(name)
		server, err := p.Serve()
		if err != nil {
			t.Fatal(err)
		}
		session, err := p.Dial(t.Context(), server.Addr(), 1)
		if err != nil {
			t.Fatal(err)
		}
		server.Close()
		call, err := session.Caller(Null, 0)
		if err == nil {
			err = call(t.Context(), true)
		}
		if err == nil {
			t.Errorf("%s: a call succeeded", name)
		}
		session.Close()
	}
}

// served starts a server of the peer, and a session with it.
func served(t *testing.T, name string, callers int) Session {
	t.Helper()
	p, known := Named(name)
	if !known {
		t.Fatalf("no peer is named %q", name)
	}
	server, err := p.Serve()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	session, err := p.Dial(context.WithoutCancel(t.Context()), server.Addr(), callers)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { session.Close() })
	return session
}
