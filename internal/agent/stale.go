package agent

import (
	"log/slog"
	"time"

	"hale/internal/check"
	"hale/internal/verdict"
)

// staleness is which checks have gone stale while they were up, by their names.
// No run ends when that happens, so nobody else would log it.
type staleness map[string]bool

// log logs those that have gone stale since the last time, and returns when the
// next may; the zero time if none can.
func (known *staleness) log(log *slog.Logger, members verdict.Members, now time.Time) (next time.Time) {
	stale := staleness{}
	for c, state := range members {
		if state.Status != check.Up {
			continue
		}
		at := state.StaleAt(c.Policy)
		if !state.Stale(now, c.Policy) {
			if next.IsZero() || at.Before(next) {
				next = at
			}
			continue
		}
		stale[c.Name] = true
		if !(*known)[c.Name] {
			log.Info(c.Name+" is "+check.Down.String(), "check", c.Name, "target", c.Target, "was", check.Up.String(),
				"reason", string(check.ReasonStale), "error", verdict.Explain(c, state, now))
		}
	}
	*known = stale
	return next
}
