package model

import (
	"bytes"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rmigo/rmigo/internal/leak"
)

var (
	update = flag.Bool("update", false, "rewrite the traces in testdata")
	soak   = flag.Bool("soak", false, "explore the larger worlds as well, for minutes")
)

// A test is a model under the name of what it has.
type test struct {
	name  string
	model Model
}

// two is the owners of two objects of two processes.
var two = [objects]proc{O, A}

func TestTheProtocolKeepsItsPromises(t *testing.T) {
	leak.Check(t)
	worlds := []test{
		{"two objects of one owner", Model{Objects: 2, Bounds: Bounds{Send: 2}}},
		{"two owners", Model{Objects: 2, Owner: two, Bounds: Bounds{Send: 2}}},
		{"three references", Model{Objects: 1, Bounds: Bounds{Send: 3}}},
		{"one reference and all faults", Model{Objects: 2, Owner: two, Bounds: Bounds{Send: 1, Lose: 1, Expire: 1, Crash: 1}}},
		{"two expiries", Model{Objects: 2, Owner: two, Bounds: Bounds{Send: 1, Expire: 2}}},
		{"an expiry and an introduction that takes too long", Model{Objects: 1, Bounds: Bounds{Send: 2, Expire: 1, GiveIn: 1}}},
		{"an unexported object", Model{Objects: 1, Bounds: Bounds{Send: 2, Unexport: 1, Refuse: 1}}},
		{"a connection that breaks", Model{Objects: 2, Owner: two, Bounds: Bounds{Send: 2, Lose: 1}, NoCalls: true, Coarse: true}},
		{"an expiry", Model{Objects: 2, Owner: two, Bounds: Bounds{Send: 2, Expire: 1}, NoCalls: true, Coarse: true}},
		{"a crash", Model{Objects: 1, Bounds: Bounds{Send: 2, Crash: 1}}},
	}
	if raceDetector {
		worlds = []test{
			{"one reference, a connection that breaks", Model{Objects: 2, Owner: two, Bounds: Bounds{Send: 1, Lose: 1}}},
			{"one reference, an expiry", Model{Objects: 2, Owner: two, Bounds: Bounds{Send: 1, Expire: 1}}},
		}
	}
	explore(t, worlds)
}

func TestTheProtocolKeepsItsPromisesInLargerWorlds(t *testing.T) {
	leak.Check(t)
	if !*soak {
		t.Skip("takes minutes: run with -soak")
	}
	explore(t, []test{
		{"three references, two owners", Model{Objects: 2, Owner: two, Bounds: Bounds{Send: 3}}},
		{"three references, a connection that breaks", Model{Objects: 1, Bounds: Bounds{Send: 3, Lose: 1}}},
		{"three references, an expiry", Model{Objects: 1, Bounds: Bounds{Send: 3, Expire: 1}}},
		{"two references and all faults", Model{Objects: 1, Bounds: Bounds{Send: 2, Lose: 1, Expire: 1, Crash: 1}}},
		{"two owners, a connection that breaks", Model{Objects: 2, Owner: two, Bounds: Bounds{Send: 2, Lose: 1}}},
		{"two owners, an expiry", Model{Objects: 2, Owner: two, Bounds: Bounds{Send: 2, Expire: 1}}},
		{"two owners, two expiries", Model{Objects: 2, Owner: two, Bounds: Bounds{Send: 2, Expire: 2}, NoCalls: true, Coarse: true}},
		{"two owners, a connection that breaks and an expiry", Model{Objects: 2, Owner: two, Bounds: Bounds{Send: 2, Lose: 1, Expire: 1},
			NoCalls: true, Coarse: true}},
		{"two owners, an expiry and a crash", Model{Objects: 2, Owner: two, Bounds: Bounds{Send: 2, Expire: 1, Crash: 1}, Coarse: true}},
		{"two owners, a crash", Model{Objects: 2, Owner: two, Bounds: Bounds{Send: 2, Crash: 1}}},
		{"two owners, an unexported object", Model{Objects: 2, Owner: two, Bounds: Bounds{Send: 2, Unexport: 1}}},
	})
}

// explore fails t if a world is not all well, or not seen whole.
func explore(t *testing.T, worlds []test) {
	for _, w := range worlds {
		t.Run(w.name, func(t *testing.T) {
			r := w.model.Explore(2, 40_000_000)
			if t.Log(r); !r.Whole {
				t.Error("not every state is visited and well")
			}
		})
	}
}

func TestTheLinkKeepsItsPromises(t *testing.T) {
	leak.Check(t)
	links := []Link{{Ops: 3, Breaks: 1}, {Ops: 2, Resets: 2}, {Ops: 2, Breaks: 1, Resets: 1}}
	switch {
	case raceDetector:
		links = links[1:2]
	case *soak:
		links = append(links, Link{Ops: 2, Breaks: 1, Resets: 2}, Link{Ops: 3, Breaks: 2}, Link{Ops: 2, Breaks: 2, Resets: 1})
	}
	for _, l := range links {
		r := l.Explore()
		if t.Logf("%d ops, %d breaks, %d resets: %v", l.Ops, l.Breaks, l.Resets, r); !r.Whole {
			t.Error("not every state is visited and well")
		}
	}
}

