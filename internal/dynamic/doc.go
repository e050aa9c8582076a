// Package dynamic calls methods without the Go types of their arguments and results: it makes types that travel alike of an object's
// description, turns values at hand into arguments of these types, and results into natural values.
//
//	m, err := dynamic.Compile(node, description, "Deposit")
//	args, err := m.Arguments([]any{100}, objects)
//
// Natural values are bool, int64, uint64, float64, complex128, string, []byte, time.Time, time.Duration, []any, map[string]any (also
// for structs, by the names of their fields; map[any]any for maps with other keys than strings), stub.Object for remote objects,
// error, nil, io.ReadCloser and io.WriteCloser, and the types of math/big. What is shared among results arrives shared, cycles included.
//
// Arguments may be natural values, or any Go values that look alike, and what encoding/json makes of numbers, of bytes (base64) and of
// times (RFC 3339). A wrong one is an *ArgumentError, which says where.
package dynamic

import (
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"

	"github.com/rmigo/rmigo/refs"
	"github.com/rmigo/rmigo/skeleton"
	"github.com/rmigo/rmigo/stub"
)

// Method is one method of a described object.
type Method struct {
	Face *refs.Face // to call it through
	ID   uint64

	described *refs.MethodDescription
	params    []*shape
	results   []*shape
}

// Compile finds a method and makes the types of its parameters and results. The error says what is wrong with the description, which
// comes from a peer, or that there is no such method.
func Compile(n *refs.Node, d *refs.Description, name string) (*Method, error) {
	in, described := d.Method(name)
	if described == nil {
		return nil, &NoMethodError{Name: name, Has: names(d)}
	}
	b := newBuilder(d)
	m := &Method{ID: described.ID, described: described}
	for _, list := range []struct {
		of   []refs.Value
		into *[]*shape
	}{{described.Params, &m.params}, {described.Results, &m.results}} {
		for _, v := range list.of {
			s, err := b.shape(v.Type)
			if t := closer(v.Type); t != nil && list.into == &m.results && !described.Stream {
				s, err = &shape{name: v.Type, kind: closerKind, typ: t}, nil
			}
			if err != nil && isStream(v.Type) {
				return nil, &StreamError{Method: described.Name, Type: v.Type}
			}
			if err != nil {
				return nil, fmt.Errorf("%s is described with a type that makes no sense: %w", described.Name, err)
			}
			*list.into = append(*list.into, s)
		}
	}
	knots, held, err := b.finish()
	if err != nil {
		return nil, fmt.Errorf("%s is described with types that make no sense: %w", described.Name, err)
	}
	m.Face, err = n.DynamicFace(descriptor{skeleton.AnyObject, in.Name, described, held}, knots)
	return m, err
}

// StreamError is a method that takes a stream, which only generated code can feed.
type StreamError struct{ Method, Type string }

func (e *StreamError) Error() string {
	return fmt.Sprintf("%s takes a stream (%s): call it by generated code", e.Method, e.Type)
}

func isStream(text string) bool {
	return strings.HasPrefix(text, "iter.Seq2[") || text == "io.Reader" || text == "io.Writer"
}

// closer returns the type of a stream of bytes that a method returns; nil: it is none.
func closer(text string) reflect.Type {
	switch text {
	case "io.ReadCloser":
		return reflect.TypeFor[io.ReadCloser]()
	case "io.WriteCloser":
		return reflect.TypeFor[io.WriteCloser]()
	}
	return nil
}

// NoMethodError is a name that no method has.
type NoMethodError struct {
	Name string
	Has  []string // declarations of those that there are
}

func (e *NoMethodError) Error() string {
	return fmt.Sprintf("the object has no method %s: it has %s", e.Name, slices.Clip(e.Has))
}

func names(d *refs.Description) []string {
	var all []string
	for _, face := range d.Interfaces {
		for _, m := range face.Methods {
			all = append(all, m.String())
		}
	}
	return all
}

// descriptor is that of a described interface, of which one method is to be called.
type descriptor struct {
	*skeleton.Interface[stub.Object]
	path   string
	method *refs.MethodDescription
	held   []refs.Type
}

func (d descriptor) Name() string { return d.path }
func (d descriptor) MethodTable() []refs.Method {
	return []refs.Method{d.method.Method()}
}
func (d descriptor) TypeTable() []refs.Type {
	return append([]refs.Type{skeleton.AnyObject}, d.held...)
}
