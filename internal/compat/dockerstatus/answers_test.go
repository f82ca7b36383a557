package dockerstatus

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"hale/internal/check"
	"hale/internal/monitor"
)

const interval = 30 * time.Second

func TestIsWell(t *testing.T) {
	began := time.Now()
	good := check.Result{At: began, Took: time.Second}
	bad := check.Result{At: began, Took: time.Second, Err: errors.New("no")}
	p := settings{timeout: interval, interval: interval}.policy()
	for _, test := range []struct {
		name  string
		state check.State
		after time.Duration // since the result
		want  bool
	}{
		{"before the first result", check.State{}, 0, false},
		{"good", check.State{}.Next(good, p), 0, true},
		{"bad", check.State{}.Next(bad, p), 0, false},
		{"good, and then bad", check.State{}.Next(good, p).Next(bad, p), 0, false},
		{"bad, and then good", check.State{}.Next(bad, p).Next(good, p), 0, true},
		{"two intervals old", check.State{}.Next(good, p), 2 * interval, true},
		{"older", check.State{}.Next(good, p), 2*interval + 1, false},
	} {
		if got := isWell(test.state, began.Add(time.Second+test.after), interval); got != test.want {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
}

// fake is a target that answers at once, and notes when it was asked.
type fake struct {
	asked []time.Duration // since began
	began time.Time
}

func (f *fake) Check(context.Context) (string, error) {
	f.asked = append(f.asked, time.Since(f.began))
	return "", nil
}

// fakes makes an agent with so many fakes.
func fakes(n int) (*agent, []*fake) {
	a := &agent{settings: settings{timeout: interval, interval: interval}}
	var all []*fake
	for i := range n {
		f := &fake{began: time.Now()}
		all = append(all, f)
		a.checks = append(a.checks, &check.Check{Name: fmt.Sprint("app-", i), Policy: a.policy(), Checker: f})
	}
	return a, all
}

// status asks as a balancer does.
func status(m *monitor.Monitor, a *agent) int {
	return answers(m, len(a.checks), a.interval).Respond(context.Background(), nil).Status()
}

// TestDelayedStart: the apps begin one interval after the other, and until the
// last has a result the answer is 500.
func TestDelayedStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, all := fakes(3)
		a.delayStart = true
		m := monitor.New(monitor.Options{})
		go m.Run(t.Context())
		go a.start(t.Context(), m)
		for range 3 {
			if got := status(m, a); got != 500 {
				t.Errorf("%d before every app has a result, want 500", got)
			}
			time.Sleep(interval)
		}
		synctest.Wait()
		if got := status(m, a); got != 200 {
			t.Errorf("%d when every app has a result, want 200", got)
		}
		for i, f := range all {
			want := time.Duration(i) * interval
			if first := f.asked[0]; first < want || first > want+interval/10 {
				t.Errorf("app %d was asked first after %v, want %v", i, first, want)
			}
		}
	})
}

// TestStart: without a delay all begin at once, and each is asked again after
// an interval.
func TestStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, all := fakes(3)
		m := monitor.New(monitor.Options{})
		if got := status(m, a); got != 500 {
			t.Errorf("%d before the first results, want 500", got)
		}
		go m.Run(t.Context())
		a.start(t.Context(), m)
		time.Sleep(time.Second)
		synctest.Wait()
		if got := status(m, a); got != 200 {
			t.Errorf("%d when every app has a result, want 200", got)
		}
		time.Sleep(10 * interval)
		synctest.Wait()
		for i, f := range all {
			if n := len(f.asked); n < 10 || n > 12 {
				t.Errorf("app %d was asked %d times in 10 intervals", i, n)
			}
		}
	})
}

// TestOldResults: when results stop to come, the answer is 500 after two
// intervals.
func TestOldResults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, _ := fakes(1)
		m := monitor.New(monitor.Options{})
		ctx, cancel := context.WithCancel(t.Context())
		go m.Run(ctx)
		a.start(ctx, m)
		time.Sleep(time.Millisecond) // the first run is due
		cancel()
		time.Sleep(2*interval - time.Millisecond)
		if got := status(m, a); got != 200 {
			t.Errorf("%d after two intervals, want 200", got)
		}
		time.Sleep(time.Millisecond)
		if got := status(m, a); got != 500 {
			t.Errorf("%d after more than two intervals, want 500", got)
		}
	})
}

// TestNoTargets: nothing fails where there is nothing.
func TestNoTargets(t *testing.T) {
	a, _ := fakes(0)
	if got := status(monitor.New(monitor.Options{}), a); got != 200 {
		t.Errorf("%d without targets, want 200", got)
	}
}
