package monitor

import (
	"context"
	"time"

	"hale/internal/check"
)

// start starts a run of the entry that was due at the given time, or queues it
// when its pool is full. The caller holds the mutex.
func (m *Monitor) start(e *entry, due time.Time) {
	e.running = true
	e.again = false
	p := m.pools[e.check.Load().Pool]
	if p != nil && p.active >= p.limit {
		e.waiting.Store(due.UnixNano())
		p.queue = append(p.queue, e)
		e.started = due
		return
	}
	m.launch(e, p, due)
}

// launch runs the entry in a goroutine of its own. The caller holds the mutex.
func (m *Monitor) launch(e *entry, p *pool, due time.Time) {
	if p != nil {
		p.active++
	}
	now := time.Now()
	e.waiting.Store(0)
	e.run++
	e.started = now
	late := now.Sub(due)
	e.late.Store(int64(late))
	c, run, ctx := e.check.Load(), e.run, m.ctx
	m.runs.Go(func() { m.runOne(ctx, e, c, p, run, late) })
}

func (m *Monitor) runOne(ctx context.Context, e *entry, c *check.Check, p *pool, run uint64, late time.Duration) {
	guard := time.AfterFunc(c.Policy.Timeout+Grace, func() { m.overrun(e, run) })
	result := c.Run(ctx, func(value any, stack []byte) {
		m.log.Error("a check panicked", "check", e.name, "panic", value, "stack", string(stack))
	})
	guard.Stop()
	m.tell(m.finish(ctx, e, c, p, result, late))
}

// finish takes a run's result, unless it comes too late to count.
func (m *Monitor) finish(ctx context.Context, e *entry, c *check.Check, p *pool, r check.Result, late time.Duration) news {
	m.mu.Lock()
	defer m.mu.Unlock()
	wanted := ctx.Err() == nil && !e.stuck && !e.removed
	e.running, e.stuck = false, false
	var n news
	if wanted {
		n = m.believe(e, c, r)
		n.late = late
	}
	if e.again {
		e.again = false
		m.advance(e, e.started.Add(minGap))
	}
	if p != nil {
		m.release(p)
	}
	return n
}

// release gives a place in the pool to the next that waits for one.
func (m *Monitor) release(p *pool) {
	p.active--
	for len(p.queue) > 0 && m.ctx.Err() == nil {
		e := p.queue[0]
		p.queue[0] = nil
		p.queue = p.queue[1:]
		if e.removed {
			continue
		}
		m.launch(e, p, e.started)
		return
	}
}

// overrun takes a run that has not returned in time for a timeout. It stays in
// flight; no other run of the check starts before it returns.
func (m *Monitor) overrun(e *entry, run uint64) {
	m.mu.Lock()
	if e.run != run || !e.running || e.stuck || e.removed {
		m.mu.Unlock()
		return
	}
	e.stuck = true
	n := m.timedOut(e)
	m.mu.Unlock()
	m.log.Warn("a check does not return although its timeout is over", "check", e.name)
	m.tell(n)
}

// timedOut believes a timeout of the run in flight.
func (m *Monitor) timedOut(e *entry) news {
	c, now := e.check.Load(), time.Now()
	r := c.TimedOut(e.started, now)
	// A run that is stuck for long must not look like an old result.
	r.At, r.Took = now, 0
	return m.believe(e, c, r)
}

// skip counts a run that was due while the last one was still going. If that
// one is stuck, the skipped one is a timeout too.
func (m *Monitor) skip(e *entry) news {
	e.skipped.Add(1)
	n := news{check: e.check.Load()}
	if e.stuck {
		n = m.timedOut(e)
	}
	n.skipped = true
	return n
}

// believe updates the entry's state with a result and sees to what follows.
// The caller holds the mutex.
func (m *Monitor) believe(e *entry, c *check.Check, r check.Result) news {
	old := *e.state.Load()
	next := old.Next(r, c.Policy)
	e.state.Store(&next)
	e.runs.Add(1)
	n := news{check: c, ran: true, before: old.Believed(r.At.Add(r.Took), c.Policy), state: next}
	// Who looked before the new state was there may have found the old one stale,
	// even if the run had ended before it was.
	seenStale := old.Stale(time.Now(), c.Policy)
	if n.before != next.Status || old.Degraded() != next.Degraded() || seenStale {
		m.changed()
	}
	if next.Pending() {
		m.advance(e, e.started.Add(c.Policy.Recheck))
	}
	return n
}
