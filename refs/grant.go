package refs

import (
	"fmt"
	"math"
	"sync"

	"github.com/rmigo/rmigo/internal/wire"
)

// grant is the memory that an incomplete frame of a lane has beyond what each frame gets, counted in Node.receiving. A peer that begins frames
// and does not end them could otherwise have a message's memory on each of its streams.
//
// mu guards the fields, and is a leaf. Only the goroutine that receives takes, but the end of the link gives back.
type grant struct {
	mu    sync.Mutex
	taken int64
	over  bool
}

// otherFrames is how many times as much frames may take in all that could only be refused by ending their connection.
const otherFrames = 4

// Grant implements wire.FrameBound. The reply that a call waits for always gets its memory: this process has asked for it.
func (r *lane) Grant(front []byte, n int) bool {
	node := r.l.node
	bound := node.cfg.Limits.PendingBytes
	if kind := wire.KindOf(front); kind != wire.CallFrame && kind != wire.OneWayFrame {
		bound = min(bound, math.MaxInt64/otherFrames) * otherFrames
	}
	if slot, _, _, ok := r.Frames.Reply(); ok && r.l.waiting.expects(slot) {
		return true
	}
	r.grant.mu.Lock()
	defer r.grant.mu.Unlock()
	size := int64(n)
	for {
		taken := node.receiving.Load()
		others := taken - r.grant.taken + node.pendingBytes.Load()
		if r.grant.over || others > 0 && others+r.grant.taken+size > bound {
			return false
		}
		if node.receiving.CompareAndSwap(taken, taken+size) {
			r.grant.taken += size
			return true
		}
	}
}

// Release implements wire.FrameBound.
func (r *lane) Release() { r.release(false) }

func (r *lane) release(over bool) {
	r.grant.mu.Lock()
	defer r.grant.mu.Unlock()
	r.l.node.receiving.Add(-r.grant.taken)
	r.grant.taken, r.grant.over = 0, r.grant.over || over
}

// Cut implements wire.FrameBound: a call is refused, a reply that nobody waits for is forgotten. Anything else, which nobody could be told of, ends
// the connection. Grant has been more generous to that.
func (r *lane) Cut(kind wire.FrameKind, frame []byte) error {
	bound := r.l.node.cfg.Limits.PendingBytes
	switch {
	case kind == wire.CallFrame || kind == wire.OneWayFrame && r.l.features&featureOrder != 0:
		if r.l.takeCall(frame, arrival{now: r.now(), lent: true, late: true, unfit: tooMuchPending(bound)}) == nil { // its header is whole
			return nil
		}
	case kind == wire.ReplyFrame && !wire.IsPinnedReply(frame):
		return nil
	}
	r.l.fail(&Error{Kind: ErrOverloaded, Err: fmt.Errorf("the peer has begun messages of more than %d bytes (Limits.PendingBytes)", bound)})
	return errLinkEnded
}

func tooMuchPending(bound int64) *Error {
	return &Error{Kind: ErrOverloaded, Err: fmt.Errorf("the arguments of running calls take more than %d bytes (Limits.PendingBytes)", bound)}
}
