package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"time"
)

// A contestant is a program that is run once and ends.
type contestant struct {
	name  string
	argv  []string
	wall  []float64 // milliseconds, by round
	cpu   []float64 // milliseconds of user and system time
	goal  float64   // at most so many times the first contestant; 0 is none
	shell []string  // environment besides this process's
}

// A contest is programs that do the same, the first being what the others are
// compared with.
type contest struct {
	what        string
	rounds      int
	contestants []contestant
}

// runOneshot compares whole processes, from being started to having ended.
func runOneshot(ctx context.Context, b *bench) error {
	b.printf("A whole process, from its start to its end, in alternating order; medians (least–most). CPU is user and system time. " +
		"`pg_isready` is Debian's wrapper, as a shell finds it, and the program behind it. Every run has to exit with 0.\n")
	for _, set := range []func(context.Context, *bench) (contest, func(), error){httpContest, redisContest, postgresContest, celeryContest, dockerContest} {
		c, stop, err := set(ctx, b)
		if err != nil {
			b.printf("\n**This could not be measured**: %v\n", err)
			b.failed = append(b.failed, err)
			continue
		}
		if len(c.contestants) > 0 {
			err = c.run(ctx, b)
		}
		stop()
		if err != nil {
			return err
		}
	}
	return nil
}

// run runs everybody in each round and writes the table.
func (c *contest) run(ctx context.Context, b *bench) error {
	for i := range c.contestants { // warm: files are read, pages are there
		if err := c.contestants[i].once(ctx); err != nil {
			return err
		}
	}
	err := alternate(ctx, c.rounds, len(c.contestants), func(_, i int) error { return c.contestants[i].measure(ctx) })
	if err != nil {
		return err
	}
	b.printf("\n%s, %s:\n\n", c.what, several(c.rounds, "round"))
	first := c.contestants[0]
	var t table
	t.row("", "wall, ms", "relative", "CPU, ms", "relative")
	for _, one := range c.contestants {
		t.row("`"+one.name+"`", spread(one.wall), number(median(ratios(one.wall, first.wall))), spread(one.cpu), number(median(ratios(one.cpu, first.cpu))))
	}
	b.printf("%s", t)
	for _, one := range c.contestants {
		if one.goal > 0 {
			wall, cpu := median(ratios(one.wall, first.wall)), median(ratios(one.cpu, first.cpu))
			b.goal(fmt.Sprintf("`%s` at most %g of `%s`", one.name, one.goal, first.name), fmt.Sprintf("wall %s, CPU %s", number(wall), number(cpu)), wall <= one.goal && cpu <= one.goal)
		}
	}
	b.progress("oneshot: %s: %s ms against %s ms", c.what, number(median(c.contestants[len(c.contestants)-1].wall)), number(median(first.wall)))
	return nil
}

// once runs the program.
func (c *contestant) once(ctx context.Context) error {
	_, err := c.command(ctx)
	return err
}

func (c *contestant) command(ctx context.Context) (*exec.Cmd, error) {
	cmd := exec.CommandContext(ctx, c.argv[0], c.argv[1:]...)
	cmd.Env = append(os.Environ(), c.shell...)
	cmd.SysProcAttr = childAttributes()
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("%s: %w", c.name, err)
	}
	return cmd, nil
}

// measure runs the program and takes its times.
func (c *contestant) measure(ctx context.Context) error {
	begin := time.Now()
	cmd, err := c.command(ctx)
	if err != nil {
		return err
	}
	c.wall = append(c.wall, inMilliseconds(time.Since(begin)))
	state := cmd.ProcessState
	c.cpu = append(c.cpu, inMilliseconds(state.UserTime()+state.SystemTime()))
	return nil
}

// hales are hale and hale-probe checking a URL.
func (b *bench) hales(goal float64, args ...string) []contestant {
	return []contestant{
		{name: "hale check", argv: append([]string{b.hale, "check"}, args...), goal: goal},
		{name: "hale-probe check", argv: append([]string{b.probe, "check"}, args...)},
	}
}

func httpContest(ctx context.Context, b *bench) (contest, func(), error) {
	curl, err := program("curl", "curl")
	if err != nil {
		return contest{}, nil, err
	}
	target, err := b.startNginx(ctx, 1)
	if err != nil {
		return contest{}, nil, err
	}
	url := target.urls(1)[0]
	first := contestant{name: "curl -fsS -o /dev/null", argv: []string{curl, "-fsS", "-o", "/dev/null", url}}
	return contest{"HTTP, nginx on loopback", b.plan.oneshotRounds, append([]contestant{first}, b.hales(1, url)...)}, target.stop, nil
}

func redisContest(ctx context.Context, b *bench) (contest, func(), error) {
	cli, err := program("redis-cli", "redis-tools")
	if err != nil {
		return contest{}, nil, err
	}
	server, port, err := b.startRedis(ctx)
	if err != nil {
		return contest{}, nil, err
	}
	first := contestant{name: "redis-cli ping", argv: []string{cli, "-p", fmt.Sprint(port), "ping"}}
	return contest{"Redis", b.plan.oneshotRounds, append([]contestant{first}, b.hales(1.3, "redis://"+local(port))...)}, server.stop, nil
}

func postgresContest(ctx context.Context, b *bench) (contest, func(), error) {
	wrapper, err := program("pg_isready", "postgresql-client")
	if err != nil {
		return contest{}, nil, err
	}
	server, port, bin, err := b.startPostgres(ctx)
	if err != nil {
		return contest{}, nil, err
	}
	args := []string{"-h", "127.0.0.1", "-p", fmt.Sprint(port)}
	contestants := append([]contestant{
		{name: "pg_isready", argv: append([]string{wrapper}, args...)},
	}, b.hales(0.4, "postgres://"+local(port))...)
	contestants = append(contestants, contestant{name: bin + "/pg_isready", argv: append([]string{bin + "/pg_isready"}, args...)})
	return contest{"PostgreSQL", b.plan.oneshotRounds, contestants}, server.stop, nil
}

func celeryContest(ctx context.Context, b *bench) (contest, func(), error) {
	server, port, err := b.startRedis(ctx)
	if err != nil {
		return contest{}, nil, err
	}
	worker, inspect, err := b.startCelery(ctx, port)
	if err != nil {
		server.stop()
		return contest{}, nil, err
	}
	stop := func() {
		worker.stop()
		server.stop()
	}
	url := fmt.Sprintf("celery+redis://%s/0", local(port))
	return contest{"A Celery worker on Redis", b.plan.celeryRounds, append([]contestant{inspect}, b.hales(0.05, url, "--worker", celeryWorker)...)}, stop, nil
}
