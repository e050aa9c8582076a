package model

import (
	"testing"
	"time"
)

func TestTry(t *testing.T) {
	for _, m := range []Model{
		{Objects: 1, Bounds: Bounds{Send: 1}},
		{Objects: 1, Bounds: Bounds{Send: 2}},
		{Objects: 2, Bounds: Bounds{Send: 2}},
		{Objects: 2, Owner: [2]proc{O, A}, Bounds: Bounds{Send: 2}},
		{Objects: 1, Bounds: Bounds{Send: 2, Lose: 1}},
		{Objects: 1, Bounds: Bounds{Send: 2, Crash: 1}},
		{Objects: 1, Bounds: Bounds{Send: 2, Expire: 1}},
		{Objects: 1, Bounds: Bounds{Send: 2, Unexport: 1}},
		{Objects: 1, Bounds: Bounds{Send: 1, Expire: 2}},
		{Objects: 1, Bounds: Bounds{Send: 1, Expire: 1, Lose: 1}},
		{Objects: 1, Bounds: Bounds{Send: 1, Expire: 1, Crash: 1}},
	} {
		at := time.Now()
		r := m.Explore(2, 10e6)
		t.Logf("%+v: %v %v", m.Bounds, r, time.Since(at))
		if r.Violation != "" {
			t.Fail()
		}
	}
}
