package monitor_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"hale/internal/check"
	"hale/internal/monitor"
)

// fake is a checker whose answers a test steers.
type fake struct {
	takes   time.Duration // how long a run lasts; it honours its context
	deaf    bool          // it does not honour its context
	err     atomic.Pointer[error]
	panics  atomic.Bool
	runs    atomic.Int64
	at      []time.Time // when runs started
	mu      sync.Mutex
	running atomic.Int64
	overlap atomic.Bool
}

func (f *fake) Check(ctx context.Context) (string, error) {
	if f.running.Add(1) > 1 {
		f.overlap.Store(true)
	}
	defer f.running.Add(-1)
	f.mu.Lock()
	f.at = append(f.at, time.Now())
	f.mu.Unlock()
	f.runs.Add(1)
	if f.panics.Load() {
		panic("fake panic")
	}
	if f.takes > 0 {
		done := ctx.Done()
		if f.deaf {
			done = nil
		}
		select {
		case <-time.After(f.takes):
		case <-done:
			return "", ctx.Err()
		}
	}
	if err := f.err.Load(); err != nil {
		return "", *err
	}
	return "fine", nil
}

func (f *fake) fail(err error) { f.err.Store(&err) }
func (f *fake) heal()          { f.err.Store(nil) }

func (f *fake) starts() []time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.at)
}

func newCheck(name string, c check.Checker) *check.Check {
	return &check.Check{
		Name: name, Kind: "fake", Target: "fake://" + name, ID: name,
		Policy: check.DefaultPolicy(), Impact: check.ImpactFail, Groups: []string{check.GroupReady}, Checker: c,
	}
}

// watcher is a fake that is told when to call changed.
type watcher struct {
	fake
	changed chan struct{}
	err     error
	watches atomic.Int64
}

func (w *watcher) Watch(ctx context.Context, changed func()) error {
	w.watches.Add(1)
	if w.err != nil {
		return w.err
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-w.changed:
			changed()
		}
	}
}

// tally is an observer that counts.
type tally struct {
	ran, skipped atomic.Int64
	late         atomic.Int64 // the greatest, in nanoseconds
}

func (t *tally) Ran(_ *check.Check, _ check.Result, late time.Duration) {
	t.ran.Add(1)
	for {
		old := t.late.Load()
		if int64(late) <= old || t.late.CompareAndSwap(old, int64(late)) {
			return
		}
	}
}

func (t *tally) Skipped(*check.Check) { t.skipped.Add(1) }

// start runs a monitor with the checks in the test's bubble and returns a
// function that stops it and waits for it.
func start(t *testing.T, m *monitor.Monitor, checks ...*check.Check) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	m.Set(checks)
	go func() {
		defer close(done)
		m.Run(ctx)
	}()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		<-done
	}
	t.Cleanup(stop)
	return stop
}

func stateOf(t *testing.T, m *monitor.Monitor, name string) check.State {
	t.Helper()
	for c, s := range m.All() {
		if c.Name == name {
			return s
		}
	}
	t.Fatalf("no check %q", name)
	return check.State{}
}

func pass(d time.Duration) {
	time.Sleep(d) // virtual, in a bubble
	synctest.Wait()
}

func TestFaultIsConfirmedByRecheck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		m := monitor.New(monitor.Options{})
		defer start(t, m, newCheck("db", f))()
		pass(10 * time.Second)
		version := m.Version()
		f.fail(check.Failf(check.ReasonRefused, "refused"))
		broken := time.Now()
		for stateOf(t, m, "db").Status == check.Up {
			pass(10 * time.Millisecond)
			if time.Since(broken) > 6100*time.Millisecond {
				t.Fatalf("still up %v after the fault; one interval and one recheck are 6s", time.Since(broken))
			}
		}
		if m.Version() == version {
			t.Error("the version did not change with the status")
		}
		f.heal()
		healed := time.Now()
		for stateOf(t, m, "db").Status == check.Down {
			pass(10 * time.Millisecond)
			if time.Since(healed) > 6100*time.Millisecond {
				t.Fatalf("still down %v after the recovery", time.Since(healed))
			}
		}
	})
}

func TestBlipIsForgiven(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		m := monitor.New(monitor.Options{})
		defer start(t, m, newCheck("db", f))()
		pass(7 * time.Second)
		runs := f.runs.Load()
		f.fail(errors.New("blip"))
		for f.runs.Load() == runs {
			pass(time.Millisecond)
		}
		f.heal()
		for range 2000 {
			pass(10 * time.Millisecond)
			if s := stateOf(t, m, "db"); s.Status != check.Up {
				t.Fatalf("a single failure made it %v", s.Status)
			}
		}
	})
}

func TestTimeoutHasACause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{takes: time.Minute}
		m := monitor.New(monitor.Options{})
		defer start(t, m, newCheck("slow", f))()
		pass(4 * time.Second)
		s := stateOf(t, m, "slow")
		want := "no answer within 3s: context deadline exceeded"
		if s.Status != check.Down || s.Last.Text() != want || s.Last.Took != 3*time.Second {
			t.Errorf("got %v %q after %v, want down %q after 3s", s.Status, s.Last.Text(), s.Last.Took, want)
		}
	})
}

func TestPanicIsAFailureWithItsStackInTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		f.panics.Store(true)
		var log safeBuffer
		m := monitor.New(monitor.Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
		defer start(t, m, newCheck("broken", f))()
		pass(time.Second)
		if s := stateOf(t, m, "broken"); s.Status != check.Down || s.Last.Reason() != check.ReasonPanic {
			t.Errorf("got %v for %q, want down for panic", s.Status, s.Last.Reason())
		}
		if got := log.String(); !strings.Contains(got, "fake panic") || !strings.Contains(got, "monitor_test.go") {
			t.Errorf("the log lacks the panic or its stack:\n%s", got)
		}
	})
}

