package main

import (
	"context"
	"time"
)

// A plan says how much is measured.
type plan struct {
	answerRounds, p99Rounds, firstRounds int
	wrkSeconds                           int // of each round with wrk

	oneshotRounds, celeryRounds int // of each contest of whole processes
	hungRounds                  int

	kills, events int           // of containers
	eventPause    time.Duration // from one start or end to the next, at least
	minute        time.Duration // how long the CPU of the whole machine is watched

	hanging int           // checks that hang while the p99 is taken
	idle    int           // idle connections meanwhile
	paced   time.Duration // how long the paced client asks
	settle  policy        // of the checks that hang

	firstTargets int

	interval   time.Duration // of every check of a load
	windows    int           // of one interval each, in which CPU is measured; one less for loads without a goal
	targets    []int         // the loads, ascending
	goalLoad   int           // the load whose CPU and memory have a goal
	lateLoad   int           // the load whose lateness has a goal
	clientTime time.Duration // of each window of the bare client
}

// newPlan returns the usual plan or the quick one, with the rounds given unless
// they are 0.
func newPlan(quick bool, rounds int) plan {
	p := plan{
		answerRounds: 7, p99Rounds: 5, firstRounds: 7, wrkSeconds: 3,
		oneshotRounds: 101, celeryRounds: 15, hungRounds: 5,
		kills: 100, events: 500, eventPause: 120 * time.Millisecond, minute: time.Minute,
		hanging: 1000, idle: 1000, paced: 3 * time.Second,
		settle:       policy{interval: 5 * time.Second, timeout: 4900 * time.Millisecond},
		firstTargets: 1000,
		interval:     10 * time.Second, windows: 3,
		targets:  []int{10, 100, 1000, 2000, 10_000, 20_000},
		goalLoad: 2000, lateLoad: 10_000,
		clientTime: 5 * time.Second,
	}
	if quick {
		p.answerRounds, p.p99Rounds, p.firstRounds, p.wrkSeconds = 1, 1, 1, 1
		p.oneshotRounds, p.celeryRounds, p.hungRounds = 5, 2, 1
		p.kills, p.events, p.minute = 3, 20, 2*time.Second
		p.hanging, p.idle, p.paced = 200, 200, 500*time.Millisecond
		p.settle = policy{interval: 2 * time.Second, timeout: 1900 * time.Millisecond}
		p.interval, p.windows = 2*time.Second, 1
		p.targets, p.goalLoad, p.lateLoad = []int{10, 100, 400}, 100, 400
		p.clientTime = time.Second
	}
	if rounds > 0 {
		p.answerRounds, p.p99Rounds, p.firstRounds = rounds, rounds, rounds
	}
	return p
}

// windowsFor is the number of windows for a load.
func (p plan) windowsFor(targets int) int {
	if targets == p.goalLoad || targets == p.lateLoad {
		return p.windows
	}
	return max(1, p.windows-1)
}

// alternate calls what for every number below n in each round, in an order that
// is reversed from round to round, so that what drifts on the machine hits all
// alike.
func alternate(ctx context.Context, rounds, n int, what func(round, i int) error) error {
	for round := range rounds {
		for i := range n {
			if round%2 == 1 {
				i = n - 1 - i
			}
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			if err := what(round, i); err != nil {
				return err
			}
		}
	}
	return nil
}

// sleep waits for d and returns an error if ctx ends first.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}

// waitFor calls ready every so often until it returns nil. When patience is over
// or the process has ended before that, it returns an error with what the
// process has logged.
func waitFor(ctx context.Context, p *process, what string, every, patience time.Duration, ready func() error) error {
	deadline := time.Now().Add(patience)
	for {
		err := ready()
		if err == nil {
			return nil
		}
		if p.hasEnded() {
			return p.failure(what, "it has ended")
		}
		if time.Now().After(deadline) {
			return p.failure(what, err.Error())
		}
		if err := sleep(ctx, every); err != nil {
			return err
		}
	}
}
