package docker_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"hale/internal/servertest"
)

// Seen from a container: hale's own is left out, others are reached in the
// network that is shared, else by published ports at the gateway.
func TestInAContainer(t *testing.T) {
	d := servertest.Docker(t)
	mine := mark(d)
	binary := filepath.Join(t.TempDir(), "finder")
	build := exec.Command("go", "build", "-o", binary, "./testdata/finder")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	network, other := d.Network(), d.Network()
	shared := d.Run("--label", mine, "--network", network, d.Web())
	published := d.Run("--label", mine, "--network", other, "-p", "80", "-p", "127.0.0.1::81", d.Web())
	hidden := d.Run("--label", mine, "--network", other, d.Web())
	hale := func(args ...string) string {
		args = append([]string{"--label", mine, "-v", binary + ":/finder:ro", "-v", d.Socket + ":/var/run/docker.sock"}, args...)
		return d.Run(append(args, d.Busybox(), "/finder", "labels="+mine)...)
	}
	expect := func(name string, words ...string) {
		t.Helper()
		servertest.Wait(t, strings.Join(words, " … "), func() error {
			log := d.Docker("logs", name)
			for line := range strings.Lines(log) {
				all := true
				for _, word := range words {
					all = all && strings.Contains(line, word)
				}
				if all {
					return nil
				}
			}
			return fmt.Errorf("no line of the log has that:\n%s", log)
		})
	}
	inside := hale("--network", network, "--expose", "80")
	expect(inside, "check "+shared, "http://"+d.IP(shared)+":80/", "200 in")
	expect(inside, "container="+shared, "hale is in its network "+network)
	expect(inside, "container="+published, "published ports", "not reached from here, and so not checked: 81 (published at 127.0.0.1, which is not here)")
	expect(inside, "container="+hidden, "none of its networks", other, "that it runs")
	joined := hale("--network", "container:"+shared)
	expect(joined, "check "+shared, "http://127.0.0.1:80/", "200 in")
	host := hale("--network", "host")
	expect(host, "check "+hidden, "http://"+d.IP(hidden)+":80/", "200 in")
	for _, name := range []string{inside, joined, host} {
		if log := d.Docker("logs", name); strings.Contains(log, "container="+name) {
			t.Errorf("it checks itself:\n%s", log)
		}
	}
	d.Docker("network", "connect", other, inside)
	expect(inside, "check "+hidden, "http://", ":80/", "200 in")
}
