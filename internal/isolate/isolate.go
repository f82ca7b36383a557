// Package isolate runs what may hang in the kernel beyond any timeout, such as
// a look at a file system whose server is gone, so that only it hangs.
//
// Nothing can end a thread that is stuck in the kernel. What can be done is to
// leave it, and not to leave another one each time: for each name there is at
// most one call at a time, and who comes meanwhile waits for its end.
package isolate

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// A Group is a set of calls that may hang, each by its name. Calls of the same
// name never run at the same time. The zero Group is ready to be used, by any
// number of goroutines.
type Group struct {
	mu    sync.Mutex
	calls map[string]*call
}

// A call is one that is under way.
type call struct {
	since time.Time
	ended chan struct{} // closed at its end
}

// StuckError says that a call has not returned.
type StuckError struct {
	// For is how long the call under way has been at it. It may have been
	// started by an earlier caller.
	For time.Duration
	err error
}

// Error says for how long there was no answer.
func (e *StuckError) Error() string {
	return fmt.Sprintf("no answer for %v", e.For.Round(time.Millisecond))
}

// Unwrap returns why the wait ended: that of the context.
func (e *StuckError) Unwrap() error { return e.err }

// Do calls f in a goroutine of its own and returns what f does. When ctx ends
// first, Do leaves f to itself and returns a [*StuckError]; what f returns later
// is dropped.
//
// As long as a call of the same name is under way, left by an earlier Do or
// made by another one, f is not called: Do waits until it ends or ctx does. So
// what is returned is never older than the call of Do, and at most one
// goroutine and thread is left for each name.
//
// f is given ctx, to end early when nobody waits any more. A panic of f goes to
// the caller of Do, or is dropped with the result.
func Do[T any](ctx context.Context, g *Group, name string, f func(context.Context) (T, error)) (T, error) {
	var zero T
	for {
		if err := ctx.Err(); err != nil {
			return zero, err
		}
		c, mine := g.enter(name)
		if !mine {
			select {
			case <-c.ended:
				continue
			case <-ctx.Done():
				return zero, &StuckError{time.Since(c.since), ctx.Err()}
			}
		}
		done := make(chan outcome[T], 1) // never blocks the one who is left
		go func() {
			defer g.leave(name, c)
			done <- guarded(ctx, f)
		}()
		select {
		case o := <-done:
			<-c.ended // the next Do need not wait, and nothing is left
			if o.panicked {
				panic(o.panic)
			}
			return o.value, o.err
		case <-ctx.Done():
			return zero, &StuckError{time.Since(c.since), ctx.Err()}
		}
	}
}

// outcome is what came of a call.
type outcome[T any] struct {
	value    T
	err      error
	panicked bool
	panic    any
}

func guarded[T any](ctx context.Context, f func(context.Context) (T, error)) (o outcome[T]) {
	o.panicked = true
	defer func() {
		if o.panicked {
			o.panic = recover()
		}
	}()
	o.value, o.err = f(ctx)
	o.panicked = false
	return o
}

// enter begins a call of the name, or returns the one that is under way.
func (g *Group) enter(name string) (c *call, mine bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if c, ok := g.calls[name]; ok {
		return c, false
	}
	if g.calls == nil {
		g.calls = map[string]*call{}
	}
	c = &call{since: time.Now(), ended: make(chan struct{})}
	g.calls[name] = c
	return c, true
}

func (g *Group) leave(name string, c *call) {
	g.mu.Lock()
	delete(g.calls, name)
	g.mu.Unlock()
	close(c.ended)
}
