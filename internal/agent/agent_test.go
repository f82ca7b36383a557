package agent_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
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

// A monitor that has stopped must not be believed: its results go stale, and
// the answer does not depend on any goroutine noticing it.
func TestStaleIsNoticedByTheAnswerItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := monitor.New(monitor.Options{})
		a := agent.New(m, slog.New(slog.DiscardHandler))
		a.Set([]*check.Check{newCheck("db", &steered{})})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			m.Run(ctx)
		}()
		pass(time.Second)
		expect(t, a, "ready", verdict.Pass)
		cancel()
		<-done
		pass(11 * time.Second)
		expect(t, a, "ready", verdict.Pass)
		pass(2 * time.Second)
		expect(t, a, "ready", verdict.Fail)
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

func TestOnDemandSharesARun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := &steered{takes: time.Second}
		o := agent.NewOnDemand([]*check.Check{newCheck("db", db)}, quiet)
		var asked sync.WaitGroup
		for range 10 {
			asked.Go(func() { expect(t, o, "ready", verdict.Pass) })
		}
		asked.Wait()
		if n := db.runs.Load(); n != 1 {
			t.Errorf("%d runs for 10 requests at once, want 1", n)
		}
		db.broken.Store(true)
		expect(t, o, "ready", verdict.Fail) // one result decides
		expect(t, o, "startup", verdict.Pass)
		if v, _ := o.Verdict("ready"); v.Outcome != verdict.Fail {
			t.Errorf("the verdict without a run is %v", v.Outcome)
		}
		db.broken.Store(false)
		expect(t, o, "ready", verdict.Pass)
		o.Drain()
		runs := db.runs.Load()
		expect(t, o, "ready", verdict.Fail)
		if db.runs.Load() != runs {
			t.Error("draining ran the checks")
		}
		expect(t, o, "live", verdict.Pass)
	})
}

func TestOnDemandAnswersInTimeAndForgetsWhoHangsUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := &steered{takes: time.Hour}
		o := agent.NewOnDemand([]*check.Check{newCheck("slow", slow)}, quiet)
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		begin := time.Now()
		if got, _ := o.Answer(ctx, "ready"); got != verdict.Fail || time.Since(begin) != 100*time.Millisecond {
			t.Errorf("who hung up got %v after %v", got, time.Since(begin))
		}
		expect(t, o, "ready", verdict.Fail) // joins the run in flight
		if took := time.Since(begin); took != 3*time.Second {
			t.Errorf("the answer took %v, want the timeout", took)
		}
		if n := slow.runs.Load(); n != 1 {
			t.Errorf("%d runs, want the one that was shared", n)
		}
	})
}

// The result of a quick check is no older than the answer for having waited for a
// slow one.
func TestOnDemandWaitsForASlowCheck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		quick, slow := newCheck("quick", &steered{}), newCheck("slow", &steered{takes: time.Minute})
		quick.Policy.Interval, quick.Policy.Timeout = time.Second, time.Second
		slow.Policy.Interval, slow.Policy.Timeout = 2*time.Minute, 2*time.Minute
		o := agent.NewOnDemand([]*check.Check{quick, slow}, quiet)
		expect(t, o, "ready", verdict.Pass)
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

func TestOnDemandUnsharedRunsForEachRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := &steered{takes: time.Second}
		options := quiet
		options.Unshared = true
		o := agent.NewOnDemand([]*check.Check{newCheck("db", db)}, options)
		var asked sync.WaitGroup
		for range 10 {
			asked.Go(func() { expect(t, o, "ready", verdict.Pass) })
		}
		asked.Wait()
		if n := db.runs.Load(); n != 10 {
			t.Errorf("%d runs for 10 requests, want 10", n)
		}
	})
}

// A check in two groups runs once when both are asked for at the same time.
func TestOnDemandSharesAcrossGroups(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := &steered{takes: time.Second}
		o := agent.NewOnDemand([]*check.Check{newCheck("db", db, "ready", "data")}, quiet)
		var asked sync.WaitGroup
		for _, group := range []string{"ready", "data", "all", "startup"} {
			asked.Go(func() { expect(t, o, group, verdict.Pass) })
		}
		asked.Wait()
		if n := db.runs.Load(); n != 1 {
			t.Errorf("%d runs for four groups at once, want 1", n)
		}
	})
}

// A pool bounds the runs, and who gets no place in time is a timeout.
func TestOnDemandKeepsToPools(t *testing.T) {
	for _, unshared := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			options := quiet
			options.Pools = map[string]int{"few": 2}
			options.Unshared = unshared
			var checks []*check.Check
			slow := &steered{takes: time.Second}
			for i := range 8 {
				c := newCheck(fmt.Sprint("slow", i), slow)
				c.Pool = "few"
				checks = append(checks, c)
			}
			begin := time.Now()
			expect(t, agent.NewOnDemand(checks[:4], options), "ready", verdict.Pass)
			if took := time.Since(begin); took != 2*time.Second {
				t.Errorf("four runs, two at once, took %v, want 2s", took)
			}
			begin = time.Now()
			o := agent.NewOnDemand(checks, options)
			expect(t, o, "ready", verdict.Fail)
			if took, most := time.Since(begin), 3*time.Second+monitor.Grace; took != most {
				t.Errorf("the answer took %v, want the timeout and the grace, %v", took, most)
			}
			time.Sleep(time.Minute)
			ended, cancel := context.WithCancel(t.Context())
			cancel()
			o.Run(ended)
		})
	}
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

func TestOnDemandRunWaitsForRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := agent.NewOnDemand([]*check.Check{newCheck("slow", &steered{takes: time.Hour})}, quiet)
		ctx, cancel := context.WithCancel(t.Context())
		go o.Answer(t.Context(), "ready")
		synctest.Wait()
		cancel()
		begin := time.Now()
		o.Run(ctx)
		if took := time.Since(begin); took != 0 {
			t.Errorf("ending took %v", took)
		}
		expect(t, o, "ready", verdict.Fail) // too late: nothing runs any more
	})
}
