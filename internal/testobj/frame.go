package testobj

import (
	"encoding/binary"
	"fmt"
	"io"

	"github.com/rmigo/rmigo/internal/wire"
)

// ReadFrame reads the next frame of a lane, for tests that speak the protocol by hand.
func ReadFrame(r io.Reader) (wire.FrameKind, []byte, error) {
	length := make([]byte, 4)
	if _, err := io.ReadFull(r, length); err != nil {
		return 0, nil, err
	}
	n := binary.BigEndian.Uint32(length)
	if n == 0 || n > 64<<20 {
		return 0, nil, fmt.Errorf("a frame of %d bytes", n)
	}
	frame := append(length, make([]byte, n)...)
	_, err := io.ReadFull(r, frame[4:])
	return wire.FrameKind(frame[4]), frame, err
}
