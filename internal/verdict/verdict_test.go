package verdict_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"hale/internal/check"
	"hale/internal/verdict"
)

var now = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

type member struct {
	check *check.Check
	state check.State
}

func all(members ...member) verdict.Members {
	return func(yield func(*check.Check, check.State) bool) {
		for _, m := range members {
			if !yield(m.check, m.state) {
				return
			}
		}
	}
}

func newMember(name string, impact check.Impact, s check.State, groups ...string) member {
	if groups == nil {
		groups = []string{check.GroupReady}
	}
	return member{&check.Check{Name: name, Policy: check.DefaultPolicy(), Impact: impact, Groups: groups}, s}
}

// begins gives a member until later to be up for the first time.
func begins(m member, later time.Duration) member {
	m.check.StartBy = now.Add(later)
	return m
}

func wasUp(s check.State) check.State {
	s.WasUp = true
	return s
}

func result(at time.Time, err error) check.Result {
	return check.NewResult(at, 0, "", err, nil)
}

var (
	refused  = check.Failf(check.ReasonRefused, "nobody there")
	slow     = check.Warnf(check.ReasonSlow, "slow")
	up       = check.State{Status: check.Up, Streak: 3, Last: result(now.Add(-time.Second), nil)}
	down     = check.State{Status: check.Down, Streak: 3, Last: result(now.Add(-time.Second), refused)}
	unknown  = check.State{}
	stale    = check.State{Status: check.Up, Streak: 3, Last: result(now.Add(-14*time.Second), nil)}
	degraded = check.State{Status: check.Up, Streak: 1, Last: result(now.Add(-time.Second), slow)}
	rising   = check.State{Status: check.Down, Streak: 1, Last: result(now.Add(-time.Second), nil)}
)

