package refs

import "sync"

// buffers lends the byte slices that frames are built in and read into. One that grew large is not kept.
type buffers struct{ pool sync.Pool }

const keptBuffer = 64 << 10

// Get returns a slice of length n.
func (b *buffers) Get(n int) []byte {
	if p, ok := b.pool.Get().(*[]byte); ok && cap(*p) >= n {
		return (*p)[:n]
	}
	return make([]byte, n, max(n, 512))
}

// Put takes a slice back, which nobody may use any more.
func (b *buffers) Put(s []byte) {
	if cap(s) > 0 && cap(s) <= keptBuffer {
		b.pool.Put(&s)
	}
}
