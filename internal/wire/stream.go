package wire

import (
	"encoding/binary"
	"fmt"
)

// What the streams of calls are made of.
const (
	ItemsFrame  FrameKind = 0x20
	CreditFrame FrameKind = 0x21
	EndFrame    FrameKind = 0x22
)

const (
	ItemsHeaderBytes  = 32 // length u32, kind u8, flags u8, index u16, call u64, sequence u64, items u32, reserved u32
	CreditHeaderBytes = 32 // length u32, kind u8, flags u8, index u16, call u64, items u64, bytes u64
	EndHeaderBytes    = 24 // length u32, kind u8, flags u8, index u16, call u64, sequence u64

	// FirstItems and FirstBytes are the credit of what the callee sends before any CREDIT.
	FirstItems = 256
	FirstBytes = 64 << 10
)

const (
	streamPinned = 1    // the flag of ITEMS that hold references
	streamError  = 2    // of an END with an error item
	streamTaker  = 0x20 // of an END by the side that takes
	streamOwn    = 0x40 // of all three: the call is one of the sender's
)

// StreamID names a stream of a call.
type StreamID struct {
	Call  uint64
	Index uint16 // among the streams of the call; 0: what the method returns
	Own   bool   // the call is one that the frame's sender has made; else one that it serves
}

// ItemsHeader is the fixed part of ITEMS, which bring Items messages of one item each, or, where Items is 0, bytes.
type ItemsHeader struct {
	Stream   StreamID
	Pinned   bool   // references are kept alive until the receiver acknowledges the message Number
	Sequence uint64 // of the frame among the stream's, from 0 on
	Items    uint32
	Number   uint64 // with Pinned: of the message, from the row of the sender's calls
}

// Credit allows so many items and bytes of a stream, counted from its beginning. Each ITEMS counts with ItemsHeaderBytes for its header.
type Credit struct {
	Stream       StreamID
	Items, Bytes uint64
}

// EndHeader is the fixed part of an END.
type EndHeader struct {
	Stream   StreamID
	Taker    bool   // the side that takes wants no more
	Failed   bool   // an error item follows
	Sequence uint64 // how many frames the stream has; 0 from the side that takes
}

// AppendItemsHeader appends the header of ITEMS, its length left 0 for [FinishFrame]. A frame with Pinned ends with its number:
// AppendReplyNumber.
func AppendItemsHeader(buf []byte, h ItemsHeader) []byte {
	flags := byte(0)
	if h.Pinned {
		flags = streamPinned
	}
	buf = appendStream(buf, ItemsFrame, flags, h.Stream)
	buf = binary.BigEndian.AppendUint64(buf, h.Sequence)
	buf = binary.BigEndian.AppendUint32(buf, h.Items)
	return append(buf, 0, 0, 0, 0)
}

// AppendCredit appends a whole CREDIT.
func AppendCredit(buf []byte, c Credit) []byte {
	start := len(buf)
	buf = appendStream(buf, CreditFrame, 0, c.Stream)
	buf = binary.BigEndian.AppendUint64(buf, c.Items)
	buf = binary.BigEndian.AppendUint64(buf, c.Bytes)
	binary.BigEndian.PutUint32(buf[start:], CreditHeaderBytes-lengthBytes)
	return buf
}

// AppendEnd appends the header of an END, its length left 0 for [FinishFrame].
func AppendEnd(buf []byte, h EndHeader) []byte {
	flags := byte(0)
	if h.Failed {
		flags = streamError
	}
	if h.Taker {
		flags |= streamTaker
	}
	buf = appendStream(buf, EndFrame, flags, h.Stream)
	return binary.BigEndian.AppendUint64(buf, h.Sequence)
}

func appendStream(buf []byte, kind FrameKind, flags byte, s StreamID) []byte {
	if s.Own {
		flags |= streamOwn
	}
	buf = append(buf, 0, 0, 0, 0, byte(kind), flags)
	buf = binary.BigEndian.AppendUint16(buf, s.Index)
	return binary.BigEndian.AppendUint64(buf, s.Call)
}

// ParseItems splits whole ITEMS into the header and what they bring, which is part of frame.
func ParseItems(frame []byte) (h ItemsHeader, body []byte, err error) {
	flags, rest, err := parseFrame(frame, ItemsFrame, ItemsHeaderBytes, streamPinned|streamOwn)
	if err != nil {
		return ItemsHeader{}, nil, err
	}
	h = ItemsHeader{Stream: streamOf(frame, flags), Pinned: flags&streamPinned != 0,
		Sequence: binary.BigEndian.Uint64(frame[16:]), Items: binary.BigEndian.Uint32(frame[24:])}
	if h.Pinned {
		at := len(rest) - replyTrailerBytes
		if at < 0 {
			return ItemsHeader{}, nil, &FrameError{ItemsFrame, "references are kept alive, and the message's number is missing at its end"}
		}
		h.Number, rest = binary.BigEndian.Uint64(rest[at:]), rest[:at]
	}
	switch {
	case len(rest) == 0:
		return ItemsHeader{}, nil, &FrameError{ItemsFrame, "it brings nothing"}
	case uint64(h.Items) > uint64(len(rest)):
		return ItemsHeader{}, nil, &FrameError{ItemsFrame, fmt.Sprintf("%d bytes are no %d items", len(rest), h.Items)}
	}
	return h, rest, nil
}

// ParseCredit reads a whole CREDIT.
func ParseCredit(frame []byte) (Credit, error) {
	flags, rest, err := parseFrame(frame, CreditFrame, CreditHeaderBytes, streamOwn)
	if err != nil {
		return Credit{}, err
	}
	if len(rest) > 0 {
		return Credit{}, &FrameError{CreditFrame, fmt.Sprintf("%d bytes follow it", len(rest))}
	}
	return Credit{streamOf(frame, flags), binary.BigEndian.Uint64(frame[16:]), binary.BigEndian.Uint64(frame[24:])}, nil
}

// ParseEnd splits a whole END into the header and the error item, which is part of frame.
func ParseEnd(frame []byte) (h EndHeader, item []byte, err error) {
	flags, rest, err := parseFrame(frame, EndFrame, EndHeaderBytes, streamError|streamTaker|streamOwn)
	if err != nil {
		return EndHeader{}, nil, err
	}
	h = EndHeader{Stream: streamOf(frame, flags), Taker: flags&streamTaker != 0, Failed: flags&streamError != 0,
		Sequence: binary.BigEndian.Uint64(frame[16:])}
	if h.Failed != (len(rest) > 0) {
		return EndHeader{}, nil, &FrameError{EndFrame, "its flags and what follows them disagree on an error"}
	}
	return h, rest, nil
}

func streamOf(frame []byte, flags byte) StreamID {
	return StreamID{Call: binary.BigEndian.Uint64(frame[8:]), Index: binary.BigEndian.Uint16(frame[6:]), Own: flags&streamOwn != 0}
}
