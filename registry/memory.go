package registry

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/rmigo/rmigo/refs"
	"github.com/rmigo/rmigo/stub"
)

// memory is a registry that lives as long as its process. mu guards bindings.
type memory struct {
	options Options

	mu       sync.Mutex
	bindings map[string]binding
}

type binding struct {
	object stub.Object
	since  time.Time
	watch  *watching
}

// watching ends with the binding that it is for.
type watching struct{ stop func() }

// New returns a registry that keeps its bindings in memory.
func New(o Options) (Registry, error) {
	if o.MaxBindings < 0 {
		return nil, fmt.Errorf("registry: Options.MaxBindings is negative (%d): leave it zero for the default", o.MaxBindings)
	}
	if o.MaxBindings == 0 {
		o.MaxBindings = 100_000
	}
	return &memory{options: o, bindings: map[string]binding{}}, nil
}

func (m *memory) Bind(ctx context.Context, name string, obj stub.Object) error {
	return m.put(ctx, name, obj, func(old binding) bool { return sameObject(old.object, obj) }, time.Now())
}

func (m *memory) Rebind(ctx context.Context, name string, obj stub.Object) error {
	return m.put(ctx, name, obj, func(binding) bool { return true }, time.Now())
}

func (m *memory) Restore(ctx context.Context, name string, obj stub.Object, age time.Duration) error {
	since := time.Now().Add(-max(age, 0))
	return m.put(ctx, name, obj, func(old binding) bool {
		return sameObject(old.object, obj) || old.since.Before(since)
	}, since)
}

// put binds the name if it is free or mayReplace allows it.
func (m *memory) put(ctx context.Context, name string, obj stub.Object, mayReplace func(binding) bool, since time.Time) error {
	if err := m.mayWrite(ctx); err != nil {
		return err
	}
	if err := checkName(name); err != nil {
		return err
	}
	if _, ok := stub.Of(obj); !ok {
		return fmt.Errorf("registry: %q: no object to bind", name)
	}
	w := &watching{}
	old, err := m.replace(name, binding{obj, since, w}, mayReplace)
	if err != nil {
		return err
	}
	old.forget()
	ref, _ := stub.Of(obj)
	stop := ref.Handle().Watch(func(error) { m.lose(name, w) })
	m.mu.Lock()
	if m.bindings[name].watch == w {
		w.stop, stop = stop, func() {}
	}
	m.mu.Unlock()
	stop() // it has been replaced or lost meanwhile
	return nil
}

// replace puts the binding in the place of the one that is there, which it returns, if there is one.
func (m *memory) replace(name string, b binding, mayReplace func(binding) bool) (old binding, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	old, taken := m.bindings[name]
	switch {
	case taken && !mayReplace(old):
		return binding{}, fmt.Errorf("registry: %q: %w", name, refs.ErrAlreadyBound)
	case !taken && len(m.bindings) >= m.options.MaxBindings:
		return binding{}, fmt.Errorf("registry: %q: %w: %d names are bound (registry.Options.MaxBindings)", name, refs.ErrLimit, len(m.bindings))
	}
	m.bindings[name] = b
	return old, nil
}

// lose frees the name because its object is gone, or the process that it was in has been given up.
func (m *memory) lose(name string, w *watching) {
	m.mu.Lock()
	b := m.bindings[name]
	lost := b.watch == w
	if lost {
		delete(m.bindings, name)
	}
	m.mu.Unlock()
	if lost {
		b.forget()
	}
}

// forget ends the watching of a binding's object. Of the zero binding, there is none.
func (b binding) forget() {
	if b.watch != nil && b.watch.stop != nil {
		b.watch.stop()
	}
}

func (m *memory) Unbind(ctx context.Context, name string) error {
	return m.free(ctx, name, func(binding) bool { return true })
}

func (m *memory) Withdraw(ctx context.Context, name string, obj stub.Object) error {
	return m.free(ctx, name, func(b binding) bool { return sameObject(b.object, obj) })
}

// free frees the name if it is bound to what may be freed.
func (m *memory) free(ctx context.Context, name string, mayFree func(binding) bool) error {
	if err := m.mayWrite(ctx); err != nil {
		return err
	}
	m.mu.Lock()
	b, ok := m.bindings[name]
	ok = ok && mayFree(b)
	if ok {
		delete(m.bindings, name)
	}
	m.mu.Unlock()
	if !ok {
		return notBound(name)
	}
	b.forget()
	return nil
}

func (m *memory) Lookup(_ context.Context, name string) (stub.Object, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	b, ok := m.bindings[name]
	if !ok {
		return nil, notBound(name)
	}
	return b.object, nil
}

func (m *memory) List(_ context.Context, prefix string) ([]string, error) {
	m.mu.Lock()
	names := make([]string, 0, len(m.bindings))
	for name := range m.bindings {
		if strings.HasPrefix(name, prefix) {
			names = append(names, name)
		}
	}
	m.mu.Unlock()
	slices.Sort(names)
	return names, nil
}

func notBound(name string) error { return fmt.Errorf("registry: %q: %w", name, refs.ErrNotBound) }

func sameObject(a, b stub.Object) bool {
	x, ok1 := stub.Of(a)
	y, ok2 := stub.Of(b)
	return ok1 && ok2 && x.Handle().ID() == y.Handle().ID()
}

func checkName(name string) error {
	switch {
	case name == "":
		return errors.New("registry: a name must not be empty")
	case len(name) > 512:
		return fmt.Errorf("registry: a name of %d bytes: at most 512", len(name))
	case !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl):
		return fmt.Errorf("registry: name %q: a name is UTF-8 text without control characters", name)
	}
	return nil
}

// mayWrite admits callers of this process and of this host, and others by Options.RemoteWrites.
func (m *memory) mayWrite(ctx context.Context) error {
	caller := refs.Caller(ctx)
	if m.options.RemoteWrites || caller.SameHost || caller == (refs.Peer{}) {
		return nil
	}
	host, _, err := net.SplitHostPort(caller.Address)
	if err != nil {
		host = caller.Address
	}
	return fmt.Errorf("registry: %w: only processes on the registry's host may bind and unbind, not %s (registry.Options.RemoteWrites)", refs.ErrAccessDenied, host)
}
