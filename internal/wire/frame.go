package wire

import (
	"encoding/binary"
	"fmt"
	"math"
	"time"
)

// FrameKind tells the frames of a lane apart.
type FrameKind uint8

const (
	CallFrame   FrameKind = 1
	ReplyFrame  FrameKind = 2
	CancelFrame FrameKind = 3
)

func (k FrameKind) String() string {
	switch k {
	case CallFrame:
		return "CALL"
	case ReplyFrame:
		return "REPLY"
	case CancelFrame:
		return "CANCEL"
	case ItemsFrame:
		return "ITEMS"
	case CreditFrame:
		return "CREDIT"
	case EndFrame:
		return "END"
	case OneWayFrame:
		return "ONEWAY"
	case DoneFrame:
		return "DONE"
	case ProbeFrame:
		return "PROBE"
	case ForgetFrame:
		return "FORGET"
	case CallsFrame:
		return "CALLS"
	case RowFrame:
		return "ROW"
	}
	return fmt.Sprintf("frame kind %d", uint8(k))
}

// The fixed part of each frame, its length field included. All integers are big-endian.
const (
	CallHeaderBytes   = 56 // length u32, kind u8, flags u8, depth u16, number u64, slot u64, timeout u64, object [16], method u64
	ReplyHeaderBytes  = 16 // length u32, kind u8, flags u8, reserved u16, slot u64
	CancelHeaderBytes = 16 // length u32, kind u8, flags u8, reserved u16, number u64

	lengthBytes = 4
	frameRoom   = 128 << 10 // of a frame beyond MessageBytes: its header and the error item of a reply
	hasMap      = 0x80      // the flag of a frame whose header is followed by a CBOR map of extensions, which a receiver skips
)

const (
	callPinned   = 1 // the flag of a CALL whose arguments hold references that the caller keeps alive until they are acknowledged
	callPromised = 2 // and of one whose result is promised
)

// CallHeader is the fixed part of a CALL.
type CallHeader struct {
	OneWay   bool          // it is a ONEWAY: Slot is its place in the row of those to the object over this connection, from 1 on
	Pinned   bool          // references among the arguments are kept alive until the receiver acknowledges the message
	Promised bool          // what it returns may be called before it is there, until FORGET
	Depth    uint16        // of calls within calls, for bounding recursion between processes
	Number   uint64        // the call's identity on its lane
	Slot     uint64        // echoed by the reply
	Timeout  time.Duration // what remains of the caller's deadline; 0: none
	Object   [16]byte
	Method   uint64

	Extensions []byte // the encoded map of extensions that follows the header; nil: none
}

// ReplyFlags says what a reply holds.
type ReplyFlags uint8

const (
	ReplyResults    ReplyFlags = 1 << iota // the array of results follows
	ReplyError                             // an error item follows, before the results if there are any
	ReplyNotStarted                        // the call never reached the object's code
	ReplyRuntime                           // the error is the runtime's, not the method's
	ReplyPinned                            // references in it are kept alive until the receiver acknowledges the message; its last 8 bytes are the call's number

	knownReplyFlags = ReplyResults | ReplyError | ReplyNotStarted | ReplyRuntime | ReplyPinned
)

// ReplyHeader is the fixed part of a REPLY.
type ReplyHeader struct {
	Flags  ReplyFlags
	Slot   uint64 // of the call
	Number uint64 // of the call, with ReplyPinned: whoever gave the call up must acknowledge the reply all the same
}

// replyTrailerBytes is how long the end of a REPLY with ReplyPinned is.
const replyTrailerBytes = 8

// CancelHeader is the whole of a CANCEL.
type CancelHeader struct {
	Number uint64 // of the call
}

// FrameError is a frame that breaks the protocol. The lane that it came on cannot be read any further.
type FrameError struct {
	Kind FrameKind
	Says string
}

func (e *FrameError) Error() string { return fmt.Sprintf("%v: %s", e.Kind, e.Says) }

// FrameSizeError is a frame whose length is out of bounds, either way.
type FrameSizeError struct {
	Length      uint64 // of what follows the length field
	Least, Most uint64
}

func (e *FrameSizeError) Error() string {
	return fmt.Sprintf("a frame of %d bytes: a frame has between %d and %d (Limits.MessageBytes sets the upper bound)", e.Length, e.Least, e.Most)
}

