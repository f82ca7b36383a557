package check_test

import (
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"hale/internal/check"
)

var (
	errDown = check.Failf(check.ReasonRefused, "refused")
	errWarn = check.Warnf(check.ReasonSlow, "slow")
)

// start is when the tests' sequences begin.
var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// result is a run at a time after start that took 1 ms.
func result(after time.Duration, err error) check.Result {
	return check.NewResult(start.Add(after), time.Millisecond, "", err, nil)
}

func TestNext(t *testing.T) {
	p := check.DefaultPolicy() // fall 2, rise 2
	slow := p
	slow.Fall, slow.Rise = 3, 4
	once := p
	once.Fall, once.Rise = 1, 1
	for _, test := range []struct {
		name    string
		policy  check.Policy
		results string // + healthy, - failing, c certainly failing, w with a reservation
		want    string // the status after each: ? unknown, u up, d down
		pending string // whether a change then awaits confirmation: y or .
	}{
		{"the first decides", p, "+", "u", "."},
		{"the first decides down", p, "-", "d", "."},
		{"a reservation is healthy", p, "w", "u", "."},
		{"a blip is forgiven", p, "+-+-+-+", "uuuuuuu", ".y.y.y."},
		{"two failures", p, "+--", "uud", ".y."},
		{"two healthy", p, "-++", "ddu", ".y."},
		{"back and forth", p, "+--++--", "uudduud", ".y.y.y."},
		{"a reservation does not interrupt", p, "-w+w-", "dduuu", ".y..y"},
		{"three and four", slow, "+--+---++++", "uuuuuuddddu", ".yy.yy.yyy."},
		{"down from the start needs all of rise", slow, "-+++-++++", "ddddddddu", ".yyy.yyy."},
		{"what is certain needs no confirmation", slow, "+cc++++", "udddddu", "...yyy."},
		{"certain after a blip", slow, "+-c", "uud", ".y."},
		{"thresholds of one", once, "+-+-", "udud", "...."},
	} {
		t.Run(test.name, func(t *testing.T) {
			var s check.State
			for i, c := range test.results {
				err := map[rune]error{'+': nil, '-': errDown, 'w': errWarn, 'c': check.Certain(errDown)}[c]
				s = s.Next(result(time.Duration(i)*time.Second, err), test.policy)
				if got := s.Status.String()[0]; got != test.want[i] {
					t.Errorf("after %s: %v, want %c", test.results[:i+1], s.Status, test.want[i])
				}
				if got := s.Pending(); got != (test.pending[i] == 'y') {
					t.Errorf("after %s: pending is %v", test.results[:i+1], got)
				}
			}
		})
	}
}

func TestNextKeepsSinceStreakAndLast(t *testing.T) {
	p := check.DefaultPolicy()
	var s check.State
	for i, want := range []struct {
		err    error
		since  time.Duration
		streak int
	}{
		{nil, time.Millisecond, 1},
		{nil, time.Millisecond, 2},
		{errDown, time.Millisecond, 1},
		{errDown, 3*time.Second + time.Millisecond, 2},
		{errDown, 3*time.Second + time.Millisecond, 3},
		{errWarn, 3*time.Second + time.Millisecond, 1},
		{nil, 6*time.Second + time.Millisecond, 2},
	} {
		r := result(time.Duration(i)*time.Second, want.err)
		s = s.Next(r, p)
		if !s.Since.Equal(start.Add(want.since)) || s.Streak != want.streak || s.Last != r {
			t.Errorf("after %d results: since %v, streak %d, last %v; want %v, %d, %v", i+1, s.Since.Sub(start), s.Streak, s.Last, want.since, want.streak, r)
		}
	}
}

func TestStale(t *testing.T) {
	p := check.DefaultPolicy()
	if p.StaleAfter() != 13*time.Second {
		t.Errorf("stale after %v, want two intervals and the timeout", p.StaleAfter())
	}
	var unknown check.State
	if unknown.Stale(start, p) || !unknown.StaleAt(p).IsZero() || unknown.Believed(start, p) != check.Unknown {
		t.Error("an unknown state is stale")
	}
	s := unknown.Next(result(0, nil), p)
	if !s.StaleAt(p).Equal(start.Add(13 * time.Second)) {
		t.Errorf("stale at %v", s.StaleAt(p))
	}
	for after, want := range map[time.Duration]check.Status{13 * time.Second: check.Up, 13*time.Second + 1: check.Down} {
		if got := s.Believed(start.Add(after), p); got != want {
			t.Errorf("after %v: believed %v, want %v", after, got, want)
		}
	}
}

// After the state went stale nothing was known, and the next result decides.
func TestNextAfterStale(t *testing.T) {
	p := check.DefaultPolicy()
	for _, test := range []struct {
		after time.Duration
		want  check.Status
	}{
		{13*time.Second - time.Millisecond, check.Up}, // ends just in time
		{13 * time.Second, check.Down},
	} {
		var s check.State
		s = s.Next(result(0, nil), p)
		s = s.Next(result(test.after, errDown), p)
		if s.Status != test.want || s.Streak != 1 {
			t.Errorf("a failure after %v: %v, streak %d, want %v, 1", test.after, s.Status, s.Streak, test.want)
		}
	}
}

