package isolate_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"hale/internal/isolate"
)

func TestItReturnsWhatTheCallDoes(t *testing.T) {
	var g isolate.Group
	fault := errors.New("broken")
	n, err := isolate.Do(t.Context(), &g, "a", func(context.Context) (int, error) { return 7, fault })
	if n != 7 || err != fault {
		t.Errorf("got %d, %v", n, err)
	}
}

func TestAHungCallIsLeftOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g isolate.Group
		var calls atomic.Int32
		release := make(chan struct{})
		hang := func(context.Context) (int32, error) {
			n := calls.Add(1)
			<-release
			return n, nil
		}
		for i := 1; i <= 100; i++ {
			start := time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			_, err := isolate.Do(ctx, &g, "a", hang)
			cancel()
			if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second {
				t.Fatalf("run %d: %v after %v", i, err, time.Since(start))
			}
			stuck, ok := errors.AsType[*isolate.StuckError](err)
			if want := time.Duration(i) * time.Second; !ok || stuck.For != want {
				t.Fatalf("run %d: %v, want stuck for %v", i, err, want)
			}
		}
		if n := calls.Load(); n != 1 {
			t.Errorf("%d calls were made, want 1", n)
		}
		if n := runtime.NumGoroutine(); n > 20 {
			t.Errorf("%d goroutines", n)
		}
		// Another name is not held up.
		if n, err := isolate.Do(t.Context(), &g, "b", func(context.Context) (int, error) { return 1, nil }); n != 1 || err != nil {
			t.Errorf("another name: %d, %v", n, err)
		}
		// When the call returns at last, its result is too old to be used.
		close(release)
		if n, err := isolate.Do(t.Context(), &g, "a", hang); n != 2 || err != nil {
			t.Errorf("afterwards: got the result of call %d, %v, want of call 2", n, err)
		}
	})
}

func TestOneWhoWaitsGoesOnInTheSameRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g isolate.Group
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		slow := func(context.Context) (string, error) { time.Sleep(3 * time.Second); return "old", nil }
		if _, err := isolate.Do(ctx, &g, "a", slow); err == nil {
			t.Error("want an error")
		}
		start := time.Now()
		got, err := isolate.Do(t.Context(), &g, "a", func(context.Context) (string, error) { return "new", nil })
		if got != "new" || err != nil || time.Since(start) != 2*time.Second {
			t.Errorf("got %q, %v after %v", got, err, time.Since(start))
		}
	})
}

func TestCallsOfANameNeverOverlap(t *testing.T) {
	var g isolate.Group
	var inside, total atomic.Int32
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			_, err := isolate.Do(t.Context(), &g, "a", func(context.Context) (int, error) {
				if inside.Add(1) > 1 {
					t.Error("two at once")
				}
				runtime.Gosched()
				inside.Add(-1)
				return int(total.Add(1)), nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if total.Load() != 50 {
		t.Errorf("%d calls, want 50", total.Load())
	}
}

func TestWithAnEndedContextNothingIsCalled(t *testing.T) {
	var g isolate.Group
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := isolate.Do(ctx, &g, "a", func(context.Context) (int, error) { t.Error("called"); return 0, nil })
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestTheCallLearnsThatNobodyWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g isolate.Group
		ctx, cancel := context.WithCancel(t.Context())
		began, told := make(chan struct{}), make(chan error, 1)
		go func() { <-began; cancel() }()
		_, err := isolate.Do(ctx, &g, "a", func(ctx context.Context) (int, error) {
			close(began)
			<-ctx.Done()
			told <- ctx.Err()
			return 0, nil
		})
		if err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if err := <-told; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}

func TestAPanicGoesToTheCaller(t *testing.T) {
	var g isolate.Group
	func() {
		defer func() {
			if v := recover(); v != "oh" {
				t.Errorf("recovered %v", v)
			}
		}()
		_, _ = isolate.Do(t.Context(), &g, "a", func(context.Context) (int, error) { panic("oh") })
	}()
	if n, err := isolate.Do(t.Context(), &g, "a", func(context.Context) (int, error) { return 1, nil }); n != 1 || err != nil {
		t.Errorf("afterwards: %d, %v", n, err)
	}
}

func TestALatePanicIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g isolate.Group
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := isolate.Do(ctx, &g, "a", func(context.Context) (int, error) { time.Sleep(time.Minute); panic("oh") })
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		time.Sleep(time.Hour) // the process lives
	})
}
