package check_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"hale/internal/check"
)

// checkOf is a check with the default policy, a timeout of 3 s.
func checkOf(f checkerFunc) *check.Check {
	return &check.Check{
		Name: "db", Kind: "db", Target: "db://h", Policy: check.DefaultPolicy(),
		Checker: f, Secrets: check.Secrets{"hunter2"},
	}
}

func TestRun(t *testing.T) {
	canceled := func(t *testing.T) context.Context {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		return ctx
	}
	soon := func(t *testing.T) context.Context {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		t.Cleanup(cancel)
		return ctx
	}
	always := (*testing.T).Context
	wait := func(ctx context.Context) (string, error) { <-ctx.Done(); return "", ctx.Err() }

	for _, test := range []struct {
		name   string
		ctx    func(*testing.T) context.Context
		run    checkerFunc
		took   time.Duration
		reason check.Reason
		text   string
	}{
		{"healthy", always, healthy, 0, check.ReasonNone, "fine"},
		{"slow and healthy", always, func(context.Context) (string, error) { time.Sleep(2 * time.Second); return "fine", nil },
			2 * time.Second, check.ReasonNone, "fine"},
		{"failing", always, func(context.Context) (string, error) { return "", check.Failf(check.ReasonRole, "a replica, hunter2") },
			0, check.ReasonRole, "a replica, ***"},
		{"timed out", always, wait, 3 * time.Second, check.ReasonTimeout, "no answer within 3s: context deadline exceeded"},
		{"timed out, with what was known", always, func(ctx context.Context) (string, error) {
			<-ctx.Done()
			return "", check.Failf(check.ReasonBody, "got half of it")
		}, 3 * time.Second, check.ReasonTimeout, "no answer within 3s: got half of it"},
		{"healthy although late", always, func(ctx context.Context) (string, error) { <-ctx.Done(); return "fine", nil },
			3 * time.Second, check.ReasonNone, "fine"},
		{"a reservation although late", always, func(ctx context.Context) (string, error) {
			<-ctx.Done()
			return "", check.Warnf(check.ReasonSlow, "took 3s")
		}, 3 * time.Second, check.ReasonSlow, "took 3s"},
		{"canceled", canceled, wait, 0, check.ReasonCanceled, "given up: context canceled"},
		{"another's timeout", soon, wait, time.Second, check.ReasonCanceled, "given up: context deadline exceeded"},
		{"panics", always, func(context.Context) (string, error) { panic("hunter2!") }, 0, check.ReasonPanic,
			"hale has a bug: the db check panicked: ***!"},
		{"panics late", always, func(ctx context.Context) (string, error) { <-ctx.Done(); panic(errors.New("late")) },
			3 * time.Second, check.ReasonPanic, "hale has a bug: the db check panicked: late"},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				at := time.Now()
				panics := 0
				r := checkOf(test.run).Run(test.ctx(t), func(value any, stack []byte) {
					panics++
					if strings.Contains(fmt.Sprint(value), "hunter2") || !strings.Contains(string(stack), "run_test.go") {
						t.Errorf("panic %v with stack\n%s", value, stack)
					}
				})
				if !r.At.Equal(at) || r.Took != test.took || r.Reason() != test.reason || r.Text() != test.text {
					t.Errorf("got  at %v, took %v, %q, %s\nwant at %v, took %v, %q, %s",
						r.At, r.Took, r.Reason(), r.Text(), at, test.took, test.reason, test.text)
				}
				if want := test.reason == check.ReasonPanic; (panics == 1) != want {
					t.Errorf("%d panics were told", panics)
				}
			})
		})
	}
}

// A socket's deadline may pass a moment before the context ends.
func TestRunTimedOutBySocket(t *testing.T) {
	for range 20 {
		c := checkOf(func(ctx context.Context) (string, error) {
			deadline, _ := ctx.Deadline()
			for time.Now().Before(deadline) {
			}
			return "", fmt.Errorf("dial: %w", os.ErrDeadlineExceeded)
		})
		c.Policy.Timeout = 2 * time.Millisecond
		if got, want := c.Run(t.Context(), nil).Text(), "no answer within 2ms: dial: i/o timeout"; got != want {
			t.Fatalf("got %s, want %s", got, want)
		}
	}
}

func TestRunWithoutPanicHandler(t *testing.T) {
	r := checkOf(func(context.Context) (string, error) { return []string{}[len("a")], nil }).Run(t.Context(), nil)
	if r.Reason() != check.ReasonPanic || !strings.Contains(r.Text(), "index out of range") {
		t.Errorf("got %q, %s", r.Reason(), r.Text())
	}
}

// The checker's context ends with its timeout, and says that this is why.
func TestRunContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		checkOf(func(ctx context.Context) (string, error) {
			if deadline, ok := ctx.Deadline(); !ok || deadline != time.Now().Add(3*time.Second) {
				t.Errorf("deadline %v, %v", deadline, ok)
			}
			<-ctx.Done()
			if got := context.Cause(ctx); got == nil || got.Error() != "timeout" {
				t.Errorf("cause %v", got)
			}
			return "", nil
		}).Run(t.Context(), nil)
	})
}

func TestTimedOut(t *testing.T) {
	at := time.Now()
	r := checkOf(nil).TimedOut(at, at.Add(4*time.Second))
	if r.Reason() != check.ReasonTimeout || r.Took != 4*time.Second || r.At != at ||
		r.Text() != "no answer within 3s, and the db check is still stuck" {
		t.Errorf("got %+v", r)
	}
}
