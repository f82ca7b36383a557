package main

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"os"
	"os/exec"
	"strings"
	"time"
)

// runCPU takes what a check in the background costs, and how that grows with
// the number of targets.
func runCPU(ctx context.Context, b *bench) error {
	bare, err := b.measureClient(ctx)
	if err != nil {
		return err
	}
	var loads []*load
	for _, targets := range b.plan.targets {
		l, err := b.load(ctx, targets)
		if err != nil {
			return fmt.Errorf("%d targets: %w", targets, err)
		}
		loads = append(loads, l)
	}
	b.writeLoads(loads, bare)
	return nil
}

// measureClient takes the CPU time in milliseconds that the bare client needs
// for a request, by window.
func (b *bench) measureClient(ctx context.Context) ([]float64, error) {
	target, err := b.startNginx(ctx, 8)
	if err != nil {
		return nil, err
	}
	defer target.stop()
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	addr := b.plan.clientTime.String()
	for _, port := range target.ports {
		addr += "," + local(port)
	}
	ctx, cancel := context.WithTimeout(ctx, 4*b.plan.clientTime+10*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, self, "-role", "client", "-role-addr", addr)
	cmd.SysProcAttr = childAttributes()
	var out, log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &log
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("the bare client: %w: %s", err, log.String())
	}
	return parseClient(out.String())
}

// parseClient reads what the bare client writes: requests and CPU seconds, a
// window a line.
func parseClient(out string) ([]float64, error) {
	var costs []float64
	for line := range strings.Lines(out) {
		var requests, seconds float64
		if _, err := fmt.Sscan(line, &requests, &seconds); err != nil || requests == 0 {
			return nil, fmt.Errorf("the bare client wrote %q (%v)", line, err)
		}
		costs = append(costs, 1000*seconds/requests)
	}
	if len(costs) == 0 {
		return nil, fmt.Errorf("the bare client wrote nothing")
	}
	return costs, nil
}

func (b *bench) writeLoads(loads []*load, bare []float64) {
	last := loads[len(loads)-1].after
	b.printf("HTTP checks of nginx on loopback every %v, a new connection each, up to %s of one interval, after every check has run at least once; medians (least–most). "+
		"CPU time is hale's own, user and system, as the kernel counts it, divided by the runs that `/metrics` tells. "+
		"In hale GOMAXPROCS is %.0f, GOGC %.0f, the memory limit %s. A megabyte is 1,000,000 bytes.\n\n",
		b.plan.interval, several(b.plan.windows, "window"), last.maxprocs, last.gogc, memoryLimit(last.memoryLimit))
	var t table
	t.row("targets", "runs/s", "CPU per check, ms", "of a bare client's", "of that system", "of one core", "RSS, MB", "PSS, MB", "RSS after `/metrics`, MB", "failed or skipped")
	for _, l := range loads {
		t.row(thousands(int64(l.targets)), number(l.perSecond()), spread(l.cost()), number(median(l.cost())/median(bare)),
			share(l.system), number(100*median(l.cores))+" %",
			number(inMegabytes(l.memory.rss)), number(inMegabytes(l.memory.pss)), number(inMegabytes(l.scraped.rss)),
			failures(l.before, l.after))
	}
	b.printf("%s", t)
	b.printf("\nA bare net/http client that makes %d such requests a second takes %s ms of CPU for each.\n", clientRate, spread(bare))
	b.loadGoals(loads, bare)
}

// loadGoals judges the loads.
func (b *bench) loadGoals(loads []*load, bare []float64) {
	for _, l := range loads {
		rss := inMegabytes(l.memory.rss)
		switch l.targets {
		case healthy:
			b.goal(fmt.Sprintf("at most 20 MB with %d checks", healthy), number(rss)+" MB", rss <= 20)
		case b.plan.goalLoad:
			cost, name := median(l.cost()), thousands(int64(l.targets))
			b.goal("at most 0.08 ms of CPU per check with "+name+" targets",
				fmt.Sprintf("%s ms, %s of the bare client", number(cost), number(cost/median(bare))), cost <= 0.08)
			b.goal("at most 30 MB with "+name+" targets", number(rss)+" MB", rss <= 30)
		}
	}
	from, to := b.goalLoad(loads), loads[len(loads)-1]
	if from == nil || from == to {
		return
	}
	growth := perTarget(from, to)
	b.goal(fmt.Sprintf("at most 5 KB a target from %s to %s", thousands(int64(from.targets)), thousands(int64(to.targets))), number(growth)+" KB", growth <= 5)
}

// goalLoad finds the load that has goals.
func (b *bench) goalLoad(loads []*load) *load {
	for _, l := range loads {
		if l.targets == b.plan.goalLoad {
			return l
		}
	}
	return nil
}

// perTarget is by how much the memory grows, in units of 1,000 bytes a target.
func perTarget(from, to *load) float64 {
	return (float64(to.memory.rss) - float64(from.memory.rss)) / 1000 / float64(to.targets-from.targets)
}

// share writes a share in percent, if it is known.
func share(of float64) string {
	if math.IsNaN(of) {
		return "–"
	}
	return fmt.Sprintf("%.0f %%", 100*of)
}

func memoryLimit(bytes float64) string {
	if bytes == 0 || bytes >= math.MaxInt64 {
		return "none"
	}
	return number(bytes/1e6) + " MB"
}
