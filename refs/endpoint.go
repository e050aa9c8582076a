package refs

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/rmigo/rmigo/internal/transport"
	"github.com/rmigo/rmigo/internal/wire"
)

// The endpoints written into references. What Options.Advertise says is written as it stands. Otherwise each listener's
// address, by these rules:
//
//   - a wildcard listener stands for the address by which the peer reached this process and for the host's own addresses;
//   - loopback addresses and Unix sockets are offered only to peers on this host, since anywhere else they would name
//     another process, or nothing.

// vantage is what decides which addresses mean something to the peer at the other end of a session.
type vantage struct {
	host     string // this process's address, as the peer reached it; "" if it has no IP address
	sameHost bool   // the peer is on this host
}

func vantageOf(s transport.Session) vantage {
	local, remote := hostOf(s.LocalAddr()), hostOf(s.RemoteAddr())
	network := s.RemoteAddr().Network()
	here := network == "unix" || network == "memory" // of any other network, nothing is known
	if ip := net.ParseIP(remote); ip != nil {
		here = ip.IsLoopback() || remote == local
	}
	return vantage{host: local, sameHost: here}
}

// refOfExport is the reference to one of this node's own objects, as written for the peer at v; nil: for nobody in
// particular.
func (n *Node) refOfExport(e *export, v *vantage) Ref {
	ref, _ := refOf(wire.Record{
		Process: n.id, Object: e.id, Endpoints: n.offer(v), Interfaces: n.exports.interfaces(e),
	})
	return ref
}

// offer lists the endpoints of this process for the peer at v.
func (n *Node) offer(v *vantage) []string {
	if len(n.cfg.Advertise) > 0 {
		return n.cfg.Advertise
	}
	n.mu.Lock()
	listening, hosts := slices.Clone(n.advertise), n.hosts
	n.mu.Unlock()
	var out []string
	add := func(e transport.Endpoint) {
		s := e.String()
		if len(out) < maxEndpoints && !slices.Contains(out, s) && (!onlyHere(e) || v == nil || v.sameHost) {
			out = append(out, s)
		}
	}
	for _, e := range listening {
		if !e.Wildcard() {
			add(e)
			continue
		}
		if v != nil && v.host != "" {
			add(e.WithHost(v.host))
		}
		for _, host := range hosts {
			add(e.WithHost(host))
		}
		add(e.WithHost("127.0.0.1"))
	}
	return out
}

// passable filters the endpoints of a third process for the peer at v.
func passable(endpoints []string, v *vantage) []string {
	if v == nil || v.sameHost {
		return endpoints
	}
	return slices.DeleteFunc(slices.Clone(endpoints), func(s string) bool {
		e, err := transport.ParseEndpoint(s)
		return err != nil || onlyHere(e)
	})
}

// Findable says why those who are told of this node's objects by a registry, the object h, could not find this process: it listens
// nowhere, or only where nobody on the registry's host can reach it. Nil: there are endpoints that the registry can be given.
func (n *Node) Findable(ctx context.Context, h *Handle) error {
	l, err := h.connect(ctx)
	if err != nil {
		return err
	}
	if len(n.offer(&l.vantage)) > 0 {
		return nil
	}
	return &Error{Kind: ErrUnreachable, NotRun: true, Err: n.unfound()}
}

// unfound says where this node listens though it has no endpoints for a registry, and what to do.
func (n *Node) unfound() error {
	n.mu.Lock()
	var at []string
	for _, e := range n.advertise {
		at = append(at, e.String())
	}
	n.mu.Unlock()
	if len(at) == 0 {
		return errors.New("this node listens nowhere, so nobody who looks the name up could call the object: call Listen first")
	}
	return fmt.Errorf("this node listens only at %s, which leads to it on its own host alone, and the registry is on another one: "+
		"listen at an address that other hosts can reach, or name one in Options.Advertise", strings.Join(at, ", "))
}

func onlyHere(e transport.Endpoint) bool { return e.Scheme == "unix" || e.Loopback() }

// checkAdvertised says what is wrong with an endpoint that others are to dial.
func checkAdvertised(s string) error {
	if err := checkEndpoint(s); err != nil {
		return err
	}
	e, _ := transport.ParseEndpoint(s)
	if e.Scheme == "unix" {
		return nil
	}
	_, port, _ := net.SplitHostPort(e.Address)
	switch {
	case e.Wildcard():
		return &transport.EndpointError{Endpoint: s, Says: "nobody can dial it, since it names no host: write the name or address by " +
			"which others reach this one, or leave Advertise empty for the addresses of the listeners"}
	case port == "0":
		return &transport.EndpointError{Endpoint: s, Says: "nobody can dial port 0: write the port that the node listens at, " +
			"or leave Advertise empty for the addresses of the listeners"}
	}
	return nil
}

// hostOf returns the IP address in an address with a port, or "" if there is none.
func hostOf(a net.Addr) string {
	at, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return ""
	}
	return at.Addr().Unmap().String()
}

// hostAddresses lists this host's addresses that others may use, at most eight.
func hostAddresses() []string {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	var hosts []string
	for _, a := range addrs {
		ipnet, ok := a.(*net.IPNet)
		if ok && ipnet.IP.IsGlobalUnicast() && len(hosts) < 8 {
			hosts = append(hosts, ipnet.IP.String())
		}
	}
	return hosts
}
