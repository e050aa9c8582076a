package main_test

import (
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rmigo/rmigo/internal/leak"
	"github.com/rmigo/rmigo/internal/testobj"
	"github.com/rmigo/rmigo/rmi"
)

const (
	refused = `registry: no registry at rmi://127.0.0.1:PORT: dial tcp 127.0.0.1:PORT: connect: connection refused
Start one there with "registry serve --listen tcp://127.0.0.1:PORT", or name another with --registry or RMI_REGISTRY.
`
)

func TestListPrintsTheNames(t *testing.T) {
	leak.Check(t)
	url, _ := serving(t)
	run(t, "list", "--registry", url).want(t, ran{})
	run(t, "list", "--registry", url, "--json").want(t, ran{stdout: "[]\n"})
	binding(t, url, "bank/bob", "bank/alice", "shop <&> more")
	run(t, "list", "--registry", url).want(t, ran{stdout: "bank/alice\nbank/bob\nshop <&> more\n"})
	run(t, "list", "--registry", url, "bank/b").want(t, ran{stdout: "bank/bob\n"})
	run(t, "list", "--registry", url, "nix").want(t, ran{})
	run(t, "list", "--registry", url, "--json").want(t, ran{stdout: `[
  "bank/alice",
  "bank/bob",
  "shop <&> more"
]
`})
}

func TestListLongPrintsWhatTheNamesAreBoundTo(t *testing.T) {
	leak.Check(t)
	url, _ := serving(t)
	run(t, "list", "-l", "--registry", url).want(t, ran{})
	run(t, "list", "-l", "--registry", url, "--json").want(t, ran{stdout: "[]\n"})
	binding(t, url, "bank/alice", "b")
	run(t, "list", "-l", "--registry", url).want(t, ran{stdout: `NAME        INTERFACES                                        PROCESS   ENDPOINTS
b           github.com/rmigo/rmigo/internal/testobj.Listener  PROCESS_  tcp://127.0.0.1:PORT
bank/alice  github.com/rmigo/rmigo/internal/testobj.Listener  PROCESS_  tcp://127.0.0.1:PORT
`})
	run(t, "list", "-l", "--registry", url, "--json", "bank/").want(t, ran{stdout: `[
  {
    "name": "bank/alice",
    "interfaces": [
      "github.com/rmigo/rmigo/internal/testobj.Listener"
    ],
    "process": "PROCESS_",
    "endpoints": [
      "tcp://127.0.0.1:PORT"
    ]
  }
]
`})
}

func TestLookupSaysWhatANameIsBoundTo(t *testing.T) {
	leak.Check(t)
	url, _ := serving(t)
	n := binding(t, url, "bank/alice")
	plain := run(t, "lookup", "--registry", url, "bank/alice")
	plain.want(t, ran{stdout: `name        bank/alice
interfaces  github.com/rmigo/rmigo/internal/testobj.Listener
process     PROCESS_
endpoints   tcp://127.0.0.1:PORT
`})
	if !strings.Contains(plain.stdout, n.ID().String()) {
		t.Errorf("lookup printed\n%swant process %v", plain.stdout, n.ID())
	}
	run(t, "lookup", "--registry", url, "bank/alice", "--json").want(t, ran{stdout: `{
  "name": "bank/alice",
  "interfaces": [
    "github.com/rmigo/rmigo/internal/testobj.Listener"
  ],
  "process": "PROCESS_",
  "endpoints": [
    "tcp://127.0.0.1:PORT"
  ]
}
`})
}

