package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"

	"github.com/rmigo/rmigo/registry"
	"github.com/rmigo/rmigo/rmi"
)

// The exit codes beside 0.
const (
	exitFailed      = 1
	exitUsage       = 2
	exitNotBound    = 3
	exitUnreachable = 4
)

// failure is what went wrong, in words for whoever sits at the terminal.
type failure struct {
	code   int
	says   string
	remedy string // a sentence; "" if there is nothing to advise
}

func (f *failure) Error() string { return f.says }

// report prints err and returns the exit code.
func report(stderr io.Writer, err error) int {
	f := &failure{code: exitFailed, says: err.Error()}
	errors.As(err, &f)
	fmt.Fprintf(stderr, "registry: %s\n", f.says)
	if f.remedy != "" {
		fmt.Fprintln(stderr, f.remedy)
	}
	return f.code
}

// explain puts an error of asking the registry at the URL into words.
func explain(url string, err error) *failure {
	why := cause(err)
	switch {
	case errors.Is(err, context.Canceled):
		return &failure{exitFailed, "interrupted", ""}
	case errors.Is(err, rmi.ErrAccessDenied):
		return &failure{exitFailed, fmt.Sprintf("the registry at %s takes changes only from processes on its own host", url),
			"Run this there, or let the registry take them from anywhere: registry serve --allow-remote-writes."}
	case errors.Is(err, rmi.ErrProtocol), errors.Is(err, rmi.ErrVersion):
		return &failure{exitUnreachable, fmt.Sprintf("what answers at %s is no registry that this program can ask: %s", url, why),
			"Name a registry's address with --registry or RMI_REGISTRY."}
	case errors.Is(err, rmi.ErrNoSuchObject):
		return &failure{exitUnreachable, fmt.Sprintf("the process at %s has no registry", url),
			"Give it one with rmi.ServeRegistry, or name a registry's address with --registry or RMI_REGISTRY."}
	case errors.Is(err, rmi.ErrNodeClosed):
		return &failure{exitUnreachable, fmt.Sprintf("the registry at %s is shutting down", url), ""}
	case errors.Is(err, context.DeadlineExceeded):
		return &failure{exitUnreachable, fmt.Sprintf("nothing at %s answered in time", url),
			"Give it longer with --timeout, or name another registry with --registry or RMI_REGISTRY."}
	case errors.Is(err, rmi.ErrUnreachable), errors.Is(err, rmi.ErrPeerExpired):
		return &failure{exitUnreachable, fmt.Sprintf("no registry at %s: %s", url, why), howToStart(url, err)}
	}
	return &failure{exitFailed, fmt.Sprintf("the registry at %s: %s", url, why), ""}
}

// cause is the text below all errors of the runtime, which say again what explain says.
func cause(err error) string {
	why := err
	for e := (*rmi.Error)(nil); errors.As(why, &e) && e.Err != nil; {
		why = e.Err
	}
	return strings.TrimPrefix(why.Error(), "registry: ")
}

func howToStart(url string, err error) string {
	var unknown *net.DNSError
	if errors.As(err, &unknown) {
		return "Name a registry's address with --registry or RMI_REGISTRY."
	}
	start := "registry serve"
	if u, err := registry.ParseURL(url); err == nil && url != defaultURL {
		start += " --listen " + u.Endpoint
	}
	return fmt.Sprintf("Start one there with %q, or name another with --registry or RMI_REGISTRY.", start)
}

// cannotListen puts an error of listening into words.
func cannotListen(endpoint string, err error) *failure {
	const wsaInUse = syscall.Errno(10048) // Windows has a number of its own
	if errors.Is(err, syscall.EADDRINUSE) || errors.Is(err, wsaInUse) {
		return &failure{exitFailed, fmt.Sprintf("cannot listen on %s: another process listens there", endpoint),
			fmt.Sprintf("Ask whether that is a registry with %q, or choose another place with --listen.", "registry ping --registry "+address(endpoint))}
	}
	if errors.Is(err, syscall.EACCES) {
		return &failure{exitFailed, fmt.Sprintf("cannot listen on %s: %s", endpoint, cause(err)),
			"Choose a place that this user may listen at with --listen; ports below 1024 are often reserved."}
	}
	return &failure{exitFailed, fmt.Sprintf("cannot listen on %s: %s", endpoint, cause(err)),
		"Choose another place with --listen, as in tcp://127.0.0.1:1099 or unix:///run/registry.sock."}
}
