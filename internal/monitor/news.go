package monitor

import (
	"context"
	"log/slog"
	"time"

	"hale/internal/check"
)

// news is what logs and the observer are to be told. It is gathered under the
// mutex and told without it, for a log may block.
type news struct {
	check   *check.Check
	skipped bool
	ran     bool
	before  check.Status
	state   check.State // after the run
	late    time.Duration
}

func (m *Monitor) tell(all ...news) {
	for _, n := range all {
		if n.skipped {
			m.log.Debug("run skipped, the last one is still going", "check", n.check.Name)
			if m.observer != nil {
				m.observer.Skipped(n.check)
			}
		}
		if n.ran {
			m.logRun(n)
			if m.observer != nil {
				m.observer.Ran(n.check, n.state.Last, n.late)
			}
		}
	}
}

func (m *Monitor) logRun(n news) {
	c, r := n.check, n.state.Last
	if m.log.Enabled(context.Background(), slog.LevelDebug) {
		m.log.Debug("run", "check", c.Name, "healthy", r.Healthy(), "took", r.Took, "reason", string(r.Reason()), "text", r.Text())
	}
	LogChange(m.log, c, n.before, n.state)
}

// LogChange logs that a check's status is no longer what it was; nothing when
// it is.
func LogChange(log *slog.Logger, c *check.Check, before check.Status, s check.State) {
	if before == s.Status {
		return
	}
	r := s.Last
	attrs := []any{"check", c.Name, "target", c.Target, "was", before.String()}
	if r.Err != nil {
		attrs = append(attrs, "reason", string(r.Reason()), "error", r.Text())
	} else if r.Note != "" {
		attrs = append(attrs, "note", r.Note)
	}
	log.Info(c.Name+" is "+s.Status.String(), attrs...)
}
