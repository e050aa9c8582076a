package main

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/rmigo/rmigo/internal/leak"
)

func TestAnEndlessStreamTakesNoMoreThanItsCredit(t *testing.T) {
	leak.Check(t)
	var out strings.Builder
	if err := run(context.Background(), &out); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != enough+1 {
		t.Fatalf("it says\n%s", out.String())
	}
	var first int
	for i, line := range lines[:enough] {
		var taken, made, under, heap int
		if _, err := fmt.Sscanf(line, "%d taken, %d made, %d under way, heap %d KiB", &taken, &made, &under, &heap); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if i == 0 {
			first = heap
		}
		if taken != (i+1)*each || made < taken || made-taken > ahead+1 {
			t.Errorf("%q: at most %d may be under way", line, ahead)
		}
		if heap > first+2<<10 {
			t.Errorf("the heap has grown from %d to %d KiB", first, heap)
		}
	}
	if last := lines[enough]; !strings.HasPrefix(last, fmt.Sprintf("left: %d taken, ", enough*each)) || !strings.HasSuffix(last, " 0 quoted to") {
		t.Errorf("it ends with %q", last)
	}
}