// Each rule is taken out in the smallest of worlds that misses it.
func TestEveryRuleIsMissedWhenItIsTakenOut(t *testing.T) {
	leak.Check(t)
	if raceDetector {
		t.Skip("this is for one goroutine, and long")
	}
	one, twice := Bounds{Send: 1}, Bounds{Send: 2}
	broken, expired := Bounds{Send: 1, Lose: 1}, Bounds{Send: 1, Expire: 1}
	crashed := Bounds{Send: 2, Crash: 1}
	worlds := map[Rule]Bounds{
		InOrder: one, Pins: one, PinPerCall: twice, PinPerDirection: twice, Query: broken, QueryOwed: {Send: 2, Lose: 1},
		DirtyFirst: one, OwnerFirst: twice, AckHome: twice, NackUnreachable: crashed, AckAbandoned: one,
		AckRefused: {Send: 1, Refuse: 1}, RememberRunning: one, RememberUnseen: one, GoneIsAnOp: {Send: 1, Lose: 1, Expire: 1},
		AckBehindGone: {Send: 1, Lose: 1, Expire: 1}, Replace: expired, AlwaysOpen: expired, OneGeneration: expired,
		AckOfGeneration: expired, OnlyOpen: expired, NoPinForTheGone: crashed, ExpiryReleasesPins: expired, UpgradeWeak: expired,
		CleanupGeneration: twice, CancelLinger: twice, DirtyBehindClean: twice, BothRoles: expired, NackReleases: crashed,
		OneConnection: broken, NewID: {Send: 1, Unexport: 1},
	}
	links := map[Rule]Link{
		NumberedOnce: {Ops: 1, Breaks: 1}, Resend: {Ops: 1, Breaks: 1}, ResentAsSent: {Ops: 2, Breaks: 1},
		HelloIsNoAck: {Ops: 1, Breaks: 1}, BatchOfGeneration: {Ops: 1, Resets: 1}, AckOfGeneration: {Ops: 1, Resets: 1},
	}
	var stories strings.Builder
	tell := func(r Rule, what string, got Result, whole bool) {
		if got.Violation == "" || !whole {
			t.Errorf("%s without %v: nothing goes wrong without the rule, or something with it (%v)", what, r, got)
		}
		fmt.Fprintf(&stories, "%s without %v:\n%v\n\n", what, r, got.story())
	}
	for r := range Rule(rules) {
		if b, ok := worlds[r]; ok {
			m := Model{Objects: 1, Bounds: b}
			whole := m.Explore(2, 200_000).Whole
			m.Without = []Rule{r}
			tell(r, "the protocol", m.Explore(1, 200_000), whole)
		}
		if l, ok := links[r]; ok {
			whole := l.Explore().Whole
			l.Without = []Rule{r}
			tell(r, "the link", l.Explore(), whole)
		}
		if _, ok := worlds[r]; !ok && links[r].Ops == 0 {
			t.Errorf("no world misses %v", r)
		}
	}
	compare(t, "stories.txt", stories.String())
}

// compare fails t if got is not what the file in testdata has.
func compare(t *testing.T, name, got string) {
	t.Helper()
	golden := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("the stories are not their golden; run with -update and read the change\n got:\n%s\nwant:\n%s", got, want)
	}
}

// walk calls visit with states of m that random steps lead to.
func walk(m *Model, seed uint64, visit func(*state)) {
	random := rand.New(rand.NewPCG(seed, 0))
	for range 60 {
		s := m.start()
		for range 40 {
			var next []state
			m.steps(&s, func(_ event, to *state) { next = append(next, *to) })
			if len(next) == 0 {
				break
			}
			s = next[random.IntN(len(next))]
			visit(&s)
		}
	}
}

func TestAStateIsWhatItsBytesSay(t *testing.T) {
	leak.Check(t)
	m := &Model{Objects: 2, Owner: two, Bounds: Bounds{4, 3, 3, 2, 1, 1, 1}}
	walk(m, 1, func(s *state) {
		if got := unpack(s.pack(nil)); got != *s {
			t.Fatalf("packed and unpacked, a state is another one\n got: %+v\nwant: %+v", got, *s)
		}
	})
}

func TestNamesDoNotMatter(t *testing.T) {
	leak.Check(t)
	for _, m := range []*Model{
		{Objects: 2, Bounds: Bounds{3, 1, 1, 1, 1, 1, 1}},
		{Objects: 2, Owner: two, Bounds: Bounds{3, 1, 1, 1, 1, 1, 1}},
		{Objects: 1, Bounds: Bounds{3, 1, 1, 1, 1, 1, 1}},
	} {
		group := m.symmetries()
		if want := map[bool]int{true: 2 * m.Objects, false: 2}[m.Owner == [objects]proc{}]; len(group) != want {
			t.Errorf("%d renamings keep the owners, want %d", len(group), want)
		}
		w := &worker{explorer: &explorer{m: m, group: group}}
		follow := func(s *state) (all [][]byte) {
			m.steps(s, func(_ event, next *state) {
				w.canonical(next)
				all = append(all, bytes.Clone(w.best))
			})
			slices.SortFunc(all, bytes.Compare)
			return slices.CompactFunc(all, bytes.Equal)
		}
		walk(m, 2, func(s *state) {
			want := follow(s)
			for _, y := range group {
				renamed := y.apply(s)
				if !slices.EqualFunc(follow(&renamed), want, bytes.Equal) {
					t.Fatalf("under other names (%v), other things happen in %+v", y, *s)
				}
				if (m.unsafe(&renamed) == "") != (m.unsafe(s) == "") || m.potential(&renamed) != m.potential(s) {
					t.Fatalf("under other names (%v), %+v is judged in another way", y, *s)
				}
			}
		})
	}
}
