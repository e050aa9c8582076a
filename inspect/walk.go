package inspect

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/rmigo/rmigo/refs"
	"github.com/rmigo/rmigo/stub"
)

// What ends a walk early.
const (
	mostValues    = 1 << 17
	mostDepth     = 1 << 10
	mostReferents = 1 << 10
)

var (
	errLarge = errors.New("it is too large to be looked at as a whole")
	errBusy  = errors.New("a mutex in it is held")
)

// referents returns the stubs in what v leads to, each with its path. An error tells what it could not look at.
func referents(v any) ([]Referent, error) {
	w := walk{left: mostValues, seen: map[place]bool{}, found: map[refs.ID]bool{}, mine: map[unsafe.Pointer]bool{}}
	w.value(reflect.ValueOf(v))
	return w.out, w.err
}

// walk is one reading of an object, depth first. Every value that it comes to is addressable, or a copy that is, so that unexported
// fields can be read.
type walk struct {
	path  []string
	out   []Referent
	found map[refs.ID]bool
	seen  map[place]bool
	mine  map[unsafe.Pointer]bool // the mutexes that are held for it
	left  int                     // values that may be read
	err   error
}

// place is what has been read.
type place struct {
	typ reflect.Type
	at  unsafe.Pointer
	len int
}

func (w *walk) in(step string, v reflect.Value) {
	w.path = append(w.path, step)
	w.value(v)
	w.path = w.path[:len(w.path)-1]
}

func (w *walk) value(v reflect.Value) {
	if w.left == 0 || len(w.path) > mostDepth || len(w.out) == mostReferents {
		w.err = errLarge
		return
	}
	w.left--
	switch v.Kind() {
	case reflect.Interface:
		if !v.IsNil() {
			w.value(addressable(v.Elem()))
		}
	case reflect.Pointer:
		if !v.IsNil() && !w.stub(v) && w.first(v.Type(), v.UnsafePointer(), 0) && !w.tells(v) {
			w.value(v.Elem())
		}
	case reflect.Struct:
		if !w.stub(v) && !w.concurrent(v) && !opaque(v.Type()) {
			w.structure(v)
		}
	case reflect.Slice:
		if refers(v.Type().Elem()) && w.first(v.Type(), v.UnsafePointer(), v.Len()) {
			w.elements(v)
		}
	case reflect.Array:
		if refers(v.Type().Elem()) {
			w.elements(v)
		}
	case reflect.Map:
		if len(w.mine) > 0 && (refers(v.Type().Key()) || refers(v.Type().Elem())) && w.first(v.Type(), v.UnsafePointer(), 0) {
			w.entries(v)
		}
	}
}

// stub takes note of a stub.
func (w *walk) stub(v reflect.Value) bool {
	if !v.Type().Implements(reflect.TypeFor[stub.Object]()) {
		return false // and is not copied, as it may be about to change
	}
	s, ok := stub.Of(v.Interface())
	if !ok {
		return false
	}
	h := s.Handle()
	if id := h.ID(); !w.found[id] {
		w.found[id] = true
		w.out = append(w.out, Referent{Ref: h.Ref(), Path: strings.TrimPrefix(strings.Join(w.path, ""), ".")})
	}
	return true
}

// first reports whether a place is read for the first time.
func (w *walk) first(t reflect.Type, at unsafe.Pointer, n int) bool {
	p := place{t, at, n}
	if w.seen[p] {
		return false
	}
	w.seen[p] = true
	return true
}

// tells lets a Referrer tell.
func (w *walk) tells(v reflect.Value) bool {
	r, ok := v.Interface().(Referrer)
	if ok {
		r.RemoteRefs(func(name string, v any) {
			if v != nil {
				w.in("."+name, addressable(reflect.ValueOf(v)))
			}
		})
	}
	return ok
}

// structure reads the fields, holding the mutexes among them.
func (w *walk) structure(v reflect.Value) {
	unlock, ok := w.lock(v)
	defer unlock()
	if !ok {
		w.err = errBusy
		return
	}
	for i := range v.NumField() {
		if f := field(v, i); refers(f.Type()) {
			w.in("."+v.Type().Field(i).Name, f)
		}
	}
}

