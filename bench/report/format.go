package report

import (
	"fmt"
	"math"
)

// count writes a number of anything in three digits.
func count(v float64) string {
	switch a := math.Abs(v); {
	case a >= 999_500:
		return digits(v/1e6) + "M"
	case a >= 999.5:
		return digits(v/1e3) + "k"
	}
	return digits(v)
}

// digits writes v, smaller than 1000, in three digits.
func digits(v float64) string {
	switch a := math.Abs(v); {
	case a >= 99.95:
		return fmt.Sprintf("%.0f", v)
	case a >= 9.995:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

// microseconds writes seconds in µs.
func microseconds(seconds float64) string {
	us := seconds * 1e6
	if us >= 999.5 {
		return fmt.Sprintf("%.0f", us)
	}
	return digits(us)
}

func milliseconds(seconds float64) string { return digits(seconds * 1e3) }

func mebibytes(bytes float64) string { return digits(bytes / (1 << 20)) }

func kibibytes(bytes float64) string { return digits(bytes / (1 << 10)) }
