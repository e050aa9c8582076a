package registry_test

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rmigo/rmigo/internal/leak"
	"github.com/rmigo/rmigo/internal/transport"
	"github.com/rmigo/rmigo/registry"
	"github.com/rmigo/rmigo/rmi"
	"github.com/rmigo/rmigo/stub"
)

// office is a memory registry and a node whose objects are bound in it.
type office struct {
	registry.Registry
	t    *testing.T
	node *rmi.Node
}

func newOffice(t *testing.T, o registry.Options) *office {
	t.Helper()
	reg, err := registry.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return &office{reg, t, newNode(t, rmi.Options{Network: transport.NewMemory()})}
}

// object makes a new remote object.
func (o *office) object() stub.Object { return objectOf(o.t, o.node) }

func (o *office) mustBind(name string, obj stub.Object) {
	o.t.Helper()
	if err := o.Bind(o.t.Context(), name, obj); err != nil {
		o.t.Fatal(err)
	}
}

// wantAt checks what the name is bound to; nil: nothing.
func (o *office) wantAt(name string, want stub.Object, why string) {
	o.t.Helper()
	got, err := o.Lookup(o.t.Context(), name)
	switch {
	case want == nil && (got != nil || !errors.Is(err, rmi.ErrNotBound)):
		o.t.Errorf("Lookup(%q) = %v, %v; want ErrNotBound: %s", name, got, err, why)
	case want != nil && (err != nil || !rmi.Same(got, want)):
		o.t.Errorf("Lookup(%q) = %v, %v; want %v: %s", name, got, err, want, why)
	}
}

func TestANameLeadsToWhatWasBoundToIt(t *testing.T) {
	leak.Check(t)
	o := newOffice(t, registry.Options{})
	a, b := o.object(), o.object()
	o.wantAt("x", nil, "nothing was bound")
	o.mustBind("x", a)
	o.mustBind("y", b)
	o.wantAt("x", a, "it was bound")
	o.wantAt("y", b, "it was bound")
	o.wantAt("X", nil, "names differ by case")
}

func TestBindTakesOnlyAFreeName(t *testing.T) {
	leak.Check(t)
	o := newOffice(t, registry.Options{})
	a, b := o.object(), o.object()
	o.mustBind("x", a)
	if err := o.Bind(t.Context(), "x", a); err != nil {
		t.Errorf("binding the same object again failed: %v", err)
	}
	if err := o.Bind(t.Context(), "x", b); !errors.Is(err, rmi.ErrAlreadyBound) {
		t.Errorf("binding another object returned %v, want ErrAlreadyBound", err)
	}
	o.wantAt("x", a, "a refused Bind changes nothing")
}

func TestRebindTakesAnyName(t *testing.T) {
	leak.Check(t)
	o := newOffice(t, registry.Options{})
	a, b := o.object(), o.object()
	for _, obj := range []stub.Object{a, b, b} {
		if err := o.Rebind(t.Context(), "x", obj); err != nil {
			t.Fatal(err)
		}
		o.wantAt("x", obj, "it was rebound")
	}
}

func TestUnbindFreesTheName(t *testing.T) {
	leak.Check(t)
	o := newOffice(t, registry.Options{})
	a, b := o.object(), o.object()
	o.mustBind("x", a)
	if err := o.Unbind(t.Context(), "x"); err != nil {
		t.Fatal(err)
	}
	o.wantAt("x", nil, "it was unbound")
	if err := o.Unbind(t.Context(), "x"); !errors.Is(err, rmi.ErrNotBound) {
		t.Errorf("unbinding a free name returned %v, want ErrNotBound", err)
	}
	o.mustBind("x", b)
	o.wantAt("x", b, "a freed name can be bound again")
}

