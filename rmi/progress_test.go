package rmi_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/rmigo/rmigo/internal/testobj"
	"github.com/rmigo/rmigo/rmi"
)

func TestProgressIsToldOfLargeMessagesAsTheyGo(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		_, _, remote, _ := w.served()
		for _, size := range []int{0, 1000, 8 << 20} {
			var told []rmi.Progress
			c := rmi.OnProgress(ctx(t), func(p rmi.Progress) { told = append(told, p) })
			c = rmi.WithMetadata(c, rmi.Metadata{"size": "some"}) // contexts of it do, too
			sent := text(size)
			got, err := remote.Bytes(c, sent)
			if err != nil || !bytes.Equal(got, sent) {
				t.Fatalf("%d bytes came back as %d, %v", size, len(got), err)
			}
			args, results := halves(told)
			for _, half := range [][]rmi.Progress{args, results} {
				if len(half) == 0 {
					t.Fatalf("of %d bytes only this is told: %v", size, told)
				}
				last := half[len(half)-1]
				if last.Done != last.Total || last.Total < int64(size) || last.Total > int64(size)+100 || last.Method != "testobj.Service.Bytes" {
					t.Errorf("of %d bytes the last is %+v", size, last)
				}
				if !slices.IsSortedFunc(half, func(a, b rmi.Progress) int { return int(a.Done - b.Done) }) {
					t.Errorf("of %d bytes it goes back: %v", size, half)
				}
				if size > 1<<20 && len(half) < 3 {
					t.Errorf("of %d bytes it is told only %v", size, half)
				}
			}
		}
	})
}

func halves(told []rmi.Progress) (args, results []rmi.Progress) {
	for _, p := range told {
		if p.Results {
			results = append(results, p)
			continue
		}
		args = append(args, p)
	}
	return args, results
}

func TestProgressIsToldOfCallsAtHome(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		impl := &service{}
		server, _ := w.server(rmi.Options{AlwaysMarshal: true})
		ref, err := rmi.Export(server, testobj.RemoteService.Of(impl))
		if err != nil {
			t.Fatal(err)
		}
		own := resolved(t, server, testobj.RemoteService, ref)
		last := map[bool]rmi.Progress{}
		c := rmi.OnProgress(ctx(t), func(p rmi.Progress) { last[p.Results] = p })
		if _, err := own.Bytes(c, text(1<<20)); err != nil {
			t.Fatal(err)
		}
		for _, results := range []bool{false, true} {
			if p := last[results]; p.Done != p.Total || p.Total < 1<<20 {
				t.Errorf("of a call at home the last is %+v", p)
			}
		}
	})
}

func TestAPanicOfWhoIsToldGivesTheCallUp(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		_, _, remote, _ := w.served()
		func() {
			defer func() {
				if got := recover(); got != "enough" {
					t.Errorf("recovered %v", got)
				}
			}()
			remote.Bytes(rmi.OnProgress(ctx(t), func(rmi.Progress) { panic("enough") }), text(8<<20))
			t.Error("the call has returned")
		}()
		c, cancel := context.WithCancel(ctx(t))
		_, err := remote.Bytes(rmi.OnProgress(c, func(rmi.Progress) { cancel() }), text(8<<20))
		if err != nil && !errors.Is(err, context.Canceled) { // it may have been there already
			t.Error(err)
		}
		if _, err := remote.Bytes(ctx(t), text(10)); err != nil {
			t.Errorf("a call after that: %v", err)
		}
	})
}

func TestProgressIsToldOfAsynchronousCalls(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		_, _, remote, _ := w.drawn(rmi.Options{}, rmi.Options{})
		told := make(chan rmi.Progress, 10)
		view := testobj.AsyncDrawerOf(remote)
		if _, err := view.Open(rmi.OnProgress(ctx(t), func(p rmi.Progress) { told <- p }), "error").Wait(ctx(t)); !errors.Is(err, testobj.ErrEmpty) {
			t.Fatal(err)
		}
		for range 2 {
			p := <-told
			if p.Done != p.Total || p.Total == 0 {
				t.Errorf("told is %+v", p)
			}
		}
	})
}
