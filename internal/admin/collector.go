package admin

import (
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"hale/internal/check"
	"hale/internal/monitor"
	"hale/internal/verdict"
)

// The metrics that are made when Prometheus asks.
var (
	descBuild    = desc("hale_build_info", "Always 1; the labels tell the version.", "version")
	descUp       = desc("hale_check_up", "Whether the check is believed up: 1 yes, 0 no (down, stale or unknown).", "check", "kind")
	descDegraded = desc("hale_check_degraded", "Whether the check is up with a reservation.", "check", "kind")
	descStale    = desc("hale_check_stale", "Whether the check's last result is too old to be believed.", "check", "kind")
	descLast     = desc("hale_check_last_run_timestamp_seconds", "When the check's last run started.", "check", "kind")
	descLastTook = desc("hale_check_last_run_duration_seconds", "How long the check's last run took.", "check", "kind")
	descTook     = desc("hale_check_duration_seconds", "How long the check's runs took.", "check", "kind")
	descRuns     = desc("hale_check_runs_total", "Runs of the check by the reason they failed for; ok is none.", "check", "kind", "reason")
	descSkipped  = desc("hale_check_skipped_total", "Runs that were due while the last one was still going.", "check", "kind")
	descWaiting  = desc("hale_checks_waiting", "Runs that are due and wait for a place in their pool.", "pool")
	descVerdict  = desc("hale_verdict", "Whether the group's verdict is this outcome: 1 yes, 0 no.", "group", "outcome")
	descDraining = desc("hale_draining", "Whether the instance is draining.")
	descAnswers  = desc("hale_answers_total", "Answers of the public listener by status code.", "code")
	descDrops    = desc("hale_dropped_connections_total", "Connections to the public listener that got no verdict, by reason.", "reason")
)

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, labels, nil)
}

// collector makes metrics of what is known at the time. Checks that no longer
// exist are forgotten.
type collector struct {
	metrics *Metrics
	source  Source
	info    Info
}

// Describe implements [prometheus.Collector].
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		descBuild, descUp, descDegraded, descStale, descLast, descLastTook, descTook,
		descRuns, descSkipped, descWaiting, descVerdict, descDraining, descAnswers, descDrops,
	} {
		ch <- d
	}
}

// Collect implements [prometheus.Collector].
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	gauge(descBuild, 1, c.info.Version)
	gauge(descDraining, number(c.source.Draining()))
	for _, group := range c.source.Groups() {
		v, _ := c.source.Verdict(group)
		for _, outcome := range []verdict.Outcome{verdict.Pass, verdict.Degraded, verdict.Fail} {
			gauge(descVerdict, number(v.Outcome == outcome), group, outcome.String())
		}
	}
	now := time.Now()
	views := c.source.Views()
	waiting := map[string]float64{}
	for _, v := range views {
		if v.Check.Pool != "" {
			waiting[v.Check.Pool] += number(v.Waiting)
		}
		name, kind := v.Check.Name, v.Check.Kind
		gauge(descUp, number(v.Believed(now) == check.Up), name, kind)
		gauge(descDegraded, number(v.State.Degraded()), name, kind)
		gauge(descStale, number(v.Stale(now)), name, kind)
		if v.State.Status != check.Unknown {
			gauge(descLast, float64(v.State.Last.At.UnixMilli())/1000, name, kind)
			gauge(descLastTook, v.State.Last.Took.Seconds(), name, kind)
		}
	}
	for pool, n := range waiting {
		gauge(descWaiting, n, pool)
	}
	c.collectTallies(ch, views)
	collectCounts(ch, descAnswers, &c.metrics.answers)
	collectCounts(ch, descDrops, &c.metrics.drops)
}

func (c *collector) collectTallies(ch chan<- prometheus.Metric, views []monitor.View) {
	m := c.metrics
	m.mu.Lock()
	defer m.mu.Unlock()
	known := make(map[string]*tally, len(views))
	for _, v := range views {
		name, kind := v.Check.Name, v.Check.Kind
		t := m.tally(v.Check)
		known[name] = t
		for reason, n := range t.runs {
			label := string(reason)
			if reason == check.ReasonNone {
				label = "ok"
			}
			ch <- prometheus.MustNewConstMetric(descRuns, prometheus.CounterValue, float64(n), name, kind, label)
		}
		ch <- prometheus.MustNewConstMetric(descSkipped, prometheus.CounterValue, float64(t.skipped), name, kind)
		ch <- prometheus.MustNewConstSummary(descTook, t.count, t.took, nil, name, kind)
	}
	m.checks = known
}

func collectCounts(ch chan<- prometheus.Metric, d *prometheus.Desc, counts *sync.Map) {
	counts.Range(func(key, n any) bool {
		label, ok := key.(string)
		if !ok {
			label = strconv.Itoa(key.(int))
		}
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n.(*atomic.Uint64).Load()), label)
		return true
	})
}

func number(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
