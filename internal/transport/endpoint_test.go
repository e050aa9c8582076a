package transport_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/rmigo/rmigo/internal/leak"
	"github.com/rmigo/rmigo/internal/transport"
)

func TestEndpointsAreReadAndWritten(t *testing.T) {
	leak.Check(t)
	for _, test := range []struct {
		text     string
		want     transport.Endpoint
		loopback bool
		wildcard bool
		withHost string // WithHost("fe80::7")
	}{
		{"tcp://db.example:1099", transport.Endpoint{Scheme: "tcp", Address: "db.example:1099"}, false, false, "tcp://[fe80::7]:1099"},
		{"tcp://127.0.0.1:1", transport.Endpoint{Scheme: "tcp", Address: "127.0.0.1:1"}, true, false, "tcp://[fe80::7]:1"},
		{"tcp://127.0.1.1:1", transport.Endpoint{Scheme: "tcp", Address: "127.0.1.1:1"}, true, false, "tcp://[fe80::7]:1"},
		{"tcp://LocalHost:65535", transport.Endpoint{Scheme: "tcp", Address: "LocalHost:65535"}, true, false, "tcp://[fe80::7]:65535"},
		{"tcp://[::1]:0", transport.Endpoint{Scheme: "tcp", Address: "[::1]:0"}, true, false, "tcp://[fe80::7]:0"},
		{"tcp://[::ffff:127.0.0.1]:9", transport.Endpoint{Scheme: "tcp", Address: "[::ffff:127.0.0.1]:9"}, true, false, "tcp://[fe80::7]:9"},
		{"tcp://[fe80::1%eth0]:9", transport.Endpoint{Scheme: "tcp", Address: "[fe80::1%eth0]:9"}, false, false, "tcp://[fe80::7]:9"},
		{"tcp://:1099", transport.Endpoint{Scheme: "tcp", Address: ":1099"}, false, true, "tcp://[fe80::7]:1099"},
		{"tcp://0.0.0.0:1099", transport.Endpoint{Scheme: "tcp", Address: "0.0.0.0:1099"}, false, true, "tcp://[fe80::7]:1099"},
		{"tcp://[::]:1099", transport.Endpoint{Scheme: "tcp", Address: "[::]:1099"}, false, true, "tcp://[fe80::7]:1099"},
		{"unix:///run/rmigo.sock", transport.Endpoint{Scheme: "unix", Address: "/run/rmigo.sock"}, true, false, "unix:///run/rmigo.sock"},
		{"unix:///tmp/a b/ü", transport.Endpoint{Scheme: "unix", Address: "/tmp/a b/ü"}, true, false, "unix:///tmp/a b/ü"},
	} {
		got, err := transport.ParseEndpoint(test.text)
		if err != nil || got != test.want {
			t.Errorf("%s: got %+v, error %v, want %+v", test.text, got, err, test.want)
			continue
		}
		if got.String() != test.text {
			t.Errorf("got text %q, want %q: what was read is written", got, test.text)
		}
		if got.Loopback() != test.loopback || got.Wildcard() != test.wildcard {
			t.Errorf("%s: got loopback %v, wildcard %v, want %v, %v", got, got.Loopback(), got.Wildcard(), test.loopback, test.wildcard)
		}
		if moved := got.WithHost("fe80::7").String(); moved != test.withHost {
			t.Errorf("%s on another host: got %s, want %s", got, moved, test.withHost)
		}
	}
}

func TestWhatIsNoEndpointIsRefusedWithARemedy(t *testing.T) {
	leak.Check(t)
	for _, test := range []struct{ text, remedy string }{
		{"", "write tcp://host:port or unix:///path"},
		{"localhost:1099", "write tcp://host:port"},
		{"http://localhost:80", "tcp://host:port and unix:///path are supported"},
		{"TCP://localhost:80", "tcp://host:port and unix:///path are supported"},
		{"tcp://localhost", "write tcp://host:port"},
		{"tcp://", "write tcp://host:port"},
		{"tcp://::1:80", "an IPv6 address in brackets"},
		{"tcp://[127.0.0.1]:80", "an IPv6 address in brackets"},
		{"tcp://[nonsense]:80", "an IPv6 address in brackets"},
		{"tcp://localhost:http", "a number from 0 to 65535"},
		{"tcp://localhost:65536", "a number from 0 to 65535"},
		{"tcp://localhost:-1", "a number from 0 to 65535"},
		{"tcp://localhost:1099/name", "only host and port"},
		{"tcp://me@localhost:1099", "only host and port"},
		{"tcp://two words:1099", "a name or an address"},
		{"tcp://a\nb:1099", "a name or an address"},
		{"tcp://a\xffb:1099", "a name or an address"},
		{"unix://relative/path", "with three slashes"},
		{"unix://", "with three slashes"},
		{"unix:///", "must name a file"},
		{"unix:///run/", "must name a file"},
		{"unix:///run/a\x00b", "without control characters"},
		{"unix:///" + strings.Repeat("x", 107), "at most 107 bytes"},
		{"tcp://" + strings.Repeat("x", 260) + ":1", "longer than 256 bytes"},
	} {
		_, err := transport.ParseEndpoint(test.text)
		if typed, ok := errors.AsType[*transport.EndpointError](err); !ok || typed.Endpoint != test.text {
			t.Errorf("%q: got error %#v, want an *EndpointError with the text", test.text, err)
			continue
		}
		wantWords(t, err, test.remedy)
	}
}

func FuzzParseEndpoint(f *testing.F) {
	for _, text := range []string{"tcp://a:1", "tcp://[::1%x]:01", "tcp://:0", "unix:///a/b", "unix:///", "tcp://[::ffff:1.2.3.4]:80", "x"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		endpoint, err := transport.ParseEndpoint(text)
		if err != nil {
			if _, ok := errors.AsType[*transport.EndpointError](err); !ok {
				t.Fatalf("got %T, want an *EndpointError", err)
			}
			if endpoint != (transport.Endpoint{}) {
				t.Fatalf("got %+v beside an error, want nothing", endpoint)
			}
			return
		}
		again, err := transport.ParseEndpoint(endpoint.String())
		if err != nil || again != endpoint {
			t.Fatalf("%q: read again got %+v, error %v, want %+v", endpoint, again, err, endpoint)
		}
		if endpoint.Loopback() && endpoint.Wildcard() {
			t.Fatalf("%q is both loopback and wildcard", endpoint)
		}
		if endpoint.Scheme == "tcp" && endpoint.WithHost("").Wildcard() != true {
			t.Fatalf("%q without its host is no wildcard", endpoint)
		}
	})
}
