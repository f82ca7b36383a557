package check

import (
	"fmt"
	"time"
)

// Policy says when a check runs and how its results are believed.
type Policy struct {
	// Interval is the time from one run's start to the next one's.
	Interval time.Duration
	// Timeout is how long one run may take; at most Interval.
	Timeout time.Duration
	// Recheck replaces Interval while a change awaits confirmation, so that a
	// blip is forgiven and a fault confirmed soon; at most Interval.
	Recheck time.Duration
	// Fall is how many failures in a row take an up check down; at least 1.
	Fall int
	// Rise is how many healthy results in a row bring a down check up; at
	// least 1.
	Rise int
}

// DefaultPolicy is the policy of a check that says nothing about it.
func DefaultPolicy() Policy {
	return Policy{Interval: 5 * time.Second, Timeout: 3 * time.Second, Recheck: time.Second, Fall: 2, Rise: 2}
}

// The bounds of a policy. A shorter interval than MinInterval would make hale
// itself the load it is meant to notice.
const (
	MinInterval  = 100 * time.Millisecond
	MaxInterval  = 24 * time.Hour
	MaxThreshold = 1000
)

// Validate returns every fault of p, each an [*OptionError].
func (p Policy) Validate() error {
	var errs errorList
	durations := []struct {
		option   string
		value    time.Duration
		min, max time.Duration
	}{
		{"interval", p.Interval, MinInterval, MaxInterval},
		{"timeout", p.Timeout, time.Millisecond, MaxInterval},
		{"recheck", p.Recheck, MinInterval, MaxInterval},
	}
	for _, d := range durations {
		switch {
		case d.value < 0:
			errs.option(d.option, "%v is negative; give a duration such as %s", d.value, exampleDuration(d.option))
		case d.value < d.min || d.value > d.max:
			errs.option(d.option, "%v is out of range; give a duration from %v to %v", d.value, d.min, d.max)
		}
	}
	if len(errs) == 0 && p.Timeout > p.Interval {
		errs.option("timeout", "%v is longer than the interval %v, so that runs would overlap; make it at most the interval", p.Timeout, p.Interval)
	}
	if len(errs) == 0 && p.Recheck > p.Interval {
		errs.option("recheck", "%v is longer than the interval %v; it is meant to confirm a change sooner", p.Recheck, p.Interval)
	}
	for _, t := range []struct {
		option string
		value  int
	}{{"fall", p.Fall}, {"rise", p.Rise}} {
		if t.value < 1 || t.value > MaxThreshold {
			errs.option(t.option, "%d is out of range; give a count from 1 to %d", t.value, MaxThreshold)
		}
	}
	return errs.join()
}

func exampleDuration(option string) string {
	if option == "timeout" {
		return "3s"
	}
	return "5s"
}

// StaleAfter is how old a result may be before it no longer counts: two
// intervals plus the timeout.
func (p Policy) StaleAfter() time.Duration { return 2*p.Interval + p.Timeout }

// String gives the policy in one short line.
func (p Policy) String() string {
	return fmt.Sprintf("every %v, timeout %v, recheck %v, fall %d, rise %d", p.Interval, p.Timeout, p.Recheck, p.Fall, p.Rise)
}
