package report

import (
	"bufio"
	"bytes"
	"cmp"
	"os"
	"os/exec"
	"runtime"
	"strings"
)

// Machine is where a run took place.
type Machine struct {
	CPU        string // model
	Cores      int    // that the run may use
	System     string
	Congestion string // the congestion control of TCP, "" if it is not known; one that paces slows single connections, by loopback, too
	Go         string
	Java       string
}

// ThisMachine describes the machine as far as it tells.
func ThisMachine() Machine {
	return Machine{
		CPU:        cpuModel(),
		Cores:      runtime.NumCPU(),
		System:     strings.TrimSpace(runtime.GOOS + "/" + runtime.GOARCH + " " + read("/proc/sys/kernel/osrelease")),
		Congestion: read("/proc/sys/net/ipv4/tcp_congestion_control"),
		Go:         runtime.Version(),
		Java:       javaVersion(),
	}
}

func read(name string) string {
	text, err := os.ReadFile(name)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}

func cpuModel() string {
	for line := range strings.Lines(read("/proc/cpuinfo")) {
		if name, value, _ := strings.Cut(line, ":"); strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}

// javaVersion returns the first line of what java says of itself, "" if there is none.
func javaVersion() string {
	text, err := exec.Command("java", "-version").CombinedOutput()
	if err != nil {
		return ""
	}
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Scan()
	return lines.Text()
}

// Commit returns the commit of the checkout that dir is in, and its date, where git tells; the commit ends in "+" if files differ
// from it.
func Commit(dir string) (commit, date string) {
	git := func(args ...string) (string, bool) {
		cmd := exec.Command("git", args...)
		cmd.Dir = dir
		text, err := cmd.Output()
		return strings.TrimSpace(string(text)), err == nil
	}
	commit, ok := git("rev-parse", "--short", "HEAD")
	if !ok {
		return "unknown", "unknown"
	}
	if changes, ok := git("status", "--porcelain"); ok && changes != "" {
		commit += "+"
	}
	date, _ = git("log", "-1", "--format=%cs")
	return commit, cmp.Or(date, "unknown")
}
