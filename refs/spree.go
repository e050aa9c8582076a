package refs

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/rmigo/rmigo/internal/transport"
)

// Short calls are run where they were received. To hand a call to a worker, and its reply back to the connection, takes more time than a short
// method does, most of it for waking goroutines and for moving memory from one processor to another. So the goroutine that receives runs the
// calls of methods that have been quick, once it has taken in all that had arrived, and writes their replies at once.
//
// A method may last all the same. Then whoever receives is overseen: when one call has taken it a moment, the lead is passed and
// another goroutine receives, while workers run the calls behind that one.

const (
	quickCall   = slowdown * 10 * time.Microsecond // what a call of a method may take in the mean for it to be run where it is received
	unknownPace = 10 * quickCall                   // what a method begins with: it takes some two thousand calls to be quick
	mostNoted   = 100 * time.Millisecond           // a single call counts for no more
	paceWeight  = 128                              // how many calls the mean remembers, of those that are timed, which is one in eight: see sampled

	wantsLead = 8                      // calls of a link that were timed and quick, before its lane wants a lead
	longSpree = 200 * time.Microsecond // over the number of processors: others share what is left then; looked at after each four calls
	roomKept  = 512                    // calls that a spree keeps room for
	shySpree  = 1000                   // sprees that leave replies to others, after writing them has once taken long

	moment   = 8 * time.Millisecond // for so long a call may have the lead; up to twice that until it is noticed: looking more often costs much
	longIdle = 16                   // moments
)

// pace is how long the calls of a method take: the exponentially weighted mean, as its difference from unknownPace, in nanoseconds. Updates may be
// lost.
type pace struct{ mean atomic.Int64 }

// note takes in what a call took.
func (p *pace) note(took time.Duration) {
	mean := p.mean.Load()
	p.mean.Store(mean + (int64(min(took, mostNoted)-unknownPace)-mean)/paceWeight)
}

func (p *pace) isQuick() bool { return p.mean.Load() <= int64(quickCall-unknownPace) }

// sampled reports whether a call is to be timed.
func sampled(number uint64) bool { return number*0x9e3779b97f4a7c15>>61 == 0 } // whichever numbers of one counter come here

// timed notes what a call took until its reply was ready.
func (l *link) timed(p *pace, took time.Duration) {
	if p.note(took); p.isQuick() && l.quickOnes.Load() < wantsLead {
		l.quickOnes.Add(1)
	}
}

// spree is the calls that a lane's goroutine has taken in and is to run itself.
//
// Invariant: calls are added by whoever receives, while none runs. They are run by who has the lead, one by one, as long as that is so; who
// takes the lead away takes those that are left. Only where the session is ending may others add calls while one has the lead: it will find
// them, or End will. mu is never held while a call runs.
type spree struct {
	l     *link
	leads atomic.Bool // the last time that there was something to work off, there was a lead

	mu      sync.Mutex
	calls   []*Incoming
	next    int             // the first that has not been run
	lead    *transport.Lead // of who runs them; nil: nobody does
	number  uint64          // of the last that was begun; their replies count as one more
	running bool
	shy     int // for so many sprees replies are left to a flusher: the peer is slow to read

	pace    atomic.Pointer[pace] // of the one that runs; nil: it replies
	watched atomic.Bool          // by the node's overseer
}

// open returns the spree where there is likely to be a lead; nil where not.
func (s *spree) open() *spree {
	if s.leads.Load() {
		return s
	}
	return nil
}

// takes has the call run by who receives, if it is likely to be quick. Otherwise it is for a worker.
func (s *spree) takes(in *Incoming) bool {
	if s == nil || !in.quick() {
		return false
	}
	in.spree = s
	s.mu.Lock()
	s.calls = append(s.calls, in)
	s.mu.Unlock()
	return true
}

// Work implements transport.Worker.
func (r *lane) Work(lead *transport.Lead) (wants bool) {
	s := &r.spree
	s.leads.Store(lead != nil)
	switch {
	case !s.some():
	case lead == nil:
		s.leave(nil) // where the session is ending, who has lost the lead without having been told may still run them
	default:
		s.run(lead)
	}
	return r.l.quickOnes.Load() >= wantsLead
}

// some reports whether there are calls.
func (s *spree) some() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.calls) > 0
}

// run runs the calls, as long as it has the lead and does not take long, and sends their replies.
func (s *spree) run(lead *transport.Lead) {
	s.mu.Lock()
	s.lead = lead
	s.mu.Unlock()
	if !s.watched.Load() {
		s.l.node.overseer.add(s)
	}
	defer s.end(lead)
	start := time.Since(s.l.start)
	for i := 1; ; i++ {
		in := s.take(lead)
		if in == nil {
			return
		}
		in.serve()
		if i%4 == 0 && time.Since(s.l.start)-start > s.l.node.overseer.long {
			return
		}
	}
}

