package agent

import (
	"context"
	"iter"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"hale/internal/check"
	"hale/internal/monitor"
	"hale/internal/verdict"
)

// OnDemand runs the checks of a group when it is asked for its outcome.
// Requests that come during a run share it. An answer takes at most the longest
// timeout of the group's checks, and a little. A single result decides: rise
// and fall are for checks that run by themselves.
type OnDemand struct {
	log        *slog.Logger
	observer   monitor.Observer
	unshared   bool
	checks     []*check.Check // sorted by name
	groups     []string
	conditions conditions
	flights    singleflight.Group

	mu     sync.Mutex
	views  map[string]monitor.View
	closed bool
	runs   sync.WaitGroup
	ctx    context.Context // of the runs
	stop   context.CancelFunc
}

// OnDemandOptions are what an OnDemand needs.
type OnDemandOptions struct {
	// Log takes changes; it must not be nil.
	Log *slog.Logger
	// Observer may be nil.
	Observer monitor.Observer
	// Unshared gives each request a run of its own.
	Unshared bool
}

// NewOnDemand makes an on-demand agent for the checks.
func NewOnDemand(checks []*check.Check, options OnDemandOptions) *OnDemand {
	sorted := slices.SortedFunc(slices.Values(checks), func(a, b *check.Check) int {
		return strings.Compare(a.Name, b.Name)
	})
	o := &OnDemand{
		log: options.Log, observer: options.Observer, unshared: options.Unshared,
		checks: sorted, groups: groupNames(checks),
		conditions: conditions{log: options.Log}, views: map[string]monitor.View{},
	}
	for _, c := range sorted {
		o.views[c.Name] = monitor.View{Check: c, Ageless: true}
	}
	o.ctx, o.stop = context.WithCancel(context.Background())
	return o
}

// Run waits until ctx ends, then gives up the runs in flight and waits for
// them, but no longer than the grace of one that is stuck.
func (o *OnDemand) Run(ctx context.Context) {
	<-ctx.Done()
	o.mu.Lock()
	o.closed = true
	o.mu.Unlock()
	o.stop()
	o.runs.Wait()
}

// Answer runs the group's checks, or joins a run in flight, and returns the
// outcome; ok is false when there is no such group. When ctx ends first it
// returns a fail at once; the run goes on for the others.
func (o *OnDemand) Answer(ctx context.Context, group string) (outcome verdict.Outcome, ok bool) {
	if !slices.Contains(o.groups, group) {
		return verdict.Fail, false
	}
	switch {
	case group == check.GroupStartup && o.conditions.started.Load():
		return verdict.Pass, true
	case group != check.GroupLive && o.Draining():
		return verdict.Fail, true
	case group == check.GroupStartup:
		if outcome := o.share(ctx, check.GroupReady); !outcome.OK() {
			return outcome, true
		}
		return verdict.Pass, true
	default:
		return o.share(ctx, group), true
	}
}

// share runs a group's checks, or joins the run in flight.
func (o *OnDemand) share(ctx context.Context, group string) verdict.Outcome {
	if o.unshared {
		return o.begin(group)
	}
	flight := o.flights.DoChan(group, func() (any, error) { return o.begin(group), nil })
	select {
	case result := <-flight:
		outcome, _ := result.Val.(verdict.Outcome)
		return outcome
	case <-ctx.Done():
		return verdict.Fail
	}
}

// begin runs a group's checks, unless the agent has ended.
func (o *OnDemand) begin(group string) verdict.Outcome {
	o.mu.Lock()
	if o.closed {
		o.mu.Unlock()
		return verdict.Fail
	}
	o.runs.Add(1)
	o.mu.Unlock()
	defer o.runs.Done()
	return o.runGroup(group)
}

// runGroup runs the checks of a group and judges their results.
func (o *OnDemand) runGroup(group string) verdict.Outcome {
	var members []*check.Check
	for _, c := range o.checks {
		if c.In(group) {
			members = append(members, c)
		}
	}
	results := monitor.Once(o.ctx, members, func(c *check.Check, value any, stack []byte) {
		o.log.Error("a check panicked", "check", c.Name, "panic", value, "stack", string(stack))
	})
	states := make(map[*check.Check]check.State, len(members))
	for i, c := range members {
		states[c] = check.State{}.Next(results[i], c.Policy)
		o.keep(c, results[i])
	}
	outcome, _ := verdict.Decide(group, func(yield func(*check.Check, check.State) bool) {
		for _, c := range members {
			if !yield(c, states[c]) {
				return
			}
		}
	}, o.conditions.now(), time.Now())
	if group == check.GroupReady && outcome.OK() {
		o.conditions.hasPassed()
	}
	return outcome
}

// keep stores a result for who looks at the status, and logs a change.
func (o *OnDemand) keep(c *check.Check, r check.Result) {
	o.mu.Lock()
	view := o.views[c.Name]
	before := view.State
	view.State = before.Next(r, instant(c.Policy))
	view.Runs++
	o.views[c.Name] = view
	o.mu.Unlock()
	monitor.LogChange(o.log, c, before.Status, view.State)
	if o.observer != nil {
		o.observer.Ran(c, r, 0)
	}
}

// instant is the policy by which a single result decides.
func instant(p check.Policy) check.Policy {
	p.Fall, p.Rise = 1, 1
	return p
}

func (o *OnDemand) members() iter.Seq2[*check.Check, check.State] {
	return func(yield func(*check.Check, check.State) bool) {
		for _, v := range o.Views() {
			if !yield(v.Check, v.State) {
				return
			}
		}
	}
}

// Verdict returns what the last runs amount to, without running anything. The
// results may be old, and count all the same.
func (o *OnDemand) Verdict(group string) (v verdict.Verdict, ok bool) {
	if !slices.Contains(o.groups, group) {
		return verdict.Verdict{}, false
	}
	return verdict.Judge(group, o.members(), o.conditions.now(), time.Time{}), true
}

// Groups returns the names of all groups, sorted.
func (o *OnDemand) Groups() []string { return o.groups }

// Views returns a view of every check with its last result.
func (o *OnDemand) Views() []monitor.View {
	o.mu.Lock()
	defer o.mu.Unlock()
	views := make([]monitor.View, len(o.checks))
	for i, c := range o.checks {
		views[i] = o.views[c.Name]
	}
	return views
}

// Drain takes the instance out of traffic; see [Agent.Drain].
func (o *OnDemand) Drain() { o.conditions.drain(true) }

// Resume ends what Drain began.
func (o *OnDemand) Resume() { o.conditions.drain(false) }

// Draining reports whether the instance is draining.
func (o *OnDemand) Draining() bool { return o.conditions.draining.Load() }