// AppendCallHeader appends the header of a CALL or ONEWAY, its length left 0 for [FinishFrame], and its extensions. The arguments come after
// them. A timeout below zero is sent as one nanosecond: a deadline that has passed.
func AppendCallHeader(buf []byte, h CallHeader) []byte {
	timeout := h.Timeout
	if timeout < 0 {
		timeout = 1
	}
	flags := byte(0)
	if h.Pinned {
		flags = callPinned
	}
	if h.Promised {
		flags |= callPromised
	}
	if h.Extensions != nil {
		flags |= hasMap
	}
	kind := CallFrame
	if h.OneWay {
		kind = OneWayFrame
	}
	buf = append(buf, 0, 0, 0, 0, byte(kind), flags)
	buf = binary.BigEndian.AppendUint16(buf, h.Depth)
	buf = binary.BigEndian.AppendUint64(buf, h.Number)
	buf = binary.BigEndian.AppendUint64(buf, h.Slot)
	buf = binary.BigEndian.AppendUint64(buf, uint64(timeout))
	buf = append(buf, h.Object[:]...)
	buf = binary.BigEndian.AppendUint64(buf, h.Method)
	return append(buf, h.Extensions...)
}

// AppendReplyHeader appends the header of a REPLY, its length left 0 for [FinishFrame]. What follows a reply with ReplyPinned ends
// with its number: AppendReplyNumber.
func AppendReplyHeader(buf []byte, h ReplyHeader) []byte {
	buf = append(buf, 0, 0, 0, 0, byte(ReplyFrame), byte(h.Flags), 0, 0)
	return binary.BigEndian.AppendUint64(buf, h.Slot)
}

// AppendReplyNumber appends the end of a REPLY with ReplyPinned.
func AppendReplyNumber(buf []byte, number uint64) []byte {
	return binary.BigEndian.AppendUint64(buf, number)
}

// AppendCancel appends a whole CANCEL, its length included.
func AppendCancel(buf []byte, h CancelHeader) []byte {
	buf = append(buf, 0, 0, 0, CancelHeaderBytes-lengthBytes, byte(CancelFrame), 0, 0, 0)
	return binary.BigEndian.AppendUint64(buf, h.Number)
}

// FinishFrame sets the length of the frame that is the whole of buf. It fails where no length field can express it.
func FinishFrame(buf []byte) error { return FinishFrameBefore(buf, 0) }

// FinishFrameBefore is FinishFrame where more bytes of the frame will follow.
func FinishFrameBefore(buf []byte, more int) error {
	n := uint64(max(len(buf)+more-lengthBytes, 0))
	if n == 0 || n > math.MaxUint32 {
		return &FrameSizeError{Length: n, Least: 1, Most: math.MaxUint32}
	}
	binary.BigEndian.PutUint32(buf, uint32(n))
	return nil
}

// ParseCall splits a whole CALL or ONEWAY, as a [FrameHandler] gets it, into its header and the arguments; these and the extensions are
// part of frame.
func ParseCall(frame []byte) (h CallHeader, body []byte, err error) {
	kind := CallFrame
	if len(frame) > lengthBytes && FrameKind(frame[lengthBytes]) == OneWayFrame {
		kind = OneWayFrame
	}
	known := byte(callPinned)
	if kind == CallFrame {
		known |= callPromised
	}
	flags, rest, err := parseFrame(frame, kind, CallHeaderBytes, known)
	if err != nil {
		return CallHeader{}, nil, err
	}
	timeout := binary.BigEndian.Uint64(frame[24:])
	if timeout > math.MaxInt64 {
		return CallHeader{}, nil, &FrameError{kind, "its timeout overflows"}
	}
	h = CallHeader{
		OneWay:   kind == OneWayFrame,
		Pinned:   flags&callPinned != 0,
		Promised: flags&callPromised != 0,
		Depth:    binary.BigEndian.Uint16(frame[6:]),
		Number:   binary.BigEndian.Uint64(frame[8:]),
		Slot:     binary.BigEndian.Uint64(frame[16:]),
		Timeout:  time.Duration(timeout),
		Object:   [16]byte(frame[32:48]),
		Method:   binary.BigEndian.Uint64(frame[48:]),
	}
	if after := len(frame) - len(rest); after > CallHeaderBytes {
		h.Extensions = frame[CallHeaderBytes:after]
	}
	return h, rest, nil
}

// ParseReply splits a whole REPLY into its header and what follows, which is part of frame.
func ParseReply(frame []byte) (h ReplyHeader, body []byte, err error) {
	flags, rest, err := parseFrame(frame, ReplyFrame, ReplyHeaderBytes, byte(knownReplyFlags))
	if err != nil {
		return ReplyHeader{}, nil, err
	}
	h = ReplyHeader{Flags: ReplyFlags(flags), Slot: binary.BigEndian.Uint64(frame[8:])}
	if h.Flags&ReplyPinned != 0 {
		at := len(rest) - replyTrailerBytes
		if at < 0 {
			return ReplyHeader{}, nil, &FrameError{ReplyFrame, "its references are kept alive, and the call's number is missing at its end"}
		}
		h.Number, rest = binary.BigEndian.Uint64(rest[at:]), rest[:at]
	}
	return h, rest, nil
}

