package docker_test

import (
	"strconv"
	"testing"

	"hale/internal/check"
	"hale/internal/discover/docker"
	"hale/internal/servertest"
	"hale/internal/verdict"
)

// The same with Podman's service.
func TestPodman(t *testing.T) {
	d := servertest.Podman(t)
	mine := mark(d)
	port := servertest.FreePort(t)
	web := d.Run("--label", mine, "--network", "host", "--label", "hale.port="+strconv.Itoa(port), d.Web(), strconv.Itoa(port))
	plain := d.Run("--label", mine, "--network", "none", d.Busybox())
	w := watch(t, d.Host, mine)
	w.expect(docker.Name, check.Up, "Podman")
	w.expectNames(web, plain)
	w.expectOutcome(verdict.Pass)

	d.Docker("kill", web)
	w.expect(web, check.Down, "exit", "137")
	d.Docker("start", web)
	w.expect(web, check.Up)
	d.Docker("rm", "-f", "-t", "0", plain)
	w.expectNames(web)
	later := d.Run("--label", mine, "--network", "none", d.Busybox(), "sh", "-c", "sleep 1; exit 4")
	w.expect(later, check.Down, "exit", "status 4")
	d.Docker("rm", later)
	w.expectNames(web)
	w.expectOutcome(verdict.Pass)
}
