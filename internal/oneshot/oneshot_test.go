package oneshot

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"hale/internal/check"
)

// fake is a checker that a test steers.
type fake struct {
	takes time.Duration
	deaf  bool // it does not hear that its time is over
	fails func(run int64) bool
	runs  atomic.Int64
	now   atomic.Int64 // runs going on
	most  atomic.Int64
}

func (f *fake) Check(ctx context.Context) (string, error) {
	run := f.runs.Add(1)
	f.most.Store(max(f.most.Load(), f.now.Add(1)))
	defer f.now.Add(-1)
	over := ctx.Done()
	if f.deaf {
		over = nil
	}
	select {
	case <-time.After(f.takes):
	case <-over:
		return "", ctx.Err()
	}
	if f.fails != nil && f.fails(run) {
		return "", check.Failf(check.ReasonRefused, "no luck")
	}
	return "fine", nil
}

func newCheck(name string, f *fake) *check.Check {
	return &check.Check{
		Name: name, Named: true, Kind: "fake", Target: "fake://" + name,
		Policy: check.DefaultPolicy(), Impact: check.ImpactFail, Checker: f,
	}
}

func program() (*Program, *bytes.Buffer, *bytes.Buffer) {
	var out, err bytes.Buffer
	return &Program{Name: "hale", Out: &out, Err: &err}, &out, &err
}

// However a check hangs, its result is there within the timeout and the grace.
func TestRunsEndInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _, _ := program()
		deaf := newCheck("deaf", &fake{takes: time.Hour, deaf: true})
		slow := newCheck("slow", &fake{takes: time.Hour})
		begin := time.Now()
		results := p.newRunner().runAll(t.Context(), []*check.Check{deaf, slow, newCheck("quick", &fake{})})
		if took, most := time.Since(begin), check.DefaultPolicy().Timeout+100*time.Millisecond; took > most {
			t.Errorf("took %v, want at most %v", took, most)
		}
		for i, want := range []check.Reason{check.ReasonTimeout, check.ReasonTimeout, check.ReasonNone} {
			if results[i].Reason() != want {
				t.Errorf("%d: %v, want %s", i, results[i].Err, want)
			}
		}
		time.Sleep(time.Hour)
	})
}

// Of checks with a pool only so many run at once, and those that wait are not
// taken for timeouts.
func TestPoolsBoundRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _, _ := program()
		f := &fake{takes: 2 * time.Second}
		var checks []*check.Check
		for i := range 3 * pooled {
			c := newCheck(fmt.Sprint(i), f)
			c.Pool = "exec"
			checks = append(checks, c)
		}
		for _, r := range p.newRunner().runAll(t.Context(), checks) {
			if r.Err != nil {
				t.Fatal(r.Err)
			}
		}
		if most := f.most.Load(); most != pooled {
			t.Errorf("%d ran at once, want %d", most, pooled)
		}
	})
}

func wait(t *testing.T, ctx context.Context, w waiting, checks ...*check.Check) (code int, took time.Duration, said string) {
	t.Helper()
	p, out, err := program()
	begin := time.Now()
	code = p.wait(ctx, &selection{checks, make([]bool, len(checks))}, w)
	took = time.Since(begin)
	if out.Len() > 0 {
		t.Errorf("wait wrote %q to its output", out)
	}
	return code, took, err.String()
}

