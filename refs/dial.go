package refs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rmigo/rmigo/internal/transport"
)

// Dialling: to a peer at the endpoints known of it, or to whichever process answers at an address. All who want the same at the
// same time share one attempt.

// dialing is one attempt, shared by all who want its outcome. link and err are set before done is closed; mu guards how far it
// has got until then.
type dialing struct {
	done chan struct{}
	link *link // nil without an error: it is this process
	err  error

	mu    sync.Mutex
	tried dialErrors // in the order of preference
}

// How far an endpoint has got that has not failed.
var (
	errNotTried = errors.New("not tried yet")
	errNoAnswer = errors.New("no answer yet")
	errHalfway  = errors.New("answered, handshake not finished")
)

func newDialing() *dialing { return &dialing{done: make(chan struct{})} }

// note says how far an endpoint has got.
func (d *dialing) note(endpoint string, how error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := range d.tried {
		if d.tried[i].endpoint == endpoint {
			d.tried[i].err = how
			return
		}
	}
	d.tried = append(d.tried, attempt{endpoint: endpoint, err: how})
}

// unfinished is the error of one whose ctx ended before the attempt did: that, and how far each endpoint has got.
func (d *dialing) unfinished(ctx context.Context) error {
	d.mu.Lock()
	tried := slices.Clone(d.tried)
	d.mu.Unlock()
	err := contextError(ctx)
	if len(tried) > 0 {
		err = fmt.Errorf("%w: %w", err, tried)
	}
	return &Error{Op: "connect", NotRun: true, Err: err}
}

// startDial begins an attempt. p.mu is held.
func (p *peer) startDial() {
	d := newDialing()
	p.dial = d
	candidates := p.all()
	p.node.tasks.run(func() { // ends within HandshakeTimeout, or with the node
		d.link, d.err = p.reach(d, candidates)
		p.mu.Lock()
		p.dial = nil
		p.mu.Unlock()
		close(d.done)
	})
}

func (p *peer) reach(d *dialing, candidates []string) (*link, error) {
	n := p.node
	if len(candidates) == 0 {
		ctx, cancel := context.WithTimeout(n.base, n.cfg.HandshakeTimeout)
		defer cancel()
		if l := p.awaitReturn(ctx); l != nil {
			return l, nil
		}
		return nil, &Error{Op: "connect", Kind: ErrUnreachable, NotRun: true, Err: fmt.Errorf(
			"process %v is not connected to this one and is not known to listen anywhere: it has to listen at an address that this host "+
				"can reach, or to name one in Options.Advertise", p.id)}
	}
	ctx, cancel := context.WithTimeout(n.base, n.cfg.HandshakeTimeout)
	defer cancel()
	found, err := n.race(ctx, d, n.paths.Order(p.id, candidates), p.id)
	if err != nil {
		var failures dialErrors
		if errors.As(err, &failures) && failures.allStrangers() {
			p.mu.Lock()
			p.ended, p.replaced = true, failures
			p.mu.Unlock()
			n.collector.Replaced(p.id)
		}
		return nil, err
	}
	return n.greet(ctx, found.conn, found.endpoint)
}

// linkTo returns a link to whichever process answers at the endpoint; nil if that is this process.
func (n *Node) linkTo(ctx context.Context, endpoint string) (*link, error) {
	parsed, err := transport.ParseEndpoint(endpoint)
	if err != nil {
		return nil, &Error{Op: "connect", NotRun: true, Err: err}
	}
	endpoint = parsed.String()
	n.mu.Lock()
	if n.shut {
		n.mu.Unlock()
		return nil, &Error{Op: "connect", Kind: ErrNodeClosed, NotRun: true}
	}
	if l := n.byAddress[endpoint]; l != nil && !l.retiring.Load() {
		n.mu.Unlock()
		return l, nil
	}
	if slices.Contains(n.advertise, parsed) {
		n.mu.Unlock()
		return nil, nil
	}
	d := n.dials[endpoint]
	if d == nil {
		d = newDialing()
		n.dials[endpoint] = d
		n.tasks.run(func() { // ends within HandshakeTimeout, or with the node
			d.link, d.err = n.dialAddress(d, endpoint)
			n.mu.Lock()
			delete(n.dials, endpoint)
			n.mu.Unlock()
			close(d.done)
		})
	}
	n.mu.Unlock()
	select {
	case <-d.done:
		return d.link, d.err
	case <-ctx.Done():
		return nil, d.unfinished(ctx)
	}
}

func (n *Node) dialAddress(d *dialing, endpoint string) (*link, error) {
	ctx, cancel := context.WithTimeout(n.base, n.cfg.HandshakeTimeout)
	defer cancel()
	found, err := n.race(ctx, d, []string{endpoint}, ProcessID{})
	if err != nil {
		return nil, err
	}
	if found.conn.Peer().Process == n.id {
		found.conn.Close()
		return nil, nil
	}
	l, err := n.greet(ctx, found.conn, endpoint)
	if err == nil {
		n.remember(endpoint, l)
	}
	return l, err
}

