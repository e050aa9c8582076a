package rmi

import (
	"encoding/base64"
	"fmt"

	"github.com/rmigo/rmigo/refs"
	"github.com/rmigo/rmigo/skeleton"
)

// Marshalled is a value of type T as it travels: opaque bytes, which may be stored, sent on and compared. Two are equal by ==
// where they were made of equal graphs, sharing included, as long as the graphs have no maps with keys other than booleans,
// integers and strings. It keeps nothing alive: neither the value that it was made of, nor the remote objects in it, nor a node;
// whether those objects are still there shows when it is read, or when they are called. Since references are capabilities, whoever
// has the bytes has the objects.
//
// As an argument, result or field it travels as its bytes, unread. The zero Marshalled is that of the zero T.
type Marshalled[T any] struct{ data string }

// Marshal makes v into a Marshalled. The interfaces say what may be in it by name, as their methods do: remote interfaces that
// are in v, and those whose //rmi:types list what its interface-typed values hold. Remote objects in v are stubs or exported
// already: nothing is exported for it. What cannot travel is ErrMarshal with its path.
func Marshal[T any](n *Node, v T, interfaces ...skeleton.Descriptor) (Marshalled[T], error) {
	data, err := n.refs.Marshal(interfaces, func(e *refs.Encoder) { e.Value(&v) })
	return Marshalled[T]{string(data)}, err
}

// Get returns a new copy of the value, remote objects in it being stubs of this node, or its own objects themselves. The node
// need not be the one that made it, nor in the same process. The interfaces are as in Marshal. What cannot be read is
// ErrUnmarshal or ErrLimit with its path.
func (m Marshalled[T]) Get(n *Node, interfaces ...skeleton.Descriptor) (T, error) {
	var p *T
	if m.data == "" {
		return *new(T), nil
	}
	err := n.refs.Unmarshal(interfaces, []byte(m.data), func(d *refs.Decoder) { d.Value(&p) })
	if err != nil || p == nil {
		return *new(T), err
	}
	return *p, nil
}

// MarshalBinary returns the bytes.
func (m Marshalled[T]) MarshalBinary() ([]byte, error) { return []byte(m.data), nil }

// UnmarshalBinary takes the bytes; whether they make sense shows in Get.
func (m *Marshalled[T]) UnmarshalBinary(b []byte) error {
	m.data = string(b)
	return nil
}

// MarshalText returns the bytes in base64, for files and databases that want text.
func (m Marshalled[T]) MarshalText() ([]byte, error) {
	return base64.StdEncoding.AppendEncode(nil, []byte(m.data)), nil
}

// UnmarshalText takes what MarshalText returned.
func (m *Marshalled[T]) UnmarshalText(text []byte) error {
	b, err := base64.StdEncoding.AppendDecode(nil, text)
	if err != nil {
		return fmt.Errorf("rmi: a marshalled value as text: %w", err)
	}
	m.data = string(b)
	return nil
}

// String says what it is, and shows nothing of it.
func (m Marshalled[T]) String() string {
	return fmt.Sprintf("marshalled %T of %d bytes", *new(T), len(m.data))
}

// GoString is String, for %#v.
func (m Marshalled[T]) GoString() string { return m.String() }