func TestWait(t *testing.T) {
	after := func(n int64) func(int64) bool { return func(run int64) bool { return run <= n } }
	everyThird := func(run int64) bool { return run%3 == 0 }
	const second = time.Second
	for _, tt := range []struct {
		name     string
		w        waiting
		f        *fake
		code     int
		took     time.Duration
		contains string
	}{
		{"at once", waiting{timeout: time.Minute, interval: second}, &fake{}, 0, 0, ""},
		{"the third run", waiting{timeout: time.Minute, interval: second}, &fake{fails: after(2)}, 0, 2 * second, ""},
		{"never", waiting{timeout: 5 * second, interval: second}, &fake{fails: after(1000)}, 1, 5 * second, "gave up after 5s, waiting for:\nFAIL one fake://one refused: no luck\n"},
		{"no end", waiting{interval: second}, &fake{fails: after(100)}, 0, 100 * second, ""},
		{"hangs", waiting{timeout: 2 * second, interval: second}, &fake{takes: time.Hour}, 1, 2 * second, "FAIL one fake://one canceled: given up"},
		{"stable", waiting{timeout: time.Minute, interval: second, stable: 5 * second}, &fake{fails: after(2)}, 0, 7 * second, ""},
		{"flaps", waiting{timeout: time.Minute, interval: second, stable: 5 * second}, &fake{fails: everyThird}, 1, time.Minute, "gave up after 1m0s"},
		{"not yet stable", waiting{timeout: 8 * second, interval: second, stable: 5 * second}, &fake{fails: after(5)}, 1, 8 * second, "ok one fake://one fine in 0s, but not for 5s yet"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				code, took, said := wait(t, t.Context(), tt.w, newCheck("one", tt.f), newCheck("other", &fake{}))
				if code != tt.code || took != tt.took || !strings.Contains(said, tt.contains) || tt.contains == "" && said != "" {
					t.Errorf("code %d after %v: %q; want %d after %v: %q", code, took, said, tt.code, tt.took, tt.contains)
				}
				if tt.contains != "" && strings.Contains(said, "other") {
					t.Errorf("it names the check that was ready: %q", said)
				}
			})
		})
	}
}

// A check that hangs after it was healthy has not been healthy all the time.
func TestWaitIsNotContentWithAHangingCheck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		f.fails = func(run int64) bool {
			if run > 1 {
				time.Sleep(time.Hour)
			}
			return false
		}
		code, _, said := wait(t, t.Context(), waiting{timeout: time.Minute, interval: time.Second, stable: 10 * time.Second}, newCheck("one", f))
		if code != 1 {
			t.Errorf("code %d: %s", code, said)
		}
		time.Sleep(2 * time.Hour)
	})
}

func TestWaitInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(3*time.Second, cancel)
		code, took, said := wait(t, ctx, waiting{interval: time.Second}, newCheck("one", &fake{fails: func(int64) bool { return true }}))
		if code != 1 || took != 3*time.Second || !strings.Contains(said, "hale wait: interrupted, waiting for:\nFAIL one") {
			t.Errorf("code %d after %v: %s", code, took, said)
		}
	})
}

func TestLine(t *testing.T) {
	one := newCheck("one", &fake{})
	url := &check.Check{Name: "made-of-url", Kind: "http", Target: "http://h/", Impact: check.ImpactFail}
	warns := newCheck("warns", &fake{})
	warns.Impact = check.ImpactWarn
	took := 12345678 * time.Nanosecond
	for _, tt := range []struct {
		c    *check.Check
		note string
		err  error
		want string
	}{
		{one, "fine", nil, "ok one fake://one fine in 12ms"},
		{url, "200 in 3ms", nil, "ok http http://h/ 200 in 3ms"},
		{url, "", check.Failf(check.ReasonStatus, "GET http://h/: 500"), "FAIL http http://h/ status: 500"},
		{url, "", check.Failf(check.ReasonStatus, "said much about http://h/: 500"), "FAIL http http://h/ status: said much about http://h/: 500"},
		{warns, "", errors.New("broken"), "warn warns fake://warns other: broken"},
		{one, "", check.Warnf(check.ReasonSlow, "late"), "warn one fake://one slow: late"},
	} {
		if got := line(tt.c, check.NewResult(time.Now(), took, tt.note, tt.err, nil)); got != tt.want {
			t.Errorf("got  %s\nwant %s", got, tt.want)
		}
	}
}

func TestRound(t *testing.T) {
	for d, want := range map[time.Duration]string{
		1234567 * time.Microsecond: "1.23s", 12345 * time.Microsecond: "12ms",
		1234 * time.Microsecond: "1.2ms", 123456 * time.Nanosecond: "120µs",
	} {
		if got := round(d).String(); got != want {
			t.Errorf("%v: got %s, want %s", d, got, want)
		}
	}
}
