package docker

import (
	"fmt"
	"time"

	"hale/internal/check"
	"hale/internal/engine"
)

// settled is how long a container that its engine started again must run before
// that it runs is believed. Docker forgets about a loop after the same time.
const settled = 10 * time.Second

// facts are what is known of a container at a moment.
type facts struct {
	name     string
	state    engine.State
	restarts int
	gone     bool // the engine has no such container any more
}

// failure says why a container can't be fit for traffic; nil when it runs.
func (f facts) failure() error {
	s := f.state
	switch {
	case f.gone:
		// It is about to leave the set, and so no reason to say no.
		return check.Warnf(check.ReasonMissing, "container %s is gone, and is no longer checked", f.name)
	case s.Paused:
		return f.failf(check.ReasonPaused, "is paused; continue it with: docker unpause %s", f.name)
	case s.Restarting:
		return f.failf(check.ReasonRestarting, "ended%s, and its engine starts it again and again, %s so far; see: docker logs %s", f.how(), times(f.restarts), f.name)
	case s.Running:
		return nil
	case s.OOMKilled:
		return f.failf(check.ReasonMemory, "ran out of memory and was killed%s; give it more, or see what takes it", f.how())
	case s.Status == "created":
		return f.failf(check.ReasonExit, "was not started%s", colon(s.Error))
	case s.Status == "removing":
		return f.failf(check.ReasonExit, "is being removed")
	case s.Dead:
		return f.failf(check.ReasonExit, "is dead: it ended%s, and its engine failed to remove it", f.how())
	default:
		return f.failf(check.ReasonExit, "has ended%s%s; see: docker logs %s", f.how(), colon(s.Error), f.name)
	}
}

func (f facts) failf(reason check.Reason, format string, args ...any) error {
	return check.Certain(check.Failf(reason, "container %s "+format, append([]any{f.name}, args...)...))
}

// how says with which status the container ended.
func (f facts) how() string {
	code := f.state.ExitCode
	if code > 128 && code <= 128+64 {
		return fmt.Sprintf(" with status %d (signal %d)", code, code-128)
	}
	return fmt.Sprintf(" with status %d", code)
}

func colon(text string) string {
	if text == "" {
		return ""
	}
	return ": " + text
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

// runs is the check that a container runs.
func (f facts) runs(now time.Time) (string, error) {
	ran := now.Sub(f.state.StartedAt)
	if f.restarts > 0 && ran < settled {
		return "", check.Failf(check.ReasonRestarting, "container %s ended and was started again by its engine, %s so far, the last time less than %v ago; see: docker logs %s", f.name, times(f.restarts), settled, f.name)
	}
	return "running since " + f.state.StartedAt.UTC().Format(time.RFC3339), nil
}

// health is the check of a container's own health check.
func (f facts) health() (string, error) {
	h := f.state.Health
	switch {
	case h == nil:
		return "", check.Failf(check.ReasonLoading, "the health check of container %s has not run yet", f.name)
	case h.Status == "healthy":
		return "its own health check says healthy", nil
	case h.Status == "unhealthy":
		return "", check.Certain(check.Failf(check.ReasonUnhealthy, "the health check of container %s fails%s%s", f.name, streak(h), colon(h.LastOutput)))
	case h.FailingStreak > 0:
		return "", check.Failf(check.ReasonLoading, "the health check of container %s has not passed yet%s%s", f.name, streak(h), colon(h.LastOutput))
	default:
		return "", check.Failf(check.ReasonLoading, "the health check of container %s has not passed yet", f.name)
	}
}

func streak(h *engine.Health) string {
	if h.FailingStreak < 1 {
		return ""
	}
	return fmt.Sprintf(", %s in a row, the last with status %d", times(h.FailingStreak), h.LastExit)
}
