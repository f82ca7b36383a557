package main

import (
	"context"
	"fmt"
	"time"

	"hale/internal/admin"
)

// runFirst takes the time from the start of the process to the first 200, and
// looks at how the first runs were spread.
func runFirst(ctx context.Context, b *bench) error {
	target, err := b.startNginx(ctx, 8)
	if err != nil {
		return err
	}
	defer target.stop()
	set := checkSet{name: "c", policy: policy{interval: 10 * time.Second}, urls: target.urls(b.plan.firstTargets)}
	var took, begins, span, most []float64
	for round := range b.plan.firstRounds {
		one, err := b.measureFirst(ctx, set)
		if err != nil {
			return err
		}
		took = append(took, inMilliseconds(one.ready))
		begins = append(begins, inMilliseconds(one.begins))
		span = append(span, inMilliseconds(one.span))
		most = append(most, float64(one.densest))
		b.progress("first %d/%d: %v", round+1, b.plan.firstRounds, one.ready)
	}
	b.printf("%s HTTP checks, from starting the process to the first 200 of `/readyz`, which is asked every 2 ms; %s; medians (least–most).\n\n",
		thousands(int64(b.plan.firstTargets)), several(b.plan.firstRounds, "round"))
	var t table
	t.row("", "")
	t.row("first verdict, ms", spread(took))
	t.row("the first check starts after, ms", spread(begins))
	t.row("from the first check's start to the last one's, ms", spread(span))
	t.row("checks started in any 10 ms, most", spread(most))
	b.printf("%s", t)
	b.goal("at most 1,000 ms", number(median(took))+" ms", median(took) <= 1000)
	// If the starts were spread at random over half a second, 10 ms would have
	// 20 of 1,000, and hardly ever more than twice as many.
	share := median(most) / float64(b.plan.firstTargets)
	b.goal("no burst: at most 5 % of the checks start in any 10 ms", number(100*share)+" %", share <= 0.05)
	return nil
}

// A firstVerdict is one start of hale.
type firstVerdict struct {
	ready, begins, span time.Duration
	densest             int
}

func (b *bench) measureFirst(ctx context.Context, set checkSet) (one firstVerdict, err error) {
	h, err := b.startHale(set)
	if err != nil {
		return one, err
	}
	defer h.stop()
	if one.ready, err = h.waitReady(ctx, 2*time.Millisecond, 30*time.Second); err != nil {
		return one, err
	}
	s, err := h.status(ctx)
	if err != nil {
		return one, err
	}
	stamps, err := firstStamps(s, len(set.urls))
	if err != nil {
		return one, err
	}
	first, last := stamps[0], stamps[0]
	for _, at := range stamps {
		if at.Before(first) {
			first = at
		}
		if at.After(last) {
			last = at
		}
	}
	one.begins, one.span, one.densest = first.Sub(h.begun), last.Sub(first), densest(stamps, 10*time.Millisecond)
	return one, nil
}

// firstStamps returns when the checks started, each of which has run once.
func firstStamps(s admin.Status, want int) ([]time.Time, error) {
	var stamps []time.Time
	for _, c := range s.Checks {
		if c.Runs != 1 || c.Last == nil || !c.Last.Healthy {
			return nil, fmt.Errorf("check %s has run %d times: %+v; one healthy run was expected", c.Name, c.Runs, c.Last)
		}
		stamps = append(stamps, c.Last.At)
	}
	if len(stamps) != want {
		return nil, fmt.Errorf("%d checks have run, not %d", len(stamps), want)
	}
	return stamps, nil
}