// lock takes the mutexes among the fields; false: one of them is held.
func (w *walk) lock(v reflect.Value) (unlock func(), ok bool) {
	var taken []func()
	unlock = func() {
		for _, f := range taken {
			f()
		}
	}
	for i := range v.NumField() {
		f := field(v, i)
		if f.Kind() != reflect.Pointer {
			f = f.Addr()
		}
		var lock, release func() bool
		switch m := f.Interface().(type) {
		case *sync.Mutex:
			lock, release = m.TryLock, func() bool { m.Unlock(); return true }
		case *sync.RWMutex:
			lock, release = m.TryRLock, func() bool { m.RUnlock(); return true }
		default:
			continue
		}
		at := f.UnsafePointer()
		if at == nil || w.mine[at] {
			continue
		}
		if !lock() {
			return unlock, false
		}
		w.mine[at] = true
		taken = append(taken, func() {
			delete(w.mine, at)
			release()
		})
	}
	return unlock, true
}

// concurrent reads what is made to be read while it changes.
func (w *walk) concurrent(v reflect.Value) bool {
	switch c := v.Addr().Interface().(type) {
	case *sync.Map:
		c.Range(func(key, value any) bool {
			w.in(index(reflect.ValueOf(key)), addressable(reflect.ValueOf(value)))
			return true
		})
		return true
	case *atomic.Value:
		if held := c.Load(); held != nil {
			w.value(addressable(reflect.ValueOf(held)))
		}
		return true
	}
	t := v.Type()
	if t.PkgPath() != "sync/atomic" || !strings.HasPrefix(t.Name(), "Pointer[") {
		return false
	}
	// An atomic.Pointer[T] is a *T in memory, and begins with a field whose type says so.
	to := t.Field(0).Type.Elem()
	if p := atomic.LoadPointer((*unsafe.Pointer)(v.Addr().UnsafePointer())); p != nil {
		w.value(reflect.NewAt(to.Elem(), p))
	}
	return true
}

func (w *walk) elements(v reflect.Value) {
	for i := range v.Len() {
		w.in(fmt.Sprintf("[%d]", i), v.Index(i))
	}
}

func (w *walk) entries(v reflect.Value) {
	for r := v.MapRange(); r.Next(); {
		if refers(v.Type().Key()) {
			w.in("[key]", addressable(r.Key()))
		}
		w.in(index(r.Key()), addressable(r.Value()))
	}
}

// index writes a map's key into a path, if it is short.
func index(key reflect.Value) string {
	switch {
	case key.Kind() == reflect.String && key.Len() <= 64:
		return fmt.Sprintf("[%q]", key.String())
	case key.CanInt(), key.CanUint():
		return fmt.Sprintf("[%v]", key)
	}
	return "[…]"
}

// field returns a field so that it can be read though it is unexported. v is addressable.
func field(v reflect.Value, i int) reflect.Value {
	f := v.Field(i)
	return reflect.NewAt(f.Type(), f.Addr().UnsafePointer()).Elem()
}

// addressable returns a copy of v that is.
func addressable(v reflect.Value) reflect.Value {
	c := reflect.New(v.Type()).Elem()
	c.Set(v)
	return c
}

// refers reports whether values of the type may lead to a stub.
func refers(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Interface, reflect.Pointer, reflect.Struct, reflect.Map:
		return true
	case reflect.Slice, reflect.Array:
		return refers(t.Elem())
	}
	return false
}

// opaque reports whether a type's insides are of no interest: they lead to the runtime's own tables, or far away.
func opaque(t reflect.Type) bool {
	path := t.PkgPath()
	if module, ok := strings.CutPrefix(path, "github.com/rmigo/rmigo/"); ok {
		switch module {
		case "rmi", "refs", "stub", "skeleton", "gc", "registry", "inspect", "internal/wire", "internal/transport":
			return true
		}
	}
	switch path {
	case "context", "log/slog", "math/big", "net", "os", "reflect", "runtime", "sync", "testing", "time", "unique", "weak":
		return true
	}
	return false
}
