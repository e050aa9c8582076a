package main

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// A bar shows how much of a file has passed: it is written all that does.
type bar struct {
	out         io.Writer
	done, total int64
	shown       int64 // per cent
	began       time.Time
}

func newBar(out io.Writer, total int64) *bar {
	return &bar{out: out, total: total, shown: -1, began: time.Now()}
}

// Write implements io.Writer.
func (b *bar) Write(p []byte) (int, error) {
	b.done += int64(len(p))
	if now := 100 * b.done / max(b.total, 1); now != b.shown {
		b.shown = now
		rate := float64(b.done) / (1 << 20) / max(time.Since(b.began).Seconds(), 1e-6)
		fmt.Fprintf(b.out, "\r[%-50s] %3d %%  %.0f MiB/s ", strings.Repeat("#", int(min(now, 100)/2)), now, rate)
	}
	return len(p), nil
}
