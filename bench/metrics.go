package main

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// A scrape is what matters here of hale's metrics at a moment.
type scrape struct {
	runs    map[string]float64 // by reason; ok is none
	skipped float64
	late    histogram
	// settings of the Go runtime in hale
	gogc, memoryLimit, maxprocs float64
}

// parseMetrics reads metrics in the text format of Prometheus.
func parseMetrics(text []byte) (scrape, error) {
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(text))
	if err != nil {
		return scrape{}, fmt.Errorf("metrics: %w", err)
	}
	s := scrape{runs: map[string]float64{}}
	for _, m := range families["hale_check_runs_total"].GetMetric() {
		s.runs[label(m, "reason")] += m.GetCounter().GetValue()
	}
	for _, m := range families["hale_check_skipped_total"].GetMetric() {
		s.skipped += m.GetCounter().GetValue()
	}
	for _, m := range families["hale_check_late_seconds"].GetMetric() {
		for _, b := range m.GetHistogram().GetBucket() {
			s.late = append(s.late, bucket{most: b.GetUpperBound(), count: float64(b.GetCumulativeCount())})
		}
	}
	if len(s.runs) == 0 || len(s.late) == 0 {
		return s, errors.New("the metrics lack hale_check_runs_total or hale_check_late_seconds")
	}
	s.gogc = gauge(families["go_gc_gogc_percent"])
	s.memoryLimit = gauge(families["go_gc_gomemlimit_bytes"])
	s.maxprocs = gauge(families["go_sched_gomaxprocs_threads"])
	return s, nil
}

func label(m *dto.Metric, name string) string {
	for _, l := range m.GetLabel() {
		if l.GetName() == name {
			return l.GetValue()
		}
	}
	return ""
}

func gauge(f *dto.MetricFamily) float64 {
	for _, m := range f.GetMetric() {
		return m.GetGauge().GetValue()
	}
	return 0
}

// allRuns is the number of runs whatever came of them.
func (s scrape) allRuns() float64 {
	sum := 0.0
	for _, n := range s.runs {
		sum += n
	}
	return sum
}

// failures says which runs between two scrapes failed: "none" or how many for
// each reason.
func failures(before, after scrape) string {
	var parts []string
	for _, reason := range slices.Sorted(maps.Keys(after.runs)) {
		if n := after.runs[reason] - before.runs[reason]; n > 0 && reason != "ok" {
			parts = append(parts, fmt.Sprintf("%.0f %s", n, reason))
		}
	}
	if n := after.skipped - before.skipped; n > 0 {
		parts = append(parts, fmt.Sprintf("%.0f skipped", n))
	}
	if len(parts) == 0 {
		return "none"
	}
	return strings.Join(parts, ", ")
}
