package transport

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// Memory is a Transport without sockets: processes are nodes of one test, and time may be virtual. Its sessions behave as
// those over sockets do, with the same windows and bounds, and can be cut and stalled. Everything it makes belongs to the
// testing/synctest bubble in which it is used; the only goroutines it starts are timers.
//
// It is also a Network, so that it can be given where a Network is asked for: NewSessions then uses its sessions. It makes
// no net.Conn.
//
// Locks: Memory.mu before memoryLink.mu.
type Memory struct {
	mu        sync.Mutex
	listeners map[string]*memoryListener // by endpoint
	links     map[*memoryLink]struct{}   // those with an end that is not closed
	stalled   map[string]bool            // places at which new links are stalled from the start
	ports     int                        // given out for port 0 and to diallers
	delay     time.Duration              // of connections from now on
}

// NewMemory returns an empty network of processes.
func NewMemory() *Memory {
	return &Memory{
		listeners: map[string]*memoryListener{},
		links:     map[*memoryLink]struct{}{},
		stalled:   map[string]bool{},
		ports:     49152,
	}
}

// Delay has the bytes of connections that are made from now on take so long each way.
func (m *Memory) Delay(each time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.delay = each
}

var errNoConn = errors.New("memory makes sessions only, not network connections")

// Dial fails: see Sessions.
func (m *Memory) Dial(context.Context, string) (net.Conn, error) { return nil, errNoConn }

// Listen fails: see Sessions.
func (m *Memory) Listen(string) (net.Listener, error) { return nil, errNoConn }

// Sessions is the Transport.
func (m *Memory) Sessions() Transport { return memorySessions{m: m} }

// Host is the Network of one process of several whose connections are to be told apart: those that it dials are also at the place
// name, and at Between(name, endpoint).
func (m *Memory) Host(name string) *MemoryHost { return &MemoryHost{m, name} }

// MemoryHost is a Memory as one process sees it.
type MemoryHost struct {
	*Memory
	name string
}

// Sessions is the Transport.
func (h *MemoryHost) Sessions() Transport { return memorySessions{h.Memory, h.name} }

// Between is the place of the connections that a host dials to an endpoint.
func Between(host, endpoint string) string { return host + " to " + endpoint }

// Cut breaks every connection at one of the places, as a reset does: bytes under way are lost, both ends die. A place is an
// endpoint that connections are dialled to, or what Host says. No places: all connections.
func (m *Memory) Cut(places ...string) {
	for _, link := range m.at(places) {
		link.cut()
		m.forget(link)
	}
}

// Stall stops all bytes on connections at the places, those that exist and those dialled later: they stay open and nothing
// arrives, not even that the other side closed. No places: all endpoints at which someone listens now or that are connected.
func (m *Memory) Stall(places ...string) { m.setStalled(places, true) }

// Resume ends Stall: what was sent meanwhile arrives, but for connections that are stalled for another place of theirs. No places:
// all.
func (m *Memory) Resume(places ...string) { m.setStalled(places, false) }

func (m *Memory) setStalled(places []string, stalled bool) {
	m.setStalledFromNowOn(places, stalled)
	for _, link := range m.at(places) {
		link.setStalled(stalled || m.stalls(link))
		m.forget(link)
	}
}

func (m *Memory) setStalledFromNowOn(places []string, stalled bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(places) == 0 {
		places = slices.AppendSeq(slices.Collect(maps.Keys(m.listeners)), maps.Keys(m.stalled))
	}
	for _, place := range places {
		m.stalled[place] = stalled
	}
}

// stalls reports whether one of the link's places is stalled.
func (m *Memory) stalls(link *memoryLink) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.ContainsFunc(link.places, func(place string) bool { return m.stalled[place] })
}

func (m *Memory) at(places []string) (links []*memoryLink) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for link := range m.links {
		if len(places) == 0 || slices.ContainsFunc(places, func(p string) bool { return slices.Contains(link.places, p) }) {
			links = append(links, link)
		}
	}
	return links
}

