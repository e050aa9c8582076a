//go:build !linux

package worker

import "errors"

// CanPin says that this system lets a process be pinned to a core.
const CanPin = false

func execPinned(int, []string) error { return errors.ErrUnsupported }

// FirstCore returns a core that this process may run on.
func FirstCore() (int, bool) { return 0, false }

// resident returns the process's resident memory, -1 if it cannot tell.
func resident() int64 { return -1 }
