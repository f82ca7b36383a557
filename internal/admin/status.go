package admin

import (
	"time"

	"hale/internal/check"
	"hale/internal/verdict"
)

// Status is what /api/v1/status answers.
type Status struct {
	Version  string             `json:"version"`
	Started  time.Time          `json:"started"`
	Now      time.Time          `json:"now"`
	Draining bool               `json:"draining"`
	Verdicts map[string]Verdict `json:"verdicts"`
	Checks   []Check            `json:"checks"`
}

// Verdict is a group's verdict.
type Verdict struct {
	Outcome string  `json:"outcome"` // pass, degraded or fail
	Causes  []Cause `json:"causes,omitempty"`
}

// Cause is why a verdict is not a pass.
type Cause struct {
	Check   string `json:"check,omitempty"` // empty for draining and start-up
	Outcome string `json:"outcome"`         // what this cause alone makes of it
	Text    string `json:"text"`
}

// Check is what there is to know of a check. Durations are in seconds.
type Check struct {
	Name   string `json:"name"`
	Kind   string `json:"kind"`
	Target string `json:"target"` // secrets masked
	// Status is up, down or unknown; a stale check is down.
	Status   string     `json:"status"`
	Stale    bool       `json:"stale"`
	Degraded bool       `json:"degraded"`
	Since    *time.Time `json:"since,omitempty"`
	// StartBy is until when the check may fail without failing a verdict, while
	// it has not been up yet.
	StartBy  *time.Time `json:"start_by,omitempty"`
	Streak   int        `json:"streak"` // results in a row like the last one
	Impact   string     `json:"impact"`
	Groups   []string   `json:"groups"`
	Interval float64    `json:"interval"`
	Timeout  float64    `json:"timeout"`
	Runs     uint64     `json:"runs"`
	Skipped  uint64     `json:"skipped"`
	Late     float64    `json:"late"`    // how much later than due the last run started, or how long one waits
	Waiting  bool       `json:"waiting"` // a due run waits for a place in its pool
	Last     *Result    `json:"last,omitempty"`
}

// Result is the last run of a check.
type Result struct {
	At      time.Time `json:"at"`
	Took    float64   `json:"took"`
	Healthy bool      `json:"healthy"`
	Reason  string    `json:"reason,omitempty"`
	Text    string    `json:"text,omitempty"`
}

// StatusOf gathers the status from its source.
func StatusOf(source Source, info Info, now time.Time) Status {
	s := Status{
		Version: info.Version, Started: info.Started.UTC(), Now: now.UTC(),
		Draining: source.Draining(),
		Verdicts: map[string]Verdict{},
		Checks:   []Check{},
	}
	for _, group := range source.Groups() {
		if v, ok := source.Verdict(group); ok {
			s.Verdicts[group] = verdictOf(v)
		}
	}
	for _, view := range source.Views() {
		c, state := view.Check, view.State
		one := Check{
			Name: c.Name, Kind: c.Kind, Target: c.Target,
			Status: view.Believed(now).String(), Stale: view.Stale(now), Degraded: state.Degraded(),
			Streak: state.Streak, Impact: string(c.Impact), Groups: append([]string{}, c.Groups...),
			Interval: c.Policy.Interval.Seconds(), Timeout: c.Policy.Timeout.Seconds(),
			Runs: view.Runs, Skipped: view.Skipped, Late: view.Late.Seconds(), Waiting: view.Waiting,
		}
		if state.Status != check.Unknown {
			since := view.Since(now).UTC()
			one.Since = &since
			one.Last = resultOf(state.Last)
		}
		if c.Starting(state, now) {
			by := c.StartBy.UTC()
			one.StartBy = &by
		}
		s.Checks = append(s.Checks, one)
	}
	return s
}

func verdictOf(v verdict.Verdict) Verdict {
	out := Verdict{Outcome: v.Outcome.String()}
	for _, c := range v.Causes {
		out.Causes = append(out.Causes, Cause{Check: c.Check, Outcome: c.Outcome.String(), Text: c.Text})
	}
	return out
}

func resultOf(r check.Result) *Result {
	return &Result{At: r.At.UTC(), Took: r.Took.Seconds(), Healthy: r.Healthy(), Reason: string(r.Reason()), Text: r.Text()}
}