// take returns the next call to be run with the lead, if there is one.
func (s *spree) take(lead *transport.Lead) *Incoming {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lead != lead || s.next == len(s.calls) {
		return nil
	}
	in := s.calls[s.next]
	s.calls[s.next] = nil
	s.next++
	s.begin(&in.at.member.pace)
	return in
}

// begin notes that something runs. mu is held.
func (s *spree) begin(p *pace) {
	s.number++
	s.running = true
	s.pace.Store(p)
}

// replies notes that a call that runs has its reply: if it lasts from now on, that is not the method's doing.
func (s *spree) replies() { s.pace.Store(nil) }

// end ends a run, also one whose call has ended the goroutine, and one that has lost the lead.
func (s *spree) end(lead *transport.Lead) {
	s.mu.Lock()
	if s.lead == lead {
		s.begin(nil)
	}
	shy := s.shy > 0
	if shy {
		s.shy--
	}
	s.mu.Unlock()
	if shy {
		s.l.out.flushLater()
	} else {
		s.l.out.flush()
	}
	s.leave(lead)
}

// leave leaves to workers what has not been run, if the lead is still the one given: nobody has it then.
func (s *spree) leave(lead *transport.Lead) {
	s.mu.Lock()
	var left []*Incoming
	if s.lead == lead {
		left = s.rest()
	}
	s.mu.Unlock()
	s.give(left)
}

// rest takes out what has not been run; nobody has the lead then. mu is held.
func (s *spree) rest() []*Incoming {
	left := s.calls[s.next:]
	s.lead, s.running, s.next = nil, false, 0
	if len(left) > 0 || cap(s.calls) > roomKept {
		s.calls = nil
	} else {
		s.calls = s.calls[:0]
	}
	return left
}

// give has workers run the calls.
func (s *spree) give(left []*Incoming) {
	for _, in := range left {
		in.spree = nil
		s.l.node.workers.do(in)
	}
}

// passOn has others go on, where what had the number still runs.
func (s *spree) passOn(number uint64) {
	s.mu.Lock()
	if !s.running || s.number != number {
		s.mu.Unlock()
		return
	}
	p, lead := s.pace.Load(), s.lead
	if p == nil {
		s.shy = shySpree
	}
	left := s.rest()
	lead.Pass() // while it cannot have been given again
	s.mu.Unlock()
	if p != nil {
		p.note(mostNoted)
	}
	s.give(left)
	s.l.out.flushLater()
}

// disband leaves to workers what has not been run, since the session has ended.
func (s *spree) disband() {
	s.mu.Lock()
	left := s.rest()
	s.mu.Unlock()
	s.give(left)
}

// overseer looks at sprees each moment, as long as there are some. Its mu is above theirs.
type overseer struct {
	long time.Duration // after which a spree is over

	mu     sync.Mutex
	sprees map[*spree]*seen
	timer  *time.Timer // runs while there are sprees
	ended  bool
}

// seen is what a spree was like when it was last looked at.
type seen struct {
	number  uint64
	running bool
	idle    int // how many looks ago something ran
}

// add has the spree looked at from now on.
func (o *overseer) add(s *spree) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.ended || s.watched.Swap(true) {
		return
	}
	if o.sprees == nil {
		o.sprees = map[*spree]*seen{}
	}
	o.sprees[s] = &seen{}
	switch {
	case o.timer == nil:
		o.timer = time.AfterFunc(moment, o.look)
	case len(o.sprees) == 1:
		o.timer.Reset(moment)
	}
}

// look has leads passed that a single call has taken for a moment, and forgets sprees that have been idle for long.
func (o *overseer) look() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for s, was := range o.sprees {
		s.mu.Lock()
		now := seen{number: s.number, running: s.running}
		s.mu.Unlock()
		switch {
		case now.running && was.running && now.number == was.number:
			s.passOn(now.number)
		case now.number == was.number && was.idle == longIdle:
			o.forget(s)
			continue
		case now.number == was.number:
			now.idle = was.idle + 1
		}
		*was = now
	}
	if len(o.sprees) > 0 && !o.ended {
		o.timer.Reset(moment)
	}
}

// forget looks at the spree no longer, unless somebody has begun to run calls who still saw that it is looked at. mu is held.
func (o *overseer) forget(s *spree) {
	s.watched.Store(false)
	s.mu.Lock()
	idle := s.lead == nil
	s.mu.Unlock()
	if idle {
		delete(o.sprees, s)
	} else {
		s.watched.Store(true)
	}
}

// close ends it.
func (o *overseer) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ended = true
	if o.timer != nil {
		o.timer.Stop()
	}
	o.sprees = nil
}
