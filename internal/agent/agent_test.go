package agent_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"hale/internal/agent"
	"hale/internal/check"
	"hale/internal/monitor"
	"hale/internal/verdict"
)

// steered is a checker that fails while broken is set.
type steered struct {
	broken atomic.Bool
	takes  time.Duration
	runs   atomic.Int64
}

func (s *steered) Check(ctx context.Context) (string, error) {
	s.runs.Add(1)
	if s.takes > 0 {
		select {
		case <-time.After(s.takes):
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
	if s.broken.Load() {
		return "", errors.New("broken")
	}
	return "", nil
}

type checkerFunc func(context.Context) (string, error)

func (f checkerFunc) Check(ctx context.Context) (string, error) { return f(ctx) }

func newCheck(name string, c check.Checker, groups ...string) *check.Check {
	if groups == nil {
		groups = []string{check.GroupReady}
	}
	return &check.Check{
		Name: name, Kind: "fake", Target: "fake://" + name, ID: name,
		Policy: check.DefaultPolicy(), Impact: check.ImpactFail, Groups: groups, Checker: c,
	}
}

var quiet = agent.OnDemandOptions{Log: slog.New(slog.DiscardHandler)}

type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (l *logBuffer) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

func startAgent(t *testing.T, log *slog.Logger, checks ...*check.Check) *agent.Agent {
	t.Helper()
	a := agent.New(monitor.New(monitor.Options{Log: log}), log)
	a.Set(checks)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		a.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return a
}

type answerer interface {
	Answer(ctx context.Context, group string) (verdict.Outcome, bool)
}

func expect(t *testing.T, a answerer, group string, want verdict.Outcome) {
	t.Helper()
	if got, ok := a.Answer(t.Context(), group); got != want || !ok {
		t.Errorf("%s is %v (known: %v), want %v", group, got, ok, want)
	}
}

func pass(d time.Duration) {
	time.Sleep(d) // virtual, in a bubble
	synctest.Wait()
}

func TestAgentAnswersWhatIsBelieved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log logBuffer
		db := &steered{}
		a := startAgent(t, log.logger(), newCheck("db", db), newCheck("side", &steered{}, "lb"))
		expect(t, a, "ready", verdict.Fail) // nothing is known yet
		expect(t, a, "startup", verdict.Fail)
		expect(t, a, "live", verdict.Pass)
		pass(time.Second)
		for _, group := range []string{"ready", "startup", "live", "all", "lb"} {
			expect(t, a, group, verdict.Pass)
		}
		if _, ok := a.Answer(t.Context(), "nobody"); ok {
			t.Error("a group that does not exist is known")
		}
		db.broken.Store(true)
		pass(8 * time.Second)
		expect(t, a, "ready", verdict.Fail)
		expect(t, a, "all", verdict.Fail)
		expect(t, a, "lb", verdict.Pass)
		expect(t, a, "startup", verdict.Pass) // for good
		if v, _ := a.Verdict("ready"); len(v.Causes) != 1 || v.Causes[0].Text != "other: broken" {
			t.Errorf("causes %+v", v.Causes)
		}
		db.broken.Store(false)
		pass(8 * time.Second)
		expect(t, a, "ready", verdict.Pass)
		for _, want := range []string{
			`msg="the verdict of ready is fail" group=ready outcome=fail because="db: other: broken"`,
			`msg="db is down" check=db target=fake://db was=up reason=other error=broken`,
			`msg="db is up"`, `msg="the verdict of ready is pass"`, "start-up is over",
		} {
			if !strings.Contains(log.String(), want) {
				t.Errorf("the log lacks %q:\n%s", want, log.String())
			}
		}
	})
}

func TestDrainFailsAtOnceAndLiveStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := startAgent(t, slog.New(slog.DiscardHandler), newCheck("db", &steered{}))
		pass(time.Second)
		expect(t, a, "ready", verdict.Pass)
		a.Drain()
		expect(t, a, "ready", verdict.Fail)
		expect(t, a, "all", verdict.Fail)
		expect(t, a, "live", verdict.Pass)
		expect(t, a, "startup", verdict.Pass)
		a.Resume()
		expect(t, a, "ready", verdict.Pass)
	})
}

func TestAnswerReadsMemoryOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := startAgent(t, slog.New(slog.DiscardHandler), newCheck("db", &steered{}))
		pass(time.Second)
		ctx := t.Context()
		if n := testing.AllocsPerRun(1000, func() { a.Answer(ctx, "ready") }); n > 0 {
			t.Errorf("%v allocations an answer", n)
		}
	})
}

// While draining, the verdict as if the instance were not is the checks' own.
func TestAnswerUndrained(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := &steered{}
		a := startAgent(t, slog.New(slog.DiscardHandler), newCheck("db", db))
		o := agent.NewOnDemand([]*check.Check{newCheck("db", db)}, quiet)
		pass(time.Second)
		type drainer interface {
			answerer
			AnswerUndrained(ctx context.Context, group string) (verdict.Outcome, bool)
			Drain()
		}
		for _, a := range []drainer{a, o} {
			undrained := func(want verdict.Outcome) {
				t.Helper()
				if got, ok := a.AnswerUndrained(t.Context(), "ready"); got != want || !ok {
					t.Errorf("undrained: got %v, want %v", got, want)
				}
			}
			undrained(verdict.Pass)
			a.Drain()
			for range 2 { // each has an answer of its own
				expect(t, a, "ready", verdict.Fail)
				undrained(verdict.Pass)
			}
			db.broken.Store(true)
			pass(time.Minute)
			undrained(verdict.Fail)
			expect(t, a, "ready", verdict.Fail)
			if _, ok := a.AnswerUndrained(t.Context(), "nosuch"); ok {
				t.Error("there is a group nosuch")
			}
			db.broken.Store(false)
			pass(time.Minute)
		}
	})
}

// Draining shows in the log at once, however long nothing else changes.
func TestDrainingWakesTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lines logBuffer
		log := slog.New(slog.NewTextHandler(&lines, nil))
		a := agent.New(monitor.New(monitor.Options{Log: log}), log)
		c := newCheck("db", &steered{})
		c.Policy.Interval = time.Hour
		a.Set([]*check.Check{c})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { a.Run(ctx); close(ended) }()
		time.Sleep(time.Minute)
		a.Drain()
		time.Sleep(2 * time.Second)
		if got := lines.String(); !strings.Contains(got, "the verdict of ready is fail") {
			t.Errorf("the log does not tell of the verdict:\n%s", got)
		}
		cancel()
		<-ended
	})
}
