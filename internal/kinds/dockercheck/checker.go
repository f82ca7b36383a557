package dockercheck

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"hale/internal/check"
	"hale/internal/engine"
)

// maxLine bounds what is shown of a health check's output, in characters.
const maxLine = 200

// checker is immutable once made.
type checker struct {
	client       *engine.Client
	host         string // as it was given, for the hub
	hub          *hub
	name, target string
	healthy      bool
	minUptime    time.Duration
	maxRestarts  int
}

// Check asks once.
func (c *checker) Check(ctx context.Context) (string, error) {
	container, err := c.client.Inspect(ctx, c.name)
	switch {
	case errors.Is(err, engine.ErrNotFound):
		return "", c.missing("")
	case err != nil && isAmbiguous(err):
		return "", c.missing(fmt.Sprintf(": there are ids that begin so, and an id has to be given with %d characters or more", minID))
	case err != nil:
		return "", check.Failf(check.ReasonOf(err), "%s: %w", c.target, err)
	case container.Name != c.name && !isID(container.ID, c.name):
		return "", c.missing(fmt.Sprintf(": the id of the container %s begins so, and an id has to be given with %d characters or more", check.CleanText(container.Name), minID))
	}
	return c.judge(container, time.Now())
}

func (c *checker) missing(why string) error {
	return check.Failf(check.ReasonMissing, "%s: the engine at %s has no such container%s; see docker ps --all", c.target, c.client.Host(), why)
}

// minID is how many characters of an id stand for it, as docker ps shows them.
// An engine takes fewer, and so it takes names such as db and cafe for ids once
// no container has them: then some other container would be up in its place.
const minID = 12

// isID reports whether name stands for the id.
func isID(id, name string) bool { return len(name) >= minID && strings.HasPrefix(id, name) }

// isAmbiguous reports whether the engine has found no container of the name, and
// several whose ids begin with it. Docker and Podman say so in their own words.
func isAmbiguous(err error) bool {
	said := strings.ToLower(err.Error())
	return strings.Contains(said, "multiple ids found") || strings.Contains(said, "more than one result for container name or id")
}

// judge compares what the container does with what it should do.
func (c *checker) judge(container *engine.Container, now time.Time) (string, error) {
	s := container.State
	if reason, what := fault(container, c.name); what != "" {
		return "", check.Certain(check.Failf(reason, "%s: %s", c.target, what))
	}
	restarts := container.RestartCount
	if c.maxRestarts != AnyRestarts && restarts > c.maxRestarts {
		return "", check.Failf(check.ReasonStatus, "%s: is running%s, but the engine has restarted it %s, want at most %d; see docker logs %s",
			c.target, since(s.StartedAt), times(restarts), c.maxRestarts, c.name)
	}
	if uptime := now.Sub(s.StartedAt); restarts > 0 && uptime < c.minUptime {
		return "", check.Failf(check.ReasonStatus, "%s: restarts in a loop: is running, but the engine restarted it %v ago, %s in all, want it to stay up for %v; see docker logs %s",
			c.target, max(uptime, 0).Truncate(time.Millisecond), times(restarts), c.minUptime, c.name)
	}
	note := "running" + since(s.StartedAt)
	switch h := s.Health; {
	case h == nil && c.healthy:
		return "", check.Failf(check.ReasonStatus, "%s: is running%s, but has no health check, and healthy wants one; give it a HEALTHCHECK", c.target, since(s.StartedAt))
	case h == nil:
	case h.Status == "starting":
		return "", check.Failf(check.ReasonLoading, "%s: is starting: its health check has not passed yet%s", c.target, output(h))
	case h.Status == "healthy":
		note = "healthy, " + note
	default:
		return "", check.Failf(check.ReasonStatus, "%s: is %s: its health check failed %s in a row%s", c.target, check.CleanText(h.Status), times(h.FailingStreak), output(h))
	}
	if restarts > 0 {
		note += ", restarted " + times(restarts)
	}
	if s.OOMKilled {
		note += ", a process in it was killed for lack of memory"
	}
	return note, nil
}

// fault says what is wrong with a container that does not run; "" is that it
// does.
func fault(container *engine.Container, name string) (check.Reason, string) {
	s := container.State
	switch s.Status {
	case "running":
		return check.ReasonNone, ""
	case "created":
		if s.Error != "" {
			return check.ReasonStatus, "could not be started: " + line(s.Error)
		}
		return check.ReasonStatus, "was created and never started; docker start " + name
	case "paused":
		return check.ReasonStatus, "is paused; docker unpause " + name
	case "restarting":
		return check.ReasonExit, fmt.Sprintf("restarts in a loop: %s%s, and the engine has restarted it %s; see docker logs %s",
			ending(s), at(s.FinishedAt), times(container.RestartCount), name)
	case "exited":
		if s.Error != "" {
			return check.ReasonExit, fmt.Sprintf("could not be started: %s", line(s.Error))
		}
		before := ""
		if container.RestartCount > 0 {
			before = ", after the engine had restarted it " + times(container.RestartCount)
		}
		return check.ReasonExit, ending(s) + at(s.FinishedAt) + before + "; see docker logs " + name
	case "dead":
		return check.ReasonStatus, "is dead: the engine could not remove all of it" + colon(s.Error) + "; docker rm --force " + name
	case "removing":
		return check.ReasonStatus, "is being removed"
	default:
		return check.ReasonStatus, fmt.Sprintf("is %q, want running", check.CleanText(s.Status))
	}
}

// ending says how a container's program ended.
func ending(s engine.State) string {
	const killed = 137 // 128 and SIGKILL
	switch {
	case s.OOMKilled && s.ExitCode == killed:
		return fmt.Sprintf("was killed for lack of memory (exit code %d)", s.ExitCode)
	case s.OOMKilled:
		return fmt.Sprintf("exited with code %d, and a process in it had been killed for lack of memory,", s.ExitCode)
	case s.ExitCode == killed:
		return fmt.Sprintf("was killed (exit code %d)", s.ExitCode)
	default:
		return fmt.Sprintf("exited with code %d", s.ExitCode)
	}
}

// output tells of the last run of a health check.
func output(h *engine.Health) string {
	if h.FailingStreak == 0 {
		return ""
	}
	return fmt.Sprintf(": exit code %d%s", h.LastExit, colon(h.LastOutput))
}

func colon(text string) string {
	if text = line(text); text != "" {
		return ": " + text
	}
	return ""
}

// line returns the first line with text in it, without the rest.
func line(text string) string {
	first, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	first = check.CleanText(strings.TrimSpace(first))
	if runes := []rune(first); len(runes) > maxLine {
		return string(runes[:maxLine]) + "…"
	}
	return first
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

func since(t time.Time) string { return when(" since ", t) }

func at(t time.Time) string { return when(" at ", t) }

func when(word string, t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return word + t.Format(time.RFC3339)
}
