package main

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// median of the values, which are not empty; of an even number the mean of the
// two in the middle.
func median[T ~int64 | ~float64](values []T) T {
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

// quantile is the least of the values, which are not empty, that at least the
// share q of them does not exceed.
func quantile[T cmp.Ordered](values []T, q float64) T {
	sorted := slices.Sorted(slices.Values(values))
	rank := int(math.Ceil(q * float64(len(sorted))))
	return sorted[max(rank, 1)-1]
}

// ratios divides the values by those of the same rounds.
func ratios(values, by []float64) []float64 {
	out := make([]float64, len(values))
	for i := range values {
		out[i] = values[i] / by[i]
	}
	return out
}

// A bucket of a histogram counts what is at most so much, the buckets before it
// included.
type bucket struct{ most, count float64 }

// A histogram is buckets in ascending order. The last may end at infinity.
type histogram []bucket

// since is what was counted after an earlier reading of the histogram.
func (h histogram) since(before histogram) histogram {
	out := slices.Clone(h)
	for i := range before {
		out[i].count -= before[i].count
	}
	return out
}

// quantile estimates below what the share q of the values is, as if those of a
// bucket were spread evenly over it. It is infinite if the value is beyond the
// last bound, and NaN if nothing was counted.
func (h histogram) quantile(q float64) float64 {
	if len(h) == 0 || h[len(h)-1].count == 0 {
		return math.NaN()
	}
	rank := q * h[len(h)-1].count
	var low bucket // from 0
	for _, b := range h {
		if b.count >= rank && b.count > low.count {
			return low.most + (b.most-low.most)*(rank-low.count)/(b.count-low.count)
		}
		low = b
	}
	return math.NaN()
}

// bound is the bound of the bucket that the share q of the values is surely
// below.
func (h histogram) bound(q float64) float64 {
	for _, b := range h {
		if b.count > 0 && b.count >= q*h[len(h)-1].count {
			return b.most
		}
	}
	return math.NaN()
}

// densest is the greatest number of stamps in any span of so long.
func densest(stamps []time.Time, span time.Duration) int {
	sorted := slices.SortedFunc(slices.Values(stamps), time.Time.Compare)
	most, first := 0, 0
	for last := range sorted {
		for sorted[last].Sub(sorted[first]) >= span {
			first++
		}
		most = max(most, last-first+1)
	}
	return most
}