// remember notes that l leads to the process at the endpoint, for as long as it lives.
func (n *Node) remember(endpoint string, l *link) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if _, live := n.links[l]; live {
		n.byAddress[endpoint] = l
	}
}

// attempt is the outcome of dialling one endpoint.
type attempt struct {
	endpoint string
	conn     transport.Conn
	err      error
}

// strangerError is the failure of an endpoint at which another process answers than the one wanted.
type strangerError struct{ process ProcessID }

func (e *strangerError) Error() string {
	return fmt.Sprintf("process %v", e.process)
}

// dialErrors lists every endpoint tried and why it failed.
type dialErrors []attempt

func (e dialErrors) Error() string {
	var parts []string
	for _, a := range e {
		text := a.err.Error()
		if !strings.Contains(text, strings.TrimPrefix(strings.TrimPrefix(a.endpoint, "tcp://"), "unix://")) {
			text = a.endpoint + ": " + text
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, "; ")
}

func (e dialErrors) Unwrap() []error {
	errs := make([]error, len(e))
	for i, a := range e {
		errs[i] = a.err
	}
	return errs
}

// allStrangers reports whether another process answered at every endpoint.
func (e dialErrors) allStrangers() bool {
	return !slices.ContainsFunc(e, func(a attempt) bool {
		stranger := (*strangerError)(nil)
		return !errors.As(a.err, &stranger)
	})
}

// typed makes an Error of the failures.
func (e dialErrors) typed() error {
	out := &Error{Op: "connect", Kind: ErrUnreachable, NotRun: true, Err: e}
	var alien *transport.ProtocolError
	switch {
	case e.allStrangers():
		out.Kind, out.Reason = ErrNoSuchObject, Restarted
	case errors.As(out.Err, &alien):
		out.Kind = ErrProtocol
	}
	return out
}

// stagger is how long race waits for one endpoint before it tries the next beside it, as in RFC 8305.
const stagger = 250 * time.Millisecond

// race dials the endpoints in order, each a little after the one before or as soon as that has failed, and returns the first
// greeted connection to the wanted process (zero: to any). The others are closed. It keeps d informed.
func (n *Node) race(ctx context.Context, d *dialing, endpoints []string, want ProcessID) (attempt, error) {
	ctx, cancel := context.WithCancel(ctx)
	results := make(chan attempt, len(endpoints))
	begun, ended := 0, 0
	defer func() {
		cancel()
		n.tasks.run(func() { // dialling ends soon after ctx does
			for range begun - ended {
				if a := <-results; a.conn != nil {
					a.conn.Close()
				}
			}
		})
	}()
	for _, endpoint := range endpoints {
		d.note(endpoint, errNotTried)
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	var failures dialErrors
	for ended < len(endpoints) && (ctx.Err() == nil || ended < begun) {
		select {
		case <-timer.C:
			if begun < len(endpoints) && ctx.Err() == nil {
				endpoint := endpoints[begun]
				begun++
				d.note(endpoint, errNoAnswer)
				n.tasks.run(func() {
					conn, err := n.dialOne(ctx, endpoint, want)
					results <- attempt{endpoint, conn, err}
				})
				timer.Reset(stagger)
			}
		case a := <-results:
			ended++
			if a.err == nil {
				d.note(a.endpoint, errHalfway)
				return a, nil
			}
			d.note(a.endpoint, a.err)
			failures = append(failures, a)
			timer.Reset(0)
		}
	}
	for _, endpoint := range endpoints[begun:] {
		failures = append(failures, attempt{endpoint: endpoint, err: contextError(ctx)})
	}
	return attempt{}, failures.inOrder(endpoints).typed()
}

func (e dialErrors) inOrder(endpoints []string) dialErrors {
	slices.SortStableFunc(e, func(a, b attempt) int {
		return cmp.Compare(slices.Index(endpoints, a.endpoint), slices.Index(endpoints, b.endpoint))
	})
	return e
}

func (n *Node) dialOne(ctx context.Context, endpoint string, want ProcessID) (transport.Conn, error) {
	conn, err := n.cfg.transport.Dial(ctx, endpoint, transport.Greeting{Process: n.id})
	if err != nil {
		return nil, err
	}
	got := ProcessID(conn.Peer().Process)
	switch {
	case got == ProcessID{}:
		conn.Close()
		return nil, &transport.ProtocolError{Addr: endpoint, Says: "greets with no process id"}
	case want == got, want == ProcessID{}:
		return conn, nil
	}
	conn.Close()
	return nil, &strangerError{got}
}
