package main

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// A table is Markdown. Its first row is the heading.
type table [][]string

func (t *table) row(cells ...string) { *t = append(*t, cells) }

// String aligns the columns, so that it is good to read as text too. All but the
// first column have figures and stand to the right.
func (t table) String() string {
	widths := make([]int, len(t[0]))
	for _, row := range t {
		for i, cell := range row {
			widths[i] = max(widths[i], len([]rune(cell)), 3)
		}
	}
	var out strings.Builder
	line := func(row []string) {
		for i, cell := range row {
			space := strings.Repeat(" ", widths[i]-len([]rune(cell)))
			if i > 0 {
				cell, space = space+cell, ""
			}
			out.WriteString("| " + cell + space + " ")
		}
		out.WriteString("|\n")
	}
	line(t[0])
	for i, width := range widths {
		if i == 0 {
			out.WriteString("|" + strings.Repeat("-", width+2))
		} else {
			out.WriteString("|" + strings.Repeat("-", width+1) + ":")
		}
	}
	out.WriteString("|\n")
	for _, row := range t[1:] {
		line(row)
	}
	return out.String()
}

// goal writes a goal, what came of it, and whether it was met.
func (b *bench) goal(what, came string, met bool) {
	word := "met"
	if !met {
		word = "**not met**"
	}
	b.printf("\nGoal: %s. Came out: %s – %s.\n", what, came, word)
}

// number writes a figure with three digits that count, and thousands apart.
func number(v float64) string {
	switch a := math.Abs(v); {
	case math.IsInf(v, 0) || math.IsNaN(v):
		return "unknown"
	case a >= 1000:
		return thousands(int64(math.Round(v)))
	case a >= 100 || a >= 10 && v == math.Trunc(v):
		return fmt.Sprintf("%.0f", v)
	case a >= 10:
		return fmt.Sprintf("%.1f", v)
	case a >= 1 || a == 0:
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.3f", v)
}

// thousands writes a whole number, which is not negative, with commas.
func thousands(n int64) string {
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%s,%03d", thousands(n/1000), n%1000)
}

// spread writes the median of the values and from where to where they go.
func spread(values []float64) string {
	middle, least, most := number(median(values)), number(slices.Min(values)), number(slices.Max(values))
	if least == most {
		return middle
	}
	return fmt.Sprintf("%s (%s–%s)", middle, least, most)
}

// several writes how many there are of what.
func several(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return thousands(int64(n)) + " " + what + "s"
}

// inMilliseconds is in units of a thousandth of a second.
func inMilliseconds(d time.Duration) float64 { return d.Seconds() * 1000 }

// inMegabytes is in units of 1,000,000 bytes.
func inMegabytes(bytes uint64) float64 { return float64(bytes) / 1e6 }
