package registry

import (
	"fmt"
	"net"
	"strings"
	"unicode"
	"unicode/utf8"
)

// URL is where a name is looked up: the endpoint of a registry and a name in it.
type URL struct {
	Endpoint string // "tcp://host:port", "unix:///path"
	Name     string // "" for the registry itself
}

// ParseURL reads the forms
//
//	rmi://host:port/name     over TCP; the port is 1099 where it is left out, the host this one
//	rmis://host:port/name    over TLS
//	rmi+unix:///socket#name  over a Unix socket
//
// IPv6 addresses stand in brackets. The name is what follows, as it is: it may contain slashes, colons and spaces.
func ParseURL(text string) (URL, error) {
	bad := func(why string) (URL, error) {
		return URL{}, fmt.Errorf("registry: URL %q: %s: write rmi://host:port/name or rmi+unix:///socket#name", text, why)
	}
	scheme, rest, ok := strings.Cut(text, "://")
	if !ok {
		return bad("no scheme")
	}
	var u URL
	switch scheme {
	case "rmi", "rmis":
		authority, name, _ := strings.Cut(rest, "/")
		hostport, err := withPort(authority)
		if err != nil {
			return bad(err.Error())
		}
		network := map[string]string{"rmi": "tcp://", "rmis": "tls://"}[scheme]
		u = URL{network + hostport, name}
	case "rmi+unix":
		path, name, _ := strings.Cut(rest, "#")
		if !strings.HasPrefix(path, "/") {
			return bad("the socket's path must be absolute")
		}
		u = URL{"unix://" + path, name}
	default:
		return bad("unknown scheme " + scheme)
	}
	if u.Name != "" {
		if err := checkName(u.Name); err != nil {
			return URL{}, err
		}
	}
	return u, nil
}

func withPort(authority string) (string, error) {
	if strings.ContainsAny(authority, "@?#%\"\\") || !printable(authority) {
		return "", fmt.Errorf("%q is no host", authority)
	}
	host, port := authority, DefaultPort
	if i := strings.LastIndexByte(authority, ':'); i >= 0 && !strings.HasSuffix(authority, "]") {
		host, port = authority[:i], authority[i+1:]
	}
	inside, bracketed := strings.CutPrefix(host, "[")
	if bracketed {
		if inside, bracketed = strings.CutSuffix(inside, "]"); !bracketed || net.ParseIP(inside) == nil || !strings.Contains(inside, ":") {
			return "", fmt.Errorf("%q is no IPv6 address", host)
		}
		host = inside
	} else if strings.ContainsAny(host, ":[]") {
		return "", fmt.Errorf("%q: an IPv6 address stands in brackets", authority)
	}
	if host == "" {
		host = "127.0.0.1"
	}
	if n, err := net.LookupPort("tcp", port); err != nil || n == 0 || strings.Trim(port, "0123456789") != "" {
		return "", fmt.Errorf("port %q is no number between 1 and 65535", port)
	}
	return net.JoinHostPort(host, port), nil
}

// printable reports whether s is UTF-8 text without spaces and control characters.
func printable(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsGraphic(r) || unicode.IsSpace(r) })
}

// String is the form that ParseURL reads.
func (u URL) String() string {
	if path, ok := strings.CutPrefix(u.Endpoint, "unix://"); ok {
		return "rmi+unix://" + path + "#" + u.Name
	}
	if hostport, ok := strings.CutPrefix(u.Endpoint, "tls://"); ok {
		return "rmis://" + hostport + "/" + u.Name
	}
	return "rmi://" + strings.TrimPrefix(u.Endpoint, "tcp://") + "/" + u.Name
}
