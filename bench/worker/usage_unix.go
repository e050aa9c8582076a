//go:build unix

package worker

import (
	"syscall"
	"time"
)

// cpuTime returns the time that the process has spent on cores, in user code and in the kernel.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