type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func TestPoolIsBoundedAndDelaysNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var active, most atomic.Int64
		seen := &tally{}
		m := monitor.New(monitor.Options{Observer: seen, Pools: map[string]int{"exec": 4}})
		var checks []*check.Check
		for i := range 20 {
			c := newCheck(fmt.Sprintf("script-%d", i), checkerFunc(func(ctx context.Context) (string, error) {
				n := active.Add(1)
				defer active.Add(-1)
				for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
				}
				<-ctx.Done()
				return "", ctx.Err()
			}))
			c.Pool = "exec"
			checks = append(checks, c)
		}
		other := &fake{}
		checks = append(checks, newCheck("other", other))
		defer start(t, m, checks...)()
		pass(2 * time.Second)
		waiting := 0
		for _, v := range m.Views() {
			if v.Waiting {
				waiting++
			}
		}
		if waiting != 16 {
			t.Errorf("%d runs wait for a place, want 16", waiting)
		}
		pass(30 * time.Second)
		if most.Load() != 4 {
			t.Errorf("%d runs of the pool at once, want 4", most.Load())
		}
		if n := other.runs.Load(); n < 6 {
			t.Errorf("the check outside the pool ran %d times in 32s", n)
		}
		if late := time.Duration(seen.late.Load()); late < 3*time.Second {
			t.Errorf("the greatest lateness is %v; waiting for a place must show as lateness", late)
		}
	})
}

type checkerFunc func(context.Context) (string, error)

func (f checkerFunc) Check(ctx context.Context) (string, error) { return f(ctx) }

func TestClosingWaitsForWhatIsInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ended atomic.Bool
		m := monitor.New(monitor.Options{})
		stop := start(t, m, newCheck("a", checkerFunc(func(ctx context.Context) (string, error) {
			<-ctx.Done()
			time.Sleep(100 * time.Millisecond) // virtual: closing takes a moment
			ended.Store(true)
			return "", ctx.Err()
		})))
		pass(time.Second)
		stop()
		if !ended.Load() {
			t.Error("Run returned before the run in flight had ended")
		}
		if s := stateOf(t, m, "a"); s.Status != check.Unknown {
			t.Errorf("a run given up at closing counted: %v", s.Status)
		}
	})
}

func TestWatcherTriggersARunAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &watcher{changed: make(chan struct{})}
		m := monitor.New(monitor.Options{})
		defer start(t, m, newCheck("file", w))()
		pass(11 * time.Second)
		runs := w.runs.Load()
		w.changed <- struct{}{}
		pass(time.Millisecond)
		if got := w.runs.Load(); got != runs+1 {
			t.Errorf("%d runs at the change, want one", got-runs)
		}
		// However often it calls, runs keep a distance.
		runs = w.runs.Load()
		for range 1000 {
			w.changed <- struct{}{}
			pass(time.Millisecond)
		}
		if got := w.runs.Load() - runs; got < 15 || got > 21 {
			t.Errorf("%d runs in a second of continuous change, want about 20", got)
		}
	})
}

func TestWatcherThatFailsIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &watcher{err: errors.New("no inotify left")}
		m := monitor.New(monitor.Options{})
		defer start(t, m, newCheck("file", w))()
		pass(60 * time.Second)
		if n := w.watches.Load(); n < 10 || n > 14 {
			t.Errorf("Watch was tried %d times in a minute, want once an interval", n)
		}
		if n := w.runs.Load(); n < 12 {
			t.Errorf("the check ran %d times in a minute without its watcher", n)
		}
	})
}

func TestStatesAreReadWithoutBlocking(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := monitor.New(monitor.Options{})
		inside, leave := make(chan struct{}), make(chan struct{})
		defer start(t, m, newCheck("a", checkerFunc(func(context.Context) (string, error) {
			inside <- struct{}{}
			<-leave
			return "", nil
		})))()
		<-inside
		for range m.All() { // would deadlock the bubble if it waited for the check
		}
		if len(m.Views()) != 1 {
			t.Error("the view is missing")
		}
		close(leave)
		go func() {
			for range inside {
			}
		}()
		pass(time.Second)
		defer close(inside)
	})
}

func TestOnceEndsInTimeWhateverACheckDoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		deaf := newCheck("deaf", &fake{takes: time.Hour, deaf: true})
		fine := newCheck("fine", &fake{})
		broken := &fake{}
		broken.panics.Store(true)
		panicked := ""
		begin := time.Now()
		results := monitor.Once(t.Context(), []*check.Check{deaf, fine, newCheck("broken", broken)}, monitor.Grace, func(c *check.Check, v any, _ []byte) {
			panicked = fmt.Sprint(c.Name, " ", v)
		})
		if took := time.Since(begin); took != check.DefaultPolicy().Timeout+monitor.Grace {
			t.Errorf("took %v, want the timeout and the grace", took)
		}
		reasons := []check.Reason{results[0].Reason(), results[1].Reason(), results[2].Reason()}
		if want := []check.Reason{check.ReasonTimeout, check.ReasonNone, check.ReasonPanic}; !slices.Equal(reasons, want) {
			t.Errorf("reasons %q, want %q", reasons, want)
		}
		if panicked != "broken fake panic" {
			t.Errorf("the panic was told as %q", panicked)
		}
		pass(2 * time.Hour)
	})
}
