package wire

import "encoding/binary"

// The major types of CBOR (RFC 8949, section 3.1).
const (
	majorUint = iota
	majorNegative
	majorBytes
	majorText
	majorArray
	majorMap
	majorTag
	majorSimple
)

// The simple values and floats in use, whole first bytes.
const (
	codeFalse   = 0xf4
	codeTrue    = 0xf5
	codeNull    = 0xf6
	codeFloat32 = 0xfa
	codeFloat64 = 0xfb
)

// The tags in use.
const (
	tagPositiveBig = 2     // RFC 8949: big.Int
	tagNegativeBig = 3     // RFC 8949: big.Int below zero
	tagNamed       = 27    // http://cbor.schmorp.de/generic-object: errors, and values of interface types
	tagShareable   = 28    // http://cbor.schmorp.de/value-sharing: something that is referred to again
	tagShared      = 29    // likewise: a reference to it
	tagTime        = 1001  // RFC 9581
	tagGraph       = 39201 // a message with bodies
	tagForward     = 39203 // a reference to a body
	tagRemote      = 39205
)

// appendHead appends the shortest head of a major type with argument n.
func appendHead(b []byte, major byte, n uint64) []byte {
	major <<= 5
	switch {
	case n < 24:
		return append(b, major|byte(n))
	case n < 1<<8:
		return append(b, major|24, byte(n))
	case n < 1<<16:
		return append(b, major|25, byte(n>>8), byte(n))
	case n < 1<<32:
		return binary.BigEndian.AppendUint32(append(b, major|26), uint32(n))
	}
	return binary.BigEndian.AppendUint64(append(b, major|27), n)
}
