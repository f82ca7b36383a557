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
