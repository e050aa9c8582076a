package worker

import (
	"errors"
	"net/url"
	"os"
	"runtime/pprof"
)

// profiler writes a profile of the processor, one at a time.
type profiler struct{ file *os.File }

func (p *profiler) start(name string) error {
	if p.file != nil {
		return errors.New("a profile is being made")
	}
	f, err := create(name)
	if err != nil {
		return err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		f.Close()
		return err
	}
	p.file = f
	return nil
}

// stop completes the profile, if one is being made.
func (p *profiler) stop() error {
	if p.file == nil {
		return nil
	}
	pprof.StopCPUProfile()
	err := p.file.Close()
	p.file = nil
	return err
}

func create(escaped string) (*os.File, error) {
	name, err := url.PathUnescape(escaped)
	if err != nil {
		return nil, err
	}
	return os.Create(name)
}

// heap writes a profile of what is allocated, as of the last collection.
func heap(name string) error {
	f, err := create(name)
	if err != nil {
		return err
	}
	return errors.Join(pprof.Lookup("heap").WriteTo(f, 0), f.Close())
}
