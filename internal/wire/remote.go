package wire

import (
	"context"
	"errors"
	"fmt"
	"reflect"
)

// What a record may hold.
const (
	mostEndpoints  = 16
	mostInterfaces = 64
	longestName    = 256 // bytes of an endpoint or of an interface's name
	recordParts    = 4   // process, object, endpoints, interfaces; a later version may add more, which a reader passes over
)

var errNoObjects = errors.New("remote objects cannot travel in this message")

// mayBeObject reports whether pointers of a type can be remote objects: the methods of those take a context first.
func mayBeObject(t reflect.Type) bool {
	for i := range t.NumMethod() {
		if m := t.Method(i).Type; m.NumIn() > 1 && m.In(1) == reflect.TypeFor[context.Context]() {
			return true
		}
	}
	return false
}

func (e *Encoder) isObject(v reflect.Value) bool {
	return e.objects != nil && v.CanInterface() && e.objects.Exported(v.Interface())
}

// remote writes the record of an object, or null.
func (e *Encoder) remote(t Type, v any) {
	switch {
	case v == nil:
		e.null()
		return
	case e.objects == nil:
		e.fail(errNoObjects)
		return
	}
	r, err := e.objects.Export(t, v)
	if err != nil {
		e.fail(err)
		return
	}
	e.record(r)
}

func (e *Encoder) record(r Record) {
	if err := r.check(); err != nil {
		e.fail(err)
		return
	}
	e.head(majorTag, tagRemote)
	e.head(majorArray, recordParts)
	e.bytes(r.Process[:])
	e.bytes(r.Object[:])
	e.names(r.Endpoints)
	e.names(r.Interfaces)
}

func (r Record) check() error {
	if len(r.Endpoints) > mostEndpoints || len(r.Interfaces) > mostInterfaces {
		return fmt.Errorf("a reference with %d endpoints and %d interfaces: there may be %d and %d",
			len(r.Endpoints), len(r.Interfaces), mostEndpoints, mostInterfaces)
	}
	for _, list := range [][]string{r.Endpoints, r.Interfaces} {
		for _, name := range list {
			if len(name) > longestName {
				return fmt.Errorf("a reference with the name %.40q…: it may have %d bytes", name, longestName)
			}
		}
	}
	return nil
}

func (e *Encoder) names(list []string) {
	e.head(majorArray, uint64(len(list)))
	for _, name := range list {
		e.string(name)
	}
}

// remote reads a record, and returns the object that it stands for; nil for null and on failure.
func (d *Decoder) remote(t Type) any {
	if d.null() {
		return nil
	}
	r := d.record()
	if d.Err == nil && d.node == nil {
		d.fail(errNoObjects)
	}
	if d.Err != nil {
		return nil
	}
	v, err := d.node.Import(t, r)
	switch {
	case err != nil:
		d.fail(err)
		return nil
	case v == nil || !reflect.TypeOf(v).AssignableTo(t.GoType()):
		d.failf("a %T is no %s", v, t.Name())
		return nil
	}
	return v
}

func (d *Decoder) record() (r Record) {
	if !d.tag(tagRemote, "a remote reference") {
		return r
	}
	n := d.length(majorArray, "the parts of a remote reference")
	if n < recordParts {
		d.failf("a remote reference has %d parts, %d are expected", n, recordParts)
	}
	d.identity(&r.Process)
	d.identity(&r.Object)
	r.Endpoints = d.names(mostEndpoints, "endpoints")
	r.Interfaces = d.names(mostInterfaces, "interfaces")
	for n -= recordParts; n > 0 && d.Err == nil; n-- {
		d.skip()
	}
	d.charge(0)
	return r
}

func (d *Decoder) identity(id *[16]byte) {
	b := d.take(d.length(majorBytes, "an identity"))
	if d.Err == nil && len(b) != len(id) {
		d.failf("an identity has %d bytes, not %d", len(b), len(id))
	}
	copy(id[:], b)
}

func (d *Decoder) names(most int, what string) []string {
	n := d.length(majorArray, "an array of "+what)
	if n > most {
		d.failf("a reference with %d %s: there may be %d", n, what, most)
	}
	if n == 0 || !d.charge(int64(n)*16) {
		return nil
	}
	list := make([]string, 0, n)
	for i := 0; i < n && d.Err == nil; i++ {
		name := d.text("a name")
		if len(name) > longestName {
			d.failf("a reference with a name of %d bytes: it may have %d", len(name), longestName)
		}
		if d.charge(int64(len(name))) {
			list = append(list, string(name))
		}
	}
	return list
}
