package wire

import (
	"fmt"
	"reflect"
)

// A Filter says of each thing that a message makes its reader allocate whether it may. It is called while the message is decoded,
// before the memory is taken, and must be safe for concurrent use.
type Filter func(FilterInfo) Verdict

// Verdict is what a filter says. Undecided leaves it to the next filter; after the last one, it is as good as Allow, since what a
// message may name is closed anyway.
type Verdict uint8

const (
	Undecided Verdict = iota
	Allow
	Reject
)

// FilterInfo is what a filter decides by.
type FilterInfo struct {
	Type     reflect.Type // of the value: what a pointer points to, a slice, a map, or what an interface holds
	Depth    int          // levels of arrays, maps and structs around it in the message
	Objects  int          // values with memory of their own so far
	Bytes    int64        // of the message read so far
	ArrayLen int          // elements of a slice, pairs of a map; −1 for what is neither
}

// FilterError says what a filter rejected.
type FilterError struct{ Info FilterInfo }

func (e *FilterError) Error() string {
	if e.Info.ArrayLen >= 0 {
		return fmt.Sprintf("a %v of length %d is rejected by the filter", e.Info.Type, e.Info.ArrayLen)
	}
	return fmt.Sprintf("a %v is rejected by the filter", e.Info.Type)
}

// SetFilters has filters decide what the message may allocate: the first, and where that is nil or undecided, the second. It is
// called after Reset, before anything is read.
func (d *Decoder) SetFilters(first, second Filter) {
	if first == nil {
		first, second = second, nil
	}
	d.filters = [2]Filter{first, second}
}

// admit asks the filters about a value of a type, with n elements or −1.
func (d *Decoder) admit(t reflect.Type, n int) bool { return d.filters[0] == nil || d.ask(t, n) }

func (d *Decoder) ask(t reflect.Type, n int) bool {
	if d.Err != nil {
		return false
	}
	info := FilterInfo{Type: t, Depth: d.level, Objects: d.codec.limits.Objects - d.objects, Bytes: int64(d.pos), ArrayLen: n}
	for _, filter := range d.filters {
		if filter == nil {
			break
		}
		verdict := Reject
		err := safely(func() error { verdict = filter(info); return nil })
		switch {
		case err != nil:
			d.fail(fmt.Errorf("the filter failed: %w", err))
			return false
		case verdict == Allow:
			return true
		case verdict == Reject:
			d.fail(&FilterError{info})
			return false
		}
	}
	return true
}
