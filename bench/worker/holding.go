package worker

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/metrics"
	"time"

	"github.com/rmigo/rmigo/bench/peer"
)

// Collection is what a garbage collection leaves, and takes.
type Collection struct {
	Live int64         `json:"live"` // bytes in use on the heap
	Took time.Duration `json:"took"` // the collection, from start to end; what runs beside it goes on
}

// collect collects garbage until cleanups find no more to do, and measures the last time.
func collect() Collection {
	for range 3 {
		runtime.GC()
	}
	began := time.Now()
	runtime.GC()
	c := Collection{Took: time.Since(began)}
	live := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(live)
	c.Live = int64(live[0].Value.Uint64())
	return c
}

// hold has the client hold n objects, the service included.
func (c *client) hold(n int) error {
	if c.peer != peer.Peer(peer.Rmigo{}) {
		return peer.ErrNone
	}
	ctx, cancel := context.WithTimeout(context.Background(), grace+time.Duration(n)*50*time.Microsecond)
	defer cancel()
	if c.holding == nil {
		h, err := peer.Rmigo{}.Hold(ctx, c.addr)
		if err != nil {
			return err
		}
		c.holding = h
	}
	if err := c.holding.Add(ctx, n-c.holding.Held()); err != nil {
		return err
	}
	if held := c.holding.Held(); held != n {
		return fmt.Errorf("%d objects are held, want %d", held, n)
	}
	return nil
}

// traffic returns how many bytes pass in d.
func (c *client) traffic(d time.Duration) (Answer, error) {
	if c.holding == nil {
		return Answer{}, errors.New("nothing is held")
	}
	before := c.holding.Bytes()
	time.Sleep(d)
	return Answer{Bytes: c.holding.Bytes() - before}, nil
}
