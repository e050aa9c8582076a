package refs

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/url"
	"strings"

	"github.com/rmigo/rmigo/internal/transport"
	"github.com/rmigo/rmigo/internal/wire"
)

// ProcessID names one incarnation of a process: 128 random bits drawn when its node is made. A process that is started again
// has another one, so no reference can mistake the new process for the old.
type ProcessID [16]byte

// String returns the first eight hexadecimal digits, enough to tell processes apart in a log.
func (p ProcessID) String() string { return hex.EncodeToString(p[:4]) }

// ObjectID names an object within its process: 128 random bits, never reused. Whoever knows it may call the object, so it is
// a capability and is not printed.
type ObjectID [16]byte

// RegistryObject is the well-known id of a process's registry.
func RegistryObject() ObjectID { return ObjectID{15: 1} }

// InspectorObject is the well-known id of a process's inspector.
func InspectorObject() ObjectID { return ObjectID{15: 2} }

// WellKnown reports whether the id is one of the fixed ones, which are valid under any incarnation of a process.
func (o ObjectID) WellKnown() bool {
	return o[15] != 0 && [15]byte(o[:15]) == [15]byte{}
}

// namedPrefix is how the ids of named objects begin: no random one does.
const namedPrefix = "rmi:name"

// NamedObject returns the id that an object has by a name, in whatever process it lives.
func NamedObject(name string) (id ObjectID) {
	sum := sha256.Sum256([]byte(name))
	copy(id[:], namedPrefix)
	copy(id[len(namedPrefix):], sum[:])
	return id
}

// Named reports whether the id stands for a name. Such an object is found in whatever process has it, as a well-known one is.
func (o ObjectID) Named() bool { return string(o[:len(namedPrefix)]) == namedPrefix }

// Fixed reports whether the id is valid under any incarnation of a process.
func (o ObjectID) Fixed() bool { return o.WellKnown() || o.Named() }

// String returns a short digest that tells objects apart without giving the id away.
func (o ObjectID) String() string {
	sum := sha256.Sum256(o[:])
	return "#" + hex.EncodeToString(sum[:3])
}

// ID is the identity of an object: two references are to the same object if and only if their IDs are equal.
type ID struct {
	Process ProcessID
	Object  ObjectID
}

// String is as redacted as its parts.
func (id ID) String() string { return id.Object.String() + "@" + id.Process.String() }

func newID() (id [16]byte) {
	rand.Read(id[:])
	if ObjectID(id).Fixed() {
		return newID()
	}
	return id
}

// Ref is a reference as data: the object's identity, the endpoints at which its process may be reached, in order of
// preference, and the names of its interfaces. It is comparable, can be stored and sent anywhere, and keeps nothing alive.
// Compare [Ref.ID] to ask for the same object: == also compares endpoints and interfaces.
//
// String is redacted, for an object id is a capability; MarshalText is the whole of it.
type Ref struct {
	id         ID
	endpoints  string // joined by spaces, which neither endpoints nor interface names contain
	interfaces string
}

// ID returns the identity of the object.
func (r Ref) ID() ID { return r.id }

// Beside returns a reference to another object of the same process, one with the interface face.
func (r Ref) Beside(id ObjectID, face string) Ref {
	r.id.Object, r.interfaces = id, face
	return r
}

// IsZero reports whether r refers to nothing.
func (r Ref) IsZero() bool { return r == Ref{} }

// Endpoints returns where the object's process may be reached, the preferred first; none for a process that listens nowhere.
func (r Ref) Endpoints() []string { return strings.Fields(r.endpoints) }

// Interfaces returns the names of the interfaces that the object had when the reference was made.
func (r Ref) Interfaces() []string { return strings.Fields(r.interfaces) }

// String says what is referred to without giving the capability away.
func (r Ref) String() string {
	if r.IsZero() {
		return "no object"
	}
	name := "object"
	if faces := r.Interfaces(); len(faces) > 0 {
		name = shortName(faces[0])
	}
	return name + r.id.String()
}

// GoString is as redacted as String, for %#v.
func (r Ref) GoString() string { return "refs.Ref(" + r.String() + ")" }

