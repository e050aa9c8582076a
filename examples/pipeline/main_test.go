package main

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/rmigo/rmigo/internal/leak"
)

func TestAPipelineTakesOneRoundTrip(t *testing.T) {
	leak.Check(t)
	var out strings.Builder
	if err := run(context.Background(), &out); err != nil {
		t.Fatal(err)
	}
	took := map[string]float64{}
	for line := range strings.Lines(out.String()) {
		var way string
		var ms float64
		text, after, _ := strings.Cut(line, " after ")
		fmt.Sscan(text, &way)
		fmt.Sscanf(after, "%fms", &ms)
		if took[way] = ms; !strings.Contains(text, "contents of /usr/share/doc/go") {
			t.Errorf("it says %s", line)
		}
	}
	if took["sequential"] < 500 || took["pipelined"] < 100 || took["batch"] < 100 || took["pipelined"] > took["sequential"]/2 || took["batch"] > took["sequential"]/2 {
		t.Errorf("it says\n%s", out.String())
	}
}
