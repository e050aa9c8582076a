// Command streams measures streams beside those of grpc-go, and beside bare TCP, with a server that is a process of its own: items per second of
// an endless stream of small items, a large upload, and small calls beside one.
//
//	go -C bench run ./streams
//
// Rounds of all peers take turns; told are the median and the range of each, and the ratio of the medians.
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rmigo/rmigo/bench/hist"
)

func main() {
	serve := flag.String("serve", "", "be the server of a peer, until the standard input ends")
	rounds := flag.Int("rounds", 5, "measurements of each peer")
	lasts := flag.Duration("for", 2*time.Second, "how long items are taken")
	size := flag.Int64("size", 1<<30, "bytes of an upload")
	flag.Parse()
	var err error
	if *serve != "" {
		err = beServer(*serve)
	} else {
		err = compare(context.Background(), os.Stdout, *rounds, *lasts, *size)
	}
	if err != nil {
		log.Fatal(err)
	}
}

// A peer is a runtime with streams.
type peer interface {
	serve() (addr string, stop func(), err error)
	dial(ctx context.Context, addr string) (session, error)
}

type session interface {
	// items takes items until more says that they are enough. errNone: there are none.
	items(ctx context.Context, more func() bool) error
	// upload sends all that r has, and returns how much has come.
	upload(ctx context.Context, r io.Reader) (int64, error)
	// small is a small call. errNone: there are none.
	small(ctx context.Context) error
	close()
}

var (
	errNone   = errors.New("bare TCP has none of that")
	errAnswer = errors.New("an answer is not what it should be")
)

func peers() ([]string, map[string]peer) {
	return []string{"rmigo", "grpc", "raw"}, map[string]peer{"rmigo": rmigo{}, "grpc": grpcGo{}, "raw": raw{}}
}

// beServer says where it serves, and does until nobody wants it any more.
func beServer(name string) error {
	_, all := peers()
	addr, stop, err := all[name].serve()
	if err != nil {
		return err
	}
	defer stop()
	fmt.Println(addr)
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// server starts a process that serves. It ends with stop.
func server(name string) (addr string, stop func(), err error) {
	self, err := os.Executable()
	if err != nil {
		return "", nil, err
	}
	cmd := exec.Command(self, "-serve", name)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return "", nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return "", nil, err
	}
	if err := cmd.Start(); err != nil {
		return "", nil, err
	}
	stop = func() {
		in.Close()
		cmd.Wait()
	}
	addr, err = bufio.NewReader(out).ReadString('\n')
	if err != nil {
		stop()
		return "", nil, fmt.Errorf("the server of %s said nothing: %w", name, err)
	}
	return strings.TrimSpace(addr), stop, nil
}

// compare measures in turns, and writes tables.
func compare(ctx context.Context, w io.Writer, rounds int, lasts time.Duration, size int64) error {
	names, all := peers()
	seen := map[string]map[string][]float64{}
	for range rounds {
		for _, name := range names {
			err := visit(ctx, name, all[name], lasts, size, func(row string, value float64) {
				if seen[row] == nil {
					seen[row] = map[string][]float64{}
				}
				seen[row][name] = append(seen[row][name], value)
			})
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	fmt.Fprintln(w, "| | peer | median | least | most | ours beside it |\n|---|---|---:|---:|---:|---:|")
	for _, row := range []string{itemsRow, uploadRow, p50Row, p99Row} {
		for _, name := range names {
			if r := seen[row][name]; len(r) > 0 {
				fmt.Fprintf(w, "| %s | %s | %.4g | %.4g | %.4g | %.2f |\n", row, name, median(r), slices.Min(r), slices.Max(r), median(seen[row]["rmigo"])/median(r))
			}
		}
	}
	return nil
}

const (
	itemsRow  = "small items a second"
	uploadRow = "upload, MiB/s"
	p50Row    = "small calls beside an upload, p50 in µs"
	p99Row    = "small calls beside an upload, p99 in µs"
)

func median(all []float64) float64 {
	sorted := slices.Sorted(slices.Values(all))
	return sorted[len(sorted)/2]
}

// visit makes each measurement of a peer once, with a server of its own.
func visit(ctx context.Context, name string, p peer, lasts time.Duration, size int64, tell func(row string, value float64)) error {
	addr, stop, err := server(name)
	if err != nil {
		return err
	}
	defer stop()
	s, err := p.dial(ctx, addr)
	if err != nil {
		return err
	}
	defer s.close()
	if rate, err := takeItems(ctx, s, lasts); err == nil {
		tell(itemsRow, rate)
	} else if !errors.Is(err, errNone) {
		return err
	}
	if _, err := send(ctx, s, size/16); err != nil { // so that it is warm
		return err
	}
	took, err := send(ctx, s, size)
	if err != nil {
		return err
	}
	tell(uploadRow, float64(size>>20)/took.Seconds())
	calls, err := mix(ctx, s, size)
	if err == nil {
		tell(p50Row, float64(calls.Quantile(0.5))/1e3)
		tell(p99Row, float64(calls.Quantile(0.99))/1e3)
	} else if !errors.Is(err, errNone) {
		return err
	}
	return nil
}

// takeItems returns how many items come in a second, once as many came as make it warm.
func takeItems(ctx context.Context, s session, lasts time.Duration) (float64, error) {
	const warm, look = 10_000, 64 // items before it counts, and between looks at the clock
	var n int
	var began, ended time.Time
	err := s.items(ctx, func() bool {
		n++
		switch {
		case n == warm:
			began = time.Now()
		case n > warm && n%look == 0:
			if ended = time.Now(); ended.Sub(began) >= lasts {
				return false
			}
		}
		return true
	})
	return float64(n-warm) / ended.Sub(began).Seconds(), err
}

// zeros gives zeros, as fast as they are taken.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

func send(ctx context.Context, s session, size int64) (time.Duration, error) {
	began := time.Now()
	n, err := s.upload(ctx, io.LimitReader(zeros{}, size))
	if err == nil && n != size {
		err = errAnswer
	}
	return time.Since(began), err
}

// mix makes small calls for as long as an upload lasts.
func mix(ctx context.Context, s session, size int64) (*hist.Hist, error) {
	if err := s.small(ctx); err != nil {
		return nil, err
	}
	const callers = 4
	over := make(chan struct{})
	var uploaded error
	go func() { // ends with the upload
		defer close(over)
		_, uploaded = send(ctx, s, size)
	}()
	var all [callers]hist.Hist
	var failed [callers]error
	var calling sync.WaitGroup
	for i := range callers {
		calling.Go(func() {
			for failed[i] == nil {
				select {
				case <-over:
					return
				default:
				}
				began := time.Now()
				failed[i] = s.small(ctx)
				all[i].Record(time.Since(began))
			}
		})
	}
	calling.Wait()
	<-over
	for i := range all[1:] {
		all[0].Add(&all[i+1])
	}
	return &all[0], errors.Join(append(failed[:], uploaded)...)
}
