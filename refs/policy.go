package refs

import (
	"slices"
	"time"
)

// Policy is how calls through one view of an object are made. The zero Policy is none: they are made as the node's options say.
type Policy struct {
	// Timeout bounds a call, with all its attempts and the pauses between them; of a one-way call, until it is queued. Of this bound, the
	// context's deadline and the method's //rmi:timeout the earliest counts; Options.Timeout is for calls that have none of them.
	// Negative: calls end at once. Zero: no bound of the view's own.
	Timeout time.Duration

	// Retry has calls made again that failed for a reason that may pass. Zero: each is made once.
	Retry Retry
}

// Policies are how calls through a view are made, worked out once. Immutable.
type Policies struct {
	timeout time.Duration // 0: no bound of the view's own
	chain   []Interceptor // of the policy, and then the node's
}

// With returns a view of the same object through the same interface, with the policy in place of the one that v has. It is
// another view than any there is; under the zero Policy, and of what is broken anyway, it is the canonical one.
func (v *View) With(p Policy) *View {
	if p == (Policy{}) || v.Handle.IsBroken() {
		return v.Handle.View(v.Face)
	}
	via := &Policies{timeout: p.Timeout, chain: v.Handle.Node().cfg.Outbound}
	if p.Retry.repeats() {
		via.chain = slices.Concat([]Interceptor{p.Retry.intercept}, via.chain)
	}
	return &View{Handle: v.Handle, Face: v.Face, Policies: via}
}
