//go:build !unix

package worker

import "time"

// cpuTime returns 0: there is no getrusage.
func cpuTime() time.Duration { return 0 }
