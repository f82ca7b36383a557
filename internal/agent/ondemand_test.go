package agent_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"hale/internal/agent"
	"hale/internal/check"
	"hale/internal/monitor"
	"hale/internal/verdict"
)

// Results on demand have no age: however long nobody asks, what was so before
// still is.
func TestOnDemandKeepsSince(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := agent.NewOnDemand([]*check.Check{newCheck("db", &steered{})}, quiet)
		expect(t, o, "ready", verdict.Pass)
		since := o.Views()[0].Since(time.Now())
		pass(24 * time.Hour)
		expect(t, o, "ready", verdict.Pass)
		if got := o.Views()[0].Since(time.Now()); !got.Equal(since) {
			t.Errorf("up since %v, want %v", got, since)
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
