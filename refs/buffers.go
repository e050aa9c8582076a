package refs

import "sync"

// buffers lends the byte slices that large frames are built in and read into, by classes of size. It keeps what comes back, up to
// mostKept bytes: a sync.Pool would lose it to the collections that large messages cause. trim lets go of it.
type buffers struct {
	mu   sync.Mutex
	free [3][][]byte
	kept int // bytes in free
}

// The largest capacities of each class.
const (
	smallBuffer  = 48 << 10
	middleBuffer = 320 << 10
	largeBuffer  = 4 << 20

	mostKept = 32 << 20
)

// class returns the class of a size, -1 if it has none.
func class(size int) int {
	switch {
	case size <= smallBuffer:
		return 0
	case size <= middleBuffer:
		return 1
	case size <= largeBuffer:
		return 2
	}
	return -1
}

// Get returns a slice of length n, with arbitrary contents.
func (b *buffers) Get(n int) []byte {
	if c := class(n); c >= 0 {
		if s := b.take(c, n); s != nil {
			return s
		}
	}
	return make([]byte, n, max(n, 512))
}

// take returns the slice of the class that came back last, if it is long enough.
func (b *buffers) take(c, n int) []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	last := len(b.free[c]) - 1
	if last < 0 || cap(b.free[c][last]) < n {
		return nil
	}
	s := b.free[c][last]
	b.free[c][last] = nil
	b.free[c] = b.free[c][:last]
	b.kept -= cap(s)
	return s[:n]
}

// Put takes a slice back, which nobody may use any more.
func (b *buffers) Put(s []byte) {
	c := class(cap(s))
	if c < 0 || cap(s) == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.kept+cap(s) <= mostKept {
		b.free[c] = append(b.free[c], s)
		b.kept += cap(s)
	}
}

// trim lets half of what is kept go; called again and again, all of it.
func (b *buffers) trim() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for c, free := range b.free {
		b.free[c] = append([][]byte(nil), free[:len(free)/2]...)
		for _, s := range free[len(free)/2:] {
			b.kept -= cap(s)
		}
	}
}
