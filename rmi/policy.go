package rmi

import (
	"github.com/rmigo/rmigo/refs"
	"github.com/rmigo/rmigo/stub"
)

// How calls through a stub are made.
type (
	Policy = refs.Policy // what With gives a stub
	Retry  = refs.Retry  // which calls are made again, how often, and after what pauses
)

// With returns a stub of the object behind the stub v whose calls are made under the policy:
//
//	patient := rmi.With(acct, rmi.Policy{Timeout: 5 * time.Second, Retry: rmi.Retry{Attempts: 4}})
//
// It is a value of its own: == tells it from v and from what With returns at another time, Same does not. The object is the same in all
// other respects: passing the stub on passes the object, and the policy stays here; so do RefOf, Flush, Monitor and Release mean the object. The
// stubs that Narrow, Await and methods return have no policy. With replaces the policy that v may have: of two, one over the other, the
// last counts alone, and under Policy{} it is the plain stub again.
//
// Where v is the object itself, since it is one of this process, With returns it unchanged: calls on it are ordinary Go calls. An
// asynchronous view, a value that refers to a stub, is unchanged too: make it of a stub with a policy.
//
// An error that more than one attempt has come to says so, in Error.Attempts; MayHaveRun is false only if none of the attempts
// can have run.
func With[T any](v T, p Policy) T {
	if with, ok := stub.With(v, p).(T); ok {
		return with
	}
	return v
}
