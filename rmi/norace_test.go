//go:build !race

package rmi_test

// underRace reports whether the race detector is on, which makes everything several times slower.
const underRace = false
