package agent

import (
	"context"
	"iter"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"

	"hale/internal/check"
	"hale/internal/monitor"
	"hale/internal/verdict"
)

// OnDemand runs the checks of a group when it is asked for its outcome.
// Requests at the same time share its run, and a check that several groups have
// is run for all of them once. An answer takes at most the longest timeout of the group's checks, and a
// little; a run that got no place in its pool in that time is taken for a
// timeout. A single result decides: rise and fall are for checks that run by
// themselves.
type OnDemand struct {
	log        *slog.Logger
	observer   monitor.Observer
	unshared   bool
	pools      map[string]chan struct{}
	set        atomic.Pointer[set]
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
	// Pools bounds how many runs of a pool go on at once. A pool that is not
	// named has no bound.
	Pools map[string]int
	// Unshared gives each request runs of its own.
	Unshared bool
}

// A set is the checks of a moment.
type set struct {
	checks []*check.Check // sorted by name
	groups []string
}

// NewOnDemand makes an on-demand agent for the checks.
func NewOnDemand(checks []*check.Check, options OnDemandOptions) *OnDemand {
	o := &OnDemand{
		log: options.Log, observer: options.Observer, unshared: options.Unshared,
		conditions: newConditions(options.Log), views: map[string]monitor.View{}, pools: map[string]chan struct{}{},
	}
	for name, limit := range options.Pools {
		o.pools[name] = make(chan struct{}, limit)
	}
	o.Set(checks)
	o.ctx, o.stop = context.WithCancel(context.Background())
	return o
}

// Set replaces the set of checks. One that was there before under the same name
// and ID keeps what is known of it, and its Checker.
func (o *OnDemand) Set(checks []*check.Check) {
	o.mu.Lock()
	defer o.mu.Unlock()
	views := make(map[string]monitor.View, len(checks))
	var kept []*check.Check
	for _, c := range checks {
		view := monitor.View{Check: c, Ageless: true}
		if old, ok := o.views[c.Name]; ok && old.Check.ID == c.ID {
			same := *c
			same.Checker = old.Check.Checker
			view, c = old, &same
			view.Check = c
		}
		views[c.Name] = view
		kept = append(kept, c)
	}
	slices.SortFunc(kept, func(a, b *check.Check) int { return strings.Compare(a.Name, b.Name) })
	o.views = views
	o.set.Store(&set{kept, groupNames(kept)})
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
	_, ok = slices.BinarySearch(o.set.Load().groups, group)
	if !ok || o.drained(group) {
		return verdict.Fail, ok
	}
	outcome, ok = o.AnswerUndrained(ctx, group)
	if o.drained(group) { // since the checks have run
		outcome = verdict.Fail
	}
	return outcome, ok
}

// drained reports whether a group fails because the instance is draining.
func (o *OnDemand) drained(group string) bool {
	started := group == check.GroupStartup && o.conditions.started.Load()
	return o.Draining() && group != check.GroupLive && !started
}

// AnswerUndrained is Answer as if the instance were not draining.
func (o *OnDemand) AnswerUndrained(ctx context.Context, group string) (outcome verdict.Outcome, ok bool) {
	if !slices.Contains(o.set.Load().groups, group) {
		return verdict.Fail, false
	}
	switch {
	case group == check.GroupStartup && o.conditions.started.Load():
		return verdict.Pass, true
	case group == check.GroupStartup:
		if outcome := o.share(ctx, check.GroupReady); !outcome.OK() {
			return outcome, true
		}
		return verdict.Pass, true
	default:
		return o.share(ctx, group), true
	}
}

// share asks for a group's outcome, or joins who is asking for it already, so
// that all of a moment's requests get the same answer, however fast some of the
// checks are.
func (o *OnDemand) share(ctx context.Context, group string) verdict.Outcome {
	if o.unshared {
		return o.ask(ctx, group)
	}
	asking := o.flights.DoChan("group "+group, func() (any, error) { return o.ask(o.ctx, group), nil })
	select {
	case done := <-asking:
		return done.Val.(verdict.Outcome)
	case <-ctx.Done():
		return verdict.Fail
	}
}