func TestRestoreYieldsToWhatWasBoundLater(t *testing.T) {
	leak.Check(t)
	o := newOffice(t, registry.Options{})
	a, b := o.object(), o.object()
	restore := func(obj stub.Object, age time.Duration) error { return o.Restore(t.Context(), "x", obj, age) }
	if err := restore(a, time.Hour); err != nil {
		t.Fatalf("restoring a free name: %v", err)
	}
	o.wantAt("x", a, "it was restored")
	if err := restore(b, 2*time.Hour); !errors.Is(err, rmi.ErrAlreadyBound) {
		t.Errorf("restoring an older binding returned %v, want ErrAlreadyBound", err)
	}
	if err := restore(a, 3*time.Hour); err != nil {
		t.Errorf("restoring the same object at whatever age returned %v", err)
	}
	if err := restore(b, time.Minute); err != nil {
		t.Errorf("restoring a binding made later than the one that is there returned %v", err)
	}
	o.wantAt("x", b, "it is the newest")
	if err := restore(a, -time.Hour); err != nil {
		t.Errorf("a negative age counts as none, but restoring returned %v", err)
	}
	if err := o.Rebind(t.Context(), "x", b); err != nil {
		t.Fatal(err)
	}
	if err := restore(a, time.Hour); !errors.Is(err, rmi.ErrAlreadyBound) {
		t.Errorf("restoring over what was just rebound returned %v, want ErrAlreadyBound", err)
	}
	o.wantAt("x", b, "it was rebound last")
}

func TestListIsSortedAndByPrefix(t *testing.T) {
	leak.Check(t)
	o := newOffice(t, registry.Options{})
	obj := o.object()
	for _, name := range []string{"b/2", "a", "b/10", "b", "B/1", "ä"} {
		o.mustBind(name, obj)
	}
	for _, test := range []struct {
		prefix string
		want   []string
	}{
		{"", []string{"B/1", "a", "b", "b/10", "b/2", "ä"}},
		{"b", []string{"b", "b/10", "b/2"}},
		{"b/", []string{"b/10", "b/2"}},
		{"nix", []string{}},
	} {
		got, err := o.List(t.Context(), test.prefix)
		if err != nil || !slices.Equal(got, test.want) {
			t.Errorf("List(%q) = %q, %v; want %q", test.prefix, got, err, test.want)
		}
	}
}

func TestNamesAreTextOfOneTo512Bytes(t *testing.T) {
	leak.Check(t)
	o := newOffice(t, registry.Options{})
	obj := o.object()
	for _, name := range []string{"a", " ", "a/b:c#d?e", "//", "界", strings.Repeat("n", 512)} {
		if err := o.Bind(t.Context(), name, obj); err != nil {
			t.Errorf("Bind(%.20q): %v; want it to be a name", name, err)
		}
		o.wantAt(name, obj, "it was bound")
	}
	for _, name := range []string{"", "a\x00", "a\nb", "\x7f", "a\xff", strings.Repeat("n", 513)} {
		bind := o.Bind(t.Context(), name, obj)
		rebind := o.Rebind(t.Context(), name, obj)
		restore := o.Restore(t.Context(), name, obj, 0)
		if bind == nil || rebind == nil || restore == nil {
			t.Errorf("%.20q is no name, but Bind, Rebind and Restore returned %v, %v, %v", name, bind, rebind, restore)
		}
	}
}

func TestNothingCannotBeBound(t *testing.T) {
	leak.Check(t)
	o := newOffice(t, registry.Options{})
	for _, obj := range []stub.Object{nil, stub.Ref{}} {
		if err := o.Bind(t.Context(), "x", obj); err == nil {
			t.Errorf("Bind of %#v succeeded", obj)
		}
	}
	o.wantAt("x", nil, "no object was bound")
}

func TestTheNumberOfNamesIsBounded(t *testing.T) {
	leak.Check(t)
	o := newOffice(t, registry.Options{MaxBindings: 2})
	a, b := o.object(), o.object()
	o.mustBind("x", a)
	o.mustBind("y", a)
	if err := o.Bind(t.Context(), "z", a); !errors.Is(err, rmi.ErrLimit) {
		t.Errorf("the third of two names returned %v, want ErrLimit", err)
	}
	if err := o.Rebind(t.Context(), "y", b); err != nil {
		t.Errorf("rebinding a name at the limit returned %v: it needs no room", err)
	}
	if err := o.Unbind(t.Context(), "x"); err != nil {
		t.Fatal(err)
	}
	if err := o.Bind(t.Context(), "z", a); err != nil {
		t.Errorf("a freed place cannot be taken: %v", err)
	}
	if _, err := registry.New(registry.Options{MaxBindings: -1}); err == nil {
		t.Error("New took a negative MaxBindings")
	}
}

