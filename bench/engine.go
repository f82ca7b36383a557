package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// A containers is a set of containers that this program made, on the engine
// that runs here.
type containers struct {
	docker, image string
	api           *http.Client
	names         []string
}

// ours labels what this program makes.
const ours = "hale-bench=1"

// newContainers makes the image of a web server, from busybox alone.
func (b *bench) newContainers(ctx context.Context) (*containers, error) {
	docker, err := exec.LookPath("docker")
	if err == nil {
		err = exec.CommandContext(ctx, docker, "version").Run()
	}
	if err != nil {
		return nil, errNoEngine
	}
	busybox, err := program("busybox", "busybox-static")
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(b.dir, "image-")
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(dir, "index.html"), []byte("ok\n"), 0o644); err != nil {
		return nil, err
	}
	c := &containers{docker: docker, image: "hale-bench:web"}
	build := exec.CommandContext(ctx, "sh", "-c", `cp "$1" "$2" && chmod 755 "$2" && tar -C "$2" -c busybox index.html | "$3" import --change 'EXPOSE 80' - "$4"`, "sh", busybox, dir, docker, c.image)
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("docker import: %w: %s", err, strings.TrimSpace(string(out)))
	}
	c.api = &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", "/var/run/docker.sock")
		},
	}}
	return c, nil
}

var errNoEngine = errors.New("no Docker engine is there")

// start starts so many containers of the name, with arguments for docker run.
func (c *containers) start(ctx context.Context, name string, count int, args ...string) error {
	for i := range count {
		one := fmt.Sprintf("hale-bench-%s-%02d", name, i)
		run := append([]string{"run", "-d", "--name", one, "--label", ours}, args...)
		run = append(run, c.image, "/busybox", "httpd", "-f", "-p", "80", "-h", "/")
		if out, err := exec.CommandContext(ctx, c.docker, run...).CombinedOutput(); err != nil {
			return fmt.Errorf("docker run: %w: %s", err, strings.TrimSpace(string(out)))
		}
		c.names = append(c.names, one)
	}
	return nil
}

// post asks the engine to do something to a container.
func (c *containers) post(ctx context.Context, name, what string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://docker/containers/"+name+"/"+what, nil)
	if err != nil {
		return err
	}
	response, err := c.api.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode >= 300 && response.StatusCode != http.StatusNotModified {
		return fmt.Errorf("docker %s %s: %s", what, name, response.Status)
	}
	return nil
}

// remove removes what was started.
func (c *containers) remove() {
	for _, name := range c.names {
		_ = exec.Command(c.docker, "rm", "-f", name).Run()
	}
	c.names = nil
}

// end removes the image too.
func (c *containers) end() {
	c.remove()
	_ = exec.Command(c.docker, "rmi", c.image).Run()
}

// finding is a configuration that finds this program's containers.
const finding = "defaults: {interval: 10s, rise: 1}\ndiscover: {docker: {labels: [" + ours + "], start_period: 1s}}\n"

// runEngine measures hale beside a Docker engine.
func runEngine(ctx context.Context, b *bench) error {
	c, err := b.newContainers(ctx)
	if errors.Is(err, errNoEngine) {
		b.printf("Not measured: no Docker engine was there.\n")
		return nil
	}
	if err != nil {
		return err
	}
	defer c.end()
	for _, part := range []func(context.Context, *bench, *containers) error{runKills, runEvents, runFifty} {
		if err := part(ctx, b, c); err != nil {
			return err
		}
		c.remove()
	}
	return nil
}

// runKills measures how long after a container was killed the answer changes.
func runKills(ctx context.Context, b *bench, c *containers) error {
	if err := c.start(ctx, "kill", 2); err != nil {
		return err
	}
	h, err := b.startHaleWith(finding)
	if err != nil {
		return err
	}
	defer h.stop()
	var took []float64
	for round := range b.plan.kills {
		if _, err := h.waitReady(ctx, 5*time.Millisecond, time.Minute); err != nil {
			return err
		}
		victim := c.names[round%len(c.names)]
		begin := time.Now()
		killed := make(chan error, 1)
		go func() { killed <- c.post(ctx, victim, "kill") }()
		if err := h.waitFail(ctx, time.Millisecond, 10*time.Second); err != nil {
			return err
		}
		took = append(took, inMilliseconds(time.Since(begin)))
		if err := <-killed; err != nil {
			return err
		}
		if err := c.post(ctx, victim, "start"); err != nil {
			return err
		}
	}
	b.printf("From the request to kill a container to the first answer that is not 200, asked every millisecond, %s:\n\n", several(len(took), "kill"))
	var t table
	t.row("", "p50, ms", "p99, ms", "the longest")
	t.row("hale", number(quantile(took, 0.5)), number(quantile(took, 0.99)), number(quantile(took, 1)))
	t.row("docker-status, by its interval of 30 s", "15,000", "30,000", "30,000")
	t.row("Docker's HEALTHCHECK, by its default interval of 30 s and 3 retries", "75,000", "90,000", "90,000")
	b.printf("%s", t)
	b.printf("\nThe last two rows are computed from the intervals, not measured.\n")
	p99 := quantile(took, 0.99)
	b.goal("at most 100 ms", number(p99)+" ms at p99", p99 <= 100)
	return nil
}

