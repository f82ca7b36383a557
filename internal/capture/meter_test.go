package capture

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

func arrivalFrom(addr string) *Arrival {
	return &Arrival{At: time.Now(), From: netip.MustParseAddrPort(addr), Kind: Request, Line: "GET / HTTP/1.1", Protocol: "HTTP/1.1"}
}

// TestIntervals: each node of a balancer asks for itself, so that together they
// ask more often than the interval that was configured.
func TestIntervals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &book{}
		var last *Arrival
		for range 4 {
			for _, node := range []string{"10.0.0.1:1", "10.0.0.2:2", "10.0.0.3:3"} {
				last = arrivalFrom(node)
				b.enter(last)
				time.Sleep(10 * time.Second)
			}
		}
		if last.Pace.Seen != 4 || time.Duration(last.Pace.Every) != 30*time.Second || last.Pace.Senders != 1 {
			t.Errorf("one node: %+v", last.Pace)
		}
		if p := last.Together; p == nil || p.Seen != 12 || time.Duration(p.Every) != 10*time.Second || p.Senders != 3 {
			t.Errorf("together: %+v", p)
		}
		out, _ := json.Marshal(last.Pace)
		if want := `{"seen":4,"every_s":30.000,"least_s":30.000,"most_s":30.000,"senders":1}`; string(out) != want {
			t.Errorf("got %s, want %s", out, want)
		}
	})
}

// TestUneven: one late arrival does not move the median, and is told.
func TestUneven(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &book{}
		for _, wait := range []int{5, 5, 20, 5, 5, 0} {
			a := arrivalFrom("10.0.0.1:1")
			b.enter(a)
			time.Sleep(time.Duration(wait) * time.Second)
			if wait == 0 {
				if got := fmt.Sprint(a.Pace.Every, a.Pace.spread()); got != "5.0 s (5.0 s to 20.0 s)" {
					t.Errorf("got %s", got)
				}
			}
		}
	})
}

// TestDifferentIsNotTheSame: another sender, line or User-Agent is measured
// apart.
func TestDifferentIsNotTheSame(t *testing.T) {
	b := &book{}
	b.enter(arrivalFrom("10.0.0.1:1"))
	for _, change := range []func(*Arrival){
		func(a *Arrival) { a.Line = "GET /x HTTP/1.1" },
		func(a *Arrival) { a.Fields = []Field{{"User-Agent", "x"}} },
		func(a *Arrival) { a.From = netip.MustParseAddrPort("10.0.0.2:1") },
		func(a *Arrival) { a.TLS = &Hello{ServerName: "x"} },
	} {
		a := arrivalFrom("10.0.0.1:1")
		change(a)
		b.enter(a)
		if a.Pace.Seen != 1 {
			t.Errorf("%+v is taken for another", a)
		}
	}
	same := arrivalFrom("10.0.0.1:999")
	b.enter(same)
	if same.Pace.Seen != 2 {
		t.Error("another port of the same sender is measured apart")
	}
}

// TestLike: what looks like an earlier one is said to, whoever sent it.
func TestLike(t *testing.T) {
	b := &book{}
	for i, test := range []struct {
		from, raw string
		want      int
	}{{"10.0.0.1:1", "a", 0}, {"10.0.0.1:2", "a", 1}, {"10.0.0.2:1", "a", 1}, {"10.0.0.1:3", "b", 0}, {"10.0.0.1:3", "b", 4}} {
		a := arrivalFrom(test.from)
		a.Number, a.Raw = i+1, test.raw
		b.enter(a)
		if a.Like != test.want {
			t.Errorf("#%d is like #%d, want #%d", a.Number, a.Like, test.want)
		}
	}
}

// TestMeterIsBounded: the one that was seen longest ago is forgotten.
func TestMeterIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var m meter
		from := netip.MustParseAddr("10.0.0.1")
		for i := range 3 * maxTracked {
			m.seen(fmt.Sprint(i), from, time.Now())
			time.Sleep(time.Millisecond)
		}
		if len(m.tracks) > maxTracked {
			t.Errorf("%d are remembered", len(m.tracks))
		}
		if p := m.seen(fmt.Sprint(3*maxTracked-1), from, time.Now()).pace(); p.Seen != 2 {
			t.Errorf("the last one is forgotten: %+v", p)
		}
	})
}
