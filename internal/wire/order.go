package wire

import (
	"encoding/binary"
	"fmt"
	"math"
	"time"
)

// What keeps calls in order. A ONEWAY has the layout of a CALL.
const (
	OneWayFrame FrameKind = 0x30
	DoneFrame   FrameKind = 0x31
	ProbeFrame  FrameKind = 0x32
	ForgetFrame FrameKind = 0x33
	CallsFrame  FrameKind = 0x34
	RowFrame    FrameKind = 0x35
)

const (
	DoneHeaderBytes  = 40 // length u32, kind u8, flags u8, reserved u16, sequence u64, object [16], method u64
	RowHeaderBytes   = 48 // length u32, kind u8, flags u8, reserved u16, place u64, timeout u64, object [16], method u64
	ProbeHeaderBytes = 24 // length u32, kind u8, flags u8, hops u16, number u64, rank u64

	// RowWindow is how many ONEWAYs to one object may be under way on a connection.
	RowWindow = 16 << 10
	// MostRows is to how many objects ONEWAYs may be sent over one connection.
	MostRows = 64 << 10

	doneFlags = ReplyError | ReplyNotStarted | ReplyRuntime
)

// DoneHeader is the fixed part of a DONE: all ONEWAYs of the row up to Sequence have ended. With ReplyError, that one has failed, and
// an error item follows.
type DoneHeader struct {
	Flags    ReplyFlags // of ReplyError, ReplyNotStarted and ReplyRuntime
	Sequence uint64
	Object   [16]byte
	Method   uint64 // of the last one
}

// Probe asks after a deadlock: where the call waits for what one of Path is the token of, a circle has closed.
type Probe struct {
	Hops   uint16 // how often it has been passed on
	Number uint64 // of the call, to the receiver, that the one who asks waits for
	Rank   uint64 // of who asks: those of higher rank do not pass it on
	Path   []uint64
}

// RowHeader is the fixed part of a ROW: several ONEWAYs to one method, with neither references nor extensions, at successive places.
type RowHeader struct {
	Place   uint64 // of the first
	Timeout time.Duration
	Object  [16]byte
	Method  uint64
}

const rowPrefixBytes = 2 // length u16 of the arguments that follow

// AppendRowHeader appends the header of a ROW, its length left 0 for [FinishFrame]. What AppendInRow appends comes after it.
func AppendRowHeader(buf []byte, h RowHeader) []byte {
	buf = append(buf, 0, 0, 0, 0, byte(RowFrame), 0, 0, 0)
	buf = binary.BigEndian.AppendUint64(buf, h.Place)
	buf = binary.BigEndian.AppendUint64(buf, uint64(h.Timeout))
	buf = append(buf, h.Object[:]...)
	return binary.BigEndian.AppendUint64(buf, h.Method)
}

// AppendInRow appends the arguments of a call, at most 65,535 bytes, to a ROW.
func AppendInRow(buf, args []byte) []byte {
	return append(binary.BigEndian.AppendUint16(buf, uint16(len(args))), args...)
}

// ParseRow splits a whole ROW into its header and the calls, for NextInRow, and counts them. The calls are part of frame.
func ParseRow(frame []byte) (h RowHeader, calls []byte, count int, err error) {
	_, calls, err = parseFrame(frame, RowFrame, RowHeaderBytes, 0)
	if err != nil {
		return RowHeader{}, nil, 0, err
	}
	timeout := binary.BigEndian.Uint64(frame[16:])
	if timeout > math.MaxInt64 {
		return RowHeader{}, nil, 0, &FrameError{RowFrame, "its timeout overflows"}
	}
	for rest := calls; len(rest) > 0; count++ {
		if len(rest) < rowPrefixBytes || len(rest)-rowPrefixBytes < int(binary.BigEndian.Uint16(rest)) {
			return RowHeader{}, nil, 0, &FrameError{RowFrame, "it ends within a call"}
		}
		_, rest = NextInRow(rest)
	}
	if count == 0 {
		return RowHeader{}, nil, 0, &FrameError{RowFrame, "there is no call in it"}
	}
	return RowHeader{Place: binary.BigEndian.Uint64(frame[8:]), Timeout: time.Duration(timeout), Object: [16]byte(frame[24:40]),
		Method: binary.BigEndian.Uint64(frame[40:])}, calls, count, nil
}

// NextInRow returns the arguments of the first of some calls that ParseRow returned, and the rest of them.
func NextInRow(calls []byte) (args, rest []byte) {
	end := rowPrefixBytes + int(binary.BigEndian.Uint16(calls))
	return calls[rowPrefixBytes:end:end], calls[end:]
}

// AppendNone appends results of which there are none.
func AppendNone(buf []byte) []byte { return appendHead(buf, majorArray, 0) }

