package refs

import "sync"

// buffers lends the byte slices that frames are built in and read into: small ones, and large ones for what is larger. What is
// lent and not in use any more goes with the next garbage collections; one that grew beyond all measure is not kept at all.
type buffers struct{ small, large sync.Pool }

const (
	smallBuffer = 64 << 10
	largeBuffer = 4 << 20
)

// Get returns a slice of length n, with arbitrary contents.
func (b *buffers) Get(n int) []byte {
	pool := &b.small
	if n > smallBuffer {
		pool = &b.large
	}
	if p, ok := pool.Get().(*[]byte); ok && cap(*p) >= n {
		return (*p)[:n]
	}
	return make([]byte, n, max(n, 512))
}

// Put takes a slice back, which nobody may use any more.
func (b *buffers) Put(s []byte) {
	switch {
	case cap(s) == 0 || cap(s) > largeBuffer:
	case cap(s) > smallBuffer:
		b.large.Put(&s)
	default:
		b.small.Put(&s)
	}
}
