package refs

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/rmigo/rmigo/internal/leak"
	"github.com/rmigo/rmigo/internal/wire"
)

// rowOf is a ROW of calls whose arguments are their places, the first at place from.
func rowOf(t *testing.T, from uint64, count int) []byte {
	t.Helper()
	frame := wire.AppendRowHeader(nil, wire.RowHeader{Place: from, Method: 1 << 20})
	for i := range count {
		frame = wire.AppendInRow(frame, fmt.Append(nil, from+uint64(i)))
	}
	if err := wire.FinishFrame(frame); err != nil {
		t.Fatal(err)
	}
	return frame
}

func lineupOf(t *testing.T) (*lineup, *Node) {
	t.Helper()
	n := &Node{}
	n.cfg.Limits.PendingBytes = 4000
	l := &link{node: n}
	u, err := l.lineup(ObjectID{})
	if err != nil {
		t.Fatal(err)
	}
	u.working = true // nobody runs them
	return u, n
}

func TestRowsRunByTheirPlacesWhicheverWayTheyCame(t *testing.T) {
	leak.Check(t)
	u, n := lineupOf(t)
	var size int64
	for _, frame := range [][]byte{rowOf(t, 6, 3), rowOf(t, 2, 4), rowOf(t, 9, 1), rowOf(t, 1, 1)} {
		if err := u.l.takeRow(frame, true); err != nil {
			t.Fatal(err)
		}
		size += int64(len(frame)-wire.RowHeaderBytes) + 2*recordSize
	}
	if waiting := n.pendingBytes.Load(); waiting != size {
		t.Errorf("%d bytes are counted as waiting, want %d", waiting, size)
	}
	var got []string
	for q := u.next(); q != nil; q = u.next() {
		if want := fmt.Sprint(q.slot); string(q.body()) != want {
			t.Errorf("the call at place %s has the arguments %q", want, q.body())
		}
		got = append(got, string(q.body()))
		u.drop(q)
		if q.slot == 4 && n.pendingBytes.Load() != size-3-2*recordSize {
			t.Error("memory of a ROW that is not through is not counted")
		}
	}
	if u.part.body != nil || u.rest != nil || u.row != nil {
		t.Error("a lineup that waits for nothing keeps the memory of a ROW")
	}
	if want := []string{"1", "2", "3", "4", "5", "6", "7", "8", "9"}; !slices.Equal(got, want) {
		t.Errorf("got %v", got)
	}
	if left := n.pendingBytes.Load(); left != 0 {
		t.Errorf("%d bytes are counted as waiting", left)
	}
}

func TestRowsAtPlacesThatAreTakenOrOutOfBoundsAreABreach(t *testing.T) {
	leak.Check(t)
	for name, frames := range map[string][][]byte{
		"there already":         {rowOf(t, 1, 3), rowOf(t, 3, 1)},
		"among what overtook":   {rowOf(t, 5, 3), rowOf(t, 3, 3)},
		"within what overtook":  {rowOf(t, 5, 3), rowOf(t, 6, 1)},
		"around what overtook":  {rowOf(t, 5, 1), rowOf(t, 1, 9)},
		"zero":                  {rowOf(t, 0, 2)},
		"beyond the window":     {rowOf(t, wire.RowWindow, 2)},
		"beyond all that count": {rowOf(t, ^uint64(0), 3)},
	} {
		u, _ := lineupOf(t)
		var err error
		for _, frame := range frames {
			err = u.l.takeRow(frame, true)
		}
		if bad := (*wire.FrameError)(nil); !errors.As(err, &bad) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestARowThatIsTooMuchIsRefusedCallByCall(t *testing.T) {
	leak.Check(t)
	u, n := lineupOf(t)
	n.pendingBytes.Store(3999)
	if err := u.l.takeRow(rowOf(t, 1, 3), true); err != nil {
		t.Fatal(err)
	}
	for place := uint64(1); place <= 3; place++ {
		q := u.next()
		if q == nil || q.slot != place || q.refused() == nil || q.refused().Kind != ErrOverloaded || len(q.body()) > 0 {
			t.Fatalf("place %d: got %+v", place, q)
		}
		u.drop(q)
	}
	if left := n.pendingBytes.Load(); left != 3999 || u.next() != nil {
		t.Errorf("%d bytes are counted as waiting", left)
	}
}

func TestACallHasAContextOfItsOwnOnceItAsksItAnything(t *testing.T) {
	leak.Check(t)
	u, _ := lineupOf(t)
	inRow, alone := &queued{slot: 1}, &queued{slot: 2, number: 7}
	ask := map[string]func(*callContext){
		"Err":      func(c *callContext) { _ = c.Err() },
		"Done":     func(c *callContext) { c.Done() },
		"Deadline": func(c *callContext) { c.Deadline() },
		"Value":    func(c *callContext) { c.Value(incomingKey{}) },
	}
	for what, ask := range ask {
		first := u.context(inRow)
		if u.leave(first); first.over {
			t.Errorf("%s: a context that nobody asked has ended", what)
		}
		second := u.context(inRow)
		if second != first {
			t.Errorf("%s: the next call has another context", what)
		}
		ask(second)
		if u.leave(second); !second.over || u.context(inRow) == second {
			t.Errorf("%s: a context that was asked has not ended, or serves another call", what)
		}
	}
	first := u.context(inRow)
	u.leave(first)
	other := u.context(alone)
	if other == first || u.context(&queued{slot: 3, timeout: 1}) == first {
		t.Error("a call of another kind has the context of those in rows")
	}
	if u.leave(other); !other.over {
		t.Error("the context of a call that is not in a row has not ended with it")
	}
	if ended := u.context(inRow); ended != first {
		t.Error("the context that was left is lost")
	} else if ended.end(nil); ended.over {
		if u.leave(ended); u.context(inRow) == ended {
			t.Error("a context that has ended serves another call")
		}
	}
	last := u.context(inRow)
	if u.leave(last); u.next() != nil || !last.over {
		t.Error("when no call is left, the last context has not ended")
	}
}

func TestWhatIsAheadOfItsTurnIsCountedAndTakesNoMoreThanItCameIn(t *testing.T) {
	leak.Check(t)
	u, n := lineupOf(t)
	if err := u.l.takeRow(rowOf(t, 2, 500), true); err != nil {
		t.Fatal(err)
	}
	if len(u.ahead) != 1 {
		t.Errorf("a ROW is kept as %d records", len(u.ahead))
	}
	before := n.pendingBytes.Load()
	if err := u.queueUp(&queued{slot: 502}); err != nil {
		t.Fatal(err)
	}
	if counted := n.pendingBytes.Load() - before; counted != recordSize {
		t.Errorf("a call without arguments is counted as %d bytes, want %d", counted, recordSize)
	}
}