func TestLookupPrintsTheCapabilityOnlyWhereItIsAskedFor(t *testing.T) {
	leak.Check(t)
	url, _ := serving(t)
	binding(t, url, "x")
	whole := run(t, "lookup", "--registry", url, "x", "--ref")
	whole.want(t, ran{stdout: "rmi-ref:PROCESS/OBJECT?as=github.com%2Frmigo%2Frmigo%2Finternal%2Ftestobj.Listener&at=tcp%3A%2F%2F127.0.0.1%3APORT\n"})
	reference := strings.TrimSpace(whole.stdout)

	var parsed struct{ Name, Reference string }
	printed := run(t, "lookup", "--registry", url, "x", "--ref", "--json")
	if err := json.Unmarshal([]byte(printed.stdout), &parsed); err != nil || parsed.Name != "x" || parsed.Reference != reference {
		t.Errorf("with --json, got\n%s%v; want the reference %s", printed.stdout, err, reference)
	}

	object, _, _ := strings.Cut(reference[strings.IndexByte(reference, '/')+1:], "?")
	for _, args := range [][]string{{"lookup", "x"}, {"lookup", "x", "--json"}, {"list", "-l"}, {"list", "-l", "--json"}} {
		got := run(t, append(args, "--registry", url)...)
		if got.code != 0 || strings.Contains(got.stdout, object) {
			t.Errorf("%q gave exit code %d and\n%swithout --ref it must not print the object's id", args, got.code, got.stdout)
		}
	}

	l, err := rmi.Resolve(ctx(t), node(t, rmi.Options{}), testobj.RemoteListener, reference)
	if err != nil {
		t.Fatal(err)
	}
	if text, err := l.Hear(ctx(t), "you"); text != "heard you" || err != nil {
		t.Errorf("the printed reference leads to an object that answers %q, %v", text, err)
	}
}

func TestLookupOfAFreeNameSaysSo(t *testing.T) {
	leak.Check(t)
	url, _ := serving(t)
	run(t, "lookup", "--registry", url, "bank/alice").want(t, ran{code: 3, stderr: `registry: nothing is bound to "bank/alice" at rmi://127.0.0.1:PORT
"registry list" prints the names that are bound.
`})
}

func TestUnbindFreesNamesAndNamesThoseThatWereFree(t *testing.T) {
	leak.Check(t)
	url, _ := serving(t)
	binding(t, url, "a", "b", "c", "d")
	run(t, "unbind", "--registry", url, "a").want(t, ran{stdout: "a\n"})
	run(t, "unbind", "--registry", url, "a", "b", "nix").want(t, ran{code: 3, stdout: "b\n",
		stderr: `registry: nothing is bound to "a", "nix" at rmi://127.0.0.1:PORT
"registry list" prints the names that are bound.
`})
	run(t, "unbind", "--registry", url, "--json", "c").want(t, ran{stdout: `{
  "unbound": [
    "c"
  ],
  "notBound": []
}
`})
	run(t, "list", "--registry", url).want(t, ran{stdout: "d\n"})
}

func TestPingMeasuresRoundTrips(t *testing.T) {
	leak.Check(t)
	url, _ := serving(t)
	run(t, "ping", "--registry", url).want(t, ran{stdout: `registry      rmi://127.0.0.1:PORT
process       PROCESS_
connected in  N ms
round trips   N ms
              N ms
              N ms
median        N ms
`})
	run(t, "ping", "--registry", url, "--count", "0").want(t, ran{stdout: `registry      rmi://127.0.0.1:PORT
process       PROCESS_
connected in  N ms
`})
	run(t, "ping", "--registry", url, "--count", "2", "--json").want(t, ran{stdout: `{
  "registry": "rmi://127.0.0.1:PORT",
  "process": "PROCESS_",
  "connectMs": N,
  "roundTripsMs": [
    N,
    N
  ]
}
`})
}

func TestTheEnvironmentNamesTheRegistryAndTheFlagGoesFirst(t *testing.T) {
	leak.Check(t)
	url, _ := serving(t)
	binding(t, url, "x")
	runWith(t, []string{"RMI_REGISTRY=" + url}, "list").want(t, ran{stdout: "x\n"})
	runWith(t, []string{"RMI_REGISTRY=nonsense"}, "list", "--registry", url).want(t, ran{stdout: "x\n"})
	runWith(t, []string{"RMI_REGISTRY=nonsense"}, "list").want(t, ran{code: 2,
		stderr: `registry: RMI_REGISTRY: URL "nonsense": no scheme: write rmi://host:port/name or rmi+unix:///socket#name
Run "registry list --help" for usage.
`})
}

// taken is a place where something else than a registry answers: what accept does with each connection.
func taken(t *testing.T, accept func(net.Conn)) (url string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { // ends when l is closed
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { c.Close() })
			accept(c)
		}
	}()
	t.Cleanup(func() {
		l.Close()
		<-done
	})
	return "rmi://" + l.Addr().String()
}