func TestOfManyWhoBindANameOneGetsIt(t *testing.T) {
	leak.Check(t)
	o := newOffice(t, registry.Options{})
	const many = 50
	errs := make([]error, many)
	objects := make([]stub.Object, many)
	for i := range objects {
		objects[i] = o.object()
	}
	var wg sync.WaitGroup
	for i, obj := range objects {
		wg.Go(func() { errs[i] = o.Bind(t.Context(), "x", obj) })
	}
	wg.Wait()
	var winners []int
	for i, err := range errs {
		switch {
		case err == nil:
			winners = append(winners, i)
		case !errors.Is(err, rmi.ErrAlreadyBound):
			t.Errorf("bind %d returned %v, want ErrAlreadyBound", i, err)
		}
	}
	if len(winners) != 1 {
		t.Fatalf("binds %v succeeded, want exactly one", winners)
	}
	o.wantAt("x", objects[winners[0]], "its Bind succeeded")
}

// abroad is a network whose accepted connections seem to come from another host.
type abroad struct{ transport.Sockets }

func (n abroad) Listen(endpoint string) (net.Listener, error) {
	l, err := n.Sockets.Listen(endpoint)
	return abroadListener{l}, err
}

type abroadListener struct{ net.Listener }

func (l abroadListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return abroadConn{c}, err
}

type abroadConn struct{ net.Conn }

func (abroadConn) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 7), Port: 7} }

// served is the registry of a node at which everybody seems to come from another host, and a node that may be found.
func served(t *testing.T, o registry.Options) (url string, node *rmi.Node) {
	t.Helper()
	reg, err := registry.New(o)
	if err != nil {
		t.Fatal(err)
	}
	host := newNode(t, rmi.Options{Network: abroad{}})
	if err := rmi.ServeRegistry(host, reg); err != nil {
		t.Fatal(err)
	}
	own := objectOf(t, host)
	if err := reg.Bind(context.Background(), "own", own); err != nil {
		t.Fatalf("a registry's own process may always bind, but: %v", err)
	}
	node = newNode(t, rmi.Options{})
	if _, err := node.Listen("tcp://127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	return "rmi" + strings.TrimPrefix(listen(t, host, "tcp://127.0.0.1:0"), "tcp"), node
}

func TestOtherHostsMayOnlyRead(t *testing.T) {
	leak.Check(t)
	url, node := served(t, registry.Options{})
	reg, err := rmi.LocateRegistry(t.Context(), node, url)
	if err != nil {
		t.Fatal(err)
	}
	obj := objectOf(t, node)
	for op, err := range map[string]error{
		"Bind":    reg.Bind(t.Context(), "x", obj),
		"Rebind":  reg.Rebind(t.Context(), "own", obj),
		"Restore": reg.Restore(t.Context(), "x", obj, 0),
		"Unbind":  reg.Unbind(t.Context(), "own"),
	} {
		if !errors.Is(err, rmi.ErrAccessDenied) || !strings.Contains(err.Error(), "192.0.2.7") {
			t.Errorf("%s from another host returned %v, want ErrAccessDenied that names the host", op, err)
		}
	}
	names, err := reg.List(t.Context(), "")
	if err != nil || !slices.Equal(names, []string{"own"}) {
		t.Errorf("List from another host = %q, %v; want own", names, err)
	}
	if _, err := reg.Lookup(t.Context(), "own"); err != nil {
		t.Errorf("Lookup from another host: %v", err)
	}
}

func TestOtherHostsMayWriteWhereThatIsAllowed(t *testing.T) {
	leak.Check(t)
	url, node := served(t, registry.Options{RemoteWrites: true})
	if err := rmi.Bind(t.Context(), node, url+"/x", bound()); err != nil {
		t.Fatal(err)
	}
	if err := rmi.Unbind(t.Context(), node, url+"/x"); err != nil {
		t.Fatal(err)
	}
}