// forget drops link if both its ends are dead.
func (m *Memory) forget(link *memoryLink) {
	if link.dead() {
		m.mu.Lock()
		delete(m.links, link)
		m.mu.Unlock()
	}
}

type memorySessions struct {
	m    *Memory
	host string // who dials; "": one whose connections are not told apart
}

func (s memorySessions) Dial(ctx context.Context, endpoint string, hi Greeting) (Conn, error) {
	if ctx.Err() != nil {
		return nil, ended(ctx)
	}
	place, err := ParseEndpoint(endpoint)
	if err != nil {
		return nil, err
	}
	dialler, err := s.m.connect(s.host, place)
	if err != nil {
		return nil, err
	}
	if _, err := dialler.Greet(ctx, hi); err != nil {
		return nil, err
	}
	return dialler, nil
}

// connect puts a new link into the queue of the listener at place and returns the dialler's end.
func (m *Memory) connect(host string, place Endpoint) (*memoryEnd, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	endpoint := place.String()
	listener := m.listeners[endpoint]
	if listener == nil {
		return nil, &net.OpError{Op: "dial", Net: "memory", Addr: memoryAddr(place.Address), Err: syscall.ECONNREFUSED}
	}
	m.ports++
	link := newMemoryLink(m, place, memoryAddr("dialler:"+strconv.Itoa(m.ports)))
	link.delay = m.delay
	if host != "" {
		link.places = append(link.places, host, Between(host, endpoint))
	}
	link.stalled = slices.ContainsFunc(link.places, func(place string) bool { return m.stalled[place] })
	m.links[link] = struct{}{}
	listener.queue = append(listener.queue, link.ends[1])
	listener.changed.Signal()
	return link.ends[0], nil
}

func (s memorySessions) Listen(endpoint string) (Listener, error) {
	place, err := ParseEndpoint(endpoint)
	if err != nil {
		return nil, err
	}
	return s.m.listen(place)
}

func (m *Memory) listen(place Endpoint) (*memoryListener, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if host, port, _ := net.SplitHostPort(place.Address); place.Scheme == "tcp" && port == "0" {
		m.ports++
		place.Address = net.JoinHostPort(host, strconv.Itoa(m.ports))
	}
	endpoint := place.String()
	if m.listeners[endpoint] != nil {
		return nil, fmt.Errorf("listen memory %s: %w", place.Address, syscall.EADDRINUSE)
	}
	listener := &memoryListener{memory: m, endpoint: endpoint, changed: sync.NewCond(&m.mu)}
	m.listeners[endpoint] = listener
	return listener, nil
}

// memoryListener's fields are guarded by memory.mu.
type memoryListener struct {
	memory   *Memory
	endpoint string
	changed  *sync.Cond
	queue    []*memoryEnd
	closed   bool
}

func (l *memoryListener) Accept() (Conn, error) {
	l.memory.mu.Lock()
	defer l.memory.mu.Unlock()
	for len(l.queue) == 0 {
		if l.closed {
			return nil, net.ErrClosed
		}
		l.changed.Wait()
	}
	conn := l.queue[0]
	l.queue = l.queue[1:]
	return conn, nil
}

func (l *memoryListener) Endpoint() string { return l.endpoint }

func (l *memoryListener) Close() error {
	for _, conn := range l.close() {
		conn.Close()
	}
	return nil
}

// close takes the listener out and returns the connections that nobody accepted.
func (l *memoryListener) close() []*memoryEnd {
	l.memory.mu.Lock()
	defer l.memory.mu.Unlock()
	if l.closed {
		return nil
	}
	l.closed = true
	delete(l.memory.listeners, l.endpoint)
	l.changed.Broadcast()
	queue := l.queue
	l.queue = nil
	return queue
}

// memoryAddr is an address in a Memory: what follows the scheme of an endpoint, or dialler and a number.
type memoryAddr string

func (memoryAddr) Network() string  { return "memory" }
func (a memoryAddr) String() string { return string(a) }
