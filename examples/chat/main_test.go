package main

import (
	"context"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/rmigo/rmigo/examples/chat/chat"
	"github.com/rmigo/rmigo/internal/leak"
	"github.com/rmigo/rmigo/rmi"
)

// paper takes lines, and says when there are so many.
type paper struct {
	mu    sync.Mutex
	lines []string
	added chan struct{}
}

func newPaper() *paper { return &paper{added: make(chan struct{}, 100)} }

func (p *paper) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lines = append(p.lines, strings.TrimSpace(string(b)))
	p.added <- struct{}{}
	return len(b), nil
}

// upTo waits until a line is there, and returns all up to it.
func (p *paper) upTo(t *testing.T, last string) string {
	t.Helper()
	for {
		p.mu.Lock()
		all := strings.Join(p.lines, "\n")
		p.mu.Unlock()
		if i := strings.Index(all, last); i >= 0 {
			return all[:i+len(last)]
		}
		select {
		case <-p.added:
		case <-t.Context().Done():
			t.Fatalf("there is only\n%s", all)
		}
	}
}

func room(t *testing.T) (server *rmi.Node, stub func() chat.Room) {
	t.Helper()
	server, err := rmi.NewNode(rmi.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	if _, err := server.Listen("tcp://127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	ref, err := rmi.Export(server, chat.RemoteRoom.Of(&chat.Hall{}))
	if err != nil {
		t.Fatal(err)
	}
	text, _ := ref.MarshalText()
	return server, func() chat.Room {
		node, err := rmi.NewNode(rmi.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { node.Close() })
		r, err := rmi.Resolve(t.Context(), node, chat.RemoteRoom, string(text))
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
}

func TestMembersHearEachOtherInOrder(t *testing.T) {
	leak.Check(t)
	_, stub := room(t)
	ada, ben := newPaper(), newPaper()
	in, lines := io.Pipe()
	done := make(chan error, 1)
	go func() { done <- talk(t.Context(), stub(), "Ada", in, ada) }()
	ada.upTo(t, "the room: Ada is here")
	if err := stub().Join(context.Background(), "Ada", &member{out: io.Discard}); err == nil || !strings.Contains(err.Error(), chat.ErrTaken.Error()) {
		t.Errorf("a second Ada: %v", err)
	}
	if err := talk(t.Context(), stub(), "Ben", strings.NewReader("one\ntwo\ncoffee?\nshall we all go and have some coffee?\nthree\n"), ben); err != nil {
		t.Fatal(err)
	}
	const want = "the room: Ada is here\nthe room: Ben is here\nBen: one\nBen: two\nBen: coffee? yes: [Ada Ben], silent: []\n" +
		"Ben: shall we all go and have some coffee? yes: [], silent: []\nBen: three\nthe room: Ben has left"
	if got := ada.upTo(t, "Ben has left"); got != want {
		t.Errorf("Ada heard\n%s\nwant\n%s", got, want)
	}
	lines.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
