package refs

import "sync"

// buffers lends the byte slices that large frames are built in and read into, by classes of size. What is lent and not in use any
// more goes with the next garbage collections; one that grew beyond all measure is not kept at all.
type buffers struct{ small, middle, large sync.Pool }

// The largest capacities of each class.
const (
	smallBuffer  = 48 << 10
	middleBuffer = 320 << 10
	largeBuffer  = 4 << 20
)

// class returns the pool for slices of a size, or nil.
func (b *buffers) class(size int) *sync.Pool {
	switch {
	case size <= smallBuffer:
		return &b.small
	case size <= middleBuffer:
		return &b.middle
	case size <= largeBuffer:
		return &b.large
	}
	return nil
}

// Get returns a slice of length n, with arbitrary contents.
func (b *buffers) Get(n int) []byte {
	if pool := b.class(n); pool != nil {
		if p, ok := pool.Get().(*[]byte); ok && cap(*p) >= n {
			return (*p)[:n]
		}
	}
	return make([]byte, n, max(n, 512))
}

// Put takes a slice back, which nobody may use any more.
func (b *buffers) Put(s []byte) {
	if pool := b.class(cap(s)); pool != nil && cap(s) > 0 {
		pool.Put(&s)
	}
}
