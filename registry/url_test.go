package registry_test

import (
	"strings"
	"testing"

	"github.com/rmigo/rmigo/internal/leak"
	"github.com/rmigo/rmigo/registry"
)

func TestURLsAreReadAndWritten(t *testing.T) {
	leak.Check(t)
	for _, test := range []struct{ text, endpoint, name, written string }{
		{"rmi://host:7/a", "tcp://host:7", "a", "rmi://host:7/a"},
		{"rmi://host/a", "tcp://host:1099", "a", "rmi://host:1099/a"},
		{"rmi:///a", "tcp://127.0.0.1:1099", "a", "rmi://127.0.0.1:1099/a"},
		{"rmi://:7/a", "tcp://127.0.0.1:7", "a", "rmi://127.0.0.1:7/a"},
		{"rmi://", "tcp://127.0.0.1:1099", "", "rmi://127.0.0.1:1099/"},
		{"rmi://host", "tcp://host:1099", "", "rmi://host:1099/"},
		{"rmi://host/", "tcp://host:1099", "", "rmi://host:1099/"},
		{"rmi://[::1]/a", "tcp://[::1]:1099", "a", "rmi://[::1]:1099/a"},
		{"rmi://[2001:db8::5]:7/a", "tcp://[2001:db8::5]:7", "a", "rmi://[2001:db8::5]:7/a"},
		{"rmi://host:7//a//b/", "tcp://host:7", "/a//b/", "rmi://host:7//a//b/"},
		{"rmi://host:7/a b:c?d#e%20", "tcp://host:7", "a b:c?d#e%20", "rmi://host:7/a b:c?d#e%20"},
		{"rmi://müller:7/ä/界", "tcp://müller:7", "ä/界", "rmi://müller:7/ä/界"},
		{"rmis://host/a", "tls://host:1099", "a", "rmis://host:1099/a"},
		{"rmi+unix:///run/r.sock#a/b#c", "unix:///run/r.sock", "a/b#c", "rmi+unix:///run/r.sock#a/b#c"},
		{"rmi+unix:///run/r.sock", "unix:///run/r.sock", "", "rmi+unix:///run/r.sock#"},
	} {
		u, err := registry.ParseURL(test.text)
		if want := (registry.URL{Endpoint: test.endpoint, Name: test.name}); u != want || err != nil {
			t.Errorf("ParseURL(%q) = %+v, %v; want %+v", test.text, u, err, want)
			continue
		}
		if u.String() != test.written {
			t.Errorf("ParseURL(%q) is written %q; want %q", test.text, u, test.written)
		}
	}
}

func TestAURLThatMakesNoSenseIsRefusedWithTheReason(t *testing.T) {
	leak.Check(t)
	for _, test := range []struct{ text, says string }{
		{"", "no scheme"},
		{"host:1099/a", "no scheme"},
		{"http://host/a", "unknown scheme http"},
		{"tcp://host:1099", "unknown scheme tcp"},
		{"rmi://user@host/a", "is no host"},
		{"rmi://ho st/a", "is no host"},
		{"rmi://ho\x00st/a", "is no host"},
		{"rmi://ho\xffst/a", "is no host"},
		{"rmi://host?x=1/a", "is no host"},
		{"rmi://::1/a", "stands in brackets"},
		{"rmi://[::1/a", "no IPv6 address"},
		{"rmi://[127.0.0.1]/a", "no IPv6 address"},
		{"rmi://[]/a", "no IPv6 address"},
		{"rmi://host:/a", "port"},
		{"rmi://host:0/a", "port"},
		{"rmi://host:65536/a", "port"},
		{"rmi://host:http/a", "port"},
		{"rmi://host:+7/a", "port"},
		{"rmi+unix://run/r.sock#a", "absolute"},
		{"rmi://host/a\nb", "control characters"},
		{"rmi://host/a\xff", "UTF-8"},
		{"rmi://host/" + strings.Repeat("n", 513), "at most 512"},
	} {
		u, err := registry.ParseURL(test.text)
		if err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("ParseURL(%q) = %+v, %v; want an error that says %q", test.text, u, err, test.says)
		}
		if u != (registry.URL{}) {
			t.Errorf("ParseURL(%q) returned %+v beside its error; want a zero URL", test.text, u)
		}
	}
}

// What is read is written in a form that is read as the same.
func FuzzParseURL(f *testing.F) {
	for _, text := range []string{
		"rmi://host:7/a", "rmi:///", "rmis://[::1]:7/a b", "rmi+unix:///run/r.sock#a#b", "rmi://h:01099//", "rmi://[::ffff:1.2.3.4]/x",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		u, err := registry.ParseURL(text)
		if err != nil {
			return
		}
		again, err := registry.ParseURL(u.String())
		if err != nil || again != u {
			t.Errorf("%q is read as %+v and written %q, which is read as %+v, %v", text, u, u, again, err)
		}
	})
}
