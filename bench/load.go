package main

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// A load is what hale costs with so many HTTP checks in the background.
type load struct {
	targets       int
	before, after scrape
	span          time.Duration // between the scrapes
	// cores is, by window, how many cores hale kept busy.
	cores  []float64
	system float64 // the share of CPU time in the kernel; NaN if there was too little
	// memory is before metrics were asked for the first time, scraped after
	// they were asked for.
	memory, scraped memory
	// lateness is, by check, that of the last run in seconds.
	lateness []float64
	// timer is by how much a bare timer of bench was late meanwhile.
	timer []time.Duration
}

// perSecond is the rate of runs.
func (l *load) perSecond() float64 {
	return (l.after.allRuns() - l.before.allRuns()) / l.span.Seconds()
}

// cost is, by window, the CPU time of a run in milliseconds.
func (l *load) cost() []float64 {
	var out []float64
	for _, cores := range l.cores {
		out = append(out, 1000*cores/l.perSecond())
	}
	return out
}

// load returns what hale costs with so many targets, measured now if it was not
// before.
func (b *bench) load(ctx context.Context, targets int) (*load, error) {
	if l := b.loads[targets]; l != nil {
		return l, nil
	}
	nginx, err := b.startNginx(ctx, 8)
	if err != nil {
		return nil, err
	}
	defer nginx.stop()
	h, err := b.startHale(checkSet{name: "c", policy: policy{interval: b.plan.interval}, urls: nginx.urls(targets)})
	if err != nil {
		return nil, err
	}
	defer h.stop()
	if _, err := h.waitReady(ctx, 20*time.Millisecond, 60*time.Second); err != nil {
		return nil, err
	}
	l := &load{targets: targets}
	if err := l.warmUp(ctx, h, b.plan.interval); err != nil {
		return nil, err
	}
	if err := l.measure(ctx, h, b.plan); err != nil {
		return nil, err
	}
	b.loads[targets] = l
	b.progress("load of %d: %.1f runs/s, %s ms each, %s MB", targets, l.perSecond(), number(median(l.cost())), number(inMegabytes(l.memory.rss)))
	return l, nil
}

// warmUp lets every check run once more, and takes the memory towards the end.
func (l *load) warmUp(ctx context.Context, h *hale, interval time.Duration) error {
	const readings = 5
	if err := sleep(ctx, interval/2); err != nil {
		return err
	}
	var taken []memory
	for range readings {
		if err := sleep(ctx, interval/2/readings); err != nil {
			return err
		}
		m, err := readMemory(h.pid)
		if err != nil {
			return err
		}
		taken = append(taken, m)
	}
	slices.SortFunc(taken, func(a, b memory) int { return int(int64(a.rss) - int64(b.rss)) })
	l.memory = taken[readings/2]
	return nil
}

// measure takes the CPU time over the windows, and the runs, from the metrics,
// from just before the first to just after the last. The metrics cost CPU time
// themselves, which is left out; the rates take care of the difference in time.
func (l *load) measure(ctx context.Context, h *hale, p plan) error {
	asked := time.Now()
	before, err := h.metrics(ctx)
	if err != nil {
		return err
	}
	stopTimer := watchTimer(&l.timer)
	err = l.windows(ctx, h, p)
	stopTimer()
	if err != nil {
		return err
	}
	l.span = time.Since(asked)
	after, err := h.metrics(ctx)
	if err != nil {
		return err
	}
	if l.scraped, err = readMemory(h.pid); err != nil {
		return err
	}
	s, err := h.status(ctx)
	if err != nil {
		return err
	}
	for _, c := range s.Checks {
		l.lateness = append(l.lateness, c.Late)
	}
	if l.before, err = parseMetrics(before); err != nil {
		return err
	}
	if l.after, err = parseMetrics(after); err != nil {
		return err
	}
	if rate, want := l.perSecond(), float64(l.targets)/p.interval.Seconds(); rate < 0.9*want || rate > 1.1*want {
		return fmt.Errorf("hale made %.1f runs a second; %d targets every %v make %.1f", rate, l.targets, p.interval, want)
	}
	return nil
}

// windows takes the CPU time over windows of one interval, in each of which
// every check runs once.
func (l *load) windows(ctx context.Context, h *hale, p plan) error {
	first, err := readTicks(h.pid)
	if err != nil {
		return err
	}
	for range p.windowsFor(l.targets) {
		begin, cpu := time.Now(), cpuTime(h.pid)
		if err := sleep(ctx, p.interval); err != nil {
			return err
		}
		l.cores = append(l.cores, (cpuTime(h.pid)-cpu).Seconds()/time.Since(begin).Seconds())
	}
	last, err := readTicks(h.pid)
	if err != nil {
		return err
	}
	user, system := float64(last.user-first.user), float64(last.system-first.system)
	l.system = system / (user + system)
	return nil
}

// watchTimer notes by how much a timer of 10 ms is late, until stop is called.
// It tells how idle the machine was: hale's runs can't be more punctual.
func watchTimer(late *[]time.Duration) (stop func()) {
	end, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			due := time.Now().Add(10 * time.Millisecond)
			select {
			case <-end:
				return
			case <-time.After(time.Until(due)):
				*late = append(*late, time.Since(due))
			}
		}
	}()
	return func() {
		close(end)
		<-done
	}
}
