//go:build !race

package refs

const slowdown = 1