func TestJudge(t *testing.T) {
	const fail, warn = check.ImpactFail, check.ImpactWarn
	started := verdict.Conditions{Started: true}
	draining := verdict.Conditions{Started: true, Draining: true}
	for _, test := range []struct {
		name    string
		group   string
		members verdict.Members
		given   verdict.Conditions
		want    verdict.Outcome
		causes  string
	}{
		{"nothing to check", "ready", all(), started, verdict.Pass, "[]"},
		{"all up", "ready", all(newMember("a", fail, up), newMember("b", warn, up)), started, verdict.Pass, "[]"},
		{"one down", "ready", all(newMember("a", fail, up), newMember("b", fail, down)), started, verdict.Fail, "[b fail refused: nobody there]"},
		{"one unknown", "ready", all(newMember("a", fail, unknown)), started, verdict.Fail, "[a fail no result yet]"},
		{"one stale", "ready", all(newMember("a", fail, stale)), started, verdict.Fail, "[a fail stale: last result 14s ago]"},
		{"one rising", "ready", all(newMember("a", fail, rising)), started, verdict.Fail, "[a fail recovering: 1 of 2 healthy results in a row]"},
		{"a warning is down", "ready", all(newMember("a", warn, down), newMember("b", fail, up)), started, verdict.Degraded, "[a degraded refused: nobody there]"},
		{"a warning is stale", "ready", all(newMember("a", warn, stale)), started, verdict.Degraded, "[a degraded stale: last result 14s ago]"},
		{"a warning is unknown", "ready", all(newMember("a", warn, unknown)), started, verdict.Degraded, "[a degraded no result yet]"},
		{"a reservation", "ready", all(newMember("a", fail, degraded)), started, verdict.Degraded, "[a degraded slow: slow]"},
		{"failures come first", "ready", all(newMember("a", warn, down), newMember("b", fail, down)), started, verdict.Fail, "[b fail refused: nobody there a degraded refused: nobody there]"},
		{"other groups do not count", "ready", all(newMember("a", fail, down, "lb"), newMember("b", fail, up)), started, verdict.Pass, "[]"},
		{"all is every check", "all", all(newMember("a", fail, down, "lb")), started, verdict.Fail, "[a fail refused: nobody there]"},
		{"live is hale alone", "live", all(newMember("a", fail, down)), started, verdict.Pass, "[]"},
		{"live on request", "live", all(newMember("a", fail, down, "live")), started, verdict.Fail, "[a fail refused: nobody there]"},
		{"draining fails ready", "ready", all(newMember("a", fail, up)), draining, verdict.Fail, "[ fail draining]"},
		{"draining fails a group", "lb", all(newMember("a", fail, up, "lb")), draining, verdict.Fail, "[ fail draining]"},
		{"draining fails all", "all", all(), draining, verdict.Fail, "[ fail draining]"},
		{"draining leaves live", "live", all(), draining, verdict.Pass, "[]"},
		{"draining leaves startup", "startup", all(), draining, verdict.Pass, "[]"},
		{"one begins", "ready", all(begins(newMember("a", fail, unknown), 1), newMember("b", fail, up)), started, verdict.Pass, "[]"},
		{"one begins badly", "ready", all(begins(newMember("a", fail, down), 1), newMember("b", fail, up)), started, verdict.Pass, "[]"},
		{"one has had its time", "ready", all(begins(newMember("a", fail, down), 0), newMember("b", fail, up)), started, verdict.Fail, "[a fail refused: nobody there]"},
		{"one was up before", "ready", all(begins(newMember("a", fail, wasUp(down)), 1), newMember("b", fail, up)), started, verdict.Fail, "[a fail refused: nobody there]"},
		{"all begin", "ready", all(begins(newMember("a", fail, unknown), 1), begins(newMember("b", fail, down), 1)), started, verdict.Fail, "[a fail starting, and not up yet: no result yet b fail starting, and not up yet: refused: nobody there]"},
		{"all that count begin", "ready", all(begins(newMember("a", fail, unknown), 1), newMember("b", warn, up)), started, verdict.Fail, "[a fail starting, and not up yet: no result yet]"},
		{"one begins, one is down", "ready", all(begins(newMember("a", fail, unknown), 1), newMember("b", fail, down)), started, verdict.Fail, "[b fail refused: nobody there]"},
		{"starting", "startup", all(newMember("a", fail, up)), verdict.Conditions{}, verdict.Fail, "[ fail starting: ready has not passed yet]"},
		{"started for good", "startup", all(newMember("a", fail, down)), started, verdict.Pass, "[]"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := verdict.Judge(test.group, test.members, test.given, now)
			if got.Outcome != test.want {
				t.Errorf("outcome %v, want %v", got.Outcome, test.want)
			}
			if causes := text(got.Causes); causes != test.causes {
				t.Errorf("causes %s, want %s", causes, test.causes)
			}
		})
	}
}

func text(causes []verdict.Cause) string {
	var parts []string
	for _, c := range causes {
		parts = append(parts, fmt.Sprintf("%s %v %s", c.Check, c.Outcome, c.Text))
	}
	return fmt.Sprint(parts)
}

func TestUntilIsWhenTheFirstMemberGoesStale(t *testing.T) {
	older := up
	older.Last.At = now.Add(-10 * time.Second)
	members := all(newMember("a", check.ImpactFail, up), newMember("b", check.ImpactFail, older), newMember("c", check.ImpactFail, down))
	got, until := verdict.Decide("all", members, verdict.Conditions{}, now)
	if want := now.Add(3 * time.Second); got != verdict.Fail || !until.Equal(want) {
		t.Errorf("got %v until %v, want fail until %v", got, until, want)
	}
	passing := all(newMember("b", check.ImpactFail, older))
	if o, _ := verdict.Decide("ready", passing, verdict.Conditions{}, until); o != verdict.Pass {
		t.Errorf("at the very end of its time the verdict is %v, want pass", o)
	}
	if o, _ := verdict.Decide("ready", passing, verdict.Conditions{}, until.Add(time.Nanosecond)); o != verdict.Fail {
		t.Errorf("just after the end of its time the verdict is %v, want fail", o)
	}
}

