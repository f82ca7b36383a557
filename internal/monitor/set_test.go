package monitor_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"hale/internal/check"
	"hale/internal/monitor"
)

func TestSetKeepsTheStateOfWhatDidNotChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kept, changed, gone := &fake{}, &fake{}, &fake{}
		m := monitor.New(monitor.Options{})
		defer start(t, m, newCheck("kept", kept), newCheck("changed", changed), newCheck("gone", gone))()
		pass(6 * time.Second)
		before := stateOf(t, m, "kept")

		notUsed, fresh := &fake{}, &fake{}
		same := newCheck("kept", notUsed) // the same ID, another policy
		same.Policy.Interval = 10 * time.Second
		other := newCheck("changed", fresh)
		other.ID = "another"
		m.Set([]*check.Check{same, other})
		if s := stateOf(t, m, "kept"); s != before {
			t.Errorf("the state changed to %+v", s)
		}
		if s := stateOf(t, m, "changed"); s.Status != check.Unknown {
			t.Errorf("a check that verifies something else now is %v, want unknown", s.Status)
		}
		runs := gone.runs.Load()
		pass(60 * time.Second)
		if gone.runs.Load() != runs {
			t.Error("a check that was taken away went on running")
		}
		if notUsed.runs.Load() != 0 {
			t.Error("the checker of an unchanged check was replaced")
		}
		if n := fresh.runs.Load(); n < 12 {
			t.Errorf("the changed check ran %d times in a minute", n)
		}
		starts := kept.starts()
		if gap := starts[len(starts)-1].Sub(starts[len(starts)-2]); gap != 10*time.Second {
			t.Errorf("the new interval is not in force: the last gap is %v", gap)
		}
	})
}

func TestResultOfARemovedCheckIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := &fake{takes: 2 * time.Second}
		slow.fail(errors.New("too late"))
		m := monitor.New(monitor.Options{})
		defer start(t, m, newCheck("a", slow))()
		pass(time.Second)
		fresh := newCheck("a", &fake{})
		fresh.ID = "another"
		m.Set([]*check.Check{fresh})
		pass(3 * time.Second)
		if s := stateOf(t, m, "a"); s.Status != check.Up {
			t.Errorf("the result of the check that was replaced counted: %v", s.Status)
		}
	})
}

// A check that succeeds one that was up is up until it has a result; one that
// succeeds a failing check has nothing to lose, and its first result decides.
func TestSetKeepsThatASucceededCheckWasUp(t *testing.T) {
	for _, up := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			m := monitor.New(monitor.Options{})
			f := &fake{}
			if fault := errors.New("no luck"); !up {
				f.err.Store(&fault)
			}
			old := newCheck("a", f)
			old.ID = "before"
			m.Set([]*check.Check{old})
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan struct{})
			go func() { m.Run(ctx); close(ended) }()
			time.Sleep(time.Second)
			next := newCheck("a", &fake{takes: 2 * time.Second})
			next.ID, next.Succeeds = "after", "before"
			m.Set([]*check.Check{next})
			want := check.Unknown
			if up {
				want = check.Up
			}
			for _, s := range m.All() {
				if s.Status != want {
					t.Errorf("up before: %v: got %v, want %v", up, s.Status, want)
				}
			}
			time.Sleep(3 * time.Second)
			for _, s := range m.All() {
				if s.Status != check.Up {
					t.Errorf("after its first result it is %v", s.Status)
				}
			}
			cancel()
			<-ended
		})
	}
}

// A check that is renamed is the same one: what is believed of it stays.
func TestSetKeepsTheStateOfARenamedCheck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := monitor.New(monitor.Options{})
		old := newCheck("old", &fake{})
		m.Set([]*check.Check{old})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { m.Run(ctx); close(ended) }()
		time.Sleep(time.Second)
		renamed := *old
		renamed.Name = "new"
		other := newCheck("old", &fake{takes: time.Hour})
		other.ID = "other"
		m.Set([]*check.Check{&renamed, other})
		for c, s := range m.All() {
			if want := c.Name == "new"; (s.Status == check.Up) != want || s.WasUp != want {
				t.Errorf("%s is %v, was up %v", c.Name, s.Status, s.WasUp)
			}
		}
		cancel()
		<-ended
	})
}
