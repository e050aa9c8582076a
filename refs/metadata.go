package refs

import (
	"context"
	"fmt"
	"maps"
	"unicode/utf8"

	"github.com/rmigo/rmigo/internal/wire"
)

// Metadata is what goes along with a call beside its arguments: short texts by key, such as a trace's id.
type Metadata map[string]string

// A pair is one value of a context's metadata, and where it goes from there. The pairs of a context are never changed.
type pair struct {
	value string
	goes  reach
}

type reach uint8

const (
	nowhere    reach = iota // it came with the call that the context belongs to
	alongCalls              // calls made with the context carry it
	alongChain              // and so do the calls that are made on behalf of those
)

// scope is a context that calls are made with, with what it has for them.
type scope struct {
	context.Context
	scoped
	launch *launch // of the call that is made with it; nil: as a rule
}

// scoped is what calls that are made with a context have of it.
type scoped struct {
	in       *callContext // the call being served that it belongs to; nil: none
	pairs    map[string]pair
	progress func(Progress) // is told how far their transfer is; nil: nobody is
}

// Value returns s itself for incomingKey, so that a call finds what it needs by one lookup.
func (s *scope) Value(key any) any {
	if key == (incomingKey{}) {
		return s
	}
	return s.Context.Value(key)
}

// scopeOf returns what ctx has for calls.
func scopeOf(ctx context.Context) scoped {
	switch c := ctx.Value(incomingKey{}).(type) {
	case *callContext:
		return scoped{in: c, pairs: c.pairs()}
	case *scope:
		return c.scoped
	}
	return scoped{}
}

// launchOf returns how a call is made with ctx, if not as a rule.
func launchOf(ctx context.Context) *launch {
	if s, ok := ctx.(*scope); ok {
		return s.launch
	}
	return nil
}

// WithMetadata returns a context with the pairs of m beside those of ctx, in place of those that have the same keys; an empty value
// takes a pair away. Calls made with the context carry the pairs of m.
func WithMetadata(ctx context.Context, m Metadata) context.Context {
	s := scopeOf(ctx)
	pairs := maps.Clone(s.pairs)
	if pairs == nil {
		pairs = map[string]pair{}
	}
	for key, value := range m {
		if value == "" {
			delete(pairs, key)
			continue
		}
		pairs[key] = pair{value, max(alongCalls, pairs[key].goes)}
	}
	s.pairs = pairs
	return &scope{Context: ctx, scoped: s}
}

// Propagate returns a context whose pairs of these keys, all of its pairs where none is named, go along with calls made with it and
// with all calls that are made on behalf of those, in whatever process.
func Propagate(ctx context.Context, keys ...string) context.Context {
	s := scopeOf(ctx)
	pairs := maps.Clone(s.pairs)
	if len(keys) == 0 {
		for key, p := range pairs {
			pairs[key] = pair{p.value, alongChain}
		}
	}
	for _, key := range keys {
		if p, there := pairs[key]; there {
			pairs[key] = pair{p.value, alongChain}
		}
	}
	s.pairs = pairs
	return &scope{Context: ctx, scoped: s}
}

// Apart returns a context for what comes after the call and belongs to it: with the values of the call's context, its metadata too, and
// without its end. Calls made with it are nested in none.
func (c *Outgoing) Apart() context.Context {
	ctx := c.ctx
	if c.launch != nil {
		ctx = c.launch.scope.Context // without what the call returns
	}
	return &scope{Context: context.WithoutCancel(ctx), scoped: scoped{pairs: c.pairs}}
}

// MetadataFrom returns the metadata of ctx, a copy: inside a method what came with the call, and what was added since.
func MetadataFrom(ctx context.Context) Metadata {
	pairs := scopeOf(ctx).pairs
	if len(pairs) == 0 {
		return nil
	}
	m := make(Metadata, len(pairs))
	for key, p := range pairs {
		m[key] = p.value
	}
	return m
}

// carried returns what a call carries that is made with the pairs.
func carried(pairs map[string]pair, limit int) (m wire.Metadata, e *Error) {
	m = wire.Metadata{Own: map[string]string{}, Chain: map[string]string{}}
	size := 0
	for key, p := range pairs {
		into := m.Own
		switch p.goes {
		case nowhere:
			continue
		case alongChain:
			into = m.Chain
		}
		if key == "" || !utf8.ValidString(key) || !utf8.ValidString(p.value) {
			return m, &Error{Kind: ErrMarshal, NotRun: true, Err: fmt.Errorf("the metadata %q: %q is no text under a key", key, p.value)}
		}
		size += len(key) + len(p.value)
		into[key] = p.value
	}
	if size > limit {
		return m, &Error{Kind: ErrLimit, NotRun: true, Err: tooMuchMetadata(limit)}
	}
	return m, nil
}

func tooMuchMetadata(limit int) error {
	return fmt.Errorf("the call's metadata takes more than %d bytes (Limits.MetadataBytes)", limit)
}

// arrived returns the pairs of a call that came with m.
func arrived(m wire.Metadata) map[string]pair {
	if len(m.Own)+len(m.Chain) == 0 {
		return nil
	}
	pairs := make(map[string]pair, len(m.Own)+len(m.Chain))
	for key, value := range m.Own {
		pairs[key] = pair{value, nowhere}
	}
	for key, value := range m.Chain {
		pairs[key] = pair{value, alongChain}
	}
	return pairs
}

// asReceived is ctx as the method sees it: what interceptors have added is as if it had come with the call.
func asReceived(ctx context.Context) context.Context {
	s, ok := ctx.Value(incomingKey{}).(*scope)
	if !ok {
		return ctx
	}
	pairs := maps.Clone(s.pairs)
	for key, p := range pairs {
		if p.goes == alongCalls {
			pairs[key] = pair{p.value, nowhere}
		}
	}
	return &scope{Context: ctx, scoped: scoped{in: s.in, pairs: pairs}}
}
