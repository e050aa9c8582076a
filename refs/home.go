package refs

import (
	"net"
	"sync"
	"time"

	"github.com/rmigo/rmigo/internal/transport"
)

// The way home: calls on objects of this process that are written, served and answered as any other, without a connection. Calls
// without generated code take it, and with Options.AlwaysMarshal all calls on references that came home.
//
// It is a link that was never dialled. What is written to its lane is received at once, by whoever writes; since a lane's receiver
// never waits or runs user code, nor do its writers. It has neither control stream nor bulk session nor liveness, and it is not among
// Node.links. The collector knows nothing of it: its line keeps alive what is under way.

// newHome returns a node's way home.
func (n *Node) newHome() *link {
	l := &link{
		node: n, peer: &peer{node: n, id: n.id}, session: homeSession{}, vantage: vantage{sameHost: true}, start: time.Now(),
		peerLimit: n.cfg.Limits.MessageBytes, line: &homeLine{kept: map[Message][]any{}},
		gone: make(chan struct{}), ready: make(chan struct{}), features: featureOrder | featurePipes | featureStreams | featureRows, dead: n.cfg.Liveness.Dead,
	}
	close(l.ready)
	l.serving.running = map[uint64]*callContext{}
	l.out.stream, l.out.start, l.out.tasks = &homeStream{l.newLane(nil)}, l.start, &n.tasks
	l.out.fail = func(error) {} // a lane that fails does so in its receiver, which ends the calls
	return l
}

// endHome ends the calls that are on the way home.
func (l *link) endHome(why *Error) {
	l.once.Do(func() {
		l.retiring.Store(true)
		l.out.close(why)
		for _, c := range l.waiting.fail(why) {
			c.lost(why)
		}
		l.rows.fail(why)
		l.serving.end(why)
		l.streams.fail(why)
		l.lineups.end()
		close(l.gone)
	})
}

// homeStream is a lane whose two ends are one. The writer sees to it that there is one Write at a time.
type homeStream struct{ lane *lane }

func (s *homeStream) Write(p []byte) (int, error) {
	s.lane.l.hear()
	if err := s.lane.Frames.Receive(p); err != nil {
		s.lane.l.endHome(&Error{Kind: ErrProtocol, Err: err})
		return 0, err
	}
	return len(p), nil
}

// homeSession says where home is. Nothing else is asked of it.
type homeSession struct{ transport.Session }

func (homeSession) LocalAddr() net.Addr  { return homeAddr{} }
func (homeSession) RemoteAddr() net.Addr { return homeAddr{} }

type homeAddr struct{}

func (homeAddr) Network() string { return "home" }
func (homeAddr) String() string  { return "home" }

// homeLine keeps what messages refer to alive until they are read.
type homeLine struct {
	keepAll
	mu   sync.Mutex
	kept map[Message][]any
}

func messageKey(m Message) Message { return Message{Call: m.Call, Result: m.Result} }

// Sent implements Line.
func (l *homeLine) Sent(m Message, _ ID, keep any) *Error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.kept[messageKey(m)] = append(l.kept[messageKey(m)], keep)
	return nil
}

// Renumbered implements Line.
func (l *homeLine) Renumbered(from, to Message, _ int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.kept[messageKey(to)] = l.kept[messageKey(from)]
	delete(l.kept, messageKey(from))
	return true
}

// Unsent implements Line.
func (l *homeLine) Unsent(m Message) { l.Done(m) }

// Done implements Line.
func (l *homeLine) Done(m Message) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.kept, messageKey(m))
}