// ask runs the group's checks, or joins those in flight, and judges the results.
func (o *OnDemand) ask(ctx context.Context, group string) verdict.Outcome {
	var members []*check.Check
	var slowest time.Duration
	for _, c := range o.set.Load().checks {
		if c.In(group) {
			members = append(members, c)
			slowest = max(slowest, c.Policy.Timeout)
		}
	}
	asked := time.Now()
	waiting, cancel := context.WithTimeout(ctx, slowest+monitor.Grace)
	defer cancel()
	runs := make([]<-chan singleflight.Result, len(members))
	for i, c := range members {
		runs[i] = o.start(waiting, c)
	}
	states := make(map[*check.Check]check.State, len(members))
	for i, c := range members {
		result, ok := await(waiting, runs[i])
		if !ok && ctx.Err() != nil {
			return verdict.Fail // nobody waits for the answer any more
		}
		if !ok {
			result = c.TimedOut(asked, time.Now())
		}
		states[c] = check.State{}.Next(result, c.Policy)
	}
	// A result is as good when the slowest has come as when it came itself.
	now := time.Now()
	for c, state := range states {
		state.Last.At = now
		states[c] = state
	}
	outcome, _ := verdict.Decide(group, maps.All(states), verdict.Conditions{Started: o.conditions.started.Load()}, now)
	if group == check.GroupReady && outcome.OK() {
		o.conditions.hasPassed()
	}
	return outcome
}

// await waits for a run's result. One that is there counts, even when the time
// for it passed while another run was waited for.
func await(ctx context.Context, run <-chan singleflight.Result) (r check.Result, ok bool) {
	select {
	case done := <-run:
		return done.Val.(check.Result), true
	case <-ctx.Done():
	}
	select {
	case done := <-run:
		return done.Val.(check.Result), true
	default:
		return r, false
	}
}

// start starts a run of a check, or joins the one in flight. A shared run
// outlives who asked for it; another waits for its place in the pool only as
// long as ctx allows.
func (o *OnDemand) start(ctx context.Context, c *check.Check) <-chan singleflight.Result {
	if !o.unshared {
		return o.flights.DoChan("check "+c.Name+" "+c.ID, func() (any, error) { return o.run(o.ctx, c), nil })
	}
	done := make(chan singleflight.Result, 1)
	go func() { done <- singleflight.Result{Val: o.run(ctx, c)} }()
	return done
}

// run runs a check when its pool has a place for it, unless waiting or the
// agent ends first.
func (o *OnDemand) run(waiting context.Context, c *check.Check) check.Result {
	asked := time.Now()
	o.mu.Lock()
	if o.closed {
		o.mu.Unlock()
		return c.TimedOut(asked, asked)
	}
	o.runs.Add(1)
	o.mu.Unlock()
	defer o.runs.Done()
	if pool := o.pools[c.Pool]; pool != nil {
		select {
		case pool <- struct{}{}:
			defer func() { <-pool }()
		case <-waiting.Done():
			return c.TimedOut(asked, time.Now())
		case <-o.ctx.Done():
			return c.TimedOut(asked, time.Now())
		}
	}
	waited := time.Since(asked)
	result := monitor.Once(o.ctx, []*check.Check{c}, monitor.Grace, func(c *check.Check, value any, stack []byte) {
		o.log.Error("a check panicked", "check", c.Name, "panic", value, "stack", string(stack))
	})[0]
	o.keep(c, result, waited)
	return result
}

// keep stores a result for who looks at the status, and logs a change.
func (o *OnDemand) keep(c *check.Check, r check.Result, waited time.Duration) {
	o.mu.Lock()
	view, ok := o.views[c.Name]
	if !ok || view.Check.ID != c.ID {
		o.mu.Unlock()
		return // it is no longer wanted
	}
	before := view.State
	view.State = before.Next(r, instant(c.Policy))
	view.Runs++
	o.views[c.Name] = view
	o.mu.Unlock()
	monitor.LogChange(o.log, c, before.Status, view.State)
	if o.observer != nil {
		o.observer.Ran(c, r, waited)
	}
}

// instant is the policy by which a single result decides, and does not age
// until the next.
func instant(p check.Policy) check.Policy {
	p.Fall, p.Rise, p.Interval = 1, 1, ageless
	return p
}

// ageless is an interval in which no result goes stale.
const ageless = 50 * 365 * 24 * time.Hour

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
	if !slices.Contains(o.set.Load().groups, group) {
		return verdict.Verdict{}, false
	}
	return verdict.Judge(group, o.members(), o.conditions.now(), time.Time{}), true
}

// Groups returns the names of all groups, sorted.
func (o *OnDemand) Groups() []string { return o.set.Load().groups }

// Views returns a view of every check with its last result.
func (o *OnDemand) Views() []monitor.View {
	o.mu.Lock()
	defer o.mu.Unlock()
	checks := o.set.Load().checks
	views := make([]monitor.View, len(checks))
	for i, c := range checks {
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
