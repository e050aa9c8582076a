package refs

import (
	"fmt"
	"runtime"
	"runtime/pprof"
	"strings"
	"sync"
)

// traces remember where objects were exported and stubs came to be, where Options.TraceExports asks for that.
type traces struct {
	mu     sync.Mutex
	sites  map[any]string // by *export, or by stubKey
	closed bool
}

// stubKey tells a handle from all others in the process's profile, those of other nodes as well.
type stubKey struct {
	of    *traces
	id    ID
	local uint64
}

// The profiles of runtime/pprof, which belong to the whole process as all profiles do.
const (
	exportsProfile = "rmi.exports"
	stubsProfile   = "rmi.stubs"
)

// profile returns the profile of that name, making it where there is none.
func profile(name string) (p *pprof.Profile) {
	if p = pprof.Lookup(name); p != nil {
		return p
	}
	defer func() {
		if recover() != nil { // another node has made it meanwhile
			p = pprof.Lookup(name)
		}
	}()
	return pprof.NewProfile(name)
}

// add notes where what key stands for came to be, skip callers above.
func (t *traces) add(key any, skip int) {
	at := site(skip + 1)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return
	}
	if t.sites == nil {
		t.sites = map[any]string{}
	}
	t.sites[key] = at
	profileOf(key).Add(key, skip+1)
}

func (t *traces) addStub(h *Handle) { t.add(stubKey{t, h.id, h.local}, 2) }

// remove forgets what add noted.
func (t *traces) remove(key any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, there := t.sites[key]; there {
		delete(t.sites, key)
		profileOf(key).Remove(key)
	}
}

// close forgets everything, what is to come as well: the profiles outlive the node.
func (t *traces) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	for key := range t.sites {
		profileOf(key).Remove(key)
	}
	t.sites = nil
}

// profileOf returns the profile that key is in.
func profileOf(key any) *pprof.Profile {
	if _, stub := key.(stubKey); stub {
		return profile(stubsProfile)
	}
	return profile(exportsProfile)
}

// at returns where the export came to be, "" where that is not known.
func (t *traces) at(key any) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.sites[key]
}

// site is the first line of the program itself above skip callers: not the runtime's, not this module's packages, not generated code.
func site(skip int) string {
	pcs := make([]uintptr, 64)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(skip+2, pcs)])
	for {
		f, more := frames.Next()
		if ours := strings.HasPrefix(f.Function, "runtime.") || strings.HasPrefix(f.Function, "reflect.") || isModule(f.Function); !ours &&
			!strings.HasSuffix(f.File, "_rmi.go") && f.Function != "" {
			return fmt.Sprintf("%s:%d", f.File, f.Line)
		}
		if !more {
			return ""
		}
	}
}

// isModule reports whether a function belongs to the packages that calls pass through.
func isModule(function string) bool {
	rest, ok := strings.CutPrefix(function, "github.com/rmigo/rmigo/")
	if !ok {
		return false
	}
	for _, p := range []string{"rmi.", "refs.", "stub.", "skeleton.", "registry.", "internal/"} {
		if strings.HasPrefix(rest, p) {
			return true
		}
	}
	return false
}
