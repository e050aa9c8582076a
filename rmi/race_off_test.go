//go:build !race

package rmi_test

const raceDetector = false
