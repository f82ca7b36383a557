// Package monitor decides when checks run and keeps what is believed of them.
// It is the only owner of goroutines that run checks.
//
// One scheduler goroutine holds a heap of due times. Each check has a stable
// phase in its interval, from a hash of its name, so that checks do not burst
// together; first runs come at once, but spread. A check never runs twice at
// the same time: a run that is due while the last one is still going is skipped
// and counted. What is believed is read without waiting for any check.
package monitor

import (
	"container/heap"
	"context"
	"iter"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"hale/internal/check"
)

// Grace is how much longer than its timeout a run may take before the monitor
// stops waiting for it and takes it for a timeout.
const Grace = 500 * time.Millisecond

// An Observer is told what the monitor does. Its methods are called from the
// goroutines that run checks, several at once, and must not block.
type Observer interface {
	// Ran is called after each run, with how much later than due it started.
	Ran(c *check.Check, r check.Result, late time.Duration)
	// Skipped is called when a due run is skipped because the last one is still
	// going.
	Skipped(c *check.Check)
}

// Options are what a Monitor needs. The zero value is usable.
type Options struct {
	// Log takes changes at info and single runs at debug. Nil is silent.
	Log *slog.Logger
	// Observer may be nil.
	Observer Observer
	// Pools bounds how many runs of a pool go on at once. A pool that is not
	// named here is not bounded.
	Pools map[string]int
}

// A Monitor runs checks and keeps their states. All methods may be called from
// any goroutine.
type Monitor struct {
	log      *slog.Logger
	observer Observer
	base     time.Time // the schedule's origin

	version atomic.Uint64
	changes chan struct{}
	order   atomic.Pointer[[]*entry] // sorted by name, for readers

	mu      sync.Mutex
	ctx     context.Context // of Run; nil before
	entries map[string]*entry
	due     dueHeap
	pools   map[string]*pool
	wake    chan struct{}
	runs    sync.WaitGroup
}

// New makes a monitor without checks.
func New(o Options) *Monitor {
	m := &Monitor{
		log:      o.Log,
		observer: o.Observer,
		base:     time.Now(),
		changes:  make(chan struct{}, 1),
		entries:  map[string]*entry{},
		pools:    map[string]*pool{},
		wake:     make(chan struct{}, 1),
	}
	if m.log == nil {
		m.log = slog.New(slog.DiscardHandler)
	}
	for name, limit := range o.Pools {
		m.pools[name] = &pool{limit: limit}
	}
	m.order.Store(&[]*entry{})
	return m
}

// Version changes whenever a status, a reservation, or the set of checks
// changes. A verdict made at one version holds until the next, but for results
// going stale.
func (m *Monitor) Version() uint64 { return m.version.Load() }

// Changes receives a value after the version has changed; several changes may
// share one.
func (m *Monitor) Changes() <-chan struct{} { return m.changes }

// All yields every check with what is believed of it, in the order of names.
// It does not block.
func (m *Monitor) All() iter.Seq2[*check.Check, check.State] {
	return func(yield func(*check.Check, check.State) bool) {
		for _, e := range *m.order.Load() {
			if !yield(e.check.Load(), *e.state.Load()) {
				return
			}
		}
	}
}

// A View is what there is to know of a check at a moment.
type View struct {
	Check *check.Check
	State check.State
	// Runs and Skipped count since the check was set.
	Runs, Skipped uint64
	// Late is how much later than due the last run started; while one waits, how
	// long that has been.
	Late time.Duration
	// Waiting is true while a due run waits for a place in its pool.
	Waiting bool
	// Ageless is true when the result counts however old it is, because runs
	// are made on demand.
	Ageless bool
}

// Stale reports whether the last result is too old at now to be believed.
func (v View) Stale(now time.Time) bool { return !v.Ageless && v.State.Stale(now, v.Check.Policy) }

// Since is since when [View.Believed] is what it is at now; zero while unknown.
func (v View) Since(now time.Time) time.Time {
	if v.Ageless {
		return v.State.Since
	}
	return v.State.BelievedSince(now, v.Check.Policy)
}

// Believed is the status at now: down when stale.
func (v View) Believed(now time.Time) check.Status {
	if v.Stale(now) {
		return check.Down
	}
	return v.State.Status
}

// Views returns a view of every check, in the order of names.
func (m *Monitor) Views() []View {
	order := *m.order.Load()
	views := make([]View, len(order))
	for i, e := range order {
		views[i] = View{
			Check: e.check.Load(), State: *e.state.Load(),
			Runs: e.runs.Load(), Skipped: e.skipped.Load(),
			Late: time.Duration(e.late.Load()),
		}
		if due := e.waiting.Load(); due != 0 {
			views[i].Waiting, views[i].Late = true, time.Since(time.Unix(0, due))
		}
	}
	return views
}

// Set replaces the set of checks, whose names must be unique. A check that was
// there before under the same name and ID keeps its state and its Checker,
// whatever its policy, impact and groups are now; one that was there under
// another name keeps its state, and one that succeeds another (see
// [check.Check]) takes over that it was up. A run in flight of a check that is
// no longer wanted goes on to its end, and its result is dropped.
func (m *Monitor) Set(checks []*check.Check) {
	m.mu.Lock()
	defer m.mu.Unlock()
	wanted := make(map[string]bool, len(checks))
	ids := make(map[string]string, len(checks))
	for _, c := range checks {
		wanted[c.Name] = true
		ids[c.Name] = c.ID
	}
	renamed := map[string]*entry{} // by ID: those that leave their names
	for name, e := range m.entries {
		if id := e.check.Load().ID; ids[name] != id {
			renamed[id] = e
		}
	}
	var added []*entry
	for _, c := range checks {
		old := m.entries[c.Name]
		if old != nil && old.check.Load().ID == c.ID {
			m.update(old, c)
			continue
		}
		if old != nil {
			m.remove(old)
		}
		e := newEntry(c)
		before := renamed[c.ID]
		if old != nil && old.check.Load().ID == c.Succeeds && old.state.Load().Status == check.Up {
			before = old
		}
		if before != nil {
			e.state.Store(before.state.Load())
		}
		m.entries[c.Name] = e
		added = append(added, e)
	}
	for name, e := range m.entries {
		if !wanted[name] {
			m.remove(e)
			delete(m.entries, name)
		}
	}
	order := make([]*entry, 0, len(m.entries))
	for _, e := range m.entries {
		order = append(order, e)
	}
	slices.SortFunc(order, func(a, b *entry) int { return strings.Compare(a.name, b.name) })
	m.order.Store(&order)
	m.scheduleFirst(added, time.Now())
	for _, e := range added {
		m.watch(e)
	}
	m.changed()
	m.poke()
}

// update gives an entry its check's new policy, impact and groups.
func (m *Monitor) update(e *entry, c *check.Check) {
	kept := *c
	kept.Checker = e.check.Load().Checker
	old := e.check.Swap(&kept)
	if old.Policy != c.Policy {
		m.reschedule(e, m.nextDue(e, time.Now().Add(-c.Policy.Interval/10)))
	}
}

func (m *Monitor) remove(e *entry) {
	e.removed = true
	if e.index >= 0 {
		heap.Remove(&m.due, e.index)
	}
	if e.stopWatch != nil {
		e.stopWatch()
	}
}

// changed announces that verdicts may have changed.
func (m *Monitor) changed() {
	m.version.Add(1)
	select {
	case m.changes <- struct{}{}:
	default:
	}
}

// poke makes the scheduler look at the heap again.
func (m *Monitor) poke() {
	select {
	case m.wake <- struct{}{}:
	default:
	}
}