// Who was up is down since it went stale, and a failure after that changes
// nothing; nor does staleness for who was down.
func TestSinceWhenStale(t *testing.T) {
	p := check.DefaultPolicy()
	at := func(s check.State, after time.Duration) time.Duration {
		return s.BelievedSince(start.Add(after), p).Sub(start)
	}
	var s check.State
	up := s.Next(result(0, nil), p)
	stale, late := p.StaleAfter(), time.Hour
	for name, got := range map[string][2]time.Duration{
		"up":                       {at(up, stale), 0},
		"stale":                    {at(up, late), stale},
		"stale and failing":        {at(up.Next(result(late, errDown), p), late), stale},
		"stale and healthy":        {at(up.Next(result(late, nil), p), late), late},
		"down and stale":           {at(s.Next(result(0, errDown), p), late), 0},
		"down, stale and failing":  {at(s.Next(result(0, errDown), p).Next(result(late, errDown), p), late), 0},
		"down, stale, and healthy": {at(s.Next(result(0, errDown), p).Next(result(late, nil), p), late), late},
	} {
		// A result ends a little later than it begins.
		if d := got[0] - got[1]; d < 0 || d > 10*time.Millisecond {
			t.Errorf("%s: since %v, want %v", name, got[0], got[1])
		}
	}
}

func TestDegraded(t *testing.T) {
	p := check.DefaultPolicy()
	var s check.State
	for i, step := range []struct {
		err  error
		want bool
	}{{nil, false}, {errWarn, true}, {errDown, false}, {nil, false}} {
		s = s.Next(result(time.Duration(i)*time.Second, step.err), p)
		if s.Degraded() != step.want {
			t.Errorf("after %d results: degraded is %v", i+1, s.Degraded())
		}
	}
	var down check.State
	if down = down.Next(result(0, errDown), p).Next(result(1, errWarn), p); down.Degraded() {
		t.Error("a check that is down is degraded")
	}
}

// For any sequence of results, times and policies: the status changes only as
// the thresholds allow, and a check with fall failures in a row is never
// believed to be up, nor one with rise healthy results down.
func TestNextProperties(t *testing.T) {
	for seed := range uint64(3000) {
		random := rand.New(rand.NewPCG(seed, 1))
		p := randomPolicy(random)
		var s check.State
		var row []bool // the healthiness of the results since the first or the last staleness
		now := start
		for i := range 60 {
			now = now.Add(time.Duration(random.Int64N(int64(p.Interval) * 2)))
			if random.IntN(15) == 0 {
				now = now.Add(p.StaleAfter())
			}
			r := check.Result{At: now, Took: time.Duration(random.Int64N(int64(p.Timeout)))}
			switch random.IntN(5) {
			case 0, 1:
				r.Err = errors.New("down")
			case 2:
				r.Err = errWarn
			}
			end := r.At.Add(r.Took)
			before := s
			s = s.Next(r, p)
			fresh := before.Stale(end, p) || before.Status == check.Unknown
			if fresh {
				row = nil
			}
			row = append(row, r.Healthy())
			now = end
			checkStep(t, before, s, r, p, fresh, row)
			if t.Failed() {
				t.Fatalf("seed %d, step %d, %v, row %v", seed, i, p, row)
			}
		}
	}
}

func randomPolicy(random *rand.Rand) check.Policy {
	interval := time.Duration(1+random.IntN(100)) * check.MinInterval
	return check.Policy{
		Interval: interval,
		Timeout:  1 + time.Duration(random.Int64N(int64(interval))),
		Recheck:  check.MinInterval,
		Fall:     1 + random.IntN(4),
		Rise:     1 + random.IntN(4),
	}
}

func checkStep(t *testing.T, before, s check.State, r check.Result, p check.Policy, fresh bool, row []bool) {
	t.Helper()
	end := r.At.Add(r.Took)
	same := 0 // how many results in a row were like the last one
	for i := len(row) - 1; i >= 0 && row[i] == r.Healthy(); i-- {
		same++
	}
	if s.Streak != same || s.Last != r {
		t.Errorf("streak %d, want %d", s.Streak, same)
	}
	if s.Status == check.Unknown {
		t.Error("unknown after a result")
	}
	believed := s.Believed(end, p)
	if r.Healthy() && same >= p.Rise && believed != check.Up {
		t.Errorf("%v after %d healthy results", believed, same)
	}
	if !r.Healthy() && same >= p.Fall && believed != check.Down {
		t.Errorf("%v after %d failures", believed, same)
	}
	since := before.BelievedSince(end, p)
	if before.Believed(end, p) != believed {
		since = end
	}
	if !s.Since.Equal(since) {
		t.Errorf("%v since %v, want %v: before it was %v", believed, s.Since, since, before.Believed(end, p))
	}
	if fresh {
		return
	}
	switch {
	case before.Status == check.Up && s.Status == check.Down && (r.Healthy() || same < p.Fall):
		t.Errorf("down after %d failures of %d", same, p.Fall)
	case before.Status == check.Down && s.Status == check.Up && (!r.Healthy() || same < p.Rise):
		t.Errorf("up after %d healthy results of %d", same, p.Rise)
	}
}