// KindOf returns the kind of the frame that begins like that, in five bytes at least.
func KindOf(front []byte) FrameKind { return FrameKind(front[lengthBytes]) }

// IsPinnedReply reports whether a frame that begins like that is a REPLY whose references are kept alive until it is acknowledged.
func IsPinnedReply(front []byte) bool {
	return len(front) > lengthBytes+1 && KindOf(front) == ReplyFrame && ReplyFlags(front[lengthBytes+1])&ReplyPinned != 0
}

// ParseCancel reads a whole CANCEL.
func ParseCancel(frame []byte) (CancelHeader, error) {
	_, rest, err := parseFrame(frame, CancelFrame, CancelHeaderBytes, 0)
	if err != nil {
		return CancelHeader{}, err
	}
	if len(rest) > 0 {
		return CancelHeader{}, &FrameError{CancelFrame, fmt.Sprintf("%d bytes follow it", len(rest))}
	}
	return CancelHeader{Number: binary.BigEndian.Uint64(frame[8:])}, nil
}

// parseFrame checks what all frames have in common, and returns the flags and what follows the fixed part.
func parseFrame(frame []byte, kind FrameKind, header int, known byte) (flags byte, rest []byte, err error) {
	if len(frame) < header {
		return 0, nil, &FrameError{kind, fmt.Sprintf("%d bytes are too few for its header of %d", len(frame), header)}
	}
	if n := binary.BigEndian.Uint32(frame); uint64(n) != uint64(len(frame)-lengthBytes) {
		return 0, nil, &FrameError{kind, fmt.Sprintf("its length field says %d, it has %d bytes", n, len(frame)-lengthBytes)}
	}
	if got := FrameKind(frame[lengthBytes]); got != kind {
		return 0, nil, &FrameError{got, fmt.Sprintf("a %v is expected", kind)}
	}
	flags = frame[lengthBytes+1]
	if unknown := flags &^ (known | hasMap); unknown != 0 {
		return 0, nil, &FrameError{kind, fmt.Sprintf("flags %#02x are unknown", unknown)}
	}
	rest = frame[header:]
	if flags&hasMap != 0 {
		if rest, err = skipMap(rest); err != nil {
			return 0, nil, &FrameError{kind, "its extension map is malformed: " + err.Error()}
		}
	}
	return flags &^ hasMap, rest, nil
}

// Buffers lends the memory that frames are received into.
type Buffers interface {
	// Get returns a slice of length n, whose contents are arbitrary.
	Get(n int) []byte
	// Put takes back what Get returned.
	Put([]byte)
}

// A FrameHandler takes a whole frame, its length field included. One that is lent is valid until the handler returns; any other
// is the handler's, from the Buffers. An error ends the reading of frames.
type FrameHandler func(kind FrameKind, frame []byte, lent bool) error

// A FrameBound bounds the memory of frames that are incomplete.
type FrameBound interface {
	// Grant reports whether a frame may take n bytes more than front, which is what has arrived of it. If not, the rest of it is passed
	// over as it arrives, and Cut takes its beginning then.
	Grant(front []byte, n int) bool
	// Release says that the frame that takes more is complete.
	Release()
	// Cut takes the beginning of a frame of which the rest was passed over, 34 KiB at least, as if it were the whole. It is valid until
	// Cut returns. An error ends the reading of frames.
	Cut(kind FrameKind, frame []byte) error
}

// Frames puts the frames of a lane together from the bytes that arrive. It is used by one goroutine. However long a frame claims
// to be, memory is taken only as its bytes arrive; one that arrives in one piece takes none. After an error it must not be used
// again; a length out of bounds is a *FrameSizeError.
type Frames struct {
	handle  FrameHandler
	buffers Buffers
	bound   FrameBound // nil: none
	most    int

	length [lengthBytes]byte
	known  int    // bytes of length that have arrived
	frame  []byte // the memory granted to a frame that is incomplete; nil between frames
	have   int    // bytes of it that have arrived
	need   int    // bytes of the whole
	larger bool   // it has been granted more than at first
	cut    int    // how much of its beginning is kept, where the rest is passed over; 0: all of it
}

// firstGrant is the memory granted to a frame before any of it has arrived.
const firstGrant = 68 << 10

// NewFrames returns frames for handle, whose length the limits bound.
func NewFrames(limits Limits, buffers Buffers, handle FrameHandler) *Frames {
	return &Frames{handle: handle, buffers: buffers, most: limits.WithDefaults().MessageBytes + frameRoom}
}

