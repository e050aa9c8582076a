package main

import (
	"errors"
	"testing"
)

func TestEveryPeerDoesWhatItSays(t *testing.T) {
	names, all := peers()
	for _, name := range names {
		addr, stop, err := all[name].serve()
		if err != nil {
			t.Fatal(err)
		}
		s, err := all[name].dial(t.Context(), addr)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		err = s.items(t.Context(), func() bool { n++; return n < 1000 })
		if name != "raw" && (err != nil || n != 1000) {
			t.Errorf("%s: %d items, %v", name, n, err)
		}
		if _, err := send(t.Context(), s, 5_000_001); err != nil {
			t.Errorf("%s: an upload: %v", name, err)
		}
		if calls, err := mix(t.Context(), s, 5_000_001); !errors.Is(err, errNone) && (err != nil || calls.N() == 0) {
			t.Errorf("%s: calls beside an upload: %v", name, err)
		}
		s.close()
		stop()
	}
}
