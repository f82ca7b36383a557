package server

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// TestRosterEvictsTheLongestWaiting compares it with the simplest way to find
// that one, for random sequences of what happens to connections.
func TestRosterEvictsTheLongestWaiting(t *testing.T) {
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 0))
		var clock time.Duration
		r := roster{limit: 8, now: func() time.Duration { return clock }}
		var live []*conn
		for range 500 {
			clock++
			var some *conn
			if len(live) > 0 {
				some = live[random.IntN(len(live))]
			}
			switch random.IntN(4) {
			case 0: // a request is answered, or one comes whose answer takes long
				if some != nil {
					if !some.place.begin() {
						t.Fatalf("seed %d: a living connection was evicted", seed)
					}
					if random.IntN(2) == 0 {
						some.place.done(clock)
					}
				}
			case 1: // its answer is there
				if some != nil && some.place.since.Load() == busy {
					some.place.done(clock)
				}
			case 2:
				if some != nil && random.IntN(4) == 0 {
					r.remove(some)
					live = slices.DeleteFunc(live, func(c *conn) bool { return c == some })
				}
			case 3:
				want := longestWaiting(live)
				if len(live) < r.limit {
					want = nil
				}
				full := len(live) == r.limit && want == nil
				c := &conn{}
				got, ok := r.admit(c)
				if got != want || ok == full {
					t.Fatalf("seed %d: got %p and %v, want %p and %v", seed, got, ok, want, !full)
				}
				if got != nil {
					if got.place.begin() {
						t.Fatalf("seed %d: an evicted connection goes on", seed)
					}
					r.remove(got) // as it does at its end
					live = slices.DeleteFunc(live, func(c *conn) bool { return c == got })
				}
				if ok {
					live = append(live, c)
				}
			}
			if len(r.conns) != len(live) {
				t.Fatalf("seed %d: it holds %d connections, want %d", seed, len(r.conns), len(live))
			}
		}
	}
}

func longestWaiting(conns []*conn) (longest *conn) {
	for _, c := range conns {
		if since := c.place.since.Load(); since >= 0 && (longest == nil || since < longest.place.since.Load()) {
			longest = c
		}
	}
	return longest
}

func TestRosterMakesRoom(t *testing.T) {
	var clock time.Duration
	r := roster{limit: 100, now: func() time.Duration { clock++; return clock }}
	var conns []*conn
	for range 10 {
		c := &conn{}
		r.admit(c)
		conns = append(conns, c)
	}
	conns[1].place.begin()
	if got, want := r.makeRoom(3), []*conn{conns[0], conns[2], conns[3]}; !slices.Equal(got, want) {
		t.Errorf("got %v, want the three that wait longest, and not the busy one", got)
	}
	if got := len(r.makeRoom(100)); got != 3 {
		t.Errorf("got %d, want half of 7", got)
	}
}
