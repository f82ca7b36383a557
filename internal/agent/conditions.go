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
}

func (c *conditions) now() verdict.Conditions {
	return verdict.Conditions{Draining: c.draining.Load(), Started: c.started.Load()}
}

func (c *conditions) drain(on bool) {
	if c.draining.Swap(on) == on {
		return
	}
	c.version.Add(1)
	if on {
		c.log.Info("draining: every group but live and startup fails now")
	} else {
		c.log.Info("draining is over")
	}
}

// hasPassed notes that ready has passed: start-up is over for good.
func (c *conditions) hasPassed() {
	if !c.started.Swap(true) {
		c.version.Add(1)
		c.log.Info("start-up is over: ready has passed")
	}
}
