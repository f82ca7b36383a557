package monitor

import (
	"container/heap"
	"context"
	"time"
)

// firstGap is the time between two first runs. It spreads a thousand of them
// over half a second.
const firstGap = 500 * time.Microsecond

// maxOverlap is how long a due run may wait for the end of the one in flight.
const maxOverlap = 100 * time.Millisecond

// minGap is the least time between two runs that a watcher asks for, however
// often it calls.
const minGap = 50 * time.Millisecond

// Run runs the checks until ctx ends, then gives up the runs in flight, waits
// for them and returns. A run whose Checker does not return although its
// context has ended is not waited for longer than the grace.
func (m *Monitor) Run(ctx context.Context) {
	m.mu.Lock()
	m.ctx = ctx
	for _, e := range m.entries {
		m.watch(e)
	}
	m.mu.Unlock()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil {
		if wait, ok := m.startDue(time.Now()); ok {
			timer.Reset(wait)
		}
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-m.wake:
		}
	}
	m.waitForRuns()
}

// waitForRuns waits for every run in flight, but not for ever for one that
// is stuck.
func (m *Monitor) waitForRuns() {
	done := make(chan struct{})
	go func() {
		m.runs.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(Grace):
		m.log.Warn("some checks are stuck and were not waited for")
	}
}

// startDue starts what is due and returns how long it is until the next; ok is
// false when nothing is scheduled.
func (m *Monitor) startDue(now time.Time) (wait time.Duration, ok bool) {
	var news []news
	defer func() { m.tell(news...) }()
	m.mu.Lock()
	defer m.mu.Unlock()
	for len(m.due) > 0 {
		e := m.due[0]
		if wait := e.due.Sub(now); wait > 0 {
			return wait, true
		}
		due := e.due
		e.due = m.nextDue(e, now)
		heap.Fix(&m.due, 0)
		if e.running && m.ends(e, now) {
			e.again = true
			continue
		}
		if e.running {
			news = append(news, m.skip(e))
			continue
		}
		m.start(e, due)
	}
	return 0, false
}

// ends reports whether the run in flight is about to be over, since its timeout
// is. With a timeout as long as the interval, the next run is due at that moment:
// it waits a little, where a skip would make a hanging target run half as often.
func (m *Monitor) ends(e *entry, now time.Time) bool {
	left := e.started.Add(e.check.Load().Policy.Timeout).Sub(now)
	return !e.stuck && e.waiting.Load() == 0 && left <= maxOverlap
}

// nextDue is the entry's next place in the schedule after a run that started
// at the given time: the first that is at least a tenth of an interval later.
// So a run off the schedule (the first one, a recheck) is followed by the next
// within little more than an interval, never by one at once.
func (m *Monitor) nextDue(e *entry, started time.Time) time.Time {
	interval := e.check.Load().Policy.Interval
	after := started.Add(interval / 10)
	origin := m.base.Add(e.fraction(interval))
	periods := after.Sub(origin) / interval
	if after.After(origin) {
		periods++
	}
	return origin.Add(periods * interval)
}

// scheduleFirst gives new entries their first due time: at once, but spread.
func (m *Monitor) scheduleFirst(added []*entry, now time.Time) {
	window := time.Duration(len(added)) * firstGap
	for _, e := range added {
		span := min(window, e.check.Load().Policy.Interval)
		e.due = now.Add(e.fraction(span))
		heap.Push(&m.due, e)
	}
}

// reschedule moves an entry's due time. The caller pokes the scheduler, unless
// it is the scheduler.
func (m *Monitor) reschedule(e *entry, due time.Time) {
	if e.removed {
		return
	}
	e.due = due
	heap.Fix(&m.due, e.index)
}

// watch starts the entry's watcher, if it has one and the monitor runs.
func (m *Monitor) watch(e *entry) {
	watcher := watcherOf(e)
	if watcher == nil || m.ctx == nil || e.stopWatch != nil {
		return
	}
	ctx, cancel := context.WithCancel(m.ctx)
	e.stopWatch = cancel
	m.runs.Go(func() {
		defer cancel()
		for {
			err := watcher.Watch(ctx, func() { m.trigger(e) })
			if ctx.Err() != nil {
				return
			}
			m.log.Debug("watching ended, the check runs at its interval until the next try", "check", e.name, "error", err)
			select {
			case <-ctx.Done():
				return
			case <-time.After(e.check.Load().Policy.Interval):
			}
		}
	})
}

// trigger makes the entry run as soon as it may.
func (m *Monitor) trigger(e *entry) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e.running {
		e.again = true
		return
	}
	m.advance(e, e.started.Add(minGap))
}

// advance brings the entry's due time forward to t, or to now if t is past.
func (m *Monitor) advance(e *entry, t time.Time) {
	if now := time.Now(); t.Before(now) {
		t = now
	}
	if !e.removed && t.Before(e.due) {
		m.reschedule(e, t)
		m.poke()
	}
}
