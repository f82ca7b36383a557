// Package verdict says what a group of checks amounts to: pass, degraded or
// fail.
//
// It is pure: given the same members, conditions and time it gives the same
// verdict. The rules are few:
//
//   - A member that is down, stale or not yet known, and whose impact is fail,
//     makes the verdict fail.
//   - A member that is up with a reservation, or is down, stale or not yet
//     known with the impact warn, makes it degraded.
//   - A member that still has time to be up for the first time is left out, as
//     a container that was just started is. Where all members are, but for those
//     that only warn, nothing is known of the group, and the verdict is fail.
//   - Draining makes every group fail but live and startup: a draining
//     instance wants no traffic, but must not be restarted for it.
//   - startup fails until ready has passed once, then passes for good.
package verdict

import (
	"cmp"
	"fmt"
	"iter"
	"slices"
	"time"

	"hale/internal/check"
)

// Outcome is a verdict in one word.
type Outcome uint8

// The outcomes. The zero value is Fail, so that a verdict nobody has made is
// never a false pass.
const (
	Fail Outcome = iota
	Degraded
	Pass
)

// String returns fail, degraded or pass.
func (o Outcome) String() string {
	switch o {
	case Pass:
		return "pass"
	case Degraded:
		return "degraded"
	default:
		return "fail"
	}
}

// OK reports whether the outcome is to be answered with 200.
func (o Outcome) OK() bool { return o != Fail }

// Members are checks with what is believed of each.
type Members = iter.Seq2[*check.Check, check.State]

// Conditions are what a verdict depends on besides its members.
type Conditions struct {
	// Draining is true while the instance is being taken out of traffic.
	Draining bool
	// Started is true once ready has passed.
	Started bool
}

// A Verdict is what a group amounts to.
type Verdict struct {
	Group   string
	Outcome Outcome
	// Causes are why the outcome is not a pass: first those that make it fail.
	Causes []Cause
	// Until is when the verdict may change without any new result, because a
	// member becomes stale; zero when time alone does not change it.
	Until time.Time
}

// A Cause is one reason why a verdict is not a pass.
type Cause struct {
	// Check is the member's name; "" for draining and start-up.
	Check string
	// Outcome is what this cause alone makes of the verdict.
	Outcome Outcome
	// Text says it to a person.
	Text string
}

// Judge makes the verdict of a group, with its causes. Members that do not
// belong to the group are passed over.
func Judge(group string, members Members, c Conditions, now time.Time) Verdict {
	v := Verdict{Group: group}
	v.Outcome, v.Until = Decide(group, members, c, now)
	if group == check.GroupStartup {
		if !c.Started {
			v.Causes = []Cause{{Outcome: Fail, Text: "starting: ready has not passed yet"}}
		}
		return v
	}
	if c.Draining && group != check.GroupLive {
		v.Causes = append(v.Causes, Cause{Outcome: Fail, Text: "draining"})
	}
	var starting []Cause
	known := false
	for member, state := range members {
		if !member.In(group) {
			continue
		}
		if member.Starting(state, now) {
			starting = append(starting, Cause{Check: member.Name, Outcome: Fail, Text: "starting, and not up yet: " + Explain(member, state, now)})
			continue
		}
		known = known || member.Impact == check.ImpactFail
		if outcome := weigh(member, state, now); outcome != Pass {
			v.Causes = append(v.Causes, Cause{Check: member.Name, Outcome: outcome, Text: Explain(member, state, now)})
		}
	}
	if !known {
		v.Causes = append(v.Causes, starting...)
	}
	slices.SortStableFunc(v.Causes, func(a, b Cause) int { return cmp.Compare(a.Outcome, b.Outcome) })
	return v
}

// Decide is Judge without the causes: the outcome, and when it may change by
// time alone. It makes no texts, and so is what answers are made of.
func Decide(group string, members Members, c Conditions, now time.Time) (outcome Outcome, until time.Time) {
	switch {
	case group == check.GroupStartup && c.Started:
		return Pass, time.Time{}
	case group == check.GroupStartup, c.Draining && group != check.GroupLive:
		return Fail, time.Time{}
	}
	outcome = Pass
	known, starting := false, false
	for member, state := range members {
		if !member.In(group) {
			continue
		}
		var at time.Time // when it may weigh another way
		switch {
		case member.Starting(state, now):
			starting = true
			at = member.StartBy
		case state.Status == check.Up:
			known = known || member.Impact == check.ImpactFail
			at = state.StaleAt(member.Policy)
			outcome = min(outcome, weigh(member, state, now))
		default:
			known = known || member.Impact == check.ImpactFail
			outcome = min(outcome, weigh(member, state, now))
		}
		if !at.IsZero() && !at.Before(now) && (until.IsZero() || at.Before(until)) {
			until = at
		}
	}
	if starting && !known {
		outcome = Fail
	}
	return outcome, until
}

// weigh says what one member makes of the verdict.
func weigh(member *check.Check, state check.State, now time.Time) Outcome {
	switch {
	case state.Believed(now, member.Policy) != check.Up:
		if member.Impact == check.ImpactWarn {
			return Degraded
		}
		return Fail
	case state.Degraded():
		return Degraded
	default:
		return Pass
	}
}

// Explain says in a line why a member is not simply up.
func Explain(member *check.Check, s check.State, now time.Time) string {
	switch {
	case s.Status == check.Unknown:
		return "no result yet"
	case s.Stale(now, member.Policy):
		return fmt.Sprintf("%s: last result %v ago", check.ReasonStale, now.Sub(s.Last.At).Round(time.Second))
	case s.Last.Err != nil:
		return fmt.Sprintf("%s: %s", s.Last.Reason(), s.Last.Text())
	case s.Status == check.Down:
		return fmt.Sprintf("recovering: %d of %d healthy results in a row", s.Streak, member.Policy.Rise)
	default:
		return s.Last.Note
	}
}
