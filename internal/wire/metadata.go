package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
)

// Metadata is what a CALL carries beside its arguments, by key: its map of extensions. No key is in both.
type Metadata struct {
	Own   map[string]string // for the method called
	Chain map[string]string // for all calls that are made on its behalf as well

	After uint64   // it waits until the one-way calls that its caller sent to the object up to this one have ended; 0: for none
	Pipe  uint64   // the pipe that it belongs to; 0: none
	Path  []uint64 // tokens of what the calls that it is nested in hold: it waits for none of that
}

// MostTokens is how long a Path may be.
const MostTokens = 256

// The extensions of a CALL.
const (
	extOwn   = "meta"
	extChain = "chain"
	extAfter = "after"
	extPath  = "path"
	extPipe  = "pipe"
)

// AppendMetadata appends the map of extensions that holds m, nothing where m is empty.
func AppendMetadata(buf []byte, m Metadata) []byte {
	parts := uint64(0)
	for _, there := range []bool{len(m.Own) > 0, len(m.Path) > 0, m.Pipe > 0, m.After > 0, len(m.Chain) > 0} {
		if there {
			parts++
		}
	}
	if parts == 0 {
		return buf
	}
	buf = appendHead(buf, majorMap, parts)
	buf = appendPairs(buf, extOwn, m.Own)
	if len(m.Path) > 0 {
		buf = appendHead(appendText(buf, extPath), majorBytes, uint64(8*len(m.Path)))
		for _, token := range m.Path {
			buf = binary.BigEndian.AppendUint64(buf, token)
		}
	}
	if m.Pipe > 0 {
		buf = appendHead(appendText(buf, extPipe), majorUint, m.Pipe)
	}
	if m.After > 0 {
		buf = appendHead(appendText(buf, extAfter), majorUint, m.After)
	}
	return appendPairs(buf, extChain, m.Chain)
}

func appendPairs(buf []byte, name string, pairs map[string]string) []byte {
	if len(pairs) == 0 {
		return buf
	}
	buf = appendText(buf, name)
	buf = appendHead(buf, majorMap, uint64(len(pairs)))
	keys := slices.SortedFunc(maps.Keys(pairs), func(a, b string) int {
		return bytes.Compare(appendText(nil, a), appendText(nil, b))
	})
	for _, key := range keys {
		buf = appendText(buf, key)
		buf = appendText(buf, pairs[key])
	}
	return buf
}

func appendText(buf []byte, s string) []byte {
	return append(appendHead(buf, majorText, uint64(len(s))), s...)
}

// ErrMetadata is metadata beyond the limit that ReadMetadata was given.
var ErrMetadata = errors.New("metadata beyond the limit")

// ReadMetadata reads the extensions of a CALL, which ParseCall has found well-formed, and passes over what it does not know. Metadata
// of more than limit bytes, keys and values counted, is ErrMetadata, and is not kept; any other error is a *FrameError.
func ReadMetadata(extensions []byte, limit int) (m Metadata, err error) {
	if m, size := orderOnly(extensions); size > 0 && size == len(extensions) {
		return m, nil
	}
	d := Decoder{codec: NewCodec(Limits{}), data: extensions}
	n := d.length(majorMap, "a map of extensions")
	for i := 0; i < n && d.Err == nil; i++ {
		if d.peek()>>5 != majorText {
			d.skip()
			d.skip()
			continue
		}
		switch name := d.text("an extension's name"); string(name) {
		case extOwn:
			m.Own, limit = d.pairs(m.Own, limit)
		case extChain:
			m.Chain, limit = d.pairs(m.Chain, limit)
		case extAfter:
			m.After = d.uint(math.MaxUint64)
		case extPipe:
			m.Pipe = d.uint(math.MaxUint64)
		case extPath:
			m.Path = d.tokens()
		default:
			d.skip()
		}
	}
	for key := range m.Own {
		if _, twice := m.Chain[key]; twice {
			d.failf("the key %q is in both", key)
		}
	}
	switch {
	case errors.Is(d.Err, ErrMetadata):
		return Metadata{}, ErrMetadata
	case d.Err != nil:
		return Metadata{}, &FrameError{CallFrame, fmt.Sprintf("its metadata cannot be read: %v", d.Err)}
	}
	return m, nil
}

// orderOnly reads a map of extensions that has nothing but a pipe, or a place to come after, at the front of data, and returns how long it
// is; 0: it is another one, which may be well-formed. Most calls with extensions have such, and need no decoder.
func orderOnly(data []byte) (m Metadata, size int) {
	if len(data) == 0 || data[0]>>5 != majorMap || data[0]&0x1f > 2 {
		return m, 0
	}
	at := 1
	for range data[0] & 0x1f {
		value := &m.Pipe
		if rest := data[at:]; bytes.HasPrefix(rest, []byte("\x64pipe")) {
			at += 5
		} else if bytes.HasPrefix(rest, []byte("\x65after")) {
			value = &m.After
			at += 6
		} else {
			return m, 0
		}
		n := shortUint(data[at:], value)
		if n == 0 {
			return m, 0
		}
		at += n
	}
	return m, at
}

// shortUint reads an integer that is not 0 into *p, which is, in its shortest form, and returns how long it is; 0: it is not there.
func shortUint(data []byte, p *uint64) (size int) {
	if len(data) == 0 || *p != 0 {
		return 0
	}
	switch head := data[0]; {
	case head < 24:
		*p, size = uint64(head), 1
	case head == 24 && len(data) > 1:
		*p, size = uint64(data[1]), 2
	case head == 25 && len(data) > 2:
		*p, size = uint64(binary.BigEndian.Uint16(data[1:])), 3
	case head == 26 && len(data) > 4:
		*p, size = uint64(binary.BigEndian.Uint32(data[1:])), 5
	case head == 27 && len(data) > 8:
		*p, size = binary.BigEndian.Uint64(data[1:]), 9
	}
	if size == 0 || *p == 0 || len(appendHead(make([]byte, 0, 9), majorUint, *p)) != size {
		return 0
	}
	return size
}

// tokens reads a path.
func (d *Decoder) tokens() (path []uint64) {
	packed := d.take(d.length(majorBytes, "a path of tokens"))
	if d.Err == nil && (len(packed)%8 != 0 || len(packed) > 8*MostTokens) {
		d.failf("a path of %d bytes: it has 8 for each token, and at most %d tokens", len(packed), MostTokens)
	}
	for ; d.Err == nil && len(packed) > 0; packed = packed[8:] {
		path = append(path, binary.BigEndian.Uint64(packed))
	}
	return path
}

// pairs reads a map of texts of no more than limit bytes, and returns it with what is left of the limit.
func (d *Decoder) pairs(there map[string]string, limit int) (map[string]string, int) {
	if there != nil {
		d.failf("an extension comes twice")
	}
	n := d.length(majorMap, "a map of texts")
	pairs := map[string]string{}
	for range n {
		key := string(d.text("a key"))
		value := d.text("a value")
		switch _, twice := pairs[key]; {
		case d.Err != nil:
			return nil, 0
		case twice:
			d.fail(errTwice)
		case key == "" || len(value) == 0:
			d.failf("a key or value is empty")
		case len(key)+len(value) > limit:
			d.fail(ErrMetadata)
		}
		limit -= len(key) + len(value)
		pairs[key] = string(value)
	}
	return pairs, limit
}
