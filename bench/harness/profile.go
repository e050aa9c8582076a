package harness

import (
	"net/url"
	"path/filepath"

	"github.com/rmigo/rmigo/bench/plan"
)

// profile has both sides begin profiles of the processor, if such are asked for.
func (r *runner) profile(w plan.Workload, p plan.Peer, pr pair) error {
	return r.both(p, pr, func(side string) string { return "profile " + r.profileName(w, p, side, "cpu") })
}

// profiled has both sides end them.
func (r *runner) profiled(p plan.Peer, pr pair) error {
	return r.both(p, pr, func(string) string { return "profiled" })
}

// heaps has both sides write profiles of their heaps, if profiles are asked for.
func (r *runner) heaps(w plan.Workload, p plan.Peer, pr pair) error {
	return r.both(p, pr, func(side string) string { return "heap " + r.profileName(w, p, side, "heap") })
}

func (r *runner) profileName(w plan.Workload, p plan.Peer, side, kind string) string {
	return url.PathEscape(filepath.Join(r.Profiles, w.Name+"-"+p.Name+"-"+side+"."+kind))
}

// both gives both sides of a cell that is profiled a command.
func (r *runner) both(p plan.Peer, pr pair, command func(side string) string) error {
	if r.Profiles == "" || p.Java {
		return nil
	}
	if _, err := pr.server.ask(0, command("server")); err != nil {
		return err
	}
	_, err := pr.client.ask(0, command("client"))
	return err
}
