package monitor_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"hale/internal/check"
	"hale/internal/monitor"
)

func TestRunsAtItsInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		m := monitor.New(monitor.Options{})
		defer start(t, m, newCheck("a", f))()
		pass(60 * time.Second)
		starts := f.starts()
		if len(starts) < 12 || len(starts) > 14 {
			t.Fatalf("%d runs in a minute at an interval of 5s", len(starts))
		}
		for i := 2; i < len(starts); i++ {
			if gap := starts[i].Sub(starts[i-1]); gap != 5*time.Second {
				t.Errorf("run %d came %v after the one before, want 5s", i, gap)
			}
		}
	})
}

func TestFirstRunsComeAtOnceButSpread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 1000
		m := monitor.New(monitor.Options{})
		var fakes []*fake
		var checks []*check.Check
		for i := range n {
			f := &fake{}
			fakes = append(fakes, f)
			checks = append(checks, newCheck(fmt.Sprintf("web-%d", i), f))
		}
		begin := time.Now()
		defer start(t, m, checks...)()
		pass(600 * time.Millisecond)
		perBucket := map[time.Duration]int{}
		for i, f := range fakes {
			starts := f.starts()
			if len(starts) == 0 {
				t.Fatalf("check %d has not run within 600ms", i)
			}
			perBucket[starts[0].Sub(begin)/(10*time.Millisecond)]++
		}
		for bucket, count := range perBucket {
			if count > 60 { // 20 on average
				t.Errorf("%d first runs within 10ms at %v: a burst", count, bucket*10*time.Millisecond)
			}
		}
		for c, s := range m.All() {
			if s.Status != check.Up {
				t.Fatalf("%s is %v", c.Name, s.Status)
			}
		}
	})
}

// A gap longer than an interval would delay the discovery of a fault, one that
// is much shorter would be a double run.
func TestSecondRunComesWithinAnInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := monitor.New(monitor.Options{})
		var fakes []*fake
		var checks []*check.Check
		for i := range 500 {
			f := &fake{}
			fakes = append(fakes, f)
			checks = append(checks, newCheck(fmt.Sprintf("check-%d", i), f))
		}
		defer start(t, m, checks...)()
		pass(12 * time.Second)
		for i, f := range fakes {
			starts := f.starts()
			if gap := starts[1].Sub(starts[0]); gap < 500*time.Millisecond || gap > 5500*time.Millisecond {
				t.Errorf("check %d: the second run came %v after the first, want 0.5s to 5.5s", i, gap)
			}
		}
	})
}

func TestPhaseIsStable(t *testing.T) {
	phase := func() time.Duration {
		var got time.Duration
		synctest.Test(t, func(t *testing.T) {
			f := &fake{}
			begin := time.Now()
			m := monitor.New(monitor.Options{})
			defer start(t, m, newCheck("some-check", f))()
			pass(20 * time.Second)
			got = f.starts()[2].Sub(begin) % (5 * time.Second)
		})
		return got
	}
	if a, b := phase(), phase(); a != b {
		t.Errorf("phases %v and %v of the same name differ", a, b)
	}
}

func TestNeverTwoRunsAtOnceAndOverdueRunsAreSkipped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{takes: 12 * time.Second, deaf: true}
		seen := &tally{}
		m := monitor.New(monitor.Options{Observer: seen})
		defer start(t, m, newCheck("stuck", f))()
		pass(60 * time.Second)
		if f.overlap.Load() {
			t.Error("two runs of the check went on at once")
		}
		if seen.skipped.Load() == 0 || m.Views()[0].Skipped != uint64(seen.skipped.Load()) {
			t.Errorf("skipped: observed %d, in the view %d, want the same and more than none", seen.skipped.Load(), m.Views()[0].Skipped)
		}
		if runs := f.runs.Load(); runs > 6 {
			t.Errorf("%d runs of 12s each within 60s: overdue runs were queued", runs)
		}
	})
}

// With a timeout as long as the interval a run is due when the one before is
// about to end. It must not be skipped: a target that hangs would be tried half as
// often, and what is believed of it would go stale in between.
func TestTimeoutAsLongAsTheInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{takes: time.Hour}
		seen := &tally{}
		m := monitor.New(monitor.Options{Observer: seen})
		c := newCheck("hangs", f)
		c.Policy.Interval, c.Policy.Timeout, c.Policy.Recheck = time.Second, time.Second, time.Second
		defer start(t, m, c)()
		pass(3 * time.Second)
		since := m.Views()[0].Since(time.Now())
		pass(time.Minute)
		if runs := f.runs.Load(); runs < 60 {
			t.Errorf("%d runs in 63s, want one a second", runs)
		}
		if f.overlap.Load() || seen.skipped.Load() > 0 {
			t.Errorf("overlapping %t, %d skipped", f.overlap.Load(), seen.skipped.Load())
		}
		if view := m.Views()[0]; !view.Since(time.Now()).Equal(since) || view.State.Streak < 60 {
			t.Errorf("down since %v with a streak of %d, want %v and 60 or more", view.Since(time.Now()), view.State.Streak, since)
		}
	})
}

func TestStuckRunIsATimeoutAndDelaysNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stuck, other := &fake{takes: 24 * time.Hour, deaf: true}, &fake{}
		m := monitor.New(monitor.Options{})
		begin := time.Now()
		ctx, cancel := context.WithCancel(t.Context())
		m.Set([]*check.Check{newCheck("stuck", stuck), newCheck("other", other)})
		go m.Run(ctx)
		pass(20 * time.Second)
		s := stateOf(t, m, "stuck")
		if s.Status != check.Down || s.Last.Reason() != check.ReasonTimeout {
			t.Errorf("a check that never returns is %v for %q, want down for timeout", s.Status, s.Last.Reason())
		}
		if since := s.Since.Sub(begin); since > 4*time.Second {
			t.Errorf("it took %v to notice", since)
		}
		if s.Stale(time.Now(), check.DefaultPolicy()) {
			t.Error("its state went stale although it is known to be stuck")
		}
		if n := other.runs.Load(); n < 4 {
			t.Errorf("the other check ran %d times in 20s", n)
		}
		if n := stuck.runs.Load(); n != 1 {
			t.Errorf("%d runs of the stuck check were started", n)
		}
		cancel()
		pass(48 * time.Hour) // lets the stuck run end, so that the bubble can
	})
}