func TestTheZeroOutcomeIsNoFalsePass(t *testing.T) {
	var v verdict.Verdict
	if v.Outcome.OK() {
		t.Error("a verdict that nobody has made passes")
	}
}

// TestNoFalseAnswer is the worst bug there is, for any sequence of results: a
// verdict that is OK has no failing, unknown or stale check of impact fail in
// its group; one that is not OK has such a check, or is draining or starting.
func TestNoFalseAnswer(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 11))
	groups := []string{"ready", "live", "lb", "all", "startup"}
	errs := []error{nil, nil, nil, refused, refused, slow}
	for range 20000 {
		var members []member
		for i := range random.IntN(5) {
			impact := check.ImpactFail
			if random.IntN(3) == 0 {
				impact = check.ImpactWarn
			}
			m := newMember(fmt.Sprint("m", i), impact, check.State{}, groups[:1+random.IntN(3)]...)
			m.check.Policy.Fall, m.check.Policy.Rise = 1+random.IntN(3), 1+random.IntN(3)
			at := now.Add(-time.Duration(random.IntN(60)) * time.Second)
			for range random.IntN(8) {
				m.state = m.state.Next(result(at, errs[random.IntN(len(errs))]), m.check.Policy)
				at = at.Add(time.Duration(random.IntN(16)) * time.Second)
				if at.After(now) {
					break
				}
			}
			members = append(members, m)
		}
		given := verdict.Conditions{Draining: random.IntN(4) == 0, Started: random.IntN(4) != 0}
		for _, group := range groups {
			checkAnswer(t, group, members, given)
		}
		if t.Failed() {
			return
		}
	}
}

func checkAnswer(t *testing.T, group string, members []member, given verdict.Conditions) {
	t.Helper()
	bad := slices.ContainsFunc(members, func(m member) bool {
		inGroup := group == "all" || slices.Contains(m.check.Groups, group)
		// Said without the functions under test: down, unknown, or older than
		// two intervals and the timeout.
		failing := m.state.Status != check.Up || now.Sub(m.state.Last.At) > 13*time.Second
		return inGroup && failing && m.check.Impact == check.ImpactFail
	})
	if group == "startup" {
		bad = !given.Started
	} else if given.Draining && group != "live" {
		bad = true
	}
	got := verdict.Judge(group, all(members...), given, now)
	if got.Outcome.OK() == bad {
		t.Errorf("%s of %+v with %+v is %v", group, members, given, got.Outcome)
	}
	decided, until := verdict.Decide(group, all(members...), given, now)
	if decided != got.Outcome || !until.Equal(got.Until) {
		t.Errorf("Decide says %v, Judge %v", decided, got.Outcome)
	}
	if (got.Outcome == verdict.Pass) != (len(got.Causes) == 0) {
		t.Errorf("%v with the causes %v", got.Outcome, got.Causes)
	}
	// Nothing changes by time alone before Until.
	if !until.IsZero() {
		if later, _ := verdict.Decide(group, all(members...), given, until); later != decided {
			t.Errorf("%v now, %v at %v, although it should hold until then", decided, later, until)
		}
	}
}

// A member's time to begin ends by time alone.
func TestUntilIsWhenAMemberHasHadItsTime(t *testing.T) {
	members := all(begins(newMember("a", check.ImpactFail, unknown), 2*time.Second), newMember("b", check.ImpactFail, up))
	got, until := verdict.Decide("ready", members, verdict.Conditions{}, now)
	if want := now.Add(2 * time.Second); got != verdict.Pass || !until.Equal(want) {
		t.Errorf("got %v until %v, want pass until %v", got, until, want)
	}
	if got, _ := verdict.Decide("ready", members, verdict.Conditions{}, until); got != verdict.Fail {
		t.Errorf("at the end of its time the verdict is %v, want fail", got)
	}
}