// shortName turns "example.com/bank.Account" into "bank.Account", and so each path in the name of a function type.
func shortName(path string) string {
	var short strings.Builder
	for {
		end := strings.IndexAny(path, "()[]{},;*")
		if end < 0 {
			return short.String() + path[strings.LastIndexByte(path, '/')+1:]
		}
		short.WriteString(path[strings.LastIndexByte(path[:end], '/')+1 : end+1])
		path = path[end+1:]
	}
}

const refScheme = "rmi-ref:"

// MarshalText returns the whole reference, capability included: whoever has the text can call the object. Resolve turns it
// into a stub again.
func (r Ref) MarshalText() ([]byte, error) {
	q := url.Values{}
	if r.endpoints != "" {
		q["at"] = r.Endpoints()
	}
	if r.interfaces != "" {
		q["as"] = r.Interfaces()
	}
	return fmt.Appendf(nil, "%s%x/%x?%s", refScheme, r.id.Process[:], r.id.Object[:], q.Encode()), nil
}

// UnmarshalText parses what MarshalText wrote. The text may come from anywhere: it is bounded and checked.
func (r *Ref) UnmarshalText(text []byte) error {
	bad := func(why string) error { return fmt.Errorf("rmi: not a reference: %s", why) }
	if len(text) > 64<<10 {
		return bad("longer than 64 KiB")
	}
	rest, ok := strings.CutPrefix(string(text), refScheme)
	if !ok {
		return bad(`a reference starts with "` + refScheme + `"`)
	}
	ids, query, _ := strings.Cut(rest, "?")
	process, object, _ := strings.Cut(ids, "/")
	var out Ref
	for _, part := range []struct {
		to   []byte
		text string
	}{{out.id.Process[:], process}, {out.id.Object[:], object}} {
		b, err := hex.DecodeString(part.text)
		if err != nil || len(b) != len(part.to) {
			return bad("process and object are 32 hexadecimal digits each")
		}
		copy(part.to, b)
	}
	q, err := url.ParseQuery(query)
	if err != nil {
		return bad(err.Error())
	}
	rec := wire.Record{Process: out.id.Process, Object: out.id.Object, Endpoints: q["at"], Interfaces: q["as"]}
	if out, err = refOf(rec); err != nil {
		return bad(err.Error())
	}
	*r = out
	return nil
}

// Bounds on what a reference from outside may list.
const (
	maxEndpoints  = 16
	maxInterfaces = 64
	maxNameBytes  = 256
)

// refOf makes a Ref of a record that came from outside, refusing what no node of ours would have written.
func refOf(rec wire.Record) (Ref, error) {
	if len(rec.Endpoints) > maxEndpoints || len(rec.Interfaces) > maxInterfaces {
		return Ref{}, fmt.Errorf("a reference lists at most %d endpoints and %d interfaces", maxEndpoints, maxInterfaces)
	}
	for _, list := range [][]string{rec.Endpoints, rec.Interfaces} {
		for _, s := range list {
			if !isWord(s) {
				return Ref{}, fmt.Errorf("a reference lists the endpoint or interface %.40q", s)
			}
		}
	}
	return Ref{
		id:         ID{rec.Process, rec.Object},
		endpoints:  strings.Join(rec.Endpoints, " "),
		interfaces: strings.Join(rec.Interfaces, " "),
	}, nil
}

// isWord reports whether a reference can carry s as an endpoint or interface name.
func isWord(s string) bool {
	f := strings.Fields(s)
	return len(f) == 1 && f[0] == s && len(s) <= maxNameBytes
}

// checkEndpoint says what is wrong with an endpoint of this process's own.
func checkEndpoint(s string) error {
	if _, err := transport.ParseEndpoint(s); err != nil {
		return err
	}
	if !isWord(s) {
		return fmt.Errorf("endpoint %q: a reference carries at most %d bytes, without spaces", s, maxNameBytes)
	}
	return nil
}

func (r Ref) record() wire.Record {
	return wire.Record{Process: r.id.Process, Object: r.id.Object, Endpoints: r.Endpoints(), Interfaces: r.Interfaces()}
}