// Bound has b bound the memory of frames that are larger than 68 KiB and incomplete.
func (f *Frames) Bound(b FrameBound) { f.bound = b }

// Receive takes the next bytes, and hands on the frames that are complete with them.
func (f *Frames) Receive(p []byte) error {
	for len(p) > 0 {
		if f.frame != nil {
			n := copy(f.room(), p)
			p = p[n:]
			if err := f.Filled(n); err != nil {
				return err
			}
			continue
		}
		if f.known == 0 && len(p) >= lengthBytes { // as a rule
			n, err := f.size(p)
			if err != nil {
				return err
			}
			if n <= len(p) {
				if err := f.handle(FrameKind(p[lengthBytes]), p[:n:n], true); err != nil {
					return err
				}
				p = p[n:]
				continue
			}
		}
		n := copy(f.length[f.known:], p)
		p = p[n:]
		if f.known += n; f.known < lengthBytes {
			return nil
		}
		if err := f.begin(); err != nil {
			return err
		}
	}
	return nil
}

// size returns the length of the frame that starts with length, its length field included.
func (f *Frames) size(length []byte) (int, error) {
	n := binary.BigEndian.Uint32(length)
	if n == 0 || uint64(n) > uint64(f.most) {
		return 0, &FrameSizeError{Length: uint64(n), Least: 1, Most: uint64(f.most)}
	}
	return lengthBytes + int(n), nil
}

// begin makes room for the frame whose length has arrived.
func (f *Frames) begin() (err error) {
	if f.need, err = f.size(f.length[:]); err != nil {
		return err
	}
	f.frame = f.buffers.Get(min(f.need, firstGrant))
	f.have = copy(f.frame, f.length[:])
	f.known = 0
	return nil
}

// Room returns memory for what comes next of a frame that is incomplete, or nil.
func (f *Frames) Room() []byte {
	if f.frame == nil {
		return nil
	}
	return f.room()
}

// room returns the memory for what comes next, four times as much where it is full: memory that is there already is not granted.
func (f *Frames) room() []byte {
	if f.cut == 0 && f.have == len(f.frame) && !f.grant() {
		f.cut = f.have / 2
	}
	if f.cut > 0 {
		rest := f.frame[f.cut:]
		return rest[:min(len(rest), f.need-f.have)]
	}
	if f.have == len(f.frame) {
		if n := min(f.need, cap(f.frame)); n > f.have {
			f.frame = f.frame[:n]
		} else {
			grown := f.buffers.Get(min(f.need, 4*f.have))
			copy(grown, f.frame)
			f.buffers.Put(f.frame)
			f.frame = grown
		}
	}
	return f.frame[f.have:]
}

// grant reports whether the frame may take the memory that room is about to give it.
func (f *Frames) grant() (ok bool) {
	if f.bound == nil {
		return true
	}
	ok = f.bound.Grant(f.frame, min(f.need, max(cap(f.frame), 4*f.have))-f.have)
	f.larger = f.larger || ok
	return ok
}

// Filled takes n bytes that were put into Room.
func (f *Frames) Filled(n int) error {
	if f.have += n; f.have < f.need {
		return nil
	}
	frame, cut, larger := f.frame, f.cut, f.larger
	f.frame, f.cut, f.larger = nil, 0, false
	if larger {
		f.bound.Release()
	}
	kind := KindOf(frame)
	if cut == 0 {
		return f.handle(kind, frame, false)
	}
	binary.BigEndian.PutUint32(frame, uint32(cut-lengthBytes))
	err := f.bound.Cut(kind, frame[:cut])
	f.buffers.Put(frame)
	return err
}

// Reply tells how much has arrived of the frame that is incomplete, and of how many bytes, if it is a REPLY to the call in the slot.
func (f *Frames) Reply() (slot uint64, have, need int, ok bool) {
	if f.frame == nil || f.have < ReplyHeaderBytes || FrameKind(f.frame[lengthBytes]) != ReplyFrame {
		return 0, 0, 0, false
	}
	return binary.BigEndian.Uint64(f.frame[8:]), f.have, f.need, true
}

// Drop gives back the memory of a frame that will not be completed.
func (f *Frames) Drop() {
	if f.frame != nil {
		f.buffers.Put(f.frame)
		f.frame = nil
	}
}

// skipMap returns what follows the CBOR map at the front of data, whose levels are counted without those that skip has for
// values to spare.
func skipMap(data []byte) ([]byte, error) {
	if _, size := orderOnly(data); size > 0 {
		return data[size:], nil
	}
	const levels = 16
	d := Decoder{codec: NewCodec(Limits{Depth: levels}), data: data}
	if d.peek()>>5 != majorMap {
		d.unexpected("a map")
	}
	d.skip()
	return d.Rest(), d.Err
}
