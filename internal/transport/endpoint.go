package transport

import (
	"net"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// An Endpoint is a place where a process listens, parsed: tcp://host:port or unix:///path/of/socket. Endpoints of equal
// text are equal.
type Endpoint struct {
	Scheme  string // "tcp" or "unix"
	Address string // host:port, an IPv6 host in brackets; or the path of a socket
}

const (
	maxEndpoint   = 256 // bytes of an endpoint's text; peers refuse longer ones
	maxSocketPath = 107 // bytes of a socket's path that the kernel takes
)

// An EndpointError says why a text is not an endpoint and what to write instead.
type EndpointError struct {
	Endpoint string // the text
	Says     string // what is wrong with it, and the remedy
}

func (e *EndpointError) Error() string {
	text := e.Endpoint
	if len(text) > maxEndpoint {
		text = text[:maxEndpoint] + "…"
	}
	return "endpoint " + strconv.Quote(text) + ": " + e.Says
}

// ParseEndpoint reads what Endpoint.String writes. Its errors are *EndpointError. An empty host means all addresses of
// this machine, which is for listening only (see Wildcard); port 0 means any free port.
func ParseEndpoint(text string) (Endpoint, error) {
	if len(text) > maxEndpoint {
		return Endpoint{}, &EndpointError{text, "longer than " + strconv.Itoa(maxEndpoint) + " bytes"}
	}
	scheme, rest, found := strings.Cut(text, "://")
	if !found {
		return Endpoint{}, &EndpointError{text, "no scheme: write tcp://host:port or unix:///path"}
	}
	switch scheme {
	case "tcp":
		return parseTCP(text, rest)
	case "unix":
		return parseUnix(text, rest)
	}
	return Endpoint{}, &EndpointError{text, "unknown scheme: tcp://host:port and unix:///path are supported"}
}

func parseTCP(text, rest string) (Endpoint, error) {
	if strings.ContainsAny(rest, "/?#@") {
		return Endpoint{}, &EndpointError{text, "only host and port may follow tcp://"}
	}
	host, port, err := net.SplitHostPort(rest)
	if err != nil {
		return Endpoint{}, &EndpointError{text, "no host and port: write tcp://host:port, an IPv6 address in brackets"}
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return Endpoint{}, &EndpointError{text, "the port must be a number from 0 to 65535"}
	}
	if !validHost(host, rest[0] == '[') {
		return Endpoint{}, &EndpointError{text, "the host must be a name or an address, an IPv6 address in brackets"}
	}
	return Endpoint{"tcp", net.JoinHostPort(host, strconv.FormatUint(number, 10))}, nil
}

// validHost reports whether host can be the host of a tcp endpoint: in brackets an IPv6 address, else an IPv4 address, a
// name, or nothing.
func validHost(host string, brackets bool) bool {
	if brackets {
		address, err := netip.ParseAddr(host)
		return err == nil && address.Is6() && printable(host)
	}
	return printable(host) && !strings.ContainsAny(host, ":[]%\\\"")
}

func parseUnix(text, path string) (Endpoint, error) {
	if volume := filepath.VolumeName(strings.TrimPrefix(path, "/")); volume != "" {
		path = path[1:] // unix:///C:/socket
	} else if !strings.HasPrefix(path, "/") {
		return Endpoint{}, &EndpointError{text, "the path must be absolute: write unix:///path, with three slashes"}
	}
	switch {
	case strings.HasSuffix(path, "/"):
		return Endpoint{}, &EndpointError{text, "the path must name a file"}
	case len(path) > maxSocketPath:
		return Endpoint{}, &EndpointError{text, "a socket's path has at most " + strconv.Itoa(maxSocketPath) + " bytes: choose a shorter one"}
	case !printable(strings.ReplaceAll(path, " ", "")):
		return Endpoint{}, &EndpointError{text, "the path must be text without control characters"}
	}
	return Endpoint{"unix", path}, nil
}

// printable reports whether s is UTF-8 text without spaces and control characters.
func printable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsGraphic(r) || unicode.IsSpace(r) || r == utf8.RuneError })
}

// String is the text that ParseEndpoint reads.
func (e Endpoint) String() string {
	if e.Scheme == "unix" && !strings.HasPrefix(e.Address, "/") {
		return "unix:///" + e.Address
	}
	return e.Scheme + "://" + e.Address
}

// Loopback reports whether only processes of this host can reach it.
func (e Endpoint) Loopback() bool {
	if e.Scheme == "unix" {
		return true
	}
	host := e.host()
	if strings.EqualFold(host, "localhost") {
		return true
	}
	address, err := netip.ParseAddr(host)
	return err == nil && address.Unmap().IsLoopback()
}

// Wildcard reports whether it stands for all addresses of a host, so that nobody can dial it as it is: see WithHost.
func (e Endpoint) Wildcard() bool {
	if e.Scheme == "unix" {
		return false
	}
	host := e.host()
	address, err := netip.ParseAddr(host)
	return host == "" || err == nil && address.Unmap().IsUnspecified()
}

// WithHost is the same port on another host, which is a name or an address without brackets. A socket's path has no
// host and stays as it is.
func (e Endpoint) WithHost(host string) Endpoint {
	if e.Scheme == "unix" {
		return e
	}
	_, port, _ := net.SplitHostPort(e.Address)
	return Endpoint{e.Scheme, net.JoinHostPort(host, port)}
}

func (e Endpoint) host() string {
	host, _, _ := net.SplitHostPort(e.Address)
	return host
}
