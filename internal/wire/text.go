package wire

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
)

// Most strings are short texts of ASCII, and many come again and again: names, states, units. For these there is code of their own.

// shortText is the length from which on a text has a head of more than one byte.
const shortText = 24

// The high bit of each byte.
const (
	high64 = 0x8080_8080_8080_8080
	high32 = 0x8080_8080
)

// ascii reports whether a string is ASCII, by words of which the last two may overlap.
func ascii(s string) bool {
	n := len(s)
	switch {
	case n >= 8:
		words := word64(s[n-8:])
		for ; len(s) > 8; s = s[8:] {
			words |= word64(s)
		}
		return words&high64 == 0
	case n >= 4:
		return (word32(s)|word32(s[n-4:]))&high32 == 0
	}
	var bytes byte
	for i := range n {
		bytes |= s[i]
	}
	return bytes < 0x80
}

func word64(s string) uint64 {
	_ = s[7]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

func word32(s string) uint32 {
	_ = s[3]
	return uint32(s[0]) | uint32(s[1])<<8 | uint32(s[2])<<16 | uint32(s[3])<<24
}

// recentTexts are short texts that were read lately, each in the place that its bytes give it: one that comes again is not made anew.
type recentTexts [1 << recentBits]string

const recentBits = 6

// string returns a short text, not empty, as a string; "" where it is not UTF-8.
func (r *recentTexts) string(b []byte) string {
	at := &r[mixed(ends(b))>>(64-recentBits)]
	if *at == string(b) {
		return *at
	}
	text := string(b)
	if !ascii(text) && !utf8.ValidString(text) {
		return ""
	}
	*at = text
	return text
}

// ends returns what the first eight bytes and the last eight say of a text, which may overlap.
func ends(b []byte) uint64 {
	switch n := len(b); {
	case n >= 8:
		return binary.LittleEndian.Uint64(b) ^ bits.RotateLeft64(binary.LittleEndian.Uint64(b[n-8:]), 29)
	case n >= 4:
		return uint64(binary.LittleEndian.Uint32(b))<<32 | uint64(binary.LittleEndian.Uint32(b[n-4:]))
	default:
		return uint64(b[0])<<16 | uint64(b[n/2])<<8 | uint64(b[n-1])
	}
}
