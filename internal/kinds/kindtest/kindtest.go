// Package kindtest is the contract that every kind of check passes.
//
// It runs a kind against peers that misbehave – refuse, stay silent, drip,
// reset, send garbage, never stop sending – and asserts that each run ends
// within its timeout and half a second, says why it failed with a bounded
// reason, and leaves nothing behind: no goroutine, connection or process.
package kindtest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"hale/internal/check"
	"hale/internal/servertest"
)

// Timeout is the timeout of the contract's runs, and Grace how much later a
// run may end.
const (
	Timeout = 400 * time.Millisecond
	Grace   = 500 * time.Millisecond
)

// Network describes a kind that talks to a server over TCP.
type Network struct {
	// Kind is the kind under test.
	Kind check.Kind
	// URL makes the check's URL, options included, of a server's host:port.
	URL func(address string) string
	// Content with lists the misbehaviours that this kind rightly calls
	// healthy: a bare tcp check needs no answer.
	ContentWith []string
}

// Run runs the contract as subtests.
func (n Network) Run(t *testing.T) {
	t.Run("refused", func(t *testing.T) {
		expectLeavesNothing(t)
		result := n.run(t, t.Context(), servertest.FreeAddress(t))
		expectReason(t, result, check.ReasonRefused)
	})
	t.Run("cancelled", func(t *testing.T) {
		expectLeavesNothing(t)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		result := n.run(t, ctx, servertest.FreeAddress(t))
		expectReason(t, result, check.ReasonCanceled)
	})
	t.Run("cancelled while waiting", func(t *testing.T) {
		if slices.Contains(n.ContentWith, "silent") {
			t.Log("this kind does not wait for an answer, so there is nothing to cancel")
			return
		}
		server := newServer(t, Peers["silent"])
		expectLeavesNothing(t)
		ctx, cancel := context.WithCancel(t.Context())
		go func() { <-server.accepted; cancel() }()
		// A timeout so long that a run which waits for it can be told from one
		// that ends because it was cancelled, on the busiest machine.
		start := time.Now()
		c := Build(t, n.Kind, n.URL(server.address), check.Option{Name: "timeout", Values: []string{"5s"}})
		result := Run(t, ctx, c)
		if d := time.Since(start); d > c.Policy.Timeout/2 {
			t.Errorf("ended after %v, want soon after the cancellation", d)
		}
		expectReason(t, result, check.ReasonCanceled)
		server.expectNoConnections(t)
	})
	for name, peer := range Peers {
		t.Run(name, func(t *testing.T) {
			server := newServer(t, peer)
			expectLeavesNothing(t)
			result := n.run(t, t.Context(), server.address)
			if slices.Contains(n.ContentWith, name) {
				if !result.Healthy() {
					t.Errorf("got %v, want healthy", result.Err)
				}
			} else if result.Healthy() {
				t.Errorf("got healthy with note %q, want a failure", result.Note)
			} else {
				expectGoodError(t, result)
			}
			server.expectNoConnections(t)
		})
	}
}

func (n Network) run(t *testing.T, ctx context.Context, address string) check.Result {
	t.Helper()
	return Run(t, ctx, Build(t, n.Kind, n.URL(address)))
}

// Build makes a check of a kind with the contract's timeout.
func Build(t *testing.T, kind check.Kind, url string, options ...check.Option) *check.Check {
	t.Helper()
	c, err := TryBuild(t, kind, url, options...)
	if err != nil {
		t.Fatalf("build %s: %v", url, err)
	}
	return c
}

// TryBuild is Build for a check that may be refused.
func TryBuild(t *testing.T, kind check.Kind, url string, options ...check.Option) (*check.Check, error) {
	t.Helper()
	registry, err := check.NewRegistry(check.Env{}, kind)
	if err != nil {
		t.Fatal(err)
	}
	policy := check.DefaultPolicy()
	policy.Timeout = Timeout
	return registry.Build(check.Spec{URL: url, Options: options, Policy: policy})
}

// Run runs a check once and fails the test if it ends later than its timeout
// and the grace.
func Run(t *testing.T, ctx context.Context, c *check.Check) check.Result {
	t.Helper()
	start := time.Now()
	result := c.Run(ctx, func(v any, stack []byte) { t.Errorf("panic: %v\n%s", v, stack) })
	if d := time.Since(start); d > c.Policy.Timeout+Grace {
		t.Errorf("the run took %v, want at most %v", d, c.Policy.Timeout+Grace)
	}
	return result
}

// ExpectReason fails the test if the result does not have the reason.
func ExpectReason(t *testing.T, result check.Result, want check.Reason) {
	t.Helper()
	expectReason(t, result, want)
}

func expectReason(t *testing.T, result check.Result, want check.Reason) {
	t.Helper()
	if result.Reason() != want {
		t.Errorf("reason %q (%v), want %q", result.Reason(), result.Err, want)
	}
}

// expectGoodError asserts that an error would help a person.
func expectGoodError(t *testing.T, result check.Result) {
	t.Helper()
	text := result.Err.Error()
	if result.Reason() == check.ReasonOther || result.Reason() == check.ReasonPanic {
		t.Errorf("reason %q of %q tells nothing", result.Reason(), text)
	}
	if strings.TrimSpace(text) == "" || len(text) > check.MaxText {
		t.Errorf("error text of %d bytes: %q", len(text), text)
	}
	if errors.Is(result.Err, context.DeadlineExceeded) {
		t.Errorf("the result's error can be unwrapped to its cause, which may hold a secret")
	}
}
