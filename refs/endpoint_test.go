package refs

import (
	"net"
	"slices"
	"testing"

	"github.com/rmigo/rmigo/internal/leak"
	"github.com/rmigo/rmigo/internal/transport"
)

func TestEndpointsAreOfferedOnlyToWhomTheyMeanSomething(t *testing.T) {
	leak.Check(t)
	here := &vantage{host: "127.0.0.1", sameHost: true}
	far := &vantage{host: "10.0.0.5"}
	for _, c := range []struct {
		name      string
		listening []string
		peer      *vantage
		want      []string
	}{
		{"nobody listens", nil, here, nil},
		{"loopback, to a peer here", []string{"tcp://127.0.0.1:7"}, here, []string{"tcp://127.0.0.1:7"}},
		{"loopback, to a peer elsewhere", []string{"tcp://127.0.0.1:7", "tcp://[::1]:7"}, far, nil},
		{"a socket file, to a peer here", []string{"unix:///s"}, here, []string{"unix:///s"}},
		{"a socket file, to a peer elsewhere", []string{"unix:///s"}, far, nil},
		{"an address, to a peer elsewhere", []string{"tcp://10.0.0.5:7"}, far, []string{"tcp://10.0.0.5:7"}},
		{"a wildcard, to a peer elsewhere: as it reached us, and our own addresses", []string{"tcp://0.0.0.0:7"}, far,
			[]string{"tcp://10.0.0.5:7", "tcp://192.168.1.9:7"}},
		{"a wildcard, to a peer here: also those that it may pass on", []string{"tcp://[::]:7"}, here,
			[]string{"tcp://127.0.0.1:7", "tcp://192.168.1.9:7"}},
		{"a wildcard, to nobody in particular", []string{"tcp://0.0.0.0:7"}, nil,
			[]string{"tcp://192.168.1.9:7", "tcp://127.0.0.1:7"}},
	} {
		n := &Node{hosts: []string{"192.168.1.9"}}
		for _, s := range c.listening {
			e, err := transport.ParseEndpoint(s)
			if err != nil {
				t.Fatal(err)
			}
			n.advertise = append(n.advertise, e)
		}
		if got := n.offer(c.peer); !slices.Equal(got, c.want) {
			t.Errorf("%s: offered %q, want %q", c.name, got, c.want)
		}
	}
}

func TestAThirdProcesssLoopbackAddressIsNotPassedToAnotherHost(t *testing.T) {
	leak.Check(t)
	known := []string{"tcp://127.0.0.1:7", "unix:///s", "tcp://10.1.1.1:7"}
	if got := passable(known, &vantage{sameHost: true}); !slices.Equal(got, known) {
		t.Errorf("to a peer on this host: %q, want all of %q", got, known)
	}
	if got := passable(known, &vantage{}); !slices.Equal(got, []string{"tcp://10.1.1.1:7"}) {
		t.Errorf("to a peer elsewhere: %q, want only the address that means the same there", got)
	}
}

func TestWhatIsAdvertisedIsOfferedAsItStands(t *testing.T) {
	leak.Check(t)
	n := &Node{cfg: config{Options: Options{Advertise: []string{"tcp://bank.example.com:7"}}}}
	if got := n.offer(&vantage{}); !slices.Equal(got, n.cfg.Advertise) {
		t.Errorf("offered %q, want %q", got, n.cfg.Advertise)
	}
}

// fakeSession has addresses and nothing else.
type fakeSession struct {
	transport.Session
	local, remote net.Addr
}

func (s fakeSession) LocalAddr() net.Addr  { return s.local }
func (s fakeSession) RemoteAddr() net.Addr { return s.remote }

// strange is an address of a network of somebody's own.
type strange string

func (strange) Network() string  { return "strange" }
func (s strange) String() string { return string(s) }

func TestAPeerIsOnThisHostIfItsAddressSaysSo(t *testing.T) {
	leak.Check(t)
	tcp := func(ip string) net.Addr { return &net.TCPAddr{IP: net.ParseIP(ip), Port: 1} }
	for _, c := range []struct {
		local, remote net.Addr
		want          bool
	}{
		{tcp("127.0.0.1"), tcp("127.0.0.1"), true},
		{tcp("::1"), tcp("::1"), true},
		{tcp("10.0.0.5"), tcp("10.0.0.5"), true},
		{tcp("10.0.0.5"), tcp("10.0.0.6"), false},
		{&net.UnixAddr{Name: "/s", Net: "unix"}, &net.UnixAddr{Net: "unix"}, true},
		{tcp("10.0.0.5"), strange("10.0.0.6:7"), false},
		{tcp("10.0.0.5"), strange("somewhere"), false},
		{strange("10.0.0.5:1"), strange("10.0.0.5:2"), true},
	} {
		if got := vantageOf(fakeSession{local: c.local, remote: c.remote}).sameHost; got != c.want {
			t.Errorf("%v to %v: on the same host %v, want %v", c.local, c.remote, got, c.want)
		}
	}
}
