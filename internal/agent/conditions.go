package agent

import (
	"log/slog"
	"sync/atomic"

	"hale/internal/verdict"
)

// conditions are what verdicts depend on besides checks.
type conditions struct {
	log      *slog.Logger
	draining atomic.Bool
	started  atomic.Bool
	version  atomic.Uint64 // changes with the other two
	drained  chan struct{} // tells that draining began or ended; holds one
}

func newConditions(log *slog.Logger) conditions {
	return conditions{log: log, drained: make(chan struct{}, 1)}
}

func (c *conditions) now() verdict.Conditions {
	return verdict.Conditions{Draining: c.draining.Load(), Started: c.started.Load()}
}

func (c *conditions) drain(on bool) {
	if c.draining.Swap(on) == on {
		return
	}
	c.version.Add(1)
	select {
	case c.drained <- struct{}{}:
	default:
	}
	if on {
		c.log.Info("draining: every group but live and startup fails now")
	} else {
		c.log.Info("draining is over")
	}
}

// hasPassed notes that ready has passed: start-up is over for good. It reports
// whether this is new.
func (c *conditions) hasPassed() bool {
	if c.started.Swap(true) {
		return false
	}
	c.version.Add(1)
	return true
}