// AppendDone appends the header of a DONE, its length left 0 for [FinishFrame].
func AppendDone(buf []byte, h DoneHeader) []byte {
	buf = append(buf, 0, 0, 0, 0, byte(DoneFrame), byte(h.Flags), 0, 0)
	buf = binary.BigEndian.AppendUint64(buf, h.Sequence)
	buf = append(buf, h.Object[:]...)
	return binary.BigEndian.AppendUint64(buf, h.Method)
}

// ParseDone splits a whole DONE into its header and the error item, which is part of frame.
func ParseDone(frame []byte) (h DoneHeader, item []byte, err error) {
	flags, rest, err := parseFrame(frame, DoneFrame, DoneHeaderBytes, byte(doneFlags))
	if err != nil {
		return DoneHeader{}, nil, err
	}
	h = DoneHeader{Flags: ReplyFlags(flags), Sequence: binary.BigEndian.Uint64(frame[8:]),
		Object: [16]byte(frame[16:32]), Method: binary.BigEndian.Uint64(frame[32:])}
	if (h.Flags&ReplyError != 0) != (len(rest) > 0) {
		return DoneHeader{}, nil, &FrameError{DoneFrame, "its flags and what follows them disagree on an error"}
	}
	return h, rest, nil
}

// AppendProbe appends a whole PROBE.
func AppendProbe(buf []byte, p Probe) []byte {
	start := len(buf)
	buf = append(buf, 0, 0, 0, 0, byte(ProbeFrame), 0)
	buf = binary.BigEndian.AppendUint16(buf, p.Hops)
	buf = binary.BigEndian.AppendUint64(buf, p.Number)
	buf = binary.BigEndian.AppendUint64(buf, p.Rank)
	for _, token := range p.Path {
		buf = binary.BigEndian.AppendUint64(buf, token)
	}
	binary.BigEndian.PutUint32(buf[start:], uint32(len(buf)-start-lengthBytes))
	return buf
}

// ParseProbe reads a whole PROBE.
func ParseProbe(frame []byte) (Probe, error) {
	_, rest, err := parseFrame(frame, ProbeFrame, ProbeHeaderBytes, 0)
	if err != nil {
		return Probe{}, err
	}
	if len(rest)%8 != 0 || len(rest) > 8*MostTokens {
		return Probe{}, &FrameError{ProbeFrame, fmt.Sprintf("%d bytes are no path", len(rest))}
	}
	p := Probe{Hops: binary.BigEndian.Uint16(frame[6:]), Number: binary.BigEndian.Uint64(frame[8:]), Rank: binary.BigEndian.Uint64(frame[16:])}
	for ; len(rest) > 0; rest = rest[8:] {
		p.Path = append(p.Path, binary.BigEndian.Uint64(rest))
	}
	return p, nil
}

// AppendForget appends a whole FORGET, which has the layout of a CANCEL.
func AppendForget(buf []byte, h CancelHeader) []byte {
	start := len(buf)
	buf = AppendCancel(buf, h)
	buf[start+lengthBytes] = byte(ForgetFrame)
	return buf
}

// ParseForget reads a whole FORGET.
func ParseForget(frame []byte) (CancelHeader, error) {
	_, rest, err := parseFrame(frame, ForgetFrame, CancelHeaderBytes, 0)
	if err != nil {
		return CancelHeader{}, err
	}
	if len(rest) > 0 {
		return CancelHeader{}, &FrameError{ForgetFrame, fmt.Sprintf("%d bytes follow it", len(rest))}
	}
	return CancelHeader{Number: binary.BigEndian.Uint64(frame[8:])}, nil
}

const callsHeaderBytes = 8 // length u32, kind u8, flags u8, reserved u16

// AppendCalls appends a CALLS, its length left 0 for [FinishFrame]: a batch of whole CALLs.
func AppendCalls(buf []byte, calls [][]byte) []byte {
	buf = append(buf, 0, 0, 0, 0, byte(CallsFrame), 0, 0, 0)
	for _, call := range calls {
		buf = append(buf, call...)
	}
	return buf
}

// ParseCalls returns the CALLs of a whole CALLS, for NextCall.
func ParseCalls(frame []byte) ([]byte, error) {
	_, rest, err := parseFrame(frame, CallsFrame, callsHeaderBytes, 0)
	return rest, err
}

// NextCall returns the first of some CALLs, and the rest.
func NextCall(calls []byte) (call, rest []byte, err error) {
	if len(calls) < CallHeaderBytes {
		return nil, nil, &FrameError{CallsFrame, "it ends within a call"}
	}
	n := uint64(binary.BigEndian.Uint32(calls)) + lengthBytes
	if n > uint64(len(calls)) || FrameKind(calls[lengthBytes]) != CallFrame {
		return nil, nil, &FrameError{CallsFrame, "something that is no whole call is in it"}
	}
	return calls[:n:n], calls[n:], nil
}

// AppendRecord appends a remote reference as it stands among values.
func AppendRecord(buf []byte, r Record) []byte {
	e := Encoder{codec: NewCodec(Limits{}), buf: buf, most: math.MaxInt}
	e.record(r)
	return e.buf
}
