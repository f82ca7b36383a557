package monitor

import (
	"context"
	"time"

	"hale/internal/check"
)

// Once runs the checks at the same time, each once, and returns their results
// in the same order. It blocks until the last result is there, at most the
// longest timeout and the grace: a run that is stuck longer is taken for a
// timeout, and its goroutine ends when it returns.
func Once(ctx context.Context, checks []*check.Check, grace time.Duration, onPanic func(c *check.Check, value any, stack []byte)) []check.Result {
	waits := make([]chan check.Result, len(checks))
	at := time.Now()
	for i, c := range checks {
		wait := make(chan check.Result, 1)
		waits[i] = wait
		go func() {
			wait <- c.Run(ctx, func(value any, stack []byte) {
				if onPanic != nil {
					onPanic(c, value, stack)
				}
			})
		}()
	}
	results := make([]check.Result, len(checks))
	for i, c := range checks {
		results[i] = await(c, waits[i], at.Add(c.Policy.Timeout+grace), at)
	}
	return results
}

// await waits for a run's result, or for the time when it is taken for a
// timeout. A result that is there counts, even when that time has passed while
// another check was waited for.
func await(c *check.Check, wait <-chan check.Result, until, at time.Time) check.Result {
	guard := time.NewTimer(time.Until(until))
	defer guard.Stop()
	select {
	case r := <-wait:
		return r
	case <-guard.C:
	}
	select {
	case r := <-wait:
		return r
	default:
		return c.TimedOut(at, time.Now())
	}
}
