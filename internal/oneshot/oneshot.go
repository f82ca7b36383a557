// Package oneshot is what `hale check` and `hale wait` do, for hale and for the
// small hale-probe: checks are run once, or until all are healthy, and the
// program ends. It starts no scheduler and opens no listener.
package oneshot

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"hale/internal/check"
	"hale/internal/config"
	"hale/internal/monitor"
)

// The exit codes, after sysexits.h where it has one. 2 is never used: Docker
// reserves it in health checks. Go's runtime ends with it, beyond anybody's reach,
// when it can't have a thread, memory or file descriptors.
const (
	exitOK     = 0
	exitFail   = 1  // a check is not healthy
	exitUsage  = 64 // the command line is wrong
	exitConfig = 78 // the configuration is wrong
)

// A Program is what runs the checks: hale or hale-probe.
type Program struct {
	// Name is what it is called, for messages.
	Name string
	// Registry knows the kinds of check.
	Registry *check.Registry
	// ConfigFile is the configuration that is read when it exists and no other
	// is given.
	ConfigFile string
	// OwnIP finds what ${own_ip} stands for in it.
	OwnIP config.OwnIP
	// Out takes results, Err everything else.
	Out, Err io.Writer

	child bool // of a process that runs the same command
}

// EndSignals are the signals that ask such a program to end, so that it ends
// what it has started. A terminal that goes away is one, unless the program was
// told to outlive it (nohup).
func EndSignals() []os.Signal {
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGQUIT}
	if !signal.Ignored(syscall.SIGHUP) {
		signals = append(signals, syscall.SIGHUP)
	}
	return signals
}

// fail prints the error, a line for each of its lines, and returns the code.
func (p *Program) fail(code int, command string, err error) int {
	for line := range strings.Lines(err.Error()) {
		fmt.Fprintf(p.Err, "%s %s: %s\n", p.Name, command, strings.TrimRight(line, "\n"))
	}
	return code
}

// grace is how much longer than its timeout a run may take before it is taken
// for a timeout.
const grace = 80 * time.Millisecond

// pooled is how many runs go on at once of checks that have a pool, which start
// a process each.
const pooled = 64

// A runner runs checks, of those with a pool only so many at once.
type runner struct {
	places chan struct{}
	err    io.Writer // for panics
}

func (p *Program) newRunner() *runner {
	return &runner{places: make(chan struct{}, pooled), err: p.Err}
}

// run runs a check once. It blocks until the check's timeout, a little more at
// most, and before that until there is a place for it.
func (r *runner) run(ctx context.Context, c *check.Check) check.Result {
	if c.Pool != "" {
		select {
		case r.places <- struct{}{}:
			defer func() { <-r.places }()
		case <-ctx.Done():
		}
	}
	return monitor.Once(ctx, []*check.Check{c}, grace, func(c *check.Check, value any, stack []byte) {
		fmt.Fprintf(r.err, "the check %s panicked: %v\n%s", c.Name, value, stack)
	})[0]
}

// runAll runs the checks at the same time and returns their results.
func (r *runner) runAll(ctx context.Context, checks []*check.Check) []check.Result {
	results := make([]check.Result, len(checks))
	var runs sync.WaitGroup
	for i, c := range checks {
		runs.Go(func() { results[i] = r.run(ctx, c) })
	}
	runs.Wait()
	return results
}
