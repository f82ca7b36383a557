package main

import (
	"context"
	"math"
	"slices"
	"time"
)

// runLate takes how much later than due the runs of many checks start.
func runLate(ctx context.Context, b *bench) error {
	l, err := b.load(ctx, b.plan.lateLoad)
	if err != nil {
		return err
	}
	late := l.after.late.since(l.before.late)
	timer := make([]float64, 0, len(l.timer))
	for _, d := range l.timer {
		timer = append(timer, inMilliseconds(d))
	}
	b.printf("%s HTTP checks every %v; in milliseconds. The histogram of `/metrics` has every run of %v, interpolated in its buckets, and for the most late the bound of its bucket. "+
		"The last runs, one of each check, are exact, from `/api/v1/status`. The bare timer is one of this program in the same time, due every 10 ms: "+
		"it shows how idle the machine was.\n\n",
		thousands(int64(l.targets)), b.plan.interval, l.span.Round(time.Second))
	var t table
	t.row("", "how many", "p50", "p99", "the latest")
	t.row("all runs, histogram", thousands(int64(late[len(late)-1].count)),
		number(1000*late.quantile(0.5)), number(1000*late.quantile(0.99)), "≤ "+number(1000*late.bound(1)))
	t.row("last runs, exact", thousands(int64(len(l.lateness))),
		number(1000*quantile(l.lateness, 0.5)), number(1000*quantile(l.lateness, 0.99)), number(1000*slices.Max(l.lateness)))
	t.row("bare timer", thousands(int64(len(timer))),
		number(quantile(timer, 0.5)), number(quantile(timer, 0.99)), number(slices.Max(timer)))
	b.printf("%s", t)
	p99 := 1000 * late.quantile(0.99)
	b.goal("a p99 of at most 50 ms on an idle machine", number(p99)+" ms", !math.IsNaN(p99) && p99 <= 50)
	b.printf("Failed or skipped runs: %s.\n", failures(l.before, l.after))
	return nil
}
