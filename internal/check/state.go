package check

import "time"

// Status is what is believed of a check.
type Status uint8

// The statuses.
const (
	Unknown Status = iota // no result yet
	Up                    // fit for traffic
	Down                  // not fit for traffic
)

// String returns unknown, up or down.
func (s Status) String() string {
	switch s {
	case Up:
		return "up"
	case Down:
		return "down"
	default:
		return "unknown"
	}
}

// A State is what is believed of a check after the results so far. The zero
// State is unknown.
type State struct {
	// Status is what is believed. A stale state is to be taken as down
	// whatever its status; see [State.Stale].
	Status Status
	// Since is when Status became what it is; zero while unknown. See
	// [State.BelievedSince] for a state that is stale.
	Since time.Time
	// Streak is how many results in a row, the last one included, were as
	// healthy or as unhealthy as the last one.
	Streak int
	// Last is the last result; zero while unknown.
	Last Result
	// WasUp is true once the check has been up.
	WasUp bool
}

// Next returns what is believed after the result r. The first result decides
// at once, as does the first after the state went stale, when nothing was known
// any more. After that a change needs as many results in a row as the policy's
// thresholds ask for.
func (s State) Next(r Result, p Policy) State {
	end := r.At.Add(r.Took)
	downSince := end
	if s.Stale(end, p) {
		downSince = s.BelievedSince(end, p)
		s = State{WasUp: s.WasUp}
	}
	next := State{Status: s.Status, Since: s.Since, Streak: 1, Last: r, WasUp: s.WasUp}
	if s.Status != Unknown && s.Last.Healthy() == r.Healthy() {
		next.Streak = s.Streak + 1
	}
	want, threshold := Down, p.Fall
	if r.Healthy() {
		want, threshold = Up, p.Rise
	}
	if s.Status == Unknown || s.Status != want && (next.Streak >= threshold || IsCertain(r.Err)) {
		next.Status, next.Since = want, end
		if want == Down {
			next.Since = downSince
		}
	}
	next.WasUp = next.WasUp || next.Status == Up
	return next
}

// Pending reports whether the last result speaks against the status and a
// change awaits confirmation.
func (s State) Pending() bool {
	return s.Status != Unknown && s.Last.Healthy() != (s.Status == Up)
}

// StaleAt is when the state becomes stale unless another result comes; the
// zero time for an unknown state, which is not stale but not known.
func (s State) StaleAt(p Policy) time.Time {
	if s.Status == Unknown {
		return time.Time{}
	}
	return s.Last.At.Add(p.StaleAfter())
}

// Stale reports whether the last result is too old at now to be believed.
func (s State) Stale(now time.Time, p Policy) bool {
	return s.Status != Unknown && now.After(s.StaleAt(p))
}

// Believed is the status at now: Down when the state is stale.
func (s State) Believed(now time.Time, p Policy) Status {
	if s.Stale(now, p) {
		return Down
	}
	return s.Status
}

// BelievedSince is since when [State.Believed] is what it is at now; zero while
// unknown. A state that was up is down since it went stale.
func (s State) BelievedSince(now time.Time, p Policy) time.Time {
	if s.Status == Up && s.Stale(now, p) {
		return s.StaleAt(p)
	}
	return s.Since
}

// Degraded reports whether the check is up with a reservation.
func (s State) Degraded() bool { return s.Status == Up && IsWarning(s.Last.Err) }
