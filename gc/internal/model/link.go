package model

import "fmt"

// A Link is the model of one control stream as it is sent: numbered batches in both directions, acks, connections that break, and
// generations. It shows that the streams of Model may stand for it. P queues ops, and Q answers each with an op of its own as it
// applies it, as GONE answers DIRTY. What Model takes for granted, and Link checks in every state:
//
//   - each op is applied once, in order, and in the generation in which it was queued;
//   - P learns that an op was applied only when it was, and when P has applied the answer to it;
//   - at rest, everything was applied and acknowledged.
type Link struct {
	Ops     int // that P queues
	Breaks  int // connections that break
	Resets  int // generations that P or Q begins by itself
	Without []Rule

	out [rules]bool
}

const (
	endP = iota
	endQ
)

// An end is what one side knows. Op 0 of every generation but the first is OPEN.
type end struct {
	gen, heard uint8    // its generation; that of the peer's last OPEN
	base, n    uint8    // the first op that is not acknowledged, and how many there are
	next       uint8    // the peer's op that is due
	ready      bool     // the peer's HELLO was read on this connection
	acks       [8]uint8 // of its ops that are not acknowledged, what it acknowledged when it queued them
	owes       bool     // it applied something since it last sent an ack
}

// A frame is on a connection.
type frame struct {
	kind          frameKind
	gen, seq, ack uint8
}

type frameKind uint8

const (
	batchFrame frameKind = iota + 1
	ackFrame
	helloFrame
)

// A lane holds the frames of one direction of a connection.
type lane struct {
	n  uint8
	at [14]frame
}

func (l *lane) push(f frame) {
	l.at[l.n] = f
	l.n++
}

func (l *lane) pop() frame {
	f := l.at[0]
	copy(l.at[:], l.at[1:l.n])
	l.n--
	l.at[l.n] = frame{}
	return f
}

// A linkState is all there is to know. Lanes are of the broken connection and of the one in use, by the end that sends.
type linkState struct {
	end                 [2]end
	lane                [2][2]lane
	ops, breaks, resets uint8
	wrong               uint8 // a batch that was applied was not the next one
}

const (
	broken = iota
	inUse
)

// A linkWorld is a linkState that changes.
type linkWorld struct {
	linkState
	l *Link
}

func (l *Link) keeps(r Rule) bool { return !l.out[r] }

// Explore visits all states breadth first until something is wrong.
func (l Link) Explore() Result {
	for _, r := range l.Without {
		l.out[r] = true
	}
	type origin struct {
		parent, depth int
		words         string
	}
	start := linkState{ops: uint8(l.Ops), breaks: uint8(l.Breaks), resets: uint8(l.Resets)}
	start.end[endP].ready, start.end[endQ].ready = true, true
	seen := map[linkState]bool{start: true}
	list, from := []linkState{start}, []origin{{}}
	var r Result
	for at := 0; at < len(list); at++ {
		s := list[at]
		rest := true
		r.Violation = l.wrong(&s)
		if r.Violation == "" {
			l.steps(&s, func(words string, settles bool, next linkState) {
				r.Events++
				rest = rest && !settles
				if !seen[next] {
					seen[next] = true
					list, from = append(list, next), append(from, origin{at, from[at].depth + 1, words})
				}
			})
		}
		if r.Violation == "" && rest {
			r.Quiescent++
			r.Violation = l.stuck(&s)
		}
		if r.Violation != "" {
			for i := at; i > 0; i = from[i].parent {
				r.Trace = append([]string{from[i].words}, r.Trace...)
			}
			break
		}
	}
	r.States, r.Depth, r.Whole = len(list), from[len(from)-1].depth, r.Violation == ""
	return r
}

// wrong says what the link promises and does not hold in s.
func (l *Link) wrong(s *linkState) string {
	p, q := &s.end[endP], &s.end[endQ]
	agreed := q.gen == p.gen && q.heard == p.gen
	switch {
	case s.wrong > 0:
		return "an op is applied twice, out of order or in another generation"
	case agreed && p.base > q.next || !agreed && q.gen <= p.gen && p.base > 0:
		return fmt.Sprintf("P takes %d ops for applied that are not", p.base)
	case p.base > p.next && (p.gen == 0 || p.base > 1):
		return fmt.Sprintf("P takes %d ops for applied, and has applied %d answers", p.base, p.next)
	}
	return ""
}

// stuck says what is left undone in s, in which nothing happens by itself.
func (l *Link) stuck(s *linkState) string {
	p, q := &s.end[endP], &s.end[endQ]
	if p.gen != q.gen || p.heard != p.gen || q.heard != q.gen || p.n > 0 || q.n > 0 || p.base != q.next || q.base != p.next {
		return "ops are never applied, or never acknowledged"
	}
	return ""
}