// runEvents starts and stops containers as fast as once in an eighth of a
// second, and looks whether hale has lost one.
func runEvents(ctx context.Context, b *bench, c *containers) error {
	if err := c.start(ctx, "event", 10); err != nil {
		return err
	}
	h, err := b.startHaleWith(finding)
	if err != nil {
		return err
	}
	defer h.stop()
	if _, err := h.waitReady(ctx, 10*time.Millisecond, time.Minute); err != nil {
		return err
	}
	before, err := readMemory(h.pid)
	if err != nil {
		return err
	}
	begin := time.Now()
	for i := range b.plan.events / 2 {
		name := c.names[i%len(c.names)]
		if err := c.post(ctx, name, "kill"); err != nil {
			return err
		}
		if err := c.post(ctx, name, "start"); err != nil {
			return err
		}
		if err := sleep(ctx, time.Until(begin.Add(time.Duration(i+1)*2*b.plan.eventPause))); err != nil {
			return err
		}
	}
	took := time.Since(begin)
	if _, err := h.waitReady(ctx, 10*time.Millisecond, time.Minute); err != nil {
		return err
	}
	status, err := h.status(ctx)
	if err != nil {
		return err
	}
	up := 0
	for _, one := range status.Checks {
		if strings.HasPrefix(one.Name, "hale-bench-event-") && one.Status == "up" {
			up++
		}
	}
	after, err := readMemory(h.pid)
	if err != nil {
		return err
	}
	b.printf("\n%s starts and ends of containers in %v: %d of %d containers are known and up at the end; RSS was %s MB before and %s MB after.\n",
		thousands(int64(b.plan.events)), took.Round(time.Second), up, len(c.names), number(inMegabytes(before.rss)), number(inMegabytes(after.rss)))
	b.goal("no container is missed", fmt.Sprintf("%d of %d", up, len(c.names)), up == len(c.names))
	return nil
}

// runFifty compares the CPU that checking 50 containers takes the whole machine:
// by hale, and by a HEALTHCHECK each.
func runFifty(ctx context.Context, b *bench, c *containers) error {
	if err := c.start(ctx, "fifty", 50); err != nil {
		return err
	}
	idle, err := b.machineCPU(ctx)
	if err != nil {
		return err
	}
	h, err := b.startHaleWith(finding)
	if err != nil {
		return err
	}
	if _, err := h.waitReady(ctx, 10*time.Millisecond, time.Minute); err != nil {
		h.stop()
		return err
	}
	own := cpuTime(h.pid)
	checking, err := b.machineCPU(ctx)
	own = cpuTime(h.pid) - own
	h.stop()
	if err != nil {
		return err
	}
	c.remove()
	if err := c.start(ctx, "health", 50, "--health-cmd", "/busybox wget -q -O /dev/null http://127.0.0.1/", "--health-interval", "10s"); err != nil {
		return err
	}
	healthchecks, err := b.machineCPU(ctx)
	if err != nil {
		return err
	}
	b.printf("\n50 containers checked over HTTP every 10 s, for %v; the CPU time of the whole machine, less that of the same time with the containers alone:\n\n", b.plan.minute)
	var t table
	t.row("", "CPU, s", "relative")
	byExec := (healthchecks - idle).Seconds()
	t.row("50 HEALTHCHECKs, by exec", number(byExec), "1.00")
	t.row("hale, the whole machine", number((checking - idle).Seconds()), number((checking-idle).Seconds()/byExec))
	t.row("hale, its process alone", number(own.Seconds()), number(own.Seconds()/byExec))
	b.printf("%s", t)
	return nil
}
