package rmi_test

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/rmigo/rmigo/internal/leak"
	"github.com/rmigo/rmigo/internal/testobj"
	"github.com/rmigo/rmigo/rmi"
)

// juicer is a service whose Recurse calls whatever it knows, passing objects that it makes for that.
type juicer struct {
	*service
	random *rand.Rand
	lock   *sync.Mutex // of random
	known  []testobj.Service
}

func (j *juicer) pick(n int) int {
	j.lock.Lock()
	defer j.lock.Unlock()
	return j.random.IntN(n)
}

func (j *juicer) Recurse(c context.Context, other testobj.Service, depth int) (int, error) {
	if depth == 0 {
		return 0, nil
	}
	next := other
	if j.pick(3) > 0 {
		next = j.known[j.pick(len(j.known))]
	}
	made := &juicer{newService(j.node), j.random, j.lock, j.known}
	branches := 1 + j.pick(8)/7
	sum := 0
	for range branches {
		n, err := next.Recurse(c, made, depth-1)
		if err != nil {
			return 0, err
		}
		sum = n
	}
	return sum + 1, nil
}

// Many goroutines have three processes call each other to random depths, through objects exported on the fly.
func TestTheJuicer(t *testing.T) {
	leak.Check(t)
	w := tcpWorld(t)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random, lock := rand.New(rand.NewPCG(seed, 0)), &sync.Mutex{}
	var nodes []*rmi.Node
	var all []*juicer
	for range 3 {
		n, _ := w.server(rmi.Options{Logger: slog.New(slog.DiscardHandler)})
		nodes = append(nodes, n)
		all = append(all, &juicer{newService(n), random, lock, nil})
	}
	members := make([]testobj.Service, 3) // as each process sees another
	for i := range all {
		for k := range all {
			if k != i {
				all[i].known = append(all[i].known, pass(t, nodes[k], nodes[i], all[k]))
			}
		}
		members[i] = all[i].known[0]
	}
	start, calls := time.Now(), 0
	last := max(*lastFor, 2*time.Second)
	for time.Since(start) < last {
		var round sync.WaitGroup
		for g := range 24 {
			depth := all[0].pick(12)
			calls++
			round.Go(func() {
				c, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				got, err := members[g%3].Recurse(c, all[g%3], depth)
				if err != nil || got != depth {
					t.Errorf("to depth %d: %d, %v", depth, got, err)
				}
			})
		}
		round.Wait()
		if t.Failed() {
			return
		}
	}
	t.Logf("%d programs of calls", calls)
	for _, n := range nodes { // nothing is left but what each has passed to the others, who keep it
		kept := func() bool {
			runtime.GC()
			s := n.Stats()
			return s.Exports == 1 && s.Held == 1 && s.Holding == 2 && s.Pins+s.Owed+s.Queued == 0
		}
		eventually(t, time.Minute, kept, func() string { return fmt.Sprintf("%+v", n.Stats()) })
	}
	runtime.KeepAlive(all)
}
