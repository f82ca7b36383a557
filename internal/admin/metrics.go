package admin

import (
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"hale/internal/check"
)

// Metrics counts what hale does and shows it to Prometheus. It is a
// [monitor.Observer]; its counting methods are cheap and never block for long.
type Metrics struct {
	late    prometheus.Histogram
	answers sync.Map // status code → *atomic.Uint64
	drops   sync.Map // reason → *atomic.Uint64

	mu     sync.Mutex
	checks map[string]*tally
}

// A tally counts the runs of one check.
type tally struct {
	kind    string
	runs    map[check.Reason]uint64
	took    float64 // seconds, all runs
	count   uint64
	skipped uint64
}

// NewMetrics makes metrics that have counted nothing. The statuses are those of
// the verdicts: they are shown from the start, as a rate sees nothing of the first
// answer that makes its counter.
func NewMetrics(statuses ...int) *Metrics {
	m := &Metrics{
		checks: map[string]*tally{},
		late: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "hale_check_late_seconds",
			Help:    "How much later than due runs started.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}),
	}
	for _, status := range statuses {
		m.answers.LoadOrStore(status, new(atomic.Uint64))
	}
	return m
}

// Ran counts a run.
func (m *Metrics) Ran(c *check.Check, r check.Result, late time.Duration) {
	m.late.Observe(late.Seconds())
	m.mu.Lock()
	defer m.mu.Unlock()
	t := m.tally(c)
	t.runs[r.Reason()]++
	t.took += r.Took.Seconds()
	t.count++
}

// Skipped counts a run that was due while the last one was still going.
func (m *Metrics) Skipped(c *check.Check) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.tally(c).skipped++
}

// tally returns the check's tally. One of another kind under the same name
// starts anew.
func (m *Metrics) tally(c *check.Check) *tally {
	t := m.checks[c.Name]
	if t == nil || t.kind != c.Kind {
		t = &tally{kind: c.Kind, runs: map[check.Reason]uint64{}}
		m.checks[c.Name] = t
	}
	return t
}

// Answered counts an answer of the public listener.
func (m *Metrics) Answered(status int) { count(&m.answers, status) }

// Dropped counts a connection that got no answer.
func (m *Metrics) Dropped(reason string) { count(&m.drops, reason) }

func count(counts *sync.Map, key any) {
	n, ok := counts.Load(key)
	if !ok {
		n, _ = counts.LoadOrStore(key, new(atomic.Uint64))
	}
	n.(*atomic.Uint64).Add(1)
}

// Handler serves the metrics together with what the source says at the time.
func (m *Metrics) Handler(source Source, info Info) http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		m.late,
		&collector{metrics: m, source: source, info: info},
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
}
