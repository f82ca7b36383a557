package monitor

import (
	"context"
	"time"

	"hale/internal/check"
)

// Once runs the checks at the same time, each once, and returns their results
// in the same order. It blocks until the last result is there, at most the
// longest timeout and [Grace]: a run that is stuck longer is taken for a
// timeout, and its goroutine ends when it returns.
func Once(ctx context.Context, checks []*check.Check, onPanic func(c *check.Check, value any, stack []byte)) []check.Result {
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
		guard := time.NewTimer(time.Until(at.Add(c.Policy.Timeout + Grace)))
		select {
		case results[i] = <-waits[i]:
		case <-guard.C:
			results[i] = c.TimedOut(at, time.Now())
		}
		guard.Stop()
	}
	return results
}
