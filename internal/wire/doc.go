// Package wire is what processes say to each other: how values become bytes and back, and the frames and control messages
// that carry them.
//
// A message body is one CBOR array (RFC 8949) of arguments or of results. An [Encoder] writes it item by item, a [Decoder]
// reads it, both with one sticky error:
//
//	e.Reset(codec, table, objects, "argument", frame)
//	e.Int64(cents)
//	e.Value(order)
//	frame, err := e.Finish()
//
// The body of that call, where order is &Order{ID: 7, Lines: []Line{{SKU: "a"}}} and cents is 250:
//
//	82                # the arguments: an array of 2
//	   18 fa          # 250
//	   a2             # Order: its 2 fields that are not zero, named in the bytewise order of the names' encoding
//	      62 4944     # "ID"
//	      07          # 7
//	      65 4c696e6573  # "Lines"
//	      81          # an array of 1
//	         a1       # Line
//	            63 534b55  # "SKU"
//	            61 61      # "a"
//
// What holds of the codec:
//
//  1. Every value comes back as it was sent, whatever its shape: integers in range, floats to the bit, nil apart from empty,
//     strings that are not UTF-8; pointers, maps and slices that are the same anywhere in the message, cycles included. The
//     exceptions are listed below. A list of any length takes no depth on either side.
//  2. Remote objects, in arguments, in fields and in values of interface types, go through [Objects]; which types a message may
//     name, and which interfaces, sentinels and error types, is closed by its [Table]. Nothing is looked up by a name that a
//     peer chose beyond it, and no type is made from one. [Filter] decides further. An exported object is never copied: a pointer
//     of its own type to it is refused. A function goes as an object that is made of it each time (see [Function]).
//  3. The encoding is canonical: definite lengths, shortest heads, fields and integer, boolean and string keys of maps sorted.
//     One graph has one encoding, except for maps with other keys. A decoder refuses lengths and heads in any other form.
//  4. Whatever the bytes, a decoder does not panic, nest, allocate or read beyond [Limits]; a limit is checked before the memory
//     is taken. Each failure is an [Error] with the path to the value.
//  5. Fields may be added and removed: a reader passes over fields that it does not know, without forgetting what later ones
//     refer to, and leaves those that did not come at zero. Integers and floats may be widened. T and *T are read from the
//     same bytes where T itself is never null.
//  6. No error is lost: one whose type does not travel, or cannot make its text of what came for its fields, arrives as a
//     [RemoteError] with its text and its chain. An error item takes at most 64 KiB. What is cut off a longer one, or one that
//     wraps more than 64 levels or 64 errors at a level, keeps the sentinels of the table that a bounded search finds there.
//  7. No exported field is lost without a word: an unexported struct that is embedded travels as an exported one does, by pointer
//     it is refused if there are exported fields in it, and methods of an embedded field do not marshal a struct with exported
//     fields beside it. Two keys of a map that would become one are refused too.
//
// What does not arrive as it was sent:
//
//	the name of a time's zone             the offset is kept; a time.Location is not a value
//	a time's monotonic reading            it means nothing to another process
//	the capacity of a slice               is its length
//	slices that overlap without being     each is a slice of its own
//	equal, pointers into something
//	pointers and slices of what has       Go does not tell such pointers apart either
//	no size
//	unexported fields                     unless the struct marshals itself
//	empty fields tagged omitempty         arrive as nil, as the tag wants
//	NaN as the key of a map               each stays a key of its own, but in no order
//	errors                                are trees: see 6
//
// Frames ([Frames]) carry calls and replies; their fixed parts are read by accessors, and their bodies are not looked
// into here. Control messages ([ReadControl]) are few and small, and are plain CBOR through a general library in its
// strictest mode.
package wire
