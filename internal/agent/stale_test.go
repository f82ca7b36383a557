package agent_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"hale/internal/agent"
	"hale/internal/check"
	"hale/internal/monitor"
	"hale/internal/verdict"
)

// A monitor that has stopped must not be believed: its results go stale, and
// the answer does not depend on any goroutine noticing it.
func TestStaleIsNoticedByTheAnswerItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := monitor.New(monitor.Options{})
		a := agent.New(m, slog.New(slog.DiscardHandler))
		a.Set([]*check.Check{newCheck("db", &steered{})})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			m.Run(ctx)
		}()
		pass(time.Second)
		expect(t, a, "ready", verdict.Pass)
		cancel()
		<-done
		pass(11 * time.Second)
		expect(t, a, "ready", verdict.Pass)
		pass(2 * time.Second)
		expect(t, a, "ready", verdict.Fail)
	})
}

// slowly is a reservation whose text takes half a second: that long it is between
// the end of its run and that the result is there.
type slowly struct{ error }

func (s slowly) Error() string {
	time.Sleep(500 * time.Millisecond)
	return s.error.Error()
}

func (s slowly) Unwrap() error { return s.error }

// Whoever asks between the end of a run and the moment when its result is there
// may find the result before stale. That must not be the answer for good.
func TestStaleIsForgottenWhenAResultIsThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		held := make(chan struct{})
		busy := &steered{}
		c := newCheck("a", checkerFunc(func(context.Context) (string, error) {
			return "", slowly{check.Warnf(check.ReasonSlow, "slow")}
		}))
		c.Policy = check.Policy{Interval: 10 * time.Second, Timeout: 10 * time.Second, Recheck: 10 * time.Second, Fall: 2, Rise: 2}
		other := newCheck("b", checkerFunc(func(context.Context) (string, error) {
			if busy.broken.Load() {
				<-held
			}
			return "", nil
		}), "others")
		other.Policy = check.Policy{Interval: time.Second, Timeout: time.Hour, Recheck: time.Second, Fall: 2, Rise: 2}
		c.Pool, other.Pool = "one", "one"
		m := monitor.New(monitor.Options{Pools: map[string]int{"one": 1}})
		a := agent.New(m, slog.New(slog.DiscardHandler))
		a.Set([]*check.Check{c, other})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			a.Run(ctx)
		}()
		pass(5 * time.Second)
		busy.broken.Store(true) // from its next run on it keeps the only place
		pass(2 * time.Second)
		expect(t, a, "ready", verdict.Degraded)
		stale := m.Views()[0].State.StaleAt(c.Policy)
		pass(time.Until(stale) - 100*time.Millisecond)
		close(held)
		busy.broken.Store(false)
		pass(200 * time.Millisecond)
		expect(t, a, "ready", verdict.Fail) // its run has ended, and the result is not there yet
		pass(time.Second)
		expect(t, a, "ready", verdict.Degraded)
		cancel()
		<-done
	})
}

// Nobody runs when a check goes stale, and the log tells it all the same, once,
// whatever else is wrong.
func TestStaleIsLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log logBuffer
		held := make(chan struct{})
		db := &steered{}
		stuck := newCheck("db", checkerFunc(func(context.Context) (string, error) {
			if db.broken.Load() {
				<-held
			}
			return "", nil
		}))
		stuck.Pool = "one"
		hog := newCheck("hog", checkerFunc(func(ctx context.Context) (string, error) {
			if db.broken.Load() {
				<-held
			}
			return "", nil
		}))
		hog.Pool = "one"
		hog.Policy.Interval, hog.Policy.Timeout = time.Hour, time.Hour
		broken := &steered{}
		broken.broken.Store(true)
		m := monitor.New(monitor.Options{Log: log.logger(), Pools: map[string]int{"one": 1}})
		a := agent.New(m, log.logger())
		a.Set([]*check.Check{stuck})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			a.Run(ctx)
		}()
		pass(time.Second)
		since := m.Views()[0].Since(time.Now())
		db.broken.Store(true)
		a.Set([]*check.Check{stuck, hog, newCheck("other", broken)})
		pass(time.Minute)
		const want = `level=INFO msg="db is down" check=db target=fake://db was=up reason=stale error="stale: last result 13s ago"`
		if got := log.String(); strings.Count(got, want) != 1 {
			t.Errorf("want one line %s in\n%s", want, got)
		}
		view := m.Views()[0]
		if got := view.Since(time.Now()); !got.Equal(view.State.StaleAt(view.Check.Policy)) || !got.After(since) {
			t.Errorf("down since %v, want %v, when it went stale", got, view.State.StaleAt(view.Check.Policy))
		}
		if !view.Waiting || view.Late < 50*time.Second {
			t.Errorf("waiting %t and %v late, want nearly a minute", view.Waiting, view.Late)
		}
		db.broken.Store(false)
		close(held)
		pass(time.Second)
		if got := log.String(); !strings.Contains(got, `msg="db is up" check=db target=fake://db was=down`) {
			t.Errorf("that it is up again is not in\n%s", got)
		}
		cancel()
		<-done
	})
}
