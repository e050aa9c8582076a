package wire

import (
	"encoding/binary"
	"fmt"
	"math"
)

// Batch is what one process's collector tells another's in one message. It is applied as a whole, in the order of the fields. Batches
// of one generation are numbered from 1, and arrive in that order, whatever becomes of connections: those that are not
// acknowledged are sent again over the next one. Number 0 is that of a mere acknowledgement, which is not.
type Batch struct {
	Generation uint64
	Seq        uint64
	Ack        uint64       // the last batch of the other side that had been applied when this one was made
	Clean      [][16]byte   // objects of the receiver that the sender holds no longer
	Dirty      [][16]byte   // and those that it holds from now on
	Gone       []Gone       // objects of the sender that it has no more
	Acks       []MessageKey // messages of the receiver whose references are safe
	Queries    []MessageKey // messages of the sender that may have been lost: is there anything to acknowledge?
}

// Gone says that an object is not there, and why.
type Gone struct {
	Object [16]byte
	Reason uint8
}

// MessageKey names a message between two processes: the call's number and the direction.
type MessageKey struct {
	Call   uint64
	Result bool // the reply rather than the call
	Unsafe bool // of an acknowledgement: the owner of a reference could not be told of it
}

const (
	identityBytes = 16
	goneBytes     = identityBytes + 1
	keyBytes      = 8 + 1

	keyResult = 1
	keyUnsafe = 2
)

// BatchRoom is how many bytes the lists of a batch may take.
const BatchRoom = mostControl - 64

// Size returns how many bytes the lists of b take.
func (b Batch) Size() int {
	return identityBytes*(len(b.Clean)+len(b.Dirty)) + goneBytes*len(b.Gone) + keyBytes*(len(b.Acks)+len(b.Queries))
}

// The sizes of one element of a batch, for those who fill one.
const (
	BatchObject = identityBytes
	BatchGone   = goneBytes
	BatchKey    = keyBytes
)

func (b Batch) fields() []any {
	gone := make([]byte, 0, goneBytes*len(b.Gone))
	for _, g := range b.Gone {
		gone = append(append(gone, g.Object[:]...), g.Reason)
	}
	return []any{controlBatch, b.Generation, b.Seq, b.Ack, joinIDs(b.Clean), joinIDs(b.Dirty), gone, joinKeys(b.Acks), joinKeys(b.Queries)}
}

func joinIDs(ids [][16]byte) []byte {
	out := make([]byte, 0, identityBytes*len(ids))
	for i := range ids {
		out = append(out, ids[i][:]...)
	}
	return out
}

func joinKeys(keys []MessageKey) []byte {
	out := make([]byte, 0, keyBytes*len(keys))
	for _, k := range keys {
		flags := byte(0)
		if k.Result {
			flags |= keyResult
		}
		if k.Unsafe {
			flags |= keyUnsafe
		}
		out = append(binary.BigEndian.AppendUint64(out, k.Call), flags)
	}
	return out
}

// batch takes the fields of a BATCH. The lists are as long as their bytes, so that nothing is allocated ahead of them.
func (f *controlFields) batch() Batch {
	f.message = "BATCH"
	return Batch{
		Generation: f.uint(math.MaxUint64),
		Seq:        f.uint(math.MaxUint64),
		Ack:        f.uint(math.MaxUint64),
		Clean:      f.ids(),
		Dirty:      f.ids(),
		Gone:       f.gone(),
		Acks:       f.keys(keyResult | keyUnsafe),
		Queries:    f.keys(keyResult),
	}
}

// records takes a byte string of records of the given size.
func (f *controlFields) records(size int) (all []byte) {
	f.take(majorBytes, &all)
	if len(all)%size != 0 {
		f.fail(fmt.Sprintf("field %d has %d bytes, which are not records of %d", f.taken, len(all), size))
	}
	if f.err != nil {
		return nil
	}
	return all
}

func (f *controlFields) ids() (ids [][16]byte) {
	for all := f.records(identityBytes); len(all) > 0; all = all[identityBytes:] {
		ids = append(ids, [16]byte(all[:identityBytes]))
	}
	return ids
}

func (f *controlFields) gone() (list []Gone) {
	for all := f.records(goneBytes); len(all) > 0; all = all[goneBytes:] {
		list = append(list, Gone{[16]byte(all[:identityBytes]), all[identityBytes]})
	}
	return list
}

func (f *controlFields) keys(known byte) (keys []MessageKey) {
	for all := f.records(keyBytes); len(all) > 0; all = all[keyBytes:] {
		flags := all[8]
		if flags&^known != 0 {
			f.fail(fmt.Sprintf("field %d has a key with the flags %#02x", f.taken, flags))
			return nil
		}
		keys = append(keys, MessageKey{binary.BigEndian.Uint64(all), flags&keyResult != 0, flags&keyUnsafe != 0})
	}
	return keys
}
