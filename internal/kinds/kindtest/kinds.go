package kindtest

import (
	"strings"
	"testing"
	"time"

	"hale/internal/check"
)

// Kinds are the kinds under test, of which tests build checks that talk to real
// servers. Their timeout is a patient one, since a busy machine takes its time.
type Kinds []check.Kind

// Build makes a check of a URL, or returns why it is refused.
func (k Kinds) Build(url string, options ...check.Option) (*check.Check, error) {
	return k.BuildIn(check.Env{}, url, options...)
}

// BuildIn is Build with an environment.
func (k Kinds) BuildIn(env check.Env, url string, options ...check.Option) (*check.Check, error) {
	registry, err := check.NewRegistry(env, k...)
	if err != nil {
		return nil, err
	}
	policy := check.DefaultPolicy()
	policy.Interval, policy.Timeout = time.Minute, 30*time.Second
	return registry.Build(check.Spec{URL: url, Options: options, Policy: policy})
}

// Run makes a check of a URL and runs it once.
func (k Kinds) Run(t *testing.T, url string, options ...check.Option) check.Result {
	t.Helper()
	return k.RunIn(t, check.Env{}, url, options...)
}

// RunIn is Run with an environment.
func (k Kinds) RunIn(t *testing.T, env check.Env, url string, options ...check.Option) check.Result {
	t.Helper()
	c, err := k.BuildIn(env, url, options...)
	if err != nil {
		t.Fatalf("build %s: %v", url, err)
	}
	return c.Run(t.Context(), func(v any, stack []byte) { t.Errorf("panic: %v\n%s", v, stack) })
}

// Option is an option as a configuration gives it.
func Option(name string, values ...string) check.Option {
	return check.Option{Name: name, Values: values}
}

// ExpectNote fails the test unless the run was healthy and has the note.
func ExpectNote(t *testing.T, result check.Result, want string) {
	t.Helper()
	if result.Err != nil || result.Note != want {
		t.Errorf("got note %q and error %v, want note %q", result.Note, result.Err, want)
	}
}

// ExpectFailure fails the test unless the run failed for the reason and its text
// has all parts.
func ExpectFailure(t *testing.T, result check.Result, reason check.Reason, parts ...string) {
	t.Helper()
	if result.Healthy() || result.Reason() != reason {
		t.Errorf("got %q: %s\nwant the failure %q", result.Reason(), result.Text(), reason)
		return
	}
	for _, part := range parts {
		if !strings.Contains(result.Text(), part) {
			t.Errorf("got  %s\nwant %q in it", result.Text(), part)
		}
	}
}
