package main

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
)

// dockerContest is what it costs to ask a container anything at all: the exec
// that every HEALTHCHECK and every exec probe begins with. Without an engine it
// is left out, and said so.
func dockerContest(ctx context.Context, b *bench) (contest, func(), error) {
	docker, err := exec.LookPath("docker")
	if err == nil {
		err = exec.CommandContext(ctx, docker, "version").Run()
	}
	if err != nil {
		b.printf("\nThe cost of a `docker exec` was not measured: no Docker engine was there.\n")
		return contest{}, func() {}, nil
	}
	busybox, err := program("busybox", "busybox-static")
	if err != nil {
		return contest{}, nil, err
	}
	image, name := "hale-bench:busybox", "hale-bench-busybox"
	build := exec.CommandContext(ctx, "sh", "-c", `tar -C "$(dirname "$1")" -ch busybox | "$2" import - "$3"`, "sh", busybox, docker, image)
	if out, err := build.CombinedOutput(); err != nil {
		return contest{}, nil, fmt.Errorf("docker import: %w: %s", err, strings.TrimSpace(string(out)))
	}
	start := exec.CommandContext(ctx, docker, "run", "-d", "--rm", "--network", "none", "--name", name, image, "/busybox", "sleep", "600")
	if out, err := start.CombinedOutput(); err != nil {
		return contest{}, nil, fmt.Errorf("docker run: %w: %s", err, strings.TrimSpace(string(out)))
	}
	stop := func() {
		_ = exec.Command(docker, "rm", "-f", name).Run()
		_ = exec.Command(docker, "rmi", image).Run()
	}
	target, err := b.startNginx(ctx, 1)
	if err != nil {
		stop()
		return contest{}, nil, err
	}
	url := target.urls(1)[0]
	return contest{"What asking a container costs at all", b.plan.celeryRounds, []contestant{
		{name: "docker exec CONTAINER true", argv: []string{docker, "exec", name, "/busybox", "true"}},
		{name: "hale check, outside", argv: []string{b.hale, "check", url}},
	}}, func() { target.stop(); stop() }, nil
}