// steps calls yield with each event, whether it happens by itself, and the state that it leads to.
func (l *Link) steps(s *linkState, yield func(string, bool, linkState)) {
	do := func(words string, settles bool, f func(*linkWorld)) {
		w := linkWorld{*s, l}
		f(&w)
		yield(words, settles, w.linkState)
	}
	if s.ops > 0 {
		do("P queues an op", false, func(w *linkWorld) { w.ops--; w.queue(endP) })
	}
	if s.breaks > 0 {
		do("the connection breaks, and both have the next one", false, (*linkWorld).reconnect)
	}
	for i, name := range []string{"P", "Q"} {
		if s.resets > 0 {
			do(fmt.Sprintf("%s begins generation %d", name, s.end[i].gen+1), false, func(w *linkWorld) {
				w.resets--
				w.reset(i, w.end[i].gen+1)
			})
		}
		if s.end[i].owes && s.end[i].ready {
			do(name+" sends an ack", true, func(w *linkWorld) { w.send(i, frame{kind: ackFrame}) })
		}
		for c, on := range []string{"the broken connection", "the connection"} {
			if from := &s.lane[c][1-i]; from.n > 0 {
				words := fmt.Sprintf("%s reads %v from %s", name, from.at[0], on)
				do(words, true, func(w *linkWorld) { w.read(i, w.lane[c][1-i].pop()) })
			}
		}
		if s.lane[broken][1-i].n > 0 {
			do("what "+name+" has not read of the broken connection is lost", true, func(w *linkWorld) { w.lane[broken][1-i] = lane{} })
		}
	}
}

// queue appends an op to end i's stream.
func (w *linkWorld) queue(i int) {
	e := &w.end[i]
	seq := e.base + e.n
	e.acks[seq] = e.next
	e.n++
	if e.ready {
		w.send(i, frame{kind: batchFrame, seq: seq})
	}
}

// send sends f with the generation and the ack of now.
func (w *linkWorld) send(i int, f frame) {
	e := &w.end[i]
	f.gen, f.ack = e.gen, e.next
	if f.kind == batchFrame && w.l.keeps(ResentAsSent) {
		f.ack = e.acks[f.seq]
	}
	e.owes = e.owes && (f.kind == helloFrame || f.ack < e.next)
	w.lane[inUse][i].push(f)
}

// reconnect breaks the connection. What is in flight may be read all the same.
func (w *linkWorld) reconnect() {
	w.breaks--
	w.lane[broken], w.lane[inUse] = w.lane[inUse], [2]lane{}
	for i := range w.end {
		w.end[i].ready = false
		w.send(i, frame{kind: helloFrame})
	}
}

// reset begins generation gen at end i.
func (w *linkWorld) reset(i int, gen uint8) {
	e := &w.end[i]
	e.gen, e.base, e.n, e.acks = gen, 0, 0, [8]uint8{}
	if w.l.keeps(AckOfGeneration) {
		e.next, e.owes = 0, false
	}
	w.queue(i)
}

// read is frame f at end i.
func (w *linkWorld) read(i int, f frame) {
	e := &w.end[i]
	switch f.kind {
	case helloFrame:
		w.hello(i, f)
		return
	case batchFrame:
		if !w.batch(i, f) {
			return
		}
	}
	if f.gen == e.gen || !w.l.keeps(BatchOfGeneration) {
		w.acked(i, f.ack)
	}
}

// acked notes that the peer applied the ops below ack.
func (w *linkWorld) acked(i int, ack uint8) {
	e := &w.end[i]
	if ack > e.base {
		done := min(ack-e.base, e.n)
		clear(e.acks[e.base : e.base+done])
		e.base += done
		e.n -= done
	}
}

// hello sends again what the peer has not received.
func (w *linkWorld) hello(i int, f frame) {
	e := &w.end[i]
	e.ready = true
	received := f.ack
	if f.gen != e.gen {
		received = 0
	}
	if !w.l.keeps(HelloIsNoAck) {
		w.acked(i, received)
	}
	if w.l.keeps(Resend) {
		for seq := max(e.base, received); seq < e.base+e.n; seq++ {
			w.send(i, frame{kind: batchFrame, seq: seq})
		}
	}
	e.owes = true
}

// batch applies the op of f at end i, and reports whether f and all before it is applied.
func (w *linkWorld) batch(i int, f frame) bool {
	e := &w.end[i]
	opens := f.gen > 0 && f.seq == 0
	switch {
	case opens && (f.gen > e.gen || f.gen == e.gen && e.heard < f.gen):
		if f.gen > e.gen {
			w.reset(i, f.gen)
		}
		e.heard, e.next, e.owes = f.gen, 1, true
		return true
	case w.l.keeps(BatchOfGeneration) && (f.gen != e.gen || e.heard != e.gen):
		return false
	case f.seq > e.next && w.l.keeps(NumberedOnce):
		return false
	case f.seq < e.next && w.l.keeps(NumberedOnce):
		e.owes = true
		return true
	}
	if f.seq != e.next || f.gen != e.gen || f.gen != e.heard {
		w.wrong = 1
	}
	e.next, e.owes = f.seq+1, true
	if i == endQ {
		w.queue(i)
	}
	return true
}

// String names a frame in traces.
func (f frame) String() string {
	switch {
	case f.kind == helloFrame:
		return fmt.Sprintf("HELLO(generation %d, received %d)", f.gen, f.ack)
	case f.kind == ackFrame:
		return fmt.Sprintf("an ack of %d (generation %d)", f.ack, f.gen)
	case f.gen > 0 && f.seq == 0:
		return fmt.Sprintf("batch 0 with OPEN(%d), ack %d", f.gen, f.ack)
	}
	return fmt.Sprintf("batch %d, ack %d (generation %d)", f.seq, f.ack, f.gen)
}
