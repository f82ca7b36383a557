package check

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"
)

// errTimeout is the cause of a run's context ending at its timeout.
var errTimeout = errors.New("timeout")

// Run runs the check once, in the calling goroutine, and blocks until its
// Checker returns, which is soon after the check's timeout or the end of ctx.
// It sets the timeout, measures, and turns a panic into a failure; onPanic, if
// not nil, is given the panic's value, as text without secrets, and stack.
//
// A Checker that breaks its contract and does not return keeps Run from
// returning too: who must have an answer in time guards against that.
func (c *Check) Run(ctx context.Context, onPanic func(value any, stack []byte)) Result {
	at := time.Now()
	runCtx, cancel := context.WithTimeoutCause(ctx, c.Policy.Timeout, errTimeout)
	defer cancel()
	note, err := c.guarded(runCtx, onPanic)
	took := time.Since(at)
	// A connection's deadline may pass a moment before its context ends.
	if deadline, ok := runCtx.Deadline(); ok && err != nil && !time.Now().Before(deadline) {
		<-runCtx.Done()
	}
	if err != nil && !IsWarning(err) && runCtx.Err() != nil {
		err = c.ended(runCtx, err)
	}
	return NewResult(at, took, note, err, c.Secrets)
}

func (c *Check) guarded(ctx context.Context, onPanic func(any, []byte)) (note string, err error) {
	defer func() {
		if v := recover(); v != nil {
			note, err = "", Failf(ReasonPanic, "hale has a bug: the %s check panicked: %v", c.Kind, v)
			if onPanic != nil {
				onPanic(c.Secrets.Mask(fmt.Sprint(v)), debug.Stack())
			}
		}
	}()
	return c.Checker.Check(ctx)
}

// ended says why a run's context ended, in place of whatever error that led to
// inside the kind. What had been said before is kept, unless it is only that
// the time is up.
func (c *Check) ended(ctx context.Context, err error) error {
	if ReasonOf(err) == ReasonPanic {
		return err
	}
	if !errors.Is(context.Cause(ctx), errTimeout) {
		return Failf(ReasonCanceled, "given up: %w", err)
	}
	return Failf(ReasonTimeout, "no answer within %v: %w", c.Policy.Timeout, err)
}

// TimedOut is the result of a run that began at the given time and whose
// Checker has not returned although its timeout is over.
func (c *Check) TimedOut(at, now time.Time) Result {
	err := Failf(ReasonTimeout, "no answer within %v, and the %s check is still stuck", c.Policy.Timeout, c.Kind)
	return NewResult(at, now.Sub(at), "", err, c.Secrets)
}

// String names the check in messages.
func (c *Check) String() string { return fmt.Sprintf("%s (%s)", c.Name, c.Target) }
