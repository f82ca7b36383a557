// Package agent joins what is believed of the checks with whether the instance
// is draining or starting, and has the verdict of every group at hand.
//
// An [Agent] checks in the background and answers from memory. [OnDemand]
// checks when it is asked. Both log what changes.
package agent

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"hale/internal/check"
	"hale/internal/monitor"
	"hale/internal/verdict"
)

// logGap is the least time between two looks at the verdicts for the log. It
// bounds what thousands of changes at once cost; answers do not depend on it.
const logGap = 20 * time.Millisecond

// An Agent has the verdict of every group at hand. All methods may be called
// from any goroutine.
type Agent struct {
	log        *slog.Logger
	monitor    *monitor.Monitor
	conditions conditions
	groups     atomic.Pointer[map[string]*group]
}

// A group keeps its last decision, which holds as long as nothing has changed
// that it was made of.
type group struct {
	name string
	last atomic.Pointer[decision]
	// undrained is the same as if the instance were not draining. It is used
	// only while it is.
	undrained atomic.Pointer[decision]
}

type decision struct {
	outcome    verdict.Outcome
	until      time.Time // zero: time alone does not change it
	version    uint64    // of the monitor
	conditions uint64    // version of the conditions
}

// New makes an agent on a monitor.
func New(m *monitor.Monitor, log *slog.Logger) *Agent {
	a := &Agent{monitor: m, log: log, conditions: newConditions(log)}
	a.groups.Store(groupsOf(nil))
	return a
}

// Set replaces the set of checks; see [monitor.Monitor.Set].
func (a *Agent) Set(checks []*check.Check) {
	a.groups.Store(groupsOf(checks))
	a.monitor.Set(checks)
}

func groupsOf(checks []*check.Check) *map[string]*group {
	groups := map[string]*group{}
	for _, name := range groupNames(checks) {
		groups[name] = &group{name: name}
	}
	return &groups
}

// groupNames returns the names of all groups, sorted.
func groupNames(checks []*check.Check) []string {
	names := []string{check.GroupLive, check.GroupReady, check.GroupStartup, check.GroupAll}
	for _, c := range checks {
		names = append(names, c.Groups...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Run runs the checks until ctx ends, and blocks until they have ended.
func (a *Agent) Run(ctx context.Context) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		a.logVerdicts(ctx)
	}()
	a.monitor.Run(ctx)
	<-done
}

// Answer returns a group's outcome; ok is false when there is no such group. It
// reads memory only, and judges anew only when something has changed.
func (a *Agent) Answer(_ context.Context, name string) (outcome verdict.Outcome, ok bool) {
	g := (*a.groups.Load())[name]
	if g == nil {
		return verdict.Fail, false
	}
	return a.decide(g).outcome, true
}

// AnswerUndrained is Answer as if the instance were not draining.
func (a *Agent) AnswerUndrained(ctx context.Context, name string) (outcome verdict.Outcome, ok bool) {
	g := (*a.groups.Load())[name]
	if g == nil || !a.Draining() {
		return a.Answer(ctx, name)
	}
	return a.decideAs(g, &g.undrained).outcome, true
}

func (a *Agent) decide(g *group) *decision { return a.decideAs(g, &g.last) }

// decideAs decides anew unless the decision that is kept still holds: one of the
// group's two.
func (a *Agent) decideAs(g *group, kept *atomic.Pointer[decision]) *decision {
	now := time.Now()
	version, conditions := a.monitor.Version(), a.conditions.version.Load()
	last := kept.Load()
	if last != nil && last.version == version && last.conditions == conditions && (last.until.IsZero() || !now.After(last.until)) {
		return last
	}
	if g.name == check.GroupStartup && !a.conditions.started.Load() {
		a.decide((*a.groups.Load())[check.GroupReady])
		conditions = a.conditions.version.Load()
	}
	d := &decision{version: version, conditions: conditions}
	under := a.conditions.now() // after its version was read, so that it is not older
	under.Draining = under.Draining && kept == &g.last
	d.outcome, d.until = verdict.Decide(g.name, a.monitor.All(), under, now)
	if g.name == check.GroupReady && d.outcome.OK() && a.conditions.hasPassed() {
		a.log.Info("start-up is over: ready has passed")
	}
	kept.Store(d)
	return d
}

// Verdict returns a group's verdict with its causes; ok is false when there is
// no such group.
func (a *Agent) Verdict(name string) (v verdict.Verdict, ok bool) {
	g := (*a.groups.Load())[name]
	if g == nil {
		return verdict.Verdict{}, false
	}
	a.decide(g) // passes start-up if it is time
	return verdict.Judge(name, a.monitor.All(), a.conditions.now(), time.Now()), true
}

// Groups returns the names of all groups, sorted.
func (a *Agent) Groups() []string {
	var names []string
	for name := range *a.groups.Load() {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Views returns a view of every check, in the order of names.
func (a *Agent) Views() []monitor.View { return a.monitor.Views() }

// Drain takes the instance out of traffic: every group but live and startup
// fails until [Agent.Resume].
func (a *Agent) Drain() { a.conditions.drain(true) }

// Resume ends what Drain began.
func (a *Agent) Resume() { a.conditions.drain(false) }

// Draining reports whether the instance is draining.
func (a *Agent) Draining() bool { return a.conditions.draining.Load() }

// logVerdicts logs each change of a group's outcome, and each check that goes
// stale, and sees start-up pass when nobody asks.
func (a *Agent) logVerdicts(ctx context.Context) {
	known := map[string]verdict.Outcome{}
	var stale staleness
	for {
		next := stale.log(a.log, a.monitor.All(), time.Now())
		for _, name := range a.Groups() {
			g := (*a.groups.Load())[name]
			if g == nil {
				continue
			}
			d := a.decide(g)
			if before, ok := known[name]; !ok || before != d.outcome {
				known[name] = d.outcome
				v, _ := a.Verdict(name)
				logVerdict(a.log, v, ok)
			}
			if !d.until.IsZero() && (next.IsZero() || d.until.Before(next)) {
				next = d.until
			}
		}
		if !sleep(ctx, logGap, nil, a.conditions.drained) || !sleep(ctx, untilAfter(next), a.monitor.Changes(), a.conditions.drained) {
			return
		}
	}
}

// untilAfter returns how long it is until just after t; very long for zero.
func untilAfter(t time.Time) time.Duration {
	if t.IsZero() {
		return time.Hour
	}
	return max(0, time.Until(t)) + time.Millisecond
}

// sleep waits for d or for one of the two that wake it, and returns false when
// ctx ends first.
func sleep(ctx context.Context, d time.Duration, wake, drained <-chan struct{}) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
	case <-wake:
	case <-drained:
	}
	return true
}

// logVerdict logs a verdict that is new. At the start, when nothing was known,
// only at debug: each group begins as failing until the first results are in.
func logVerdict(log *slog.Logger, v verdict.Verdict, known bool) {
	level := slog.LevelInfo
	if !known {
		level = slog.LevelDebug
	}
	attrs := []any{"group", v.Group, "outcome", v.Outcome.String()}
	if len(v.Causes) > 0 {
		attrs = append(attrs, "because", causesText(v.Causes))
	}
	log.Log(context.Background(), level, "the verdict of "+v.Group+" is "+v.Outcome.String(), attrs...)
}

// causesText names the first few causes.
func causesText(causes []verdict.Cause) string {
	const most = 3
	var parts []string
	for i, c := range causes {
		if i == most {
			parts = append(parts, "…")
			break
		}
		text := c.Text
		if c.Check != "" {
			text = c.Check + ": " + text
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, "; ")
}
