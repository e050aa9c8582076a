// Package chat has rooms, and who is in them. All are objects: a room calls its members back.
package chat

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/rmigo/rmigo/rmi"
)

//go:generate go run github.com/rmigo/rmigo/cmd/rmigen

// ErrTaken is returned where somebody in the room has that name.
var ErrTaken = errors.New("chat: somebody has that name")

// Room is where members hear each other.
//
//rmi:remote
type Room interface {
	// Join takes a member in, who hears what is said until Leave, or until its process is gone.
	Join(ctx context.Context, name string, m Member) error
	Leave(ctx context.Context, name string) error
	// Say has all members hear a text. Nobody waits for that; what one says is heard in the order in which it is said.
	//
	//rmi:oneway
	Say(ctx context.Context, name, text string) error
	// Poll asks everybody, and returns who said yes within the second, and who did not answer.
	Poll(ctx context.Context, question string) (yes, silent []string, err error)
}

// Member is somebody in a room.
//
//rmi:remote
type Member interface {
	//rmi:oneway
	Hear(ctx context.Context, from, text string) error
	Asked(ctx context.Context, question string) (yes bool, err error)
}

// Hall is a Room.
type Hall struct {
	mu      sync.Mutex
	members map[string]Member
}

// Join implements Room.
func (h *Hall) Join(ctx context.Context, name string, m Member) error {
	if !h.enter(name, m) {
		return fmt.Errorf("%w: %s", ErrTaken, name)
	}
	h.tell(ctx, "the room", name+" is here")
	return nil
}

func (h *Hall) enter(name string, m Member) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, taken := h.members[name]; taken || name == "" {
		return false
	}
	if h.members == nil {
		h.members = map[string]Member{}
	}
	h.members[name] = m
	return true
}

// Leave implements Room.
func (h *Hall) Leave(ctx context.Context, name string) error {
	h.remove(name)
	h.tell(ctx, "the room", name+" has left")
	return nil
}

func (h *Hall) remove(names ...string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, name := range names {
		delete(h.members, name)
	}
}

// Say implements Room.
func (h *Hall) Say(ctx context.Context, name, text string) error {
	h.tell(ctx, name, text)
	return nil
}

// present returns who is in the room, by name.
func (h *Hall) present() (names []string, members []Member) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for name := range h.members {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		members = append(members, h.members[name])
	}
	return names, members
}

// tell has everybody hear a text. It does not wait for them: it is queued. Who cannot be told any more has gone.
func (h *Hall) tell(ctx context.Context, from, text string) {
	names, members := h.present()
	var gone []string
	for i, m := range members {
		if err := m.Hear(ctx, from, text); err != nil {
			gone = append(gone, names[i])
		}
	}
	h.remove(gone...)
}

// Poll implements Room.
func (h *Hall) Poll(ctx context.Context, question string) (yes, silent []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	names, members := h.present()
	for a := range rmi.Broadcast(ctx, members, func(ctx context.Context, m Member) (bool, error) { return m.Asked(ctx, question) }) {
		switch {
		case a.Err != nil:
			silent = append(silent, names[a.Index])
		case a.Result:
			yes = append(yes, names[a.Index])
		}
	}
	slices.Sort(yes)
	slices.Sort(silent)
	return yes, silent, nil
}
