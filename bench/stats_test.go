package main

import (
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestMedian(t *testing.T) {
	tests := []struct {
		values []float64
		want   float64
	}{
		{[]float64{3}, 3},
		{[]float64{9, 1, 2}, 2},
		{[]float64{4, 1, 3, 2}, 2.5},
	}
	for _, tt := range tests {
		if got := median(tt.values); got != tt.want {
			t.Errorf("median(%v) = %v, want %v", tt.values, got, tt.want)
		}
	}
}

func TestQuantile(t *testing.T) {
	hundred := make([]int, 100) // 100 … 1
	for i := range hundred {
		hundred[i] = 100 - i
	}
	for q, want := range map[float64]int{0: 1, 0.005: 1, 0.5: 50, 0.99: 99, 0.991: 100, 1: 100} {
		if got := quantile(hundred, q); got != want {
			t.Errorf("quantile(1…100, %v) = %d, want %d", q, got, want)
		}
	}
	if got := quantile([]int{7}, 0.99); got != 7 {
		t.Errorf("quantile of one value = %d, want 7", got)
	}
}

func TestRatios(t *testing.T) {
	got := ratios([]float64{1, 6}, []float64{2, 3})
	if diff := cmp.Diff([]float64{0.5, 2}, got); diff != "" {
		t.Errorf("want (-), got (+):\n%s", diff)
	}
}

func TestHistogram(t *testing.T) {
	inf := math.Inf(1)
	before := histogram{{0.01, 5}, {0.02, 5}, {0.05, 6}, {inf, 6}}
	// Afterwards 50 are up to 0.01, none up to 0.02, 49 up to 0.05, one beyond.
	after := histogram{{0.01, 55}, {0.02, 55}, {0.05, 105}, {inf, 106}}
	late := after.since(before)
	if diff := cmp.Diff(histogram{{0.01, 50}, {0.02, 50}, {0.05, 99}, {inf, 100}}, late, cmp.AllowUnexported(bucket{})); diff != "" {
		t.Fatalf("since: want (-), got (+):\n%s", diff)
	}
	tests := []struct{ q, want, bound float64 }{
		{0.25, 0.005, 0.01},          // half-way in the first bucket
		{0.5, 0.01, 0.01},            // its end
		{0.51, 0.02 + 0.03/49, 0.05}, // the empty bucket holds nothing
		{0.99, 0.05, 0.05},
		{0.995, inf, inf},
		{1, inf, inf},
	}
	for _, tt := range tests {
		if got := late.quantile(tt.q); got != tt.want && math.Abs(got-tt.want) > 1e-12 {
			t.Errorf("quantile(%v) = %v, want %v", tt.q, got, tt.want)
		}
		if got := late.bound(tt.q); got != tt.bound {
			t.Errorf("bound(%v) = %v, want %v", tt.q, got, tt.bound)
		}
	}
	if got := (histogram{{0.01, 0}, {0.02, 4}, {inf, 4}}).quantile(0); got != 0.01 {
		t.Errorf("quantile(0) = %v, want the start of the first bucket that is not empty, 0.01", got)
	}
	for _, empty := range []histogram{nil, {{0.01, 0}, {inf, 0}}} {
		if got := empty.quantile(0.5); !math.IsNaN(got) {
			t.Errorf("quantile of nothing = %v", got)
		}
		if got := empty.bound(0.5); !math.IsNaN(got) {
			t.Errorf("bound of nothing = %v", got)
		}
	}
}

func TestDensest(t *testing.T) {
	at := func(milliseconds ...int) []time.Time {
		var stamps []time.Time
		for _, ms := range milliseconds {
			stamps = append(stamps, time.UnixMilli(int64(ms)))
		}
		return stamps
	}
	tests := []struct {
		stamps []time.Time
		want   int
	}{
		{nil, 0},
		{at(5), 1},
		{at(0, 10, 20), 1},            // 10 ms apart is not within 10 ms
		{at(31, 0, 9, 40, 18, 35), 3}, // out of order; 31, 35, 40
		{at(0, 1, 2, 50, 51, 52, 53), 4},
	}
	for _, tt := range tests {
		if got := densest(tt.stamps, 10*time.Millisecond); got != tt.want {
			t.Errorf("densest(%v) = %d, want %d", tt.stamps, got, tt.want)
		}
	}
}