func TestWhereNobodyListensTheClientSaysHowToStartARegistry(t *testing.T) {
	leak.Check(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	url := "rmi://" + l.Addr().String()
	for _, args := range [][]string{{"list"}, {"lookup", "x"}, {"unbind", "x"}, {"ping"}, {"list", "--json"}} {
		run(t, append(args, "--registry", url)...).want(t, ran{code: 4, stderr: refused})
	}
}

func TestAWebServerIsRecognised(t *testing.T) {
	leak.Check(t)
	web := httptest.NewServer(http.NotFoundHandler())
	defer web.Close()
	run(t, "ping", "--registry", "rmi"+strings.TrimPrefix(web.URL, "http")).want(t, ran{code: 4,
		stderr: `registry: what answers at rmi://127.0.0.1:PORT is no registry that this program can ask: 127.0.0.1:PORT speaks HTTP, not rmigo: is this the address of a web server?
Name a registry's address with --registry or RMI_REGISTRY.
`})
}

func TestAServerThatSaysNothingIsGivenUp(t *testing.T) {
	leak.Check(t)
	url := taken(t, func(net.Conn) {})
	run(t, "list", "--registry", url, "--timeout", "50ms").want(t, ran{code: 4,
		stderr: `registry: nothing at rmi://127.0.0.1:PORT answered in time
Give it longer with --timeout, or name another registry with --registry or RMI_REGISTRY.
`})
}

func TestAnInterruptEndsAClientThatWaits(t *testing.T) {
	leak.Check(t)
	connected := make(chan struct{}, 1)
	url := taken(t, func(net.Conn) { connected <- struct{}{} })
	client := start(t, "list", "--registry", url, "--timeout", "1h")
	<-connected
	client.signal(os.Interrupt)
	client.wait().want(t, ran{code: 1, stderr: "registry: interrupted\n"})
}

func TestAProcessWithoutARegistryIsRecognised(t *testing.T) {
	leak.Check(t)
	_, endpoint := listening(t, rmi.Options{})
	run(t, "list", "--registry", urlOf(endpoint)).want(t, ran{code: 4,
		stderr: `registry: the process at rmi://127.0.0.1:PORT has no registry
Give it one with rmi.ServeRegistry, or name a registry's address with --registry or RMI_REGISTRY.
`})
}

func TestWrongUsageSaysWhatIsRight(t *testing.T) {
	leak.Check(t)
	for _, test := range []struct{ args, says, see string }{
		{"lookup", "lookup: give a NAME", "registry lookup"},
		{"lookup a b", `lookup: give one NAME, not ["a" "b"]`, "registry lookup"},
		{"unbind", "unbind: give a NAME", "registry unbind"},
		{"list a b", `list: give one PREFIX, not ["a" "b"]`, "registry list"},
		{"ping x", `unknown command "x" for "registry ping"`, "registry ping"},
		{"serve x", `unknown command "x" for "registry serve"`, "registry serve"},
		{"list --nix", "unknown flag: --nix", "registry list"},
		{"list --timeout 0s", "--timeout: 0s is no time to wait", "registry list"},
		{"list --timeout x", `invalid argument "x" for "--timeout" flag: time: invalid duration "x"`, "registry list"},
		{"ping --count -1", "--count: -1 is no number of round trips", "registry ping"},
		{"serve --grace -1s", "--grace: -1s is no time to wait", "registry serve"},
		{"serve --max-bindings 0", "--max-bindings: 0 is no number of names", "registry serve"},
		{"serve --log-level loud", `invalid argument "loud" for "--log-level" flag: slog: level string "loud": unknown name`, "registry serve"},
		{"list --registry rmi://host/x", "--registry: rmi://host/x has a name in it: write the registry's address only", "registry list"},
		{"list --registry host", `--registry: URL "host": no scheme: write rmi://host:port/name or rmi+unix:///socket#name`, "registry list"},
	} {
		run(t, strings.Fields(test.args)...).want(t, ran{code: 2,
			stderr: "registry: " + test.says + "\nRun \"" + test.see + " --help\" for usage.\n"})
	}
}

func TestARegistrysURLGivenAsANameIsWrongUsageWithTheRightOne(t *testing.T) {
	leak.Check(t)
	for args, says := range map[string]string{
		"list rmi://127.0.0.1:1":           `list: rmi://127.0.0.1:1 is a URL: write "registry list --registry rmi://127.0.0.1:1"`,
		"list rmi+unix:///tmp/nope":        `list: rmi+unix:///tmp/nope is a URL: write "registry list --registry rmi+unix:///tmp/nope"`,
		"list rmi://h/bank/":               `list: rmi://h/bank/ is a URL: write "registry list --registry rmi://h:1099 bank/"`,
		"lookup rmi://h:1/bank/alice":      `lookup: rmi://h:1/bank/alice is a URL: write "registry lookup --registry rmi://h:1 bank/alice"`,
		"unbind a rmi+unix:///s#b":         `unbind: rmi+unix:///s#b is a URL: write "registry unbind --registry rmi+unix:///s b"`,
		"ping rmi://127.0.0.1:1":           `ping: rmi://127.0.0.1:1 is a URL: write "registry ping --registry rmi://127.0.0.1:1"`,
		"list rmi://::1":                   `list: URL "rmi://::1": "::1": an IPv6 address stands in brackets: write rmi://host:port/name or rmi+unix:///socket#name`,
		"lookup rmis://h:1/x --timeout 1s": `lookup: rmis://h:1/x is a URL: write "registry lookup --registry rmis://h:1 x"`,
	} {
		command, _, _ := strings.Cut(args, " ")
		got := run(t, strings.Fields(args)...)
		if want := (ran{code: 2, stderr: "registry: " + says + "\nRun \"registry " + command + " --help\" for usage.\n"}); got != want {
			t.Errorf("%s: got %+v, want %+v", args, got, want)
		}
	}
	url, _ := serving(t)
	binding(t, url, "rmi://x")
	run(t, "list", "--registry", url, "rmi://").want(t, ran{stdout: "rmi://x\n"})
}

func TestHelpIsWhatItWas(t *testing.T) {
	leak.Check(t)
	for _, name := range []string{"registry", "serve", "list", "lookup", "unbind", "ping", "cycles", "call", "describe"} {
		args := []string{name, "--help"}
		if name == "registry" {
			args = args[1:]
		}
		got := run(t, args...)
		golden := filepath.Join("testdata", name+".help")
		if *update {
			if err := os.WriteFile(golden, []byte(got.stdout), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if got != (ran{stdout: string(want)}) {
			t.Errorf("the help of %s is not its golden; run with -update and read the change\n got:\n%s%s\nwant:\n%s", name, got.stdout, got.stderr, want)
		}
	}
	if got, bare := run(t, "--help"), run(t); got != bare {
		t.Errorf("without arguments it printed\n%s%swant its help", bare.stdout, bare.stderr)
	}
}

func TestVersionAndCompletion(t *testing.T) {
	leak.Check(t)
	if got := run(t, "--version"); got.code != 0 || !strings.HasPrefix(got.stdout, "registry version ") {
		t.Errorf("--version gave %+v", got)
	}
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if got := run(t, "completion", shell); got.code != 0 || len(got.stdout) < 1000 {
			t.Errorf("completion %s gave exit code %d, %d bytes and %q", shell, got.code, len(got.stdout), got.stderr)
		}
	}
}

func TestNamesAreCompletedFromTheRegistry(t *testing.T) {
	leak.Check(t)
	url, daemon := serving(t)
	binding(t, url, "bank/alice", "bank/bob", "shop")
	complete := func(args ...string) string {
		return run(t, append([]string{"__complete", args[0], "--registry", url}, args[1:]...)...).stdout
	}
	for _, test := range []struct{ got, want string }{
		{complete("lookup", "bank/"), "bank/alice\nbank/bob\n:4\n"},
		{complete("unbind", "shop", "bank/a"), "bank/alice\n:4\n"},
		{complete("lookup", "shop", ""), ":4\n"},
	} {
		if test.got != test.want {
			t.Errorf("got the completions %q, want %q", test.got, test.want)
		}
	}
	daemon.kill()
	if got := complete("lookup", "bank/"); got != ":4\n" {
		t.Errorf("without a registry, got the completions %q, want none", got)
	}
}
