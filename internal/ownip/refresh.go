package ownip

import (
	"context"
	"log/slog"
	"time"
)

// A Refresher asks for the address again when it may have changed.
type Refresher struct {
	// Find asks for the address; see [Find].
	Find func(ctx context.Context) (Answer, error)
	// Watch calls changed when an address of this host may have changed, until
	// ctx ends; see [Watch]. If it returns earlier, only Every counts.
	Watch func(ctx context.Context, changed func()) error
	// Changed takes an address that is another than the one in force. If it
	// returns an error the old one stays in force, and it is asked again.
	Changed func(Answer) error
	// Log is told what happens.
	Log *slog.Logger
}

const (
	// every is how often the address is asked for when nothing tells of a
	// change: a cloud can change it from outside.
	every = 5 * time.Minute
	// again is how soon it is asked for after a failure, and while the default
	// route stands in for a metadata service.
	again = 30 * time.Second
	// settle is how long a change is left to become whole: addresses and routes
	// come one after the other.
	settle = time.Second
)

// Run asks until ctx ends, given the answer that is in force. It blocks, and
// leaves nothing behind.
func (r Refresher) Run(ctx context.Context, now Answer) {
	hints := make(chan struct{}, 1)
	watching := make(chan struct{})
	go func() {
		defer close(watching)
		err := r.Watch(ctx, func() {
			select {
			case hints <- struct{}{}:
			default:
			}
		})
		if err != nil && ctx.Err() == nil {
			r.Log.Warn("changes of this host's addresses can't be watched, so the own address is asked for every "+every.String(), "error", err)
		}
	}()
	defer func() { <-watching }()
	failing := ""
	for {
		wait := every
		if failing != "" || now.Warning != "" {
			wait = again
		}
		if !pause(ctx, wait, hints) {
			return
		}
		now, failing = r.refresh(ctx, now, failing)
		// A hint that came meanwhile waits in its channel for the next round.
	}
}

// pause waits for the time, or for a hint and what follows it.
func pause(ctx context.Context, wait time.Duration, hints <-chan struct{}) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	case <-hints:
	}
	timer.Reset(settle)
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
	}
	select { // of the same change
	case <-hints:
	default:
	}
	return true
}

// refresh asks once. It returns what is in force, and what failed: a failure is
// logged when it begins, not each time.
func (r Refresher) refresh(ctx context.Context, now Answer, failing string) (Answer, string) {
	found, err := r.Find(ctx)
	if ctx.Err() != nil {
		return now, failing
	}
	problem := found.Warning
	if err != nil {
		problem = err.Error()
	}
	// The default route stands in for a metadata service only where it did so
	// before: else a failing service would change the address for a while.
	if err != nil || found.Warning != "" && now.Warning == "" {
		if problem != failing {
			r.Log.Warn("the own address can't be asked for again, so the old one stays", "address", now.Addr, "error", problem)
		}
		return now, problem
	}
	if found.Addr == now.Addr {
		if failing != "" {
			r.Log.Info("the own address is known again, and is as it was", "address", found.Addr, "source", found.Source)
		}
		return found, ""
	}
	if err := r.Changed(found); err != nil {
		if problem = err.Error(); problem != failing {
			r.Log.Error("the own address has changed, but the configuration with it can't be used, so the old one stays", "old", now.Addr, "new", found.Addr, "error", err)
		}
		return now, problem
	}
	r.Log.Info("the own address has changed", "old", now.Addr, "new", found.Addr, "source", found.Source)
	return found, ""
}
