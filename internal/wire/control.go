package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"github.com/fxamacker/cbor/v2"
)

// Hello is what the dialling side says first on the control stream.
type Hello struct {
	VersionMin, VersionMax uint16
	Process                [16]byte
	Token                  [16]byte // by which the receiver recognises the sender at the next connection
	Generation             uint64   // of the two processes' association, as the sender knows it; 0: it knows of none
	LastSeq                uint64   // the last batch received from the other side
	Endpoints              []string // where the sender can be dialled; at most 16, of at most 256 bytes
	Features               uint64
	Probe, Dead            time.Duration // liveness: how often the sender probes, and when it gives up; whole milliseconds
	MessageBytes           uint64        // the largest arguments or results that the sender takes
}

// Status is the answer to a Hello.
type Status uint8

const (
	StatusNew     Status = 1 // the two had no association, now they have
	StatusResumed Status = 2 // the association goes on
	StatusGone    Status = 3 // one side had forgotten the association; this is a new one
	StatusRefused Status = 4 // none; Reason says why
)

func (s Status) String() string {
	switch s {
	case StatusNew:
		return "NEW"
	case StatusResumed:
		return "RESUMED"
	case StatusGone:
		return "GONE"
	case StatusRefused:
		return "REFUSED"
	}
	return fmt.Sprintf("status %d", uint8(s))
}

// Welcome answers a Hello.
type Welcome struct {
	Version     uint16
	Process     [16]byte
	Token       [16]byte
	Status      Status
	Generation  uint64
	Lease       time.Duration // whole milliseconds
	LastSeq     uint64
	Endpoints   []string
	Features    uint64
	Probe, Dead time.Duration
	Reason      string // of a refusal; at most 1 KiB
	Refusal     uint8  // the kind of error that a refusal is

	MessageBytes uint64 // the largest arguments or results that the sender takes
}

// Ping asks for a Pong with the same nonce.
type Ping struct{ Nonce uint64 }

// Pong answers a Ping.
type Pong struct{ Nonce uint64 }

// Bye announces the orderly end of a connection: its sender has no call under way on it and makes no more.
type Bye struct {
	Leaving bool // its sender ends altogether, not only this connection
}

// Widen is about a bulk connection beside this one. The dialler asks for one without a key; the acceptor offers one with the key
// by which the dialler joins it.
type Widen struct{ Key [16]byte } // zero: none

// Join is what the dialling side says first on a bulk connection.
type Join struct{ Key [16]byte }

// Joined answers a Join.
type Joined struct{}

// The first element of each message.
const (
	controlHello   = 1
	controlWelcome = 2
	controlBatch   = 3
	controlPing    = 4
	controlPong    = 5
	controlBye     = 6
	controlWiden   = 7
	controlJoin    = 8
	controlJoined  = 9
)

const (
	mostControl = 16 << 10 // bytes of a message, its length field not counted
	mostReason  = 1 << 10
)

// ControlError is a message of the control stream that breaks the protocol.
type ControlError struct {
	Message string // "HELLO"; "control message" where it is not known which
	Says    string
}

func (e *ControlError) Error() string { return e.Message + ": " + e.Says }

// AppendControl appends a message, a Hello, Welcome, Batch, Ping, Pong, Bye, Widen, Join or Joined, with its length in front. It fails where the message
// is out of the protocol's bounds.
func AppendControl(buf []byte, msg any) ([]byte, error) {
	var fields []any
	switch m := msg.(type) {
	case Hello:
		fields = []any{controlHello, m.VersionMin, m.VersionMax, m.Process, m.Token, m.Generation, m.LastSeq,
			nonNil(m.Endpoints), m.Features, m.Probe.Milliseconds(), m.Dead.Milliseconds(), m.MessageBytes}
	case Welcome:
		fields = []any{controlWelcome, m.Version, m.Process, m.Token, m.Status, m.Generation, m.Lease.Milliseconds(), m.LastSeq,
			nonNil(m.Endpoints), m.Features, m.Probe.Milliseconds(), m.Dead.Milliseconds(), m.Reason, m.Refusal, m.MessageBytes}
	case Ping:
		fields = []any{controlPing, m.Nonce}
	case Pong:
		fields = []any{controlPong, m.Nonce}
	case Bye:
		leaving := 0
		if m.Leaving {
			leaving = 1
		}
		fields = []any{controlBye, leaving}
	case Widen:
		fields = []any{controlWiden, m.Key}
	case Join:
		fields = []any{controlJoin, m.Key}
	case Joined:
		fields = []any{controlJoined}
	case Batch:
		fields = m.fields()
	default:
		return buf, fmt.Errorf("%T is no control message", msg)
	}
	body, err := cbor.Marshal(fields)
	if err != nil {
		return buf, err
	}
	if _, err := parseControl(body); err != nil {
		return buf, err
	}
	buf = binary.BigEndian.AppendUint32(buf, uint32(len(body)))
	return append(buf, body...), nil
}

