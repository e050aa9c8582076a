//go:build race

package refs

// slowdown is how many times as long methods take as they would without the race detector.
const slowdown = 20
