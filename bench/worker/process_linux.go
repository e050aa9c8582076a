package worker

import (
	"bytes"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// CanPin says that this system lets a process be pinned to a core.
const CanPin = true

// execPinned becomes the command, on one core. The affinity stays with the thread that becomes the new process.
func execPinned(core int, command []string) error {
	runtime.LockOSThread()
	var set unix.CPUSet
	set.Set(core)
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		return err
	}
	path, err := exec.LookPath(command[0])
	if err != nil {
		return err
	}
	return syscall.Exec(path, command, os.Environ())
}

// FirstCore returns a core that this process may run on.
func FirstCore() (int, bool) {
	var set unix.CPUSet
	if unix.SchedGetaffinity(0, &set) != nil {
		return 0, false
	}
	for core := range len(set) * 64 {
		if set.IsSet(core) {
			return core, true
		}
	}
	return 0, false
}

// resident returns the process's resident memory, -1 if it cannot tell.
func resident() int64 {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return -1
	}
	fields := bytes.Fields(text)
	if len(fields) < 2 {
		return -1
	}
	pages, err := strconv.ParseInt(string(fields[1]), 10, 64)
	if err != nil {
		return -1
	}
	return pages * int64(os.Getpagesize())
}