func nonNil(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

// ReadControl reads the next message, and returns it as AppendControl takes it. At the end between two messages the error is
// io.EOF, within one io.ErrUnexpectedEOF; a message that breaks the protocol is a *ControlError.
func ReadControl(r io.Reader) (msg any, err error) {
	var length [4]byte
	if _, err := io.ReadFull(r, length[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(length[:])
	if n == 0 || n > mostControl {
		return nil, outOfBounds(n)
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(r, body); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	return parseControl(body)
}

// Controls puts control messages together from the bytes that arrive, as [Frames] does frames. After an error it must not be used
// again.
type Controls struct {
	handle func(msg any) error
	buf    []byte // of the message that is incomplete
}

// NewControls returns messages for handle; an error of it ends the reading.
func NewControls(handle func(msg any) error) *Controls { return &Controls{handle: handle} }

// Receive takes the next bytes, and hands on the messages that are complete with them.
func (c *Controls) Receive(p []byte) error {
	for len(p) > 0 {
		need := lengthBytes
		if len(c.buf) >= lengthBytes {
			need += int(binary.BigEndian.Uint32(c.buf))
		}
		n := min(need-len(c.buf), len(p))
		c.buf, p = append(c.buf, p[:n]...), p[n:]
		if len(c.buf) < need {
			return nil
		}
		if need == lengthBytes {
			if n := binary.BigEndian.Uint32(c.buf); n == 0 || n > mostControl {
				return outOfBounds(n)
			}
			continue
		}
		msg, err := parseControl(c.buf[lengthBytes:])
		c.buf = nil
		if err == nil {
			err = c.handle(msg)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func outOfBounds(n uint32) error {
	return &ControlError{"control message", fmt.Sprintf("%d bytes are not between 1 and %d", n, mostControl)}
}

// controlMode is immutable. Its bounds are what makes decoding a message cheap before anything is known of its sender.
var controlMode = strictMode()

func strictMode() cbor.DecMode {
	mode, err := cbor.DecOptions{
		DupMapKey:         cbor.DupMapKeyEnforcedAPF,
		MaxNestedLevels:   4,
		MaxArrayElements:  64,
		MaxMapPairs:       64,
		IndefLength:       cbor.IndefLengthForbidden,
		TagsMd:            cbor.TagsForbidden,
		ExtraReturnErrors: cbor.ExtraDecErrorUnknownField,
		UTF8:              cbor.UTF8RejectInvalid,
	}.DecMode()
	if err != nil {
		panic(err) // the options are constants
	}
	return mode
}

func parseControl(body []byte) (any, error) {
	f := &controlFields{message: "control message"}
	if len(body) > mostControl {
		return nil, &ControlError{f.message, fmt.Sprintf("%d bytes are more than %d", len(body), mostControl)}
	}
	if err := controlMode.Unmarshal(body, &f.rest); err != nil {
		return nil, &ControlError{f.message, err.Error()}
	}
	var msg any
	switch kind := f.uint(math.MaxUint16); kind {
	case controlHello:
		msg = f.hello()
	case controlWelcome:
		msg = f.welcome()
	case controlPing:
		f.message = "PING"
		msg = Ping{f.uint(math.MaxUint64)}
	case controlPong:
		f.message = "PONG"
		msg = Pong{f.uint(math.MaxUint64)}
	case controlBye:
		f.message = "BYE"
		msg = Bye{f.uint(1) == 1}
	case controlWiden:
		f.message = "WIDEN"
		msg = Widen{f.identity()}
	case controlJoin:
		f.message = "JOIN"
		msg = Join{f.identity()}
	case controlJoined:
		msg = Joined{}
	case controlBatch:
		msg = f.batch()
	default:
		f.fail(fmt.Sprintf("kind %d is unknown", kind))
	}
	if f.err != nil {
		return nil, f.err
	}
	return msg, nil
}

// controlFields takes the fields of a message from the front; those left at the end are a later version's. The first failure
// sticks.
type controlFields struct {
	message string
	taken   int
	rest    []cbor.RawMessage
	err     error
}

func (f *controlFields) hello() Hello {
	f.message = "HELLO"
	m := Hello{
		VersionMin: uint16(f.uint(math.MaxUint16)),
		VersionMax: uint16(f.uint(math.MaxUint16)),
		Process:    f.identity(),
		Token:      f.identity(),
		Generation: f.uint(math.MaxUint64),
		LastSeq:    f.uint(math.MaxUint64),
		Endpoints:  f.endpoints(),
		Features:   f.uint(math.MaxUint64),
		Probe:      f.milliseconds(),
		Dead:       f.milliseconds(),

		MessageBytes: f.uint(math.MaxUint64),
	}
	if m.VersionMin > m.VersionMax {
		f.fail(fmt.Sprintf("its versions are %d to %d", m.VersionMin, m.VersionMax))
	}
	return m
}

func (f *controlFields) welcome() Welcome {
	f.message = "WELCOME"
	m := Welcome{
		Version:    uint16(f.uint(math.MaxUint16)),
		Process:    f.identity(),
		Token:      f.identity(),
		Status:     Status(f.uint(math.MaxUint8)),
		Generation: f.uint(math.MaxUint64),
		Lease:      f.milliseconds(),
		LastSeq:    f.uint(math.MaxUint64),
		Endpoints:  f.endpoints(),
		Features:   f.uint(math.MaxUint64),
		Probe:      f.milliseconds(),
		Dead:       f.milliseconds(),
		Reason:     f.text(mostReason),
		Refusal:    uint8(f.uint(math.MaxUint8)),

		MessageBytes: f.uint(math.MaxUint64),
	}
	if m.Status < StatusNew || m.Status > StatusRefused {
		f.fail(fmt.Sprintf("%v is unknown", m.Status))
	}
	return m
}

func (f *controlFields) fail(says string) {
	if f.err == nil {
		f.err = &ControlError{f.message, says}
	}
}

// take decodes the next field, which must be of the given major type, into p.
func (f *controlFields) take(major byte, p any) {
	if f.err != nil {
		return
	}
	f.taken++
	if len(f.rest) == 0 {
		f.fail(fmt.Sprintf("field %d is missing", f.taken))
		return
	}
	raw := f.rest[0]
	f.rest = f.rest[1:]
	if raw[0]>>5 != major {
		f.fail(fmt.Sprintf("field %d has the wrong type (its first byte is %#02x)", f.taken, raw[0]))
		return
	}
	if err := controlMode.Unmarshal(raw, p); err != nil {
		f.fail(fmt.Sprintf("field %d: %v", f.taken, err))
	}
}

func (f *controlFields) uint(most uint64) (n uint64) {
	if f.take(majorUint, &n); n > most {
		f.fail(fmt.Sprintf("field %d is %d, more than %d", f.taken, n, most))
	}
	return n
}

func (f *controlFields) milliseconds() time.Duration {
	return time.Duration(f.uint(math.MaxInt64/uint64(time.Millisecond))) * time.Millisecond
}

func (f *controlFields) identity() (id [16]byte) {
	var b []byte
	if f.take(majorBytes, &b); f.err == nil && len(b) != len(id) {
		f.fail(fmt.Sprintf("field %d has %d bytes, not %d", f.taken, len(b), len(id)))
	}
	copy(id[:], b)
	return id
}

func (f *controlFields) text(most int) (s string) {
	if f.take(majorText, &s); len(s) > most {
		f.fail(fmt.Sprintf("field %d has %d bytes, more than %d", f.taken, len(s), most))
	}
	return s
}

func (f *controlFields) endpoints() []string {
	list := &controlFields{message: f.message}
	f.take(majorArray, &list.rest)
	if len(list.rest) > mostEndpoints {
		f.fail(fmt.Sprintf("%d endpoints are more than %d", len(list.rest), mostEndpoints))
	}
	var endpoints []string
	for f.err == nil && len(list.rest) > 0 {
		endpoints = append(endpoints, list.text(longestName))
		f.err = list.err
	}
	return endpoints
}
