package listeners

import (
	"context"
	"fmt"
	"sync"

	"hale/internal/check"
	"hale/internal/discover"
)

// state is how the search goes.
type state struct {
	found   int    // ports that are checked
	waiting string // ports that have to be listened on for longer
	err     error  // why the last look failed
}

// status is the source's own check: it fails while nothing is found, so that a
// host on which nothing runs yet is not taken for one that is well.
type status struct {
	mu      sync.Mutex
	state   state
	changed chan struct{} // holds one word of a change
}

func (s *status) set(now state) {
	s.mu.Lock()
	changed := s.state != now
	s.state = now
	s.mu.Unlock()
	if changed {
		select {
		case s.changed <- struct{}{}:
		default:
		}
	}
}

// check makes the check, which is called listeners.
func (s *status) check(env discover.Env) (*check.Check, error) {
	registry, err := check.NewRegistry(check.Env{}, check.Define("listeners", "listeners://", statusConfig{status: s}))
	if err != nil {
		return nil, err
	}
	return registry.Build(check.Spec{Name: "listeners", URL: "listeners://", Options: env.Defaults, Policy: env.Policy})
}

// Check tells how the search goes.
func (s *status) Check(context.Context) (string, error) {
	s.mu.Lock()
	now := s.state
	s.mu.Unlock()
	switch {
	case now.err != nil && now.found == 0:
		return "", check.Failf(check.ReasonOf(now.err), "the ports of this host can't be looked at: %w; give hale its checks", now.err)
	case now.err != nil:
		return "", check.Warnf(check.ReasonOf(now.err), "the ports of this host can't be looked at any more: %w; those found before are checked", now.err)
	case now.found == 0 && now.waiting != "":
		return "", check.Failf(check.ReasonMissing, "nothing has listened on a TCP port of this host for a minute yet; waiting for %s", now.waiting)
	case now.found == 0:
		return "", check.Failf(check.ReasonMissing, "nothing listens on a TCP port of this host that hale would check; start the service, or give hale its checks")
	}
	note := fmt.Sprintf("%d ports found", now.found)
	if now.found == 1 {
		note = "1 port found"
	}
	if now.waiting != "" {
		note += ", waiting for " + now.waiting
	}
	return note, nil
}

// Watch tells of changes.
func (s *status) Watch(ctx context.Context, changed func()) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.changed:
			changed()
		}
	}
}

// statusConfig makes the status a check like any other.
type statusConfig struct{ status *status }

// SetTarget takes anything: there is one.
func (*statusConfig) SetTarget(check.Target) error { return nil }

// Validate finds no fault.
func (*statusConfig) Validate() error { return nil }

// Checker returns the status.
func (c *statusConfig) Checker(check.Env) (check.Checker, error) { return c.status, nil }
